// SPDX-License-Identifier: LGPL-2.1-or-later
/* libringfence.so before libc on arm64: a VM that was to be protected is not started, and says
 * why. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What a VMM sees of it. */
struct seen {
	int fd, err;   /* of KVM_CREATE_VM */
	int again_err; /* and of another try */
	int own_err;   /* of the kernel's own answer: there is no KVM */
	int code_err;  /* of asking for executable memory, as an emulator does */
};

static void start_vm(bool asked, struct seen *out)
{
	int kvm = open("/dev/null", O_RDWR);
	void *code;

	assert_true(kvm >= 0);
	if (asked)
		setenv("RINGFENCE_LINK", "none", 1);
	out->fd = ioctl(kvm, KVM_CREATE_VM, 0);
	out->err = errno;
	assert_int_equal(ioctl(kvm, KVM_CREATE_VM, 0), -1);
	out->again_err = errno;
	assert_int_equal(syscall(SYS_ioctl, kvm, KVM_CREATE_VM, 0), -1);
	out->own_err = errno;
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	out->code_err = code == MAP_FAILED ? errno : 0;
}

/* In a process of its own, since it is asked once; what that says on stderr is caught. */
static void start(bool asked, struct seen *out, char *said, size_t room)
{
	int result[2], text[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(result), 0);
	assert_int_equal(pipe(text), 0);
	pid = fork();
	if (!pid) {
		struct seen seen;

		dup2(text[1], STDERR_FILENO);
		start_vm(asked, &seen);
		_exit(write(result[1], &seen, sizeof(seen)) != sizeof(seen));
	}
	close(text[1]);
	close(result[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(result[0], out, sizeof(*out)), sizeof(*out));
	n = read(text[0], said, room - 1);
	said[n > 0 ? n : 0] = '\0';
	close(text[0]);
	close(result[0]);
}

static void refused(void **state)
{
	char said[1024];
	struct seen s;

	start(true, &s, said, sizeof(said));
	assert_int_equal(s.fd, -1);
	assert_int_equal(s.err, EPERM);
	assert_int_equal(s.again_err, EPERM);
	assert_int_equal(s.code_err, EACCES);
	assert_non_null(
		strstr(said, "this VM is not started: this release protects no VM on arm64\n"));
}

/* The control: without protection asked for, the same calls are the kernel's. */
static void plain(void **state)
{
	char said[1024];
	struct seen s;

	start(false, &s, said, sizeof(said));
	assert_int_equal(s.fd, -1);
	assert_int_equal(s.err, s.own_err);
	assert_int_equal(s.again_err, s.own_err);
	assert_int_not_equal(s.own_err, EPERM);
	assert_int_equal(s.code_err, 0);
	assert_null(strstr(said, "ringfence"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(refused), cmocka_unit_test(plain) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
