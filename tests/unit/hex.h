/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code as the manuals write it. */
#ifndef RF_TESTS_UNIT_HEX_H
#define RF_TESTS_UNIT_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Two digits a byte, spaces wherever; returns how many bytes are in out, which must have room for
 * them. */
static inline size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned int v;
	int used;

	while (sscanf(hex, "%2x%n", &v, &used) == 1) {
		out[n++] = (uint8_t)v;
		hex += used;
	}
	return n;
}

#endif
