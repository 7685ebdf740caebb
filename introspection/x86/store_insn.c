// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which instructions store, where and how much. Capstone 4.0.2's access flags are not used: it
 * calls movups, movnti, cmpxchg and vmovdqu stores reads. In Intel syntax the destination comes
 * first, so a first operand in memory is a store unless the instruction is known to read only.
 */
#include "introspection/x86/store_insn.h"

#include <errno.h>

struct gpr {
	int8_t index;
	uint8_t size;
	bool high;
};

/* By size, in the order of the encoding (struct rf_regs). */
static const uint16_t gprs[4][16] = {
	{ X86_REG_AL, X86_REG_CL, X86_REG_DL, X86_REG_BL, X86_REG_SPL, X86_REG_BPL, X86_REG_SIL,
	  X86_REG_DIL, X86_REG_R8B, X86_REG_R9B, X86_REG_R10B, X86_REG_R11B, X86_REG_R12B,
	  X86_REG_R13B, X86_REG_R14B, X86_REG_R15B },
	{ X86_REG_AX, X86_REG_CX, X86_REG_DX, X86_REG_BX, X86_REG_SP, X86_REG_BP, X86_REG_SI,
	  X86_REG_DI, X86_REG_R8W, X86_REG_R9W, X86_REG_R10W, X86_REG_R11W, X86_REG_R12W,
	  X86_REG_R13W, X86_REG_R14W, X86_REG_R15W },
	{ X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX, X86_REG_ESP, X86_REG_EBP, X86_REG_ESI,
	  X86_REG_EDI, X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D, X86_REG_R12D,
	  X86_REG_R13D, X86_REG_R14D, X86_REG_R15D },
	{ X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI,
	  X86_REG_RDI, X86_REG_R8, X86_REG_R9, X86_REG_R10, X86_REG_R11, X86_REG_R12, X86_REG_R13,
	  X86_REG_R14, X86_REG_R15 },
};
static const uint16_t gprs_high[4] = { X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH };

static bool gpr_of(unsigned int reg, struct gpr *out)
{
	for (int8_t i = 0; i < 16; i++) {
		for (int log = 0; log < 4; log++) {
			if (gprs[log][i] == reg) {
				*out = (struct gpr){ i, (uint8_t)(1 << log), false };
				return true;
			}
		}
		if (i < 4 && gprs_high[i] == reg) {
			*out = (struct gpr){ i, 1, true };
			return true;
		}
	}
	return false;
}

/* A first operand in memory that is only read (or not touched at all). */
static const uint16_t readers[] = {
	X86_INS_CMP,	     X86_INS_TEST,	 X86_INS_BT,	     X86_INS_JMP,
	X86_INS_LJMP,	     X86_INS_MUL,	 X86_INS_IMUL,	     X86_INS_DIV,
	X86_INS_IDIV,	     X86_INS_NOP,	 X86_INS_PREFETCH,   X86_INS_PREFETCHW,
	X86_INS_PREFETCHNTA, X86_INS_PREFETCHT0, X86_INS_PREFETCHT1, X86_INS_PREFETCHT2,
	X86_INS_CLFLUSH,     X86_INS_CLFLUSHOPT, X86_INS_CLWB,	     X86_INS_INVLPG,
	X86_INS_LGDT,	     X86_INS_LIDT,	 X86_INS_LLDT,	     X86_INS_LTR,
	X86_INS_LMSW,	     X86_INS_VERR,	 X86_INS_VERW,	     X86_INS_LDMXCSR,
	X86_INS_VLDMXCSR,    X86_INS_FXRSTOR,	 X86_INS_FXRSTOR64,  X86_INS_XRSTOR,
	X86_INS_XRSTOR64,    X86_INS_XRSTORS,	 X86_INS_XRSTORS64,  X86_INS_FLD,
	X86_INS_FILD,	     X86_INS_FBLD,	 X86_INS_FLDCW,	     X86_INS_FLDENV,
	X86_INS_FRSTOR,	     X86_INS_FADD,	 X86_INS_FMUL,	     X86_INS_FCOM,
	X86_INS_FCOMP,	     X86_INS_FSUB,	 X86_INS_FSUBR,	     X86_INS_FDIV,
	X86_INS_FDIVR,	     X86_INS_FIADD,	 X86_INS_FIMUL,	     X86_INS_FICOM,
	X86_INS_FICOMP,	     X86_INS_FISUB,	 X86_INS_FISUBR,     X86_INS_FIDIV,
	X86_INS_FIDIVR,	     X86_INS_VMPTRLD,	 X86_INS_VMCLEAR,    X86_INS_VMXON,
	X86_INS_CMPSB,	     X86_INS_CMPSW,	 X86_INS_CMPSQ,	     X86_INS_CMPSD,
	X86_INS_SCASB,	     X86_INS_SCASW,	 X86_INS_SCASD,	     X86_INS_SCASQ,
	X86_INS_OUTSB,	     X86_INS_OUTSW,	 X86_INS_OUTSD,
};

static bool reads_only(unsigned int id)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (readers[i] == id)
			return true;
	return false;
}

/* String stores, told by opcode: Capstone gives the SSE movsd and the string movsd one id. */
static bool string_store(const cs_x86 *x, struct rf_store_insn *insn)
{
	uint8_t op = x->opcode[0];

	if (op != 0xa4 && op != 0xa5 && op != 0xaa && op != 0xab && op != 0x6c && op != 0x6d)
		return false;
	insn->class = op == 0xa4 || op == 0xa5	 ? RF_STORE_MOVS
		      : op == 0xaa || op == 0xab ? RF_STORE_STOS
						 : RF_STORE_INS;
	insn->rep = x->prefix[0] == X86_PREFIX_REP || x->prefix[0] == X86_PREFIX_REPNE;
	if (!(op & 1))
		insn->size = 1;
	else if ((x->rex & 8) && op != 0x6d)
		insn->size = 8;
	else
		insn->size = x->prefix[2] == X86_PREFIX_OPSIZE ? 2 : 4;
	if (op == 0xaa || op == 0xab) {
		insn->reg = 0;
		insn->reg_size = insn->size;
	}
	return true;
}

static int memory_operand(const x86_op_mem *mem, struct rf_store_insn *insn)
{
	struct gpr g;

	insn->has_mem = true;
	insn->disp = mem->disp;
	insn->scale = mem->scale;
	insn->segment = mem->segment == X86_REG_FS ? 1 : mem->segment == X86_REG_GS ? 2 : 0;
	if (mem->base == X86_REG_RIP || mem->base == X86_REG_EIP)
		insn->rip_relative = true;
	else if (mem->base != X86_REG_INVALID) {
		if (!gpr_of(mem->base, &g))
			return -ENOENT;
		insn->base = g.index;
	}
	if (mem->index != X86_REG_INVALID && mem->index != X86_REG_RIZ &&
	    mem->index != X86_REG_EIZ) {
		if (!gpr_of(mem->index, &g))
			return -ENOENT; /* a scatter: one instruction, many addresses */
		insn->index = g.index;
	}
	return 0;
}

/*
 * Sizes that Capstone gives as that of a pointer, or whatever the prefix (SDM vol. 1 8.1.10, 10.5
 * and 13, vol. 2 FSAVE, FSTENV, FSTSW). 0: not fixed.
 */
static uint32_t state_size(unsigned int id, uint32_t size, bool opsize)
{
	switch (id) {
	case X86_INS_FXSAVE:
	case X86_INS_FXSAVE64:
		return 512;
	case X86_INS_FNSAVE:
		return opsize ? 94 : 108;
	case X86_INS_FNSTENV:
		return opsize ? 14 : 28;
	case X86_INS_FNSTSW:
		return 2;
	case X86_INS_XSAVE:
	case X86_INS_XSAVE64:
	case X86_INS_XSAVEOPT:
	case X86_INS_XSAVEOPT64:
	case X86_INS_XSAVEC:
	case X86_INS_XSAVEC64:
	case X86_INS_XSAVES:
	case X86_INS_XSAVES64:
		return 0;
	default:
		return size;
	}
}

/*
 * Those that KVM's emulator writes with segmented_write_std(), which tells nobody what it could not
 * write (arch/x86/kvm/emulate.c emulate_store_desc_ptr(), em_fxsave()). It does not emulate xsave,
 * which ends in an exit that says so.
 */
static bool is_untold(unsigned int id)
{
	return id == X86_INS_SGDT || id == X86_INS_SIDT || id == X86_INS_FXSAVE ||
	       id == X86_INS_FXSAVE64;
}

static enum rf_store_class class_of(unsigned int id, bool has_reg)
{
	switch (id) {
	case X86_INS_XCHG:
		return RF_STORE_XCHG;
	case X86_INS_XADD:
		return RF_STORE_XADD;
	case X86_INS_CMPXCHG:
		return RF_STORE_CMPXCHG;
	case X86_INS_CMPXCHG8B:
	case X86_INS_CMPXCHG16B:
		return RF_STORE_CMPXCHG8B;
	case X86_INS_POP:
		return RF_STORE_POP;
	case X86_INS_BTS:
	case X86_INS_BTR:
	case X86_INS_BTC:
		return has_reg ? RF_STORE_BITS : RF_STORE_PLAIN;
	default:
		return RF_STORE_PLAIN;
	}
}

/* The register or immediate that an instruction stores unchanged, so that it can be compared. */
static void source_operand(const cs_x86 *x, struct rf_store_insn *insn, unsigned int id)
{
	const cs_x86_op *op = &x->operands[1];
	struct gpr g;

	if (x->op_count < 2)
		return;
	if (op->type == X86_OP_REG && gpr_of(op->reg, &g)) {
		insn->reg = g.index;
		insn->reg_size = g.size;
		insn->reg_high = g.high;
	} else if (op->type == X86_OP_IMM && id == X86_INS_MOV) {
		insn->has_imm = true;
		insn->imm = op->imm;
	}
}

/* What PUSH stores, or where CALL goes. */
static void only_operand(const cs_x86 *x, struct rf_store_insn *insn)
{
	struct gpr g;

	if (x->op_count && x->operands[0].type == X86_OP_IMM) {
		insn->has_imm = true;
		insn->imm = x->operands[0].imm;
	} else if (x->op_count && x->operands[0].type == X86_OP_REG &&
		   gpr_of(x->operands[0].reg, &g)) {
		insn->reg = g.index;
		insn->reg_size = g.size;
	}
}

/* RBP, the frame pointers of the levels around it and its own (SDM vol. 2A, ENTER). */
static uint32_t enter_pushes(const cs_x86 *x)
{
	uint32_t level = x->op_count == 2 ? (uint32_t)x->operands[1].imm & 31 : 0;

	return level + 1;
}

int rf_store_insn_decode(const struct rf_disasm *d, struct rf_store_insn *out)
{
	const cs_insn *cs = d->insn;
	const cs_x86 *x = &cs->detail->x86;
	bool opsize = x->prefix[2] == X86_PREFIX_OPSIZE;
	struct rf_store_insn insn = {
		.reg = -1, .base = -1, .index = -1, .count = 1, .length = (uint8_t)cs->size
	};
	int err;

	insn.addr32 = x->addr_size == 4;
	if (string_store(x, &insn))
		goto done;
	switch (cs->id) {
	case X86_INS_PUSH:
	case X86_INS_PUSHF:
	case X86_INS_PUSHFQ:
		insn.class = RF_STORE_PUSH;
		insn.size = opsize ? 2 : 8;
		only_operand(x, &insn);
		goto done;
	case X86_INS_CALL:
		insn.class = RF_STORE_CALL;
		insn.size = 8;
		only_operand(x, &insn);
		goto done;
	case X86_INS_LCALL: /* CS, then RIP, both of the operand's size (SDM vol. 2A, CALL) */
		insn.class = RF_STORE_LCALL;
		insn.size = x->rex & 8 ? 16 : opsize ? 4 : 8;
		goto done;
	case X86_INS_ENTER:
		insn.class = RF_STORE_ENTER;
		insn.count = enter_pushes(x);
		insn.size = insn.count * (opsize ? 2 : 8);
		goto done;
	case X86_INS_MASKMOVQ:
	case X86_INS_MASKMOVDQU:
	case X86_INS_VMASKMOVDQU: /* the bytes that the mask selects, at RDI */
		insn.has_mem = true;
		insn.base = 7;
		insn.scale = 1;
		insn.segment = x->prefix[1] == X86_PREFIX_FS   ? 1
			       : x->prefix[1] == X86_PREFIX_GS ? 2
							       : 0;
		insn.size = cs->id == X86_INS_MASKMOVQ ? 8 : 16;
		goto done;
	default:
		break;
	}
	if (!x->op_count || x->operands[0].type != X86_OP_MEM || reads_only(cs->id))
		return -ENOENT;
	err = memory_operand(&x->operands[0].mem, &insn);
	if (err)
		return err;
	insn.size = state_size(cs->id, x->operands[0].size, opsize);
	insn.untold = is_untold(cs->id);
	source_operand(x, &insn, cs->id);
	insn.class = class_of(cs->id, insn.reg >= 0);
	/* Of the plain ones only moves store their source as it is. */
	if (insn.class == RF_STORE_PLAIN && cs->id != X86_INS_MOV && cs->id != X86_INS_MOVABS &&
	    cs->id != X86_INS_MOVNTI)
		insn.reg = -1;
done:
	*out = insn;
	return 0;
}

uint64_t rf_store_reg(const struct rf_regs *regs, int8_t reg, uint8_t size, bool high)
{
	uint64_t v = regs->gpr[reg];

	if (high)
		v >>= 8;
	return size >= 8 ? v : v & ((UINT64_C(1) << (8 * size)) - 1);
}

/* KVM's register_address_increment(): with a 67 prefix the register becomes its lower half. */
static void advance(uint64_t *reg, int64_t by, bool addr32)
{
	uint64_t v = *reg + (uint64_t)by;

	*reg = addr32 ? (uint32_t)v : v;
}

void rf_store_undo_pointers(const struct rf_store_insn *insn, struct rf_regs *regs)
{
	bool down = regs->rflags & (UINT64_C(1) << 10); /* DF */
	int64_t back = down ? (int64_t)insn->size : -(int64_t)insn->size;

	switch (insn->class) {
	case RF_STORE_MOVS:
		advance(&regs->gpr[6], back, insn->addr32);
		/* fall through */
	case RF_STORE_STOS:
	case RF_STORE_INS:
		advance(&regs->gpr[7], back, insn->addr32);
		if (insn->rep)
			advance(&regs->gpr[1], insn->count, insn->addr32);
		break;
	case RF_STORE_ENTER: /* RBP is where it was pushed; what it was before is what was stored */
		regs->gpr[4] = regs->gpr[5] + insn->size;
		break;
	case RF_STORE_PUSH:
	case RF_STORE_CALL:
		regs->gpr[4] += insn->size;
		break;
	case RF_STORE_POP:
		regs->gpr[4] -= insn->size;
		break;
	default:
		break;
	}
}

uint64_t rf_store_address(const struct rf_store_insn *insn, const struct rf_regs *regs, uint64_t at)
{
	uint64_t ea = (uint64_t)insn->disp;

	if (insn->class == RF_STORE_PUSH || insn->class == RF_STORE_CALL ||
	    insn->class == RF_STORE_LCALL || insn->class == RF_STORE_ENTER)
		return regs->gpr[4] - insn->size;
	if (!insn->has_mem) /* ES:RDI; ES has no base in 64-bit mode */
		return insn->addr32 ? (uint32_t)regs->gpr[7] : regs->gpr[7];
	if (insn->rip_relative)
		ea += at + insn->length;
	if (insn->base >= 0)
		ea += regs->gpr[insn->base];
	/* POP with RSP as base: the address is computed after RSP moved (SDM vol. 2B, POP). */
	if (insn->class == RF_STORE_POP && insn->base == 4)
		ea += insn->size;
	if (insn->index >= 0)
		ea += regs->gpr[insn->index] * insn->scale;
	if (insn->class == RF_STORE_BITS) {
		/* The bit number is signed and may reach outside the operand (SDM vol. 2A, BT). */
		uint64_t v = rf_store_reg(regs, insn->reg, insn->reg_size, false);
		int64_t bit = insn->reg_size == 2   ? (int16_t)v
			      : insn->reg_size == 4 ? (int32_t)v
						    : (int64_t)v;

		ea += (uint64_t)((bit & -(int64_t)(insn->size * 8)) >> 3);
	}
	if (insn->addr32)
		ea = (uint32_t)ea;
	if (insn->align)
		ea &= ~(uint64_t)(insn->align - 1);
	if (insn->segment)
		ea += insn->segment == 1 ? regs->fs_base : regs->gs_base;
	return ea;
}
