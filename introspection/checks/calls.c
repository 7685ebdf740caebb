// SPDX-License-Identifier: LGPL-2.1-or-later
/* How the kernel is entered: system calls, deferred interrupts, keys that are always heard. */
#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

static const struct rf_slots syscalls[] = {
	{ .what = "64-bit system call", .symbol = "sys_call_table", .shape = RF_SHAPE_CODE },
	{ .what = "32-bit system call", .symbol = "ia32_sys_call_table", .shape = RF_SHAPE_CODE },
	{ .what = "x32 system call", .symbol = "x32_sys_call_table", .shape = RF_SHAPE_CODE },
	{ 0 },
};

const struct rf_check rf_check_syscalls = {
	.name = "syscalls",
	.summary = "each entry of the system call tables leads into the kernel's own text",
	.reading = "somebody took a system call over; no module does so legally",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 1000,
	.reads = 1 << 14,
	.slots = syscalls,
};

static const struct rf_slots softirqs[] = {
	{ .what = "softirq",
	  .symbol = "softirq_vec", /* struct softirq_action is one pointer */
	  .shape = RF_SHAPE_CODE },
	{ 0 },
};

const struct rf_check rf_check_softirqs = {
	.name = "softirqs",
	.summary = "actions of deferred interrupts lie in the kernel's own text",
	.reading = "code runs behind every interrupt; modules register none of these",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 12,
	.slots = softirqs,
};

static const struct rf_slots sysrq[] = {
	{ .what = "SysRq key",
	  .symbol = "sysrq_key_table",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "sysrq_key_op",
	  .name = "action_msg" },
	{ 0 },
};

const struct rf_check rf_check_sysrq = {
	.name = "sysrq",
	.summary = "handlers of SysRq keys are the kernel's or a signed module's",
	.reading = "a key press starts somebody's code",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.slots = sysrq,
};
