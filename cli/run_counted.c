// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"
#include "policy/chain.h"
#include "policy/foldlog.h"

/* With the log and the memory that every monitor had: a monitor writes its own, so there is
 * something left only where it was killed, or its disk is full. */
static int write_down(const struct rf_run *r, struct rf_fold *f)
{
	const struct rf_fold_time now = rf_fold_now();
	int fd = fcntl(r->audit_fd, F_DUPFD_CLOEXEC, 0), err;
	struct rf_audit_setup setup = { .vm = r->name, .instance = f->instance };
	struct rf_audit *a;

	if (fd < 0)
		return -errno;
	/* A monitor that died between two files. */
	if (r->audit_before_fd >= 0)
		setup.before_fd = fcntl(r->audit_before_fd, F_DUPFD_CLOEXEC, 3);
	if (setup.before_fd < 0)
		setup.before_fd = 0;
	/* What a monitor has spoiled does not keep its counts from the log. */
	err = rf_chain_take(r->chain_fd, &setup.chain, &setup.chain_anew);
	if (!err)
		err = rf_audit_open_setup(fd, &setup, &a);
	if (err) {
		close(fd);
		if (setup.before_fd)
			close(setup.before_fd);
		return err;
	}
	err = rf_fold_adopt(f, f->instance, rf_audit_written(a));
	if (!err)
		err = rf_fold_flush(f, a, &now, true);
	rf_audit_close(a);
	return err;
}

static void counted(const struct rf_run *r)
{
	struct rf_fold *f;
	int err;

	if (r->fold_fd < 0 || rf_fold_map(r->fold_fd, &f))
		return;
	if (f->magic && rf_fold_waits(f)) {
		signal(SIGXFSZ, SIG_IGN); /* an error to be told */
		err = write_down(r, f);
		if (err)
			rf_say("%s: %llu decisions were counted and could not be written to the "
			       "log: %s",
			       r->name, (unsigned long long)rf_fold_pending(f), strerror(-err));
	}
	rf_fold_unmap(f);
}

#define RESERVE (UINT64_C(1) << 20)
#define LOCK_TRIES 100 /* 10 ms each */

/* 0 or -errno. The lock is the open file's: this process's and its monitors', of whom one that
 * lives on when this process was killed still has it. */
static int lock_log(int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

int rf_run_share_log(int fd)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int err = lock_log(fd, F_RDLCK);

	/* Another VM's end gives back what it had reserved. */
	for (int i = 0; i < LOCK_TRIES && (err == -EAGAIN || err == -EACCES); i++) {
		nanosleep(&pause, NULL);
		err = lock_log(fd, F_RDLCK);
	}
	/* Where a file has no locks nobody gets the other one either. */
	return err == -EAGAIN || err == -EACCES ? -EBUSY : 0;
}

/*
 * So that the first denials at a full disk have their lines, whoever has filled it. Where the file
 * system has no such thing, or is full already, there is none.
 */
void rf_run_reserve(struct rf_run *r)
{
	struct rlimit files;
	struct stat st;
	uint64_t size;

	if (r->audit_fd < 0 || fstat(r->audit_fd, &st))
		return;
	size = (uint64_t)st.st_size;
	/* mm/shmem.c shmem_fallocate() asks for it, whatever the flags, and who is beyond is ended
	 * by SIGXFSZ. */
	if (!getrlimit(RLIMIT_FSIZE, &files) && files.rlim_cur < size + RESERVE)
		return;
	/* It is shorter again: somebody has rotated it, and what was reserved went with it. */
	if (r->reserved > size + RESERVE)
		r->reserved = 0;
	if (r->reserved < size + RESERVE / 2 &&
	    !fallocate(r->audit_fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)RESERVE))
		r->reserved = size + RESERVE;
}

/*
 * Only of a log that no other VM has: between the two calls another monitor may add lines, which
 * would be cut off. What stays reserved then is given back with the last VM, or used.
 */
void rf_run_unreserve(const struct rf_run *r)
{
	struct stat st;

	if (!r->reserved || lock_log(r->audit_fd, F_WRLCK))
		return;
	if (!fstat(r->audit_fd, &st) && ftruncate(r->audit_fd, st.st_size) < 0)
		rf_say("%s: what was reserved for the log stays so: %s", r->name, strerror(errno));
	lock_log(r->audit_fd, F_RDLCK);
}

/* What a monitor has counted that still hangs in its write is its own: two writers at one place of
 * the chain would leave neither's lines whole. */
static void tell_left(const struct rf_run *r)
{
	struct rf_fold *f;

	if (r->fold_fd < 0 || rf_fold_map(r->fold_fd, &f))
		return;
	if (f->magic && rf_fold_waits(f))
		rf_say("%s: %llu decisions were counted and are not in the log", r->name,
		       (unsigned long long)rf_fold_pending(f));
	rf_fold_unmap(f);
}

void rf_run_settle(const struct rf_run *r, bool hangs)
{
	if (hangs) {
		tell_left(r);
		return;
	}
	counted(r);
	rf_run_unreserve(r);
}
