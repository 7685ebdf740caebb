// SPDX-License-Identifier: LGPL-2.1-or-later
/* The network: who sees packets, and who is called for sockets. */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

#define HOOKS_MAX 1024u /* MAX_HOOK_COUNT, net/netfilter/core.c */

/* --- netfilter -------------------------------------------------------------------- */

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

static int look_at_netfilter(struct rf_run *run)
{
	const struct rf_kernel *k = rf_run_kernel(run);
	uint64_t head, link, unused;
	struct netfilter f = { 0 };
	int err;

	if ((err = rf_run_symbol(run, "net_namespace_list", &head)) ||
	    (err = rf_run_member(run, "net", "list", 16, &link)) ||
	    (err = rf_run_member(run, "net", hook_kinds[0].path, 0, &unused)) ||
	    (err = rf_run_member(run, "nf_hook_entries", "num_hook_entries", 2, &f.count)) ||
	    (err = rf_run_member(run, "nf_hook_entries", "hooks", 0, &f.hooks)) ||
	    (err = rf_run_member(run, "nf_hook_entry", "hook", 8, &f.hook)) ||
	    (err = rf_run_sizeof(run, "nf_hook_entry", &f.each)))
		return err;
	/* Those of a family that the kernel was built without stay empty. */
	for (unsigned int i = 0; i < HOOK_KINDS; i++)
		if (rf_kernel_member(k, "net", hook_kinds[i].path, &f.kinds[i]))
			f.kinds[i].size = 0;
	return rf_run_list(run, head, link, look_at_netfilter_of, &f);
}

const struct rf_check rf_check_netfilter = {
	.name = "netfilter",
	.summary =
		"netfilter hooks of all network namespaces are the kernel's or a signed module's",
	.reading =
		"packets go through somebody's code: a backdoor's wake-up call, or hidden traffic",
	.attack = "T1205",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 1000,
	.reads = 1 << 15,
	.run = look_at_netfilter,
};

/* --- packets, protocols, sockets ------------------------------------------------------ */

/* From 6.14 on a namespace and a device have lists of their own (net/core/dev.c ptype_head()). */
static const struct rf_slots of_net = { .what = "packet handler of a namespace",
					.symbol = "",
					.shape = RF_SHAPE_LIST,
					.type = "packet_type",
					.link = "list" };

struct per_net {
	uint64_t lists[2];
	unsigned int count;
};

static int look_at_packets_of(struct rf_run *run, uint64_t net, void *ctx)
{
	const struct per_net *p = ctx;
	int err = 0;

	for (unsigned int i = 0; !err && i < p->count; i++)
		err = rf_run_slots_at(run, &of_net, net + p->lists[i], 0);
	return err;
}

static const struct rf_slots packet_handlers[] = {
	{ .what = "packet handler",
	  .symbol = "ptype_all",
	  .shape = RF_SHAPE_LIST,
	  .type = "packet_type",
	  .link = "list" },
	{ .what = "packet handler",
	  .symbol = "ptype_base",
	  .shape = RF_SHAPE_LISTS,
	  .type = "packet_type",
	  .link = "list" },
	{ 0 },
};

static int look_at_packet_handlers(struct rf_run *run)
{
	struct per_net p = { 0 };
	uint64_t head, link;
	int err = rf_run_slots(run, packet_handlers);

	if (err)
		return err;
	if (rf_run_has(run, "net", "ptype_all") &&
	    !rf_run_member(run, "net", "ptype_all", 16, &p.lists[p.count]))
		p.count++;
	if (rf_run_has(run, "net", "ptype_specific") &&
	    !rf_run_member(run, "net", "ptype_specific", 16, &p.lists[p.count]))
		p.count++;
	if (!p.count)
		return 0;
	if ((err = rf_run_symbol(run, "net_namespace_list", &head)) ||
	    (err = rf_run_member(run, "net", "list", 16, &link)))
		return err;
	return rf_run_list(run, head, link, look_at_packets_of, &p);
}

const struct rf_check rf_check_packet_handlers = {
	.name = "packet-handlers",
	.summary = "who is given each received packet is the kernel's or a signed module's",
	.reading = "packets go through somebody's code: a sniffer, or a backdoor's wake-up call",
	.attack = "T1040",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 14,
	.run = look_at_packet_handlers,
};

static const struct rf_slots protocols[] = {
	{ .what = "IPv4 protocol",
	  .symbol = "inet_protos",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "net_protocol" },
	{ .what = "IPv6 protocol",
	  .symbol = "inet6_protos",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "inet6_protocol" },
	{ .what = "protocol",
	  .symbol = "proto_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "proto",
	  .link = "node",
	  .name = "name" },
	{ .what = "congestion control",
	  .symbol = "tcp_cong_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "tcp_congestion_ops",
	  .link = "list",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_protocols = {
	.name = "protocols",
	.summary = "functions of network protocols are the kernel's or a signed module's",
	.reading = "sockets or packets of a protocol go through somebody's code",
	.attack = "T1205",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 16,
	.slots = protocols,
};

static const struct rf_slots socket_families[] = {
	{ .what = "socket family",
	  .symbol = "net_families",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "net_proto_family" },
	{ 0 },
};

const struct rf_check rf_check_socket_families = {
	.name = "socket-families",
	.summary = "families of sockets are the kernel's or a signed module's",
	.reading = "a way for programs to talk to somebody's code",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 13,
	.slots = socket_families,
};

static int look_at_devices_of(struct rf_run *run, uint64_t net, void *ctx)
{
	static const struct rf_slots row = { .what = "network device",
					     .symbol = "",
					     .shape = RF_SHAPE_LIST,
					     .type = "net_device",
					     .link = "dev_list",
					     .ops = "netdev_ops",
					     .ops_type = "net_device_ops",
					     .name = "name" };

	return rf_run_slots_at(run, &row, net + *(const uint64_t *)ctx, 0);
}

static int look_at_net_devices(struct rf_run *run)
{
	uint64_t head, link, devices;
	int err;

	if ((err = rf_run_symbol(run, "net_namespace_list", &head)) ||
	    (err = rf_run_member(run, "net", "list", 16, &link)) ||
	    (err = rf_run_member(run, "net", "dev_base_head", 16, &devices)))
		return err;
	return rf_run_list(run, head, link, look_at_devices_of, &devices);
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

static const struct rf_slots net_registrations[] = {
	{ .what = "network namespace operations",
	  .symbol = "pernet_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "pernet_operations",
	  .link = "list" },
	{ 0 },
};

const struct rf_check rf_check_net_registrations = {
	.name = "net-registrations",
	.summary = "who is told of network namespaces is the kernel's or a signed module's",
	.reading = "somebody's code runs whenever a container is made",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.slots = net_registrations,
};
