/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a function of the kernel's begins in earnest: behind what the build puts at its entry. */
#ifndef RF_INTROSPECTION_ENTRY_H
#define RF_INTROSPECTION_ENTRY_H

#include "introspection/x86/disasm.h"

struct rf_kernel;

#define RF_FUNCTION_MAX 4096 /* bytes that are looked at */

struct rf_function {
	uint64_t start; /* guest-virtual */
	size_t len;	/* up to the next symbol, at most RF_FUNCTION_MAX */
	uint8_t code[RF_FUNCTION_MAX];
	size_t entry; /* of the first instruction behind endbr64 and ftrace's place; <= len */
};

/* Through the image, whatever the guest's page tables say. 0, -ENOENT, or the error of m->read. */
int rf_function_read(const struct rf_kernel *k, const struct rf_memory *m, const char *name,
		     struct rf_function *out);

/* Whole instructions of a function, one behind the other. */
struct rf_insns {
	rf_gva at;
	uint8_t bytes[15], len;
};

/*
 * The first ones that take up `least` bytes (1 to 8) or more: nobody jumps in between, as a
 * function is entered at its beginning. As rf_function_read(), and -ENOENT when Capstone does not
 * know one of them.
 */
int rf_function_head(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		     const char *name, uint8_t least, struct rf_insns *out);

#endif
