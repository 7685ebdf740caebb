// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is counted instead of written: how many lines a guest can have made, that lines and counts
 * add up to what was decided, and that they do wherever the process dies.
 */
#include "tests/unit/fold_fix.h"

/* --- one key --- */

static void a_burst_and_then_one_a_second(void **state)
{
	const struct rf_record r = denied(1, 0x1000, 0x2000);
	const struct rf_fold_line *l;

	assert_int_equal(in_full(&r, 100), RF_FOLD_KEY_LINES);
	assert_int_equal(rf_fold_pending(f), 100 - RF_FOLD_KEY_LINES);
	pass(SECOND);
	assert_int_equal(in_full(&r, 100), 1);
	for (int i = 0; i < 5; i++) {
		pass(SECOND);
		assert_int_equal(in_full(&r, 1), 1);
	}
	assert_null(rf_fold_next(f, &now, false));
	pass(4 * SECOND);
	l = rf_fold_next(f, &now, false);
	assert_non_null(l);
	assert_int_equal(l->n.count, 191);
	assert_int_equal(l->number, 1);
	assert_string_equal(l->what.kind, "write");
	assert_string_equal(l->what.rule, "rodata-is-never-written");
	assert_int_equal(l->what.verdict, RF_WORD_BLOCKED);
	assert_true(l->what.target == 0x1000 && l->what.writer == 0x2000 && !l->what.is_class);
	assert_true(l->n.last.mono_ns - l->n.first.mono_ns == SECOND);
	/* It is the next one until it is written. */
	assert_ptr_equal(rf_fold_next(f, &now, false), l);
	assert_int_equal(rf_fold_pending(f), 191);
	rf_fold_written(f);
	assert_int_equal(rf_fold_pending(f), 0);
	assert_null(rf_fold_next(f, &now, true));
	/* What is seldom stays in full. */
	pass(100 * SECOND);
	for (int i = 0; i < 50; i++, pass(SECOND))
		assert_true(decide(&r));
}

static void what_makes_a_key(void **state)
{
	struct rf_record r[8];

	for (int i = 0; i < 8; i++)
		r[i] = denied(0, 0x1000, 0x2000);
	r[1].target.addr = 0x1008;
	r[2].writer.addr = 0x2008;
	r[3].kind = "emulation";
	r[4].rule = "idt-is-never-written";
	r[5].verdict = RF_WORD_DETECTED;
	r[6].has_target = false;
	r[6].gpa = 0x1000;
	r[7].has_writer = false;
	for (int i = 0; i < 8; i++)
		assert_int_equal(in_full(&r[i], 20), RF_FOLD_KEY_LINES);
	/* Of registers which one it is. */
	for (int i = 0; i < 2; i++) {
		r[i].kind = "msr";
		r[i].target.addr = 0;
		r[i].detail = i ? "STAR (MSR 0xc0000081) <- 0x0" : "CSTAR (MSR 0xc0000083) <- 0x0";
		assert_int_equal(in_full(&r[i], 20), RF_FOLD_KEY_LINES);
		r[i] = denied(0, 0x1000, 0x2000);
	}
	/* Not what else it says. */
	r[0].pid = 77;
	r[0].detail = "another";
	assert_int_equal(in_full(&r[0], 20), 0);
}

static void what_is_never_folded(void **state)
{
	static const char *const kinds[] = { "seal",	"measure",  "kernel",  "monitor",
					     "reset",	"unsealed", "sweeper", "traps",
					     "patches", "kexec",    "load" };
	struct rf_record r = denied(1, 1, 2);
	struct rf_audit_answer kill = { .verdict = RF_ANSWERED_KILL };

	assert_true(rf_fold_is_decision(&r));
	r.answer = &kill;
	assert_false(rf_fold_is_decision(&r));
	r = denied(0, 1, 2);
	r.verdict = 0;
	assert_false(rf_fold_is_decision(&r));
	r = denied(0, 1, 2);
	r.vcpu = RF_FOLD_VCPUS;
	assert_false(rf_fold_is_decision(&r));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		r = denied(0, 1, 2);
		r.kind = kinds[i];
		assert_false(rf_fold_is_decision(&r));
	}
	r = denied(1, 1, 2);
	r.kind = "kexec";
	assert_true(rf_fold_is_decision(&r));
}

/* --- many keys --- */

static void keys_that_never_repeat(void **state)
{
	unsigned int lines = 0;
	struct rf_record r;

	for (uint64_t i = 0; i < 10000; i++) {
		r = denied(i + 1, 0x1000 + 8 * i, 0x2000);
		lines += decide(&r);
	}
	assert_int_equal(lines, RF_FOLD_CLASS_KEYS);
	/* They are counted by what they have in common. */
	assert_int_equal(rf_fold_next(f, &now, true)->n.count, 10000 - lines);
	assert_true(f->line.what.is_class && !f->line.what.has_target);
	rf_fold_written(f);
	/* Another rule is not drowned by them. */
	r = denied(5, 0x1000, 0x2000);
	r.rule = "idt-is-never-written";
	assert_true(decide(&r));
	/* The next minute some are told apart again. */
	pass(60 * SECOND);
	r = denied(6, UINT64_C(0x99999), 0x2000);
	assert_int_equal(in_full(&r, 20), RF_FOLD_KEY_LINES);
}

/* All rules at once: each class has some keys, and a line a minute; none has all of the table. */
static void all_classes_flooded(void **state)
{
	unsigned int lines = 0, per_class[64] = { 0 };
	char rules[64][16];

	for (unsigned int c = 0; c < 64; c++)
		snprintf(rules[c], sizeof(rules[c]), "rule-%u", c);
	for (uint64_t i = 0; i < 64000; i++) {
		struct rf_record r = denied(i + 1, 0x1000 + 8 * i, 0x2000);

		r.rule = rules[i % 64];
		if (decide(&r)) {
			lines++;
			per_class[i % 64]++;
		}
	}
	assert_in_range(lines, RF_FOLD_CLASSES, RF_FOLD_LINES + RF_FOLD_CLASSES);
	for (unsigned int c = 0; c < RF_FOLD_CLASSES - 1; c++)
		assert_in_range(per_class[c], 1, RF_FOLD_CLASS_KEYS);
	assert_int_equal(rf_fold_pending(f) + lines, 64000);
	pass(RF_FOLD_CLASS_NS);
	for (unsigned int c = 0; c < RF_FOLD_CLASSES - 1; c++) {
		struct rf_record r = denied(9, 0x1000, 0x2000);

		r.rule = rules[c];
		assert_true(decide(&r));
	}
}

#define MILLION 1000000u

/* A million denials in a hundred seconds, as many targets and writers as there are, by a dozen of
 * rules. What a guest can have written of them is what the header says, and not a denial is lost.
 */
static void a_million(void **state)
{
	struct rf_audit *a = open_log();
	uint64_t random = 1, full = 0;
	struct rf_record r = denied(1, 0, 0);
	struct stat st;
	char rules[12][16];
	struct sums s;

	for (unsigned int i = 0; i < 12; i++)
		snprintf(rules[i], sizeof(rules[i]), "rule-%u", i);
	for (uint32_t i = 1; i <= MILLION; i++) {
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		r.event = i;
		r.target.addr = random >> (i % 2 ? 8 : 60);
		r.writer.addr = random >> (i % 3 ? 20 : 61);
		r.rule = rules[(random >> 40) % 12];
		if (rf_fold_in_full(f, &r, &now)) {
			assert_int_equal(rf_audit_write(a, &r), 0);
			full++;
		} else {
			rf_fold_count(f, &r, &now);
		}
		pass(100000);
		if (i % 10000 == 0)
			flush(a, false);
	}
	assert_int_equal(f->counted, MILLION - full);
	flush(a, true);
	rf_audit_close(a);
	s = read_log();
	assert_int_equal(s.full, full);
	assert_int_equal(s.full + s.folded, MILLION);
	assert_int_equal(rf_fold_pending(f), 0);
	/* 256 and one a second in full, and one of each class a minute. */
	assert_in_range(s.full, 100, RF_FOLD_LINES + 100 + 2 * 12);
	assert_in_range(s.lines - s.full, 1, RF_FOLD_FOLDS + 200 + RF_FOLD_SLOTS);
	stat(path, &st);
	print_message("1,000,000 denials: %llu lines in full, %llu that count, %lld bytes\n",
		      (unsigned long long)s.full, (unsigned long long)(s.lines - s.full),
		      (long long)st.st_size);
	assert_in_range(st.st_size, 1, 512 << 10);
}

/* --- death --- */

static uint64_t failures(const struct rf_fold *of)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < RF_FOLD_SLOTS; i++)
		sum += of->slots[i].n.failed;
	return sum;
}

/* All that was counted, and what is asked again. */
static void takes_over(const struct rf_fold *left, uint64_t written, uint64_t least, uint64_t event)
{
	struct rf_fold *next = malloc(sizeof(*next));
	struct rf_audit_decision d;
	bool known;

	*next = *left;
	assert_int_equal(rf_fold_adopt(next, INSTANCE, written), 0);
	known = rf_fold_decision(next, (uint32_t)(event % 3), event, &d);
	/* It is counted if and only if it is known: asked again, it is not counted twice. */
	assert_int_equal(rf_fold_pending(next), least + known);
	if (known) {
		assert_int_equal(d.answer.verdict, RF_ANSWERED_DENY);
		assert_true(d.exact && d.answer.vector == 14 && d.answer.rip == 0x1234);
		assert_string_equal(d.rule, "rodata-is-never-written");
	}
	free(next);
}

static void dies_while_it_counts(void **state)
{
	struct rf_record r;

	room = 64;
	snapshots = calloc(room, sizeof(*snapshots));
	for (uint64_t event = 1; event < 60; event++) {
		uint64_t pending = rf_fold_pending(f), counted = f->counted;

		r = denied(event, 0x1000 + 8 * (event % 40), 0x2000);
		taken = 0;
		rf_fold_count(f, &r, &now);
		assert_int_equal(rf_fold_pending(f), pending + 1);
		assert_int_equal(f->counted, counted + 1);
		assert_in_range(taken, 3, room);
		for (size_t i = 0; i < taken; i++)
			takes_over(&snapshots[i], 0, pending, event);
		takes_over(f, 0, pending, event);
	}
	room = 0;
	free(snapshots);
}

/* What it says of them is what it was, or one more; of decisions nothing changes. */
static void dies_while_it_counts_failures(void **state)
{
	struct rf_record r;

	room = 64;
	snapshots = calloc(room, sizeof(*snapshots));
	for (uint64_t event = 1; event < 60; event++) {
		uint64_t pending = rf_fold_pending(f), failed = 0;

		r = denied(event, 0x1000 + 8 * (event % 5), 0x2000);
		rf_fold_count(f, &r, &now);
		taken = 0;
		rf_fold_failed(f, event, &now);
		assert_in_range(taken, 3, room);
		for (size_t i = 0; i < taken; i++) {
			assert_int_equal(rf_fold_adopt(&snapshots[i], INSTANCE, 0), 0);
			failed = failures(&snapshots[i]);
			assert_in_range(failed, event - 1, event);
			assert_int_equal(failed == event, i > 0);
			assert_int_equal(rf_fold_pending(&snapshots[i]), pending + 1);
		}
		assert_int_equal(failures(f), event);
		assert_int_equal(f->counted, event);
	}
	/* What nobody was asked about has none. */
	rf_fold_failed(f, 1000, &now);
	rf_fold_failed(f, 0, &now);
	assert_int_equal(failures(f), 59);
	room = 0;
	free(snapshots);
}

/* It comes when all that was counted there is in lines, and the place is another key's by now. */
static void a_failure_of_what_had_its_line(void **state)
{
	struct rf_record r = denied(1, 0x1000, 0x2000), other;
	const struct rf_fold_line *l;

	rf_fold_count(f, &r, &now);
	assert_false(rf_fold_next(f, &now, false));
	assert_int_equal(rf_fold_next(f, &now, true)->n.count, 1);
	rf_fold_written(f);
	assert_false(rf_fold_waits(f));
	rf_fold_failed(f, 1, &now);
	assert_true(rf_fold_waits(f));
	assert_int_equal(rf_fold_pending(f), 0);
	/* And that is due as anything is. */
	assert_null(rf_fold_next(f, &now, false));
	pass(RF_FOLD_DUE_NS);
	l = rf_fold_next(f, &now, false);
	assert_true(l && !l->n.count && l->n.failed == 1 && l->what.target == 0x1000);
	assert_true(l->n.first.mono_ns + RF_FOLD_DUE_NS == now.mono_ns);
	rf_fold_written(f);
	for (uint64_t i = 0; i < 40; i++, pass(60 * SECOND))
		for (uint64_t n = 0; n < RF_FOLD_CLASS_KEYS; n++) {
			other = denied(2 + 3 * n, 0x9000 + 8 * (i * RF_FOLD_CLASS_KEYS + n),
				       0x2000);
			rf_fold_count(f, &other, &now);
			while (rf_fold_next(f, &now, true))
				rf_fold_written(f);
		}
	rf_fold_failed(f, 1, &now);
	l = rf_fold_next(f, &now, true);
	assert_true(l && l->what.is_class && !l->n.count && l->n.failed == 1);
	assert_string_equal(l->what.rule, "rodata-is-never-written");
	rf_fold_written(f);
	assert_false(rf_fold_waits(f));
}

/* A place keeps what is in no line, also where that is failures alone. */
static void failures_keep_their_place(void **state)
{
	for (uint32_t i = 0; i < 2 * RF_FOLD_KEYS; i++, pass(SECOND)) {
		struct rf_record r = denied(1 + i, 0x1000 + 8 * i, 0x2000);

		r.vcpu = i;
		rf_fold_count(f, &r, &now);
		while (i < RF_FOLD_KEYS && rf_fold_next(f, &now, true))
			rf_fold_written(f);
		for (uint32_t n = 0; i == RF_FOLD_KEYS - 1 && n <= i; n++)
			rf_fold_failed(f, 1 + n, &now);
	}
	assert_int_equal(failures(f), RF_FOLD_KEYS);
}

static void dies_while_it_writes(void **state)
{
	struct rf_record r = denied(1, 0x1000, 0x2000);
	const struct rf_fold_line *l;
	uint64_t count;

	in_full(&r, 50);
	count = rf_fold_pending(f);
	room = 64;
	snapshots = calloc(room, sizeof(*snapshots));
	taken = 0;
	l = rf_fold_next(f, &now, true);
	assert_int_equal(l->n.count, count);
	/* Before the line is there all of it is still to be written. */
	for (size_t i = 0; i < taken; i++)
		takes_over(&snapshots[i], 0, count - 1, 1);
	/* Once it is there, nothing is. */
	assert_int_equal(rf_fold_adopt(f, INSTANCE, l->number), 0);
	assert_int_equal(rf_fold_pending(f), 0);
	taken = 0;
	in_full(&r, 2);
	l = rf_fold_next(f, &now, true);
	assert_int_equal(l->number, 2);
	taken = 0;
	rf_fold_written(f);
	for (size_t i = 0; i < taken; i++) {
		assert_int_equal(rf_fold_adopt(&snapshots[i], INSTANCE, 2), 0);
		assert_int_equal(rf_fold_pending(&snapshots[i]), 0);
	}
	room = 0;
	free(snapshots);
}

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		*f = good;                                                                         \
		change;                                                                            \
		assert_int_equal(rf_fold_adopt(f, INSTANCE, 0), -EBADMSG);                         \
	} while (0)

static void not_ours(void **state)
{
	struct rf_record r = denied(7, 0x1000, 0x2000);
	struct rf_fold good;

	in_full(&r, 20);
	good = *f;
	REFUSED(f->magic++);
	REFUSED(f->size--);
	REFUSED(f->step.slot = RF_FOLD_SLOTS);
	REFUSED(f->line.from = RF_FOLD_FROM_GAP + 1);
	REFUSED(memset(f->slots[3].what.rule, 'a', sizeof(f->slots[3].what.rule)));
	REFUSED(strcpy(f->slots[RF_FOLD_KEYS].what.kind, "a\"b"));
	REFUSED(f->asked[1].answer.verdict = 99);
	REFUSED(f->asked[1].slot = RF_FOLD_SLOTS);
	REFUSED(f->asked[1].of_class = RF_FOLD_CLASSES);
	*f = good;
	assert_int_equal(rf_fold_adopt(f, INSTANCE, 0), 0);
	assert_int_equal(rf_fold_pending(f), 12);
}

static void shared_memory(void **state)
{
	struct rf_record r = denied(1, 0x1000, 0x2000);
	struct rf_fold *one, *two;
	int fd, plain;

	assert_int_equal(rf_fold_create(&fd), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(rf_fold_map(fd, &one), 0);
	assert_int_equal(rf_fold_adopt(one, INSTANCE, 0), 0);
	rf_fold_count(one, &r, &now);
	rf_fold_unmap(one);
	assert_int_equal(rf_fold_map(fd, &two), 0);
	assert_int_equal(rf_fold_adopt(two, INSTANCE, 0), 0);
	assert_int_equal(rf_fold_pending(two), 1);
	rf_fold_unmap(two);
	close(fd);
	plain = open(path, O_RDWR);
	assert_int_equal(rf_fold_map(plain, &two), -EINVAL);
	close(plain);
	assert_true(rf_fold_map(-1, &two) < 0);
	/* What somebody could still cut off, and what is too small already. */
	for (int sealed = 0; sealed < 2; sealed++) {
		fd = memfd_create("fold", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(fd, sealed ? 4096 : sizeof(struct rf_fold)), 0);
		if (sealed)
			assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
		assert_int_equal(rf_fold_map(fd, &two), -EINVAL);
		close(fd);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_burst_and_then_one_a_second),
		T(what_makes_a_key),
		T(what_is_never_folded),
		T(keys_that_never_repeat),
		T(all_classes_flooded),
		T(a_million),
		T(dies_while_it_counts),
		T(dies_while_it_counts_failures),
		T(a_failure_of_what_had_its_line),
		T(failures_keep_their_place),
		T(dies_while_it_writes),
		T(not_ours),
		T(shared_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
