// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An MSR write that was filtered and may be. KVM has left it to us, and takes what we set for the
 * host's own: then it makes less of it than of a guest's. What a guest's write does beside is done
 * here.
 */
#include "hv/vmx/msr.h"

#include "hv/vmx/cpu.h"
#include "hv/vmx/decode.h"

#define APICBASE 0x1bu
#define APIC_X2 (UINT64_C(1) << 10)
#define APIC_ON (UINT64_C(1) << 11)

/*
 * SDM vol. 3A figure 11-27: no way leads from x2APIC mode to xAPIC mode, nor from off to x2APIC.
 * arch/x86/kvm/lapic.c kvm_apic_set_base() asks that of guests alone.
 */
static bool apic_may(uint64_t from, uint64_t to)
{
	const uint64_t modes = APIC_X2 | APIC_ON;

	if ((to & modes) == APIC_X2)
		return false;
	if ((from & modes) == modes)
		return (to & modes) != APIC_ON;
	return (from & modes) || (to & modes) != modes;
}

/* APM vol. 2 14.6: LME is changed with paging off. x86.c set_efer() asks that of guests alone. */
static bool efer_may(struct rf_vcpu *v, uint64_t from, uint64_t to)
{
	struct kvm_sregs s;

	return !((from ^ to) & EFER_LME) ||
	       (!rf_kvm(v->fd, KVM_GET_SREGS, &s) && !(s.cr0 & CR0_PG));
}

/* The TLFS's, 11.8.1; Linux: include/hyperv/hvgdk_mini.h. */
#define HV_SCONTROL 0x40000080u
#define HV_SIEFP 0x40000082u
#define HV_SIMP 0x40000083u

/*
 * A VMM maps the guest's SynIC pages when KVM tells it of a guest's write (arch/x86/kvm/hyperv.c
 * synic_set_msr(): `if (!host) synic_exit()`; api.rst, KVM_EXIT_HYPERV).
 */
static enum rf_next tell_of_synic(struct rf_vcpu *v, uint32_t index)
{
	struct kvm_hyperv_exit e = { .type = KVM_EXIT_HYPERV_SYNIC };
	uint64_t control, events, messages;

	/* KVM reads the answer to the write out of the same union. */
	if (rf_cpu_complete(v) || rf_cpu_get_msr(v, HV_SCONTROL, &control) ||
	    rf_cpu_get_msr(v, HV_SIEFP, &events) || rf_cpu_get_msr(v, HV_SIMP, &messages))
		rf_fatal("a write to a SynIC register could not be completed");
	e.u.synic.msr = index;
	e.u.synic.control = control;
	e.u.synic.evt_page = events;
	e.u.synic.msg_page = messages;
	v->run->exit_reason = KVM_EXIT_HYPERV;
	v->run->hyperv = e;
	return RF_TO_VMM;
}

enum rf_next rf_msr_let(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	uint64_t old = 0;
	bool refused =
		(index == APICBASE || index == RF_MSR_EFER) && rf_cpu_get_msr(v, index, &old);

	if (index == APICBASE)
		refused |= !apic_may(old, value);
	else if (index == RF_MSR_EFER)
		refused |= !efer_may(v, old, value);
	/* KVM reads msr.error when it goes on: set, the guest gets #GP. The CPU itself refuses some
	 * values. */
	v->run->msr.error = refused || rf_cpu_set_msr(v, index, value);
	if (!v->run->msr.error && (index == HV_SIEFP || index == HV_SIMP))
		return tell_of_synic(v, index);
	return RF_AGAIN;
}
