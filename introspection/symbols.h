/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decoded symbols, found by name and by address. */
#ifndef RF_INTROSPECTION_SYMBOLS_H
#define RF_INTROSPECTION_SYMBOLS_H

#include "introspection/kallsyms.h"
#include "introspection/kernel.h"

struct rf_symbols {
	struct rf_kallsyms table; /* owned */
	uint32_t *slot;		  /* open addressing by name: index + 1, 0 is free */
	uint32_t mask;
};

/* Takes *table over on success and zeroes it. 0, -ENOMEM, -EBADMSG (names made to collide). */
int rf_symbols_init(struct rf_symbols *s, struct rf_kallsyms *table);
void rf_symbols_deinit(struct rf_symbols *s); /* zeroed is fine */

void rf_symbols_at(const struct rf_symbols *s, size_t index, struct rf_symbol *out);
/* First of that name. -ENOENT. */
int rf_symbols_by_name(const struct rf_symbols *s, const char *name, struct rf_symbol *out);
/*
 * Best name at or below addr, and the next higher symbol address (UINT64_MAX for the last).
 * -ENOENT.
 */
int rf_symbols_by_address(const struct rf_symbols *s, uint64_t addr, struct rf_symbol *out,
			  uint64_t *next);
bool rf_symbols_is_function(const struct rf_symbols *s, uint64_t addr);

/* FNV-1a, for tables whose probes are bounded by their builder. */
static inline uint32_t rf_name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return h ^ h >> 15;
}

#endif
