// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks: introspection/checks/tasks.c. The guest has one processor, and the victims sleep: with
 * interrupts off nobody else looks at the lists meanwhile.
 */
#include <linux/cred.h>
#include <linux/idr.h>
#include <linux/kthread.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "planted.h"

/* Which of the victims is whose. */
enum { UNLISTED, UNHASHED, UNNUMBERED, KERNELS, OLDER, YOUNGER, OLD_THIEF, YOUNG_OWNER, SUBJECT };

static int take(struct rf_planted *p, unsigned int n, struct task_struct **out)
{
	*out = rf_victim(n);
	if (!*out)
		return rf_cannot(p, "no process for it");
	p->object = (unsigned long)*out;
	return 0;
}

/* --- hidden ------------------------------------------------------------------------- */

static struct task_struct *unlisted, *unhashed, *unnumbered;
static struct pid *hash_pid, *number_pid;

static bool is_listed(const struct task_struct *wanted)
{
	struct task_struct *task;
	bool is = false;

	rcu_read_lock();
	for_each_process(task) is |= task == wanted;
	rcu_read_unlock();
	return is;
}

static int plant_unlisted(struct rf_planted *p)
{
	int err = take(p, UNLISTED, &unlisted);

	if (err)
		return err;
	local_irq_disable();
	list_del_rcu(&unlisted->tasks);
	local_irq_enable();
	return 0;
}

static void undo_unlisted(struct rf_planted *p)
{
	local_irq_disable();
	list_add_tail_rcu(&unlisted->tasks, &init_task.tasks);
	local_irq_enable();
}

static bool real_unlisted(const struct rf_planted *p)
{
	return !is_listed(unlisted);
}

static int plant_unhashed(struct rf_planted *p)
{
	int err = take(p, UNHASHED, &unhashed);

	if (err)
		return err;
	hash_pid = task_pid(unhashed);
	local_irq_disable();
	hlist_del_rcu(&unhashed->pid_links[PIDTYPE_PID]);
	local_irq_enable();
	return 0;
}

static void undo_unhashed(struct rf_planted *p)
{
	local_irq_disable();
	hlist_add_head_rcu(&unhashed->pid_links[PIDTYPE_PID], &hash_pid->tasks[PIDTYPE_PID]);
	local_irq_enable();
}

static bool real_unhashed(const struct rf_planted *p)
{
	return is_listed(unhashed) && !pid_task(hash_pid, PIDTYPE_PID);
}

static int plant_unnumbered(struct rf_planted *p)
{
	int err = take(p, UNNUMBERED, &unnumbered);

	if (err)
		return err;
	number_pid = task_pid(unnumbered);
	local_irq_disable();
	idr_remove(&init_pid_ns.idr, pid_nr(number_pid));
	local_irq_enable();
	return 0;
}

static void undo_unnumbered(struct rf_planted *p)
{
	int nr = pid_nr(number_pid);

	local_irq_disable();
	idr_alloc(&init_pid_ns.idr, number_pid, nr, nr + 1, GFP_ATOMIC);
	local_irq_enable();
}

static bool real_unnumbered(const struct rf_planted *p)
{
	return is_listed(unnumbered) && !find_pid_ns(pid_nr(number_pid), &init_pid_ns);
}

/* --- credentials -------------------------------------------------------------------- */

static struct loan {
	struct task_struct *task;
	const struct cred *before, *subjective, *lent;
} of_kernel, younger, older, subject;

/* Root by a pointer alone, as a write primitive would have it. */
static int lend(struct loan *l, struct task_struct *task, const struct cred *cred)
{
	l->task = task;
	l->before = rcu_access_pointer(task->real_cred);
	l->subjective = rcu_access_pointer(task->cred);
	l->lent = cred;
	get_cred(get_cred(cred));
	RCU_INIT_POINTER(task->real_cred, cred);
	RCU_INIT_POINTER(task->cred, cred);
	return 0;
}

static void give_back(struct loan *l)
{
	RCU_INIT_POINTER(l->task->cred, l->subjective);
	RCU_INIT_POINTER(l->task->real_cred, l->before);
	put_cred(l->lent);
	put_cred(l->lent);
}

static bool is_lent(const struct loan *l)
{
	return rcu_access_pointer(l->task->cred) == l->lent;
}

static int plant_of_kernel(struct rf_planted *p)
{
	const struct cred *init = rf_symbol("init_cred");
	struct task_struct *task;

	if (!init)
		return rf_cannot(p, "no init_cred");
	return take(p, KERNELS, &task) ?: lend(&of_kernel, task, init);
}

static void undo_of_kernel(struct rf_planted *p)
{
	give_back(&of_kernel);
}

static bool real_of_kernel(const struct rf_planted *p)
{
	return is_lent(&of_kernel);
}

static int plant_younger(struct rf_planted *p)
{
	struct task_struct *task, *owner = rf_victim(OLDER);
	int err = take(p, YOUNGER, &task);

	if (err || !owner)
		return err;
	p->also = (unsigned long)owner;
	return lend(&younger, task, rcu_access_pointer(owner->real_cred));
}

static void undo_younger(struct rf_planted *p)
{
	give_back(&younger);
}

static bool real_younger(const struct rf_planted *p)
{
	return is_lent(&younger);
}

/* The one that has them unlawfully has the lower pid. */
static int plant_older(struct rf_planted *p)
{
	struct task_struct *task, *owner = rf_victim(YOUNG_OWNER);
	int err = take(p, OLD_THIEF, &task);

	if (err || !owner)
		return err;
	p->also = (unsigned long)owner;
	return lend(&older, task, rcu_access_pointer(owner->real_cred));
}

static void undo_older(struct rf_planted *p)
{
	give_back(&older);
}

static bool real_older(const struct rf_planted *p)
{
	return is_lent(&older);
}

/* Only those that it acts with: what others may do to it, and /proc, are by the other pointer. */
static int plant_subject(struct rf_planted *p)
{
	const struct cred *init = rf_symbol("init_cred");
	struct task_struct *task;
	int err;

	if (!init)
		return rf_cannot(p, "no init_cred");
	err = take(p, SUBJECT, &task) ?: lend(&subject, task, init);
	if (err)
		return err;
	RCU_INIT_POINTER(task->real_cred, subject.before);
	return 0;
}

static void undo_subject(struct rf_planted *p)
{
	give_back(&subject);
}

static bool real_subject(const struct rf_planted *p)
{
	return is_lent(&subject);
}

/* --- kernel threads ------------------------------------------------------------------------------
 */

#define KTHREAD_BYTES 256 /* of struct kthread, which is kernel/kthread.c's own */

static struct task_struct *thread;
static unsigned int thread_calls;

static int on_thread(void *data)
{
	while (!kthread_should_stop()) {
		thread_calls++;
		schedule_timeout_interruptible(HZ);
	}
	return 0;
}

static int plant_thread(struct rf_planted *p)
{
	void *slot;

	thread = kthread_run(on_thread, NULL, "rf_planted");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	slot = rf_find(thread->worker_private, KTHREAD_BYTES, on_thread);
	return slot ? rf_pointer(p, slot, &thread_calls) : -ENOENT;
}

static void undo_thread(struct rf_planted *p)
{
	kthread_stop(thread);
}

const struct rf_plant rf_plants_tasks[] = {
	{ "kthread", "kthreads", plant_thread, undo_thread },
	{ "task_unlisted", "tasks-hidden", plant_unlisted, undo_unlisted, .real = real_unlisted },
	{ "task_unhashed", "tasks-hidden", plant_unhashed, undo_unhashed, .real = real_unhashed },
	{ "task_unnumbered", "tasks-hidden", plant_unnumbered, undo_unnumbered,
	  .real = real_unnumbered },
	{ "creds_of_kernel", "creds-shared", plant_of_kernel, undo_of_kernel,
	  .real = real_of_kernel },
	{ "creds_of_older", "creds-shared", plant_younger, undo_younger, .real = real_younger },
	{ "creds_of_younger", "creds-shared", plant_older, undo_older, .real = real_older },
	{ "creds_subjective", "creds-shared", plant_subject, undo_subject, .real = real_subject },
	{ 0 },
};
