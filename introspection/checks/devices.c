// SPDX-License-Identifier: LGPL-2.1-or-later
/* Drivers whose tables are taken over to see what is typed and printed, or to be called from user
 * mode. */
#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

static const struct rf_slots tty_drivers[] = {
	{ .what = "tty driver",
	  .symbol = "tty_drivers",
	  .shape = RF_SHAPE_LIST,
	  .type = "tty_driver",
	  .link = "tty_drivers",
	  .ops = "ops",
	  .ops_type = "tty_operations",
	  .name = "driver_name" },
	{ 0 },
};

const struct rf_check rf_check_tty_drivers = {
	.name = "tty-drivers",
	.summary = "operations of terminals are the kernel's or a signed module's",
	.reading = "what is typed and shown on terminals goes through somebody's code",
	.attack = "T1056.001",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 15,
	.slots = tty_drivers,
};

static const struct rf_slots line_disciplines[] = {
	{ .what = "line discipline",
	  .symbol = "tty_ldiscs",
	  .shape = RF_SHAPE_POINTERS,
	  .type = "tty_ldisc_ops",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_line_disciplines = {
	.name = "line-disciplines",
	.summary = "functions of line disciplines are the kernel's or a signed module's",
	.reading = "each line typed on a terminal goes through somebody's code",
	.attack = "T1056.001",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 14,
	.slots = line_disciplines,
};

static const struct rf_slots misc_devices[] = {
	{ .what = "misc device",
	  .symbol = "misc_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "miscdevice",
	  .link = "list",
	  .ops = "fops",
	  .ops_type = "file_operations",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_misc_devices = {
	.name = "misc-devices",
	.summary = "operations of miscellaneous devices are the kernel's or a signed module's",
	.reading = "a device file that talks to somebody's code: a rootkit's control channel",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 15,
	.slots = misc_devices,
};

static const struct rf_slots input_handlers[] = {
	{ .what = "input handler",
	  .symbol = "input_handler_list",
	  .shape = RF_SHAPE_LIST,
	  .type = "input_handler",
	  .link = "node",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_input_handlers = {
	.name = "input-handlers",
	.summary = "handlers of input events are the kernel's or a signed module's",
	.reading = "a keylogger below the terminals",
	.attack = "T1056.001",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 14,
	.slots = input_handlers,
};

static const struct rf_slots consoles[] = {
	{ .what = "console",
	  .symbol = "console_drivers",
	  .shape = RF_SHAPE_CHAIN,
	  .type = "console",
	  .link = "next",
	  .name = "name" },
	{ .what = "console",
	  .symbol = "console_list",
	  .shape = RF_SHAPE_HLIST,
	  .type = "console",
	  .link = "node",
	  .name = "name" },
	{ 0 },
};

const struct rf_check rf_check_consoles = {
	.name = "consoles",
	.summary = "functions of consoles are the kernel's or a signed module's",
	.reading = "what the kernel prints goes through somebody's code",
	.attack = "T1562.006",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.slots = consoles,
};
