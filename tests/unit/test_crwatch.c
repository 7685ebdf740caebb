// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The host's control-register watch, with the kernel's own maps, programs, links and file system.
 * Made up: where the programs are attached (a function of this test instead of KVM's: any kernel
 * has that), and what the proof says.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/bpf/impl.h"
#include "tests/unit/fake_bpffs.h"
#include "tests/unit/fake_crwatch.h"

#define OURS "/sys/fs/bpf/ringfence"

/* --- each test ------------------------------------------------------------------ */

static char why[RF_CRWATCH_WHY];
static struct rf_crwatch watch;
static struct rf_crwatch_page page;

static int setup(void **state)
{
	memset(&fake_crwatch, 0, sizeof(fake_crwatch));
	watch = RF_CRWATCH_NONE;
	page = RF_CRWATCH_NO_PAGE;
	why[0] = '\0';
	*state = (void *)(uintptr_t)fake_bpffs();
	return 0;
}

static int teardown(void **state)
{
	rf_crwatch_close(&watch);
	rf_crwatch_page_destroy(&page);
	if (*state)
		fake_bpffs_end();
	return 0;
}

static void says(const char *text)
{
	if (!strstr(why, text))
		fail_msg("\"%s\" is not in: %s", text, why);
}

static int opens(void)
{
	return rf_crwatch_open("/dev/kvm", 100, &watch, why);
}

/* It is tried, and refused before two seconds are over. */
static void refused(int err, const char *text)
{
	time_t began = time(NULL);

	assert_int_equal(opens(), err);
	assert_in_range(time(NULL) - began, 0, 2);
	says(text);
	assert_int_equal(watch.vms, -1);
}

static int checked(void)
{
	return rf_crwatch_check(&watch, why)
		       ?: rf_crwatch_check_place(&watch, getpid(), page.id, why);
}

static void entered(void)
{
	assert_int_equal(opens(), 0);
	assert_int_equal(rf_crwatch_page_create(&page), 0);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &page, true, 100, why), 0);
	assert_int_equal(checked(), 0);
}

static void lost(const char *text)
{
	assert_int_equal(checked(), -ENOENT);
	says(text);
}

/* As `run` puts it back. */
static void back(void)
{
	rf_crwatch_close(&watch);
	assert_int_equal(opens(), 0);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &page, true, 100, why), 0);
	assert_int_equal(checked(), 0);
}

static const char *pin(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", watch.folder, name);
	return path;
}

/* --- the folder ----------------------------------------------------------------- */

static int locked;

static int take_the_name(void)
{
	if (mkdir(OURS, 0755))
		return -errno;
	locked = open(OURS, O_RDONLY | O_DIRECTORY);
	return locked < 0 || flock(locked, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static int lock_it(void)
{
	locked = open(OURS, O_RDONLY | O_DIRECTORY);
	return locked < 0 || flock(locked, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static int link_the_name(void)
{
	return symlink("/tmp", OURS) ? -errno : 0;
}

static int move_the_name(void)
{
	return rename(OURS, OURS "x") ? -errno : 0;
}

static void name_is_taken(void **state)
{
	pid_t user;
	int fd;

	NEEDS_BPF();
	user = fake_bpffs_user(take_the_name);
	assert_true(user > 0);
	/* Control: who asks for the lock first waits for that user's leave. */
	fd = open(OURS, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	close(fd);
	refused(-EACCES, "user 65534, mode 0755): as root, rm -r " OURS "; chmod 0700 /sys/fs/bpf");
	fake_bpffs_user_end(user);
	refused(-EACCES, "is not root's alone");
	assert_int_equal(rmdir(OURS), 0);
	assert_int_equal(opens(), 0);
}

static void name_is_a_link(void **state)
{
	pid_t user;

	NEEDS_BPF();
	user = fake_bpffs_user(link_the_name);
	assert_true(user > 0);
	refused(-ENOTDIR, "cannot open " OURS);
	fake_bpffs_user_end(user);
}

/* What we made is nobody else's to lock or to move. */
static void folder_is_closed(void **state)
{
	struct stat st;

	NEEDS_BPF();
	assert_int_equal(opens(), 0);
	assert_int_equal(stat(OURS, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fake_bpffs_user(lock_it), -EACCES);
	assert_int_equal(fake_bpffs_user(move_the_name), -EPERM);
}

/* An older folder that others could read: who has a descriptor of it has the lock for as long as he
 * likes, and is waited for no longer than we like. */
static void locked_before(void **state)
{
	struct stat st;
	pid_t user;

	NEEDS_BPF();
	assert_int_equal(mkdir(OURS, 0755), 0);
	user = fake_bpffs_user(lock_it);
	assert_true(user > 0);
	refused(-EAGAIN, "is locked by another process");
	assert_int_equal(stat(OURS, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	fake_bpffs_user_end(user);
	assert_int_equal(fake_bpffs_user(lock_it), -EACCES);
	assert_int_equal(opens(), 0);
}

static void root_of_it_is_others(void **state)
{
	NEEDS_BPF();
	assert_int_equal(mkdir(OURS, 0700), 0);
	assert_int_equal(chmod("/sys/fs/bpf", 0777), 0);
	/* Control: without the sticky bit it is anybody's to move. */
	fake_bpffs_user_end(fake_bpffs_user(move_the_name));
	assert_int_equal(access(OURS "x", F_OK), 0);
	refused(-EACCES, "others than root can replace what is in /sys/fs/bpf");
	assert_int_equal(chmod("/sys/fs/bpf", 01777), 0);
	assert_int_equal(chown("/sys/fs/bpf", FAKE_BPFFS_USER, 0), 0);
	refused(-EACCES, "others than root can replace");
	assert_int_equal(chown("/sys/fs/bpf", 0, 0), 0);
	assert_int_equal(opens(), 0);
}

static void written_by_others(void **state)
{
	NEEDS_BPF();
	assert_int_equal(mkdir(OURS, 0700), 0);
	assert_int_equal(chmod(OURS, 0720), 0);
	refused(-EACCES, "is not root's alone (user 0, mode 0720)");
}

/* `doctor` believes no other folder either, and leaves nothing behind. */
static void tried(void **state)
{
	bool there = true;
	pid_t user;

	NEEDS_BPF();
	assert_int_equal(rf_crwatch_try("/dev/kvm", &there, why), 0);
	assert_false(there);
	assert_int_equal(access(OURS, F_OK), -1);
	user = fake_bpffs_user(take_the_name);
	assert_true(user > 0);
	assert_int_equal(rf_crwatch_try("/dev/kvm", &there, why), -EACCES);
	assert_false(there);
	says("rm -r " OURS);
	fake_bpffs_user_end(user);
	rmdir(OURS);
	assert_int_equal(opens(), 0);
	assert_int_equal(rf_crwatch_try("/dev/kvm", &there, why), 0);
	assert_true(there);
}

/* --- the pins -------------------------------------------------------------------- */

static void found_again(void **state)
{
	struct rf_crwatch first;

	NEEDS_BPF();
	assert_int_equal(opens(), 0);
	first = watch;
	assert_int_equal(opens(), 0);
	close(first.vms);
	assert_int_equal(first.vms_id, watch.vms_id);
	assert_memory_equal(first.links, watch.links, sizeof(first.links));
	assert_string_equal(first.folder, watch.folder);
}

static void what_is_lost(void **state)
{
	struct rf_crwatch_page other;

	NEEDS_BPF();
	entered();
	assert_int_equal(unlink(pin("rf_cr4")), 0);
	lost("its rf_cr4 is not pinned");
	back();
	assert_int_equal(unlink(pin("vms")), 0);
	lost("its map is not pinned");
	back();
	/* Another object under the name. */
	assert_int_equal(rename(pin("rf_cr4"), OURS "/x"), 0);
	assert_int_equal(link(pin("rf_cr0"), OURS "/y"), 0);
	assert_int_equal(rename(OURS "/y", pin("rf_cr4")), 0);
	lost("its rf_cr4 is not pinned");
	assert_int_equal(rename(OURS "/x", pin("rf_cr4")), 0);
	assert_int_equal(checked(), 0);
	/* Its place in the map. */
	rf_vms_remove(watch.vms, getpid(), page.id);
	lost("is not in its map with its own page");
	back();
	assert_int_equal(rf_crwatch_page_create(&other), 0);
	/* Not taken from whoever is there, but where that is wanted. */
	assert_int_equal(rf_vms_page(watch.vms, getpid()), page.id);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &other, false, 100, why), -EEXIST);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &page, false, 100, why), 0);
	assert_int_equal(checked(), 0);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &other, true, 100, why), 0);
	lost("is not in its map with its own page");
	assert_int_equal(rf_vms_page(watch.vms, getpid()), other.id);
	rf_crwatch_page_destroy(&other);
	back();
	/* All of it. */
	assert_int_equal(unlink(pin("rf_cr0")), 0);
	assert_int_equal(unlink(pin("rf_cr4")), 0);
	assert_int_equal(unlink(pin("vms")), 0);
	assert_int_equal(rmdir(watch.folder), 0);
	lost("its map is not pinned");
	back();
}

/* What does not work any more is attached anew, and at no moment is there none. */
static void replaced(void **state)
{
	struct rf_crwatch first;

	NEEDS_BPF();
	assert_int_equal(opens(), 0);
	first = watch;
	fake_crwatch.proof = -ENOTSUP;
	fake_crwatch.proofs = 1;
	fake_crwatch.replaces = true;
	assert_int_equal(opens(), 0);
	close(first.vms);
	assert_int_equal(first.vms_id, watch.vms_id);
	for (int i = 0; i < RF_CRWATCH_LINKS; i++)
		assert_int_not_equal(first.links[i], watch.links[i]);
	assert_int_equal(fake_crwatch.gaps, 0);
	assert_int_equal(access(pin("rf_cr0-new"), F_OK), -1);
	/* One that was killed between the two. */
	assert_int_equal(link(pin("rf_cr0"), OURS "/x"), 0);
	assert_int_equal(rename(OURS "/x", pin("rf_cr4-new")), 0);
	first = watch;
	fake_crwatch.proofs = 1;
	assert_int_equal(opens(), 0);
	close(first.vms);
	assert_int_equal(access(pin("rf_cr4-new"), F_OK), -1);
}

/* The old one goes only when there is another. */
static void not_replaced(void **state)
{
	struct rf_crwatch first;

	NEEDS_BPF();
	entered();
	first = watch;
	fake_crwatch.proof = -ENOTSUP;
	fake_crwatch.proofs = 2;
	fake_crwatch.no_attach = 2;
	assert_int_equal(rf_crwatch_open("/dev/kvm", 100, &watch, why), -ENOTSUP);
	assert_memory_equal(&first, &watch, sizeof(first));
	for (int i = 0; i < RF_CRWATCH_LINKS; i++)
		assert_int_equal(access(pin(rf_crwatch_names[i]), F_OK), 0);
}

static void never_was(void **state)
{
	NEEDS_BPF();
	fake_crwatch.no_attach = 2;
	refused(-ENOENT, "cannot be attached");
	assert_int_equal(rmdir(OURS), 0); /* it is empty */
	fake_crwatch.no_attach = 0;
	assert_int_equal(opens(), 0);
}

static void of_others(void **state)
{
	NEEDS_BPF();
	assert_int_equal(opens(), 0);
	assert_int_equal(rename(pin("rf_cr4"), OURS "/x"), 0);
	assert_int_equal(link(pin("rf_cr0"), OURS "/y"), 0);
	assert_int_equal(rename(OURS "/y", pin("rf_cr4")), 0);
	rf_crwatch_close(&watch);
	assert_int_equal(opens(), -EBUSY);
	says("is not this program");
}

/* --- the map ---------------------------------------------------------------------- */

/* A process id that nobody has: of a child that was reaped. */
static pid_t nobody(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

static void put(pid_t pid, int fd)
{
	__u32 key = (__u32)pid;

	assert_int_equal(bpf_map_update_elem(watch.vms, &key, &fd, BPF_ANY), 0);
}

/* After the VMM is reaped its id may be that of another VMM, whose page is another one. */
static void own_page_alone(void **state)
{
	struct rf_crwatch_page other;

	NEEDS_BPF();
	entered();
	assert_int_equal(rf_crwatch_page_create(&other), 0);
	rf_crwatch_leave(&watch, getpid(), other.id);
	assert_int_equal(rf_vms_page(watch.vms, getpid()), page.id);
	rf_crwatch_leave(&watch, getpid(), 0);
	assert_int_equal(rf_vms_page(watch.vms, getpid()), page.id);
	rf_crwatch_leave(&watch, getpid(), page.id);
	assert_int_equal(rf_vms_page(watch.vms, getpid()), 0);
	rf_crwatch_page_destroy(&other);
}

static void swept(void **state)
{
	struct rf_crwatch_page other;
	pid_t dead;

	NEEDS_BPF();
	entered();
	assert_int_equal(rf_crwatch_page_create(&other), 0);
	dead = nobody();
	put(dead, other.fd);
	rf_crwatch_close(&watch);
	assert_int_equal(opens(), 0);
	assert_int_equal(rf_vms_page(watch.vms, dead), 0);
	assert_int_equal(rf_vms_page(watch.vms, getpid()), page.id);
	rf_crwatch_page_destroy(&other);
}

/* Who is entered waits for who sweeps, and not for ever. */
static void entering_waits(void **state)
{
	int lock;

	NEEDS_BPF();
	entered();
	lock = rf_crwatch_folder(false, 0, why);
	assert_true(lock >= 0);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &page, true, 100, why), -EAGAIN);
	close(lock);
	assert_int_equal(rf_crwatch_enter(&watch, getpid(), &page, true, 100, why), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(name_is_taken),  TEST(name_is_a_link),	  TEST(folder_is_closed),
		TEST(locked_before),  TEST(root_of_it_is_others), TEST(written_by_others),
		TEST(tried),	      TEST(found_again),	  TEST(what_is_lost),
		TEST(replaced),	      TEST(not_replaced),	  TEST(never_was),
		TEST(of_others),      TEST(own_page_alone),	  TEST(swept),
		TEST(entering_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
