// SPDX-License-Identifier: LGPL-2.1-or-later
/* A packet at the socket by which `run` hears of another policy: what is taken for a request can be
 * made again, and is the same. */
#include <stdlib.h>
#include <string.h>

#include "cli/reload_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t packet[RF_REQUEST_MAX / sizeof(uint64_t) + 1];
	static uint64_t again[RF_REQUEST_MAX / sizeof(uint64_t) + 1];
	struct rf_request q, r;
	size_t len;

	if (size > sizeof(packet))
		return 0;
	memcpy(packet, data, size);
	if (rf_request_parse(packet, size, &q))
		return 0;
	len = rf_request_make(&q, again);
	if (len != size || rf_request_parse(again, len, &r) || strcmp(q.name, r.name) != 0 ||
	    q.profile != r.profile || q.text_len != r.text_len || q.note_len != r.note_len ||
	    memcmp(q.text, r.text, q.text_len) != 0 || memcmp(q.note, r.note, q.note_len) != 0)
		abort();
	return 0;
}
