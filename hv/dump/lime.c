// SPDX-License-Identifier: LGPL-2.1-or-later
/* LiME's own format, version 1: LiME's doc/README.md, "Memory Range Header". AVML writes it too. */
#include <errno.h>
#include <string.h>

#include "hv/dump/impl.h"

#define MAGIC 0x4c694d45u
#define VERSION 1u
#define AVML_MAGIC 0x4c4d5641u /* the same header, and compressed: AVML's src/image.rs */

struct header {
	uint32_t magic, version;
	uint64_t first, last; /* inclusive */
	uint8_t reserved[8];
};

static int take_range(struct rf_dump *d, uint64_t *at, const struct rf_dump_why *why)
{
	struct header h;
	uint64_t size;
	int r;

	if (rf_dump_file_read(&d->file, *at, &h, sizeof(h)))
		return rf_dump_fail(why, -EBADMSG, "LiME, and cut off in a header at %llu",
				    (unsigned long long)*at);
	if (h.magic != MAGIC || h.version != VERSION || h.first > h.last)
		return rf_dump_fail(why, -EBADMSG, "LiME, malformed header at %llu",
				    (unsigned long long)*at);
	*at += sizeof(h);
	size = h.last - h.first + 1;
	if (!size || !rf_within(*at, size, 0, d->file.size))
		return rf_dump_fail(why, -EBADMSG, "LiME, and cut off in memory at %#llx",
				    (unsigned long long)h.first);
	r = rf_dump_ranges_add(&d->ranges, h.first, size, *at);
	if (r)
		return rf_dump_fail(why, r == -E2BIG ? -ENOTSUP : r,
				    "LiME, no place for memory at %#llx",
				    (unsigned long long)h.first);
	*at += size;
	return 0;
}

int rf_dump_lime_open(struct rf_dump *d, const struct rf_dump_why *why)
{
	uint64_t at = 0;
	uint32_t head[2];
	int r = 0;

	if (rf_dump_file_read(&d->file, 0, head, sizeof(head)) ||
	    (head[0] != MAGIC && head[0] != AVML_MAGIC))
		return -ENOENT;
	d->format = "LiME";
	d->read = rf_dump_ranges_read;
	if (head[0] == AVML_MAGIC)
		return rf_dump_fail(why, -ENOTSUP,
				    "compressed by AVML: avml-convert makes LiME of it");
	if (head[1] != VERSION)
		return rf_dump_fail(why, -ENOTSUP, "LiME of version %u", head[1]);
	while (!r && at < d->file.size)
		r = take_range(d, &at, why);
	if (!r && rf_dump_ranges_sort(&d->ranges))
		r = rf_dump_fail(why, -EBADMSG, "LiME, ranges overlap");
	return r;
}
