// SPDX-License-Identifier: LGPL-2.1-or-later
/* Files that somebody else has put in the place of ours; beside each, the same where nobody has. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/safe_file.c"
#include "tests/unit/leave_out.h"

#define OTHER 65534

static char base[32];
static struct rf_folder here;
static struct rf_why why;

static int setup(void **state)
{
	strcpy(base, "/tmp/rf-file-XXXXXX");
	return mkdtemp(base) ? rf_folder_open(base, RF_WAY_USE, &why, &here) : -1;
}

static int teardown(void **state)
{
	char command[64];

	rf_folder_close(&here);
	snprintf(command, sizeof(command), "rm -r %s", base);
	return system(command);
}

static void put(const char *name, const char *text, uid_t owner, mode_t mode)
{
	int fd = openat(here.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	if (owner != geteuid())
		assert_int_equal(fchown(fd, owner, owner), 0);
	close(fd);
}

static void holds(const char *name, const char *text)
{
	int fd = openat(here.fd, name, O_RDONLY | O_CLOEXEC);
	char buf[64] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf) - 1), (int)strlen(text));
	assert_string_equal(buf, text);
	close(fd);
}

static void bind_socket(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", base, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static bool is_there(const char *name)
{
	return !faccessat(here.fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void need_root(void)
{
	NEEDS_ROOT();
}

static int keep(const char *name)
{
	int fd = rf_file_keep(here.fd, name, O_RDWR | O_APPEND, 0600, &why);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void kept(void **state)
{
	struct stat st;

	assert_int_equal(keep("log"), 0);
	assert_int_equal(fstatat(here.fd, "log", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(keep("log"), 0);
	put("shown", "", geteuid(), 0644);
	assert_int_equal(keep("shown"), 0);
	/* Others may write it. */
	put("open", "", geteuid(), 0620);
	assert_int_equal(keep("open"), -EPERM);
	assert_non_null(strstr(why.what, "/open: user "));
	assert_non_null(strstr(why.what, "others could change what is written"));
	/* It has two names. */
	assert_int_equal(linkat(here.fd, "log", here.fd, "log2", 0), 0);
	assert_int_equal(keep("log"), -EPERM);
	assert_int_equal(keep("log2"), -EPERM);
	assert_int_equal(unlinkat(here.fd, "log2", 0), 0);
	assert_int_equal(keep("log"), 0);
	/* It is no file. */
	assert_int_equal(symlinkat("log", here.fd, "link"), 0);
	assert_int_equal(keep("link"), -ELOOP);
	assert_int_equal(mkfifoat(here.fd, "fifo", 0600), 0);
	assert_int_equal(keep("fifo"), -EINVAL);
	assert_int_equal(mkdirat(here.fd, "folder", 0700), 0);
	assert_int_equal(keep("folder"), -EISDIR);
}

static void kept_of_another_user(void **state)
{
	need_root();
	put("theirs", "", OTHER, 0600);
	assert_int_equal(keep("theirs"), -EPERM);
	assert_non_null(strstr(why.what, "its owner could change what is written"));
	assert_int_equal(fchownat(here.fd, "theirs", 0, 0, 0), 0);
	assert_int_equal(keep("theirs"), 0);
}

static void removed_by_inode(void **state)
{
	const struct rf_made nothing = { 0 };
	struct rf_made made = { 0 };

	put("lock", "", geteuid(), 0600);
	assert_int_equal(rf_made_note(here.fd, "lock", &made), 0);
	assert_true(rf_made_is(here.fd, "lock", &made));
	assert_int_equal(rf_made_remove(here.fd, "lock", &nothing, 0), -ESTALE);
	/* Somebody has put another one there. */
	assert_int_equal(renameat(here.fd, "lock", here.fd, "aside"), 0);
	put("lock", "", geteuid(), 0600);
	assert_int_equal(rf_made_remove(here.fd, "lock", &made, 0), -ESTALE);
	assert_true(is_there("lock"));
	/* Or a link to it. */
	assert_int_equal(unlinkat(here.fd, "lock", 0), 0);
	assert_int_equal(symlinkat("aside", here.fd, "lock"), 0);
	assert_int_equal(rf_made_remove(here.fd, "lock", &made, 0), -ESTALE);
	assert_true(is_there("lock"));
	assert_int_equal(unlinkat(here.fd, "lock", 0), 0);
	assert_int_equal(rf_made_remove(here.fd, "lock", &made, 0), -ESTALE);
	assert_int_equal(renameat(here.fd, "aside", here.fd, "lock"), 0);
	assert_int_equal(rf_made_remove(here.fd, "lock", &made, 0), 0);
	assert_false(is_there("lock"));
}

static void new_file(void **state)
{
	struct rf_made made = { 0 };
	struct stat st;
	mode_t mask = umask(077);

	assert_int_equal(rf_file_new(here.fd, "key.pub", "text", 4, 0644, &why, &made), 0);
	umask(mask);
	assert_int_equal(fstatat(here.fd, "key.pub", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_true(rf_made_is(here.fd, "key.pub", &made));
	holds("key.pub", "text");
	assert_int_equal(rf_file_new(here.fd, "key.pub", "more", 4, 0644, &why, &made), -EEXIST);
	holds("key.pub", "text");
	assert_int_equal(symlinkat("elsewhere", here.fd, "link"), 0);
	assert_int_equal(rf_file_new(here.fd, "link", "more", 4, 0644, &why, &made), -EEXIST);
	assert_false(is_there("elsewhere"));
}

static void replaced(void **state)
{
	struct rf_made first = { 0 }, second = { 0 };

	assert_int_equal(rf_file_replace(here.fd, "vm.json", "one", 3, 0600, &why, &first), 0);
	holds("vm.json", "one");
	assert_int_equal(rf_file_replace(here.fd, "vm.json", "two", 3, 0600, &why, &second), 0);
	holds("vm.json", "two");
	assert_true(rf_made_is(here.fd, "vm.json", &second));
	assert_false(rf_made_is(here.fd, "vm.json", &first));
	/* What one that was killed has left is no hindrance. */
	put("vm.json.new", "half", geteuid(), 0600);
	assert_int_equal(rf_file_replace(here.fd, "vm.json", "three", 5, 0600, &why, &second), 0);
	holds("vm.json", "three");
	assert_false(is_there("vm.json.new"));
	/* A link there is not written through, and not removed. */
	put("precious", "kept", geteuid(), 0600);
	assert_int_equal(symlinkat("precious", here.fd, "vm.json.new"), 0);
	assert_int_equal(rf_file_replace(here.fd, "vm.json", "four", 4, 0600, &why, &second),
			 -EEXIST);
	holds("precious", "kept");
	holds("vm.json", "three");
	assert_true(is_there("vm.json.new"));
}

static void replaced_in_a_sticky_folder(void **state)
{
	struct rf_made made = { 0 };

	need_root();
	assert_int_equal(fchmodat(AT_FDCWD, base, 01777, 0), 0);
	put("policy.sig.new", "theirs", OTHER, 0666);
	assert_int_equal(rf_file_replace(here.fd, "policy.sig", "ours", 4, 0644, &why, &made),
			 -EEXIST);
	holds("policy.sig.new", "theirs");
	assert_int_equal(unlinkat(here.fd, "policy.sig.new", 0), 0);
	assert_int_equal(rf_file_replace(here.fd, "policy.sig", "ours", 4, 0644, &why, &made), 0);
	holds("policy.sig", "ours");
}

static void cleared(void **state)
{
	bind_socket("control.sock");
	assert_int_equal(rf_file_clear(here.fd, "control.sock", S_IFREG, &why), -EEXIST);
	assert_true(is_there("control.sock"));
	assert_int_equal(rf_file_clear(here.fd, "control.sock", S_IFSOCK, &why), 0);
	assert_false(is_there("control.sock"));
	assert_int_equal(rf_file_clear(here.fd, "control.sock", S_IFSOCK, &why), 0);
	assert_int_equal(symlinkat("other", here.fd, "control.sock"), 0);
	assert_int_equal(rf_file_clear(here.fd, "control.sock", S_IFSOCK, &why), -EEXIST);
	assert_true(is_there("control.sock"));
}

static int read_only(const struct rf_folder *f, const char *name)
{
	int fd = rf_file_read_only(f, name);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void read_of_ours(void **state)
{
	put("vm.json", "{}", geteuid(), 0600);
	assert_int_equal(read_only(&here, "vm.json"), 0);
	assert_int_equal(symlinkat("vm.json", here.fd, "link"), 0);
	assert_int_equal(read_only(&here, "link"), -EINVAL);
	assert_int_equal(mkfifoat(here.fd, "fifo", 0600), 0);
	assert_int_equal(read_only(&here, "fifo"), -EINVAL);
	assert_int_equal(read_only(&here, "none"), -ENOENT);
	need_root();
	put("theirs", "{}", OTHER, 0600);
	assert_int_equal(read_only(&here, "theirs"), -EPERM);
}

static void read_of_theirs(void **state)
{
	const struct rf_folder theirs = { .fd = here.fd, .owner = OTHER, .foreign = true };

	need_root();
	put("vm.json", "{}", OTHER, 0600);
	assert_int_equal(read_only(&theirs, "vm.json"), 0);
	/* A hard link to a file of root's. */
	put("secret", "{}", 0, 0600);
	assert_int_equal(read_only(&theirs, "secret"), -EPERM);
	if (!mknodat(here.fd, "null", S_IFCHR | 0666, makedev(1, 3)))
		assert_int_equal(read_only(&theirs, "null"), -EINVAL);
}

/* --- by its path ---------------------------------------------------------------------- */

static const char *path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	return path;
}

/* Who it is whose word that is, or -errno. */
static int whose(const char *name)
{
	uid_t owner;
	int fd = rf_path_read_only(path_of(name), &why, &owner);

	if (fd < 0)
		return fd;
	close(fd);
	return (int)owner;
}

static void link_of(const char *target, const char *name, uid_t owner)
{
	assert_int_equal(symlinkat(target, here.fd, name), 0);
	if (owner != geteuid())
		assert_int_equal(fchownat(here.fd, name, owner, owner, AT_SYMLINK_NOFOLLOW), 0);
}

static void read_by_path(void **state)
{
	int us = (int)geteuid();

	put("log", "ours", geteuid(), 0600);
	assert_int_equal(whose("log"), us);
	assert_int_equal(whose("./log"), us);
	assert_int_equal(mkdirat(here.fd, "in", 0775), 0);
	assert_int_equal(fchmodat(here.fd, "in", 0775, 0), 0);
	put("in/log", "ours", geteuid(), 0600);
	assert_int_equal(whose("in/log"), us);
	/* By links of ours, but not where others could put one. */
	link_of("in/log", "link", geteuid());
	link_of("link", "link2", geteuid());
	link_of("in", "in2", geteuid());
	link_of("log", "in/link", geteuid());
	link_of("loop", "loop", geteuid());
	link_of("none", "dangles", geteuid());
	assert_int_equal(whose("link2"), us);
	assert_int_equal(whose("link2/"), us);
	assert_int_equal(whose("in2/log"), us);
	assert_int_equal(whose("in/link"), -EPERM);
	assert_int_equal(whose("loop"), -ELOOP);
	assert_int_equal(whose("dangles"), -ENOENT);
	assert_int_equal(whose("none"), -ENOENT);
	/* What is no file. */
	assert_int_equal(whose("in"), -EINVAL);
	assert_int_equal(whose("in/."), -EINVAL);
	assert_int_equal(whose("in/.."), -EINVAL);
	assert_int_equal(mkfifoat(here.fd, "fifo", 0600), 0);
	assert_int_equal(whose("fifo"), -EINVAL);
}

static void read_by_path_of_another_user(void **state)
{
	need_root();
	assert_int_equal(mkdirat(here.fd, "theirs", 0755), 0);
	assert_int_equal(fchownat(here.fd, "theirs", OTHER, OTHER, 0), 0);
	put("log", "ours", 0, 0600);
	put("left", "theirs", OTHER, 0600);
	put("theirs/log", "theirs", OTHER, 0600);
	put("theirs/ours", "ours", 0, 0600);
	put("theirs/third", "third", OTHER - 1, 0600);
	link_of("log", "theirs/own", OTHER);
	link_of("../log", "theirs/link", OTHER);
	link_of("../log", "theirs/of-root", 0);
	link_of("log", "their-link", OTHER);
	link_of("theirs/log", "our-link", 0);
	assert_int_equal(whose("left"), OTHER);
	assert_int_equal(whose("theirs/log"), OTHER);
	assert_int_equal(whose("our-link"), OTHER);
	assert_int_equal(whose("theirs/ours"), -EPERM);
	assert_non_null(strstr(why.what, "it is not of user 65534, as the folder is"));
	assert_int_equal(whose("theirs/third"), -EPERM);
	assert_int_equal(whose("theirs/own"), -EPERM);
	assert_int_equal(whose("theirs/link"), -EPERM);
	assert_non_null(strstr(why.what, "a symbolic link that somebody else"));
	assert_int_equal(whose("theirs/of-root"), -EPERM);
	assert_int_equal(whose("their-link"), -EPERM);
	/* Others may write there as well: what is in it is nobody's word. */
	assert_int_equal(fchmodat(here.fd, "theirs", 0777, 0), 0);
	assert_int_equal(whose("theirs/log"), -EPERM);
}

/* Of the user that it is to be of; root and the caller are one. */
static void read_of_its_owner(void **state)
{
	int fd;

	put("log", "ours", geteuid(), 0600);
	fd = rf_path_read_of(path_of("log"), geteuid(), &why);
	assert_true(fd >= 0);
	close(fd);
	fd = rf_path_read_of(path_of("log"), 0, &why);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rf_path_read_of(path_of("none"), geteuid(), &why), -ENOENT);
	assert_int_equal(rf_path_read_of(path_of("log"), OTHER, &why), -EPERM);
	need_root();
	put("left", "theirs", OTHER, 0600);
	fd = rf_path_read_of(path_of("left"), OTHER, &why);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(rf_path_read_of(path_of("left"), 0, &why), -EPERM);
	assert_non_null(strstr(why.what, "left: user 65534's, mode 0600: it is another user's"));
	assert_int_equal(rf_path_read_of(path_of("left"), OTHER - 1, &why), -EPERM);
	link_of("log", "their-link", OTHER);
	assert_int_equal(rf_path_read_of(path_of("their-link"), 0, &why), -EPERM);
}

#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(kept),
		each(kept_of_another_user),
		each(removed_by_inode),
		each(new_file),
		each(replaced),
		each(replaced_in_a_sticky_folder),
		each(cleared),
		each(read_of_ours),
		each(read_of_theirs),
		each(read_by_path),
		each(read_by_path_of_another_user),
		each(read_of_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
