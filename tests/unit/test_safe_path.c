// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Folders that somebody else could lead elsewhere, and the same that nobody can: each refusal has
 * beside it the act that works. What needs a second user is skipped where this is not root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/safe_path.c"
#include "tests/unit/leave_out.h"

#define OTHER 65534
#define ANOTHER 65533

int openat(int dir, const char *name, int flags, ...);
int mkdirat(int dir, const char *name, mode_t mode);

static char base[32];
static struct rf_why why;

/* What somebody does right before the name is looked up. */
static const char *act_at;
static void (*act)(void);

int openat(int dir, const char *name, int flags, ...)
{
	if (act_at && !strcmp(name, act_at)) {
		act_at = NULL;
		act();
	}
	return (int)syscall(SYS_openat, dir, name, flags, 0600);
}

static void (*before_mkdir)(void);

int mkdirat(int dir, const char *name, mode_t mode)
{
	void (*first)(void) = before_mkdir;

	before_mkdir = NULL;
	if (first)
		first();
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

static void before(const char *name, void (*what)(void))
{
	act_at = name;
	act = what;
}

static const char *path_of(const char *name)
{
	static char paths[4][128];
	static unsigned int at;

	at = (at + 1) % 4;
	snprintf(paths[at], sizeof(paths[at]), "%s/%s", base, name);
	return paths[at];
}

static void folder(const char *name, uid_t owner, mode_t mode)
{
	assert_int_equal(mkdir(path_of(name), 0700), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
	if (owner != geteuid())
		assert_int_equal(chown(path_of(name), owner, owner), 0);
}

static void link_to(const char *target, const char *name)
{
	assert_int_equal(symlink(target, path_of(name)), 0);
}

static void need_root(void)
{
	NEEDS_ROOT();
}

/* 0 or -errno; *ino is what was found. */
static int way_to(const char *name, enum rf_way way, ino_t *ino)
{
	struct rf_folder f = RF_FOLDER_NONE;
	int err = rf_folder_open(path_of(name), way, &why, &f);
	struct stat st;

	if (!err) {
		assert_int_equal(fstat(f.fd, &st), 0);
		if (ino)
			*ino = st.st_ino;
	}
	rf_folder_close(&f);
	assert_null(act_at); /* else nothing was done */
	return err;
}

static void refused(const char *name, const char *component, const char *wrong)
{
	char expected[160];

	assert_int_equal(way_to(name, RF_WAY_USE, NULL), -EPERM);
	snprintf(expected, sizeof(expected), "%s: user ", path_of(component));
	assert_memory_equal(why.what, expected, strlen(expected));
	assert_non_null(strstr(why.what, wrong));
	assert_non_null(why.todo);
	assert_int_equal(way_to(name, RF_WAY_MAKE, NULL), -EPERM);
}

static ino_t inode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_ino;
}

static int setup(void **state)
{
	strcpy(base, "/tmp/rf-safe-XXXXXX");
	act_at = NULL;
	before_mkdir = NULL;
	return mkdtemp(base) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", base);
	return system(command);
}

static void ones_own(void **state)
{
	struct rf_folder f = RF_FOLDER_NONE;
	char name[NAME_MAX + 1];
	ino_t ino;

	folder("a", geteuid(), 0755);
	folder("a/b", geteuid(), 0700);
	assert_int_equal(way_to("a/b", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("a//./b/", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("a/b/../b", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("a/c", RF_WAY_USE, NULL), -ENOENT);
	assert_non_null(strstr(why.what, "a/c: No such file"));
	/* Folders are made closed, on the way and at its end. */
	assert_int_equal(rf_folder_open(path_of("a/c/d"), RF_WAY_MAKE, &why, &f), 0);
	assert_true(f.made);
	assert_false(f.foreign);
	rf_folder_close(&f);
	assert_int_equal(rf_folder_open(path_of("a/c"), RF_WAY_MAKE, &why, &f), 0);
	assert_false(f.made);
	rf_folder_close(&f);
	/* What stands in a folder, by its name. */
	assert_int_equal(rf_folder_above(path_of("a/log/"), RF_WAY_USE, &why, &f, name), 0);
	assert_string_equal(name, "log");
	rf_folder_close(&f);
	assert_int_equal(rf_folder_above("log", RF_WAY_USE, &why, &f, name), 0);
	assert_string_equal(name, "log");
	rf_folder_close(&f);
	assert_int_equal(rf_folder_above("/", RF_WAY_USE, &why, &f, name), -EINVAL);
	assert_int_equal(rf_folder_above("", RF_WAY_USE, &why, &f, name), -EINVAL);
	assert_int_equal(rf_folder_above("a/..", RF_WAY_USE, &why, &f, name), -EINVAL);
	assert_int_equal(rf_folder_above("a/.", RF_WAY_USE, &why, &f, name), -EINVAL);
	assert_int_equal(rf_folder_open("", RF_WAY_USE, &why, &f), -ENOENT);
}

static void too_long(void **state)
{
	struct rf_folder f = RF_FOLDER_NONE;
	char path[PATH_MAX + 8], name[NAME_MAX + 1];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(rf_folder_open(path, RF_WAY_USE, &why, &f), -ENAMETOOLONG);
	assert_int_equal(rf_folder_above(path, RF_WAY_USE, &why, &f, name), -ENAMETOOLONG);
	path[NAME_MAX + 2] = '\0';
	assert_int_equal(rf_folder_above(path, RF_WAY_USE, &why, &f, name), -ENAMETOOLONG);
	path[NAME_MAX + 1] = '\0';
	assert_int_equal(rf_folder_above(path, RF_WAY_USE, &why, &f, name), 0);
	rf_folder_close(&f);
}

static void of_another_user(void **state)
{
	need_root();
	folder("theirs", OTHER, 0755);
	folder("theirs/mine", 0, 0755);
	refused("theirs", "theirs", "its owner could put other things below it");
	refused("theirs/mine", "theirs", "its owner could put other things below it");
	/* The same, once it is ours. */
	assert_int_equal(chown(path_of("theirs"), 0, 0), 0);
	assert_int_equal(way_to("theirs/mine", RF_WAY_USE, NULL), 0);
}

/* One's own may be open to others to read a file in it; another user's may not be to a third. */
static void to_read_one_file(void **state)
{
	need_root();
	folder("open", 0, 0777);
	assert_int_equal(way_to("open", RF_WAY_READ, NULL), 0);
	assert_int_equal(way_to("open", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(chown(path_of("open"), OTHER, OTHER), 0);
	assert_int_equal(way_to("open", RF_WAY_READ, NULL), -EPERM);
	assert_int_equal(chmod(path_of("open"), 0755), 0);
	assert_int_equal(way_to("open", RF_WAY_READ, NULL), 0);
}

/* It is not even made there. */
static void nothing_is_made_in_theirs(void **state)
{
	struct rf_folder f = RF_FOLDER_NONE, in = RF_FOLDER_NONE;

	need_root();
	folder("theirs", OTHER, 0755);
	assert_int_equal(rf_folder_open(path_of("theirs"), RF_WAY_OTHERS, &why, &f), 0);
	assert_true(f.foreign);
	assert_int_equal(rf_folder_enter(&f, "new", RF_WAY_MAKE, &why, &in), -ENOENT);
	assert_int_equal(access(path_of("theirs/new"), F_OK), -1);
	rf_folder_close(&f);
}

#define MAPPED 200 /* lines of 33 bytes: more than is read of them */

/* In a user namespace, in which a hundred users and more are mapped. */
static int who_is_trusted(int ready, int go)
{
	char c = 0;

	if (unshare(CLONE_NEWUSER))
		return 77;
	if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		return 2;
	return rf_is_trusted(0) && !rf_is_trusted(1) && !rf_is_trusted(MAPPED - 1) ? 0 : 1;
}

static void long_map_is_not_half_believed(void **state)
{
	int ready[2], go[2], status, fd;
	char path[32], map[MAPPED * 16], c;
	size_t len = 0;
	pid_t child;

	need_root();
	assert_int_equal(pipe(ready) | pipe(go), 0);
	child = fork();
	if (!child)
		_exit(who_is_trusted(ready[1], go[0]));
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1) {
		for (int i = 0; i < MAPPED; i++)
			len += (size_t)snprintf(map + len, sizeof(map) - len, "%d %d 1\n", i, i);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
		fd = open(path, O_WRONLY);
		assert_int_equal(write(fd, map, len), len);
		close(fd);
		assert_int_equal(write(go[1], &c, 1), 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	close(ready[0]);
	close(go[0]);
	close(go[1]);
	if (WEXITSTATUS(status) == 77)
		LEAVE_OUT("no namespaces here");
	assert_int_equal(status, 0);
}

static void writable_by_others(void **state)
{
	static const mode_t open[] = { 0777, 0775, 0757, 0702 };

	folder("a", geteuid(), 0755);
	folder("a/b", geteuid(), 0755);
	if (!geteuid())
		assert_int_equal(chown(path_of("a"), 0, 1234), 0);
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		assert_int_equal(chmod(path_of("a"), open[i]), 0);
		refused("a/b", "a", "others could put other things below it");
	}
	assert_int_equal(chmod(path_of("a"), 01777), 0);
	assert_int_equal(way_to("a/b", RF_WAY_USE, NULL), 0);
	assert_int_equal(chmod(path_of("a"), 0755), 0);
	assert_int_equal(way_to("a/b", RF_WAY_USE, NULL), 0);
}

/* As /var/log is on some systems. */
static void writable_by_a_group_of_the_systems(void **state)
{
	static const gid_t systems[] = { 0, 4, 999 }, not_theirs[] = { 100, 1000, 65534 };

	need_root();
	folder("log", 0, 0775);
	folder("log/ours", 0, 0755);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chown(path_of("log"), 0, systems[i]), 0);
		assert_int_equal(way_to("log/ours", RF_WAY_MAKE, NULL), 0);
		assert_int_equal(chown(path_of("log"), 0, not_theirs[i]), 0);
		refused("log/ours", "log", "others could put other things below it");
	}
	assert_int_equal(chown(path_of("log"), 0, 4), 0);
	assert_int_equal(chown(path_of("log/ours"), OTHER, 4), 0);
	refused("log/ours", "log/ours", "its owner could");
	assert_int_equal(symlink("/etc", path_of("log/way")), 0);
	refused("log/way/x", "log/way", "link");
}

static void somebody_elses_in_a_sticky_folder(void **state)
{
	need_root();
	folder("tmp", 0, 01777);
	folder("tmp/ours", 0, 0700);
	folder("tmp/theirs", OTHER, 0700);
	assert_int_equal(way_to("tmp/ours", RF_WAY_MAKE, NULL), 0);
	refused("tmp/theirs", "tmp/theirs", "its owner could");
}

static void links(void **state)
{
	ino_t ino;

	folder("a", geteuid(), 0755);
	folder("a/b", geteuid(), 0755);
	folder("sticky", geteuid(), 01777);
	link_to("a", "relative");
	link_to(path_of("a/b"), "absolute");
	link_to("../a/b", "a/up");
	link_to("nowhere", "dangling");
	assert_int_equal(way_to("relative/b", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("absolute", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("a/up/", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, inode_of("a/b"));
	assert_int_equal(way_to("dangling", RF_WAY_USE, NULL), -ENOENT);
	/* Anybody could put one there. */
	link_to("../a", "sticky/link");
	refused("sticky/link", "sticky/link", "a symbolic link that somebody else");
	/* One after the other, and round and round. */
	link_to("twice", "once");
	link_to("a", "twice");
	assert_int_equal(way_to("once", RF_WAY_USE, NULL), 0);
	link_to("round", "round");
	assert_int_equal(way_to("round", RF_WAY_USE, NULL), -ELOOP);
}

static void link_of_another_user(void **state)
{
	need_root();
	folder("a", 0, 0755);
	link_to("a", "link");
	assert_int_equal(way_to("link", RF_WAY_USE, NULL), 0);
	assert_int_equal(lchown(path_of("link"), OTHER, OTHER), 0);
	refused("link", "link", "a symbolic link that somebody else");
}

static void longest_link(void **state)
{
	char target[PATH_MAX];

	/* With what comes behind it, it is too long a path. */
	memset(target, '/', sizeof(target));
	target[PATH_MAX - 2] = '\0';
	link_to(target, "link");
	assert_int_equal(way_to("link/abc", RF_WAY_USE, NULL), -ENAMETOOLONG);
}

static void swap_for_link(void)
{
	assert_int_equal(rename(path_of("a"), path_of("was")), 0);
	link_to("bad", "a");
}

static void swap_for_their_link(void)
{
	swap_for_link();
	assert_int_equal(lchown(path_of("a"), OTHER, OTHER), 0);
}

/* Swapped after it was looked at: the way goes on in what was looked at. */
static void swapped_behind(void **state)
{
	ino_t ino, was;

	folder("a", geteuid(), 0755);
	folder("a/b", geteuid(), 0755);
	folder("bad", geteuid(), 0755);
	folder("bad/b", geteuid(), 0755);
	was = inode_of("a/b");
	before("b", swap_for_link);
	assert_int_equal(way_to("a/b", RF_WAY_USE, &ino), 0);
	assert_int_equal(ino, was);
	assert_int_equal(inode_of("a/b"), inode_of("bad/b"));
}

/* And before: it is looked at as it is then. */
static void swapped_ahead(void **state)
{
	need_root();
	folder("a", 0, 0755);
	folder("a/b", 0, 0755);
	folder("bad", 0, 0755);
	folder("bad/b", 0, 0755);
	before("a", swap_for_their_link);
	assert_int_equal(way_to("a/b", RF_WAY_USE, NULL), -EPERM);
	assert_non_null(strstr(why.what, "a symbolic link that somebody else"));
}

static void theirs_comes_first(void)
{
	folder("new", OTHER, 0777);
}

static void ours_comes_first(void)
{
	folder("new", 0, 0700);
}

/* It was not there, and is somebody else's by the time it would be made. */
static void made_by_somebody_else(void **state)
{
	struct rf_folder f = RF_FOLDER_NONE;

	need_root();
	before_mkdir = theirs_comes_first;
	assert_int_equal(way_to("new", RF_WAY_MAKE, NULL), -EPERM);
	assert_int_equal(rmdir(path_of("new")), 0);
	before_mkdir = ours_comes_first;
	assert_int_equal(rf_folder_open(path_of("new"), RF_WAY_MAKE, &why, &f), 0);
	assert_false(f.made);
	rf_folder_close(&f);
}

/* To read, another user's folders may be on the way; from there on only that user's. */
static void to_read_others(void **state)
{
	struct rf_folder f = RF_FOLDER_NONE, in = RF_FOLDER_NONE;

	need_root();
	folder("theirs", OTHER, 0755);
	folder("theirs/vm", OTHER, 0700);
	folder("theirs/moved", 0, 0700); /* root's own, which they have moved there */
	folder("theirs/third", ANOTHER, 0755);
	folder("theirs/open", OTHER, 01777);
	link_to("/run", "theirs/link");
	link_to("vm", "theirs/own");
	assert_int_equal(lchown(path_of("theirs/own"), OTHER, OTHER), 0);
	assert_int_equal(rf_folder_open(path_of("theirs/vm"), RF_WAY_OTHERS, &why, &f), 0);
	assert_true(f.foreign);
	assert_int_equal(f.owner, OTHER);
	rf_folder_close(&f);
	assert_int_equal(way_to("theirs/vm", RF_WAY_USE, NULL), -EPERM);
	assert_int_equal(way_to("theirs/moved", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/third", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/open", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/link", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/own", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/vm/../..", RF_WAY_OTHERS, NULL), -EPERM);
	assert_int_equal(way_to("theirs/vm/none", RF_WAY_OTHERS, NULL), -ENOENT);
	/* The same by its name in one that is open. */
	assert_int_equal(rf_folder_open(path_of("theirs"), RF_WAY_OTHERS, &why, &in), 0);
	assert_int_equal(rf_folder_enter(&in, "vm", RF_WAY_OTHERS, &why, &f), 0);
	assert_true(f.foreign);
	rf_folder_close(&f);
	assert_int_equal(rf_folder_enter(&in, "moved", RF_WAY_OTHERS, &why, &f), -EPERM);
	assert_int_equal(rf_folder_enter(&in, "own", RF_WAY_OTHERS, &why, &f), -ENOTDIR);
	rf_folder_close(&in);
	/* And in one of ours, where it is whosoever's. */
	assert_int_equal(rf_folder_open(base, RF_WAY_OTHERS, &why, &in), 0);
	assert_int_equal(rf_folder_enter(&in, "theirs", RF_WAY_OTHERS, &why, &f), 0);
	assert_true(f.foreign);
	rf_folder_close(&f);
	assert_int_equal(rf_folder_enter(&in, "theirs", RF_WAY_USE, &why, &f), -EPERM);
	rf_folder_close(&in);
}

/* A file system of theirs may never answer. */
static void mounted_by_others(void **state)
{
	need_root();
	folder("theirs", OTHER, 0755);
	folder("theirs/mount", OTHER, 0755);
	if (mount("none", path_of("theirs/mount"), "tmpfs", 0, "uid=65534,mode=755"))
		LEAVE_OUT("nothing can be mounted here");
	assert_int_equal(way_to("theirs/mount", RF_WAY_OTHERS, NULL), -EXDEV);
	assert_int_equal(umount(path_of("theirs/mount")), 0);
	assert_int_equal(way_to("theirs/mount", RF_WAY_OTHERS, NULL), 0);
}

#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(ones_own),
		each(too_long),
		each(of_another_user),
		each(long_map_is_not_half_believed),
		each(nothing_is_made_in_theirs),
		each(to_read_one_file),
		each(writable_by_others),
		each(writable_by_a_group_of_the_systems),
		each(somebody_elses_in_a_sticky_folder),
		each(links),
		each(link_of_another_user),
		each(longest_link),
		each(swapped_behind),
		each(swapped_ahead),
		each(made_by_somebody_else),
		each(to_read_others),
		each(mounted_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
