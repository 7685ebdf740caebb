// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A signed log of two VMs, changed by chance: it is not called intact, and where it is wrong is
 * told; the next monitor opens it, and no reader of its lines ends for them.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/replay.h"
#include "tests/unit/fake_recorders.h"
#include "tests/unit/mutate.h"

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
		size_t len;

		memcpy(text, whole, all);
		len = mutate(text, all, room);
		first.line = 0;
		open_it(text, len);
		if (verify(text, len, &first) == RF_LOG_INTACT) {
			assert_int_equal(len, all);
			assert_memory_equal(text, whole, all);
			same++;
			continue;
		}
		/* Where nothing is left there is no place. */
		assert_in_range(first.line, !!len, mutate_lines(text, len));
		far += first.line > 1;
		refused++;
	}
	print_message("logs of %u lines: %u the same, %u refused, %u of them behind the first "
		      "line\n",
		      mutate_lines(whole, all) - 1, same, refused, far);
	assert_true(far > MUTATED / 2);
	free(text);
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(logs, recorders_setup, recorders_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
