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
		struct rf_audit_decision d;

		if (!stop)
			stop = end;
		if (rf_audit_line_decision((const char *)p, (size_t)(stop - p), 1, &d)) {
			rf_audit_seen_decision(&seen, &d);
			if (!d.event || seen.highest < d.event)
				abort();
			/* What is to be given again can be. */
			if (d.exact && !rf_answered_text(d.answer.verdict))
				abort();
			if (rf_audit_seen_has(&seen, d.event) &&
			    !rf_audit_seen_kept(&seen, d.event))
				abort();
		}
		p = stop + 1;
	}
	return 0;
}
