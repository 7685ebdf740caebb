/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a dump in which a few places are changed, and put back afterwards. Where they are
 * is chosen among those that were read when nothing was changed: random places of a memory of
 * which some thousandths are read would hardly ever be met.
 */
#ifndef RF_TESTS_FUZZ_FLIP_H
#define RF_TESTS_FUZZ_FLIP_H

#include "introspection/memory.h"

/* What one reader has read: each place once, by address and length. */
struct flip_place {
	uint64_t at;
	uint32_t len;
};
struct flip_places {
	struct flip_place *v;
	size_t count, room;
};

#define FLIPS_MAX 8u
#define FLIP_PAGE 4096u
/* What stood there before. */
struct flip_undo {
	uint64_t at;
	size_t len;
	uint8_t bytes[FLIP_PAGE];
};

struct flip_ram {
	uint8_t *bytes; /* private: the file is not written */
	uint64_t size;
	uint64_t direct; /* guest-virtual address of byte 0, in the kernel's map of all memory */
	uint64_t calls, copied;	    /* of the reader, and bytes */
	struct flip_places *record; /* NULL: nothing is recorded */
	struct flip_undo undo[FLIPS_MAX];
	unsigned int undo_count;
};

/* Ends the program where the file cannot be mapped. */
void flip_open(const char *path, struct flip_ram *out);
void flip_close(struct flip_ram *ram);
struct rf_memory flip_memory(struct flip_ram *ram);

/* From now on places goes on to grow; NULL ends it, and sorts the places of before. */
void flip_record(struct flip_ram *ram, struct flip_places *places);

/* The same numbers for the same seed. */
struct flip_random {
	uint64_t state;
};
uint64_t flip_below(struct flip_random *r, uint64_t limit);

/* Changes one to four things at these places, of which there is at least one. */
void flip_some(struct flip_ram *ram, const struct flip_places *places, struct flip_random *r);
void flip_back(struct flip_ram *ram);

#endif
