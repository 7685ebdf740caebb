// SPDX-License-Identifier: LGPL-2.1-or-later
/* The network: who is called for protocols and sockets. */
#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

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
