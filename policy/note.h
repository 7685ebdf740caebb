/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signed notes (c2sp.org/signed-note) with one Ed25519 key: a text, an empty line, and
 *
 *	— <name> <base64 of the key's id and the signature>
 *
 * The keys are in the form that Go's sumdb/note has them in, so that other tools can read both.
 */
#ifndef RF_POLICY_NOTE_H
#define RF_POLICY_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_NOTE_NAME 64
#define RF_NOTE_KEY_TEXT 192 /* of either key, with its newline and a 0 */
#define RF_NOTE_BYTES 1024   /* of a note that we write or read, with a 0 */

struct rf_note_key {
	char name[RF_NOTE_NAME];
	uint8_t id[4], public[32];
	uint8_t secret[64]; /* libsodium's: seed and public key; of a public key zeros */
	bool signs;
};

/* A new one. The name has neither space nor plus. */
void rf_note_key_generate(const char *name, struct rf_note_key *out);
/* One line, with newline: the secret key, and the public one. */
void rf_note_secret_text(const struct rf_note_key *k, char out[RF_NOTE_KEY_TEXT]);
void rf_note_public_text(const struct rf_note_key *k, char out[RF_NOTE_KEY_TEXT]);
/* Of such a line, which may lack its newline. 0 or -EBADMSG. */
int rf_note_secret_parse(const char *text, size_t len, struct rf_note_key *out);
int rf_note_public_parse(const char *text, size_t len, struct rf_note_key *out);

/* text ends in a newline and has no empty line in it. 0 or -EMSGSIZE. */
int rf_note_sign(const struct rf_note_key *k, const char *text, char note[RF_NOTE_BYTES]);
/*
 * Splits a note: *text_len is that of the text, with its last newline. With a key it must be signed
 * by that one; other signatures do not matter. 0, -EBADMSG: it is no note; -ENOKEY: none is by this
 * key; -EKEYREJECTED: one says that it is, and is not.
 */
int rf_note_open(const struct rf_note_key *k, const char *note, size_t len, size_t *text_len);

#endif
