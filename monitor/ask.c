// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands to the fence that lead the VM on: what may come changes with them (sequence.h). */
#include "monitor/monitor.h"

int rf_ask_watch(struct rf_guest *g, const struct rf_msg_watch *m)
{
	int err = g->hv->ops->watch(g->hv, m);

	if (!err)
		rf_sequence_watched(&g->sequence);
	return err;
}

int rf_ask_seal(struct rf_guest *g, const struct rf_msg_seal *m)
{
	int err = g->hv->ops->seal(g->hv, m, &g->seal_ns);

	if (!err)
		rf_sequence_sealed(&g->sequence);
	return err;
}
