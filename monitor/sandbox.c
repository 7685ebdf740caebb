// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor parses hostile memory. A parser that is taken over can read the one VM's memory, talk
 * to its fence and append to its log: it has no right that others lack, it opens nothing, starts
 * nothing, signals nobody, and a seal cannot be undone by any message of the protocol.
 *
 * Two filters, the second on top of the first: before the first byte that somebody else wrote is
 * read, and once the VMM's descriptors are there.
 */
#include "monitor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int rf_sandbox_keep(const int *fds, size_t n)
{
	unsigned int from = STDERR_FILENO + 1, to;

	do {
		to = UINT_MAX; /* the lowest one to keep */
		for (size_t i = 0; i < n; i++)
			if (fds[i] >= 0 && (unsigned int)fds[i] >= from &&
			    (unsigned int)fds[i] < to)
				to = (unsigned int)fds[i];
		if (to > from && close_range(from, to == UINT_MAX ? to : to - 1, 0))
			return -errno;
		from = to + 1;
	} while (to != UINT_MAX);
	return 0;
}

/* --- rights ---------------------------------------------------------------- */

/*
 * Descriptors: about ten, and the clients of the control socket. Address space: an attached monitor
 * of Debian's 6.12 has 56 MiB of it at most.
 */
static const struct {
	__rlimit_resource_t what;
	rlim_t most;
} limits[] = {
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_NOFILE, 64 },
	{ RLIMIT_AS, (rlim_t)2 << 30 },
};

static int limit(void)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r;

		if (getrlimit(limits[i].what, &r))
			return -errno;
		if (r.rlim_max > limits[i].most)
			r.rlim_max = limits[i].most;
		if (r.rlim_cur > r.rlim_max)
			r.rlim_cur = r.rlim_max;
		if (setrlimit(limits[i].what, &r))
			return -errno;
	}
	return 0;
}

/* What no exec could bring back; without CAP_SETPCAP no_new_privs has to do. */
static int bound(void)
{
	const unsigned long all = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EPERM)
			return -errno;
	return prctl(PR_SET_SECUREBITS, all, 0, 0, 0) && errno != EPERM ? -errno : 0;
}

static int no_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capset, &h, none) ? -errno : 0;
}

int rf_sandbox_drop(int64_t uid, int64_t gid)
{
	int err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : bound();

	if (!err && uid >= 0 &&
	    (setgroups(0, NULL) || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) ||
	     setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid)))
		err = -errno;
	if (!err)
		err = no_capabilities();
	if (!err)
		err = limit();
	/* Nobody of the same uid, an escaped VMM for one, gets to trace it: ptrace(2). */
	if (!err && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		err = -errno;
	return err;
}

/* --- system calls ---------------------------------------------------------- */

/* sysinfo: qsort() asks how much memory there is. */
static const int always[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(sysinfo),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* To take a VMM: its descriptors, who it is, the table for it, and the next filter. */
static const int to_attach[] = {
	SCMP_SYS(shutdown),	SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(fstatfs),	SCMP_SYS(fcntl),   SCMP_SYS(pidfd_open), SCMP_SYS(ftruncate),
	SCMP_SYS(memfd_create), SCMP_SYS(seccomp),
};

static int allow(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return err;
}

/* glibc's fstat() is newfstatat() of the empty name. No filter can see the name: another one's size
 * and times can be asked for, by the uid that the monitor has. */
static int allow_fstat(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
				SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
}

static int allow_mprotect(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(PROT_READ | PROT_WRITE), 0));
}

static int load(scmp_filter_ctx ctx, int err)
{
	if (!err)
		err = allow_fstat(ctx);
	if (!err)
		err = allow_mprotect(ctx);
	if (!err)
		err = allow(ctx, always, sizeof(always) / sizeof(always[0]));
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int rf_sandbox_start(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	if (!err)
		err = allow(ctx, to_attach, sizeof(to_attach) / sizeof(to_attach[0]));
	/* On which file system a descriptor is (hv/view.c), and where /proc is. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(statx), 1,
				       SCMP_A2(SCMP_CMP_EQ, AT_EMPTY_PATH | AT_STATX_DONT_SYNC));
	/* libseccomp sets it again. */
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_NO_NEW_PRIVS));
	/* The board and the patch table are shared files. */
	if (!err)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(PROT_READ | PROT_WRITE), 0));
	return load(ctx, err);
}

int rf_sandbox_attached(int control_fd, bool is_monitor)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	/* A sweeper ends no connection: its end of the pair is every sweeper's of this monitor. */
	if (!err && is_monitor)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(shutdown), 0);
	if (!err && control_fd >= 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)control_fd));
	/* Heap only. */
	if (!err)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
			SCMP_A2(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(PROT_READ | PROT_WRITE), 0),
			SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	return load(ctx, err);
}
