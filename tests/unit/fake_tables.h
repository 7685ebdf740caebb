/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest with descriptor tables, and instructions in its text that load them. */
#ifndef RF_TESTS_FAKE_TABLES_H
#define RF_TESTS_FAKE_TABLES_H

#include "tests/unit/fake_monitor.h"

#define CODE UINT64_C(0x3000) /* in the image: the nth instruction is 32 bytes behind the last */
#define RO_IDT UINT64_C(0xfffffe0000000000)
#define OPERAND (OTHER_GVA + 0x100)

enum { LIDT, LGDT, LLDT, LTR, CR4, HIDDEN, FAKE_INSNS };

extern const uint8_t fake_insns[FAKE_INSNS][15], fake_insn_lengths[FAKE_INSNS];

/* cmocka fixture: fake_setup() with all of that. */
int fake_tables_setup(void **state);
/* Into memory and decoy; into the image, or what is mapped at OTHER_GVA. */
void fake_put(uint64_t gva, const void *bytes, size_t len);
void fake_put64(uint64_t gva, uint64_t value);
void fake_make_gdt(unsigned int cpu);
/* What the fence asks when one of the instructions is about to run; its operand is at OPERAND. */
struct rf_msg_event fake_trap(int which);

#endif
