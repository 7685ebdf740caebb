// SPDX-License-Identifier: LGPL-2.1-or-later
/* Probes, which come from the guest's writable lists: as test_textpatch_live.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_patched.h"

static void probed(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 1, 0x48, 0);

	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	assert_int_equal(f->r.kind, RF_SITE_KPROBE);
	assert_int_equal(f->refreshed, 1);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 1);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0x49), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 2, 0x49), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	/* The kernel disarms and forgets; whatever the order, only its own byte comes back. */
	patched_unprobe(f, probe);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 1);
	assert_int_equal(patched_byte(f, CODE + 1, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* Where the policy denies them: none comes, and one that is there goes and comes as ever. */
static void probes_denied(void **state)
{
	struct patched *f = *state;
	uint8_t armed = 0xcc;

	patched_probe(f, CODE + 1, 0x48, 0);
	fake_write(&f->g, CODE + 1, &armed, 1);
	f->frozen = 1u << RF_SITE_KPROBE;
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	patched_probe(f, CODE + 4, 0xb8, 0);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_NOT_A_SITE);
	f->frozen = 0;
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_DONE);
}

/* A breakpoint of another kind, or one that stood at the seal, makes no room for a jump. */
static void denied_probes_stay_narrow(void **state)
{
	struct patched *f = *state;
	uint8_t armed = 0xcc, insn[5];
	uint64_t probe;

	f->frozen = 1u << RF_SITE_KPROBE;
	assert_int_equal(patched_create(f), 0);
	patched_probe(f, CODE + 4, 0xb8, SLOT);
	patched_detour(f, insn);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_NOT_A_SITE);
	fake_put64(&f->g, KGDB + 24, CODE + 4);
	fake_put64(&f->g, KGDB + 40, 2);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_DONE);
	assert_int_equal(f->r.kind, RF_SITE_KGDB);
	assert_int_equal(patched_store(f, CODE + 5, insn + 1, 4), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
	fake_put64(&f->g, KGDB + 40, 0);
	/* Armed at the seal, with one's own byte alone. */
	f->frozen |= 1u << RF_SITE_KGDB;
	fake_write(&f->g, CODE + 4, &armed, 1);
	assert_int_equal(patched_create(f), 0);
	probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	assert_int_not_equal(patched_store(f, CODE + 5, insn + 1, 4), RF_PATCH_STEP);
	patched_unprobe(f, probe);
	/* Nor does the debugger begin what only the patcher may. */
	fake_symbol(&f->g, "bp_desc", BP_DESC, 'b');
	fake_member(&f->g, "bp_patching_desc", "refs", 12, 4);
	assert_int_equal(patched_create(f), 0);
	fake_put64(&f->g, KGDB + 24, JUMP);
	fake_put64(&f->g, KGDB + 40, 2);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_BAD_STEP);
}

/* Each step of the kernel's protocol is one that is denied. */
static void tracing_denied(void **state)
{
	struct patched *f = *state;
	uint8_t insn[5];

	f->frozen = 1u << RF_SITE_FTRACE;
	assert_int_equal(patched_create(f), 0);
	patched_rel32(insn, 0xe8, FUNC(2), FTRACE_CALLER);
	assert_int_equal(patched_byte(f, FUNC(2), 0xcc), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_store(f, FUNC(2) + 1, insn + 1, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_byte(f, FUNC(2), 0xe8), RF_PATCH_BAD_STEP);
}

static void probed_wrongly(void **state)
{
	struct patched *f = *state;

	/* Another byte than the text's, a place where no instruction begins, padding, a site. */
	patched_probe(f, CODE, 0x90, 0);
	assert_int_equal(patched_byte(f, CODE, 0xcc), RF_PATCH_NOT_A_SITE);
	patched_probe(f, CODE + 2, 0x89, 0);
	assert_int_equal(patched_byte(f, CODE + 2, 0xcc), RF_PATCH_NOT_A_SITE);
	patched_probe(f, CODE + 14, 0x90, 0);
	assert_int_equal(patched_byte(f, CODE + 14, 0x90), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 14, 0xcc), RF_PATCH_NOT_A_SITE);
	fake_symbol(&f->g, "label", JUMP, 't');
	patched_probe(f, JUMP, 0x0f, 0);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP);
	assert_int_equal(f->r.kind, RF_SITE_JUMP_LABEL);
	assert_int_equal(patched_byte(f, JUMP, 0x0f), RF_PATCH_DONE);
	patched_probe(f, RODATA + 0x80, 0, 0);
	patched_probe(f, ETEXT - 2, 0, 0);
	assert_int_equal(patched_byte(f, ETEXT - 2, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_table.extra_count, 0);
	/* Only the probe at that very place counts. */
	patched_probe(f, CODE + 4, 0xb8, 0);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_store(f, CODE + 4, "\xcc\xcc", 2), RF_PATCH_BAD_STEP);
}

static void hostile_probes(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 1, 0x48, 0);

	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	/* A ring: the end is not found, so nothing is forgotten. */
	fake_put64(&f->g, probe, probe);
	fake_put64(&f->g, probe + 40, CODE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 1);
	fake_put64(&f->g, probe, 0x4444);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 1);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	patched_symbol(f, "kprobe_table", 0x5555);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).unread, 1);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* The boundary is looked for in the code as it is without the breakpoints. */
static void probed_behind_probes(void **state)
{
	struct patched *f = *state;

	patched_probe(f, CODE, 0x55, 0);
	patched_probe(f, CODE + 1, 0x48, 0);
	patched_probe(f, CODE + 4, 0xb8, 0);
	patched_probe(f, CODE + 9, 0x48, 0);
	patched_probe(f, CODE + 10, 0x01, 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 10, 0xcc), RF_PATCH_NOT_A_SITE);
	/* Another monitor finds them all, in whatever order their list has them. */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 4);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 9, 0x90), RF_PATCH_BAD_INSN);
}

static void optimised(void **state)
{
	static const uint8_t own[] = { 0xb8, 0x11, 0x22, 0x33, 0x44 };
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, 0);
	uint8_t insn[5];

	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_DONE);
	/* An aggregate with a detour takes its place; later the worker writes the jump. */
	patched_unprobe(f, probe);
	probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	patched_detour(f, insn);
	assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	assert_int_equal(f->r.kind, RF_SITE_KPROBE);
	assert_int_equal(patched_sweep(f), 0);
	/* arch_unoptimize_kprobe(), and on again */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_STEP);
		assert_true(f->r.resting);
		assert_int_equal(patched_store(f, CODE + 5, own + 1, 4), RF_PATCH_DONE);
		assert_int_equal(patched_store(f, CODE + 5, own + 1, 4), RF_PATCH_DONE);
		assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	}
	/* Gone from the list while the jump is there: back to its own bytes and nothing else. */
	patched_unprobe(f, probe);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 1);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, CODE + 5, insn + 1, 3), RF_PATCH_STEP); /* no change */
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, CODE + 5, own + 1, 4), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, CODE + 4, 0xe9), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
	assert_true(patched_holds(f, CODE + 4, own, 5));
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 0);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_NOT_A_SITE);
}

static void optimised_wrongly(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	uint8_t insn[5];

	/* To another place than a detour. */
	assert_int_equal(patched_call(f, CODE + 4, 0xe9, SLOT + 1), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
	/* A detour in the kernel's data, or one that does not say how long it is. */
	fake_put64(&f->g, probe + 144, DATA + 0x80);
	assert_int_equal(patched_call(f, CODE + 4, 0xe9, DATA + 0x80), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
	fake_put64(&f->g, probe + 144, SLOT);
	fake_put64(&f->g, probe + 152, 0);
	assert_int_equal(patched_sweep(f), 0);
	/* No room: the jump would reach into the next function, or into a patch site. */
	patched_probe(f, CODE + 13, 0xc3, SLOT);
	patched_detour(f, insn);
	assert_int_equal(patched_byte(f, CODE + 13, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_store(f, CODE + 14, insn + 1, 4), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, CODE + 13, 0xc3), RF_PATCH_DONE);
	/* Not an aggregate. */
	fake_put64(&f->g, probe + 152, 5);
	fake_put64(&f->g, probe + 64, AGGREGATOR + 1);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, CODE + 4, 0xe9, SLOT), RF_PATCH_NOT_A_SITE);
}

/* The guest hides the detour while its jump is in place: own bytes are not forgotten. */
static void half_forgotten(void **state)
{
	static const uint8_t own[] = { 0xb8, 0x11, 0x22, 0x33, 0x44 };
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	uint8_t insn[5];

	patched_detour(f, insn);
	assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	fake_put64(&f->g, probe + 144, 0);
	assert_int_equal(patched_byte(f, CODE + 4, 0x90), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, CODE + 5, own + 1, 4), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
}

/* A probe inside of what a jump replaces: the kernel takes the jump back first. */
static void probe_under_a_jump(void **state)
{
	static const uint8_t own[] = { 0x48, 0x01, 0xd8, 0x5d, 0xc3 };
	struct patched *f = *state;
	uint8_t insn[5];
	uint64_t inner;

	patched_probe(f, CODE + 9, 0x48, SLOT);
	patched_rel32(insn, 0xe9, CODE + 9, SLOT);
	assert_int_equal(patched_poke(f, CODE + 9, insn, 5), RF_PATCH_DONE);
	inner = patched_probe(f, CODE + 12, 0x5d, 0);
	assert_int_equal(patched_byte(f, CODE + 12, 0xcc), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, CODE + 10, own + 1, 4), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 12, 0xcc), RF_PATCH_DONE);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 2);
	/* No jump over an armed one; over one that is disabled there is. */
	assert_int_equal(patched_store(f, CODE + 10, insn + 1, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(patched_byte(f, CODE + 12, 0x5d), RF_PATCH_DONE);
	assert_int_equal(patched_poke(f, CODE + 9, insn, 5), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, CODE + 10, own + 1, 4), RF_PATCH_DONE);
	patched_unprobe(f, inner);
	assert_int_equal(patched_byte(f, CODE + 9, 0x48), RF_PATCH_DONE);
	assert_true(patched_holds(f, CODE + 9, own, 5));
}

static void optimised_before(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	uint8_t insn[5];

	patched_detour(f, insn);
	assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	fake_write(&f->g, probe + 136, "\x11\x22\x33\x44", 4);
	patched_probe(f, CODE + 9, 0x48, 0);
	assert_int_equal(patched_byte(f, CODE + 9, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 2);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, CODE + 5, "\x11\x22\x33\x44", 4), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 4, 0xb8), RF_PATCH_DONE);
}

/* A breakpoint is nothing that a probe stands for, and no place for one is another site's. */
static void no_place_for_a_probe(void **state)
{
	struct patched *f = *state;

	patched_probe(f, CODE + 1, 0xcc, 0);
	fake_write(&f->g, CODE + 1, "\xcc", 1);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 0);
	/* An int3 that is the patcher's: the byte in front of it is no probe's to say. */
	patched_probe(f, FUNC(0), 0x55, 0);
	fake_write(&f->g, FUNC(0), "\xcc", 1);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).flying, 1);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_KPROBE), 0);
	assert_int_equal(patched_byte(f, FUNC(0), 0x55), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(0), patched_nop5[0]), RF_PATCH_DONE);
}

/* Nor does its jump reach into one. */
static void no_jump_into_a_site(void **state)
{
	static const uint8_t nops[16] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
					  0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };
	struct patched *f = *state;
	uint8_t jump[5];

	fake_write(&f->g, JUMP - 16, nops, sizeof(nops));
	assert_int_equal(patched_create(f), 0);
	patched_probe(f, JUMP - 3, 0x90, SLOT);
	patched_rel32(jump, 0xe9, JUMP - 3, SLOT);
	assert_int_equal(patched_byte(f, JUMP - 3, 0xcc), RF_PATCH_DONE);
	assert_true(patched_store(f, JUMP - 2, jump + 1, 2) > RF_PATCH_DONE);
	assert_true(patched_store(f, JUMP - 2, jump + 1, 4) > RF_PATCH_DONE);
	/* A byte more of room, and it fits. */
	assert_int_equal(patched_byte(f, JUMP - 3, 0x90), RF_PATCH_DONE);
	patched_probe(f, JUMP - 5, 0x90, SLOT);
	patched_rel32(jump, 0xe9, JUMP - 5, SLOT);
	assert_int_equal(patched_byte(f, JUMP - 5, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_store(f, JUMP - 4, jump + 1, 4), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, JUMP - 5, 0xe9), RF_PATCH_DONE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, patched_setup, patched_teardown)

/* Each of them, whoever sweeps. */
int main(void)
{
	int failed = 0;
	const struct CMUnitTest tests[] = {
		T(probed),
		T(probes_denied),
		T(denied_probes_stay_narrow),
		T(tracing_denied),
		T(probed_wrongly),
		T(hostile_probes),
		T(probed_behind_probes),
		T(optimised),
		T(optimised_wrongly),
		T(half_forgotten),
		T(probe_under_a_jump),
		T(optimised_before),
		T(no_place_for_a_probe),
		T(no_jump_into_a_site),
	};

	for (patched_by = PATCHED_ALONE; patched_by <= PATCHED_BY_A_NEW_ONE; patched_by++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
