// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bits of CR0 and CR4 that keep the kernel from writing its own constants and from running or
 * reading user memory. Each is put back at once.
 */
#include <asm/processor-flags.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/irqflags.h>
#include <linux/module.h>

#include "registers.h"

static unsigned int tries = 100000;
module_param(tries, uint, 0600);
MODULE_PARM_DESC(tries, "how often cr4_latency tries");

static void aim(struct rf_report *r, const char *name, unsigned long value)
{
	r->symbol = name;
	r->at = (u8 *)value;
	r->len = sizeof(value);
}

static void judge(struct rf_report *r, bool cleared, bool faulted)
{
	rf_say(r, "bit=%s", cleared ? "clear" : "kept");
	r->outcome = cleared ? RF_LANDED : faulted ? RF_FAULTED : RF_UNCHANGED;
}

/* Names are those of the records: register, dot, bit. */
static void clear_cr4(struct rf_report *r, const char *name, unsigned long bit)
{
	unsigned long flags, before, after, seen, faulted;

	local_irq_save(flags);
	before = seen = rf_get_cr4();
	if (!(before & bit)) {
		local_irq_restore(flags);
		return rf_skip(r, "this processor, or the kernel, does without");
	}
	faulted = rf_set_cr4(before & ~bit, &seen);
	after = rf_get_cr4();
	if (after != before) {
		unsigned long ignored = 0;

		rf_set_cr4(before, &ignored);
	}
	local_irq_restore(flags);
	aim(r, name, before & ~bit);
	judge(r, (seen & after & bit) == 0, faulted);
}

void attack_cr4_smep(struct rf_report *r)
{
	clear_cr4(r, "CR4.SMEP", X86_CR4_SMEP);
}

void attack_cr4_smap(struct rf_report *r)
{
	clear_cr4(r, "CR4.SMAP", X86_CR4_SMAP);
}

void attack_cr4_umip(struct rf_report *r)
{
	clear_cr4(r, "CR4.UMIP", X86_CR4_UMIP);
}

void attack_cr0_wp(struct rf_report *r)
{
	unsigned long flags, before, after, faulted;

	/* SDM vol. 3 2.5: while CET is on, the processor itself refuses it. */
	if (rf_get_cr4() & BIT(23))
		return rf_skip(r, "CET keeps WP");
	local_irq_save(flags);
	before = rf_get_cr0();
	faulted = rf_set_cr0(before & ~X86_CR0_WP);
	after = rf_get_cr0();
	if (after != before)
		rf_set_cr0(before);
	local_irq_restore(flags);
	aim(r, "CR0.WP", before & ~X86_CR0_WP);
	judge(r, !(after & X86_CR0_WP), faulted);
}

/*
 * native_write_cr4() writes first and then looks whether a pinned bit is missing
 * (arch/x86/kernel/cpu/common.c). Who jumps onto its mov and takes control back behind it has the
 * register written by the kernel, unseen by that look.
 */
void attack_cr4_rop(struct rf_report *r)
{
	static const u8 mov[] = { 0x0f, 0x22, 0xe7 }; /* mov %rdi, %cr4 */
	unsigned long flags, before, after, ignored = 0;
	struct rf_step s = { .len = sizeof(mov) };
	bool stepped;

	s.at = rf_find_insn("native_write_cr4", mov, sizeof(mov));
	if (!s.at)
		return rf_skip(r, "native_write_cr4() is built otherwise here");
	local_irq_save(flags);
	before = rf_get_cr4();
	s.operand = before & ~X86_CR4_SMEP;
	if (s.operand == before) {
		local_irq_restore(flags);
		return rf_skip(r, "no SMEP");
	}
	stepped = rf_step(&s);
	after = rf_get_cr4();
	if (after != before)
		rf_set_cr4(before, &ignored);
	local_irq_restore(flags);
	aim(r, "CR4.SMEP", s.operand);
	rf_say(r, "at=+0x%lx step=%s", (unsigned long)(s.at - (u8 *)rf_symbol("native_write_cr4")),
	       !stepped ? "LOST"
	       : s.ran	? "ran"
			: "refused");
	judge(r, !(s.cr4 & after & X86_CR4_SMEP), s.refused);
}

/* --- again and again ------------------------------------------------------ */

/* Ends at the first time it is seen clear. */
void attack_cr4_latency(struct rf_report *r)
{
	unsigned long flags, before, seen, ignored = 0;
	unsigned int done, faults = 0, clear = 0;

	before = rf_get_cr4();
	if (!(before & X86_CR4_SMEP))
		return rf_skip(r, "no SMEP");
	aim(r, "CR4.SMEP", before & ~X86_CR4_SMEP);
	for (done = 0; done < tries && !clear; done++) {
		local_irq_save(flags);
		before = seen = rf_get_cr4();
		faults += rf_set_cr4(before & ~X86_CR4_SMEP, &seen);
		clear += !(seen & X86_CR4_SMEP) || !(rf_get_cr4() & X86_CR4_SMEP);
		if (clear)
			rf_set_cr4(before, &ignored);
		local_irq_restore(flags);
		cond_resched();
	}
	rf_say(r, "tries=%u faults=%u clear=%u", done, faults, clear);
	judge(r, clear, faults == done);
}

/* --- while a processor comes up ------------------------------------------- */

static struct {
	unsigned long before, seen, after, faulted;
	bool ran;
} ap;

/* On the new processor, interrupts off, before it runs anything else (notify_cpu_starting()). */
static int starting(unsigned int cpu)
{
	unsigned long ignored = 0;

	ap.before = ap.seen = rf_get_cr4();
	ap.faulted = rf_set_cr4(ap.before & ~X86_CR4_SMEP, &ap.seen);
	ap.after = rf_get_cr4();
	if (ap.after != ap.before)
		rf_set_cr4(ap.before, &ignored);
	ap.ran = true;
	return 0;
}

void attack_cr4_ap(struct rf_report *r)
{
	/* A state that only Arm uses: those of this kind are not handed out. */
	const enum cpuhp_state state = CPUHP_AP_PERF_ARM_HW_BREAKPOINT_STARTING;
	int err;

	if (num_online_cpus() < 2)
		return rf_skip(r, "needs two processors");
	memset(&ap, 0, sizeof(ap));
	err = remove_cpu(1);
	if (err)
		return rf_skip(r, "the second processor cannot be stopped");
	err = cpuhp_setup_state_nocalls(state, "rf_attack:starting", starting, NULL);
	if (!err) {
		rf_say(r, "add=%d", add_cpu(1));
		cpuhp_remove_state_nocalls(state);
	} else {
		add_cpu(1);
	}
	if (err || !ap.ran)
		return rf_skip(r, "nothing ran on the starting processor");
	if (!(ap.before & X86_CR4_SMEP))
		return rf_skip(r, "no SMEP there yet");
	aim(r, "CR4.SMEP", ap.before & ~X86_CR4_SMEP);
	judge(r, !(ap.seen & ap.after & X86_CR4_SMEP), ap.faulted);
}
