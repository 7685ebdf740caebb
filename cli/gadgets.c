// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/control.h"
#include "cli/output.h"

static const char *how(const json_t *row)
{
	return json_is_true(json_object_get(row, "intended")) ? "intended" : "unintended";
}

/* What covers a row of the list stands once for its kind. */
static json_t *cover_of(json_t *kinds, const json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	size_t i;
	json_t *k;

	json_array_foreach(kinds, i, k)
	{
		const char *name = json_string_value(json_object_get(k, "kind"));

		if (kind && name && !strcmp(kind, name) && !strcmp(how(k), how(row)))
			return k;
	}
	return NULL;
}

static void print_summary(const json_t *o)
{
	char text[64];

	rf_safe(text, sizeof(text), json_string_value(json_object_get(o, "text")) ?: "?");
	printf("%lld sensitive instructions in %lld KiB of text at %s\n\n",
	       (long long)json_integer_value(json_object_get(o, "total")),
	       (long long)json_integer_value(json_object_get(o, "text_bytes")) / 1024, text);
}

static int print_kinds(json_t *kinds)
{
	static const char *const titles[] = { "INSTRUCTION", "", "COUNT", "COVERED", "BY" };
	struct rf_listing *t = rf_listing_create(titles, 5);
	size_t i;
	json_t *k;

	if (!t)
		return -ENOMEM;
	json_array_foreach(kinds, i, k)
	{
		json_int_t count = json_integer_value(json_object_get(k, "count"));
		char number[24];

		snprintf(number, sizeof(number), "%lld", (long long)count);
		if (count &&
		    rf_listing_row(
			    t, (const char *[]){ json_string_value(json_object_get(k, "kind")),
						 how(k), number,
						 json_string_value(json_object_get(k, "covered")),
						 json_string_value(json_object_get(k, "by")) }))
			break;
	}
	rf_listing_print(t);
	rf_listing_destroy(t);
	return 0;
}

static int print_list(json_t *list, json_t *kinds)
{
	static const char *const titles[] = { "ADDRESS", "SYMBOL",  "INSTRUCTION",
					      "",	 "COVERED", "BY" };
	struct rf_listing *t = rf_listing_create(titles, 6);
	size_t i;
	json_t *o;

	if (!t)
		return -ENOMEM;
	json_array_foreach(list, i, o)
	{
		json_t *c = cover_of(kinds, o);

		if (rf_listing_row(t, (const char *[]){
					      json_string_value(json_object_get(o, "at")),
					      json_string_value(json_object_get(o, "symbol")),
					      json_string_value(json_object_get(o, "kind")), how(o),
					      json_string_value(json_object_get(c, "covered")),
					      json_string_value(json_object_get(c, "by")) }))
			break;
	}
	rf_listing_print(t);
	rf_listing_destroy(t);
	return 0;
}

static int print_report(json_t *o, bool all)
{
	json_t *kinds = json_object_get(o, "kinds");
	long long left_out = json_integer_value(json_object_get(o, "left_out"));
	int err;

	print_summary(o);
	err = all ? print_list(json_object_get(o, "list"), kinds) : print_kinds(kinds);
	if (!err && all && left_out > 0)
		printf("\n%lld more are left out here; the counts without --all have them\n",
		       left_out);
	json_decref(o);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "the answer is not complete", "free some memory",
			       "no memory for the table");
	return rf_flush();
}

static int gadgets(int argc, char **argv)
{
	static const struct rf_question question = {
		.cmd = "gadgets",
		.nothing = "there is no text to search",
		.unknown = "what was sealed stays sealed; what its text holds is not known",
	};
	struct rf_operands operands;
	bool json = false, all = false;
	struct rf_vm vm;
	json_t *o;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ "all", 'a', RF_OPTION_FLAG, &all, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_gadgets, options, false, RF_EXIT_USAGE, argc, argv,
			  &operands);
	if (code >= 0)
		return code;
	code = rf_vm_ask(&rf_command_gadgets, &operands, &question, &vm, &o);
	if (code != RF_EXIT_OK)
		return code;
	return json ? rf_print_json(o) : print_report(o, all);
}

const struct rf_command rf_command_gadgets = {
	.name = "gadgets",
	.usage = "[--all] [--json] NAME|STATE-FOLDER",
	.summary = "Show the sensitive instructions of a guest's kernel and what covers them",
	.help = "  -a, --all    each of them: address, symbol, what covers it\n"
		"  -j, --json   the monitor's whole answer as JSON\n",
	.run = gadgets,
};
