// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor's word alone lets nothing through that is sealed: a store that it allows is judged
 * once more by the table and applied under one lock, and what the rules of this VM's first monitor
 * (struct rf_rules) forbid is never done, whoever asks for it.
 */
#include "hv/enforce.h"

#include "hv/board.h"
#include "hv/event.h"
#include "hv/guestmem.h"
#include "hv/life.h"
#include "hv/text.h"

/* Observing: the store is applied as it is. Its bytes follow each other, but one region may end and
 * the next begin among them. */
static void apply_store(const struct rf_msg_event *ev)
{
	RF_LOCKED();
	for (uint64_t done = 0; done < ev->write.len;) {
		struct rf_overlay *o = rf_guestmem_sealed(ev->write.gpa + done, 1);
		uint64_t at, part = ev->write.len - done;

		if (!o)
			break; /* released meanwhile */
		at = ev->write.gpa + done - o->gpa.start;
		if (part > o->gpa.size - at)
			part = o->gpa.size - at;
		if (!rf_guestmem_stands_in(ev->write.gpa + done, part))
			rf_overlay_write(o, at, ev->write.bytes + done, part);
		done += part;
	}
}

#define SETTLE_TRIES 64

/*
 * The monitor has put what makes the store legal on the table. It is judged again and applied under
 * one lock: text may have changed since the monitor looked. Not legal any more: a new question.
 */
static enum rf_next settle_or_ask(struct rf_vcpu *v)
{
	struct rf_wait *w = &v->wait;

	if (!w->event.write.elsewhere &&
	    rf_text_settle(v, w->event.write.gpa, w->event.write.bytes, w->event.write.len, true)) {
		rf_count(RF_COUNT_ALLOWED);
		return RF_AGAIN;
	}
	if (++w->tries > SETTLE_TRIES)
		rf_fatal("the monitor calls a store legal that its table does not allow");
	rf_event_post(v, w->event.kind);
	return RF_WAIT;
}

static int deny_store(struct rf_vcpu *v)
{
	struct rf_wait *w = &v->wait;

	rf_count(RF_COUNT_DENIED);
	rf_text_denied(w->event.write.gpa, w->event.write.len);
	if (w->saved.reason) {
		/* The part of the store that was the VMM's does not happen either. */
		w->saved.reason = 0;
		while (rf_arch_drain(v))
			;
	}
	return rf_arch_fault(v, &w->verdict);
}

static enum rf_next enforce_store(struct rf_vcpu *v, enum rf_verdict verdict, int *err)
{
	const struct rf_msg_event *ev = &v->wait.event;

	if (verdict == RF_VERDICT_SETTLE)
		return RF_AGAIN; /* it is settled */
	if (verdict == RF_VERDICT_ALLOW && !ev->write.elsewhere) {
		if (!rf_life_allowed()->observe)
			rf_fatal("the monitor lets a store pass that the policy does not");
		rf_count(RF_COUNT_ALLOWED);
		apply_store(ev);
		return RF_AGAIN;
	}
	*err = deny_store(v);
	return RF_AGAIN;
}

static int enforce_emulation(struct rf_vcpu *v, enum rf_verdict verdict)
{
	if (verdict == RF_VERDICT_DENY) {
		rf_count(RF_COUNT_DENIED);
		v->wait.saved.reason = 0;
		return rf_arch_fault(v, &v->wait.verdict);
	}
	rf_count(RF_COUNT_NOT_OURS);
	if (rf_arch_unemulated(v, &v->wait.event.regs))
		v->wait.saved.reason = 0;
	return 0;
}

static int enforce_kernel(struct rf_vcpu *v, enum rf_verdict verdict)
{
	bool allowed = verdict == RF_VERDICT_ALLOW;
	int err = 0;

	/* Announced by the VMM's own load: nothing of the guest waits in kvm_run. */
	if (v->wait.saved.reason)
		err = rf_arch_answer_entry(v, allowed);
	/* The CPU does not take it: the guest has its fault for that, as KVM alone would give it,
	 * no kernel is known by it, and the monitor hears that its word was not carried out. */
	if (err == -EIO) {
		rf_event_outcome(v, err);
		allowed = false;
		err = 0;
	}
	if (!err && allowed)
		rf_life_known(&v->wait.event);
	else if (!err && rf_life_denied(&v->wait.event))
		rf_event_tell(NULL, RF_EVENT_HALTED, RF_CAUSE_DENIED, 0);
	return err;
}

enum rf_next rf_enforce(struct rf_vcpu *v)
{
	enum rf_verdict verdict = v->wait.verdict.verdict;
	enum rf_next next = RF_AGAIN;
	int err = 0;

	if (verdict == RF_VERDICT_KILL)
		rf_fatal("the monitor ends it; its own message and the audit log say why");
	/* Of a store, or of a call of the guest's own patching function: rf_event_verdict(). */
	if (verdict == RF_VERDICT_SETTLE && settle_or_ask(v) == RF_WAIT)
		return RF_WAIT;
	switch (v->wait.event.kind) {
	case RF_EVENT_WRITE:
		next = enforce_store(v, verdict, &err);
		break;
	case RF_EVENT_EMULATION:
		err = enforce_emulation(v, verdict);
		break;
	case RF_EVENT_WATCH:
		break;
	case RF_EVENT_KERNEL:
		err = enforce_kernel(v, verdict);
		break;
	default:
		next = rf_arch_enforce(v, &err);
	}
	/* An allowed store is settled by its record; the others' end is worth a line of its own. */
	if (err || (verdict != RF_VERDICT_ALLOW && verdict != RF_VERDICT_SETTLE))
		rf_event_outcome(v, err);
	if (err && err != RF_NOT_NOW)
		rf_fatal("a verdict could not be enforced");
	if (next != RF_AGAIN || !v->wait.saved.reason)
		return next;
	rf_exit_restore(v, &v->wait.saved);
	return RF_TO_VMM;
}
