// SPDX-License-Identifier: LGPL-2.1-or-later
/* `audit tail -f` and `audit export -f` through rotations: no line is lost without a word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/audit_follow.c"
#include "tests/unit/leave_out.h"

#define OTHER 65534

static char folder[32], path[64], said[1024];
static int said_times;
static struct rf_follow follow;
static struct rf_log named;
static int64_t now_ms;
static char told[4096]; /* "a1 a2 ": instance and line, as they came */

void rf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	said_times++;
}

int64_t rf_now_ms(void)
{
	return now_ms;
}

int rf_flush(void)
{
	return 0;
}

static int tell(void *ctx, json_t *record)
{
	const char *instance = "0x-";
	uint64_t seq = 0;

	rf_seq_line(record, &instance, &seq);
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s%d ", instance + 2, (int)seq);
	return 0;
}

static const char *in(const char *name)
{
	static char out[96];

	snprintf(out, sizeof(out), "%s/%s", folder, name);
	return out;
}

/* A line of instance 0xa or 0xb, whose hashes are its name and number. */
static void add_line(const char *name, char instance, int seq, const char *type)
{
	FILE *f = fopen(in(name), "a");

	assert_non_null(f);
	fprintf(f, "{\"instance\":\"0x%c\",\"seq\":%d,\"type\":\"%s\",", instance, seq, type);
	fprintf(f, "\"prev\":\"%c%d\",\"hash\":\"%c%d\"}\n", instance, seq - 1, instance, seq);
	assert_int_equal(fclose(f), 0);
}

static void move(const char *to)
{
	assert_int_equal(rename(path, in(to)), 0);
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/rf-follow-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
	told[0] = said[0] = '\0';
	said_times = 0;
	now_ms = 1000;
	add_line("audit.jsonl", 'a', 1, "decision");
	if (rf_log_open(path, geteuid(), &named))
		return -1;
	rf_follow_begin(&follow, &named);
	follow.fn = tell;
	return rf_log_read(&named, tell, NULL);
}

static int teardown(void **state)
{
	char command[64];

	rf_follow_end(&follow);
	rf_log_close(&named);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void look(void)
{
	assert_int_equal(take_over(&follow), 0);
	assert_int_equal(read_all(&follow), 0);
	now_ms += FOLLOW_MS;
}

static void expect(const char *lines, bool lost)
{
	assert_string_equal(told, lines);
	assert_int_equal(follow.lost, lost);
	assert_int_equal(said[0] != '\0', lost);
}

/* However late: a monitor was stopped between the new file and its last lines in the old one. */
static void old_file_is_written_late(void **state)
{
	move("audit.jsonl.1");
	fclose(fopen(path, "a"));
	for (int i = 0; i < 10; i++) {
		look();
		now_ms += QUIET_MS;
	}
	add_line("audit.jsonl.1", 'a', 2, "decision");
	look();
	add_line("audit.jsonl.1", 'a', 3, "rotated");
	add_line("audit.jsonl.1", 'a', 4, "checkpoint");
	add_line("audit.jsonl", 'a', 5, "continued");
	look();
	expect("a1 a2 a3 a4 a5 ", false);
	assert_int_equal(follow.count, 0); /* and is left then */
}

/* Read before the old one was, by chance: its lines go first all the same. */
static void in_their_order(void **state)
{
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'a', 3, "continued");
	assert_int_equal(take_over(&follow), 0);
	add_line("audit.jsonl.1", 'a', 2, "rotated");
	assert_int_equal(rf_log_read(&named, tell, NULL), 0);
	expect("a1 a2 a3 ", false);
}

/* Two rotations between two looks, or three. */
static void files_between(void **state)
{
	move("audit.jsonl.3");
	add_line("audit.jsonl", 'b', 1, "decision");
	add_line("audit.jsonl", 'a', 2, "continued");
	add_line("audit.jsonl", 'a', 3, "rotated");
	move("audit-20260101T000000.000001Z.jsonl");
	add_line("audit.jsonl", 'a', 4, "continued");
	add_line("audit.jsonl", 'b', 2, "rotated");
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'b', 3, "continued");
	add_line("audit.jsonl", 'a', 5, "decision");
	look();
	expect("a1 b1 a2 a3 a4 b2 b3 a5 ", false);
	look();
	expect("a1 b1 a2 a3 a4 b2 b3 a5 ", false);
}

/* Copies, another VM's files and foreign ones are no part of it. */
static void others_beside(void **state)
{
	add_line("audit.jsonl.copy", 'a', 1, "decision");
	add_line("other.jsonl", 'a', 2, "decision");
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'b', 1, "decision");
	add_line("audit.jsonl", 'a', 4, "continued");
	look();
	assert_non_null(strstr(said, "lines 2 to 3 of instance 0xa are missing"));
	expect("a1 b1 a4 ", true);
	said[0] = '\0';
	add_line("audit.jsonl", 'a', 5, "decision");
	look();
	assert_string_equal(said, ""); /* told once */
}

/* One that is forged does not fit. */
static void forged_between(void **state)
{
	FILE *f = fopen(in("audit.jsonl.2"), "a");

	fputs("{\"instance\":\"0xa\",\"seq\":2,\"prev\":\"z\",\"hash\":\"z\"}\n", f);
	fclose(f);
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'a', 3, "continued");
	look();
	expect("a1 a3 ", true);
}

/* An instance of which nothing was seen began before its first line here. */
static void begun_elsewhere(void **state)
{
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'b', 7, "continued");
	look();
	assert_non_null(strstr(said, "lines 1 to 6 of instance 0xb are missing"));
	expect("a1 b7 ", true);
}

/* In the file that was read from within its beginning is not known. */
static void read_from_within(void **state)
{
	follow.from_within = true;
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'b', 7, "continued");
	look();
	expect("a1 b7 ", false);
}

/* What was cut away between two looks is in the copy, or missing. */
static void cut(void **state)
{
	add_line("audit.jsonl", 'a', 2, "decision");
	add_line("audit.copy.jsonl", 'a', 2, "decision");
	assert_int_equal(truncate(path, 0), 0);
	add_line("audit.jsonl", 'a', 3, "gap");
	assert_int_equal(truncate(path, 0), 0);
	look();
	add_line("audit.jsonl", 'a', 4, "gap");
	look();
	assert_non_null(strstr(said, "lines 3 to 3 of instance 0xa"));
	expect("a1 a2 a4 ", true);
}

/* Within one file it is `audit verify` that says so. */
static void within_a_file(void **state)
{
	add_line("audit.jsonl", 'a', 5, "decision");
	look();
	expect("a1 a5 ", false);
}

/* No more are kept open than that. */
static void is_bounded(void **state)
{
	for (int i = 0; i < 3 * RF_FOLLOW_PARTS; i++) {
		char old[32];

		snprintf(old, sizeof(old), "audit.jsonl.%d", i);
		move(old);
		fclose(fopen(path, "a"));
		look();
		assert_true(follow.count <= RF_FOLLOW_PARTS);
	}
	assert_int_equal(follow.count, RF_FOLLOW_PARTS);
	now_ms += QUIET_MS;
	look();
	assert_int_equal(follow.count, 0);
	expect("a1 ", false);
	add_line("audit.jsonl.0", 'a', 2, "rotated");
	add_line("audit.jsonl", 'a', 3, "continued");
	look();
	expect("a1 a2 a3 ", false); /* one that was left is found again */
}

/* Nor for ever one that was deleted: its space is not given back so long. */
static void is_deleted(void **state)
{
	assert_int_equal(unlink(path), 0);
	look();
	assert_int_equal(follow.count, 0); /* it is the log still */
	fclose(fopen(path, "a"));
	look();
	assert_int_equal(follow.count, 1);
	now_ms += QUIET_MS;
	look();
	assert_int_equal(follow.count, 0);
}

static void need_root(void)
{
	NEEDS_ROOT();
}

/* The name was free for a moment, in a folder that others may write. */
static void name_is_taken(void **state)
{
	struct rf_log other;

	need_root();
	move("audit.jsonl.1");
	add_line("audit.jsonl", 'b', 1, "decision");
	assert_int_equal(chown(path, OTHER, OTHER), 0);
	assert_int_equal(rf_log_open(path, geteuid(), &other), -EPERM);
	assert_int_equal(rf_log_open(path, OTHER, &other), 0);
	rf_log_close(&other);
	look();
	look();
	assert_int_equal(said_times, 1);
	assert_non_null(strstr(said, "audit.jsonl: user 65534's, mode 0"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("audit.jsonl.1", path), 0);
	assert_int_equal(lchown(path, OTHER, OTHER), 0);
	look();
	assert_int_equal(said_times, 1);
	/* What the log has is told all the while, and what follows it when it is back. */
	add_line("audit.jsonl.1", 'a', 2, "rotated");
	look();
	assert_string_equal(told, "a1 a2 ");
	assert_int_equal(unlink(path), 0);
	add_line("audit.jsonl", 'a', 3, "continued");
	look();
	assert_string_equal(told, "a1 a2 a3 ");
	assert_int_equal(said_times, 1);
}

/* Many files of another user's that go by its name hide none of its own: half of them are there
 * before it and half after it, in whatever order a folder is read. */
static void crowd_beside(void **state)
{
	need_root();
	for (int i = 0; i < 40 * TRIES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "audit.jsonl-%d", i);
		if (i == 20 * TRIES) {
			move("audit.jsonl.2");
			add_line("audit.jsonl", 'a', 2, "continued");
			move("audit.jsonl.1");
		}
		add_line(name, 'b', 1, "decision");
		assert_int_equal(chown(in(name), OTHER, OTHER), 0);
	}
	add_line("audit.jsonl", 'a', 3, "continued");
	look();
	expect("a1 a2 a3 ", false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(old_file_is_written_late),
		T(in_their_order),
		T(files_between),
		T(others_beside),
		T(forged_between),
		T(begun_elsewhere),
		T(read_from_within),
		T(cut),
		T(within_a_file),
		T(is_bounded),
		T(is_deleted),
		T(name_is_taken),
		T(crowd_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
