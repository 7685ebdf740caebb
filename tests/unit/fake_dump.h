/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dumps made by hand, as the formats' descriptions have them, of one small machine. For tests of
 * hv/dump/ and the seeds of its fuzzer; aborts on misuse.
 */
#ifndef RF_TESTS_UNIT_FAKE_DUMP_H
#define RF_TESTS_UNIT_FAKE_DUMP_H

#include <stddef.h>

#include "hv/span.h"

struct fake_dump {
	uint8_t *bytes; /* to be freed */
	size_t len, cap;
};

/* The machine: memory in these places, fake_dump_byte() at each of them. */
#define FAKE_DUMP_RANGES 3u
extern const struct fake_dump_range {
	uint64_t start, size;
} fake_dump_ranges[FAKE_DUMP_RANGES];
#define FAKE_DUMP_END UINT64_C(0x15000)
uint8_t fake_dump_byte(uint64_t gpa);
/* Two processors. Register r of processor n: */
#define FAKE_DUMP_CPUS 2u
enum fake_dump_register { FAKE_RIP, FAKE_CR0, FAKE_CR3, FAKE_CR4, FAKE_IDT, FAKE_GS, FAKE_KGS };
uint64_t fake_dump_register(unsigned int n, enum fake_dump_register r);
#define FAKE_DUMP_VMCOREINFO "OSRELEASE=6.12\n"

/* Grows it as far as needed. */
void fake_dump_put(struct fake_dump *f, size_t at, const void *bytes, size_t len);
void fake_dump_u32(struct fake_dump *f, size_t at, uint32_t v);
void fake_dump_u64(struct fake_dump *f, size_t at, uint64_t v);
int fake_dump_fd(const struct fake_dump *f); /* a file of it, to be closed */

/* As QEMU writes it. Program headers: notes, then one per range. */
#define FAKE_ELF_PHDR(i) (64u + 56u * (i))
struct fake_dump fake_dump_elf(void);

/* As makedumpfile writes it, header version 6; the last page of each range is not compressed. */
#define FAKE_KDUMP_BLOCK 4096u
#define FAKE_KDUMP_BITMAP (3u * FAKE_KDUMP_BLOCK) /* the second one */
#define FAKE_KDUMP_PAGES (4u * FAKE_KDUMP_BLOCK)  /* descriptors */
enum { FAKE_ZLIB = 1, FAKE_LZO = 2, FAKE_SNAPPY = 4, FAKE_ZSTD = 0x20 };
struct fake_dump fake_dump_kdump(uint32_t how);
/* In pieces of that size, not in order. */
struct fake_dump fake_dump_flatten(const struct fake_dump *f, size_t piece);

struct fake_dump fake_dump_lime(void);

#endif
