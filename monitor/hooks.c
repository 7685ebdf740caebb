// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guard of the kernel's own hooks: whoever registers a tracer, a probe or a static call's
 * function has the kernel patch itself, and that is legal. Whose code is called then is looked at
 * once a second; what lies outside of the sealed image, and is of no owner that the policy names,
 * is told, once for as long as it is there (hooks_told.c).
 */
#include "monitor/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PERIOD_MS 1000
#define OVERRUN_MS (10 * PERIOD_MS) /* where the lists do not end */
#define RETOLD 8		    /* a round: the monitor may not have seen it when it looked */
#define ROUNDS 3 /* it must be there while text rests, before a function is said to call it ... */
#define BUSY_MS 600000 /* ... or so long in which the guest runs: text may be kept busy */
#define AGE 60	       /* rounds that may pass over it, of a list that is broken */
#define UNREAD_TIMES 3 /* lists change under the reader: once is no finding */

/* One VM a process. */
static struct rf_hooks *hooks;
static struct rf_hook_table told;
static uint32_t unread;
static uint32_t changes;  /* of text, as of the last round */
static uint64_t ran;	  /* the same: rf_ran() */
static uint64_t ran_ns;	  /* the same: the guest's time */
static bool rests;	  /* the guest ran since the last round, and its text is as it was */
static uint64_t since_ms; /* the last round, in which it ran */
/* Whose turn it is to be told again: of the table, and of those who have no room in it. */
static uint32_t turn, turn_over, over;

/* --- in the sweeper ----------------------------------------------------------- */

static int tell_one(struct rf_guest *g, const struct rf_hook *hook)
{
	return rf_tell(g, &rf_guard_hooks, (uint32_t)hook->kind, &hook->object, 1);
}

static bool is_turn(uint32_t i, uint32_t from)
{
	return i >= from && i - from < RETOLD;
}

/*
 * The kernel takes a tracer off its list before it changes the text, which may be all functions and
 * takes its time; and what functions call is as old as the last look at it, which must have come to
 * its end.
 */
static bool is_due(const struct rf_guest *g, const struct rf_hook_entry *e)
{
	return !e->hook.settling || ((e->rounds >= ROUNDS || e->age_ms >= BUSY_MS) &&
				     !rf_unit_overran(g, &rf_guard_patches.sweep_unit));
}

/* A guest that stands still changes nothing either. */
static void look_at_text(struct rf_guest *g, uint32_t elapsed_ms)
{
	struct rf_backend_info info;
	struct rf_patching now;

	rests = false;
	since_ms = 0;
	if (g->hv->ops->info(g->hv, &info))
		return;
	g->hv->ops->trail(g->hv, &now);
	rests = now.changes == changes && rf_ran(&info) != ran;
	since_ms = (info.counters[RF_COUNT_RAN_NS] - ran_ns) / 1000000;
	since_ms = since_ms < elapsed_ms ? since_ms : elapsed_ms;
	changes = now.changes;
	ran = rf_ran(&info);
	ran_ns = info.counters[RF_COUNT_RAN_NS];
}

static int tell_new(void *guest, const struct rf_hook *hook)
{
	struct rf_guest *g = guest;
	uint32_t i = rf_hook_place(&told, hook);
	struct rf_hook_entry *e = &told.of[i];

	if (rf_hook_is_let(g, hook->kind))
		return 0;
	if (i == told.count) {
		e = rf_hook_add(&told, hook);
		/* Nobody is kept quiet by those who are many. */
		if (!e)
			return is_turn(over++, turn_over) && !hook->settling ? tell_one(g, hook)
									     : 0;
	} else if (e->here) {
		return 0;
	}
	e->here = true;
	e->missed = 0;
	e->rounds += rests && e->rounds < ROUNDS;
	e->age_ms += since_ms < BUSY_MS - e->age_ms ? (uint32_t)since_ms : BUSY_MS - e->age_ms;
	if (!is_due(g, e) || (e->said && !is_turn(i, turn)))
		return 0;
	e->said = true;
	return tell_one(g, hook);
}

/* seen: the lists were read to their ends. */
static int tell_gone(struct rf_guest *g, bool seen)
{
	int err = 0;

	for (uint32_t i = told.count; !err && i--;) {
		struct rf_hook_entry *e = &told.of[i];
		const struct rf_hook *h = &e->hook;
		const uint64_t values[] = { h->kind, h->object, h->handler, h->function };

		if (e->here || (!seen && ++e->missed < AGE))
			continue;
		err = rf_tell(g, &rf_guard_hooks, RF_HOOKS_GONE, values, 4);
		rf_hook_drop(&told, i);
	}
	return err;
}

static int end_round(struct rf_guest *g, bool seen)
{
	turn = turn + RETOLD < told.count ? turn + RETOLD : 0;
	turn_over = turn_over + RETOLD < over ? turn_over + RETOLD : 0;
	return tell_gone(g, seen);
}

static int sweep(struct rf_guest *g, uint32_t elapsed_ms)
{
	int err;

	if (!hooks)
		return 0;
	for (uint32_t i = 0; i < told.count; i++)
		told.of[i].here = false;
	over = 0;
	look_at_text(g, elapsed_ms);
	err = rf_hooks_walk(hooks, &g->mem, &g->paging, tell_new, g);
	if (err == -ECONNRESET || err == -ENOMEM)
		return err;
	unread = err ? unread + 1 : 0;
	err = end_round(g, !err);
	if (err || unread != UNREAD_TIMES || g->budget.spent) /* the latter tells itself */
		return err;
	return rf_tell(g, &rf_guard_hooks, RF_HOOKS_UNREAD, (const uint64_t[]){ 0 }, 1);
}

static uint32_t period_ms(const struct rf_guest *g)
{
	return rf_unit_overran(g, &rf_guard_hooks.sweep_unit) ? OVERRUN_MS : PERIOD_MS;
}

/* --- both --------------------------------------------------------------------- */

static int found(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n)
{
	return hooks ? rf_hooks_found(g, hooks, kind, values, n) : 0;
}

static int tick(struct rf_guest *g, uint32_t elapsed_ms)
{
	return hooks ? rf_hooks_tick(g, hooks, elapsed_ms) : 0;
}

static void forget(struct rf_guest *g)
{
	rf_hooks_destroy(hooks);
	hooks = NULL;
	told.count = 0;
	unread = turn = turn_over = 0;
	ran_ns = 0;
	rf_hooks_begin(g);
}

static int begin(struct rf_guest *g)
{
	struct rf_budget outer;
	int err, ended;

	forget(g);
	if (!g->patches)
		return 0;
	outer = rf_unit_begin(g, &rf_guard_hooks.sweep_unit);
	err = rf_hooks_create(g->patches, &g->mem, &hooks);
	ended = rf_unit_end(g, &rf_guard_hooks.sweep_unit, &outer);
	return err == -ENOMEM ? err : ended;
}

static int attach(struct rf_guest *g, bool kept)
{
	return begin(g);
}

/* Kinds that are not looked for, by name. */
static const char *lacks(const struct rf_guest *g)
{
	static char text[160];
	int len = 0;

	if (!hooks)
		return "there is no table of patch sites, or it could not be read";
	for (int kind = 1; kind < RF_HOOK_KINDS; kind++)
		if (!rf_hooks_shows(hooks, (enum rf_hook_kind)kind))
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s",
					len ? ", " : "on, but this kernel does not show: ",
					rf_hook_text((enum rf_hook_kind)kind));
	return len ? text : NULL;
}

const struct rf_guard rf_guard_hooks = {
	.name = "hooks",
	.lacks = lacks,
	.attach = attach,
	.forget = forget,
	.follow = begin,
	.tick_unit = { RF_HOOKS_READS + 1, "looking at hooks that were put off" },
	.tick = tick,
	.period_ms = period_ms,
	.sweep_unit = { 1 << 18, "walking lists of tracers, probes and tracepoints" },
	.sweep = sweep,
	.found = found,
};
