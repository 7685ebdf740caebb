// SPDX-License-Identifier: LGPL-2.1-or-later
/* Static calls that leave core text, lock prefixes, what a changing set keeps, and kernels that
 * tell less. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/patches/impl.h"
#include "tests/unit/fake_patched.h"

/* --- static calls --------------------------------------------------------- */

static void to_a_module(void **state)
{
	struct patched *f = *state;

	assert_int_equal(patched_call(f, CALL, 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CALL, 0xe8), RF_PATCH_DONE);
	fake_put64(&f->g, KEY, MODULE + 0x40);
	assert_int_equal(patched_call(f, TRAMP, 0xe9, MODULE + 0x40), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, CALL, 0xe8, MODULE + 0x40), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, CALL, 0xe8, MODULE + 0x44), RF_PATCH_BAD_INSN);
	/* The table is made anew. */
	assert_int_equal(patched_store(f, CALL + 1, patched_nop5 + 1, 4), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, CALL, 0x0f), RF_PATCH_DONE);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).odd, 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, MODULE + 0x40), RF_PATCH_DONE);
	/* It goes. */
	fake_put64(&f->g, KEY, FUNC(0));
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, TRAMP, 0xe9, FUNC(0)), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, CALL, 0xe8, FUNC(0)), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CALL, 0xe8), RF_PATCH_DONE);
	/* Behind the module's text, in data, nowhere. */
	fake_put64(&f->g, KEY, TRAMPOLINE);
	assert_int_equal(patched_call(f, CALL, 0xe8, TRAMPOLINE), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CALL, 0xe8), RF_PATCH_DONE);
	fake_put64(&f->g, KEY, DATA + 0x80);
	assert_int_equal(patched_call(f, CALL, 0xe8, DATA + 0x80), RF_PATCH_BAD_INSN);
}

static void to_the_dispatcher(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, DISPATCHER + 8, IMAGE);
	for (uint64_t half = IMAGE; half <= IMAGE + 0x800; half += 0x800) {
		fake_put64(&f->g, DISPATCHER_KEY, half);
		assert_int_equal(patched_call(f, DISPATCHER_TRAMP, 0xe9, half), RF_PATCH_DONE);
	}
	fake_put64(&f->g, DISPATCHER_KEY, IMAGE + 0x400);
	assert_int_equal(patched_call(f, DISPATCHER_TRAMP, 0xe9, IMAGE + 0x400), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, DISPATCHER_TRAMP, 0xe9), RF_PATCH_DONE);
	fake_put64(&f->g, KEY, IMAGE); /* another key than the dispatcher's */
	assert_int_equal(patched_sweep(f), 0);
	fake_put64(&f->g, DISPATCHER_KEY, FUNC(1));
	assert_int_equal(patched_call(f, DISPATCHER_TRAMP, 0xe9, FUNC(1)), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, IMAGE), RF_PATCH_BAD_INSN);
}

/* --- lock prefixes --------------------------------------------------------- */

static void second_cpu(void **state)
{
	struct patched *f = *state;

	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 2);
	assert_int_equal(patched_byte(f, LOCKED, 0xcc), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, LOCKED, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, LOCKED, "\xf0\xf0", 2), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_byte(f, LOCKED, 0xf0), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, LOCKED, 0x3e), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, LOCKED + 4, 0xf0), RF_PATCH_DONE);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 2);
}

static void no_second_cpu(void **state)
{
	struct patched *f = *state;
	int32_t rel;

	/* Entries that name no prefix: the byte before, an instruction that cannot be locked. */
	rel = (int32_t)(LOCKED + 1 - LOCKS);
	fake_write(&f->g, LOCKS, &rel, 4);
	fake_write(&f->g, LOCKED + 4, "\x3e\x48\x89\x07", 4);
	rel = (int32_t)(DATA - LOCKS - 8);
	fake_write(&f->g, LOCKS + 8, &rel, 4); /* outside text */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 0);
	assert_int_equal(patched_stats(f).foreign, 2);
	patched_symbol(f, "__smp_locks_end", LOCKS + 0x10000);
	assert_int_equal(patched_create(f), 0);
	/* Freed: another list's, or none. */
	fake_put64(&f->g, SMP_LIST, SMP_LIST);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).foreign, 0);
	fake_put64(&f->g, SMP_LIST, 0x10);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 0);
}

/* The section is read only where the kernel's own list says that it is there still, as it is. */
static void locks_of_another(void **state)
{
	static const struct {
		uint64_t member, says;
	} cases[] = { { 16, LOCKS + 4 }, { 24, LOCKS + 8 }, { 32, TEXT + 0x1000 }, { 0, MODULE } };
	struct patched *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t own = patched_alloc(f, 64);

		fake_put64(&f->g, own + 16, LOCKS);
		fake_put64(&f->g, own + 24, LOCKS + 12);
		fake_put64(&f->g, own + 32, TEXT);
		fake_put64(&f->g, own + 48, SMP_LIST);
		fake_put64(&f->g, SMP_LIST, own + 48);
		assert_int_equal(patched_create(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 2);
		fake_put64(&f->g, own + cases[i].member, cases[i].says);
		assert_int_equal(patched_create(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 0);
	}
}

/* --- a kernel that says less ------------------------------------------------ */

static void no_types(void **state)
{
	struct patched *f = *state;

	f->g.k.members_count = 0;
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 1);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE_CALL), 2);
	patched_probe(f, CODE + 1, 0x48, 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_sweep(f), 0);
}

/*
 * One symbol is enough: whoever says where ftrace_call is says what may call module code. So
 * symbols are read out of sealed memory (monitor/guest.c take_over()), and tables are made of
 * those.
 */
static void forged_symbol(void **state)
{
	struct patched *f = *state;
	const uint64_t victim = FUNC(3) + 8; /* a call inside a function */
	uint64_t own = 0;
	uint8_t call[5];

	patched_rel32(call, 0xe8, victim, FUNC(7)); /* as compiled */
	fake_write(&f->g, victim, call, sizeof(call));
	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, "ftrace_call"))
			own = f->g.k.syms[i].addr.v;
	assert_true(own);
	fake_put64(&f->g, FUNC_VAR, TRAMPOLINE); /* ftrace_trace_function: plain data */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_call(f, victim, 0xe8, TRAMPOLINE), RF_PATCH_NOT_A_SITE);
	patched_symbol(f, "ftrace_call", victim);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_call(f, victim, 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	/* Made again of the true ones, the table has nothing of that left. */
	patched_symbol(f, "ftrace_call", own);
	fake_write(&f->g, victim, call, sizeof(call));
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_call(f, victim, 0xe8, TRAMPOLINE), RF_PATCH_NOT_A_SITE);
}

/* The sweeper's word is a moment old, or made up: what a site holds by now is not forgotten. */
static void forgotten_while_held(void **state)
{
	const uint64_t gone = MODULE + 0x80;
	struct patched *f = *state;

	fake_symbol(&f->g, "bp_desc", BP_DESC, 'b');
	fake_member(&f->g, "bp_patching_desc", "refs", 12, 4);
	assert_int_equal(patched_create(f), 0);
	uint64_t entry = patched_direct(f, FUNC(5), gone);

	fake_put64(&f->g, BP_DESC + 8, UINT64_C(1) << 32);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, gone), RF_PATCH_DONE);
	fake_put64(&f->g, BP_DESC + 8, 0);	       /* nobody patches */
	fake_put64(&f->g, entry + 24, MODULE + 0x100); /* no list has it */
	assert_int_equal(rf_textpatch_forget(f->t, &f->g.m, RF_SET_FTRACE_CALLERS, &gone, 1), 0);
	assert_int_equal(patched_byte(f, FUNC(5), 0xcc), RF_PATCH_BAD_STEP);
}

/* A list as long as the set has room for does not push out what a site holds. */
static void pushed_out_while_held(void **state)
{
	const uint64_t held = MODULE + 0x80;
	struct patched *f = *state;
	static struct rf_targets s;
	uint64_t entry = patched_direct(f, FUNC(5), held);

	assert_int_equal(patched_call(f, FUNC(5), 0xe8, held), RF_PATCH_DONE);
	fake_put64(&f->g, entry + 24, MODULE + 0x100);
	for (uint32_t i = 0; i < RF_SET_ROOM; i++)
		s.v[i] = MODULE + 0x10000 + i;
	s.count = RF_SET_ROOM;
	assert_int_equal(rf_change_set(f->t, &f->g.m, RF_SET_FTRACE_CALLERS, &s), 0);
	assert_true(rf_targets_have(f->t, RF_SET_FTRACE_CALLERS, held));
}

/* How often a set was put in order, which takes thousands of comparisons. */
static unsigned int sorts;

static int as_asked(const void *a, const void *b, void *compare)
{
	return (*(int (**)(const void *, const void *))compare)(a, b);
}

void qsort(void *v, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	sorts++;
	qsort_r(v, n, size, as_asked, &compare);
}

/* A list longer than that says so; of one that has the same again and again each is there. */
static void more_than_a_set_has_room_for(void **state)
{
	struct patched *f = *state;
	static struct rf_targets s;

	rf_targets_clear(&s);
	sorts = 0;
	for (uint64_t i = 0; i < 3 * RF_SET_ROOM; i++)
		rf_targets_add(f->t, &s, MODULE + i % (RF_SET_ROOM - 1));
	assert_in_range(s.count, RF_SET_ROOM - 1, RF_SET_ROOM);
	assert_int_equal(patched_stats(f).full, 0);
	for (uint64_t i = 0; i < RF_SET_ROOM; i++)
		rf_targets_add(f->t, &s, MODULE + i);
	assert_int_equal(s.count, RF_SET_ROOM);
	assert_int_equal(patched_stats(f).full, 0);
	for (unsigned int i = 1; i <= RF_SET_ROOM; i++) {
		rf_targets_add(f->t, &s, MODULE + RF_SET_ROOM + i);
		assert_int_equal(s.count, RF_SET_ROOM);
		assert_int_equal(patched_stats(f).full, i);
	}
	assert_in_range(sorts, 1, 2);
}

/* The list that costs most: each time there is room for few, one new one fills it. */
static void full_of_the_same(void **state)
{
	const uint64_t room = 64;
	struct patched *f = *state;
	static struct rf_targets s;

	rf_targets_clear(&s);
	sorts = 0;
	for (uint64_t i = 0; i < RF_SET_ROOM; i++)
		rf_targets_add(f->t, &s, MODULE + i % (RF_SET_ROOM - room));
	for (uint64_t i = 0; i < room; i++)
		for (uint64_t n = 0; n < RF_SET_ROOM; n++)
			rf_targets_add(f->t, &s, MODULE + RF_SET_ROOM + i);
	assert_int_equal(s.count, RF_SET_ROOM);
	assert_int_equal(patched_stats(f).full, 0);
	assert_in_range(sorts, 1, room + 1);
}

/* What joins the set alone finds its place, and costs nothing when there is none. */
static void one_by_one(void **state)
{
	struct patched *f = *state;
	const struct rf_patch_set *set = &patched_table.sets[RF_SET_OPT_SLOTS];
	const uint64_t *v = patched_table.targets + set->first;

	sorts = 0;
	/* Neither ascending nor descending, each twice. */
	for (uint64_t i = 0; i < 2 * RF_SET_ROOM; i++)
		rf_change_add(f->t, RF_SET_OPT_SLOTS, MODULE + (i * 5 ^ 1) % RF_SET_ROOM);
	assert_int_equal(set->count, RF_SET_ROOM);
	for (uint64_t i = 0; i < RF_SET_ROOM; i++)
		assert_int_equal(v[i], MODULE + i);
	assert_int_equal(patched_stats(f).full, 0);
	for (uint64_t i = 0; i < 100000; i++)
		rf_change_add(f->t, RF_SET_OPT_SLOTS, MODULE - 1 - i);
	assert_int_equal(patched_stats(f).full, 100000);
	assert_int_equal(set->count, RF_SET_ROOM);
	assert_int_equal(v[0], MODULE);
	assert_int_equal(sorts, 0);
}

/* The sites that every kernel has lie behind them. */
static void more_probes_than_there_is_room_for(void **state)
{
	struct patched *f = *state;
	struct rf_patch_site s = { .shape = RF_SHAPE_PROBE, .kind = RF_SITE_KPROBE };
	const struct rf_patch_site first = patched_table.sites[0];

	for (s.at = 0; s.at < RF_TABLE_EXTRA; s.at++)
		assert_true(rf_extra_put(f->t, &s));
	assert_false(rf_extra_put(f->t, &s));
	assert_int_equal(patched_table.extra_count, RF_TABLE_EXTRA);
	assert_int_equal(patched_stats(f).full, 1);
	assert_memory_equal(&patched_table.sites[0], &first, sizeof(first));
	s.at--; /* one of those that are there can change all the same */
	s.own[0] = 0x55;
	assert_true(rf_extra_put(f->t, &s));
	assert_int_equal(rf_extra_at(f->t, s.at)->own[0], 0x55);
}

#define T(f) cmocka_unit_test_setup_teardown(f, patched_setup, patched_teardown)

/* Each of them, whoever sweeps. */
int main(void)
{
	int failed = 0;
	const struct CMUnitTest tests[] = {
		T(to_a_module),
		T(to_the_dispatcher),
		T(second_cpu),
		T(no_second_cpu),
		T(locks_of_another),
		T(no_types),
		T(forged_symbol),
		T(forgotten_while_held),
		T(pushed_out_while_held),
		T(more_than_a_set_has_room_for),
		T(full_of_the_same),
		T(one_by_one),
		T(more_probes_than_there_is_room_for),
	};

	for (patched_by = PATCHED_ALONE; patched_by <= PATCHED_BY_A_NEW_ONE; patched_by++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
