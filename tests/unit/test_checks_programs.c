// SPDX-License-Identifier: LGPL-2.1-or-later
/* Programs of root's and programs that the kernel has started, by their paths; security hooks that
 * are switched off. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "tests/unit/checking.h"
#include "tests/unit/fake_tasks.h"

#define SUPERS (FAKE_BASE + 0x40300)
#define INIT_TASK (FAKE_BASE + 0x42000)
#define SUPER FAKE_HEAP
#define INODE (FAKE_HEAP + 0x1000)
#define DENTRY(n) (FAKE_HEAP + 0x2000 + (n)*0x100u)
#define NAME(n) (FAKE_HEAP + 0x4000 + (n)*0x40u)
#define TASK (FAKE_HEAP + 0x6000)
#define MM (FAKE_HEAP + 0x7000)
#define FILE_AT (FAKE_HEAP + 0x7100)
#define WORKER (FAKE_HEAP + 0x7400)
#define THREAD (FAKE_HEAP + 0xa000)
#define HOOKS (FAKE_HEAP + 0x9000)

enum { KERNEL_THREAD = 0x200000, SETUID = 04755, REGULAR = 0100000 };

static void put_text(uint64_t gva, const char *text)
{
	strcpy((char *)fake_bytes + gva % FAKE_SIZE, text);
}

/* Folders and a name, up to the root, which is its own parent: the dentry is the last one. */
static uint64_t put_path(const char *path)
{
	char copy[512], *save, *name;
	unsigned int n = 0;

	strcpy(copy, path);
	fake_u64(DENTRY(0), DENTRY(0));
	fake_u64(DENTRY(0) + 8, NAME(0));
	put_text(NAME(0), "/");
	for (name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		n++;
		fake_u64(DENTRY(n), DENTRY(n - 1));
		fake_u64(DENTRY(n) + 8, NAME(n));
		put_text(NAME(n), name);
	}
	return DENTRY(n);
}

static void put_mode(unsigned int mode, unsigned int uid)
{
	fake_u64(INODE + 0x10, mode | (uint64_t)uid << 32);
}

static int setup(void **state)
{
	const uint64_t super = SUPER, inode = INODE + 0x20;

	kernel = fake_types();
	fake_symbol("modules", MODULES);
	fake_member("module", "list", 8, 16);
	fake_member("module", "name", 0x20, 56);
	fake_list(MODULES, NULL, 0);
	fake_member("dentry", "d_parent", 0, 8);
	fake_member("dentry", "d_name.name", 8, 8);
	fake_member("dentry", "d_alias", 0x10, 16);
	fake_symbol("super_blocks", SUPERS);
	fake_member("super_block", "s_list", 0, 16);
	fake_member("super_block", "s_inodes", 0x10, 16);
	fake_member("inode", "i_sb_list", 0x20, 16);
	fake_member("inode", "i_mode", 0x10, 2);
	fake_member("inode", "i_uid", 0x14, 4);
	fake_member("inode", "i_dentry", 0x30, 8);
	fake_list(SUPERS, &super, 1);
	fake_list(SUPER + 0x10, &inode, 1);
	return 0;
}

/* --- programs of root's --------------------------------------------------------------------- */

static enum rf_check_state setuid_at(const char *path)
{
	put_mode(REGULAR | SETUID, 0);
	fake_u64(INODE + 0x30, put_path(path) + 0x10);
	begin_with(false, NULL);
	return run_begun(&rf_check_setuid_programs);
}

static void where_programs_lie(void **state)
{
	assert_int_equal(setuid_at("/usr/bin/su"), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 1);
	assert_int_equal(setuid_at("/usr/lib/openssh/ssh-keysign"), RF_CHECK_CLEAN);
	assert_int_equal(setuid_at("/var/lib/containers/1/diff/usr/bin/su"), RF_CHECK_CLEAN);
	assert_int_equal(setuid_at("/tmp/sh"), RF_CHECK_FOUND);
	assert_int_equal(told[0].object.v, INODE);
	assert_string_equal(told[0].what, "file /tmp/sh");
	assert_int_equal(setuid_at("/tmp/bin/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/var/tmp/lib/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/home/x/bin/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/etc/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/srv/cabin/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/srv/bin"), RF_CHECK_FOUND); /* a file, not a folder */
}

static void not_of_root(void **state)
{
	assert_int_equal(setuid_at("/tmp/sh"), RF_CHECK_FOUND);
	put_mode(REGULAR | SETUID, 1000);
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_CLEAN);
	put_mode(REGULAR | 0755, 0);
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_CLEAN);
	put_mode(0040000 | SETUID, 0); /* a folder */
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_CLEAN);
	put_mode(REGULAR | SETUID, 0);
	fake_u64(INODE + 0x30, 0); /* without a name in memory: G1 */
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_CLEAN);
	fake_u64(INODE + 0x30, UINT64_C(0xffff8880fff00000));
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_UNDECIDED);
}

/* A path is as long as the guest likes: what lies nearest to the program is looked at. */
static void paths_without_end(void **state)
{
	char path[420] = "";

	for (int i = 0; i < 7; i++)
		strcat(path, "/0123456789012345678901234567890123456789");
	strcat(path, "/sh");
	assert_int_equal(setuid_at(path), RF_CHECK_FOUND);
	assert_non_null(strstr(told[0].what, "/0123456789"));
	/* Nor does what it begins with get lost: it is below /tmp. */
	assert_int_equal(setuid_at("/tmp/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789/bin/sh"),
			 RF_CHECK_FOUND);
	assert_non_null(strstr(told[0].what, "/0123456789/bin/sh"));
	assert_int_equal(setuid_at("/usr/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789012345678901234567890123456789012345678901234567"
				   "/0123456789/bin/sh"),
			 RF_CHECK_CLEAN);
	assert_int_equal(setuid_at("/var/tmp/bin/sh"), RF_CHECK_FOUND);
	assert_int_equal(setuid_at("/var/lib/x"), RF_CHECK_CLEAN);
	/* Folders that are each other's. */
	assert_int_equal(setuid_at("/a/sh"), RF_CHECK_FOUND);
	fake_u64(DENTRY(1), DENTRY(2));
	assert_int_equal(run_begun(&rf_check_setuid_programs), RF_CHECK_FOUND);
	assert_true(result.reads < 100000);
}

/* --- programs that the kernel has started ------------------------------------------ */

static void task_types(void)
{
	const uint64_t task = TASK + TASKS, node = TASK + NODE;

	fake_task_types(INIT_TASK);
	fake_member("task_struct", "group_leader", LEADER, 8);
	fake_member("task_struct", "mm", ITS_MM, 8);
	fake_member("mm_struct", "exe_file", 8, 8);
	fake_member("file", "f_path.dentry", 8, 8);
	fake_list(INIT_TASK + TASKS, &task, 1);
	fake_list(TASK + HEAD, &node, 1);
	fake_u64(TASK + SIGNAL, TASK + HEAD);
	fake_u64(TASK + PID, UINT64_C(812) << 32 | 812);
	put_text(TASK + COMM, "worker");
	fake_u64(TASK + FLAGS, 0);
	fake_u64(TASK + PARENT, WORKER);
	fake_u64(TASK + LEADER, TASK);
	fake_u64(TASK + ITS_MM, MM);
	fake_u64(MM + 8, FILE_AT);
	fake_u64(WORKER + FLAGS, KERNEL_THREAD);
}

static enum rf_check_state started_from(const char *path)
{
	fake_u64(FILE_AT + 8, put_path(path));
	begin_with(false, NULL);
	return run_begun(&rf_check_kernel_started);
}

static void what_the_kernel_starts(void **state)
{
	task_types();
	assert_int_equal(started_from("/usr/bin/kmod"), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 1);
	assert_int_equal(started_from("/usr/lib/systemd/systemd-coredump"), RF_CHECK_CLEAN);
	assert_int_equal(started_from("/usr/bin/bash"), RF_CHECK_FOUND);
	assert_int_equal(told[0].object.v, TASK);
	assert_string_equal(told[0].what, "task 812 (worker) of /usr/bin/bash");
	assert_int_equal(started_from("/tmp/kmod"), RF_CHECK_FOUND);
	assert_int_equal(started_from("/tmp/bin/kmod"), RF_CHECK_FOUND);
	assert_int_equal(started_from("/usr/bin/kmod2"), RF_CHECK_FOUND);
}

static void what_others_start(void **state)
{
	task_types();
	assert_int_equal(started_from("/bin/sh"), RF_CHECK_FOUND);
	fake_u64(WORKER + FLAGS, 0);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_CLEAN);
	fake_u64(WORKER + FLAGS, KERNEL_THREAD);
	fake_u64(TASK + FLAGS, KERNEL_THREAD);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_CLEAN);
	fake_u64(TASK + FLAGS, 0);
	fake_u64(TASK + PID, UINT64_C(1) << 32 | 1);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_CLEAN);
	fake_u64(TASK + PID, UINT64_C(812) << 32 | 812);
	fake_u64(TASK + ITS_MM, 0); /* it ends */
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_CLEAN);
	fake_u64(TASK + ITS_MM, MM);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_FOUND);
}

/* Its first thread has ended, and others run on: it is told once, by the first one. */
static void without_its_first_thread(void **state)
{
	const uint64_t nodes[] = { TASK + NODE, THREAD + NODE, THREAD + 0x400 + NODE };

	task_types();
	fake_list(TASK + HEAD, nodes, 3);
	for (uint64_t t = THREAD; t <= THREAD + 0x400; t += 0x400) {
		fake_u64(t + PID, UINT64_C(812) << 32 | 813);
		fake_u64(t + PARENT, WORKER);
		fake_u64(t + LEADER, TASK);
		fake_u64(t + ITS_MM, MM);
	}
	assert_int_equal(started_from("/bin/sh"), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	fake_u64(TASK + ITS_MM, 0);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].object.v, TASK);
	fake_u64(THREAD + ITS_MM, 0);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_FOUND);
	fake_u64(THREAD + 0x400 + ITS_MM, 0);
	assert_int_equal(run_begun(&rf_check_kernel_started), RF_CHECK_CLEAN);
}

/* --- security hooks ---------------------------------------------------------------- */

static void switched_off(void **state)
{
	const uint64_t hook = HOOKS + 0x200, key = HOOKS + 0x300, active = HOOKS + 0x400;

	fake_symbol("static_calls_table", HOOKS);
	fake_sizeof("lsm_static_call", 32);
	fake_sizeof("lsm_static_calls_table", 64);
	fake_member("security_hook_list", "hook", 8, 8);
	fake_member("lsm_static_call", "key", 0, 8);
	fake_member("lsm_static_call", "hl", 16, 8);
	fake_member("lsm_static_call", "active", 24, 8);
	fake_member("static_call_key", "func", 0, 8);
	fake_member("static_key_false", "key.enabled", 0, 4);
	fake_u64(HOOKS, key);
	fake_u64(HOOKS + 16, hook);
	fake_u64(HOOKS + 24, active);
	fake_u64(hook + 8, FAKE_STEXT + 0x10);
	fake_u64(key, FAKE_STEXT + 0x10);
	fake_u64(active, 1);
	begin_with(false, NULL);
	assert_int_equal(run_begun(&rf_check_lsm_hooks), RF_CHECK_CLEAN);
	fake_u64(active, 0);
	assert_int_equal(run_begun(&rf_check_lsm_hooks), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].object.v, active);
	assert_int_equal(told[0].target.v, FAKE_STEXT + 0x10);
	/* Nobody's: it is off since the boot. */
	fake_u64(HOOKS + 16, 0);
	assert_int_equal(run_begun(&rf_check_lsm_hooks), RF_CHECK_CLEAN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(where_programs_lie),	   T(not_of_root),	 T(paths_without_end),
		T(what_the_kernel_starts), T(what_others_start), T(without_its_first_thread),
		T(switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
