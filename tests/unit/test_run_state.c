// SPDX-License-Identifier: LGPL-2.1-or-later
/* A VM's folders and files: what is new is on disk before anything is written to it, and nothing
 * goes but what was made. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cli/paths.h"
#include "cli/run_state.c"
#include "tests/unit/leave_out.h"

#define FOLDERS 16

int fsync(int fd);
int mkdirat(int dir, const char *path, mode_t mode);

/* Folders in which something is new, and not flushed. */
static ino_t dirty[FOLDERS];
static size_t made, flushed, files_flushed;
/* Removed right before it is locked. */
static const char *gone;

void rf_say(const char *format, ...) {}
void rf_crwatch_close(struct rf_crwatch *w) {}
void rf_crwatch_page_destroy(struct rf_crwatch_page *p) {}

int rf_fail(int code, const char *consequence, const char *advice, const char *format, ...)
{
	return code;
}

void rf_safe(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

static ino_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	int err = (int)syscall(SYS_mkdirat, dir, path, mode);
	struct stat st;

	if (err)
		return err;
	assert_in_range(made, 0, FOLDERS - 1);
	assert_int_equal(fstat(dir, &st), 0);
	dirty[made++] = st.st_ino;
	return 0;
}

int fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	files_flushed += S_ISREG(st.st_mode);
	for (size_t i = 0; i < made; i++)
		if (dirty[i] == st.st_ino) {
			dirty[i] = 0;
			flushed++;
		}
	return 0;
}

int fcntl(int fd, int command, ...)
{
	va_list args;
	void *with;

	va_start(args, command);
	with = va_arg(args, void *);
	va_end(args);
	if (command == F_OFD_SETLK && gone) {
		assert_int_equal(unlink(gone), 0);
		gone = NULL;
	}
	return (int)syscall(SYS_fcntl, fd, command, with);
}

static void each_new_name_is_flushed(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", log[64], command[96];
	char name[NAME_MAX + 1];
	struct rf_folder f;
	struct rf_why why;
	struct rf_run r;
	size_t logs;

	assert_non_null(mkdtemp(base));
	snprintf(log, sizeof(log), "%s/one/two/three/audit.jsonl", base);
	assert_int_equal(rf_folder_above(log, RF_WAY_MAKE, &why, &f, name), 0);
	rf_folder_close(&f);
	assert_int_equal(made, 3);
	for (size_t i = 0; i < made; i++)
		assert_int_equal(dirty[i], 0);
	/* Only what is new. */
	assert_int_equal(flushed, 3);
	assert_int_equal(rf_folder_above(log, RF_WAY_MAKE, &why, &f, name), 0);
	rf_folder_close(&f);
	assert_int_equal(made, 3);
	/* And the log's own, where it is the only thing that is. */
	rf_run_init(&r);
	r.name = "one";
	r.audit = log;
	logs = made;
	snprintf(log, sizeof(log), "%s/one/audit.jsonl", base);
	*strrchr(log, '/') = '\0';
	dirty[made++] = inode(log);
	log[strlen(log)] = '/';
	assert_int_equal(rf_run_open_logs(&r, &why), 0);
	assert_int_equal(dirty[logs], 0);
	rf_run_deinit(&r);
	snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

/* A VM's state folder, as `run` makes it. */
static struct rf_run state_in(const char *path)
{
	struct rf_run r;

	rf_run_init(&r);
	made = 0;
	r.name = "one";
	r.state = path;
	return r;
}

static bool is_there(const char *folder, const char *name)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return !lstat(path, &st);
}

static void goes_as_it_came(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", vm[64];
	struct rf_why why;
	struct rf_run r;

	assert_non_null(mkdtemp(base));
	snprintf(vm, sizeof(vm), "%s/vm", base);
	r = state_in(vm);
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	files_flushed = 0;
	assert_int_equal(rf_run_describe(&r, &why), 0);
	assert_int_equal(files_flushed, 1);
	assert_int_equal(rf_run_describe(&r, &why), 0); /* another policy, say */
	assert_int_equal(files_flushed, 2);
	assert_true(is_there(vm, RF_FILE_VM) && is_there(vm, RF_FILE_LOCK) &&
		    is_there(vm, RF_FILE_CONTROL) && is_there(vm, RF_FILE_RELOAD));
	rf_run_deinit(&r);
	assert_int_equal(rmdir(base), 0);
}

/* Whoever may enter the folder may change what is in it. */
static void nobody_elses_folder(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX";
	struct rf_run r = state_in(base);
	struct rf_why why;

	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0755), 0);
	assert_int_equal(rf_run_folder_open(&r, &why), -EPERM);
	rf_run_deinit(&r);
	assert_int_equal(chmod(base, 0700), 0);
	r = state_in(base);
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	rf_run_deinit(&r);
	r = state_in("relative");
	assert_int_equal(rf_run_folder_open(&r, &why), -EINVAL);
	rf_run_deinit(&r);
	assert_int_equal(rmdir(base), 0);
}

/* Another user's mode says nothing: it may be changed at any time. */
static void another_users_folder(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", vm[64];
	struct rf_why why;
	struct rf_run r;
	pid_t child;
	int status;

	NEEDS_ROOT();
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 01777), 0);
	snprintf(vm, sizeof(vm), "%s/vm", base);
	assert_int_equal(mkdir(vm, 0700), 0);
	/* Root's own is nobody's to lead elsewhere, but it is not this user's. */
	child = fork();
	if (!child) {
		if (setresuid(65534, 65534, 65534))
			_exit(2);
		r = state_in(vm);
		_exit(rf_run_folder_open(&r, &why) != -EPERM);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(rmdir(vm) | rmdir(base), 0);
}

/* Of two with one name the second hears that there is one. */
static void one_at_a_time(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", lock[64];
	struct rf_run r = state_in(base), second = state_in(base);
	struct rf_why why;

	assert_non_null(mkdtemp(base));
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	assert_int_equal(rf_run_folder_open(&second, &why), -EAGAIN);
	rf_run_deinit(&second);
	assert_true(is_there(base, RF_FILE_LOCK) && is_there(base, RF_FILE_CONTROL));
	rf_run_deinit(&r);
	/* One that ends just then takes the file with it: a lock on that is none. */
	snprintf(lock, sizeof(lock), "%s/%s", base, RF_FILE_LOCK);
	gone = lock;
	r = state_in(base);
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	assert_null(gone);
	assert_true(is_there(base, RF_FILE_LOCK));
	rf_run_deinit(&r);
	assert_int_equal(rmdir(base), 0);
}

static mode_t mode_of(const char *folder, const char *name)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Sockets and logs are their owner's, whatever the umask. */
static void for_its_owner(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", log[64], command[96];
	mode_t mask = umask(0);
	struct rf_run r = state_in(base);
	struct rf_why why;

	assert_non_null(mkdtemp(base));
	snprintf(log, sizeof(log), "%s/audit.jsonl", base);
	r.audit = log;
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	assert_int_equal(rf_run_open_logs(&r, &why), 0);
	assert_int_equal(rf_run_describe(&r, &why), 0);
	umask(mask);
	assert_int_equal(mode_of(base, RF_FILE_CONTROL), 0600);
	assert_int_equal(mode_of(base, RF_FILE_RELOAD), 0600);
	assert_int_equal(mode_of(base, RF_FILE_LOCK), 0600);
	assert_int_equal(mode_of(base, RF_FILE_VM), 0600);
	assert_int_equal(mode_of(base, "audit.jsonl"), 0600);
	rf_run_deinit(&r);
	snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

/* What was left by a machine that went down is no hindrance; what is no socket is left. */
static void left_behind(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", command[96];
	struct rf_why why;
	struct rf_run r = state_in(base);

	assert_non_null(mkdtemp(base));
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	close(r.lock_fd); /* as it ends */
	close(r.control_fd);
	close(r.reload_fd);
	r = state_in(base);
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	rf_run_deinit(&r);
	assert_false(is_there(base, RF_FILE_LOCK));
	snprintf(command, sizeof(command), "echo mine >%s/%s", base, RF_FILE_CONTROL);
	assert_int_equal(system(command), 0);
	r = state_in(base);
	assert_int_equal(rf_run_folder_open(&r, &why), -EEXIST);
	rf_run_deinit(&r);
	assert_true(is_there(base, RF_FILE_CONTROL));
	assert_false(is_there(base, RF_FILE_LOCK));
	snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

/* The folder was swapped for a link to another VM's while this one ran: that one's files stay. */
static void swapped_for_a_link(void **state)
{
	char base[] = "/tmp/rf-state-XXXXXX", vm[64], aside[64], other[64], command[96];
	struct rf_run r, o;
	struct rf_why why;

	assert_non_null(mkdtemp(base));
	snprintf(vm, sizeof(vm), "%s/vm", base);
	snprintf(aside, sizeof(aside), "%s/aside", base);
	snprintf(other, sizeof(other), "%s/other", base);
	o = state_in(other);
	assert_int_equal(rf_run_folder_open(&o, &why), 0);
	r = state_in(vm);
	assert_int_equal(rf_run_folder_open(&r, &why), 0);
	assert_int_equal(rename(vm, aside), 0);
	assert_int_equal(symlink("other", vm), 0);
	assert_int_equal(rf_run_describe(&r, &why), 0);
	assert_true(is_there(aside, RF_FILE_VM));
	assert_false(is_there(other, RF_FILE_VM));
	rf_run_deinit(&r);
	assert_true(is_there(other, RF_FILE_LOCK) && is_there(other, RF_FILE_CONTROL) &&
		    is_there(other, RF_FILE_RELOAD));
	assert_false(is_there(aside, RF_FILE_LOCK) || is_there(aside, RF_FILE_VM));
	/* Its own go. */
	rf_run_deinit(&o);
	assert_false(is_there(base, "other"));
	snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_new_name_is_flushed),
		cmocka_unit_test(goes_as_it_came),
		cmocka_unit_test(nobody_elses_folder),
		cmocka_unit_test(another_users_folder),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(for_its_owner),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(swapped_for_a_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
