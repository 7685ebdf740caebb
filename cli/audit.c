// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit_export.h"
#include "cli/audit_patches.h"
#include "cli/audit_rotate.h"
#include "cli/audit_tail.h"
#include "cli/audit_verify.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/paths.h"

#define NOT_GIVEN UINT32_MAX
#define LINES 20
#define HOW                                                                                        \
	"write `ringfence audit tail NAME`, `audit patches NAME`, `audit verify NAME`, `audit "    \
	"export NAME`, `audit rotate NAME` or `audit keygen FILE`"
#define LINES_MOST 100000

/* The options of all of them; each takes its own, and refuses the others. */
struct asked {
	bool following, json, moved;
	uint32_t number; /* NOT_GIVEN: the default */
	const char *key, *format;
	struct rf_filter filter;
};

static int run_tail(const struct asked *asked, char **words)
{
	struct rf_tail how = { .following = asked->following,
			       .json = asked->json,
			       .filter = asked->filter };
	char path[PATH_MAX];
	int code = rf_filter_ready(&how.filter);

	/* Since then, and not the last few of them. */
	how.max = asked->number != NOT_GIVEN ? asked->number
		  : asked->filter.since	     ? LINES_MOST
					     : LINES;
	if (!code)
		code = rf_vm_log(words[0], path, &how.owner);
	return code ? code : rf_audit_tail_of(path, &how);
}

static int run_patches(const struct asked *asked, char **words)
{
	char path[PATH_MAX];
	uid_t owner;
	int code = rf_vm_log(words[0], path, &owner);

	return code ? code
		    : rf_audit_patches(path, owner,
				       asked->number == NOT_GIVEN ? LINES : asked->number,
				       asked->json);
}

static int run_verify(const struct asked *asked, char **words)
{
	char path[PATH_MAX], **paths;
	size_t count = 0;
	uid_t *owners;

	while (words[count])
		count++;
	paths = calloc(count + 1, sizeof(*paths)); /* until the process ends, as what is in it */
	owners = calloc(count + 1, sizeof(*owners));
	for (size_t i = 0; i < count && paths && owners; i++) {
		int code = rf_vm_log(words[i], path, &owners[i]);

		if (code)
			return code;
		paths[i] = strdup(path);
		if (!paths[i])
			paths = NULL;
	}
	if (!paths || !owners)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was done", "give fewer logs",
			       "no memory for their names");
	return rf_audit_verify(paths, owners, words, asked->key, asked->json);
}

static int run_rotate(const struct asked *asked, char **words)
{
	return rf_rotate_logs_of(words[0], asked->moved);
}

static int run_export(const struct asked *asked, char **words)
{
	char path[PATH_MAX];
	uid_t owner;
	int code = rf_vm_log(words[0], path, &owner);

	return code ? code : rf_audit_export(path, owner, asked->format, asked->following);
}

static int run_keygen(const struct asked *asked, char **words)
{
	return rf_audit_keygen(words[0]);
}

/* In the order in which they are told. */
static const struct {
	const char *name;
	bool many;	   /* more than one log may be given */
	const char *takes; /* letters of its options */
	int (*run)(const struct asked *asked, char **words);
} verbs[] = {
	{ "tail", false, "fnjs", run_tail },  { "patches", false, "nj", run_patches },
	{ "verify", true, "kj", run_verify }, { "export", false, "fF", run_export },
	{ "rotate", false, "m", run_rotate }, { "keygen", false, "", run_keygen },
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static size_t verb_of(const char *word)
{
	size_t i = 0;

	while (i < VERBS && strcmp(word, verbs[i].name) != 0)
		i++;
	return i;
}

/* One that would do nothing is not passed over: it was meant to do something. */
static int refuse_options(const struct asked *asked, size_t verb)
{
	const struct {
		bool given;
		char letter;
		const char *name, *of;
	} all[] = {
		{ asked->following, 'f', "--follow", "`tail` and `export`" },
		{ asked->number != NOT_GIVEN, 'n', "--lines", "`tail` and `patches`" },
		{ asked->json, 'j', "--json", "`tail`, `patches` and `verify`" },
		{ asked->key, 'k', "--key", "`verify`" },
		{ asked->moved, 'm', "--moved", "`rotate`" },
		{ rf_filter_any(&asked->filter), 's',
		  "--since, --alerts, --verdict, --rule or --symbol", "`tail`" },
		{ asked->format, 'F', "--format", "`export`" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].given && !strchr(verbs[verb].takes, all[i].letter))
			return rf_fail(RF_EXIT_USAGE, "nothing was done",
				       "leave it out; see `ringfence audit --help`",
				       "audit: %s is for %s, not for `%s`", all[i].name, all[i].of,
				       verbs[verb].name);
	return RF_EXIT_OK;
}

static int audit(int argc, char **argv)
{
	struct asked asked = { .number = NOT_GIVEN };
	struct rf_operands operands;
	size_t verb;
	int code;

	const struct rf_option options[] = {
		{ "follow", 'f', RF_OPTION_FLAG, &asked.following, 0, 0 },
		{ "lines", 'n', RF_OPTION_NUMBER, &asked.number, 0, LINES_MOST },
		{ "since", 0, RF_OPTION_TEXT, &asked.filter.since, 0, 0 },
		{ "alerts", 0, RF_OPTION_FLAG, &asked.filter.alerts, 0, 0 },
		{ "verdict", 0, RF_OPTION_LIST, &asked.filter.verdicts, 0, 0 },
		{ "rule", 0, RF_OPTION_LIST, &asked.filter.rules, 0, 0 },
		{ "symbol", 0, RF_OPTION_LIST, &asked.filter.symbols, 0, 0 },
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "key", 'k', RF_OPTION_TEXT, &asked.key, 0, 0 },
		{ "moved", 'm', RF_OPTION_FLAG, &asked.moved, 0, 0 },
		{ "format", 'F', RF_OPTION_TEXT, &asked.format, 0, 0 },
		{ 0 },
	};
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--", 2) && verb_of(argv[i] + 2) < VERBS)
			return rf_fail(RF_EXIT_USAGE, "nothing was done", HOW,
				       "audit: %s is not an option: it is written without the "
				       "dashes, before the name",
				       argv[i]);
	code = rf_options(&rf_command_audit, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count < 2)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", HOW,
			       "audit: needs `tail`, `patches`, `verify` or `export` and the name "
			       "of a VM or log, `rotate` and that of a VM, or `keygen` and a file");
	verb = verb_of(operands.items[0]);
	if (verb == VERBS)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence audit --help`",
			       "audit: \"%s\" is none of `tail`, `patches`, `verify`, `export`, "
			       "`rotate` and "
			       "`keygen`",
			       operands.items[0]);
	if (operands.count > 2 && !verbs[verb].many)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "give one of them",
			       "audit: `%s` takes the name of one VM or log", verbs[verb].name);
	code = refuse_options(&asked, verb);
	if (code)
		return code;
	return verbs[verb].run(&asked, operands.items + 1);
}

const struct rf_command rf_command_audit = {
	.name = "audit",
	.usage = "tail|patches|verify|export|rotate|keygen [OPTIONS] NAME|STATE-FOLDER|FILE...",
	.summary = "Show the last decisions on a VM's guest, verify or export the log of them",
	.help = "  -f, --follow    (tail, export) go on with each new record until interrupted\n"
		"  -n, --lines N   (tail, patches) how many of the last records to show (20); they "
		"are looked\n"
		"                  for in the last 8 MiB of the log\n"
		"      --since TIME      (tail) none that is older: 2026-01-31T09:30:00Z, or how "
		"long\n"
		"                        ago: 90s, 10m, 2h, 3d; all of them where --lines is not "
		"given\n"
		"      --alerts          (tail) what somebody is to look at, as `export` counts "
		"it\n"
		"      --verdict WORD    (tail) allowed, blocked, undone or detected\n"
		"      --rule NAME       (tail) that gave the verdict\n"
		"      --symbol NAME     (tail) of the target, the writer or the handler; each of "
		"the\n"
		"                        last three more than once: any of its words\n"
		"  -j, --json      (tail, patches) one JSON object a line, outcomes included;\n"
		"                  (verify) all of it as one\n"
		"  -k, --key PUB   (verify) the public key that checkpoints must be signed by\n"
		"  -m, --moved     (rotate) only if the log was moved away\n"
		"  -F, --format F  (export) ocsf, ecs, falco, cef, syslog or journal\n"
		"\n"
		"`tail` shows decisions; `patches` the kernel's own text patches that were\n"
		"allowed, which have a log of their own; `verify` looks whether a log is as\n"
		"it was written: give a rotated one's parts in order, the oldest first.\n"
		"`rotate` has a running VM's logs go on in new files. An audit log that was\n"
		"not moved away is moved to audit-TIME.jsonl, and the patch log goes with it;\n"
		"with --moved nothing is done then. SIGHUP to `ringfence run` does as `rotate`.\n"
		"A log that was moved without either goes on in a new file a minute later.\n"
		"`export` prints each record of a log in another format; it does not verify.\n"
		"`keygen` makes a key for `run --audit-key`: FILE, and FILE.pub to verify with.\n"
		"The table leaves out outcomes that are \"ok\". Task names are what the guest\n"
		"claims; bytes that are not printable ASCII are shown as '?'.\n"
		"\n"
		"The exit code of `verify`: 0 intact, 1 not intact, 6 it cannot be told (the\n"
		"log cannot be read, or has lines without a chain), 7 intact as far as it\n"
		"goes, but the end of an instance is not there (it runs, or was cut off) or its\n"
		"beginning, which is in an earlier file. Of `export`: 1 some lines are no\n"
		"records, 7 the last line is not whole.\n",
	.run = audit,
};
