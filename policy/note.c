// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/note.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define DASH "\xe2\x80\x94 "
#define ED25519 1 /* the type of a signature, in a key and in what its id is made of */
#define VARIANT sodium_base64_VARIANT_ORIGINAL
static const char secret_begins[] = "PRIVATE+KEY+";

/* --- keys ------------------------------------------------------------------- */

static void make_id(struct rf_note_key *k)
{
	static const uint8_t type[] = { '\n', ED25519 };
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, (const uint8_t *)k->name, strlen(k->name));
	crypto_hash_sha256_update(&s, type, sizeof(type));
	crypto_hash_sha256_update(&s, k->public, sizeof(k->public));
	crypto_hash_sha256_final(&s, hash);
	memcpy(k->id, hash, sizeof(k->id));
}

static void from_seed(struct rf_note_key *k, const uint8_t seed[crypto_sign_SEEDBYTES])
{
	crypto_sign_seed_keypair(k->public, k->secret, seed);
	k->signs = true;
}

void rf_note_key_generate(const char *name, struct rf_note_key *out)
{
	uint8_t seed[crypto_sign_SEEDBYTES];

	*out = (struct rf_note_key){ .signs = true };
	snprintf(out->name, sizeof(out->name), "%s", name);
	randombytes_buf(seed, sizeof(seed));
	from_seed(out, seed);
	sodium_memzero(seed, sizeof(seed));
	make_id(out);
}

/* <name>+<id>+<base64 of the type and the key> */
static void key_text(const char *begins, const struct rf_note_key *k, const uint8_t key[32],
		     char out[RF_NOTE_KEY_TEXT])
{
	uint8_t typed[33] = { ED25519 };
	char id[9], base64[sodium_base64_ENCODED_LEN(sizeof(typed), VARIANT)];

	memcpy(typed + 1, key, 32);
	sodium_bin2hex(id, sizeof(id), k->id, sizeof(k->id));
	sodium_bin2base64(base64, sizeof(base64), typed, sizeof(typed), VARIANT);
	snprintf(out, RF_NOTE_KEY_TEXT, "%s%s+%s+%s\n", begins, k->name, id, base64);
	sodium_memzero(typed, sizeof(typed));
	sodium_memzero(base64, sizeof(base64));
}

void rf_note_secret_text(const struct rf_note_key *k, char out[RF_NOTE_KEY_TEXT])
{
	key_text(secret_begins, k, k->secret, out);
}

void rf_note_public_text(const struct rf_note_key *k, char out[RF_NOTE_KEY_TEXT])
{
	key_text("", k, k->public, out);
}

/* Unicode's spaces and what is not ASCII is in no name of ours. */
static bool name_valid(const char *name, size_t len)
{
	if (!len || len >= RF_NOTE_NAME)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
			return false;
	return true;
}

/* The name and what follows the id, which is compared when the key is complete. */
static int parse_key(const char *text, size_t len, struct rf_note_key *k, uint8_t id[4],
		     uint8_t key[32])
{
	const char *plus = memchr(text, '+', len), *end = text + len, *stop;
	uint8_t typed[33];
	size_t got;

	if (len && end[-1] == '\n')
		end--;

	if (!plus || !name_valid(text, (size_t)(plus - text)) || end - plus < 10 || plus[9] != '+')
		return -EBADMSG;
	memcpy(k->name, text, (size_t)(plus - text));
	if (sodium_hex2bin(id, 4, plus + 1, 8, NULL, &got, NULL) || got != 4 ||
	    sodium_base642bin(typed, sizeof(typed), plus + 10, (size_t)(end - plus - 10), NULL,
			      &got, &stop, VARIANT) ||
	    got != sizeof(typed) || stop != end || typed[0] != ED25519)
		return -EBADMSG;
	memcpy(key, typed + 1, 32);
	sodium_memzero(typed, sizeof(typed));
	return 0;
}

static int check_id(struct rf_note_key *k, const uint8_t id[4])
{
	make_id(k);
	return memcmp(id, k->id, sizeof(k->id)) ? -EBADMSG : 0;
}

int rf_note_secret_parse(const char *text, size_t len, struct rf_note_key *out)
{
	const size_t before = sizeof(secret_begins) - 1;
	uint8_t id[4], seed[32];
	struct rf_note_key k = { .signs = true };
	int err;

	if (len < before || memcmp(text, secret_begins, before) != 0)
		return -EBADMSG;
	err = parse_key(text + before, len - before, &k, id, seed);
	if (!err) {
		from_seed(&k, seed);
		err = check_id(&k, id);
	}
	if (!err)
		*out = k;
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(&k, sizeof(k));
	return err;
}

int rf_note_public_parse(const char *text, size_t len, struct rf_note_key *out)
{
	struct rf_note_key k = { .signs = false };
	uint8_t id[4];
	int err = parse_key(text, len, &k, id, k.public);

	if (!err)
		err = check_id(&k, id);
	if (!err)
		*out = k;
	return err;
}

/* --- notes ------------------------------------------------------------------ */

#define SIGNATURE (4 + crypto_sign_BYTES)
#define SIGNATURE_TEXT sodium_base64_ENCODED_LEN(SIGNATURE, VARIANT)

int rf_note_sign(const struct rf_note_key *k, const char *text, char note[RF_NOTE_BYTES])
{
	uint8_t signature[SIGNATURE];
	char base64[SIGNATURE_TEXT];
	int n;

	memcpy(signature, k->id, 4);
	crypto_sign_detached(signature + 4, NULL, (const uint8_t *)text, strlen(text), k->secret);
	sodium_bin2base64(base64, sizeof(base64), signature, sizeof(signature), VARIANT);
	n = snprintf(note, RF_NOTE_BYTES, "%s\n" DASH "%s %s\n", text, k->name, base64);
	return n < RF_NOTE_BYTES ? 0 : -EMSGSIZE;
}

/* One line of signatures, without its newline. 0, -EBADMSG, -ENOKEY for another key's,
 * -EKEYREJECTED. */
static int check_line(const struct rf_note_key *k, const char *line, size_t len, const char *text,
		      size_t text_len)
{
	const size_t dash = sizeof(DASH) - 1;
	const char *name = line + dash, *space, *stop;
	uint8_t signature[RF_NOTE_BYTES];
	size_t got, name_len;

	if (len < dash || memcmp(line, DASH, dash) != 0)
		return -EBADMSG;
	space = memchr(name, ' ', len - dash);
	name_len = space ? (size_t)(space - name) : 0;
	if (!name_len ||
	    sodium_base642bin(signature, sizeof(signature), space + 1, len - dash - name_len - 1,
			      NULL, &got, &stop, VARIANT) ||
	    stop != line + len || got < 5)
		return -EBADMSG;
	if (!k || name_len != strlen(k->name) || memcmp(name, k->name, name_len) != 0 ||
	    memcmp(signature, k->id, sizeof(k->id)) != 0)
		return -ENOKEY;
	if (got != SIGNATURE ||
	    crypto_sign_verify_detached(signature + 4, (const uint8_t *)text, text_len, k->public))
		return -EKEYREJECTED;
	return 0;
}

/* Where the last empty line begins. NULL: there is none. */
static const char *empty_line(const char *note, size_t len)
{
	for (size_t i = len; i-- > 1;)
		if (note[i] == '\n' && note[i - 1] == '\n')
			return note + i;
	return NULL;
}

int rf_note_open(const struct rf_note_key *k, const char *note, size_t len, size_t *text_len)
{
	const char *at, *end = note + len;
	int result = -ENOKEY;

	if (len >= RF_NOTE_BYTES || !len || end[-1] != '\n')
		return -EBADMSG;
	at = empty_line(note, len);
	if (!at || at + 1 == end)
		return -EBADMSG;
	*text_len = (size_t)(at++ - note);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		int err = check_line(k, at, (size_t)(stop - at), note, *text_len);

		/* The first one by the key decides. */
		if (err == -EBADMSG || err == -EKEYREJECTED)
			return err;
		if (!err)
			result = 0;
		at = stop + 1;
	}
	return k ? result : 0;
}
