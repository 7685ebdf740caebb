// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guard that runs the checks of introspection/checks, each in its period, one at a time. What
 * one finds may be a moment's, in which the kernel itself is at work and a vCPU was halted: it is
 * told when it is found once more, after the guest has run on. checks_told.c writes it down.
 */
#include "monitor/checks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AGAIN_MS 300u /* until what was found is looked for again ... */
#define AGAIN_RAN 18u /* ... and so much the guest must have run, by rf_ran(), a second late */
#define SEEN_MAX 640u
/* Of these for checks that pause or end the VM: no noise of others is to hide what they find. */
#define SEEN_ACTING 128u
#define UNABLE_TIMES 4u /* in a row, before that is told */

/* Found, and there still. */
struct seen {
	uint32_t check;
	struct rf_check_words words;
	uint64_t ms, ran; /* when it was first */
	bool here, told;
	struct rf_check_finding finding; /* for who asks */
};

struct timing {
	uint64_t due_ms;
	uint32_t unable; /* times in a row */
	struct rf_check_result result;
};

/* One VM a process. */
static struct rf_checks *checks;
static struct seen seen[SEEN_MAX];
static uint32_t seen_count;
static struct timing timings[RF_CHECKS_MAX];
static uint32_t at_work; /* the check that runs */
static uint64_t now_ms;	 /* that sweeps have taken, all together */

/* False: nobody knows now. */
static bool guest_ran(struct rf_guest *g, uint64_t *out)
{
	struct rf_backend_info info;

	if (g->hv->ops->info(g->hv, &info))
		return false;
	*out = rf_ran(&info);
	return true;
}

/* Can no more be noted of the check at work? */
static bool is_full(const struct rf_guest *g)
{
	const char *name = rf_checks[at_work]->name;
	bool acts = rf_names_has(&g->policy.checks_pause, name) ||
		    rf_names_has(&g->policy.checks_kill, name);

	return seen_count >= (acts ? SEEN_MAX : SEEN_MAX - SEEN_ACTING);
}

/* --- one round of one check --------------------------------------------------------- */

static void describe(const struct rf_check_finding *f, struct rf_check_words *w)
{
	*w = (struct rf_check_words){ .object = f->object.v, .target = f->target.v };
	snprintf(w->what, sizeof(w->what), "%s", f->what);
	snprintf(w->reason, sizeof(w->reason), "%.111s", f->reason);
}

static int note(void *guest, const struct rf_check_finding *f)
{
	struct rf_guest *g = guest;
	struct rf_check_words w;
	uint64_t ran;
	struct seen *s;

	describe(f, &w);
	for (uint32_t i = 0; i < seen_count; i++) {
		s = &seen[i];
		if (s->check == at_work && rf_check_words_same(&s->words, &w)) {
			s->here = true;
			s->finding = *f;
			return 0;
		}
	}
	/* Each of the others is told, or gone soon; what cannot be timed is found again. */
	if (is_full(g) || !guest_ran(g, &ran))
		return 0;
	seen[seen_count++] = (struct seen){
		.check = at_work, .words = w, .ms = now_ms, .ran = ran, .here = true, .finding = *f
	};
	return 0;
}

static int tell(struct rf_guest *g, enum rf_checks_said what, const struct rf_check_words *w)
{
	uint64_t values[RF_CHECK_VALUES];

	memcpy(values, w, sizeof(values));
	return rf_tell(g, &rf_guard_checks, (uint32_t)what | at_work, values, RF_CHECK_VALUES);
}

static bool is_settled(struct rf_guest *g, const struct seen *s)
{
	uint64_t ran;

	return now_ms - s->ms >= AGAIN_MS && guest_ran(g, &ran) && ran >= s->ran &&
	       ran - s->ran >= AGAIN_RAN;
}

/* whole: the check has looked at all that there is. *again: something waits for another look. */
static int tell_news(struct rf_guest *g, bool whole, bool *again)
{
	int err = 0;

	for (uint32_t i = seen_count; !err && i--;) {
		struct seen *s = &seen[i];

		if (s->check != at_work)
			continue;
		if (!s->here && whole) {
			err = s->told ? tell(g, RF_CHECKS_GONE, &s->words) : 0;
			*s = seen[--seen_count];
			continue;
		}
		if (s->told || !s->here)
			continue;
		s->told = is_settled(g, s);
		*again |= !s->told;
		if (s->told)
			err = tell(g, RF_CHECKS_FOUND, &s->words);
	}
	return err;
}

static int tell_unable(struct rf_guest *g, struct timing *t)
{
	struct rf_check_words w = { 0 };

	t->unable = t->result.cut || is_full(g) ? t->unable + 1 : 0;
	if (t->unable != UNABLE_TIMES)
		return 0;
	snprintf(w.reason, sizeof(w.reason), "%.111s",
		 t->result.cut ? t->result.why : "more was found than can be told");
	return tell(g, RF_CHECKS_UNABLE, &w);
}

static int run_one(struct rf_guest *g, uint32_t which)
{
	struct timing *t = &timings[which];
	bool again = false;
	int err;

	at_work = which;
	for (uint32_t i = 0; i < seen_count; i++)
		seen[i].here &= seen[i].check != which;
	rf_checks_run(checks, rf_checks[which], note, g, &t->result);
	err = tell_news(g, !t->result.cut, &again);
	if (!err)
		err = tell_unable(g, t);
	t->due_ms = now_ms + (again ? AGAIN_MS : rf_checks[which]->period_ms);
	return err;
}

/* The one that is most behind. */
static int sweep(struct rf_guest *g, uint32_t elapsed_ms)
{
	uint32_t which = RF_CHECKS_MAX;

	now_ms += elapsed_ms;
	if (!checks || !g->checks_on)
		return 0;
	for (uint32_t i = 0; rf_checks[i]; i++)
		if (timings[i].due_ms <= now_ms && rf_checks_runs(g, rf_checks[i]) &&
		    (which == RF_CHECKS_MAX || timings[i].due_ms < timings[which].due_ms))
			which = i;
	return which == RF_CHECKS_MAX ? 0 : run_one(g, which);
}

/* --- for who asks ----------------------------------------------------------------------- */

static json_t *state_of(const struct rf_guest *g, uint32_t i)
{
	const struct rf_check_result *r = &timings[i].result;
	const struct rf_guard *guard = rf_checks_guard(g, rf_checks[i]);
	const char *state = r->state ? rf_check_state_text(r->state) : "not yet";

	if (guard)
		state = "by a guard"; /* which is not off */
	else if (rf_checks_is_off(g, rf_checks[i]))
		state = "off";
	return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:s}", "name", rf_checks[i]->name,
			 "state", state, "guard", guard ? guard->name : NULL, "looked_at",
			 (json_int_t)r->looked_at, "found", (json_int_t)r->found, "reads",
			 (json_int_t)r->reads, "why", r->why);
}

static json_t *finding_of(const struct seen *s)
{
	const struct rf_check_finding *f = &s->finding;
	char object[24], target[24], bytes[2 * sizeof(f->bytes) + 1] = "";

	snprintf(object, sizeof(object), "%#llx", (unsigned long long)f->object.v);
	snprintf(target, sizeof(target), "%#llx", (unsigned long long)f->target.v);
	for (unsigned int i = 0; i < f->bytes_count; i++)
		snprintf(bytes + 2 * i, 3, "%02x", f->bytes[i]);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "check",
			 rf_checks[s->check]->name, "what", f->what, "object", object, "target",
			 target, "owner", f->owner, "symbol", f->symbol, "reason", f->reason,
			 "bytes", bytes, "told", s->told);
}

static json_t *reply(struct rf_guest *g)
{
	json_t *states = json_array(), *findings = json_array();
	int err = 0;

	for (uint32_t i = 0; rf_checks[i]; i++)
		err |= json_array_append_new(states, state_of(g, i));
	for (uint32_t i = 0; i < seen_count; i++)
		err |= json_array_append_new(findings, finding_of(&seen[i]));
	if (err) {
		json_decref(states);
		json_decref(findings);
		return NULL;
	}
	return json_pack("{s:b, s:b, s:o, s:o}", "done", true, "on", checks && g->checks_on,
			 "checks", states, "findings", findings);
}

static bool busy(const struct rf_guest *g)
{
	return false;
}

static void step(struct rf_guest *g) {}

/* --- both ----------------------------------------------------------------------------------- */

static int found(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n)
{
	return g->checks_on ? rf_checks_said(g, kind, values, n) : 0;
}

static int tick(struct rf_guest *g, uint32_t elapsed_ms)
{
	rf_checks_ask_run(g);
	return 0;
}

static void forget(struct rf_guest *g)
{
	rf_checks_destroy(checks);
	checks = NULL;
	seen_count = 0;
	now_ms = 0;
	memset(timings, 0, sizeof(timings));
	rf_checks_begin();
}

static int begin(struct rf_guest *g)
{
	const struct rf_checks_options options = {
		.live = true, .known = { g->owner_names, g->policy.owners.count }
	};

	forget(g);
	for (uint32_t i = 0; i < g->policy.owners.count; i++)
		g->owner_names[i] = g->policy.owners.name[i];
	if (!g->kernel || !rf_kernel_has_types(g->kernel))
		return 0;
	return rf_checks_create(g->kernel, &g->mem, &g->paging, &options, &checks);
}

static int attach(struct rf_guest *g, bool kept)
{
	g->checks_on = g->policy.checks == RF_CHECKS_ALERT;
	return begin(g);
}

static const char *lacks(const struct rf_guest *g)
{
	if (g->policy.checks != RF_CHECKS_ALERT)
		return "the policy has checks off";
	return g->kernel && rf_kernel_has_types(g->kernel) ? NULL
							   : "this kernel's types are not known";
}

const struct rf_guard rf_guard_checks = {
	.name = "checks",
	.lacks = lacks,
	.attach = attach,
	.forget = forget,
	.follow = begin,
	.tick_unit = { 1, "asking for what the policy says of a check" },
	.tick = tick,
	.sweep_unit = { UINT64_C(1) << 24, "running a check" },
	.sweep = sweep,
	.found = found,
	.command = "check",
	.reply = reply,
	.busy = busy,
	.step = step,
	.step_unit = { 1, "answering what checks have found" },
};
