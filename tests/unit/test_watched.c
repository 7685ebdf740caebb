// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a monitor hears of the host's control-register watch: on record when it changes, in "status"
 * for as long as it is fresh. The test has the end of `run`. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static int run; /* the end of `run` */

static int setup(void **state)
{
	int ends[2], err = fake_folding(state);

	if (err || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return -1;
	run = ends[1];
	guest.reload = (struct rf_reloads){ .fd = ends[0] };
	guest.watched = (struct rf_watched){ .lost = false };
	return 0;
}

static int teardown(void **state)
{
	close(run);
	if (guest.reload.fd)
		close(guest.reload.fd);
	guest.reload = (struct rf_reloads){ .fd = 0 };
	return fake_teardown(state);
}

static void tell(bool lost, const char *why)
{
	struct rf_watched_report r = { .revision = RF_WATCHED_REVISION, .lost = lost };

	snprintf(r.why, sizeof(r.why), "%s", why);
	assert_int_equal(rf_msg_send(run, &r, sizeof(r), NULL, 0), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
}

static void assert_line(size_t from_end, const char *outcome, const char *detail)
{
	json_t *line = fake_line(from_end);

	assert_string_equal(fake_text(line, "kind"), "control-watch");
	assert_string_equal(fake_text(line, "outcome"), outcome);
	if (!strstr(fake_text(line, "detail"), detail))
		fail_msg("\"%s\" is not in: %s", detail, fake_text(line, "detail"));
}

static void changes_are_on_record(void **state)
{
	size_t before = fake_lines();

	tell(false, "");
	assert_int_equal(fake_lines(), before);
	tell(true, "its map is not pinned");
	assert_line(0, "lost", "its map is not pinned");
	tell(true, "and something else");
	assert_int_equal(fake_lines(), before + 1);
	tell(false, "");
	assert_line(0, "back", "was not undone");
	tell(false, "");
	assert_int_equal(fake_lines(), before + 2);
}

/* Only what is on is relied on. */
static void assert_watched(bool watched, const char *text)
{
	assert_string_equal(rf_watched_text(&guest, watched), text);
	assert_int_equal(rf_watched_is_on(&guest, watched), !strcmp(text, "on"));
}

static void status_says_so(void **state)
{
	assert_watched(false, "off");
	/* Nobody has looked yet. */
	assert_watched(true, "unknown");
	tell(false, "");
	assert_watched(false, "off");
	assert_watched(true, "on");
	tell(true, "gone");
	assert_watched(true, "lost");
	tell(false, "");
	assert_watched(true, "on");
	/* Nobody has for a while. */
	guest.watched.heard_ns -= (RF_WATCHED_MS + 1) * UINT64_C(1000000);
	assert_watched(true, "unknown");
}

/* Not even `run` makes it say what cannot be. */
static void what_is_no_report(void **state)
{
	struct rf_watched_report r = { .revision = RF_WATCHED_REVISION + 1, .lost = 1 };
	size_t before = fake_lines();
	int file = open("/dev/null", O_RDONLY);

	assert_int_equal(rf_msg_send(run, &r, sizeof(r), NULL, 0), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
	r.revision = RF_WATCHED_REVISION;
	assert_int_equal(rf_msg_send(run, &r, sizeof(r) - 1, NULL, 0), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_int_equal(fake_lines(), before);
	assert_string_equal(rf_watched_text(&guest, true), "unknown");
	/* Text without an end, with a descriptor that nobody wants. */
	memset(r.why, 'x', sizeof(r.why));
	assert_int_equal(rf_msg_send(run, &r, sizeof(r), &file, 1), 0);
	close(file);
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_line(0, "lost", "xxxx");
	assert_int_equal(strlen(fake_text(fake_line(0), "detail")), RF_WATCHED_WHY - 1);
	assert_true(guest.reload.fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(changes_are_on_record),
		TEST(status_says_so),
		TEST(what_is_no_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
