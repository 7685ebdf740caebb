// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What `run` does with the log at its end: writes down what was counted, gives back what it has
 * reserved, and takes nothing from the other VMs that write to the same file.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Between `run`'s look at how long the log is and its cut. */
static int at_cut(int fd, off_t size);
#define ftruncate(fd, size) at_cut(fd, size)
#include "cli/run_counted.c"
#include "tests/unit/log_open.h"
#undef ftruncate

static char path[] = "/tmp/rf-counted-XXXXXX", said[512];
static struct rf_run run;
static struct rf_fold *fold;
static struct rf_audit *other;
static unsigned int cuts;

void rf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

static int line(struct rf_audit *a)
{
	const struct rf_record r = { .kind = "seal", .outcome = "a line" };

	return rf_audit_write(a, &r);
}

static int at_cut(int fd, off_t size)
{
	cuts++;
	if (other)
		assert_int_equal(line(other), 0);
	return ftruncate(fd, size);
}

static int open_log(void)
{
	return open(path, O_RDWR | O_APPEND | O_CLOEXEC);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	close(fd);
	said[0] = '\0';
	cuts = 0;
	other = NULL;
	run = (struct rf_run){ .name = "one", .audit_fd = open_log(), .audit_before_fd = -1 };
	run.chain_fd = rf_chain_create();
	if (run.audit_fd < 0 || run.chain_fd < 0 || rf_fold_create(&run.fold_fd) ||
	    rf_fold_map(run.fold_fd, &fold))
		return -1;
	rf_fold_init(fold, 1);
	return rf_run_share_log(run.audit_fd);
}

static int teardown(void **state)
{
	rf_fold_unmap(fold);
	close(run.audit_fd);
	close(run.chain_fd);
	close(run.fold_fd);
	unlink(path);
	strcpy(path, "/tmp/rf-counted-XXXXXX");
	return 0;
}

static off_t size(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static long long blocks(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (long long)st.st_blocks;
}

static void count(unsigned int times)
{
	const struct rf_fold_time now = rf_fold_now();
	const struct rf_record r = { .kind = "write",
				     .rule = "rodata-is-never-written",
				     .verdict = RF_WORD_BLOCKED };

	while (times--)
		rf_fold_count(fold, &r, &now);
}

static void reserve(struct rf_run *r)
{
	rf_run_reserve(r);
	/* Not each file system can. */
	if (!r->reserved)
		r->reserved = RESERVE;
}

/* A log of tmpfs and a limit of files: nothing is reserved beyond it, and nobody is ended. */
static void not_beyond_a_limit(void **state)
{
	const struct rlimit limit = { 4096, 4096 };
	struct rf_run r = { .audit_fd = memfd_create("log", MFD_CLOEXEC) };
	int status;
	pid_t child;

	assert_true(r.audit_fd >= 0);
	assert_int_equal(write(r.audit_fd, "line\n", 5), 5);
	child = fork();
	if (!child) {
		if (setrlimit(RLIMIT_FSIZE, &limit))
			_exit(2);
		rf_run_reserve(&r);
		_exit(r.reserved != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	rf_run_reserve(&r);
	assert_true(r.reserved);
	close(r.audit_fd);
}

static void alone_it_gives_back(void **state)
{
	long long before = blocks();

	reserve(&run);
	rf_run_settle(&run, false);
	assert_int_equal(cuts, 1);
	assert_int_equal(blocks(), before);
	/* Nobody has it alone for longer than that. */
	assert_int_equal(rf_run_share_log(run.audit_fd), 0);
}

/* Whatever the other one writes, and whenever. */
static void shared_it_is_not_cut(void **state)
{
	struct rf_run two = { .name = "two", .audit_fd = open_log(), .audit_before_fd = -1 };
	off_t before;
	int fd;

	assert_int_equal(rf_run_share_log(two.audit_fd), 0);
	fd = fcntl(two.audit_fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(log_open_fd(fd, "two", 2, &other), 0);
	assert_int_equal(line(other), 0);
	reserve(&run);
	before = size();
	rf_run_settle(&run, false);
	assert_int_equal(cuts, 0);
	assert_int_equal(size(), before);
	/* Its `run` was killed, and its monitor goes on: the log is still its. */
	close(two.audit_fd);
	rf_run_settle(&run, false);
	assert_int_equal(cuts, 0);
	rf_audit_close(other);
	other = NULL;
	rf_run_settle(&run, false);
	assert_int_equal(cuts, 1);
	assert_int_equal(size(), before);
}

/* One that starts meanwhile waits for that moment, and not for ever. */
static void alone_is_not_for_long(void **state)
{
	struct rf_run two = { .name = "two", .audit_fd = open_log(), .audit_before_fd = -1 };
	int status;
	pid_t pid;

	assert_int_equal(lock_log(run.audit_fd, F_WRLCK), 0);
	assert_int_equal(rf_run_share_log(two.audit_fd), -EBUSY);
	pid = fork();
	if (!pid) {
		usleep(100000);
		_exit(lock_log(run.audit_fd, F_RDLCK) ? 1 : 0);
	}
	assert_int_equal(rf_run_share_log(two.audit_fd), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(two.audit_fd);
}

static void what_was_counted(void **state)
{
	char text[4096];
	ssize_t n;

	count(5);
	rf_run_settle(&run, false);
	n = pread(run.audit_fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "\"count\":5"));
	assert_int_equal(rf_fold_pending(fold), 0);
	assert_string_equal(said, "");
}

/* It may yet write, with the same numbers. */
/* By a monitor that was taken over: the counts are written all the same. */
static void with_a_spoiled_chain(void **state)
{
	struct rf_chain *chain;
	bool anew;

	count(5);
	assert_int_equal(rf_chain_take(run.chain_fd, &chain, &anew), 0);
	memset(chain, 0xff, sizeof(*chain));
	munmap(chain, sizeof(*chain));
	rf_run_settle(&run, false);
	assert_true(size() > 0);
	assert_int_equal(rf_fold_pending(fold), 0);
	assert_string_equal(said, "");
}

static void of_a_monitor_that_hangs(void **state)
{
	count(5);
	reserve(&run);
	rf_run_settle(&run, true);
	assert_int_equal(size(), 0);
	assert_int_equal(cuts, 0);
	assert_int_equal(rf_fold_pending(fold), 5);
	assert_non_null(strstr(said, "5 decisions were counted and are not in the log"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(not_beyond_a_limit),	    T(alone_it_gives_back), T(shared_it_is_not_cut),
		T(alone_is_not_for_long),   T(what_was_counted),    T(with_a_spoiled_chain),
		T(of_a_monitor_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
