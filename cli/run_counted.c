// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"
#include "policy/foldlog.h"

/* With the log and the memory that every monitor had: a monitor writes its own, so there is
 * something left only where it was killed, or its disk is full. */
static int write_down(const struct rf_run *r, struct rf_fold *f)
{
	const struct rf_fold_time now = rf_fold_now();
	int fd = fcntl(r->audit_fd, F_DUPFD_CLOEXEC, 0), err;
	struct rf_audit *a;

	if (fd < 0)
		return -errno;
	err = rf_audit_open_fd(fd, r->name, f->instance, &a);
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
		err = write_down(r, f);
		if (err)
			rf_say("%s: %llu decisions were counted and could not be written to the "
			       "log: %s",
			       r->name, (unsigned long long)rf_fold_pending(f), strerror(-err));
	}
	rf_fold_unmap(f);
}
