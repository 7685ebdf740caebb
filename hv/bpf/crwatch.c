// SPDX-License-Identifier: LGPL-2.1-or-later
/* Loads the watch once per host, finds it again, and has it proved. */
#include "hv/bpf/crwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#define BPFFS "/sys/fs/bpf"
#define FOLDER BPFFS "/ringfence"
/* /proc's inode of the init process-id namespace (include/linux/proc_ns.h PROC_PID_INIT_INO). */
#define INIT_PID_NS 0xeffffffcu

/* cr.bpf.o, linked in. */
extern const char _binary_cr_bpf_o_start[], _binary_cr_bpf_o_end[];

static const char *const program_names[] = { "rf_cr0", "rf_cr4" };
#define PROGRAMS 2

struct loaded {
	struct bpf_object *object;
	int programs[PROGRAMS];
	struct bpf_prog_info info[PROGRAMS];
	int vms;
	char folder[64]; /* by the program's tag: releases side by side do not meet */
};

/* What libbpf said last, for `why`. */
static char last_words[RF_CRWATCH_WHY];

__attribute__((format(printf, 2, 0))) static int listen_to(enum libbpf_print_level level,
							   const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !last_words[0]) {
		vsnprintf(last_words, sizeof(last_words), format, args);
		last_words[strcspn(last_words, "\n")] = '\0';
	}
	return 0;
}

__attribute__((format(printf, 3, 4))) static int tell(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, RF_CRWATCH_WHY, format, args);
	va_end(args);
	return err;
}

/* --- the program ---------------------------------------------------------- */

static int info_of(int fd, void *info, size_t size)
{
	__u32 len = (__u32)size;

	memset(info, 0, size);
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

static void unload(struct loaded *l)
{
	bpf_object__close(l->object); /* its programs and its map with it */
	l->object = NULL;
}

bool rf_crwatch_own_namespace(void)
{
	struct stat ns;

	return stat("/proc/self/ns/pid", &ns) || ns.st_ino != INIT_PID_NS;
}

/* Into the kernel, attached to nothing. */
static int load(struct loaded *l, char *why)
{
	const size_t size = (size_t)(_binary_cr_bpf_o_end - _binary_cr_bpf_o_start);
	int err;

	*l = (struct loaded){ .object = NULL };
	if (geteuid())
		return tell(why, -EPERM, "only root may load it");
	if (rf_crwatch_own_namespace())
		return tell(why, -EPERM,
			    "this is not the host's own process-id namespace: the program would "
			    "not know the VMM by the id it has here");
	libbpf_set_print(listen_to);
	last_words[0] = '\0';
	l->object = bpf_object__open_mem(_binary_cr_bpf_o_start, size, NULL);
	err = l->object ? bpf_object__load(l->object) : -errno;
	for (int i = 0; !err && i < PROGRAMS; i++) {
		l->programs[i] = bpf_program__fd(
			bpf_object__find_program_by_name(l->object, program_names[i]));
		err = info_of(l->programs[i], &l->info[i], sizeof(l->info[i]));
	}
	if (err) {
		unload(l);
		return tell(why, err, "the program does not load: %s",
			    last_words[0] ? last_words : strerror(-err));
	}
	l->vms = bpf_object__find_map_fd_by_name(l->object, "rf_cr_vms");
	snprintf(l->folder, sizeof(l->folder), FOLDER "/cr-");
	for (size_t i = 0; i < sizeof(l->info[0].tag); i++)
		snprintf(l->folder + strlen(l->folder), 3, "%02x", l->info[0].tag[i]);
	return 0;
}

static int attach(struct loaded *l, int i, struct bpf_link **out, char *why)
{
	struct bpf_program *p = bpf_object__find_program_by_name(l->object, program_names[i]);
	struct bpf_link *link;

	last_words[0] = '\0';
	link = bpf_program__attach(p);
	if (!link)
		return tell(why, -errno, "the program cannot be attached: %s",
			    last_words[0] ? last_words : strerror(errno));
	*out = link;
	return 0;
}

/* --- what is pinned ------------------------------------------------------- */

static void path_of(const struct loaded *l, const char *name, char path[96])
{
	snprintf(path, 96, "%s/%s", l->folder, name);
}

/* A host that cannot have the watch is left as it is: tried before anything is mounted. */
static int try_attach(struct loaded *l, char *why)
{
	int err = 0;

	for (int i = 0; !err && i < PROGRAMS; i++) {
		struct bpf_link *link;

		err = attach(l, i, &link, why);
		if (!err)
			bpf_link__destroy(link);
	}
	return err;
}

/* bpffs, then our folder in it, open for us alone and locked; the descriptor is the lock. */
static int open_folder(struct loaded *l, char *why)
{
	struct statfs fs;
	struct stat st;
	int fd;

	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC) {
		fd = try_attach(l, why);
		if (fd)
			return fd;
		if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
			return tell(why, -errno, "no BPF file system at " BPFFS ": %s",
				    strerror(errno));
	}
	if (mkdir(FOLDER, 0700) && errno != EEXIST)
		return tell(why, -errno, "cannot make " FOLDER ": %s", strerror(errno));
	fd = open(FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || flock(fd, LOCK_EX)) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return tell(why, err, "cannot lock " FOLDER ": %s", strerror(-err));
	}
	if (st.st_uid || st.st_mode & 022) {
		close(fd);
		return tell(why, -EBUSY, FOLDER " may be written by others than root");
	}
	if (mkdir(l->folder, 0700) && errno != EEXIST) {
		close(fd);
		return tell(why, -errno, "cannot make %s: %s", l->folder, strerror(errno));
	}
	return fd;
}

/* The map of VMs pinned by an earlier run: a descriptor, -ENOENT, or -EBUSY when it is another. */
static int pinned_map(const struct loaded *l, struct bpf_map_info *mine)
{
	struct bpf_map_info info;
	char path[96];
	int fd;

	path_of(l, "vms", path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBUSY;
	if (info_of(fd, &info, sizeof(info)) || info.type != mine->type ||
	    info.key_size != mine->key_size || info.value_size != mine->value_size ||
	    info.max_entries != mine->max_entries || strcmp(info.name, mine->name)) {
		close(fd);
		return -EBUSY;
	}
	*mine = info;
	return fd;
}

/* Is what is pinned as link i our program, on this map? 0, -ENOENT or -EBUSY. */
static int pinned_link(const struct loaded *l, int i, __u32 vms_id)
{
	struct bpf_prog_info info = { .nr_map_ids = 1 };
	__u32 len = sizeof(info), map_id = 0;
	struct bpf_link_info link;
	char path[96];
	int fd, program, err;

	path_of(l, program_names[i], path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBUSY;
	err = info_of(fd, &link, sizeof(link));
	close(fd);
	if (err || link.type != BPF_LINK_TYPE_PERF_EVENT)
		return -EBUSY;
	program = bpf_prog_get_fd_by_id(link.prog_id);
	if (program < 0)
		return -EBUSY;
	info.map_ids = (__u64)(unsigned long)&map_id;
	err = bpf_obj_get_info_by_fd(program, &info, &len);
	close(program);
	if (err || info.type != BPF_PROG_TYPE_KPROBE || strcmp(info.name, l->info[i].name) ||
	    memcmp(info.tag, l->info[i].tag, sizeof(info.tag)) || map_id != vms_id)
		return -EBUSY;
	return 0;
}

static int pin_link(struct loaded *l, int i, char *why)
{
	struct bpf_link *link = NULL;
	char path[96];
	int err = attach(l, i, &link, why);

	if (err)
		return err;
	path_of(l, program_names[i], path);
	/* Attached once more before the old one goes: no write in between is missed. */
	unlink(path);
	if (bpf_link__pin(link, path))
		err = tell(why, -errno, "cannot pin %s: %s", path, strerror(errno));
	bpf_link__destroy(link); /* the pinned one stays */
	return err;
}

/* Loads again on the map of an earlier run: a program keeps the map it was loaded with. */
static int reload_on(struct loaded *l, int vms, char *why)
{
	const size_t size = (size_t)(_binary_cr_bpf_o_end - _binary_cr_bpf_o_start);
	struct bpf_object *again = bpf_object__open_mem(_binary_cr_bpf_o_start, size, NULL);
	int err = again ? 0 : -errno;

	if (!err)
		err = bpf_map__reuse_fd(bpf_object__find_map_by_name(again, "rf_cr_vms"), vms);
	if (!err)
		err = bpf_object__load(again);
	if (err) {
		bpf_object__close(again);
		return tell(why, err, "the program does not load on the map that is pinned: %s",
			    strerror(-err));
	}
	unload(l);
	l->object = again;
	for (int i = 0; i < PROGRAMS; i++)
		l->programs[i] =
			bpf_program__fd(bpf_object__find_program_by_name(again, program_names[i]));
	return 0;
}

static int attach_all(struct loaded *l, int vms, char *why)
{
	int err = reload_on(l, vms, why);

	for (int i = 0; !err && i < PROGRAMS; i++)
		err = pin_link(l, i, why);
	return err;
}

/* The pinned watch, whole: its map, or -ENOENT when parts are missing, -EBUSY. *vms in any case. */
static int find(const struct loaded *l, int *vms, char *why)
{
	struct bpf_map_info map;
	int err = info_of(l->vms, &map, sizeof(map)), fd;

	*vms = -1;
	if (err)
		return tell(why, err, "the map cannot be asked: %s", strerror(-err));
	fd = pinned_map(l, &map);
	for (int i = 0; fd >= 0 && !err && i < PROGRAMS; i++)
		err = pinned_link(l, i, map.id);
	if (fd == -EBUSY || err == -EBUSY) {
		if (fd >= 0)
			close(fd);
		return tell(why, -EBUSY, "what is pinned in %s is not this program", l->folder);
	}
	*vms = fd >= 0 ? fd : -1;
	return fd < 0 ? fd : err;
}

/* Pins map and links as far as they are missing; *vms is the map. */
static int complete(struct loaded *l, int *vms, char *why)
{
	char path[96];
	int err = find(l, vms, why);
	bool fresh = *vms < 0;

	if (err != -ENOENT)
		return err;
	path_of(l, "vms", path);
	if (fresh) {
		*vms = fcntl(l->vms, F_DUPFD_CLOEXEC, 3);
		if (*vms < 0 || bpf_obj_pin(l->vms, path))
			return tell(why, -errno, "cannot pin %s: %s", path, strerror(errno));
	}
	err = attach_all(l, *vms, why);
	if (err && fresh) {
		unlink(path);
		for (int i = 0; i < PROGRAMS; i++) {
			path_of(l, program_names[i], path);
			unlink(path);
		}
		rmdir(l->folder);
	}
	return err;
}

static int disproved(char *why, int err)
{
	return tell(why, err,
		    err == -ENOTSUP ? "a guest of its own cleared a bit of CR4 and ran on"
				    : "it could not be tried on KVM: %s",
		    strerror(-err));
}

int rf_crwatch_open(const char *kvm, int *out, char *why)
{
	struct loaded l;
	int lock, vms = -1, err = load(&l, why);

	if (err)
		return err;
	lock = open_folder(&l, why);
	err = lock < 0 ? lock : complete(&l, &vms, why);
	if (!err) {
		rf_crwatch_sweep(vms);
		err = rf_crwatch_prove(kvm, vms);
		/* Probes go with the module they stand in (kernel/kprobes.c
		 * kprobes_module_callback()) and do not come back with it. */
		if (err == -ENOTSUP && !attach_all(&l, vms, why))
			err = rf_crwatch_prove(kvm, vms);
		if (err)
			disproved(why, err);
	}
	if (lock >= 0)
		close(lock);
	unload(&l);
	if (err) {
		if (vms >= 0)
			close(vms);
		return err;
	}
	*out = vms;
	return 0;
}

int rf_crwatch_try(const char *kvm, bool *there, char *why)
{
	struct bpf_link *links[PROGRAMS] = { NULL };
	struct loaded l;
	int vms = -1, err = load(&l, why);

	*there = false;
	if (err)
		return err;
	err = find(&l, &vms, why);
	*there = !err;
	/* As if there were none: attached for as long as the question takes. */
	if (err == -ENOENT) {
		err = 0;
		for (int i = 0; !err && i < PROGRAMS; i++)
			err = attach(&l, i, &links[i], why);
	}
	if (!err) {
		err = rf_crwatch_prove(kvm, *there ? vms : l.vms);
		if (err)
			disproved(why, err);
	}
	for (int i = 0; i < PROGRAMS; i++)
		bpf_link__destroy(links[i]);
	if (vms >= 0)
		close(vms);
	unload(&l);
	return err;
}
