/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the watch share. Each failure puts one sentence into `why`, as in crwatch.h. */
#ifndef RF_HV_BPF_IMPL_H
#define RF_HV_BPF_IMPL_H

#include "hv/bpf/crwatch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

__attribute__((format(printf, 3, 4))) int rf_crwatch_tell(char *why, int err, const char *format,
							  ...);

/* --- folder.c ------------------------------------------------------------- */
/*
 * Our folder in the host's BPF file system, which root alone can enter, replace and lock: whose it
 * is, and who may write it and what it lies in, is looked at before the lock is asked for. The
 * descriptor is the lock (caller closes). make: it is made where it is missing, else -ENOENT.
 * -EACCES: others than root have a hand in it; -EAGAIN: locked by somebody for longer than wait_ms.
 */
int rf_crwatch_folder(bool make, uint32_t wait_ms, char *why);

/* --- program.c ------------------------------------------------------------ */
struct rf_crwatch_program {
	struct bpf_object *object;
	int vms; /* the map that it was loaded with */
	/* Of each program: what tells it from another one. */
	struct bpf_prog_info info[RF_CRWATCH_LINKS];
};

extern const char *const rf_crwatch_names[RF_CRWATCH_LINKS];

/* Into the kernel, attached to nothing. 0, -EPERM or another -errno. */
int rf_crwatch_load(struct rf_crwatch_program *p, char *why);
/* Again, on a map of an earlier one: a program keeps the map it was loaded with. */
int rf_crwatch_load_on(struct rf_crwatch_program *p, int vms, char *why);
void rf_crwatch_unload(struct rf_crwatch_program *p);
int rf_crwatch_attach(struct rf_crwatch_program *p, int i, struct bpf_link **out, char *why);
/* bpf_obj_get_info_by_fd(): 0 or -errno. */
int rf_crwatch_info(int fd, void *info, size_t size);

/* --- pins.c --------------------------------------------------------------- */
/* Where the pins of this program are: releases side by side do not meet. */
void rf_crwatch_place(const struct rf_crwatch_program *p, char folder[RF_CRWATCH_FOLDER]);
/*
 * The watch as it is pinned in w->folder: its map (caller closes) and ids into *w. 0; -ENOENT:
 * parts are missing, w->vms is -1 or the map that is there; -EBUSY: something else is pinned.
 */
int rf_crwatch_find(struct rf_crwatch *w, const struct bpf_prog_info info[RF_CRWATCH_LINKS],
		    char *why);
/* Pins the map where w->vms is -1, then every link anew; w as after rf_crwatch_find(). Lock
 * held. */
int rf_crwatch_pin(struct rf_crwatch_program *p, struct rf_crwatch *w, char *why);

/* --- vms.c ---------------------------------------------------------------- */
/* The map alone, without the lock. 0 or -errno. */
int rf_vms_enter(int vms, pid_t pid, struct rf_crwatch_page *page);
/* The id of the page that is there for it, 0 none. */
uint32_t rf_vms_page(int vms, pid_t pid);
/* In ticks since boot. 0 or -errno. */
int rf_vms_started(pid_t pid, unsigned long long *ticks);
void rf_vms_remove(int vms, pid_t pid, uint32_t page);
/* Takes processes off that are no more. Lock held. */
void rf_vms_sweep(int vms);

#endif
