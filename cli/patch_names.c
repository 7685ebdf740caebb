// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/patch_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512	     /* records at once */
#define NAMES_MAX (1u << 20) /* a monitor writes a sixteenth of it for each kernel */

struct entry {
	uint64_t instance, kernel;
	uint32_t at;
	char *text;
};

struct rf_patch_names {
	struct entry *all;
	size_t count, room;
	/* The one that is read. */
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

static int keep(struct rf_patch_names *n)
{
	size_t room = n->room ? 2 * n->room : 256;
	struct entry *bigger;
	char *text;

	if (n->count == NAMES_MAX)
		return 0;
	if (n->count == n->room) {
		bigger = reallocarray(n->all, room, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		n->all = bigger;
		n->room = room;
	}
	text = strdup(n->text);
	if (!text)
		return -ENOMEM;
	n->all[n->count++] = (struct entry){ n->head.instance, n->head.kernel, n->at, text };
	return 0;
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

int rf_patch_names_read(int fd, struct rf_patch_names **out)
{
	struct rf_patch_names *n = calloc(1, sizeof(*n));
	union rf_patch_record block[BLOCK];
	uint64_t offset = 0;
	long got = 0;
	int err = n ? 0 : -ENOMEM;

	while (!err && (got = rf_patchlog_read(fd, &offset, block, BLOCK)) > 0)
		for (long i = 0; i < got && !err; i++) {
			if (rf_patch_is_head(&block[i]))
				n->head = block[i].head;
			else if (rf_patch_is_name(&block[i]))
				err = take(n, &block[i].name);
		}
	if (!err && got < 0)
		err = (int)got;
	if (err) {
		rf_patch_names_destroy(n);
		return err;
	}
	if (n->count)
		qsort(n->all, n->count, sizeof(n->all[0]), compare);
	*out = n;
	return 0;
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
	const struct entry key = { head->instance, head->kernel, at, NULL };
	const struct entry *found =
		n->count ? bsearch(&key, n->all, n->count, sizeof(n->all[0]), compare) : NULL;

	return found ? found->text : NULL;
}
