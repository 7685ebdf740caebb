/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed text of two pages, with a table of three sites that the fence may settle stores by. */
#ifndef RF_TESTS_FAKE_TEXT_H
#define RF_TESTS_FAKE_TEXT_H

#include "hv/guestmem.h"
#include "hv/text.h"
#include "hv/vcpu.h"

#define TEXT_GPA UINT64_C(0x1000000)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define TEXT_SIZE UINT64_C(0x2000)
#define SITE 0x100u  /* a 5-byte jump label: target SITE + 0x50 */
#define OTHER 0x200u /* another one */
#define LOCK 0x300u  /* one byte, written directly */

extern struct rf_trail *trail;
extern struct rf_patch_table *table;
extern struct rf_vcpu vcpu;
extern uint8_t text[TEXT_SIZE], decoy[TEXT_SIZE];
extern uint64_t dirty[1];
extern struct rf_overlay *const overlay;
extern int table_fd;
extern const uint8_t nop5[5], jmp[5];

/* cmocka fixtures. */
int fake_text_setup(void **state);
int fake_text_teardown(void **state);
/* A memfd of that size, with these seals. */
int make_table(size_t size, int seals);
struct rf_patch_site *add_site(uint32_t at, uint16_t shape, enum rf_site_kind kind);
/* Settled by the fence? Then it has landed. */
bool store(uint32_t at, const void *bytes, uint32_t len);
bool byte(uint32_t at, uint8_t b);

#endif
