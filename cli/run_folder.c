// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state folder of a VM: found or made, locked, and what `run` makes in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/paths.h"
#include "cli/run.h"

static const char *const names[RF_RUN_FILES] = {
	[RF_RUN_CONTROL] = RF_FILE_CONTROL,
	[RF_RUN_RELOAD] = RF_FILE_RELOAD,
	[RF_RUN_VM] = RF_FILE_VM,
	[RF_RUN_LOCK] = RF_FILE_LOCK,
};

/* 0700, and this user's: who may enter it may change what is in it. */
static int is_closed(const struct rf_run *r, struct rf_why *why)
{
	struct stat st;

	if (fstat(r->folder.fd, &st))
		return rf_why_errno(why, -errno, r->folder.fd, ".");
	if (st.st_uid == geteuid() && !(st.st_mode & 077))
		return 0;
	return rf_why_of(why, -EPERM, r->folder.fd, &st,
			 "it belongs to somebody else or is open to others",
			 "give it to this user with mode 0700, or choose another --state");
}

/*
 * What has not changed for days may be removed from /tmp. systemd-tmpfiles passes over a folder
 * that somebody has locked, and what is in it (tmpfiles.d(5), "Age"). Not to be had: no harm.
 */
static void hold(struct rf_run *r)
{
	r->held_fd = openat(r->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->held_fd >= 0)
		flock(r->held_fd, LOCK_SH | LOCK_NB);
}

static int find_folder(struct rf_run *r, struct rf_why *why)
{
	int err = rf_folder_above(r->state_dir, RF_WAY_MAKE, why, &r->above, r->folder_name);

	if (!err)
		err = rf_folder_enter(&r->above, r->folder_name, RF_WAY_MAKE, why, &r->folder);
	return err ? err : is_closed(r, why);
}

/*
 * An open-file lock, because the monitor has it too: were `run` killed, nobody would take the name
 * before what that VM came to is on record. The VMM does not: one that is taken over could let go.
 */
static int take_lock(struct rf_run *r, struct rf_why *why)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	int err, fd;

	for (;;) {
		fd = openat(r->folder.fd, RF_FILE_LOCK,
			    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (fd < 0)
			return rf_why_errno(why, -errno, r->folder.fd, RF_FILE_LOCK);
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0 || fstat(fd, &st) < 0) {
			err = errno == EACCES ? -EAGAIN : -errno;
			close(fd);
			return rf_why_errno(why, err, r->folder.fd, RF_FILE_LOCK);
		}
		/* An ending `run` may have removed the file after we opened it. */
		if (st.st_nlink)
			break;
		close(fd);
	}
	r->lock_fd = fd;
	r->made[RF_RUN_LOCK] = (struct rf_made){ st.st_dev, st.st_ino };
	return 0;
}

/* Bound by the folder's descriptor: it is this folder, whatever has its path by now. */
static int bind_at(const struct rf_run *r, int fd, const char *name, mode_t closed)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int err = 0;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", r->folder.fd,
		     name) >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	mask = umask(closed);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		err = -errno;
	umask(mask);
	return err;
}

static int listen_at(struct rf_run *r, enum rf_run_file which, int type, mode_t closed,
		     struct rf_why *why, int *out)
{
	const struct sockaddr_un any;
	const char *name = names[which];
	/* Others find it by its path, which has to fit into an address, too. */
	bool fits = strlen(r->state_dir) + 1 + strlen(name) < sizeof(any.sun_path);
	int err = fits ? 0 : -ENAMETOOLONG;
	int fd = -1;

	/* Left by a machine that went down; the lock says that it is nobody's. */
	if (!err)
		err = rf_file_clear(r->folder.fd, name, S_IFSOCK, why);
	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		rf_refuse_descriptors(fd);
	err = fd < 0 ? -errno : bind_at(r, fd, name, closed);
	if (!err)
		err = rf_made_note(r->folder.fd, name, &r->made[which]);
	if (!err) {
		*out = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return rf_why_errno(why, err, r->folder.fd, name);
}

static int choose_path(struct rf_run *r)
{
	if (!r->state)
		return rf_state_dir(r->name, r->state_dir);
	/* A relative path would mean another place once the VMM has changed its folder. */
	if (r->state[0] != '/')
		return -EINVAL;
	if (strlen(r->state) >= sizeof(r->state_dir))
		return -ENAMETOOLONG;
	strcpy(r->state_dir, r->state);
	return 0;
}

int rf_run_folder_open(struct rf_run *r, struct rf_why *why)
{
	int err = choose_path(r);

	if (err)
		return err;
	err = find_folder(r, why);
	if (!err)
		hold(r);
	if (!err)
		err = take_lock(r, why);
	if (!err)
		err = listen_at(r, RF_RUN_CONTROL, SOCK_STREAM, 0177, why, &r->control_fd);
	if (!err)
		err = listen_at(r, RF_RUN_RELOAD, SOCK_SEQPACKET | SOCK_NONBLOCK, 0177, why,
				&r->reload_fd);
	if (!err)
		err = rf_run_link(r);
	return err;
}

void rf_run_folder_close(struct rf_run *r)
{
	struct rf_made folder;

	/* The lock says that the files are ours. */
	for (size_t i = 0; r->lock_fd >= 0 && i < RF_RUN_FILES; i++)
		rf_made_remove(r->folder.fd, names[i], &r->made[i], 0);
	if (r->folder.made && !rf_made_note(r->folder.fd, ".", &folder))
		rf_made_remove(r->above.fd, r->folder_name, &folder, AT_REMOVEDIR);
	rf_folder_close(&r->folder);
	rf_folder_close(&r->above);
}

int rf_run_describe(struct rf_run *r, struct rf_why *why)
{
	json_t *o = json_pack("{s:s, s:i, s:i, s:s, s:s, s:I, s:o}", "name", r->name, "run_pid",
			      (int)getpid(), "vmm_pid", (int)r->vmm, "program", r->program, "audit",
			      r->audit_path, "started", (json_int_t)r->started, "policy",
			      rf_policy_origin_json(&r->origin));
	char *text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	int err = text ? rf_file_replace(r->folder.fd, RF_FILE_VM, text, strlen(text), 0600, why,
					 &r->made[RF_RUN_VM])
		       : rf_why_errno(why, -ENOMEM, r->folder.fd, RF_FILE_VM);

	free(text);
	json_decref(o);
	return err;
}
