/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control registers, MSRs and descriptor tables in an attacker's hands. A refused write is survived
 * where it is one of these functions' own; one by the kernel's code is made through rf_step().
 */
#ifndef RF_REGISTERS_H
#define RF_REGISTERS_H

#include <linux/types.h>

#include "attacks.h"

/* 0, or 1 when the write faulted. */
unsigned long rf_set_msr(u32 index, u64 value);
u64 rf_get_msr(u32 index);
unsigned long rf_set_cr0(unsigned long value);
unsigned long rf_get_cr0(void);
/* Also what CR4 held in the very next instruction; *seen stays when the write faults. */
unsigned long rf_set_cr4(unsigned long value, unsigned long *seen);
unsigned long rf_get_cr4(void);

/*
 * One instruction of the kernel's own text, executed with `operand` in each register that a caller
 * may lose, and nothing behind it: the processor single-steps, and the #DB handler takes control
 * back. What the kernel does after the instruction, such as to look whether it was right, never
 * comes.
 */
struct rf_step {
	u8 *at;
	unsigned int len;
	unsigned long operand;
	bool ran;	   /* it was executed, out: */
	bool refused;	   /* it raised #GP */
	unsigned long cr4; /* right after either */
};

/* Once for all steps: a notifier's end waits for all processors, and would let another task run. */
int rf_steps_init(void);
void rf_steps_exit(void);

/* Interrupts must be off. False when the kernel went on instead of coming back. */
bool rf_step(struct rf_step *s);
/*
 * Finds the instruction (len bytes) within a function. Its place in the image is known to an
 * attacker even when its bytes have since been replaced by an out to a port and nops, so that is
 * taken for it too.
 */
u8 *rf_find_insn(const char *function, const u8 *insn, unsigned int len);

/* Counts how often control came through a gate that leads to rf_gate_*; asm in registers.c. */
extern unsigned int rf_gate_count;
void rf_gate_interrupt(void); /* ends in iretq */
/*
 * Goes on at r10 with the stack at r11. lretq would do, but QEMU's emulator cuts RSP to 32 bits on
 * the way through a call gate that changes no privilege (helper_lcall_protected() of 7.2).
 */
void rf_gate_call(void);

/*
 * Where LSTAR is pointed where that can only be found by looking: on the way to the kernel's own
 * entry, so that the guest goes on, and counting. The caller stays on one processor from
 * rf_entry_begin(), which gives the address, to the end of rf_entry_wait(), which waits until LSTAR
 * is another and says so in the report.
 */
u64 rf_entry_begin(void);
void rf_entry_wait(struct rf_report *r);

/* attack_vmload.c: LSTAR, by VMLOAD out of a page of the caller's; 0, or 1 when that faulted. */
unsigned long rf_vmload_lstar(void *block, u64 value);

/*
 * attack_lstar_zero.c: set() gives LSTAR a value with no write that anybody is told of; 0 when it
 * did. The target is an entry of the system call table.
 */
void rf_lstar_zero(struct rf_report *r, unsigned long (*set)(void *ctx, u64 value), void *ctx);

#endif
