/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three address spaces of a guest, as types that do not mix.
 *
 * A guest-physical number passed where a guest-virtual one is expected is the classic bug of
 * this field; with one-member structs it does not compile. All values are bytes.
 */
#ifndef RF_HV_ADDR_H
#define RF_HV_ADDR_H

#include "hv/span.h"

typedef struct {
	uint64_t v;
} rf_gpa; /* guest-physical */
typedef struct {
	uint64_t v;
} rf_gva; /* guest-virtual (linear, canonical) */
typedef struct {
	uint64_t v;
} rf_hva; /* virtual in the VMM process, never dereferenced elsewhere */

static inline rf_gpa rf_gpa_of(uint64_t v)
{
	return (rf_gpa){ v };
}
static inline rf_gva rf_gva_of(uint64_t v)
{
	return (rf_gva){ v };
}
static inline rf_hva rf_hva_of(uint64_t v)
{
	return (rf_hva){ v };
}

#endif
