/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard of the kernel's own hooks: whoever registers a tracer, a probe or a static call's
 * function has the kernel patch itself, and that is legal. Whose code is called then is looked at
 * once a second; what lies outside of the sealed image, and is of no owner that the policy names,
 * is told, once for as long as it is there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/patches/hooks.h"
#include "monitor/monitor.h"

#define PERIOD_MS 1000
#define OVERRUN_MS (10 * PERIOD_MS) /* where the lists do not end */
#define KNOWN 1024		    /* hooks that are told one by one, and lines of one kernel */
/* Of found(), beside enum rf_hook_kind. */
#define GONE 0
#define UNREAD RF_HOOK_KINDS
#define UNREAD_LINES 16 /* of one kernel */
#define UNREAD_TIMES 3	/* lists change under the reader: once is no finding */

struct hooks {
	struct rf_hook of[KNOWN];
	bool here[KNOWN]; /* in this round */
	bool once[KNOWN]; /* not told yet: it must be there in the next round as well */
	uint32_t count;
};

/* One VM a process. */
static struct rf_hooks *hooks;
static struct hooks told, known; /* what sweep() has said; what found() has looked at */
static uint32_t lines, unread, unread_told;

static bool is_same(const struct rf_hook *a, const struct rf_hook *b)
{
	return a->object == b->object && a->handler == b->handler && a->kind == b->kind &&
	       a->function == b->function;
}

/* Its place, or count. */
static uint32_t place(const struct hooks *all, const struct rf_hook *hook)
{
	uint32_t i = 0;

	while (i < all->count && !is_same(&all->of[i], hook))
		i++;
	return i;
}

static bool add(struct hooks *all, const struct rf_hook *hook)
{
	if (all->count == KNOWN)
		return false;
	all->here[all->count] = true;
	all->once[all->count] = false;
	all->of[all->count++] = *hook;
	return true;
}

static void drop(struct hooks *all, uint32_t i)
{
	all->of[i] = all->of[--all->count];
	all->here[i] = all->here[all->count];
	all->once[i] = all->once[all->count];
}

/* --- in the monitor ---------------------------------------------------------- */

static void describe(const struct rf_hook *hook, const struct rf_named *handler, bool bpf,
		     char *text, size_t size)
{
	int len = snprintf(text, size, "%s", rf_hook_text((enum rf_hook_kind)hook->kind));

	if (hook->kind == RF_HOOK_UNLISTED)
		len += snprintf(text + len, size - (size_t)len,
				": functions call it, and no list of the kernel's has it");
	else if (hook->more)
		len += snprintf(text + len, size - (size_t)len, ", and %llu more functions",
				(unsigned long long)hook->more);
	else if (!hook->function)
		len += snprintf(text + len, size - (size_t)len, ", every function");
	snprintf(text + len, size - (size_t)len,
		 handler->module[0] ? "; calls the module %s"
		 : bpf		    ? "; calls BPF code by the guest's list, %s"
				    : "; calls code in memory that no listed module owns",
		 handler->module[0] ? handler->module : handler->symbol);
}

static int alert(struct rf_guest *g, const struct rf_hook *hook)
{
	struct rf_record r = { .kind = "hook", .has_handler = true, .outcome = "left as it is" };
	struct rf_facts facts = { .kind = RF_FACT_HOOK };
	bool bpf = false;
	struct rf_decision d;
	char detail[320], name[RF_BPF_NAME];

	rf_name_address(g, &g->paging, hook->handler, &r.handler);
	if (!r.handler.module[0] &&
	    !rf_hooks_bpf(hooks, &g->mem, &g->paging, rf_gva_of(hook->handler), name)) {
		bpf = true;
		snprintf(r.handler.symbol, sizeof(r.handler.symbol), "%s", name);
	}
	facts.hook = rf_policy_owner(&g->policy,
				     rf_policy_hook(rf_hook_text((enum rf_hook_kind)hook->kind)),
				     r.handler.module, bpf);
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	if (d.word == RF_WORD_ALLOWED)
		return 0;
	if (lines++ >= KNOWN)
		return lines > KNOWN + 1 ? 0
					 : rf_note(g, "hook", "not told one by one any more",
						   "more handlers outside the sealed image than "
						   "are told of one kernel");
	if (hook->function) {
		r.has_target = true;
		rf_name_address(g, &g->paging, hook->function, &r.target);
	}
	describe(hook, &r.handler, bpf, detail, sizeof(detail));
	r.rule = d.rule;
	r.verdict = d.word;
	r.detail = detail;
	return rf_record_write(g, &r);
}

static int look_at(void *guest, const struct rf_hook *hook)
{
	if (place(&known, hook) < known.count || !add(&known, hook))
		return 0;
	return alert(guest, hook);
}

static void forget_one(const struct rf_hook *hook)
{
	uint32_t i = place(&known, hook);

	if (i < known.count)
		drop(&known, i);
}

/* What ends nowhere, or leads nowhere: a hook behind that place is not seen. */
static int record_unread(struct rf_guest *g)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENDLESS };
	struct rf_record r = { .kind = "endless",
			       .outcome = "not read to its end",
			       .detail =
				       "a list of tracers, probes or tracepoints leads to what is "
				       "none, so that hooks behind it are not seen" };
	struct rf_decision d;

	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	return rf_record_write(g, &r);
}

static int found(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n)
{
	int err = 0;

	if (!hooks)
		return 0;
	if (kind == UNREAD)
		return unread_told++ < UNREAD_LINES ? record_unread(g) : 0;
	for (size_t i = 0; kind == GONE && i + 4 <= n; i += 4)
		forget_one(&(struct rf_hook){ .kind = values[i],
					      .object = values[i + 1],
					      .handler = values[i + 2],
					      .function = values[i + 3] });
	for (size_t i = 0; kind != GONE && !err && i < n; i++) {
		err = rf_hooks_look(hooks, &g->mem, &g->paging, kind, values[i], look_at, g);
		/* What is there no more, or cannot be read, is told again if it comes back. */
		if (err == -ENOENT || err == -EFAULT || err == -EBADMSG || err == -EINVAL ||
		    err == -E2BIG)
			err = 0;
	}
	return err;
}

/* --- in the sweeper ----------------------------------------------------------- */

static int tell_one(struct rf_guest *g, const struct rf_hook *hook)
{
	return rf_tell(g, &rf_guard_hooks, (uint32_t)hook->kind, &hook->object, 1);
}

/* The kernel takes a tracer off its list a moment before it changes the text. */
static int tell_new(void *guest, const struct rf_hook *hook)
{
	bool wait = hook->kind == RF_HOOK_UNLISTED;
	uint32_t i = place(&told, hook);

	if (i == told.count) {
		if (!add(&told, hook))
			return 0;
		told.once[i] = wait;
		return wait ? 0 : tell_one(guest, hook);
	}
	if (told.here[i] || !told.once[i]) {
		told.here[i] = true;
		return 0;
	}
	told.here[i] = true;
	told.once[i] = false;
	return tell_one(guest, hook);
}

static int tell_gone(struct rf_guest *g)
{
	int err = 0;

	for (uint32_t i = told.count; !err && i--;) {
		const struct rf_hook *h = &told.of[i];
		const uint64_t values[] = { h->kind, h->object, h->handler, h->function };

		if (told.here[i])
			continue;
		err = rf_tell(g, &rf_guard_hooks, GONE, values, 4);
		drop(&told, i);
	}
	return err;
}

static int sweep(struct rf_guest *g, uint32_t elapsed_ms)
{
	int err;

	if (!hooks)
		return 0;
	memset(told.here, 0, sizeof(told.here));
	err = rf_hooks_walk(hooks, &g->mem, &g->paging, tell_new, g);
	if (err == -ECONNRESET || err == -ENOMEM)
		return err;
	if (!err) {
		unread = 0;
		return tell_gone(g);
	}
	if (++unread != UNREAD_TIMES || g->budget.spent) /* the latter tells itself */
		return 0;
	return rf_tell(g, &rf_guard_hooks, UNREAD, (const uint64_t[]){ 0 }, 1);
}

static uint32_t period_ms(const struct rf_guest *g)
{
	return rf_unit_overran(g, &rf_guard_hooks.sweep_unit) ? OVERRUN_MS : PERIOD_MS;
}

/* --- both --------------------------------------------------------------------- */

static void forget(struct rf_guest *g)
{
	rf_hooks_destroy(hooks);
	hooks = NULL;
	told.count = known.count = 0;
	lines = unread = unread_told = 0;
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

static const char *lacks(const struct rf_guest *g)
{
	return hooks ? NULL : "there is no table of patch sites, or it could not be read";
}

const struct rf_guard rf_guard_hooks = {
	.name = "hooks",
	.lacks = lacks,
	.attach = attach,
	.forget = forget,
	.follow = begin,
	.period_ms = period_ms,
	.sweep_unit = { 1 << 18, "walking lists of tracers, probes and tracepoints" },
	.sweep = sweep,
	.found = found,
};
