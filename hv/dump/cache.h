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

/* Tables of one kind lie at round distances: the upper bits choose a slot as well. */
static inline unsigned int rf_dump_cache_slot(uint64_t number)
{
	return (number ^ number >> 6 ^ number >> 12) % RF_DUMP_CACHE_SLOTS;
}

/* The block, or NULL. */
static inline uint8_t *rf_dump_cache_find(const struct rf_dump_cache *c, uint64_t number)
{
	unsigned int slot = rf_dump_cache_slot(number);

	return c->number[slot] == number ? c->bytes + slot * c->block : NULL;
}

/* Where the block is to be put; it is found once it is kept. */
static inline uint8_t *rf_dump_cache_take(struct rf_dump_cache *c, uint64_t number)
{
	unsigned int slot = rf_dump_cache_slot(number);

	c->number[slot] = RF_DUMP_CACHE_NONE;
	return c->bytes + slot * c->block;
}

static inline void rf_dump_cache_keep(struct rf_dump_cache *c, uint64_t number)
{
	c->number[rf_dump_cache_slot(number)] = number;
}

#endif
