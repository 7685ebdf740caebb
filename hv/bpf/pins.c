// SPDX-License-Identifier: LGPL-2.1-or-later
/* The watch as it is pinned: the map of VMs, and a link for each program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

#define PATH_ROOM (RF_CRWATCH_FOLDER + 16)

static void path_of(const struct rf_crwatch *w, const char *name, char path[PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%s/%s", w->folder, name);
}

void rf_crwatch_place(const struct rf_crwatch_program *p, char folder[RF_CRWATCH_FOLDER])
{
	size_t len = (size_t)snprintf(folder, RF_CRWATCH_FOLDER, RF_CRWATCH_BPFFS "/ringfence/cr-");

	for (size_t i = 0; i < sizeof(p->info[0].tag); i++, len += 2)
		snprintf(folder + len, 3, "%02x", p->info[0].tag[i]);
}

/* --- what is there --------------------------------------------------------- */

static int opened(const struct rf_crwatch *w, const char *name)
{
	char path[PATH_ROOM];
	int fd;

	path_of(w, name, path);
	fd = bpf_obj_get(path);
	return fd >= 0 ? fd : errno == ENOENT ? -ENOENT : -EBUSY;
}

/* A descriptor, -ENOENT, or -EBUSY when it is no such map. Only root loads programs that use it, so
 * its shape says enough. */
static int pinned_map(struct rf_crwatch *w)
{
	int fd = opened(w, "vms");
	struct bpf_map_info info;

	if (fd < 0)
		return fd;
	if (rf_crwatch_info(fd, &info, sizeof(info)) || info.type != BPF_MAP_TYPE_HASH_OF_MAPS ||
	    info.key_size != sizeof(__u32) || info.value_size != sizeof(__u32) ||
	    strcmp(info.name, "rf_cr_vms") != 0) {
		close(fd);
		return -EBUSY;
	}
	w->vms_id = info.id;
	return fd;
}

/* Is what is pinned as link i this program, on the map? 0, -ENOENT or -EBUSY. */
static int pinned_link(struct rf_crwatch *w, int i, const struct bpf_prog_info *wanted)
{
	struct bpf_prog_info info = { .nr_map_ids = 1 };
	__u32 len = sizeof(info), map_id = 0;
	int fd = opened(w, rf_crwatch_names[i]), program, err;
	struct bpf_link_info link;

	if (fd < 0)
		return fd;
	err = rf_crwatch_info(fd, &link, sizeof(link));
	close(fd);
	if (err || link.type != BPF_LINK_TYPE_PERF_EVENT)
		return -EBUSY;
	program = bpf_prog_get_fd_by_id(link.prog_id);
	if (program < 0)
		return -EBUSY;
	info.map_ids = (__u64)(unsigned long)&map_id;
	err = bpf_obj_get_info_by_fd(program, &info, &len);
	close(program);
	if (err || info.type != BPF_PROG_TYPE_KPROBE || strcmp(info.name, wanted->name) != 0 ||
	    memcmp(info.tag, wanted->tag, sizeof(info.tag)) != 0 || map_id != w->vms_id)
		return -EBUSY;
	w->links[i] = link.id;
	return 0;
}

int rf_crwatch_find(struct rf_crwatch *w, const struct bpf_prog_info info[RF_CRWATCH_LINKS],
		    char *why)
{
	int err = 0;

	w->vms = pinned_map(w);
	for (int i = 0; w->vms >= 0 && !err && i < RF_CRWATCH_LINKS; i++)
		err = pinned_link(w, i, &info[i]);
	if (w->vms == -EBUSY || err == -EBUSY) {
		if (w->vms >= 0)
			close(w->vms);
		w->vms = -1;
		return rf_crwatch_tell(why, -EBUSY, "what is pinned in %s is not this program",
				       w->folder);
	}
	if (w->vms < 0) {
		w->vms = -1;
		err = -ENOENT;
	}
	return err ? rf_crwatch_tell(why, err, "nothing, or not all, is pinned in %s", w->folder)
		   : 0;
}

/* Do the pins still lead to what they led to when it was opened? Their ids are the kernel's, and no
 * other object gets them while these live (kernel/bpf/syscall.c bpf_map_alloc_id(),
 * bpf_link_prime(): cyclic). */
int rf_crwatch_check(const struct rf_crwatch *w, char *why)
{
	struct bpf_link_info link = { .id = 0 };
	struct bpf_map_info map = { .id = 0 };
	int fd = opened(w, "vms");

	if (fd >= 0) {
		rf_crwatch_info(fd, &map, sizeof(map));
		close(fd);
	}
	if (map.id != w->vms_id)
		return rf_crwatch_tell(why, -ENOENT, "its map is not pinned in %s any more",
				       w->folder);
	for (int i = 0; i < RF_CRWATCH_LINKS; i++) {
		fd = opened(w, rf_crwatch_names[i]);
		link.id = 0;
		if (fd >= 0) {
			rf_crwatch_info(fd, &link, sizeof(link));
			close(fd);
		}
		if (link.id != w->links[i])
			return rf_crwatch_tell(why, -ENOENT, "its %s is not pinned in %s any more",
					       rf_crwatch_names[i], w->folder);
	}
	return 0;
}

/* --- pinning ---------------------------------------------------------------- */

/*
 * Attached once more, pinned beside the old one and then moved over it: the old one goes when the
 * new one has held, and its name always leads to one of them (rename(2); kernel/bpf/inode.c
 * bpf_dir_iops, .rename = simple_rename). No name there has a dot (bpf_lookup()).
 */
static int pin_link(struct rf_crwatch_program *p, struct rf_crwatch *w, int i, char *why)
{
	char path[PATH_ROOM], fresh[PATH_ROOM + 4];
	struct bpf_link_info info;
	struct bpf_link *link = NULL;
	int err = rf_crwatch_attach(p, i, &link, why);

	if (err)
		return err;
	path_of(w, rf_crwatch_names[i], path);
	snprintf(fresh, sizeof(fresh), "%s-new", path);
	unlink(fresh); /* of one that was killed here */
	err = bpf_link__pin(link, fresh);
	if (!err && rename(fresh, path))
		err = -errno;
	if (!err)
		err = rf_crwatch_info(bpf_link__fd(link), &info, sizeof(info));
	if (err) {
		rf_crwatch_tell(why, err, "cannot pin %s: %s", path, strerror(-err));
		unlink(fresh);
	} else {
		w->links[i] = info.id;
	}
	bpf_link__destroy(link); /* the pinned one stays */
	return err;
}

/* Of a watch that never was: its map and its first links. Others' are left. */
static void undo(struct rf_crwatch *w, int links)
{
	char path[PATH_ROOM];

	path_of(w, "vms", path);
	unlink(path);
	for (int i = 0; i < links; i++) {
		path_of(w, rf_crwatch_names[i], path);
		unlink(path);
	}
	rmdir(w->folder);
	close(w->vms);
	w->vms = -1;
}

static int pin_map(struct rf_crwatch_program *p, struct rf_crwatch *w, char *why)
{
	struct bpf_map_info info;
	char path[PATH_ROOM];
	int err = rf_crwatch_info(p->vms, &info, sizeof(info));

	path_of(w, "vms", path);
	if (!err && bpf_obj_pin(p->vms, path))
		err = -errno;
	if (!err) {
		w->vms = fcntl(p->vms, F_DUPFD_CLOEXEC, 3);
		err = w->vms < 0 ? -errno : 0;
	}
	if (err)
		return rf_crwatch_tell(why, err, "cannot pin %s: %s", path, strerror(-err));
	w->vms_id = info.id;
	return 0;
}

int rf_crwatch_pin(struct rf_crwatch_program *p, struct rf_crwatch *w, char *why)
{
	bool fresh = w->vms < 0;
	int err = fresh ? pin_map(p, w, why) : 0, done = 0;

	if (err)
		return err;
	err = rf_crwatch_load_on(p, w->vms, why);
	while (!err && done < RF_CRWATCH_LINKS) {
		err = pin_link(p, w, done, why);
		done += !err;
	}
	if (err && fresh)
		undo(w, done);
	return err;
}
