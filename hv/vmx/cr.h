/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CR0 and CR4, pinned with the help of the host's watch (hv/vmx/crwatch.h). */
#ifndef RF_HV_VMX_CR_H
#define RF_HV_VMX_CR_H

#include "hv/vmx/crwatch.h"
#include "hv/vcpu.h"

/* Takes this VM's page out of the environment. 0, also without one; -EINVAL: it is not one. After
 * the gate's init. */
int rf_cr_init(void);
bool rf_cr_watched(void);
/* Of these bits, those that `boot` has set now; again: or were pinned before the last release, as
 * which CPU wakes up, and with what, is not the kernel's choice. Every vCPU outside. 0, -EALREADY
 * or -errno. */
int rf_cr_pin(struct rf_vcpu *boot, uint64_t cr0, uint64_t cr4, bool again);
/* The guest was reset. Lock held. */
void rf_cr_unpin(void);
/* After KVM_RUN, by the vCPU's thread: puts back what the guest cleared, and notes it in
 * v->arch->cr. */
bool rf_cr_undo(struct rf_vcpu *v);
/*
 * Where there is no watch, and for what VMX keeps from it: called now and then, at times that the
 * guest does not choose, with what a vCPU that has paging on holds. Bits that are clear in two
 * looks in a row are put back as above; in one, as a CPU that comes up has them for a moment
 * (secondary_startup_64 to cr4_init()). While it has no tables of the kernel's yet, and is slow,
 * eight looks are one.
 */
void rf_cr_look(struct rf_vcpu *v, uint64_t cr0, uint64_t cr4, bool comes_up);
/* Clears them for it after all. 0 or -errno. */
int rf_cr_let(struct rf_vcpu *v, uint64_t cr0_bits, uint64_t cr4_bits);
/* Every RF_CR_TICK_MS at most: gets vCPUs out whose signal was lost. */
void rf_cr_tick(void);
#define RF_CR_TICK_MS 100

#endif
