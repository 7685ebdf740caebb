// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor goes on in new logs, which `run` opens: who may ask, what is answered, and that
 * nothing is lost where it cannot be done. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/rotate.h"
#include "policy/patchproof.h"
#include "tests/unit/fake_monitor.h"

static struct rf_status served;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int run_end; /* of the socket for new files */
static char old_log[64], old_patches[64];

static int setup(void **state)
{
	int ends[2], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fake_folding(state) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	guest.logs_fd = ends[0];
	run_end = ends[1];
	snprintf(old_log, sizeof(old_log), "%s.1", fake.log_path);
	snprintf(old_patches, sizeof(old_patches), "%s.1", fake.patches_path);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/rf-rotate-%d", (int)getpid());
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		return -1;
	return rf_status_init(&served, fd);
}

static int teardown(void **state)
{
	if (guest.logs_fd)
		close(guest.logs_fd);
	if (guest.rotate_client)
		close(guest.rotate_client);
	guest.logs_fd = guest.rotate_client = 0;
	close(run_end);
	close(served.listen_fd);
	unlink(address.sun_path);
	unlink(old_log);
	unlink(old_patches);
	return fake_teardown(state);
}

static int ask_for(const char *request)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	rf_status_serve(&guest, &served);
	return fd;
}

static int ask(void)
{
	return ask_for("{\"cmd\":\"rotate\"}\n");
}

/* NULL: it waits still. */
static json_t *answer(int fd)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return NULL;
	assert_true(n > 0 && text[n - 1] == '\n');
	close(fd);
	return json_loadb(text, (size_t)n, 0, NULL);
}

static void assert_error(int client, const char *text)
{
	json_t *o = answer(client);

	assert_non_null(o);
	assert_non_null(strstr(fake_text(o, "error"), text));
	json_decref(o);
}

static int fresh(const char *path, const char *old)
{
	int fd;

	assert_int_equal(rename(path, old), 0);
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void send_logs(bool arrive)
{
	struct rf_new_logs m = { .with = 1, .told = "it goes on" };
	int fds[RF_NEW_LOGS] = { fresh(fake.log_path, old_log),
				 fresh(fake.patches_path, old_patches) };

	assert_int_equal(rf_msg_send(run_end, &m, sizeof(m), fds, arrive ? RF_NEW_LOGS : 0), 0);
	for (int i = 0; i < RF_NEW_LOGS; i++)
		close(fds[i]);
}

static void store(void)
{
	const uint64_t value = 0x33;
	struct rf_msg_event ev = fake_write_event(TABLE, &value, 8);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
}

static void patch(uint64_t n)
{
	for (uint64_t i = fake.patching.head; i < n; i++)
		fake.entries[i] = (struct rf_patch_entry){ .kind = 1, .len = 1 };
	fake.patching.head = n;
}

static void no_finding(void *ctx, const struct rf_finding *f)
{
	fail_msg("%s: line %llu", rf_finding_text(f->kind), (unsigned long long)f->line);
}

static void assert_fits(const char *log, const char *patches)
{
	struct rf_patch_proof *p = rf_patch_proof_create(no_finding, NULL);
	int fd = open(patches, O_RDONLY | O_CLOEXEC);
	FILE *f = fopen(log, "r");
	char *line = NULL;
	size_t room = 0, said = 0;
	uint64_t n = 0;
	ssize_t len;

	assert_true(f && fd >= 0);
	while ((len = getline(&line, &room, f)) > 0) {
		said += strstr(line, "\"patch_log\":") != NULL;
		assert_int_equal(rf_patch_proof_line(p, 0, ++n, line, (size_t)len - 1), 0);
	}
	assert_int_not_equal(said, 0);
	assert_int_equal(rf_patch_proof_check(p, fd), 0);
	rf_patch_proof_destroy(p);
	free(line);
	fclose(f);
	close(fd);
}

/* --- */

static void asked_and_done(void **state)
{
	union rf_patch_record r[8];
	uint64_t offset = 0;
	int client, other, fd;
	json_t *o;

	patch(3);
	assert_int_equal(rf_patches_drain(&guest), 0);
	store();
	fake_notified();
	client = ask();
	assert_string_equal(fake_notified(), "rotate\n");
	assert_null(answer(client));
	other = ask();
	assert_error(other, "under way");
	rf_rotate_take(&guest); /* nothing has come */
	assert_null(answer(client));
	send_logs(true);
	rf_rotate_take(&guest);
	assert_string_equal(fake_notified(), "rotated\n");
	o = answer(client);
	assert_true(json_is_true(json_object_get(o, "done")));
	assert_string_equal(fake_text(o, "told"), "it goes on");
	json_decref(o);
	assert_int_equal(fake_lines(), 1);
	assert_string_equal(fake_text(fake_line(0), "type"), "continued");
	store();
	assert_int_equal(fake_lines(), 2);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
	/* The patches, too: a head first, and no patch twice. */
	patch(5);
	assert_int_equal(rf_patches_drain(&guest), 0);
	fd = open(fake.patches_path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(rf_patchlog_read(fd, &offset, r, 8), 3);
	close(fd);
	assert_true(rf_patch_is_head(&r[0]) && rf_patch_is_line(&r[1]) && rf_patch_is_line(&r[2]));
	assert_int_equal(r[0].head.instance, 7);
	assert_int_equal(rf_patchlog_count(guest.patchlog), 5);
	rf_patches_summarise(&guest);
	/* Each log fits its own patches, all of them. */
	assert_fits(old_log, old_patches);
	assert_fits(fake.log_path, fake.patches_path);
}

static void only_where_it_was_moved(void **state)
{
	struct rf_new_logs m = { .told = "no log was moved" };
	int client = ask_for("{\"cmd\":\"rotate-moved\"}\n");
	size_t before = fake_lines();
	json_t *o;

	assert_string_equal(fake_notified(), "rotate-moved\n");
	assert_int_equal(rf_msg_send(run_end, &m, sizeof(m), NULL, 0), 0);
	rf_rotate_take(&guest);
	o = answer(client);
	assert_string_equal(fake_text(o, "told"), "no log was moved");
	json_decref(o);
	assert_string_equal(fake_notified(), "rotated\n");
	assert_int_equal(fake_lines(), before);
}

static void by_a_signal(void **state)
{
	send_logs(true);
	fake_notified();
	rf_rotate_take(&guest);
	assert_string_equal(fake_notified(), "rotated\n");
	assert_string_equal(fake_text(fake_line(0), "type"), "continued");
}

static void run_could_not(void **state)
{
	struct rf_new_logs m = { .failed = 1, .told = "cannot open it" };
	size_t before = fake_lines();
	int client = ask();

	fake_notified();
	assert_int_equal(rf_msg_send(run_end, &m, sizeof(m), NULL, 0), 0);
	rf_rotate_take(&guest);
	assert_error(client, "cannot open it");
	assert_string_equal(fake_notified(), "");
	store();
	assert_int_equal(fake_lines(), before + 1);
	/* And may be asked again. */
	client = ask();
	assert_string_equal(fake_notified(), "rotate\n");
	close(client);
	/* Whoever went away is not waited for. */
	assert_null(answer(client = ask()));
	close(client);
}

/* As where this process has no room for descriptors. */
static void they_do_not_arrive(void **state)
{
	int client = ask();

	send_logs(false);
	fake_notified();
	rf_rotate_take(&guest);
	assert_error(client, "Too many open files");
	assert_non_null(strstr(fake_notified(), "rotate-failed\n"));
	store();
	rename(old_log, fake.log_path);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
}

static void nobody_to_ask(void **state)
{
	struct rf_audit *a = guest.audit;

	guest.audit = NULL;
	assert_error(ask(), "no VMM is under protection yet");
	guest.audit = a;
	close(fake.notify[0]);
	fake.notify[0] = open("/dev/null", O_RDONLY);
	assert_error(ask(), "is gone");
}

static void run_is_killed(void **state)
{
	int client = ask();

	close(run_end);
	run_end = open("/dev/null", O_RDONLY);
	rf_rotate_take(&guest);
	assert_error(client, "is gone");
	assert_int_equal(guest.logs_fd, 0);
	store();
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
}

/* A log that is as long as it may be has room again, at once. */
static void room_again(void **state)
{
	guest.policy.log_quota_mb = 1;
	assert_int_equal(truncate(fake.log_path, 1u << 20), 0);
	store();
	rf_record_flush(&guest, false);
	assert_int_equal(fake_fold.gap.error, RF_FOLD_QUOTA);
	send_logs(true);
	rf_rotate_take(&guest);
	rf_record_flush(&guest, false);
	assert_int_equal(fake_fold.gap.error, 0);
	assert_int_equal(fake_count("type", "unwritten"), 1);
}

/* --- who copies and truncates --- */

static void cut(void **state)
{
	uint64_t before;

	for (int i = 0; i < 3; i++)
		store();
	before = (uint64_t)json_integer_value(json_object_get(fake_line(0), "seq"));
	fake_notified();
	assert_int_equal(truncate(fake.log_path, 0), 0);
	store();
	rf_record_tick(&guest);
	assert_non_null(strstr(fake_notified(), "somebody has cut the audit log"));
	assert_int_equal(fake_lines(), 2);
	assert_string_equal(fake_text(fake_line(1), "type"), "gap");
	assert_int_equal(json_integer_value(json_object_get(fake_line(1), "to")), before);
	store();
	rf_record_tick(&guest);
	assert_string_equal(fake_notified(), "");
}

/* The patch log has nothing of what was patched: the next monitor does not begin anew with it,
 * which the fence would wait for in vain. */
static void patches_cut(void **state)
{
	patch(30);
	assert_int_equal(rf_patches_drain(&guest), 0);
	assert_int_equal(fake.table.taken, 30);
	assert_int_equal(truncate(fake.patches_path, 0), 0);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.patches_taken, 30);
	patch(40);
	assert_int_equal(rf_patches_drain(&guest), 0);
	assert_int_equal(fake.table.taken, 40);
	/* Nor with what is not on the fence's list any more. */
	fake.table.taken = 0;
	assert_int_equal(truncate(fake.patches_path, 0), 0);
	fake.patching.oldest = 25;
	fake_new_monitor();
	fake.table.taken = 0;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.patches_taken, 25);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(asked_and_done), T(by_a_signal),	  T(only_where_it_was_moved),
		T(run_could_not),  T(they_do_not_arrive), T(nobody_to_ask),
		T(run_is_killed),  T(room_again),	  T(cut),
		T(patches_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
