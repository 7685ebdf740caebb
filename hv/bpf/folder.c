// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where the watch is pinned, and the lock on it.
 *
 * A BPF file system that was mounted without options is everybody's to make files in, as /tmp is
 * (kernel/bpf/inode.c bpf_fill_super(): mode 1777; systemd mounts it with mode=0700). So what has
 * our name may be anybody's, and flock(2) wants no more than a descriptor of a folder: a lock is
 * asked for only where nobody but root can have one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/magic.h>

#include "hv/bpf/impl.h"

#define NAME "ringfence"
#define FOLDER RF_CRWATCH_BPFFS "/" NAME
#define TRY_MS 20

int rf_crwatch_tell(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, RF_CRWATCH_WHY, format, args);
	va_end(args);
	return err;
}

/* What lies in it can be replaced by root alone: a file in a sticky folder by its owner and the
 * folder's (inode(7)). */
static int open_bpffs(char *why)
{
	int fd = open(RF_CRWATCH_BPFFS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return rf_crwatch_tell(why, err, "cannot open " RF_CRWATCH_BPFFS ": %s",
				       strerror(-err));
	}
	if (!st.st_uid && (!(st.st_mode & 022) || st.st_mode & S_ISVTX))
		return fd;
	close(fd);
	return rf_crwatch_tell(why, -EACCES,
			       "others than root can replace what is in " RF_CRWATCH_BPFFS
			       ": as root, chown root " RF_CRWATCH_BPFFS
			       "; chmod 0700 " RF_CRWATCH_BPFFS);
}

static int owned(int fd, char *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return rf_crwatch_tell(why, -errno, FOLDER ": %s", strerror(errno));
	if (st.st_uid || st.st_mode & 022)
		return rf_crwatch_tell(why, -EACCES,
				       FOLDER " is not root's alone (user %u, mode %04o): as root, "
					      "rm -r " FOLDER "; chmod 0700 " RF_CRWATCH_BPFFS,
				       st.st_uid, st.st_mode & 07777);
	/* Who could read it before may hold the lock still; nobody new can. */
	if (st.st_mode & 077 && fchmod(fd, 0700))
		return rf_crwatch_tell(why, -errno, "cannot close " FOLDER " to others: %s",
				       strerror(errno));
	return 0;
}

static int lock(int fd, uint32_t wait_ms, char *why)
{
	const struct timespec pause = { .tv_nsec = TRY_MS * 1000000 };

	for (uint32_t waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += TRY_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return rf_crwatch_tell(why, -errno, "cannot lock " FOLDER ": %s",
					       strerror(errno));
		if (waited >= wait_ms)
			return rf_crwatch_tell(why, -EAGAIN,
					       FOLDER " is locked by another process: `lslocks` "
						      "says which; it may hang");
		nanosleep(&pause, NULL);
	}
	return 0;
}

int rf_crwatch_folder(bool make, uint32_t wait_ms, char *why)
{
	int bpffs = open_bpffs(why), fd, err;

	if (bpffs < 0)
		return bpffs;
	if (make && mkdirat(bpffs, NAME, 0700) && errno != EEXIST) {
		err = rf_crwatch_tell(why, -errno, "cannot make " FOLDER ": %s", strerror(errno));
		close(bpffs);
		return err;
	}
	fd = openat(bpffs, NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	err = fd < 0 ? rf_crwatch_tell(why, -errno, "cannot open " FOLDER ": %s", strerror(errno))
		     : owned(fd, why);
	close(bpffs);
	if (!err)
		err = lock(fd, wait_ms, why);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}
