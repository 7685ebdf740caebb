// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor's end of the guard of checks. It does not walk what the sweeper has walked: a verdict
 * must not wait for that. So that something was found, what it is and why it is odd, is the
 * sweeper's word; which check that is, and whose the addresses are, is looked up here.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/checks.h"

#define LINES 1024u	  /* of one kernel */
#define UNABLE_LINES 256u /* the same, of what could not be decided */
#define ACTED_LINES 16u	  /* the same, of each check that pauses or ends the VM: of its own */
#define TOLD_MAX (LINES + ACTED_LINES * RF_CHECKS_MAX)

struct line {
	uint32_t check;
	struct rf_check_words words;
};

/* One VM a process. */
static struct line told[TOLD_MAX]; /* that a line is about */
static uint32_t acted[RF_CHECKS_MAX];
static uint32_t told_count, lines, unable_lines;
static bool quiet; /* there are more than are told */
/* Of `run`, which has not taken it yet; NULL nothing. A guest that restarts takes none of it back.
 */
static const char *asked;

void rf_checks_begin(void)
{
	told_count = lines = unable_lines = 0;
	quiet = false;
	memset(acted, 0, sizeof(acted));
}

bool rf_check_words_same(const struct rf_check_words *a, const struct rf_check_words *b)
{
	return a->object == b->object && a->target == b->target &&
	       !strncmp(a->reason, b->reason, sizeof(a->reason));
}

/* --- what the sweeper says ------------------------------------------------------------ */

static void make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	/* Nor may it close the quotes around it. */
	for (; *text; text++)
		if (!isprint((unsigned char)*text) || *text == '"')
			*text = '?';
}

static bool take_words(const uint64_t *values, size_t n, struct rf_check_words *out)
{
	if (n != RF_CHECK_VALUES)
		return false;
	memcpy(out, values, sizeof(*out));
	make_printable(out->what, sizeof(out->what));
	make_printable(out->reason, sizeof(out->reason));
	return true;
}

static bool is_a_check(uint32_t place)
{
	uint32_t n = 0;

	while (rf_checks[n])
		n++;
	return place < n;
}

/* Its place among those told, or told_count. */
static uint32_t find(uint32_t check, const struct rf_check_words *w)
{
	uint32_t i = 0;

	while (i < told_count &&
	       (told[i].check != check || !rf_check_words_same(&told[i].words, w)))
		i++;
	return i;
}

/* --- a line -------------------------------------------------------------------------------- */

/* It holds the VMM's process. */
void rf_checks_ask_run(struct rf_guest *g)
{
	if (asked && rf_notify(g, "%s", asked))
		asked = NULL;
}

static int write_finding(struct rf_guest *g, const struct rf_check *check,
			 const struct rf_check_words *w, const struct rf_decision *d)
{
	struct rf_record r = { .kind = "check",
			       .rule = d->rule,
			       .verdict = d->word,
			       .has_target = true,
			       .has_handler = w->target != 0,
			       .outcome = d->action == RF_ACTION_KILL	 ? RF_OUTCOME_ENDED
					  : d->action == RF_ACTION_PAUSE ? RF_OUTCOME_PAUSED
									 : "left as it is" };
	char detail[320];
	struct rf_module m;
	int err;

	rf_name_within(g, &g->paging, w->object, &r.target, &m);
	if (w->target)
		rf_name_within(g, &g->paging, w->target, &r.handler, &m);
	/* What stands in quotes is the guest's claim. */
	snprintf(detail, sizeof(detail), "%s (%s, %s): \"%s\": %s", check->name,
		 rf_severity_text(check->severity), check->attack, w->what, w->reason);
	r.detail = detail;
	err = rf_record_write(g, &r);
	/* Nor does it wait for a log that takes nothing; the end is not taken back by what is found
	 * behind it. */
	if (d->action == RF_ACTION_KILL)
		asked = "end";
	else if (d->action == RF_ACTION_PAUSE && !asked)
		asked = "pause";
	rf_checks_ask_run(g);
	return err;
}

/* A check that cannot be decided has not found that all is well. */
static int write_unable(struct rf_guest *g, const struct rf_check *check,
			const struct rf_check_words *w)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENDLESS };
	struct rf_record r = { .kind = "endless", .outcome = "not read to its end" };
	struct rf_decision d;
	char detail[256];

	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	snprintf(detail, sizeof(detail), "the check %s is undecided: %s", check->name, w->reason);
	r.detail = detail;
	return rf_record_write(g, &r);
}

/* Is there a line left for it? What it is acted upon for has lines of its own: others must not use
 * them up. */
static bool has_line(uint32_t place, bool acts)
{
	if (acts)
		return acted[place] < ACTED_LINES;
	return !quiet && lines < LINES;
}

static int alert(struct rf_guest *g, uint32_t place, const struct rf_check_words *w)
{
	const struct rf_facts facts = { .kind = RF_FACT_CHECK, .check = rf_checks[place]->name };
	struct rf_decision d;
	bool acts;
	int err;

	if (find(place, w) < told_count)
		return 0;
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	acts = d.action == RF_ACTION_KILL || d.action == RF_ACTION_PAUSE;
	if (!has_line(place, acts) || told_count == TOLD_MAX) {
		if (quiet)
			return 0;
		quiet = true;
		return rf_note(g, "check", "not told one by one any more",
			       "checks found more than are told of one kernel");
	}
	err = write_finding(g, rf_checks[place], w, &d);
	if (err)
		return err;
	if (acts)
		acted[place]++;
	else
		lines++;
	told[told_count++] = (struct line){ place, *w };
	return 0;
}

int rf_checks_said(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n)
{
	uint32_t place = kind & ~(uint32_t)RF_CHECKS_SAID_MASK, i;
	struct rf_check_words w;

	/* Nor is the sweeper's word taken for what it is not to look for. */
	if (!is_a_check(place) || !rf_checks_runs(g, rf_checks[place]) ||
	    !take_words(values, n, &w))
		return 0;
	switch (kind & (uint32_t)RF_CHECKS_SAID_MASK) {
	case RF_CHECKS_FOUND:
		return alert(g, place, &w);
	case RF_CHECKS_GONE:
		i = find(place, &w);
		if (i < told_count)
			told[i] = told[--told_count];
		return 0;
	case RF_CHECKS_UNABLE:
		if (unable_lines == UNABLE_LINES)
			return 0;
		if (++unable_lines == UNABLE_LINES)
			return rf_note(
				g, "check", "not told one by one any more",
				"checks were undecided more often than is told of one kernel");
		return write_unable(g, rf_checks[place], &w);
	}
	return 0;
}
