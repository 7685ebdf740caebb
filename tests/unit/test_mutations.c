// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Policies and logs that are almost right: the profiles and every key of a policy, and a signed log
 * of two VMs, changed by chance. Each is taken, or refused with the place where it is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/file.h"
#include "policy/keys.h"
#include "policy/replay.h"
#include "tests/unit/fake_recorders.h"

#define MUTATED 10000

static uint32_t seed = 20240501;

/* The same numbers everywhere: Knuth's MMIX generator, its upper half. */
static uint32_t any(uint32_t below)
{
	static uint64_t x;

	if (seed) {
		x = seed;
		seed = 0;
	}
	x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(x >> 33) % below;
}

/* Every key with its default: what is mutated. */
static size_t write_all(char *out, size_t room)
{
	size_t len = (size_t)snprintf(out, room, "# all keys\n");
	const char *section = "";
	char value[RF_KEY_PATH];

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		if (k->section && strcmp(section, k->section) != 0)
			len += (size_t)snprintf(out + len, room - len, "%s:\n", k->section);
		section = k->section ?: "";
		len += (size_t)snprintf(out + len, room - len, "%s%s: %s\n", k->section ? "  " : "",
					k->name, rf_key_value(k, k->standard, value));
	}
	return len;
}

/* Without the line that a place is in. */
static size_t drop_line(char *text, size_t len, size_t at)
{
	size_t from = at, to = at;

	while (from && text[from - 1] != '\n')
		from--;
	while (to < len && text[to++] != '\n')
		;
	memmove(text + from, text + to, len - to);
	return len - (to - from);
}

static size_t mutate(char *text, size_t len, size_t room)
{
	static const char marks[] = ":#-?*&!|>'\"%@`{}[],\n \t\\0129azAZ_\x01\x7f\xc3\xff";
	size_t at, n = 1 + any(12);

	if (len < 32)
		return len;
	at = any((uint32_t)len);
	switch (any(8)) {
	case 0: /* another byte */
		text[at] = marks[any(sizeof(marks))];
		return len;
	case 1: /* one more */
		if (len == room)
			return len;
		memmove(text + at + 1, text + at, len - at);
		text[at] = marks[any(sizeof(marks))];
		return len + 1;
	case 2: /* some less */
		n = n < len - at ? n : len - at - (len - at == len);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 3: /* a piece of it once more */
		n = n < len - at ? n : len - at;
		if (len + n > room)
			return len;
		memmove(text + at + n, text + at, len - at);
		return len + n;
	case 4: /* cut */
		return at > 16 ? at : len;
	default:
		return drop_line(text, len, at);
	}
}

static unsigned int lines_of(const char *text, size_t len)
{
	unsigned int lines = 1;

	for (size_t c = 0; c < len; c++)
		lines += text[c] == '\n';
	return lines;
}

/* --- policies ------------------------------------------------------------------- */

struct tally {
	unsigned int accepted, refused, far;
};

static void take_policy(const char *text, size_t len, struct tally *t)
{
	struct rf_policy_diag d = { 0 };
	struct rf_policy p;
	int err = rf_policy_parse(text, len, &d, &p);

	if (!err) {
		t->accepted++;
		return;
	}
	if (err != -EBADMSG || !d.text[0] || d.line < 1 || d.column < 1 ||
	    d.line > lines_of(text, len) + 1)
		fail_msg("%d, %u:%u: %s\n%.*s", err, d.line, d.column, d.text, (int)len, text);
	t->far += d.line > 1;
	t->refused++;
}

static void policies(const char *name, const char *whole, size_t all, unsigned int times)
{
	struct tally t = { 0 };
	char text[8192];

	assert_in_range(all, 32, sizeof(text) - 64);
	for (unsigned int i = 0; i < times; i++) {
		size_t len = all;

		memcpy(text, whole, all);
		for (uint32_t n = 1 + any(3); n--;)
			len = mutate(text, len, sizeof(text));
		take_policy(text, len, &t);
	}
	print_message("%s: %u accepted, %u refused, %u of them behind the first line\n", name,
		      t.accepted, t.refused, t.far);
	assert_int_equal(t.accepted + t.refused, times);
	assert_true(t.accepted > times / 20 && t.far > times / 20);
}

static void all_keys(void **state)
{
	char whole[4096];

	policies("all keys", whole, write_all(whole, sizeof(whole)), MUTATED);
}

static void profiles(void **state)
{
	static const char *const names[] = { "default", "observe", "strict" };
	char path[64], whole[8192];
	size_t len;

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "policy/profiles/%s.yaml", names[i]);
		assert_int_equal(rf_file_read(path, whole, sizeof(whole), &len), 0);
		policies(names[i], whole, len, MUTATED / 3 + 1);
	}
}

/* --- logs ----------------------------------------------------------------------- */

static void keep(void *ctx, const struct rf_finding *f)
{
	struct rf_finding *first = ctx;

	assert_non_null(rf_finding_text(f->kind));
	if (rf_finding_weight(f->kind) != RF_LOG_INTACT && (!first->line || f->line < first->line))
		*first = *f;
}

static void replay(const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct rf_replay r;
	struct rf_policy p;
	char text[160];

	rf_policy_default(&p);
	if (json_is_object(o)) {
		rf_replay(o, &p, &r);
		rf_replay_text(&r, &p, text, sizeof(text));
		assert_true(text[0]);
	}
	json_decref(o);
}

static enum rf_verdict_of_log verify(const char *text, size_t len, struct rf_finding *first)
{
	struct rf_verify *v = rf_verify_create(keep, first);
	enum rf_verdict_of_log verdict;
	uint64_t number = 0;

	rf_verify_trust(v, &recorders_key);
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - (text + at)) : len - at;

		replay(text + at, n);
		assert_int_equal(rf_verify_line(v, 0, ++number, text + at, n, end), 0);
		at += n + 1;
	}
	verdict = rf_verify_finish(v);
	rf_verify_destroy(v);
	return verdict;
}

/* As by the next monitor of a VM that has lines in it. */
static void open_it(const char *text, size_t len)
{
	struct rf_audit_setup how = { .vm = "vm0", .instance = recorders[0].instance };
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct rf_audit *a;

	assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	how.chain = &recorders[0].chain;
	assert_int_equal(rf_audit_open_setup(fd, &how, &a), 0);
	assert_int_equal(rf_audit_outcome(a, 1, "ok"), 0);
	rf_audit_close(a);
}

static void logs(void **state)
{
	unsigned int same = 0, refused = 0, far = 0;
	struct rf_finding first = { .line = 0 };
	size_t all, room;
	char *whole, *text;

	/* So many lines of each that none loses all of them: that would not be noticed. */
	recorder_begin(&recorders[0]);
	recorder_begin(&recorders[1]);
	for (unsigned int n = 0; n < 4; n++)
		recorder_deny(&recorders[n % 2], n);
	assert_true(recorder_end(&recorders[0]) && recorder_end(&recorders[1]));
	whole = recorders_bytes(recorders_path, &all);
	assert_int_equal(verify(whole, all, &first), RF_LOG_INTACT);
	assert_int_equal(first.line, 0);
	room = all + 64;
	text = malloc(room);
	for (unsigned int i = 0; i < MUTATED; i++) {
		size_t len = all;

		memcpy(text, whole, all);
		for (uint32_t n = 1 + any(3); n--;)
			len = mutate(text, len, room);
		first.line = 0;
		open_it(text, len);
		if (verify(text, len, &first) == RF_LOG_INTACT) {
			assert_int_equal(len, all);
			assert_memory_equal(text, whole, all);
			same++;
			continue;
		}
		/* Where nothing is left there is no place. */
		assert_in_range(first.line, !!len, lines_of(text, len));
		far += first.line > 1;
		refused++;
	}
	print_message("logs of %u lines: %u the same, %u refused, %u of them behind the first "
		      "line\n",
		      lines_of(whole, all) - 1, same, refused, far);
	assert_true(far > MUTATED / 2);
	free(text);
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(profiles),
		cmocka_unit_test_setup_teardown(logs, recorders_setup, recorders_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
