/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of hv/dump/ share; no one else includes it. */
#ifndef RF_HV_DUMP_IMPL_H
#define RF_HV_DUMP_IMPL_H

#include <stdarg.h>
#include <stdio.h>

#include "hv/dump/cache.h"
#include "hv/dump/dump.h"

/* The formats are little-endian but for one; structures are copied out of the file as they are. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian hosts");

/* --- why a file is refused -------------------------------------------------------- */

struct rf_dump_why {
	char *text;
	size_t size;
};

__attribute__((format(printf, 3, 4))) static inline int
rf_dump_fail(const struct rf_dump_why *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (why->size)
		vsnprintf(why->text, why->size, format, args);
	va_end(args);
	return err;
}

/* --- the file ---------------------------------------------------------------------- */

struct rf_dump_flat;

struct rf_dump_file {
	int fd;
	uint64_t plain_size; /* bytes of the file itself, at most INT64_MAX */
	uint64_t size;	     /* bytes of what is in it: another number where it is flattened */
	struct rf_dump_flat *flat; /* NULL: not flattened */
	struct rf_dump_cache cache;
};

/* file.c: the file itself. Takes a duplicate of fd. 0, -ENOTSUP, -EMFILE, -ENOMEM. */
int rf_dump_file_open(struct rf_dump_file *f, int fd, const struct rf_dump_why *why);
void rf_dump_file_close(struct rf_dump_file *f);
int rf_dump_file_plain(struct rf_dump_file *f, uint64_t at, void *buf, size_t len);

/*
 * flat.c: the file that makedumpfile's flattened form stands for. Opening one that is not flattened
 * does nothing. 0, -ENOTSUP, -EBADMSG, -EFAULT, -ENOMEM.
 */
int rf_dump_flat_open(struct rf_dump_file *f, const struct rf_dump_why *why);
void rf_dump_flat_close(struct rf_dump_file *f);
/* All or nothing: 0, or -EFAULT, also past the end. What every parser reads with. */
int rf_dump_file_read(struct rf_dump_file *f, uint64_t at, void *buf, size_t len);

/* --- ranges of memory ---------------------------------------------------------------- */

/* No processor has wider addresses: MAXPHYADDR, SDM vol. 3A 4.1.4. */
#define RF_DUMP_GPA_END (UINT64_C(1) << 52)

struct rf_dump_range {
	uint64_t start, size; /* guest-physical; size is not 0 */
	uint64_t from;	      /* where in the file; not used where memory is compressed */
};

struct rf_dump_ranges {
	struct rf_dump_range *v;
	size_t count, cap;
	uint64_t least_hole; /* what rf_dump_ranges_page() leaves out: a smaller hole */
};

void rf_dump_ranges_deinit(struct rf_dump_ranges *rs);
/* Not empty, below RF_DUMP_GPA_END. 0, -EBADMSG, -E2BIG, -ENOMEM. */
int rf_dump_ranges_add(struct rf_dump_ranges *rs, uint64_t start, uint64_t size, uint64_t from);
/* Of ascending runs that have no place in the file; many small ones become fewer. As above. */
int rf_dump_ranges_run(struct rf_dump_ranges *rs, uint64_t start, uint64_t size);
/* Sorts and merges. -EBADMSG: a byte of memory has two places in the file. */
int rf_dump_ranges_sort(struct rf_dump_ranges *rs);
/* All of that is in sorted ranges. */
bool rf_dump_ranges_cover(const struct rf_dump_ranges *rs, uint64_t start, uint64_t size);
/* The reader of formats that have sorted ranges with places. */
struct rf_dump;
int rf_dump_ranges_read(struct rf_dump *d, uint64_t gpa, void *buf, size_t len);

/* --- the dump ------------------------------------------------------------------------- */

struct rf_dump_kdump;

#define RF_DUMP_CPUS_MAX 8192u /* CONFIG_NR_CPUS at most */

struct rf_dump {
	struct rf_dump_file file;
	const char *format;
	struct rf_dump_ranges ranges;
	int (*read)(struct rf_dump *d, uint64_t gpa, void *buf, size_t len);
	struct rf_dump_kdump *kdump; /* kdump.c's own */
	struct rf_dump_cpu *cpus;
	size_t cpu_count, cpu_cap;
	size_t seen_notes, seen_status, seen_system; /* all of them; and those of a processor */
};

/*
 * One per format. -ENOENT: it is none of these. 0: everything above is filled in; else as
 * rf_dump_open().
 */
int rf_dump_elf_open(struct rf_dump *d, const struct rf_dump_why *why);
int rf_dump_kdump_open(struct rf_dump *d, const struct rf_dump_why *why);
int rf_dump_kdump_fill(struct rf_dump *d); /* rf_dump_fill() */
void rf_dump_kdump_close(struct rf_dump *d);
int rf_dump_lime_open(struct rf_dump *d, const struct rf_dump_why *why);
int rf_dump_raw_open(struct rf_dump *d, const struct rf_dump_why *why);

/* notes.c: ELF notes at a place of the file, for processors. 0, -EBADMSG ... */
int rf_dump_notes(struct rf_dump *d, uint64_t at, uint64_t size, const struct rf_dump_why *why);

/* --- compressed pages ------------------------------------------------------------------ */

/* Flags of a page and of the header: makedumpfile's diskdump_mod.h. */
#define RF_DUMP_ZLIB 0x1u
#define RF_DUMP_LZO 0x2u
#define RF_DUMP_SNAPPY 0x4u
#define RF_DUMP_ZSTD 0x20u
#define RF_DUMP_PACKED (RF_DUMP_ZLIB | RF_DUMP_LZO | RF_DUMP_SNAPPY | RF_DUMP_ZSTD)

/* The library that was not there when this was built and that one of the flags needs, or NULL. */
const char *rf_dump_unpack_missing(uint32_t flags);
/* Exactly `size` bytes out of all of in[0..len): 0, or -EFAULT. how: one flag. */
int rf_dump_unpack(uint32_t how, const uint8_t *in, size_t len, uint8_t *out, size_t size);

#endif
