// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is counted while the log takes nothing: each decision once, wherever the process dies. */
#include "tests/unit/fold_fix.h"

static void limit(off_t to)
{
	const struct rlimit l = { (rlim_t)to, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Room for all of the line but its newline. */
static void stands_but_for_its_newline(struct rf_audit *a)
{
	struct rf_fold *before = malloc(sizeof(*before));
	char text[8192], *end;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(fstat(fd, &st), 0);
	*before = *f;
	for (off_t len = 200;; len++) {
		limit(st.st_size + len);
		assert_int_not_equal(rf_fold_flush(f, a, &now, true), 0);
		memset(text, 0, sizeof(text));
		assert_true(pread(fd, text, sizeof(text) - 1, st.st_size) == len);
		end = strchr(text, '}');
		if (!strchr(text, '\n') && text[len - 1] == '}' && end[1] != '\0' &&
		    strstr(text, "hash"))
			break;
		assert_int_equal(ftruncate(fd, st.st_size), 0);
		*f = *before;
	}
	limit(1 << 20);
	free(before);
	close(fd);
}

static bool flush_fails;

int fdatasync(int fd);
int fdatasync(int fd)
{
	errno = EIO;
	return flush_fails ? -1 : 0;
}

/* All of the line, and nobody knows whether it is on disk. */
static void stands_and_is_not_flushed(struct rf_audit *a)
{
	flush_fails = true;
	assert_int_not_equal(rf_fold_flush(f, a, &now, true), 0);
	flush_fails = false;
}

/* Its sums are those of its number, whatever is counted before it is known to stand. */
static void a_gap_that_stands(void (*stands)(struct rf_audit *a), bool dies)
{
	struct rf_record r = denied(1, 0x1000, 0x2000);
	struct rf_audit *a = open_log();
	struct sums s;

	signal(SIGXFSZ, SIG_IGN);
	rf_fold_gap_begin(f, -ENOSPC, &now);
	for (int i = 0; i < 100; i++)
		rf_fold_count(f, &r, &now);
	stands(a);
	/* As the monitor does when it fails: where the line was written the next one did. */
	rf_fold_gap_begin(f, -ENOSPC, &now);
	for (int i = 0; i < 50; i++)
		rf_fold_count(f, &r, &now);
	for (int i = 0; i < 3; i++)
		rf_fold_gap_missed(f);
	if (dies) {
		rf_audit_close(a);
		a = open_log();
		assert_int_equal(rf_fold_adopt(f, INSTANCE, rf_audit_written(a)), 0);
	}
	flush(a, true);
	rf_audit_close(a);
	assert_int_equal(f->gap.error, 0);
	s = read_log();
	assert_int_equal(s.gap, 150);
	assert_int_equal(s.lost, 3);
	assert_int_equal(s.folded, 150);
}

static void a_gap_that_stands_and_goes_on(void **state)
{
	a_gap_that_stands(stands_and_is_not_flushed, false);
}

static void a_gap_that_stands_at_a_death(void **state)
{
	a_gap_that_stands(stands_and_is_not_flushed, true);
}

static void a_gap_that_lacks_its_newline(void **state)
{
	a_gap_that_stands(stands_but_for_its_newline, false);
}

static void a_gap_that_lacks_its_newline_at_a_death(void **state)
{
	a_gap_that_stands(stands_but_for_its_newline, true);
}

/* Wherever it dies, all of the gap is in the line or in what comes after it. */
static void dies_while_a_gap_is_taken(void **state)
{
	struct rf_record r = denied(1, 0x1000, 0x2000);
	const struct rf_fold_line *l;

	rf_fold_gap_begin(f, -ENOSPC, &now);
	for (int i = 0; i < 10; i++)
		rf_fold_count(f, &r, &now);
	room = 64;
	snapshots = calloc(room, sizeof(*snapshots));
	taken = 0;
	l = rf_fold_next(f, &now, true);
	assert_int_equal(l->gap.decisions, 10);
	for (int i = 0; i < 5; i++)
		rf_fold_count(f, &r, &now);
	room = 0;
	assert_in_range(taken, 3, 64);
	for (size_t i = 0; i < taken; i++) {
		uint64_t decisions, lines, counted = snapshots[i].counted;

		counted += snapshots[i].step.state == RF_FOLD_TAKEN &&
			   snapshots[i].step.counted > counted;
		assert_int_equal(rf_fold_adopt(&snapshots[i], INSTANCE, 0), 0);
		rf_fold_gap_sums(&snapshots[i], &decisions, &lines);
		assert_int_equal(decisions, counted);
		assert_int_equal(snapshots[i].gap.error, -ENOSPC);
	}
	/* The line is there: what was counted behind it has another one. */
	assert_int_equal(rf_fold_adopt(f, INSTANCE, l->number), 0);
	assert_int_equal(f->gap.error, -ENOSPC);
	assert_int_equal(rf_fold_next(f, &now, true)->gap.decisions, 5);
	rf_fold_written(f);
	assert_int_equal(f->gap.error, 0);
	free(snapshots);
}

static uint64_t gap_sum(void)
{
	uint64_t decisions, lines;

	rf_fold_gap_sums(f, &decisions, &lines);
	return decisions;
}

static void a_gap(void **state)
{
	struct rf_record r = denied(1, 0x1000, 0x2000), other = denied(2, 0x5000, 0x2000);
	struct rf_audit *a;
	struct sums s;

	other.rule = "idt-is-never-written";
	in_full(&r, 50); /* 42 of them counted before it */
	rf_fold_gap_begin(f, -ENOSPC, &now);
	rf_fold_gap_begin(f, -EIO, &now); /* it has begun */
	for (int i = 0; i < 1000; i++) {
		rf_fold_count(f, i % 4 ? &r : &other, &now);
		pass(1000000);
	}
	rf_fold_gap_missed(f);
	assert_int_equal(f->gap.error, -ENOSPC);
	assert_int_equal(f->gap.decisions, 1000);
	/* A try that fails may have left a line: what is counted later has another one. */
	assert_int_equal(rf_fold_next(f, &now, true)->gap.decisions, 1000);
	rf_fold_count(f, &r, &now);
	assert_int_equal(rf_fold_adopt(f, INSTANCE, 0), 0);
	assert_int_equal(rf_fold_next(f, &now, true)->gap.decisions, 1000);
	assert_int_equal(gap_sum(), 1001);
	a = open_log();
	flush(a, true);
	assert_int_equal(f->gap.error, 0);
	assert_int_equal(rf_fold_pending(f), 0);
	assert_int_equal(rf_audit_written(a), 0);
	rf_audit_close(a);
	s = read_log();
	assert_int_equal(s.gap, 1001);
	assert_int_equal(s.lost, 1);
	assert_int_equal(s.folded, 42 + 1001);
	assert_int_equal(s.lines, 4);
	a = open_log();
	assert_int_equal(rf_audit_written(a), s.highest);
	rf_audit_close(a);
	assert_int_equal(log_open(path, "vm", INSTANCE + 1, &a), 0);
	assert_int_equal(rf_audit_written(a), 0);
	rf_audit_close(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_gap),
		T(a_gap_that_stands_and_goes_on),
		T(a_gap_that_stands_at_a_death),
		T(a_gap_that_lacks_its_newline),
		T(a_gap_that_lacks_its_newline_at_a_death),
		T(dies_while_a_gap_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
