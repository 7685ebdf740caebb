// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interrupts: who is called for each (kernel/irq/irqdesc.c, include/linux/irqdesc.h). */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"

#define CHIPS_MAX 16u /* domains in a row: from a device's to the CPU's own */

struct layout {
	uint64_t action, flow, data, number; /* of struct irq_desc, and of its irq_data */
	uint64_t chip, parent;		     /* of struct irq_data */
	bool in_row;
	uint64_t handler, thread, next, secondary, name; /* of struct irqaction */
	uint32_t irq;					 /* which it is now */
};

static int look_at_action(struct rf_run *run, uint64_t action, void *ctx)
{
	const struct layout *l = ctx;
	char what[96], name[48] = "";
	uint64_t text, handler, thread;
	int err;

	if ((err = rf_run_u64(run, action + l->name, &text)) ||
	    (err = rf_run_u64(run, action + l->handler, &handler)) ||
	    (err = rf_run_u64(run, action + l->thread, &thread)))
		return err;
	/* One that cannot be read hides nobody. */
	if (text)
		rf_run_text(run, text, name, sizeof(name));
	snprintf(what, sizeof(what), "handler of interrupt %u (%s)", l->irq, name);
	err = rf_run_code(run, action + l->handler, handler, what);
	snprintf(what, sizeof(what), "thread of interrupt %u (%s)", l->irq, name);
	return err ? err : rf_run_code(run, action + l->thread, thread, what);
}

/* A handler that was made a thread by force has its own thread's function behind another one. */
static int look_at_actions(struct rf_run *run, uint64_t action, void *ctx)
{
	const struct layout *l = ctx;
	uint64_t second;
	int err = look_at_action(run, action, ctx);

	if (!err)
		err = rf_run_u64(run, action + l->secondary, &second);
	return err || !second ? err : look_at_action(run, second, ctx);
}

static int look_at_chips(struct rf_run *run, const struct layout *l, uint64_t data)
{
	uint64_t chip;
	char what[48];
	int err = 0;

	snprintf(what, sizeof(what), "controller of interrupt %u", l->irq);
	for (unsigned int i = 0; !err && data; i++) {
		if (i == CHIPS_MAX)
			return -EBADMSG;
		err = rf_run_u64(run, data + l->chip, &chip);
		/* One of a bus's may lie in allocated memory. */
		if (!err && chip)
			err = rf_run_functions(run, "irq_chip", chip, what);
		if (err || !l->in_row)
			break;
		err = rf_run_u64(run, data + l->parent, &data);
	}
	return err;
}

static int look_at_interrupt(struct rf_run *run, uint64_t desc, void *ctx)
{
	struct layout *l = ctx;
	uint64_t flow;
	char what[64];
	int err;

	rf_run_saw(run);
	if ((err = rf_run_u32(run, desc + l->data + l->number, &l->irq)) ||
	    (err = rf_run_u64(run, desc + l->flow, &flow)))
		return err;
	snprintf(what, sizeof(what), "flow of interrupt %u", l->irq);
	err = rf_run_code(run, desc + l->flow, flow, what);
	if (!err)
		err = look_at_chips(run, l, desc + l->data);
	return err ? err : rf_run_chain(run, desc + l->action, l->next, look_at_actions, l);
}

static int walk_interrupts(struct rf_run *run, struct layout *l)
{
	uint64_t interrupts;

	/* From 6.5 on they are in a maple tree, before that in a radix tree. */
	if (!rf_run_symbol(run, "sparse_irqs", &interrupts))
		return rf_run_mtree(run, interrupts, look_at_interrupt, l);
	if (!rf_run_symbol(run, "irq_desc_tree", &interrupts))
		return rf_run_xarray(run, interrupts, look_at_interrupt, l);
	return rf_run_lacks(run, "the kernel does not show where it keeps interrupts");
}

static int look_at_interrupts(struct rf_run *run)
{
	struct layout l = { 0 };
	int err;

	if ((err = rf_run_member(run, "irq_desc", "action", 8, &l.action)) ||
	    (err = rf_run_member(run, "irq_desc", "handle_irq", 8, &l.flow)) ||
	    (err = rf_run_member(run, "irq_desc", "irq_data", 0, &l.data)) ||
	    (err = rf_run_member(run, "irq_data", "irq", 4, &l.number)) ||
	    (err = rf_run_member(run, "irq_data", "chip", 8, &l.chip)) ||
	    (err = rf_run_member(run, "irqaction", "handler", 8, &l.handler)) ||
	    (err = rf_run_member(run, "irqaction", "thread_fn", 8, &l.thread)) ||
	    (err = rf_run_member(run, "irqaction", "next", 8, &l.next)) ||
	    (err = rf_run_member(run, "irqaction", "secondary", 8, &l.secondary)) ||
	    (err = rf_run_member(run, "irqaction", "name", 8, &l.name)))
		return err;
	/* A kernel without domains in a row has no such member. */
	l.in_row = rf_run_has(run, "irq_data", "parent_data");
	if (l.in_row && (err = rf_run_member(run, "irq_data", "parent_data", 8, &l.parent)))
		return err;
	return walk_interrupts(run, &l);
}

const struct rf_check rf_check_interrupt_actions = {
	.name = "interrupt-actions",
	.summary = "who is called for each interrupt is the kernel or a signed module",
	.reading = "somebody's code runs whenever a device, or a key, is heard",
	.attack = "T1056.001",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 17,
	.run = look_at_interrupts,
};
