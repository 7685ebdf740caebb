// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "introspection/task.h"

#define PROGRESS_MS 1000

int rf_subject_operands(const struct rf_command *c, const struct rf_operands *operands, int least,
			int most)
{
	char todo[100], usage[400];
	size_t n = 0;

	if (operands->count >= least && operands->count <= most)
		return -1;
	snprintf(todo, sizeof(todo), "see `ringfence %s --help`", c->name);
	/* On one line; where there are several forms --help has them. */
	for (const char *u = c->usage; *u && *u != '|' && n < sizeof(usage) - 1; u++)
		if (*u != '\n')
			usage[n++] = *u;
	usage[n] = '\0';
	return rf_fail(RF_EXIT_USAGE, "nothing was done", todo, "%s takes: %s", c->name, usage);
}

int rf_subject_show(const struct rf_operands *operands, const struct rf_subject_options *options,
		    rf_subject_fn show, void *ctx)
{
	struct rf_subject s;
	int code = rf_subject_open(operands->items[0], options, &s), lost;

	if (code != RF_EXIT_OK)
		return code;
	code = show(&s, operands->items + 1, ctx);
	lost = s.lost ? s.lost(s.source) : RF_EXIT_OK;
	rf_subject_close(&s);
	return lost ? lost : code;
}

int rf_subject_command(const struct rf_command *c, int argc, char **argv, int least, int most,
		       rf_subject_fn show)
{
	struct rf_subject_options how = { 0 };
	struct rf_operands operands;
	bool json = false;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ "raw", 0, RF_OPTION_FLAG, &how.raw, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &how.live, 0, 0 },
		{ 0 },
	};
	code = rf_options(c, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(c, &operands, least, most);
	return code >= 0 ? code : rf_subject_show(&operands, &how, show, &json);
}

int rf_subject_table(struct rf_listing *t, int err)
{
	if (!err)
		rf_listing_print(t);
	rf_listing_destroy(t);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "the answer is not complete", "free some memory",
			       "no memory for the table");
	return rf_flush();
}

/* Decimal, or hexadecimal behind 0x. */
static bool is_offset(const char *text, uint64_t *out)
{
	bool hex = !strncmp(text, "0x", 2);
	size_t len = strlen(text);

	*out = strtoull(text, NULL, hex ? 16 : 10);
	if (hex)
		return len > 2 && len <= 18 &&
		       strspn(text + 2, "0123456789abcdefABCDEF") == len - 2;
	return len && len <= 18 && strspn(text, "0123456789") == len;
}

/* All of text is hexadecimal digits, behind 0x or 16 of them: what `ringfence symbols` and
 * /proc/kallsyms print. */
static bool is_address(const char *text, uint64_t *out)
{
	char *end;

	if (!strncmp(text, "0x", 2))
		text += 2;
	else if (strlen(text) < 16)
		return false;
	if (strspn(text, "0123456789abcdefABCDEF") != strlen(text) || !*text || strlen(text) > 16)
		return false;
	*out = strtoull(text, &end, 16);
	return true;
}

int rf_subject_address(const struct rf_subject *s, const char *text, rf_gva *out)
{
	size_t len = strcspn(text, "+");
	uint64_t offset = 0;
	struct rf_symbol sym;
	char name[512];

	snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : 0), text);
	if (text[len] && !is_offset(text + len + 1, &offset))
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "write a number behind \"+\": init_task+0x10, or init_task+16",
			       "\"%s\" is no address", text);
	if (rf_kernel_symbol(s->kernel, name, &sym)) {
		if (!text[len] && is_address(text, &out->v))
			return RF_EXIT_OK;
		return rf_fail(RF_EXIT_NO, "there is nothing to show",
			       "see `ringfence symbols` for the names, or give an address: 0x...",
			       "this kernel has no symbol \"%s\"", name);
	}
	if (sym.type == 'A' || sym.type == 'a')
		return rf_fail(RF_EXIT_NO, "there is nothing to show",
			       "give the address of the one that is meant: 0x...",
			       "\"%s\" is a number, or each processor has one of its own", name);
	out->v = sym.addr.v + offset;
	return RF_EXIT_OK;
}

const char *rf_subject_place(const struct rf_subject *s, rf_gva gva, char out[RF_PLACE_TEXT])
{
	const struct rf_memory counted = { rf_budget_read, s->places };
	struct rf_module module;
	struct rf_symbol sym;
	uint64_t offset;
	char name[RF_PLACE_TEXT - 24];

	*out = '\0';
	if (!s->kernel) /* its monitor has it */
		return out;
	if (!rf_kernel_symbolize(s->kernel, gva, &sym, &offset)) {
		rf_safe(name, sizeof(name), sym.name);
	} else if (!rf_module_find(s->kernel, &counted, &s->paging, gva, &module)) {
		snprintf(name, sizeof(name), "[%s]", module.name);
		offset = gva.v - module.base.v;
	} else {
		return out;
	}
	if (offset)
		snprintf(out, RF_PLACE_TEXT, "%s+%#llx", name, (unsigned long long)offset);
	else
		snprintf(out, RF_PLACE_TEXT, "%s", name);
	return out;
}

int rf_subject_checks(const struct rf_subject *s, const struct rf_known *known,
		      struct rf_checks **out)
{
	struct rf_checks_options options = { .live = s->live };

	if (known)
		options.known = *known;
	if (rf_checks_create(s->kernel, &s->memory, &s->paging, &options, out))
		return rf_fail(RF_EXIT_INTERNAL, "nothing was looked at",
			       "free some memory, then run it again", "no memory");
	return RF_EXIT_OK;
}

int rf_subject_complete(const char *what, int err, const char *why)
{
	char safe[RF_WHY];

	if (!err)
		return RF_EXIT_OK;
	rf_safe(safe, sizeof(safe), why);
	return rf_fail(RF_EXIT_CANNOT_TELL,
		       "what is shown is not all, and what is left out is not known",
		       "see what `ringfence check` says of it", "%s: %s", what, safe);
}

json_t *rf_address_json(uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)address);
	return json_string(text);
}

json_t *rf_subject_json(const struct rf_subject *s)
{
	char kernel[256];
	char *name = rf_safe_dup(s->name);
	json_t *o;

	rf_safe(kernel, sizeof(kernel), rf_kernel_banner(s->kernel));
	o = json_pack("{s:s,s:s,s:s}", "file", name ?: "?", "format", s->format, "kernel", kernel);
	free(name);
	return o;
}

bool rf_progress_due(struct rf_progress *p)
{
	int64_t now = rf_now_ms();

	if (!p->since)
		p->since = now;
	if (now - p->since < PROGRESS_MS || !isatty(rf_messages_fd()))
		return false;
	p->since = now;
	return true;
}
