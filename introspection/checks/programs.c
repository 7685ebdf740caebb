// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Programs that make root of whoever runs them, and programs that the kernel itself has started:
 * what a rootkit leaves to come back by, by the kernel's own means (notify_change(),
 * call_usermodehelper()).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "introspection/checks/each_task.h"
#include "introspection/checks/families.h"
#include "introspection/checks/inside.h"

#define PATH_SIZE 200 /* bytes of a path that is shown; its beginning is cut */
#define DEPTH_MAX 64u /* folders; a path has PATH_MAX bytes, and such ones are nobody's */

/* --- paths ------------------------------------------------------------------------------- */

/* Where a dentry has its name and its folder. */
struct names {
	uint64_t parent, name;
};

static int lay_out_names(struct rf_run *run, struct names *n)
{
	int err = rf_run_member(run, "dentry", "d_parent", 8, &n->parent);

	return err ? err : rf_run_member(run, "dentry", "d_name.name", 8, &n->name);
}

/* Within its file system, which may be mounted anywhere: "/usr/bin/su". */
static int path_of(struct rf_run *run, const struct names *n, uint64_t dentry, char out[PATH_SIZE])
{
	char path[PATH_SIZE] = "", name[64];
	uint64_t parent, at;
	int err = 0;

	for (unsigned int i = 0; i < DEPTH_MAX; i++, dentry = parent) {
		char tail[PATH_SIZE];

		err = rf_run_u64(run, dentry + n->parent, &parent);
		if (err || parent == dentry)
			break;
		if ((err = rf_run_u64(run, dentry + n->name, &at)) ||
		    (err = rf_run_text(run, at, name, sizeof(name))))
			break;
		memcpy(tail, path, sizeof(tail));
		if (strlen(name) + strlen(tail) + 2 > sizeof(path))
			break; /* what lies nearest to the program counts */
		snprintf(path, sizeof(path), "/%.63s%.135s", name, tail);
	}
	memcpy(out, path, PATH_SIZE);
	return err;
}

static bool is_component(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	for (const char *at = path; (at = strstr(at, folder)); at++)
		if (at > path && at[-1] == '/' && at[len] == '/')
			return true;
	return false;
}

/* hier(7): programs lie in bin, sbin and games; what they call in lib and libexec; and where all
 * may write, or who is logged in, nothing of the system's does. */
static bool is_systems(const char *path)
{
	static const char *const folders[] = { "bin",	"sbin",	   "games", "lib",
					       "lib64", "libexec", "opt",   "snap" };
	static const char *const others[] = { "/tmp/", "/var/tmp/", "/home/", "/root/",
					      "/dev/", "/run/",	    "/proc/", "/sys/" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strncmp(path, others[i], strlen(others[i])))
			return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (is_component(path, folders[i]))
			return true;
	return false;
}

/* --- programs of root's -------------------------------------------------------------------- */

struct setuid {
	struct names names;
	uint64_t list, link;	 /* of a super_block its inodes, of an inode the next one */
	uint64_t mode, uid;	 /* of an inode */
	uint64_t aliases, alias; /* its names; where they hang together in a dentry */
};

static int judge_name(struct rf_run *run, const struct setuid *l, uint64_t inode, uint64_t dentry)
{
	char path[PATH_SIZE], what[96];
	int err = path_of(run, &l->names, dentry, path);

	if (err || is_systems(path))
		return err;
	snprintf(what, sizeof(what), "file %.80s", path);
	return rf_run_found(run, inode, what, 0,
			    "it runs as root whoever runs it, and lies in no folder of the "
			    "system's programs");
}

static int look_at_mode(struct rf_run *run, uint64_t inode, void *ctx)
{
	const struct setuid *l = ctx;
	uint32_t mode = 0, uid;
	uint64_t alias;
	int err;

	rf_run_saw(run);
	err = rf_run_read(run, inode + l->mode, &mode, 2);
	if (err || !S_ISREG(mode) || !(mode & S_ISUID))
		return err;
	if ((err = rf_run_u32(run, inode + l->uid, &uid)) || uid ||
	    (err = rf_run_u64(run, inode + l->aliases, &alias)))
		return err;
	/* Nobody can run what has no name; the first of several says where it was found. */
	return alias ? judge_name(run, l, inode, alias - l->alias) : 0;
}

static int look_at_modes_of(struct rf_run *run, uint64_t super, void *ctx)
{
	const struct setuid *l = ctx;

	return rf_run_list(run, super + l->list, l->link, look_at_mode, ctx);
}

static int look_at_setuid(struct rf_run *run)
{
	uint64_t head, link;
	struct setuid l;
	int err;

	if ((err = rf_run_symbol(run, "super_blocks", &head)) ||
	    (err = rf_run_member(run, "super_block", "s_list", 16, &link)) ||
	    (err = rf_run_member(run, "super_block", "s_inodes", 16, &l.list)) ||
	    (err = rf_run_member(run, "inode", "i_sb_list", 16, &l.link)) ||
	    (err = rf_run_member(run, "inode", "i_mode", 2, &l.mode)) ||
	    (err = rf_run_member(run, "inode", "i_uid", 4, &l.uid)) ||
	    (err = rf_run_member(run, "inode", "i_dentry", 8, &l.aliases)) ||
	    (err = rf_run_member(run, "dentry", "d_u.d_alias|d_alias", 16, &l.alias)) ||
	    (err = lay_out_names(run, &l.names)))
		return err;
	return rf_run_list(run, head, link, look_at_modes_of, &l);
}

const struct rf_check rf_check_setuid_programs = {
	.name = "setuid-programs",
	.summary = "files that make root of whoever runs them lie in folders of the system's "
		   "programs",
	.reading = "somebody has left himself a way back to root; or an administrator has such a "
		   "program of his own elsewhere",
	.attack = "T1548.001",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 10000,
	.reads = 1 << 21,
	.run = look_at_setuid,
};

/* --- programs that the kernel has started ------------------------------------------------------
 */

struct started {
	struct rf_tasks tasks;
	struct names names;
	uint64_t parent, leader;  /* of a task */
	uint64_t mm, exe, dentry; /* of a task, its mm, that file's path */
};

/* kernel/module/kmod.c, fs/coredump.c, security/keys/request_key.c, net/bridge/br_stp_if.c, fs/nfs,
 * kernel/cgroup/cgroup-v1.c, kernel/reboot.c, drivers/block/drbd, lib/kobject_uevent.c: what they
 * start, by the names that distributions have for it. */
static bool is_helper(const char *path)
{
	static const char *const names[] = {
		"kmod",	       "modprobe",	 "systemd-coredump", "systemd-cgroups-agent",
		"request-key", "cifs.upcall",	 "nfsidmap",	     "nfs_cache_getent",
		"nfsdcltrack", "bridge-stp",	 "drbdadm",	     "systemctl",
		"poweroff",    "reboot",	 "udevadm",	     "hotplug",
		"apport",      "abrt-hook-ccpp", "key.dns_resolver", "keyctl",
	};
	const char *last = strrchr(path, '/');

	for (size_t i = 0; last && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(last + 1, names[i]))
			return is_systems(path);
	return false;
}

static int judge_program(struct rf_run *run, const struct started *l, uint64_t task, uint64_t file)
{
	char path[PATH_SIZE], what[96], name[32];
	uint64_t dentry;
	int err;

	if ((err = rf_run_u64(run, file + l->dentry, &dentry)) ||
	    (err = path_of(run, &l->names, dentry, path)) || is_helper(path))
		return err;
	rf_run_task_name(run, &l->tasks, task, name, sizeof(name));
	snprintf(what, sizeof(what), "%s of %.56s", name, path);
	return rf_run_found(run, task, what, 0,
			    "the kernel has started it, and it is none of the programs that a "
			    "kernel starts");
}

/* Process 1 is started so, too; what it was, and is, its user has chosen. */
static int look_at_parent(struct rf_run *run, uint64_t task, void *ctx)
{
	const struct started *l = ctx;
	uint64_t parent, leader, mm, file;
	uint32_t pid;
	bool is_kernel;
	int err;

	if ((err = rf_run_task_is_kernel(run, &l->tasks, task, &is_kernel)) || is_kernel ||
	    (err = rf_run_u64(run, task + l->leader, &leader)) || leader != task ||
	    (err = rf_run_u32(run, task + l->tasks.pid, &pid)) || pid == 1)
		return err;
	rf_run_saw(run);
	if ((err = rf_run_u64(run, task + l->parent, &parent)) || !parent ||
	    (err = rf_run_task_is_kernel(run, &l->tasks, parent, &is_kernel)) || !is_kernel ||
	    (err = rf_run_u64(run, task + l->mm, &mm)) || !mm ||
	    (err = rf_run_u64(run, mm + l->exe, &file)) || !file)
		return err;
	return judge_program(run, l, task, file);
}

static int look_at_started(struct rf_run *run)
{
	struct started l;
	int err;

	if ((err = rf_run_tasks_layout(run, &l.tasks)) ||
	    (err = rf_run_member(run, "task_struct", "real_parent", 8, &l.parent)) ||
	    (err = rf_run_member(run, "task_struct", "group_leader", 8, &l.leader)) ||
	    (err = rf_run_member(run, "task_struct", "mm", 8, &l.mm)) ||
	    (err = rf_run_member(run, "mm_struct", "exe_file", 8, &l.exe)) ||
	    (err = rf_run_member(run, "file", "f_path.dentry", 8, &l.dentry)) ||
	    (err = lay_out_names(run, &l.names)))
		return err;
	return rf_run_tasks(run, &l.tasks, look_at_parent, &l);
}

const struct rf_check rf_check_kernel_started = {
	.name = "kernel-started",
	.summary = "programs that the kernel has started are those that kernels start",
	.reading = "code in the kernel has started somebody's program as root; or a helper that "
		   "is set up for crashes, keys or devices has a name of its own",
	.attack = "T1569",
	.severity = RF_SEVERITY_HIGH,
	.period_ms = 1000,
	.reads = 1 << 20,
	.run = look_at_started,
};
