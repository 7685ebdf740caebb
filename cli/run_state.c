// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "cli/run.h"
#include "policy/chain.h"
#include "policy/foldlog.h"

#define NOT_STARTED "nothing was started; no guest runs unprotected"

void rf_run_init(struct rf_run *r)
{
	*r = (struct rf_run){ .start_timeout = 30,
			      .monitor_timeout = 60,
			      .kvm = "/dev/kvm",
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
			      .vms_fd = -1,
			      .page_fd = -1,
			      .pair = { -1, -1 },
			      .orders = { -1, -1 } };
}

void rf_run_deinit(struct rf_run *r)
{
	static const char *const files[] = { RF_FILE_CONTROL, RF_FILE_RELOAD, RF_FILE_VM,
					     RF_FILE_LOCK };
	const int fds[] = { r->link[0],	   r->link[1],	       r->meet[0],	 r->meet[1],
			    r->control_fd, r->audit_fd,	       r->chain_fd,	 r->patches_fd,
			    r->fold_fd,	   r->policy_fd,       r->expect_fd,	 r->key_fd,
			    r->lock_fd,	   r->vms_fd,	       r->page_fd,	 r->pair[0],
			    r->pair[1],	   r->reload_fd,       r->policy_key_fd, r->orders[0],
			    r->orders[1],  r->audit_before_fd, r->next_audit_fd, r->next_patches_fd,
			    r->logs[0],	   r->logs[1] };
	char path[PATH_MAX];

	/* The lock says that the files are ours; it goes last, and the log stays. */
	if (r->lock_fd >= 0) {
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			if (!rf_path_join(r->state_dir, files[i], path))
				unlink(path);
		if (r->made_state_dir)
			rmdir(r->state_dir);
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	rf_run_init(r);
}

/* The folder and its parent, 0700. What is there already must be ours and closed to others. */
static int make_dir(const char *path, bool *made)
{
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		*made = true;
		return 0;
	}
	if (errno != EEXIST)
		return -errno;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	return 0;
}

/* Everything above the last part, as far as it is missing. */
static int make_parents(const char *path)
{
	char dir[PATH_MAX];
	bool made;

	if (strlen(path) >= sizeof(dir))
		return -ENAMETOOLONG;
	strcpy(dir, path);
	for (char *p = dir + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		made = !mkdir(dir, 0700);
		if (!made && errno != EEXIST)
			return -errno;
		if (made)
			rf_run_sync_folder(dir);
		*p = '/';
	}
	return 0;
}

/*
 * An open-file lock, because the monitor has it too: were `run` killed, nobody would take the name
 * before what that VM came to is on record. The VMM does not: one that is taken over could let go.
 */
static int take_lock(struct rf_run *r)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	struct stat st;
	int err, fd;

	err = rf_path_join(r->state_dir, RF_FILE_LOCK, path);
	if (err)
		return err;
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0 || fstat(fd, &st) < 0) {
			err = -errno;
			close(fd);
			return err == -EACCES ? -EAGAIN : err;
		}
		/* An ending `run` may have removed the file after we opened it. */
		if (st.st_nlink)
			break;
		close(fd);
	}
	r->lock_fd = fd;
	return 0;
}

static int listen_at(const char *path, int type, mode_t closed, int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, err = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(path); /* left by a machine that went down; the lock says it is nobody's */
	mask = umask(closed);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		err = -errno;
	umask(mask);
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

static int prepare_state(struct rf_run *r)
{
	char path[PATH_MAX];
	int err;

	if (r->state) {
		/* A relative path would mean another place once the VMM has changed its folder. */
		err = r->state[0] == '/' ? 0 : -EINVAL;
		if (!err && strlen(r->state) >= sizeof(r->state_dir))
			err = -ENAMETOOLONG;
		if (err)
			return err;
		strcpy(r->state_dir, r->state);
	} else {
		err = rf_state_dir(r->name, r->state_dir);
		if (err)
			return err;
	}
	err = make_parents(r->state_dir);
	if (!err)
		err = make_dir(r->state_dir, &r->made_state_dir);
	if (!err)
		err = take_lock(r);
	if (!err)
		err = rf_path_join(r->state_dir, RF_FILE_CONTROL, path);
	if (!err)
		err = listen_at(path, SOCK_STREAM, 0177, &r->control_fd);
	if (!err)
		err = rf_path_join(r->state_dir, RF_FILE_RELOAD, path);
	if (!err)
		err = listen_at(path, SOCK_SEQPACKET | SOCK_NONBLOCK, 0177, &r->reload_fd);
	if (!err)
		err = rf_run_link(r);
	return err;
}

/* Beside the audit log, where root's and everybody's are found by the same name. */
static int open_patches(struct rf_run *r)
{
	char path[PATH_MAX];
	int err = rf_patches_path(r->audit_path, path);

	if (err)
		return err;
	r->patches_fd = rf_run_open_log(path);
	return r->patches_fd < 0 ? r->patches_fd : 0;
}

static int prepare_audit(struct rf_run *r)
{
	char real[PATH_MAX];
	int err;

	if (r->audit)
		err = strlen(r->audit) < PATH_MAX ? 0 : -ENAMETOOLONG;
	else if (geteuid() == 0)
		err = rf_audit_default(r->name, r->audit_path);
	else
		err = rf_path_join(r->state_dir, RF_FILE_AUDIT, r->audit_path);
	if (err)
		return err;
	if (r->audit)
		strcpy(r->audit_path, r->audit);
	else if ((err = make_parents(r->audit_path)))
		return err;
	r->audit_fd = rf_run_open_log(r->audit_path);
	if (r->audit_fd < 0)
		return r->audit_fd;
	err = rf_run_share_log(r->audit_fd);
	if (err)
		return err;
	r->chain_fd = rf_chain_create();
	if (r->chain_fd < 0)
		return r->chain_fd;
	err = open_patches(r);
	if (!err)
		err = rf_fold_create(&r->fold_fd);
	if (err)
		return err;
	rf_run_sync_folder(r->audit_path);
	/* For `audit tail NAME`, which runs elsewhere. */
	if (realpath(r->audit_path, real))
		strcpy(r->audit_path, real);
	return 0;
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

int rf_run_prepare(struct rf_run *r)
{
	int err = prepare_state(r);

	if (err == -EAGAIN)
		return rf_fail(
			RF_EXIT_REFUSED, NOT_STARTED,
			"choose another --name, or end the one that runs (see `ringfence list`)",
			"a VM named %s runs already", r->name);
	if (err == -EPERM)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "give it to this user with mode 0700, or choose another --state",
			       "state folder %s belongs to somebody else or is open to others",
			       r->state_dir);
	if (err == -ENOENT && !r->state && geteuid() != 0)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "set XDG_RUNTIME_DIR, or give --state DIR",
			       "there is no place for the VM's state");
	if (err == -EINVAL)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED, "give an absolute path",
			       "state folder %s is not an absolute path", r->state);
	if (err == -ENAMETOOLONG)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "choose a shorter --state: a socket's path has at most 107 bytes",
			       "the path of the state folder is too long");
	if (err)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "make it writable for this user, or choose another --state",
			       "cannot set up state folder %s: %s", r->state_dir, strerror(-err));
	err = prepare_audit(r);
	if (err)
		return rf_fail(RF_EXIT_REFUSED,
			       "decisions could not be recorded, so nothing was started",
			       err == -ELOOP ? "give the log itself, not a symbolic link to it"
					     : "make it writable for this user, or choose another "
					       "--audit",
			       "cannot open the audit log %s: %s",
			       r->audit ? r->audit : r->audit_path, strerror(-err));
	rf_run_reserve(r);
	return check_length(r);
}

int rf_run_describe(const struct rf_run *r)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int err = rf_path_join(r->state_dir, RF_FILE_VM, path);
	json_t *o;

	if (!err)
		err = rf_path_join(r->state_dir, RF_FILE_VM ".new", fresh);
	if (err)
		return err;
	o = json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:o}", "name", r->name, "run_pid",
		      (int)getpid(), "vmm_pid", (int)r->vmm, "program", r->program, "audit",
		      r->audit_path, "started", (json_int_t)r->started, "policy",
		      rf_policy_origin_json(&r->origin));
	if (!o)
		return -ENOMEM;
	err = json_dump_file(o, fresh, JSON_COMPACT | JSON_ENSURE_ASCII) || rename(fresh, path)
		      ? -EIO
		      : 0;
	json_decref(o);
	return err;
}
