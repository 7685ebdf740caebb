// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Per-CPU areas. __per_cpu_offset[] has for each CPU what is added to a per-CPU symbol
 * (include/asm-generic/percpu.h), whether those count from 0 (6.1, 6.12) or lie in the image (7.3).
 */
#include <errno.h>

#include "introspection/checks/impl.h"

#define CPUS_MAX 8192u /* CONFIG_NR_CPUS at most */

static bool is_possible(const uint64_t mask[CPUS_MAX / 64], uint32_t cpu)
{
	return mask[cpu / 64] >> cpu % 64 & 1;
}

/* A kernel for one CPU alone has no such mask. */
static int read_mask(struct rf_run *run, uint32_t count, uint64_t mask[CPUS_MAX / 64])
{
	rf_gva at;

	if (!rf_kernel_address(run->c->k, "__cpu_possible_mask", &at))
		return rf_run_read(run, at.v, mask, (count + 63) / 64 * 8);
	for (uint32_t i = 0; i < CPUS_MAX / 64; i++)
		mask[i] = UINT64_MAX;
	return 0;
}

int rf_run_cpus(struct rf_run *run, rf_cpu_fn fn, void *ctx)
{
	uint64_t offsets, ids, base, mask[CPUS_MAX / 64];
	struct rf_symbol unused;
	uint32_t count;
	rf_gva end;
	int err;

	if ((err = rf_run_symbol(run, "__per_cpu_offset", &offsets)) ||
	    (err = rf_run_symbol(run, "nr_cpu_ids", &ids)) || (err = rf_run_u32(run, ids, &count)))
		return err;
	if (!count || count > CPUS_MAX ||
	    rf_kernel_symbol_extent(run->c->k, rf_gva_of(offsets), &unused, &end) ||
	    count > (end.v - offsets) / 8) {
		run->at = ids;
		return -EBADMSG;
	}
	err = read_mask(run, count, mask);
	for (uint32_t cpu = 0; !err && cpu < count; cpu++) {
		if (!is_possible(mask, cpu))
			continue;
		err = rf_run_u64(run, offsets + cpu * 8ull, &base);
		if (!err)
			err = fn(run, cpu, base, ctx);
	}
	return err;
}

/* Symbols ascend; those that count from 0 lie outside of the image. */
uint64_t rf_run_percpu_room(const struct rf_run *run, uint64_t symbol)
{
	const struct rf_kernel *k = run->c->k;
	size_t low = 0, high = rf_kernel_symbol_count(k);
	struct rf_symbol s;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		rf_kernel_symbol_at(k, middle, &s);
		if (s.addr.v > symbol)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == rf_kernel_symbol_count(k))
		return 0;
	rf_kernel_symbol_at(k, low, &s);
	return s.addr.v - symbol;
}
