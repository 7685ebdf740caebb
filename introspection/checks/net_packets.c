// SPDX-License-Identifier: LGPL-2.1-or-later
/* The network: who sees packets. Hooks and handlers are of a network namespace, or of a device. */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/nets.h"
#include "introspection/checks/slots.h"

/* --- network namespaces and their devices ----------------------------------------- */

struct devices {
	rf_object_fn fn;
	void *ctx;
	uint64_t list, link;
};

static int each_device_of(struct rf_run *run, uint64_t net, void *ctx)
{
	const struct devices *d = ctx;

	return rf_run_list(run, net + d->list, d->link, d->fn, d->ctx);
}

static int each_device(struct rf_run *run, rf_object_fn fn, void *ctx)
{
	struct devices d = { .fn = fn, .ctx = ctx };
	int err;

	if ((err = rf_run_member(run, "net", "dev_base_head", 16, &d.list)) ||
	    (err = rf_run_member(run, "net_device", "dev_list", 16, &d.link)))
		return err;
	return rf_run_nets(run, each_device_of, &d);
}

/* "WHAT of device eth0" */
static int name_device(struct rf_run *run, uint64_t device, const char *what, char *out,
		       size_t size)
{
	char name[16]; /* IFNAMSIZ */
	uint64_t at;
	int err = rf_run_member(run, "net_device", "name", 0, &at);

	if (!err)
		err = rf_run_text(run, device + at, name, sizeof(name));
	if (!err)
		snprintf(out, size, "%s of device %s", what, name);
	return err;
}

/* --- netfilter -------------------------------------------------------------------- */

#define HOOKS_MAX 1024u /* MAX_HOOK_COUNT, net/netfilter/core.c */

static const struct hook_kind {
	const char *path, *family;
} hook_kinds[] = {
	{ "nf.hooks_ipv4", "IPv4" },
	{ "nf.hooks_ipv6", "IPv6" },
	{ "nf.hooks_arp", "ARP" },
	{ "nf.hooks_bridge", "bridge" },
};
#define HOOK_KINDS (sizeof(hook_kinds) / sizeof(hook_kinds[0]))

struct netfilter {
	struct rf_member kinds[HOOK_KINDS];
	uint64_t count, hooks, each, hook;
};

/* struct nf_hook_entries, include/linux/netfilter.h */
static int look_at_hooks(struct rf_run *run, const struct netfilter *f, uint64_t entries,
			 const char *what)
{
	uint64_t at, target;
	uint16_t count;
	int err = rf_run_read(run, entries + f->count, &count, sizeof(count));

	if (!err && count > HOOKS_MAX)
		err = -EBADMSG;
	for (unsigned int i = 0; !err && i < count; i++) {
		at = entries + f->hooks + i * f->each + f->hook;
		err = rf_run_u64(run, at, &target);
		if (!err)
			err = rf_run_code(run, at, target, what);
	}
	return err;
}

static int look_at_netfilter_of(struct rf_run *run, uint64_t net, void *ctx)
{
	const struct netfilter *f = ctx;
	uint64_t entries;
	char what[64];
	int err = 0;

	rf_run_saw(run);
	for (unsigned int kind = 0; kind < HOOK_KINDS; kind++)
		for (uint64_t n = 0; !err && n < f->kinds[kind].size / 8; n++) {
			snprintf(what, sizeof(what), "netfilter hook %llu of %s",
				 (unsigned long long)n, hook_kinds[kind].family);
			err = rf_run_u64(run, net + f->kinds[kind].offset + n * 8, &entries);
			if (!err && entries)
				err = look_at_hooks(run, f, entries, what);
		}
	return err;
}

/* Hooks of NFPROTO_NETDEV, and those of NFPROTO_INET at the ingress, are a device's (net/netfilter/
 * core.c nf_hook_entry_head()). A kernel may have been built without either. */
static int look_at_hooks_of_device(struct rf_run *run, uint64_t device, void *ctx)
{
	static const struct hook_kind kinds[] = {
		{ "nf_hooks_ingress", "netfilter hook at the ingress" },
		{ "nf_hooks_egress", "netfilter hook at the egress" },
	};
	uint64_t at, entries;
	char what[64];
	int err = 0;

	rf_run_saw(run);
	for (unsigned int i = 0; !err && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!rf_run_has(run, "net_device", kinds[i].path))
			continue;
		if ((err = rf_run_member(run, "net_device", kinds[i].path, 8, &at)) ||
		    (err = rf_run_u64(run, device + at, &entries)) || !entries)
			continue;
		err = name_device(run, device, kinds[i].family, what, sizeof(what));
		if (!err)
			err = look_at_hooks(run, ctx, entries, what);
	}
	return err;
}

static int look_at_netfilter(struct rf_run *run)
{
	const struct rf_kernel *k = rf_run_kernel(run);
	struct netfilter f = { 0 };
	uint64_t unused;
	int err;

	if ((err = rf_run_member(run, "net", hook_kinds[0].path, 0, &unused)) ||
	    (err = rf_run_member(run, "nf_hook_entries", "num_hook_entries", 2, &f.count)) ||
	    (err = rf_run_member(run, "nf_hook_entries", "hooks", 0, &f.hooks)) ||
	    (err = rf_run_member(run, "nf_hook_entry", "hook", 8, &f.hook)) ||
	    (err = rf_run_sizeof(run, "nf_hook_entry", &f.each)))
		return err;
	/* Those of a family that the kernel was built without stay empty. */
	for (unsigned int i = 0; i < HOOK_KINDS; i++)
		if (rf_kernel_member(k, "net", hook_kinds[i].path, &f.kinds[i]))
			f.kinds[i].size = 0;
	err = rf_run_nets(run, look_at_netfilter_of, &f);
	return err ? err : each_device(run, look_at_hooks_of_device, &f);
}

const struct rf_check rf_check_netfilter = {
	.name = "netfilter",
	.summary =
		"netfilter hooks of all network namespaces are the kernel's or a signed module's",
	.reading =
		"packets go through somebody's code: a backdoor's wake-up call, or hidden traffic",
	.attack = "T1205",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 1000,
	.reads = 1 << 15,
	.run = look_at_netfilter,
};

/* --- packet handlers ---------------------------------------------------------------- */

static const struct rf_slots everywhere[] = {
	{ .what = "packet handler",
	  .symbol = "ptype_base",
	  .shape = RF_SHAPE_LISTS,
	  .type = "packet_type",
	  .link = "list" },
	/* Who puts packets together before any handler sees them: arrays by protocol. */
	{ .what = "IPv4 offload",
	  .symbol = "inet_offloads",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "net_offload" },
	{ .what = "IPv6 offload",
	  .symbol = "inet6_offloads",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "net_offload" },
	{ 0 },
};

static const struct rf_slots handlers = { .what = "packet handler",
					  .symbol = "",
					  .shape = RF_SHAPE_LIST,
					  .type = "packet_type",
					  .link = "list" };
static const struct rf_slots offloads = { .what = "packet offload",
					  .symbol = "",
					  .shape = RF_SHAPE_LIST,
					  .type = "packet_offload",
					  .link = "list" };

/* A symbol of its own, or from 6.9 on a member of net_hotdata (include/net/hotdata.h). */
static int look_at_list(struct rf_run *run, const char *name, const struct rf_slots *row)
{
	uint64_t head, in_head;
	int err;

	if (!rf_run_symbol(run, name, &head))
		return rf_run_slots_at(run, row, head, 0);
	if (!rf_run_has(run, "net_hotdata", name))
		return 0;
	if ((err = rf_run_symbol(run, "net_hotdata", &head)) ||
	    (err = rf_run_member(run, "net_hotdata", name, 16, &in_head)))
		return err;
	return rf_run_slots_at(run, row, head + in_head, 0);
}

/* A device has lists of its own, and in newer kernels a namespace too (net/core/dev.c
 * ptype_head()), where there is no list for all of them any more. */
static int look_at_handlers_in(struct rf_run *run, const char *type, uint64_t object)
{
	static const char *const lists[] = { "ptype_all", "ptype_specific" };
	uint64_t at;
	int err = 0;

	for (unsigned int i = 0; !err && i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (!rf_run_has(run, type, lists[i]))
			continue;
		err = rf_run_member(run, type, lists[i], 16, &at);
		if (!err)
			err = rf_run_slots_at(run, &handlers, object + at, 0);
	}
	return err;
}

static int look_at_handlers_of_net(struct rf_run *run, uint64_t net, void *ctx)
{
	return look_at_handlers_in(run, "net", net);
}

static int look_at_handlers_of_device(struct rf_run *run, uint64_t device, void *ctx)
{
	return look_at_handlers_in(run, "net_device", device);
}

static int look_at_packet_handlers(struct rf_run *run)
{
	uint64_t unused;
	int err = rf_run_slots(run, everywhere);

	if (err)
		return err;
	/* Handlers of all packets are in one of these places, or this is a kernel that is not
	 * known. */
	if (rf_run_symbol(run, "ptype_all", &unused) && !rf_run_has(run, "net", "ptype_all") &&
	    !rf_run_has(run, "net_hotdata", "ptype_all"))
		return rf_run_lacks(run, "the kernel has no ptype_all anywhere");
	if ((err = look_at_list(run, "ptype_all", &handlers)) ||
	    (err = look_at_list(run, "offload_base", &offloads)) ||
	    (err = rf_run_nets(run, look_at_handlers_of_net, NULL)))
		return err;
	return each_device(run, look_at_handlers_of_device, NULL);
}

const struct rf_check rf_check_packet_handlers = {
	.name = "packet-handlers",
	.summary = "who is given each received packet is the kernel's or a signed module's",
	.reading = "packets go through somebody's code: a sniffer, or a backdoor's wake-up call",
	.attack = "T1040",
	.severity = RF_SEVERITY_HIGH,
	.front_door = true,
	.period_ms = 5000,
	.reads = 1 << 14,
	.run = look_at_packet_handlers,
};

/* --- devices -------------------------------------------------------------------------- */

/* Tables that a device has. */
static const struct device_table {
	const char *member, *type, *what;
} device_tables[] = {
	{ "netdev_ops", "net_device_ops", "operations" },
	{ "ethtool_ops", "ethtool_ops", "ethtool operations" },
	{ "header_ops", "header_ops", "header operations" },
};

static int look_at_device(struct rf_run *run, uint64_t device, void *ctx)
{
	uint64_t at, table;
	char what[96];
	int err = 0;

	rf_run_saw(run);
	for (unsigned int i = 0; !err && i < sizeof(device_tables) / sizeof(device_tables[0]);
	     i++) {
		const struct device_table *t = &device_tables[i];

		if ((err = rf_run_member(run, "net_device", t->member, 8, &at)) ||
		    (err = rf_run_u64(run, device + at, &table)) || !table ||
		    (err = name_device(run, device, t->what, what, sizeof(what))))
			continue;
		err = rf_run_table(run, t->type, device, table, what);
	}
	/* Takes packets off before any handler: bridges, bonds (netdev_rx_handler_register()). */
	if (err || (err = rf_run_member(run, "net_device", "rx_handler", 8, &at)) ||
	    (err = rf_run_u64(run, device + at, &table)) ||
	    (err = name_device(run, device, "receive handler", what, sizeof(what))))
		return err;
	return rf_run_code(run, device + at, table, what);
}

static int look_at_net_devices(struct rf_run *run)
{
	return each_device(run, look_at_device, NULL);
}

const struct rf_check rf_check_net_devices = {
	.name = "net-devices",
	.summary = "operations of network devices are the kernel's or a signed module's",
	.reading = "all traffic of a device goes through somebody's code",
	.attack = "T1205",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 15,
	.run = look_at_net_devices,
};
