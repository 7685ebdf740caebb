// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All that is registered with a kernel to be called, in one table: the checks of front doors, which
 * tell here what they accept as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "cli/code.h"

struct asked {
	bool json, all;
	struct rf_subject_options how;
	struct rf_option_list known;
	const struct rf_check **each;
};

static bool is_front_door(const struct rf_check *check)
{
	return check->front_door;
}

static bool is_accepted(const struct rf_check_finding *f)
{
	return !*f->reason;
}

/* What a kernel calls of its own is most of it. */
static bool is_shown(const struct asked *asked, const struct rf_check_finding *f)
{
	return asked->all || !is_accepted(f) || strcmp(f->owner, "the kernel") != 0;
}

static int print_table(const struct rf_subject *s, const struct asked *asked,
		       const struct rf_check_report *r)
{
	static const char *const titles[] = { "CHECK", "HOOK", "LEADS TO", "VERDICT" };
	struct rf_listing *t = rf_listing_create(titles, 4);
	size_t hidden = 0;
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < r->finding_count; i++) {
		const struct rf_check_finding *f = &r->findings[i];
		char to[RF_FINDING_TEXT], what[RF_FINDING_TEXT];

		if (!is_shown(asked, f)) {
			hidden++;
			continue;
		}
		err = rf_listing_row(t,
				     (const char *[]){ f->check->name, rf_check_what(s, f, what),
						       rf_check_leads_to(f, to),
						       is_accepted(f) ? "accepted" : f->reason });
	}
	if (!err && hidden == r->finding_count) {
		rf_listing_destroy(t);
	} else {
		err = rf_subject_table(t, err);
		if (err != RF_EXIT_OK)
			return err;
		putchar('\n');
	}
	if (hidden)
		printf("%zu %slead to the kernel itself (--all shows them)\n", hidden,
		       hidden < r->finding_count ? "more " : "");
	rf_check_print_summary(r);
	return rf_flush();
}

static int print_json(const struct rf_subject *s, const struct asked *asked,
		      const struct rf_check_report *r, const struct rf_known *known)
{
	json_t *o = rf_subject_json(s), *hooks = json_array(), *safe;
	struct rf_disasm *d = NULL;
	json_int_t hidden = 0;

	rf_disasm_create(&d);
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct rf_check_finding *f = &r->findings[i];
		json_t *hook;

		if (!is_shown(asked, f)) {
			hidden++;
			continue;
		}
		hook = rf_check_finding_json(s, d, f);
		if (is_accepted(f)) /* how to read a finding */
			json_object_del(hook, "reading");
		json_object_set_new(hook, "accepted", json_boolean(is_accepted(f)));
		json_array_append_new(hooks, hook);
	}
	rf_disasm_destroy(d);
	rf_check_add_summary(o, r, known);
	json_object_set_new(o, "kernels_own_not_shown", json_integer(hidden));
	json_object_set_new(o, "hooks", hooks);
	safe = rf_safe_json(o);
	json_decref(o);
	return rf_print_json(safe);
}

static int show(const struct rf_subject *s, char **operands, void *ctx)
{
	const struct asked *asked = ctx;
	const struct rf_known known = { asked->known.items, asked->known.count };
	struct rf_check_report r;
	int code = rf_check_report_make(s, asked->each, rf_checks_list, &known, &r);

	if (code == RF_EXIT_OK)
		code = asked->json ? print_json(s, asked, &r, &known) : print_table(s, asked, &r);
	if (code == RF_EXIT_OK)
		code = rf_check_report_judge(&r);
	rf_check_report_deinit(&r);
	return code;
}

static int hooks(int argc, char **argv)
{
	struct rf_operands operands;
	struct asked asked = { 0 };
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "all", 0, RF_OPTION_FLAG, &asked.all, 0, 0 },
		{ "known", 0, RF_OPTION_LIST, &asked.known, 0, 0 },
		{ "raw", 0, RF_OPTION_FLAG, &asked.how.raw, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &asked.how.live, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_hooks, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(&rf_command_hooks, &operands, 1, INT32_MAX);
	if (code >= 0)
		return code;
	asked.each = rf_check_chosen(operands.items + 1, operands.count - 1, is_front_door, &code);
	if (!asked.each)
		return code;
	code = rf_subject_show(&operands, &asked.how, show, &asked);
	free(asked.each);
	return code;
}

const struct rf_command rf_command_hooks = {
	.name = "hooks",
	.usage = "[--all] [--known NAME]... [--raw] [--live] [--json] FILE [CHECK...]",
	.summary = "Show what hooks the guest's kernel, in a dump of its memory or live",
	.help = "      --all         also what leads to the kernel itself\n"
		"      --known NAME  a module or BPF program that may hook this kernel; may be\n"
		"                    given 32 times\n"
		"      --raw         FILE is memory as it is, whatever it begins with\n"
		"      --live        FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json        all of it as JSON, with evidence: addresses, bytes, code\n"
		"\n"
		"Each row is a function that somebody has asked the kernel to call by the\n"
		"interfaces that rootkits use most: ftrace, fprobes, kprobes, tracepoints, static\n"
		"calls, live patches, BPF programs, netfilter, packet handlers, security modules,\n"
		"notifiers, the keyboard; with whose code that is, and whether `ringfence check`\n"
		"accepts it or why not. Others are shown by CHECK (see `ringfence check --list`):\n"
		"\"timers\", \"proc-entries\".\n"
		"A name of a module or program is what the guest claims.\n"
		"\n"
		"The exit code is that of `ringfence check FILE` for the same checks.\n",
	.run = hooks,
};
