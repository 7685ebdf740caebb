// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Any bytes as the part of guest rodata around kallsyms; what decodes must be a table in good
 * order.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/symbols.h"

#define IMAGE UINT64_C(0xffffffff92000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct rf_kallsyms *k)
{
	struct rf_symbols s;
	struct rf_symbol found;
	uint64_t next;

	for (size_t i = 0; i < k->count; i++) {
		if (i && k->addr[i] < k->addr[i - 1])
			abort();
		if (k->name[i] + strlen(k->pool + k->name[i]) >= k->pool_size)
			abort();
	}
	if (rf_symbols_init(&s, k)) {
		rf_kallsyms_deinit(k);
		return;
	}
	for (size_t i = 0; i < s.table.count; i++) {
		rf_symbols_at(&s, i, &found);
		if (rf_symbols_by_name(&s, found.name, &found))
			abort();
		if (!rf_symbols_by_address(&s, found.addr.v, &found, &next) && next <= found.addr.v)
			abort();
		rf_symbols_is_function(&s, found.addr.v);
	}
	rf_symbols_deinit(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *from = data, *hit;
	struct rf_kallsyms_view view = {
		.bytes = data,
		.len = size,
		.addr = rf_gva_of(IMAGE + 0x1200000),
		.first = rf_gva_of(IMAGE),
		.last = rf_gva_of(UINT64_C(0xffffffffbfffffff)),
		.inside = rf_gva_of(IMAGE + 0x8008),
	};
	struct rf_diag diag;
	struct rf_kallsyms k;

	while ((hit = memmem(from, data + size - from, rf_kallsyms_digits,
			     RF_KALLSYMS_DIGITS_LEN))) {
		if (!rf_kallsyms_decode(&view, hit - data, &k, &diag))
			use(&k);
		from = hit + 1;
	}
	return 0;
}
