// SPDX-License-Identifier: GPL-2.0-only
/* Paths of programs that the kernel starts: introspection/checks/settings.c. */
#include <linux/string.h>

#include "planted.h"

#define PATH_BYTES 64

struct path_of {
	const char *symbol, *text;
	char before[PATH_BYTES];
	char *at;
};

static struct path_of modprobe = { "modprobe_path", "/tmp/rf_helper" };
static struct path_of pattern = { "core_pattern", "|/tmp/rf_dumper %p" };
static struct path_of poweroff = { "poweroff_cmd", "/tmp/rf_poweroff" };

static int plant(struct rf_planted *p, struct path_of *path)
{
	path->at = rf_symbol(path->symbol);
	if (!path->at)
		return rf_cannot(p, "no such path");
	memcpy(path->before, path->at, sizeof(path->before));
	strscpy(path->at, path->text, sizeof(path->before));
	p->object = (unsigned long)path->at;
	return 0;
}

static void undo(struct path_of *path)
{
	memcpy(path->at, path->before, sizeof(path->before));
}

#define PATH(name)                                                                                 \
	static int plant_##name(struct rf_planted *p)                                              \
	{                                                                                          \
		return plant(p, &name);                                                            \
	}                                                                                          \
	static void undo_##name(struct rf_planted *p)                                              \
	{                                                                                          \
		undo(&name);                                                                       \
	}                                                                                          \
	static bool real_##name(const struct rf_planted *p)                                        \
	{                                                                                          \
		return !strcmp(name.at, name.text);                                                \
	}
PATH(modprobe)
PATH(pattern)
PATH(poweroff)

const struct rf_plant rf_plants_settings[] = {
	{ "modprobe_path", "helper-paths", plant_modprobe, undo_modprobe, .real = real_modprobe },
	{ "core_pattern", "helper-paths", plant_pattern, undo_pattern, .real = real_pattern },
	{ "poweroff_cmd", "helper-paths", plant_poweroff, undo_poweroff, .real = real_poweroff },
	{ 0 },
};
