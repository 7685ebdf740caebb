// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store on the way out of suspend to memory. The VMM resets the processors, as for a reboot, but
 * the kernel is still there and goes on where it was. On one processor with interrupts off, before
 * it calls itself running (suspend_enter() in kernel/power/suspend.c), it calls every clock's
 * resume() (timekeeping_resume(), kernel/time/timekeeping.c).
 *
 * By then the kernel has set its registers, LSTAR too, and is sealed again. Unless it is taken for
 * one that boots: system_state says which, and is plain data. On the way into sleep, when the
 * kernel has stored SYSTEM_SUSPEND there, it calls every clock's suspend(), and ours stores that it
 * is still starting.
 */
#include <linux/clocksource.h>
#include <linux/kernel.h>
#include <linux/suspend.h>

#include "attacks.h"

static struct {
	struct rf_alias alias;
	unsigned long faulted;
	bool ran, forges;
} asleep;

static unsigned long change(void)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("xorb $1, (%[p])")
		     : [f] "+r"(faulted)
		     : [p] "r"(asleep.alias.at)
		     : "memory", "cc");
	return faulted;
}

static void falls_asleep(struct clocksource *clock)
{
	if (asleep.forges)
		system_state = SYSTEM_SCHEDULING;
}

static void awake(struct clocksource *clock)
{
	asleep.faulted = change();
	asleep.ran = true;
}

static u64 no_time(struct clocksource *clock)
{
	return 0;
}

/* Rated too low to be used for anything. */
static struct clocksource clock = {
	.name = "rf_attack",
	.rating = 1,
	.read = no_time,
	.mask = CLOCKSOURCE_MASK(32),
	.suspend = falls_asleep,
	.resume = awake,
};

/* Somebody else must wake the machine. */
static void attempt(struct rf_report *r, bool forges)
{
	int err;

	if (!rf_aim_banner(r, &asleep.alias, 8, 1))
		return;
	asleep.ran = false;
	asleep.forges = forges;
	err = clocksource_register_khz(&clock, 1000);
	if (!err) {
		err = pm_suspend(PM_SUSPEND_MEM);
		clocksource_unregister(&clock);
	}
	if (err || !asleep.ran)
		rf_skip(r, "this machine does not sleep");
	else if (r->at[0] == r->before[0])
		r->outcome = asleep.faulted ? RF_FAULTED : RF_UNCHANGED;
	else
		r->outcome = RF_LANDED;
	/* By now it may be sealed again, the wrong byte with it. */
	rf_guard_begin();
	if (r->outcome == RF_LANDED)
		rf_say(r, "back=%s", change() ? "refused" : "yes");
	rf_guard_end();
	rf_alias_unmap(&asleep.alias);
}

void attack_asleep(struct rf_report *r)
{
	attempt(r, false);
}

void attack_s3_forged_state(struct rf_report *r)
{
	attempt(r, true);
}
