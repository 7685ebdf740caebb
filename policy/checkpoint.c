// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL
#define ROOT_TEXT sodium_base64_ENCODED_LEN(RF_MERKLE_BYTES, VARIANT) /* with its 0 */

void rf_checkpoint_origin(const char *vm, uint64_t instance, char out[RF_CHECKPOINT_ORIGIN])
{
	snprintf(out, RF_CHECKPOINT_ORIGIN, "ringfence/audit/%.64s/0x%" PRIx64, vm, instance);
	for (char *c = out; *c; c++)
		if (*c <= ' ' || *c > '~')
			*c = '_';
}

static void text_of(const struct rf_checkpoint *c, char out[RF_NOTE_BYTES])
{
	char root[ROOT_TEXT];

	sodium_bin2base64(root, sizeof(root), c->root, sizeof(c->root), VARIANT);
	snprintf(out, RF_NOTE_BYTES, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, root);
}

int rf_checkpoint_sign(const struct rf_note_key *k, const struct rf_checkpoint *c,
		       char note[RF_NOTE_BYTES])
{
	char text[RF_NOTE_BYTES];

	text_of(c, text);
	return rf_note_sign(k, text, note);
}

static int parse(const char *text, size_t len, struct rf_checkpoint *out)
{
	struct rf_checkpoint c = { .size = 0 };
	char copy[RF_NOTE_BYTES], again[RF_NOTE_BYTES], root[ROOT_TEXT];
	size_t got;

	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sscanf(copy, "%127[^\n]\n%20" SCNu64 "\n%44s", c.origin, &c.size, root) != 3 ||
	    sodium_base642bin(c.root, sizeof(c.root), root, strlen(root), NULL, &got, NULL,
			      VARIANT) ||
	    got != sizeof(c.root))
		return -EBADMSG;
	/* In the one way to write it: no sign, no zeros in front, nothing behind. */
	text_of(&c, again);
	if (strlen(again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*out = c;
	return 0;
}

int rf_checkpoint_open(const struct rf_note_key *k, const char *note, size_t len,
		       struct rf_checkpoint *out)
{
	size_t text_len;
	int err = rf_note_open(k, note, len, &text_len);

	return err ? err : parse(note, text_len, out);
}
