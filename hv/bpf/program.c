// SPDX-License-Identifier: LGPL-2.1-or-later
/* The watch's program (cr.bpf.c), linked in: into the kernel and onto its functions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

/* /proc's inode of the init process-id namespace (include/linux/proc_ns.h PROC_PID_INIT_INO). */
#define INIT_PID_NS 0xeffffffcu

extern const char _binary_cr_bpf_o_start[], _binary_cr_bpf_o_end[];

const char *const rf_crwatch_names[RF_CRWATCH_LINKS] = { "rf_cr0", "rf_cr4" };

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

int rf_crwatch_info(int fd, void *info, size_t size)
{
	__u32 len = (__u32)size;

	memset(info, 0, size);
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

bool rf_crwatch_own_namespace(void)
{
	struct stat ns;

	return stat("/proc/self/ns/pid", &ns) || ns.st_ino != INIT_PID_NS;
}

void rf_crwatch_unload(struct rf_crwatch_program *p)
{
	bpf_object__close(p->object); /* its programs and its map with it */
	p->object = NULL;
}

static struct bpf_program *program(const struct bpf_object *object, int i)
{
	return bpf_object__find_program_by_name(object, rf_crwatch_names[i]);
}

/* With the map `vms`, -1: one of its own. */
static int load(struct bpf_object **out, int vms)
{
	const size_t size = (size_t)(_binary_cr_bpf_o_end - _binary_cr_bpf_o_start);
	struct bpf_object *object = bpf_object__open_mem(_binary_cr_bpf_o_start, size, NULL);
	int err = object ? 0 : -errno;

	if (!err && vms >= 0)
		err = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "rf_cr_vms"), vms);
	if (!err)
		err = bpf_object__load(object);
	if (err) {
		bpf_object__close(object);
		return err;
	}
	*out = object;
	return 0;
}

int rf_crwatch_load(struct rf_crwatch_program *p, char *why)
{
	int err;

	*p = (struct rf_crwatch_program){ .object = NULL };
	if (geteuid())
		return rf_crwatch_tell(why, -EPERM, "only root may load it");
	if (rf_crwatch_own_namespace())
		return rf_crwatch_tell(why, -EPERM,
				       "this is not the host's own process-id namespace: the "
				       "program would not know the VMM by the id it has here");
	libbpf_set_print(listen_to);
	last_words[0] = '\0';
	err = load(&p->object, -1);
	for (int i = 0; !err && i < RF_CRWATCH_LINKS; i++)
		err = rf_crwatch_info(bpf_program__fd(program(p->object, i)), &p->info[i],
				      sizeof(p->info[i]));
	if (err) {
		rf_crwatch_unload(p);
		return rf_crwatch_tell(why, err, "the program does not load: %s",
				       last_words[0] ? last_words : strerror(-err));
	}
	p->vms = bpf_object__find_map_fd_by_name(p->object, "rf_cr_vms");
	return 0;
}

int rf_crwatch_load_on(struct rf_crwatch_program *p, int vms, char *why)
{
	struct bpf_object *again;
	int err = load(&again, vms);

	if (err)
		return rf_crwatch_tell(why, err,
				       "the program does not load on the map that is pinned: %s",
				       strerror(-err));
	rf_crwatch_unload(p);
	p->object = again;
	p->vms = bpf_object__find_map_fd_by_name(again, "rf_cr_vms");
	return 0;
}

int rf_crwatch_attach(struct rf_crwatch_program *p, int i, struct bpf_link **out, char *why)
{
	struct bpf_link *link;

	last_words[0] = '\0';
	link = bpf_program__attach(program(p->object, i));
	if (!link)
		return rf_crwatch_tell(why, -errno, "the program cannot be attached: %s",
				       last_words[0] ? last_words : strerror(errno));
	*out = link;
	return 0;
}
