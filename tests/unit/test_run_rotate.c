// SPDX-License-Identifier: LGPL-2.1-or-later
/* `run`'s side of a rotation: which files are moved, which are opened, and what is kept of the old
 * ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run_rotate.c"
#include "tests/unit/leave_out.h"

static char folder[32], said[512];
static struct rf_run run;

void rf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

void rf_safe(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size - 1);

	memcpy(out, text, len);
	out[len] = '\0';
}

static int64_t now_ms = 1000;

int64_t rf_now_ms(void)
{
	return now_ms;
}

static int open_log(const char *path)
{
	char name[NAME_MAX + 1];
	struct rf_folder f;
	struct rf_why why;
	int fd;

	if (rf_folder_above(path, RF_WAY_USE, &why, &f, name))
		return -1;
	fd = rf_run_open_log(f.fd, name, &why);
	rf_folder_close(&f);
	return fd;
}

static void path_of(const char *name, char out[64])
{
	snprintf(out, 64, "%s/%s", folder, name);
}

static int setup(void **state)
{
	char path[64];

	strcpy(folder, "/tmp/rf-run-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	run = (struct rf_run){ .name = "one",
			       .audit_before_fd = -1,
			       .next_audit_fd = -1,
			       .next_patches_fd = -1,
			       .logs = { -1, -1 } };
	path_of("audit.jsonl", run.audit_path);
	run.audit_fd = open_log(run.audit_path);
	path_of("audit.patches", path);
	run.patches_fd = open_log(path);
	run.chain_fd = rf_chain_create();
	return run.audit_fd < 0 || run.patches_fd < 0 || run.chain_fd < 0 || rf_run_logs(&run) ? -1
											       : 0;
}

static int teardown(void **state)
{
	const int fds[] = { run.audit_fd,	 run.patches_fd,      run.chain_fd,
			    run.logs[0],	 run.audit_before_fd, run.next_audit_fd,
			    run.next_patches_fd, run.logs[1] };
	char command[64];

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	now_ms = 1000;
	return system(command);
}

/* What the monitor gets; how many descriptors come with it, which are closed. */
static int received(struct rf_new_logs *m)
{
	struct iovec iov = { m, sizeof(*m) };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(RF_NEW_LOGS * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	int fds[RF_NEW_LOGS], n = 0;
	struct cmsghdr *c;

	assert_int_equal(recvmsg(run.logs[0], &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(*m));
	c = CMSG_FIRSTHDR(&msg);
	if (c)
		n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	assert_in_range(n, 0, RF_NEW_LOGS);
	if (n)
		memcpy(fds, CMSG_DATA(c), (size_t)n * sizeof(int));
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n;
}

static unsigned int files_with(const char *part)
{
	DIR *d = opendir(folder);
	unsigned int n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += strstr(e->d_name, part) != NULL;
	closedir(d);
	return n;
}

static ino_t ino_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

/* A chain whose last line stands in that file, as a monitor has it. */
static void chain_in(int fd)
{
	const uint8_t hash[RF_CHAIN_BYTES] = { 1 };
	struct rf_chain *c;
	struct stat st;
	bool anew;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(rf_chain_take(run.chain_fd, &c, &anew), 0);
	rf_chain_follow(c, 1);
	rf_chain_prepare(c, hash);
	rf_chain_commit(c, st.st_dev, st.st_ino, 100);
	munmap(c, sizeof(*c));
}

static void moves_both(void **state)
{
	ino_t old = ino_of(run.audit_fd), fresh;
	struct rf_new_logs m;

	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_true(run.rotating);
	assert_int_equal(received(&m), 2);
	assert_int_equal(m.with, 1);
	assert_non_null(strstr(m.told, "what was written until now is in"));
	assert_int_equal(files_with("audit-2"), 2);
	assert_int_equal(files_with("Z.jsonl"), 1);
	assert_int_equal(files_with("Z.patches"), 1);
	/* Until the monitor says so the old one is the log. */
	assert_int_equal(ino_of(run.audit_fd), old);
	fresh = ino_of(run.next_audit_fd);
	rf_run_rotated(&run);
	assert_false(run.rotating);
	assert_int_equal(ino_of(run.audit_fd), fresh);
	assert_int_equal(ino_of(run.audit_before_fd), old);
	assert_int_equal(run.next_audit_fd, -1);
	assert_int_equal(run.next_patches_fd, -1);
	/* Not again and again: a second has to pass. */
	now_ms += MOVE_MS - 1;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EAGAIN);
	assert_int_equal(received(&m), 0);
	assert_int_equal(files_with("audit-2"), 2);
	now_ms++;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	assert_int_equal(files_with("audit-2"), 4);
}

/* Its patches go where `audit verify` will look for them. */
static void log_was_moved(void **state)
{
	ino_t patches = ino_of(run.patches_fd);
	struct rf_new_logs m;
	struct stat st;
	char aside[64];

	path_of("audit.jsonl.1", aside);
	assert_int_equal(rename(run.audit_path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_MOVED), 0);
	assert_int_equal(received(&m), 2);
	path_of("audit.patches.1", aside);
	assert_int_equal(stat(aside, &st), 0);
	assert_int_equal(st.st_ino, patches);
	rf_run_rotated(&run);
	assert_int_not_equal(ino_of(run.patches_fd), patches);
	assert_int_equal(files_with("audit-2"), 0);
	/* And nothing is done where it was not. */
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_MOVED), 0);
	assert_int_equal(received(&m), 0);
	assert_int_equal(m.failed, 0);
	assert_string_equal(m.told, "no log was moved");
	rf_run_rotated(&run);
	assert_int_equal(files_with("audit"), 4);
}

static void both_were_moved(void **state)
{
	struct rf_new_logs m;
	char path[64], aside[64];

	path_of("one", aside);
	assert_int_equal(rename(run.audit_path, aside), 0);
	path_of("two", aside);
	path_of("audit.patches", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	assert_int_equal(files_with("audit"), 2);
}

/* It has no name any more, and neither have its patches one to go with it. */
static void log_was_deleted(void **state)
{
	struct rf_new_logs m;

	assert_int_equal(unlink(run.audit_path), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	assert_int_equal(files_with("audit.jsonl"), 1);
	assert_int_equal(files_with("audit.patches"), 1);
	assert_int_equal(files_with("audit-2"), 1);
}

/* What the one says of the other would not fit. */
static void patches_alone_were_moved(void **state)
{
	struct rf_new_logs m;
	char path[64], aside[64];

	path_of("two", aside);
	path_of("audit.patches", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EEXIST);
	assert_int_equal(received(&m), 0);
	assert_non_null(strstr(m.told, "its patch log was moved, so move it as well"));
	assert_int_equal(files_with("audit"), 1);
}

/* There is a file of that name already: it is not written over. */
static void no_place_for_patches(void **state)
{
	struct rf_new_logs m;
	char aside[64];

	path_of("audit.patches.1", aside);
	close(open_log(aside));
	path_of("audit.jsonl.1", aside);
	assert_int_equal(rename(run.audit_path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EEXIST);
	assert_int_equal(received(&m), 0);
	assert_int_equal(files_with("audit"), 3);
}

/* One of them cannot be opened: all is as it was. */
static void cannot_open(void **state)
{
	ino_t old = ino_of(run.audit_fd);
	struct rf_new_logs m;
	char path[64], aside[64];

	path_of("one", aside);
	assert_int_equal(rename(run.audit_path, aside), 0);
	path_of("two", aside);
	path_of("audit.patches", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_not_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_false(run.rotating);
	assert_int_equal(received(&m), 0);
	assert_int_equal(m.failed, 1);
	assert_int_equal(m.with, 0);
	assert_non_null(strstr(m.told, "audit.patches"));
	assert_non_null(strstr(said, "goes on in its old file"));
	assert_int_equal(ino_of(run.audit_fd), old);
	assert_int_equal(run.next_audit_fd, -1);
	rf_run_rotated(&run); /* a monitor that dies now changes nothing */
	assert_int_equal(ino_of(run.audit_fd), old);
}

/* Nor can one be moved, as its name would be too long: then none is. */
static void cannot_move(void **state)
{
	struct rf_new_logs m;
	char name[300], patches[PATH_MAX];

	memset(name, 'x', 245);
	strcpy(name + 245, ".jsonl");
	close(run.audit_fd);
	close(run.patches_fd);
	snprintf(run.audit_path, sizeof(run.audit_path), "%s/%s", folder, name);
	assert_int_equal(rf_patches_path(run.audit_path, patches), 0);
	run.audit_fd = open_log(run.audit_path);
	run.patches_fd = open_log(patches);
	assert_true(run.audit_fd >= 0 && run.patches_fd >= 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -ENAMETOOLONG);
	assert_int_equal(received(&m), 0);
	assert_int_equal(m.failed, 1);
	assert_non_null(strstr(m.told, "cannot move"));
	assert_int_equal(access(run.audit_path, F_OK), 0);
	assert_int_equal(access(patches, F_OK), 0);
	assert_int_equal(files_with("xxx"), 2);
}

/* By somebody who could lead the way: nothing is moved, and nothing made. Once it is ours it is. */
static void folder_of_another_user(void **state)
{
	struct rf_new_logs m;

	NEEDS_ROOT();
	assert_int_equal(chown(folder, 65534, 65534), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EPERM);
	assert_false(run.rotating);
	assert_int_equal(received(&m), 0);
	assert_int_equal(m.failed, 1);
	assert_non_null(strstr(m.told, "its owner could put other things below it"));
	assert_int_equal(files_with("audit"), 2);
	assert_int_equal(chown(folder, 0, 0), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	assert_int_equal(files_with("audit"), 4);
}

/* The log was moved to where others may write: its patches stay with their folder. */
static void moved_to_another_user(void **state)
{
	char theirs[64], aside[80];
	struct rf_new_logs m;

	NEEDS_ROOT();
	path_of("theirs", theirs);
	assert_int_equal(mkdir(theirs, 0755), 0);
	assert_int_equal(chown(theirs, 65534, 65534), 0);
	snprintf(aside, sizeof(aside), "%s/audit.jsonl.1", theirs);
	assert_int_equal(rename(run.audit_path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	snprintf(aside, sizeof(aside), "%s/audit.patches.1", theirs);
	assert_int_equal(access(aside, F_OK), -1);
	assert_int_equal(files_with("audit-2"), 1);
	assert_int_equal(files_with(".patches"), 2);
}

/* A folder of ours is one: they go along. */
static void moved_to_another_folder(void **state)
{
	char ours[64], aside[80];
	struct rf_new_logs m;

	path_of("ours", ours);
	assert_int_equal(mkdir(ours, 0755), 0);
	snprintf(aside, sizeof(aside), "%s/audit.jsonl.1", ours);
	assert_int_equal(rename(run.audit_path, aside), 0);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	assert_int_equal(received(&m), 2);
	snprintf(aside, sizeof(aside), "%s/audit.patches.1", ours);
	assert_int_equal(access(aside, F_OK), 0);
	assert_int_equal(files_with("audit"), 2);
}

/* No third file while the chain is in the first one. */
static void not_yet_in_it(void **state)
{
	struct rf_new_logs m;
	unsigned int before;

	chain_in(run.audit_fd);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	received(&m);
	rf_run_rotated(&run);
	before = files_with("audit");
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EAGAIN);
	assert_int_equal(received(&m), 0);
	assert_int_equal(m.failed, 1);
	assert_int_equal(files_with("audit"), before);
	/* Nor is the first one forgotten, however long it takes. */
	now_ms += 10 * BEFORE_MS;
	rf_run_forget_before(&run);
	assert_true(run.audit_before_fd >= 0);
	chain_in(run.audit_fd);
	rf_run_forget_before(&run);
	assert_int_equal(run.audit_before_fd, -1);
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	received(&m);
}

static void kept_for_a_minute(void **state)
{
	struct rf_new_logs m;

	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	received(&m);
	rf_run_rotated(&run);
	chain_in(run.audit_fd);
	now_ms += BEFORE_MS - 1;
	rf_run_forget_before(&run);
	assert_true(run.audit_before_fd >= 0);
	now_ms += 1;
	rf_run_forget_before(&run);
	assert_int_equal(run.audit_before_fd, -1);
}

/* It reads nothing: `run` does not wait for it. */
static void monitor_reads_nothing(void **state)
{
	const struct rf_new_logs m = { .failed = 1 };
	int sent = 0;

	alarm(10); /* else it is blocked for good */
	while (!rf_run_logs_send(&run, &m))
		assert_true(sent++ < 10000);
	alarm(0);
	assert_true(run.deaf);
	/* Nothing is begun that such a one would have to end. */
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EAGAIN);
	assert_false(run.rotating);
	assert_int_equal(files_with("audit-2"), 0);
	assert_int_equal(files_with("audit.jsonl"), 1);
}

static void orders_are_not_read(void **state)
{
	const char order[1024] = { 0 };
	int sent = 0;

	run.orders[0] = run.orders[1] = -1;
	assert_int_equal(rf_run_orders(&run), 0);
	alarm(10);
	while (!rf_run_order(&run, order, sizeof(order), run.audit_fd))
		assert_true(sent++ < 10000);
	alarm(0);
	assert_true(run.deaf);
	close(run.orders[0]);
	close(run.orders[1]);
}

static void monitor_has_closed_its_end(void **state)
{
	close(run.logs[0]);
	run.logs[0] = -1;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), -EAGAIN);
	assert_true(run.deaf);
	assert_int_equal(files_with("audit.jsonl"), 1);
}

/* One that was taken over says "rotate", and "rotated", for ever. */
static void monitor_asks_too_often(void **state)
{
	struct rf_new_logs m;

	for (int i = 0; i < RF_RUN_MOVES; i++) {
		assert_int_equal(rf_run_rotate(&run, RF_ROTATE_CLIENT), 0);
		assert_int_equal(received(&m), 2);
		rf_run_rotated(&run);
		now_ms += MOVE_MS;
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rf_run_rotate(&run, RF_ROTATE_CLIENT), -EDQUOT);
		assert_int_equal(received(&m), 0);
		assert_int_equal(m.failed, 1);
		assert_non_null(strstr(m.told, "SIGHUP"));
	}
	assert_int_equal(files_with("audit-2"), 2 * RF_RUN_MOVES);
	/* Others may, and so may it when the first one is an hour ago. */
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	received(&m);
	rf_run_rotated(&run);
	now_ms = 1000 + HOUR_MS - 1;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_CLIENT), -EDQUOT);
	received(&m);
	now_ms++;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_CLIENT), 0);
	received(&m);
	rf_run_rotated(&run);
	now_ms += MOVE_MS - 1;
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_CLIENT), -EDQUOT);
	received(&m);
}

/* Its word was lost, or it never says one. */
static void never_answered(void **state)
{
	struct rf_new_logs m;

	assert_false(rf_run_rotate_overdue(&run));
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_SIGNAL), 0);
	received(&m);
	now_ms += ANSWER_MS - 1;
	assert_false(rf_run_rotate_overdue(&run));
	now_ms++;
	assert_true(rf_run_rotate_overdue(&run));
	rf_run_rotated(&run);
	assert_false(rf_run_rotate_overdue(&run));
}

/* Nobody asks, after it was moved: not at once, as its patch log may be moved next. */
static void moved_and_nobody_asks(void **state)
{
	struct rf_new_logs m;
	char aside[64];

	assert_false(rf_run_log_is_away(&run));
	path_of("audit.jsonl.1", aside);
	assert_int_equal(rename(run.audit_path, aside), 0);
	now_ms += LOOK_MS;
	assert_false(rf_run_log_is_away(&run));
	now_ms += AWAY_MS - 1;
	assert_false(rf_run_log_is_away(&run));
	now_ms += LOOK_MS;
	assert_true(rf_run_log_is_away(&run));
	assert_false(rf_run_log_is_away(&run));
	assert_int_equal(rf_run_rotate(&run, RF_ROTATE_MOVED), 0);
	assert_int_equal(received(&m), 2);
	now_ms += 2 * AWAY_MS; /* it is under way */
	assert_false(rf_run_log_is_away(&run));
	rf_run_rotated(&run);
	for (int i = 0; i < 3; i++) {
		now_ms += AWAY_MS;
		assert_false(rf_run_log_is_away(&run));
	}
	assert_int_equal(files_with("audit"), 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(moves_both),
		T(log_was_moved),
		T(both_were_moved),
		T(log_was_deleted),
		T(patches_alone_were_moved),
		T(no_place_for_patches),
		T(cannot_open),
		T(cannot_move),
		T(folder_of_another_user),
		T(moved_to_another_user),
		T(moved_to_another_folder),
		T(not_yet_in_it),
		T(kept_for_a_minute),
		T(monitor_reads_nothing),
		T(orders_are_not_read),
		T(monitor_has_closed_its_end),
		T(monitor_asks_too_often),
		T(never_answered),
		T(moved_and_nobody_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
