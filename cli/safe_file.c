// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/safe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int rf_made_note(int folder, const char *name, struct rf_made *out)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	*out = (struct rf_made){ st.st_dev, st.st_ino };
	return 0;
}

bool rf_made_is(int folder, const char *name, const struct rf_made *made)
{
	struct rf_made now = { 0 };

	return made->ino && !rf_made_note(folder, name, &now) && now.dev == made->dev &&
	       now.ino == made->ino;
}

/* Between the two calls nobody but root and the caller can change the folder, or, in a sticky one,
 * this name. */
int rf_made_remove(int folder, const char *name, const struct rf_made *made, int flags)
{
	if (!rf_made_is(folder, name, made))
		return -ESTALE;
	return unlinkat(folder, name, flags) ? -errno : 0;
}

void rf_folder_sync(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static int judge(int fd, int folder, const char *name, struct rf_why *why)
{
	const char *wrong;
	struct stat st;

	if (fstat(fd, &st))
		return rf_why_errno(why, -errno, folder, name);
	wrong = !S_ISREG(st.st_mode)		   ? "it is not a regular file"
		: !rf_is_trusted(st.st_uid)	   ? "its owner could change what is written"
		: st.st_mode & (S_IWGRP | S_IWOTH) ? "others could change what is written"
		: st.st_nlink != 1		   ? "it has another name, or none"
						   : NULL;
	return wrong ? rf_why_of(why, S_ISREG(st.st_mode) ? -EPERM : -EINVAL, fd, &st, wrong,
				 "give the path of a regular file of this user's or root's, with "
				 "one name, which others may not write; or of none")
		     : 0;
}

#define TRIES 8 /* while somebody makes and removes it */

/* Made by itself where it is not there: O_CREAT alone is refused in /tmp for what others have put
 * there (fs.protected_regular, proc(5)), and then nobody says whose it is. */
static int open_or_make(int folder, const char *name, int flags, mode_t mode)
{
	int fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = openat(folder, name, flags & ~O_CREAT);
		if (fd >= 0 || errno != ENOENT)
			break;
		fd = openat(folder, name, flags | O_EXCL, mode);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	return fd;
}

int rf_file_keep(int folder, const char *name, int flags, mode_t mode, struct rf_why *why)
{
	int fd, err;

	flags |= O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	fd = flags & O_EXCL ? openat(folder, name, flags, mode)
			    : open_or_make(folder, name, flags, mode);
	if (fd < 0)
		return rf_why_errno(why, -errno, folder, name);
	err = judge(fd, folder, name, why);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Whatever the umask: who may read it is said by who has it written. */
static int write_all(int fd, const char *text, size_t len, mode_t mode)
{
	ssize_t n;

	if (fchmod(fd, mode))
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ENOSPC;
	return fsync(fd) ? -errno : 0;
}

int rf_file_new(int folder, const char *name, const char *text, size_t len, mode_t mode,
		struct rf_why *why, struct rf_made *made)
{
	int fd = rf_file_keep(folder, name, O_WRONLY | O_EXCL, mode, why), err;
	struct rf_made now = { 0 };
	struct stat st;

	if (fd < 0)
		return fd;
	err = fstat(fd, &st) ? -errno : 0;
	if (!err) {
		now = (struct rf_made){ st.st_dev, st.st_ino };
		err = write_all(fd, text, len, mode);
	}
	close(fd);
	if (err) {
		rf_made_remove(folder, name, &now, 0);
		return rf_why_errno(why, err, folder, name);
	}
	*made = now;
	return 0;
}

int rf_file_clear(int folder, const char *name, mode_t type, struct rf_why *why)
{
	struct rf_made made;
	struct stat st;
	int err = 0;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
		err = errno == ENOENT ? 0 : -errno;
	else if ((st.st_mode & S_IFMT) != type || !rf_is_trusted(st.st_uid))
		err = -EEXIST;
	else {
		made = (struct rf_made){ st.st_dev, st.st_ino };
		err = rf_made_remove(folder, name, &made, 0);
	}
	return err ? rf_why_errno(why, err, folder, name) : 0;
}

int rf_file_replace(int folder, const char *name, const char *text, size_t len, mode_t mode,
		    struct rf_why *why, struct rf_made *made)
{
	char fresh[NAME_MAX + 1];
	struct rf_made now;
	int err;

	if (snprintf(fresh, sizeof(fresh), "%s.new", name) >= (int)sizeof(fresh))
		return rf_why_errno(why, -ENAMETOOLONG, folder, name);
	err = rf_file_clear(folder, fresh, S_IFREG, why);
	if (!err)
		err = rf_file_new(folder, fresh, text, len, mode, why, &now);
	if (err)
		return err;
	if (renameat(folder, fresh, folder, name)) {
		err = -errno;
		rf_made_remove(folder, fresh, &now, 0);
		return rf_why_errno(why, err, folder, name);
	}
	*made = now;
	return 0;
}

/* O_PATH first: opening a device or a FIFO may do something, and its owner chose what lies
 * there. */
int rf_file_read_only(const struct rf_folder *f, const char *name)
{
	int at = openat(f->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1, err = 0;
	char self[32];
	struct stat st;

	if (at < 0)
		return -errno;
	if (fstat(at, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (st.st_uid != f->owner && (f->foreign || !rf_is_trusted(st.st_uid)))
		err = -EPERM;
	if (!err) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
		fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		err = fd < 0 ? -errno : 0;
	}
	close(at);
	return err ? err : fd;
}

static int why_not(struct rf_why *why, int err, const struct rf_folder *in, const char *name)
{
	char place[PATH_MAX];

	if (err != -EPERM)
		return rf_why_errno(why, err, in->fd, name);
	rf_place_of(in->fd, place);
	snprintf(why->what, sizeof(why->what),
		 "%.100s in %.300s: it is not of user %u, as the folder is", name, place,
		 in->owner);
	why->todo = "give a file that is its folder's owner's";
	return err;
}

int rf_path_read_only(const char *path, struct rf_why *why, uid_t *owner)
{
	char name[NAME_MAX + 1];
	struct rf_folder in;
	struct stat st;
	int fd = rf_folder_of(path, RF_WAY_READ, why, &in, name);

	if (fd)
		return fd;
	if (!in.foreign && !fstatat(in.fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    !rf_is_trusted(st.st_uid)) {
		in.owner = st.st_uid;
		in.foreign = true;
	}
	fd = rf_file_read_only(&in, name);
	if (fd < 0)
		why_not(why, fd, &in, name);
	else
		*owner = fstat(fd, &st) ? in.owner : st.st_uid;
	rf_folder_close(&in);
	return fd;
}

int rf_path_read_of(const char *path, uid_t owner, struct rf_why *why)
{
	struct stat st = { .st_mode = 0 };
	uid_t found;
	int fd = rf_path_read_only(path, why, &found);

	if (fd < 0 || found == owner || (rf_is_trusted(found) && rf_is_trusted(owner)))
		return fd;
	fstat(fd, &st);
	rf_why_of(why, -EPERM, fd, &st, "it is another user's than what it belongs to",
		  "give its own path, if that user's is meant");
	close(fd);
	return -EPERM;
}
