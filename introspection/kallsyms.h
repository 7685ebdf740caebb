/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kallsyms: the kernel's own symbol table, decoded out of a copy of guest rodata.
 *
 * The tables carry no header. What is known about them is what scripts/kallsyms.c writes
 * (write_src()), each table aligned to 8 bytes, or to 4 (output_label() in 7.x: nothing in them is
 * wider since relative_base went). Three orders have been released:
 *
 * - to 6.1: offsets, relative_base, num_syms, names, markers, token_table, token_index
 * - 6.2, 6.3: the same with seqs_of_names (4, later 3 bytes a symbol) before token_table
 * - 6.4 on: num_syms, names, markers, token_table, token_index, offsets, relative_base,
 *   seqs_of_names (7.0 on without relative_base, and
 *   the offsets are place-relative)
 *
 * and three meanings of an offset (kernel/kallsyms.c kallsyms_sym_address()): see enum
 * rf_kallsyms_encoding. Order and meaning are decided by what the tables say, never by a version.
 */
#ifndef RF_INTROSPECTION_KALLSYMS_H
#define RF_INTROSPECTION_KALLSYMS_H

#include "introspection/memory.h"

enum rf_kallsyms_encoding {
	/* Signed: 0 and above is a per-CPU address, below it relative_base - 1 - offset. */
	RF_KALLSYMS_ABSOLUTE_PERCPU = 1,
	/* Unsigned: relative_base + offset. */
	RF_KALLSYMS_BASE_RELATIVE = 2,
	/* Signed: address of the offset itself + offset. */
	RF_KALLSYMS_PLACE_RELATIVE = 3,
};

/* Bytes of the image under search and what they must agree with. */
struct rf_kallsyms_view {
	const uint8_t *bytes;
	size_t len;
	rf_gva addr;   /* where bytes[0] lies in the guest, 8-byte aligned */
	rf_gva first;  /* lowest address a symbol of the image can have */
	rf_gva last;   /* highest, inclusive: the end of the kernel-image window */
	rf_gva inside; /* a code address: its symbol must be text */
};

struct rf_kallsyms {
	size_t count;
	uint64_t *addr; /* [count], not descending */
	uint32_t *name; /* [count], offset in pool of the type letter; the name follows it */
	char *pool;
	size_t pool_size;
	enum rf_kallsyms_encoding encoding;
};

/*
 * "0\0" "1\0" ... "9\0": ten neighbours in every token table, as digits are always tokens of
 * themselves.
 */
#define RF_KALLSYMS_DIGITS_LEN 20
extern const uint8_t rf_kallsyms_digits[RF_KALLSYMS_DIGITS_LEN];

/* The most bytes before and after the digits that decoding may need to look at. */
#define RF_KALLSYMS_BEFORE ((size_t)12 << 20)
#define RF_KALLSYMS_AFTER ((size_t)4 << 20)

/*
 * Bytes before and after the digits that tell whether they stand in a token table: its index has 16
 * bits.
 */
#define RF_KALLSYMS_TOKENS ((size_t)68 << 10)

/*
 * True when a token table with its index is at bytes[digits]. UTF-16 case tables (fs/nls) hold the
 * same digits, so this comes before the costly part.
 */
bool rf_kallsyms_probe(const struct rf_kallsyms_view *view, size_t digits);

/*
 * Decodes the tables around the digits at bytes[digits].
 * 0 and *out (free with rf_kallsyms_deinit), -ENOENT when no token table is there (look further
 * on), -EBADMSG when there is one but the rest contradicts it, -ENOMEM.
 */
int rf_kallsyms_decode(const struct rf_kallsyms_view *view, size_t digits, struct rf_kallsyms *out,
		       struct rf_diag *diag);
void rf_kallsyms_deinit(struct rf_kallsyms *k); /* zeroed is fine */

#endif
