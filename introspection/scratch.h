/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Large short-lived copies of guest memory. Straight from mmap: freed malloc chunks of this size
 * raise glibc's mmap threshold (mallopt(3), M_MMAP_THRESHOLD), and a monitor that lives for months
 * would keep their pages in its heap.
 */
#ifndef RF_INTROSPECTION_SCRATCH_H
#define RF_INTROSPECTION_SCRATCH_H

#include <stddef.h>
#include <sys/mman.h>

/* NULL when there is no memory, or for len 0. Populated at once: all of it will be written. */
static inline void *rf_scratch_alloc(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline void rf_scratch_free(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}

#endif
