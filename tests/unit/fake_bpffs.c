// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_bpffs.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

static bool bpf_is_allowed(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rf_test", 4, 4, 1, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool fake_bpffs(void)
{
	static bool apart;

	if (geteuid() || !bpf_is_allowed())
		return false;
	if (!apart && (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		return false;
	apart = true;
	/* As `mount -t bpf bpf /sys/fs/bpf` makes it. */
	return !mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
}

void fake_bpffs_end(void)
{
	umount2("/sys/fs/bpf", MNT_DETACH);
}

pid_t fake_bpffs_user(int (*act)(void))
{
	int ends[2], err = 0;
	pid_t pid;

	if (pipe(ends))
		return -errno;
	pid = fork();
	if (!pid) {
		err = setgroups(0, NULL) ||
				      setresgid(FAKE_BPFFS_USER, FAKE_BPFFS_USER,
						FAKE_BPFFS_USER) ||
				      setresuid(FAKE_BPFFS_USER, FAKE_BPFFS_USER, FAKE_BPFFS_USER)
			      ? -errno
			      : act();
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it */
		if (write(ends[1], &err, sizeof(err)) < 0 || err)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0 || read(ends[0], &err, sizeof(err)) != (ssize_t)sizeof(err))
		err = -ECHILD;
	close(ends[0]);
	if (!err)
		return pid;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

void fake_bpffs_user_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
