// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fnmatch.h>
#include <stdio.h>

#include "cli/subject.h"

static void print_line(const struct rf_symbol *sym)
{
	char name[512], type[2] = { sym->type }, safe[2];

	rf_safe(name, sizeof(name), sym->name);
	rf_safe(safe, sizeof(safe), type);
	printf("%016llx %s %s\n", (unsigned long long)sym->addr.v, safe, name);
}

static json_t *symbol_json(const struct rf_symbol *sym)
{
	char name[512], type[2] = { sym->type }, safe[2];

	rf_safe(name, sizeof(name), sym->name);
	rf_safe(safe, sizeof(safe), type);
	return json_pack("{s:s,s:s,s:o}", "name", name, "type", safe, "address",
			 rf_address_json(sym->addr.v));
}

static int fail_without(const char *pattern)
{
	return rf_fail(RF_EXIT_NO, "there is nothing to show",
		       "try a pattern with \"*\" in it, in quotes; symbols of modules are not here",
		       "no symbol of this kernel matches \"%s\"", pattern);
}

static int show(const struct rf_subject *s, char **operands, void *ctx)
{
	json_t *rows = json_array(), *o;
	const char *pattern = operands[0];
	bool json = *(bool *)ctx;
	size_t shown = 0;
	struct rf_symbol sym;
	int code = RF_EXIT_OK;

	for (size_t i = 0; i < rf_kernel_symbol_count(s->kernel); i++) {
		rf_kernel_symbol_at(s->kernel, i, &sym);
		if (pattern && fnmatch(pattern, sym.name, 0))
			continue;
		shown++;
		if (json)
			json_array_append_new(rows, symbol_json(&sym));
		else
			print_line(&sym);
	}
	if (json) {
		o = rf_subject_json(s);
		json_object_set(o, "symbols", rows);
		code = rf_print_json(o);
	}
	json_decref(rows);
	if (code == RF_EXIT_OK && pattern && !shown)
		return fail_without(pattern);
	return code == RF_EXIT_OK ? rf_flush() : code;
}

static int symbols(int argc, char **argv)
{
	return rf_subject_command(&rf_command_symbols, argc, argv, 1, 2, show);
}

const struct rf_command rf_command_symbols = {
	.name = "symbols",
	.usage = "[--raw] [--live] [--json] FILE [PATTERN]",
	.summary = "Show the symbols of the guest's kernel, in a dump of its memory or live",
	.help = "      --raw   FILE is memory as it is, whatever it begins with\n"
		"      --live  FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json  all of it as JSON\n"
		"\n"
		"Lines as in /proc/kallsyms: address, type, name. PATTERN may have \"*\", \"?\" "
		"and\n"
		"\"[...]\" in it, as names of files do in a shell. Symbols of modules are not\n"
		"shown. Where each processor has a variable of its own, the address may be its\n"
		"place in the area of a processor.\n"
		"\n"
		"The exit code: 0; 1 no symbol matches; 3 there is no FILE; 6 FILE cannot be\n"
		"read or has no kernel in it.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = symbols,
};
