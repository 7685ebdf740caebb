// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is kept of a patch table: by a sweep whose reads come to their end, by another monitor. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/budget.h"
#include "introspection/patches/impl.h"
#include "tests/unit/fake_patched.h"

/* A guest that can be read so often. */
static uint64_t reads_left;
static int (*read_it)(void *ctx, rf_gpa gpa, void *buf, size_t len);

static int limited(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	return reads_left && reads_left-- ? read_it(ctx, gpa, buf, len) : -E2BIG;
}

/*
 * Where its reads end a sweep ends, and forgets nothing that the guest still has. What lies
 * together is read together.
 */
static void swept_as_far_as_reads_go(void **state)
{
	struct patched *f = *state;
	uint64_t probe, needed = 0;

	read_it = f->g.m.read;
	f->g.m.read = limited;
	reads_left = UINT64_MAX;
	patched_ops(f, TRAMPOLINE);
	patched_direct(f, FUNC(1), MODULE + 0x80);
	probe = patched_probe(f, CODE, 0x55, 0);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	assert_int_equal(patched_poke(f, FUNC(0), patched_nop5, 5), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(1), 0xe8, MODULE + 0x80), RF_PATCH_DONE);
	assert_int_equal(patched_poke(f, FUNC(1), patched_nop5, 5), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE, 0x55), RF_PATCH_DONE);
	f->refreshed = 0;
	for (uint64_t limit = 0; !needed; limit++) {
		assert_true(limit < 600);
		reads_left = limit;
		patched_sweep(f);
		if (reads_left)
			needed = limit;
		reads_left = UINT64_MAX;
		assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
		assert_int_equal(patched_poke(f, FUNC(0), patched_nop5, 5), RF_PATCH_DONE);
		assert_int_equal(patched_call(f, FUNC(1), 0xe8, MODULE + 0x80), RF_PATCH_DONE);
		assert_int_equal(patched_poke(f, FUNC(1), patched_nop5, 5), RF_PATCH_DONE);
		assert_int_equal(patched_byte(f, CODE, 0xcc), RF_PATCH_DONE);
		assert_int_equal(patched_byte(f, CODE, 0x55), RF_PATCH_DONE);
	}
	assert_int_equal(f->refreshed, 0);
	/* And one that gets to the end forgets what is gone. */
	fake_put64(&f->g, OPS_VAR, OPS_END);
	patched_unprobe(f, probe);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_BAD_INSN);
	f->g.m.read = read_it;
}

#define UNIT (UINT64_C(1) << 18) /* reads of a look at the lists: monitor/patches.c */
#define CHAIN (HEAP + 0x100000)
#define BUCKETS (HEAP + 0x200000)

static struct rf_budget budget;

static int within_budget(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	budget.to = (struct rf_memory){ read_it, ctx };
	return rf_budget_read(&budget, gpa, buf, len);
}

static void begin_unit(struct patched *f)
{
	rf_budget_begin(&budget, UNIT);
	read_it = f->g.m.read;
	f->g.m.read = within_budget;
}

static void end_unit(struct patched *f, bool spent)
{
	f->g.m.read = read_it;
	assert_int_equal(budget.spent, spent);
}

/* One chain in a few pages, which are read once, hangs in each of 2^14 buckets. */
static void chains_in_the_cache(void **state)
{
	struct patched *f = *state;
	uint64_t hash;

	patched_ops(f, TRAMPOLINE);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	fake_map(&f->g, CHAIN, 0x10000, 9);
	for (unsigned int i = 0; i < 33; i++)
		fake_map(&f->g, BUCKETS + 4096u * i, 0x1a000, 1);
	for (uint64_t i = 0; i < 4095; i++)
		fake_put64(&f->g, CHAIN + 8 * i, i == 4094 ? 0 : CHAIN + 8 * (i + 1));
	for (uint64_t i = 0; i < 512; i++)
		fake_put64(&f->g, BUCKETS + 8 * i, CHAIN);
	hash = patched_alloc(f, 16);
	fake_put64(&f->g, hash, 14);
	fake_put64(&f->g, hash + 8, BUCKETS);
	fake_put64(&f->g, DIRECT_VAR, hash);
	begin_unit(f);
	patched_sweep(f);
	end_unit(f, true);
}

/* Each of many probes is decoded from its function's start: that reads little, and takes long. */
static void probes_that_cost_no_reads(void **state)
{
	struct patched *f = *state;
	const uint64_t at = TEXT + 0x1ff0; /* 3.6 KiB into a function */

	fake_write(&f->g, at, "\xe9", 1);
	fake_map(&f->g, CHAIN, 0x1b000, 5);
	for (uint64_t i = 0; i < 1040; i++) {
		fake_put64(&f->g, CHAIN + 16 * i, i >= 1022 ? 0 : CHAIN + 16 * (i + 1));
		fake_put64(&f->g, CHAIN + 16 * i + 8, at);
	}
	for (uint64_t i = 0; i < 64; i++)
		fake_put64(&f->g, PROBES + 8 * i, CHAIN);
	begin_unit(f);
	assert_int_equal(patched_create(f), 0);
	end_unit(f, true);
	/* Who takes over does not look at what its predecessor did not have. */
	begin_unit(f);
	assert_int_equal(patched_take_over(f), 0);
	end_unit(f, false);
}

/* Labels of the assembler's stand at odd addresses: the entry does not jump to the byte before. */
static void jump_before_a_label(void **state)
{
	struct patched *f = *state;

	fake_symbol(&f->g, "label", CODE + 9, 't');
	assert_int_equal(patched_create(f), 0);
	patched_direct(f, FUNC(1), CODE + 9);
	assert_int_equal(patched_call(f, FUNC(1), 0xe9, CODE + 8), RF_PATCH_BAD_INSN);
}

/* --- another monitor takes over ------------------------------------------------ */

#define ORDINARY (FUNC(15) + 0x60) /* a jmp that nobody patches */

/* A record that says: this jmp is a probe's, and these five bytes were there before. */
static void forge_detour(struct patched *f)
{
	uint64_t probe = patched_probe(f, ORDINARY, 0xb8, FUNC(1));

	fake_write(&f->g, probe + 136, "\x11\x22\x33\x44", 4);
}

/* What belongs under breakpoints is in the table. The guest's lists are asked for it at the seal
 * alone. */
static void own_bytes_after_a_restart(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT), other;
	uint8_t insn[5];

	patched_rel32(insn, 0xe9, ORDINARY, FUNC(1));
	fake_write(&f->g, ORDINARY, insn, 5);
	fake_symbol(&f->g, "ordinary", ORDINARY, 't');
	assert_int_equal(patched_create(f), 0);
	patched_detour(f, insn);
	assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	other = patched_probe(f, CODE + 9, 0x48, 0);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_DONE);

	fake_write(&f->g, probe + 136, "\x55\x66\x77\x88", 4);
	fake_write(&f->g, other + 80, "\x90", 1);
	forge_detour(f);
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 2);
	assert_int_equal(patched_byte(f, ORDINARY, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 9, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 9, 0x48), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, CODE + 5, "\x55\x66\x77\x88", 4), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, CODE + 5, "\x11\x22\x33\x44", 4), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
	/* And again, and what is armed from now on is known too. */
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(patched_byte(f, CODE + 9, 0x90), RF_PATCH_BAD_INSN);
	patched_unprobe(f, other);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, CODE + 9, 0x48), RF_PATCH_DONE);
}

/* An earlier monitor has left no table that is whole: nobody is asked in its place. */
static void own_bytes_without_a_table(void **state)
{
	struct patched *f = *state;
	uint8_t insn[5];

	patched_rel32(insn, 0xe9, ORDINARY, FUNC(1));
	fake_write(&f->g, ORDINARY, insn, 5);
	fake_symbol(&f->g, "ordinary", ORDINARY, 't');
	assert_int_equal(patched_create(f), 0);
	forge_detour(f);
	memset(&patched_table, 0, sizeof(patched_table));
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 0);
	assert_int_equal(patched_byte(f, ORDINARY, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* The same, where it is believed: at the seal nobody has had a chance to lie yet. */
static void own_bytes_at_the_seal(void **state)
{
	struct patched *f = *state;
	uint8_t insn[5];

	patched_rel32(insn, 0xe9, ORDINARY, FUNC(1));
	fake_write(&f->g, ORDINARY, insn, 5);
	fake_symbol(&f->g, "ordinary", ORDINARY, 't');
	forge_detour(f);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_byte(f, ORDINARY, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, ORDINARY + 1, "\x11\x22\x33\x44", 4), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, ORDINARY, 0xb8), RF_PATCH_DONE);
}

/* Records and lock prefixes that came since the seal are none. */
static void sites_after_a_restart(void **state)
{
	struct patched *f = *state;
	uint64_t page = patched_alloc(f, 24), list = patched_alloc(f, 16);
	int32_t rel = (int32_t)(TRACER - LOCKS - 8);

	fake_symbol(&f->g, "late", TRACER + 8, 't');
	fake_write(&f->g, TRACER + 8, patched_nop5, 5);
	fake_write(&f->g, TRACER, "\x3e\x48\xff\x07", 4);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 2);
	fake_put64(&f->g, list, TRACER + 8);
	fake_put64(&f->g, page + 8, list);
	fake_put64(&f->g, page + 16, 1);
	fake_put64(&f->g, HEAP + 0x30, page);
	fake_write(&f->g, LOCKS + 8, &rel, 4);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 2);
	assert_int_equal(patched_poke(f, FUNC(0), patched_nop5, 5), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, LOCKED, 0xf0), RF_PATCH_DONE);
	/* A seal would have them. */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 17);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 3);
}

static void no_magic(void)
{
	patched_table.magic = 0;
}

static void another_base(void)
{
	patched_table.base += 0x1000;
}

static void another_revision(void)
{
	patched_table.revision++;
}

static void too_many(void)
{
	patched_table.sites_count = patched_table.extra_count = UINT32_MAX;
}

/* What the earlier monitor left half done, or for another text, is not taken, and nobody is asked
 * in its place: what lies in writable memory is none. */
static void tables_that_are_not_whole(void **state)
{
	static void (*const spoil[])(void) = { no_magic, another_base, another_revision, too_many };
	struct patched *f = *state;

	for (size_t i = 0; i < sizeof(spoil) / sizeof(spoil[0]); i++) {
		struct rf_textpatch_stats stats;

		assert_int_equal(patched_create(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
		spoil[i]();
		assert_int_equal(patched_take_over(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 0);
		rf_textpatch_stats(f->t, &stats);
		assert_true(stats.nothing_kept);
		assert_int_equal(patched_table.magic, RF_TABLE_MAGIC);
	}
}

/* A guest may have as many probes and trampolines as it likes: what has no room is left out. */
static void no_more_than_there_is_room_for(void **state)
{
	struct patched *f = *state;
	struct rf_patch_site probe = { .shape = RF_SHAPE_PROBE, .kind = RF_SITE_KPROBE };
	struct rf_targets *s = &f->t->targets;

	for (; probe.at < RF_TABLE_EXTRA; probe.at++)
		assert_true(rf_extra_put(f->t, &probe));
	assert_false(rf_extra_put(f->t, &probe));
	assert_int_equal(patched_table.extra_count, RF_TABLE_EXTRA);
	rf_targets_clear(s);
	for (uint64_t i = 0; i < RF_SET_ROOM + 2; i++)
		rf_targets_add(f->t, s, MODULE + i);
	assert_int_equal(s->count, RF_SET_ROOM);
	assert_int_equal(s->v[RF_SET_ROOM - 1], MODULE + RF_SET_ROOM - 1);
}

/* A probe of a table that somebody has written to gets in front of no other site. */
static void kept_probe_over_a_site(void **state)
{
	struct patched *f = *state;
	struct rf_patch_site probe = { .at = (uint32_t)(CODE + 1 - TEXT),
				       .shape = RF_SHAPE_PROBE,
				       .kind = RF_SITE_KPROBE,
				       .own = { 0x48 } };

	for (int i = 0; i < 2; i++) {
		patched_table.extra[0] = probe;
		patched_table.extra_count = 1;
		assert_int_equal(patched_take_over(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), !i);
		probe.at = (uint32_t)(FUNC(0) - TEXT);
	}
}

/* It died in the middle of a change: all of it is bounded. */
static void tables_in_the_middle_of_a_change(void **state)
{
	struct patched *f = *state;

	patched_ops(f, TRAMPOLINE);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	patched_table.seq |= 1;
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(patched_poke(f, FUNC(0), patched_nop5, 5), RF_PATCH_DONE);
	for (unsigned int i = 0; i < RF_TABLE_SETS; i++)
		patched_table.sets[i] = (struct rf_patch_set){ UINT32_MAX, UINT32_MAX };
	for (unsigned int i = 0; i < 8; i++)
		patched_table.extra[i] = (struct rf_patch_site){
			UINT32_MAX - i, (uint16_t)(i << 12), RF_SITE_KPROBE, 0, { 0 }
		};
	patched_table.extra_count = 8;
	assert_int_equal(patched_take_over(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, patched_setup, patched_teardown)
		T(swept_as_far_as_reads_go),  T(own_bytes_after_a_restart),
		T(own_bytes_at_the_seal),     T(own_bytes_without_a_table),
		T(kept_probe_over_a_site),    T(no_more_than_there_is_room_for),
		T(chains_in_the_cache),	      T(probes_that_cost_no_reads),
		T(jump_before_a_label),	      T(sites_after_a_restart),
		T(tables_that_are_not_whole), T(tables_in_the_middle_of_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
