// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records of an audit log, judged by another policy than the one they were made under. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit_log.h"
#include "cli/control.h"
#include "cli/paths.h"
#include "cli/policy.h"
#include "cli/safe_file.h"
#include "policy/replay.h"

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static int no_log(const char *word, int err)
{
	return rf_fail(RF_EXIT_NOT_FOUND, "there is nothing to judge",
		       "give a log's path, or a VM's name (see `ringfence list`)",
		       "cannot read the log %s: %s", word, rf_log_problem(err));
}

/* --- one record ------------------------------------------------------------- */

/* Of several the last decision is meant, then what has at least a verdict: behind it come its
 * outcome, checkpoints, an end. */
static int worth(const json_t *o)
{
	if (!*text_of(o, "verdict"))
		return 1;
	return strcmp(text_of(o, "type"), "decision") ? 2 : 3;
}

/* Line `number` of a log, with 0 the last one of those that are worth most. *out is NULL where
 * there is none. */
static int read_line(FILE *f, uint32_t number, json_t **out)
{
	char *line = NULL;
	size_t room = 0;
	uint32_t n = 0;
	int best = 0;
	ssize_t len;

	*out = NULL;
	while ((len = getline(&line, &room, f)) >= 0) {
		json_t *o;

		if (number && ++n != number)
			continue;
		o = len <= (ssize_t)RF_LOG_LINE_BYTES
			    ? json_loadb(line, (size_t)len, JSON_REJECT_DUPLICATES, NULL)
			    : NULL;
		if (json_is_object(o) && worth(o) >= best) {
			best = worth(o);
			json_decref(*out);
			*out = o;
		} else {
			json_decref(o);
		}
		if (number)
			break;
	}
	free(line);
	return ferror(f) ? -EIO : 0;
}

static int open_log(const char *path, uid_t owner, FILE **out)
{
	struct rf_why why;
	int fd = rf_path_read_of(path, owner, &why);

	if (fd < 0)
		return fd;
	*out = fdopen(fd, "r");
	if (*out)
		return 0;
	close(fd);
	return -ENOMEM;
}

static int take_record(const struct rf_policy_args *a, json_t **out)
{
	bool input = a->count < 2 || !strcmp(a->items[1], "-");
	char path[PATH_MAX];
	const char *log = input ? "standard input" : path;
	uid_t owner = geteuid();
	int code = input ? RF_EXIT_OK : rf_vm_log(a->items[1], path, &owner), err;
	FILE *f = input ? stdin : NULL;

	if (code != RF_EXIT_OK)
		return code;
	err = input ? 0 : open_log(log, owner, &f);
	if (!err)
		err = read_line(f, a->line, out);
	if (f != stdin && f)
		fclose(f);
	if (err)
		return no_log(log, err);
	if (*out)
		return RF_EXIT_OK;
	if (a->line)
		return rf_fail(RF_EXIT_NO, "there is nothing to explain",
			       "see `ringfence audit tail --json` for records",
			       "line %u of %s is no record", a->line, log);
	return rf_fail(RF_EXIT_NO, "there is nothing to explain",
		       "give a line as `ringfence audit tail --json` prints it", "%s has no record",
		       log);
}

/* "sys_call_table+0x190", "attack+0x4 [evil]". */
static void place(const json_t *o, char *out, size_t size)
{
	const char *symbol = text_of(o, "symbol"), *offset = text_of(o, "offset");
	const char *module = text_of(o, "module");
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s%s%s%s", *symbol ? symbol : text_of(o, "addr"),
		 *offset ? "+" : "", offset, *module ? " [" : "", module, *module ? "]" : "");
	rf_safe(out, size, text);
}

static void print_record(const json_t *record)
{
	const char *region = text_of(record, "region"), *detail = text_of(record, "detail");
	char safe[256];

	rf_safe(safe, sizeof(safe), text_of(record, *text_of(record, "kind") ? "kind" : "type"));
	printf("%-11s%s", "record", safe);
	rf_safe(safe, sizeof(safe), region);
	printf("%s%s", *safe ? ", " : "", safe);
	place(json_object_get(record, "target"), safe, sizeof(safe));
	printf("%s%s", *safe ? ", " : "", safe);
	place(json_object_get(record, "writer"), safe, sizeof(safe));
	printf("%s%s", *safe ? ", by " : "", safe);
	rf_safe(safe, sizeof(safe), detail);
	printf("%s%s\n", *safe ? "; " : "", safe);
}

static void print_depends(const json_t *record, const struct rf_policy *p,
			  const struct rf_policy_origin *from)
{
	const char *between = "";

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];
		char path[RF_KEY_PATH], value[RF_KEY_PATH];

		if (!rf_replay_depends(record, p, k))
			continue;
		printf("%s%s: %s", *between ? between : "depends on ", rf_key_path(k, path),
		       rf_key_value(k, rf_key_get(p, k), value));
		if (from->lines[i])
			printf(" (line %u)", from->lines[i]);
		else
			printf(" (default)");
		between = ", ";
	}
	if (*between)
		putchar('\n');
}

static long long number_of(const json_t *o, const char *name)
{
	return (long long)json_integer_value(json_object_get(o, name));
}

/* What a line that is no decision is there for. */
static void print_note(const json_t *record)
{
	static const struct {
		const char *type, *says;
	} types[] = {
		{ "outcome", "says what became of a decision" },
		{ "rotated", "says that the log goes on in another file" },
		{ "continued", "says that the lines before it are in another file" },
		{ "end", "says that the VM and its monitor ended orderly" },
		{ "checkpoint", "is a signature of the lines before it" },
	};
	const char *type = text_of(record, "type"), *says = "is a note of the monitor's";

	printf("%-11sno rule decides it: it ", "so");
	if (!strcmp(type, "folded")) {
		printf("counts %lld decisions that say the same; those that are written in full "
		       "can be explained\n",
		       number_of(record, "count"));
		return;
	}
	if (!strcmp(type, "unwritten")) {
		printf("says that the log took no line for a time, and that %lld decisions were "
		       "counted only\n",
		       number_of(record, "decisions"));
		return;
	}
	if (!strcmp(type, "gap")) {
		printf("says that the lines %lld to %lld are missing from the log\n",
		       number_of(record, "from"), number_of(record, "to"));
		return;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(type, types[i].type))
			says = types[i].says;
	printf("%s\n", says);
}

static void print_sentence(const json_t *record, const struct rf_replay *r, const char *would,
			   const char *policy)
{
	const char *rule = r->count ? r->would[0].rule : r->rule; /* that decides now */

	switch (r->what) {
	case RF_REPLAY_NOTE:
		print_note(record);
		return;
	case RF_REPLAY_NOT_KNOWN:
		printf("%-11swhat %s would decide: %s\n", "not known", policy, r->why);
		return;
	case RF_REPLAY_NO_EVENT:
		printf("%-11swith %s nobody would see it: %s\n", "so", policy, would);
		return;
	case RF_REPLAY_ENDED:
		printf("%-11swith %s it would not come to that: %s\n", "so", policy, would);
		return;
	case RF_REPLAY_DECIDED:
		if (r->key && !strcmp(r->kind, "patches"))
			break;
		printf("%-11sby %s it would be %s, as %s\n", "so", policy, would,
		       rf_rule_says(rule) ?: "the rule says");
	}
	if (r->key && !strcmp(r->kind, "patches")) { /* some of which it denies */
		char path[RF_KEY_PATH];

		printf("%-11s%llu of these %llu patches would be %s by %s, as %s says\n", "so",
		       r->of_those, r->events, would, policy, rf_key_path(r->key, path));
		return;
	}
	if (r->count > 1)
		printf("%-11swhich of them: the record does not tell what it was found by\n",
		       "not known");
}

static int print_explained(const json_t *record, const struct rf_policy *p,
			   const struct rf_policy_origin *from)
{
	char would[160], policy[PATH_MAX + 16], safe[PATH_MAX + 16];
	struct rf_replay r;

	rf_replay(record, p, &r);
	rf_replay_text(&r, p, would, sizeof(would));
	rf_policy_origin_text(from, policy, sizeof(policy));
	rf_safe(safe, sizeof(safe), policy);
	print_record(record);
	if (r.rule[0]) {
		char rule[64];

		rf_safe(rule, sizeof(rule), r.rule);
		printf("%-11s%s\n", "rule", rule);
		rf_safe(rule, sizeof(rule), r.was[0] ? r.was : text_of(record, "verdict"));
		printf("%-11s%s\n", "it was", rule);
	}
	print_sentence(record, &r, would, safe);
	print_depends(record, p, from);
	for (unsigned int bit = 0; bit < RF_OPEN_BITS; bit++)
		if (r.open >> bit & 1)
			printf("%-11s%s\n", "not known",
			       rf_replay_open_text((enum rf_replay_open)(1u << bit)));
	return rf_flush();
}

static json_t *open_json(const struct rf_replay *r)
{
	json_t *o = json_array();

	for (unsigned int bit = 0; bit < RF_OPEN_BITS; bit++)
		if (r->open >> bit & 1)
			json_array_append_new(o, json_string(rf_replay_open_text(
							 (enum rf_replay_open)(1u << bit))));
	if (r->why)
		json_array_append_new(o, json_string(r->why));
	return o;
}

static int explained_json(const json_t *record, const struct rf_policy *p)
{
	json_t *depends = json_object();
	char would[160], path[RF_KEY_PATH], was[32];
	struct rf_replay r;

	rf_replay(record, p, &r);
	rf_replay_text(&r, p, would, sizeof(would));
	rf_safe(was, sizeof(was), r.was); /* it may be cut in the middle of a letter */
	for (size_t i = 0; i < rf_keys_count; i++)
		if (rf_replay_depends(record, p, &rf_keys[i]))
			json_object_set_new(depends, rf_key_path(&rf_keys[i], path),
					    rf_key_json_of(p, &rf_keys[i]));
	return rf_print_json(json_pack(
		"{s:s, s:s, s:s?, s:s, s:s, s:b, s:o, s:o}", "kind", r.kind, "rule", r.rule, "says",
		rf_rule_says(r.count ? r.would[0].rule : r.rule), "was", was, "would_be", would,
		"same", rf_replay_same(&r), "depends_on", depends, "not_known", open_json(&r)));
}

int rf_policy_explain(const struct rf_policy_args *a)
{
	struct rf_policy_origin from;
	struct rf_policy p;
	json_t *record = NULL;
	int code = rf_policy_take(a->items[0], &from, &p);

	if (code == RF_EXIT_OK)
		code = take_record(a, &record);
	if (code != RF_EXIT_OK)
		return code;
	code = a->json ? explained_json(record, &p) : print_explained(record, &p, &from);
	json_decref(record);
	return code;
}

/* --- a whole log -------------------------------------------------------------- */

/* Decisions that would be otherwise in the same way. */
struct difference {
	char kind[32], rule[48], was[32], would[160];
	unsigned long long count;
};

struct test {
	const struct rf_policy *policy;
	struct difference *items;
	size_t count;
	unsigned long long decisions, otherwise, not_known, notes;
	unsigned long long counted; /* on record as counts alone */
	json_int_t number;	    /* of the last line with such a count */
	char instance[32];	    /* that it is of */
	unsigned int open;
};

static int count_difference(struct test *t, const struct rf_replay *r)
{
	struct difference d = { .count = r->of_those }, *grown;

	rf_safe(d.kind, sizeof(d.kind), r->kind);
	rf_safe(d.rule, sizeof(d.rule), r->rule);
	rf_safe(d.was, sizeof(d.was), r->was);
	rf_replay_text(r, t->policy, d.would, sizeof(d.would));
	for (size_t i = 0; i < t->count; i++)
		if (!strcmp(t->items[i].kind, d.kind) && !strcmp(t->items[i].rule, d.rule) &&
		    !strcmp(t->items[i].was, d.was) && !strcmp(t->items[i].would, d.would)) {
			t->items[i].count += d.count;
			return 0;
		}
	grown = reallocarray(t->items, t->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	t->items = grown;
	t->items[t->count++] = d;
	return 0;
}

/* A number that stands in two lines is one line, written again by a monitor that took over. */
static void count_folded(struct test *t, const json_t *record)
{
	json_int_t number = json_integer_value(json_object_get(record, "number"));
	json_int_t count = json_integer_value(json_object_get(record, "count"));
	const char *instance = text_of(record, "instance");

	if (number && number == t->number && !strcmp(instance, t->instance))
		return;
	t->number = number;
	snprintf(t->instance, sizeof(t->instance), "%s", instance);
	t->counted += count > 0 ? (unsigned long long)count : 0;
}

static int test_record(void *ctx, json_t *record)
{
	struct test *t = ctx;
	struct rf_replay r;

	if (!strcmp(text_of(record, "type"), "folded"))
		count_folded(t, record);
	rf_replay(record, t->policy, &r);
	if (r.what == RF_REPLAY_NOTE) {
		t->notes++;
		return 0;
	}
	t->decisions += r.events;
	t->open |= r.open;
	if (r.what == RF_REPLAY_NOT_KNOWN || (r.what == RF_REPLAY_DECIDED && r.count > 1) ||
	    r.open & RF_OPEN_SEEN)
		t->not_known += r.of_those;
	else if (!rf_replay_same(&r))
		t->otherwise += r.of_those;
	return rf_replay_same(&r) ? 0 : count_difference(t, &r);
}

static int print_test(const struct test *t)
{
	static const char *const titles[] = { "COUNT", "KIND", "RULE", "WAS", "WOULD BE" };
	struct rf_listing *table = t->count ? rf_listing_create(titles, 5) : NULL;

	if (t->count && !table)
		return rf_fail(RF_EXIT_INTERNAL, "nothing is shown", "free some memory",
			       "no memory for the table");
	for (size_t i = 0; i < t->count; i++) {
		const struct difference *d = &t->items[i];
		char count[24];

		snprintf(count, sizeof(count), "%llu", d->count);
		if (rf_listing_row(table,
				   (const char *[]){ count, d->kind, d->rule, d->was, d->would }))
			break;
	}
	if (table) {
		rf_listing_print(table);
		putchar('\n');
	}
	rf_listing_destroy(table);
	if (!t->decisions)
		rf_say("there is no decision in it, so nothing was tested; of a log that was "
		       "rotated give the earlier part");
	printf("%llu decisions: %llu as they were, %llu otherwise, %llu not known\n", t->decisions,
	       t->decisions - t->otherwise - t->not_known, t->otherwise, t->not_known);
	if (t->counted)
		printf("%llu decisions are on record as counts alone, and are not in this table\n",
		       t->counted);
	for (unsigned int bit = 0; bit < RF_OPEN_BITS; bit++)
		if (t->open >> bit & 1)
			printf("no record tells %s\n",
			       rf_replay_open_text((enum rf_replay_open)(1u << bit)));
	return rf_flush();
}

static int test_json(const struct test *t)
{
	json_t *all = json_array();

	for (size_t i = 0; i < t->count; i++) {
		const struct difference *d = &t->items[i];

		json_array_append_new(all, json_pack("{s:I, s:s, s:s, s:s, s:s}", "count",
						     (json_int_t)d->count, "kind", d->kind, "rule",
						     d->rule, "was", d->was, "would_be", d->would));
	}
	return rf_print_json(json_pack(
		"{s:I, s:I, s:I, s:I, s:o, s:o}", "counts_alone", (json_int_t)t->counted,
		"decisions", (json_int_t)t->decisions, "otherwise", (json_int_t)t->otherwise,
		"not_known", (json_int_t)t->not_known, "differences", all, "not_in_records",
		open_json(&(struct rf_replay){ .open = t->open })));
}

/* From its beginning: what the end of a log holds alone is no test. */
static int read_all(const char *path, uid_t owner, struct test *t, unsigned long long *unreadable)
{
	struct rf_log log;
	int err = rf_log_open(path, owner, &log);

	if (err)
		return err;
	rf_log_whole(&log);
	err = rf_log_read(&log, test_record, t);
	if (!err)
		err = rf_log_finish(&log, test_record, t);
	*unreadable = log.unreadable;
	rf_log_close(&log);
	return err;
}

int rf_policy_test(const struct rf_policy_args *a)
{
	unsigned long long unreadable = 0;
	struct rf_policy_origin from;
	char path[PATH_MAX];
	uid_t owner;
	struct rf_policy p;
	struct test t = { .policy = &p };
	int code = rf_policy_take(a->items[0], &from, &p), err;

	if (code == RF_EXIT_OK)
		code = rf_vm_log(a->items[1], path, &owner);
	if (code != RF_EXIT_OK)
		return code;
	err = read_all(path, owner, &t, &unreadable);
	if (err) {
		free(t.items);
		return no_log(path, err);
	}
	code = a->json ? test_json(&t) : print_test(&t);
	free(t.items);
	if (unreadable)
		rf_say("%llu lines of %s are not records, and were passed over", unreadable, path);
	return code ? code : t.otherwise || t.not_known ? RF_EXIT_NO : RF_EXIT_OK;
}
