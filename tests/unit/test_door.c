// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/doorkeeper.c: what each door refuses, tried in a child behind it, and without one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/door.h"
#include "hv/doorkeeper.h"
#include "tests/unit/leave_out.h"

#define WORD ((long)RF_DOOR_WORD)
#define HIGH (WORD & ~0xffffffffL) /* each half by itself is not the word */
#define LOW (WORD & 0xffffffffL)
#define RX (PROT_READ | PROT_EXEC)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define EXEC_PERSONALITY 0x0400000 /* READ_IMPLIES_EXEC */
#define KILLED -1000

enum stage { NONE, CLOSED, ASKING };

/* Each one fails without a door as well, with another error: no descriptor, no page, no segment. */
static const struct row {
	const char *what;
	long nr, a, b, c, d;
	int none;	     /* what it says without a door: -errno */
	bool closed, asking; /* is it refused there? */
} rows[] = {
	{ "a VM", SYS_ioctl, -1, KVM_CREATE_VM, 0, 0, -EBADF, true, false },
	{ "a VM, request sign-extended", SYS_ioctl, -1, KVM_CREATE_VM | ~0xffffffffL, 0, 0, -EBADF,
	  true, false },
	{ "a VM, upper half", SYS_ioctl, -1, KVM_CREATE_VM, 0, HIGH, -EBADF, true, false },
	{ "a VM, lower half", SYS_ioctl, -1, KVM_CREATE_VM, 0, LOW, -EBADF, true, false },
	{ "a VM, one bit off", SYS_ioctl, -1, KVM_CREATE_VM, 0, WORD ^ 1, -EBADF, true, false },
	{ "a VM, word as its type", SYS_ioctl, -1, KVM_CREATE_VM, WORD, 0, -EBADF, true, false },
	{ "a VM with the word", SYS_ioctl, -1, KVM_CREATE_VM, 0, WORD, -EBADF, false, false },
	{ "another ioctl", SYS_ioctl, -1, KVM_GET_API_VERSION, 0, 0, -EBADF, false, false },
	{ "run a vCPU", SYS_ioctl, -1, KVM_RUN, 0, 0, -EBADF, false, true },
	{ "run a vCPU with the word", SYS_ioctl, -1, KVM_RUN, 0, WORD, -EBADF, false, true },
	{ "to code", SYS_mprotect, 1, 1, RX, 0, -EINVAL, true, false },
	{ "to code, one bit off", SYS_mprotect, 1, 1, RX, WORD ^ (1L << 40), -EINVAL, true, false },
	{ "to code with the word", SYS_mprotect, 1, 1, RX, WORD, -EINVAL, false, false },
	{ "to data", SYS_mprotect, 1, 1, PROT_READ | PROT_WRITE, 0, -EINVAL, false, false },
	{ "to code by key", SYS_pkey_mprotect, 1, 1, RX, -1, -EINVAL, true, false },
	{ "anonymous code", SYS_mmap, 0, 0, RX, ANONYMOUS, -EINVAL, true, false },
	{ "shared anonymous code", SYS_mmap, 0, 0, RX, MAP_SHARED | MAP_ANONYMOUS, -EINVAL, true,
	  false },
	{ "shared code", SYS_mmap, 0, 0, RX, MAP_SHARED, -EBADF, true, false },
	{ "shared code, validated", SYS_mmap, 0, 0, RX, MAP_SHARED_VALIDATE, -EBADF, true, false },
	{ "code of a file", SYS_mmap, 0, 0, RX, MAP_PRIVATE, -EBADF, false, false },
	{ "anonymous data", SYS_mmap, 0, 0, PROT_READ | PROT_WRITE, ANONYMOUS, -EINVAL, false,
	  false },
	{ "code of System V", SYS_shmat, -1, 0, SHM_EXEC, 0, -EINVAL, true, false },
	{ "data of System V", SYS_shmat, -1, 0, 0, 0, -EINVAL, false, false },
};

/* In a child behind that door: what the kernel says, or that it was ended. */
static int behind(enum stage stage, long (*act)(const void *what), const void *what)
{
	int ends[2], status, said = KILLED;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int err = stage == NONE
				  ? 0
				  : rf_door_shut(stage == CLOSED ? RF_DOOR_CLOSED : RF_DOOR_ASKING);

		said = err ? 1000 - err : (int)act(what);
		_exit(write(ends[1], &said, sizeof(said)) != sizeof(said));
	}
	close(ends[1]);
	if (read(ends[0], &said, sizeof(said)) != sizeof(said))
		said = KILLED;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(said == KILLED, WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	return said;
}

static long one(const void *what)
{
	const struct row *r = what;
	/* The sixth argument of mmap() would be what is left in a register. */
	long n = syscall(r->nr, r->a, r->b, r->c, r->d, -1L, 0L);

	return n == -1 ? -errno : n;
}

static void refuses_what_it_is_for(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		const int want[] = { r->none, r->closed ? -EPERM : r->none,
				     r->asking ? -EPERM : r->none };

		for (int stage = NONE; stage <= ASKING; stage++) {
			int said = behind((enum stage)stage, one, r);

			if (said != want[stage])
				fail_msg("%s, stage %d: %d, not %d", r->what, stage, said,
					 want[stage]);
		}
	}
}

static long code_of_a_memfd(const void *shared)
{
	int fd = memfd_create("code", MFD_CLOEXEC);
	void *at;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	at = mmap(NULL, 4096, RX, shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	return at == MAP_FAILED ? -errno : 0;
}

static long code_with_the_word(const void *what)
{
	char *at = mmap(NULL, 4096, PROT_READ, ANONYMOUS, -1, 0);

	return syscall(SYS_mprotect, at, 4096, RX, what ? RF_DOOR_WORD : 0) ? -errno : 0;
}

static void memory_that_is_made(void **state)
{
	assert_int_equal(behind(NONE, code_of_a_memfd, "shared"), 0);
	assert_int_equal(behind(CLOSED, code_of_a_memfd, "shared"), -EPERM);
	/* As the dynamic linker maps a library; that a memfd passes for one docs/threat-model.md
	 * says. */
	assert_int_equal(behind(CLOSED, code_of_a_memfd, NULL), 0);
	assert_int_equal(behind(NONE, code_with_the_word, NULL), 0);
	assert_int_equal(behind(CLOSED, code_with_the_word, NULL), -EPERM);
	assert_int_equal(behind(CLOSED, code_with_the_word, "word"), 0);
}

static long readable_is_executable(const void *what)
{
	return syscall(SYS_personality, EXEC_PERSONALITY) < 0 ? -errno : 0;
}

static long plain_personality(const void *what)
{
	return syscall(SYS_personality, 0) < 0 ? -errno : 0;
}

static void personalities(void **state)
{
	assert_int_equal(behind(NONE, readable_is_executable, NULL), 0);
	assert_int_equal(behind(CLOSED, readable_is_executable, NULL), -EPERM);
	assert_int_equal(behind(CLOSED, plain_personality, NULL), 0);
	assert_int_equal(behind(ASKING, readable_is_executable, NULL), 0);
}

#ifdef __x86_64__
#define X32_IOCTL (0x40000000 + 514) /* arch/x86/entry/syscalls/syscall_64.tbl */
#define I386_IOCTL 54		     /* syscall_32.tbl */

static long as_x32(const void *what)
{
	return syscall(X32_IOCTL, -1, KVM_CREATE_VM, 0, WORD) < 0 ? -errno : 0;
}

static long as_i386(const void *what)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(I386_IOCTL), "b"(-1L), "c"(KVM_CREATE_VM), "d"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

/* No fence is there for them. What they say without a door depends on the kernel. */
static void other_architectures(void **state)
{
	assert_int_not_equal(behind(NONE, as_x32, NULL), KILLED);
	assert_int_equal(behind(CLOSED, as_x32, NULL), KILLED);
	assert_int_equal(behind(ASKING, as_x32, NULL), KILLED);
	assert_int_equal(behind(CLOSED, as_i386, NULL), KILLED);
	assert_int_equal(behind(ASKING, as_i386, NULL), KILLED);
}
#endif

static long is_set(const void *what)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static long unprivileged_is_set(const void *what)
{
	if (setresuid(65534, 65534, 65534))
		return 2;
	return rf_door_shut(RF_DOOR_CLOSED) ? 3 : prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

/* Root's VMMs may start set-user-id programs that work; others' need a filter without privilege. */
static void privilege_stays_with_root(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(behind(NONE, is_set, NULL), 0);
	assert_int_equal(behind(CLOSED, is_set, NULL), 0);
	assert_int_equal(behind(NONE, unprivileged_is_set, NULL), 1);
}

/* A filter around this process lets none be added, as where a kernel has none. */
static long tried_without_seccomp(const void *answer)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(*(const uint16_t *)answer), SCMP_SYS(seccomp),
			     0) ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(*(const uint16_t *)answer), SCMP_SYS(prctl), 1,
			     SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) ||
	    seccomp_load(ctx))
		return 1;
	seccomp_release(ctx);
	return rf_door_try();
}

static long tried_with_sigchld_ignored(const void *what)
{
	signal(SIGCHLD, SIG_IGN);
	return rf_door_try();
}

static void is_tried(void **state)
{
	const uint16_t refused = EPERM, unknown = ENOSYS;

	assert_int_equal(rf_door_try(), 0);
	assert_int_equal(behind(NONE, tried_with_sigchld_ignored, NULL), 0);
	/* Behind a door there can be another one: the kernel asks both. */
	assert_int_equal(behind(CLOSED, tried_with_sigchld_ignored, NULL), 0);
	assert_true(behind(NONE, tried_without_seccomp, &refused) < 0);
	assert_true(behind(NONE, tried_without_seccomp, &unknown) < 0);
	/* One that lets no vCPU run would not do for a guest. */
	assert_int_equal(behind(ASKING, tried_with_sigchld_ignored, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_it_is_for),
		cmocka_unit_test(memory_that_is_made),
		cmocka_unit_test(personalities),
#ifdef __x86_64__
		cmocka_unit_test(other_architectures),
#endif
		cmocka_unit_test(privilege_stays_with_root),
		cmocka_unit_test(is_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
