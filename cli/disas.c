// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/code.h"

#define COUNT 20
#define COUNT_MAX 4096
#define LONGEST 15 /* bytes of an instruction */

struct asked {
	bool json;
	unsigned long count;
};

struct code {
	rf_gva start;
	struct rf_code *v;
	size_t count;
	rf_gva end; /* where it could not go on, else 0 */
};

/* As many bytes as there are, up to those of one instruction: the next page need not be there. */
static size_t read_some(const struct rf_subject *s, rf_gva at, uint8_t out[LONGEST])
{
	size_t len = RF_PAGE_SIZE - at.v % RF_PAGE_SIZE;

	if (!rf_pt_read(&s->memory, &s->paging, at, out, LONGEST))
		return LONGEST;
	return len < LONGEST && !rf_pt_read(&s->memory, &s->paging, at, out, len) ? len : 0;
}

static void disassemble(const struct rf_subject *s, struct rf_disasm *d, size_t count,
			struct code *out)
{
	uint8_t bytes[LONGEST];
	rf_gva at = out->start;
	size_t len;

	while (out->count < count) {
		len = read_some(s, at, bytes);
		if (!len || !rf_code_next(s, d, bytes, len, at, &out->v[out->count])) {
			out->end = at;
			return;
		}
		at.v += out->v[out->count++].len;
	}
}

static int print_json(const struct rf_subject *s, const struct code *c)
{
	json_t *o = rf_subject_json(s), *list = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(list, rf_code_json(&c->v[i]));
	json_object_set_new(o, "complete", json_boolean(!c->end.v));
	json_object_set_new(o, "code", list);
	return rf_print_json(o);
}

static int print_table(const struct code *c)
{
	static const char *const titles[] = { "ADDRESS", "PLACE", "BYTES", "INSTRUCTION" };
	struct rf_listing *t = rf_listing_create(titles, 4);
	int err = t ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < c->count; i++) {
		const struct rf_code *one = &c->v[i];
		char at[24], bytes[2 * LONGEST + 1] = "",
						 text[sizeof(one->text) + RF_PLACE_TEXT + 4];

		for (size_t k = 0; k < one->len; k++)
			snprintf(bytes + 2 * k, 3, "%02x", one->bytes[k]);
		snprintf(at, sizeof(at), "%#llx", (unsigned long long)one->at.v);
		snprintf(text, sizeof(text), "%s%s%s%s", one->text, *one->to ? " <" : "", one->to,
			 *one->to ? ">" : "");
		err = rf_listing_row(
			t, (const char *[]){ at, *one->place ? one->place : NULL, bytes, text });
	}
	return rf_subject_table(t, err);
}

static int show_code(const struct rf_subject *s, const struct asked *asked, struct code *c)
{
	struct rf_disasm *d = NULL;
	int code;

	c->v = calloc(asked->count, sizeof(*c->v));
	if (!c->v || rf_disasm_create(&d))
		return rf_fail(RF_EXIT_INTERNAL, "nothing was read", "free some memory",
			       "no memory to disassemble with");
	disassemble(s, d, asked->count, c);
	rf_disasm_destroy(d);
	code = asked->json ? print_json(s, c) : print_table(c);
	if (code == RF_EXIT_OK && c->end.v)
		return rf_fail(RF_EXIT_CANNOT_TELL, "there is no more of it to show",
			       "see `ringfence pagetable` for what is there",
			       "what is at %#llx cannot be read", (unsigned long long)c->end.v);
	return code;
}

static int show(const struct rf_subject *s, char **operands, void *ctx)
{
	struct code c = { 0 };
	int code = rf_subject_address(s, operands[0], &c.start);

	if (code == RF_EXIT_OK)
		code = show_code(s, ctx, &c);
	free(c.v);
	return code;
}

static int parse_count(const char *text, unsigned long *out)
{
	char *end;

	if (!text)
		return -1;
	errno = 0;
	*out = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *out && *out <= COUNT_MAX)
		return -1;
	return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence disas --help`",
		       "disas: COUNT is a number from 1 to %d, not \"%s\"", COUNT_MAX, text);
}

static int disas(int argc, char **argv)
{
	struct asked asked = { .count = COUNT };
	struct rf_subject_options how = { 0 };
	struct rf_operands operands;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "raw", 0, RF_OPTION_FLAG, &how.raw, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &how.live, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_disas, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(&rf_command_disas, &operands, 2, 3);
	if (code < 0)
		code = parse_count(operands.items[2], &asked.count);
	return code >= 0 ? code : rf_subject_show(&operands, &how, show, &asked);
}

const struct rf_command rf_command_disas = {
	.name = "disas",
	.usage = "[--raw] [--live] [--json] FILE SYMBOL|ADDRESS [COUNT]",
	.summary = "Disassemble the guest's kernel, in a dump of its memory or live",
	.help = "      --raw   FILE is memory as it is, whatever it begins with\n"
		"      --live  FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json  all of it as JSON\n"
		"\n"
		"SYMBOL may be \"vfs_read\", \"vfs_read+16\" or \"vfs_read+0x10\", ADDRESS is\n"
		"hexadecimal. COUNT instructions are shown, 20 if it is not given, 4096 at most;\n"
		"behind a jump or call where it leads. It is what memory holds, with what the\n"
		"kernel, or somebody else, has patched. Code of a module that is on the list is\n"
		"[MODULE]+OFFSET.\n"
		"\n"
		"The exit code: 0; 1 there is no such symbol; 3 there is no FILE; 6 FILE cannot\n"
		"be read or has no kernel in it, or what is at the address cannot be read.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = disas,
};
