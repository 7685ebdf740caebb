// SPDX-License-Identifier: LGPL-2.1-or-later
/* Settings of the kernel's that rootkits change, to be run or to be left alone. */
#include <stdio.h>
#include <string.h>

#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"

/* What the kernel runs as root, by a path in writable memory (kernel/umh.c). */
static const struct helper {
	const char *symbol, *what;
	/* Where it lies on the distributions; NULL behind the last. An empty path is none. */
	const char *usual[8];
} helpers[] = {
	{ "modprobe_path",
	  "modprobe_path",
	  { "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe" } },
	{ "poweroff_cmd", "poweroff_cmd", { "/sbin/poweroff", "/usr/sbin/poweroff" } },
	{ "reboot_cmd", "reboot_cmd", { "/sbin/reboot", "/usr/sbin/reboot" } },
	{ "uevent_helper", "uevent_helper", { "/sbin/hotplug" } },
};

static int look_at_helper(struct rf_run *run, const struct helper *h)
{
	char path[256], what[96];
	uint64_t at;
	int err = rf_run_symbol(run, h->symbol, &at);

	if (err)
		return 0; /* this kernel has not got that one */
	err = rf_run_text(run, at, path, sizeof(path));
	if (err)
		return err;
	rf_run_saw(run);
	if (!path[0])
		return 0;
	for (unsigned int i = 0; h->usual[i]; i++)
		if (!strcmp(path, h->usual[i]))
			return 0;
	snprintf(what, sizeof(what), "%s is \"%.60s\"", h->what, path);
	return rf_run_found(run, at, what, 0, "no distribution has that program there");
}

/* "|/path/program arguments": a program is run at each crash. Systemd's and others' lie in
 * folders of root's. */
static int look_at_core_pattern(struct rf_run *run)
{
	static const char *const usual[] = { "|/usr/lib/",     "|/lib/",     "|/usr/share/",
					     "|/usr/libexec/", "|/bin/",     "|/usr/bin/",
					     "|/sbin/",	       "|/usr/sbin/" };
	char pattern[128], what[96];
	uint64_t at;
	int err;

	if (rf_run_symbol(run, "core_pattern", &at))
		return 0;
	err = rf_run_text(run, at, pattern, sizeof(pattern));
	if (err)
		return err;
	rf_run_saw(run);
	if (pattern[0] != '|')
		return 0;
	for (unsigned int i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (!strncmp(pattern, usual[i], strlen(usual[i])) && !strstr(pattern, "/../"))
			return 0;
	snprintf(what, sizeof(what), "core_pattern is \"%.60s\"", pattern);
	return rf_run_found(run, at, what, 0, "a program from no folder of the system's is run");
}

static int look_at_helper_paths(struct rf_run *run)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(helpers) / sizeof(helpers[0]); i++)
		err = look_at_helper(run, &helpers[i]);
	if (!err)
		err = look_at_core_pattern(run);
	return err || rf_run_looked_at(run) ? err
					    : rf_run_lacks(run, "none of these paths has a symbol");
}

const struct rf_check rf_check_helper_paths = {
	.name = "helper-paths",
	.summary = "programs that the kernel starts as root are the distribution's",
	.reading = "the next crash, or unknown module, starts somebody's program as root",
	.attack = "T1546",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 2000,
	.reads = 1 << 12,
	.run = look_at_helper_paths,
};

/* What is on from the boot on, and is switched off to be left alone: each a word. */
static const struct switched {
	const char *symbol, *what;
	uint32_t usual;
	uint8_t size;
} switches[] = {
	{ "ftrace_enabled", "tracing of functions", 1, 4 },
	{ "ftrace_disabled", "tracing of functions, given up for good", 0, 4 },
	{ "kprobes_all_disarmed", "arming of kprobes", 0, 1 },
};

static int look_at_settings_lowered(struct rf_run *run)
{
	unsigned int looked_at = 0;
	uint64_t at;
	int err;

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		const struct switched *s = &switches[i];
		uint32_t now = 0;

		if (rf_run_symbol(run, s->symbol, &at))
			continue; /* it was built without that one */
		err = rf_run_read(run, at, &now, s->size);
		if (err)
			return err;
		rf_run_saw(run);
		looked_at++;
		if (now != s->usual && (err = rf_run_found(run, at, s->what, 0, "it is off")))
			return err;
	}
	return looked_at ? 0 : rf_run_lacks(run, "the kernel has no such switch");
}

const struct rf_check rf_check_settings_lowered = {
	.name = "settings-lowered",
	.summary = "tracing and probes, which security tools rely on, are on",
	.reading = "tools that watch the kernel see nothing; an administrator may have done it",
	.attack = "T1562.001",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 5000,
	.reads = 1 << 10,
	.run = look_at_settings_lowered,
};
