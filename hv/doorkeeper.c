// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/doorkeeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/door.h"

/* ioctl(2)'s request is an unsigned int to the kernel (fs/ioctl.c): the upper half says nothing. */
#define REQUEST(n) SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (n))
#define NO_WORD SCMP_A3(SCMP_CMP_NE, RF_DOOR_WORD)
#define EXECUTABLE SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)

struct refusal {
	int call;
	unsigned int conditions; /* all of them */
	struct scmp_arg_cmp args[2];
};

static const struct refusal closed[] = {
	{ SCMP_SYS(ioctl), 2, { REQUEST(KVM_CREATE_VM), NO_WORD } },
	{ SCMP_SYS(mprotect), 2, { EXECUTABLE, NO_WORD } },
	{ SCMP_SYS(pkey_mprotect), 1, { EXECUTABLE } },
	{ SCMP_SYS(mmap),
	  2,
	  { EXECUTABLE, SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS) } },
	/* MAP_SHARED and MAP_SHARED_VALIDATE have this bit in common, MAP_PRIVATE lacks it. */
	{ SCMP_SYS(mmap), 2, { EXECUTABLE, SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, MAP_SHARED) } },
	{ SCMP_SYS(shmat), 1, { SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC) } },
	/* Readable would be executable. A mere question, personality(0xffffffff), fails as well. */
	{ SCMP_SYS(personality),
	  1,
	  { SCMP_A0(SCMP_CMP_MASKED_EQ, READ_IMPLIES_EXEC, READ_IMPLIES_EXEC) } },
};

static const struct refusal asking[] = {
	{ SCMP_SYS(ioctl), 1, { REQUEST(KVM_RUN) } },
};

static int build(scmp_filter_ctx ctx, const struct refusal *r, size_t n)
{
	int err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; !err && i < n; i++)
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), r[i].call, r[i].conditions,
					     r[i].args);
	/* Each KVM_RUN goes through the filter: ioctl(2) is looked for first. */
	if (!err)
		err = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), UINT8_MAX);
	/* What seccomp(2) says of SECCOMP_FILTER_FLAG_SPEC_ALLOW; a kernel may not know it. */
	if (!err)
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	/* The kernel's own errors, so that they can be told. */
	return err ? err : seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
}

static int load(scmp_filter_ctx ctx)
{
	int err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);

	if (!err)
		err = seccomp_load(ctx);
	if (err != -EACCES)
		return err;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
	return err ? err : seccomp_load(ctx);
}

int rf_door_shut(enum rf_door door)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = -ENOMEM;

	if (ctx && door == RF_DOOR_ASKING)
		err = build(ctx, asking, sizeof(asking) / sizeof(asking[0]));
	else if (ctx)
		err = build(ctx, closed, sizeof(closed) / sizeof(closed[0]));
	if (!err)
		err = load(ctx);
	seccomp_release(ctx);
	return err;
}

/* --- whether it holds ------------------------------------------------------- */

/* errno of a call that the kernel refuses as well, for another reason: no descriptor, no page. */
static int answer(long result)
{
	return result == -1 ? errno : 0;
}

static bool holds(void)
{
	return answer(syscall(SYS_ioctl, -1, KVM_CREATE_VM, 0, 0)) == EPERM &&
	       answer(syscall(SYS_ioctl, -1, KVM_CREATE_VM, 0, RF_DOOR_WORD)) == EBADF &&
	       answer(syscall(SYS_ioctl, -1, KVM_RUN, 0, 0)) == EBADF &&
	       answer(syscall(SYS_mprotect, 1, 1, PROT_EXEC, 0)) == EPERM &&
	       answer(syscall(SYS_mprotect, 1, 1, PROT_EXEC, RF_DOOR_WORD)) == EINVAL &&
	       answer(syscall(SYS_mmap, NULL, 1, PROT_EXEC, MAP_SHARED, -1, 0)) == EPERM &&
	       answer(syscall(SYS_mmap, NULL, 1, PROT_EXEC, MAP_PRIVATE, -1, 0)) == EBADF;
}

int rf_door_try(void)
{
	int ends[2], err = -EPROTO; /* of a child that was ended, too */
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		err = rf_door_shut(RF_DOOR_CLOSED);
		if (!err && !holds())
			err = -EPROTO;
		_exit(write(ends[1], &err, sizeof(err)) < 0);
	}
	if (pid < 0)
		err = -errno;
	close(ends[1]);
	/* Its status may be nobody's to ask for: SIGCHLD may be inherited as ignored. */
	while (pid > 0 && read(ends[0], &err, sizeof(err)) < 0 && errno == EINTR)
		;
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}
