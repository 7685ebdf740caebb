/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest of a few pages for tests of code above kernel.h and pagetable.h: it stands in for both
 * and for module.c (do not link introspection/kernel.c, pagetable.c or module.c with it). Pages are
 * mapped by a list, symbols are an array.
 */
#ifndef RF_TESTS_FAKE_GUEST_H
#define RF_TESTS_FAKE_GUEST_H

#include "introspection/kernel.h"

#define FAKE_PAGES 32

struct fake_member {
	const char *type, *path; /* path NULL: the type itself */
	uint64_t offset, size;
};

struct rf_kernel {
	struct rf_image image;
	struct rf_symbol syms[192]; /* by address */
	size_t count;
	struct fake_member members[64]; /* enumerators, too: their value is the offset */
	size_t members_count;
};

struct fake_guest {
	uint8_t ram[FAKE_PAGES * 4096]; /* gpa 0 on */
	struct {
		uint64_t gva, gpa;
	} map[2 * FAKE_PAGES];
	size_t mapped;
	struct rf_memory m;
	struct rf_paging p;
	struct rf_kernel k;
	uint64_t module, module_size; /* the one that is loaded; 0 none */
	const struct rf_module_range *ranges; /* instead of it, nr_ranges of them */
	size_t nr_ranges;
	int modules_err;	      /* of the list of them */
	unsigned int module_walks;    /* through all of it */
};

void fake_init(struct fake_guest *g);
void fake_map(struct fake_guest *g, uint64_t gva, uint64_t gpa, size_t pages);
/* Keeps the array in address order. */
void fake_symbol(struct fake_guest *g, const char *name, uint64_t addr, char type);
void fake_member(struct fake_guest *g, const char *type, const char *path, uint64_t offset,
		 uint64_t size);
/* Writes through the map; aborts when it is not mapped. */
void fake_put64(struct fake_guest *g, uint64_t gva, uint64_t value);
void fake_write(struct fake_guest *g, uint64_t gva, const void *bytes, size_t len);

#endif
