// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
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
	err = rf_chain_map(r->chain_fd, &setup.chain);
	if (!err)
		err = rf_audit_open_setup(fd, &setup, &a);
	if (err) {
		close(fd);
		return err;
	}
	err = rf_fold_adopt(f, f->instance, rf_audit_written(a));
	if (!err)
		err = rf_fold_flush(f, a, &now, true);
	rf_audit_close(a);
	return err;
}

void rf_run_counted(const struct rf_run *r)
{
	struct rf_fold *f;
	int err;

	if (r->fold_fd < 0 || rf_fold_map(r->fold_fd, &f))
		return;
	if (f->magic && (rf_fold_pending(f) || f->gap.error)) {
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

/*
 * So that the first denials at a full disk have their lines, whoever has filled it. Where the file
 * system has no such thing, or is full already, there is none.
 */
void rf_run_reserve(struct rf_run *r)
{
	struct stat st;
	uint64_t size;

	if (r->audit_fd < 0 || fstat(r->audit_fd, &st))
		return;
	size = (uint64_t)st.st_size;
	/* It is shorter again: somebody has rotated it, and what was reserved went with it. */
	if (r->reserved > size + RESERVE)
		r->reserved = 0;
	if (r->reserved < size + RESERVE / 2 &&
	    !fallocate(r->audit_fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)RESERVE))
		r->reserved = size + RESERVE;
}

void rf_run_unreserve(const struct rf_run *r)
{
	struct stat st;

	if (r->reserved && !fstat(r->audit_fd, &st) && ftruncate(r->audit_fd, st.st_size) < 0)
		return;
}
