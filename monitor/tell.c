// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a guard's sweep has to say, to the monitor: over the pair, or in the same process. */
#include <errno.h>
#include <string.h>

#include "monitor/monitor.h"

static int say(struct rf_guest *g, const struct rf_found *f)
{
	return rf_msg_send(g->pair.fd, f, sizeof(*f), NULL, 0) ? -ECONNRESET : 0;
}

int rf_tell(struct rf_guest *g, const struct rf_guard *guard, uint32_t kind, const uint64_t *values,
	    size_t n)
{
	struct rf_found f = {
		.what = RF_FOUND_HINT, .guard = g->row, .kind = kind, .kernel = g->kernel_event
	};
	int err = 0;

	if (!g->pair.sweeper)
		return guard->found(g, kind, values, n);
	for (; !err && n; n -= f.count, values += f.count) {
		f.count = n < RF_FOUND_VALUES ? (uint32_t)n : RF_FOUND_VALUES;
		memcpy(f.values, values, f.count * sizeof(f.values[0]));
		err = say(g, &f);
	}
	return err;
}

int rf_tell_endless(struct rf_guest *g, const struct rf_unit *unit)
{
	const struct rf_guard *at_work = g->at_work;
	struct rf_found f = { .what = RF_FOUND_ENDLESS,
			      .guard = RF_GUARDS_MAX,
			      .kernel = g->kernel_event };

	if (at_work && (unit == &at_work->sweep_unit || unit == &at_work->step_unit)) {
		f.guard = g->row;
		f.kind = unit == &at_work->step_unit;
	}
	return say(g, &f);
}
