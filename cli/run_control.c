// SPDX-License-Identifier: LGPL-2.1-or-later
/* The VM's place in the host's control-register watch. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/run.h"
#include "hv/bpf/crwatch.h"

int rf_run_control(struct rf_run *r)
{
	char why[RF_CRWATCH_WHY] = "";
	int err;

	if (!r->now.pin_control)
		return RF_EXIT_OK;
	err = rf_crwatch_open(r->kvm, &r->vms_fd, why);
	if (!err) {
		err = rf_crwatch_page(&r->page, &r->page_fd);
		if (err)
			snprintf(why, sizeof(why), "no page for this VM: %s", strerror(-err));
	}
	if (!err)
		return RF_EXIT_OK;
	if (r->now.need_watch)
		return rf_fail(RF_EXIT_REFUSED,
			       "nothing was started; the policy says that CR0 and "
			       "CR4 must be watched (pin: control_watch)",
			       "see `ringfence doctor`, or let the policy say optional",
			       "the host's control-register watch cannot be used: %s", why);
	rf_say("%s: writes to CR0 and CR4 are not watched: %s; `ringfence doctor` tells what is "
	       "lost "
	       "and how to mend it",
	       r->name, why);
	return RF_EXIT_OK;
}

int rf_run_control_enter(const struct rf_run *r)
{
	char fd[16];
	int err;

	if (!r->page) {
		/* Of a run around this one. */
		unsetenv(RF_CR_ENVIRONMENT);
		return 0;
	}
	snprintf(fd, sizeof(fd), "%d", r->page_fd);
	err = rf_crwatch_enter(r->vms_fd, r->page_fd, r->page);
	if (!err && (setenv(RF_CR_ENVIRONMENT, fd, 1) || fcntl(r->page_fd, F_SETFD, 0) < 0))
		err = -errno;
	return err;
}
