// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Every check over memory that is the input, repeated: each symbol and member that one asks for
 * exists somewhere in it, so its walkers meet lists, trees and tables of any shape. They end within
 * their budget, and do not read elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/checks/impl.h"
#include "tests/unit/fake_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(void *ctx, const struct rf_check_finding *f)
{
	if (strlen(f->what) >= sizeof(f->what) || !f->check)
		abort();
	return 0;
}

/* Words of the input are small numbers, which become addresses in it: random bytes lead nowhere. */
static void fill(const uint8_t *data, size_t size)
{
	uint32_t word;

	for (size_t at = 0, from = 0; at + 8 <= FAKE_SIZE; at += 8, from = (from + 4) % size) {
		memcpy(&word, data + from, sizeof(word));
		if (word & 1)
			fake_u64(at, word >> 1);
		else
			fake_u64(at, (word & 2 ? FAKE_BASE : FAKE_HEAP) + (word >> 2) % FAKE_IMAGE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rf_paging p = { { 0 }, 4 };
	struct rf_checks_options options = { .live = size & 1 };
	struct rf_check_result result;
	struct rf_checks *c;
	struct rf_kernel *k;
	struct rf_memory m;

	size &= ~(size_t)3;
	if (size < 8)
		return 0;
	k = fake_types();
	fake_everything();
	m = fake_memory();
	fill(data, size);
	if (rf_checks_create(k, &m, &p, &options, &c))
		return 0;
	for (size_t i = 0; rf_checks[i]; i++) {
		struct rf_check check = *rf_checks[i];

		/* Enough for any loop to show that it is one. */
		check.reads = check.reads < 2000 ? check.reads : 2000;
		if (rf_checks_run(c, &check, ignore, NULL, &result) || !result.state ||
		    result.reads > check.reads)
			abort();
	}
	rf_checks_destroy(c);
	return 0;
}
