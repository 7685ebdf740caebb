// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text patching whose sites the sealed tables name: each kind's legal transitions in each split,
 * the forgeries, and hostile tables. The judge alone: test_patch_judge.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/patches/textpatch.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define ETEXT (TEXT + 0x2000)
#define RODATA (TEXT + 0x2000)
#define ERODATA (TEXT + 0x4000)
#define DATA (TEXT + 0x4000)
#define GPA 0x1000

#define JL5 (TEXT + 0x100) /* target JL5_TO, out of reach for 2 bytes */
#define JL5_TO (TEXT + 0x900)
#define JL2 (TEXT + 0x140)
#define JL2_TO (TEXT + 0x160)
#define JL_RO (TEXT + 0x180)   /* its key is in rodata */
#define SC (TEXT + 0x200)      /* call */
#define SC_TAIL (TEXT + 0x240) /* jmp */
#define SC_JCC (TEXT + 0x280)  /* je */
#define JL_LSM (TEXT + 0x2c0)  /* two that only a security module's key may flip */
#define SC_LSM (TEXT + 0x2e0)
#define FUNC_A (TEXT + 0x1000)
#define FUNC_B (TEXT + 0x1040)
#define RETURN0 (TEXT + 0x1080)
#define THUNK (TEXT + 0x10c0)
#define TRAMP (TEXT + 0x1100)
#define TRAMP2 (TEXT + 0x1108)	 /* another key's */
#define INIT_FUNC (DATA + 0x800) /* a function, but not in [_text, _etext) */

static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0, 0 }, nop2[] = { 0x66, 0x90 };
static const uint8_t xor5[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };
static const uint8_t ret5[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };

static struct rf_patch_table table; /* as the monitor keeps it: over resets */

struct fix {
	struct fake_guest g;
	struct rf_textpatch *t;
	uint32_t last_tail;
	struct rf_diag diag;
	uint64_t jumps, calls; /* end of the tables so far */
	uint32_t frozen;
};

static void put_rel(uint8_t *insn, uint8_t op, uint64_t site, uint64_t target)
{
	int32_t rel = (int32_t)(target - site - 5);

	insn[0] = op;
	memcpy(insn + 1, &rel, 4);
}

static void write_rel(struct fix *f, uint8_t op, uint64_t site, uint64_t target)
{
	uint8_t insn[5];

	put_rel(insn, op, site, target);
	fake_write(&f->g, site, insn, 5);
}

static void jump(struct fix *f, uint64_t code, uint64_t target, uint64_t key, int bits)
{
	int32_t rel[2] = { (int32_t)(code - f->jumps), (int32_t)(target - (f->jumps + 4)) };
	int64_t k = (int64_t)(key - (f->jumps + 8)) | bits;

	fake_write(&f->g, f->jumps, rel, 8);
	fake_write(&f->g, f->jumps + 8, &k, 8);
	f->jumps += 16;
}

static void call(struct fix *f, uint64_t site, uint64_t key)
{
	int32_t rel[2] = { (int32_t)(site - f->calls), (int32_t)(key - (f->calls + 4)) };

	fake_write(&f->g, f->calls, rel, 8);
	f->calls += 8;
}

static int again(struct fix *f)
{
	struct fake_guest *g = &f->g;
	int err;

	rf_textpatch_destroy(f->t);
	f->t = NULL;
	memset(&f->diag, 0, sizeof(f->diag));
	err = rf_textpatch_create(&g->k, &g->m, &g->p, &table, false, f->frozen, &f->t, &f->diag);
	assert_int_equal(table.seq % 2, 0);
	assert_int_equal(table.kernel, 0);
	if (err)
		assert_int_equal(table.sites_count + table.shapes_count, 0);
	else
		f->last_tail = rf_textpatch_torn(f->t);
	return err;
}

static int create(struct fix *f)
{
	struct fake_guest *g = &f->g;

	for (size_t i = 0; i < g->k.count; i++) {
		if (!strcmp(g->k.syms[i].name, "__stop___jump_table"))
			g->k.syms[i].addr.v = f->jumps;
		if (!strcmp(g->k.syms[i].name, "__stop_static_call_sites"))
			g->k.syms[i].addr.v = f->calls;
	}
	return again(f);
}

static int setup(void **state)
{
	static const uint8_t ud[] = { 0x0f, 0xb9, 0xcc }, eb[] = { 0xeb, 0x1e };
	static const uint8_t je[] = { 0x0f, 0x84 };
	static struct fix f;
	struct fake_guest *g = &f.g;
	int32_t rel;

	rf_textpatch_destroy(f.t);
	memset(&f, 0, sizeof(f));
	fake_init(g);
	fake_map(g, TEXT, GPA, 5);
	g->k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(GPA), 0x5000 };
	fake_symbol(g, "_text", TEXT, 'T');
	fake_symbol(g, "_etext", ETEXT, 'T');
	fake_symbol(g, "__start_rodata", RODATA, 'D');
	fake_symbol(g, "__end_rodata", ERODATA, 'D');
	fake_symbol(g, "__start___jump_table", RODATA + 0x100, 'D');
	fake_symbol(g, "__stop___jump_table", RODATA + 0x100, 'D');
	fake_symbol(g, "__start_static_call_sites", RODATA + 0x1800, 'D');
	fake_symbol(g, "__stop_static_call_sites", RODATA + 0x1800, 'D');
	fake_symbol(g, "func_a", FUNC_A, 'T');
	fake_symbol(g, "func_b", FUNC_B, 't');
	fake_symbol(g, "__static_call_return0", RETURN0, 'T');
	fake_symbol(g, "__x86_return_thunk", THUNK, 'T');
	fake_symbol(g, "__SCT__one", TRAMP, 'T');
	fake_symbol(g, "__SCK__one", DATA, 'D');
	fake_symbol(g, "__SCT__two", TRAMP2, 'T');
	fake_symbol(g, "__SCK__two", DATA + 16, 'D');
	fake_symbol(g, "init_func", INIT_FUNC, 't');
	fake_symbol(g, "table", DATA + 0x100, 'D');
	f.jumps = RODATA + 0x100;
	f.calls = RODATA + 0x1800;

	jump(&f, JL5, JL5_TO, DATA + 0x200, 0);
	jump(&f, JL2, JL2_TO, DATA + 0x200, 1);
	jump(&f, JL_RO, JL5_TO, RODATA + 0x40, 0);
	jump(&f, DATA + 0x400, DATA + 0x500, DATA + 0x200, 2); /* init text */
	fake_write(g, JL5, nop5, 5);
	fake_write(g, JL2, eb, 2);
	fake_write(g, JL_RO, nop5, 5);

	call(&f, SC, DATA);
	call(&f, SC_TAIL, DATA | 1);
	call(&f, SC_JCC, DATA | 1);
	call(&f, DATA + 0x440, DATA | 2);
	write_rel(&f, 0xe8, SC, FUNC_A);
	write_rel(&f, 0xe9, SC_TAIL, FUNC_A);
	fake_write(g, SC_JCC, je, 2);
	rel = (int32_t)(FUNC_A - SC_JCC - 6);
	fake_write(g, SC_JCC + 2, &rel, 4);
	write_rel(&f, 0xe9, TRAMP, FUNC_A);
	fake_write(g, TRAMP + 5, ud, 3);
	write_rel(&f, 0xe9, TRAMP2, THUNK);
	fake_write(g, TRAMP2 + 5, ud, 3);
	*state = &f;
	assert_int_equal(create(&f), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	rf_textpatch_destroy(f->t);
	f->t = NULL;
	return 0;
}

/* Judges and, when it is legal, does it. */
static enum rf_patch_verdict store(struct fix *f, uint64_t gva, const void *bytes, size_t len,
				   struct rf_patch_result *r)
{
	struct rf_patch_result mine;

	if (!r)
		r = &mine;
	assert_int_equal(
		rf_textpatch_judge(f->t, &f->g.m, f->last_tail, rf_gva_of(gva), bytes, len, r), 0);
	assert_non_null(r->why);
	if (r->verdict <= RF_PATCH_DONE) {
		fake_write(&f->g, gva, bytes, len);
		if (r->verdict == RF_PATCH_STEP && r->offset)
			f->last_tail = r->at;
	}
	return r->verdict;
}

static enum rf_patch_verdict byte(struct fix *f, uint64_t gva, int v)
{
	uint8_t b = (uint8_t)v;

	return store(f, gva, &b, 1, NULL);
}

/* The whole protocol; split: 0 the tail at once, 1 byte by byte, 2 as two overlapping stores. */
static enum rf_patch_verdict poke(struct fix *f, uint64_t site, const uint8_t *insn, size_t len,
				  int split)
{
	enum rf_patch_verdict v = byte(f, site, 0xcc);
	size_t tail = len - 1, half = tail > 4 ? 4 : tail > 2 ? 2 : 1;

	if (v != RF_PATCH_STEP)
		return v;
	if (split == 0 && tail) {
		v = store(f, site + 1, insn + 1, tail, NULL);
	} else if (split == 1) {
		for (size_t i = 1; i < len && v == RF_PATCH_STEP; i++)
			v = byte(f, site + i, insn[i]);
	} else if (split == 2) {
		v = store(f, site + 1, insn + 1, half, NULL);
		if (v == RF_PATCH_STEP)
			v = store(f, site + len - half, insn + len - half, half, NULL);
	}
	return v == RF_PATCH_STEP ? byte(f, site, insn[0]) : v;
}

static void counts(void **state)
{
	struct fix *f = *state;
	struct rf_textpatch_stats st;

	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 3);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_STATIC_CALL), 3);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_STATIC_TRAMP), 2);
	assert_int_equal(rf_textpatch_count(f->t, (enum rf_site_kind)77), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.init, 2);
	assert_int_equal(st.outside, 0);
	assert_int_equal(st.odd, 0);
	assert_int_equal(st.frozen, 1);
	assert_int_equal(st.flying, 0);
	assert_int_equal(table.magic, RF_TABLE_MAGIC);
	assert_int_equal(table.base, TEXT);
	assert_int_equal(table.size, ETEXT - TEXT);
}

/* What switches security modules stays as it was, whatever the kernel's own data says now. */
static void security_hooks(void **state)
{
	struct fix *f = *state;
	struct rf_textpatch_stats st;
	uint8_t insn[5];

	rf_textpatch_destroy(f->t);
	f->t = NULL;
	fake_symbol(&f->g, "security_hook_active_capable_0", DATA + 0x300, 'd');
	fake_symbol(&f->g, "__SCK__lsm_static_call_capable_0", DATA + 0x320, 'D');
	fake_symbol(&f->g, "__SCT__lsm_static_call_capable_0", TRAMP + 16, 'T');
	jump(f, JL_LSM, JL5_TO, DATA + 0x300, 0);
	call(f, SC_LSM, DATA + 0x320);
	fake_write(&f->g, JL_LSM, nop5, 5);
	write_rel(f, 0xe8, SC_LSM, FUNC_A);
	write_rel(f, 0xe9, TRAMP + 16, FUNC_A);
	fake_write(&f->g, TRAMP + 16 + 5, (const uint8_t[]){ 0x0f, 0xb9, 0xcc }, 3);
	assert_int_equal(create(f), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.frozen, 4);
	put_rel(insn, 0xe9, JL_LSM, JL5_TO);
	assert_int_equal(poke(f, JL_LSM, insn, 5, 0), RF_PATCH_BAD_STEP);
	put_rel(insn, 0xe8, SC_LSM, FUNC_B);
	assert_int_equal(poke(f, SC_LSM, insn, 5, 0), RF_PATCH_BAD_STEP);
	assert_int_equal(poke(f, SC_LSM, xor5, 5, 0), RF_PATCH_BAD_STEP);
	put_rel(insn, 0xe9, TRAMP + 16, FUNC_B);
	assert_int_equal(poke(f, TRAMP + 16, insn, 5, 0), RF_PATCH_BAD_STEP);
	put_rel(insn, 0xe9, JL5, JL5_TO);
	assert_int_equal(poke(f, JL5, insn, 5, 0), RF_PATCH_DONE);
}

/* Of a kind that the policy denies every site stays; the others are patched as ever. */
static void denied_kind(void **state)
{
	struct fix *f = *state;
	uint8_t insn[5];

	rf_textpatch_destroy(f->t);
	f->t = NULL;
	f->frozen = 1u << RF_SITE_JUMP_LABEL;
	assert_int_equal(create(f), 0);
	put_rel(insn, 0xe9, JL5, JL5_TO);
	assert_int_equal(poke(f, JL5, insn, 5, 0), RF_PATCH_BAD_STEP);
	put_rel(insn, 0xe8, SC, FUNC_B);
	assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_DONE);
	f->frozen = 0;
}

static void jump_labels(void **state)
{
	struct fix *f = *state;
	uint8_t jmp[5], eb[2] = { 0xeb, 0x1e };

	put_rel(jmp, 0xe9, JL5, JL5_TO);
	for (int split = 0; split < 3; split++) {
		assert_int_equal(poke(f, JL5, jmp, 5, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, JL5, nop5, 5, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, JL2, nop2, 2, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, JL2, eb, 2, split), RF_PATCH_DONE);
	}
}

static void jump_forgeries(void **state)
{
	struct fix *f = *state;
	uint8_t jmp[5], other[5], zero[8] = { 0 };

	put_rel(jmp, 0xe9, JL5, JL5_TO);
	put_rel(other, 0xe9, JL5, JL5_TO + 1);
	assert_int_equal(byte(f, TEXT + 0x50, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, JL5 - 1, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, JL5 + 5, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, JL2 + 2, 0xcc), RF_PATCH_NOT_A_SITE);
	/* without int3 */
	assert_int_equal(byte(f, JL5, 0xe9), RF_PATCH_BAD_STEP);
	assert_int_equal(byte(f, JL5 + 1, jmp[1]), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL5 + 1, jmp + 1, 4, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL5, jmp, 5, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL2, nop2, 2, NULL), RF_PATCH_BAD_STEP);
	/* over the border, both ways */
	assert_int_equal(store(f, JL5 + 2, zero, 4, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL5 - 2, zero, 4, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL5 - 1, zero, 8, NULL), RF_PATCH_BAD_STEP);
	/* wrong bytes under int3 */
	assert_int_equal(byte(f, JL5, 0xcc), RF_PATCH_STEP);
	assert_int_equal(store(f, JL5, jmp, 5, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, JL5 + 1, other + 1, 4, NULL), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, JL5 + 1, 0x55), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, JL5, 0xe9), RF_PATCH_BAD_INSN); /* jmp with the nop's tail */
	assert_int_equal(byte(f, JL5, 0xc3), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, JL5, 0xe8), RF_PATCH_BAD_INSN);
	/* a mixture of both tails is no instruction */
	assert_int_equal(byte(f, JL5 + 1, jmp[1]), RF_PATCH_STEP);
	assert_int_equal(byte(f, JL5, 0x0f), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, JL5, 0xe9), RF_PATCH_BAD_INSN);
	/* its key cannot be flipped any more */
	assert_int_equal(byte(f, JL_RO, 0xcc), RF_PATCH_BAD_STEP);
}

/* Too many for a tail to be judged byte by byte, as in every real kernel. */
static void many_functions(struct fix *f)
{
	for (uint64_t i = 0; i < 80; i++)
		fake_symbol(&f->g, "many", TEXT + 0x1400 + 16 * i, 't');
}

static void one_torn_tail(void **state)
{
	struct fix *f = *state;
	uint8_t call_b[5];

	many_functions(f);
	assert_int_equal(create(f), 0);
	assert_int_equal(rf_textpatch_torn(f->t), UINT32_MAX);
	put_rel(call_b, 0xe8, SC, FUNC_B);
	assert_int_equal(byte(f, SC, 0xcc), RF_PATCH_STEP);
	assert_int_equal(byte(f, SC_TAIL, 0xcc), RF_PATCH_STEP);
	assert_int_equal(store(f, SC + 1, "\x90\x90\x0f\x05", 4, NULL),
			 RF_PATCH_STEP); /* a gadget */
	assert_int_equal(store(f, SC_TAIL + 1, "\x90\x90\x0f\x05", 4, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(create(f), 0); /* a restarted monitor sees it too */
	assert_int_equal(rf_textpatch_torn(f->t), SC - TEXT);
	assert_int_equal(store(f, SC_TAIL + 1, "\x90\x90\x0f\x05", 4, NULL), RF_PATCH_BAD_STEP);
	assert_int_equal(byte(f, SC, 0xe8), RF_PATCH_BAD_INSN);
	assert_int_equal(store(f, SC + 1, call_b + 1, 4, NULL), RF_PATCH_STEP);
	assert_int_equal(store(f, SC_TAIL + 1, "\xcc\xcc\xcc\xcc", 4, NULL), RF_PATCH_STEP);
	assert_int_equal(byte(f, SC, 0xe8), RF_PATCH_DONE);
	assert_int_equal(byte(f, SC_TAIL, 0xc3), RF_PATCH_DONE);
}

static void static_calls(void **state)
{
	struct fix *f = *state;
	uint8_t insn[5];

	for (int split = 0; split < 3; split++) {
		put_rel(insn, 0xe8, SC, FUNC_B);
		assert_int_equal(poke(f, SC, insn, 5, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, SC, nop5, 5, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, SC, xor5, 5, split), RF_PATCH_DONE);
		put_rel(insn, 0xe8, SC, TRAMP);
		assert_int_equal(poke(f, SC, insn, 5, split), RF_PATCH_DONE);

		assert_int_equal(poke(f, SC_TAIL, ret5, 5, split), RF_PATCH_DONE);
		put_rel(insn, 0xe9, SC_TAIL, THUNK);
		assert_int_equal(poke(f, SC_TAIL, insn, 5, split), RF_PATCH_DONE);

		put_rel(insn, 0xe9, TRAMP, RETURN0);
		assert_int_equal(poke(f, TRAMP, insn, 5, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, TRAMP, ret5, 5, split), RF_PATCH_DONE);
	}
}

static void tail_jcc(void **state)
{
	struct fix *f = *state;
	uint8_t je[6] = { 0x0f, 0x84 }, jne[6];
	int32_t rel = (int32_t)(FUNC_B - SC_JCC - 6);

	memcpy(je + 2, &rel, 4);
	memcpy(jne, je, 6);
	jne[1] = 0x85;
	for (int split = 0; split < 3; split++)
		assert_int_equal(poke(f, SC_JCC, je, 6, split), RF_PATCH_DONE);
	assert_int_equal(poke(f, SC_JCC, jne, 6, 0), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, SC_JCC, 0xe9), RF_PATCH_BAD_INSN);
	assert_int_equal(create(f), 0); /* in flight: length and condition are found again */
	assert_int_equal(byte(f, SC_JCC + 1, 0x85), RF_PATCH_BAD_INSN);
	assert_int_equal(store(f, SC_JCC + 2, je + 2, 4, NULL), RF_PATCH_STEP);
	assert_int_equal(byte(f, SC_JCC, 0x0f), RF_PATCH_DONE);
}

static void call_forgeries(void **state)
{
	static const uint64_t bad[] = { FUNC_A + 1,
					TEXT + 0x300,
					DATA + 0x100,
					INIT_FUNC,
					TRAMP2,
					SC,
					UINT64_C(0xffffffffc0000000) };
	struct fix *f = *state;
	uint8_t insn[5];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_rel(insn, 0xe8, SC, bad[i]);
		assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_BAD_INSN);
		setup(state); /* SC is left torn: no other tail may be written */
		put_rel(insn, 0xe9, TRAMP, bad[i]);
		assert_int_equal(poke(f, TRAMP, insn, 5, 0), RF_PATCH_BAD_INSN);
		setup(state);
	}
	put_rel(insn, 0xe9, SC, FUNC_B);
	assert_int_equal(poke(f, SC, insn, 5, 0),
			 RF_PATCH_BAD_INSN); /* a jmp where a call stands */
	setup(state);
	put_rel(insn, 0xe8, SC_TAIL, FUNC_B);
	assert_int_equal(poke(f, SC_TAIL, insn, 5, 0), RF_PATCH_BAD_INSN);
	setup(state);
	assert_int_equal(poke(f, SC, ret5, 5, 0), RF_PATCH_BAD_INSN);
	setup(state);
	assert_int_equal(poke(f, SC_TAIL, xor5, 5, 0), RF_PATCH_BAD_INSN);
	setup(state);
	put_rel(insn, 0xe9, TRAMP, TRAMP);
	assert_int_equal(poke(f, TRAMP, insn, 5, 0), RF_PATCH_BAD_INSN);
	/* the trampoline's signature is no part of the site */
	assert_int_equal(byte(f, TRAMP + 5, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* retbleed=stuff: calls go to the accounting instruction before the function. */
static void call_thunks(void **state)
{
	static const uint8_t template[9] = { 0x65, 0x48, 0xc1, 0x3d, 0x78, 0x56, 0x34, 0x12, 5 };
	struct fix *f = *state;
	uint8_t insn[5], pad[9];
	int32_t disp = 0x12345678;

	fake_write(&f->g, RODATA + 0x40, template, 9);
	fake_symbol(&f->g, "skl_call_thunk_template", RODATA + 0x40, 'D');
	fake_symbol(&f->g, "skl_call_thunk_tail", RODATA + 0x49, 'D');
	disp += (int32_t)(RODATA + 0x40 - (FUNC_B - 9));
	memcpy(pad, template, 9);
	memcpy(pad + 4, &disp, 4);
	fake_write(&f->g, FUNC_B - 9, pad, 9);
	assert_int_equal(create(f), 0);
	put_rel(insn, 0xe8, SC, FUNC_B - 9);
	assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_DONE);
	put_rel(insn, 0xe8, SC, FUNC_A - 9); /* no such instruction there */
	assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_BAD_INSN);
	fake_write(&f->g, FUNC_A - 9, pad, 9); /* one that counts elsewhere */
	assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_BAD_INSN);
}

static void in_flight_at_start(void **state)
{
	struct fix *f = *state;
	struct rf_textpatch_stats st;
	struct rf_patch_result r;
	uint8_t jmp[5];

	put_rel(jmp, 0xe9, JL5, JL5_TO);
	fake_write(&f->g, JL5, "\xcc", 1);
	fake_write(&f->g, JL5 + 1, jmp + 1, 2); /* the tail half written */
	fake_write(&f->g, JL2, "\xcc\x90", 2);
	fake_write(&f->g, TRAMP, "\xcc", 1);
	assert_int_equal(create(f), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.flying, 3);
	assert_int_equal(store(f, JL5 + 1, jmp + 1, 4, NULL), RF_PATCH_STEP);
	assert_int_equal(store(f, JL5, jmp, 1, &r), RF_PATCH_DONE);
	assert_int_equal(byte(f, JL2, 0x66), RF_PATCH_DONE);
	assert_int_equal(byte(f, TRAMP, 0xe9), RF_PATCH_DONE);
}

static void odd_sites(void **state)
{
	struct fix *f = *state;
	struct rf_textpatch_stats st;

	fake_write(&f->g, JL5, "\xe9", 1); /* a jmp elsewhere */
	fake_write(&f->g, SC, "\x90", 1);
	fake_write(&f->g, TRAMP + 5, "\x90", 1);     /* no signature */
	jump(f, ETEXT - 3, JL5_TO, DATA + 0x200, 0); /* ends outside text */
	jump(f, JL5 + 0x20, DATA, DATA + 0x200, 0);  /* target outside */
	jump(f, DATA, JL5_TO, DATA + 0x200, 0);	     /* site outside, not init */
	assert_int_equal(create(f), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.odd, 4);
	assert_int_equal(st.outside, 2);
	assert_int_equal(st.first_odd.v, JL5);
	assert_int_equal(byte(f, JL5, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, SC, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* An instruction that stands for the call of one function: a form where it stands, and nowhere
 * else. */
static void calls_written_out(void **state)
{
	static const uint8_t warn[] = { 0x67, 0x48, 0x0f, 0xb9, 0x3a };
	static const uint8_t unlock[] = { 0x3e, 0x3e, 0xc6, 0x07, 0x00 };
	static const uint8_t *const forms[] = { warn, unlock };
	struct fix *f = *state;
	struct rf_textpatch_stats st;
	uint8_t insn[5];

	assert_int_equal(poke(f, SC, warn, 5, 0), RF_PATCH_BAD_INSN);
	setup(state);
	assert_int_equal(poke(f, SC, unlock, 5, 0), RF_PATCH_BAD_INSN);
	setup(state);
	assert_int_equal(poke(f, SC_TAIL, unlock, 5, 0), RF_PATCH_BAD_INSN);
	for (int i = 0; i < 2; i++) {
		setup(state);
		fake_write(&f->g, SC, forms[i], 5);
		assert_int_equal(create(f), 0);
		rf_textpatch_stats(f->t, &st);
		assert_int_equal(st.odd, 0);
		put_rel(insn, 0xe8, SC, FUNC_B);
		assert_int_equal(poke(f, SC, insn, 5, 0), RF_PATCH_DONE);
		assert_int_equal(poke(f, SC, forms[i], 5, 0), RF_PATCH_DONE);
		assert_int_equal(poke(f, SC, forms[!i], 5, 0), RF_PATCH_BAD_INSN);
	}
	setup(state);
	fake_write(&f->g, SC_TAIL, warn, 5);
	assert_int_equal(create(f), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.odd, 1);
}

static void duplicates(void **state)
{
	struct fix *f = *state;
	struct rf_textpatch_stats st;

	jump(f, JL5, JL5_TO, DATA + 0x200, 0);
	call(f, SC, DATA);
	assert_int_equal(create(f), 0);
	rf_textpatch_stats(f->t, &st);
	assert_int_equal(st.merged, 2);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 3);
	jump(f, JL5, JL5_TO + 8, DATA + 0x200, 0);
	assert_int_equal(create(f), -EBADMSG);
	assert_non_null(strstr(f->diag.text, "disagree"));
}

static void overlap(void **state)
{
	struct fix *f = *state;

	fake_write(&f->g, JL2 + 1, nop5, 5); /* e.g. eb 0f 1f ...: both would be legal */
	fake_write(&f->g, JL2, "\xeb\x0f", 2);
	f->jumps = RODATA + 0x100;
	jump(f, JL2, JL2 + 2 + 0x0f, DATA + 0x200, 0);
	jump(f, JL2 + 1, JL5_TO, DATA + 0x200, 0);
	assert_int_equal(create(f), -EBADMSG);
	assert_non_null(strstr(f->diag.text, "overlap"));
}

static void set_symbol(struct fix *f, const char *name, uint64_t addr)
{
	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, name))
			f->g.k.syms[i].addr.v = addr;
}

static void hostile_tables(void **state)
{
	struct fix *f = *state;

	set_symbol(f, "__stop___jump_table", f->jumps + 8); /* half an entry */
	assert_int_equal(again(f), -EBADMSG);
	set_symbol(f, "__stop___jump_table", RODATA); /* stops before it starts */
	assert_int_equal(again(f), -EBADMSG);
	set_symbol(f, "__stop___jump_table", ERODATA + 16); /* reaches out of rodata */
	assert_int_equal(again(f), -EBADMSG);
	set_symbol(f, "__start___jump_table", DATA); /* writable */
	set_symbol(f, "__stop___jump_table", DATA + 16);
	assert_int_equal(again(f), -EBADMSG);
	assert_non_null(strstr(f->diag.text, "rodata"));
	set_symbol(f, "__start___jump_table", RODATA + 0x100);
	set_symbol(f, "__stop___jump_table", f->jumps);
	assert_int_equal(again(f), 0);

	set_symbol(f, "__end_rodata", TEXT + (UINT64_C(1) << 40)); /* out of the image */
	assert_int_equal(again(f), -EBADMSG);
	f->g.k.image.size = UINT64_C(1) << 41; /* then the table may be huge: bounded */
	set_symbol(f, "__stop___jump_table", RODATA + 0x100 + (UINT64_C(1) << 30));
	assert_int_equal(again(f), -EBADMSG);
	f->g.k.image.size = 0x5000;
	set_symbol(f, "__end_rodata", ERODATA);
	set_symbol(f, "__stop___jump_table", f->jumps);

	f->g.map[2].gpa = 0x8000; /* the guest maps another frame there than the image's */
	assert_int_equal(again(f), -EBADMSG);
	f->g.map[2].gpa = GPA + 0x2000;
	f->g.map[2].gva = 0; /* or none */
	assert_int_equal(again(f), -EBADMSG);
	f->g.map[2].gva = TEXT + 0x2000;
	set_symbol(f, "_etext", TEXT);
	assert_int_equal(again(f), -EBADMSG);
	set_symbol(f, "_etext", ETEXT);
	assert_int_equal(again(f), 0);
}

static void rename_symbol(struct fix *f, const char *from, const char *to)
{
	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, from))
			f->g.k.syms[i].name = to;
}

static void missing_tables(void **state)
{
	struct fix *f = *state;
	struct rf_patch_result r = { .verdict = RF_PATCH_DONE };

	rename_symbol(f, "__start_static_call_sites", "x");
	assert_int_equal(again(f), 0); /* jump labels alone, trampolines by name */
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_STATIC_CALL), 0);
	rename_symbol(f, "__start___jump_table", "y");
	assert_int_equal(again(f), -ENOENT);
	rename_symbol(f, "x", "__start_static_call_sites");
	assert_int_equal(again(f), 0);
	/* A read error while judging is an error and no verdict. */
	f->g.k.image.gpa.v = UINT64_C(1) << 40;
	assert_int_equal(rf_textpatch_judge(f->t, &f->g.m, UINT32_MAX, rf_gva_of(SC), nop5, 1, &r),
			 -EFAULT);
	assert_int_equal(r.verdict, RF_PATCH_DONE);
	f->g.k.image.gpa.v = GPA;
	rename_symbol(f, "_etext", "z");
	assert_int_equal(again(f), -ENOENT);
	rf_textpatch_destroy(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(counts),
		T(security_hooks),
		T(denied_kind),
		T(jump_labels),
		T(jump_forgeries),
		T(one_torn_tail),
		T(static_calls),
		T(tail_jcc),
		T(call_forgeries),
		T(call_thunks),
		T(in_flight_at_start),
		T(odd_sites),
		T(calls_written_out),
		T(duplicates),
		T(overlap),
		T(hostile_tables),
		T(missing_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
