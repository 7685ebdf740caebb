/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMM's memory slots, mirrored, and the overlays the fence lays over them.
 *
 * The VMM keeps seeing the slots it made. What KVM has is those slots cut into pieces around the
 * overlays; an overlay is a slot of the fence's own over memory private to the fence (hv/seal.c,
 * hv/watch.c). Overlays belong to the fence: they stay whatever the VMM does to the slot below
 * them. The watched page ends with the seal; both end when hv/life.c releases what it knew: at a
 * reset, when the VMM loads another running guest, at a kexec that was let.
 *
 * KVM facts: READONLY cannot be toggled and a live slot cannot be resized (virt/kvm/kvm_main.c
 * __kvm_set_memory_region() returns -EINVAL), so every change is delete and create, with no vCPU in
 * the guest.
 */
#ifndef RF_HV_MEMSLOTS_H
#define RF_HV_MEMSLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/span.h"

#define RF_MAX_SLOTS 1024  /* of the VMM, both address spaces together */
#define RF_MAX_OVERLAYS 17 /* RF_SEAL_MAX regions and the watched page */
#define RF_MAX_PIECES (RF_MAX_OVERLAYS + 1)
#define RF_OWN_IDS 128 /* slot ids per address space kept from the VMM */
#define RF_SPACES 2    /* KVM_ADDRESS_SPACE_NUM on x86: normal and SMM */

struct rf_range {
	uint64_t start, size;
};

/*
 * Cuts slot at the overlays (ascending, disjoint) and writes what is left, ascending, to
 * out[0..max). The number of pieces, or -ENOSPC. Ranges do not wrap. Pure.
 */
int rf_split(struct rf_range slot, const struct rf_range *overlays, size_t n, struct rf_range *out,
	     size_t max);

struct rf_piece {
	uint32_t id; /* KVM slot id without the address space */
	struct rf_range gpa;
};

struct rf_slot {
	bool used;
	uint16_t space;
	uint32_t id;
	uint32_t flags;
	uint64_t gpa, size;
	uint64_t hva;
	bool all_dirty; /* logged, and re-made since the VMM last asked: told once as dirty all over
			 */
	uint32_t nr_pieces; /* one piece with the slot's own id and range: not split */
	struct rf_piece pieces[RF_MAX_PIECES];
};

enum rf_overlay_kind { RF_OVERLAY_SEAL = 1, RF_OVERLAY_WATCH = 2 };

struct rf_overlay {
	enum rf_overlay_kind kind;
	struct rf_range gpa;
	uint64_t gva;
	uint32_t region; /* enum rf_region_kind, for seals */
	uint8_t *copy;	 /* what the guest sees; owned by the overlay */
	void *map;	 /* the mapping copy lies in, for munmap; NULL: it is another's now */
	size_t map_size;
	uint64_t *dirty;	 /* a bit a page: patched since the VMM last asked; part of map */
	uint32_t ids[RF_SPACES]; /* KVM slot id, UINT32_MAX where it has none */
};

struct rf_memslots {
	int vm_fd;
	uint32_t id_limit; /* VMM ids lie below it, ours in [id_limit, id_limit + RF_OWN_IDS) */
	bool space_used[RF_SPACES];
	uint8_t own_ids[RF_SPACES][RF_OWN_IDS];
	size_t nr_slots; /* high-water mark of slots[] */
	struct rf_slot slots[RF_MAX_SLOTS];
	size_t nr_overlays;
	struct rf_overlay overlays[RF_MAX_OVERLAYS]; /* ascending by gpa */
};

struct kvm_userspace_memory_region;
struct kvm_dirty_log;

#define RF_EACH_OVERLAY(m, o)                                                                      \
	for (struct rf_overlay *o = (m)->overlays; o < (m)->overlays + (m)->nr_overlays; o++)
#define RF_EACH_SLOT(m, s)                                                                         \
	for (struct rf_slot *s = (m)->slots; s < (m)->slots + (m)->nr_slots; s++)                  \
		if (!s->used) {                                                                    \
		} else

/* Page n of what a bitmap is of is dirty. */
static inline void rf_mark(uint64_t *bitmap, uint64_t n)
{
	bitmap[n / 64] |= UINT64_C(1) << (n % 64);
}

/* The VMM's slot, or NULL. */
struct rf_slot *rf_slot_of(struct rf_memslots *m, uint16_t space, uint32_t id);

/* The overlay that holds gpa, or NULL. */
struct rf_overlay *rf_overlay_at(struct rf_memslots *m, uint64_t gpa);
/* The VMM's RAM slot (address space 0, writable) that wholly holds the range, or NULL. */
struct rf_slot *rf_slot_holding(struct rf_memslots *m, uint64_t gpa, uint64_t size);
/*
 * Where the VMM has gpa, and how many of the `size` bytes from there on (at least one) follow each
 * other in its memory. NULL: it has no RAM in so many. A guest's RAM may be several slots side by
 * side.
 */
uint8_t *rf_slot_host(struct rf_memslots *m, uint64_t gpa, uint64_t size, uint64_t *len);

/*
 * KVM_SET_USER_MEMORY_REGION of the VMM. Result as the ioctl's. -EAGAIN, and nothing is done: the
 * change touches pieces, so the caller closes the gate and calls again with gated true.
 */
int rf_memslots_set(struct rf_memslots *m, const struct kvm_userspace_memory_region *r, bool gated);

/*
 * Replaces all overlays by next[0..n) (ascending, disjoint) and re-makes the slots they touch. Gate
 * closed. The copies of overlays that are gone are freed. 0; any other result leaves KVM half-made:
 * the caller must end the VM.
 */
int rf_memslots_overlay(struct rf_memslots *m, const struct rf_overlay *next, size_t n);

/* KVM_GET_DIRTY_LOG of the VMM, merged from the pieces. Result as the ioctl's. */
int rf_memslots_dirty_log(struct rf_memslots *m, const struct kvm_dirty_log *log);

#endif
