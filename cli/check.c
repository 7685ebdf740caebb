// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/check.h"
#include "cli/check_live.h"
#include "cli/check_posture.h"

#include <stdlib.h>
#include <string.h>

#define POSTURE "posture" /* no check has that name, and a FILE of it is ./posture */

struct asked {
	bool json, list, live;
	struct rf_subject_options how;
	struct rf_option_list known;
	const char *diff;
	const struct rf_check **each; /* NULL behind the last */
};

static int show(const struct rf_subject *s, char **operands, void *ctx)
{
	const struct asked *asked = ctx;
	const struct rf_known known = { asked->known.items, asked->known.count };
	struct rf_check_report r;
	int code = rf_check_report_make(s, asked->each, rf_checks_run, &known, &r);

	if (code == RF_EXIT_OK)
		code = asked->json ? rf_check_show_json(s, &r, &known) : rf_check_show(s, &r);
	if (code == RF_EXIT_OK)
		code = rf_check_report_judge(&r);
	rf_check_report_deinit(&r);
	return code;
}

/* Names are looked at first: a dump may be large. */
static int check_file(const struct rf_operands *operands, struct asked *asked)
{
	int code = RF_EXIT_OK;

	asked->each = rf_check_chosen(operands->items + 1, operands->count - 1, NULL, &code);
	if (!asked->each)
		return code;
	code = rf_subject_show(operands, &asked->how, show, asked);
	free(asked->each);
	return code;
}

static int list_checks(char **names, int count, bool json)
{
	const struct rf_check **each;
	int code = RF_EXIT_OK;

	each = rf_check_chosen(names, count, NULL, &code);
	if (!each)
		return code;
	code = rf_check_show_list(each, count, json);
	free(each);
	return code;
}

/* Its monitor has run them; what it knows already, by policy, is known there. */
static int check_vm(const struct rf_operands *operands, const struct asked *asked)
{
	const struct rf_check **each;
	int code = RF_EXIT_OK;

	if (asked->known.count || asked->how.raw)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "name modules as `owners` in the policy of the VM",
			       "--known and --raw are for a dump");
	each = rf_check_chosen(operands->items + 1, operands->count - 1, NULL, &code);
	if (!each)
		return code;
	free(each);
	return rf_check_live(&rf_command_check, operands, asked->json);
}

static int check_posture(const struct rf_operands *operands, const struct asked *asked)
{
	const struct rf_operands behind = { operands->items + 1, operands->count - 1, false };
	const struct rf_subject_options how = { .raw = asked->how.raw, .live = asked->live };
	const struct rf_posture_options options = { how, asked->json, asked->diff };

	if (asked->known.count)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "leave it out: a module that is known is no setting",
			       "posture takes no --known");
	if (asked->list)
		return behind.count || asked->diff
			       ? rf_subject_operands(&rf_command_check, &behind, 0, -1)
			       : rf_check_posture_list(asked->json);
	return rf_check_posture(&rf_command_check, &behind, &options);
}

static int check(int argc, char **argv)
{
	struct rf_operands operands;
	struct asked asked = { 0 };
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "list", 0, RF_OPTION_FLAG, &asked.list, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &asked.live, 0, 0 },
		{ "known", 0, RF_OPTION_LIST, &asked.known, 0, 0 },
		{ "raw", 0, RF_OPTION_FLAG, &asked.how.raw, 0, 0 },
		{ "diff", 0, RF_OPTION_TEXT, &asked.diff, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_check, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count && !strcmp(operands.items[0], POSTURE))
		return check_posture(&operands, &asked);
	if (asked.diff)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "see `ringfence check posture FILE --diff OTHER`",
			       "--diff is for posture");
	if (asked.list)
		return list_checks(operands.items, operands.count, asked.json);
	code = rf_subject_operands(&rf_command_check, &operands, 1, INT32_MAX);
	if (code >= 0)
		return code;
	return asked.live ? check_vm(&operands, &asked) : check_file(&operands, &asked);
}

const struct rf_command rf_command_check = {
	.name = "check",
	.usage = "[--known NAME]... [--raw] [--json] FILE [CHECK...] |\n"
		 "                       --live [--json] VM [CHECK...] | --list [CHECK...] |\n"
		 "                       posture [--raw] [--live] [--json] FILE [--diff OTHER] |\n"
		 "                       --list posture",
	.summary = "Look for what a rootkit leaves in the kernel: in a dump, or of a VM",
	.help = "      --known NAME  a module or BPF program that may hook this kernel; may be\n"
		"                    given 32 times\n"
		"      --raw         FILE is memory as it is, whatever it begins with: a guest\n"
		"                    that writes the beginning of another format to its own\n"
		"                    memory cannot choose how it is read\n"
		"      --live        VM is a guest that runs: what the checks of its monitor have\n"
		"                    found so far, each of them twice; with posture FILE and "
		"OTHER\n"
		"                    are VMs\n"
		"      --diff OTHER  with posture: only what differs between FILE and OTHER\n"
		"      --list        the checks that there are; with names: what a finding of\n"
		"                    each means, and what else it may be\n"
		"  -j, --json        all of it as JSON, with evidence: addresses, bytes, code\n"
		"\n"
		"FILE is a dump: ELF core (ringfence dump, virsh dump), kdump, LiME, raw. The\n"
		"kernel in it is found and understood from its own memory. Without CHECK all\n"
		"of them are run.\n"
		"\n"
		"Each row is one thing that is not as a kernel leaves it: WHAT is odd, whose\n"
		"code it LEADS TO (\"nobody\": code neither of the kernel, nor of a module or BPF\n"
		"program that is on its lists), and WHY that is odd.\n"
		"Below the table stands what such a finding means and what else may cause it: a\n"
		"module of your own that hooks the kernel is found as well, unless it is built\n"
		"for the kernel and signed, or --known names it. Names of modules, programs and\n"
		"tasks are what the guest claims.\n"
		"\n"
		"A check that could not run (this kernel, or this dump, lacks what it needs) or\n"
		"is undecided (what it follows is damaged, or longer than it may read, or may\n"
		"be of the moment of the dump) never counts as clean. The exit code: 0 all\n"
		"that were run are clean; 1 something was found; 6 nothing was found, but one\n"
		"of them could not run or is undecided, or FILE cannot be read or has no kernel\n"
		"in it; 3 there is no FILE.\n"
		"\n"
		"`check posture FILE` shows instead which of its own protections this kernel has,\n"
		"and which of them are on: what the Kernel Self Protection Project recommends,\n"
		"what was FOUND, BY which symbol, variable or page table, and WHY it matters. A\n"
		"weak row is a setting, not an attack. An unknown one never counts as good. All\n"
		"of it is what this kernel says: who has taken it over can make it lie. (A FILE\n"
		"of that name is ./posture.) The exit code: 0 it is shown; with --diff 1 where\n"
		"something differs; 3 and 6 as above.\n",
	.run = check,
};
