// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/measurement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/file.h"

/* --- out of a file -------------------------------------------------------- */

static int bad(char why[RF_MEASUREMENT_WHY], const char *text)
{
	snprintf(why, RF_MEASUREMENT_WHY, "%s", text);
	return -EBADMSG;
}

/* Only characters of `set`, or any that can be printed; `max` with the end. */
static bool take_text(const char *text, const char *set, char *out, size_t max)
{
	size_t len = strlen(text);

	if (!len || len >= max || (set && strspn(text, set) != len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	memcpy(out, text, len + 1);
	return true;
}

/* "0x" and 1 to 16 lower-case hex digits. */
static bool take_address(const char *text, uint64_t *out)
{
	size_t digits;

	if (strncmp(text, "0x", 2))
		return false;
	digits = strspn(text + 2, "0123456789abcdef");
	if (!digits || digits > 16 || text[2 + digits])
		return false;
	*out = strtoull(text, NULL, 16);
	return true;
}

static int take_region(json_t *o, char why[RF_MEASUREMENT_WHY], struct rf_measurement *m)
{
	struct rf_measurement_region *r = &m->regions[m->count];
	const char *kind, *gva, *gpa, *sha256;
	json_int_t size;

	if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:s, s:s, s:s, s:I, s:s}", "kind", &kind, "gva",
			   &gva, "gpa", &gpa, "size", &size, "sha256", &sha256))
		return bad(why, "a region has other members than kind, gva, gpa, size and sha256");
	if (!take_text(kind, "abcdefghijklmnopqrstuvwxyz_", r->kind, sizeof(r->kind)))
		return bad(why, "a region's kind is no name");
	if (!take_address(gva, &r->gva) || !take_address(gpa, &r->gpa))
		return bad(why, "an address is not \"0x\" and hexadecimal digits");
	if (size <= 0)
		return bad(why, "a region's size is not a positive number");
	if (strlen(sha256) != 64 ||
	    !take_text(sha256, "0123456789abcdef", r->sha256, sizeof(r->sha256)))
		return bad(why, "a sha256 is not 64 hexadecimal digits");
	if (rf_measurement_find(m, r->kind))
		return bad(why, "two regions are of one kind");
	r->size = (uint64_t)size;
	m->count++;
	return 0;
}

static int take_file(json_t *o, char why[RF_MEASUREMENT_WHY], struct rf_measurement *m)
{
	const char *kernel;
	json_t *regions;
	int version, err = 0;

	if (json_unpack_ex(o, NULL, 0, "{s:i}", "version", &version))
		return bad(why, "it is no measurement: it has no version");
	if (version != RF_MEASUREMENT_VERSION)
		return bad(why, "its version is not 1, the only one there is");
	if (json_unpack_ex(o, NULL, JSON_STRICT, "{s:i, s:s, s:o}", "version", &version, "kernel",
			   &kernel, "regions", &regions))
		return bad(why, "it has other members than version, kernel and regions");
	/* "": a kernel without one. */
	if (*kernel && !take_text(kernel, NULL, m->kernel, sizeof(m->kernel)))
		return bad(why, "kernel is not what a kernel calls itself");
	if (!json_is_array(regions) || !json_array_size(regions) ||
	    json_array_size(regions) > RF_MEASUREMENT_REGIONS)
		return bad(why, "regions is not a list of 1 to 8");
	for (size_t i = 0; !err && i < json_array_size(regions); i++)
		err = take_region(json_array_get(regions, i), why, m);
	return err;
}

int rf_measurement_parse(const char *text, size_t len, char why[RF_MEASUREMENT_WHY],
			 struct rf_measurement *out)
{
	struct rf_measurement m = { .count = 0 };
	json_error_t error;
	json_t *o;
	int err;

	if (len > RF_MEASUREMENT_FILE_MAX)
		return -EFBIG;
	o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!o) {
		/* Its own sentence quotes the file (jansson.h json_error_t), which may be any. */
		snprintf(why, RF_MEASUREMENT_WHY, "line %d, column %d: it is no JSON", error.line,
			 error.column);
		return -EBADMSG;
	}
	err = take_file(o, why, &m);
	json_decref(o);
	if (!err)
		*out = m;
	return err;
}

int rf_measurement_load(const char *path, char why[RF_MEASUREMENT_WHY], struct rf_measurement *out)
{
	char text[RF_MEASUREMENT_FILE_MAX + 1];
	size_t len;
	int err = rf_file_read(path, text, sizeof(text), &len);

	return err ? err : rf_measurement_parse(text, len, why, out);
}

/* --- into one ------------------------------------------------------------- */

static json_t *hex(uint64_t v)
{
	return json_sprintf("0x%llx", (unsigned long long)v);
}

json_t *rf_measurement_json(const struct rf_measurement *m)
{
	json_t *regions = json_array();

	for (uint32_t i = 0; i < m->count; i++) {
		const struct rf_measurement_region *r = &m->regions[i];

		if (json_array_append_new(regions,
					  json_pack("{s:s, s:o, s:o, s:I, s:s}", "kind", r->kind,
						    "gva", hex(r->gva), "gpa", hex(r->gpa), "size",
						    (json_int_t)r->size, "sha256", r->sha256))) {
			json_decref(regions);
			return NULL;
		}
	}
	return json_pack("{s:i, s:s, s:o}", "version", RF_MEASUREMENT_VERSION, "kernel", m->kernel,
			 "regions", regions);
}

/* --- compared ------------------------------------------------------------- */

const struct rf_measurement_region *rf_measurement_find(const struct rf_measurement *m,
							const char *kind)
{
	for (uint32_t i = 0; i < m->count; i++)
		if (!strcmp(m->regions[i].kind, kind))
			return &m->regions[i];
	return NULL;
}

enum rf_measurement_match rf_measurement_compare(const struct rf_measurement_region *expected,
						 const struct rf_measurement_region *found)
{
	if (expected->gva != found->gva || expected->gpa != found->gpa ||
	    expected->size != found->size)
		return RF_MEASUREMENT_ELSEWHERE;
	return strcmp(expected->sha256, found->sha256) ? RF_MEASUREMENT_CHANGED
						       : RF_MEASUREMENT_SAME;
}
