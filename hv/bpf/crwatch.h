/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control-register watch of this host: one BPF program (cr.bpf.c), loaded once and pinned below
 * /sys/fs/bpf/ringfence, whoever many VMs there are. For the `ringfence` command as root; the fence
 * only ever sees the page of its own VM. Not thread-safe.
 *
 * Who may do what: pins and map are root's, in a folder that root alone enters (folder.c). A page
 * is its VMM's as well, which may write all of it, whatever took it over: nothing in a page is
 * believed here, and the program takes from it only what concerns that process's own threads and
 * vCPUs. Whose page it is says the map, by the kernel's id of it.
 *
 * Every failure puts one sentence into `why`, RF_CRWATCH_WHY bytes. Nothing is left changed by it.
 */
#ifndef RF_HV_BPF_CRWATCH_H
#define RF_HV_BPF_CRWATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hv/vmx/crwatch.h"

#define RF_CRWATCH_WHY 256
#define RF_CRWATCH_BPFFS "/sys/fs/bpf"
#define RF_CRWATCH_FOLDER 64
#define RF_CRWATCH_LINKS 2 /* of kvm_set_cr0() and kvm_set_cr4() */
/* For a lock that others hold: as long as it takes them to load, attach and prove. */
#define RF_CRWATCH_WAIT_MS 5000

/* The watch, opened. */
struct rf_crwatch {
	int vms; /* the map of VMs, -1 none */
	/* The kernel's, of what was pinned when it was opened. */
	uint32_t vms_id, links[RF_CRWATCH_LINKS];
	char folder[RF_CRWATCH_FOLDER]; /* where it is pinned */
};

/* A page for one VM. */
struct rf_crwatch_page {
	struct rf_cr_page *page; /* NULL none */
	int fd;			 /* its map, -1 none */
	uint32_t id;		 /* the kernel's of that */
};

#define RF_CRWATCH_NONE ((struct rf_crwatch){ .vms = -1 })
#define RF_CRWATCH_NO_PAGE ((struct rf_crwatch_page){ .fd = -1 })

/*
 * Finds the watch of this host or sets it up, and proves that it works with a VM of a few
 * instructions on `kvm`; a watch that does not (KVM was unloaded since) is attached anew. It waits
 * wait_ms for others who do the same. 0, -EPERM (no right to), -EACCES (others than root have a
 * hand in the folder), -EAGAIN (somebody holds the lock), -EBUSY (what is pinned there is none of
 * ours) or another -errno. *out is the caller's to close, and untouched on failure.
 */
int rf_crwatch_open(const char *kvm, uint32_t wait_ms, struct rf_crwatch *out, char *why);
void rf_crwatch_close(struct rf_crwatch *w);
/* The same without leaving anything behind: does a watch work here? *there: is one pinned? */
int rf_crwatch_try(const char *kvm, bool *there, char *why);
/*
 * Is it still there; and is `page` in it as that of `pid`, which is not reaped yet? A look at the
 * pins and the map, cheap enough for each second: that the probes fire was proven when it was
 * opened. 0 or -ENOENT.
 */
int rf_crwatch_check(const struct rf_crwatch *w, char *why);
int rf_crwatch_check_place(const struct rf_crwatch *w, pid_t pid, uint32_t page, char *why);

/* Is this another process-id namespace than the host's own? Then no process is found by its id. */
bool rf_crwatch_own_namespace(void);

/*
 * `pid` becomes the one that the page is for, until rf_crwatch_leave() or its end. It is not reaped
 * yet. Where there is another page for it -EEXIST, but with `replace`. It locks as
 * rf_crwatch_open() does, since whoever sweeps must not take a process that has just got a dead
 * one's id for that one. 0 or -errno.
 */
int rf_crwatch_enter(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *page,
		     bool replace, uint32_t wait_ms, char *why);
/* Takes it off, if this page is the one that is there; else, or where the lock is not to be had, it
 * is swept when pid is no more. */
void rf_crwatch_leave(const struct rf_crwatch *w, pid_t pid, uint32_t page);
/* Who is on the map, room of them at most: how many. */
unsigned int rf_crwatch_list(const struct rf_crwatch *w, pid_t *out, unsigned int room);
/* The page of one of them, the caller's to destroy; hold the process by a pidfd before. 0, or
 * -errno: none is there any more, or it was of an earlier process of that id, and is taken off. */
int rf_crwatch_found(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *out);

/* --- proof.c -------------------------------------------------------------- */
/*
 * A guest of two instructions clears CR4.PAE and stops: 0 when KVM_RUN came back right behind the
 * first, -ENOTSUP when the guest ran on, else -errno of KVM. vms: where the calling process is
 * entered meanwhile.
 */
int rf_crwatch_prove(const char *kvm, int vms);

/* --- vms.c ---------------------------------------------------------------- */
/* A page for one VM, mapped. 0 or -errno. */
int rf_crwatch_page_create(struct rf_crwatch_page *out);
/* One that somebody else has made, of a descriptor that may be anything; the caller's all the same.
 * 0 or -EINVAL. */
int rf_crwatch_page_open(int fd, struct rf_crwatch_page *out);
void rf_crwatch_page_destroy(struct rf_crwatch_page *p);

#endif
