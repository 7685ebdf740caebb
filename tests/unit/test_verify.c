// SPDX-License-Identifier: LGPL-2.1-or-later
/* The verifier: logs of two VMs as the monitors write them are intact, and a thousand ways to touch
 * one of them are found. */
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

#define ONE UINT64_C(0xfedcba9876543210)
#define TWO UINT64_C(0x77)

int fdatasync(int fd);
int fdatasync(int fd)
{
	return 0;
}

/* --- a log in memory --------------------------------------------------------- */

#define LINES 512

struct log {
	char *line[LINES]; /* malloc'd, without newline */
	size_t len[LINES], count;
	bool torn; /* the last line has no newline */
};

static char path[32];
static struct log base, touched;

static void add_line(struct log *l, size_t at, const char *text, size_t len)
{
	assert_in_range(l->count, 0, LINES - 1);
	memmove(l->line + at + 1, l->line + at, (l->count - at) * sizeof(l->line[0]));
	memmove(l->len + at + 1, l->len + at, (l->count - at) * sizeof(l->len[0]));
	l->line[at] = malloc(len + 1);
	memcpy(l->line[at], text, len);
	l->line[at][len] = '\0';
	l->len[at] = len;
	l->count++;
}

static void drop_line(struct log *l, size_t at)
{
	free(l->line[at]);
	l->count--;
	memmove(l->line + at, l->line + at + 1, (l->count - at) * sizeof(l->line[0]));
	memmove(l->len + at, l->len + at + 1, (l->count - at) * sizeof(l->len[0]));
}

static void drop_all(struct log *l)
{
	while (l->count)
		drop_line(l, l->count - 1);
	l->torn = false;
}

static void parse(struct log *l, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		add_line(l, l->count, text, n);
		l->torn = !end;
		text += n + !!end;
		len -= n + !!end;
	}
}

static char *text_of(const struct log *l, size_t *len)
{
	char *text, *at;

	*len = 0;
	for (size_t i = 0; i < l->count; i++)
		*len += l->len[i] + 1;
	at = text = malloc(*len + 1);
	for (size_t i = 0; i < l->count; i++) {
		memcpy(at, l->line[i], l->len[i]);
		at += l->len[i];
		*at++ = '\n';
	}
	*len -= l->torn;
	return text;
}

static void read_log(struct log *l)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	parse(l, text, fread(text, 1, 1 << 20, f));
	fclose(f);
	free(text);
}

static void copy(struct log *to, const struct log *from)
{
	drop_all(to);
	for (size_t i = 0; i < from->count; i++)
		add_line(to, i, from->line[i], from->len[i]);
}

/* --- what the verifier says --------------------------------------------------- */

static struct rf_finding found[1024];
static size_t findings;
static struct rf_verified instances[16];
static size_t instance_count;

static void keep(void *ctx, const struct rf_finding *f)
{
	assert_non_null(rf_finding_text(f->kind));
	assert_in_range(findings, 0, 1023);
	found[findings++] = *f;
}

static enum rf_verdict_of_log verify(const struct log *logs, unsigned int files)
{
	struct rf_verify *v = rf_verify_create(keep, NULL);
	enum rf_verdict_of_log verdict;

	findings = 0;
	for (unsigned int f = 0; f < files; f++)
		for (size_t i = 0; i < logs[f].count; i++)
			assert_int_equal(rf_verify_line(v, f, i + 1, logs[f].line[i],
							logs[f].len[i],
							!logs[f].torn || i + 1 < logs[f].count),
					 0);
	verdict = rf_verify_finish(v);
	instance_count = rf_verify_count(v);
	for (size_t i = 0; i < instance_count && i < 16; i++)
		instances[i] = *rf_verify_instance(v, i);
	rf_verify_destroy(v);
	return verdict;
}

static void assert_found(size_t n, enum rf_finding_kind kind, uint64_t instance, uint64_t seq,
			 uint64_t line)
{
	assert_in_range(n, 0, findings - 1);
	assert_string_equal(rf_finding_text(found[n].kind), rf_finding_text(kind));
	assert_int_equal(found[n].instance, instance);
	assert_int_equal(found[n].seq, seq);
	assert_int_equal(found[n].line, line);
}

/* --- the log ------------------------------------------------------------------ */

static struct rf_audit *writer(uint64_t instance)
{
	struct rf_audit *a = NULL;

	assert_int_equal(rf_audit_open(path, instance == ONE ? "one" : "two", instance, &a), 0);
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

	strcpy(path, "/tmp/rf-verify-XXXXXX");
	fd = mkstemp(path);
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
	read_log(&base);
	drop_all(&touched);
	return 0;
}

static int teardown(void **state)
{
	drop_all(&base);
	unlink(path);
	return 0;
}

static void intact(void **state)
{
	assert_in_range(base.count, 190, 220);
	assert_int_equal(verify(&base, 1), RF_LOG_INTACT);
	assert_int_equal(findings, 0);
	assert_int_equal(instance_count, 2);
	assert_int_equal(instances[0].instance, ONE);
	assert_string_equal(instances[0].vm, "one");
	assert_int_equal(instances[0].first, 1);
	assert_int_equal(instances[0].last, 109);
	assert_int_equal(instances[0].records, 109);
	assert_true(instances[0].ended && instances[1].ended);
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

	copy(&touched, &base);
	digit = strstr(touched.line[at], "\"type\":\"") + 8;
	*digit = 'W';
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	/* Its hash. */
	copy(&touched, &base);
	digit = touched.line[at] + touched.len[at] - 3;
	*digit = *digit == '0' ? '1' : '0';
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	/* The members of the chain are no more. */
	copy(&touched, &base);
	touched.line[at][touched.len[at] - 3] = 'X';
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_CHANGED, ONE, 20, at + 1);
	drop_all(&touched);
}

/* Whoever changes a line and makes its hash anew: the next one names another. */
static void changed_and_hashed(void **state)
{
	size_t at = place_of(ONE, 20), next = place_of(ONE, 21);
	uint8_t hash[32];
	char hex[65], *end;

	copy(&touched, &base);
	strstr(touched.line[at], "\"type\":\"")[8] = 'W';
	end = strstr(touched.line[at], ",\"hash\":");
	crypto_hash_sha256(hash, (const uint8_t *)touched.line[at],
			   (size_t)(end - touched.line[at]));
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	memcpy(end + 9, hex, 64);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_NOT_LINKED, ONE, 21, next + 1);
	drop_all(&touched);
}

static void some_dropped(void **state)
{
	size_t at = place_of(TWO, 10);

	copy(&touched, &base);
	drop_line(&touched, at);
	drop_line(&touched, place_of(TWO, 11) - 1);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_LOST, TWO, 10, place_of(TWO, 12) - 1);
	assert_int_equal(found[0].to, 11);
	/* The first ones, as of a part that was rotated away. */
	copy(&touched, &base);
	drop_line(&touched, 0);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_found(0, RF_FOUND_LOST, ONE, 1, 1);
	drop_all(&touched);
}

static void one_moved(void **state)
{
	size_t a = place_of(ONE, 30), b = place_of(ONE, 31);
	char *line;

	copy(&touched, &base);
	assert_int_equal(touched.len[a], touched.len[b]); /* so that it may be done like this */
	line = touched.line[a];
	touched.line[a] = touched.line[b];
	touched.line[b] = line;
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_MOVED, ONE, 30, b + 1);
	assert_int_equal(instances[0].records, 109);
	drop_all(&touched);
}

static void one_twice(void **state)
{
	size_t at = place_of(ONE, 30);

	copy(&touched, &base);
	add_line(&touched, at + 4, base.line[at], base.len[at]);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_TWICE, ONE, 30, at + 5);
	drop_all(&touched);
}

static void some_added(void **state)
{
	static const char older[] = "{\"type\":\"decision\",\"instance\":\"0x77\",\"event\":3}";
	static const char theirs[] = "{\"type\":\"decision\",\"instance\":\"0x78\",\"event\":3}";

	copy(&touched, &base);
	add_line(&touched, 50, "", 0);
	add_line(&touched, 60, "[]", 2);
	add_line(&touched, 70, older, sizeof(older) - 1);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 3);
	assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 51);
	assert_found(1, RF_FOUND_NO_RECORD, 0, 0, 61);
	assert_found(2, RF_FOUND_ADDED, TWO, 0, 71);
	/* Of an older version, of a VM that has no chain: they cannot be checked. */
	copy(&touched, &base);
	add_line(&touched, 70, theirs, sizeof(theirs) - 1);
	add_line(&touched, 80, theirs, sizeof(theirs) - 1);
	assert_int_equal(verify(&touched, 1), RF_LOG_CANNOT_TELL);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_NOT_CHAINED, 0x78, 0, 71);
	assert_int_equal(found[0].to, 2);
	drop_all(&touched);
}

static void cut_at_the_end(void **state)
{
	copy(&touched, &base);
	drop_line(&touched, touched.count - 1);
	assert_int_equal(verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_OPEN_END, ONE, 108, place_of(ONE, 108) + 1);
	assert_int_equal(instances[1].verdict, RF_LOG_INTACT);
	/* In a line. */
	touched.line[touched.count - 1][--touched.len[touched.count - 1]] = '\0';
	touched.torn = true;
	assert_int_equal(verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(findings, 3);
	assert_found(0, RF_FOUND_TORN, 0, 0, touched.count);
	/* The newline alone. */
	copy(&touched, &base);
	touched.torn = true;
	assert_int_equal(verify(&touched, 1), RF_LOG_OPEN_END);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_TORN, 0, 0, touched.count);
	drop_all(&touched);
}

static void behind_its_end(void **state)
{
	struct rf_audit *a = writer(TWO);

	write_some(a, 1);
	rf_audit_close(a);
	read_log(&touched);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_found(0, RF_FOUND_AFTER_END, TWO, touched.count - 109, touched.count);
	drop_all(&touched);
}

static void nothing_to_check(void **state)
{
	assert_int_equal(verify(&touched, 1), RF_LOG_CANNOT_TELL);
	add_line(&touched, 0, "noise", 5);
	assert_int_equal(verify(&touched, 1), RF_LOG_CANNOT_TELL);
	add_line(&touched, 0, "{}", 2);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	drop_all(&touched);
}

/* Parts of a rotated log, in their order and not. */
static void rotated(void **state)
{
	static struct log parts[3], back[3];

	for (size_t i = 0; i < base.count; i++) {
		struct log *l = &parts[3 * i / base.count];

		add_line(l, l->count, base.line[i], base.len[i]);
	}
	assert_int_equal(verify(parts, 3), RF_LOG_INTACT);
	assert_int_equal(verify(parts, 2), RF_LOG_OPEN_END);
	assert_int_equal(verify(parts + 1, 2), RF_LOG_NOT_INTACT);
	assert_found(0, RF_FOUND_LOST, instances[0].instance, 1, 1);
	for (int i = 0; i < 3; i++)
		back[i] = parts[2 - i];
	assert_int_equal(verify(back, 3), RF_LOG_NOT_INTACT);
	assert_int_equal(found[0].kind, RF_FOUND_MOVED);
	for (int i = 0; i < 3; i++)
		drop_all(&parts[i]);
}

/* --- what its writers leave by themselves ---------------------------------------- */

static void torn_and_told(void **state)
{
	struct rf_audit *a;
	int fd;

	drop_all(&touched);
	truncate(path, 0);
	a = writer(ONE);
	write_some(a, 3);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, base.line[0], 100), 100);
	close(fd);
	write_some(a, 3);
	rf_audit_end(a);
	rf_audit_close(a);
	read_log(&touched);
	assert_int_equal(verify(&touched, 1), RF_LOG_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_TORN_TOLD, 0, 0, 5);
	/* It excuses no other one. */
	add_line(&touched, 4, base.line[0], 100);
	assert_int_equal(verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 5);
	assert_found(1, RF_FOUND_TORN_TOLD, 0, 0, 6);
	drop_all(&touched);
}

/* A log that was emptied under its monitor's successor; and its parts together. */
static void gap_told(void **state)
{
	static struct log parts[2];
	struct rf_audit_setup how = { .vm = "one", .instance = ONE };
	static struct rf_chain chain;
	struct rf_audit *a;

	rf_chain_init(&chain);
	how.chain = &chain;
	for (int i = 0; i < 2; i++) {
		truncate(path, 0);
		assert_int_equal(rf_audit_open_setup(open(path, O_RDWR | O_APPEND), &how, &a), 0);
		write_some(a, 6);
		if (i)
			rf_audit_end(a);
		rf_audit_close(a);
		read_log(&parts[i]);
	}
	assert_int_equal(verify(parts + 1, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(findings, 1);
	assert_found(0, RF_FOUND_LOST_TOLD, ONE, 1, 1);
	assert_int_equal(found[0].to, 8);
	/* With the part that it is missing from, nothing is. */
	assert_int_equal(verify(parts, 2), RF_LOG_INTACT);
	assert_int_equal(findings, 0);
	drop_all(&parts[0]);
	drop_all(&parts[1]);
}

/* --- a thousand tamperings --------------------------------------------------------- */

static unsigned int seed = 20240501;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

static void flip_a_byte(struct log *l)
{
	size_t len, at;
	char *text = text_of(l, &len);

	at = any(len);
	text[at] ^= (char)(1 << any(8));
	drop_all(l);
	parse(l, text, len);
	free(text);
}

static void drop_a_line(struct log *l)
{
	drop_line(l, any(l->count));
}

/* Of one instance: between two, the order is in no chain. */
static void swap_lines(struct log *l)
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

static void duplicate_a_line(struct log *l)
{
	size_t from = any(l->count);

	add_line(l, any(l->count + 1), base.line[from], base.len[from]);
}

static void truncate_it(struct log *l)
{
	size_t len;
	char *text = text_of(l, &len);

	drop_all(l);
	parse(l, text, any(len));
	free(text);
}

static void insert_a_line(struct log *l)
{
	static const char *const lines[] = { "",
					     "x",
					     "{}",
					     "null",
					     "{\"type\":\"end\"}",
					     "{\"instance\":\"0x77\",\"seq\":3,\"type\":\"gap\"}" };
	const char *line = lines[any(6)];

	add_line(l, any(l->count + 1), line, strlen(line));
}

static void edit_a_field(struct log *l)
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
static void forge_a_line(struct log *l)
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
		drop_line(l, at);
	add_line(l, at, text, j.len - 1);
}

static void a_thousand_tamperings(void **state)
{
	static void (*const ways[])(
		struct log * l) = { flip_a_byte, drop_a_line,	swap_lines,   duplicate_a_line,
				    truncate_it, insert_a_line, edit_a_field, forge_a_line };
	size_t len, before;
	char *whole = text_of(&base, &before), *text;
	unsigned int cut = 0;

	for (int i = 0; i < 1000; i++) {
		enum rf_verdict_of_log v;
		bool same;

		copy(&touched, &base);
		ways[i % 8](&touched);
		text = text_of(&touched, &len);
		same = len == before && !memcmp(text, whole, len);
		free(text);
		assert_false(same);
		v = verify(&touched, 1);
		if (v == RF_LOG_INTACT || (!findings && touched.count))
			print_message("number %d was not found\n", i);
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
	drop_all(&touched);
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
