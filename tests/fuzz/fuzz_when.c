// SPDX-License-Identifier: LGPL-2.1-or-later
/* A time out of a log that anybody may have written: whatever is taken for one is a time, and can
 * be written down and read again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_at(const char *text)
{
	uint64_t ns = 7, again;
	char out[64];
	size_t len;
	struct tm tm;
	time_t seconds;

	if (rf_when_at(text, &ns)) {
		if (ns != 7)
			abort();
		return;
	}
	seconds = (time_t)(ns / 1000000000);
	if (ns > INT64_MAX || !gmtime_r(&seconds, &tm))
		abort();
	len = strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + len, sizeof(out) - len, ".%09" PRIu64 "Z", ns % 1000000000);
	/* An offset may lead into the year behind the last one. */
	if (tm.tm_year + 1900 <= 2261 && (rf_when_at(out, &again) || again != ns))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint64_t now = UINT64_C(1700000000000000000);
	char text[128];
	uint64_t ns;

	if (size >= sizeof(text))
		size = sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	check_at(text);
	if (!rf_when_ago(text, now, &ns) && ns > now)
		abort();
	return 0;
}
