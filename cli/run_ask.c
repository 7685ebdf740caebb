// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A VMM that is asked what it is or can do runs no guest, so there is nothing to protect: it takes
 * this process's place, without fence and monitor, and its code is the code. It gets no name, no
 * state folder and no log of decisions, as there are none; one line says so, on standard error and,
 * as who asks may throw that away, to the system's log. That no guest comes of it a door sees to
 * (hv/doorkeeper.h), and of a probe without KVM that its machine has no processor
 * (cli/vmm_asks.h).
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"
#include "cli/vmm_asks.h"
#include "hv/doorkeeper.h"

static void record(const char *program, const char *what)
{
	static const char loss[] = "it runs without fence and monitor, and can run no guest";

	rf_say("%s: %s; %s", program, what, loss);
	openlog("ringfence", LOG_PID, LOG_DAEMON);
	syslog(LOG_NOTICE, "user %u: %s: %s; %s", (unsigned int)getuid(), program, what, loss);
	closelog();
}

int rf_run_ask(struct rf_run *r, enum rf_vmm_asks asks)
{
	int code = rf_run_check_program(r), err;

	if (code)
		return code;
	record(r->program, asks == RF_VMM_PROBE ? "a probe of what this VMM can do"
						: "a question that this VMM answers itself");
	err = rf_run_fds_pass(r);
	if (!err)
		err = rf_door_shut(asks == RF_VMM_PROBE ? RF_DOOR_ASKING : RF_DOOR_CLOSED);
	if (err)
		return rf_run_no_door(err);
	execv(r->program, r->command);
	return rf_fail(RF_EXIT_NOT_PROTECTABLE, "nothing runs", "give a VMM this user may execute",
		       "cannot start %s: %s", r->program, strerror(errno));
}
