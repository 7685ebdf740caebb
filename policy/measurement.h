/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the sealed memory of a guest is, as a small file that goes with the guest when it moves: the
 * source writes it (`ringfence measure`), the destination compares (`ringfence run --expect`). No
 * stream of the VMM's has a place for it.
 *
 * The bytes are measured in a form that the kernel's own patching does not change; the monitor says
 * which (monitor/measure.c). Whoever changes that form changes RF_MEASUREMENT_VERSION.
 */
#ifndef RF_POLICY_MEASUREMENT_H
#define RF_POLICY_MEASUREMENT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define RF_MEASUREMENT_VERSION 1
#define RF_MEASUREMENT_FILE_MAX (16u << 10) /* bytes */
#define RF_MEASUREMENT_REGIONS 8
#define RF_MEASUREMENT_WHY 160

struct rf_measurement_region {
	char kind[16]; /* "text", ...: one of each */
	uint64_t gva, gpa, size;
	char sha256[65];
};

struct rf_measurement {
	char kernel[256]; /* its banner, printable ASCII; "" none */
	uint32_t count;	  /* 1..RF_MEASUREMENT_REGIONS */
	struct rf_measurement_region regions[RF_MEASUREMENT_REGIONS];
};

/*
 * One JSON object; a member it does not know, or one that is missing, is an error. 0, -EBADMSG with
 * why filled, -EFBIG (over RF_MEASUREMENT_FILE_MAX). *out is untouched on failure.
 */
int rf_measurement_parse(const char *text, size_t len, char why[RF_MEASUREMENT_WHY],
			 struct rf_measurement *out);
/* The same from a regular file; also -errno of opening and reading, -EINVAL for anything else. */
int rf_measurement_load(const char *path, char why[RF_MEASUREMENT_WHY], struct rf_measurement *out);
/* As it stands in the file; NULL: no memory. Drop the reference. */
json_t *rf_measurement_json(const struct rf_measurement *m);

/* The region of this kind, or NULL. */
const struct rf_measurement_region *rf_measurement_find(const struct rf_measurement *m,
							const char *kind);

enum rf_measurement_match {
	RF_MEASUREMENT_SAME = 1,
	RF_MEASUREMENT_ELSEWHERE, /* another address or size: not the same boot of a kernel */
	RF_MEASUREMENT_CHANGED,	  /* the same place, other bytes */
};
enum rf_measurement_match rf_measurement_compare(const struct rf_measurement_region *expected,
						 const struct rf_measurement_region *found);

#endif
