// SPDX-License-Identifier: LGPL-2.1-or-later
/* What runs later, or behind an interrupt: timers, work items, tasklets, steps of CPU hotplug. */
#include <errno.h>
#include <stdio.h>

#include "introspection/checks/families.h"
#include "introspection/checks/slots.h"

#define WHEEL_MAX 1024u /* lists of a timer wheel: 8 or 9 levels of 64 */

/* --- timers (kernel/time/timer.c, hrtimer.c) ----------------------------------------------- */

struct timers {
	uint64_t bases, room, size, cpu, wheel, lists; /* of struct timer_base */
	uint64_t function, delayed, work;	       /* of a timer, and of the work around it */
	uint64_t work_function;
	uint64_t clocks, clock, count, active; /* of struct hrtimer_cpu_base */
	uint64_t node, high_function;	       /* of struct hrtimer */
	char what[64];
};

/* A delayed work item's timer does nothing but queue it. */
static int look_at_timer(struct rf_run *run, uint64_t timer, void *ctx)
{
	const struct timers *t = ctx;
	uint64_t target, at = timer + t->function;
	int err = rf_run_u64(run, at, &target);

	if (!err)
		err = rf_run_code(run, at, target, t->what);
	if (err || !t->delayed || target != t->delayed)
		return err;
	at = timer - t->work + t->work_function;
	err = rf_run_u64(run, at, &target);
	return err ? err : rf_run_code(run, at, target, "delayed work item");
}

static int look_at_wheel(struct rf_run *run, uint64_t wheel, struct timers *t)
{
	uint64_t lists[WHEEL_MAX];
	int err = rf_run_read(run, wheel, lists, t->lists * 8);

	for (uint64_t i = 0; !err && i < t->lists; i++)
		if (lists[i]) /* struct hlist_node stands first in a timer */
			err = rf_run_hlist(run, wheel + i * 8, 0, look_at_timer, t);
	return err;
}

static int look_at_wheels_of(struct rf_run *run, uint32_t cpu, uint64_t base, void *ctx)
{
	struct timers *t = ctx;
	uint32_t of;
	int err = 0;

	snprintf(t->what, sizeof(t->what), "timer of CPU %u", cpu);
	for (uint64_t at = 0; !err && at + t->size <= t->room; at += t->size) {
		err = rf_run_u32(run, base + t->bases + at + t->cpu, &of);
		if (!err && of != cpu)
			err = -EBADMSG;
		if (!err)
			err = look_at_wheel(run, base + t->bases + at + t->wheel, t);
	}
	return err;
}

static int look_at_wheels(struct rf_run *run, struct timers *t)
{
	struct rf_member wheel;
	uint64_t delayed, of_timer;
	int err;

	if ((err = rf_run_symbol(run, "timer_bases", &t->bases)) ||
	    (err = rf_run_sizeof(run, "timer_base", &t->size)) ||
	    (err = rf_run_member(run, "timer_base", "cpu", 4, &t->cpu)) ||
	    (err = rf_run_member(run, "timer_base", "vectors", 0, &t->wheel)) ||
	    (err = rf_run_member(run, "timer_list", "function", 8, &t->function)))
		return err;
	if (rf_kernel_member(rf_run_kernel(run), "timer_base", "vectors", &wheel) ||
	    wheel.size / 8 > WHEEL_MAX)
		return rf_run_lacks(run, "this kernel's timer wheels have another size");
	t->lists = wheel.size / 8;
	t->room = rf_run_percpu_room(run, t->bases);
	if (!t->size || t->room < t->size)
		return rf_run_lacks(run, "the size of the kernel's timer bases is not known");
	if (!rf_run_symbol(run, "delayed_work_timer_fn", &delayed) &&
	    !rf_run_member(run, "delayed_work", "timer", 0, &of_timer) &&
	    !rf_run_member(run, "delayed_work", "work.func", 8, &t->work_function)) {
		t->delayed = delayed;
		t->work = of_timer;
	}
	return rf_run_cpus(run, look_at_wheels_of, t);
}

static int look_at_high_timer(struct rf_run *run, uint64_t timer, void *ctx)
{
	const struct timers *t = ctx;
	uint64_t target, at = timer + t->high_function;
	int err = rf_run_u64(run, at, &target);

	return err ? err : rf_run_code(run, at, target, t->what);
}

static int look_at_clocks_of(struct rf_run *run, uint32_t cpu, uint64_t base, void *ctx)
{
	struct timers *t = ctx;
	int err = 0;

	snprintf(t->what, sizeof(t->what), "high-resolution timer of CPU %u", cpu);
	for (uint64_t i = 0; !err && i < t->count; i++)
		err = rf_run_rbtree(run, base + t->bases + t->clocks + i * t->clock + t->active,
				    t->node, look_at_high_timer, t);
	return err;
}

static int look_at_clocks(struct rf_run *run, struct timers *t)
{
	struct rf_member clocks;
	int err;

	/* In 7.3 trees are linked as well; their root stands where it stood. */
	if ((err = rf_run_symbol(run, "hrtimer_bases", &t->bases)) ||
	    (err = rf_run_member(run, "hrtimer_cpu_base", "clock_base", 0, &t->clocks)) ||
	    (err = rf_run_sizeof(run, "hrtimer_clock_base", &t->clock)) ||
	    (err = rf_run_member(run, "hrtimer_clock_base", "active.rb_root.rb_root", 8,
				 &t->active)) ||
	    (err = rf_run_member(run, "hrtimer", "node", 0, &t->node)) ||
	    (err = rf_run_member(run, "hrtimer", "function", 8, &t->high_function)))
		return err;
	if (!t->clock ||
	    rf_kernel_member(rf_run_kernel(run), "hrtimer_cpu_base", "clock_base", &clocks))
		return -EBADMSG;
	t->count = clocks.size / t->clock;
	return rf_run_cpus(run, look_at_clocks_of, t);
}

static int look_at_timers(struct rf_run *run)
{
	struct timers t = { 0 };
	int err = look_at_wheels(run, &t);

	return err ? err : look_at_clocks(run, &t);
}

const struct rf_check rf_check_timers = {
	.name = "timers",
	.summary = "functions of timers that are set are the kernel's or a signed module's",
	.reading = "somebody's code is called again and again, and needs no thread for it",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 20,
	.run = look_at_timers,
};

/* --- work items (kernel/workqueue.c) --------------------------------------------------------- */

struct works {
	uint64_t link, function;	 /* of struct work_struct */
	uint64_t queued, workers;	 /* of struct worker_pool */
	uint64_t node, running, planned; /* of struct worker */
	uint64_t name, queues, queue, inactive;
	char what[64];
};

static int look_at_work(struct rf_run *run, uint64_t work, void *ctx)
{
	const struct works *w = ctx;
	uint64_t target, at = work + w->function;
	int err = rf_run_u64(run, at, &target);

	return err ? err : rf_run_code(run, at, target, w->what);
}

static int look_at_worker(struct rf_run *run, uint64_t worker, void *ctx)
{
	struct works *w = ctx;
	uint64_t target, at = worker + w->running;
	int err = rf_run_u64(run, at, &target);

	if (!err)
		err = rf_run_code(run, at, target, "running work item");
	return err ? err : rf_run_list(run, worker + w->planned, w->link, look_at_work, w);
}

static int look_at_pool(struct rf_run *run, uint64_t pool, void *ctx)
{
	struct works *w = ctx;
	int err;

	rf_run_saw(run);
	err = rf_run_list(run, pool + w->queued, w->link, look_at_work, w);
	return err ? err : rf_run_list(run, pool + w->workers, w->node, look_at_worker, w);
}

static int look_at_pools(struct rf_run *run, struct works *w)
{
	uint64_t pools, tree;
	int err;

	if ((err = rf_run_symbol(run, "worker_pool_idr", &pools)) ||
	    (err = rf_run_member(run, "idr", "idr_rt", 0, &tree)) ||
	    (err = rf_run_member(run, "work_struct", "entry", 16, &w->link)) ||
	    (err = rf_run_member(run, "work_struct", "func", 8, &w->function)) ||
	    (err = rf_run_member(run, "worker_pool", "worklist", 16, &w->queued)) ||
	    (err = rf_run_member(run, "worker_pool", "workers", 16, &w->workers)) ||
	    (err = rf_run_member(run, "worker", "node", 16, &w->node)) ||
	    (err = rf_run_member(run, "worker", "current_func", 8, &w->running)) ||
	    (err = rf_run_member(run, "worker", "scheduled", 16, &w->planned)))
		return err;
	snprintf(w->what, sizeof(w->what), "work item");
	return rf_run_xarray(run, pools + tree, look_at_pool, w);
}

static int look_at_queue(struct rf_run *run, uint64_t queue, void *ctx)
{
	struct works *w = ctx;

	return rf_run_list(run, queue + w->inactive, w->link, look_at_work, w);
}

/* What waits until less of its workqueue runs. */
static int look_at_workqueue(struct rf_run *run, uint64_t workqueue, void *ctx)
{
	struct works *w = ctx;
	char name[32];
	int err = rf_run_text(run, workqueue + w->name, name, sizeof(name));

	if (err)
		return err;
	rf_run_saw(run);
	snprintf(w->what, sizeof(w->what), "work item of workqueue %s", name);
	return rf_run_list(run, workqueue + w->queues, w->queue, look_at_queue, w);
}

static int look_at_work_items(struct rf_run *run)
{
	struct works w = { 0 };
	uint64_t head, link;
	int err = look_at_pools(run, &w);

	if (err || (err = rf_run_symbol(run, "workqueues", &head)) ||
	    (err = rf_run_member(run, "workqueue_struct", "list", 16, &link)) ||
	    (err = rf_run_member(run, "workqueue_struct", "name", 0, &w.name)) ||
	    (err = rf_run_member(run, "workqueue_struct", "pwqs", 16, &w.queues)) ||
	    (err = rf_run_member(run, "pool_workqueue", "pwqs_node", 16, &w.queue)) ||
	    (err = rf_run_member(run, "pool_workqueue", "inactive_works", 16, &w.inactive)))
		return err;
	return rf_run_list(run, head, link, look_at_workqueue, &w);
}

const struct rf_check rf_check_work_items = {
	.name = "work-items",
	.summary = "functions of queued and running work items are the kernel's or a signed "
		   "module's",
	.reading = "somebody's code runs in one of the kernel's own threads",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 18,
	.run = look_at_work_items,
};

/* --- tasklets and interrupt work (kernel/softirq.c, irq_work.c) --------------------------------
 */

struct list {
	const char *symbol; /* per CPU: a pointer to the first */
	const char *type, *next, *function, *what;
	uint64_t head, link, at;
};

static int look_at_listed(struct rf_run *run, uint64_t object, void *ctx)
{
	const struct list *l = ctx;
	uint64_t target, at = object + l->at;
	int err = rf_run_u64(run, at, &target);

	return err ? err : rf_run_code(run, at, target, l->what);
}

static int look_at_list_of(struct rf_run *run, uint32_t cpu, uint64_t base, void *ctx)
{
	struct list *l = ctx;

	rf_run_saw(run);
	return rf_run_chain(run, base + l->head, l->link, look_at_listed, l);
}

static int look_at_tasklets(struct rf_run *run)
{
	struct list lists[] = {
		{ "tasklet_vec", "tasklet_struct", "next", "func", "tasklet", 0, 0, 0 },
		{ "tasklet_hi_vec", "tasklet_struct", "next", "func", "tasklet", 0, 0, 0 },
		{ "raised_list", "irq_work", "node.llist", "func", "interrupt work", 0, 0, 0 },
		{ "lazy_list", "irq_work", "node.llist", "func", "interrupt work", 0, 0, 0 },
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct list *l = &lists[i];

		if ((err = rf_run_symbol(run, l->symbol, &l->head)) ||
		    (err = rf_run_member(run, l->type, l->next, 8, &l->link)) ||
		    (err = rf_run_member(run, l->type, l->function, 8, &l->at)))
			return err;
		err = rf_run_cpus(run, look_at_list_of, l);
	}
	return err;
}

const struct rf_check rf_check_tasklets = {
	.name = "tasklets",
	.summary = "functions of scheduled tasklets and interrupt work are the kernel's or a "
		   "signed module's",
	.reading = "somebody's code runs behind an interrupt",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 5000,
	.reads = 1 << 16,
	.run = look_at_tasklets,
};

/* --- CPU hotplug (kernel/cpu.c, smpboot.c) ------------------------------------------------------
 */

static const struct rf_slots hotplug[] = {
	{ .what = "per-CPU thread",
	  .symbol = "hotplug_threads",
	  .shape = RF_SHAPE_LIST,
	  .type = "smp_hotplug_thread",
	  .link = "list",
	  .name = "thread_comm" },
	{ 0 },
};

static int look_at_step(struct rf_run *run, uint64_t at, const char *name)
{
	uint64_t target;
	char what[96];
	int err = rf_run_u64(run, at, &target);

	snprintf(what, sizeof(what), "CPU hotplug step %s", name);
	return err ? err : rf_run_code(run, at, target, what);
}

static int look_at_cpu_hotplug(struct rf_run *run)
{
	uint64_t steps, size, name, up, down, text;
	struct rf_symbol unused;
	char of[64];
	rf_gva end;
	int err;

	if ((err = rf_run_slots(run, hotplug)) ||
	    (err = rf_run_symbol(run, "cpuhp_hp_states", &steps)) ||
	    (err = rf_run_sizeof(run, "cpuhp_step", &size)) ||
	    (err = rf_run_member(run, "cpuhp_step", "name", 8, &name)) ||
	    (err = rf_run_member(run, "cpuhp_step", "startup.single", 8, &up)) ||
	    (err = rf_run_member(run, "cpuhp_step", "teardown.single", 8, &down)))
		return err;
	if (!size || rf_kernel_symbol_extent(rf_run_kernel(run), rf_gva_of(steps), &unused, &end))
		return -EBADMSG;
	for (uint64_t at = steps; !err && at + size <= end.v; at += size) {
		of[0] = '\0';
		err = rf_run_u64(run, at + name, &text);
		if (err || !text) /* nobody has that one */
			continue;
		rf_run_text(run, text, of, sizeof(of));
		err = look_at_step(run, at + up, of);
		if (!err)
			err = look_at_step(run, at + down, of);
	}
	return err;
}

const struct rf_check rf_check_cpu_hotplug = {
	.name = "cpu-hotplug",
	.summary = "who is called when a CPU comes or goes is the kernel or a signed module",
	.reading = "somebody's code runs whenever the guest is given a CPU, or sleeps",
	.attack = "T1014",
	.severity = RF_SEVERITY_MEDIUM,
	.period_ms = 10000,
	.reads = 1 << 14,
	.run = look_at_cpu_hotplug,
};
