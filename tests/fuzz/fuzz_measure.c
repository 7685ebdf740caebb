// SPDX-License-Identifier: LGPL-2.1-or-later
/* A measurement of any bytes: refused with a reason, or read, and then written as it is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/measurement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int what)
{
	if (!what)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[RF_MEASUREMENT_WHY] = "", *text;
	struct rf_measurement m, again;
	json_t *o;
	int err = rf_measurement_parse((const char *)data, size, why, &m);

	must(!err || err == -EBADMSG || err == -EFBIG);
	must(err != -EBADMSG || why[0]);
	if (err)
		return 0;
	must(m.count && m.count <= RF_MEASUREMENT_REGIONS);
	o = rf_measurement_json(&m);
	text = json_dumps(o, JSON_COMPACT);
	must(text && !rf_measurement_parse(text, strlen(text), why, &again));
	must(!strcmp(m.kernel, again.kernel) && m.count == again.count);
	for (uint32_t i = 0; i < m.count; i++) {
		const struct rf_measurement_region *r = rf_measurement_find(&m, m.regions[i].kind);

		must(r == &m.regions[i]);
		must(strlen(r->sha256) == 64 && r->size);
		must(!strcmp(r->kind, again.regions[i].kind));
		must(rf_measurement_compare(r, &again.regions[i]) == RF_MEASUREMENT_SAME);
	}
	free(text);
	json_decref(o);
	return 0;
}
