// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds kernel symbols by name without kprobes, which would patch text, and without /proc, which the first act of
 * user mode does not have yet.
 *
 * sprint_symbol() is exported and tells the name at an address. kallsyms_lookup_name() is not exported but comes out
 * of the same source file, so it stands nearby: walk from symbol to symbol until its name comes up.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "attacks.h"

#define WALK_MAX 4096

typedef unsigned long (*lookup_fn)(const char *name);

/* Splits "name+0xoff/0xsize"; false when the text is a bare address or lies in a module. */
static bool split(char *text, unsigned long *offset, unsigned long *size)
{
	char *plus = strchr(text, '+');

	if (!plus || strchr(text, '['))
		return false;
	*plus = '\0';
	return sscanf(plus + 1, "%li/%li", (long *)offset, (long *)size) == 2;
}

static lookup_fn walk(bool up)
{
	unsigned long addr = (unsigned long)sprint_symbol, offset, size;
	char text[KSYM_SYMBOL_LEN];

	for (int i = 0; i < WALK_MAX; i++) {
		sprint_symbol(text, addr);
		if (!split(text, &offset, &size))
			return NULL;
		if (!strcmp(text, "kallsyms_lookup_name"))
			return (lookup_fn)(addr - offset);
		addr = up ? addr - offset + size : addr - offset - 1;
	}
	return NULL;
}

void *rf_symbol(const char *name)
{
	static lookup_fn lookup;

	if (!lookup)
		lookup = walk(false);
	if (!lookup)
		lookup = walk(true);
	return lookup ? (void *)lookup(name) : NULL;
}
