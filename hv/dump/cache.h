/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A few blocks that were read lately: walks of page tables read 8 bytes here, 8 bytes there. */
#ifndef RF_HV_DUMP_CACHE_H
#define RF_HV_DUMP_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define RF_DUMP_CACHE_SLOTS 64u
#define RF_DUMP_CACHE_NONE UINT64_MAX /* no block has that number */

struct rf_dump_cache {
	size_t block;	/* bytes of one */
	uint8_t *bytes; /* of all slots */
	uint64_t number[RF_DUMP_CACHE_SLOTS];
};

static inline void rf_dump_cache_deinit(struct rf_dump_cache *c)
{
	free(c->bytes);
	c->bytes = NULL;
}

/* False: no memory. */
static inline bool rf_dump_cache_init(struct rf_dump_cache *c, size_t block)
{
	c->block = block;
	c->bytes = reallocarray(NULL, RF_DUMP_CACHE_SLOTS, block);
	for (unsigned int i = 0; i < RF_DUMP_CACHE_SLOTS; i++)
		c->number[i] = RF_DUMP_CACHE_NONE;
	return c->bytes;
}

/* Reads block `number`, all of it that there is, to `to`. 0 or -errno. */
typedef int (*rf_dump_fill_fn)(void *ctx, uint64_t number, uint8_t *to);

/* Copies [at, at+len) out of the blocks, those that are not here by fill. 0 or fill's error. */
int rf_dump_cache_read(struct rf_dump_cache *c, rf_dump_fill_fn fill, void *ctx, uint64_t at,
		       void *buf, size_t len);

#endif
