/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Posture: which of its own protections a kernel has, and which of them are on. One row is one of
 * the settings that the Kernel Self Protection Project recommends (kspp.github.io,
 * Recommended_Settings; Documentation/security/self-protection.rst). All of it is read from the
 * kernel's memory, so it is what the kernel says: who has taken it over can make it say anything.
 *
 * To add a row: its entry in the file of its subject (rows_*.c); impl.h says what a row is, and
 * with what it can be read. What it must say stands in tests/lab/posture.py, which compares it with
 * what the guest says of itself.
 */
#ifndef RF_INTROSPECTION_POSTURE_H
#define RF_INTROSPECTION_POSTURE_H

#include "introspection/checks/check.h"

enum rf_posture_state {
	RF_POSTURE_GOOD = 1, /* as recommended */
	RF_POSTURE_WEAK,     /* otherwise */
	RF_POSTURE_UNKNOWN,  /* this memory does not say; never counts as good */
};
const char *rf_posture_state_text(enum rf_posture_state state); /* "good" ... */

struct rf_posture_row;
/* The i-th of them, NULL behind the last. */
const struct rf_posture_row *rf_posture_row(size_t i);
const char *rf_posture_name(const struct rf_posture_row *row);	 /* "init-on-alloc": [a-z0-9-] */
const char *rf_posture_wanted(const struct rf_posture_row *row); /* "on" */
const char *
rf_posture_set(const struct rf_posture_row *row); /* how it is set: config, boot, sysctl */
const char *rf_posture_why(const struct rf_posture_row *row); /* why it matters */

/* What was found of one row. Texts are of printable ASCII. */
struct rf_posture_fact {
	enum rf_posture_state state;
	char found[80];	      /* "on", "2", "not built in"; "" of what is unknown */
	char by[80];	      /* how it was found out: "static key init_on_alloc" */
	char unknown[RF_WHY]; /* why it is unknown, else "" */
};

/* Registers of a processor. */
struct rf_posture_cpu {
	uint64_t cr0, cr4;
};

struct rf_posture; /* a kernel and its memory, under the look */

/*
 * c and cpus must outlive the result; cpus may be NULL, with count 0, where no registers are known.
 * 0 and *out (destroy with rf_posture_destroy), or -ENOMEM.
 */
int rf_posture_create(struct rf_checks *c, const struct rf_posture_cpu *cpus, size_t count,
		      struct rf_posture **out);
void rf_posture_destroy(struct rf_posture *p); /* NULL is fine */

/* Always fills in *out. */
void rf_posture_look(struct rf_posture *p, const struct rf_posture_row *row,
		     struct rf_posture_fact *out);

#endif
