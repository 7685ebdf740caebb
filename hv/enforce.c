/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event, posted; and its verdict, enforced. */
#include "hv/run.h"

#include <string.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"

void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind)
{
	struct rf_msg_event *ev = &v->wait.event;

	rf_msg_init(&ev->h, RF_MSG_EVENT, 0);
	ev->id = atomic_fetch_add(&rf_vm.next_event, 1);
	ev->kind = kind;
	ev->vcpu = v->id;
	if (kind == RF_EVENT_KERNEL) {
		rf_vm.boot = v;
		atomic_store(&rf_vm.kernel, ev->id);
	}
	if (rf_cpu_get_regs(v, &ev->regs))
		rf_fatal("a vCPU's registers could not be read");
	rf_channel_post(v);
}

void rf_event_new(struct rf_vcpu *v)
{
	memset(&v->wait.event, 0, sizeof(v->wait.event));
	v->wait.saved.reason = 0;
	v->wait.tries = 0;
}

/* Its bytes follow each other, but one region may end and the next begin among them. */
static void apply_store(const struct rf_msg_event *ev)
{
	pthread_mutex_lock(&rf_vm.lock);
	for (uint64_t done = 0; done < ev->write.len;) {
		struct rf_overlay *o = rf_overlay_at(&rf_vm.slots, ev->write.gpa + done);
		uint64_t at, part = ev->write.len - done;

		if (!o || o->kind != RF_OVERLAY_SEAL)
			break; /* released by a reset */
		at = ev->write.gpa + done - o->gpa.start;
		if (part > o->gpa.size - at)
			part = o->gpa.size - at;
		rf_overlay_write(o, at, ev->write.bytes + done, part);
		done += part;
	}
	pthread_mutex_unlock(&rf_vm.lock);
}

static int enforce_store(struct rf_vcpu *v, enum rf_verdict verdict)
{
	struct rf_wait *w = &v->wait;

	if (verdict == RF_VERDICT_ALLOW && !w->event.write.elsewhere) {
		rf_count(RF_COUNT_ALLOWED);
		apply_store(&w->event);
		return 0;
	}
	rf_count(RF_COUNT_DENIED);
	rf_patch_denied(w->event.write.gpa, w->event.write.len);
	if (w->saved.reason) {
		/* The part of the store that was the VMM's does not happen either. */
		w->saved.reason = 0;
		while (rf_exit_drain(v, &w->event))
			;
	}
	return rf_cpu_fault(v, &w->verdict);
}

bool rf_vmm_expects_ud(const struct rf_vcpu_regs *regs)
{
	return !rf_vm.vmm_wants_emulation_exit && regs->cpl != 0;
}

#define SETTLE_TRIES 64

/*
 * The monitor has put what makes the store legal on the table. It is judged again and applied under
 * one lock: text may have changed since the monitor looked. Not legal any more: a new question.
 */
static void settle_or_ask(struct rf_vcpu *v)
{
	struct rf_wait *w = &v->wait;

	if (!w->event.write.elsewhere &&
	    rf_patch_settle(v, w->event.write.gpa, w->event.write.bytes, w->event.write.len)) {
		rf_count(RF_COUNT_ALLOWED);
		return;
	}
	if (rf_vm.state != RF_VM_SEALED)
		return; /* released by a reset */
	if (++w->tries > SETTLE_TRIES)
		rf_fatal("the monitor calls a store legal that its table does not allow");
	rf_event_post(v, RF_EVENT_WRITE);
}

static int enforce_emulation(struct rf_vcpu *v, enum rf_verdict verdict)
{
	if (verdict == RF_VERDICT_DENY) {
		rf_count(RF_COUNT_DENIED);
		v->wait.saved.reason = 0;
		return rf_cpu_fault(v, &v->wait.verdict);
	}
	rf_count(RF_COUNT_NOT_OURS);
	if (rf_vmm_expects_ud(&v->wait.event.regs)) {
		v->wait.saved.reason = 0;
		return rf_cpu_inject(v, 6);
	}
	return 0;
}

static int enforce_msr(struct rf_vcpu *v, enum rf_verdict verdict)
{
	const struct rf_msg_event *ev = &v->wait.event;
	int err;

	rf_exit_restore(v, &v->wait.saved); /* run->msr.error is what KVM reads next */
	if (verdict != RF_VERDICT_ALLOW) {
		rf_count(RF_COUNT_DENIED);
		v->run->msr.error = 1; /* #GP */
		return 0;
	}
	rf_count(RF_COUNT_ALLOWED);
	err = rf_cpu_set_msr(v, ev->msr.index, ev->msr.value);
	/* A value that the CPU itself would refuse is the guest's own fault; LSTAR's must be known.
	 */
	v->run->msr.error = err && ev->kind == RF_EVENT_MSR;
	return ev->kind == RF_EVENT_MSR ? 0 : err;
}

/* The bits are set again already. */
static int enforce_cr(struct rf_vcpu *v, enum rf_verdict verdict)
{
	const struct rf_msg_event *ev = &v->wait.event;

	if (verdict == RF_VERDICT_ALLOW) {
		rf_count(RF_COUNT_ALLOWED);
		return rf_cr_let(v, ev->cr.cr0_bits, ev->cr.cr4_bits);
	}
	rf_count(RF_COUNT_DENIED);
	v->kept.cr_missing = 0; /* let, it is told of once; denied, it is watched on */
	return v->wait.verdict.vector ? rf_cpu_fault(v, &v->wait.verdict) : 0;
}

/* Commands name the kernel that was known before, again. */
static void kernel_denied(uint64_t id)
{
	unsigned long long announced = id;

	atomic_compare_exchange_strong(&rf_vm.kernel, &announced, rf_vm.board->kernel);
}

enum rf_next rf_enforce(struct rf_vcpu *v)
{
	enum rf_verdict verdict = v->wait.verdict.verdict;
	int err = 0;

	if (verdict == RF_VERDICT_KILL)
		rf_fatal("the monitor ends it; its own message and the audit log say why");
	switch (v->wait.event.kind) {
	case RF_EVENT_WRITE:
		if (verdict == RF_VERDICT_SETTLE) {
			settle_or_ask(v);
			if (v->wait.state != RF_WAIT_NONE)
				return RF_AGAIN;
		} else {
			err = enforce_store(v, verdict);
		}
		break;
	case RF_EVENT_EMULATION:
		err = enforce_emulation(v, verdict);
		break;
	case RF_EVENT_MSR:
		err = enforce_msr(v, verdict);
		break;
	case RF_EVENT_CR:
		err = enforce_cr(v, verdict);
		break;
	case RF_EVENT_TRAP:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		err = rf_trap_enforce(v, verdict == RF_VERDICT_ALLOW);
		break;
	case RF_EVENT_TABLES:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		err = rf_tables_enforce(v, verdict == RF_VERDICT_ALLOW);
		break;
	case RF_EVENT_MSR_FOUND:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		if (verdict != RF_VERDICT_ALLOW) {
			err = rf_cpu_set_msr(v, v->wait.event.msr.index, v->wait.event.msr.pinned);
			v->kept.msrs_told = 0;
		}
		break;
	case RF_EVENT_KERNEL:
		/* Announced by the VMM's own load: nothing of the guest waits in kvm_run, no fault
		 * undoes it. */
		if (v->wait.saved.reason)
			err = enforce_msr(v, verdict);
		else if (verdict != RF_VERDICT_ALLOW)
			rf_fatal("the guest state that the VMM loaded was denied");
		if (!err && verdict == RF_VERDICT_ALLOW)
			rf_kernel_found(&v->wait.event);
		else
			kernel_denied(v->wait.event.id);
		break;
	}
	/* An allowed store is settled by its record; the others' end is worth a line of its own. */
	if (err || (verdict != RF_VERDICT_ALLOW && verdict != RF_VERDICT_SETTLE))
		rf_channel_outcome(v, err);
	if (err)
		rf_fatal("a verdict could not be enforced");
	if (!v->wait.saved.reason)
		return RF_AGAIN;
	rf_exit_restore(v, &v->wait.saved);
	return RF_TO_VMM;
}
