// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit_export.h"
#include "cli/audit_follow.h"
#include "cli/audit_log.h"
#include "cli/audit_patches.h"
#include "cli/audit_text.h"
#include "cli/audit_verify.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/paths.h"

#define NOT_GIVEN UINT32_MAX
#define LINES 20

/* The last records seen, oldest first from `first`. */
struct last {
	json_t **items;
	uint32_t max, count, first;
	bool all; /* outcomes too */
};

static bool shown(json_t *o, bool all)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	const char *status = json_string_value(json_object_get(o, "status"));

	if (all || !type)
		return true;
	if (strcmp(type, "outcome") != 0)
		return strcmp(type, "checkpoint") != 0;
	/* Only what went wrong: every decision has an outcome. */
	return !status || strcmp(status, "ok");
}

static int keep(void *ctx, json_t *o)
{
	struct last *l = ctx;
	uint32_t slot;

	if (!l->max || !shown(o, l->all))
		return 0;
	slot = (l->first + l->count) % l->max;
	if (l->count == l->max) {
		json_decref(l->items[slot]);
		l->first = (l->first + 1) % l->max;
	} else {
		l->count++;
	}
	l->items[slot] = json_incref(o);
	return 0;
}

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && *text ? text : NULL;
}

struct cells {
	char time[32], event[24], target[200], writer[200], task[64];
	char about[4096]; /* whole, however long: the end of a cause may be what matters */
	const char *cell[8];
};

/* What was counted instead of written. */
static const char *describe_count(json_t *o, const char *type, struct cells *c)
{
	json_int_t count = json_integer_value(json_object_get(o, "count"));
	const char *rule = text_of(o, "rule"), *first = text_of(o, "first");

	if (!strcmp(type, "folded"))
		snprintf(c->about, sizeof(c->about), "%s: %lld more since %.23s, of %s",
			 rule ? rule : "-", (long long)count, first ? first : "-",
			 text_of(o, "of") ? text_of(o, "of") : "-");
	else
		snprintf(c->about, sizeof(c->about),
			 "the log took nothing since %.23s (%s): %lld decisions were counted only, "
			 "%lld other lines are lost",
			 text_of(o, "since") ? text_of(o, "since") : "-",
			 text_of(o, "cause") ? text_of(o, "cause") : "-",
			 (long long)json_integer_value(json_object_get(o, "decisions")),
			 (long long)json_integer_value(json_object_get(o, "lines_lost")));
	return c->about;
}

static void fill(json_t *o, struct cells *c)
{
	json_t *task = json_object_get(o, "task"), *event = json_object_get(o, "event");
	const char *time = text_of(o, "time"), *type = text_of(o, "type");
	bool outcome = type && !strcmp(type, "outcome");
	bool other = type && !outcome && strcmp(type, "decision"); /* a gap, an end */
	const char *about = text_of(o, "rule");

	/* Date and milliseconds: nanoseconds are for machines. */
	snprintf(c->time, sizeof(c->time), "%.23s", time ? time : "-");
	snprintf(c->event, sizeof(c->event), "%lld", (long long)json_integer_value(event));
	rf_place_text(json_object_get(o, "target"), c->target, sizeof(c->target));
	rf_place_text(json_object_get(o, json_object_get(o, "handler") ? "handler" : "writer"),
		      c->writer, sizeof(c->writer));
	snprintf(c->task, sizeof(c->task), "%s(%lld)",
		 text_of(task, "comm") ? text_of(task, "comm") : "",
		 (long long)json_integer_value(json_object_get(task, "pid")));
	if (type && (!strcmp(type, "folded") || !strcmp(type, "unwritten"))) {
		about = describe_count(o, type, c);
	} else if (about && text_of(o, "kind") && !strcmp(text_of(o, "kind"), "hook") &&
		   text_of(o, "detail")) {
		/* Whose it is, and by which interface: the rule does not say. */
		snprintf(c->about, sizeof(c->about), "%s: %s", about, text_of(o, "detail"));
		about = c->about;
	} else if (!about && outcome) {
		about = text_of(o, "status");
	} else if (!about) {
		const char *what = text_of(o, "outcome"), *detail = text_of(o, "detail");

		snprintf(c->about, sizeof(c->about), "%s%s%s", what ? what : "",
			 what && detail ? ": " : "", detail ? detail : "");
		about = *c->about ? c->about : NULL;
	}
	c->cell[0] = c->time;
	c->cell[1] = event ? c->event : NULL;
	c->cell[2] = outcome				  ? "outcome"
		     : type && !strcmp(type, "unwritten") ? "unwritten"
							  : text_of(o, "verdict");
	c->cell[3] = other && !text_of(o, "kind") ? type : text_of(o, "kind");
	c->cell[4] = json_object_get(o, "target") ? c->target : text_of(o, "region");
	c->cell[5] = c->writer;
	c->cell[6] = task ? c->task : NULL;
	c->cell[7] = about;
}

static int print_json_line(void *ctx, json_t *o)
{
	if (json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) || putchar('\n') == EOF)
		return -EIO;
	return 0;
}

/* Following, widths cannot be known beforehand: these fit most names. */
static int print_row(void *ctx, json_t *o)
{
	static const int widths[] = { 23, 6, 8, 9, 32, 28, 18, 0 };
	struct cells c;

	if (!shown(o, false))
		return 0;
	fill(o, &c);
	for (int i = 0; i < 8; i++) {
		char *text = rf_safe_dup(c.cell[i] ? c.cell[i] : "-");

		if (!text)
			return -ENOMEM;
		printf("%-*s%s", widths[i], text, i < 7 ? "  " : "\n");
		free(text);
	}
	return ferror(stdout) ? -EIO : 0;
}

static int print_last(const struct last *l, bool json)
{
	static const char *const titles[] = { "TIME",	"EVENT",	  "VERDICT", "KIND",
					      "TARGET", "WRITER/HANDLER", "TASK",    "RULE" };
	struct rf_table *t = json ? NULL : rf_table_create(titles, 8);
	int err = 0;

	if (!json && !t)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->count && !err; i++) {
		json_t *o = l->items[(l->first + i) % l->max];
		struct cells c;

		if (json) {
			err = print_json_line(NULL, o);
		} else {
			fill(o, &c);
			err = rf_table_row(t, c.cell);
		}
	}
	if (t)
		rf_table_print(t);
	rf_table_destroy(t);
	return err;
}

/* A path when it has a '/' or is a file here; else the log of a running VM, or root's log of an
 * ended one. */
static int find_log(const char *word, char out[PATH_MAX])
{
	char dir[PATH_MAX];
	struct rf_vm vm;

	if (strlen(word) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(out, word);
	if (!rf_state_dir(word, dir) && !rf_vm_read(dir, &vm)) {
		if (vm.audit[0])
			strcpy(out, vm.audit);
		else if (rf_path_join(dir, RF_FILE_AUDIT, out))
			return -ENAMETOOLONG;
		return 0;
	}
	if (strchr(word, '/') || access(word, F_OK) == 0 || !rf_name_valid(word))
		return 0;
	return rf_audit_default(word, out);
}

static int tail(const char *path, struct last *last, bool json, bool following)
{
	struct rf_log log;
	int err;

	err = rf_log_open(path, &log);
	if (err)
		return rf_fail(RF_EXIT_NOT_FOUND, "no decision can be shown",
			       "give a VM's name (see `ringfence list`) or the path of a log",
			       "cannot read the log %s: %s", path, strerror(-err));
	err = rf_log_read(&log, keep, last);
	if (!err && !following)
		err = rf_log_finish(&log, keep, last);
	if (!err)
		err = print_last(last, json);
	if (!err && log.unreadable)
		rf_say("%llu lines of %s are not records: torn by a crash or a full disk, or "
		       "foreign",
		       (unsigned long long)log.unreadable, path);
	if (!err && following)
		err = rf_audit_follow(&log, json ? print_json_line : print_row, NULL);
	rf_log_close(&log);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete", "run it again",
			       "reading %s stopped: %s", path, strerror(-err));
	return rf_flush();
}

static int too_long(void)
{
	return rf_fail(RF_EXIT_USAGE, "nothing was done", "give a shorter path",
		       "audit: the path of the log is too long");
}

/* The options of all of them; each takes its own, and refuses the others. */
struct asked {
	bool following, json;
	uint32_t number; /* NOT_GIVEN: the default */
	const char *key, *format;
};

static int run_tail(const struct asked *asked, char **words)
{
	struct last last = { .max = asked->number, .all = asked->json };
	char path[PATH_MAX];
	int code;

	if (find_log(words[0], path))
		return too_long();
	last.items = calloc(last.max ? last.max : 1, sizeof(json_t *));
	if (!last.items)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was shown", "ask for fewer lines",
			       "no memory for %u records", last.max);
	code = tail(path, &last, asked->json, asked->following);
	for (uint32_t i = 0; i < last.count; i++)
		json_decref(last.items[i]);
	free(last.items);
	return code;
}

static int run_patches(const struct asked *asked, char **words)
{
	char path[PATH_MAX];

	return find_log(words[0], path) ? too_long()
					: rf_audit_patches(path, asked->number, asked->json);
}

static int run_verify(const struct asked *asked, char **words)
{
	char path[PATH_MAX], **paths;
	size_t count = 0;

	while (words[count])
		count++;
	paths = calloc(count + 1, sizeof(*paths)); /* until the process ends, as what is in it */
	for (size_t i = 0; i < count && paths; i++) {
		if (find_log(words[i], path))
			return too_long();
		paths[i] = strdup(path);
		if (!paths[i])
			paths = NULL;
	}
	if (!paths)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was done", "give fewer logs",
			       "no memory for their names");
	return rf_audit_verify(paths, words, asked->key, asked->json);
}

static int run_export(const struct asked *asked, char **words)
{
	char path[PATH_MAX];

	return find_log(words[0], path) ? too_long()
					: rf_audit_export(path, asked->format, asked->following);
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
	{ "tail", false, "fnj", run_tail },   { "patches", false, "nj", run_patches },
	{ "verify", true, "kj", run_verify }, { "export", false, "fF", run_export },
	{ "keygen", false, "", run_keygen },
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
		{ "lines", 'n', RF_OPTION_NUMBER, &asked.number, 0, 100000 },
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "key", 'k', RF_OPTION_TEXT, &asked.key, 0, 0 },
		{ "format", 'F', RF_OPTION_TEXT, &asked.format, 0, 0 },
		{ 0 },
	};
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--", 2) && verb_of(argv[i] + 2) < VERBS)
			return rf_fail(
				RF_EXIT_USAGE, "nothing was done",
				"write `ringfence audit tail NAME`, `audit patches NAME`, "
				"`audit verify NAME`, `audit export NAME` or `audit keygen FILE`",
				"audit: %s is not an option: it is written without the "
				"dashes, before the name",
				argv[i]);
	code = rf_options(&rf_command_audit, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count < 2)
		return rf_fail(RF_EXIT_USAGE, "nothing was done",
			       "write `ringfence audit tail NAME`, `audit patches NAME`, "
			       "`audit verify NAME`, `audit export NAME` or `audit keygen FILE`",
			       "audit: needs `tail`, `patches`, `verify` or `export` and the name "
			       "of a VM or log, or `keygen` and a file");
	verb = verb_of(operands.items[0]);
	if (verb == VERBS)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence audit --help`",
			       "audit: \"%s\" is none of `tail`, `patches`, `verify`, `export` and "
			       "`keygen`",
			       operands.items[0]);
	if (operands.count > 2 && !verbs[verb].many)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "give one of them",
			       "audit: `%s` takes the name of one VM or log", verbs[verb].name);
	code = refuse_options(&asked, verb);
	if (code)
		return code;
	asked.number = asked.number == NOT_GIVEN ? LINES : asked.number;
	return verbs[verb].run(&asked, operands.items + 1);
}

const struct rf_command rf_command_audit = {
	.name = "audit",
	.usage = "tail|patches|verify|export|keygen [OPTIONS] NAME|STATE-FOLDER|FILE...",
	.summary = "Show the last decisions on a VM's guest, verify or export the log of them",
	.help = "  -f, --follow    (tail, export) go on with each new record until interrupted\n"
		"  -n, --lines N   (tail, patches) how many of the last records to show (20); they "
		"are looked\n"
		"                  for in the last 8 MiB of the log\n"
		"  -j, --json      (tail, patches) one JSON object a line, outcomes included;\n"
		"                  (verify) all of it as one\n"
		"  -k, --key PUB   (verify) the public key that checkpoints must be signed by\n"
		"  -F, --format F  (export) ocsf, ecs, falco, cef, syslog or journal\n"
		"\n"
		"`tail` shows decisions; `patches` the kernel's own text patches that were\n"
		"allowed, which have a log of their own; `verify` looks whether a log is as\n"
		"it was written: give a rotated one's parts in order, the oldest first.\n"
		"`export` prints each record of a log in another format; it does not verify.\n"
		"`keygen` makes a key for `run --audit-key`: FILE, and FILE.pub to verify with.\n"
		"The table leaves out outcomes that are \"ok\". Task names are what the guest\n"
		"claims; bytes that are not printable ASCII are shown as '?'.\n"
		"\n"
		"The exit code of `verify`: 0 intact, 1 not intact, 6 it cannot be told (the\n"
		"log cannot be read, or has lines without a chain), 7 intact as far as it\n"
		"goes, but the end of an instance is not there: it runs, or was cut off. Of\n"
		"`export`: 1 some lines are no records, 7 the last line is not whole.\n",
	.run = audit,
};
