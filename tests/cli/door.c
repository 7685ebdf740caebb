// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a program can do as a VMM: DOOR says what is tried, its arguments are passed over.
 *
 *   vm       KVM_CREATE_VM by the system call itself, so by no library's word
 *   libc     the same by ioctl(3), which the fence interposes
 *   run      KVM_RUN
 *   code     executable memory: anonymous, made of data, and of a memfd
 *   fds      descriptors from 3 on, and what they are
 *   nothing  only the code that it ends with
 *
 * It prints "done" or the error. The code is CODE, 0 by default. Where /dev/kvm cannot be had
 * /dev/null stands for it, and says ENOTTY. "without COMMAND...": where no filter can be had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int device(void)
{
	int fd = open("/dev/kvm", O_RDWR);

	return fd < 0 ? open("/dev/null", O_RDWR) : fd;
}

static void tell(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerrorname_np(errno) : "done");
}

static void code(void)
{
	int exec = PROT_READ | PROT_EXEC, fd = memfd_create("code", 0);
	void *at = mmap(NULL, 4096, exec, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tell("anonymous", at == MAP_FAILED);
	at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tell("data", mprotect(at, 4096, exec));
	tell("memfd", ftruncate(fd, 4096) || mmap(NULL, 4096, exec, MAP_SHARED, fd, 0) == MAP_FAILED);
}

static void descriptors(void)
{
	char path[300], what[300];
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = atoi(e->d_name);
		ssize_t n;

		if (fd < 3 || fd == dirfd(d))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, what, sizeof(what) - 1);
		printf("%d %.*s\n", fd, n < 0 ? 0 : (int)n, what);
	}
}

static int without(char **command)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
			     SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) ||
	    seccomp_load(ctx))
		return 111;
	execvp(command[0], command);
	return 112;
}

int main(int argc, char **argv)
{
	const char *what = getenv("DOOR"), *ends = getenv("CODE");

	if (argc > 2 && !strcmp(argv[1], "without"))
		return without(argv + 2);
	what = what ? what : "nothing";
	if (!strcmp(what, "vm"))
		tell("vm", syscall(SYS_ioctl, device(), KVM_CREATE_VM, 0, 0, 0, 0) < 0);
	else if (!strcmp(what, "libc"))
		tell("vm", ioctl(device(), KVM_CREATE_VM, 0) < 0);
	else if (!strcmp(what, "run"))
		tell("run", syscall(SYS_ioctl, device(), KVM_RUN, 0, 0, 0, 0) < 0);
	else if (!strcmp(what, "code"))
		code();
	else if (!strcmp(what, "fds"))
		descriptors();
	if (getenv("LD_PRELOAD") || getenv("RINGFENCE_VMM"))
		printf("with the fence\n");
	fflush(stdout);
	if (getenv("STAY"))
		sleep((unsigned int)atoi(getenv("STAY")));
	return ends ? atoi(ends) : 0;
}
