// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs that lead into the kernel or take away what protects it. Interrupts are off while one is
 * wrong, so that nothing uses it: no system call is made on this processor meanwhile. None of the
 * values here would end the kernel if it stayed.
 */
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <linux/irqflags.h>

#include "compat.h"
#include "poke.h"
#include "registers.h"

static void judge(struct rf_report *r, u64 before, u64 after, u64 value, bool faulted)
{
	bool set = after == value;

	rf_say(r, "rdmsr=%s", set ? "set" : after == before ? "kept" : "CHANGED");
	r->outcome = set ? RF_LANDED : faulted ? RF_FAULTED : RF_UNCHANGED;
}

static void aim(struct rf_report *r, const char *name, u64 value)
{
	r->symbol = name;
	r->at = (u8 *)value; /* what it is to be set to is what the record names */
	r->len = sizeof(value);
}

/* The bits of `mask` are to become those of `value`. */
static void attempt(struct rf_report *r, const char *name, u32 index, u64 value, u64 mask)
{
	unsigned long faulted, flags;
	u64 before, after;

	local_irq_save(flags);
	before = rf_get_msr(index);
	value = (before & ~mask) | (value & mask);
	faulted = rf_set_msr(index, value);
	after = rf_get_msr(index);
	if (after != before)
		rf_set_msr(index, before);
	local_irq_restore(flags);
	aim(r, name, value);
	/* It was that before: then nothing would be shown. */
	if (value == before)
		return rf_skip(r, "it already has that value");
	judge(r, before, after, value, faulted);
}

void attack_lstar_after_seal(struct rf_report *r)
{
	/* Every system call enters the kernel there. */
	attempt(r, "MSR_LSTAR", MSR_LSTAR, (unsigned long)rf_forged, ~0ull);
}

void attack_msr_cstar(struct rf_report *r)
{
	/* The same for 32-bit code. */
	attempt(r, "MSR_CSTAR", MSR_CSTAR, (unsigned long)rf_forged, ~0ull);
}

void attack_msr_star(struct rf_report *r)
{
	/* SYSRET's selectors: with the kernel's there, user mode would be entered with its
	 * segments. */
	attempt(r, "MSR_STAR", MSR_STAR, (u64)__KERNEL_CS << 48, 0xffffull << 48);
}

void attack_msr_sfmask(struct rf_report *r)
{
	/* AC is no longer cleared by a system call: user mode takes SMAP away. */
	attempt(r, "MSR_SFMASK", MSR_SYSCALL_MASK, 0, X86_EFLAGS_AC);
}

void attack_msr_sysenter(struct rf_report *r)
{
	/*
	 * For an AMD guest KVM keeps the lower half only (svm_set_msr() in arch/x86/kvm/svm/svm.c),
	 * and SYSENTER is for compatibility mode there.
	 */
	u64 hook = (unsigned long)rf_forged;
	u64 keeps = rf_get_msr(MSR_IA32_SYSENTER_EIP) >> 32 ? ~0ull : U32_MAX;

	attempt(r, "MSR_SYSENTER_EIP", MSR_IA32_SYSENTER_EIP, hook, keeps);
}

void attack_msr_misc(struct rf_report *r)
{
	/* XD disable: on a real processor no page is without execution then; KVM keeps the bit. */
	attempt(r, "MSR_MISC_ENABLE", MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE_XD_DISABLE,
		MSR_IA32_MISC_ENABLE_XD_DISABLE);
}

void attack_pat_change(struct rf_report *r)
{
	/*
	 * Entry 5, write-protect, becomes write-back (6): hardly anything is mapped with it
	 * (init_cache_modes() in arch/x86/mm/pat/memtype.c).
	 */
	attempt(r, "MSR_PAT", MSR_IA32_CR_PAT, 6ull << 40, 7ull << 40);
}

/*
 * Without NXE bit 63 of a page table entry is reserved, so the next access to the stack, or to
 * anything but code, would fault for ever. Between the two writes there is none: all is in
 * registers, and what is fetched is executable.
 */
void attack_efer_nxe(struct rf_report *r)
{
	u64 before, value, after;
	unsigned long flags, faulted = 1;
	u32 low, high;

	local_irq_save(flags);
	before = rf_get_msr(MSR_EFER);
	value = before & ~(u64)EFER_NX;
	low = value;
	high = value >> 32;
	asm volatile("1:	wrmsr\n"
		     "	xorl %k[f], %k[f]\n"
		     "	rdmsr\n"
		     "	movl %%eax, %%r8d\n"
		     "	movl %k[b], %%eax\n"
		     "	wrmsr\n"
		     "	movl %%r8d, %%eax\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : [f] "+r"(faulted), "+a"(low), "+d"(high)
		     : "c"(MSR_EFER), [b] "r"((u32)before)
		     : "r8", "memory", "cc");
	after = faulted ? rf_get_msr(MSR_EFER) : (u64)high << 32 | low;
	local_irq_restore(flags);
	aim(r, "MSR_EFER", value);
	if (value == before)
		return rf_skip(r, "NXE is not set");
	judge(r, before, after, value, faulted);
	if (rf_get_msr(MSR_EFER) != before)
		rf_kept(r, "efer", false);
}

/*
 * The host writes the guest's clock where this MSR says (struct pvclock_vcpu_time_info,
 * Documentation/virt/kvm/x86/msr.rst), before it goes on running it.
 */
void attack_kvmclock_rodata(struct rf_report *r)
{
	const u32 index = 0x4b564d01, features = 0x40000001, clocksource2 = 1u << 3, length = 32;
	u8 *page = rf_quiet_page(r);
	unsigned long faulted, flags;
	u64 before, value;

	if (!page)
		return;
	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR) || cpuid_ebx(0x40000000) != 0x4b4d564b ||
	    !(cpuid_eax(features) & clocksource2))
		return rf_skip(r, "no clock of KVM's");
	if (!rf_aim_at(r, "__start_BTF", page, length))
		return;
	value = PFN_PHYS(page_to_pfn(rf_page(page))) | 1;
	local_irq_save(flags);
	before = rf_get_msr(index);
	faulted = rf_set_msr(index, value);
	/* Leaves the guest once more: the clock is written on the way in. */
	if (!faulted)
		rf_get_msr(index);
	rf_say(r, "rdmsr=%s", rf_get_msr(index) == before ? "kept" : "set");
	if (!faulted)
		rf_set_msr(index, before);
	local_irq_restore(flags);
	rf_judge(r, faulted);
	if (rf_get_msr(index) != before)
		rf_kept(r, "clock", false);
	aim(r, "MSR_KVM_SYSTEM_TIME_NEW", value);
}
