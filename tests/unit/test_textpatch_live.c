// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Patching whose sites and targets come from the guest's writable lists: legal sequences in the
 * kernel's order, forgeries, and lists that lie.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_patched.h"

/* --- ftrace --------------------------------------------------------------- */

static void records(void **state)
{
	struct patched *f = *state;

	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE_CALL), 2);
	assert_int_equal(patched_stats(f).nameless, 1);
	assert_int_equal(patched_stats(f).odd, 0);
	assert_int_equal(patched_stats(f).unread, 0);
	assert_int_equal(patched_call(f, ENDBR_FUNC + 4, 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, ENDBR_FUNC, 0xcc), RF_PATCH_NOT_A_SITE);
	assert_int_equal(patched_byte(f, FUNC(3) + 0x20, 0xcc), RF_PATCH_NOT_A_SITE);
}

static void traced(void **state)
{
	struct patched *f = *state;
	uint32_t seq;
	uint64_t ops;

	/* Both of the kernel's own callers are known from the start. */
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, FTRACE_REGS_CALLER), RF_PATCH_DONE);
	assert_int_equal(f->refreshed, 0);
	/* An ops comes with a trampoline: one question, however many functions are traced. */
	ops = patched_ops(f, TRAMPOLINE);
	for (int i = 0; i < 8; i++)
		assert_int_equal(patched_call(f, FUNC(i), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	assert_int_equal(f->refreshed, 1);
	/* It goes: off the list first, then text. While text calls it, it is at rest there. */
	fake_put64(&f->g, OPS_VAR, OPS_END);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, FUNC(0), 0xcc), RF_PATCH_STEP);
	assert_true(f->r.resting);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_store(f, FUNC(0) + 1, patched_nop5 + 1, 4), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, FUNC(0), 0x0f), RF_PATCH_DONE);
	for (int i = 1; i < 8; i++)
		assert_int_equal(patched_poke(f, FUNC(i), patched_nop5, 5), RF_PATCH_DONE);
	seq = patched_table.seq;
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.seq, seq + 2);
	assert_int_equal(patched_sweep(f), 0); /* nothing more to do, nothing touched */
	assert_int_equal(patched_table.seq, seq + 2);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_BAD_INSN);
	fake_put64(&f->g, OPS_VAR, ops);
	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
}

/* As text_poke_bp_batch() does it; the set changes in the middle. */
static void traced_in_a_batch(void **state)
{
	struct patched *f = *state;
	uint8_t insn[5];

	patched_ops(f, TRAMPOLINE);
	for (int i = 0; i < 16; i++)
		if (FUNC(i) != ENDBR_FUNC)
			assert_int_equal(patched_byte(f, FUNC(i), 0xcc), RF_PATCH_STEP);
	for (int i = 0; i < 16; i++) {
		if (FUNC(i) == ENDBR_FUNC)
			continue;
		patched_rel32(insn, 0xe8, FUNC(i), TRAMPOLINE);
		assert_int_equal(patched_store(f, FUNC(i) + 1, insn + 1, 4), RF_PATCH_STEP);
		assert_int_equal(patched_store(f, FUNC(i) + 1, insn + 1, 4), RF_PATCH_STEP);
		assert_int_equal(patched_sweep(f), 0);
	}
	for (int i = 0; i < 16; i++)
		if (FUNC(i) != ENDBR_FUNC)
			assert_int_equal(patched_byte(f, FUNC(i), 0xe8), RF_PATCH_DONE);
	assert_int_equal(f->refreshed, 1);
}

static void traced_directly(void **state)
{
	struct patched *f = *state;
	uint64_t entry = patched_direct(f, FUNC(5), MODULE + 0x80);

	patched_direct(f, FUNC(6), MODULE + 0xc0);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x80), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(6), 0xe8, MODULE + 0xc0), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	fake_put64(&f->g, entry + 24, MODULE + 0x100); /* modify_ftrace_direct() */
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x100), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x80), RF_PATCH_BAD_INSN);
}

/* Of BPF's direct functions bit 0 says that the entry jumps there. */
static void traced_by_a_jump(void **state)
{
	struct patched *f = *state;
	uint64_t entry = patched_direct(f, FUNC(5), MODULE + 0x81);

	patched_direct(f, FUNC(6), MODULE + 0xc0);
	assert_int_equal(patched_call(f, FUNC(5), 0xe9, MODULE + 0x80), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_store(f, FUNC(5), "\xcc", 1), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, FUNC(5), 0xe9), RF_PATCH_DONE);
	/* What is called is not jumped to, nor the callers, nor is called what is jumped to. */
	assert_int_equal(patched_call(f, FUNC(6), 0xe9, MODULE + 0xc0), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(6), 0xe8), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(6), 0xe9, FTRACE_CALLER), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(6), 0xe8), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(6), 0xe8, MODULE + 0x80), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(6), 0xe9), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(6), 0xe8, FTRACE_CALLER), RF_PATCH_DONE);
	/* Gone from the list, it is known while it stands in the text. */
	fake_put64(&f->g, entry + 24, MODULE + 0x100);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, FUNC(5), 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, FUNC(5), 0xe9), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x100), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FUNC(5), 0xe9, MODULE + 0x80), RF_PATCH_BAD_INSN);
}

/* A label at an odd address in text is no function that an entry may jump to, a byte before it. */
static void jump_into_text(void **state)
{
	struct patched *f = *state;

	fake_symbol(&f->g, "label", TEXT + 0x1281, 't');
	patched_direct(f, FUNC(5), TEXT + 0x1281);
	assert_int_equal(patched_call(f, FUNC(5), 0xe9, TEXT + 0x1280), RF_PATCH_BAD_INSN);
}

/* A hash says itself how large it is: to be believed up to what no kernel's is above. */
static void hash_of_any_size(void **state)
{
	static const uint64_t bits[] = { 15, 63, 64, 65, 100, UINT64_MAX };
	struct patched *f = *state;
	uint64_t hash = patched_alloc(f, 24), buckets = patched_alloc(f, 8);

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		fake_put64(&f->g, hash, bits[i]);
		fake_put64(&f->g, hash + 8, buckets);
		fake_put64(&f->g, DIRECT_VAR, hash);
		assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x80), RF_PATCH_BAD_INSN);
		assert_int_equal(patched_byte(f, FUNC(5), 0x0f), RF_PATCH_DONE);
		assert_int_equal(patched_sweep(f), 0);
		assert_int_equal(patched_create(f), 0);
	}
}

/* Nor is a page of records larger than what is read of it. */
static void page_of_any_size(void **state)
{
	struct patched *f = *state;

	for (size_t i = 0; i < f->g.k.members_count; i++)
		if (!strcmp(f->g.k.members[i].type, "ftrace_page") && !f->g.k.members[i].path)
			f->g.k.members[i].size = 4096;
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 0);
}

/* Direct functions whose list is a ring. */
static void ring_of_directs(void **state)
{
	struct patched *f = *state;
	uint64_t entry = patched_direct(f, FUNC(5), MODULE + 0x80);

	fake_put64(&f->g, entry, entry);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(5), 0x0f), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
}

static void traced_wrongly(void **state)
{
	static const uint64_t bad[] = { FUNC(1), FTRACE_STUB, MODULE + 0x40, DATA, TRAMPOLINE + 1 };
	struct patched *f = *state;

	patched_ops(f, TRAMPOLINE);
	patched_ops(f, DATA);			      /* no code */
	patched_ops(f, FUNC(1) + 1);		      /* no function */
	patched_ops(f, UINT64_C(0xffff888000000100)); /* out of reach */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(patched_call(f, FUNC(0), 0xe8, bad[i]), RF_PATCH_BAD_INSN);
		assert_int_equal(patched_byte(f, FUNC(0), 0x0f), RF_PATCH_DONE);
	}
	assert_int_equal(patched_call(f, FUNC(0), 0xe9, TRAMPOLINE), RF_PATCH_BAD_INSN);
}

static void what_is_traced_with(void **state)
{
	struct patched *f = *state;

	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, FTRACE_LIST), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FTRACE_REGS_CALL, 0xe8, FTRACE_LIST), RF_PATCH_DONE);
	assert_int_equal(f->refreshed, 0);
	fake_put64(&f->g, FUNC_VAR, TRACER);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, TRACER), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FTRACE_REGS_CALL, 0xe8, TRACER), RF_PATCH_DONE);
	fake_put64(&f->g, FUNC_VAR, FTRACE_STUB);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, FTRACE_STUB), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0); /* one still calls it */
	assert_int_equal(patched_byte(f, FTRACE_REGS_CALL, 0xcc), RF_PATCH_STEP);
	assert_true(f->r.resting);
	assert_int_equal(patched_byte(f, FTRACE_REGS_CALL, 0xe8), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FTRACE_REGS_CALL, 0xe8, FTRACE_STUB), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, TRACER), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FTRACE_CALL, 0xe8), RF_PATCH_DONE);
	assert_int_equal(patched_poke(f, FTRACE_CALL, patched_nop5, 5), RF_PATCH_BAD_INSN);
	/* A monitor that comes while it is in use. */
	assert_int_equal(patched_byte(f, FTRACE_CALL, 0xe8), RF_PATCH_DONE);
}

static void hostile_records(void **state)
{
	struct patched *f = *state;
	uint64_t page = patched_alloc(f, 24), list = patched_alloc(f, 16 * 4);

	/* One names a jump label, one a call, one nothing, one comes twice. */
	fake_symbol(&f->g, "label", JUMP, 't');
	fake_put64(&f->g, list, JUMP);
	fake_put64(&f->g, list + 16, CALL);
	fake_put64(&f->g, list + 32, TEXT + 0x500 + 3);
	fake_put64(&f->g, list + 48, FUNC(0));
	fake_put64(&f->g, page + 8, list);
	fake_put64(&f->g, page + 16, 4);
	fake_put64(&f->g, HEAP + 0x30, page); /* after the second page */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 1);
	assert_int_equal(patched_stats(f).foreign, 2);
	assert_int_equal(patched_stats(f).nameless, 3);
	assert_int_equal(patched_stats(f).unread, 0);
	/* Lists without end, without bottom, without memory. */
	fake_put64(&f->g, page, page);
	fake_put64(&f->g, page + 16, 0);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).unread, 1);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	fake_put64(&f->g, page + 16, 100000);
	assert_int_equal(patched_create(f), 0);
	assert_true(patched_stats(f).unread > 0);
	fake_put64(&f->g, page + 16, UINT32_MAX); /* -1 */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).unread, 1);
	fake_put64(&f->g, page, 0x1234);
	fake_put64(&f->g, page + 16, 0);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).unread, 1);
	fake_put64(&f->g, PAGES_VAR, 0x1234);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 1);
}

static void odd_record(void **state)
{
	struct patched *f = *state;

	fake_write(&f->g, FUNC(2), "\x55", 1);
	fake_write(&f->g, FUNC(4), "\xe8\x00\x00\x00\x00", 5);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 14);
	assert_int_equal(patched_stats(f).odd, 2);
	assert_int_equal(patched_byte(f, FUNC(2), 0xcc), RF_PATCH_NOT_A_SITE);
}

/* A record behind the start of a function is one only where a landing pad stands in front. */
static void record_behind_a_landing_pad(void **state)
{
	static const struct {
		const char *pad;
		unsigned int sites;
	} pads[] = { { "\xf3\x0f\x1e\xfa", 16 },
		     { "\x66\x0f\x1f\x00", 16 },
		     { "\x0f\x1f\x40\xd6", 16 },
		     { "\x55\x48\x89\xe5", 15 } };
	struct patched *f = *state;

	for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
		fake_write(&f->g, ENDBR_FUNC, pads[i].pad, 4);
		assert_int_equal(patched_create(f), 0);
		assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), pads[i].sites);
		assert_int_equal(patched_stats(f).nameless, 17 - pads[i].sites);
	}
	assert_int_equal(patched_byte(f, ENDBR_FUNC + 4, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* What a list in writable memory names never takes the place of what a sealed table does. */
static void record_over_a_label(void **state)
{
	struct patched *f = *state;
	uint64_t page = patched_alloc(f, 24), record = patched_alloc(f, 16);

	fake_put64(&f->g, page, 0);
	fake_put64(&f->g, page + 8, record);
	fake_put64(&f->g, page + 16, 1);
	fake_put64(&f->g, record, JUMP - 3);
	fake_put64(&f->g, PAGES_VAR, page);
	fake_symbol(&f->g, "before_it", JUMP - 3, 't');
	/* With the nop's first two bytes it is a call of an ops' trampoline. */
	fake_write(&f->g, JUMP - 3, "\xe8\x00\x00", 3);
	patched_ops(f, JUMP + 2 + UINT64_C(0x1f0f0000));
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).odd, 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 0);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_JUMP_LABEL), 1);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP);
}

/* The table is made anew while much is traced: what stands there is found legal. */
static void traced_before(void **state)
{
	struct patched *f = *state;

	patched_ops(f, TRAMPOLINE);
	patched_direct(f, FUNC(5), MODULE + 0x80);
	fake_put64(&f->g, FUNC_VAR, TRACER);
	assert_int_equal(patched_call(f, FUNC(1), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, MODULE + 0x80), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, TRACER), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, FUNC(7), 0xcc), RF_PATCH_STEP);
	fake_put64(&f->g, FUNC_VAR, FTRACE_STUB); /* with ftrace_enabled 0 text stays behind */
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_stats(f).odd, 0);
	assert_int_equal(patched_stats(f).flying, 1);
	assert_int_equal(patched_stats(f).traced, 2);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE), 16);
	assert_int_equal(rf_textpatch_count(f->t, RF_SITE_FTRACE_CALL), 2);
	assert_int_equal(patched_poke(f, FUNC(5), patched_nop5, 5), RF_PATCH_DONE);
}

static void hostile_targets(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, TRAMPOLINE), hash = patched_alloc(f, 16);

	assert_int_equal(patched_call(f, FUNC(0), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	/* A ring, then nothing: what was known stays. */
	fake_put64(&f->g, ops + 8, ops);
	assert_int_equal(patched_call(f, FUNC(1), 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, FUNC(1), 0x0f), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	fake_put64(&f->g, OPS_VAR, 8);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_call(f, FUNC(1), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	fake_put64(&f->g, OPS_VAR, OPS_END);
	/* A hash of any size, chains that end nowhere. */
	fake_put64(&f->g, hash, 40);
	fake_put64(&f->g, DIRECT_VAR, hash);
	assert_int_equal(patched_call(f, FUNC(2), 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_sweep(f), 0);
	fake_put64(&f->g, hash, 0);
	fake_put64(&f->g, hash + 8, hash);
	assert_int_equal(patched_call(f, FUNC(2), 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_sweep(f), 0);
	fake_put64(&f->g, DIRECT_VAR, 0);
	assert_int_equal(patched_call(f, FUNC(2), 0xe8, MODULE + 0x40), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_sweep(f), 0);
}

/* --- the kernel's own debugger --------------------------------------------- */

static void debugged(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, KGDB + 24, CODE + 1);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_NOT_A_SITE); /* not set */
	fake_put64(&f->g, KGDB + 40, 2);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	assert_int_equal(f->r.kind, RF_SITE_KGDB);
	fake_put64(&f->g, KGDB + 40, 3);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0x90), RF_PATCH_BAD_INSN);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	fake_put64(&f->g, KGDB + 40, 1);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(patched_table.extra_count, 0);
	fake_put64(&f->g, KGDB, CODE + 2);
	fake_put64(&f->g, KGDB + 16, 2);
	assert_int_equal(patched_byte(f, CODE + 2, 0xcc), RF_PATCH_NOT_A_SITE);
}

/* --- who begins ------------------------------------------------------------- */

/* int3 is the kernel's patcher's while it says that it works, a breakpoint's at any time. */
static void begun_by_nobody(void **state)
{
	struct patched *f = *state;

	assert_int_equal(patched_table.busy, 0); /* not known: any may begin */
	fake_symbol(&f->g, "bp_desc", BP_DESC, 'b');
	fake_member(&f->g, "bp_patching_desc", "refs", 12, 4);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_table.busy, 0x1000 + (BP_DESC + 12 - TEXT));
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_BAD_STEP);
	assert_non_null(strstr(f->r.why, "patcher"));
	fake_put64(&f->g, BP_DESC + 8, UINT64_C(1) << 32); /* refs, behind nr_entries */
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP);
	fake_put64(&f->g, BP_DESC + 8, 256);			      /* no refs */
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP); /* what is begun goes on */
	assert_int_equal(patched_byte(f, JUMP, 0x0f), RF_PATCH_DONE);
	patched_probe(f, CODE + 1, 0x48, 0);
	assert_int_equal(patched_byte(f, CODE + 1, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_byte(f, CODE + 1, 0x48), RF_PATCH_DONE);
	fake_put64(&f->g, KGDB, JUMP);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_BAD_STEP);
	fake_put64(&f->g, KGDB + 16, 2);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP);
	assert_int_equal(patched_byte(f, JUMP, 0x0f), RF_PATCH_DONE);
	/* In no memory. */
	patched_table.busy = UINT64_C(1) << 40;
	assert_int_equal(patched_byte(f, CALL, 0xcc), RF_PATCH_BAD_STEP);
}

/* The same where the count is of what is queued, and the others are one a processor. */
static void begun_with_an_array(void **state)
{
	struct patched *f = *state;

	fake_symbol(&f->g, "text_poke_array", BP_DESC, 'b');
	fake_member(&f->g, "smp_text_poke_array", "nr_entries", 12, 4);
	assert_int_equal(patched_create(f), 0);
	assert_int_equal(patched_table.busy, 0x1000 + (BP_DESC + 12 - TEXT));
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_BAD_STEP);
	fake_put64(&f->g, BP_DESC + 8, UINT64_C(3) << 32);
	assert_int_equal(patched_byte(f, JUMP, 0xcc), RF_PATCH_STEP);
	fake_put64(&f->g, BP_DESC + 8, 0);
	assert_int_equal(patched_byte(f, JUMP, 0x0f), RF_PATCH_DONE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, patched_setup, patched_teardown)

/* Each of them, whoever sweeps. */
int main(void)
{
	int failed = 0;
	const struct CMUnitTest tests[] = {
		T(records),
		T(traced),
		T(traced_in_a_batch),
		T(traced_directly),
		T(traced_by_a_jump),
		T(traced_wrongly),
		T(what_is_traced_with),
		T(hostile_records),
		T(odd_record),
		T(record_over_a_label),
		T(record_behind_a_landing_pad),
		T(jump_into_text),
		T(ring_of_directs),
		T(hash_of_any_size),
		T(page_of_any_size),
		T(traced_before),
		T(hostile_targets),
		T(debugged),
		T(begun_by_nobody),
		T(begun_with_an_array),
	};

	for (patched_by = PATCHED_ALONE; patched_by <= PATCHED_BY_A_NEW_ONE; patched_by++)
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	return failed;
}
