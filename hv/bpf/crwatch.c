// SPDX-License-Identifier: LGPL-2.1-or-later
/* Loads the watch once per host, finds it again, has it proved, and looks whether it is there. */
#include "hv/bpf/crwatch.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "hv/bpf/impl.h"

#define LEAVE_MS 500

/* All of them, until detach(). */
static int try_attach(struct rf_crwatch_program *p, struct bpf_link *links[RF_CRWATCH_LINKS],
		      char *why)
{
	int err = 0;

	for (int i = 0; !err && i < RF_CRWATCH_LINKS; i++)
		err = rf_crwatch_attach(p, i, &links[i], why);
	return err;
}

static void detach(struct bpf_link *links[RF_CRWATCH_LINKS])
{
	for (int i = 0; i < RF_CRWATCH_LINKS; i++) {
		bpf_link__destroy(links[i]);
		links[i] = NULL;
	}
}

static bool is_mounted(void)
{
	struct statfs fs;

	return !statfs(RF_CRWATCH_BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* A host that cannot have the watch is left as it is: tried before anything is mounted. */
static int mount_bpffs(struct rf_crwatch_program *p, char *why)
{
	struct bpf_link *links[RF_CRWATCH_LINKS] = { NULL };
	int err;

	if (is_mounted())
		return 0;
	err = try_attach(p, links, why);
	detach(links);
	if (!err &&
	    mount("bpf", RF_CRWATCH_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		err = rf_crwatch_tell(why, -errno, "no BPF file system at " RF_CRWATCH_BPFFS ": %s",
				      strerror(errno));
	return err;
}

static int disproved(char *why, int err)
{
	return rf_crwatch_tell(why, err,
			       err == -ENOTSUP
				       ? "a guest of its own cleared a bit of CR4 and ran on"
				       : "it could not be tried on KVM: %s",
			       strerror(-err));
}

/* With the lock: finds or pins it, and proves it. */
static int set_up(struct rf_crwatch_program *p, const char *kvm, struct rf_crwatch *w, char *why)
{
	int err;

	if (mkdir(w->folder, 0700) && errno != EEXIST)
		return rf_crwatch_tell(why, -errno, "cannot make %s: %s", w->folder,
				       strerror(errno));
	err = rf_crwatch_find(w, p->info, why);
	if (err == -ENOENT)
		err = rf_crwatch_pin(p, w, why);
	if (err)
		return err;
	rf_vms_sweep(w->vms);
	err = rf_crwatch_prove(kvm, w->vms);
	/* Probes go with the module they stand in (kernel/kprobes.c kprobes_module_callback()) and
	 * do not come back with it. */
	if (err == -ENOTSUP && !rf_crwatch_pin(p, w, why))
		err = rf_crwatch_prove(kvm, w->vms);
	return err ? disproved(why, err) : 0;
}

int rf_crwatch_open(const char *kvm, uint32_t wait_ms, struct rf_crwatch *out, char *why)
{
	struct rf_crwatch w = RF_CRWATCH_NONE;
	struct rf_crwatch_program p;
	int lock = -1, err = rf_crwatch_load(&p, why);

	if (err)
		return err;
	rf_crwatch_place(&p, w.folder);
	err = mount_bpffs(&p, why);
	if (!err) {
		lock = rf_crwatch_folder(true, wait_ms, why);
		err = lock < 0 ? lock : set_up(&p, kvm, &w, why);
	}
	if (lock >= 0)
		close(lock);
	rf_crwatch_unload(&p);
	if (err)
		rf_crwatch_close(&w);
	else
		*out = w;
	return err;
}

void rf_crwatch_close(struct rf_crwatch *w)
{
	if (w->vms >= 0)
		close(w->vms);
	*w = RF_CRWATCH_NONE;
}

/* What is pinned, if it is in a folder of root's alone. As rf_crwatch_find(). */
static int find_pinned(const struct rf_crwatch_program *p, struct rf_crwatch *w, char *why)
{
	int lock, err;

	if (!is_mounted())
		return -ENOENT;
	lock = rf_crwatch_folder(false, RF_CRWATCH_WAIT_MS, why);
	if (lock < 0)
		return lock;
	err = rf_crwatch_find(w, p->info, why);
	close(lock);
	return err;
}

int rf_crwatch_try(const char *kvm, bool *there, char *why)
{
	struct bpf_link *links[RF_CRWATCH_LINKS] = { NULL };
	struct rf_crwatch w = RF_CRWATCH_NONE;
	struct rf_crwatch_program p;
	int err = rf_crwatch_load(&p, why);

	*there = false;
	if (err)
		return err;
	rf_crwatch_place(&p, w.folder);
	err = find_pinned(&p, &w, why);
	*there = !err;
	if (err == -ENOENT)
		err = try_attach(&p, links, why); /* as if there were none */
	if (!err) {
		err = rf_crwatch_prove(kvm, *there ? w.vms : p.vms);
		if (err)
			disproved(why, err);
	}
	detach(links);
	rf_crwatch_close(&w);
	rf_crwatch_unload(&p);
	return err;
}

int rf_crwatch_check_place(const struct rf_crwatch *w, pid_t pid, uint32_t page, char *why)
{
	if (rf_vms_page(w->vms, pid) == page)
		return 0;
	return rf_crwatch_tell(why, -ENOENT, "process %d is not in its map with its own page",
			       (int)pid);
}

int rf_crwatch_enter(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *page,
		     bool replace, uint32_t wait_ms, char *why)
{
	int lock = rf_crwatch_folder(false, wait_ms, why), err;
	uint32_t there;

	if (lock < 0)
		return lock;
	there = replace ? 0 : rf_vms_page(w->vms, pid);
	err = !there ? rf_vms_enter(w->vms, pid, page) : there == page->id ? 0 : -EEXIST;
	close(lock);
	return err ? rf_crwatch_tell(why, err, "process %d cannot be entered: %s", (int)pid,
				     strerror(-err))
		   : 0;
}

void rf_crwatch_leave(const struct rf_crwatch *w, pid_t pid, uint32_t page)
{
	char why[RF_CRWATCH_WHY];
	int lock = w->vms < 0 ? -1 : rf_crwatch_folder(false, LEAVE_MS, why);

	if (lock < 0)
		return;
	rf_vms_remove(w->vms, pid, page);
	close(lock);
}
