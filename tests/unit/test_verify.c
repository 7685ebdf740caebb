// SPDX-License-Identifier: LGPL-2.1-or-later
/* The verifier: logs of two VMs as the monitors write them are intact, and a thousand ways to touch
 * one of them are fake_found. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/chain.h"
#include "policy/verify.h"
#include "tests/unit/fake_log.h"

#define ONE UINT64_C(0xfedcba9876543210)
#define TWO UINT64_C(0x77)

int fdatasync(int fd);
int fdatasync(int fd)
{
	return 0;
}

static struct fake_log base, touched;

/* --- the log ------------------------------------------------------------------ */

static struct rf_audit *writer(uint64_t instance)
{
	struct rf_audit *a = NULL;

	assert_int_equal(
		rf_audit_open(fake_log_path, instance == ONE ? "one" : "two", instance, &a), 0);
	return a;
}

static void write_some(struct rf_audit *a, unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		const struct rf_record r = { .event = i,
					     .kind = "write",
					     .region = "rodata",
					     .len = 8,
					     .has_new = true,
					     .new_bytes = { (uint8_t)i },
					     .rule = "rodata-is-never-written",
					     .verdict = RF_WORD_BLOCKED,
					     .outcome = "page fault" };

		assert_int_equal(rf_audit_write(a, &r), 0);
		if (i % 3 == 0)
			assert_int_equal(rf_audit_outcome(a, i, "ok"), 0);
	}
}

/* 200 lines of two VMs, mixed, each with its end. */
static int setup(void **state)
{
	struct rf_audit *a, *b;
	int fd;

	strcpy(fake_log_path, "/tmp/rf-verify-XXXXXX");
	fd = mkstemp(fake_log_path);
	if (fd < 0)
		return -1;
	close(fd);
	a = writer(ONE);
	b = writer(TWO);
	for (int i = 0; i < 9; i++) {
		write_some(a, 9);
		write_some(b, 8);
	}
	rf_audit_end(b);
	rf_audit_end(a);
	rf_audit_close(a);
	rf_audit_close(b);
	fake_log_read(&base);
	fake_log_drop_all(&touched);
	return 0;
}

static int teardown(void **state)
{
	fake_log_drop_all(&base);
	unlink(fake_log_path);
	return 0;
}

static void intact(void **state)
{
	assert_in_range(base.count, 190, 220);
	assert_int_equal(fake_log_verify(&base, 1), RF_LOG_INTACT);
	assert_int_equal(fake_findings, 0);
	assert_int_equal(fake_instance_count, 2);
	assert_int_equal(fake_instances[0].instance, ONE);
	assert_string_equal(fake_instances[0].vm, "one");
	assert_int_equal(fake_instances[0].first, 1);
	assert_int_equal(fake_instances[0].last, 109);
	assert_int_equal(fake_instances[0].records, 109);
	assert_true(fake_instances[0].ended && fake_instances[1].ended);
	assert_string_equal(rf_verdict_of_log_text(RF_LOG_INTACT), "intact");
}

/* --- each thing that can be done to it, and what is said ------------------------ */

/* Line 20 of the first VM: its place in the log. */
static size_t place_of(uint64_t instance, uint64_t seq)
{
	struct rf_chain_line l;

	for (size_t i = 0; i < base.count; i++)
		if (rf_chain_line_read(base.line[i], base.len[i], instance, &l) && l.seq == seq)
			return i;
	fail();
	return 0;
}

static void one_changed(void **state)
{
	size_t at = place_of(ONE, 20);
	char *digit;

	fake_log_copy(&touched, &base);
	digit = strstr(touched.line[at], "\"type\":\"") + 8;
	*digit = 'W';
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	/* Its hash. */
	fake_log_copy(&touched, &base);
	digit = touched.line[at] + touched.len[at] - 3;
	*digit = *digit == '0' ? '1' : '0';
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	/* The members of the chain are no more. */
	fake_log_copy(&touched, &base);
	touched.line[at][touched.len[at] - 3] = 'X';
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	fake_log_drop_all(&touched);
}

/* Whoever changes a line and makes its hash anew: the next one names another. */
static void changed_and_hashed(void **state)
{
	size_t at = place_of(ONE, 20), next = place_of(ONE, 21);
	uint8_t hash[32];
	char hex[65], *end;

	fake_log_copy(&touched, &base);
	strstr(touched.line[at], "\"type\":\"")[8] = 'W';
	end = strstr(touched.line[at], ",\"hash\":");
	crypto_hash_sha256(hash, (const uint8_t *)touched.line[at],
			   (size_t)(end - touched.line[at]));
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	memcpy(end + 9, hex, 64);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_NOT_LINKED, ONE, 21, next + 1);
	fake_log_drop_all(&touched);
}

static void some_dropped(void **state)
{
	size_t at = place_of(TWO, 10);

	fake_log_copy(&touched, &base);
	fake_log_drop(&touched, at);
	fake_log_drop(&touched, place_of(TWO, 11) - 1);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_LOST, TWO, 10, place_of(TWO, 12) - 1);
	assert_int_equal(fake_found[0].to, 11);
	/* The first ones, as of a part that was rotated away. */
	fake_log_copy(&touched, &base);
	fake_log_drop(&touched, 0);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_LOST, ONE, 1, 1);
	fake_log_drop_all(&touched);
}

static void one_moved(void **state)
{
	size_t a = place_of(ONE, 30), b = place_of(ONE, 31);
	char *line;

	fake_log_copy(&touched, &base);
	assert_int_equal(touched.len[a], touched.len[b]); /* so that it may be done like this */
	line = touched.line[a];
	touched.line[a] = touched.line[b];
	touched.line[b] = line;
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_MOVED, ONE, 30, b + 1);
	assert_int_equal(fake_instances[0].records, 109);
	fake_log_drop_all(&touched);
}

static void one_twice(void **state)
{
	size_t at = place_of(ONE, 30);

	fake_log_copy(&touched, &base);
	fake_log_add(&touched, at + 4, base.line[at], base.len[at]);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_TWICE, ONE, 30, at + 5);
	fake_log_drop_all(&touched);
}

static void some_added(void **state)
{
	static const char older[] = "{\"type\":\"decision\",\"instance\":\"0x77\",\"event\":3}";
	static const char theirs[] = "{\"type\":\"decision\",\"instance\":\"0x78\",\"event\":3}";

	fake_log_copy(&touched, &base);
	fake_log_add(&touched, 50, "", 0);
	fake_log_add(&touched, 60, "[]", 2);
	fake_log_add(&touched, 70, older, sizeof(older) - 1);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 3);
	fake_log_assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 51);
	fake_log_assert_found(1, RF_FOUND_NO_RECORD, 0, 0, 61);
	fake_log_assert_found(2, RF_FOUND_ADDED, TWO, 0, 71);
	/* Of an older version, of a VM that has no chain: they cannot be checked. */
	fake_log_copy(&touched, &base);
	fake_log_add(&touched, 70, theirs, sizeof(theirs) - 1);
	fake_log_add(&touched, 80, theirs, sizeof(theirs) - 1);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_CANNOT_TELL);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_NOT_CHAINED, 0x78, 0, 71);
	assert_int_equal(fake_found[0].to, 2);
	fake_log_drop_all(&touched);
}

static void cut_at_the_end(void **state)
{
	fake_log_copy(&touched, &base);
	fake_log_drop(&touched, touched.count - 1);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_OPEN_END, ONE, 108, place_of(ONE, 108) + 1);
	assert_int_equal(fake_instances[1].verdict, RF_LOG_INTACT);
	/* In a line. */
	touched.line[touched.count - 1][--touched.len[touched.count - 1]] = '\0';
	touched.torn = true;
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 3);
	fake_log_assert_found(0, RF_FOUND_TORN, 0, 0, touched.count);
	/* The newline alone. */
	fake_log_copy(&touched, &base);
	touched.torn = true;
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_TORN, 0, 0, touched.count);
	fake_log_drop_all(&touched);
}

static void behind_its_end(void **state)
{
	struct rf_audit *a = writer(TWO);

	write_some(a, 1);
	rf_audit_close(a);
	fake_log_read(&touched);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_AFTER_END, TWO, touched.count - 109, touched.count);
	fake_log_drop_all(&touched);
}

static void nothing_to_check(void **state)
{
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_CANNOT_TELL);
	fake_log_add(&touched, 0, "noise", 5);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_CANNOT_TELL);
	fake_log_add(&touched, 0, "{}", 2);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_drop_all(&touched);
}

/* Parts of a rotated log, in their order and not. */
static void rotated(void **state)
{
	static struct fake_log parts[3], back[3];

	for (size_t i = 0; i < base.count; i++) {
		struct fake_log *l = &parts[3 * i / base.count];

		fake_log_add(l, l->count, base.line[i], base.len[i]);
	}
	assert_int_equal(fake_log_verify(parts, 3), RF_LOG_INTACT);
	assert_int_equal(fake_log_verify(parts, 2), RF_LOG_OPEN_END);
	assert_int_equal(fake_log_verify(parts + 1, 2), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_LOST, fake_instances[0].instance, 1, 1);
	for (int i = 0; i < 3; i++)
		back[i] = parts[2 - i];
	assert_int_equal(fake_log_verify(back, 3), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_found[0].kind, RF_FOUND_MOVED);
	for (int i = 0; i < 3; i++)
		fake_log_drop_all(&parts[i]);
}

/* --- what its writers leave by themselves ---------------------------------------- */

static void torn_and_told(void **state)
{
	struct rf_audit *a;
	int fd;

	fake_log_drop_all(&touched);
	truncate(fake_log_path, 0);
	a = writer(ONE);
	write_some(a, 3);
	fd = open(fake_log_path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, base.line[0], 100), 100);
	close(fd);
	write_some(a, 3);
	rf_audit_end(a);
	rf_audit_close(a);
	fake_log_read(&touched);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_TORN_TOLD, 0, 0, 5);
	/* It excuses no other one. */
	fake_log_add(&touched, 4, base.line[0], 100);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 5);
	fake_log_assert_found(1, RF_FOUND_TORN_TOLD, 0, 0, 6);
	fake_log_drop_all(&touched);
}

/* A log that was emptied under its monitor's successor; and its parts together. */
static void gap_told(void **state)
{
	static struct fake_log parts[2];
	struct rf_audit_setup how = { .vm = "one", .instance = ONE };
	static struct rf_chain chain;
	struct rf_audit *a;

	rf_chain_init(&chain);
	how.chain = &chain;
	for (int i = 0; i < 2; i++) {
		truncate(fake_log_path, 0);
		assert_int_equal(
			rf_audit_open_setup(open(fake_log_path, O_RDWR | O_APPEND), &how, &a), 0);
		write_some(a, 6);
		if (i)
			rf_audit_end(a);
		rf_audit_close(a);
		fake_log_read(&parts[i]);
	}
	assert_int_equal(fake_log_verify(parts + 1, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_LOST_TOLD, ONE, 1, 1);
	assert_int_equal(fake_found[0].to, 8);
	/* With the part that it is missing from, nothing is. */
	assert_int_equal(fake_log_verify(parts, 2), RF_LOG_INTACT);
	assert_int_equal(fake_findings, 0);
	fake_log_drop_all(&parts[0]);
	fake_log_drop_all(&parts[1]);
}

/* --- a thousand tamperings --------------------------------------------------------- */

static unsigned int seed = 20240501;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

static void flip_a_byte(struct fake_log *l)
{
	size_t len, at;
	char *text = fake_log_text(l, &len);

	at = any(len);
	text[at] ^= (char)(1 << any(8));
	fake_log_drop_all(l);
	fake_log_parse(l, text, len);
	free(text);
}

static void drop_a_line(struct fake_log *l)
{
	fake_log_drop(l, any(l->count));
}

/* Of one instance: between two, the order is in no chain. */
static void swap_lines(struct fake_log *l)
{
	size_t a, b, len;
	char *line;

	do {
		a = any(l->count);
		b = any(l->count);
	} while (a == b ||
		 !strstr(l->line[a], "\"vm\":\"one\"") != !strstr(l->line[b], "\"vm\":\"one\""));
	line = l->line[a];
	l->line[a] = l->line[b];
	l->line[b] = line;
	len = l->len[a];
	l->len[a] = l->len[b];
	l->len[b] = len;
}

static void duplicate_a_line(struct fake_log *l)
{
	size_t from = any(l->count);

	fake_log_add(l, any(l->count + 1), base.line[from], base.len[from]);
}

static void truncate_it(struct fake_log *l)
{
	size_t len;
	char *text = fake_log_text(l, &len);

	fake_log_drop_all(l);
	fake_log_parse(l, text, any(len));
	free(text);
}

static void insert_a_line(struct fake_log *l)
{
	static const char *const lines[] = { "",
					     "x",
					     "{}",
					     "null",
					     "{\"type\":\"end\"}",
					     "{\"instance\":\"0x77\",\"seq\":3,\"type\":\"gap\"}" };
	const char *line = lines[any(6)];

	fake_log_add(l, any(l->count + 1), line, strlen(line));
}

static void edit_a_field(struct fake_log *l)
{
	static const char *const names[] = { "\"time\":\"", "\"vm\":\"",    "\"instance\":\"0x",
					     "\"seq\":",    "\"mono_ns\":", "\"type\":\"",
					     "\"prev\":\"", "\"hash\":\"" };
	const char *name = names[any(8)];
	size_t at = any(l->count);
	char *value = strstr(l->line[at], name) + strlen(name);

	*value = *value == '1' ? '2' : '1';
}

/* A line that fits, with its own right hash, instead of what was there or as one more. */
static void forge_a_line(struct fake_log *l)
{
	size_t at = any(l->count - 2);
	struct rf_jsonline j;
	struct rf_chain_line was;
	uint64_t instance = strstr(l->line[at], "\"vm\":\"one\"") ? ONE : TWO;
	char text[1024];
	uint8_t hash[32];

	assert_true(rf_chain_line_read(l->line[at], l->len[at], instance, &was));
	rf_jsonline_begin(&j, text, sizeof(text));
	rf_jsonline_address(&j, "instance", instance);
	rf_jsonline_number(&j, "seq", was.seq);
	rf_jsonline_text(&j, "type", any(2) ? "end" : "decision", 16);
	assert_int_equal(rf_chain_seal(&j, was.prev, hash), 0);
	if (any(2))
		fake_log_drop(l, at);
	fake_log_add(l, at, text, j.len - 1);
}

static void a_thousand_tamperings(void **state)
{
	static void (*const ways[])(
		struct fake_log * l) = { flip_a_byte, drop_a_line,   swap_lines,   duplicate_a_line,
					 truncate_it, insert_a_line, edit_a_field, forge_a_line };
	size_t len, before;
	char *whole = fake_log_text(&base, &before), *text;
	unsigned int cut = 0;

	for (int i = 0; i < 1000; i++) {
		enum rf_verdict_of_log v;
		bool same;

		fake_log_copy(&touched, &base);
		ways[i % 8](&touched);
		text = fake_log_text(&touched, &len);
		same = len == before && !memcmp(text, whole, len);
		free(text);
		assert_false(same);
		v = fake_log_verify(&touched, 1);
		if (v == RF_LOG_INTACT || (!fake_findings && touched.count))
			print_message("number %d was not fake_found\n", i);
		assert_int_not_equal(v, RF_LOG_INTACT);
		/* But for a cut, it is not left at "who knows". */
		cut += v == RF_LOG_OPEN_END;
		if (ways[i % 8] != truncate_it && ways[i % 8] != insert_a_line &&
		    !(ways[i % 8] == drop_a_line && v == RF_LOG_OPEN_END) &&
		    !(ways[i % 8] == flip_a_byte && v == RF_LOG_OPEN_END))
			assert_int_equal(v, RF_LOG_NOT_INTACT);
	}
	assert_in_range(cut, 100, 140);
	free(whole);
	fake_log_drop_all(&touched);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(intact),
		TEST(one_changed),
		TEST(changed_and_hashed),
		TEST(some_dropped),
		TEST(one_moved),
		TEST(one_twice),
		TEST(some_added),
		TEST(cut_at_the_end),
		TEST(behind_its_end),
		TEST(nothing_to_check),
		TEST(rotated),
		TEST(torn_and_told),
		TEST(gap_told),
		TEST(a_thousand_tamperings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
