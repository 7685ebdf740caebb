// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/dump/cache.h"

#include <string.h>

/* Tables of one kind lie at round distances: the upper bits choose a slot as well. */
static unsigned int slot_of(uint64_t number)
{
	return (number ^ number >> 6 ^ number >> 12) % RF_DUMP_CACHE_SLOTS;
}

int rf_dump_cache_read(struct rf_dump_cache *c, rf_dump_fill_fn fill, void *ctx, uint64_t at,
		       void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		uint64_t number = at / c->block;
		unsigned int slot = slot_of(number);
		uint8_t *block = c->bytes + slot * c->block;
		size_t part = c->block - at % c->block;
		int r = 0;

		if (c->number[slot] != number) {
			c->number[slot] = RF_DUMP_CACHE_NONE;
			r = fill(ctx, number, block);
		}
		if (r)
			return r;
		c->number[slot] = number;
		part = part < len ? part : len;
		memcpy(to, block + at % c->block, part);
		to += part;
		at += part;
		len -= part;
	}
	return 0;
}
