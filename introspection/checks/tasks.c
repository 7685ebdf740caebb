// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tasks: the list that most tools follow, and the tables of pids that the kernel itself follows
 * (kernel/fork.c, kernel/pid.c). Who takes one out of the first, to hide it, leaves it in the
 * other.
 */
#include <errno.h>
#include <stdlib.h>

#include "introspection/checks/each_task.h"
#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"
#include "introspection/checks/set.h"

struct gathered {
	struct rf_tasks l;
	struct rf_set listed, numbered;
	uint64_t of_pid, links; /* struct pid's list of tasks, and its link in a task */
};

/* --- hidden ones --------------------------------------------------------------------- */

static int list_task(struct rf_run *run, uint64_t task, void *ctx)
{
	rf_run_saw(run);
	return rf_set_add(&((struct gathered *)ctx)->listed, task);
}

static int number_task(struct rf_run *run, uint64_t task, void *ctx)
{
	return rf_set_add(&((struct gathered *)ctx)->numbered, task);
}

static int number_pid(struct rf_run *run, uint64_t pid, void *ctx)
{
	struct gathered *g = ctx;

	return rf_run_hlist(run, pid + g->of_pid, g->links, number_task, g);
}

static int gather(struct rf_run *run, struct gathered *g)
{
	uint64_t namespace, idr, tree;
	int err;

	if ((err = rf_run_tasks_layout(run, &g->l)) ||
	    (err = rf_run_symbol(run, "init_pid_ns", &namespace)) ||
	    (err = rf_run_member(run, "pid_namespace", "idr", 0, &idr)) ||
	    (err = rf_run_member(run, "idr", "idr_rt", 0, &tree)) ||
	    (err = rf_run_member(run, "pid", "tasks", 0, &g->of_pid)) ||
	    (err = rf_run_member(run, "task_struct", "pid_links", 0, &g->links)) ||
	    (err = rf_run_tasks(run, &g->l, list_task, g)) ||
	    (err = rf_run_xarray(run, namespace + idr + tree, number_pid, g)))
		return err;
	rf_set_sort(&g->listed);
	rf_set_sort(&g->numbered);
	return 0;
}

/* What one set has and the other has not. */
static int tell_difference(struct rf_run *run, const struct rf_tasks *l, const struct rf_set *has,
			   const struct rf_set *lacks, const char *reason)
{
	char what[96];
	int err = 0;

	for (size_t i = 0; !err && i < has->count; i++) {
		if (rf_set_has(lacks, has->v[i]))
			continue;
		rf_run_task_name(run, l, has->v[i], what, sizeof(what));
		err = rf_run_found(run, has->v[i], what, 0, reason);
	}
	return err;
}

static int look_for_hidden_tasks(struct rf_run *run)
{
	struct gathered g = { 0 };
	int err = gather(run, &g);

	if (!err)
		err = tell_difference(run, &g.l, &g.numbered, &g.listed,
				      "it has a pid, and is not on the list of tasks");
	if (!err)
		err = tell_difference(run, &g.l, &g.listed, &g.numbered,
				      "it is on the list of tasks, and no pid leads to it");
	rf_set_deinit(&g.listed);
	rf_set_deinit(&g.numbered);
	return err;
}

const struct rf_check rf_check_tasks_hidden = {
	.name = "tasks-hidden",
	.summary = "tasks and threads on the kernel's list are those that have a pid",
	.reading = "a process is kept from being seen, or from being killed",
	.attack = "T1564",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 2000,
	.reads = 1 << 20,
	.run = look_for_hidden_tasks,
};

/* --- credentials --------------------------------------------------------------------- */

struct cred {
	uint64_t cred, task;
	uint32_t tgid;
};

struct creds {
	struct rf_tasks l;
	uint64_t init_cred;
	struct cred *v;
	size_t count, room;
};

#define CREDS_MAX ((size_t)1 << 22)

static int note_cred(struct rf_run *run, uint64_t task, void *ctx)
{
	struct cred c = { .task = task };
	struct creds *g = ctx;
	int err = rf_run_u64(run, task + g->l.real_cred, &c.cred);

	if (!err)
		err = rf_run_u32(run, task + g->l.tgid, &c.tgid);
	if (err)
		return err;
	rf_run_saw(run);
	if (g->count == g->room) {
		size_t room = g->room ? g->room * 2 : 256;
		struct cred *v = room > CREDS_MAX ? NULL : realloc(g->v, room * sizeof(*v));

		if (!v)
			return room > CREDS_MAX ? -E2BIG : -ENOMEM;
		g->v = v;
		g->room = room;
	}
	g->v[g->count++] = c;
	return 0;
}

static int by_cred(const void *a, const void *b)
{
	const struct cred *x = a, *y = b;

	return x->cred != y->cred ? (x->cred < y->cred ? -1 : 1)
				  : (x->tgid < y->tgid ? -1 : x->tgid > y->tgid);
}

/* From v[i] on: how many have the same credentials. */
static size_t how_many(const struct creds *g, size_t i)
{
	size_t n = 1;

	while (i + n < g->count && g->v[i + n].cred == g->v[i].cred)
		n++;
	return n;
}

/* Each process of them once: which one had them lawfully they do not say. */
static int tell_owners(struct rf_run *run, const struct creds *g, size_t i, size_t n,
		       const char *reason)
{
	char what[96];
	int err = 0;

	for (size_t end = i + n, first = i; !err && i < end; i++) {
		if (i > first && g->v[i].tgid == g->v[i - 1].tgid)
			continue;
		rf_run_task_name(run, &g->l, g->v[i].task, what, sizeof(what));
		err = rf_run_found(run, g->v[i].task, what, 0, reason);
	}
	return err;
}

/*
 * Threads of one process share credentials, processes do not: copy_creds() (kernel/cred.c) takes a
 * reference for CLONE_THREAD alone. init_cred is that of pid 0 for good; others get a copy of it.
 */
static int look_at_creds_shared(struct rf_run *run)
{
	struct creds g = { 0 };
	int err;

	if (!(err = rf_run_tasks_layout(run, &g.l)) &&
	    !(err = rf_run_symbol(run, "init_cred", &g.init_cred)))
		err = rf_run_tasks(run, &g.l, note_cred, &g);
	if (!err && g.count)
		qsort(g.v, g.count, sizeof(*g.v), by_cred);
	for (size_t i = 0, n; !err && i < g.count; i += n) {
		n = how_many(&g, i);
		if (g.v[i].cred == g.init_cred)
			err = tell_owners(run, &g, i, n,
					  "it has the credentials of the kernel's own first task");
		else if (g.v[i].tgid != g.v[i + n - 1].tgid)
			err = tell_owners(run, &g, i, n,
					  "it has the very credentials of another process");
	}
	free(g.v);
	return err;
}

const struct rf_check rf_check_creds_shared = {
	.name = "creds-shared",
	.summary = "no process has the credentials of another one, or of the kernel itself",
	.reading = "a process was given root by writing a pointer",
	.attack = "T1068",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 2000,
	.reads = 1 << 20,
	.run = look_at_creds_shared,
};

/* --- kernel threads -------------------------------------------------------------------- */

struct threads {
	struct rf_tasks l;
	uint64_t kthread, function;
};

static int look_at_kthread(struct rf_run *run, uint64_t task, void *ctx)
{
	const struct threads *t = ctx;
	uint64_t kthread, function;
	bool is_kernel;
	char what[96];
	int err = rf_run_task_is_kernel(run, &t->l, task, &is_kernel);

	if (err || !is_kernel)
		return err;
	err = rf_run_u64(run, task + t->kthread, &kthread);
	if (err || !kthread)
		return err;
	err = rf_run_u64(run, kthread + t->function, &function);
	if (err)
		return err;
	rf_run_task_name(run, &t->l, task, what, sizeof(what));
	return rf_run_code(run, kthread + t->function, function, what);
}

static int look_at_kthreads(struct rf_run *run)
{
	struct threads t = { 0 };
	int err;

	/* set_child_tid held it to 5.16. */
	if ((err = rf_run_tasks_layout(run, &t.l)) ||
	    (err = rf_run_member(run, "task_struct", "worker_private|set_child_tid", 8,
				 &t.kthread)) ||
	    (err = rf_run_member(run, "kthread", "threadfn", 8, &t.function)))
		return err;
	return rf_run_tasks(run, &t.l, look_at_kthread, &t);
}

const struct rf_check rf_check_kthreads = {
	.name = "kthreads",
	.summary = "kernel threads run functions of the kernel's or of a signed module's",
	.reading = "somebody's code runs on its own",
	.attack = "T1014",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 20,
	.run = look_at_kthreads,
};
