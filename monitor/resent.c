// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A question that the log has an answer to: who wrote it died before its verdict reached the fence,
 * which asks the next monitor. That one gives the same answer. It does not look at the guest, whose
 * memory may have been changed since, by other vCPUs or a device, so that anything it found could
 * be another thing than what is on record.
 */
#include <stdio.h>
#include <string.h>

#include "monitor/judge.h"

struct rf_audit_answer rf_answer_of(const struct rf_msg_event *ev, const struct rf_msg_verdict *v)
{
	static const struct rf_table none;
	struct rf_audit_answer a = {
		.verdict = v->verdict == RF_VERDICT_ALLOW      ? RF_ANSWERED_ALLOW
			   : v->verdict == RF_VERDICT_NOT_OURS ? RF_ANSWERED_NOT_OURS
			   : v->verdict == RF_VERDICT_DENY     ? RF_ANSWERED_DENY
							       : RF_ANSWERED_KILL,
		.has_fault = v->vector || v->rip || v->rflags,
		.has_table = memcmp(&v->table, &none, sizeof(none)) != 0,
	};

	if (a.has_fault) {
		a.vector = (uint8_t)v->vector;
		a.error_code = v->error_code;
		a.cr2 = v->cr2;
		a.rip = v->rip;
		a.rflags = v->rflags;
		a.has_gpr = memcmp(v->gpr, ev->regs.gpr, sizeof(v->gpr)) != 0;
	}
	if (a.has_gpr)
		memcpy(a.gpr, v->gpr, sizeof(a.gpr));
	if (a.has_table) {
		a.base = v->table.base;
		a.limit = v->table.limit;
		a.selector = v->table.selector;
	}
	return a;
}

static const uint32_t verdicts[] = {
	[RF_ANSWERED_ALLOW] = RF_VERDICT_ALLOW,
	[RF_ANSWERED_NOT_OURS] = RF_VERDICT_NOT_OURS,
	[RF_ANSWERED_DENY] = RF_VERDICT_DENY,
	[RF_ANSWERED_KILL] = RF_VERDICT_KILL,
};

/* The event that is sent again has the registers that it had. */
static void as_recorded(const struct rf_msg_event *ev, const struct rf_audit_answer *a,
			struct rf_msg_verdict *v)
{
	v->verdict = verdicts[a->verdict];
	if (a->has_fault) {
		v->vector = a->vector;
		v->error_code = a->error_code;
		v->cr2 = a->cr2;
		v->rip = a->rip;
		v->rflags = a->rflags;
		memcpy(v->gpr, a->has_gpr ? a->gpr : ev->regs.gpr, sizeof(v->gpr));
	}
	if (a->has_table) {
		v->table.base = a->base;
		v->table.limit = a->limit;
		v->table.selector = a->selector;
	}
}

/* Can this be let through by what the event says alone? */
static bool needs_no_value(const struct rf_msg_event *ev)
{
	switch (ev->kind) {
	case RF_EVENT_KERNEL:
	case RF_EVENT_WRITE:
	case RF_EVENT_MSR:
		return true;
	case RF_EVENT_TRAP:
		return ev->trap.kind >= RF_TRAP_MOV_CR0;
	}
	/* What is compared is put back by a denial, for which "detected" is the word as well. */
	return false;
}

/*
 * The record says what was decided, not all that was answered. What lets the least and does not
 * contradict it: a denial with a fault that takes nothing out of the guest's memory, its registers
 * as they are. What was let through with a value that is not on record is denied: any other value
 * would be worse. Says in words what is done.
 */
static const char *as_safe_as_recorded(const struct rf_msg_event *ev, enum rf_answered recorded,
				       struct rf_msg_verdict *v)
{
	/* A kernel at its end of boot goes on, whatever the word, unless the VM is ended. */
	if (recorded == RF_ANSWERED_KILL || ev->kind == RF_EVENT_WATCH) {
		v->verdict = RF_VERDICT_KILL;
		return "the VM is ended";
	}
	if (recorded == RF_ANSWERED_ALLOW && needs_no_value(ev)) {
		v->verdict = RF_VERDICT_ALLOW;
		return "it is let through";
	}
	v->verdict = RF_VERDICT_DENY;
	v->rip = ev->regs.rip;
	v->rflags = ev->regs.rflags;
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	switch (ev->kind) {
	case RF_EVENT_CR:
	case RF_EVENT_TABLES:
	case RF_EVENT_MSR_FOUND:
		return "what it had before is put back";
	case RF_EVENT_TRAP:
		if (ev->trap.kind == RF_TRAP_POKE)
			return "it is dropped";
		break;
	case RF_EVENT_DELIVERY:
		v->vector = 8;
		return "it is denied, with a double fault";
	}
	v->vector = 13;
	return "it is denied, with a general protection fault";
}

/* Nothing is awaited of these, so that nothing can be on record. */
static bool is_told(const struct rf_msg_event *ev)
{
	return ev->kind == RF_EVENT_RESET || ev->kind == RF_EVENT_RELOADED ||
	       ev->kind == RF_EVENT_HALTED || ev->kind == RF_EVENT_UNSEALED;
}

bool rf_resent(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_resent *out)
{
	struct rf_audit_decision d;
	char detail[256];
	const char *done;

	if (is_told(ev) || !rf_record_decision(g, ev, &d))
		return false;
	*out = (struct rf_resent){ .v.id = ev->id };
	memcpy(out->rule, d.rule, sizeof(out->rule));
	if (d.exact) {
		as_recorded(ev, &d.answer, &out->v);
		return true;
	}
	done = as_safe_as_recorded(ev, d.answer.verdict, &out->v);
	snprintf(detail, sizeof(detail),
		 "event %llu was decided by an earlier monitor (%s); what it answered is not on "
		 "record, or not in one way: %s",
		 (unsigned long long)ev->id, d.word ? rf_word_text(d.word) : "no word is kept",
		 done);
	if (rf_note(g, "monitor", "not answered exactly as recorded", detail) &&
	    out->v.verdict == RF_VERDICT_ALLOW)
		out->v.verdict = RF_VERDICT_KILL;
	return true;
}
