// SPDX-License-Identifier: GPL-2.0-only
/* How the kernel is entered: introspection/checks/calls.c. */
#include <linux/interrupt.h>
#include <linux/sysrq.h>
#include <asm/unistd.h>

#include "planted.h"

static void **table;
static void *call_before;

/* uselib(2), which newer kernels do not have and programs do not call. */
#define CALL 134

static long on_call(const struct pt_regs *regs)
{
	return -ENOSYS;
}

static int plant_call(struct rf_planted *p)
{
	int err;

	table = rf_symbol("sys_call_table");
	if (!table)
		return rf_cannot(p, "no table of system calls");
	call_before = table[CALL];
	err = rf_write(&table[CALL], on_call);
	/* Not counted: kernels since 2024 call by a switch, and have the table for tracers. */
	return err ?: rf_pointer(p, &table[CALL], NULL);
}

static void undo_call(struct rf_planted *p)
{
	rf_write(&table[CALL], call_before);
}

/* --- softirqs ----------------------------------------------------------------------- */

static struct softirq_action *vec;
static void (*softirq_before)(void *action);
static unsigned int softirq_calls;

/* Kernels since 6.12 give it nothing. */
static void on_softirq(void *action)
{
	softirq_calls++;
	softirq_before(action);
}

static int plant_softirq(struct rf_planted *p)
{
	vec = rf_symbol("softirq_vec");
	if (!vec)
		return rf_cannot(p, "no softirq_vec");
	vec += TASKLET_SOFTIRQ;
	softirq_before = (void *)vec->action;
	WRITE_ONCE(vec->action, (void *)on_softirq);
	return rf_pointer(p, &vec->action, &softirq_calls);
}

static void undo_softirq(struct rf_planted *p)
{
	WRITE_ONCE(vec->action, (void *)softirq_before);
	synchronize_rcu();
}

static void on_tasklet(unsigned long data) {}

static DECLARE_TASKLET_OLD(tasklet, on_tasklet);

static void prod_softirq(void)
{
	tasklet_schedule(&tasklet);
	tasklet_unlock_wait(&tasklet);
	tasklet_kill(&tasklet);
}

/* --- SysRq -------------------------------------------------------------------------- */

#define KEY 'y' /* of SPARC */

static unsigned int sysrq_calls;

static void on_sysrq(int key)
{
	sysrq_calls++;
}

static const struct sysrq_key_op sysrq_op = {
	.handler = (void *)on_sysrq, /* the key is a u8 since 6.7 */
	.help_msg = "planted(y)",
	.action_msg = "Planted",
	.enable_mask = SYSRQ_ENABLE_SYNC,
};

static int plant_sysrq(struct rf_planted *p)
{
	return register_sysrq_key(KEY, &sysrq_op) ?: rf_pointer(p, &sysrq_op.handler, &sysrq_calls);
}

static void undo_sysrq(struct rf_planted *p)
{
	unregister_sysrq_key(KEY, &sysrq_op);
}

static void prod_sysrq(void)
{
	handle_sysrq(KEY);
}

const struct rf_plant rf_plants_calls[] = {
	{ "syscall_table", "syscalls", plant_call, undo_call },
	{ "softirq_action", "softirqs", plant_softirq, undo_softirq, prod_softirq },
	{ "sysrq_key", "sysrq", plant_sysrq, undo_sysrq, prod_sysrq },
	{ 0 },
};
