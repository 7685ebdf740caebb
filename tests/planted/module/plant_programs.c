// SPDX-License-Identifier: GPL-2.0-only
/* Programs: introspection/checks/programs.c. User mode has /tmp/rf_root and /bin/busybox. */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/namei.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "planted.h"

/* --- a file that makes root of whoever runs it -------------------------------------------- */

static struct path file;

static int plant_setuid(struct rf_planted *p)
{
	struct inode *inode;
	int err = kern_path("/tmp/rf_root", LOOKUP_FOLLOW, &file);

	if (err)
		return err;
	inode = d_inode(file.dentry);
	inode->i_mode |= S_ISUID;
	p->object = (unsigned long)inode;
	return 0;
}

static void undo_setuid(struct rf_planted *p)
{
	d_inode(file.dentry)->i_mode &= ~S_ISUID;
	path_put(&file);
}

static bool real_setuid(const struct rf_planted *p)
{
	return d_inode(file.dentry)->i_mode & S_ISUID;
}

/* --- a program that the kernel starts ------------------------------------------------------- */

static struct task_struct *started;

static bool is_started(const struct task_struct *task)
{
	return !(task->flags & PF_KTHREAD) && task->pid != 1 &&
	       (rcu_dereference(task->real_parent)->flags & PF_KTHREAD);
}

static int plant_started(struct rf_planted *p)
{
	static char *argv[] = { "/bin/busybox", "sleep", "100000", NULL };
	static char *envp[] = { "PATH=/bin", NULL };
	struct task_struct *task;
	int err = call_usermodehelper(argv[0], argv, envp, UMH_WAIT_EXEC);

	if (err)
		return err;
	rcu_read_lock();
	for_each_process(task)
		if (is_started(task) && !started) {
			get_task_struct(task);
			started = task;
		}
	rcu_read_unlock();
	p->object = (unsigned long)started;
	return started ? 0 : -ESRCH;
}

static void undo_started(struct rf_planted *p)
{
	send_sig(SIGKILL, started, 1);
	put_task_struct(started);
	msleep(100);
}

static bool real_started(const struct rf_planted *p)
{
	bool is;

	rcu_read_lock();
	is = is_started(started) && pid_alive(started);
	rcu_read_unlock();
	return is;
}

const struct rf_plant rf_plants_programs[] = {
	{ "setuid_file", "setuid-programs", plant_setuid, undo_setuid, .real = real_setuid },
	{ "kernel_started", "kernel-started", plant_started, undo_started, .real = real_started },
	{ 0 },
};
