// SPDX-License-Identifier: LGPL-2.1-or-later
/* What else may be registered with a kernel, and is then called by it. */
#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

static const struct rf_slots binary_formats[] = {
	{ .what = "binary format",
	  .symbol = "formats",
	  .shape = RF_SHAPE_LIST,
	  .type = "linux_binfmt",
	  .link = "lh" },
	{ 0 },
};

const struct rf_check rf_check_binary_formats = {
	.name = "binary-formats",
	.summary = "loaders of programs are the kernel's or a signed module's",
	.reading = "each execve(2) goes through somebody's code",
	.attack = "T1546",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 12,
	.slots = binary_formats,
};

static const struct rf_slots key_types[] = {
	{ .what = "key type",
	  .symbol = "key_types_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "key_type",
	  .link = "link",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_key_types = {
	.name = "key-types",
	.summary = "functions of key types are the kernel's or a signed module's",
	.reading = "keys on the kernel's keyrings are handed to somebody's code",
	.attack = "T1555",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.slots = key_types,
};

static const struct rf_slots clocks[] = {
	{ .what = "clock source",
	  .symbol = "clocksource_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "clocksource",
	  .link = "list",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_clocks = {
	.name = "clocks",
	.summary = "clock sources are the kernel's or a signed module's",
	.reading = "somebody's code is called whenever the time is read",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 13,
	.slots = clocks,
};

static const struct rf_slots log_dumpers[] = {
	{ .what = "log dumper",
	  .symbol = "dump_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "kmsg_dumper",
	  .link = "list" },
	{ 0 },
};

const struct rf_check rf_check_log_dumpers = {
	.name = "log-dumpers",
	.summary = "who is given the kernel's log at an oops is the kernel's or a signed module's",
	.reading = "somebody's code runs at a crash, and may keep it from being seen",
	.attack = "T1562.006",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 12,
	.slots = log_dumpers,
};

static const struct rf_slots control_groups[] = {
	{ .what = "control group",
	  .symbol = "cgroup_subsys",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "cgroup_subsys",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_control_groups = {
	.name = "control-groups",
	.summary = "functions of control groups are the kernel's",
	.reading = "somebody's code runs whenever a task is made, moved or ends",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.slots = control_groups,
};

static const struct rf_slots suspend[] = {
	{ .what = "step of suspend",
	  .symbol = "syscore_ops_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "syscore_ops",
	  .link = "node" },
	{ .what = "step of suspend",
	  .symbol = "syscore_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "syscore",
	  .link = "node",
	  .ops = "ops",
	  .ops_type = "syscore_ops" },
	{ 0 },
};

const struct rf_check rf_check_suspend = {
	.name = "suspend",
	.summary = "who is called at suspend, wake-up and shutdown is the kernel or a signed "
		   "module",
	.reading = "somebody's code runs on the last CPU, with interrupts off",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 13,
	.slots = suspend,
};

static const struct rf_slots shrinkers[] = {
	{ .what = "shrinker",
	  .symbol = "shrinker_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "shrinker",
	  .link = "list" },
	{ .what = "slab cache",
	  .symbol = "slab_caches",
	  .shape = RF_SHAPE_LIST,
	  .type = "kmem_cache",
	  .link = "list",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_shrinkers = {
	.name = "shrinkers",
	.summary = "who is called when memory is short, or an object is made, is the kernel or a "
		   "signed module",
	.reading = "somebody's code runs now and then, without thread or timer",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 16,
	.slots = shrinkers,
};
