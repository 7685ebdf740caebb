// SPDX-License-Identifier: LGPL-2.1-or-later
/* The verifier: logs of two VMs as the monitors write them are intact, and a thousand ways to touch
 * one of them are fake_found. */
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
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "policy/audit.h"
#include "policy/chain.h"
#include "policy/verify.h"
#include "tests/unit/fake_log.h"
#include "tests/unit/leave_out.h"

#define ONE FAKE_LOG_ONE
#define TWO FAKE_LOG_TWO

int fdatasync(int fd);
int fdatasync(int fd)
{
	return 0;
}

/* What another VM's monitor does just before a write of ours. */
static void (*before_write)(void);

ssize_t write(int fd, const void *data, size_t size);
ssize_t write(int fd, const void *data, size_t size)
{
	void (*meanwhile)(void) = before_write;

	before_write = NULL;
	if (meanwhile)
		meanwhile();
	return syscall(SYS_write, fd, data, size);
}

static struct fake_log base, touched;

/* --- the log ------------------------------------------------------------------ */

static int setup(void **state)
{
	fake_log_drop_all(&touched);
	return fake_log_two_vms(&base);
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
	struct rf_audit *a = fake_log_writer(TWO);

	fake_log_write(a, 1);
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
	assert_int_equal(truncate(fake_log_path, 0), 0);
	a = fake_log_writer(ONE);
	fake_log_write(a, 3);
	fd = open(fake_log_path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, base.line[0], 100), 100);
	close(fd);
	fake_log_write(a, 3);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	fake_log_read(&touched);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
	assert_int_equal(fake_findings, 1);
	fake_log_assert_found(0, RF_FOUND_TORN_TOLD, 0, 0, 5);
	/* It excuses another one that stands behind the same record, */
	fake_log_add(&touched, 4, base.line[0], 100);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
	fake_log_assert_found(0, RF_FOUND_TORN_TOLD, 0, 0, 5);
	fake_log_assert_found(1, RF_FOUND_TORN_TOLD, 0, 0, 6);
	/* and no other one. */
	fake_log_add(&touched, 3, base.line[0], 100);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	fake_log_assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 4);
	fake_log_assert_found(1, RF_FOUND_TORN_TOLD, 0, 0, 6);
	fake_log_assert_found(2, RF_FOUND_TORN_TOLD, 0, 0, 7);
	fake_log_drop_all(&touched);
}

static void room_for(off_t bytes)
{
	struct rlimit l;
	struct stat st;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(stat(fake_log_path, &st), 0);
	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes < 0 ? l.rlim_max : (rlim_t)(st.st_size + bytes);
	setrlimit(RLIMIT_FSIZE, &l);
}

static void tear(struct rf_audit *a, off_t room)
{
	room_for(room);
	assert_int_equal(rf_audit_outcome(a, 9, "ok"), -EFBIG);
	room_for(-1);
}

static struct rf_audit *anew(void)
{
	fake_log_drop_all(&touched);
	assert_int_equal(truncate(fake_log_path, 0), 0);
	return fake_log_writer(ONE);
}

static void assert_intact(size_t torn)
{
	fake_log_drop_all(&touched);
	fake_log_read(&touched);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
	assert_int_equal(fake_findings, torn);
	for (size_t i = 0; i < torn; i++)
		assert_int_equal(fake_found[i].kind, RF_FOUND_TORN_TOLD);
	fake_log_drop_all(&touched);
}

static void end(struct rf_audit *a)
{
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
}

/* A disk that is full, however often it is tried and whoever tries it next: half a line, and
 * another half; the newline alone. */
static void torn_again(void **state)
{
	static const off_t second[] = { 100, 1, 2 };

	for (size_t i = 0; i < 3; i++)
		for (int who = 0; who < 3; who++) {
			struct rf_audit *a = anew(), *b = fake_log_writer(TWO);

			fake_log_write(a, 1);
			tear(a, 100);
			tear(a, second[i]);
			if (who == 1) /* the next monitor */
				rf_audit_close(a);
			if (who == 1)
				a = fake_log_writer(ONE);
			fake_log_write(who == 2 ? b : a, 1);
			end(a);
			end(b);
			assert_intact(second[i] == 1 ? 1 : 2);
		}
}

static struct rf_audit *other;
static off_t others_room;

static void another_tears(void)
{
	tear(other, others_room);
}

/* Half a line of another VM's comes between the look at the log's end and the write: the line is
 * written once more. */
static void glued(void **state)
{
	for (others_room = 1; others_room < 120; others_room++) {
		struct rf_audit *a = anew();

		other = fake_log_writer(TWO);
		fake_log_write(a, 1);
		fake_log_write(other, 1);
		before_write = another_tears;
		fake_log_write(a, 1);
		assert_null(before_write);
		fake_log_write(a, 1);
		fake_log_write(other, 1);
		end(a);
		end(other);
		assert_intact(1);
	}
}

/* Instead of half a line, or beside it, somebody puts what others take for a record. */
static void put_before_it(void **state)
{
	static const char *const no_half[] = {
		"{\"type\":\"decision\",\"type\":\"decision\",\"verdict\":\"allowed\"}",
		"{\"type\":\"decision\",\"detail\":\"\xff\"}",
		"{\"type\":\"decision\"},",
		"{\"type\":\"decision\"}{",
		"{\"type\":\"decision\"}{\"time\":\"",
		"x{\"type\":\"decision\"}",
		"[{\"type\":\"decision\"}]",
		"[]",
		"x",
	};
	struct rf_audit *a = anew();

	fake_log_write(a, 1);
	tear(a, 100);
	fake_log_write(a, 1);
	end(a);
	for (size_t i = 0; i < sizeof(no_half) / sizeof(no_half[0]); i++) {
		fake_log_drop_all(&touched);
		fake_log_read(&touched);
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_INTACT);
		fake_log_add(&touched, 1, no_half[i], strlen(no_half[i]));
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
		assert_int_equal(fake_findings, 2);
		fake_log_assert_found(0, RF_FOUND_NO_RECORD, 0, 0, 2);
		fake_log_assert_found(1, RF_FOUND_TORN_TOLD, 0, 0, 3);
		fake_log_drop(&touched, 2);
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
		assert_int_equal(fake_findings, 1);
	}
	fake_log_drop_all(&touched);
}

/* Wherever a line is torn, it is one; alone, and with another one glued to it. */
static void torn_anywhere(void **state)
{
	static const char what[] =
		"{\"time\":\"t\",\"target\":{\"symbol\":\"a{}}\\\"}\",\"addr\":"
		"\"0x1\"},\"detail\":\"{\\\\\",\"answer\":{\"table\":{\"base\":1}}}";
	char line[2 * sizeof(what)];

	for (size_t len = 1; len < sizeof(what) - 1; len++)
		for (int twice = 0; twice < 2; twice++) {
			struct rf_audit *a = anew();
			int fd = open(fake_log_path, O_WRONLY | O_APPEND), n;

			n = snprintf(line, sizeof(line), "%.*s%s", (int)len, what,
				     twice ? what : "");
			fake_log_write(a, 1);
			assert_int_equal(write(fd, line, (size_t)n), n);
			close(fd);
			fake_log_write(a, 1);
			end(a);
			assert_intact(1);
		}
}

/* What a power cut may leave of the last line, and what it does not. */
static void zeros_of_a_power_cut(void **state)
{
	static const struct {
		size_t text, zeros, more; /* bytes of a record, zeros, its last bytes */
		bool may_be;
	} cuts[] = {
		{ 30, 512, 40, true },	 { 30, 1024, 40, true },  { 0, 100, 40, true },
		{ 30, 100, 0, true },	 { 30, 100, 40, false },  { 30, 513, 40, false },
		{ 4096, 1, 0, true },	 { 4096, 5000, 0, true }, { 4096, 512, 40, false },
		{ 0, 5000, 4096, true },
	};
	const size_t all = base.len[0];
	static char line[16384];

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		size_t text = cuts[i].text < all ? cuts[i].text : all;
		size_t more = cuts[i].more < all ? cuts[i].more : all;
		struct rf_audit *a = anew();
		int fd = open(fake_log_path, O_WRONLY | O_APPEND);

		memset(line, 0, sizeof(line));
		memcpy(line, base.line[0], text);
		memcpy(line + text + cuts[i].zeros, base.line[0] + all - more, more);
		/* The next start is another instance, and the file is all it has. */
		assert_true(write(fd, line, text + cuts[i].zeros + more) > 0);
		close(fd);
		fake_log_write(a, 1);
		end(a);
		fake_log_drop_all(&touched);
		fake_log_read(&touched);
		fake_log_verify(&touched, 1);
		assert_true(fake_findings >= 1);
		assert_string_equal(
			rf_finding_text(fake_found[0].kind),
			rf_finding_text(cuts[i].may_be ? RF_FOUND_TORN_TOLD : RF_FOUND_NO_RECORD));
		assert_int_equal(fake_found[0].line, 1);
		/* Where no record says so they were put there. */
		fake_log_add(&touched, 2, line, text + cuts[i].zeros + more);
		assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	}
	fake_log_drop_all(&touched);
}

/* The monitor is killed before it can write it once more. */
static void glued_and_killed(void **state)
{
	struct rf_audit *a = anew();
	int fd;

	fake_log_write(a, 1);
	rf_audit_close(a);
	fake_log_read(&touched);
	fd = open(fake_log_path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, base.line[2], 50), 50);
	assert_int_equal(write(fd, base.line[3], base.len[3]), base.len[3]);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	a = fake_log_writer(ONE);
	fake_log_write(a, 1);
	end(a);
	assert_intact(1);
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
		assert_int_equal(truncate(fake_log_path, 0), 0);
		assert_int_equal(
			rf_audit_open_setup(open(fake_log_path, O_RDWR | O_APPEND), &how, &a), 0);
		fake_log_write(a, 6);
		if (i)
			rf_audit_end(a, NULL);
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

/* A gap tells of the lines right before it, and of all of them. */
static void gap_of_other_lines(void **state)
{
	static const struct {
		uint64_t to;
		enum rf_finding_kind kind;
	} gaps[] = { { 8, RF_FOUND_LOST_TOLD },
		     { 7, RF_FOUND_LOST },
		     { 9, RF_FOUND_LOST },
		     { 0, RF_FOUND_LOST } };
	static const uint8_t none[RF_CHAIN_BYTES];
	static struct fake_log alone;
	uint8_t hash[RF_CHAIN_BYTES];
	struct rf_jsonline j;
	char text[512];

	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		rf_jsonline_begin(&j, text, sizeof(text));
		rf_jsonline_text(&j, "vm", "one", 8);
		rf_jsonline_address(&j, "instance", ONE);
		rf_jsonline_number(&j, "seq", 9);
		rf_jsonline_text(&j, "type", "gap", 8);
		rf_jsonline_number(&j, "to", gaps[i].to);
		assert_int_equal(rf_chain_seal(&j, none, hash), 0);
		fake_log_add(&alone, 0, text, j.len - 1);
		assert_int_equal(fake_log_verify(&alone, 1), RF_LOG_NOT_INTACT);
		fake_log_assert_found(0, gaps[i].kind, ONE, 1, 1);
		fake_log_drop_all(&alone);
	}
}

/* --- logs that are made to take long ------------------------------------------------ */

static void count_findings(void *ctx, const struct rf_finding *f)
{
	uint64_t *of = ctx;

	of[f->kind]++;
}

static void line_of(struct rf_verify *v, uint64_t number, uint64_t instance, uint64_t seq)
{
	static const uint8_t prev[RF_CHAIN_BYTES];
	uint8_t hash[RF_CHAIN_BYTES];
	struct rf_jsonline j;
	char text[512];

	rf_jsonline_begin(&j, text, sizeof(text));
	rf_jsonline_address(&j, "instance", instance);
	rf_jsonline_number(&j, "seq", seq);
	assert_int_equal(rf_chain_seal(&j, prev, hash), 0);
	assert_int_equal(rf_verify_line(v, 0, number, text, j.len - 1, true), 0);
}

#define INSTANCES (rounds(40000))
#define HOLES (rounds(80000))

static void many_instances(void **state)
{
	uint64_t found[RF_FOUND_KINDS] = { 0 };
	struct rf_verify *v = rf_verify_create(count_findings, found);

	for (uint64_t n = 0; n < 2 * INSTANCES; n++)
		line_of(v, n + 1, 1 + n % INSTANCES, 1 + n / INSTANCES);
	assert_int_equal(rf_verify_finish(v), RF_LOG_NOT_INTACT);
	assert_int_equal(rf_verify_count(v), INSTANCES);
	assert_int_equal(found[RF_FOUND_NOT_LINKED], INSTANCES);
	assert_int_equal(found[RF_FOUND_OPEN_END], INSTANCES);
	assert_in_range(rf_verify_steps(v), 2 * INSTANCES, 8 * 2 * INSTANCES);
	rf_verify_destroy(v);
}

/* The last one first, then each second one: each makes a hole of its own. Or the first ones leave
 * the holes, and then they are filled. */
static void many_holes(void **state)
{
	for (int filled = 0; filled < 2; filled++) {
		uint64_t found[RF_FOUND_KINDS] = { 0 }, line = 0;
		struct rf_verify *v = rf_verify_create(count_findings, found);

		if (!filled)
			line_of(v, ++line, 1, 2 * HOLES + 2);
		for (uint64_t n = 1; n <= HOLES; n++)
			line_of(v, ++line, 1, 2 * n);
		for (uint64_t n = 1; filled && n <= HOLES; n++)
			line_of(v, ++line, 1, 2 * n - 1);
		line_of(v, ++line, 1, 4); /* it was there */
		rf_verify_finish(v);
		assert_int_equal(found[RF_FOUND_LOST], filled ? 0 : HOLES + 1);
		assert_int_equal(found[RF_FOUND_MOVED], HOLES);
		assert_int_equal(found[RF_FOUND_TWICE], 1);
		/* 17 for a search in all of them. */
		assert_in_range(rf_verify_steps(v), HOLES, 32 * line);
		rf_verify_destroy(v);
	}
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
		TEST(torn_again),
		TEST(glued),
		TEST(glued_and_killed),
		TEST(put_before_it),
		TEST(torn_anywhere),
		TEST(zeros_of_a_power_cut),
		TEST(gap_told),
		TEST(many_instances),
		TEST(many_holes),
		TEST(gap_of_other_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
