// SPDX-License-Identifier: LGPL-2.1-or-later
/* A log that anybody may have written: whatever it holds, it is called intact only when each
 * instance is there from its first line to its end. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "policy/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the key that has signed the seeds. */
static const char public_key[] =
	"ringfence-audit+c9923ddc+AW7iJ6Bd44tKDiCxd+H4BjXP6Cu9kFBYaWkWHq0uKKra";

static enum rf_verdict_of_log worst;

static void weigh(void *ctx, const struct rf_finding *f)
{
	if (!rf_finding_text(f->kind) || !f->line)
		abort();
	if (rf_finding_weight(f->kind) > worst)
		worst = rf_finding_weight(f->kind);
}

/* Does a line give the roots of so many lines? In no other way than the writer's: the fuzzer cannot
 * hash what it makes of one. */
static bool has_tree(const uint8_t *data, size_t size, uint64_t lines)
{
	static const char name[] = "\"tree\":\"";
	size_t digits = 64 * (size_t)__builtin_popcountll(lines);
	const uint8_t *end = data + size;

	for (const uint8_t *p = data; (p = memmem(p, (size_t)(end - p), name, sizeof(name) - 1));) {
		size_t n = 0;

		for (p += sizeof(name) - 1; p + n < end && isxdigit(p[n]); n++)
			;
		if (n == digits)
			return true;
	}
	return false;
}

/* With the key: nothing is covered but what was computed from its first line on, or from the tree
 * before that; and nothing is good that is not covered. */
static void check_signed(const struct rf_verified *is, const uint8_t *data, size_t size)
{
	if (!is->checkpoints != !is->covered || is->covered > is->last)
		abort();
	if (is->checkpoints && is->first > 1 && !has_tree(data, size, is->first - 1))
		abort();
	if (is->verdict < RF_LOG_CANNOT_TELL && (!is->checkpoints || is->covered < is->first ||
						 (is->ended && is->covered + 1 < is->last)))
		abort();
	if (is->verdict == RF_LOG_INTACT && is->covered != is->last - 1)
		abort();
}

static void check(const struct rf_verified *is)
{
	if (is->first > is->last || is->records > is->last || strlen(is->vm) >= sizeof(is->vm))
		abort();
	if (is->verdict == RF_LOG_INTACT &&
	    (!is->ended || is->first != 1 || is->records != is->last || is->not_chained))
		abort();
}

static void verify(const uint8_t *data, size_t size, const struct rf_note_key *key)
{
	const char *p = (const char *)data, *end = p + size;
	struct rf_verify *v = rf_verify_create(weigh, NULL);
	enum rf_verdict_of_log verdict;
	uint64_t number = 0;

	rf_verify_trust(v, key);
	worst = RF_LOG_INTACT;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);

		if (rf_verify_line(v, 0, ++number, p, len, stop))
			abort();
		p += len + 1;
	}
	verdict = rf_verify_finish(v);
	/* Nothing is made worse without a finding, but that there is nothing to find. */
	if (verdict < worst && verdict != RF_LOG_CANNOT_TELL)
		abort();
	for (size_t i = 0; i < rf_verify_count(v); i++) {
		check(rf_verify_instance(v, i));
		if (key && rf_verify_instance(v, i)->first)
			check_signed(rf_verify_instance(v, i), data, size);
		if (rf_verify_instance(v, i)->verdict > verdict)
			abort();
	}
	rf_verify_destroy(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_note_key key;

	if (!key.name[0] && rf_note_public_parse(public_key, strlen(public_key), &key))
		abort();
	verify(data, size, NULL);
	verify(data, size, &key);
	return 0;
}
