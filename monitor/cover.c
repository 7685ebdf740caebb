// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/cover.h"

#include <string.h>

enum need { NOTHING, LSTAR, MSRS, CR_WATCH, CR_TRAPS, CR_COMPARED, TRAP_SITES, COMPARED };

/*
 * For each kind the first row that applies, the better ones first. What KVM makes of each, by the
 * sources of 6.1 and 6.12:
 *
 * - lmsw loads PE (which it cannot clear), MP, EM and TS, clts clears TS (SDM vol. 2 LMSW, CLTS):
 * no bit that is pinned, and WP, PG and all of CR4 are out of their reach. They reach kvm_set_cr0()
 *   only when they exit: lmsw in vmx.c handle_cr() for bits that the host owns, in svm.c by the
 *   selective intercept for bits other than TS and MP; clts never, as the guest owns TS.
 * - mov cr0: vmx.c with EPT leaves WP and TS to the guest, so that a change of them is not seen
 * there; svm.c svm_set_cr0() keeps the selective intercept. mov cr4 exits always on SVM, on VMX for
 * the bits that the host owns. mov cr3 exits on neither with two-stage paging.
 * - lgdt, lidt, lldt, ltr: no intercept is set, but on VMX where an old host emulates UMIP
 *   (vmx.c vmx_set_cr4()).
 * - vmload: with virtual VMLOAD and VMSAVE (kvm_amd's parameter vls, on by default where the CPU
 * has them) svm.c init_vmcb_after_set_cpuid() clears the intercept whether or not the guest has
 * SVM, and svm_set_efer() keeps EFER.SVME set under it: STAR, LSTAR, CSTAR, SFMASK, SYSENTER_*, TR
 * and LDTR are loaded with no exit (APM vol. 2 15.33.1, vol. 3 VMLOAD).
 * - vmlaunch, vmresume: a nested guest's exit loads CR0, CR3, CR4, EFER and the table registers out
 * of what the guest wrote (vmx/nested.c load_vmcs12_host_state()).
 * - xsetbv always exits and is emulated in the kernel (kvm_emulate_xsetbv()): no pin holds XCR0.
 */
static const struct row {
	enum rf_gadget_kind kind;
	bool intended, unintended;
	enum need need;
	struct rf_cover cover;
} rows[] = {
	{ RF_GADGET_MOV_CR0,
	  true,
	  true,
	  CR_WATCH,
	  { "undone", "control-register watch; not on VMX" } },
	{ RF_GADGET_MOV_CR4, true, true, CR_WATCH, { "undone", "control-register watch" } },
	{ RF_GADGET_MOV_CR0, true, false, CR_TRAPS, { "blocked", "trap site" } },
	{ RF_GADGET_MOV_CR4, true, false, CR_TRAPS, { "blocked", "trap site" } },
	{ RF_GADGET_MOV_CR0,
	  true,
	  true,
	  CR_COMPARED,
	  { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_MOV_CR4,
	  true,
	  true,
	  CR_COMPARED,
	  { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_MOV_CR8, true, true, NOTHING, { "harmless", "interrupt priority only" } },
	{ RF_GADGET_LMSW, true, true, NOTHING, { "harmless", "reaches no pinned bit" } },
	{ RF_GADGET_CLTS, true, true, NOTHING, { "harmless", "reaches no pinned bit" } },
	{ RF_GADGET_WRMSR, true, true, MSRS, { "blocked", "MSR filter, for pinned MSRs" } },
	{ RF_GADGET_WRMSR, true, true, LSTAR, { "blocked", "MSR filter, for LSTAR alone" } },
	{ RF_GADGET_LGDT, true, false, TRAP_SITES, { "blocked", "trap site" } },
	{ RF_GADGET_LIDT, true, false, TRAP_SITES, { "blocked", "trap site" } },
	{ RF_GADGET_LLDT, true, false, TRAP_SITES, { "blocked", "trap site" } },
	{ RF_GADGET_LTR, true, false, TRAP_SITES, { "blocked", "trap site" } },
	{ RF_GADGET_LGDT, true, true, COMPARED, { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_LIDT, true, true, COMPARED, { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_LLDT, true, true, COMPARED, { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_LTR, true, true, COMPARED, { "detected", "compared on exits and a timer" } },
	{ RF_GADGET_MOV_CR3,
	  true,
	  true,
	  NOTHING,
	  { "not covered", "page tables are not watched" } },
	{ RF_GADGET_MOV_DR, true, true, NOTHING, { "not covered", "debug registers are free" } },
	{ RF_GADGET_XSETBV, true, true, NOTHING, { "not covered", "XCR0 is free" } },
	{ RF_GADGET_XRSTORS, true, true, NOTHING, { "not covered", "as far as IA32_XSS goes" } },
	{ RF_GADGET_WRSS, true, true, NOTHING, { "not covered", "shadow stacks are not watched" } },
	{ RF_GADGET_VMX, true, true, NOTHING, { "not covered", "if the guest has VMX" } },
	{ RF_GADGET_SVM,
	  true,
	  true,
	  NOTHING,
	  { "not covered", "if the guest has SVM, or kvm_amd vls" } },
};

static bool is_met(const struct rf_in_force *f, enum need need)
{
	switch (need) {
	case NOTHING:
		return true;
	case LSTAR:
		return f->lstar;
	case MSRS:
		return f->lstar && f->msrs;
	case CR_WATCH:
		return f->cr_watch;
	case CR_TRAPS:
		return f->cr_trap_sites;
	case CR_COMPARED:
		return f->cr_compared;
	case TRAP_SITES:
		return f->trap_sites;
	case COMPARED:
		return f->compared;
	}
	return false;
}

struct rf_cover rf_cover_of(const struct rf_in_force *f, enum rf_gadget_kind kind, bool intended)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rf_cover c = rows[i].cover;

		if (rows[i].kind != kind || !(intended ? rows[i].intended : rows[i].unintended) ||
		    !is_met(f, rows[i].need))
			continue;
		if (f->observing && (!strcmp(c.word, "blocked") || !strcmp(c.word, "undone")))
			c.word = "detected";
		return c;
	}
	return (struct rf_cover){ "not covered", "nothing is in force against it" };
}
