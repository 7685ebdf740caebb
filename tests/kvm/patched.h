/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed text with a patch table that the test writes, as the monitor would. */
#ifndef RF_TESTS_KVM_PATCHED_H
#define RF_TESTS_KVM_PATCHED_H

#include "patch/table.h"
#include "tests/kvm/scenario.h"

/* Sites of the table; all lie in SEALED, which is mapped where it lies. */
#define FIVE (SEALED + 0x800)	/* nop5[0], or nop5[1], by the protocol of int3 */
#define BYTE (SEALED + 0x900)	/* 0x90 or 0xf8, in one store */
#define BYTE2 (SEALED + 0x1900) /* the same, on another page */

extern const uint8_t nop5[2][5];

/* SEALED as text and OTHER as rodata, sealed, with the table in use. The kernel's id. */
uint64_t patched_machine(unsigned cpus);
/* The same table for a kernel that is sealed already. Writable by the test, used by the fence. */
struct rf_patch_table *use_table(uint64_t kernel);
/* The one in use. */
extern struct rf_patch_table *table;
extern const struct rf_region text_and_rodata[2];
/* LTR of CX, which the text has there and which is a trap from now on. */
#define TRAPPED (SEALED + 0x400)
extern const uint8_t ltr[3];
void plant_trap(uint64_t kernel);

#endif
