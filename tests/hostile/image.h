/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest in the making: its script (tests/hostile/guest.h), its page tables, its kernel image. */
#ifndef RF_TESTS_HOSTILE_IMAGE_H
#define RF_TESTS_HOSTILE_IMAGE_H

#include "tests/unit/synth.h"

#define MIB UINT64_C(0x100000)
/* As RF_KIMAGE_WINDOW in introspection/kimage.h. */
#define WINDOW UINT64_C(0xffffffff80000000)

/* The image, and what stands where in it. */
#define IMAGE UINT64_C(0xffffffff81000000)
#define IMAGE_GPA (16 * MIB)
#define IMAGE_SIZE (4 * MIB)
#define ENTRY (IMAGE + 0x80)
#define RODATA (IMAGE + 2 * MIB)
#define TABLES (RODATA + 0x10000 - 0x400) /* across a page's end */
#define BTF (RODATA + 0x80000)
#define BANNER (RODATA + 0xa0000)
#define RODATA_END (RODATA + 0xc0000)
#define ROOT (IMAGE + 3 * MIB)
#define STATE (IMAGE + IMAGE_SIZE - 0x10000)

struct guest {
	struct synth s;
	unsigned int ops;
	uint64_t btf_len, rodata_end;
	struct synth_tables kallsyms;
};

/* Zeroed memory with low addresses mapped to themselves. */
void start(struct guest *g, unsigned int levels);
/* Once everything is there: what guest.S loads into its control registers. */
void finish(struct guest *g);

uint64_t gpa_of(uint64_t gva); /* of the image */
void put(struct guest *g, uint64_t gva, const void *bytes, size_t len);
void put_noise(struct guest *g, uint64_t gva, uint64_t len); /* the same bytes each time */
void put_symbols(struct guest *g);
void map_image(struct guest *g);
/* The whole image of a kernel that tells the truth. */
void put_kernel(struct guest *g);

/* --- the script ------------------------------------------------------------------ */
void op(struct guest *g, uint64_t kind, uint64_t a, uint64_t b, uint64_t c);
void op_print(struct guest *g, const char *text); /* 24 bytes at most */
void op_lstar(struct guest *g, uint64_t value);
/* LSTAR, then the end of its boot as Linux has it. */
void op_boot(struct guest *g);
/* Says that it goes on, and does. */
void op_end(struct guest *g);

#endif
