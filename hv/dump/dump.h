/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a machine, read from a file that a hypervisor, kdump or LiME wrote.
 *
 * The file is hostile: who was in the guest wrote most of it, and may have written all of it. Sizes
 * are checked against the file, every loop and every allocation has a bound, and a file that gets
 * shorter while it is read is an error, not a signal: it is read with pread(2), never mapped.
 *
 * libkdumpfile reads more formats. It is not used, as what reads here has to be bounded and fuzzed
 * as a whole, and small enough to be read.
 *
 * To add a format: a file that fills in struct rf_dump (impl.h), its row in formats[] (dump.c), its
 * file in tests/unit/test_dump.c and a seed of it in tests/fuzz/dump_seeds.c.
 */
#ifndef RF_HV_DUMP_H
#define RF_HV_DUMP_H

#include <stddef.h>

#include "hv/addr.h"

struct rf_dump; /* not for two threads at once: even reading moves its caches */

/*
 * Recognises the format and reads what describes the memory; the memory itself is read later, on
 * demand. The descriptor is duplicated, its file position not used. 0 and *out (close it), or:
 *
 * - -ENOTSUP: no format that is known, or one that this program was built without
 * - -EBADMSG: malformed, or cut off
 * - -EFAULT: the file cannot be read
 * - -ENOMEM, -EMFILE
 *
 * Then why, of why_size bytes, says so in one line. It is for people, and of printable characters.
 */
int rf_dump_open(int fd, struct rf_dump **out, char *why, size_t why_size);
/*
 * Byte n of the file is guest-physical n, whatever stands there. A guest that writes the beginning
 * of another format to address 0 chooses how rf_dump_open() reads a raw file: who knows that the
 * file is raw says so.
 */
int rf_dump_open_raw(int fd, struct rf_dump **out, char *why, size_t why_size);
void rf_dump_close(struct rf_dump *d); /* NULL is fine */

/*
 * The read of struct rf_memory (introspection/memory.h); dump is a struct rf_dump. All or nothing:
 * 0, or -EFAULT when a byte of [gpa, gpa+len) is not in the file (it was no RAM, or was left out as
 * makedumpfile -d does), or cannot be read or unpacked; buf is then unspecified. len may be 0.
 */
int rf_dump_read(void *dump, rf_gpa gpa, void *buf, size_t len);

/*
 * From now on memory that makedumpfile left out reads as zeros, as crash's `--zero_excluded` does.
 * With -d 1 that is what it was. With -d 31 it is right for the kernel's own pages, of which no
 * others are left out (its image has some), and wrong for free and user memory and page cache. 0,
 * or -ENOTSUP where no zeros were left out, or the format does not tell that from no RAM.
 */
int rf_dump_fill(struct rf_dump *d);

const char *rf_dump_format(const struct rf_dump *d); /* "ELF core", "kdump-compressed" ... */
uint64_t rf_dump_end(const struct rf_dump *d);	     /* one past the highest byte that is there */

/*
 * The i-th range of memory in the file, by address. Nothing is there between two ranges; inside of
 * one pages may be missing: of the holes of a filtered dump, which can be millions, small ones may
 * be left out. 0, or -ENOENT past the last one.
 */
int rf_dump_range(const struct rf_dump *d, size_t i, rf_gpa *start, uint64_t *size);

/* What the file says of a processor. Claims, like all of it. */
enum {
	RF_DUMP_CPU_RIP = 1 << 0,
	RF_DUMP_CPU_SYSTEM = 1 << 1, /* cr0, cr3, cr4, idt_base, gs_base */
	RF_DUMP_CPU_KERNEL_GS = 1 << 2,
};

struct rf_dump_cpu {
	unsigned int known; /* which of the members; the others are 0 */
	uint64_t cr0, cr3, cr4, idt_base, gs_base, kernel_gs_base, rip;
};

size_t rf_dump_cpus(const struct rf_dump *d);				     /* 0: none */
int rf_dump_cpu(const struct rf_dump *d, size_t i, struct rf_dump_cpu *out); /* or -ENOENT */

#endif
