// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guard of what is sealed: stores that KVM reports, instructions that it cannot emulate, those
 * at which it stands still, and what a CPU stores without one. tests/kvm/store_kinds.c has the
 * list.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/judge.h"

/* xsave and its kin have no fixed size: SDM vol. 1 13.4, with all of today's components 11 KiB. */
#define STATE_MAX (16u << 10)

/*
 * Moves the store's target on to the first byte that is sealed; pages side by side in the guest's
 * address space need not be neighbours in memory. NULL: none is. What is not mapped cannot have
 * been written either.
 */
static const struct rf_measured *sealed_part(struct rf_guest *g, struct rf_look *l)
{
	uint64_t size = l->store.size ? l->store.size : STATE_MAX;
	/* An offset: the operand may end the address space. */
	uint64_t at = l->store.target.v - l->store.operand.v;

	while (at < size) {
		rf_gva gva = rf_gva_of(l->store.operand.v + at);
		const struct rf_measured *m = NULL;
		struct rf_translation t;

		if (!rf_pt_translate(&g->mem, &l->paging, gva, &t))
			m = rf_guest_region(g, t.gpa.v);
		if (m) {
			l->store.target = gva;
			l->store.gpa = t.gpa;
			l->r.gpa = t.gpa.v;
			l->r.len = l->store.size ? (uint32_t)(size - at) : 0;
			return m;
		}
		at += RF_PAGE_SIZE - gva.v % RF_PAGE_SIZE;
	}
	return NULL;
}

/* Names what was to be written. */
static void aim(struct rf_guest *g, struct rf_look *l, const struct rf_measured *m)
{
	l->r.has_target = true;
	l->r.region = rf_region_text(m->region.kind);
	rf_name_address(g, &l->paging, m->region.gva + (l->r.gpa - m->region.gpa), &l->r.target);
}

/* Of a 64-bit TSS (SDM vol. 3A 7.7). */
#define TSS_SIZE 104
static const struct {
	const char *name;
	uint8_t at;
} tss_stacks[] = {
	{ "RSP0", 4 },	{ "RSP1", 12 }, { "RSP2", 20 }, { "IST1", 36 }, { "IST2", 44 },
	{ "IST3", 52 }, { "IST4", 60 }, { "IST5", 68 }, { "IST6", 76 }, { "IST7", 84 },
};

/*
 * A stack that the CPU pushes an event's frame to and that lies in sealed memory: no kernel has
 * one, so a guest that hangs with it, or whose event could not be delivered, hangs for it. NULL:
 * there is none; *whole is set when all of them were looked at.
 */
static const struct rf_measured *sealed_stack(struct rf_guest *g, const struct rf_msg_event *ev,
					      struct rf_look *l, bool *whole)
{
	const struct rf_measured *m = NULL;
	const struct rf_table *tr = &ev->tables.tr;
	uint64_t sp = ev->regs.gpr[4], gva = 0;
	const char *name = "RSP";
	uint8_t tss[TSS_SIZE];

	*whole = false;
	if (ev->regs.cpl != 3)
		m = rf_sealed_frame(g, &l->paging, sp, &gva, &l->r.gpa);
	if (!m && tr->base && tr->limit >= TSS_SIZE - 1 &&
	    !rf_pt_read(&g->mem, &l->paging, rf_gva_of(tr->base), tss, sizeof(tss))) {
		*whole = true;
		for (size_t i = 0; !m && i < sizeof(tss_stacks) / sizeof(tss_stacks[0]); i++) {
			memcpy(&sp, tss + tss_stacks[i].at, sizeof(sp));
			name = tss_stacks[i].name;
			if (sp)
				m = rf_sealed_frame(g, &l->paging, sp, &gva, &l->r.gpa);
		}
	}
	if (!m)
		return NULL;
	l->stack = true;
	l->r.kind = "delivery";
	snprintf(l->detail, sizeof(l->detail), "an event's frame goes to %s, 0x%llx", name,
		 (unsigned long long)sp);
	l->r.detail = l->detail;
	aim(g, l, m);
	return m;
}

/*
 * A GDT or LDT in sealed memory: a load of a segment register notes in the descriptor that it was
 * accessed, and KVM's emulator can neither do nor report that (emulate.c
 * load_segment_descriptor()). The first sealed byte stands for the descriptor.
 */
static const struct rf_measured *sealed_table(struct rf_guest *g, const struct rf_msg_event *ev,
					      struct rf_look *l)
{
	const struct rf_table *const tables[] = { &ev->tables.gdt, &ev->tables.ldt };

	for (int i = 0; i < 2; i++) {
		uint64_t end = (tables[i]->limit & 0xffff) + UINT64_C(1);

		if (!tables[i]->base)
			continue;
		for (uint64_t at = 0; at < end;) {
			rf_gva gva = rf_gva_of(tables[i]->base + at);
			const struct rf_measured *m = NULL;
			struct rf_translation t;

			if (!rf_pt_translate(&g->mem, &l->paging, gva, &t))
				m = rf_guest_region(g, t.gpa.v);
			if (m) {
				if (!l->found) {
					l->store.rip = rf_gva_of(ev->regs.rip);
					memcpy(l->store.before.gpr, ev->regs.gpr,
					       sizeof(ev->regs.gpr));
					l->store.before.rflags = ev->regs.rflags;
				}
				l->found = true;
				l->store.target = gva;
				l->r.gpa = t.gpa.v;
				l->r.detail = i ? "its LDT lies there" : "its GDT lies there";
				aim(g, l, m);
				return m;
			}
			at += RF_PAGE_SIZE - gva.v % RF_PAGE_SIZE;
		}
	}
	return NULL;
}

/* --- the events ----------------------------------------------------------- */

static enum rf_fact_patch fact_patch(enum rf_patch_verdict v)
{
	switch (v) {
	case RF_PATCH_STEP:
		return RF_FACT_PATCH_STEP;
	case RF_PATCH_DONE:
		return RF_FACT_PATCH_DONE;
	case RF_PATCH_NOT_A_SITE:
		return RF_FACT_PATCH_NOT_A_SITE;
	case RF_PATCH_BAD_STEP:
		return RF_FACT_PATCH_ILLEGAL_STEP;
	case RF_PATCH_BAD_INSN:
		return RF_FACT_PATCH_ILLEGAL_INSN;
	}
	return RF_FACT_PATCH_UNDECIDED;
}

static bool allowed_patch(const struct rf_guest *g, const struct rf_facts *facts)
{
	struct rf_decision d;

	return !rf_policy_decide(&g->policy, facts, &d) && d.word == RF_WORD_ALLOWED;
}

int rf_judge_store(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const struct rf_measured *m = rf_guest_region(g, ev->write.gpa);
	struct rf_facts facts = { .kind = RF_FACT_WRITE, .region = rf_fact_region_of(m) };
	struct rf_patch_result patch = { 0 };
	struct rf_look l;
	uint64_t gva = 0;

	if (ev->write.len < 1 || ev->write.len > RF_EVENT_BYTES)
		return -EBADMSG;
	if (m)
		gva = m->region.gva + (ev->write.gpa - m->region.gpa);
	if (facts.region == RF_FACT_REGION_TEXT &&
	    rf_traps_touch(g, ev->write.gpa, ev->write.len)) {
		facts.patch = RF_FACT_PATCH_NOT_A_SITE;
		patch.why = "one of the traps stands there";
	} else if (facts.region == RF_FACT_REGION_TEXT && g->patches && !ev->write.elsewhere) {
		/* The fence asks when its trail is full, too. */
		int err = rf_patches_drain(g);

		if (err)
			return err;
		if (!rf_patches_judge(g, ev, gva, &patch))
			facts.patch = fact_patch(patch.verdict);
		if (allowed_patch(g, &facts))
			/* On the fence's trail, as if it had settled it itself: no line of its
			 * own. */
			return rf_answer(g, ev,
					 g->table->kernel ? RF_VERDICT_SETTLE : RF_VERDICT_ALLOW);
	}
	rf_look_at(g, ev, "write", &l);
	rf_look_for_store(g, ev, &l);
	l.r.detail = patch.why;
	l.half_way = rf_patches_under_way(g, gva, ev->write.len);
	l.r.region = m ? rf_region_text(m->region.kind) : "unknown";
	l.r.gpa = ev->write.gpa;
	l.r.len = ev->write.len;
	l.r.has_new = true;
	memcpy(l.r.new_bytes, ev->write.bytes, sizeof(l.r.new_bytes));
	l.r.has_old =
		!rf_memory_read(&g->mem, rf_gpa_of(ev->write.gpa), l.r.old_bytes, ev->write.len);
	if (m) {
		l.r.has_target = true;
		rf_name_address(g, &l.paging, gva, &l.r.target);
	}
	if (ev->write.elsewhere) {
		facts.patch = RF_FACT_PATCH_NOT_A_SITE;
		l.r.detail = "one instruction wrote to two sealed places";
	}
	return rf_conclude(g, ev, &l, &facts);
}

static int on_emulation(struct rf_guest *g, const struct rf_msg_event *ev)
{
	struct rf_facts facts = { .kind = RF_FACT_EMULATION };
	const struct rf_measured *m = NULL;
	struct rf_translation t;
	struct rf_look l;
	bool whole;

	rf_look_at(g, ev, "emulation", &l);
	rf_look_for_store(g, ev, &l);
	if (l.found && !rf_pt_translate(&g->mem, &l.paging, l.store.target, &t)) {
		m = sealed_part(g, &l);
		if (m)
			aim(g, &l, m);
		else
			facts.region = RF_FACT_REGION_OUTSIDE;
	}
	/* KVM took to emulating because what the instruction raises has nowhere to go. */
	if (!m)
		m = sealed_stack(g, ev, &l, &whole);
	if (m)
		facts.region = rf_fact_region_of(m);
	return rf_conclude(g, ev, &l, &facts);
}

/*
 * RIP stands still. A store to sealed memory, or a stack or descriptor table there that the CPU
 * stores to by itself: a record and a fault. Anything else goes on without either.
 */
static int on_stall(struct rf_guest *g, const struct rf_msg_event *ev)
{
	struct rf_facts facts = { .kind = RF_FACT_EMULATION };
	const struct rf_measured *m = NULL;
	struct rf_look l;
	bool whole;

	rf_look_at(g, ev, "write", &l);
	rf_look_for_store(g, ev, &l);
	/*
	 * Any other store comes as an exit when it is made: two looks that find the vCPU at it, as
	 * at the same copy loop of the kernel's patcher again and again, say nothing.
	 */
	if (l.found && l.store.untold) {
		m = sealed_part(g, &l);
		if (m)
			aim(g, &l, m);
	}
	if (!m)
		m = sealed_stack(g, ev, &l, &whole);
	if (!m)
		m = sealed_table(g, ev, &l);
	/* It loops or waits, and that is its own affair; unless there was more to read. */
	if (!m && !g->budget.spent)
		return rf_answer(g, ev, RF_VERDICT_ALLOW);
	facts.region = rf_fact_region_of(m);
	return rf_conclude(g, ev, &l, &facts);
}

/* An event whose frame could not be stored: a record and a double fault, unless it is not ours. */
static int on_delivery(struct rf_guest *g, const struct rf_msg_event *ev)
{
	bool told = ev->delivery.gpa != UINT64_MAX, whole;
	struct rf_facts facts = { .kind = RF_FACT_EMULATION };
	const struct rf_measured *m;
	char detail[160];
	struct rf_look l;

	rf_look_at(g, ev, "delivery", &l);
	l.r.has_writer = true;
	rf_name_address(g, &l.paging, ev->regs.rip, &l.r.writer);
	m = sealed_stack(g, ev, &l, &whole);
	if (told) {
		l.r.gpa = ev->delivery.gpa;
		m = rf_guest_region(g, l.r.gpa);
		if (m)
			aim(g, &l, m);
	}
	if (!l.r.detail)
		snprintf(l.detail, sizeof(l.detail), "an event's frame, with RSP 0x%llx",
			 (unsigned long long)ev->regs.gpr[4]);
	if (ev->delivery.vector == UINT32_MAX)
		snprintf(detail, sizeof(detail), "%s; INT3 or INT n", l.detail);
	else
		snprintf(detail, sizeof(detail), "%s; vector %u", l.detail, ev->delivery.vector);
	l.r.detail = detail;
	l.stack = true;
	facts.region = m	       ? rf_fact_region_of(m)
		       : told || whole ? RF_FACT_REGION_OUTSIDE
				       : RF_FACT_REGION_UNKNOWN;
	return rf_conclude(g, ev, &l, &facts);
}

static int answer(struct rf_guest *g, const struct rf_msg_event *ev)
{
	switch (ev->kind) {
	case RF_EVENT_WRITE:
		return rf_judge_store(g, ev);
	case RF_EVENT_EMULATION:
		return on_emulation(g, ev);
	case RF_EVENT_STALLED:
		return on_stall(g, ev);
	case RF_EVENT_DELIVERY:
		return on_delivery(g, ev);
	}
	return -EBADMSG;
}

const struct rf_guard rf_guard_stores = {
	.name = "stores",
	.answers = RF_ANSWERS(RF_EVENT_WRITE) | RF_ANSWERS(RF_EVENT_EMULATION) |
		   RF_ANSWERS(RF_EVENT_STALLED) | RF_ANSWERS(RF_EVENT_DELIVERY),
	.answer = answer,
};
