// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frees a store that faults for ever.
 *
 * The kernel takes a write fault on a mapping that is writable by now for a stale TLB entry, and retries the store
 * (spurious_kernel_fault() in arch/x86/mm/fault.c). A hypervisor that reports a refused store as such a fault, on an
 * alias that the guest has mapped writable, leaves the processor in that loop: each round is refused anew. A timer
 * that finds the processor on one of our stores moves it to the store's fixup.
 */
#include <asm/irq_regs.h>
#include <linux/extable.h>
#include <linux/module.h>

#include "attacks.h"
#include "compat.h"

#define PATIENCE_MS 500

static struct hrtimer timer;
static bool freed;

static enum hrtimer_restart tick(struct hrtimer *t)
{
	struct pt_regs *regs = get_irq_regs();
	struct exception_table_entry *e = THIS_MODULE->extable;

	for (unsigned int i = 0; regs && i < THIS_MODULE->num_exentries; i++, e++) {
		if (regs->ip == (unsigned long)&e->insn + e->insn) {
			regs->ip = (unsigned long)&e->fixup + e->fixup;
			freed = true;
		}
	}
	hrtimer_forward_now(t, ms_to_ktime(PATIENCE_MS));
	return HRTIMER_RESTART;
}

void rf_guard_begin(void)
{
	/* The timer must tick on the processor that stores. */
	preempt_disable();
	freed = false;
	rf_hrtimer_setup(&timer, tick, HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&timer, ms_to_ktime(PATIENCE_MS), HRTIMER_MODE_REL_PINNED_HARD);
}

bool rf_guard_end(void)
{
	hrtimer_cancel(&timer);
	preempt_enable();
	return freed;
}
