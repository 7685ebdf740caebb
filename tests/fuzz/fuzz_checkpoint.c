// SPDX-License-Identifier: LGPL-2.1-or-later
/* A note out of a log that anybody may have written, and keys: what is taken for a checkpoint can
 * be signed and read again, and is the same. */
#include <stdlib.h>
#include <string.h>

#include "policy/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] =
	"PRIVATE+KEY+ringfence-audit+c9923ddc+AfqlMzCJFdhRSzvWQY4NASREga/apnZzNbEEYi7QvsoD";

static void check_keys(const char *text, size_t len)
{
	char again[RF_NOTE_KEY_TEXT];
	struct rf_note_key k;

	if (!rf_note_public_parse(text, len, &k)) {
		rf_note_public_text(&k, again);
		if (k.signs || rf_note_public_parse(again, strlen(again), &k))
			abort();
	}
	if (!rf_note_secret_parse(text, len, &k)) {
		rf_note_secret_text(&k, again);
		if (!k.signs || rf_note_secret_parse(again, strlen(again), &k))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_note_key key;
	struct rf_checkpoint c, again;
	const char *text = (const char *)data;
	char note[RF_NOTE_BYTES];

	if (!key.signs && rf_note_secret_parse(secret, strlen(secret), &key))
		abort();
	check_keys(text, size);
	if (rf_checkpoint_open(NULL, text, size, &c)) {
		if (!rf_checkpoint_open(&key, text, size, &c))
			abort();
		return 0;
	}
	if (rf_checkpoint_sign(&key, &c, note) ||
	    rf_checkpoint_open(&key, note, strlen(note), &again) || c.size != again.size ||
	    strcmp(c.origin, again.origin) != 0 || memcmp(c.root, again.root, sizeof(c.root)) != 0)
		abort();
	return 0;
}
