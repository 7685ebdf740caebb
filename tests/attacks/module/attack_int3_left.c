// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first step of a legal patch and no second one: int3 stays on a site, and whoever runs into it
 * dies. It is refused where the kernel's patcher says that it does not work (bp_desc.refs or so,
 * its own count of who may look at what it patches); made to say that it does, the step is legal,
 * and that it was abandoned is found by waiting. Kept, it is written again and again, as if
 * somebody were still at it.
 *
 * Starved, each processor tries without end to give LSTAR another value meanwhile. That is refused
 * each time, but announces another kernel until then, which must not keep anybody from putting the
 * site's bytes back.
 */
#include <asm/msr-index.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>

#include "poke.h"
#include "registers.h"

#define STEP_MS 100

static struct task_struct *starvers[2];
static unsigned long announced; /* refused writes of LSTAR */

static int starve(void *unused)
{
	unsigned long flags;
	u64 before;

	while (!kthread_should_stop()) {
		/* Where it is not refused nobody may make a system call meanwhile. */
		local_irq_save(flags);
		before = rf_get_msr(MSR_LSTAR);
		if (rf_set_msr(MSR_LSTAR, (unsigned long)rf_forged))
			WRITE_ONCE(announced, announced + 1);
		else
			rf_set_msr(MSR_LSTAR, before);
		local_irq_restore(flags);
		cond_resched();
	}
	return 0;
}

static bool starve_begin(void)
{
	unsigned int cpu, n = 0;

	announced = 0;
	for_each_online_cpu(cpu)
	{
		struct task_struct *t = kthread_create(starve, NULL, "rf_starve");

		if (n == ARRAY_SIZE(starvers) || IS_ERR(t))
			break;
		kthread_bind(t, cpu);
		starvers[n++] = t;
		wake_up_process(t);
	}
	return n;
}

static void starve_end(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(starvers); i++) {
		if (starvers[i])
			kthread_stop(starvers[i]);
		starvers[i] = NULL;
	}
}

static void leave(struct rf_report *r, bool recorded, bool keep, bool starving)
{
	static const u8 int3 = INT3_INSN_OPCODE;
	struct rf_jump_site site;
	unsigned int waited;
	bool begun;

	if (!rf_jump_site(r, "__xen_pgd_pin", &site) || !rf_poke_begin(r))
		return;
	if (recorded && !rf_poke_record(true)) {
		rf_poke_end(r);
		return rf_skip(r, "this kernel keeps its patcher's record elsewhere");
	}
	rf_text_poke(r->at, &int3, 1);
	r->outcome = rf_poke_end(r) ? RF_FAULTED : RF_UNCHANGED;
	begun = READ_ONCE(r->at[0]) == int3;
	if (begun && starving && !starve_begin())
		rf_say(r, "nobody=UNFORGED");
	for (waited = 0; waited < rf_patience * 1000 && READ_ONCE(r->at[0]) == int3;
	     waited += STEP_MS) {
		msleep(STEP_MS);
		if (keep && READ_ONCE(r->at[0]) == int3)
			rf_text_poke(r->at, &int3, 1);
	}
	if (starving) {
		starve_end();
		rf_say(r, "announced=%lu", announced);
	}
	if (recorded)
		rf_poke_record(false);
	if (!begun)
		return;
	rf_say(r, "waited=%ums", waited);
	r->outcome = memcmp(r->at, r->before, r->len) ? RF_LANDED : RF_RESTORED;
	if (rf_poke_begin(r)) {
		rf_poke_restore(r);
		rf_poke_end(r);
	}
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}

void attack_int3_left(struct rf_report *r)
{
	leave(r, false, false, false);
}

void attack_int3_recorded(struct rf_report *r)
{
	leave(r, true, false, false);
}

void attack_int3_kept(struct rf_report *r)
{
	leave(r, true, true, false);
}

void attack_restore_starved(struct rf_report *r)
{
	/* One alone leaves the others the time while it is told that it was refused. */
	if (num_online_cpus() < 2)
		return rf_skip(r, "it takes two processors");
	leave(r, true, false, true);
}
