// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who answers what programs ask about the network, or want done with its packets: netlink, kinds of
 * devices, traffic control, options of sockets. */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

#define RTM_BASE 16 /* include/uapi/linux/rtnetlink.h */
#define TYPES_MAX 1024

/* --- routing netlink (net/core/rtnetlink.c) --------------------------------------------- */

struct handlers {
	uint64_t types; /* of messages, that each family has a place for */
	unsigned int family;
};

static int look_at_family(struct rf_run *run, const struct handlers *h, uint64_t table)
{
	char what[64];
	uint64_t link;
	int err = 0;

	for (uint64_t type = 0; !err && type < h->types; type++) {
		err = rf_run_u64(run, table + type * 8, &link);
		if (err || !link)
			continue;
		rf_run_saw(run);
		snprintf(what, sizeof(what), "netlink message %llu of family %u",
			 (unsigned long long)type + RTM_BASE, h->family);
		err = rf_run_functions(run, "rtnl_link", link, what);
	}
	return err;
}

static int look_at_messages(struct rf_run *run)
{
	const struct rf_kernel *k = rf_run_kernel(run);
	struct rf_symbol unused;
	struct handlers h;
	uint64_t at, table;
	int64_t max;
	rf_gva end;
	int err;

	if ((err = rf_run_symbol(run, "rtnl_msg_handlers", &at)))
		return err;
	if (rf_kernel_enumerator(k, NULL, "__RTM_MAX", &max) || max < RTM_BASE || max > TYPES_MAX)
		return rf_run_lacks(run, "the kernel's types do not say how many messages it has");
	h.types = (((uint64_t)max + 3) & ~UINT64_C(3)) - RTM_BASE; /* RTM_NR_MSGTYPES */
	if (rf_kernel_symbol_extent(k, rf_gva_of(at), &unused, &end))
		return -EBADMSG;
	for (h.family = 0; !err && at + 8 <= end.v; at += 8, h.family++) {
		err = rf_run_u64(run, at, &table);
		if (!err && table)
			err = look_at_family(run, &h, table);
	}
	return err;
}

/* --- generic netlink (net/netlink/genetlink.c) ------------------------------------------------ */

/* One of the arrays of operations that a family may have. */
struct operations {
	const char *pointer, *count, *type, *functions[4]; /* NULL behind the last */
};

static const struct operations operations[] = {
	{ "ops", "n_ops", "genl_ops", { "doit", "start", "dumpit", "done" } },
	{ "small_ops", "n_small_ops", "genl_small_ops", { "doit", "dumpit" } },
	/* Three of one union, or three of the other, which lie at the same places. */
	{ "split_ops", "n_split_ops", "genl_split_ops", { "pre_doit", "doit", "post_doit" } },
};

static int look_at_operations(struct rf_run *run, uint64_t family, const struct operations *o,
			      const char *what)
{
	uint64_t pointer, count, each, functions[4], at, target;
	unsigned int n = 0;
	uint8_t entries;
	int err;

	if ((err = rf_run_member(run, "genl_family", o->pointer, 8, &pointer)) ||
	    (err = rf_run_member(run, "genl_family", o->count, 1, &count)) ||
	    (err = rf_run_sizeof(run, o->type, &each)) ||
	    (err = rf_run_u64(run, family + pointer, &at)) ||
	    (err = rf_run_read(run, family + count, &entries, 1)))
		return err;
	for (; n < 4 && o->functions[n]; n++)
		if ((err = rf_run_member(run, o->type, o->functions[n], 8, &functions[n])))
			return err;
	for (uint64_t i = 0; !err && at && i < entries; i++)
		for (unsigned int j = 0; !err && j < n; j++) {
			uint64_t place = at + i * each + functions[j];

			err = rf_run_u64(run, place, &target);
			if (!err)
				err = rf_run_code(run, place, target, what);
		}
	return err;
}

static int look_at_genl_family(struct rf_run *run, uint64_t family, void *ctx)
{
	char what[64], text[17];
	uint64_t name;
	int err = rf_run_member(run, "genl_family", "name", 0, &name);

	if (!err)
		err = rf_run_text(run, family + name, text, sizeof(text));
	if (err)
		return err;
	rf_run_saw(run);
	snprintf(what, sizeof(what), "generic netlink family %s", text);
	err = rf_run_functions(run, "genl_family", family, what);
	for (size_t i = 0; !err && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (rf_run_has(run, "genl_family", operations[i].count)) /* 6.1 has no split ones */
			err = look_at_operations(run, family, &operations[i], what);
	return err;
}

static int look_at_netlink(struct rf_run *run)
{
	uint64_t families, tree;
	int err = look_at_messages(run);

	if (err || (err = rf_run_symbol(run, "genl_fam_idr", &families)) ||
	    (err = rf_run_member(run, "idr", "idr_rt", 0, &tree)))
		return err;
	return rf_run_xarray(run, families + tree, look_at_genl_family, NULL);
}

const struct rf_check rf_check_netlink = {
	.name = "netlink",
	.summary = "who answers netlink messages is the kernel or a signed module",
	.reading = "what ip and ss show goes through somebody's code; or a control channel",
	.attack = "T1564",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 17,
	.run = look_at_netlink,
};

/* --- rows ---------------------------------------------------------------------------------------
 */

static const struct rf_slots net_kinds[] = {
	{ .what = "kind of network device",
	  .symbol = "link_ops",
	  .shape = RF_SHAPE_LIST,
	  .type = "rtnl_link_ops",
	  .link = "list",
	  .name = "kind" },
	{ .what = "address family of devices",
	  .symbol = "rtnl_af_ops",
	  .shape = RF_SHAPE_LIST,
	  .type = "rtnl_af_ops",
	  .link = "list" },
	{ .what = "queueing discipline",
	  .symbol = "qdisc_base",
	  .shape = RF_SHAPE_CHAIN,
	  .type = "Qdisc_ops",
	  .link = "next",
	  .name = "id" },
	{ .what = "packet classifier",
	  .symbol = "tcf_proto_base",
	  .shape = RF_SHAPE_LIST,
	  .type = "tcf_proto_ops",
	  .link = "head",
	  .name = "kind" },
	{ .what = "packet action",
	  .symbol = "act_base",
	  .shape = RF_SHAPE_LIST,
	  .type = "tc_action_ops",
	  .link = "head",
	  .name = "kind" },
	{ 0 },
};

const struct rf_check rf_check_net_kinds = {
	.name = "net-kinds",
	.summary = "kinds of network devices and of traffic control are the kernel's or a signed "
		   "module's",
	.reading = "packets of a device go through somebody's code",
	.attack = "T1205",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 15,
	.slots = net_kinds,
};

static const struct rf_slots sockets[] = {
	{ .what = "socket option",
	  .symbol = "nf_sockopts",
	  .shape = RF_SHAPE_LIST,
	  .type = "nf_sockopt_ops",
	  .link = "list" },
	{ .what = "IPv4 socket type",
	  .symbol = "inetsw",
	  .shape = RF_SHAPE_LISTS,
	  .type = "inet_protosw",
	  .link = "list",
	  .ops = "ops",
	  .ops_type = "proto_ops" },
	{ .what = "IPv6 socket type",
	  .symbol = "inetsw6",
	  .shape = RF_SHAPE_LISTS,
	  .type = "inet_protosw",
	  .link = "list",
	  .ops = "ops",
	  .ops_type = "proto_ops" },
	{ .what = "socket listing",
	  .symbol = "sock_diag_handlers",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "sock_diag_handler" },
	{ .what = "protocol above TCP",
	  .symbol = "tcp_ulp_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "tcp_ulp_ops",
	  .link = "list",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_sockets = {
	.name = "sockets",
	.summary = "functions of sockets, of their options and lists are the kernel's or a signed "
		   "module's",
	.reading = "a program talks to somebody's code with setsockopt(2), or does not see a "
		   "connection",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 15,
	.slots = sockets,
};
