// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>

#include "cli/subject.h"
#include "introspection/checks/listing.h"

#define TAINTS_TEXT 65

struct list {
	struct rf_module_row *rows;
	size_t count;
	int err; /* why, in words, there may be more of them */
	char why[RF_WHY];
};

/* The words of /proc/modules. */
static const char *state_of(const struct rf_module_row *m)
{
	switch (m->state) {
	case 'L':
		return "Live";
	case 'C':
		return "Loading";
	case 'G':
		return "Unloading";
	default:
		return "?";
	}
}

/* The letters of Documentation/admin-guide/tainted-kernels.rst; '?' for a bit that has none. */
static const char *taints_of(const struct rf_module_row *m, char out[TAINTS_TEXT])
{
	static const char letters[] = "PFSRMBUDAWCIOELKXTNJ";
	size_t n = 0;

	for (unsigned int i = 0; i < 64; i++)
		if (m->taints >> i & 1)
			out[n++] = i < sizeof(letters) - 1 ? letters[i] : '?';
	out[n] = '\0';
	return out;
}

static int print_json(const struct rf_subject *s, const struct list *l)
{
	json_t *o = rf_subject_json(s), *rows = json_array();
	char taints[TAINTS_TEXT];

	for (size_t i = 0; i < l->count; i++) {
		const struct rf_module_row *m = &l->rows[i];

		json_array_append_new(
			rows, json_pack("{s:s,s:I,s:o,s:s,s:s,s:b,s:o}", "name", m->name, "size",
					(json_int_t)m->size, "address", rf_address_json(m->base.v),
					"state", state_of(m), "taints", taints_of(m, taints),
					"in_tree_and_signed", m->vouched, "module",
					rf_address_json(m->at.v)));
	}
	json_object_set_new(o, "complete", json_boolean(!l->err));
	json_object_set_new(o, "why", json_string(l->why));
	json_object_set_new(o, "modules", rows);
	return rf_print_json(o);
}

static int print_table(const struct list *l)
{
	static const char *const titles[] = { "NAME",  "SIZE",	 "ADDRESS",
					      "STATE", "TAINTS", "IN-TREE, SIGNED" };
	struct rf_listing *t = rf_listing_create(titles, 6);
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < l->count; i++) {
		const struct rf_module_row *m = &l->rows[i];
		char size[24], address[24], taints[TAINTS_TEXT];

		snprintf(size, sizeof(size), "%llu", (unsigned long long)m->size);
		snprintf(address, sizeof(address), "%#llx", (unsigned long long)m->base.v);
		taints_of(m, taints);
		err = rf_listing_row(t, (const char *[]){ m->name, size, address, state_of(m),
							  *taints ? taints : NULL,
							  m->vouched ? "yes" : "no" });
	}
	return rf_subject_table(t, err);
}

static int show(const struct rf_subject *s, char **operands, void *json)
{
	struct list l = { 0 };
	struct rf_checks *c;
	int code = rf_subject_checks(s, NULL, &c);

	if (code != RF_EXIT_OK)
		return code;
	l.err = rf_list_modules(c, &l.rows, &l.count, l.why);
	rf_checks_destroy(c);
	code = *(bool *)json ? print_json(s, &l) : print_table(&l);
	free(l.rows);
	return code == RF_EXIT_OK ? rf_subject_complete("the list of modules", l.err, l.why) : code;
}

static int modules(int argc, char **argv)
{
	return rf_subject_command(&rf_command_modules, argc, argv, 1, 1, show);
}

const struct rf_command rf_command_modules = {
	.name = "modules",
	.usage = "[--raw] [--live] [--json] FILE",
	.summary = "Show the modules of the guest's kernel, in a dump of its memory or live",
	.help = "      --raw   FILE is memory as it is, whatever it begins with\n"
		"      --live  FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json  all of it as JSON, with the address of each struct module\n"
		"\n"
		"It is what the kernel's own list of modules says, which a rootkit may have\n"
		"changed: `ringfence check FILE modules-hidden taint-cleared` compares it with\n"
		"other traces. SIZE and ADDRESS are those of /proc/modules, TAINTS the letters\n"
		"there. The last column says what the kernel notes of it: built with this\n"
		"kernel, its signature found good.\n"
		"\n"
		"The exit code: 0; 3 there is no FILE; 6 FILE cannot be read or has no kernel\n"
		"in it, or the list is damaged: what could be read is shown.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = modules,
};
