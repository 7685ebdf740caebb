// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guard of MSRs and control registers: pinned at the seal, judged where the fence saw a
 * change. */
#include <errno.h>
#include <stdio.h>

#include "monitor/judge.h"

static void describe_msr(const struct rf_msg_event *ev, const char *name, uint64_t pinned,
			 char *text, size_t size)
{
	snprintf(text, size, "%s (MSR 0x%x) <- 0x%llx, was 0x%llx, bits 0x%llx changed", name,
		 ev->msr.index, (unsigned long long)ev->msr.value, (unsigned long long)pinned,
		 (unsigned long long)(ev->msr.value ^ pinned));
}

static int judge_msr(struct rf_guest *g, const struct rf_msg_event *ev, enum rf_fact_msr fact,
		     const char *detail)
{
	const struct rf_facts facts = { .kind = RF_FACT_MSR, .msr = fact };
	struct rf_look l;

	rf_look_at(g, ev, "msr", &l);
	l.r.has_writer = l.r.has_target = true;
	rf_name_address(g, &l.paging, ev->regs.rip, &l.r.writer);
	rf_name_address(g, &l.paging, ev->msr.value, &l.r.target);
	l.r.detail = detail;
	return rf_conclude(g, ev, &l, &facts);
}

static int on_found_msr(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const struct rf_facts facts = { .kind = RF_FACT_TABLE, .table = RF_FACT_TABLE_CHANGED };
	const char *name;
	char detail[128];

	rf_pins_fact(g, ev->msr.index, ev->msr.value, &name);
	describe_msr(ev, name, ev->msr.pinned, detail, sizeof(detail));
	return rf_judge_load(g, ev, &facts, ev->msr.value, detail, NULL);
}

static int on_msr(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const char *name;
	enum rf_fact_msr fact = rf_pins_fact(g, ev->msr.index, ev->msr.value, &name);
	char detail[128];

	describe_msr(ev, name, ev->msr.pinned, detail, sizeof(detail));
	return judge_msr(g, ev, fact, detail);
}

/*
 * The fence has set the bits again. At once, if the writer's instruction is the last one that ran:
 * then it faults. Otherwise the watch's signal was lost and the guest ran on for a while.
 */
static int on_control(struct rf_guest *g, const struct rf_msg_event *ev)
{
	uint64_t cr0_bits = ev->cr.cr0_bits, cr4_bits = ev->cr.cr4_bits;
	uint64_t value = cr4_bits ? ev->cr.cr4 : ev->cr.cr0;
	const char *reg = cr4_bits ? "CR4" : "CR0";
	struct rf_facts facts = { .kind = RF_FACT_CONTROL_LATE };
	char names[RF_CONTROL_NAMES], detail[192];
	struct rf_look l;

	rf_look_at(g, ev, "control-register", &l);
	if (ev->cr.interrupted && !(cr0_bits && cr4_bits))
		l.mov = rf_control_mov(g, &l.paging, &ev->regs, cr4_bits ? 4 : 0, value);
	if (l.mov)
		facts.kind = RF_FACT_CONTROL;
	l.r.has_writer = l.r.has_target = true;
	rf_name_address(g, &l.paging, ev->regs.rip - l.mov, &l.r.writer);
	snprintf(l.r.target.symbol, sizeof(l.r.target.symbol), "%s", reg);
	l.r.target.addr = value;
	rf_control_names(cr0_bits, cr4_bits, names, sizeof(names));
	snprintf(detail, sizeof(detail), "%s cleared: %s <- 0x%llx%s", names, reg,
		 (unsigned long long)value, l.mov ? "" : "; the guest ran on for a while");
	l.r.detail = detail;
	return rf_conclude(g, ev, &l, &facts);
}

int rf_judge_late_msr(struct rf_guest *g, const struct rf_msg_event *ev)
{
	char detail[128];

	describe_msr(ev, "LSTAR", g->lstar, detail, sizeof(detail));
	return judge_msr(g, ev, RF_FACT_MSR_CHANGED, detail);
}

int rf_judge_arrived_entry(struct rf_guest *g, const struct rf_msg_event *ev, uint64_t own)
{
	char detail[128];

	snprintf(detail, sizeof(detail),
		 "LSTAR (MSR 0x%x) arrived as 0x%llx, and is 0x%llx in this kernel", ev->msr.index,
		 (unsigned long long)ev->msr.value, (unsigned long long)own);
	return judge_msr(g, ev, RF_FACT_MSR_CHANGED, detail);
}

static int attach(struct rf_guest *g, bool kept)
{
	g->pins = g->policy.pin_msrs && g->hv->ops->pin;
	return rf_pins_set(g);
}

static int answer(struct rf_guest *g, const struct rf_msg_event *ev)
{
	switch (ev->kind) {
	case RF_EVENT_MSR:
		return ev->msr.index == RF_MSR_ENTRY ? rf_judge_late_msr(g, ev) : on_msr(g, ev);
	case RF_EVENT_MSR_FOUND:
		return on_found_msr(g, ev);
	case RF_EVENT_CR:
		return on_control(g, ev);
	}
	return -EBADMSG;
}

static const char *lacks(const struct rf_guest *g)
{
	if (!g->hv->ops->pin)
		return "this hypervisor's backend pins none";
	return g->policy.pin_msrs || g->policy.pin_control
		       ? NULL
		       : "by policy: of all registers LSTAR alone is kept";
}

const struct rf_guard rf_guard_registers = {
	.name = "registers",
	.lacks = lacks,
	.attach = attach,
	.answers =
		RF_ANSWERS(RF_EVENT_MSR) | RF_ANSWERS(RF_EVENT_MSR_FOUND) | RF_ANSWERS(RF_EVENT_CR),
	.answer = answer,
};
