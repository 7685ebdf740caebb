// SPDX-License-Identifier: LGPL-2.1-or-later
/* The pure judge over tables made by hand: each form in each split, forgeries, tables that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "patch/judge.h"
#include "patch/kinds.h"

#define BASE UINT64_C(0xffffffff81000000)
#define NONE UINT32_MAX

/* Sites, in order of address. */
enum {
	SHORT = 0x10,  /* 2 bytes: nop, or jmp to its own target */
	FAR = 0x20,    /* 5 bytes: nop, or jmp to its own target */
	FEW = 0x30,    /* nop, or call to one of two */
	MANY = 0x40,   /* nop, or call to one of many */
	JCC = 0x50,    /* je to one of many */
	LOCK = 0x60,   /* one byte, at once */
	FROZEN = 0x70, /* as FAR, but its key is read-only */
	TARGET = 0x15,
};

enum { FEW_SET = 1, MANY_SET = 2, SLOTS_SET = 3 };

static const uint8_t nop2[] = { 0x66, 0x90 }, nop5[] = { 0x0f, 0x1f, 0x44, 0, 0 };
static struct rf_patch_table table;

struct fix {
	uint8_t text[256];
	uint32_t last_tail;
	int read_err;
	struct rf_patch_result r;
};

static int read_text(void *ctx, uint32_t at, uint8_t *buf, uint32_t len)
{
	struct fix *f = ctx;

	assert_true(at <= sizeof(f->text) && len <= sizeof(f->text) - at);
	memcpy(buf, f->text + at, len);
	return f->read_err;
}

static void add_shape(uint32_t n, const struct rf_shape *s)
{
	table.shapes[n] = *s;
	if (table.shapes_count <= n)
		table.shapes_count = n + 1;
}

static void add_site(uint32_t at, uint16_t shape, uint8_t kind, uint8_t flags, uint64_t target)
{
	table.sites[table.sites_count++] = (struct rf_patch_site){
		.at = at, .shape = shape, .kind = kind, .flags = flags, .target = target
	};
}

static void add_set(int n, uint32_t first, uint32_t count, uint64_t start, uint64_t step)
{
	table.sets[n] = (struct rf_patch_set){ first, count };
	for (uint32_t i = 0; i < count; i++)
		table.targets[first + i] = start + step * i;
}

static void call(struct fix *f, uint8_t *insn, uint8_t op, uint32_t at, uint64_t target)
{
	int32_t rel = (int32_t)(target - (BASE + at + 5));

	(void)f;
	insn[0] = op;
	memcpy(insn + 1, &rel, 4);
}

static int setup(void **state)
{
#define NOP5                                                                                       \
	{                                                                                          \
		.how = RF_FORM_BYTES, .bytes = { 0x0f, 0x1f, 0x44 }                                \
	}
#define REL(n, b0, b1, s)                                                                          \
	{                                                                                          \
		.how = RF_FORM_REL32, .op_len = n, .bytes = { b0, b1 }, .set = s                   \
	}
	static const struct rf_shape shapes[] = {
		{ .len = 2,
		  .count = 2,
		  .forms = { { .how = RF_FORM_BYTES, .bytes = { 0x66, 0x90 } },
			     { .how = RF_FORM_REL8, .op_len = 1, .bytes = { 0xeb } } } },
		{ .len = 5, .count = 2, .forms = { NOP5, REL(1, 0xe9, 0, 0) } },
		{ .len = 5, .count = 2, .forms = { NOP5, REL(1, 0xe8, 0, FEW_SET) } },
		{ .len = 5, .count = 2, .forms = { NOP5, REL(1, 0xe8, 0, MANY_SET) } },
		{ .len = 6, .count = 1, .forms = { REL(2, 0x0f, 0x84, MANY_SET) } },
		{ .len = 1,
		  .flags = RF_SHAPE_DIRECT,
		  .count = 1,
		  .forms = { { .how = RF_FORM_BYTES, .bytes = { 0xf0 } } } },
		{ .len = 1,
		  .count = 2,
		  .forms = { { .how = RF_FORM_OWN }, { .how = RF_FORM_OWN_INT3 } } },
		{ .len = 5,
		  .count = 3,
		  .forms = { { .how = RF_FORM_OWN },
			     { .how = RF_FORM_OWN_INT3 },
			     REL(1, 0xe9, 0, SLOTS_SET) } },
	};
	static struct fix f;
	int32_t rel = (int32_t)(0x9000 - (JCC + 6));

	memset(&f, 0, sizeof(f));
	memset(&table, 0, offsetof(struct rf_patch_table, targets));
	f.last_tail = NONE;
	table.base = BASE;
	table.size = sizeof(f.text);
	for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		add_shape(i, &shapes[i]);
	add_set(FEW_SET, 0, 2, BASE + 0x5000, 0x1000);
	add_set(MANY_SET, 16, 100, BASE + 0x8000, 0x100);
	add_set(SLOTS_SET, 200, 1, BASE + 0x20000, 0);
	add_site(SHORT, 0, RF_SITE_JUMP_LABEL, 0, BASE + TARGET);
	add_site(FAR, 1, RF_SITE_JUMP_LABEL, 0, BASE + 0x4000);
	add_site(FEW, 2, RF_SITE_FTRACE, 0, 0);
	add_site(MANY, 3, RF_SITE_STATIC_CALL, 0, 0);
	add_site(JCC, 4, RF_SITE_STATIC_CALL, 0, 0);
	add_site(LOCK, 5, RF_SITE_SMP_LOCK, 0, 0);
	add_site(FROZEN, 1, RF_SITE_JUMP_LABEL, RF_SITE_FROZEN, BASE + 0x4000);
	memcpy(f.text + SHORT, nop2, 2);
	memcpy(f.text + FAR, nop5, 5);
	memcpy(f.text + FEW, nop5, 5);
	memcpy(f.text + MANY, nop5, 5);
	memcpy(f.text + JCC, "\x0f\x84", 2);
	memcpy(f.text + JCC + 2, &rel, 4);
	f.text[LOCK] = 0x3e;
	memcpy(f.text + FROZEN, nop5, 5);
	*state = &f;
	return 0;
}

static enum rf_patch_verdict judge(struct fix *f, uint32_t at, const void *bytes, size_t len)
{
	const struct rf_patch_text text = { read_text, f };

	assert_int_equal(rf_patch_judge(&table, &text, f->last_tail, at, bytes, len, &f->r), 0);
	assert_non_null(f->r.why);
	return f->r.verdict;
}

static enum rf_patch_verdict store(struct fix *f, uint32_t at, const void *bytes, size_t len)
{
	enum rf_patch_verdict v = judge(f, at, bytes, len);

	if (v <= RF_PATCH_DONE) {
		memcpy(f->text + at, bytes, len);
		if (v == RF_PATCH_STEP && f->r.offset)
			f->last_tail = f->r.at;
	}
	return v;
}

static enum rf_patch_verdict byte(struct fix *f, uint32_t at, int v)
{
	uint8_t b = (uint8_t)v;

	return store(f, at, &b, 1);
}

/* split: 0 the tail at once, 1 byte by byte, 2 as two overlapping stores, 3 the same store
 * twice. */
static enum rf_patch_verdict poke(struct fix *f, uint32_t at, const uint8_t *insn, size_t len,
				  int split)
{
	enum rf_patch_verdict v = byte(f, at, RF_INT3);
	size_t tail = len - 1, half = tail > 4 ? 4 : tail > 2 ? 2 : 1;

	for (size_t i = 1; i < len && split == 1 && v <= RF_PATCH_DONE; i++)
		v = byte(f, at + (uint32_t)i, insn[i]);
	if (split == 2 && v <= RF_PATCH_DONE)
		v = store(f, at + 1, insn + 1, half);
	if (split == 2 && v <= RF_PATCH_DONE)
		v = store(f, at + (uint32_t)(len - half), insn + len - half, half);
	for (int i = 0; i < 2 && (split == 0 || split == 3) && v <= RF_PATCH_DONE;
	     i += 2 - split / 2)
		v = store(f, at + 1, insn + 1, tail);
	return v <= RF_PATCH_DONE ? byte(f, at, insn[0]) : v;
}

static void legal(void **state)
{
	struct fix *f = *state;
	uint8_t insn[6], jmp2[] = { 0xeb, TARGET - SHORT - 2 };

	for (int split = 0; split < 4; split++) {
		assert_int_equal(poke(f, SHORT, jmp2, 2, split), RF_PATCH_DONE);
		assert_int_equal(poke(f, SHORT, nop2, 2, split), RF_PATCH_DONE);
		call(f, insn, 0xe9, FAR, BASE + 0x4000);
		assert_int_equal(poke(f, FAR, insn, 5, split), RF_PATCH_DONE);
		assert_memory_equal(f->r.next, insn, 5);
		assert_int_equal(f->r.at, FAR);
		assert_int_equal(f->r.len, 5);
		assert_int_equal(poke(f, FAR, nop5, 5, split), RF_PATCH_DONE);
		call(f, insn, 0xe8, FEW, BASE + 0x6000);
		assert_int_equal(poke(f, FEW, insn, 5, split), RF_PATCH_DONE);
		call(f, insn, 0xe8, MANY, BASE + 0x8000 + 99 * 0x100);
		assert_int_equal(poke(f, MANY, insn, 5, split), RF_PATCH_DONE);
		memcpy(insn, "\x0f\x84\x00\x00\x00\x00", 6);
		insn[3] = (uint8_t)((0x8000 - JCC - 6) >> 8);
		insn[2] = (uint8_t)(0x8000 - JCC - 6);
		assert_int_equal(poke(f, JCC, insn, 6, split), RF_PATCH_DONE);
	}
	assert_int_equal(byte(f, LOCK, 0xf0), RF_PATCH_DONE);
	assert_int_equal(byte(f, LOCK, 0xf0), RF_PATCH_DONE);
}

static void batch(void **state)
{
	struct fix *f = *state;
	uint8_t a[5], b[5];

	call(f, a, 0xe9, FAR, BASE + 0x4000);
	call(f, b, 0xe8, MANY, BASE + 0x8100);
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_STEP);
	assert_true(f->r.resting);
	assert_int_equal(byte(f, MANY, 0xcc), RF_PATCH_STEP);
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_STEP); /* again: nothing new */
	assert_false(f->r.resting);
	assert_int_equal(store(f, FAR + 1, a + 1, 4), RF_PATCH_STEP);
	assert_int_equal(store(f, MANY + 1, b + 1, 4), RF_PATCH_STEP);
	assert_int_equal(byte(f, FAR, 0xe9), RF_PATCH_DONE);
	assert_int_equal(byte(f, MANY, 0xe8), RF_PATCH_DONE);
	/* The answer to DONE was lost and the question comes again. */
	assert_int_equal(byte(f, MANY, 0xe8), RF_PATCH_DONE);
	/* Begun and left. */
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_STEP);
	assert_int_equal(byte(f, FAR, 0xe9), RF_PATCH_DONE);
}

static void forged(void **state)
{
	struct fix *f = *state;
	uint8_t jmp[5], longer[6] = { 0 }, zero[8] = { 0 };

	call(f, jmp, 0xe9, FAR, BASE + 0x4000);
	assert_int_equal(byte(f, 0, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, FAR - 1, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, FAR + 5, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, 0xf0, 0xcc), RF_PATCH_NOT_A_SITE);
	/* without int3 */
	assert_int_equal(byte(f, FAR, 0xe9), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, FAR + 1, jmp + 1, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, FAR, jmp, 5), RF_PATCH_BAD_STEP);
	/* over the border, both ways; the site is named */
	assert_int_equal(store(f, FAR + 2, zero, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(store(f, FAR - 2, zero, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(f->r.at, FAR);
	assert_int_equal(judge(f, 0xfffffffe, zero, 8), RF_PATCH_NOT_A_SITE);
	/* a legal tail, and one byte more */
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_STEP);
	memcpy(longer, jmp, sizeof(jmp));
	assert_int_equal(store(f, FAR + 1, longer + 1, 5), RF_PATCH_BAD_STEP);
	/* wrong bytes under int3 */
	assert_int_equal(store(f, FAR, jmp, 5), RF_PATCH_BAD_STEP);
	assert_int_equal(byte(f, FAR + 1, 0x55), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, FAR, 0xe9), RF_PATCH_BAD_INSN); /* jmp with the nop's tail */
	assert_int_equal(byte(f, FAR, 0xe8), RF_PATCH_BAD_INSN);
	/* a mixture of both tails is no instruction */
	assert_int_equal(byte(f, FAR + 1, jmp[1]), RF_PATCH_STEP);
	assert_int_equal(byte(f, FAR, 0x0f), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, FAR, 0xe9), RF_PATCH_BAD_INSN);
	/* its key cannot be flipped any more; bytes that change nothing may be written */
	assert_int_equal(byte(f, FROZEN, 0xcc), RF_PATCH_BAD_STEP);
	assert_int_equal(byte(f, FROZEN, 0x0f), RF_PATCH_DONE);
	assert_int_equal(byte(f, LOCK, 0xcc), RF_PATCH_BAD_INSN);
}

static void foreign_targets(void **state)
{
	struct fix *f = *state;
	uint8_t insn[6];

	/* Of a small set already the tail is refused, of a large one the whole. */
	call(f, insn, 0xe8, FEW, BASE + 0x5001);
	assert_int_equal(poke(f, FEW, insn, 5, 0), RF_PATCH_BAD_INSN);
	assert_int_equal(f->r.offset, 1);
	call(f, insn, 0xe8, MANY, BASE + 0x8001);
	assert_int_equal(poke(f, MANY, insn, 5, 0), RF_PATCH_BAD_INSN);
	assert_int_equal(f->r.offset, 0);
	/* The other condition. */
	f->last_tail = NONE;
	memcpy(insn, f->text + JCC, 6);
	insn[1] = 0x85;
	assert_int_equal(poke(f, JCC, insn, 6, 1), RF_PATCH_BAD_INSN);
}

/* Only one tail may be half written, or gadgets could be parked behind many breakpoints. */
static void one_torn_tail(void **state)
{
	struct fix *f = *state;
	uint8_t insn[5];

	assert_int_equal(byte(f, MANY, 0xcc), RF_PATCH_STEP);
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_STEP);
	assert_int_equal(store(f, MANY + 1, "\x90\x90\x0f\x05", 4), RF_PATCH_STEP); /* a gadget */
	call(f, insn, 0xe9, FAR, BASE + 0x4000);
	assert_int_equal(store(f, FAR + 1, insn + 1, 4), RF_PATCH_BAD_STEP);
	assert_int_equal(byte(f, MANY, 0xe8), RF_PATCH_BAD_INSN);
	call(f, insn, 0xe8, MANY, BASE + 0x8000);
	assert_int_equal(store(f, MANY + 1, insn + 1, 4), RF_PATCH_STEP);
	call(f, insn, 0xe9, FAR, BASE + 0x4000);
	assert_int_equal(store(f, FAR + 1, insn + 1, 4), RF_PATCH_STEP);
	f->last_tail = 0xf0; /* no site */
	assert_int_equal(store(f, FAR + 1, nop5 + 1, 4), RF_PATCH_STEP);
}

static void breakpoints(void **state)
{
	static const uint8_t own[] = { 0x48, 0x89, 0xe5, 0x5d, 0xc3 };
	struct fix *f = *state;
	uint8_t jmp[5];

	memcpy(f->text + 0x80, own, 5);
	memcpy(f->text + 0x90, own, 5);
	table.extra[0] = (struct rf_patch_site){ .at = 0x80, .shape = 6, .kind = RF_SITE_KPROBE };
	table.extra[1] = (struct rf_patch_site){ .at = 0x90, .shape = 7, .kind = RF_SITE_KPROBE };
	memcpy(table.extra[0].own, own, 5);
	memcpy(table.extra[1].own, own, 5);
	table.extra_count = 2;
	/* At rest with the int3 as without. */
	assert_int_equal(byte(f, 0x80, 0xcc), RF_PATCH_DONE);
	assert_int_equal(byte(f, 0x80, 0xcc), RF_PATCH_DONE);
	assert_true(f->r.resting);
	assert_int_equal(byte(f, 0x80, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(byte(f, 0x81, 0x90), RF_PATCH_NOT_A_SITE);
	assert_int_equal(byte(f, 0x80, 0x48), RF_PATCH_DONE);
	assert_int_equal(byte(f, 0x80, 0x90), RF_PATCH_BAD_STEP);
	/* A jump in its place, and back in the order of arch_unoptimize_kprobe(). */
	call(f, jmp, 0xe9, 0x90, BASE + 0x20000);
	assert_int_equal(poke(f, 0x90, jmp, 5, 3), RF_PATCH_DONE);
	assert_int_equal(byte(f, 0x90, 0xcc), RF_PATCH_STEP);
	assert_int_equal(byte(f, 0x91, own[1]), RF_PATCH_STEP);
	assert_int_equal(byte(f, 0x90, 0x48), RF_PATCH_BAD_INSN);
	assert_int_equal(store(f, 0x91, own + 1, 4), RF_PATCH_DONE);
	assert_int_equal(byte(f, 0x90, 0x48), RF_PATCH_DONE);
	/* They go before the sites that do not change. */
	table.extra[0].at = FAR;
	table.extra[0].own[0] = 0x0f;
	assert_int_equal(byte(f, FAR, 0xcc), RF_PATCH_DONE);
	assert_int_equal(f->r.kind, RF_SITE_KPROBE);
}

static void read_error(void **state)
{
	struct fix *f = *state;
	const struct rf_patch_text text = { read_text, f };
	struct rf_patch_result r = { .why = "untouched" };

	f->read_err = -EFAULT;
	assert_int_equal(rf_patch_judge(&table, &text, NONE, FAR, nop5, 1, &r), -EFAULT);
	assert_string_equal(r.why, "untouched");
	assert_int_equal(rf_patch_judge(&table, &text, NONE, 0, nop5, 1, &r), 0);
}

/* The fence takes nothing on trust that the monitor wrote. */
/* A short jump reaches 128 bytes back and 127 on. */
static void reach(void **state)
{
	static const struct {
		int64_t far;
		uint8_t byte;
		bool legal;
	} jumps[] = {
		{ 127, 0x7f, true },   { 128, 0x80, false }, { -128, 0x80, true },
		{ -129, 0x7f, false }, { 256, 0x00, false }, { 0, 0x00, true },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		const uint8_t insn[2] = { 0xeb, jumps[i].byte };

		memcpy(f->text + SHORT, nop2, 2);
		f->last_tail = NONE;
		table.sites[0].target = BASE + SHORT + 2 + (uint64_t)jumps[i].far;
		assert_int_equal(poke(f, SHORT, insn, 2, 0),
				 jumps[i].legal ? RF_PATCH_DONE : RF_PATCH_BAD_INSN);
	}
}

/* A long one 2 GiB. What is further away has the low bytes of something else. */
static void long_reach(void **state)
{
	static const struct {
		int64_t far;
		bool legal;
	} jumps[] = {
		{ INT32_MAX, true },	     { INT64_C(1) + INT32_MAX, false },
		{ INT32_MIN, true },	     { INT64_C(-1) + INT32_MIN, false },
		{ INT64_C(1) << 32, false },
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		uint64_t target = BASE + FAR + 5 + (uint64_t)jumps[i].far;
		uint8_t insn[5];

		memcpy(f->text + FAR, nop5, 5);
		f->last_tail = NONE;
		table.sites[1].target = target;
		call(f, insn, 0xe9, FAR, target);
		assert_int_equal(poke(f, FAR, insn, 5, 0),
				 jumps[i].legal ? RF_PATCH_DONE : RF_PATCH_BAD_INSN);
	}
}

/* What a site holds that it may not hold is no more legal for being written again. */
static void nothing_changes(void **state)
{
	struct fix *f = *state;

	f->text[FAR] = 0x90;
	assert_int_equal(byte(f, FAR, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(store(f, FAR + 1, f->text + FAR + 1, 4), RF_PATCH_BAD_INSN);
}

/* A site has eight own bytes: what a longer shape would have behind them is nobody's. */
static void longer_than_own(void **state)
{
	struct fix *f = *state;

	table.shapes[1] =
		(struct rf_shape){ .len = 8, .count = 1, .forms = { { .how = RF_FORM_OWN } } };
	memset(table.sites[1].own, 0x90, sizeof(table.sites[1].own));
	memset(f->text + FAR, 0x90, 8);
	assert_int_equal(byte(f, FAR, 0x90), RF_PATCH_DONE);
	table.shapes[1].len = 10;
	memset(f->text + FAR + 8, 0, 2);
	assert_int_equal(byte(f, FAR, 0x90), RF_PATCH_BAD_INSN);
}

/* One that was half way when its key was sealed may be ended, and not begun again. */
static void frozen_half_way(void **state)
{
	struct fix *f = *state;

	f->text[FROZEN] = 0xcc;
	assert_int_equal(judge(f, FROZEN, nop5, 1), RF_PATCH_DONE);
	f->text[FROZEN] = nop5[0];
	assert_int_equal(judge(f, FROZEN, (const uint8_t *)"\xcc", 1), RF_PATCH_BAD_STEP);
}

/* Only what stands behind an int3 is a tail that is half written. */
static void no_torn_tail(void **state)
{
	struct fix *f = *state;
	uint8_t insn[5];

	call(f, insn, 0xe8, FEW, BASE + 0x5000);
	f->text[FEW] = 0xcc;
	f->last_tail = FAR;
	f->text[FAR + 1] = 0xde;
	assert_int_equal(judge(f, FEW + 1, insn + 1, 4), RF_PATCH_STEP);
	f->text[FAR] = 0xcc;
	assert_int_equal(judge(f, FEW + 1, insn + 1, 4), RF_PATCH_BAD_STEP);
}

/* Of a set too large to be searched for each byte the opcode is known all the same. */
static void opcode_of_a_large_set(void **state)
{
	struct fix *f = *state;

	f->text[JCC] = 0xcc;
	assert_int_equal(judge(f, JCC + 1, (const uint8_t *)"\x85", 1), RF_PATCH_BAD_INSN);
	assert_int_equal(judge(f, JCC + 1, (const uint8_t *)"\x84", 1), RF_PATCH_STEP);
	assert_int_equal(judge(f, JCC + 2, (const uint8_t *)"\x85", 1), RF_PATCH_STEP);
}

static void hostile_tables(void **state)
{
	struct fix *f = *state;
	struct rf_patch_table *t = &table;
	uint8_t insn[5];

	t->sites_count = UINT32_MAX;
	t->extra_count = UINT32_MAX;
	judge(f, 0xf0, nop5, 5);
	t->sites_count = 7;
	t->extra_count = 0;
	t->shapes[1].len = 200;
	assert_int_equal(judge(f, FAR, nop5, 1), RF_PATCH_NOT_A_SITE);
	t->shapes[1].len = 5;
	t->shapes[1].count = 200;
	assert_int_equal(judge(f, FAR, nop5, 1), RF_PATCH_NOT_A_SITE);
	t->shapes[1].count = 2;
	t->sites[1].shape = 60;
	assert_int_equal(judge(f, FAR, nop5, 1), RF_PATCH_NOT_A_SITE);
	t->sites[1].shape = 1;
	t->shapes_count = UINT32_MAX;
	t->sites[1].shape = 0xffff;
	assert_int_equal(judge(f, FAR, nop5, 1), RF_PATCH_NOT_A_SITE);
	t->sites[1].shape = 1;
	t->sites[1].kind = RF_SITE_KINDS;
	assert_int_equal(judge(f, FAR, nop5, 1), RF_PATCH_NOT_A_SITE);
	/* Sets that lie elsewhere have no member. */
	call(f, insn, 0xe8, FEW, BASE + 0x5000);
	t->sets[FEW_SET] = (struct rf_patch_set){ RF_TABLE_TARGETS - 1, 2 };
	assert_int_equal(poke(f, FEW, insn, 5, 0), RF_PATCH_BAD_INSN);
	/* Nor has one whose end lies beyond, whatever its beginning says. */
	t->targets[RF_TABLE_TARGETS - 1] = BASE + 0x5000;
	assert_int_equal(poke(f, FEW, insn, 5, 0), RF_PATCH_BAD_INSN);
	t->targets[RF_TABLE_TARGETS - 1] = 0;
	t->sets[FEW_SET] = (struct rf_patch_set){ UINT32_MAX, UINT32_MAX };
	assert_int_equal(poke(f, FEW, insn, 5, 0), RF_PATCH_BAD_INSN);
	t->shapes[2].forms[1].set = 0xffff;
	assert_int_equal(poke(f, FEW, insn, 5, 0), RF_PATCH_BAD_INSN);
	/* Forms that do not fit their shape fill nothing. */
	f->last_tail = NONE;
	for (int how = 0; how < 256; how++) {
		t->shapes[2].forms[1] = (struct rf_form){ .how = (uint8_t)how,
							  .op_len = 255,
							  .bytes = { 0xe8 },
							  .set = (uint16_t)(how & 1) };
		poke(f, FEW, insn, 5, 0);
	}
}

static void names(void **state)
{
	for (int k = 1; k < RF_SITE_KINDS; k++)
		assert_string_not_equal(rf_site_kind_text((enum rf_site_kind)k), "unknown");
	assert_string_equal(rf_site_kind_text((enum rf_site_kind)0), "unknown");
	assert_string_equal(rf_site_kind_text(RF_SITE_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(legal, setup),
		cmocka_unit_test_setup(batch, setup),
		cmocka_unit_test_setup(forged, setup),
		cmocka_unit_test_setup(foreign_targets, setup),
		cmocka_unit_test_setup(one_torn_tail, setup),
		cmocka_unit_test_setup(breakpoints, setup),
		cmocka_unit_test_setup(read_error, setup),
		cmocka_unit_test_setup(reach, setup),
		cmocka_unit_test_setup(long_reach, setup),
		cmocka_unit_test_setup(nothing_changes, setup),
		cmocka_unit_test_setup(longer_than_own, setup),
		cmocka_unit_test_setup(frozen_half_way, setup),
		cmocka_unit_test_setup(no_torn_tail, setup),
		cmocka_unit_test_setup(opcode_of_a_large_set, setup),
		cmocka_unit_test_setup(hostile_tables, setup),
		cmocka_unit_test_setup(names, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
