// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plants at its load all that planted.h lists, and takes it back when it is unloaded. One line
 * each, on the console:
 *
 *   PLANTING name
 *   PLANTED name check=C object=0xA target=0xA also=0xA
 *   CANNOT name check=C why=TEXT      this kernel has not got it
 *   FAILED name check=C err=N
 *
 * Parameters: only=a,b plants these alone; pids=N,N,... are processes that it may do with as it
 * likes. Writing to prove says of each plant whether it is there, and does what it should:
 *
 *   PROVED name reads=yes|no|- calls=N|-
 */
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "planted.h"

static char *only;
module_param(only, charp, 0);
MODULE_PARM_DESC(only, "plants to plant, with commas between them; all of them otherwise");

static int pids[16], pid_count;
module_param_array(pids, int, &pid_count, 0);
MODULE_PARM_DESC(pids, "processes to be hidden and so on");

#define RF(family) rf_plants_##family,
static const struct rf_plant *const families[] = { RF_FAMILIES(RF) };
#undef RF

#define PLANTS_MAX 128
static struct {
	const struct rf_plant *plant;
	struct rf_planted is;
} planted[PLANTS_MAX];
static unsigned int count;

struct task_struct *rf_victim(unsigned int n)
{
	struct task_struct *task;

	if (n >= pid_count)
		return NULL;
	rcu_read_lock();
	task = pid_task(find_pid_ns(pids[n], &init_pid_ns), PIDTYPE_PID);
	rcu_read_unlock();
	return task; /* it sleeps until the guest ends */
}

static bool is_wanted(const char *name)
{
	size_t len = strlen(name);
	const char *at = only;

	if (!only)
		return true;
	while ((at = strstr(at, name))) {
		if ((at == only || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
		at += len;
	}
	return false;
}

static void plant(const struct rf_plant *plant)
{
	struct rf_planted p = { 0 };
	int err;

	pr_emerg("PLANTING %s\n", plant->name);
	err = count == PLANTS_MAX ? -ENOSPC : plant->plant(&p);
	if (err == -EOPNOTSUPP && p.why) {
		pr_emerg("CANNOT %s check=%s why=%s\n", plant->name, plant->check, p.why);
		return;
	}
	if (err) {
		pr_emerg("FAILED %s check=%s err=%d\n", plant->name, plant->check, err);
		return;
	}
	planted[count].plant = plant;
	planted[count++].is = p;
	pr_emerg("PLANTED %s check=%s object=0x%lx target=0x%lx also=0x%lx\n", plant->name,
		 plant->check, p.object, p.target, p.also);
}

static void prove(const struct rf_plant *plant, const struct rf_planted *p)
{
	const char *reads = "-";
	char calls[16] = "-";

	if (plant->real)
		reads = plant->real(p) ? "yes" : "no";
	else if (p->slot)
		reads = READ_ONCE(*p->slot) == p->target ? "yes" : "no";
	if (p->calls)
		snprintf(calls, sizeof(calls), "%u", READ_ONCE(*p->calls));
	pr_emerg("PROVED %s reads=%s calls=%s\n", plant->name, reads, calls);
}

static int set_prove(const char *text, const struct kernel_param *param)
{
	for (unsigned int i = 0; i < count; i++)
		if (planted[i].plant->prod)
			planted[i].plant->prod();
	for (unsigned int i = 0; i < count; i++)
		prove(planted[i].plant, &planted[i].is);
	return 0;
}

static const struct kernel_param_ops prove_ops = { .set = set_prove };
module_param_cb(prove, &prove_ops, NULL, 0200);
MODULE_PARM_DESC(prove, "write to it to have each plant looked at");

static int __init rf_planted_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(families); i++)
		for (const struct rf_plant *row = families[i]; row->name; row++)
			if (is_wanted(row->name))
				plant(row);
	return 0;
}

static void __exit rf_planted_exit(void)
{
	while (count--)
		planted[count].plant->undo(&planted[count].is);
}

module_init(rf_planted_init);
module_exit(rf_planted_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ringfence test plants");
