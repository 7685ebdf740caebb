/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's memory: the VMM's slots, the overlays on them, and the only way to a host address.
 * All of it with rf_vm.lock held, but for the functions that take it, which say so.
 */
#ifndef RF_HV_GUESTMEM_H
#define RF_HV_GUESTMEM_H

#include "hv/memslots.h"
#include "hv/proto.h"

struct kvm_userspace_memory_region;

extern struct rf_memslots rf_guestmem;

void rf_guestmem_init(int vm_fd, uint32_t id_limit);
/* The VMM's own requests; they take the lock, and close the gate where slots are re-made. */
int rf_guestmem_set(const struct kvm_userspace_memory_region *r);
int rf_guestmem_dirty_log(const struct kvm_dirty_log *log, bool heal);
/* Does the range touch an overlay? Takes the lock. */
bool rf_guestmem_overlaid(uint64_t gpa, uint64_t size);

/* Replaces all overlays; gate closed. The VM is ended when KVM refuses. */
void rf_guestmem_overlay(const struct rf_overlay *next, size_t n);
/* Slots and seals to the board, when the caller changed what they show. */
void rf_guestmem_publish(void);
/* The overlay at gpa if it is a seal and holds all of the range, or NULL. */
struct rf_overlay *rf_guestmem_sealed(uint64_t gpa, uint64_t len);
bool rf_guestmem_any_sealed(void);
/* RAM of the VMM from the first byte to the last, in whichever slots. */
bool rf_guestmem_is_ram(uint64_t gpa, uint64_t size);

/* --- plain memory: RAM under no overlay ---------------------------------------- */

/* 0, or -EFAULT: not plain, or not of one slot. */
int rf_guestmem_read(uint64_t gpa, void *buf, uint64_t len);
/* Eight bytes, a multiple of 8 at gpa, become `to` if they are `from`; else -EAGAIN. -EINVAL. */
int rf_guestmem_swap(uint64_t gpa, uint64_t from, uint64_t to);
/* As a store of the guest's; what is no RAM is left out. False: the bytes lie under an overlay. */
bool rf_guestmem_write(uint64_t gpa, const void *bytes, uint64_t len);

/* --- overlays and what lies below ---------------------------------------------- */

/* Copies what the VMM has there into the overlay. */
void rf_overlay_take(struct rf_overlay *o);
/* Writes to a copy and to its decoy; the pages are dirty then. */
void rf_overlay_write(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len);
/* The same of the guest's own bytes, but for those where a trap stands: nothing was stored
 * there. */
void rf_overlay_put_back(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len);
/* The whole copy goes to the decoy, as after a native store. */
void rf_overlay_mirror(struct rf_overlay *o);

/*
 * Places whose bytes in the copy are the fence's own, while the decoy has the guest's: traps.
 * Ascending; the array stays the caller's and lives until the next call.
 */
void rf_guestmem_stand_ins(const struct rf_trap_site *sites, uint32_t count);
bool rf_guestmem_stands_in(uint64_t gpa, uint64_t len);
/* In bytes of the copy that lie at gpa, at most RF_PAGE_SIZE: the guest's own where the fence's
 * are. */
void rf_guestmem_show_own(uint64_t gpa, uint8_t *bytes, uint64_t len);

/* What the VMM has below `len` bytes of an overlay. 0 or -EFAULT. */
int rf_guestmem_below(const struct rf_overlay *o, uint64_t at, uint8_t *buf, uint64_t len);
/* The guest's own bytes of a sealed page, and what the VMM has below it. False: the same, or the
 * VMM has no memory there. */
bool rf_guestmem_differs(const struct rf_overlay *o, uint64_t at, uint8_t *own, uint8_t *below);

/*
 * Makes the decoys of these pages what the guest's own sealed memory is. What a device had written
 * there goes to the board's list of heals, and is gone. len 0: all sealed memory. Pages healed.
 */
uint64_t rf_guestmem_heal(uint64_t gpa, uint64_t len);
/* The monitor has written down so many entries of the list. */
void rf_guestmem_heals_taken(uint64_t taken);
/* All, if no vCPU is in the guest: the VMM may be about to save it. Takes the lock. */
void rf_guestmem_heal_stopped(void);

#endif
