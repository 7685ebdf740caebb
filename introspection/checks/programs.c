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

#define PATH_SIZE 200 /* bytes of a path's end, its own included */
#define NAME_SIZE 64  /* of a folder's name, the same */
#define DEPTH_MAX 64u /* folders; no path of the system's is deeper */

/* --- paths ------------------------------------------------------------------------------- */

/* Where a dentry has its name and its folder. */
struct names {
	uint64_t parent, name;
};

/* Within its file system, which may be mounted anywhere. */
struct path {
	char end[PATH_SIZE];		      /* "/usr/bin/su", or as much of its end */
	char top[NAME_SIZE], next[NAME_SIZE]; /* "usr", "bin": the folders that it begins with */
	bool full;			      /* no more of it has room in there */
	bool whole;			      /* it was followed to the root */
};

static int lay_out_names(struct rf_run *run, struct names *n)
{
	int err = rf_run_member(run, "dentry", "d_parent", 8, &n->parent);

	return err ? err : rf_run_member(run, "dentry", "d_name.name", 8, &n->name);
}

static void put_before(struct path *p, const char *name)
{
	size_t n = strlen(name), len = strlen(p->end);

	memcpy(p->next, p->top, sizeof(p->next));
	snprintf(p->top, sizeof(p->top), "%s", name);
	p->full |= n + len + 2 > sizeof(p->end);
	if (p->full)
		return;
	memmove(p->end + n + 1, p->end, len + 1);
	p->end[0] = '/';
	memcpy(p->end + 1, name, n);
}

static int path_of(struct rf_run *run, const struct names *n, uint64_t dentry, struct path *p)
{
	uint64_t parent, at;
	char name[NAME_SIZE];
	int err;

	*p = (struct path){ .whole = false };
	for (unsigned int i = 0; i < DEPTH_MAX; i++, dentry = parent) {
		err = rf_run_u64(run, dentry + n->parent, &parent);
		p->whole = !err && parent == dentry;
		if (err || p->whole)
			return err;
		if ((err = rf_run_u64(run, dentry + n->name, &at)) ||
		    (err = rf_run_text(run, at, name, sizeof(name))))
			return err;
		put_before(p, name);
	}
	return 0;
}

/* Its last bytes, size at most: there stands the name. */
static const char *shown(const struct path *p, size_t size)
{
	size_t len = strlen(p->end);

	return len > size ? p->end + len - size : p->end;
}

static bool has_folder(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	for (const char *at = path; (at = strstr(at, folder)); at++)
		if (at > path && at[-1] == '/' && at[len] == '/')
			return true;
	return false;
}

/* hier(7): programs lie in bin, sbin and games; what they call in lib and libexec; and where all
 * may write, or who is logged in, nothing of the system's does. */
static bool is_systems(const struct path *p)
{
	static const char *const folders[] = { "bin",	"sbin",	   "games", "lib",
					       "lib64", "libexec", "opt",   "snap" };
	static const char *const others[] = { "tmp", "home", "root", "dev", "run", "proc", "sys" };

	if (!p->whole || (!strcmp(p->top, "var") && !strcmp(p->next, "tmp")))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(p->top, others[i]))
			return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (has_folder(p->end, folders[i]))
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
	struct path path;
	char what[96];
	int err = path_of(run, &l->names, dentry, &path);

	if (err || is_systems(&path))
		return err;
	snprintf(what, sizeof(what), "file %.80s", shown(&path, 80));
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
	/* The first of several says where it was found. One that is on disk alone is not looked
	 * for there: of the system's own files, too, names leave memory before inodes do. */
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

/* --- programs that the kernel has started -------------------------------------------- */

struct started {
	struct rf_tasks tasks;
	struct names names;
	uint64_t parent, leader;  /* of a task */
	uint64_t mm, exe, dentry; /* of a task, its mm, that file's path */
	uint64_t judged;	  /* the last process of which a thread was looked at */
};

/* kernel/module/kmod.c, fs/coredump.c, security/keys/request_key.c, net/bridge/br_stp_if.c, fs/nfs,
 * kernel/cgroup/cgroup-v1.c, kernel/reboot.c, drivers/block/drbd, lib/kobject_uevent.c: what they
 * start, by the names that distributions have for it. */
static bool is_helper(const struct path *path)
{
	static const char *const names[] = {
		"kmod",	       "modprobe",	 "systemd-coredump", "systemd-cgroups-agent",
		"request-key", "cifs.upcall",	 "nfsidmap",	     "nfs_cache_getent",
		"nfsdcltrack", "bridge-stp",	 "drbdadm",	     "systemctl",
		"poweroff",    "reboot",	 "udevadm",	     "hotplug",
		"apport",      "abrt-hook-ccpp", "key.dns_resolver", "keyctl",
	};
	const char *last = strrchr(path->end, '/');

	for (size_t i = 0; last && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(last + 1, names[i]))
			return is_systems(path);
	return false;
}

static int judge_program(struct rf_run *run, const struct started *l, uint64_t task, uint64_t file)
{
	char what[96], name[32];
	struct path path;
	uint64_t dentry;
	int err;

	if ((err = rf_run_u64(run, file + l->dentry, &dentry)) ||
	    (err = path_of(run, &l->names, dentry, &path)) || is_helper(&path))
		return err;
	rf_run_task_name(run, &l->tasks, task, name, sizeof(name));
	snprintf(what, sizeof(what), "%s of %.56s", name, shown(&path, 56));
	return rf_run_found(run, task, what, 0,
			    "the kernel has started it, and it is none of the programs that a "
			    "kernel starts");
}

/* The program of a process is that of any of its threads that has not ended: the first may be gone
 * while others run. Process 1 is started so, too; what it was, and is, its user has chosen. */
static int look_at_thread(struct rf_run *run, uint64_t task, void *ctx)
{
	struct started *l = ctx;
	uint64_t parent, leader, mm, file;
	bool is_kernel;
	uint32_t pid;
	int err;

	if ((err = rf_run_task_is_kernel(run, &l->tasks, task, &is_kernel)) || is_kernel ||
	    (err = rf_run_u64(run, task + l->leader, &leader)) || leader == l->judged ||
	    (err = rf_run_u32(run, task + l->tasks.tgid, &pid)) || pid == 1 ||
	    (err = rf_run_u64(run, task + l->mm, &mm)) || !mm)
		return err;
	l->judged = leader;
	rf_run_saw(run);
	if ((err = rf_run_u64(run, task + l->parent, &parent)) || !parent ||
	    (err = rf_run_task_is_kernel(run, &l->tasks, parent, &is_kernel)) || !is_kernel ||
	    (err = rf_run_u64(run, mm + l->exe, &file)) || !file)
		return err;
	return judge_program(run, l, leader, file);
}

static int look_at_started(struct rf_run *run)
{
	struct started l = { .judged = 0 };
	int err;

	if ((err = rf_run_tasks_layout(run, &l.tasks)) ||
	    (err = rf_run_member(run, "task_struct", "real_parent", 8, &l.parent)) ||
	    (err = rf_run_member(run, "task_struct", "group_leader", 8, &l.leader)) ||
	    (err = rf_run_member(run, "task_struct", "mm", 8, &l.mm)) ||
	    (err = rf_run_member(run, "mm_struct", "exe_file", 8, &l.exe)) ||
	    (err = rf_run_member(run, "file", "f_path.dentry", 8, &l.dentry)) ||
	    (err = lay_out_names(run, &l.names)))
		return err;
	return rf_run_tasks(run, &l.tasks, look_at_thread, &l);
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
