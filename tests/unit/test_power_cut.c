// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the log has after a power cut, and after a process was killed, at each moment of its
 * writers' work: what was answered is there, or its loss is told; nothing is taken for tampering;
 * the next start writes on.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_disk.h"
#include "tests/unit/fake_recorders.h"

#define STEPS 20
#define SEEDS 3

static unsigned int lost; /* states in which counts were lost */

static uint64_t decided(const struct recorder *r, size_t ops)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->acks; i++)
		n += r->ack[i].ops <= ops;
	return n;
}

/* What was answered by then, and written. */
static uint64_t not_there(const struct recorder *r, const struct recorded *have, size_t ops)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->acks; i++)
		n += r->ack[i].ops <= ops && !r->ack[i].counted && !have->event[r->ack[i].event];
	return n;
}

/* Lines may be missing at an end, and be torn. Nothing else is found, of nobody. */
static void no_false_alarm(const struct recorded_log *log)
{
	static const enum rf_finding_kind may[] = { RF_FOUND_OPEN_END, RF_FOUND_NOT_COVERED,
						    RF_FOUND_TORN_TOLD, RF_FOUND_NO_CHECKPOINT,
						    RF_FOUND_UNWRITTEN };

	for (int k = 0; k < RF_FOUND_KINDS; k++) {
		bool is_legal = false;

		for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
			is_legal |= may[i] == (enum rf_finding_kind)k;
		if (log->found[k] && !is_legal)
			print_message("found: %s\n", rf_finding_text(k));
		assert_true(!log->found[k] || is_legal);
	}
}

/* What `run` starts next: another instance, that knows nothing of those before it. */
static void next_start(void)
{
	struct recorder *next = &recorders[RECORDERS - 1];

	next->events = next->acks = 0;
	memset(&next->fold, 0, sizeof(next->fold));
	rf_chain_init(&next->chain);
	recorder_begin(next);
	assert_int_equal(rf_note(&next->guest, "kernel", "found", NULL), 0);
	recorder_deny(next, 1);
	assert_true(recorder_end(next));
}

static void cut_at(size_t ops, enum fake_disk_left left, unsigned int *seed)
{
	struct recorded_log log;
	char *text;
	size_t len;

	text = fake_disk_cut(ops, left, seed, &len);
	recorders_log(text, len);
	free(text);
	next_start();
	for (int with_key = 0; with_key < 2; with_key++) {
		log = recorders_read(with_key);
		no_false_alarm(&log);
		assert_int_equal(log.of[RECORDERS - 1].verdict, RF_LOG_INTACT);
		assert_int_equal(log.of[RECORDERS - 1].full, 1);
		for (unsigned int i = 0; i < RECORDERS - 1; i++) {
			struct recorded *have = &log.of[i];

			assert_int_equal(not_there(&recorders[i], have, ops), 0);
			/* Counts that were in no line are gone with the host: told as an end that
			 * is not there. */
			if (have->full + have->counted < decided(&recorders[i], ops)) {
				assert_true(have->open_end);
				lost++;
			}
		}
	}
}

/* Each moment of some work, and each thing that a disk may have of it. */
static void at_each_moment(void **state)
{
	unsigned int seed = 1, states = 0;

	for (unsigned int n = 0; n < SEEDS; n++) {
		assert_int_equal(recorders_setup(state), 0);
		if (n == 2)
			fake_disk_fill_at(STEPS / 2, 3, 100);
		recorders_work(n + 1, STEPS);
		if (n)
			assert_true(recorder_end(&recorders[1]));
		assert_true(recorders[0].acks && recorders[1].acks);
		for (size_t ops = 0; ops <= fake_disk_ops(); ops++)
			for (int left = 0; left < FAKE_DISK_KINDS; left++) {
				if (left != FAKE_DISK_NONE && !fake_disk_is_dirty(ops))
					continue;
				cut_at(ops, (enum fake_disk_left)left, &seed);
				states++;
			}
		assert_int_equal(recorders_teardown(state), 0);
	}
	assert_true(lost);
	print_message("%u states of the disk\n", states);
}

/*
 * What the kernel could not flush it lets go of, and says so once. It was not answered for, so it
 * is counted. Where its newline was, too, are zeros: the next line is glued to them, which is
 * found.
 */
static void flush_fails(uint64_t n, enum fake_disk_left left, void **state)
{
	struct recorded_log log;
	unsigned int seed = 1;
	uint64_t missing = 0;
	bool is_gone;
	char *text;
	size_t len;

	assert_int_equal(recorders_setup(state), 0);
	fake_disk_fail_flush(n, 1);
	recorders_work(5, STEPS / 2);
	assert_true(recorder_end(&recorders[0]) && recorder_end(&recorders[1]));
	text = fake_disk_cut(fake_disk_ops(), left, &seed, &len);
	recorders_log(text, len);
	free(text);
	log = recorders_read(true);
	is_gone = left == FAKE_DISK_NONE && fake_disk_has_lost();
	assert_int_equal(log.verdict, is_gone ? RF_LOG_NOT_INTACT : RF_LOG_INTACT);
	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		const struct recorder *r = &recorders[i];
		uint64_t have = log.of[i].full + log.of[i].counted;

		assert_int_equal(r->refused, 0);
		assert_in_range(have, r->events - is_gone, r->events + !is_gone);
		missing += not_there(r, &log.of[i], SIZE_MAX);
	}
	assert_in_range(missing, 0, is_gone);
	assert_true(!is_gone || log.found[RF_FOUND_LOST]);
	assert_int_equal(recorders_teardown(state), 0);
}

static void each_flush_fails(void **state)
{
	uint64_t flushes;

	assert_false(fake_disk_has_lost());
	assert_int_equal(recorders_setup(state), 0);
	recorders_work(5, STEPS / 2);
	flushes = fake_disk_flushes();
	assert_int_equal(recorders_teardown(state), 0);
	assert_true(flushes > STEPS / 2);
	for (uint64_t n = 0; n < flushes; n++) {
		flush_fails(n, FAKE_DISK_ALL, state);
		flush_fails(n, FAKE_DISK_NONE, state);
	}
}

/* Who wrote the last line died before it had flushed it. Whoever answers by that line does. */
static void read_back_is_flushed(void **state)
{
	struct recorder *r, was;
	char *bytes;
	size_t len;
	int fd;

	assert_int_equal(recorders_setup(state), 0);
	r = &recorders[0];
	recorder_begin(r);
	recorder_deny(r, 1);
	recorder_drop(r);
	was = *r;
	bytes = recorders_bytes(recorders_path, &len);
	assert_int_equal(recorders_teardown(state), 0);
	assert_int_equal(recorders_setup(state), 0);
	r = &recorders[0];
	r->chain = was.chain;
	r->fold = was.fold;
	fd = open(recorders_path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
	free(bytes);
	assert_true(fake_disk_is_dirty(fake_disk_ops()));
	recorder_begin(r);
	assert_true(rf_audit_has_event(r->guest.audit, 1));
	assert_false(fake_disk_is_dirty(fake_disk_ops()));
	assert_int_equal(recorders_teardown(state), 0);
}

/* --- kill -9 ------------------------------------------------------------------- */

/* The process of all monitors dies before that operation. False: it came to its end before. */
static bool killed_at(size_t ops, bool half, unsigned int seed)
{
	pid_t child = fork();
	int status;

	if (!child) {
		fake_disk_kill_at(ops, half);
		recorders_work(seed, STEPS / 2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	for (unsigned int i = 0; i < RECORDERS; i++)
		recorders[i].guest.audit = NULL; /* the dead process's */
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return false;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return true;
}

/* Each has its lines and its counts: exactly what was decided, but for what was under way. */
static void taken_over(void)
{
	struct recorded_log log;

	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		recorder_begin(&recorders[i]);
		recorder_deny(&recorders[i], 2);
		assert_true(recorder_end(&recorders[i]));
	}
	log = recorders_read(true);
	no_false_alarm(&log);
	assert_int_equal(log.verdict, RF_LOG_INTACT);
	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		const struct recorder *r = &recorders[i];

		assert_int_equal(r->refused, 0);
		assert_int_equal(not_there(r, &log.of[i], SIZE_MAX), 0);
		assert_in_range(log.of[i].full + log.of[i].counted, r->acks, r->events);
		assert_in_range(r->events, r->acks, r->acks + 1);
	}
}

static void killed_at_each_moment(void **state)
{
	unsigned int kills = 0;
	bool more = true;

	for (size_t ops = 0; more; ops++)
		for (int half = 0; half < 2; half++) {
			assert_int_equal(recorders_setup(state), 0);
			more = killed_at(ops, half, 7);
			if (more)
				taken_over();
			kills += more;
			assert_int_equal(recorders_teardown(state), 0);
		}
	assert_true(kills > STEPS);
	print_message("%u times killed\n", kills);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_each_moment),
		cmocka_unit_test(each_flush_fails),
		cmocka_unit_test(read_back_is_flushed),
		cmocka_unit_test(killed_at_each_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
