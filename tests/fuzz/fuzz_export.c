// SPDX-License-Identifier: LGPL-2.1-or-later
/* A line of a log, any bytes of which may be the guest's: in each format it is one line or entry,
 * well-formed, with nothing of ours that the line put there. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/export.h"
#include "tests/unit/export_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *record = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

	for (size_t i = 0; json_is_object(record) && i < rf_export_formats_count; i++) {
		const char *wrong;
		char *text = NULL;
		size_t len = 0;
		FILE *out = open_memstream(&text, &len);

		if (!out)
			abort();
		if (rf_export(&rf_export_formats[i], record, out) || fclose(out))
			abort();
		wrong = export_wrong(rf_export_formats[i].name, record, text, len);
		if (wrong) {
			fprintf(stderr, "%s: %s: %s", rf_export_formats[i].name, wrong, text);
			abort();
		}
		free(text);
	}
	json_decref(record);
	return 0;
}
