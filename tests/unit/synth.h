/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest made by hand: page tables, kallsyms and BTF written the way the processor's manual,
 * scripts/kallsyms.c and Documentation/bpf/btf.rst describe them. For tests of the code that reads
 * these; aborts on misuse.
 */
#ifndef RF_TESTS_UNIT_SYNTH_H
#define RF_TESTS_UNIT_SYNTH_H

#include "introspection/kallsyms.h"
#include "introspection/arch.h"

/* --- memory and page tables ------------------------------------------------------ */

#define SYNTH_W (UINT64_C(1) << 1)
#define SYNTH_U (UINT64_C(1) << 2)
#define SYNTH_NX (UINT64_C(1) << 63)

struct synth {
	uint8_t *ram; /* gpa 0 on */
	size_t size;
	uint64_t next_table; /* gpa; tables grow upwards from where synth_init() was told */
	struct rf_memory m;
	struct rf_paging p;
};

void synth_init(struct synth *s, size_t size, uint64_t tables, unsigned int levels);
void synth_deinit(struct synth *s);
/* One page of 4 KiB, 2 MiB or 1 GiB. Rights of the tables above it are all granted. */
void synth_map(struct synth *s, uint64_t gva, uint64_t gpa, uint64_t page, uint64_t flags);
/* The entry that maps gva at a level (0 holds 4 KiB pages); the tables above it must exist. */
uint64_t *synth_entry(struct synth *s, uint64_t gva, unsigned int level);
void synth_put(struct synth *s, uint64_t gpa, const void *bytes, size_t len);

/* --- kallsyms -------------------------------------------------------------------- */

struct synth_symbol {
	const char *name;
	char type;
	uint64_t addr;
};

enum synth_order {
	SYNTH_ORDER_6_1, /* offsets first */
	SYNTH_ORDER_6_2, /* and 4-byte sequence numbers before the token table */
	SYNTH_ORDER_6_3, /* or 3-byte ones */
	SYNTH_ORDER_6_4, /* offsets last */
	SYNTH_ORDER_7,	 /* and nothing wider than 4 bytes is aligned */
};

struct synth_tables {
	uint8_t *bytes;
	size_t len;
	size_t digits;					/* where rf_kallsyms_decode() starts */
	size_t num_syms, names, markers, offsets, base; /* where each table starts */
};

/* Symbols in address order. `at` is where bytes[0] will lie, `base` is relative_base. Free
 * ->bytes. */
struct synth_tables synth_kallsyms(const struct synth_symbol *symbols, size_t count,
				   enum synth_order order, enum rf_kallsyms_encoding encoding,
				   uint64_t at, uint64_t base);

/* --- BTF ------------------------------------------------------------------------- */

struct synth_btf {
	uint32_t words[4096];
	size_t words_used;
	char strings[8192];
	size_t strings_used;
	uint32_t types;
};

/* Each returns the id of the new type. */
void synth_btf_init(struct synth_btf *b);
uint32_t synth_btf_int(struct synth_btf *b, const char *name, uint32_t bytes, uint32_t bits);
uint32_t synth_btf_ref(struct synth_btf *b, unsigned int kind, const char *name, uint32_t type);
uint32_t synth_btf_array(struct synth_btf *b, uint32_t type, uint32_t count);
/* Followed by exactly `members` calls of synth_btf_member(). */
uint32_t synth_btf_struct(struct synth_btf *b, unsigned int kind, const char *name, uint32_t size,
			  uint32_t members, bool kind_flag);
void synth_btf_member(struct synth_btf *b, const char *name, uint32_t type, uint32_t offset);
/* Followed by exactly `values` calls of synth_btf_value(). */
uint32_t synth_btf_enum(struct synth_btf *b, bool wide, const char *name, uint32_t values,
			bool is_signed);
void synth_btf_value(struct synth_btf *b, bool wide, const char *name, int64_t value);
/* The finished blob, to be freed. */
uint8_t *synth_btf_blob(const struct synth_btf *b, size_t *len);

#endif
