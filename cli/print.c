// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print_value.h"

#define DEPTH 2
#define DEPTH_MAX 8
#define NESTING 40		      /* more than introspection goes down */
#define BYTES_MAX (UINT64_C(1) << 20) /* of one object; struct task_struct has 10 KiB */

struct asked {
	bool json;
	uint32_t depth;
};

struct print {
	const struct rf_subject *s;
	const uint8_t *bytes;
	uint64_t size;
	const char *names[NESTING]; /* of what is around a member */
	struct rf_listing *table;   /* one of them */
	json_t *rows;
};

/* "se.load.weight": those without a name are left out, as C does. */
static void path_of(struct print *p, const struct rf_field *f, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	if (f->depth < NESTING)
		p->names[f->depth] = f->name;
	for (unsigned int i = 0; i <= f->depth && i < NESTING; i++) {
		if (!*p->names[i])
			continue;
		used += snprintf(out + used, size - used, "%s%s", used ? "." : "", p->names[i]);
		if (used >= size)
			return;
	}
	if (!*f->name)
		snprintf(out + used, size - used, "%s(unnamed)", used ? "." : "");
}

static int print_field(void *ctx, const struct rf_field *f)
{
	struct print *p = ctx;
	char path[256], value[RF_VALUE_TEXT], offset[24], type[RF_FIELD_TYPE_TEXT + 16];

	path_of(p, f, path, sizeof(path));
	rf_value_text(p->s, f, p->bytes, p->size, value);
	if (rf_value_is_bits(f))
		snprintf(type, sizeof(type), "%s:%u", f->type, f->width);
	else
		snprintf(type, sizeof(type), "%s", f->type);
	if (p->rows)
		return json_array_append_new(p->rows,
					     json_pack("{s:s,s:s,s:I,s:I,s:I,s:s}", "member", path,
						       "type", type, "bit", (json_int_t)f->bit,
						       "width", (json_int_t)f->width, "count",
						       (json_int_t)f->count, "value", value))
			       ? -ENOMEM
			       : 0;
	snprintf(offset, sizeof(offset), "%#llx", (unsigned long long)f->bit / 8);
	return rf_listing_row(p->table,
			      (const char *[]){ offset, path, type, *value ? value : NULL });
}

/* --- an answer ---------------------------------------------------------------------------- */

static int fail_to_describe(const char *type, const char *member, int err)
{
	switch (err) {
	case -ENOTSUP:
		return rf_fail(RF_EXIT_CANNOT_TELL, "its types are not known",
			       "take a dump of a kernel that was built with CONFIG_DEBUG_INFO_BTF",
			       "this kernel has no types in its memory");
	case -ENOENT:
	case -EINVAL:
		return rf_fail(RF_EXIT_NO, "there is nothing to show",
			       "give the name of a struct or union, and of a member by its path: "
			       "se.load.weight",
			       "this kernel has no %s%s%s", type, member ? " with a member " : "",
			       member ?: "");
	case -ENOMEM:
		return rf_fail(RF_EXIT_INTERNAL, "the answer is not complete", "free some memory",
			       "no memory for the table");
	default:
		return rf_fail(RF_EXIT_CANNOT_TELL, "what is shown, if anything, is not all",
			       "look at the bytes by other means",
			       "the types of this kernel contradict themselves at %s", type);
	}
}

static int print_table(struct print *p, const char *type, const char *member,
		       const struct asked *asked)
{
	static const char *const titles[] = { "OFFSET", "MEMBER", "TYPE", "VALUE" };
	int err = -ENOMEM;

	p->table = rf_listing_create(titles, 4);
	if (p->table)
		err = rf_kernel_fields(p->s->kernel, type, member, asked->depth - 1, print_field,
				       p);
	if (err) {
		rf_listing_destroy(p->table);
		return fail_to_describe(type, member, err);
	}
	return rf_subject_table(p->table, 0);
}

static int print_json(struct print *p, rf_gva at, const char *type, const char *member,
		      const struct asked *asked)
{
	json_t *o = rf_subject_json(p->s), *safe;
	char place[RF_PLACE_TEXT];
	int err;

	p->rows = json_array();
	err = rf_kernel_fields(p->s->kernel, type, member, asked->depth - 1, print_field, p);
	json_object_set_new(o, "type", json_string(type));
	json_object_set_new(o, "address", rf_address_json(at.v));
	json_object_set_new(o, "place", json_string(rf_subject_place(p->s, at, place)));
	json_object_set_new(o, "bytes", json_integer((json_int_t)p->size));
	json_object_set_new(o, "members", p->rows);
	safe = err ? NULL : rf_safe_json(o);
	json_decref(o);
	return err ? fail_to_describe(type, member, err) : rf_print_json(safe);
}

/* Without the word before it: BTF finds both by name. */
static const char *tag_of(const char *type)
{
	if (!strncmp(type, "struct ", 7))
		return type + 7;
	return strncmp(type, "union ", 6) ? type : type + 6;
}

static int print_at(const struct rf_subject *s, rf_gva at, const char *type, const char *member,
		    const struct asked *asked)
{
	struct print p = { .s = s };
	uint8_t *bytes;
	int code, err = rf_kernel_sizeof(s->kernel, type, &p.size);

	if (err)
		return fail_to_describe(type, NULL, err);
	bytes = p.size <= BYTES_MAX ? malloc(p.size ?: 1) : NULL;
	if (!bytes)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was read", "free some memory",
			       "no memory for %llu bytes", (unsigned long long)p.size);
	/* Once: what is shown belongs together, and the guest cannot change it in between. */
	if (rf_pt_read(&s->memory, &s->paging, at, bytes, p.size)) {
		free(bytes);
		return rf_fail(RF_EXIT_CANNOT_TELL, "there is nothing to show",
			       "see `ringfence pagetable` for what is there",
			       "%llu bytes at %#llx cannot be read", (unsigned long long)p.size,
			       (unsigned long long)at.v);
	}
	p.bytes = bytes;
	code = asked->json ? print_json(&p, at, type, member, asked)
			   : print_table(&p, type, member, asked);
	free(bytes);
	return code;
}

static int show(const struct rf_subject *s, char **operands, void *asked)
{
	rf_gva at;
	int code = rf_subject_address(s, operands[1], &at);

	return code == RF_EXIT_OK ? print_at(s, at, tag_of(operands[0]), operands[2], asked) : code;
}

static int print(int argc, char **argv)
{
	struct asked asked = { .depth = DEPTH };
	struct rf_subject_options how = { 0 };
	struct rf_operands operands;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "depth", 0, RF_OPTION_NUMBER, &asked.depth, 1, DEPTH_MAX },
		{ "raw", 0, RF_OPTION_FLAG, &how.raw, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &how.live, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_print, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(&rf_command_print, &operands, 3, 4);
	return code >= 0 ? code : rf_subject_show(&operands, &how, show, &asked);
}

const struct rf_command rf_command_print = {
	.name = "print",
	.usage = "[--depth N] [--raw] [--live] [--json] FILE TYPE SYMBOL|ADDRESS [MEMBER]",
	.summary = "Show a structure of the guest's kernel, in a dump of its memory or live",
	.help = "      --depth N  how many structs deep, 1 to 8 (2)\n"
		"      --raw      FILE is memory as it is, whatever it begins with\n"
		"      --live     FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json     all of it as JSON\n"
		"\n"
		"TYPE is a struct or union (\"struct task_struct\", \"task_struct\") as the "
		"kernel's\n"
		"own BTF describes it, MEMBER one of its members, by path: se.load.weight. Each\n"
		"member is shown with its offset in TYPE, its type and what memory holds: the\n"
		"name of an enum's value, the symbol that a pointer leads to, the text in an\n"
		"array of characters with '?' for each byte that is not printable ASCII; of\n"
		"other arrays the first 8 elements.\n"
		"\n"
		"The exit code: 0; 1 there is no such symbol, type or member; 3 there is no\n"
		"FILE; 6 FILE cannot be read or has no kernel in it, or the kernel no types,\n"
		"or what is at the address cannot be read.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = print,
};
