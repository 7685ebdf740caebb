// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/foldlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/jsonline.h"

#define TEXT_MAX 256

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct rf_fold_time rf_fold_now(void)
{
	return (struct rf_fold_time){ ns_of(CLOCK_REALTIME), ns_of(CLOCK_MONOTONIC) };
}

/* --- the memory ------------------------------------------------------------ */

/* Nobody can cut it off below who has it mapped. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int rf_fold_create(int *fd)
{
	int made = memfd_create("ringfence-fold", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (made < 0)
		return -errno;
	if (ftruncate(made, sizeof(struct rf_fold)) || fcntl(made, F_ADD_SEALS, SEALS)) {
		err = -errno;
		close(made);
		return err;
	}
	*fd = made;
	return 0;
}

int rf_fold_map(int fd, struct rf_fold **out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *at;

	if (fstat(fd, &st))
		return -errno;
	if (seals < 0 || (seals & SEALS) != SEALS || st.st_size < (off_t)sizeof(struct rf_fold))
		return -EINVAL;
	at = mmap(NULL, sizeof(struct rf_fold), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*out = at;
	return 0;
}

void rf_fold_unmap(struct rf_fold *f)
{
	if (f)
		munmap(f, sizeof(*f));
}

/* --- lines ----------------------------------------------------------------- */

static void put_place(struct rf_jsonline *j, const char *name, uint64_t addr)
{
	rf_jsonline_open(j, name);
	rf_jsonline_address(j, "addr", addr);
	rf_jsonline_close(j);
}

static void put_what(struct rf_jsonline *j, const struct rf_fold_what *w)
{
	rf_jsonline_text(j, "kind", w->kind, TEXT_MAX);
	if (w->has_target)
		put_place(j, "target", w->target);
	if (w->has_writer)
		put_place(j, "writer", w->writer);
	if (!w->is_class && !w->has_target && w->target)
		rf_jsonline_address(j, "gpa", w->target);
	if (w->detail[0])
		rf_jsonline_text(j, "detail", w->detail, sizeof(w->detail));
	rf_jsonline_text(j, "rule", w->rule, TEXT_MAX);
	rf_jsonline_text(j, "verdict", rf_word_text((enum rf_word)w->verdict) ?: "any", TEXT_MAX);
	if (w->ended)
		rf_jsonline_text(j, "outcome", RF_OUTCOME_ENDED, TEXT_MAX);
}

/* One key's, or of all those of a class that have no line of their own. */
static void put_folded(struct rf_jsonline *j, const void *what)
{
	const struct rf_fold_line *l = what;

	rf_jsonline_number(j, "number", l->number);
	put_what(j, &l->what);
	rf_jsonline_text(j, "of", l->what.is_class ? "many places" : "one place", TEXT_MAX);
	rf_jsonline_number(j, "count", l->n.count);
	if (l->n.failed)
		rf_jsonline_number(j, "failed", l->n.failed);
	rf_audit_put_time(j, "first", l->n.first.real_ns);
	rf_audit_put_time(j, "last", l->n.last.real_ns);
	rf_jsonline_number(j, "first_mono_ns", l->n.first.mono_ns);
	rf_jsonline_number(j, "last_mono_ns", l->n.last.mono_ns);
}

struct gap {
	const struct rf_fold *f;
	const struct rf_fold_line *line;
};

static void put_gap(struct rf_jsonline *j, const void *what)
{
	const struct gap *g = what;
	const struct rf_fold_gap *gap = &g->line->gap;
	char name[sizeof(((struct rf_fold_what *)0)->kind) + RF_AUDIT_RULE + 32];

	rf_jsonline_number(j, "number", g->line->number);
	rf_jsonline_text(j, "cause",
			 gap->error == RF_FOLD_QUOTA ? "log_quota_mb" : strerror(-gap->error),
			 TEXT_MAX);
	rf_audit_put_time(j, "since", gap->since.real_ns);
	rf_jsonline_number(j, "since_mono_ns", gap->since.mono_ns);
	rf_jsonline_number(j, "decisions", gap->decisions);
	rf_jsonline_number(j, "lines_lost", gap->lines);
	rf_jsonline_open(j, "rules");
	for (uint32_t i = 0; i < RF_FOLD_CLASSES; i++) {
		const struct rf_fold_what *w = &g->f->slots[RF_FOLD_KEYS + i].what;

		if (!gap->by_class[i])
			continue;
		snprintf(name, sizeof(name), "%s%s%s %s%s", w->kind, w->rule[0] ? " " : "", w->rule,
			 rf_word_text((enum rf_word)w->verdict) ?: "any",
			 w->ended ? ", VM ended" : "");
		rf_jsonline_number(j, name, gap->by_class[i]);
	}
	rf_jsonline_close(j);
}

static int write_line(const struct rf_fold *f, const struct rf_fold_line *l, struct rf_audit *a)
{
	const struct gap gap = { f, l };

	return l->from == RF_FOLD_FROM_GAP ? rf_audit_line(a, "unwritten", put_gap, &gap)
					   : rf_audit_line(a, "folded", put_folded, l);
}

int rf_fold_flush(struct rf_fold *f, struct rf_audit *a, const struct rf_fold_time *now, bool all)
{
	const struct rf_fold_line *l;

	while ((l = rf_fold_next(f, now, all))) {
		int err = write_line(f, l, a);

		if (err)
			return err;
		rf_fold_written(f);
	}
	return 0;
}
