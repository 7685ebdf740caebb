/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor's way to its log. What says the same as a line before it is counted instead
 * (policy/fold.h); a verdict never depends on that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "policy/foldlog.h"

static int written(const struct rf_guest *g, int err)
{
	if (err)
		rf_complain(g, "the audit log could not be written: %s", strerror(-err));
	return err;
}

static void count(struct rf_guest *g, const struct rf_record *r, const struct rf_fold_time *now)
{
	rf_fold_count(g->fold, r, now);
	g->counted[r->verdict]++;
}

int rf_record_write(struct rf_guest *g, const struct rf_record *r)
{
	if (g->fold && rf_fold_is_decision(r)) {
		const struct rf_fold_time now = rf_fold_now();

		if (!rf_fold_in_full(g->fold, r, &now)) {
			count(g, r, &now);
			return 0;
		}
	}
	return written(g, rf_audit_write(g->audit, r));
}

int rf_record_outcome(struct rf_guest *g, uint64_t event, const char *status)
{
	/* Of what has no line only what went wrong. */
	if (g->fold && !strcmp(status, "ok") && !rf_audit_has_event(g->audit, event) &&
	    rf_fold_has_event(g->fold, event))
		return 0;
	return written(g, rf_audit_outcome(g->audit, event, status));
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
	if (!g->fold || !rf_fold_decision(g->fold, ev->vcpu, ev->id, out))
		return false;
	/* It lies in memory alone: nothing against the rules is let through on its word. */
	if (out->answer.verdict == RF_ANSWERED_ALLOW && out->word != RF_WORD_ALLOWED &&
	    g->policy.mode != RF_MODE_OBSERVE) {
		out->exact = false;
		out->answer.verdict = RF_ANSWERED_DENY;
	}
	return true;
}

int rf_record_flush(struct rf_guest *g, bool all)
{
	const struct rf_fold_time now = rf_fold_now();

	return g->fold ? written(g, rf_fold_flush(g->fold, g->audit, &now, all)) : 0;
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
		err = rf_note(g, "monitor", "counts are lost",
			      "what an earlier monitor counted instead of writing it down is of "
			      "another release, or damaged");
	return err ? err : rf_record_flush(g, true);
}
