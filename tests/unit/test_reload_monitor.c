// SPDX-License-Identifier: LGPL-2.1-or-later
/* Another policy for a monitor that serves a VM: what it answers, what it writes down before that,
 * and when its time is over. The test has the end of `run`. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static int run; /* the end of `run` */
static struct rf_note_key key;
static struct rf_reload_reply reply;

#define LOOSE "version: 1\non_mismatch: alert\n"
#define TIGHT "version: 1\non_denied: kill\n"

static int setup(void **state)
{
	int ends[2], err = fake_folding(state);

	if (err || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return -1;
	rf_note_key_generate("owner", &key);
	run = ends[1];
	guest.reload = (struct rf_reloads){ .fd = ends[0], .sha256 = "of-the-first-one" };
	snprintf(guest.name, sizeof(guest.name), "web");
	rf_policy_default(&guest.policy);
	return 0;
}

static int teardown(void **state)
{
	if (run >= 0)
		close(run);
	if (guest.reload.fd)
		close(guest.reload.fd);
	guest.reload = (struct rf_reloads){ .fd = 0 };
	return fake_teardown(state);
}

/* A file as `run` hands it over. */
static int file_of(const char *text, size_t len)
{
	int fd = memfd_create("policy", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static struct rf_reload_order order(void)
{
	return (struct rf_reload_order){ .revision = RF_RELOAD_REVISION, .taken = 1, .uid = 1234 };
}

static void sign(struct rf_reload_order *o, const char *vm, uint64_t serial, const char *text)
{
	struct rf_policy_note n = { .serial = serial, .until = UINT64_MAX };

	rf_policy_sha256(text, strlen(text), n.sha256);
	assert_int_equal(rf_policy_note_sign(&key, vm, &n, o->note), 0);
	o->note_len = (uint32_t)strlen(o->note);
}

/* What rf_reload_take() said; *reply: the answer. */
static int send_it(const struct rf_reload_order *o, const char *text)
{
	int fd = file_of(text, strlen(text)), said;

	assert_int_equal(rf_msg_send(run, o, sizeof(*o), &fd, 1), 0);
	close(fd);
	said = rf_reload_take(&guest);
	memset(&reply, 0xee, sizeof(reply));
	assert_int_equal(recv(run, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.revision, RF_RELOAD_REVISION);
	assert_int_equal(reply.accepted, said == RF_RELOADED);
	return said;
}

static void assert_line(const char *outcome, const char *detail)
{
	json_t *line = fake_line(0);

	assert_string_equal(fake_text(line, "kind"), "policy");
	assert_string_equal(fake_text(line, "outcome"), outcome);
	if (!strstr(fake_text(line, "detail"), detail))
		fail_msg("\"%s\" is not in: %s", detail, fake_text(line, "detail"));
}

static void tighter_is_taken(void **state)
{
	struct rf_reload_order o = order();

	assert_int_equal(rf_reload_take(&guest), 0); /* nothing is there */
	assert_int_equal(send_it(&o, TIGHT), RF_RELOADED);
	assert_line("taken", "asked for by user 1234, unsigned; in force until then: "
			     "of-the-first-one; on_denied: fault -> kill");
	assert_string_equal(fake_text(fake_line(0), "sha256"), reply.sha256);
	assert_string_equal(reply.why, "");
	/* Its own judgement is what it was, for as long as it lives. */
	assert_int_equal(guest.policy.on_denied, RF_ON_DENIED_FAULT);
}

static void looser_is_refused(void **state)
{
	struct rf_reload_order o = order();

	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_non_null(strstr(reply.why, "without --policy-key: on_mismatch: refuse -> alert"));
	assert_line("refused", reply.why);
	guest.reload.key = &key;
	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_line("refused", "it is not signed: on_mismatch: refuse -> alert");
}

static void signed_is_taken(void **state)
{
	struct rf_reload_order o = order();

	guest.reload.key = &key;
	guest.reload.serial = 6;
	sign(&o, "other", 7, LOOSE);
	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_line("refused", "for another VM");
	assert_line("refused", "with what is no signature for it; in force: ");
	sign(&o, guest.name, 6, LOOSE);
	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_line("refused", "serial is not greater");
	assert_line("refused", "with a signature that is not taken, serial 6; in force: ");
	sign(&o, guest.name, 7, LOOSE);
	assert_int_equal(send_it(&o, LOOSE), RF_RELOADED);
	assert_line("taken", "1234, signed, serial 7; in force until then: ");
}

/* `run` has looked at it as well. */
static void not_taken_by_run(void **state)
{
	struct rf_reload_order o = order();

	o.taken = 0;
	assert_int_equal(send_it(&o, TIGHT), 0);
	assert_line("refused", "does not take it");
	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_line("refused", "it loosens");
}

static void no_policy(void **state)
{
	struct rf_reload_order o = order();

	assert_int_equal(send_it(&o, "version: 2\n"), 0);
	assert_line("refused", "it is no policy: line 1");
	assert_int_equal(send_it(&o, ""), 0);
	assert_line("refused", "it is no policy");
}

/* The record says which name, whether or not `run` has seen it too. */
static void no_such_check(void **state)
{
	struct rf_reload_order o = order();

	for (o.taken = 0; o.taken < 2; o.taken++) {
		assert_int_equal(send_it(&o, TIGHT "checks_kill: [ frist ]\n"), 0);
		assert_line("refused", "it is no policy: line 3, column 1: checks_kill: "
				       "\"frist\": there is no check of that name");
		assert_int_equal(send_it(&o, TIGHT "checks_kill: [ guarded ]\n"), 0);
		assert_line("refused", "it is looked for by a guard");
	}
	o.taken = 1;
	assert_int_equal(send_it(&o, TIGHT "checks_kill: [ first ]\n"), RF_RELOADED);
}

/* No line, no change. */
static void log_is_full(void **state)
{
	struct rf_reload_order o = order();

	fake_log_full();
	assert_int_equal(send_it(&o, TIGHT), 0);
	assert_non_null(strstr(reply.why, "could not be recorded"));
	assert_int_equal(send_it(&o, LOOSE), 0);
	assert_non_null(strstr(reply.why, "it loosens"));
	fake_log_room();
	assert_int_equal(send_it(&o, TIGHT), RF_RELOADED);
}

/* Whatever comes from there is looked at before it is believed. */
static void nonsense(void **state)
{
	struct rf_reload_order o = order();
	size_t lines = fake_lines();
	int fd = file_of(TIGHT, strlen(TIGHT)), folder = open("/tmp", O_RDONLY | O_CLOEXEC);

	/* Too short, and without a file. */
	assert_int_equal(rf_msg_send(run, &o, sizeof(o) - 1, &fd, 1), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_int_equal(rf_msg_send(run, &o, sizeof(o), NULL, 0), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_int_equal(recv(run, &reply, sizeof(reply), MSG_DONTWAIT), -1);
	assert_int_equal(fake_lines(), lines);
	/* A folder is no file. */
	assert_int_equal(rf_msg_send(run, &o, sizeof(o), &folder, 1), 0);
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_int_equal(recv(run, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.accepted, 0);
	close(folder);
	close(fd);
	o.note_len = sizeof(o.note) + 1;
	assert_int_equal(send_it(&o, TIGHT), 0);
	o = order();
	o.revision++;
	assert_int_equal(send_it(&o, TIGHT), 0);
	assert_non_null(strstr(reply.why, "does not arrive"));
}

/* A file that is longer than one may be. */
static void too_long(void **state)
{
	struct rf_reload_order o = order();
	char *text = malloc(RF_POLICY_FILE_MAX + 100);

	memset(text, '#', RF_POLICY_FILE_MAX + 99);
	memcpy(text, TIGHT, strlen(TIGHT));
	text[RF_POLICY_FILE_MAX + 99] = '\0';
	assert_int_equal(send_it(&o, text), 0);
	assert_non_null(strstr(reply.why, "File too large"));
	free(text);
}

/* Without `run` nobody would start the monitor that is to judge by it. */
static void run_is_gone(void **state)
{
	struct rf_reload_order o = order();
	int fd = file_of(TIGHT, strlen(TIGHT));

	assert_int_equal(rf_msg_send(run, &o, sizeof(o), &fd, 1), 0);
	close(fd);
	close(run);
	run = -1;
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_line("not in force", "is gone");
	assert_int_equal(rf_reload_take(&guest), 0);
	assert_int_equal(guest.reload.fd, 0);
}

/* The next monitor says by what it judges, and no full log keeps it from judging. */
static void in_force(void **state)
{
	size_t lines = fake_lines();
	json_t *o;

	assert_int_equal(rf_reload_begin(&guest, false), 0);
	assert_int_equal(fake_lines(), lines);
	assert_int_equal(rf_reload_begin(&guest, true), 0);
	assert_line("in force", "the one that the VM is started with; ");
	guest.policy.on_mismatch = RF_ON_MISMATCH_ALERT;
	assert_int_equal(rf_reload_begin(&guest, true), 0);
	assert_line("in force", "on_mismatch: refuse -> alert");
	guest.reload.count = 2;
	guest.reload.serial = 7;
	assert_int_equal(rf_reload_begin(&guest, false), 0);
	assert_line("in force",
		    "number 2 after the one that the VM was started with; last serial 7");
	assert_string_equal(fake_text(fake_line(0), "sha256"), "of-the-first-one");
	o = rf_reload_status(&guest);
	assert_int_equal(json_integer_value(json_object_get(o, "count")), 2);
	assert_int_equal(json_integer_value(json_object_get(o, "serial")), 7);
	assert_false(json_is_true(json_object_get(o, "key")));
	json_decref(o);
	fake_log_full();
	assert_int_equal(rf_reload_begin(&guest, false), 0);
	assert_int_equal(rf_reload_begin(&guest, true), 0);
	fake_log_room();
}

/* What a sealed kernel may patch, and what becomes of a store, is the next monitor's policy's. */
static void next_monitor_judges_by_it(void **state)
{
	struct rf_reload_order o = order();
	struct rf_msg_event ev = fake_write_event(TABLE, "x", 1);

	fake_table_store();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake.frozen, 0);
	assert_int_equal(send_it(&o, "version: 1\non_denied: kill\npatches: { ftrace: deny }\n"),
			 RF_RELOADED);
	rf_guest_forget(&guest);
	assert_int_equal(fake.table.kernel, 0); /* the fence settles no patch by the old table */
	fake_new_monitor();
	rf_policy_default(&guest.policy);
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	guest.policy.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_DENY;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_true(fake.table_kept);
	assert_int_equal(fake.frozen, 1u << RF_SITE_FTRACE | 1u << RF_SITE_FTRACE_CALL);
	assert_int_not_equal(fake.table.kernel, 0);
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tighter_is_taken), T(looser_is_refused), T(no_such_check),
		T(signed_is_taken),  T(not_taken_by_run),  T(no_policy),
		T(log_is_full),	     T(nonsense),	   T(too_long),
		T(run_is_gone),	     T(in_force),	   T(next_monitor_judges_by_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
