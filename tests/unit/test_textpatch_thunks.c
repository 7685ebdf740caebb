// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Call depth accounting: what patch_dest() (6.12 arch/x86/kernel/callthunks.c) writes before a
 * function, in each way its memcpy() may split it, and everything else that could be written there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_patched.h"

#define TEMPLATE (RODATA + 0x800)
#define LEN 9
#define COUNTED FUNC(1) /* at boot, as the kernel itself calls it */
#define PAD (FUNC(2) - LEN)
#define OTHER (FUNC(3) - LEN)

/* 6.12.117: sarq $5, %gs:pcpu_hot+16(%rip) */
static const uint8_t template[LEN] = { 0x65, 0x48, 0xc1, 0x3d, 0x60, 0x41, 0xc5, 0x7d, 5 };
static const uint8_t absolute[10] = { 0x65, 0x48, 0xc1, 0x3c, 0x25, 0x10, 0x4b, 3, 0, 5 };
static const uint8_t nops[16] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
				  0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90 };

/* text_poke_apply_relocation(): the same word, from there. */
static void spell(uint8_t out[LEN], uint64_t at)
{
	uint32_t disp;

	memcpy(out, template, LEN);
	memcpy(&disp, out + 4, 4);
	disp += (uint32_t)(TEMPLATE - at);
	memcpy(out + 4, &disp, 4);
}

static void put_template(struct patched *f, const uint8_t *bytes, size_t len, uint64_t at)
{
	fake_write(&f->g, at, bytes, len);
	fake_symbol(&f->g, "skl_call_thunk_template", at, 'd');
	fake_symbol(&f->g, "skl_call_thunk_tail", at + len, 'd');
}

static void pad_all(struct patched *f)
{
	for (uint64_t n = 0; n < 16; n++)
		fake_write(&f->g, FUNC(n) - 16, nops, 16);
}

static void count(struct patched *f, uint64_t function)
{
	uint8_t thunk[LEN];

	spell(thunk, function - LEN);
	fake_write(&f->g, function - LEN, thunk, LEN);
}

static int setup(void **state)
{
	int err = patched_setup(state);
	struct patched *f = *state;

	pad_all(f);
	count(f, COUNTED);
	put_template(f, template, LEN, TEMPLATE);
	return err ? err : patched_create(f);
}

static void blank(struct patched *f)
{
	fake_write(&f->g, PAD, nops, LEN);
}

static void known(void **state)
{
	struct patched *f = *state;

	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 16);
	assert_int_equal(patched_stats(f).odd + patched_stats(f).full + patched_stats(f).foreign,
			 0);
	/* A kernel that counts nothing writes none. */
	fake_write(&f->g, COUNTED - LEN, nops, LEN);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 0);
	assert_int_equal(patched_byte(f, PAD, template[0]), RF_PATCH_NOT_A_SITE);
}

/* By one store as a trap in __text_poke() makes it, by memcpy_orig, by rep movsb, by any two. */
static void filled(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN];

	spell(thunk, PAD);
	assert_int_equal(patched_store(f, PAD, thunk, LEN), RF_PATCH_DONE);
	blank(f);
	assert_int_equal(patched_store(f, PAD, thunk, 8), RF_PATCH_STEP);
	assert_false(rf_patch_begins(&f->r)); /* no batch: bp_desc says nothing of it */
	assert_int_equal(patched_store(f, PAD + 1, thunk + 1, 8), RF_PATCH_DONE);
	for (size_t first = 1; first < LEN; first++) {
		blank(f);
		assert_int_equal(patched_store(f, PAD, thunk, first), RF_PATCH_STEP);
		/* The same once more, and from any byte that is there. */
		assert_int_equal(patched_store(f, PAD, thunk, first), RF_PATCH_STEP);
		for (size_t from = 0; from <= first; from++)
			assert_int_equal(patched_store(f, PAD + from, thunk + from, LEN - from),
					 RF_PATCH_DONE);
	}
	blank(f);
	for (size_t i = 0; i < LEN; i++)
		assert_int_equal(patched_byte(f, PAD + i, thunk[i]),
				 i == LEN - 1 ? RF_PATCH_DONE : RF_PATCH_STEP);
	assert_true(patched_holds(f, PAD, thunk, LEN));
	assert_int_equal(f->refreshed, 0);
}

static void one_byte_wrong(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN], forged[LEN];

	spell(thunk, PAD);
	for (size_t i = 0; i < LEN; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(forged, thunk, LEN);
			forged[i] ^= (uint8_t)(1 << bit);
			blank(f);
			assert_int_equal(patched_store(f, PAD, forged, LEN), RF_PATCH_BAD_INSN);
			/* In whatever pieces: the one with the byte. */
			for (size_t cut = 0; cut <= i; cut++) {
				blank(f);
				if (cut)
					assert_int_equal(patched_store(f, PAD, forged, cut),
							 RF_PATCH_STEP);
				assert_int_equal(
					patched_store(f, PAD + cut, forged + cut, i + 1 - cut),
					RF_PATCH_BAD_INSN);
			}
			/* Nor over one that is whole. */
			fake_write(&f->g, PAD, thunk, LEN);
			assert_int_equal(patched_byte(f, PAD + i, forged[i]), RF_PATCH_BAD_INSN);
			assert_int_equal(patched_store(f, PAD, forged, LEN), RF_PATCH_BAD_INSN);
		}
	}
}

/* Not from the front: what stands before it would be nops still. */
static void out_of_order(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN];

	spell(thunk, PAD);
	for (size_t from = 1; from < LEN; from++)
		for (size_t len = 1; len <= LEN - from; len++)
			assert_int_equal(patched_store(f, PAD + from, thunk + from, len),
					 RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, PAD, thunk, 3), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, PAD + 4, thunk + 4, 5), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, PAD, 0xcc), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, PAD + 3, 0xcc), RF_PATCH_BAD_INSN);
	/* It stays: no kernel takes one away. */
	assert_int_equal(patched_store(f, PAD, thunk, LEN), RF_PATCH_DONE);
	assert_int_equal(patched_store(f, PAD, nops, LEN), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, PAD, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, PAD + LEN - 1, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, PAD, 0xcc), RF_PATCH_BAD_INSN);
}

static void elsewhere(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN], there[LEN];

	spell(thunk, PAD);
	/* The one for another place counts another word. */
	spell(there, OTHER);
	assert_int_equal(patched_store(f, PAD, there, LEN), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_store(f, PAD, template, LEN), RF_PATCH_BAD_INSN);
	/* Over either border, and beside it. */
	for (int shift = -16; shift < 16; shift++) {
		uint64_t at = PAD + (uint64_t)(int64_t)shift;

		if (shift) {
			spell(there, at);
			assert_true(patched_store(f, at, there, LEN) > RF_PATCH_DONE);
			assert_true(patched_store(f, at, thunk, LEN) > RF_PATCH_DONE);
		}
	}
	/* Inside of a function, where nine nops stand, too; in a function's beginning. */
	fake_write(&f->g, CODE + 0x100, nops, 16);
	assert_int_equal(patched_create(f), 0);
	spell(there, CODE + 0x100);
	assert_int_equal(patched_store(f, CODE + 0x100, there, LEN), RF_PATCH_NOT_A_SITE);
	spell(there, FUNC(2));
	assert_true(patched_store(f, FUNC(2), there, LEN) > RF_PATCH_DONE);
}

/* Nothing before it but nine nops; begins on 16 bytes; a function by kallsyms; no trampoline. */
static void no_padding(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN];

	fake_write(&f->g, PAD, "\xc3", 1);
	fake_write(&f->g, OTHER + LEN - 1, "\xcc", 1);
	fake_symbol(&f->g, "unaligned", CODE + 0x208, 't');
	fake_symbol(&f->g, "data", CODE + 0x220, 'd');
	fake_symbol(&f->g, "__pfx_odd", CODE + 0x240, 't');
	fake_symbol(&f->g, "__SCT__odd", CODE + 0x260, 't');
	fake_symbol(&f->g, "function", CODE + 0x280, 't');
	fake_symbol(&f->g, "alias", CODE + 0x280, 'T');
	for (uint64_t at = CODE + 0x200; at < CODE + 0x280; at += 16)
		fake_write(&f->g, at, nops, 16);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 16 - 2 + 1);
	spell(thunk, CODE + 0x280 - LEN);
	assert_int_equal(patched_store(f, CODE + 0x280 - LEN, thunk, LEN), RF_PATCH_DONE);
	spell(thunk, CODE + 0x208 - LEN);
	assert_int_equal(patched_store(f, CODE + 0x208 - LEN, thunk, LEN), RF_PATCH_NOT_A_SITE);
	spell(thunk, PAD);
	assert_int_equal(patched_store(f, PAD, thunk, LEN), RF_PATCH_NOT_A_SITE);
	spell(thunk, OTHER);
	assert_int_equal(patched_store(f, OTHER, thunk, LEN), RF_PATCH_NOT_A_SITE);
}

/* A template that lies where the guest writes, or is another instruction, is none. */
static void no_template(void **state)
{
	static const struct {
		uint64_t at;
		uint8_t len, byte, value;
	} none[] = {
		{ DATA + 0x800, LEN, 0, 0x65 },	     /* data */
		{ TEXT + 0x1800, LEN, 0, 0x65 },     /* text */
		{ ERODATA - LEN + 1, LEN, 0, 0x65 }, /* half of it */
		{ TEMPLATE, LEN - 1, 0, 0x65 },	     /* cut */
		{ TEMPLATE, 16, 0, 0x65 },	     /* with something behind it */
		{ TEMPLATE, LEN, 8, 6 },	     /* another distance */
		{ TEMPLATE, LEN, 2, 0xd3 },	     /* by cl */
		{ TEMPLATE, LEN, 0, 0x64 },	     /* of user space's */
		{ TEMPLATE, LEN, 3, 0x3c },	     /* absolute, in nine bytes */
		{ TEMPLATE, 0, 0, 0x65 },
	};
	struct patched *f = *state;
	uint8_t thunk[LEN], forged[16];
	int32_t word;

	spell(thunk, PAD);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		setup(state);
		f = *state;
		memset(forged, 0x90, sizeof(forged));
		memcpy(forged, template, LEN);
		/* It counts in the same word from there. */
		memcpy(&word, template + 4, sizeof(word));
		word -= (int32_t)(none[i].at - TEMPLATE);
		memcpy(forged + 4, &word, sizeof(word));
		forged[none[i].byte] = none[i].value;
		for (size_t n = 0; n < f->g.k.count; n++)
			if (!strncmp(f->g.k.syms[n].name, "skl_call_thunk_", 15))
				f->g.k.syms[n].addr.v =
					none[i].at +
					(f->g.k.syms[n].name[16] == 'a' ? none[i].len : 0);
		fake_write(&f->g, none[i].at, forged, none[i].len);
		assert_int_equal(patched_create(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 0);
		assert_int_equal(patched_store(f, PAD, thunk, LEN), RF_PATCH_NOT_A_SITE);
	}
}

/* Before 6.8 the word's address is absolute: ten bytes, the same everywhere. */
static void without_rip(void **state)
{
	struct patched *f = *state;
	uint64_t pad = FUNC(2) - 10;

	for (size_t n = 0; n < f->g.k.count; n++)
		if (!strcmp(f->g.k.syms[n].name, "skl_call_thunk_tail"))
			f->g.k.syms[n].addr.v = TEMPLATE + 10;
	fake_write(&f->g, TEMPLATE, absolute, 10);
	fake_write(&f->g, COUNTED - 10, absolute, 10);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 16);
	assert_int_equal(patched_store(f, pad, absolute, 8), RF_PATCH_STEP);
	assert_int_equal(patched_store(f, pad + 2, absolute + 2, 8), RF_PATCH_DONE);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(patched_byte(f, pad + i, absolute[i] ^ 1), RF_PATCH_BAD_INSN);
}

/* It is called as soon as it is whole, by calls whose key says so. */
static void called(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN];

	spell(thunk, PAD);
	assert_int_equal(patched_call(f, CALL, 0xe8, COUNTED - LEN), RF_PATCH_DONE);
	fake_put64(&f->g, KEY, FUNC(2));
	assert_int_equal(patched_call(f, TRAMP, 0xe9, FUNC(2)), RF_PATCH_DONE);
	for (size_t i = 0; i < LEN; i++) {
		assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_BAD_INSN);
		/* The tail did not land. */
		assert_int_equal(patched_byte(f, CALL, 0xe8), RF_PATCH_DONE);
		assert_int_equal(patched_store(f, PAD, thunk, i + 1),
				 i + 1 == LEN ? RF_PATCH_DONE : RF_PATCH_STEP);
	}
	fake_put64(&f->g, KEY, FUNC(4)); /* another function's */
	assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_BAD_INSN);
	fake_put64(&f->g, KEY, FUNC(2) + 1); /* no function */
	assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_BAD_INSN);
	fake_put64(&f->g, KEY, FUNC(2));
	assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_DONE);
	/* The key moves on: not at once, as the call still holds it. */
	fake_put64(&f->g, KEY, FUNC(0));
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, FUNC(0)), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_BAD_INSN);
}

/* ftrace's callers are counted as any others, until something is traced. */
static void traced(void **state)
{
	struct patched *f = *state;
	uint8_t insn[5];

	fake_write(&f->g, FTRACE_STUB - 16, nops, 16);
	patched_rel32(insn, 0xe8, FTRACE_CALL, FTRACE_STUB - LEN);
	fake_write(&f->g, FTRACE_CALL, insn, 5);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).odd, 1); /* nothing counts there */
	count(f, FTRACE_STUB);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).odd, 0);
	fake_put64(&f->g, FUNC_VAR, TRACER);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, TRACER), RF_PATCH_DONE);
	fake_put64(&f->g, FUNC_VAR, FTRACE_STUB);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, FTRACE_STUB), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, FTRACE_STUB - LEN), RF_PATCH_BAD_INSN);
}

/* Another monitor, and one in the middle of it. */
static void taken_over(void **state)
{
	struct patched *f = *state;
	uint8_t thunk[LEN];

	spell(thunk, PAD);
	for (size_t i = 0; i < LEN; i++) {
		assert_int_equal(patched_store(f, PAD, thunk, i + 1),
				 i + 1 == LEN ? RF_PATCH_DONE : RF_PATCH_STEP);
		assert_int_equal(patched_take_over(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_CALL_THUNK), 16);
		assert_int_equal(rf_textpatch_torn(f->t), UINT32_MAX);
	}
	assert_int_equal(patched_call(f, CALL, 0xe8, PAD), RF_PATCH_DONE);
	spell(thunk, OTHER);
	assert_int_equal(patched_store(f, OTHER, thunk, LEN), RF_PATCH_DONE);
}

/* What is filled in makes no other text of it; anything else does. */
static void measured(void **state)
{
	static uint8_t before[ETEXT - TEXT], after[ETEXT - TEXT];
	struct patched *f = *state;
	uint8_t thunk[LEN];

	for (int pass = 0; pass < 3; pass++) {
		uint8_t *out = pass ? after : before;

		assert_int_equal(rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(TEXT), out, sizeof(before)),
				 0);
		for (size_t at = 0; at < sizeof(before); at += 3)
			rf_textpatch_canonical(f->t, rf_gva_of(TEXT + at), out + at,
					       sizeof(before) - at < 3 ? sizeof(before) - at : 3);
		if (pass == 1)
			assert_memory_equal(before, after, sizeof(before));
		if (pass == 2)
			assert_memory_not_equal(before, after, sizeof(before));
		spell(thunk, PAD);
		thunk[LEN - 1] += pass;
		fake_write(&f->g, PAD, thunk, LEN);
		assert_int_equal(patched_create(f), 0);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, patched_teardown)
	const struct CMUnitTest tests[] = {
		T(known),     T(filled),     T(one_byte_wrong), T(out_of_order),
		T(elsewhere), T(no_padding), T(no_template),	T(without_rip),
		T(called),    T(taken_over), T(measured),	T(traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
