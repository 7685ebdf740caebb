// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes on the watch's map of VMs, each with its page. Of the program itself nothing is known
 * here. */
#include "hv/bpf/crwatch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

int rf_crwatch_page(struct rf_cr_page **page, int *out)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	/* As the outer map's template: kernel/bpf/map_in_map.c bpf_map_meta_equal(), and arrays'
	 * max_entries (kernel/bpf/arraymap.c array_map_meta_equal()). */
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rf_cr_page", sizeof(__u32),
				sizeof(struct rf_cr_page), 1, &options);
	void *at;

	if (fd < 0)
		return -errno;
	at = mmap(NULL, sizeof(struct rf_cr_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		int err = -errno;

		close(fd);
		return err;
	}
	*page = at;
	(*page)->magic = RF_CR_MAGIC;
	(*page)->revision = RF_CR_REVISION;
	*out = fd;
	return 0;
}

/* Field 22 of proc(5) stat, the start in ticks since boot. The name may hold anything, ')' too. */
static int started(unsigned long long *ticks)
{
	char text[1024], *end;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n;

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

int rf_crwatch_enter(int vms, int fd, struct rf_cr_page *page)
{
	unsigned long long ticks;
	__u32 pid = (__u32)getpid();
	int err = started(&ticks);

	if (err)
		return err;
	page->started = ticks;
	return bpf_map_update_elem(vms, &pid, &fd, BPF_ANY) ? -errno : 0;
}

void rf_crwatch_remove(int vms, pid_t pid)
{
	__u32 key = (__u32)pid;

	bpf_map_delete_elem(vms, &key);
}

void rf_crwatch_sweep(int vms)
{
	__u32 key, next, *from = NULL;

	/* Bounded: keys may come and go meanwhile. */
	for (int i = 0; i < 8192 && !bpf_map_get_next_key(vms, from, &next); i++) {
		if (from && kill((pid_t)key, 0) && errno == ESRCH)
			rf_crwatch_remove(vms, (pid_t)key);
		key = next;
		from = &key;
	}
	if (from && kill((pid_t)key, 0) && errno == ESRCH)
		rf_crwatch_remove(vms, (pid_t)key);
}
