// SPDX-License-Identifier: LGPL-2.1-or-later
#include <string.h>

#include "cli/policy.h"

#define VALID_FOR 3600 /* seconds, of a signature */

static const struct verb {
	const char *name;
	int least, most; /* operands */
	const char *wants;
	int (*run)(const struct rf_policy_args *a);
} verbs[] = {
	{ "check", 1, 10000, "one file or more", rf_policy_check },
	{ "keys", 0, 0, "nothing", rf_policy_keys },
	{ "show", 1, 1, "a file, a profile, or a VM's name", rf_policy_show },
	{ "reload", 2, 2, "a VM's name and a policy", rf_policy_reload },
	{ "sign", 2, 2, "a VM's name and a file", rf_policy_sign },
	{ "explain", 1, 2, "a policy and a log", rf_policy_explain },
	{ "test", 2, 2, "a policy and a log", rf_policy_test },
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int policy(int argc, char **argv)
{
	struct rf_policy_args args = { .valid_for = VALID_FOR };
	struct rf_operands operands;
	const struct verb *v;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &args.json, 0, 0 },
		{ "line", 'l', RF_OPTION_NUMBER, &args.line, 1, UINT32_MAX },
		{ "key", 'k', RF_OPTION_TEXT, &args.key, 0, 0 },
		{ "serial", 0, RF_OPTION_NUMBER, &args.serial, 1, UINT32_MAX },
		{ "valid-for", 0, RF_OPTION_NUMBER, &args.valid_for, 1, 31 * 86400 },
		{ 0 },
	};
	code = rf_options(&rf_command_policy, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (!operands.count)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence policy --help`",
			       "policy: needs a word that says what to do");
	v = find(operands.items[0]);
	if (!v)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence policy --help`",
			       "policy: there is no `policy %s`", operands.items[0]);
	if (args.line && v->run != rf_policy_explain)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "leave out --line",
			       "policy: --line is for `policy explain`");
	if ((args.key || args.serial || args.valid_for != VALID_FOR) && v->run != rf_policy_sign)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "leave out --key, --serial and --valid-for",
			       "policy: --key, --serial and --valid-for are for `policy sign`");
	args.items = operands.items + 1;
	args.count = operands.count - 1;
	if (args.count < v->least || args.count > v->most)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence policy --help`",
			       "policy: `policy %s` takes %s", v->name, v->wants);
	return v->run(&args);
}

const struct rf_command rf_command_policy = {
	.name = "policy",
	.usage = "check|keys|show|reload|sign|explain|test [OPTIONS] ...",
	.summary = "Check, show, change and explain policies",
	.help = "  check FILE...           are these policies, and what do they amount to?\n"
		"  keys                    every key: what may stand there, its default\n"
		"  show FILE|PROFILE|NAME  the policy of a file, of a profile, or in force for a\n"
		"                          running VM: every key, and where its value is from\n"
		"  reload NAME POLICY      another policy for a running VM: what tightens is "
		"taken,\n"
		"                          what loosens needs `run --policy-key` and FILE.sig\n"
		"  sign NAME FILE          write FILE.sig, for `reload` of that VM\n"
		"  explain POLICY [LOG]    one record of a log, or of standard input: which rule\n"
		"                          decides it by this policy, and why\n"
		"  test POLICY LOG         what of a log would be decided otherwise\n"
		"\n"
		"  -j, --json              as JSON\n"
		"  -l, --line N            (explain) which line of the log; its last decision\n"
		"  -k, --key KEY           (sign) the secret key, of `ringfence audit keygen`\n"
		"      --serial N          (sign) greater than that of each policy signed before\n"
		"                          (the time, in seconds since 1970)\n"
		"      --valid-for S       (sign) seconds until it is worth nothing (3600)\n"
		"\n"
		"POLICY is a file or a profile (" RF_PROFILES "), LOG a\n"
		"file or a VM's name.\n"
		"A word without \"/\" is a profile, a VM or a file, whichever there is, in that\n"
		"order. The exit code is 1 where a policy is not valid or not taken, or `test` "
		"finds\n"
		"a difference, 4 where `run` or the monitor does not answer,\n"
		"3 where there is no such file, VM or log.\n",
	.run = policy,
};
