// SPDX-License-Identifier: LGPL-2.1-or-later
/* Verdicts on what x86 alone asks. */
#include "hv/board.h"
#include "hv/life.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/decode.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"

static void count(bool allowed)
{
	rf_count(allowed ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
}

/* What no policy that enforces lets, whatever the monitor says. */
static void only_observed(bool allowed)
{
	if (allowed && !rf_life_allowed()->observe)
		rf_fatal("the monitor lets a change that the policy does not");
}

/* Where a value may be another one, the monitor is asked which. */
static bool may_differ(uint32_t index)
{
	struct rf_pinned pin;

	return rf_msr_pinned(index, &pin) && pin.how == RF_PIN_ASK;
}

/* The exit waits in wait.saved: run->msr.error is what KVM reads next. */
static enum rf_next answer_msr(struct rf_vcpu *v, bool allowed)
{
	const struct rf_msg_event *ev = &v->wait.event;

	rf_exit_restore(v, &v->wait.saved);
	count(allowed);
	if (allowed)
		return rf_msr_let(v, ev->msr.index, ev->msr.value);
	v->run->msr.error = 1; /* #GP */
	return RF_AGAIN;
}

int rf_arch_answer_entry(struct rf_vcpu *v, bool allowed)
{
	answer_msr(v, allowed);
	/* A kernel is known by its entry: the CPU must have it. msr.error gives the guest #GP. */
	return allowed && v->run->msr.error ? -EIO : 0;
}

#define DB 1
#define STUCK 4 /* looks */

/*
 * A kick may have kept an interrupt from being delivered, and KVM would lose it to a fault of ours:
 * svm.c svm_complete_interrupts() and its like empty all queues. A double fault takes along what
 * led to it, and any fault the #DB of its own instruction, which has not been stepped over then.
 */
static int fault(struct rf_vcpu *v)
{
	uint32_t vector = v->wait.verdict.vector == 8 ? RF_NO_VECTOR : rf_cpu_delivers(v);

	return vector != RF_NO_VECTOR && vector != DB ? RF_NOT_NOW
						      : rf_arch_fault(v, &v->wait.verdict);
}

/* The bits are set again already. */
static int enforce_cr(struct rf_vcpu *v, bool allowed)
{
	const struct rf_msg_event *ev = &v->wait.event;

	only_observed(allowed);
	count(allowed);
	if (allowed)
		return rf_cr_let(v, ev->cr.cr0_bits, ev->cr.cr4_bits);
	v->arch->kept.cr_missing = 0; /* let, it is told of once; denied, it is watched on */
	return v->wait.verdict.vector ? fault(v) : 0;
}

enum rf_next rf_arch_enforce(struct rf_vcpu *v, int *err)
{
	enum rf_verdict verdict = v->wait.verdict.verdict;
	bool allowed = verdict == RF_VERDICT_ALLOW;

	switch (v->wait.event.kind) {
	case RF_EVENT_MSR:
		only_observed(allowed && !may_differ(v->wait.event.msr.index));
		return answer_msr(v, allowed);
	case RF_EVENT_CR:
		*err = enforce_cr(v, allowed);
		break;
	case RF_EVENT_TRAP:
		only_observed(allowed && v->wait.event.trap.kind == RF_TRAP_POKE);
		if (verdict != RF_VERDICT_SETTLE) /* that is counted */
			count(allowed);
		/* The VMM's own memory has the instruction, and runs it. */
		if (allowed && v->wait.event.trap.kind == RF_TRAP_KEXEC)
			return RF_RESET;
		*err = rf_trap_enforce(v, allowed || verdict == RF_VERDICT_SETTLE);
		break;
	case RF_EVENT_TABLES:
		count(allowed);
		*err = rf_tables_enforce(v, allowed);
		break;
	case RF_EVENT_MSR_FOUND:
		only_observed(allowed);
		count(allowed);
		if (allowed)
			break;
		*err = rf_cpu_set_msr(v, v->wait.event.msr.index, v->wait.event.msr.pinned);
		v->arch->kept.msrs_told = 0;
		break;
	case RF_EVENT_STALLED:
		if (allowed)
			break;
		count(false);
		/* What waits at look after look cannot be delivered, and goes with the store. */
		if (verdict != RF_VERDICT_NOT_OURS)
			*err = v->arch->kept.looks < STUCK ? fault(v)
							   : rf_arch_fault(v, &v->wait.verdict);
		/* Should it come back to this place, then to the same end. */
		if (!*err)
			rf_tables_moved(v);
		/* No stack can be written to, a double fault's neither: what a CPU does then. */
		if (verdict == RF_VERDICT_NOT_OURS) {
			v->run->exit_reason = KVM_EXIT_SHUTDOWN;
			return RF_TO_VMM;
		}
		break;
	case RF_EVENT_DELIVERY:
		if (verdict == RF_VERDICT_NOT_OURS) {
			rf_count(RF_COUNT_NOT_OURS);
			break;
		}
		count(allowed);
		v->wait.saved.reason = 0;
		if (!allowed)
			*err = rf_arch_fault(v, &v->wait.verdict);
		break;
	default:
		*err = -EBADMSG;
	}
	return RF_AGAIN;
}
