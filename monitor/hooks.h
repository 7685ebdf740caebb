/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two ends of the guard of hooks share: hooks.c walks, hooks_told.c writes down. */
#ifndef RF_MONITOR_HOOKS_H
#define RF_MONITOR_HOOKS_H

#include "introspection/patches/hooks.h"
#include "monitor/monitor.h"

#define RF_HOOKS_KNOWN                                                                             \
	1024		     /* that are told one by one, and lines of one monitor about a kernel  \
			      */
#define RF_HOOKS_SETTLING 64 /* for which there is room in any case */
/* Of found(), beside enum rf_hook_kind. */
#define RF_HOOKS_GONE 0
#define RF_HOOKS_UNREAD RF_HOOK_KINDS

struct rf_hook_entry {
	struct rf_hook hook;
	bool here;	/* the sweeper: in this round; the monitor: said by this sweeper */
	bool said;	/* the sweeper: told at least once */
	bool moved;	/* the monitor: told once more, with another function */
	uint8_t rounds; /* the sweeper: it was there while text rested, or was not seen meanwhile */
	uint8_t missed;
	uint32_t age_ms;
};

/* One handler of one object is one, whatever else of it changes. */
struct rf_hook_table {
	struct rf_hook_entry of[RF_HOOKS_KNOWN + RF_HOOKS_SETTLING];
	uint32_t count;
};

/* Its place, or count. */
static inline uint32_t rf_hook_place(const struct rf_hook_table *all, const struct rf_hook *hook)
{
	uint32_t i = 0;

	for (; i < all->count; i++)
		if (all->of[i].hook.object == hook->object &&
		    all->of[i].hook.handler == hook->handler && all->of[i].hook.kind == hook->kind)
			break;
	return i;
}

/* NULL: there is no room. */
static inline struct rf_hook_entry *rf_hook_add(struct rf_hook_table *all,
						const struct rf_hook *hook)
{
	uint32_t unlisted = hook->settling ? RF_HOOKS_SETTLING : 0;

	if (all->count >= RF_HOOKS_KNOWN + unlisted)
		return NULL;
	all->of[all->count] = (struct rf_hook_entry){ .hook = *hook, .here = true };
	return &all->of[all->count++];
}

static inline void rf_hook_drop(struct rf_hook_table *all, uint32_t i)
{
	all->of[i] = all->of[--all->count];
}

/* Does the policy let all of its kind, whose ever they are? Then nobody need be looked for. */
static inline bool rf_hook_is_let(const struct rf_guest *g, uint64_t kind)
{
	return rf_policy_owner(&g->policy, rf_policy_hook(rf_hook_text((enum rf_hook_kind)kind)),
			       "", false) == RF_FACT_HOOK_OWNED;
}

/* --- hooks_told.c: in the monitor --------------------------------------------- */
/* Of the guard; h: of this kernel. */
int rf_hooks_found(struct rf_guest *g, const struct rf_hooks *h, uint32_t kind,
		   const uint64_t *values, size_t n);
/* What was put off, as far as a tick's reads go. */
#define RF_HOOKS_READS 8192
int rf_hooks_tick(struct rf_guest *g, const struct rf_hooks *h, uint32_t elapsed_ms);
void rf_hooks_begin(const struct rf_guest *g); /* another kernel, or none */

#endif
