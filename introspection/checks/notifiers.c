// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who is told of what happens: notifier chains (include/linux/notifier.h). */
#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

#define CHAIN(name, head)                                                                          \
	{                                                                                          \
		.what = "notifier of " name, .symbol = name, .shape = RF_SHAPE_CHAIN,              \
		.type = "notifier_block", .link = "next", .head_type = head "_notifier_head",      \
		.head_path = "head"                                                                \
	}

static const struct rf_slots notifiers[] = {
	CHAIN("panic_notifier_list", "atomic"),
	CHAIN("die_chain", "atomic"),
	CHAIN("reboot_notifier_list", "blocking"),
	CHAIN("restart_handler_list", "atomic"),
	CHAIN("module_notify_list", "blocking"),
	CHAIN("task_exit_notifier", "blocking"),
	CHAIN("netdev_chain", "raw"),
	CHAIN("inetaddr_chain", "blocking"),
	CHAIN("inetaddr_validator_chain", "blocking"),
	CHAIN("inet6addr_chain", "atomic"),
	CHAIN("netevent_notif_chain", "atomic"),
	CHAIN("netlink_chain", "blocking"),
	CHAIN("usb_notifier_list", "blocking"),
	CHAIN("pm_chain_head", "blocking"),
	CHAIN("cpu_pm_notifier", "raw"),
	CHAIN("oom_notify_list", "blocking"),
	CHAIN("acpi_chain_head", "blocking"),
	CHAIN("x86_mce_decoder_chain", "blocking"),
	CHAIN("fb_notifier_list", "blocking"),
	CHAIN("crypto_chain", "blocking"),
	CHAIN("key_notifier_list", "atomic"),
	CHAIN("vmap_notify_list", "blocking"),
	CHAIN("memory_chain", "blocking"),
	CHAIN("random_ready_notifier", "raw"),
	CHAIN("pvclock_gtod_chain", "raw"),
	{ 0 },
};

const struct rf_check rf_check_notifiers = {
	.name = "notifiers",
	.summary = "functions on notifier chains are the kernel's or a signed module's",
	.reading = "somebody's code is called at a panic, a reboot, a module's load ...",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.front_door = true,
	.period_ms = 5000,
	.reads = 1 << 14,
	.slots = notifiers,
};

static const struct rf_slots keyboard[] = {
	CHAIN("keyboard_notifier_list", "atomic"),
	CHAIN("vt_notifier_list", "atomic"),
	{ 0 },
};

const struct rf_check rf_check_keyboard = {
	.name = "keyboard",
	.summary = "functions that are told of each key are the kernel's or a signed module's",
	.reading = "a keylogger, or a speech synthesiser from elsewhere",
	.attack = "T1056.001",
	.severity = RF_SEVERITY_HIGH,
	.front_door = true,
	.period_ms = 5000,
	.reads = 1 << 12,
	.slots = keyboard,
};
