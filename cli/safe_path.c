// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/safe_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define PRINTED 400 /* bytes of a path in an error */

struct walk {
	enum rf_way way;
	unsigned int links;
	struct rf_folder at;
	mode_t mode; /* of that */
	struct rf_why *why;
};

/* --- who ------------------------------------------------------------------------------ */

/*
 * In a user namespace all users that are not mapped have one number (user_namespaces(7), "Unmapped
 * user and group IDs"), root of the host among them, who owns /. They cannot be told apart there;
 * what can be gained is what the user who made the namespace may do, never root. Elsewhere every
 * number is mapped.
 */
static bool is_unmapped(uid_t uid)
{
	char text[4096], *line = text, *end;
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	const ssize_t room = sizeof(text) - 1;
	ssize_t n = 0, more = fd < 0 ? -1 : 1;
	unsigned int from, to, count;

	/* One read(2) gives whole lines of one page at most (fs/seq_file.c seq_read_iter()). */
	while (more > 0 && n < room) {
		more = read(fd, text + n, (size_t)(room - n));
		n += more > 0 ? more : 0;
	}
	if (fd >= 0)
		close(fd);
	/* One that is longer is not read to its end: nothing is believed by half of it. */
	if (more || !n)
		return false;
	for (text[n] = '\0'; (end = strchr(line, '\n')); line = end + 1)
		if (sscanf(line, "%u %u %u", &from, &to, &count) != 3 ||
		    (uid >= from && uid - from < count))
			return false;
	return true;
}

bool rf_is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid() || is_unmapped(uid);
}

/* --- what is wrong ---------------------------------------------------------------------- */

void rf_place_of(int fd, char out[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n < 0)
		strcpy(out, "?");
	else
		out[n] = '\0';
}

int rf_why_of(struct rf_why *why, int err, int fd, const struct stat *st, const char *wrong,
	      const char *todo)
{
	char place[PATH_MAX];

	rf_place_of(fd, place);
	snprintf(why->what, sizeof(why->what), "%.*s: user %u's, mode %04o: %s", PRINTED, place,
		 st->st_uid, st->st_mode & 07777, wrong);
	why->todo = todo;
	return err;
}

int rf_why_errno(struct rf_why *why, int err, int folder, const char *name)
{
	char place[PATH_MAX];

	rf_place_of(folder, place);
	snprintf(why->what, sizeof(why->what), "%.*s%s%.*s: %s", PRINTED / 2, place,
		 strcmp(place, "/") ? "/" : "", PRINTED / 2, name, strerror(-err));
	why->todo = "correct the path, or make it usable for this user";
	return err;
}

/* --- one component ---------------------------------------------------------------------- */

void rf_folder_close(struct rf_folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* Another user may have a file system of his own there, which answers when he likes. */
static int look_up_foreign(int folder, const char *name)
{
	const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };

	return (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
}

static int look_up(const struct walk *w, const char *name)
{
	int fd = w->at.foreign ? look_up_foreign(w->at.fd, name)
			       : openat(w->at.fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Its name is on disk, too: else a crash loses what was flushed of the files in it. */
static int make(const struct walk *w, const char *name)
{
	int fd;

	if (mkdirat(w->at.fd, name, 0700))
		return errno == EEXIST ? 0 : -errno;
	fd = openat(w->at.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return 1;
}

/*
 * Root may give a folder to a group of the system's, as Ubuntu does with /var/log (0775
 * root:syslog): the groups from 0 to 999 but that of all users (base-passwd's README, "users", 100;
 * Debian Policy 9.2.2).
 */
static bool is_root_and_systems(const struct stat *st)
{
	return !st->st_uid && !(st->st_mode & S_IWOTH) && st->st_gid < 1000 && st->st_gid != 100;
}

/*
 * In a sticky folder others make what they like, and rename nothing of ours; in a system group's
 * they rename as well. Neither leads anywhere: whatever is used below is judged by itself.
 */
static bool others_lead(const struct stat *st)
{
	if (!(st->st_mode & OTHERS_WRITE))
		return false;
	return !rf_is_trusted(st->st_uid) || (!(st->st_mode & S_ISVTX) && !is_root_and_systems(st));
}

static int judge(struct walk *w, int fd, const struct stat *st)
{
	const char *wrong = NULL;

	if (w->at.foreign)
		wrong = st->st_uid != w->at.owner
				? "the folder above it is another user's, and it is not"
				: NULL;
	else if (!rf_is_trusted(st->st_uid) && w->way != RF_WAY_OTHERS && w->way != RF_WAY_READ)
		wrong = "its owner could put other things below it";
	if (!wrong && others_lead(st) && !(w->way == RF_WAY_READ && rf_is_trusted(st->st_uid)))
		wrong = "others could put other things below it";
	return wrong ? rf_why_of(w->why, -EPERM, fd, st, wrong,
				 "give a path on which every folder is root's or this user's "
				 "and nobody else may write (chmod go-w)")
		     : 0;
}

/* From here on the walk goes on in it. */
static int go_on(struct walk *w, int fd, const struct stat *st, bool made)
{
	int err = judge(w, fd, st);

	if (err)
		return err;
	rf_folder_close(&w->at);
	w->at = (struct rf_folder){
		.fd = fd, .owner = st->st_uid, .foreign = !rf_is_trusted(st->st_uid), .made = made
	};
	w->mode = st->st_mode;
	return 0;
}

/* Opens it, makes it where it may; *st is what it is. The descriptor or -errno. */
static int find(struct walk *w, const char *name, struct stat *st, bool *made)
{
	int fd = look_up(w, name), err = 0;

	*made = false;
	if (fd == -ENOENT && w->way == RF_WAY_MAKE && !w->at.foreign) {
		err = make(w, name);
		*made = err > 0;
		/* Somebody may have been quicker: it is looked at like any other. */
		fd = err < 0 ? err : look_up(w, name);
	}
	if (fd >= 0 && fstat(fd, st)) {
		err = -errno;
		close(fd);
		fd = err;
	}
	return fd < 0 ? rf_why_errno(w->why, fd, w->at.fd, name) : fd;
}

/* --- the way ---------------------------------------------------------------------------- */

static int begin(struct walk *w, const char *path)
{
	const char *from = path[0] == '/' ? "/" : ".";
	int fd = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return rf_why_errno(w->why, err, AT_FDCWD, from);
	}
	err = go_on(w, fd, &st, false);
	if (err)
		close(fd);
	return err;
}

/* rest: what is left of the path, which then begins with what the link says. */
static int follow(struct walk *w, int fd, const struct stat *st, char rest[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t n;

	if (w->at.foreign || !rf_is_trusted(st->st_uid) || w->mode & OTHERS_WRITE)
		return rf_why_of(w->why, -EPERM, fd, st,
				 "a symbolic link that somebody else could have put there",
				 "give the path that it leads to, if that is meant");
	if (++w->links > RF_SAFE_LINKS)
		return rf_why_of(w->why, -ELOOP, fd, st, "too many symbolic links",
				 "give another "
				 "path");
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n <= 0)
		return rf_why_of(w->why, n ? -errno : -ENOENT, fd, st, "it leads nowhere",
				 "give another path");
	target[n] = '\0';
	if ((size_t)n + 1 + strlen(rest) >= PATH_MAX)
		return rf_why_of(w->why, -ENAMETOOLONG, fd, st, "it makes too long a path",
				 "give a shorter path");
	memmove(rest + n + 1, rest, strlen(rest) + 1);
	memcpy(rest, target, (size_t)n);
	rest[n] = '/';
	return target[0] == '/' ? begin(w, target) : 0;
}

static int step(struct walk *w, const char *name, char rest[PATH_MAX])
{
	bool made = false;
	struct stat st;
	int fd = find(w, name, &st, &made), err;

	if (fd < 0)
		return fd;
	if (S_ISLNK(st.st_mode)) {
		err = follow(w, fd, &st, rest);
		close(fd);
		return err;
	}
	err = S_ISDIR(st.st_mode) ? go_on(w, fd, &st, made)
				  : rf_why_errno(w->why, -ENOTDIR, w->at.fd, name);
	if (err)
		close(fd);
	return err;
}

/* Cuts the first component off; "" where there is none. */
static void cut(char rest[PATH_MAX], char name[PATH_MAX])
{
	size_t skip = strspn(rest, "/"), len = strcspn(rest + skip, "/");

	memcpy(name, rest + skip, len);
	name[len] = '\0';
	memmove(rest, rest + skip + len, strlen(rest + skip + len) + 1);
}

/* Where it starts, and what is left of it. */
static int start(struct walk *w, const char *path, char rest[PATH_MAX])
{
	int err = !*path ? -ENOENT : strlen(path) >= PATH_MAX ? -ENAMETOOLONG : 0;

	if (err) {
		snprintf(w->why->what, sizeof(w->why->what), "the path: %s", strerror(-err));
		w->why->todo = "give another path";
		return err;
	}
	strcpy(rest, path);
	return begin(w, path);
}

int rf_folder_open(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out)
{
	struct walk w = { .way = way, .at = RF_FOLDER_NONE, .why = why };
	char rest[PATH_MAX] = "", name[PATH_MAX];
	int err = start(&w, path, rest);

	for (cut(rest, name); !err && *name; cut(rest, name))
		err = strcmp(name, ".") ? step(&w, name, rest) : 0;
	if (err) {
		rf_folder_close(&w.at);
		return err;
	}
	*out = w.at;
	return 0;
}

/* 1: that is the last component, and no link. */
static int step_above(struct walk *w, const char *name, char rest[PATH_MAX])
{
	bool made = false;
	struct stat st;
	int fd, err;

	if (rest[strspn(rest, "/")])
		return step(w, name, rest);
	fd = find(w, name, &st, &made);
	if (fd < 0)
		return fd;
	err = S_ISLNK(st.st_mode) ? follow(w, fd, &st, rest) : 1;
	close(fd);
	return err;
}

int rf_folder_of(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out,
		 char name[NAME_MAX + 1])
{
	struct walk w = { .way = way, .at = RF_FOLDER_NONE, .why = why };
	char rest[PATH_MAX] = "", part[PATH_MAX];
	int err = start(&w, path, rest);

	while (!err && (cut(rest, part), *part))
		err = strcmp(part, ".") ? step_above(&w, part, rest) : 0;
	if (!err) {
		snprintf(why->what, sizeof(why->what), "%.*s has no name of its own", PRINTED,
			 path);
		why->todo = "give another path";
		err = -EINVAL;
	}
	if (err < 0) {
		rf_folder_close(&w.at);
		return err;
	}
	strcpy(name, part); /* it was found by it, so it is no longer than NAME_MAX */
	*out = w.at;
	return 0;
}

int rf_folder_above(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out,
		    char name[NAME_MAX + 1])
{
	size_t end = strlen(path), at;
	char above[PATH_MAX];

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (at = end; at && path[at - 1] != '/'; at--)
		;
	if (at == end || end - at > NAME_MAX || at + 1 >= PATH_MAX ||
	    (end - at <= 2 && !strncmp(path + at, "..", end - at))) {
		snprintf(why->what, sizeof(why->what),
			 "%.*s has no name of its own, or too long "
			 "a one",
			 PRINTED, path);
		why->todo = "give another path";
		return end - at > NAME_MAX || at + 1 >= PATH_MAX ? -ENAMETOOLONG : -EINVAL;
	}
	snprintf(above, sizeof(above), "%.*s", at ? (int)at : 1, at ? path : ".");
	memcpy(name, path + at, end - at);
	name[end - at] = '\0';
	return rf_folder_open(above, way, why, out);
}

int rf_folder_enter(const struct rf_folder *in, const char *name, enum rf_way way,
		    struct rf_why *why, struct rf_folder *out)
{
	struct walk w = { .way = way, .at = *in, .why = why };
	bool made = false;
	struct stat st;
	int fd = find(&w, name, &st, &made), err;

	if (fd < 0)
		return fd;
	err = S_ISDIR(st.st_mode) ? judge(&w, fd, &st) : rf_why_errno(why, -ENOTDIR, in->fd, name);
	if (err) {
		close(fd);
		return err;
	}
	*out = (struct rf_folder){
		.fd = fd, .owner = st.st_uid, .foreign = !rf_is_trusted(st.st_uid), .made = made
	};
	return 0;
}
