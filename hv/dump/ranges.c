// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which memory is in the file, and where. */
#include <errno.h>
#include <stdlib.h>

#include "hv/dump/impl.h"

#define RANGES_MAX ((size_t)1 << 20) /* 24 MiB of memory */
/* Of a filtered dump, whose holes may be left out. */
#define RUNS_MAX ((size_t)1 << 16)

void rf_dump_ranges_deinit(struct rf_dump_ranges *rs)
{
	free(rs->v);
	*rs = (struct rf_dump_ranges){ 0 };
}

int rf_dump_ranges_add(struct rf_dump_ranges *rs, uint64_t start, uint64_t size, uint64_t from)
{
	size_t cap = rs->cap ? rs->cap * 2 : 16;
	struct rf_dump_range *more;

	if (!size || !rf_within(start, size, 0, RF_DUMP_GPA_END))
		return -EBADMSG;
	if (rs->count == RANGES_MAX)
		return -E2BIG;
	if (rs->count == rs->cap) {
		more = reallocarray(rs->v, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		rs->v = more;
		rs->cap = cap;
	}
	rs->v[rs->count++] = (struct rf_dump_range){ start, size, from };
	return 0;
}

/* Over every hole that is smaller than `hole`. */
static void close_holes(struct rf_dump_ranges *rs, uint64_t hole)
{
	struct rf_dump_range *last;
	size_t kept = 0;

	for (size_t i = 0; i < rs->count; i++) {
		const struct rf_dump_range *r = &rs->v[i];

		last = kept ? &rs->v[kept - 1] : NULL;
		if (last && r->start - (last->start + last->size) < hole)
			last->size = r->start + r->size - last->start;
		else
			rs->v[kept++] = *r;
	}
	rs->count = kept;
}

int rf_dump_ranges_run(struct rf_dump_ranges *rs, uint64_t start, uint64_t size)
{
	struct rf_dump_range *last = rs->count ? &rs->v[rs->count - 1] : NULL;

	if (last && start - (last->start + last->size) <= rs->least_hole &&
	    rf_within(start, size, 0, RF_DUMP_GPA_END)) {
		last->size = start + size - last->start;
		return 0;
	}
	while (rs->count >= RUNS_MAX) {
		rs->least_hole = rs->least_hole ? rs->least_hole * 2 : RF_PAGE_SIZE;
		close_holes(rs, rs->least_hole + 1);
	}
	return rf_dump_ranges_add(rs, start, size, 0);
}

static int by_start(const void *a, const void *b)
{
	const struct rf_dump_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int rf_dump_ranges_sort(struct rf_dump_ranges *rs)
{
	struct rf_dump_range *last;
	size_t kept = 0;
	uint64_t end;

	if (rs->count)
		qsort(rs->v, rs->count, sizeof(*rs->v), by_start);
	for (size_t i = 0; i < rs->count; i++) {
		const struct rf_dump_range r = rs->v[i];

		last = kept ? &rs->v[kept - 1] : NULL;
		end = last ? last->start + last->size : 0;
		if (!last || end < r.start || (end == r.start && last->from + last->size != r.from))
			rs->v[kept++] = r;
		else if (r.from - last->from != r.start - last->start)
			return -EBADMSG;
		else if (r.start + r.size > end)
			last->size = r.start + r.size - last->start;
	}
	rs->count = kept;
	return 0;
}

/* The last range that begins at or below gpa, -1 when none does. */
static ssize_t find(const struct rf_dump_ranges *rs, uint64_t gpa)
{
	size_t low = 0, high = rs->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (rs->v[middle].start > gpa)
			high = middle;
		else
			low = middle + 1;
	}
	return (ssize_t)low - 1;
}

/* How much of [gpa, gpa+len) is in one range, and in which; 0 when gpa is in none. */
static uint64_t part_of(const struct rf_dump_ranges *rs, uint64_t gpa, uint64_t len, size_t *which)
{
	ssize_t i = find(rs, gpa);
	uint64_t left;

	if (i < 0 || gpa - rs->v[i].start >= rs->v[i].size)
		return 0;
	*which = i;
	left = rs->v[i].size - (gpa - rs->v[i].start);
	return left < len ? left : len;
}

bool rf_dump_ranges_cover(const struct rf_dump_ranges *rs, uint64_t start, uint64_t size)
{
	uint64_t part;
	size_t i;

	while (size) {
		part = part_of(rs, start, size, &i);
		if (!part)
			return false;
		start += part;
		size -= part;
	}
	return true;
}

int rf_dump_ranges_read(struct rf_dump *d, uint64_t gpa, void *buf, size_t len)
{
	const struct rf_dump_ranges *rs = &d->ranges;
	uint8_t *to = buf;
	uint64_t part;
	size_t i;
	int r;

	while (len) {
		part = part_of(rs, gpa, len, &i);
		if (!part)
			return -EFAULT;
		r = rf_dump_file_read(&d->file, rs->v[i].from + (gpa - rs->v[i].start), to, part);
		if (r)
			return r;
		to += part;
		gpa += part;
		len -= part;
	}
	return 0;
}
