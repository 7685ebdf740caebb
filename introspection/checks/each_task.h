/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tasks of a guest, as its own list has them: what checks and lists of tasks share. */
#ifndef RF_INTROSPECTION_CHECKS_EACH_TASK_H
#define RF_INTROSPECTION_CHECKS_EACH_TASK_H

#include "introspection/checks/inside.h"

/* Where members of struct task_struct stand; thread_head: of struct signal_struct. */
struct rf_tasks {
	uint64_t tasks, pid, tgid, comm, signal, thread_head, thread_node, real_cred, flags;
};

/* 0, or the errors of inside.h; each of these. */
int rf_run_tasks_layout(struct rf_run *run, struct rf_tasks *out);
/* fn for each thread of each process, but for pid 0's, at which the list begins. */
int rf_run_tasks(struct rf_run *run, const struct rf_tasks *l, rf_object_fn fn, void *ctx);
/* Is a thread of the kernel's own, as it claims. */
int rf_run_task_is_kernel(struct rf_run *run, const struct rf_tasks *l, uint64_t task, bool *out);
/* "task 812 (sh)" */
void rf_run_task_name(struct rf_run *run, const struct rf_tasks *l, uint64_t task, char *out,
		      size_t size);

#endif
