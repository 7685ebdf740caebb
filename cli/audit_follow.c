// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_follow.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/audit_beside.h"
#include "cli/output.h"

#define FOLLOW_MS 200
/* A file in which nothing more is to come, or that has no name any more, is left after so long. */
#define QUIET_MS 60000
#define TRIES 64

/* --- the files -------------------------------------------------------------- */

static int read_on(struct rf_follow *f, struct rf_part *p)
{
	off_t before = p->log.at;
	int err = rf_log_read(&p->log, f->fn, f->ctx);

	if (p->log.at != before)
		p->grown_ms = rf_now_ms();
	return err;
}

/* The place in `parts` of this one, or behind them: it has the name. */
static size_t place_of(const struct rf_follow *f, const struct rf_log *l)
{
	size_t i = 0;

	while (i < f->count && &f->parts[i]->log != l)
		i++;
	return i;
}

/* Half a line at its end is one as well, and told. */
static int leave(struct rf_follow *f, size_t i)
{
	struct rf_part *p = f->parts[i];
	int err = rf_log_finish(&p->log, f->fn, f->ctx);

	f->count--;
	memmove(&f->parts[i], &f->parts[i + 1], (f->count - i) * sizeof(f->parts[0]));
	rf_log_close(&p->log);
	free(p);
	return err;
}

static int add(struct rf_follow *f, size_t i, const struct rf_log *l, bool found)
{
	struct rf_part *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct rf_part){ .log = *l, .found = found, .grown_ms = rf_now_ms() };
	memmove(&f->parts[i + 1], &f->parts[i], (f->count - i) * sizeof(f->parts[0]));
	f->parts[i] = p;
	f->count++;
	return 0;
}

/* --- what is between two files ---------------------------------------------- */

static bool is_known(const struct rf_follow *f, int fd)
{
	bool known = rf_beside_same(f->named->fd, fd);

	for (size_t i = 0; i < f->count; i++)
		known |= rf_beside_same(f->parts[i]->log.fd, fd);
	return known;
}

struct wanted {
	const struct rf_follow *follow;
	const struct rf_seq *after;
};

static bool is_wanted(void *ctx, struct rf_log *l)
{
	const struct wanted *w = ctx;

	return !is_known(w->follow, l->fd) && rf_beside_has(l, w->after);
}

/* A file that has the line after that one; it is read. 0: none has. */
static int find_between(struct rf_follow *f, const struct rf_log *l, const struct rf_seq *q)
{
	struct wanted w = { .follow = f, .after = q };
	size_t i = place_of(f, l);
	struct rf_log found;
	int err;

	if (f->count == RF_FOLLOW_PARTS ||
	    !rf_beside_find(f->named, f->since, &f->tries, is_wanted, &w, &found))
		return 0;
	rf_log_anew(&found);
	found.path = f->named->path;
	found.broken = f->named->broken;
	found.see = f->named->see;
	found.follow = f;
	found.part = ++f->last_part;
	err = add(f, i, &found, true);
	if (err) {
		rf_log_close(&found);
		return err;
	}
	err = read_on(f, f->parts[i]);
	return err ?: 1;
}

/* The instance's next line is `seq`, in l, and those before it were not read. */
static int fill(struct rf_follow *f, const struct rf_log *l, const char *instance, uint64_t seq)
{
	struct rf_seq none = { .last = 0 }, *q;
	uint64_t last;
	int err = 0;

	snprintf(none.instance, sizeof(none.instance), "%s", instance);
	/* They were written before it was: an older file may have them by now. */
	for (size_t i = 0; i < place_of(f, l) && !err; i++)
		err = read_on(f, f->parts[i]);
	for (;;) {
		if (err < 0)
			return err;
		q = rf_seqs_find(&f->seqs, instance) ?: &none;
		last = q->last;
		if (seq <= last + 1)
			return 0;
		err = find_between(f, l, q);
		q = rf_seqs_find(&f->seqs, instance) ?: &none;
		if (err >= 0 && q->last == last)
			break;
	}
	fflush(stdout);
	rf_say("%s: lines %" PRIu64 " to %" PRIu64 " of instance %s are missing: they are in no "
	       "file that goes by its name",
	       f->named->path, last + 1, seq - 1, instance);
	f->lost = true;
	return 0;
}

/* Lines of one file follow each other, or `audit verify` says so: it is the step to another one
 * that is looked at here. */
static int see(struct rf_log *l, const json_t *record)
{
	struct rf_follow *f = l->follow;
	size_t i = place_of(f, l);
	const char *instance;
	struct rf_seq *q;
	uint64_t seq;
	int err = 0;

	if (!rf_seq_line(record, &instance, &seq))
		return 0;
	q = rf_seqs_find(&f->seqs, instance);
	if (q && i < f->count && f->parts[i]->found && seq <= q->last)
		return 1;
	if (q ? q->part != l->part && seq > q->last + 1
	      : l->part && seq > 1 && !f->from_within && !f->seqs.full)
		err = fill(f, l, instance, seq);
	if (!err)
		rf_seqs_read(&f->seqs, record, l->part);
	return err;
}

/* --- the loop --------------------------------------------------------------- */

/* Where a log lies in a folder that others may write, as /tmp, its name is free for a moment when
 * it is rotated: whoever takes it then ends nothing. */
static int stay(struct rf_follow *f, const struct rf_why *why)
{
	if (!f->refused) {
		fflush(stdout);
		rf_say("%s is not gone on with: %s; the file that had the name before is the log "
		       "still",
		       f->named->path, why->what);
	}
	f->refused = true;
	return 0;
}

static int take_over(struct rf_follow *f)
{
	struct rf_log before;
	struct rf_why why;
	int now = rf_log_reopen(f->named, &before, &why), err = 0;

	if (now == -EPERM)
		return stay(f, &why);
	if (now <= RF_LOG_SAME)
		return now;
	f->refused = false;
	f->tries = TRIES;
	f->named->part = ++f->last_part;
	if (now == RF_LOG_CUT)
		return 0;
	if (f->count == RF_FOLLOW_PARTS)
		err = leave(f, 0);
	if (!err)
		err = add(f, f->count, &before, false);
	if (err)
		rf_log_close(&before);
	return err;
}

/* Is nothing more to come in it? Where a monitor hangs, its last lines still are. */
static bool is_over(const struct rf_follow *f, struct rf_part *p)
{
	bool quiet = rf_now_ms() - p->grown_ms >= QUIET_MS, all_left = true, some = false;
	struct stat st;

	for (size_t i = 0; i < f->seqs.count; i++) {
		const struct rf_seq *q = &f->seqs.all[i];

		if (q->part != p->log.part)
			continue;
		some = p->held = true;
		all_left &= q->left;
	}
	return (p->held && !some) || (quiet && (all_left || fstat(p->log.fd, &st) || !st.st_nlink));
}

static int read_all(struct rf_follow *f)
{
	int err = 0;

	for (size_t i = 0; i < f->count && !err; i++)
		err = read_on(f, f->parts[i]);
	if (!err)
		err = rf_log_read(f->named, f->fn, f->ctx);
	for (size_t i = f->count; i-- > 0 && !err;)
		if (is_over(f, f->parts[i]))
			err = leave(f, i);
	return err;
}

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	stopped = 1;
}

/* The first one ends it in order; another one, where the output takes nothing, at once. */
static void stop_by(int number)
{
	struct sigaction new = { .sa_handler = stop, .sa_flags = SA_RESTART | SA_RESETHAND }, old;

	if (!sigaction(number, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(number, &new, NULL);
}

void rf_follow_begin(struct rf_follow *f, struct rf_log *l)
{
	*f = (struct rf_follow){ .named = l, .from_within = l->skipping, .since = time(NULL) };
	l->see = see;
	l->follow = f;
}

bool rf_follow_end(struct rf_follow *f)
{
	for (size_t i = 0; i < f->count; i++) {
		rf_log_close(&f->parts[i]->log);
		free(f->parts[i]);
	}
	f->count = 0;
	f->named->see = NULL;
	return f->lost;
}

int rf_audit_follow(struct rf_follow *f, rf_log_fn fn, void *ctx)
{
	int err = 0;

	f->fn = fn;
	f->ctx = ctx;
	stop_by(SIGINT);
	stop_by(SIGTERM);
	while (!err && !stopped && rf_flush() == RF_EXIT_OK) {
		err = take_over(f);
		if (!err)
			err = read_all(f);
		fflush(stdout);
		if (!err && !stopped && poll(NULL, 0, FOLLOW_MS) < 0 && errno != EINTR)
			err = -errno;
	}
	return err;
}
