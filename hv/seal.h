/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How memory is sealed, and what is kept of a seal that was released. Lock held throughout. */
#ifndef RF_HV_SEAL_H
#define RF_HV_SEAL_H

#include "hv/memslots.h"
#include "hv/proto.h"

/*
 * Memory for one overlay, its bytes still zeroes. 0 or -errno. Until it is installed it goes with
 * munmap(map, map_size).
 */
int rf_overlay_alloc(struct rf_overlay *o, enum rf_overlay_kind kind, uint64_t gpa, uint64_t size);

/*
 * Seals all regions or none, with the bytes that are there, or (kept) with those that these regions
 * had when they were sealed last: -ENOENT when they were not. Replaces all overlays. 0 or -errno,
 * -EINVAL: regions are no RAM, not ascending, or not whole pages. Closes the gate; *ns is how long.
 */
int rf_seal_install(const struct rf_region *regions, uint32_t count, bool kept, uint64_t *ns);
/* All overlays go; what was sealed is kept, in place of what was kept before. Gate closed. */
void rf_seal_release(void);
/* Are these regions, at these addresses, the ones that are kept? */
bool rf_seal_is_kept(const struct rf_region *regions, uint32_t count);
/*
 * Does what is kept hold the entry of the kernel that is to be sealed, mapped at this distance from
 * guest-physical to guest-virtual, and lies most of it there as it is kept? Then it is that kernel,
 * whatever bounds it is said to have: of another one hardly a byte in ten is the same. Memory
 * outlives a reset: where the entry is elsewhere what lies here says nothing.
 */
bool rf_seal_lies_there(uint64_t entry, uint64_t distance);
/* Nothing is kept any more. */
void rf_seal_forget(void);

#endif
