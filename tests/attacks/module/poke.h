/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own text patchers in an attacker's hands, and the sites they are meant for.
 *
 * An attack aims (rf_aim(), or one of the rf_*_site()), calls rf_poke_begin(), one or more
 * patchers, and rf_poke_judge(). In between a refused store is survived, wherever in the patcher it
 * is.
 */
#ifndef RF_POKE_H
#define RF_POKE_H

#include <linux/cache.h> /* for __ro_after_init, in the next */
#include <asm/text-patching.h>
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/types.h>

#include "attacks.h"

#define RF_INSN 5 /* length of nop, jmp rel32, call rel32 */

/* Neither exported nor, in part, declared to modules: arch/x86/include/asm/text-patching.h */
struct rf_patchers {
	void *(*text_poke)(void *at, const void *insn, size_t len);
	void *(*text_poke_copy)(void *at, const void *insn, size_t len);
	void (*text_poke_bp)(void *at, const void *insn, size_t len, const void *emulate);
	void (*text_poke_sync)(void);
	void (*arch_jump_label_transform)(struct jump_entry *entry, enum jump_label_type type);
	void (*arch_static_call_transform)(void *site, void *tramp, void *func, bool tail);
	struct mutex *text_mutex;
	int *suppress_printk;
};
extern struct rf_patchers rf_patchers;

/* poke.c: false when this kernel lacks a patcher, with the report filled in. Ready alone: a fault
 * in a patcher is nobody's. */
bool rf_poke_ready(struct rf_report *r);
bool rf_poke_begin(struct rf_report *r);
/*
 * Forges the kernel's record of whether its patcher works, without which a first step is refused.
 * False: this kernel keeps it elsewhere.
 */
bool rf_poke_record(bool busy);
/* Take text_mutex and leave the caller's bytes alone; emulate as text_poke_bp() wants it. */
void rf_text_poke(void *at, const void *insn, size_t len);
void rf_text_poke_bp(void *at, const void *insn, size_t len, const void *emulate);
/*
 * Ends what rf_poke_begin() began and judges: landed when the target holds `forged` (r->len bytes),
 * or anything else that it did not hold before. A site whose first byte is int3 has not been
 * forged: that is where the protocol stops when its next step is refused, and what its tail is
 * cannot run. behaves (may be NULL) is called when `forged` stands, and tells whether the forged
 * behaviour is seen. The target is put back in any case.
 */
void rf_poke_judge(struct rf_report *r, const u8 *forged, bool site, bool (*behaves)(void));
/* Puts the target's old bytes back. */
void rf_poke_restore(struct rf_report *r);
/* Ends it without judging; the number of stores that were refused. */
unsigned int rf_poke_end(struct rf_report *r);

/* forged.c: what forged instructions lead to. Preserves all registers but the flags, and notes that
 * it ran. */
void rf_forged(void);
bool rf_forged_ran(void);
/* int_pow(2, 3), as the kernel's text has it now. */
u64 rf_power(void);
/* insn[RF_INSN] = a jmp (0xe9) or call (0xe8) from `at` to `target` */
void rf_branch(u8 *insn, u8 opcode, const void *at, const void *target);
extern const u8 rf_nop[RF_INSN];

/* sites.c: aim at a real site; false when this kernel has none, with the report filled in. */
struct rf_jump_site {
	struct jump_entry *entry;
	u8 jmp[RF_INSN]; /* its legal jmp; its nop is what it holds */
};
/* The 5-byte jump label in a function, of one that holds its nop. */
bool rf_jump_site(struct rf_report *r, const char *function, struct rf_jump_site *site);
/* The jump label of that key in a function, whatever it holds. */
bool rf_key_site(struct rf_report *r, const char *function, const struct static_key *key);
/* The nop that ftrace left at a function's start. */
bool rf_ftrace_site(struct rf_report *r, const char *function);
/*
 * Puts a probe that was never registered into the kernel's table, with `own` for the byte that was
 * there before; the memory is its own until it is taken out. False: this kernel has no such table.
 */
bool rf_forge_kprobe(struct kprobe *probe, u8 *at, u8 own, kprobe_pre_handler_t handler);
void rf_unforge_kprobe(struct kprobe *probe); /* takes it out again */
/* The same of the jump of an optimised one, to detour; own[RF_INSN]. */
bool rf_forge_probe(struct optimized_kprobe *probe, u8 *at, const u8 *own, void *detour);
void rf_unforge_probe(struct optimized_kprobe *probe);
/* A call site of a static call's key, not in tail position. */
bool rf_call_site(struct rf_report *r, const char *function, const char *key);

#endif
