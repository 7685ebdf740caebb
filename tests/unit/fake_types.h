/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel whose symbols and types the test makes up, in the place of introspection/kernel.c's
 * answers; and one megabyte of memory, which every address of the kernel's half leads to.
 */
#ifndef RF_TESTS_FAKE_TYPES_H
#define RF_TESTS_FAKE_TYPES_H

#include "introspection/kernel_internal.h"

#define FAKE_SIZE UINT64_C(0x100000)
#define FAKE_BASE UINT64_C(0xffffffff80000000) /* of the image: the first half of the memory */
#define FAKE_IMAGE (FAKE_SIZE / 2)
#define FAKE_HEAP (UINT64_C(0xffff888000000000) + FAKE_IMAGE) /* what is in no image: the rest */

/* In the image. */
#define FAKE_STEXT FAKE_BASE
#define FAKE_ETEXT (FAKE_BASE + 0x10000)
#define FAKE_RODATA FAKE_ETEXT
#define FAKE_ERODATA (FAKE_BASE + 0x20000)
#define FAKE_INIT (FAKE_BASE + 0x70000)
#define FAKE_EINIT (FAKE_BASE + 0x78000)

extern uint8_t fake_bytes[FAKE_SIZE];
extern bool fake_init_executable;
extern bool fake_without_types;
/* Called before each read, if set. */
extern void (*fake_before_read)(uint64_t gpa);

/* What rf_pt_walk() finds. */
#define FAKE_MAPPINGS 8u
extern struct rf_mapping fake_mappings[FAKE_MAPPINGS];
extern unsigned int fake_mappings_count;

/* Nothing is known but the image, its sections, and how modules and their lists are kept. */
struct rf_kernel *fake_types(void);
struct rf_memory fake_memory(void);

void fake_symbol(const char *name, uint64_t addr);
/* So many bytes lie between that symbol and the next; 64 where nothing is said. */
void fake_extent(uint64_t addr, uint64_t size);
void fake_member(const char *type, const char *path, uint64_t offset, uint64_t size);
void fake_enumerator(const char *name, int64_t value);
void fake_sizeof(const char *type, uint64_t size);
void fake_function_member(const char *type, const char *name, uint64_t offset);
/* Everything that is asked for exists, at an offset and of a size that its name decides. */
void fake_everything(void);

void fake_u64(uint64_t gva, uint64_t value);
/* All of the memory, by bytes of a fuzzer's, 4 at least. Words of them are small numbers, which
 * become addresses in it: random bytes lead nowhere. */
void fake_fill(const uint8_t *data, size_t size);
/* A struct list_head at head, with n nodes; node[i] is where a node stands. */
void fake_list(uint64_t head, const uint64_t *node, unsigned int n);

#endif
