// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the guest may run guests of its own, it can run itself as one: VMRUN with its own state,
 * but for what it wants changed (APM vol. 2 15.5). What a guest's guest has in its registers is its
 * own affair; here it is the same kernel, with the same memory.
 *
 * What such a guest gives LSTAR stays when it ends: neither VMRUN nor #VMEXIT switches it, only
 * VMLOAD does (nested_svm_vmexit() in arch/x86/kvm/svm/nested.c).
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
/* It uses what it does not include. */
#include <asm/svm.h>

#include "poke.h"
#include "registers.h"

struct world {
	struct vmcb *inside, *outside; /* a page each */
	void *host;		       /* where the processor keeps the host's state meanwhile */
	u64 efer;
};

/* What runs inside: r8 <- CR4; LSTAR <- rdx:r9 where r10 says so; back. Uses no stack. */
void rf_inside(void);
asm("	.pushsection .text\n"
    "rf_inside:\n"
    "	movq %cr4, %r8\n"
    "	testq %r10, %r10\n"
    "	jz 2f\n"
    "	movl $0xc0000082, %ecx\n"
    "	movl %r9d, %eax\n"
    "1:	wrmsr\n"
    "2:	vmmcall\n"
    "	int3\n" _ASM_EXTABLE(1b, 2b) "	.popsection\n");

static bool world_begin(struct rf_report *r, struct world *w)
{
	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		rf_skip(r, "this guest may run no guests");
		return false;
	}
	w->inside = (void *)get_zeroed_page(GFP_KERNEL);
	w->outside = (void *)get_zeroed_page(GFP_KERNEL);
	w->host = (void *)get_zeroed_page(GFP_KERNEL);
	if (w->inside && w->outside && w->host)
		return true;
	rf_skip(r, "no memory");
	return false;
}

static void world_end(struct world *w)
{
	free_page((unsigned long)w->inside);
	free_page((unsigned long)w->outside);
	free_page((unsigned long)w->host);
}

static bool on(struct world *w)
{
	w->efer = rf_get_msr(MSR_EFER);
	return !rf_set_msr(MSR_EFER, w->efer | EFER_SVME) &&
	       !rf_set_msr(MSR_VM_HSAVE_PA, virt_to_phys(w->host));
}

static void off(struct world *w)
{
	rf_set_msr(MSR_EFER, w->efer);
}

static void vmload(struct vmcb *block)
{
	asm volatile("vmload" : : "a"(virt_to_phys(block)) : "memory");
}

static void prepare(struct world *w, unsigned long cr4)
{
	struct vmcb_save_area *s = &w->inside->save;
	struct vmcb_control_area *c = &w->inside->control;
	struct desc_ptr table;

	asm volatile("vmsave" : : "a"(virt_to_phys(w->outside)) : "memory");
	memcpy(w->inside, w->outside, PAGE_SIZE);
	c->intercepts[INTERCEPT_VMRUN / 32] |=
		BIT(INTERCEPT_VMRUN % 32) | BIT(INTERCEPT_VMMCALL % 32);
	c->asid = 1;
	/* 64-bit code, data: APM vol. 2 4.8, as the control block packs it. */
	s->cs = (struct vmcb_seg){ __KERNEL_CS, 0xa9b, U32_MAX, 0 };
	s->ss = s->ds = s->es = (struct vmcb_seg){ __KERNEL_DS, 0xc93, U32_MAX, 0 };
	asm volatile("sgdt %0" : "=m"(table));
	s->gdtr.base = table.address;
	s->gdtr.limit = table.size;
	asm volatile("sidt %0" : "=m"(table));
	s->idtr.base = table.address;
	s->idtr.limit = table.size;
	s->efer = w->efer | EFER_SVME;
	s->cr0 = rf_get_cr0();
	asm volatile("mov %%cr3, %0" : "=r"(s->cr3));
	s->cr4 = cr4;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->rflags = 2;
	s->g_pat = rf_get_msr(MSR_IA32_CR_PAT);
	s->rip = (unsigned long)rf_inside;
}

/* CR4 as it was inside; 0 when it did not come to that. Leaves FS, GS and TR as they were inside:
 * the same. */
static unsigned long enter(struct world *w, bool sets, u64 lstar)
{
	register unsigned long cr4 asm("r8") = 0;
	register unsigned long low asm("r9") = (u32)lstar;
	register unsigned long set asm("r10") = sets;
	unsigned long a = virt_to_phys(w->inside), d = lstar >> 32;

	/* For a fault only: the kernel's own handler takes it, below what is in use here. */
	w->inside->save.rsp = ALIGN_DOWN(current_stack_pointer - 256, 16);
	asm volatile("clgi\n"
		     "	vmrun\n"
		     "	stgi\n"
		     : "+a"(a), "+r"(cr4), "+d"(d), "+r"(low), "+r"(set)
		     :
		     : "rcx", "memory", "cc");
	return w->inside->control.exit_code == SVM_EXIT_VMMCALL ? cr4 : 0;
}

void attack_cr4_vmrun(struct rf_report *r)
{
	unsigned long flags, before, inside = 0;
	struct world w;

	if (!world_begin(r, &w))
		return;
	before = rf_get_cr4();
	local_irq_save(flags);
	if (on(&w)) {
		prepare(&w, before & ~X86_CR4_SMEP);
		inside = enter(&w, false, 0);
	}
	off(&w);
	local_irq_restore(flags);
	r->symbol = "CR4.SMEP";
	r->at = (u8 *)(before & ~X86_CR4_SMEP);
	r->len = sizeof(before);
	if (!(before & X86_CR4_SMEP))
		rf_skip(r, "no SMEP");
	else
		r->outcome = !inside		     ? RF_FAULTED
			     : inside & X86_CR4_SMEP ? RF_UNCHANGED
						     : RF_LANDED;
	rf_say(r, "exit=0x%llx", (u64)w.inside->control.exit_code);
	if (rf_get_cr4() != before)
		rf_kept(r, "cr4", false);
	world_end(&w);
}

void attack_msr_vmrun(struct rf_report *r)
{
	u64 before, hook = rf_entry_begin();
	unsigned long flags, inside = 0;
	struct world w;

	if (!world_begin(r, &w))
		return;
	migrate_disable();
	local_irq_save(flags);
	before = rf_get_msr(MSR_LSTAR);
	if (on(&w)) {
		prepare(&w, rf_get_cr4());
		inside = enter(&w, true, hook);
	}
	off(&w);
	r->outcome = rf_get_msr(MSR_LSTAR) == hook ? RF_LANDED : inside ? RF_UNCHANGED : RF_FAULTED;
	local_irq_restore(flags);
	rf_entry_wait(r);
	local_irq_save(flags);
	if (rf_get_msr(MSR_LSTAR) != before && on(&w)) {
		vmload(w.outside);
		off(&w);
	}
	local_irq_restore(flags);
	rf_kept(r, "lstar", rf_get_msr(MSR_LSTAR) == before);
	migrate_enable();
	world_end(&w);
}

static unsigned long set_inside(void *world, u64 value)
{
	struct world *w = world;
	unsigned long inside = 0;

	if (on(w)) {
		prepare(w, rf_get_cr4());
		inside = enter(w, true, value);
	}
	off(w);
	return !inside;
}

void attack_lstar_zero_l2(struct rf_report *r)
{
	struct world w;

	if (!world_begin(r, &w))
		return;
	rf_lstar_zero(r, set_inside, &w);
	world_end(&w);
}
