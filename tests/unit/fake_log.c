// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/chain.h"
#include "tests/unit/log_open.h"

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

/* The first line of it gets that number, and is behind that line. */
static void hash_from(struct fake_log *l, uint64_t instance, uint64_t seq, const uint8_t before[32])
{
	uint8_t prev[32], hash[32];
	char ours[32];

	memcpy(prev, before, sizeof(prev));
	snprintf(ours, sizeof(ours), "\"instance\":\"0x%" PRIx64 "\"", instance);
	for (size_t i = 0; i < l->count; i++) {
		char text[8192], hex[65], *from = strstr(l->line[i], "\"seq\":"), *end;

		if (!strstr(l->line[i], ours))
			continue;
		sodium_bin2hex(hex, sizeof(hex), prev, sizeof(prev));
		end = strstr(l->line[i], ",\"prev\":");
		snprintf(text, sizeof(text), "%.*s\"seq\":%" PRIu64 "%.*s,\"prev\":\"%s\"",
			 (int)(from - l->line[i]), l->line[i], seq++,
			 (int)(end - strchr(from, ',')), strchr(from, ','), hex);
		crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
		sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
		sprintf(text + strlen(text), ",\"hash\":\"%s\"}", hex);
		memcpy(prev, hash, sizeof(prev));
		fake_log_drop(l, i);
		fake_log_add(l, i, text, strlen(text));
	}
}

void fake_log_hash_anew(struct fake_log *l, uint64_t instance)
{
	static const uint8_t none[32];

	hash_from(l, instance, 1, none);
}

size_t fake_log_forge_part(struct fake_log *l, uint64_t instance, size_t at, const char *tree)
{
	struct rf_chain_line is;
	char text[8192], vm[65], *name = strstr(l->line[at], "\"vm\":\"") + 6;

	assert_true(rf_chain_line_read(l->line[at], l->len[at], instance, &is));
	snprintf(vm, sizeof(vm), "%.*s", (int)strcspn(name, "\""), name);
	for (size_t i = at; i--;) {
		struct rf_chain_line before;

		if (!rf_chain_line_read(l->line[i], l->len[i], instance, &before))
			continue;
		fake_log_drop(l, i);
		at--;
	}
	snprintf(text, sizeof(text),
		 "{\"time\":\"2026-11-29T12:00:00.000000000Z\",\"vm\":\"%s\",\"instance\":"
		 "\"0x%" PRIx64 "\",\"seq\":%" PRIu64
		 ",\"mono_ns\":1,\"type\":\"continued\",\"to\":%" PRIu64 "%s%s%s,\"prev\":",
		 vm, instance, is.seq, is.seq - 1, tree ? ",\"tree\":\"" : "", tree ? tree : "",
		 tree ? "\"" : "");
	fake_log_drop(l, at);
	fake_log_add(l, at, text, strlen(text));
	hash_from(l, instance, is.seq, is.prev);
	return at;
}

/* --- its writers --------------------------------------------------------------- */

struct rf_audit *fake_log_writer(uint64_t instance)
{
	struct rf_audit *a = NULL;

	assert_int_equal(log_open(fake_log_path, instance == FAKE_LOG_ONE ? "one" : "two",
				       instance, &a),
			 0);
	return a;
}

void fake_log_write(struct rf_audit *a, unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		const struct rf_record r = { .event = i,
					     .kind = "write",
					     .region = "rodata",
					     .len = 8,
					     .has_new = true,
					     .new_bytes = { (uint8_t)i },
					     .rule = "rodata-is-never-written",
					     .verdict = RF_WORD_BLOCKED,
					     .outcome = "page fault" };

		assert_int_equal(rf_audit_write(a, &r), 0);
		if (i % 3 == 0)
			assert_int_equal(rf_audit_outcome(a, i, "ok"), 0);
	}
}

int fake_log_two_vms(struct fake_log *out)
{
	struct rf_audit *a, *b;
	int fd;

	strcpy(fake_log_path, "/tmp/rf-log-XXXXXX");
	fd = mkstemp(fake_log_path);
	if (fd < 0)
		return -1;
	close(fd);
	a = fake_log_writer(FAKE_LOG_ONE);
	b = fake_log_writer(FAKE_LOG_TWO);
	for (int i = 0; i < 9; i++) {
		fake_log_write(a, 9);
		fake_log_write(b, 8);
	}
	rf_audit_end(b, NULL);
	rf_audit_end(a, NULL);
	rf_audit_close(a);
	rf_audit_close(b);
	fake_log_read(out);
	return 0;
}
