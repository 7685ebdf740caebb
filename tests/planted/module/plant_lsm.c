// SPDX-License-Identifier: GPL-2.0-only
/* Security hooks: introspection/checks/lsm.c. */
#include <linux/delay.h>
#include <linux/lsm_hooks.h>
#include <linux/rculist.h>
#include <linux/jump_label.h>
#include <linux/static_call.h>

#include "planted.h"

static unsigned int calls;

#ifndef RF_HAVE_LSM_STATIC_CALL
static int on_permission(struct file *file, int mask)
{
	calls++;
	return 0;
}

static struct security_hook_list hook = { .hook.file_permission = on_permission,
					  .lsm = "capability" };
static struct hlist_node **last;

/* The lists were made read-only at the boot's end: the last one's pointer is written another way.
 */
static int plant_hook(struct rf_planted *p)
{
	struct security_hook_heads *heads = rf_symbol("security_hook_heads");

	if (!heads)
		return rf_cannot(p, "no security_hook_heads");
	for (last = &heads->file_permission.first; *last; last = &(*last)->next)
		;
	hook.list.pprev = last;
	return rf_write(last, &hook.list) ?: rf_pointer(p, &hook.hook, &calls);
}

static void undo_hook(struct rf_planted *p)
{
	rf_write(last, NULL);
	synchronize_rcu();
	msleep(100);
}

static int plant_call(struct rf_planted *p)
{
	return rf_cannot(p, "this kernel has its security hooks in lists");
}

static int plant_call_hook(struct rf_planted *p)
{
	return rf_cannot(p, "this kernel has its security hooks in lists");
}

static int plant_off(struct rf_planted *p)
{
	return rf_cannot(p, "this kernel has its security hooks in lists");
}

static void undo_off(struct rf_planted *p) {}

static bool real_off(const struct rf_planted *p)
{
	return false;
}

static void undo_call(struct rf_planted *p) {}

static void undo_call_hook(struct rf_planted *p) {}
#else
#define CALL "lsm_static_call_capable_0"

static struct static_call_key *key;
static int (*before)(unsigned long a, unsigned long b, unsigned long c, unsigned long d);

static int on_capable(unsigned long cred, unsigned long ns, unsigned long cap, unsigned long opts)
{
	calls++;
	return before(cred, ns, cap, opts);
}

static int plant_call(struct rf_planted *p)
{
	void *trampoline = rf_symbol("__SCT__" CALL);

	key = rf_symbol("__SCK__" CALL);
	if (!key || !trampoline)
		return rf_cannot(p, "no static call for capable()");
	before = key->func;
	__static_call_update(key, trampoline, on_capable);
	return rf_pointer(p, &key->func, &calls);
}

static void undo_call(struct rf_planted *p)
{
	__static_call_update(key, rf_symbol("__SCT__" CALL), before);
	synchronize_rcu();
	msleep(100);
}

/* The list that the call was made from at the boot: what is called does not follow it later. */
static struct security_hook_list hook;
static struct lsm_static_call *call;
static struct security_hook_list *hook_before;

static int plant_call_hook(struct rf_planted *p)
{
	struct lsm_static_calls_table *calls_table = rf_symbol("static_calls_table");

	if (!calls_table)
		return rf_cannot(p, "no static_calls_table");
	call = &calls_table->file_permission[0];
	hook_before = call->hl;
	if (hook_before)
		hook = *hook_before;
	hook.hook.capable = (void *)on_capable;
	return rf_write(&call->hl, &hook) ?: rf_pointer(p, &hook.hook, NULL);
}

static void undo_call_hook(struct rf_planted *p)
{
	rf_write(&call->hl, hook_before);
}

static int plant_hook(struct rf_planted *p)
{
	return rf_cannot(p, "this kernel has its security hooks in static calls");
}

static void undo_hook(struct rf_planted *p) {}

/* One that is never asked meanwhile: of settimeofday(). */
static struct lsm_static_call *off;

static int plant_off(struct rf_planted *p)
{
	struct lsm_static_calls_table *calls_table = rf_symbol("static_calls_table");

	if (!calls_table)
		return rf_cannot(p, "no static_calls_table");
	off = &calls_table->settime[0];
	if (!off->hl)
		return -ENOENT;
	p->object = (unsigned long)off->active;
	p->target = (unsigned long)off->hl->hook.settime;
	static_key_disable(&off->active->key);
	return 0;
}

static void undo_off(struct rf_planted *p)
{
	static_key_enable(&off->active->key);
}

static bool real_off(const struct rf_planted *p)
{
	return !static_key_enabled(&off->active->key);
}
#endif

const struct rf_plant rf_plants_lsm[] = {
	{ "lsm_hook", "lsm-hooks", plant_hook, undo_hook },
	{ "lsm_static_call", "lsm-hooks", plant_call, undo_call },
	{ "lsm_call_hook", "lsm-hooks", plant_call_hook, undo_call_hook },
	{ "lsm_switched_off", "lsm-hooks", plant_off, undo_off, .real = real_off },
	{ 0 },
};
