/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine for hv/guestmem.c and hv/seal.c: memory of this process, and a KVM that takes slots.
 * The guest's RAM is two slots of the VMM's whose memory is not side by side, and the region that
 * is sealed lies over both.
 */
#ifndef RF_TESTS_FAKE_SLOTS_H
#define RF_TESTS_FAKE_SLOTS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/seal.h"
#include "tests/unit/fake_vcpus.h"

#define LIMIT 32
#define IDS (LIMIT + RF_OWN_IDS)
#define PAGES 16u /* of each slot */
#define SIZE (PAGES * RF_PAGE_SIZE)
#define A_GPA UINT64_C(0x40100000)
#define B_GPA (A_GPA + SIZE)
#define SEAL_GPA (B_GPA - 4 * RF_PAGE_SIZE) /* four pages of each */
#define SEAL_SIZE (8 * RF_PAGE_SIZE)
#define SEAL_GVA UINT64_C(0xffffffff81000000)
#define HALF (4 * RF_PAGE_SIZE)
#define LOG KVM_MEM_LOG_DIRTY_PAGES

extern struct rf_board_file slots_file;
extern uint8_t *slots_a, *slots_b; /* the VMM's memory, SIZE bytes each */
extern struct kvm_userspace_memory_region slots_kvm[RF_SPACES][IDS]; /* what KVM has */

/* cmocka fixtures: both slots are there, nothing is sealed. */
int slots_setup(void **state);
int slots_teardown(void **state);
/* The VMM's request. 0 or -errno. */
int slots_set(uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size, const void *host);
/* What the guest has there, NULL nothing; writable (may be NULL): whether its store would land. */
uint8_t *slots_guest(uint64_t gpa, bool *writable);
struct rf_region slots_region(uint64_t gpa, uint64_t size);
int slots_seal(uint64_t gpa, uint64_t size, bool again);
struct rf_overlay *slots_sealed(void); /* SEAL_SIZE at SEAL_GPA, sealed now */
/* The VMM asks; a bit a page of what it is told, of 16. */
uint32_t slots_dirty(uint32_t id);
/* Asks both once, so that nothing of the sealing itself is left to tell. */
void slots_log_both(void);

#endif
