// SPDX-License-Identifier: LGPL-2.1-or-later
/* From the facts about an event to its verdict: judgement by policy, the line on disk, then the
 * answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/judge.h"
#include "introspection/task.h"

/* Page-fault error code, SDM vol. 3A 4.7. */
#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_USER 4u
#define PF_RESERVED 8u

static struct rf_regs regs_of(const struct rf_vcpu_regs *r)
{
	struct rf_regs out = {
		.rip = r->rip, .rflags = r->rflags, .fs_base = r->fs_base, .gs_base = r->gs_base
	};

	memcpy(out.gpr, r->gpr, sizeof(out.gpr));
	return out;
}

int rf_send_verdict(struct rf_guest *g, struct rf_msg_verdict *v)
{
	int err = g->hv->ops->verdict(g->hv, v);

	if (!err && v->verdict == RF_VERDICT_KILL && !g->killed_ns)
		g->killed_ns = rf_now_ns();
	return err;
}

int rf_decide(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_record *r,
	      struct rf_msg_verdict *v)
{
	const struct rf_audit_answer answer = rf_answer_of(ev, v);
	struct rf_audit_decision known;
	int err;

	/* One record an event. What is on record already was answered with that (resent.c), unless
	 * it can be no more: then this is a line about it. */
	if (!rf_record_decision(g, ev, &known)) {
		rf_record_tell_twice(g, ev);
		r->event = ev->id;
		r->vcpu = ev->vcpu;
		r->answer = &answer;
	} else {
		r->event = 0;
	}
	err = rf_record_write(g, r);
	if (err && rf_record_waits(g))
		return err;
	/* What cannot be recorded is not let through. */
	if (err && v->verdict == RF_VERDICT_ALLOW)
		v->verdict = RF_VERDICT_KILL;
	return rf_send_verdict(g, v);
}

int rf_answer(struct rf_guest *g, const struct rf_msg_event *ev, enum rf_verdict verdict)
{
	struct rf_msg_verdict v = { .id = ev->id, .verdict = verdict };

	return rf_send_verdict(g, &v);
}

/* --- what any event has ---------------------------------------------------- */

void rf_look_at(struct rf_guest *g, const struct rf_msg_event *ev, const char *kind,
		struct rf_look *l)
{
	uint64_t percpu = ev->regs.cpl ? ev->regs.kernel_gs_base : ev->regs.gs_base;
	struct rf_task task;

	memset(l, 0, sizeof(*l));
	l->paging = rf_paging_of(ev->regs.cr3, ev->regs.cr4);
	l->v.id = ev->id;
	l->r.kind = kind;
	l->r.vcpu = ev->vcpu;
	if (g->kernel &&
	    !rf_task_current(g->kernel, &g->mem, &l->paging, rf_gva_of(percpu), &task)) {
		l->r.has_task = true;
		memcpy(l->r.task, task.comm, sizeof(l->r.task));
		l->r.pid = task.pid;
		l->r.uid = task.uid;
	}
}

void rf_look_for_store(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_look *l)
{
	bool decoded = ev->kind == RF_EVENT_WRITE;
	struct rf_store_seen seen = {
		.regs = regs_of(&ev->regs),
		.gpa = rf_gpa_of(decoded ? ev->write.gpa : 0),
		.len = decoded ? ev->write.len : 0,
		.bytes = decoded ? ev->write.bytes : NULL,
		.rip_after = decoded && ev->write.rip_after,
	};

	/* Of a patching function that has not begun there is no store to find. */
	l->found = g->kernel && ev->kind != RF_EVENT_TRAP &&
		   !rf_store_find(g->disasm, g->kernel, &g->mem, &l->paging, &seen, &l->store);
	l->r.has_writer = true;
	rf_name_address(g, &l->paging, l->found ? l->store.rip.v : ev->regs.rip, &l->r.writer);
	l->r.disassembly = l->found ? l->store.text : NULL;
}

/* The kernel's own stack takes the frame of any fault, so none can be had there (SDM vol. 3A 6.15,
 * interrupt 8). */
static bool on_sealed_stack(struct rf_guest *g, const struct rf_msg_event *ev,
			    const struct rf_look *l)
{
	uint64_t sp = l->found ? l->store.before.gpr[4] : ev->regs.gpr[4], gva, gpa;

	return ev->regs.cpl != 3 && rf_sealed_frame(g, &l->paging, sp, &gva, &gpa);
}

/*
 * The fault a read-only page would have given, #PF with write|present. Where the guest's own tables
 * say "writable" (an alias the attacker made), Linux takes that for a stale TLB entry or a fault it
 * has dealt with, and retries for ever (arch/x86/mm/fault.c spurious_kernel_fault(),
 * handle_mm_fault()). There the kernel gets the reserved-bit form, which says that the entry cannot
 * be used and is handled at once; user mode gets #GP, which is a plain SIGSEGV.
 */
static const char *fault(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_look *l)
{
	bool user = ev->regs.cpl == 3;
	struct rf_translation t;

	l->v.vector = 13;
	memcpy(l->v.gpr, ev->regs.gpr, sizeof(l->v.gpr));
	l->v.rip = ev->regs.rip;
	l->v.rflags = ev->regs.rflags;
	if (ev->kind == RF_EVENT_KERNEL || ev->kind == RF_EVENT_MSR)
		return "general protection fault at the wrmsr";
	if (ev->kind == RF_EVENT_CR) {
		l->v.rip -= l->mov;
		l->v.vector = l->mov ? 13 : 0;
		return l->mov ? "set again, general protection fault at the mov" : "set again";
	}
	if (ev->kind == RF_EVENT_TRAP && ev->trap.kind == RF_TRAP_POKE &&
	    g->policy.on_denied_patch == RF_ON_DENIED_PATCH_DROP) {
		l->v.vector = 0;
		return "dropped: the kernel's patching function returned without it";
	}
	if (ev->kind == RF_EVENT_TRAP)
		return "general protection fault at the instruction";
	if (ev->kind == RF_EVENT_MSR_FOUND)
		return "the value it had was put back";
	if (ev->kind == RF_EVENT_TABLES) {
		if (!ev->has_kept)
			return "left as they are, none were known before";
		/* The registers are not at fault: what they point at is. */
		return memcmp(&ev->kept, &ev->tables, sizeof(ev->kept))
			       ? "the registers it had before were put back"
			       : "left as they are, they are the ones it had before";
	}
	if (l->found) {
		memcpy(l->v.gpr, l->store.before.gpr, sizeof(l->v.gpr));
		l->v.rip = l->store.rip.v;
		l->v.rflags = l->store.before.rflags;
	}
	if (l->stack && ev->kind == RF_EVENT_DELIVERY && ev->delivery.vector == 8) {
		/* On a processor: a triple fault. */
		l->v.verdict = RF_VERDICT_NOT_OURS;
		return "left to the VMM: a double fault has nowhere to go either";
	}
	if (l->stack || on_sealed_stack(g, ev, l)) {
		l->v.vector = 8;
		return "double fault: a fault's frame would go to sealed memory";
	}
	if (!l->found)
		return ev->kind == RF_EVENT_WRITE
			       ? "general protection fault after the store (instruction not found)"
			       : "general protection fault (instruction not found)";
	l->v.error_code = PF_PRESENT | PF_WRITE | (user ? PF_USER : 0);
	if (!rf_pt_translate(&g->mem, &l->paging, l->store.target, &t) && t.writable) {
		if (user) {
			l->v.error_code = 0;
			return "general protection fault at the store";
		}
		l->v.error_code |= PF_RESERVED;
	}
	l->v.vector = 14;
	l->v.cr2 = l->store.target.v;
	return "page fault at the store";
}

int rf_conclude(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_look *l,
		const struct rf_facts *facts)
{
	struct rf_decision d;

	if (rf_policy_decide(&g->policy, facts, &d))
		d = (struct rf_decision){ RF_WORD_BLOCKED, RF_ACTION_SUPPRESS, "undecided" };
	if (l->nothing_to_apply && d.action == RF_ACTION_APPLY)
		d = (struct rf_decision){ RF_WORD_BLOCKED, RF_ACTION_SUPPRESS, d.rule };
	/* What was reported is not all of it, so it cannot be applied: observing blocks it too. */
	if (ev->kind == RF_EVENT_WRITE && ev->write.elsewhere && d.action == RF_ACTION_APPLY)
		d = (struct rf_decision){ RF_WORD_BLOCKED, RF_ACTION_SUPPRESS, d.rule };
	l->r.rule = d.rule;
	l->r.verdict = d.word;
	switch (d.action) {
	case RF_ACTION_PASS:
		l->v.verdict = RF_VERDICT_NOT_OURS;
		return rf_send_verdict(g, &l->v);
	case RF_ACTION_APPLY:
		l->v.verdict = RF_VERDICT_ALLOW;
		l->r.outcome = facts->kind == RF_FACT_TABLE   ? "left as it is"
			       : facts->kind == RF_FACT_KEXEC ? "let go, with all seals released"
							      : "applied";
		break;
	case RF_ACTION_KILL:
		l->v.verdict = RF_VERDICT_KILL;
		l->r.outcome = RF_OUTCOME_ENDED;
		break;
	case RF_ACTION_SUPPRESS:
	default:
		l->v.verdict = RF_VERDICT_DENY;
		l->r.outcome = fault(g, ev, l);
		if (l->half_way) {
			snprintf(l->outcome, sizeof(l->outcome),
				 "%s, and the site's old bytes were put back", l->r.outcome);
			l->r.outcome = l->outcome;
		}
	}
	return rf_decide(g, ev, &l->r, &l->v);
}

enum rf_fact_region rf_fact_region_of(const struct rf_measured *m)
{
	if (!m)
		return RF_FACT_REGION_UNKNOWN;
	if (m->region.kind == RF_REGION_IDT)
		return RF_FACT_REGION_IDT;
	return m->region.kind == RF_REGION_TEXT ? RF_FACT_REGION_TEXT : RF_FACT_REGION_RODATA;
}

int rf_judge_load(struct rf_guest *g, const struct rf_msg_event *ev, const struct rf_facts *facts,
		  uint64_t target, const char *detail, const struct rf_table *value)
{
	bool load = facts->kind == RF_FACT_LOAD && ev->trap.kind < RF_TRAP_MOV_CR0;
	struct rf_decision d;
	struct rf_look l;

	rf_look_at(g, ev,
		   load || ev->kind == RF_EVENT_TABLES ? "table"
		   : ev->kind == RF_EVENT_MSR_FOUND    ? "msr"
						       : "control-register",
		   &l);
	if (value)
		l.v.table = *value;
	/* Should KVM refuse the value, the guest gets the fault. */
	fault(g, ev, &l);
	if (!rf_policy_decide(&g->policy, facts, &d) && d.word == RF_WORD_ALLOWED) {
		/* A task with an LDT of its own loads it each time it gets a CPU: no line. */
		l.v.verdict = RF_VERDICT_ALLOW;
		return rf_send_verdict(g, &l.v);
	}
	l.r.has_writer = l.r.has_target = true;
	rf_name_address(g, &l.paging, ev->regs.rip, &l.r.writer);
	rf_name_address(g, &l.paging, target, &l.r.target);
	l.r.detail = detail;
	l.nothing_to_apply = load && !value;
	return rf_conclude(g, ev, &l, facts);
}

int rf_judge_kexec(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const struct rf_facts facts = { .kind = RF_FACT_KEXEC };
	struct rf_look l;

	rf_look_at(g, ev, "kexec", &l);
	l.r.has_writer = true;
	rf_name_address(g, &l.paging, ev->regs.rip, &l.r.writer);
	l.r.detail = "another kernel was to take over";
	return rf_conclude(g, ev, &l, &facts);
}
