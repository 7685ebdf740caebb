// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes on the watch's map of VMs, each with its page. Of the program itself nothing is known
 * here. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

int rf_crwatch_page_create(struct rf_crwatch_page *out)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	/* As the outer map's template: kernel/bpf/map_in_map.c bpf_map_meta_equal(), and arrays'
	 * max_entries (kernel/bpf/arraymap.c array_map_meta_equal()). */
	struct rf_crwatch_page p = { .fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rf_cr_page",
							  sizeof(__u32), sizeof(struct rf_cr_page),
							  1, &options) };
	struct bpf_map_info info;
	int err;

	if (p.fd < 0)
		return -errno;
	err = rf_crwatch_info(p.fd, &info, sizeof(info));
	if (!err) {
		p.page = mmap(NULL, sizeof(*p.page), PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
		err = p.page == MAP_FAILED ? -errno : 0;
	}
	if (err) {
		close(p.fd);
		return err;
	}
	p.id = info.id;
	p.page->magic = RF_CR_MAGIC;
	p.page->revision = RF_CR_REVISION;
	*out = p;
	return 0;
}

int rf_crwatch_page_open(int fd, struct rf_crwatch_page *out)
{
	struct rf_crwatch_page p = { .fd = -1 };
	char path[32], is[32] = "";
	struct bpf_map_info info;
	int err = 0;

	/* Programs and links answer as maps do, with ids of their own. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || readlink(path, is, sizeof(is) - 1) < 0 ||
	    strcmp(is, "anon_inode:bpf-map") != 0 || rf_crwatch_info(fd, &info, sizeof(info)) ||
	    info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(*p.page) ||
	    info.max_entries != 1 || !(info.map_flags & BPF_F_MMAPABLE))
		return -EINVAL;
	p.id = info.id;
	p.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (p.fd < 0)
		return -errno;
	p.page = mmap(NULL, sizeof(*p.page), PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
	if (p.page == MAP_FAILED) {
		err = -errno;
		close(p.fd);
		return err;
	}
	*out = p;
	return 0;
}

void rf_crwatch_page_destroy(struct rf_crwatch_page *p)
{
	if (p->page)
		munmap(p->page, sizeof(*p->page));
	if (p->fd >= 0)
		close(p->fd);
	*p = RF_CRWATCH_NO_PAGE;
}

/* Field 22 of proc(5) stat, the start in ticks since boot. The name may hold anything, ')' too. */
int rf_vms_started(pid_t pid, unsigned long long *ticks)
{
	char path[32], text[1024], *end;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && sscanf(end + 1,
			     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
			     " %*d %*d %llu",
			     ticks) == 1
		       ? 0
		       : -EBADMSG;
}

int rf_vms_enter(int vms, pid_t pid, struct rf_crwatch_page *page)
{
	unsigned long long ticks;
	__u32 key = (__u32)pid;
	int err = rf_vms_started(pid, &ticks);

	if (err)
		return err;
	page->page->started = ticks;
	return bpf_map_update_elem(vms, &key, &page->fd, BPF_ANY) ? -errno : 0;
}

/* Read, the map's values are ids (kernel/bpf/map_in_map.c bpf_map_fd_sys_lookup_elem()). */
uint32_t rf_vms_page(int vms, pid_t pid)
{
	__u32 key = (__u32)pid, id;

	return bpf_map_lookup_elem(vms, &key, &id) ? 0 : id;
}

void rf_vms_remove(int vms, pid_t pid, uint32_t page)
{
	__u32 key = (__u32)pid;

	if (page && rf_vms_page(vms, pid) == page)
		bpf_map_delete_elem(vms, &key);
}

/* Bounded: keys may come and go meanwhile. */
#define KEYS_MAX 8192

static void sweep_one(int vms, __u32 key)
{
	uint32_t page = rf_vms_page(vms, (pid_t)key);

	if (kill((pid_t)key, 0) && errno == ESRCH)
		rf_vms_remove(vms, (pid_t)key, page);
}

void rf_vms_sweep(int vms)
{
	__u32 key, next, *from = NULL;

	for (int i = 0; i < KEYS_MAX && !bpf_map_get_next_key(vms, from, &next); i++) {
		if (from)
			sweep_one(vms, key);
		key = next;
		from = &key;
	}
	if (from)
		sweep_one(vms, key);
}
