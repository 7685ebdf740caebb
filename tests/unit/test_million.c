// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A million denials of one VM, and what becomes of them on record: each is in a line or in a count,
 * exactly, of each key; the log keeps to its quota; another VM's log, beside it, is what it is
 * without them, to the byte, and flushed as often at each step.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_recorders.h"

#define DENIALS 1000000u
#define KEYS 12u
#define MS UINT64_C(1000000)
#define EACH_MS 1u   /* a denial */
#define LOOP 100u    /* denials between two turns of the monitor's loop */
#define OTHERS 1000u /* between two of the other VM */

#define flooded (&recorders[0])
#define other (&recorders[1])

static char other_path[40];

/* --- the other VM ----------------------------------------------------------------- */

struct trace {
	char *log;
	size_t len, steps;
	struct {
		uint64_t writes, flushes;
		int answered;
		bool counted;
	} step[DENIALS / OTHERS];
};

static void other_begins(void)
{
	int fd;

	snprintf(other_path, sizeof(other_path), "%s.2", recorders_path);
	fd = open(other_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fake_disk_begin(fd);
	close(fd);
	other->path = other_path;
	recorder_begin(other);
}

static void other_acts(struct trace *t)
{
	unsigned int place = (unsigned int)t->steps / 40 % 5;
	const struct rf_record r = recorder_denial(other, place);

	t->step[t->steps].answered = rf_record_write(&other->guest, &r);
	t->step[t->steps].counted = !rf_audit_has_event(other->guest.audit, r.event);
	recorder_tick(other);
	t->step[t->steps].writes = fake_disk_writes();
	t->step[t->steps].flushes = fake_disk_flushes();
	t->steps++;
}

static void other_ends(struct trace *t)
{
	assert_true(recorder_end(other));
	t->log = recorders_bytes(other_path, &t->len);
	unlink(other_path);
}

static void assert_same(const struct trace *a, const struct trace *b)
{
	assert_int_equal(a->steps, DENIALS / OTHERS);
	assert_int_equal(b->steps, a->steps);
	for (size_t i = 0; i < a->steps; i++) {
		assert_int_equal(a->step[i].answered, 0);
		assert_memory_equal(&a->step[i], &b->step[i], sizeof(a->step[i]));
	}
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->log, b->log, a->len);
}

/* --- the flood -------------------------------------------------------------------- */

static unsigned int place_of(unsigned int n)
{
	return n * 7 % KEYS;
}

static void deny(unsigned int n)
{
	const struct rf_record r = recorder_denial(flooded, place_of(n));

	assert_int_equal(rf_record_write(&flooded->guest, &r), 0);
}

/* The same time passes for the other VM, with the flood or without. */
static void run(bool flood, struct trace *t)
{
	other_begins();
	for (unsigned int n = 0; n < DENIALS; n++) {
		if (flood)
			deny(n);
		if (flood && n % LOOP == 0)
			recorder_tick(flooded);
		if (n % OTHERS == 0)
			other_acts(t);
		recorders_pass(EACH_MS * MS);
	}
	other_ends(t);
}

/* --- what is on record -------------------------------------------------------------- */

struct sums {
	uint64_t full[KEYS], counted[KEYS], lines, unwritten;
};

static void add(struct sums *s, const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type")) ?: "";
	uint64_t addr, key;

	s->lines++;
	if (!strcmp(type, "unwritten"))
		s->unwritten += (uint64_t)json_integer_value(json_object_get(o, "decisions"));
	if (strcmp(type, "decision") != 0 && strcmp(type, "folded") != 0)
		return;
	assert_true(rf_chain_address(json_object_get(o, "target"), "addr", &addr));
	key = (addr - RECORDER_PLACE(0)) / 8;
	assert_in_range(key, 0, KEYS - 1);
	if (!strcmp(type, "decision"))
		s->full[key]++;
	else
		s->counted[key] += (uint64_t)json_integer_value(json_object_get(o, "count"));
}

static struct sums read_sums(void)
{
	struct sums s = { .lines = 0 };
	FILE *log = fopen(recorders_path, "r");
	char *line = NULL;
	size_t room = 0;

	assert_non_null(log);
	while (getline(&line, &room, log) > 0) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(o);
		add(&s, o);
		json_decref(o);
	}
	free(line);
	fclose(log);
	return s;
}

/* Of each key what was decided about it, and so of all. */
static void all_on_record(const struct sums *s)
{
	uint64_t decided[KEYS] = { 0 }, sum = 0;

	for (unsigned int n = 0; n < DENIALS; n++)
		decided[place_of(n)]++;
	for (unsigned int key = 0; key < KEYS; key++) {
		assert_int_equal(s->full[key] + s->counted[key], decided[key]);
		assert_true(s->full[key] > 0);
		sum += decided[key];
	}
	assert_int_equal(sum, DENIALS);
}

static off_t flood(uint32_t quota_mb, struct sums *s)
{
	static struct trace alone, beside;
	struct recorded_log log;
	struct stat st;

	alone = beside = (struct trace){ .log = NULL };
	run(false, &alone);
	assert_int_equal(recorders_teardown(NULL), 0);
	assert_int_equal(recorders_setup(NULL), 0);
	recorder_begin(flooded);
	flooded->guest.policy.log_quota_mb = quota_mb;
	run(true, &beside);
	assert_int_equal(flooded->guest.counted[RF_WORD_BLOCKED] +
				 rf_audit_count(flooded->guest.audit, RF_WORD_BLOCKED),
			 DENIALS);
	assert_true(recorder_end(flooded));
	assert_same(&alone, &beside);
	*s = read_sums();
	all_on_record(s);
	log = recorders_read(true);
	assert_int_equal(log.verdict, RF_LOG_INTACT);
	assert_true(log.of[0].ended);
	assert_int_equal(stat(recorders_path, &st), 0);
	print_message("%u denials in %llu lines, %lld bytes; beside them %zu bytes of another VM\n",
		      DENIALS, (unsigned long long)s->lines, (long long)st.st_size, beside.len);
	free(alone.log);
	free(beside.log);
	return st.st_size;
}

static void a_million(void **state)
{
	struct sums s;

	assert_in_range(flood(256, &s), 1, 4 << 20);
	assert_int_equal(s.unwritten, 0);
}

/* The quota is met on the way: from there on all are counted, and written in what it leaves for the
 * end. */
static void beyond_the_quota(void **state)
{
	struct sums s;

	assert_in_range(flood(1, &s), 1, 1 << 20);
	assert_in_range(s.unwritten, DENIALS / 4, DENIALS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, recorders_setup, recorders_teardown)
		T(a_million),
		T(beyond_the_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
