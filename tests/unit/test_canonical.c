// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text as it is measured: the same for who was there from the seal on and for who finds the guest
 * patched, whatever the kernel patches; another one as soon as anything else is changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_patched.h"

#define SIZE (ETEXT - TEXT)

static uint8_t first[SIZE], now[SIZE];

/* In pieces, so that sites lie across their borders. */
static void look(struct patched *f, size_t piece, uint8_t out[SIZE])
{
	for (size_t at = 0; at < SIZE; at += piece) {
		size_t len = SIZE - at < piece ? SIZE - at : piece;

		assert_int_equal(rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(TEXT + at), out + at, len),
				 0);
		rf_textpatch_canonical(f->t, rf_gva_of(TEXT + at), out + at, len);
	}
}

static int setup(void **state)
{
	int err = patched_setup(state);

	look(*state, SIZE, first);
	return err;
}

static void same(struct patched *f)
{
	static const size_t pieces[] = { SIZE, 4096, 7, 1 };

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		look(f, pieces[i], now);
		assert_memory_equal(now, first, SIZE);
	}
}

/* To the source and to the destination, which compiles its table from the guest as it is. */
static void same_for_both(struct patched *f)
{
	same(f);
	assert_int_equal(patched_create(f), 0);
	same(f);
}

static void sites_are_blank(void **state)
{
	static const uint8_t zeros[5];
	struct patched *f = *state;

	assert_memory_equal(first + (JUMP - TEXT), zeros, 5);
	assert_memory_equal(first + (CALL - TEXT), zeros, 5);
	assert_memory_equal(first + (TRAMP - TEXT), zeros, 5);
	assert_memory_equal(first + (FUNC(15) - TEXT), zeros, 5);
	assert_memory_equal(first + (ENDBR_FUNC - TEXT), "\xf3\x0f\x1e\xfa\0\0\0\0\0", 9);
	assert_memory_equal(first + (CODE - TEXT), "\x55\x48\x89\xe5\xb8", 5);
	assert_memory_equal(first + (LOCKED - TEXT), "\xf0\x83\x00\x01\xf0\x48", 6);
	/* Outside of text nothing is touched. */
	memset(now, 0x77, 64);
	rf_textpatch_canonical(f->t, rf_gva_of(RODATA), now, 64);
	rf_textpatch_canonical(f->t, rf_gva_of(TEXT - 4096), now, 64);
	for (int i = 0; i < 64; i++)
		assert_int_equal(now[i], 0x77);
}

static void patched_tables(void **state)
{
	struct patched *f = *state;
	uint8_t jmp[5];

	patched_rel32(jmp, 0xe9, JUMP, JUMP + 16);
	assert_int_equal(patched_poke(f, JUMP, jmp, 5), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, CALL, 0xe8, FUNC(3)), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, TRAMP, 0xe9, FUNC(3)), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	same_for_both(f);
}

static void half_way(void **state)
{
	struct patched *f = *state;

	assert_int_equal(patched_byte(f, JUMP, RF_INT3), RF_PATCH_STEP);
	same_for_both(f);
	assert_int_equal(patched_byte(f, FUNC(2), RF_INT3), RF_PATCH_STEP);
	same_for_both(f);
}

static void probed(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 1, 0x48, 0);

	assert_int_equal(patched_byte(f, CODE + 1, RF_INT3), RF_PATCH_DONE);
	assert_true(patched_holds(f, CODE + 1, "\xcc", 1));
	same_for_both(f);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	patched_unprobe(f, probe);
	same_for_both(f);
	assert_int_equal(rf_textpatch_sweep(f->t, &f->g.m, &f->g.p), 0);
	same_for_both(f);
}

static void optimised(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	uint8_t jmp[5];

	fake_write(&f->g, probe + 136, "\x11\x22\x33\x44", 4);
	assert_int_equal(patched_byte(f, CODE + 4, RF_INT3), RF_PATCH_DONE);
	same(f);
	patched_rel32(jmp, 0xe9, CODE + 4, SLOT);
	assert_int_equal(patched_poke(f, CODE + 4, jmp, 5), RF_PATCH_DONE);
	same_for_both(f);
}

/* Own bytes that the guest's list lies about: found where the text is compared. */
static void forged_probe(void **state)
{
	struct patched *f = *state;

	patched_probe(f, CODE + 1, 0x49, 0);
	fake_write(&f->g, CODE + 1, "\xcc", 1);
	assert_int_equal(patched_create(f), 0);
	look(f, SIZE, now);
	assert_int_equal(first[CODE + 1 - TEXT], 0x48);
	assert_int_equal(now[CODE + 1 - TEXT], 0x49);
}

/* The source knows lock prefixes that are gone at the destination. */
static void second_cpu(void **state)
{
	struct patched *f = *state;

	assert_int_equal(patched_byte(f, LOCKED, 0xf0), RF_PATCH_DONE);
	same_for_both(f);
	assert_int_equal(patched_byte(f, LOCKED + 4, 0xf0), RF_PATCH_DONE);
	fake_put64(&f->g, SMP_LIST, SMP_LIST);
	same(f);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_SMP_LOCK), 0);
	same(f);
}

/* Each byte that is no site's, changed: seen. A site that holds what it may not: seen as well, by
 * who arrives. */
static void changed(void **state)
{
	struct patched *f = *state;
	uint8_t was;

	for (uint64_t at = CODE; at < CODE + 16; at++) {
		assert_int_equal(rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(at), &was, 1), 0);
		was ^= 1;
		fake_write(&f->g, at, &was, 1);
		look(f, SIZE, now);
		assert_memory_not_equal(now, first, SIZE);
		was ^= 1;
		fake_write(&f->g, at, &was, 1);
	}
	same(f);
	fake_write(&f->g, JUMP, "\xe9\x00\x01\x00\x00", 5);
	assert_int_equal(patched_create(f), 0);
	look(f, SIZE, now);
	assert_memory_not_equal(now, first, SIZE);
	fake_write(&f->g, JUMP, patched_nop5, 5);
	fake_write(&f->g, FUNC(7), "\xe8\x00\x01\x00\x00", 5);
	assert_int_equal(patched_create(f), 0);
	look(f, SIZE, now);
	assert_memory_not_equal(now, first, SIZE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, patched_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sites_are_blank), T(patched_tables), T(half_way),   T(probed),
		T(optimised),	    T(forged_probe),   T(second_cpu), T(changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
