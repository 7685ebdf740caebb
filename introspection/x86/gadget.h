/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sensitive instructions in kernel text: those that load a control, debug or model-specific
 * register, a descriptor table or a shadow stack. An attacker who can jump anywhere can use each of
 * them, also those that the compiler never meant: the same bytes inside of another instruction, or
 * across two.
 *
 * They are found by their bytes alone, at every offset (all of them are in opcode map 0F). Capstone
 * only says where the instructions of a function begin, which tells the intended ones from the
 * others.
 *
 * Not looked for, as no CPU that stock KVM shows to a guest runs them: the forms of APX (REX2
 * prefix D5, which takes the place of 0F) and WRMSRNS with an immediate (VEX map 7).
 *
 * To add an instruction: its kind here, its name and its opcode in gadget_decode.c, its opcode's
 * second byte in gadget.c worth_decoding(), its bytes in tests/unit/test_gadget.c, what covers it
 * in monitor/cover.c, objdump's name for it in tests/lab/oracle.py.
 */
#ifndef RF_INTROSPECTION_GADGET_H
#define RF_INTROSPECTION_GADGET_H

#include "introspection/x86/disasm.h"

enum rf_gadget_kind {
	RF_GADGET_NONE,
	RF_GADGET_MOV_CR0,
	RF_GADGET_MOV_CR3,
	RF_GADGET_MOV_CR4,
	RF_GADGET_MOV_CR8,
	RF_GADGET_LMSW,
	RF_GADGET_CLTS,
	RF_GADGET_WRMSR, /* and wrmsrns, wrmsrlist */
	RF_GADGET_LGDT,
	RF_GADGET_LIDT,
	RF_GADGET_LLDT,
	RF_GADGET_LTR,
	RF_GADGET_MOV_DR,
	RF_GADGET_XSETBV,
	RF_GADGET_XRSTORS,
	RF_GADGET_WRSS, /* and wruss */
	RF_GADGET_VMX,	/* vmxon, vmxoff, vmptrld, vmclear, vmlaunch, vmresume */
	RF_GADGET_SVM,	/* vmrun, vmload, vmsave, stgi, clgi, skinit */
	RF_GADGET_KINDS
};

/* "mov cr0", "wrmsr" ...; "none", also for what is no kind. */
const char *rf_gadget_kind_text(enum rf_gadget_kind kind);

enum rf_operand_type {
	RF_OPERAND_NONE,
	RF_OPERAND_REG, /* `reg` */
	RF_OPERAND_MEM, /* [base + index * scale + disp] */
};

/* The operand; implied registers (wrmsr, vmload) are none. */
struct rf_operand {
	enum rf_operand_type type;
	uint8_t size;	    /* bytes: 2 lmsw lldt ltr, 10 lgdt lidt, 8 mov; 0 none or not fixed */
	int8_t reg;	    /* index in rf_regs.gpr, -1 none; of wrss: what it stores */
	int8_t base, index; /* the same */
	uint8_t scale;	    /* 1, 2, 4, 8 */
	bool rip_relative;
	bool addr32;	/* 67 prefix: the effective address has 32 bits */
	int8_t segment; /* 0 none with a base, 1 fs, 2 gs */
	int32_t disp;
};

struct rf_gadget {
	rf_gva addr; /* first byte, prefixes included */
	uint8_t len; /* bytes, 2 to 15 */
	uint8_t bytes[15];
	enum rf_gadget_kind kind;
	/*
	 * On an instruction boundary of its function, decoded from the symbol's start. False also
	 * where that cannot be told: no symbol, or one more than 256 KiB away.
	 */
	bool intended;
	struct rf_operand operand;
};

/*
 * Linear address of a memory operand; regs are those before the instruction, which lies at g->addr.
 * 0 when the operand is not in memory. The caller's paging says whether anything is there.
 */
uint64_t rf_gadget_operand_address(const struct rf_gadget *g, const struct rf_regs *regs);

/*
 * The instruction that begins at code[0], prefixes first: 0 and *out (addr, intended false), or
 * -ENOENT: none of the kinds, or more bytes than len. Pure.
 */
int rf_gadget_decode(const uint8_t *code, size_t len, rf_gva addr, struct rf_gadget *out);

/* Non-zero stops the search and is returned by it. */
typedef int (*rf_gadget_fn)(void *ctx, const struct rf_gadget *g);

/*
 * Calls fn for each one whose opcode (the byte 0F) lies in [start, end), in that order. Bytes come
 * from the image's own frames, whatever the guest's page tables say. One opcode with different
 * prefixes is one result, the longest (an intended one: as it is meant), unless a prefix makes it
 * another kind: 44 0F 22 C0 is mov cr8, and mov cr0 for who jumps behind the 44.
 *
 * A range can be cut anywhere: the results of the parts are those of the whole. At most 256 KiB
 * more than the range are decoded. d may be NULL: then nothing is intended.
 * 0, -EINVAL (not inside the image), -EFAULT, or what fn returned.
 */
int rf_gadgets_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		    rf_gva start, rf_gva end, rf_gadget_fn fn, void *ctx);

/*
 * The same into out[0..cap). *count is how many there are: more than cap means that the list was
 * cut. (A hostile image can hold one per two bytes.)
 */
int rf_gadgets_list(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		    rf_gva start, rf_gva end, struct rf_gadget *out, size_t cap, size_t *count);

#endif
