/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes the memory of a machine to a file, as an ELF64 core whose PT_LOADs are physical memory
 * of x86-64 (gABI chapter 5): what rf_dump_open() reads. Pages, of 4096 bytes, that are all zeros
 * are holes in the file. After an error there is nothing to do but to remove the file.
 */
#ifndef RF_HV_DUMP_CORE_H
#define RF_HV_DUMP_CORE_H

#include <stddef.h>

#include "hv/addr.h"

#define RF_CORE_RANGES 1024u

struct rf_core {
	int fd;		/* the caller's; empty, and of a file that can be written at any offset */
	uint64_t size;	/* of the file so far, bytes */
	uint64_t zeros; /* bytes of memory that take no room in it */
	size_t count;
	struct rf_core_range {
		uint64_t gpa, size;
	} ranges[RF_CORE_RANGES];
};

/* 0 or -errno. Until rf_core_end() the file is one that nobody takes for a core. */
int rf_core_begin(struct rf_core *c, int fd);
/*
 * Memory at gpa: whole pages, behind all that was added before. 0, -EINVAL (it is not), -E2BIG (in
 * more than RF_CORE_RANGES pieces), or -errno of pwrite(2).
 */
int rf_core_add(struct rf_core *c, rf_gpa gpa, const void *bytes, size_t len);
/* It is on disk, and is a core. 0 or -errno. */
int rf_core_end(struct rf_core *c);

#endif
