/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ringfence needs of a host: one table, which `doctor` prints and `demo` asks.
 *
 * To add a facility: one row in cli/doctor_table.c. A KVM capability needs its id in hv/vmx/probe.h
 * as well.
 */
#ifndef RF_CLI_DOCTOR_TABLE_H
#define RF_CLI_DOCTOR_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "hv/vmx/probe.h"

enum rf_need {
	RF_NEED_REQUIRED = 1, /* nothing is protected without it: `run` or the fence refuses */
	RF_NEED_RECOMMENDED,  /* it works, at a cost */
	RF_NEED_OPTIONAL,
	RF_NEED_NONE, /* for information */
};

enum rf_facility_state { RF_FACILITY_PRESENT = 1, RF_FACILITY_MISSING, RF_FACILITY_UNKNOWN };

#define RF_DETAIL_MAX 200

struct rf_facility {
	const char *name; /* NULL ends the table */
	enum rf_need need;
	/* Asks the host. NULL: the KVM capability below answers. */
	enum rf_facility_state (*check)(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
	enum rf_probe_cap cap;
	int least;	  /* the capability's value must be at least this ... */
	int bits;	  /* ... and have all of these bits; both are checked */
	const char *lost; /* what is lost without it */
	const char *fix;
	/* What README's table of protections says, and a host without this one does not have. NULL:
	 * nothing of it, or all, where it is required. */
	const char *weakens;
};

#define RF_FACILITIES_MAX 64 /* the end of the table included */
extern const struct rf_facility rf_facilities[];

/* kvm is the result of rf_probe_kvm(). detail is set, perhaps to "". */
enum rf_facility_state rf_facility_check(const struct rf_facility *f, const struct rf_probe *kvm,
					 char detail[RF_DETAIL_MAX]);

/*
 * Of what was found, by row: is all there that is required, and is no protection off? What cannot
 * be asked for is not there.
 */
bool rf_facilities_required(const enum rf_facility_state *found);
bool rf_facility_is_off(const struct rf_facility *f, enum rf_facility_state found);
bool rf_facilities_protect(const enum rf_facility_state *found);

const char *rf_need_text(enum rf_need n);
const char *rf_facility_state_text(enum rf_facility_state s);

#endif
