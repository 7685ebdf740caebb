// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/subject.h"

struct walk {
	rf_gva gva;
	struct rf_pt_step steps[RF_PT_LEVELS_MAX];
	unsigned int count;
	struct rf_translation to;
	int err;
};

static const char *why(const struct walk *w)
{
	switch (w->err) {
	case 0:
		return "";
	case -ENOENT:
		return "its last entry is not present";
	case -EINVAL:
		return "no address of this machine's: its upper bits are not all the same";
	case -EBADMSG:
		return "its last entry has bits that the processor refuses";
	default:
		return "it leads to memory that is not there";
	}
}

static json_t *step_json(const struct rf_pt_step *step)
{
	char flags[RF_PT_FLAGS_TEXT];

	return json_pack("{s:s,s:o,s:o,s:s}", "level", rf_pt_level_text(step->level), "at",
			 rf_address_json(step->at.v), "entry", rf_address_json(step->entry),
			 "flags", rf_pt_flags_text(step, flags));
}

static int print_json(const struct rf_subject *s, const struct walk *w)
{
	json_t *o = rf_subject_json(s), *levels = json_array();
	char place[RF_PLACE_TEXT];

	for (unsigned int i = 0; i < w->count; i++)
		json_array_append_new(levels, step_json(&w->steps[i]));
	json_object_set_new(o, "address", rf_address_json(w->gva.v));
	json_object_set_new(o, "place", json_string(rf_subject_place(s, w->gva, place)));
	json_object_set_new(o, "levels", levels);
	json_object_set_new(o, "mapped", json_boolean(!w->err));
	json_object_set_new(o, "why", json_string(why(w)));
	if (!w->err) {
		json_object_set_new(o, "gpa", rf_address_json(w->to.gpa.v));
		json_object_set_new(o, "page_size", json_integer((json_int_t)w->to.page_size));
		json_object_set_new(o, "writable", json_boolean(w->to.writable));
		json_object_set_new(o, "user", json_boolean(w->to.user));
		json_object_set_new(o, "executable", json_boolean(w->to.executable));
	}
	return rf_print_json(o);
}

static int print_table(const struct walk *w)
{
	static const char *const titles[] = { "LEVEL", "ENTRY AT", "VALUE", "FLAGS" };
	struct rf_listing *t = rf_listing_create(titles, 4);
	int err = t ? 0 : -ENOMEM;

	for (unsigned int i = 0; !err && i < w->count; i++) {
		const struct rf_pt_step *step = &w->steps[i];
		char flags[RF_PT_FLAGS_TEXT], at[24], value[24];

		snprintf(at, sizeof(at), "%#llx", (unsigned long long)step->at.v);
		snprintf(value, sizeof(value), "%016llx", (unsigned long long)step->entry);
		err = rf_listing_row(t, (const char *[]){ rf_pt_level_text(step->level), at, value,
							  rf_pt_flags_text(step, flags) });
	}
	return rf_subject_table(t, err);
}

static int print_text(const struct rf_subject *s, const struct walk *w)
{
	char place[RF_PLACE_TEXT];
	int code = print_table(w);

	if (code != RF_EXIT_OK)
		return code;
	rf_subject_place(s, w->gva, place);
	printf("\n%#llx%s%s%s: ", (unsigned long long)w->gva.v, *place ? " (" : "", place,
	       *place ? ")" : "");
	if (w->err)
		printf("not mapped: %s\n", why(w));
	else
		printf("at %#llx of the guest's memory, in a page of %llu KiB: %s, %s, %s\n",
		       (unsigned long long)w->to.gpa.v, (unsigned long long)w->to.page_size / 1024,
		       w->to.writable ? "writable" : "read-only",
		       w->to.executable ? "executable" : "not executable",
		       w->to.user ? "for user code too" : "for the kernel alone");
	return rf_flush();
}

static int show(const struct rf_subject *s, char **operands, void *json)
{
	struct walk w = { .err = 0 };
	int code = rf_subject_address(s, operands[0], &w.gva);

	if (code != RF_EXIT_OK)
		return code;
	w.err = rf_pt_trace(&s->memory, &s->paging, w.gva, w.steps, &w.count, &w.to);
	code = *(bool *)json ? print_json(s, &w) : print_text(s, &w);
	if (code != RF_EXIT_OK || !w.err)
		return code;
	return w.err == -ENOENT || w.err == -EINVAL ? RF_EXIT_NO : RF_EXIT_CANNOT_TELL;
}

static int pagetable(int argc, char **argv)
{
	return rf_subject_command(&rf_command_pagetable, argc, argv, 2, 2, show);
}

const struct rf_command rf_command_pagetable = {
	.name = "pagetable",
	.usage = "[--raw] [--live] [--json] FILE SYMBOL|ADDRESS",
	.summary = "Show how the guest's kernel maps an address, in a dump of its memory or live",
	.help = "      --raw   FILE is memory as it is, whatever it begins with\n"
		"      --live  FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json  all of it as JSON\n"
		"\n"
		"The kernel's own page tables are walked (init_top_pgt, which the kernel's half\n"
		"of each process follows): of each level where the entry stands, its value and\n"
		"flags; and where the address ends. What may be done there is what all levels\n"
		"let. Memory of a process's own half is not mapped by them.\n"
		"\n"
		"The exit code: 0 it is mapped; 1 it is not, or there is no such symbol; 3 there\n"
		"is no FILE; 6 FILE cannot be read or has no kernel in it, or its page tables\n"
		"are damaged.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = pagetable,
};
