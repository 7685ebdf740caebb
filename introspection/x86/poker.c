// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The one function through which Linux changes text once it runs:
 *
 *   static void *__text_poke(text_poke_f func, void *addr, const void *src, size_t len)
 *
 * (arch/x86/kernel/alternative.c, 6.0 and later; func is text_poke_memcpy() for all but BPF's
 * fills.) It keeps nothing from one call to the next. So whoever has made the change himself may
 * leave it at its end instead of going through it: behind what it pushes its arguments are still
 * in their registers, and where it pops them again it returns.
 *
 * Where a compiler builds it otherwise there is no such place, and the function is left alone.
 */
#include <errno.h>
#include <string.h>

#include "introspection/x86/disasm_impl.h"
#include "introspection/kernel.h"
#include "introspection/arch.h"
#include "introspection/patches/textpatch.h"

#define PROLOGUE_MAX 96 /* bytes; 47 in Debian's 6.1, 30 in its 6.12 */
#define PUSHES_MAX 6	/* the registers that a function must keep: System V ABI, 3.2.1 */
#define FRAME_MAX 1024

/* Does it only compute something into a register that holds no argument? */
static bool is_harmless(const cs_insn *insn)
{
	static const uint16_t ids[] = { X86_INS_MOV, X86_INS_MOVABS, X86_INS_MOVSXD, X86_INS_MOVZX,
					X86_INS_LEA, X86_INS_AND,    X86_INS_OR,     X86_INS_XOR,
					X86_INS_ADD, X86_INS_SUB,    X86_INS_SHR,    X86_INS_SHL };
	static const uint16_t regs[] = { X86_REG_RAX,  X86_REG_RBX,  X86_REG_RBP,  X86_REG_R8,
					 X86_REG_R9,   X86_REG_R10,  X86_REG_R11,  X86_REG_R12,
					 X86_REG_R13,  X86_REG_R14,  X86_REG_R15,  X86_REG_EAX,
					 X86_REG_EBX,  X86_REG_EBP,  X86_REG_R8D,  X86_REG_R9D,
					 X86_REG_R10D, X86_REG_R11D, X86_REG_R12D, X86_REG_R13D,
					 X86_REG_R14D, X86_REG_R15D };
	const cs_x86_op *to = &insn->detail->x86.operands[0];
	bool id = false, reg = false;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		id |= insn->id == ids[i];
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		reg |= to->type == X86_OP_REG && to->reg == regs[i];
	return insn->detail->x86.op_count && id && reg;
}

/* Bytes of `push %reg` at code, 0: it is none. */
static size_t push_at(const uint8_t *code, size_t len)
{
	if (len >= 1 && (code[0] & 0xf8) == 0x50)
		return 1;
	return len >= 2 && code[0] == 0x41 && (code[1] & 0xf8) == 0x50 ? 2 : 0;
}

/* Up to the `sub $frame, %rsp` behind the pushes; *pops gets what undoes them, *pops_len > 0. */
static int read_prologue(struct rf_disasm *d, const struct rf_function *f, struct rf_poker *out,
			 uint8_t *pops, size_t *pops_len)
{
	size_t at = f->entry, last = at + PROLOGUE_MAX, size = 0, n;

	while (at < f->len && at < last) {
		const uint8_t *code = f->code + at;
		const cs_x86_op *op;

		n = push_at(code, f->len - at);
		if (n) {
			if (size + n > 2 * PUSHES_MAX)
				return -ENOENT;
			memmove(pops + n, pops, size);
			memcpy(pops, code, n);
			pops[n - 1] += 8; /* POP is PUSH + 8: SDM vol. 2B */
			size += n;
			at += n;
			continue;
		}
		if (!rf_disasm_one(d, code, f->len - at, rf_gva_of(f->start + at)))
			return -ENOENT;
		op = d->insn->detail->x86.operands;
		if (d->insn->id == X86_INS_SUB && op[0].type == X86_OP_REG &&
		    op[0].reg == X86_REG_RSP && op[1].type == X86_OP_IMM && op[1].imm > 0 &&
		    op[1].imm <= FRAME_MAX && size) {
			out->at = rf_gva_of(f->start + at);
			out->len = (uint8_t)d->insn->size;
			memcpy(out->bytes, code, d->insn->size);
			out->frame = (uint32_t)op[1].imm;
			*pops_len = size;
			return 0;
		}
		if (!is_harmless(d->insn))
			return -ENOENT;
		at += d->insn->size;
	}
	return -ENOENT;
}

/* A return, or the jump to one that stands for it where a CPU needs that (6.1
 * arch/x86/kernel/alternative.c apply_returns()). */
static bool is_return(const struct rf_kernel *k, const struct rf_function *f, size_t at)
{
	static const char suffix[] = "return_thunk";
	struct rf_symbol s;
	uint64_t target;
	int32_t rel;
	size_t len;
	rf_gva end;

	if (at < f->len && f->code[at] == 0xc3)
		return true;
	if (at + 5 > f->len || f->code[at] != 0xe9)
		return false;
	memcpy(&rel, f->code + at + 1, sizeof(rel));
	target = f->start + at + 5 + (uint64_t)(int64_t)rel;
	if (rf_kernel_symbol_extent(k, rf_gva_of(target), &s, &end) || s.addr.v != target)
		return false;
	len = strlen(s.name);
	return len >= sizeof(suffix) - 1 && !strcmp(s.name + len - (sizeof(suffix) - 1), suffix);
}

int rf_textpatch_poker(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		       struct rf_poker *out)
{
	uint8_t pops[2 * PUSHES_MAX];
	struct rf_poker p = { 0 };
	struct rf_function f;
	size_t len;
	int err = rf_function_read(k, m, "__text_poke", &f);

	if (err || rf_kernel_address(k, "text_poke_memcpy", &p.how))
		return err ? err : -ENOENT;
	err = read_prologue(d, &f, &p, pops, &len);
	if (err)
		return err;
	/* Wherever in the function these bytes are: run from there, they are what they are. */
	for (size_t at = p.at.v + p.len - f.start; at + len < f.len; at++) {
		if (memcmp(f.code + at, pops, len) || !is_return(k, &f, at + len))
			continue;
		p.back = rf_gva_of(f.start + at);
		*out = p;
		return 0;
	}
	return -ENOENT;
}
