/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How introspection reads a guest: one callback, whoever is behind it (a running VM, a dump,
 * a test's array). Everything read through it is hostile input.
 */
#ifndef RF_INTROSPECTION_MEMORY_H
#define RF_INTROSPECTION_MEMORY_H

#include <stddef.h>

#include "hv/addr.h"

struct rf_memory {
	/*
	 * Copies len bytes of guest-physical memory to buf. All or nothing: 0, or -EFAULT when any
	 * byte of [gpa, gpa+len) is not RAM or cannot be read; buf is then unspecified.
	 * len may be 0. Reads never disturb the guest.
	 */
	int (*read)(void *ctx, rf_gpa gpa, void *buf, size_t len);
	void *ctx;
};

static inline int rf_memory_read(const struct rf_memory *m, rf_gpa gpa, void *buf, size_t len)
{
	return m->read(m->ctx, gpa, buf, len);
}

/* Where a parser of hostile bytes stopped and why; text is for people, never for decisions. */
struct rf_diag {
	char text[256];
};

#endif
