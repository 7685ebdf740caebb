/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions of the guest, for two jobs: showing one to a person, and finding the store that left
 * the guest. Capstone is a reader here, never the only ground of a verdict: the candidates it
 * offers are checked against the address, size and bytes that the hardware reported.
 */
#ifndef RF_INTROSPECTION_DISASM_H
#define RF_INTROSPECTION_DISASM_H

#include "introspection/x86/pagetable.h"

struct rf_kernel;

struct rf_disasm; /* a Capstone handle and its scratch; create once, before the sandbox closes */
int rf_disasm_create(struct rf_disasm **out);
void rf_disasm_destroy(struct rf_disasm *d);

/* "mov qword ptr [rdi], rsi" of the first instruction in code[0..len), "(bad)" when it has none. */
void rf_disasm_text(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr, char *text,
		    size_t text_size);

/* Bytes of the first instruction in code[0..len), 0 when Capstone knows none there. */
size_t rf_disasm_length(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr);

/* General registers in the order of the instruction encoding: rax rcx rdx rbx rsp rbp rsi rdi
 * r8..r15. */
struct rf_regs {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint64_t fs_base, gs_base;
};

/* seen.gpa when only the instruction is known: an emulation failure reports no address. (No kernel
 * lies at 0.) */
#define RF_STORE_GPA_UNKNOWN UINT64_C(0)

/* A store as the hypervisor saw it. */
struct rf_store_seen {
	struct rf_regs regs; /* after the store was emulated; see rip_after */
	rf_gpa gpa;   /* of the first byte that reached a sealed range, or RF_STORE_GPA_UNKNOWN */
	uint32_t len; /* bytes that reached it, 0 when not known (emulation failed) */
	const uint8_t *bytes; /* len of them, what would have been written */
	/*
	 * true: a write exit. RIP is past the instruction (REP: on it, counters of this element
	 * already advanced; CALL: at its target). false: nothing was executed, RIP and registers
	 * are those before.
	 */
	bool rip_after;
};

/* What the instruction was and what must be restored so that it never seems to have run. */
struct rf_store {
	rf_gva rip; /* of the instruction itself */
	uint8_t insn[15];
	uint8_t insn_len;
	rf_gva target;	/* linear address of the first byte that is not writable: CR2 */
	rf_gpa gpa;	/* of target */
	rf_gva operand; /* linear address of the operand's first byte: <= target */
	uint32_t size;	/* bytes the instruction writes at once; 0: depends on state (xsave) */
	bool untold;	/* KVM does not report it to user space, where it cannot do it either */
	struct rf_regs
		before; /* registers as they were before the store, as far as they can be known */
	/*
	 * true: before is exact but for the arithmetic flags, which are never restored (what they
	 * were is lost with a locked or, and no #PF handler looks at them). false: best knowledge:
	 * the old value of a register is lost (RAX of a failed cmpxchg, the upper half of a 32-bit
	 * xchg/xadd register), or two instructions fit equally well.
	 */
	bool exact;
	char text[96]; /* disassembly */
};

/*
 * Finds the instruction behind a store: candidates end at RIP (or start there), write memory, their
 * operand translates to exactly `gpa` with exactly that size, and registers that hold what was
 * stored agree with `bytes`. The report may be a later part of the store: the sealed half of one
 * that crosses a page, or a later 8-byte piece (KVM splits there); bytes may be several pieces
 * merged. Ties are broken by decoding forward from the start of the symbol that holds RIP, without
 * one by a vote of nearby streams, then by length. Undoes what emulation did to registers: REP
 * counters and pointers, xchg/xadd/cmpxchg results, push/call stack pointers. With an unknown gpa,
 * target is the operand's first byte: the caller that knows the sealed ranges moves it on when only
 * a later page is sealed. Not found: xmm-indexed scatters, far calls that were reported, stores of
 * instructions that neither Capstone nor store_raw.c knows, code outside 64-bit mode. k may be NULL
 * (no symbols). 0, -ENOENT (no candidate fits: the caller falls back and says so), -EINVAL, or a
 * read error of the code at RIP.
 */
int rf_store_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		  const struct rf_paging *p, const struct rf_store_seen *seen,
		  struct rf_store *out);

#endif
