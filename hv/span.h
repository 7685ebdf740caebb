/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages, and spans of an address space. All values are bytes. */
#ifndef RF_HV_SPAN_H
#define RF_HV_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#define RF_PAGE_SHIFT 12
#define RF_PAGE_SIZE (UINT64_C(1) << RF_PAGE_SHIFT)
#define RF_HUGE_SIZE (UINT64_C(1) << 21)

static inline uint64_t rf_page_down(uint64_t v)
{
	return v & ~(RF_PAGE_SIZE - 1);
}
/* Wraps to 0 for the last page of the address space: callers bound v first. */
static inline uint64_t rf_page_up(uint64_t v)
{
	return (v + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1);
}

/* True when [a, a+an) and [b, b+bn) share a byte. Lengths may reach the end of the space. */
static inline bool rf_overlaps(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
	return an && bn && (a < b ? b - a < an : a - b < bn);
}

/* True when [a, a+an) lies wholly inside [b, b+bn); never overflows. */
static inline bool rf_within(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
	return a >= b && a - b <= bn && an <= bn - (a - b);
}

#endif
