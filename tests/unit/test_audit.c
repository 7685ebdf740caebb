// SPDX-License-Identifier: LGPL-2.1-or-later
/* The record's line: what stands in it, what hostile strings do to it, and what a torn or foreign
 * log does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "policy/audit.h"
#include "policy/audit_tail.h"
#include "policy/jsonline.h"
#include "tests/unit/log_open.h"

#define INSTANCE UINT64_C(0xfedcba9876543210)

static char path[] = "/tmp/rf-audit-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	strcpy(path, "/tmp/rf-audit-XXXXXX");
	return 0;
}

static struct rf_audit *open_log(void)
{
	struct rf_audit *a = NULL;

	assert_int_equal(log_open(path, "vm one", INSTANCE, &a), 0);
	return a;
}

static size_t slurp(char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, size - 1);

	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	return (size_t)n;
}

static void append(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* The nth line (from 0) as JSON, NULL when it is none. */
static json_t *line(int n)
{
	static char buf[1 << 20];
	char *p = buf, *end;

	slurp(buf, sizeof(buf));
	while (n--) {
		p = strchr(p, '\n');
		assert_non_null(p++);
	}
	end = strchr(p, '\n');
	return json_loadb(p, end ? (size_t)(end - p) : strlen(p), 0, NULL);
}

static void assert_text(json_t *o, const char *name, const char *want)
{
	assert_string_equal(json_string_value(json_object_get(o, name)), want);
}

static struct rf_record write_record(uint64_t event)
{
	struct rf_record r = {
		.event = event,
		.vcpu = 1,
		.kind = "write",
		.region = "rodata",
		.has_target = true,
		.target = { .addr = 0xffffffff82000190,
			    .symbol = "sys_call_table",
			    .offset = 0x190 },
		.has_writer = true,
		.writer = { .addr = 0xffffffffc0201004, .symbol = "attack", .module = "evil" },
		.has_task = true,
		.task = "insmod",
		.pid = 77,
		.uid = 0,
		.gpa = 0x2000190,
		.len = 8,
		.has_old = true,
		.has_new = true,
		.old_bytes = { 0x10, 0x20 },
		.new_bytes = { 0xab, 0xcd },
		.disassembly = "mov qword ptr [rdi], rsi",
		.rule = "rodata-is-never-written",
		.verdict = RF_WORD_BLOCKED,
		.outcome = "page fault",
	};

	return r;
}

static void test_words(void **state)
{
	assert_string_equal(rf_word_text(RF_WORD_ALLOWED), "allowed");
	assert_string_equal(rf_word_text(RF_WORD_BLOCKED), "blocked");
	assert_string_equal(rf_word_text(RF_WORD_UNDONE), "undone");
	assert_string_equal(rf_word_text(RF_WORD_DETECTED), "detected");
	assert_null(rf_word_text(0));
	assert_null(rf_word_text(5));
}

static void test_line(void **state)
{
	struct rf_audit *a = open_log();
	struct rf_record r = write_record(12);
	json_t *o, *sub;
	const char *time;
	int d[8];
	char z;

	assert_int_equal(rf_audit_write(a, &r), 0);
	assert_int_equal(rf_audit_outcome(a, 12, "ok"), 0);
	assert_int_equal(rf_audit_count(a, RF_WORD_BLOCKED), 1);
	assert_int_equal(rf_audit_count(a, RF_WORD_ALLOWED), 0);
	assert_int_equal(rf_audit_count(a, 17), 0);
	assert_true(rf_audit_has_event(a, 12));
	assert_false(rf_audit_has_event(a, 11));
	assert_false(rf_audit_has_event(a, 0));
	rf_audit_close(a);

	o = line(0);
	assert_non_null(o);
	time = json_string_value(json_object_get(o, "time"));
	assert_int_equal(sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d.%9d%c", d, d + 1, d + 2, d + 3,
				d + 4, d + 5, d + 6, &z),
			 8);
	assert_int_equal(z, 'Z');
	assert_int_equal(strlen(time), 30);
	assert_text(o, "vm", "vm one");
	assert_text(o, "instance", "0xfedcba9876543210");
	assert_text(o, "type", "decision");
	assert_int_equal(json_integer_value(json_object_get(o, "event")), 12);
	assert_int_equal(json_integer_value(json_object_get(o, "vcpu")), 1);
	assert_text(o, "kind", "write");
	assert_text(o, "region", "rodata");
	sub = json_object_get(o, "target");
	assert_text(sub, "symbol", "sys_call_table");
	assert_text(sub, "offset", "0x190");
	assert_text(sub, "addr", "0xffffffff82000190");
	assert_null(json_object_get(sub, "module"));
	sub = json_object_get(o, "writer");
	assert_text(sub, "symbol", "attack");
	assert_text(sub, "module", "evil");
	assert_text(o, "rip", "0xffffffffc0201004");
	sub = json_object_get(o, "task");
	assert_text(sub, "comm", "insmod");
	assert_int_equal(json_integer_value(json_object_get(sub, "pid")), 77);
	assert_true(json_is_true(json_object_get(sub, "claimed_by_guest")));
	assert_text(o, "gpa", "0x2000190");
	assert_int_equal(json_integer_value(json_object_get(o, "len")), 8);
	assert_text(o, "old", "1020000000000000");
	assert_text(o, "new", "abcd000000000000");
	assert_text(o, "disassembly", "mov qword ptr [rdi], rsi");
	assert_text(o, "rule", "rodata-is-never-written");
	assert_text(o, "verdict", "blocked");
	assert_text(o, "outcome", "page fault");
	assert_null(json_object_get(o, "detail"));
	assert_null(json_object_get(o, "sha256"));
	assert_null(json_object_get(o, "size"));
	json_decref(o);

	o = line(1);
	assert_text(o, "type", "outcome");
	assert_int_equal(json_integer_value(json_object_get(o, "event")), 12);
	assert_text(o, "status", "ok");
	json_decref(o);
}

static void test_time_agrees_with_libc(void **state)
{
	struct rf_audit *a = open_log();
	time_t before = time(NULL);
	struct tm tm = { 0 };
	json_t *o;

	assert_int_equal(rf_audit_outcome(a, 1, "ok"), 0);
	o = line(0);
	assert_non_null(
		strptime(json_string_value(json_object_get(o, "time")), "%Y-%m-%dT%H:%M:%S", &tm));
	assert_in_range(timegm(&tm), before, time(NULL));
	json_decref(o);
	rf_audit_close(a);
}

static void test_measurement_line(void **state)
{
	struct rf_audit *a = open_log();
	struct rf_record r = { .kind = "seal", .region = "text", .sha256 = "00ff", .size = 4096 };
	json_t *o;

	assert_int_equal(rf_audit_write(a, &r), 0);
	o = line(0);
	assert_text(o, "sha256", "00ff");
	assert_int_equal(json_integer_value(json_object_get(o, "size")), 4096);
	assert_null(json_object_get(o, "event"));
	assert_null(json_object_get(o, "vcpu"));
	assert_null(json_object_get(o, "verdict"));
	assert_null(json_object_get(o, "rip"));
	json_decref(o);

	r.kind = NULL;
	assert_int_equal(rf_audit_write(a, &r), -EINVAL);
	r.kind = "seal";
	r.verdict = 9;
	assert_int_equal(rf_audit_write(a, &r), -EINVAL);
	rf_audit_close(a);
	assert_null(line(1));
}

/* An answer is given back as it was written, of each verdict; and is an event's, or nothing's. */
static void test_answers(void **state)
{
	const struct rf_audit_answer answers[] = {
		{ .verdict = RF_ANSWERED_KILL },
		{ .verdict = RF_ANSWERED_NOT_OURS },
		{ .verdict = RF_ANSWERED_ALLOW,
		  .has_table = true,
		  .base = UINT64_MAX,
		  .limit = UINT32_MAX,
		  .selector = UINT16_MAX },
		{ .verdict = RF_ANSWERED_DENY,
		  .has_fault = true,
		  .has_gpr = true,
		  .has_table = true,
		  .vector = UINT8_MAX,
		  .error_code = UINT32_MAX,
		  .cr2 = UINT64_MAX,
		  .rip = 1,
		  .gpr = { 1, [15] = UINT64_MAX } },
		{ .verdict = 0 },
		{ .verdict = RF_ANSWERED_KILL + 1 },
	};
	struct rf_audit *a = open_log();
	struct rf_audit_decision d;

	for (uint64_t i = 0; i < 6; i++) {
		struct rf_record r = write_record(i + 1);

		r.answer = &answers[i];
		assert_int_equal(rf_audit_write(a, &r), i < 4 ? 0 : -EINVAL);
		r.event = 0;
		assert_int_equal(rf_audit_write(a, &r), -EINVAL);
	}
	for (int reopened = 0; reopened < 2; reopened++) {
		for (uint64_t i = 0; i < 4; i++) {
			assert_true(rf_audit_decision(a, i + 1, &d));
			assert_true(d.exact);
			assert_int_equal(d.word, RF_WORD_BLOCKED);
			assert_string_equal(d.rule, "rodata-is-never-written");
			assert_int_equal(d.answer.verdict, answers[i].verdict);
			assert_int_equal(d.answer.has_fault, answers[i].has_fault);
			assert_int_equal(d.answer.has_gpr, answers[i].has_gpr);
			assert_int_equal(d.answer.has_table, answers[i].has_table);
			assert_int_equal(d.answer.vector, answers[i].vector);
			assert_int_equal(d.answer.error_code, answers[i].error_code);
			assert_true(d.answer.cr2 == answers[i].cr2);
			assert_true(d.answer.rip == answers[i].rip);
			assert_true(d.answer.rflags == answers[i].rflags);
			assert_memory_equal(d.answer.gpr, answers[i].gpr, sizeof(d.answer.gpr));
			assert_true(d.answer.base == answers[i].base);
			assert_int_equal(d.answer.limit, answers[i].limit);
			assert_int_equal(d.answer.selector, answers[i].selector);
		}
		assert_false(rf_audit_decision(a, 5, &d));
		rf_audit_close(a);
		a = open_log();
	}
	rf_audit_close(a);
}

/* Every string as long as it can be and made of bytes that take six in the line: still one whole
 * line. */
static void test_hostile_strings(void **state)
{
	static char huge[100000];
	struct rf_audit *a = NULL;
	struct rf_record r = write_record(1);
	char raw[1 << 16];
	json_t *o;
	size_t n;

	memset(huge, 0xff, sizeof(huge) - 1);
	assert_int_equal(log_open(path, huge, INSTANCE, &a), 0);
	memset(r.target.symbol, '\x1b', sizeof(r.target.symbol));
	memset(r.target.module, '\n', sizeof(r.target.module));
	memset(r.writer.symbol, '\xfe', sizeof(r.writer.symbol));
	memset(r.writer.module, '\x7f', sizeof(r.writer.module));
	memset(r.task, '"', sizeof(r.task));
	memset(r.sha256, '\\', sizeof(r.sha256));
	r.kind = r.region = r.disassembly = r.rule = r.outcome = r.detail = huge;
	r.len = UINT32_MAX;
	r.answer = &(struct rf_audit_answer){ .verdict = RF_ANSWERED_NOT_OURS,
					      .has_fault = true,
					      .has_gpr = true,
					      .has_table = true,
					      .error_code = UINT32_MAX,
					      .cr2 = UINT64_MAX,
					      .rip = UINT64_MAX,
					      .rflags = UINT64_MAX,
					      .base = UINT64_MAX,
					      .limit = UINT32_MAX };
	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);

	n = slurp(raw, sizeof(raw));
	for (size_t i = 0; i + 1 < n; i++)
		assert_in_range(raw[i], 0x20, 0x7e);
	assert_int_equal(raw[n - 1], '\n');
	o = line(0);
	assert_non_null(o);
	assert_text(json_object_get(o, "task"), "comm", "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
	assert_int_equal(strlen(json_string_value(json_object_get(o, "new"))), 2 * RF_AUDIT_BYTES);
	assert_int_equal(json_integer_value(json_object_get(o, "len")), UINT32_MAX);
	json_decref(o);
}

static void test_reopen_knows_decisions(void **state)
{
	struct rf_audit *a = open_log();
	struct rf_record r = write_record(6);

	assert_int_equal(rf_audit_write(a, &r), 0);
	assert_int_equal(rf_audit_outcome(a, 5, "ok"), 0);
	rf_audit_close(a);

	a = open_log();
	assert_true(rf_audit_has_event(a, 6));
	assert_false(rf_audit_has_event(a, 5)); /* an outcome line is not a decision */
	assert_int_equal(rf_audit_count(a, RF_WORD_BLOCKED), 0);
	rf_audit_close(a);

	assert_int_equal(log_open(path, "vm one", INSTANCE + 1, &a), 0);
	assert_false(rf_audit_has_event(a, 6));
	rf_audit_close(a);
}

static void test_torn_last_line(void **state)
{
	static const char half[] = "{\"time\":\"2024\",\"vm\":\"vm one\",\"ty";
	struct rf_audit *a = open_log();
	struct rf_record r = write_record(1);
	json_t *o;

	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);
	append(half, sizeof(half) - 1);

	a = open_log();
	assert_true(rf_audit_has_event(a, 1));
	r = write_record(2);
	assert_int_equal(rf_audit_write(a, &r), 0);
	r = write_record(3);
	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);

	assert_null(line(1));
	for (int n = 2; n <= 3; n++) {
		o = line(n);
		assert_int_equal(json_integer_value(json_object_get(o, "event")), n);
		json_decref(o);
	}
	a = open_log();
	assert_true(rf_audit_has_event(a, 3));
	rf_audit_close(a);
}

/* A file that may not grow any more tears a line exactly as a full disk does. */
static void test_full_disk(void **state)
{
	struct rf_audit *a = open_log();
	struct rf_record r = write_record(1);
	struct rlimit old, small;
	struct stat st;
	json_t *o;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(rf_audit_write(a, &r), 0);
	stat(path, &st);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ (rlim_t)st.st_size + 40, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	r = write_record(2);
	assert_int_equal(rf_audit_write(a, &r), -EFBIG);
	assert_false(rf_audit_has_event(a, 2));
	assert_int_equal(rf_audit_write(a, &r), -EFBIG); /* not a byte fits now */
	assert_int_equal(rf_audit_count(a, RF_WORD_BLOCKED), 1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);

	assert_null(line(1));
	o = line(2);
	assert_int_equal(json_integer_value(json_object_get(o, "event")), 2);
	json_decref(o);
}

static void test_foreign_log(void **state)
{
	static char huge[RF_AUDIT_TAIL_BYTES + 100000];
	struct rf_audit *a;
	struct rf_record r = write_record(9);
	char text[200];
	static const char garbage[] = "garbage\n\0\xff\n{}\n[]\n7\n\n{\"type\":3}\n";
	static const char *const events[] = { "-4", "\"7\"", "7.0", "18446744073709551615", "8" };

	append(garbage, sizeof(garbage) - 1);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"type\":\"decision\",\"instance\":\"0x%llx\",\"event\":%s}\n",
			 (unsigned long long)INSTANCE, events[i]);
		append(text, strlen(text));
	}
	a = open_log();
	assert_true(rf_audit_has_event(a, 8));
	assert_false(rf_audit_has_event(a, 7));
	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);

	/* One line longer than the tail: what stands before it is out of reach, what follows it is
	 * not. */
	memset(huge, 'x', sizeof(huge));
	append(huge, sizeof(huge));
	a = open_log();
	assert_false(rf_audit_has_event(a, 9));
	r = write_record(10);
	assert_int_equal(rf_audit_write(a, &r), 0);
	rf_audit_close(a);
	a = open_log();
	assert_true(rf_audit_has_event(a, 10));
	rf_audit_close(a);
}

static void test_wrong_fd(void **state)
{
	struct rf_audit *a = (void *)1;
	int fd = open(path, O_RDWR), pipes[2];

	assert_int_equal(log_open_fd(fd, "v", 1, &a), -EINVAL);
	close(fd);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(log_open_fd(fd, "v", 1, &a), -EINVAL);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(log_open_fd(pipes[0], "v", 1, &a), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(log_open_fd(-1, "v", 1, &a), -EBADF);
	assert_ptr_equal(a, (void *)1);
	rf_audit_close(NULL);
}

/* What does not fit is no line; nothing is written behind its room. */
static void test_line_without_room(void **state)
{
	struct rf_jsonline j;
	char *room = malloc(16);

	assert_non_null(room);
	rf_jsonline_begin(&j, room, 16);
	rf_jsonline_text(&j, "a", "12345678901234567890", 32);
	assert_int_equal(rf_jsonline_end(&j), -EMSGSIZE);
	rf_jsonline_begin(&j, room, 16);
	rf_jsonline_text(&j, "a", "1234567", 32);
	assert_int_equal(rf_jsonline_end(&j), 0);
	assert_memory_equal(room, "{\"a\":\"1234567\"}\n", j.len);
	free(room);
}

static void test_window(void **state)
{
	static struct rf_audit_seen s;

	rf_audit_seen_add(&s, 0);
	assert_int_equal(s.highest, 0);
	rf_audit_seen_add(&s, 6);
	rf_audit_seen_add(&s, 4);
	assert_true(rf_audit_seen_has(&s, 4));
	assert_false(rf_audit_seen_has(&s, 5));
	assert_true(rf_audit_seen_has(&s, 6));
	rf_audit_seen_add(&s, 6 + RF_AUDIT_WINDOW - 1);
	assert_true(rf_audit_seen_has(&s, 6));
	assert_false(rf_audit_seen_has(&s, 4));
	rf_audit_seen_add(&s, 6 + RF_AUDIT_WINDOW);
	assert_false(rf_audit_seen_has(&s, 6));
	assert_false(rf_audit_seen_has(&s, 4 + RF_AUDIT_WINDOW));
	/* Out of the window: must not be taken for the id that has its bit now. */
	rf_audit_seen_add(&s, 4);
	assert_false(rf_audit_seen_has(&s, 4 + RF_AUDIT_WINDOW));
	rf_audit_seen_add(&s, UINT64_MAX);
	assert_true(rf_audit_seen_has(&s, UINT64_MAX));
	assert_false(rf_audit_seen_has(&s, 6 + RF_AUDIT_WINDOW));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_words),
		TEST(test_line),
		TEST(test_time_agrees_with_libc),
		TEST(test_measurement_line),
		TEST(test_answers),
		TEST(test_hostile_strings),
		TEST(test_reopen_knows_decisions),
		TEST(test_torn_last_line),
		TEST(test_full_disk),
		TEST(test_foreign_log),
		TEST(test_wrong_fd),
		TEST(test_line_without_room),
		TEST(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
