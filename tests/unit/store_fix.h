/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One instruction in a guest of two code pages and two data pages, for the tests of
 * rf_store_find(). */
#ifndef RF_TESTS_STORE_FIX_H
#define RF_TESTS_STORE_FIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/arch.h"
#include "tests/unit/fake_guest.h"
#include "tests/unit/hex.h"

#define CODE UINT64_C(0xffffffff81000000) /* one function per test, two pages */
#define CODE_GPA 0x8000
#define JIT UINT64_C(0xffffffffc0200000) /* no symbols, page before not mapped */
#define JIT_GPA 0xb000
#define DATA UINT64_C(0xffff888000002000) /* page 1 goes to 0x2000, page 2 to 0x5000 */
#define DATA_GPA 0x2000
#define DATA2_GPA 0x5000

enum { AX, CX, DX, BX, SP, BP, SI, DI };

struct fix {
	struct fake_guest g;
	struct rf_disasm *d;
	struct rf_regs regs; /* before; run() derives nothing, tests say what changes */
	uint64_t at;	     /* where the instruction starts */
	uint8_t value[64];
	struct rf_store_seen seen;
	struct rf_store out;
};

/* Puts prologue, instruction and some code after it at `base`; f->at is the instruction's start. */
static inline size_t put(struct fix *f, uint64_t base, const char *prologue, const char *insn)
{
	uint8_t code[64];
	size_t p = unhex(prologue, code), n = unhex(insn, code + p);

	memset(code + p + n, 0x90, 16);
	fake_write(&f->g, base, code, p + n + 16);
	f->at = base + p;
	return n;
}

static struct rf_disasm *shared;

static inline int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	fake_init(&f.g);
	fake_map(&f.g, CODE, CODE_GPA, 2);
	fake_map(&f.g, JIT, JIT_GPA, 1);
	fake_map(&f.g, DATA, DATA_GPA, 1);
	fake_map(&f.g, DATA + 4096, DATA2_GPA, 1);
	f.g.k.image = (struct rf_image){ rf_gva_of(CODE), rf_gpa_of(CODE_GPA), 0x2000 };
	fake_symbol(&f.g, "victim", CODE, 'T');
	for (int i = 0; i < 16; i++)
		f.regs.gpr[i] = UINT64_C(0x1111222233330000) + (uint64_t)i;
	f.regs.gpr[DI] = DATA + 0x100;
	f.regs.gpr[SP] = DATA + 0x800;
	f.regs.gs_base = DATA + 0x400;
	f.d = shared;
	f.seen.gpa = rf_gpa_of(DATA_GPA + 0x100);
	f.seen.rip_after = true;
	f.seen.bytes = f.value;
	*state = &f;
	return 0;
}

static inline int group_setup(void **state)
{
	return rf_disasm_create(&shared);
}

static inline int group_teardown(void **state)
{
	rf_disasm_destroy(shared);
	return 0;
}

static inline void le(uint8_t *to, uint64_t v, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static inline int find(struct fix *f, const struct rf_regs *after, uint32_t len)
{
	f->seen.regs = *after;
	f->seen.len = len;
	memset(&f->out, 0xee, sizeof(f->out));
	return rf_store_find(f->d, &f->g.k, &f->g.m, &f->g.p, &f->seen, &f->out);
}

/* The store of f->regs was found and undone. */
static inline void expect(struct fix *f, const char *insn, bool exact)
{
	uint8_t code[16];
	size_t n = unhex(insn, code);

	assert_int_equal(f->out.rip.v, f->at);
	assert_int_equal(f->out.insn_len, n);
	assert_memory_equal(f->out.insn, code, n);
	assert_int_equal(f->out.before.rip, f->at);
	assert_int_equal(f->out.exact, exact);
	for (int i = 0; i < 16; i++)
		assert_int_equal(f->out.before.gpr[i], f->regs.gpr[i]);
	assert_true(f->out.text[0] && strcmp(f->out.text, "(bad)"));
}

#endif
