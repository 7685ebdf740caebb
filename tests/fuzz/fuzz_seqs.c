// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lines of a log that anybody may have written, as who follows it keeps count of them. */
#include <stdlib.h>
#include <string.h>

#include "cli/audit_seqs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct rf_seqs *s, const json_t *record, uint64_t part)
{
	const char *instance;
	struct rf_seq *q;
	uint64_t seq, last;

	if (!rf_seq_line(record, &instance, &seq)) {
		if (rf_seqs_read(s, record, part))
			abort();
		return;
	}
	/* It is shown as it is. */
	if (!seq || strspn(instance, "0123456789abcdefx") != strlen(instance))
		abort();
	q = rf_seqs_find(s, instance);
	last = q ? q->last : 0;
	q = rf_seqs_read(s, record, part);
	if (q && (strcmp(q->instance, instance) != 0 || q->last < last || q->last < seq ||
		  !memchr(q->hash, 0, sizeof(q->hash)) || rf_seq_fits(q, record)))
		abort();
	if (s->count > RF_SEQS || (!q && !s->full))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_seqs s;
	const char *at = (const char *)data, *end = at + size;

	s = (struct rf_seqs){ .count = 0 };
	for (uint64_t part = 0; at < end; part++) {
		const char *line = memchr(at, '\n', (size_t)(end - at)) ?: end;
		json_t *o = json_loadb(at, (size_t)(line - at), JSON_REJECT_DUPLICATES, NULL);

		if (json_is_object(o))
			take(&s, o, part / 2);
		json_decref(o);
		at = line == end ? end : line + 1;
	}
	return 0;
}
