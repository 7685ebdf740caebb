// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor's end of the guard of hooks: looks at what the sweeper names, asks the policy, and
 * writes it down. A verdict must not wait for that: it reads so much a tick, and puts the rest off.
 */
#include "monitor/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OBJECT_READS 4096 /* of one object, and of finding its handlers' names */
#define WAITING 1024
#define UNREAD_LINES 16	 /* of one kernel */
#define RETOLD_MS 180000 /* after which another sweeper has told all that there is */

struct waiting {
	uint64_t kind, object;
};

/* One VM a process. */
static struct rf_hook_table known; /* that a line is about */
static struct waiting waiting[WAITING];
static uint32_t waiting_first, waiting_count;
static uint32_t lines, unread_told, sweepers;
static bool quiet; /* there are more than are told */
static uint64_t allowance;
static uint32_t aging_ms; /* until what another sweeper has not told is forgotten; 0: nothing is */

/* What is looked at, and who was named last. */
struct look {
	struct rf_guest *g;
	const struct rf_hooks *h;
	struct rf_hook found[RF_HOOKS_EACH];
	unsigned int count;
	struct rf_named last; /* a module's */
	uint64_t base, size;  /* of its part */
};

/* --- whose it is ---------------------------------------------------------------- */

struct owner {
	struct rf_named named;
	bool bpf;
	int err; /* of a list that does not lead to an owner: -E2BIG it was too long */
};

static bool is_found(int err)
{
	return !err || err == -ENOENT;
}

/* Many handlers of one object are often one module's, whose list need be read once. */
static bool is_lasts(struct look *l, uint64_t gva, struct rf_named *out)
{
	if (!l->last.module[0] || gva < l->base || gva - l->base >= l->size)
		return false;
	*out = l->last;
	out->addr = gva;
	out->offset = gva - l->base;
	return true;
}

static void find_owner(struct look *l, uint64_t gva, struct owner *out)
{
	struct rf_guest *g = l->g;
	char name[RF_BPF_NAME];
	struct rf_module m;
	int err;

	*out = (struct owner){ 0 };
	if (is_lasts(l, gva, &out->named))
		return;
	out->err = rf_name_within(g, &g->paging, gva, &out->named, &m);
	if (out->named.module[0]) {
		l->last = out->named;
		l->base = m.base.v;
		l->size = m.size;
	}
	if (out->named.symbol[0])
		return;
	err = rf_hooks_bpf(l->h, &g->mem, &g->paging, rf_gva_of(gva), name);
	if (!err) {
		out->bpf = true;
		/* No symbol of a kernel's has a bracket: this one is the guest's word. */
		snprintf(out->named.symbol, sizeof(out->named.symbol), "[bpf: %s]", name);
		out->err = 0;
	} else if (!is_found(err) && is_found(out->err)) {
		out->err = err;
	}
}

/* --- a line ---------------------------------------------------------------------- */

/* Of a breakpoint alone the place is all that is known. */
static bool is_nobodys(const struct rf_hook *hook)
{
	return hook->kind == RF_HOOK_STRAY && hook->handler == hook->function;
}

static size_t describe_function(const struct rf_hook *hook, char *text, size_t size)
{
	const char *kind = rf_hook_text((enum rf_hook_kind)hook->kind);
	int len;

	if (hook->kind == RF_HOOK_UNLISTED)
		len = snprintf(text, size,
			       "%s: functions call it, and no list of the kernel's "
			       "has it, nor a key%s",
			       kind, hook->unread ? ", by the sweeper's word" : "");
	else if (hook->kind == RF_HOOK_STRAY)
		len = snprintf(text, size,
			       "%s: it stands in text, and is in no table of the kernel's", kind);
	else if (hook->unread)
		len = snprintf(text, size, "%s, of functions that could not be read", kind);
	else if (hook->more)
		len = snprintf(text, size, "%s, and %llu more functions", kind,
			       (unsigned long long)hook->more);
	else
		len = snprintf(text, size, "%s%s", kind, hook->function ? "" : ", every function");
	return (size_t)len < size ? (size_t)len : size - 1;
}

static void describe(const struct rf_hook *hook, const struct owner *o, char *text, size_t size)
{
	size_t len = describe_function(hook, text, size);

	text += len;
	size -= len;
	/* What stands in quotes is the guest's claim. */
	if (is_nobodys(hook))
		snprintf(text, size, "; whose it is nobody says");
	else if (o->named.module[0])
		snprintf(text, size, "; calls the module \"%s\"", o->named.module);
	else if (o->bpf)
		snprintf(text, size, "; calls BPF code by the guest's list, %s", o->named.symbol);
	else if (o->err == -E2BIG)
		snprintf(text, size, "; calls code in memory: its owner was not found in time");
	else if (!is_found(o->err))
		snprintf(text, size,
			 "; calls code in memory: the guest's lists could not be read "
			 "to its owner");
	else
		snprintf(text, size, "; calls code in memory that no listed module owns");
}

static int write_line(struct look *l, const struct rf_hook *hook, const struct owner *o,
		      const struct rf_named *target, const struct rf_decision *d)
{
	struct rf_record r = { .kind = "hook",
			       .has_target = hook->function != 0,
			       .target = *target,
			       .has_handler = !is_nobodys(hook),
			       .handler = o->named,
			       .rule = d->rule,
			       .verdict = d->word,
			       .outcome = "left as it is" };
	char detail[320];

	describe(hook, o, detail, sizeof(detail));
	r.detail = detail;
	return rf_record_write(l->g, &r);
}

/* *told: a line is about it. What the policy lets is not remembered: its owner may change. */
static int alert(struct look *l, const struct rf_hook *hook, bool *told)
{
	struct rf_facts facts = { .kind = RF_FACT_HOOK };
	struct rf_named target = { 0 };
	struct rf_decision d;
	struct rf_module m;
	struct owner owner;

	*told = false;
	if (rf_hook_is_let(l->g, hook->kind))
		return 0;
	if (lines == RF_HOOKS_KNOWN) {
		quiet = true;
		return rf_note(l->g, "hook", "not told one by one any more",
			       "more handlers outside the sealed image than are told of one "
			       "kernel; whose the others are is not looked at");
	}
	find_owner(l, hook->handler, &owner);
	if (hook->function)
		rf_name_within(l->g, &l->g->paging, hook->function, &target, &m);
	if (rf_hook_is_usual(hook, target.symbol, owner.named.module))
		return 0;
	facts.hook = rf_policy_owner(&l->g->policy,
				     rf_policy_hook(rf_hook_text((enum rf_hook_kind)hook->kind)),
				     owner.named.module, owner.bpf);
	if (rf_policy_decide(&l->g->policy, &facts, &d))
		return -EINVAL;
	if (d.word == RF_WORD_ALLOWED)
		return 0;
	lines++;
	*told = true;
	return write_line(l, hook, &owner, &target, &d);
}

/* A filter may change as often as the guest likes: that is one line more, and no other. */
static bool is_news(struct rf_hook_entry *e, const struct rf_hook *hook)
{
	e->here = true;
	if (e->moved || hook->unread || e->hook.function == hook->function)
		return false;
	e->moved = true;
	return true;
}

/* First all that the object has: finding a name must not hide the one behind. */
static int look_at(void *ctx, const struct rf_hook *hook)
{
	struct look *l = ctx;

	if (l->count < RF_HOOKS_EACH)
		l->found[l->count++] = *hook;
	return 0;
}

static int judge(struct look *l, const struct rf_hook *hook)
{
	uint32_t i = rf_hook_place(&known, hook);
	bool told;
	int err;

	if (quiet || (i < known.count && !is_news(&known.of[i], hook)))
		return 0;
	err = alert(l, hook, &told);
	if (!err && told && i == known.count)
		rf_hook_add(&known, hook);
	return err;
}

/* --- when it is looked at --------------------------------------------------------- */

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

	if (unread_told++ >= UNREAD_LINES)
		return 0;
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	return rf_record_write(g, &r);
}

static int look(struct rf_guest *g, const struct rf_hooks *h, uint64_t kind, uint64_t object)
{
	struct look l = { .g = g, .h = h };
	struct rf_budget outer = rf_part_begin(g, OBJECT_READS);
	int err = rf_hooks_look(h, &g->mem, &g->paging, kind, object, look_at, &l), bad = 0;
	uint64_t used;

	for (unsigned int i = 0; !bad && i < l.count; i++)
		bad = judge(&l, &l.found[i]);
	used = rf_part_end(g, &outer);
	allowance -= used < allowance ? used : allowance;
	if (bad)
		return bad;
	/* What is there no more, or cannot be read, the sweeper tells again. */
	if (err == -ENOENT || err == -EFAULT || err == -EBADMSG || err == -EINVAL)
		return 0;
	return err == -E2BIG ? record_unread(g) : err;
}

/* What finds no room the sweeper tells again. */
static void put_off(uint64_t kind, uint64_t object)
{
	for (uint32_t i = 0; i < waiting_count; i++) {
		const struct waiting *w = &waiting[(waiting_first + i) % WAITING];

		if (w->kind == kind && w->object == object)
			return;
	}
	if (waiting_count < WAITING)
		waiting[(waiting_first + waiting_count++) % WAITING] =
			(struct waiting){ kind, object };
}

static void forget_one(const struct rf_hook *hook)
{
	uint32_t i = rf_hook_place(&known, hook);

	if (i < known.count)
		rf_hook_drop(&known, i);
}

int rf_hooks_found(struct rf_guest *g, const struct rf_hooks *h, uint32_t kind,
		   const uint64_t *values, size_t n)
{
	int err = 0;

	if (kind == RF_HOOKS_UNREAD)
		return record_unread(g);
	for (size_t i = 0; kind == RF_HOOKS_GONE && i + 4 <= n; i += 4)
		forget_one(&(struct rf_hook){
			.kind = values[i], .object = values[i + 1], .handler = values[i + 2] });
	if (kind == RF_HOOKS_GONE || kind > RF_HOOK_KINDS)
		return 0;
	for (size_t i = 0; !quiet && !err && i < n; i++) {
		if (allowance >= OBJECT_READS && !waiting_count)
			err = look(g, h, kind, values[i]);
		else
			put_off(kind, values[i]);
	}
	return err;
}

/* A sweeper that died cannot say what has gone since: what the next one does not name has. */
static void age(const struct rf_guest *g, uint32_t elapsed_ms)
{
	if (sweepers != g->pair.sweepers) {
		sweepers = g->pair.sweepers;
		aging_ms = RETOLD_MS;
		for (uint32_t i = 0; i < known.count; i++)
			known.of[i].here = false;
	}
	if (!aging_ms)
		return;
	aging_ms -= elapsed_ms < aging_ms ? elapsed_ms : aging_ms;
	for (uint32_t i = aging_ms ? 0 : known.count; i--;)
		if (!known.of[i].here)
			rf_hook_drop(&known, i);
}

int rf_hooks_tick(struct rf_guest *g, const struct rf_hooks *h, uint32_t elapsed_ms)
{
	int err = 0;

	age(g, elapsed_ms);
	allowance = RF_HOOKS_READS;
	while (!err && waiting_count && allowance >= OBJECT_READS) {
		struct waiting w = waiting[waiting_first];

		waiting_first = (waiting_first + 1) % WAITING;
		waiting_count--;
		if (!quiet)
			err = look(g, h, w.kind, w.object);
	}
	return err;
}

void rf_hooks_begin(const struct rf_guest *g)
{
	known.count = 0;
	waiting_count = lines = unread_told = aging_ms = 0;
	sweepers = g->pair.sweepers;
	quiet = false;
	allowance = RF_HOOKS_READS;
}
