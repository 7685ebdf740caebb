/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control-register watch of this host: one BPF program (cr.bpf.c), loaded once and pinned below
 * /sys/fs/bpf/ringfence, whoever many VMs there are. For the `ringfence` command as root; the fence
 * only ever sees the page of its own VM. Not thread-safe.
 *
 * Every failure puts one sentence into `why`, RF_CRWATCH_WHY bytes. Nothing is left changed by it.
 */
#ifndef RF_HV_BPF_CRWATCH_H
#define RF_HV_BPF_CRWATCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "hv/vmx/crwatch.h"

#define RF_CRWATCH_WHY 256

/*
 * Finds the watch of this host or sets it up, and proves that it works with a VM of a few
 * instructions on `kvm`; a watch that does not (KVM was unloaded since) is attached anew. *vms gets
 * the map of VMs (caller closes). 0, -EPERM (no right to), -EBUSY (what is pinned there is none of
 * ours) or another -errno.
 */
int rf_crwatch_open(const char *kvm, int *vms, char *why);
/* The same without leaving anything behind: does a watch work here? *there: is one pinned? */
int rf_crwatch_try(const char *kvm, bool *there, char *why);

/* Is this another process-id namespace than the host's own? Then no process is found by its id. */
bool rf_crwatch_own_namespace(void);

/* --- proof.c -------------------------------------------------------------- */
/*
 * A guest of two instructions clears CR4.PAE and stops: 0 when KVM_RUN came back right behind the
 * first, -ENOTSUP when the guest ran on, else -errno of KVM. vms: where the calling process is
 * entered meanwhile.
 */
int rf_crwatch_prove(const char *kvm, int vms);

/* --- vms.c ---------------------------------------------------------------- */
/* A page for one VM: *page mapped (caller unmaps, if it ever does), *fd its map (caller closes). */
int rf_crwatch_page(struct rf_cr_page **page, int *fd);
/* The calling process becomes the one that the page is for, until rf_crwatch_remove() or its end.
 */
int rf_crwatch_enter(int vms, int fd, struct rf_cr_page *page);
void rf_crwatch_remove(int vms, pid_t pid);
/* Takes processes off the map that are no more. */
void rf_crwatch_sweep(int vms);

#endif
