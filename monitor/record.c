// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor's way to its log. What says the same as a line before it is counted instead
 * (policy/fold.h); a verdict never depends on that.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "policy/foldlog.h"

#define AGAIN_NS UINT64_C(1000000000)

static int written(const struct rf_guest *g, int err)
{
	if (err)
		rf_complain(g, "the audit log could not be written: %s", strerror(-err));
	return err;
}

/* --- a log that takes no line ------------------------------------------------ */

static const char *on_full(const struct rf_guest *g)
{
	switch (g->policy.on_log_full) {
	case RF_ON_LOG_FULL_PAUSE:
		return "nothing is answered until there is room";
	case RF_ON_LOG_FULL_CONTINUE:
		return "decisions are counted only, and the guest goes on, until there is room";
	case RF_ON_LOG_FULL_DENY:
		break;
	}
	return "decisions are counted only, and what needs a line is refused, until there is room";
}

/* Told once, by whichever monitor it is. */
static int is_full(struct rf_guest *g, int err, const struct rf_fold_time *now)
{
	if (g->fold->gap.error)
		return err;
	rf_fold_gap_begin(g->fold, err, now);
	g->tried_ns = now->mono_ns;
	if (err == RF_FOLD_QUOTA)
		rf_complain(g, "the audit log is as long as log_quota_mb lets it be: %s",
			    on_full(g));
	else
		rf_complain(g, "the audit log could not be written: %s; %s", strerror(-err),
			    on_full(g));
	return err;
}

static bool over_quota(const struct rf_guest *g, uint64_t size, bool decision)
{
	uint64_t quota = rf_policy_log_bytes(&g->policy, !decision);

	return quota && size >= quota;
}

bool rf_record_is_long(const struct rf_guest *g, uint64_t size)
{
	return over_quota(g, size, false);
}

/* Has it room again? Then the gap is told of first, and then all that was counted. */
static int try_again(struct rf_guest *g, const struct rf_fold_time *now)
{
	uint64_t decisions, lines;
	int err;

	rf_fold_gap_sums(g->fold, &decisions, &lines);
	err = over_quota(g, rf_audit_size(g->audit), true)
		      ? RF_FOLD_QUOTA
		      : rf_fold_flush(g->fold, g->audit, now, true);
	g->tried_ns = now->mono_ns;
	if (!g->fold->gap.error)
		rf_complain(g, "the audit log is written again; %llu decisions were counted only",
			    (unsigned long long)decisions);
	return err ? is_full(g, err, now) : 0;
}

bool rf_record_waits(const struct rf_guest *g)
{
	return g->fold && !g->resuming && g->policy.on_log_full == RF_ON_LOG_FULL_PAUSE &&
	       (g->fold->gap.error || g->patches_full);
}

static bool is_one_of(const char *kind, const char *const *kinds)
{
	while (*kinds && strcmp(*kinds, kind) != 0)
		kinds++;
	return *kinds;
}

/* Something is let on the ground of this line. */
static bool lets(const struct rf_record *r)
{
	static const char *const kinds[] = { "kernel",	"seal",	 "measure", "kexec", "patch",
					     "monitor", "traps", "policy",  NULL };

	return is_one_of(r->kind, kinds) || (r->answer && r->answer->verdict == RF_ANSWERED_ALLOW);
}

/* Of what the VMM did to the VM; who judges can wait with it. */
static bool is_life(const struct rf_record *r)
{
	static const char *const kinds[] = { "reset", "load", "unsealed", NULL };

	return is_one_of(r->kind, kinds);
}

static void count(struct rf_guest *g, const struct rf_record *r, const struct rf_fold_time *now)
{
	rf_fold_count(g->fold, r, now);
	g->counted[r->verdict]++;
}

/* The log has not taken it. What becomes of it is the policy's. */
static int not_written(struct rf_guest *g, const struct rf_record *r, bool decision, int err,
		       const struct rf_fold_time *now)
{
	static const struct rf_audit_answer kill = { .verdict = RF_ANSWERED_KILL };
	struct rf_record refused = *r;

	is_full(g, err, now);
	if (rf_record_waits(g) && (r->answer || (!decision && (lets(r) || is_life(r)))))
		return err;
	if (decision && r->answer && r->answer->verdict == RF_ANSWERED_ALLOW &&
	    r->verdict != RF_WORD_ALLOWED && g->policy.on_log_full == RF_ON_LOG_FULL_DENY) {
		refused.answer = &kill; /* as judge.c will have it */
		refused.verdict = RF_WORD_BLOCKED;
		count(g, &refused, now);
		return err;
	}
	if (decision || rf_fold_is_end(r)) {
		count(g, r, now);
		return 0;
	}
	rf_fold_gap_missed(g->fold);
	return g->policy.on_log_full == RF_ON_LOG_FULL_CONTINUE || g->resuming || !lets(r) ? 0
											   : err;
}

/* May a line be tried? What is no decision has the quota's reserve, and ends a gap that is over. */
static int room_for(struct rf_guest *g, bool decision, const struct rf_fold_time *now)
{
	int error = g->fold->gap.error;

	if (error && decision)
		return error;
	if (error && error != RF_FOLD_QUOTA)
		return try_again(g, now);
	return over_quota(g, rf_audit_size(g->audit), decision) ? RF_FOLD_QUOTA : 0;
}

/* --- records ----------------------------------------------------------------- */

int rf_record_write(struct rf_guest *g, const struct rf_record *r)
{
	struct rf_fold_time now;
	bool decision;
	int err;

	if (!g->fold)
		return written(g, rf_audit_write(g->audit, r));
	now = rf_fold_now();
	decision = rf_fold_is_decision(r);
	err = room_for(g, decision, &now);
	if (!err && decision && !rf_fold_in_full(g->fold, r, &now)) {
		count(g, r, &now);
		return 0;
	}
	if (!err)
		err = rf_audit_write(g->audit, r);
	return err ? not_written(g, r, decision, err, &now) : 0;
}

int rf_record_outcome(struct rf_guest *g, uint64_t event, int status)
{
	const char *text = status ? "failed" : "ok";
	struct rf_fold_time now;
	int err;

	if (!g->fold)
		return written(g, rf_audit_outcome(g->audit, event, text));
	now = rf_fold_now();
	/* Of what has no line what went wrong: with a line where it ends the VM, and counted else,
	 * as it can come again and again. */
	if ((!status || status == RF_NOT_NOW) && !rf_audit_has_event(g->audit, event) &&
	    rf_fold_has_event(g->fold, event)) {
		if (status)
			rf_fold_failed(g->fold, event, &now);
		return 0;
	}
	err = room_for(g, true, &now);
	if (!err)
		err = rf_audit_outcome(g->audit, event, text);
	if (!err)
		return 0;
	is_full(g, err, &now);
	if (rf_record_waits(g))
		return err;
	rf_fold_gap_missed(g->fold);
	return 0;
}

int rf_note(struct rf_guest *g, const char *kind, const char *outcome, const char *detail)
{
	const struct rf_record r = { .kind = kind, .outcome = outcome, .detail = detail };

	return rf_record_write(g, &r);
}

bool rf_record_decision(const struct rf_guest *g, const struct rf_msg_event *ev,
			struct rf_audit_decision *out)
{
	if (rf_audit_decision(g->audit, ev->id, out))
		return true;
	/* Memory that a monitor which was taken over could fill: what it lets is judged anew. */
	return g->fold && rf_fold_decision(g->fold, ev->vcpu, ev->id, out) &&
	       (out->answer.verdict == RF_ANSWERED_DENY || out->answer.verdict == RF_ANSWERED_KILL);
}

void rf_record_tell_twice(struct rf_guest *g, const struct rf_msg_event *ev)
{
	struct rf_audit_decision counted;
	char detail[160];

	if (!g->fold || !rf_fold_decision(g->fold, ev->vcpu, ev->id, &counted))
		return;
	snprintf(detail, sizeof(detail),
		 "event %llu was counted, as let, by an earlier monitor that died before it had "
		 "answered: it is judged anew, and on record once more",
		 (unsigned long long)ev->id);
	rf_note(g, "monitor", "recorded twice", detail);
}

void rf_record_flush(struct rf_guest *g, bool all)
{
	struct rf_fold_time now;
	int err;

	if (!g->fold)
		return;
	now = rf_fold_now();
	if (g->fold->gap.error) {
		if (all || now.mono_ns - g->tried_ns >= AGAIN_NS)
			try_again(g, &now);
		return;
	}
	if (!rf_fold_waits(g->fold))
		return;
	err = over_quota(g, rf_audit_size(g->audit), true)
		      ? RF_FOLD_QUOTA
		      : rf_fold_flush(g->fold, g->audit, &now, all);
	if (err)
		is_full(g, err, &now);
}

/* Its lines are a gap in the file; that anybody hears of it now is for the operator. */
static void tell_cuts(struct rf_guest *g)
{
	if (rf_audit_cuts(g->audit) == g->cuts_told)
		return;
	g->cuts_told = rf_audit_cuts(g->audit);
	rf_complain(g, "somebody has cut the audit log while it is written (copytruncate?): lines "
		       "may be lost, and a line of type gap says which are not in it; rotate with "
		       "`ringfence audit rotate`");
}

/* A log that takes no line takes no checkpoint either. */
void rf_record_tick(struct rf_guest *g)
{
	const struct rf_fold_time now = rf_fold_now();
	int err;

	tell_cuts(g);
	if (g->fold && g->fold->gap.error)
		return;
	err = rf_audit_tick(g->audit);
	if (err && g->fold)
		is_full(g, err, &now);
	else
		written(g, err);
}

/* What is counted can be written into the quota's reserve, now that nothing else will need it. */
/* As far as the monitor can know: how the VMM ended, `run` says. */
static const char *end_cause(const struct rf_guest *g)
{
	struct pollfd run = { .fd = g->notify_fd };

	if (g->killed_ns)
		return "a verdict ended it";
	/* Nobody reads that pipe any more: its reader is `run` alone. */
	if (g->notify_fd >= 0 && poll(&run, 1, 0) == 1 && run.revents & POLLERR)
		return "`ringfence run` is gone, and the VM with it";
	return "the VMM ended";
}

int rf_record_end(struct rf_guest *g)
{
	const struct rf_fold_time now = rf_fold_now();
	int err;

	if (g->fold && g->fold->gap.error == RF_FOLD_QUOTA &&
	    !over_quota(g, rf_audit_size(g->audit), false)) {
		err = rf_fold_flush(g->fold, g->audit, &now, true);
		if (err)
			return written(g, err);
	}
	return g->fold && g->fold->gap.error ? 0 : written(g, rf_audit_end(g->audit, end_cause(g)));
}

int rf_record_begin(struct rf_guest *g, uint64_t instance)
{
	int err = g->fold ? rf_fold_adopt(g->fold, instance, rf_audit_written(g->audit)) : 0;

	if (!g->fold || err) {
		g->fold = calloc(1, sizeof(*g->fold));
		if (!g->fold)
			return -ENOMEM;
		rf_fold_init(g->fold, instance);
	}
	if (err)
		rf_note(g, "monitor", "counts are lost",
			"what an earlier monitor counted instead of writing it down is of "
			"another release, or damaged");
	rf_record_flush(g, true);
	return 0;
}

/* --- for the operator -------------------------------------------------------- */

json_t *rf_record_status(const struct rf_guest *g)
{
	static const struct rf_fold none;
	const struct rf_fold *f = g->fold ? g->fold : &none;
	const struct rf_fold_gap *gap = &f->gap;
	const char *cause = !gap->error			  ? ""
			    : gap->error == RF_FOLD_QUOTA ? "log_quota_mb"
							  : strerror(-gap->error);
	uint64_t decisions, lines;

	rf_fold_gap_sums(f, &decisions, &lines);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "state",
			 gap->error ? "full" : "ok", "cause", cause, "since",
			 (json_int_t)(gap->since.real_ns / 1000000000), "counted_only",
			 (json_int_t)decisions, "lines_lost", (json_int_t)lines, "folded",
			 (json_int_t)f->counted, "in_no_line_yet", (json_int_t)rf_fold_pending(f),
			 "patches_lost", (json_int_t)g->patches_lost);
}
