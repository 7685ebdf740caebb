/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The attacks of the guest module: each writes to memory that a running kernel never writes, in its own way.
 *
 * To add one: a file attack_<something>.c with a function `void attack_<name>(struct rf_report *r)`, and one line
 * RF(<name>) in the table below. The function
 *   1. picks a target whose change hurts nobody, with rf_aim() or rf_aim_banner(); these return false, with the
 *      report filled in, when the kernel has no such target;
 *   2. makes its store between rf_guard_begin() and rf_guard_end(), by inline assembly in the form of RF_STORE, so
 *      that a fault at exactly that instruction is survived;
 *   3. says with rf_kept() whether the registers of a refused store are what they were before it;
 *   4. calls rf_judge(), which reads the target back through a mapping of its own and undoes what landed.
 * One that has the kernel's own patchers do the writing does steps 2 to 4 as poke.h says; registers
 * are registers.h's matter.
 * Without protection it must land: a store that fails on a plain kernel proves nothing.
 */
#ifndef RF_ATTACKS_H
#define RF_ATTACKS_H

#include <asm/asm.h>
#include <linux/mm.h>
#include <linux/types.h>

/* In this order. The last one leaves so many sites half way that for a minute others are counted, not named. */
#define RF_ATTACKS(RF)		\
	RF(syscall_table)	\
	RF(direct_map)		\
	RF(vmap_alias)		\
	RF(commit_creds)	\
	RF(ro_after_init)	\
	RF(rep_movsb)		\
	RF(rep_movsq)		\
	RF(sse_16)		\
	RF(avx_32)		\
	RF(lock_xadd)		\
	RF(lock_cmpxchg)	\
	RF(xchg)		\
	RF(cmpxchg16b)		\
	RF(cross_out)		\
	RF(cross_in)		\
	RF(user_alias)		\
	RF(dma_read)		\
	RF(dma_twice)		\
	RF(asleep)		\
	RF(forged_non_site)	\
	RF(forged_poke_bp)	\
	RF(forged_copy)		\
	RF(forged_thunk)	\
	RF(forged_insn)		\
	RF(forged_ftrace_insn)	\
	RF(forged_jump_target)	\
	RF(forged_call_target)	\
	RF(forged_tramp_target)	\
	RF(forged_ftrace_target) \
	RF(forged_entry)	\
	RF(altered_entry)	\
	RF(forged_static_key)	\
	RF(moved_static_key)	\
	RF(tail_without_int3)	\
	RF(patch_denied_lives)	\
	RF(lsm_key_off)		\
	RF(lsm_call_moved)	\
	RF(race)		\
	RF(lstar_after_seal)	\
	RF(msr_cstar)		\
	RF(msr_star)		\
	RF(msr_sfmask)		\
	RF(msr_sysenter)	\
	RF(msr_misc)		\
	RF(efer_nxe)		\
	RF(pat_change)		\
	RF(kvmclock_rodata)	\
	RF(msr_vmload)		\
	RF(msr_vmrun)		\
	RF(cr4_vmrun)		\
	RF(cr0_wp)		\
	RF(cr4_smep)		\
	RF(cr4_smap)		\
	RF(cr4_umip)		\
	RF(cr4_rop)		\
	RF(cr4_ap)		\
	RF(cr4_latency)		\
	RF(idt_gate)		\
	RF(idt_lidt)		\
	RF(idt_lidt_own)	\
	RF(gdt_callgate)	\
	RF(int3_left)		\
	RF(int3_recorded)	\
	RF(int3_kept)		\
	RF(restore_starved)	\
	RF(probe_over_trap)	\
	RF(sgdt_sealed)		\
	RF(hook_ftrace)		\
	RF(hook_fprobe)		\
	RF(hook_kprobe)		\
	RF(hook_kretprobe)	\
	RF(hook_tracepoint)	\
	RF(hook_static_call)	\
	RF(forged_ops)		\
	RF(unlisted_ops)	\
	RF(forged_kprobe)	\
	RF(forged_kprobe_nobody) \
	RF(forged_kprobe_stray)	\
	RF(forged_kprobe_inside)	\
	RF(race_crowded)

/*
 * Not among "all", as they want a machine or a guest of their own: a PC, a processor that sleeps, a VMM that saves the
 * guest meanwhile; or they end the guest where they are refused, or stay for what comes afterwards.
 */
#define RF_ATTACKS_ALONE(RF)	\
	RF(lstar_zero_vmport)	\
	RF(log_flood)		\
	RF(lstar_zero_l2)	\
	RF(stack_in_sealed)	\
	RF(s3_forged_state)	\
	RF(dma_then_migrate)	\
	RF(restore_lstar_zero)	\
	RF(fake_kallsyms)	\
	RF(own_bytes_restart)	\
	RF(endless_direct_functions) \
	RF(endless_modules)	\
	RF(power_off_hook)

/* Longest target, in bytes: a disk sector. */
#define RF_LONGEST 512

enum rf_outcome {
	RF_NONE,
	RF_LANDED,	/* the target changed */
	RF_FAULTED,	/* the target is as before, the store raised a fault */
	RF_UNCHANGED,	/* the target is as before, and nobody told us */
	RF_RESTORED,	/* the target changed, and somebody has put it back since */
	RF_SKIPPED,	/* this kernel or machine lacks what the attack needs */
};

struct rf_report {
	const char *name;
	enum rf_outcome outcome;
	const char *symbol;	/* the target is symbol+offset, len bytes */
	unsigned long offset;
	unsigned int len;
	u8 *at;			/* the target in the kernel's own mapping */
	u8 before[RF_LONGEST];
	char detail[300];
};

/* One or two frames mapped afresh and writable. */
struct rf_alias {
	void *map;
	u8 *at;			/* the target's first byte in it */
};

/*
 * RF_STORE(faulted, "instruction", outputs and inputs): faulted, 1 before, becomes 0 when the instruction completes.
 * A fault continues at label 2 with all registers as the fault left them. The operands must name [f] for faulted.
 */
#define RF_STORE(insn) "1:	" insn "\n	xorl %k[f], %k[f]\n2:\n" _ASM_EXTABLE(1b, 2b)

/* alias.c */
bool rf_aim(struct rf_report *r, const char *symbol, unsigned long offset, unsigned int len);
bool rf_aim_at(struct rf_report *r, const char *symbol, u8 *at, unsigned int len);
bool rf_aim_banner(struct rf_report *r, struct rf_alias *alias, unsigned int align, unsigned int len);
/* An address at a page's start, deep in the kernel's own type data: big, read-only, and read by nobody here. */
u8 *rf_quiet_page(struct rf_report *r);
struct page *rf_page(const void *at);
bool rf_alias_map(struct rf_report *r, struct rf_alias *alias);
void rf_alias_unmap(struct rf_alias *alias);
void rf_judge(struct rf_report *r, bool faulted);
void rf_skip(struct rf_report *r, const char *why);
__printf(2, 3) void rf_say(struct rf_report *r, const char *format, ...);
void rf_kept(struct rf_report *r, const char *what, bool kept);

/* guard.c: preemption is off in between */
void rf_guard_begin(void);
/* Whether the store had to be freed out of an endless fault. */
bool rf_guard_end(void);

/* main.c: seconds to wait for what is found by looking to be undone */
extern unsigned int rf_patience;
/*
 * Until the host says, on the console (tests/attacks/attacks.py TELLING), that something between at and at + len is on record,
 * what: with a detail that begins so, NULL: however. So it stays for as long as a slow machine takes to find it, 120 seconds at
 * most, and no longer; the report gets told=MILLISECONDS or told=never. Each record counts once, and none that was there before
 * the attack. Where the host says nothing it is so many seconds, or rf_patience if that is less.
 */
void rf_until_told(struct rf_report *r, const void *at, unsigned int len, const char *what, unsigned int seconds);
/* Has the report's line on the console before the attack, which may end the guest: its result is "none". */
void rf_announce(void);

/* symbols.c: NULL when there is no such symbol */
void *rf_symbol(const char *name);

/* attack_user_alias.c: the parts that user space drives */
int rf_user_alias_mmap(struct vm_area_struct *vma);
void rf_user_alias_done(struct rf_report *r, const char *how);

#define RF(name) void attack_##name(struct rf_report *r);
RF_ATTACKS(RF)
RF_ATTACKS_ALONE(RF)
#undef RF

#endif
