/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another policy while the VM runs, as `run` sees it: it hears `policy reload`, judges, and has the
 * monitor judge as well (monitor/reload.h). Both must take it. From then on each monitor that is
 * started gets the new one; there is no way back but another policy that is taken.
 *
 * A monitor that dies before it has answered may have it on record already. So where `run` itself
 * takes the policy, that death is taken for a yes, and the next monitor writes down by what it
 * judges.
 */
#ifndef RF_CLI_RUN_RELOAD_H
#define RF_CLI_RUN_RELOAD_H

#include <poll.h>

#include "cli/run.h"
#include "policy/reload.h"

struct rf_run_reload {
	struct rf_run *run;
	int client;	/* who is heard or waits for an answer, -1 none */
	uint32_t uid;	/* of that one */
	int64_t until;	/* it is waited for, or waits, so long; ms */
	bool asked;	/* the monitor has it and has not answered */
	bool taken;	/* it is in force with the next monitor, for whom the client waits */
	int64_t end_by; /* then the monitor that took it must have ended, 0 none */
	int fd;		/* the new one as a monitor reads it, -1 none */
	struct rf_policy_origin origin; /* its */
	struct rf_reloaded said;	/* `run`'s own judgement */
	json_t *changes;
};

#define RF_RUN_RELOAD_FDS 3

void rf_run_reload_begin(struct rf_run_reload *w, struct rf_run *r);
void rf_run_reload_end(struct rf_run_reload *w);
/* Fills p; what does not concern it has the descriptor -1. */
void rf_run_reload_poll(const struct rf_run_reload *w, struct pollfd p[RF_RUN_RELOAD_FDS]);
/* When there is something to do though nothing has come: `until` at the latest; ms. */
int64_t rf_run_reload_due(const struct rf_run_reload *w, int64_t until);
/* Hears and answers; waits for nobody. serves: there is a monitor, and it has its VMM. */
void rf_run_reload_serve(struct rf_run_reload *w, bool serves);
/* The monitor has been reaped. True: as it took another policy, and the next one starts at once. */
bool rf_run_reload_monitor_gone(struct rf_run_reload *w);
/* Another one has its VMM. */
void rf_run_reload_attached(struct rf_run_reload *w);
/* Has the monitor taken another policy, and does not end? */
bool rf_run_reload_overdue(const struct rf_run_reload *w);

#endif
