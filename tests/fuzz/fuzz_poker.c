// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel's patcher and the head of a function, in any code. Input: the function's length, how
 * many bytes the head must have, then code. What is found must lie in the function as it is read,
 * and be what the fence goes by: a `sub` that takes the room off the stack, and pops to a return.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/arch.h"
#include "introspection/patches/textpatch.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define TEXT_GPA 0x4000
#define TEXT_SIZE 0x2000
#define POKER 0x100 /* from TEXT, as all below */
#define COPY 0x40
#define RETURN 0x80

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

static struct fake_guest g;
static size_t len; /* of the function */

static const uint8_t *code(uint64_t at)
{
	return g.ram + TEXT_GPA + (at - TEXT);
}

static bool inside(uint64_t at, size_t size)
{
	return at >= TEXT + POKER && at + size <= TEXT + POKER + len && size <= len;
}

/* The register of the push (0x50) or pop (0x58) at code, -1: it is none; *size gets its bytes. */
static int stacked(const uint8_t *insn, uint8_t opcode, size_t *size)
{
	*size = insn[0] == 0x41 ? 2 : 1;
	return (insn[*size - 1] & 0xf8) == opcode ? insn[*size - 1] % 8 + 8 * ((int)*size - 1) : -1;
}

/* What is pushed before `at` is popped from `back` on, the last one first; then it returns. */
static void check_stack(struct rf_disasm *d, uint64_t at, uint64_t back)
{
	static struct rf_function f;
	int regs[16], count = 0, reg;
	size_t size;

	MUST(!rf_function_read(&g.k, &g.m, "__text_poke", &f) && f.len <= len);
	for (uint64_t p = TEXT + POKER + f.entry; p < at; p += size) {
		reg = stacked(code(p), 0x50, &size);
		if (reg < 0) {
			size = rf_disasm_length(d, code(p), at - p, rf_gva_of(p));
		} else {
			MUST(count < 12);
			regs[count++] = reg;
		}
		MUST(size);
	}
	MUST(count);
	for (; count; back += size)
		MUST(stacked(code(back), 0x58, &size) == regs[--count]);
	if (*code(back) == 0xe9) {
		int32_t rel;

		MUST(inside(back, 5));
		memcpy(&rel, code(back) + 1, sizeof(rel));
		MUST(back + 5 + (uint64_t)(int64_t)rel == TEXT + RETURN);
	} else {
		MUST(inside(back, 1) && *code(back) == 0xc3);
	}
}

static void check_poker(struct rf_disasm *d, const struct rf_poker *p)
{
	uint32_t frame = 0;

	MUST(p->len >= 4 && p->len <= sizeof(p->bytes) && inside(p->at.v, p->len));
	MUST(!memcmp(p->bytes, code(p->at.v), p->len));
	MUST(p->frame > 0 && p->frame <= 1024 && p->how.v == TEXT + COPY);
	/* sub $imm8 or $imm32, %rsp, whatever prefixes are before it */
	memcpy(&frame, p->bytes + p->len - 4, 4);
	MUST(p->bytes[p->len - 1] == p->frame || frame == p->frame);
	MUST(p->back.v >= p->at.v + p->len && inside(p->back.v, 2));
	check_stack(d, p->at.v, p->back.v);
}

static void check_head(struct rf_disasm *d, uint8_t least)
{
	struct rf_insns head;
	size_t n;
	int err = rf_function_head(d, &g.k, &g.m, "__text_poke", least, &head);

	MUST(!err || err == -ENOENT);
	if (err)
		return;
	MUST(head.len >= least && head.len <= sizeof(head.bytes) && inside(head.at.v, head.len));
	MUST(head.at.v - (TEXT + POKER) <= 9);
	MUST(!memcmp(head.bytes, code(head.at.v), head.len));
	for (size_t at = 0; at < head.len; at += n) {
		n = rf_disasm_length(d, head.bytes + at, head.len - at, rf_gva_of(head.at.v + at));
		MUST(n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_disasm *d;
	struct rf_poker p;
	int err;

	if (size < 3)
		return 0;
	if (!d)
		MUST(!rf_disasm_create(&d));
	fake_init(&g);
	g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(TEXT_GPA), TEXT_SIZE };
	len = 1u + (data[0] | (data[1] & 0x1fu) << 8);
	if (len > TEXT_SIZE - POKER)
		len = TEXT_SIZE - POKER;
	fake_symbol(&g, "_text", TEXT, 'T');
	fake_symbol(&g, "text_poke_memcpy", TEXT + COPY, 't');
	fake_symbol(&g, "some_return_thunk", TEXT + RETURN, 'T');
	fake_symbol(&g, "__text_poke", TEXT + POKER, 't');
	if (len < TEXT_SIZE - POKER)
		fake_symbol(&g, "next", TEXT + POKER + len, 't');
	memcpy(g.ram + TEXT_GPA + POKER, data + 3,
	       size - 3 < TEXT_SIZE - POKER ? size - 3 : TEXT_SIZE - POKER);
	err = rf_textpatch_poker(d, &g.k, &g.m, &p);
	MUST(!err || err == -ENOENT);
	if (!err)
		check_poker(d, &p);
	check_head(d, 1 + data[2] % 8);
	return 0;
}
