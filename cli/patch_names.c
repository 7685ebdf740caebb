// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/patch_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512 /* records at once */

/* A place that is to be named. */
struct entry {
	uint64_t instance, kernel;
	uint32_t at;
	char *text; /* NULL: not yet */
};

struct rf_patch_names {
	struct entry *all;
	size_t count, room;
	/* The name that is read. */
	struct rf_patch_head head;
	uint32_t at;
	size_t parts, len;
	char text[RF_PATCH_NAME_BYTES];
};

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->instance != y->instance)
		return x->instance < y->instance ? -1 : 1;
	if (x->kernel != y->kernel)
		return x->kernel < y->kernel ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static struct entry *entry_of(const struct rf_patch_names *n, const struct rf_patch_head *head,
			      uint32_t at)
{
	const struct entry key = { head->instance, head->kernel, at, NULL };

	return n->count ? bsearch(&key, n->all, n->count, sizeof(n->all[0]), compare) : NULL;
}

/* --- what is asked for -------------------------------------------------------- */

static int want(struct rf_patch_names *n, uint32_t at)
{
	size_t room = n->room ? 2 * n->room : 256;
	struct entry *bigger;

	if (n->count == n->room) {
		bigger = reallocarray(n->all, room, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		n->all = bigger;
		n->room = room;
	}
	n->all[n->count++] = (struct entry){ n->head.instance, n->head.kernel, at, NULL };
	return 0;
}

static int want_of(struct rf_patch_names *n, const union rf_patch_record *r)
{
	uint32_t to;
	int err;

	if (rf_patch_is_head(r))
		n->head = r->head;
	if (rf_patch_is_head(r) || !rf_patch_is_line(r))
		return 0;
	err = want(n, r->line.at);
	return !err && rf_patch_leads(&r->line, &to) ? want(n, to) : err;
}

/* In their order, each once. */
static void sort(struct rf_patch_names *n)
{
	size_t left = 0;

	if (n->count)
		qsort(n->all, n->count, sizeof(n->all[0]), compare);
	for (size_t i = 0; i < n->count; i++)
		if (!left || compare(&n->all[left - 1], &n->all[i]))
			n->all[left++] = n->all[i];
	n->count = left;
}

/* --- what the log says -------------------------------------------------------- */

static int keep(struct rf_patch_names *n)
{
	struct entry *e = entry_of(n, &n->head, n->at);

	if (!e || e->text)
		return 0;
	e->text = strdup(n->text);
	return e->text ? 0 : -ENOMEM;
}

/* What neither a terminal nor JSON reads as anything else: the file may be anybody's. */
static bool is_plain(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\\';
}

/* Pieces that do not follow each other are no name. */
static int take(struct rf_patch_names *n, const struct rf_patch_name *r)
{
	size_t part = r->part & ~RF_PATCH_NAME_LAST, len = strnlen(r->text, sizeof(r->text));

	if (!part) {
		n->at = r->at;
		n->parts = n->len = 0;
	}
	if (part != n->parts || r->at != n->at)
		return 0;
	for (size_t i = 0; i < len; i++)
		n->text[n->len++] = is_plain(r->text[i]) ? r->text[i] : '?';
	n->text[n->len] = '\0';
	n->parts++;
	if (!(r->part & RF_PATCH_NAME_LAST) || !n->len)
		return 0;
	n->parts = RF_PATCH_NAME_PARTS; /* it is whole */
	return keep(n);
}

static int take_of(struct rf_patch_names *n, const union rf_patch_record *r)
{
	if (rf_patch_is_head(r))
		n->head = r->head;
	else if (rf_patch_is_name(r))
		return take(n, &r->name);
	return 0;
}

static int each(struct rf_patch_names *n, int fd, uint64_t offset, const struct rf_patch_head *head,
		int (*fn)(struct rf_patch_names *n, const union rf_patch_record *r))
{
	union rf_patch_record block[BLOCK];
	int err = 0;
	long got;

	n->head = *head;
	while ((got = rf_patchlog_read(fd, &offset, block, BLOCK)) > 0)
		for (long i = 0; i < got; i++) {
			err = fn(n, &block[i]);
			if (err)
				return err;
		}
	return (int)got;
}

int rf_patch_names_read(int fd, uint64_t offset, const struct rf_patch_head *head,
			struct rf_patch_names **out)
{
	static const struct rf_patch_head none;
	struct rf_patch_names *n = calloc(1, sizeof(*n));
	int err = n ? each(n, fd, offset, head, want_of) : -ENOMEM;

	if (!err) {
		sort(n);
		err = each(n, fd, 0, &none, take_of);
	}
	if (err)
		rf_patch_names_destroy(n);
	else
		*out = n;
	return err;
}

void rf_patch_names_destroy(struct rf_patch_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++)
		free(n->all[i].text);
	free(n->all);
	free(n);
}

const char *rf_patch_names_find(const struct rf_patch_names *n, const struct rf_patch_head *head,
				uint32_t at)
{
	const struct entry *found = entry_of(n, head, at);

	return found ? found->text : NULL;
}
