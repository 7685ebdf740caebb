// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/each_task.h"

#include <stdio.h>

#define PF_KTHREAD 0x00200000u /* include/linux/sched.h */

int rf_run_tasks_layout(struct rf_run *run, struct rf_tasks *l)
{
	int err;

	(void)((err = rf_run_member(run, "task_struct", "tasks", 16, &l->tasks)) ||
	       (err = rf_run_member(run, "task_struct", "pid", 4, &l->pid)) ||
	       (err = rf_run_member(run, "task_struct", "tgid", 4, &l->tgid)) ||
	       (err = rf_run_member(run, "task_struct", "comm", 0, &l->comm)) ||
	       (err = rf_run_member(run, "task_struct", "signal", 8, &l->signal)) ||
	       (err = rf_run_member(run, "task_struct", "thread_node", 16, &l->thread_node)) ||
	       (err = rf_run_member(run, "task_struct", "real_cred", 8, &l->real_cred)) ||
	       (err = rf_run_member(run, "task_struct", "flags", 4, &l->flags)) ||
	       (err = rf_run_member(run, "signal_struct", "thread_head", 16, &l->thread_head)));
	return err;
}

void rf_run_task_name(struct rf_run *run, const struct rf_tasks *l, uint64_t task, char *out,
		      size_t size)
{
	char comm[17] = "?";
	uint32_t pid = 0;

	rf_run_u32(run, task + l->pid, &pid);
	rf_run_text(run, task + l->comm, comm, sizeof(comm));
	snprintf(out, size, "task %d (%s)", (int)pid, comm);
}

int rf_run_task_is_kernel(struct rf_run *run, const struct rf_tasks *l, uint64_t task, bool *out)
{
	uint32_t flags;
	int err = rf_run_u32(run, task + l->flags, &flags);

	if (!err)
		*out = flags & PF_KTHREAD;
	return err;
}

struct each {
	const struct rf_tasks *l;
	rf_object_fn fn;
	void *ctx;
};

static int each_thread_of(struct rf_run *run, uint64_t leader, void *ctx)
{
	const struct each *e = ctx;
	uint64_t signal;
	int err = rf_run_u64(run, leader + e->l->signal, &signal);

	return err ? err
		   : rf_run_list(run, signal + e->l->thread_head, e->l->thread_node, e->fn, e->ctx);
}

int rf_run_tasks(struct rf_run *run, const struct rf_tasks *l, rf_object_fn fn, void *ctx)
{
	struct each e = { l, fn, ctx };
	uint64_t init;
	int err = rf_run_symbol(run, "init_task", &init);

	return err ? err : rf_run_list(run, init + l->tasks, l->tasks, each_thread_of, &e);
}
