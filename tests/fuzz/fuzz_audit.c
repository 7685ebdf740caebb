// SPDX-License-Identifier: LGPL-2.1-or-later
/* A log left by anybody: each line is a decision of ours or it is nothing. */
#include <stdlib.h>
#include <string.h>

#include "policy/audit_tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_audit_seen seen;
	const uint8_t *p = data, *end = data + size;

	memset(&seen, 0, sizeof(seen));
	while (p < end) {
		const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
		uint64_t event;

		if (!stop)
			stop = end;
		if (rf_audit_line_event((const char *)p, (size_t)(stop - p), 1, &event)) {
			rf_audit_seen_add(&seen, event);
			if (!event || seen.highest < event)
				abort();
		}
		p = stop + 1;
	}
	return 0;
}
