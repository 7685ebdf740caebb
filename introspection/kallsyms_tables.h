/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the kallsyms tables lie in a view, for the files that find and read them. */
#ifndef RF_INTROSPECTION_KALLSYMS_TABLES_H
#define RF_INTROSPECTION_KALLSYMS_TABLES_H

#include <string.h>

#include "introspection/kallsyms.h"

#define RF_KALLSYMS_TOKEN_COUNT 256u
#define RF_KALLSYMS_NAME_MAX 511u /* KSYM_NAME_LEN - 1, without the type letter */

struct rf_kallsyms_tables {
	const struct rf_kallsyms_view *view;
	size_t align;					 /* of each table: 8, or 4 (7.x on) */
	size_t token_table, token_index, markers, names; /* offsets in view->bytes */
	size_t names_size;
	uint32_t marker_count, count;
	struct {
		uint16_t start;
		uint16_t len;
		bool plain; /* printable ASCII only */
	} token[RF_KALLSYMS_TOKEN_COUNT];
	uint64_t budget; /* names that may still be stepped over, in all attempts together */
};

static inline uint32_t rf_u32_at(const struct rf_kallsyms_view *v, size_t at)
{
	uint32_t x;

	memcpy(&x, v->bytes + at, sizeof(x));
	return x;
}

/* Where a table begins that follows one that ends at x. */
static inline size_t rf_kallsyms_align(const struct rf_kallsyms_tables *t, size_t x)
{
	return (x + t->align - 1) & ~(t->align - 1);
}

/*
 * Token table and index from the offset of their digits, then markers and names before them.
 * False: not there. t->view and t->align are set by the caller; the rest is written on success
 * only.
 */
bool rf_kallsyms_find_tokens(struct rf_kallsyms_tables *t, size_t digits);
bool rf_kallsyms_find_names(struct rf_kallsyms_tables *t);

/*
 * The name at offset `at`: its compressed bytes are [*data, *next). False at `limit` or past it.
 */
bool rf_kallsyms_name_step(const struct rf_kallsyms_view *v, size_t at, size_t limit, size_t *data,
			   size_t *next);

#endif
