// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Per-CPU areas. __per_cpu_offset[] has for each CPU what is added to a per-CPU symbol
 * (include/asm-generic/percpu.h), whether those count from 0 (6.1, 6.12) or lie in the image (7.3).
 */
#include <errno.h>
#include <string.h>

#include "introspection/checks/impl.h"

#define CPUS_MAX 8192u /* CONFIG_NR_CPUS at most */

static bool is_possible(const uint64_t mask[CPUS_MAX / 64], uint32_t cpu)
{
	return mask[cpu / 64] >> cpu % 64 & 1;
}

/*
 * Which CPUs there may be, out of `most`: by a mask that is sealed, up to the symbol behind it. A
 * kernel for one CPU alone has no such mask. nr_cpu_ids is data, which anybody may set.
 */
static int read_mask(struct rf_run *run, uint64_t *most, uint64_t mask[CPUS_MAX / 64])
{
	struct rf_symbol unused;
	rf_gva at, end;
	uint64_t bytes;

	memset(mask, 0, CPUS_MAX / 8);
	if (rf_kernel_address(run->c->k, "__cpu_possible_mask", &at)) {
		mask[0] = 1;
		return 0;
	}
	if (rf_kernel_symbol_extent(run->c->k, at, &unused, &end)) {
		run->at = at.v;
		return -EBADMSG;
	}
	bytes = (end.v - at.v) & ~UINT64_C(7);
	bytes = bytes < CPUS_MAX / 8 ? bytes : CPUS_MAX / 8;
	*most = *most < bytes * 8 ? *most : bytes * 8;
	return rf_run_read(run, at.v, mask, bytes);
}

int rf_run_cpus(struct rf_run *run, rf_cpu_fn fn, void *ctx)
{
	uint64_t offsets, base, count, mask[CPUS_MAX / 64];
	struct rf_symbol unused;
	rf_gva end;
	int err = rf_run_symbol(run, "__per_cpu_offset", &offsets);

	if (err)
		return err;
	if (rf_kernel_symbol_extent(run->c->k, rf_gva_of(offsets), &unused, &end)) {
		run->at = offsets;
		return -EBADMSG;
	}
	count = (end.v - offsets) / 8 < CPUS_MAX ? (end.v - offsets) / 8 : CPUS_MAX;
	err = read_mask(run, &count, mask);
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
