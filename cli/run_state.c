// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/run.h"

#define NOT_STARTED "nothing was started; no guest runs unprotected"

void rf_run_init(struct rf_run *r)
{
	*r = (struct rf_run){ .start_timeout = 30,
			      .monitor_timeout = 60,
			      .kvm = "/dev/kvm",
			      .above = RF_FOLDER_NONE,
			      .folder = RF_FOLDER_NONE,
			      .held_fd = -1,
			      .lock_fd = -1,
			      .link = { -1, -1 },
			      .meet = { -1, -1 },
			      .control_fd = -1,
			      .reload_fd = -1,
			      .audit_fd = -1,
			      .audit_before_fd = -1,
			      .next_audit_fd = -1,
			      .next_patches_fd = -1,
			      .logs = { -1, -1 },
			      .chain_fd = -1,
			      .patches_fd = -1,
			      .fold_fd = -1,
			      .policy_fd = -1,
			      .policy_key_fd = -1,
			      .expect_fd = -1,
			      .key_fd = -1,
			      .control = RF_RUN_CONTROL_NONE,
			      .pair = { -1, -1 },
			      .orders = { -1, -1 } };
}

void rf_run_deinit(struct rf_run *r)
{
	const int fds[] = { r->held_fd,		r->control_fd,	  r->audit_fd,
			    r->chain_fd,	r->patches_fd,	  r->fold_fd,
			    r->policy_fd,	r->expect_fd,	  r->key_fd,
			    r->lock_fd,		r->reload_fd,	  r->policy_key_fd,
			    r->audit_before_fd, r->next_audit_fd, r->next_patches_fd,
			    r->link[1],		r->orders[1],	  r->logs[0] };
	/* To which a VMM, a monitor or a sweeper may have sent. */
	const int socks[] = { r->link[0], r->meet[0],	r->meet[1], r->pair[0],
			      r->pair[1], r->orders[0], r->logs[1] };

	/* Before the lock goes; the log stays. */
	rf_run_folder_close(r);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (size_t i = 0; i < sizeof(socks) / sizeof(socks[0]); i++)
		if (socks[i] >= 0)
			rf_let_go(socks[i]);
	if (r->control.service >= 0)
		close(r->control.service);
	rf_crwatch_close(&r->control.watch);
	rf_crwatch_page_destroy(&r->control.page);
	rf_run_init(r);
}

/* One that is so long that a kernel which comes up could not be recorded would end the VM. */
static int check_length(const struct rf_run *r)
{
	struct stat st;

	if (!r->log_quota || r->log_may_lack || fstat(r->audit_fd, &st) ||
	    (uint64_t)st.st_size < r->log_quota)
		return RF_EXIT_OK;
	return rf_fail(RF_EXIT_REFUSED, "decisions could not be recorded, so nothing was started",
		       "move the log away, or raise log_quota_mb in the policy",
		       "the audit log %s has %llu bytes; decisions may be added up to %llu",
		       r->audit_path, (unsigned long long)st.st_size,
		       (unsigned long long)r->log_quota);
}

static int folder_failed(const struct rf_run *r, int err, const struct rf_why *why)
{
	if (err == -EAGAIN)
		return rf_fail(
			RF_EXIT_REFUSED, NOT_STARTED,
			"choose another --name, or end the one that runs (see `ringfence list`)",
			"a VM named %s runs already", r->name);
	if (err == -EINVAL && !why->todo)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED, "give an absolute path",
			       "state folder %s is not an absolute path", r->state);
	if (err == -ENAMETOOLONG)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "choose a shorter --state: a socket's path has at most 107 bytes",
			       "the path of the state folder is too long");
	return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
		       why->todo ?: "make it writable for this user, or choose another --state",
		       "cannot set up state folder %s: %s", r->state_dir,
		       why->todo ? why->what : strerror(-err));
}

static int logs_failed(const struct rf_run *r, int err, const struct rf_why *why)
{
	static const char means[] = "decisions could not be recorded, so nothing was started";

	if (why->todo)
		return rf_fail(RF_EXIT_REFUSED, means,
			       err == -ELOOP ? "give the log itself, not a symbolic link to it"
					     : why->todo,
			       "cannot open the audit log: %s", why->what);
	return rf_fail(RF_EXIT_REFUSED, means,
		       "make it writable for this user, or choose another --audit",
		       "cannot open the audit log %s: %s", r->audit ? r->audit : r->audit_path,
		       strerror(-err));
}

int rf_run_prepare(struct rf_run *r)
{
	struct rf_why why = { .todo = NULL };
	int err = rf_run_folder_open(r, &why);

	if (err)
		return folder_failed(r, err, &why);
	err = rf_run_open_logs(r, &why);
	if (err)
		return logs_failed(r, err, &why);
	rf_run_reserve(r);
	return check_length(r);
}
