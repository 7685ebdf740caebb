// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/nets.h"

struct nets {
	rf_object_fn fn;
	void *ctx;
	uint64_t first;
	bool seen;
};

static int look_at_net(struct rf_run *run, uint64_t net, void *ctx)
{
	struct nets *n = ctx;

	n->seen |= net == n->first;
	return n->fn(run, net, n->ctx);
}

int rf_run_nets(struct rf_run *run, rf_object_fn fn, void *ctx)
{
	struct nets n = { .fn = fn, .ctx = ctx };
	uint64_t head, link;
	int err;

	if ((err = rf_run_symbol(run, "net_namespace_list", &head)) ||
	    (err = rf_run_symbol(run, "init_net", &n.first)) ||
	    (err = rf_run_member(run, "net", "list", 16, &link)) ||
	    (err = rf_run_list(run, head, link, look_at_net, &n)) || n.seen)
		return err;
	err = rf_run_found(run, n.first, "the first network namespace", 0,
			   "it is not on the list of namespaces");
	return err ? err : fn(run, n.first, ctx);
}
