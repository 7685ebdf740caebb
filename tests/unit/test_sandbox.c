// SPDX-License-Identifier: LGPL-2.1-or-later
/* monitor/sandbox.c: each forbidden system call, tried in a child that is confined. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/sandbox.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/must.h"

#define UID 1879048200
#define CONTROL 9 /* no descriptor of this process */

enum stage { NONE, START, ATTACHED, SWEEPS };

static char byte;
static struct iovec bytes = { &byte, 1 };

/* One system call, with nothing around it that could make others: what it said, -errno. */
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define P(x) ((long)(uintptr_t)(x))

static const struct row {
	const char *what;
	long nr, a, b, c, d, e, f;
	bool start, attached; /* may it be made there? */
} rows[] = {
	{ "read", SYS_read, -1, 0, 0, 0, 0, 0, true, true },
	{ "pread64", SYS_pread64, -1, 0, 0, 0, 0, 0, true, true },
	{ "poll", SYS_poll, 0, 0, 0, 0, 0, 0, true, true },
	{ "heap", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
	  true, true },
	{ "shared map", SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, -1, 0, true, false },
	{ "code", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
	  false, false },
	{ "heap to code", SYS_mprotect, 0, 4096, PROT_EXEC, 0, 0, 0, false, false },
	{ "shutdown", SYS_shutdown, -1, 0, 0, 0, 0, 0, true, true },
	{ "accept a client", SYS_accept4, CONTROL, 0, 0, 0, 0, 0, true, true },
	{ "accept a VMM", SYS_accept4, CONTROL + 1, 0, 0, 0, 0, 0, true, false },
	{ "memfd_create", SYS_memfd_create, P("x"), 0, 0, 0, 0, 0, true, false },
	{ "fcntl", SYS_fcntl, -1, F_GETFL, 0, 0, 0, 0, true, false },
	{ "pidfd_open", SYS_pidfd_open, 0, 0, 0, 0, 0, 0, true, false },
	{ "getsockopt", SYS_getsockopt, -1, 0, 0, 0, 0, 0, true, false },
	{ "ftruncate", SYS_ftruncate, -1, 0, 0, 0, 0, 0, true, false },
	{ "another filter", SYS_seccomp, 99, 0, 0, 0, 0, 0, true, false },
	{ "which file system", SYS_statx, -1, P(""), AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, 0, 0,
	  true, false },
	{ "statx", SYS_statx, -1, P("/nowhere/x"), 0, 0, 0, 0, false, false },
	{ "open", SYS_open, P("/dev/null"), O_RDONLY, 0, 0, 0, 0, false, false },
	{ "openat", SYS_openat, AT_FDCWD, P("/dev/null"), O_RDONLY, 0, 0, 0, false, false },
	{ "openat2", SYS_openat2, AT_FDCWD, P("/dev/null"), 0, 0, 0, 0, false, false },
	{ "creat", SYS_creat, P("/nowhere/x"), 0, 0, 0, 0, 0, false, false },
	{ "unlink", SYS_unlink, P("/nowhere/x"), 0, 0, 0, 0, 0, false, false },
	{ "rename", SYS_rename, P("/nowhere/x"), P("/nowhere/y"), 0, 0, 0, 0, false, false },
	{ "execve", SYS_execve, P("/nowhere/x"), 0, 0, 0, 0, 0, false, false },
	{ "execveat", SYS_execveat, AT_FDCWD, P("/nowhere/x"), 0, 0, 0, 0, false, false },
	{ "fork", SYS_fork, 0, 0, 0, 0, 0, 0, false, false },
	{ "vfork", SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0, 0, false, false },
	{ "clone", SYS_clone, SIGCHLD, 0, 0, 0, 0, 0, false, false },
	{ "clone3", SYS_clone3, 0, 0, 0, 0, 0, 0, false, false },
	{ "socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0, false, false },
	{ "socketpair", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 0, 0, 0, false, false },
	{ "connect", SYS_connect, -1, 0, 0, 0, 0, 0, false, false },
	{ "bind", SYS_bind, -1, 0, 0, 0, 0, 0, false, false },
	{ "kill", SYS_kill, 0x7fffffff, 0, 0, 0, 0, 0, false, false },
	{ "tgkill", SYS_tgkill, 0x7fffffff, 0x7fffffff, 0, 0, 0, 0, false, false },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, -1, 0, 0, 0, 0, 0, false, false },
	{ "pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0, 0, 0, 0, false, false },
	{ "ptrace", SYS_ptrace, PTRACE_ATTACH, 0x7fffffff, 0, 0, 0, 0, false, false },
	{ "process_vm_readv", SYS_process_vm_readv, 0x7fffffff, P(&bytes), 1, P(&bytes), 1, 0,
	  false, false },
	{ "process_vm_writev", SYS_process_vm_writev, 0x7fffffff, P(&bytes), 1, P(&bytes), 1, 0,
	  false, false },
	{ "pwrite64", SYS_pwrite64, -1, P(&byte), 1, 0, 0, 0, false, false },
	{ "dup2", SYS_dup2, -1, 5, 0, 0, 0, 0, false, false },
	{ "ioctl", SYS_ioctl, -1, 0, 0, 0, 0, 0, false, false },
	{ "setuid", SYS_setuid, 0, 0, 0, 0, 0, 0, false, false },
	{ "capset", SYS_capset, 0, 0, 0, 0, 0, 0, false, false },
	{ "dumpable again", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0, false, false },
	{ "prlimit64", SYS_prlimit64, 0, RLIMIT_NOFILE, 0, 0, 0, 0, false, false },
	{ "bpf", SYS_bpf, -1, 0, 0, 0, 0, 0, false, false },
	{ "unshare", SYS_unshare, 0, 0, 0, 0, 0, 0, false, false },
	{ "io_uring_setup", SYS_io_uring_setup, 0, 0, 0, 0, 0, 0, false, false },
	{ "mount", SYS_mount, 0, 0, 0, 0, 0, 0, false, false },
	/* As x32 numbers it: the same call by another way. */
	{ "openat by x32", 0x40000000 | SYS_openat, AT_FDCWD, P("/dev/null"), 0, 0, 0, 0, false,
	  false },
};

/* Did the child live through the call? */
static bool may(const struct row *r, enum stage stage)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (stage != NONE && rf_sandbox_start())
			_exit(1);
		if (stage == ATTACHED && rf_sandbox_attached(CONTROL, true))
			_exit(1);
		if (stage == SWEEPS && rf_sandbox_attached(-1, false))
			_exit(1);
		call(r->nr, r->a, r->b, r->c, r->d, r->e, r->f);
		/* Of the one that the call made, too. */
		call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return false;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void system_calls(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];

		print_message("%s\n", r->what);
		assert_true(may(r, NONE)); /* the call itself harms nobody */
		assert_int_equal(may(r, START), r->start);
		assert_int_equal(may(r, ATTACHED), r->attached);
	}
}

/* What the monitor may and its sweeper may not, once they see the VM; and nothing else differs. */
static void sweepers(void **state)
{
	static const char *const not_its[] = { "shutdown", "accept a client" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool may_it = rows[i].attached;

		for (size_t n = 0; n < sizeof(not_its) / sizeof(not_its[0]); n++)
			may_it &= strcmp(rows[i].what, not_its[n]) != 0;
		print_message("%s\n", rows[i].what);
		assert_int_equal(may(&rows[i], SWEEPS), may_it);
	}
}

/* The second filter cannot be had without the first, nor lift it. */
static void no_way_back(void **state)
{
	static const struct row shared = {
		"", SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, -1, 0, 0, 0
	};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (rf_sandbox_start() || rf_sandbox_attached(CONTROL, true))
			_exit(1);
		_exit(rf_sandbox_start() ? 2 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	assert_false(may(&shared, ATTACHED));
}

static void descriptors(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		const int keep[] = { 40, -1, 7, 41, 3, 7 };

		for (int fd = 3; fd < 50; fd++)
			if (dup2(STDOUT_FILENO, fd) < 0)
				_exit(1);
		if (dup2(STDOUT_FILENO, 900) < 0 || rf_sandbox_keep(keep, 6))
			_exit(2);
		for (int fd = 0; fd < 1000; fd++)
			if ((fcntl(fd, F_GETFD) >= 0) !=
			    (fd < 4 || fd == 7 || fd == 40 || fd == 41))
				_exit(3);
		_exit(rf_sandbox_keep(NULL, 0) || fcntl(3, F_GETFD) >= 0 ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- rights
 * ---------------------------------------------------------------------------------------- */

/* The value of a line of /proc/self/status, which ends with it. */
static const char *line_of(const char *text, const char *name)
{
	static char value[128];
	const char *at = strstr(text, name);

	value[0] = '\0';
	if (at)
		sscanf(at + strlen(name), " %127[^\n]", value);
	return value;
}

static void look(bool other)
{
	static const int zero[] = { RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_MEMLOCK };
	char text[8192];
	struct rlimit r;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	MUST(n > 0);
	text[n] = '\0';
	MUST(!strcmp(line_of(text, "\nCapInh:"), "0000000000000000"));
	MUST(!strcmp(line_of(text, "\nCapPrm:"), "0000000000000000"));
	MUST(!strcmp(line_of(text, "\nCapEff:"), "0000000000000000"));
	MUST(!strcmp(line_of(text, "\nCapAmb:"), "0000000000000000"));
	MUST(!strcmp(line_of(text, "\nNoNewPrivs:"), "1"));
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		MUST(!getrlimit(zero[i], &r) && !r.rlim_cur && !r.rlim_max);
	MUST(!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_max <= 64);
	MUST(!getrlimit(RLIMIT_AS, &r) && r.rlim_max <= (rlim_t)2 << 30);
	r.rlim_max *= 2;
	MUST(setrlimit(RLIMIT_AS, &r) < 0);
	if (!other)
		return;
	MUST(!strcmp(line_of(text, "\nCapBnd:"), "0000000000000000"));
	MUST(!strcmp(line_of(text, "\nUid:"), "1879048200\t1879048200\t1879048200\t1879048200"));
	MUST(!strcmp(line_of(text, "\nGid:"), "1879048200\t1879048200\t1879048200\t1879048200"));
	MUST(getgroups(0, NULL) == 0);
	MUST(setuid(0) < 0 && setgid(0) < 0 && setgroups(0, NULL) < 0);
	MUST(fork() < 0);
	MUST(open("/proc/1/mem", O_RDONLY) < 0);
}

static void rights(bool other)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		MUST(!rf_sandbox_drop(other ? UID : -1, other ? UID : -1));
		look(other);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void as_it_is(void **state)
{
	rights(false);
}

static void another_user(void **state)
{
	NEEDS_ROOT();
	rights(true);
}

/* The control: another process of the same user may read a monitor's memory, and not once it has
 * dropped its rights. */
static bool can_read(bool dropped)
{
	int ready[2], end[2], status, can;
	pid_t reader, pid;
	char path[64];

	assert_int_equal(pipe(ready) | pipe(end), 0);
	pid = fork();
	if (!pid) {
		if (setresgid(UID, UID, UID) || setresuid(UID, UID, UID))
			_exit(1);
		if (dropped && rf_sandbox_drop(-1, -1))
			_exit(1);
		/* setresuid() has taken it. */
		if (!dropped && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
			_exit(1);
		close(end[1]);
		_exit(write(ready[1], "r", 1) != 1 || read(end[0], path, 1) != 0);
	}
	assert_int_equal(read(ready[0], path, 1), 1);
	reader = fork();
	if (!reader) {
		if (setresgid(UID, UID, UID) || setresuid(UID, UID, UID))
			_exit(2);
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
		_exit(open(path, O_RDONLY) < 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(reader, &can, 0), reader);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(end[0]);
	close(ready[0]);
	close(ready[1]);
	assert_true(WIFEXITED(can) && WEXITSTATUS(can) < 2);
	return WEXITSTATUS(can) == 1;
}

static void nobody_of_the_same_user_looks_in(void **state)
{
	NEEDS_ROOT();
	assert_true(can_read(false));
	assert_false(can_read(true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_calls),
		cmocka_unit_test(sweepers),
		cmocka_unit_test(no_way_back),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(as_it_is),
		cmocka_unit_test(another_user),
		cmocka_unit_test(nobody_of_the_same_user_looks_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
