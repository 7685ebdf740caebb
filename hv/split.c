// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/memslots.h"

#include <errno.h>

int rf_split(struct rf_range slot, const struct rf_range *overlays, size_t n, struct rf_range *out,
	     size_t max)
{
	uint64_t at = slot.start, end = slot.start + slot.size;
	size_t pieces = 0;

	for (size_t i = 0; i < n && at < end; i++) {
		const struct rf_range *o = &overlays[i];

		if (!rf_overlaps(o->start, o->size, at, end - at))
			continue;
		if (o->start > at) {
			if (pieces == max)
				return -ENOSPC;
			out[pieces++] = (struct rf_range){ at, o->start - at };
		}
		at = o->start + o->size < end ? o->start + o->size : end;
	}
	if (at < end) {
		if (pieces == max)
			return -ENOSPC;
		out[pieces++] = (struct rf_range){ at, end - at };
	}
	return (int)pieces;
}
