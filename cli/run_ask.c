// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A VMM that is asked what it is or can do runs no guest, so there is nothing to protect: it takes
 * this process's place, without fence and monitor, and its code is the code. It gets no name, no
 * state folder and no log; one line says that it was so. That no guest comes of it a door sees to
 * (hv/doorkeeper.h), and of a probe without KVM that its machine has no processor
 * (cli/vmm_asks.h).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"
#include "cli/vmm_asks.h"
#include "hv/doorkeeper.h"

int rf_run_ask(struct rf_run *r, enum rf_vmm_asks asks)
{
	int code = rf_run_check_program(r), err;

	if (code)
		return code;
	rf_say("%s: %s; it runs without fence and monitor, and can run no guest", r->command[0],
	       asks == RF_VMM_PROBE ? "a probe of what this VMM can do"
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
