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

/* ctx: of a guest that runs, a list of which may be read anew. */
static int ignore(void *ctx, const struct rf_check_finding *f)
{
	if (!f && ctx)
		return 0;
	if (strlen(f->what) >= sizeof(f->what) || !f->check)
		abort();
	return 0;
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
	fake_fill(data, size);
	if (rf_checks_create(k, &m, &p, &options, &c))
		return 0;
	for (size_t i = 0; rf_checks[i]; i++) {
		struct rf_check check = *rf_checks[i];

		/* Enough for any loop to show that it is one. */
		check.reads = check.reads < 2000 ? check.reads : 2000;
		if (rf_checks_run(c, &check, ignore, NULL, &result) || !result.state ||
		    result.reads > check.reads)
			abort();
		/* What `ringfence hooks` asks for. */
		if (rf_checks_list(c, &check, ignore, options.live ? c : NULL, &result) ||
		    !result.state)
			abort();
	}
	rf_checks_destroy(c);
	return 0;
}
