// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A policy that is to replace another one, and what came as its signature: up to the first zero
 * byte the file, behind it the note. Nothing looser is taken unsigned, nothing fixed at all, and a
 * note that is one can be signed and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/reload.h"
#include "policy/stricter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] =
	"PRIVATE+KEY+ringfence-audit+c9923ddc+AfqlMzCJFdhRSzvWQY4NASREga/apnZzNbEEYi7QvsoD";

static struct rf_note_key key;
static struct rf_policy now;

static void check_note(const char *note, size_t len)
{
	struct rf_policy_note n, again;
	char whole[RF_NOTE_BYTES];

	if (rf_policy_note_open(NULL, "web", note, len, &n)) {
		if (!rf_policy_note_open(&key, "web", note, len, &n))
			abort();
		return;
	}
	if (rf_policy_note_sign(&key, "web", &n, whole) ||
	    rf_policy_note_open(&key, "web", whole, strlen(whole), &again) ||
	    again.serial != n.serial || again.until != n.until ||
	    strcmp(again.sha256, n.sha256) != 0)
		abort();
}

static void check_answer(const struct rf_reload *q)
{
	static struct rf_reloaded out;
	enum rf_change c;

	rf_reload_judge(q, &out);
	if (out.accepted == (out.why[0] != '\0') || strlen(out.why) >= sizeof(out.why) ||
	    (out.is_signed && !q->key) || (!out.accepted && out.serial != q->serial))
		abort();
	if (!out.accepted)
		return;
	for (size_t i = 0; i < rf_keys_count; i++) {
		c = rf_key_change(&rf_keys[i], q->now, &out.policy);
		if (c == RF_CHANGE_NEVER || (c == RF_CHANGE_LOOSER && !out.is_signed))
			abort();
	}
	if (out.is_signed && out.serial <= q->serial)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = size ? memchr(data, 0, size) : NULL;
	struct rf_reload q = { .vm = "web", .now = &now, .text = text, .time = 1000 };

	if (!key.signs) {
		if (rf_note_secret_parse(secret, strlen(secret), &key))
			abort();
		rf_policy_default(&now);
		now.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_DENY;
	}
	q.len = end ? (size_t)(end - text) : size;
	q.note = end ? end + 1 : NULL;
	q.note_len = end ? size - q.len - 1 : 0;
	check_answer(&q);
	q.key = &key;
	check_answer(&q);
	if (q.note_len)
		check_note(q.note, q.note_len);
	return 0;
}
