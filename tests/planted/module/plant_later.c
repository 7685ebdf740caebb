// SPDX-License-Identifier: GPL-2.0-only
/* What runs later, or when something happens: timers, work, interrupts, processors that come. */
#include <linux/cpuhotplug.h>
#include <linux/completion.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/shrinker.h>
#include <linux/syscore_ops.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "planted.h"

#define LATER (3600 * HZ)

/* --- timers ------------------------------------------------------------------------- */

static void on_timer(struct timer_list *timer) {}

static DEFINE_TIMER(timer, on_timer);

static int plant_timer(struct rf_planted *p)
{
	mod_timer(&timer, jiffies + LATER);
	return rf_pointer(p, &timer.function, NULL);
}

static void undo_timer(struct rf_planted *p)
{
#ifdef RF_HAVE_TIMER_DELETE_SYNC
	timer_delete_sync(&timer);
#else
	del_timer_sync(&timer);
#endif
}

static unsigned int high_calls;

static enum hrtimer_restart on_high(struct hrtimer *high)
{
	high_calls++;
	hrtimer_forward_now(high, ms_to_ktime(500));
	return HRTIMER_RESTART;
}

static struct hrtimer high;

/* Where its function stands is the kernel's matter since 6.15. */
static int plant_high(struct rf_planted *p)
{
	rf_hrtimer_setup(&high, on_high, HRTIMER_MODE_REL);
	hrtimer_start(&high, ms_to_ktime(500), HRTIMER_MODE_REL);
	p->target = (unsigned long)on_high;
	p->calls = &high_calls;
	return 0;
}

static void undo_high(struct rf_planted *p)
{
	hrtimer_cancel(&high);
}

/* --- work --------------------------------------------------------------------------------------
 */

static void on_delayed(struct work_struct *work) {}

static DECLARE_DELAYED_WORK(delayed, on_delayed);

static int plant_delayed(struct rf_planted *p)
{
	schedule_delayed_work(&delayed, LATER);
	return rf_pointer(p, &delayed.work.func, NULL);
}

static void undo_delayed(struct rf_planted *p)
{
	cancel_delayed_work_sync(&delayed);
}

static DECLARE_COMPLETION(leave);
static struct workqueue_struct *queue;
static unsigned int running_calls;

static void on_running(struct work_struct *work)
{
	running_calls++;
	wait_for_completion(&leave);
}

static void on_waiting(struct work_struct *work) {}

static DECLARE_WORK(running, on_running);
static DECLARE_WORK(waiting, on_waiting);

/* One that does not end, and below one that waits for it. */
static int plant_running(struct rf_planted *p)
{
	queue = alloc_ordered_workqueue("rf_planted", 0);
	if (!queue)
		return -ENOMEM;
	queue_work(queue, &running);
	p->target = (unsigned long)on_running;
	p->calls = &running_calls;
	return 0;
}

static void undo_running(struct rf_planted *p)
{
	complete_all(&leave);
	destroy_workqueue(queue);
}

static int plant_waiting(struct rf_planted *p)
{
	if (!queue)
		return rf_cannot(p, "no queue for it");
	queue_work(queue, &waiting);
	return rf_pointer(p, &waiting.func, NULL);
}

static void undo_waiting(struct rf_planted *p)
{
	complete_all(&leave);
	flush_work(&waiting);
}

/* At the next tick, and there puts itself back for the one after. */
static unsigned int tick_calls;
static bool tick_ends;

static void on_tick(struct irq_work *work)
{
	tick_calls++;
	if (!READ_ONCE(tick_ends))
		irq_work_queue(work);
}

static struct irq_work tick = IRQ_WORK_INIT_LAZY(on_tick);

static int plant_tick(struct rf_planted *p)
{
	irq_work_queue(&tick);
	return rf_pointer(p, &tick.func, &tick_calls);
}

static void undo_tick(struct rf_planted *p)
{
	WRITE_ONCE(tick_ends, true);
	irq_work_sync(&tick);
}

/* --- interrupts, processors ----------------------------------------------------------------------
 */

#define ACPI 9 /* which others may share */

static int cookie;

static irqreturn_t on_interrupt(int irq, void *unused)
{
	return IRQ_NONE;
}

static int plant_interrupt(struct rf_planted *p)
{
	struct irqaction *action;
	int err = request_irq(ACPI, on_interrupt, IRQF_SHARED, "rf_planted", &cookie);

	if (err)
		return err;
	for (action = irq_data_to_desc(irq_get_irq_data(ACPI))->action; action;
	     action = action->next)
		if (action->handler == on_interrupt)
			return rf_pointer(p, &action->handler, NULL);
	return -ENOENT;
}

static void undo_interrupt(struct rf_planted *p)
{
	free_irq(ACPI, &cookie);
}

#define STEPS_BYTES (64u << 10) /* of kernel/cpu.c's table, at most */

static int state;
static unsigned int online_calls;

static int on_online(unsigned int cpu)
{
	online_calls++;
	return 0;
}

static int plant_online(struct rf_planted *p)
{
	void *steps = rf_symbol("cpuhp_hp_states"), *slot;

	if (!steps)
		return rf_cannot(p, "no cpuhp_hp_states");
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "rf/planted:online", on_online, NULL);
	if (state < 0)
		return state;
	slot = rf_find(steps, STEPS_BYTES, on_online);
	return slot ? rf_pointer(p, slot, &online_calls) : -ENOENT;
}

static void undo_online(struct rf_planted *p)
{
	cpuhp_remove_state(state);
}

/* --- memory, suspend ---------------------------------------------------------------- */

static unsigned int shrink_calls;

static unsigned long on_count(struct shrinker *shrinker, struct shrink_control *control)
{
	shrink_calls++;
	return 0;
}

static unsigned long on_scan(struct shrinker *shrinker, struct shrink_control *control)
{
	return SHRINK_STOP;
}

#ifdef RF_HAVE_SHRINKER_ALLOC
static struct shrinker *shrinker;

static int plant_shrinker(struct rf_planted *p)
{
	shrinker = shrinker_alloc(0, "rf_planted");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = on_count;
	shrinker->scan_objects = on_scan;
	shrinker_register(shrinker);
	return rf_pointer(p, &shrinker->count_objects, &shrink_calls);
}

static void undo_shrinker(struct rf_planted *p)
{
	shrinker_free(shrinker);
}
#else
static struct shrinker shrinker = { .count_objects = on_count,
				    .scan_objects = on_scan,
				    .seeks = DEFAULT_SEEKS };

static int plant_shrinker(struct rf_planted *p)
{
	return register_shrinker(&shrinker, "rf_planted")
		       ?: rf_pointer(p, &shrinker.count_objects, &shrink_calls);
}

static void undo_shrinker(struct rf_planted *p)
{
	unregister_shrinker(&shrinker);
}
#endif

/* Newer kernels give it what it was registered with. */
static int on_suspend(void *data)
{
	return 0;
}

#ifdef RF_HAVE_SYSCORE
static const struct syscore_ops syscore_ops = { .suspend = on_suspend };
static struct syscore syscore = { .ops = &syscore_ops };

static int plant_suspend(struct rf_planted *p)
{
	register_syscore(&syscore);
	return rf_table(p, &syscore, &syscore.ops, NULL);
}

static void undo_suspend(struct rf_planted *p)
{
	unregister_syscore(&syscore);
}
#else
static struct syscore_ops syscore_ops = { .suspend = (void *)on_suspend };

static int plant_suspend(struct rf_planted *p)
{
	register_syscore_ops(&syscore_ops);
	return rf_pointer(p, &syscore_ops.suspend, NULL);
}

static void undo_suspend(struct rf_planted *p)
{
	unregister_syscore_ops(&syscore_ops);
}
#endif

const struct rf_plant rf_plants_later[] = {
	{ "timer", "timers", plant_timer, undo_timer },
	{ "high_timer", "timers", plant_high, undo_high },
	{ "delayed_work", "timers", plant_delayed, undo_delayed },
	{ "running_work", "work-items", plant_running, undo_running },
	{ "waiting_work", "work-items", plant_waiting, undo_waiting },
	{ "irq_work", "tasklets", plant_tick, undo_tick },
	{ "interrupt", "interrupt-actions", plant_interrupt, undo_interrupt },
	{ "cpu_online", "cpu-hotplug", plant_online, undo_online },
	{ "shrinker", "shrinkers", plant_shrinker, undo_shrinker },
	{ "syscore", "suspend", plant_suspend, undo_suspend },
	{ 0 },
};
