// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sealing: the guest's bytes are copied into memory private to the fence and a read-only slot is
 * laid over them. The VMM's own pages stay where they are as a decoy, so that a device the guest
 * programs writes into dead pages.
 */
#include "hv/seal.h"

#include <string.h>
#include <sys/mman.h>

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/vcpu.h"

/*
 * Memory for one overlay, its host address congruent with the guest's modulo 2 MiB: else KVM maps
 * it with 4 KiB pages only (arch/x86/kvm/x86.c kvm_alloc_memslot_metadata()). The dirty bitmap
 * follows the copy.
 */
int rf_overlay_alloc(struct rf_overlay *o, enum rf_overlay_kind kind, uint64_t gpa, uint64_t size)
{
	size_t want = size + (size / RF_PAGE_SIZE + 63) / 64 * 8 + 2 * RF_HUGE_SIZE;
	uint8_t *map = rf_mmap(want, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	uint64_t start;

	if (map == MAP_FAILED)
		return -errno;
	start = ((uint64_t)(uintptr_t)map + RF_HUGE_SIZE - 1) & ~(RF_HUGE_SIZE - 1);
	start += gpa & (RF_HUGE_SIZE - 1);
	madvise(map, want, MADV_HUGEPAGE); /* refused where there are none: only slower */
	*o = (struct rf_overlay){
		.kind = kind,
		.gpa = { gpa, size },
		.copy = (uint8_t *)(uintptr_t)start,
		.map = map,
		.map_size = want,
		.dirty = (uint64_t *)(uintptr_t)(start + size),
		.ids = { UINT32_MAX, UINT32_MAX },
	};
	return 0;
}

/* --- kept ---------------------------------------------------------------------- */

/*
 * What was sealed when the seals were last released. To a VMM a guest that wakes up out of sleep is
 * one that was reset, and firmware can hand a reset guest back to the kernel it had: that kernel
 * gets these bytes again.
 */
static struct rf_overlay kept[RF_SEAL_MAX];
static uint32_t nr_kept;

void rf_seal_forget(void)
{
	while (nr_kept) {
		nr_kept--;
		rf_munmap(kept[nr_kept].map, kept[nr_kept].map_size);
	}
}

bool rf_seal_is_kept(const struct rf_region *r, uint32_t count)
{
	if (!count || nr_kept != count)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (kept[i].gpa.start != r[i].gpa || kept[i].gpa.size != r[i].size ||
		    kept[i].gva != r[i].gva || kept[i].region != r[i].kind)
			return false;
	return true;
}

void rf_seal_release(void)
{
	if (rf_guestmem_any_sealed())
		rf_seal_forget();
	RF_EACH_OVERLAY(&rf_guestmem, o) {
		if (o->kind != RF_OVERLAY_SEAL)
			continue;
		kept[nr_kept] = *o;
		kept[nr_kept].ids[0] = kept[nr_kept].ids[1] = UINT32_MAX;
		nr_kept++;
		o->map = NULL; /* not freed with its overlay */
	}
	rf_guestmem_overlay(NULL, 0);
}

/* --- sealed -------------------------------------------------------------------- */

static int check_regions(const struct rf_region *r, uint32_t count)
{
	if (count < 1 || count > RF_SEAL_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (r[i].gpa % RF_PAGE_SIZE || r[i].size % RF_PAGE_SIZE || !r[i].size)
			return -EINVAL;
		if (i && (r[i].gpa < r[i - 1].gpa || r[i].gpa - r[i - 1].gpa < r[i - 1].size))
			return -EINVAL;
		if (!rf_guestmem_is_ram(r[i].gpa, r[i].size))
			return -EINVAL;
	}
	return 0;
}

bool rf_seal_lies_there(uint64_t entry, uint64_t distance)
{
	uint8_t below[RF_PAGE_SIZE];
	uint64_t same = 0, all = 0;
	bool held = false;

	for (uint32_t n = 0; n < nr_kept; n++) {
		const struct rf_overlay *k = &kept[n];

		held |= k->gva - k->gpa.start == distance &&
			rf_within(entry, 1, k->gva, k->gpa.size);
		for (uint64_t at = 0; at < k->gpa.size; at += RF_PAGE_SIZE)
			if (!rf_guestmem_below(k, at, below, RF_PAGE_SIZE))
				for (uint32_t i = 0; i < RF_PAGE_SIZE; i++)
					same += below[i] == k->copy[at + i];
		all += k->gpa.size;
	}
	return held && same > all / 2;
}

static int allocate(const struct rf_region *regions, uint32_t count, struct rf_overlay *out)
{
	for (uint32_t i = 0; i < count; i++) {
		int err =
			rf_overlay_alloc(&out[i], RF_OVERLAY_SEAL, regions[i].gpa, regions[i].size);

		if (err) {
			while (i--)
				rf_munmap(out[i].map, out[i].map_size);
			return err;
		}
		out[i].gva = regions[i].gva;
		out[i].region = regions[i].kind;
	}
	return 0;
}

int rf_seal_install(const struct rf_region *regions, uint32_t count, bool again, uint64_t *ns)
{
	struct rf_overlay next[RF_SEAL_MAX];
	uint64_t start, copy_bytes = 0;
	int err = check_regions(regions, count);

	if (err)
		return err;
	if (again) {
		if (!rf_seal_is_kept(regions, count))
			return -ENOENT;
		memcpy(next, kept, count * sizeof(*next));
		nr_kept = 0;
	} else {
		err = allocate(regions, count, next);
		if (err)
			return err;
	}
	rf_gate_close();
	start = rf_monotonic_ns();
	/* A watched page inside the range holds the same bytes as the VMM's: it is mirrored. */
	for (uint32_t i = 0; i < count && !again; i++)
		rf_overlay_take(&next[i]);
	for (uint32_t i = 0; i < count; i++)
		copy_bytes += next[i].gpa.size;
	rf_guestmem_overlay(next, count);
	rf_seal_forget();
	*ns = rf_monotonic_ns() - start;
	rf_board->seal_ns = *ns;
	rf_board->copy_bytes = copy_bytes;
	rf_gate_open();
	return 0;
}
