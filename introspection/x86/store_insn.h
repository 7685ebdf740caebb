/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One decoded store and the register changes that its emulation made; between store.c and
 * store_insn.c. */
#ifndef RF_INTROSPECTION_STORE_INSN_H
#define RF_INTROSPECTION_STORE_INSN_H

#include "introspection/x86/disasm_impl.h"

/* How an instruction that writes memory also changes registers. */
enum rf_store_class {
	RF_STORE_PLAIN, /* not at all */
	RF_STORE_MOVS,
	RF_STORE_STOS,
	RF_STORE_INS,
	RF_STORE_PUSH,
	RF_STORE_CALL,
	RF_STORE_LCALL,
	RF_STORE_ENTER,
	RF_STORE_POP, /* to memory */
	RF_STORE_XCHG,
	RF_STORE_XADD,
	RF_STORE_CMPXCHG,
	RF_STORE_CMPXCHG8B, /* and 16B */
	RF_STORE_BITS,	    /* bts, btr, btc with a register: it moves the operand's address */
};

struct rf_store_insn {
	enum rf_store_class class;
	uint32_t size;	/* bytes written; 0: not fixed (xsave) */
	bool untold;	/* KVM reports no store of its */
	uint32_t count; /* elements of a string among them, else 1 */
	uint8_t align;	/* the address loses its lower bits to this power of two, 0 or 1: none */
	bool rep;
	bool addr32; /* 67 prefix */
	uint8_t length;
	uint8_t reg_size; /* of the register operand, 0 when there is none that matters */
	int8_t reg;	  /* GPR that is written to memory or exchanged with it; -1: none */
	bool reg_high;	  /* AH CH DH BH */
	bool has_imm;
	int64_t imm;
	bool has_mem;	    /* a ModRM or moffs operand; false: the stack or RDI */
	int8_t base, index; /* GPR or -1 */
	uint8_t scale;
	bool rip_relative;
	int8_t segment; /* 0 none, 1 fs, 2 gs */
	int64_t disp;
};

/* From d->insn (rf_disasm_one() came before). 0, -ENOENT: it does not write memory, or not
 * decodably. */
int rf_store_insn_decode(const struct rf_disasm *d, struct rf_store_insn *out);

/*
 * The stores that Capstone does not know, from their bytes: movdiri, movdir64b, enqcmd, enqcmds,
 * wrss, wruss, clzero. *name is the mnemonic. 0, or -ENOENT: none of these.
 */
int rf_store_raw_decode(const uint8_t *code, size_t len, struct rf_store_insn *out,
			const char **name);

/* Value of a general register operand, zero-extended. */
uint64_t rf_store_reg(const struct rf_regs *regs, int8_t reg, uint8_t size, bool high);

/* Bytes an instruction pushes, counters it advanced: regs after -> regs before. Exchanges are not
 * undone here. */
void rf_store_undo_pointers(const struct rf_store_insn *insn, struct rf_regs *regs);

/* Linear address of the first byte written; regs are those before the instruction, which starts at
 * `at`. */
uint64_t rf_store_address(const struct rf_store_insn *insn, const struct rf_regs *regs,
			  uint64_t at);

#endif
