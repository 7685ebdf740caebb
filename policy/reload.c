// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "policy/name.h"
#include "policy/stricter.h"

#define CHANGES_TEXT (RF_RELOAD_TEXT - 256) /* leaves room for the sentence around it */

void rf_policy_sha256(const char *text, size_t len, char out[RF_SHA256_TEXT])
{
	unsigned char sum[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(sum, (const unsigned char *)text, len);
	sodium_bin2hex(out, RF_SHA256_TEXT, sum, sizeof(sum));
}

/* --- the signature ---------------------------------------------------------- */

static int text_of(const char *vm, const struct rf_policy_note *n, char out[RF_NOTE_BYTES])
{
	if (!rf_name_valid(vm) || !n->serial || strlen(n->sha256) != RF_SHA256_TEXT - 1)
		return -EINVAL;
	snprintf(out, RF_NOTE_BYTES, "ringfence/policy/%s\n%" PRIu64 "\n%" PRIu64 "\n%s\n", vm,
		 n->serial, n->until, n->sha256);
	return 0;
}

int rf_policy_note_sign(const struct rf_note_key *k, const char *vm, const struct rf_policy_note *n,
			char note[RF_NOTE_BYTES])
{
	char text[RF_NOTE_BYTES];
	int err = text_of(vm, n, text);

	return err ? err : rf_note_sign(k, text, note);
}

static int parse(const char *vm, const char *text, size_t len, struct rf_policy_note *out)
{
	struct rf_policy_note n = { .serial = 0 };
	char copy[RF_NOTE_BYTES], again[RF_NOTE_BYTES], name[RF_NAME_MAX + 1];

	_Static_assert(RF_NAME_MAX == 64, "as below");
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sscanf(copy, "ringfence/policy/%64[^\n]\n%20" SCNu64 "\n%20" SCNu64 "\n%64[0-9a-f]",
		   name, &n.serial, &n.until, n.sha256) != 4)
		return -EBADMSG;
	/* In the one way to write it: no sign, no zeros in front, nothing behind. */
	if (text_of(name, &n, again) || strlen(again) != len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	if (strcmp(name, vm) != 0)
		return -ESRCH;
	*out = n;
	return 0;
}

int rf_policy_note_open(const struct rf_note_key *k, const char *vm, const char *note, size_t len,
			struct rf_policy_note *out)
{
	size_t text_len;
	int err = rf_note_open(k, note, len, &text_len);

	return err ? err : parse(vm, note, text_len, out);
}

static const char *not_signed(int err)
{
	switch (err) {
	case -ENOKEY:
		return "its signature is by another key than the VM was started with";
	case -EKEYREJECTED:
		return "its signature is not by the key that it names";
	case -ESRCH:
		return "its signature is for another VM";
	default:
		return "what came as its signature is none of a policy's";
	}
}

/* NULL: it is signed. */
static const char *check_note(const struct rf_reload *q, struct rf_reloaded *out)
{
	struct rf_policy_note n;
	int err = rf_policy_note_open(q->key, q->vm, q->note, q->note_len, &n);

	if (err)
		return not_signed(err);
	out->signed_serial = n.serial;
	if (strcmp(n.sha256, out->sha256) != 0)
		return "its signature is of another file";
	if (n.serial <= q->serial)
		return "its signature's serial is not greater than that of the last signed policy "
		       "which this VM has taken";
	if (n.until < q->time)
		return "its signature is too old";
	out->serial = n.serial;
	return NULL;
}

/* --- the judgement ---------------------------------------------------------- */

static bool parse_policy(const struct rf_reload *q, struct rf_reloaded *out)
{
	struct rf_policy_diag diag = { .line = 0 };
	int err = rf_policy_parse(q->text, q->len, &diag, &out->policy);

	if (err == -EBADMSG)
		snprintf(out->why, sizeof(out->why), "it is no policy: line %u, column %u: %s",
			 diag.line, diag.column, diag.text);
	else if (err)
		snprintf(out->why, sizeof(out->why), "it is no policy: %s", strerror(-err));
	return !err;
}

/* What no signature lets, and what one would. */
static bool may_change(const struct rf_reload *q, struct rf_reloaded *out)
{
	const char *because =
		q->key ? "it is not signed" : "this VM was started without --policy-key";
	char changes[CHANGES_TEXT];

	rf_changes_text(q->now, &out->policy, 1u << RF_CHANGE_NEVER, changes, sizeof(changes));
	if (changes[0]) {
		snprintf(out->why, sizeof(out->why),
			 "it changes what is fixed, or never loosened, while the VM runs: %s",
			 changes);
		return false;
	}
	rf_changes_text(q->now, &out->policy, 1u << RF_CHANGE_LOOSER, changes, sizeof(changes));
	if (changes[0] && !out->is_signed)
		snprintf(out->why, sizeof(out->why), "it loosens, and %s: %s", because, changes);
	return !out->why[0];
}

void rf_reload_judge(const struct rf_reload *q, struct rf_reloaded *out)
{
	const char *wrong;

	*out = (struct rf_reloaded){ .serial = q->serial };
	rf_policy_sha256(q->text, q->len, out->sha256);
	if (!parse_policy(q, out))
		return;
	/* A wrong signature is somebody's mistake or attempt, whatever the file says. */
	if (q->key && q->note_len) {
		wrong = check_note(q, out);
		if (wrong) {
			snprintf(out->why, sizeof(out->why), "%s", wrong);
			return;
		}
		out->is_signed = true;
	}
	out->accepted = may_change(q, out);
	if (!out->accepted)
		out->serial = q->serial;
}
