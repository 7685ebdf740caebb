// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a log in memory --------------------------------------------------------- */

char fake_log_path[32];

void fake_log_add(struct fake_log *l, size_t at, const char *text, size_t len)
{
	assert_in_range(l->count, 0, FAKE_LOG_LINES - 1);
	memmove(l->line + at + 1, l->line + at, (l->count - at) * sizeof(l->line[0]));
	memmove(l->len + at + 1, l->len + at, (l->count - at) * sizeof(l->len[0]));
	l->line[at] = malloc(len + 1);
	memcpy(l->line[at], text, len);
	l->line[at][len] = '\0';
	l->len[at] = len;
	l->count++;
}

void fake_log_drop(struct fake_log *l, size_t at)
{
	free(l->line[at]);
	l->count--;
	memmove(l->line + at, l->line + at + 1, (l->count - at) * sizeof(l->line[0]));
	memmove(l->len + at, l->len + at + 1, (l->count - at) * sizeof(l->len[0]));
}

void fake_log_drop_all(struct fake_log *l)
{
	while (l->count)
		fake_log_drop(l, l->count - 1);
	l->torn = false;
}

void fake_log_parse(struct fake_log *l, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		fake_log_add(l, l->count, text, n);
		l->torn = !end;
		text += n + !!end;
		len -= n + !!end;
	}
}

char *fake_log_text(const struct fake_log *l, size_t *len)
{
	char *text, *at;

	*len = 0;
	for (size_t i = 0; i < l->count; i++)
		*len += l->len[i] + 1;
	at = text = malloc(*len + 1);
	for (size_t i = 0; i < l->count; i++) {
		memcpy(at, l->line[i], l->len[i]);
		at += l->len[i];
		*at++ = '\n';
	}
	*len -= l->torn;
	return text;
}

void fake_log_read(struct fake_log *l)
{
	FILE *f = fopen(fake_log_path, "r");
	char *text = malloc(1 << 20);

	fake_log_parse(l, text, fread(text, 1, 1 << 20, f));
	fclose(f);
	free(text);
}

void fake_log_copy(struct fake_log *to, const struct fake_log *from)
{
	fake_log_drop_all(to);
	for (size_t i = 0; i < from->count; i++)
		fake_log_add(to, i, from->line[i], from->len[i]);
}

/* --- what the verifier says --------------------------------------------------- */

const struct rf_note_key *fake_log_key;
struct rf_finding fake_found[1024];
size_t fake_findings;
struct rf_verified fake_instances[16];
size_t fake_instance_count;

static void keep(void *ctx, const struct rf_finding *f)
{
	assert_non_null(rf_finding_text(f->kind));
	assert_in_range(fake_findings, 0, 1023);
	fake_found[fake_findings++] = *f;
}

enum rf_verdict_of_log fake_log_verify(const struct fake_log *logs, unsigned int files)
{
	struct rf_verify *v = rf_verify_create(keep, NULL);
	enum rf_verdict_of_log verdict;

	rf_verify_trust(v, fake_log_key);
	fake_findings = 0;
	for (unsigned int f = 0; f < files; f++)
		for (size_t i = 0; i < logs[f].count; i++)
			assert_int_equal(rf_verify_line(v, f, i + 1, logs[f].line[i],
							logs[f].len[i],
							!logs[f].torn || i + 1 < logs[f].count),
					 0);
	verdict = rf_verify_finish(v);
	fake_instance_count = rf_verify_count(v);
	for (size_t i = 0; i < fake_instance_count && i < 16; i++)
		fake_instances[i] = *rf_verify_instance(v, i);
	rf_verify_destroy(v);
	return verdict;
}

void fake_log_assert_found(size_t n, enum rf_finding_kind kind, uint64_t instance, uint64_t seq,
			   uint64_t line)
{
	assert_in_range(n, 0, fake_findings - 1);
	assert_string_equal(rf_finding_text(fake_found[n].kind), rf_finding_text(kind));
	assert_int_equal(fake_found[n].instance, instance);
	assert_int_equal(fake_found[n].seq, seq);
	assert_int_equal(fake_found[n].line, line);
}
