// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/vmm_asks.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* QEMU takes one dash or two. NULL: no option. */
static const char *option_name(const char *arg)
{
	if (arg[0] != '-' || !arg[1])
		return NULL;
	return arg + (arg[1] == '-' ? 2 : 1);
}

static bool among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* --- help ------------------------------------------------------------------- */

static const char *const questions[] = { "h", "help", "version" };

/* Options of QEMU whose value may be a question: qemu-options.hx. */
static const char *const answering[] = {
	"accel", "audio",  "audiodev", "boot",	 "chardev", "cpu",    "drive", "global",  "smp",
	"spice", "vnc",	   "d",	       "device", "display", "k",      "L",     "machine", "M",
	"net",	 "netdev", "nic",      "object", "soundhw", "tpmdev", "trace", "vga",	  "watchdog"
};

/* "help", "?", or one of them behind the last comma or as the last value (format=help):
 * qdev-monitor.c, util/qemu-option.c, blockdev.c. */
static bool is_question(const char *value)
{
	const char *last = value;

	for (const char *at = value; *at; at++)
		if (*at == ',' || *at == '=')
			last = at + 1;

	return !strcmp(last, "help") || !strcmp(last, "?");
}

static bool asks_for_help(char *const *args)
{
	if (!args[0])
		return false;
	/* Elsewhere such a word may be another option's value. */
	if (among(option_name(args[0]), questions, sizeof(questions) / sizeof(questions[0])))
		return true;
	for (; args[0] && args[1]; args++)
		if (among(option_name(args[0]), answering,
			  sizeof(answering) / sizeof(answering[0])) &&
		    is_question(args[1]))
			return true;
	return false;
}

/* --- probes ----------------------------------------------------------------- */

static bool any(const char *value)
{
	return true;
}

static bool none(const char *value)
{
	return !strcmp(value, "none");
}

static bool none_or_stdio(const char *value)
{
	return none(value) || !strcmp(value, "stdio");
}

static bool accelerator(const char *value)
{
	return !strcmp(value, "kvm") || !strcmp(value, "tcg") || !strcmp(value, "kvm:tcg") ||
	       !strcmp(value, "tcg:kvm");
}

static bool machine_none(const char *value)
{
	return none(value) ||
	       (!strncmp(value, "none,accel=", 11) && accelerator(value + strlen("none,accel=")));
}

static const struct {
	const char *name;
	bool (*takes)(const char *value); /* NULL: it has none */
} probing[] = {
	{ "S", NULL },	       { "no-user-config", NULL }, { "nodefaults", NULL },
	{ "nographic", NULL }, { "daemonize", NULL },	   { "machine", machine_none },
	{ "M", machine_none }, { "accel", accelerator },   { "qmp", any },
	{ "pidfile", any },    { "display", none },	   { "monitor", none_or_stdio },
	{ "serial", none },
};

static bool is_probe(char *const *args)
{
	bool machine = false;

	for (; *args; args++) {
		const char *name = option_name(*args);
		size_t i, n = sizeof(probing) / sizeof(probing[0]);

		for (i = 0; name && i < n && strcmp(name, probing[i].name);)
			i++;
		if (!name || i == n)
			return false;
		if (probing[i].takes && (!*++args || !probing[i].takes(*args)))
			return false;
		machine |= probing[i].takes == machine_none;
	}
	return machine;
}

enum rf_vmm_asks rf_vmm_asks(char *const *args)
{
	if (is_probe(args))
		return RF_VMM_PROBE;
	return asks_for_help(args) ? RF_VMM_HELP : RF_VMM_GUEST;
}
