/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An exit of KVM_RUN, taken out and decoded. By the vCPU's own thread. */
#ifndef RF_HV_VMX_EXIT_H
#define RF_HV_VMX_EXIT_H

#include "hv/vmx/cpu.h"
#include "hv/vmx/decode.h"

/* Out of kvm_run, once. */
void rf_exit_copy(struct rf_vcpu *v, struct rf_exit *e);
/* Inside the gate, or with rf_vm.lock held: overlays change only with the lock held and every vCPU
 * outside. */
enum rf_decoded rf_exit_decode(const struct rf_exit *e);
/* Takes the lock. */
enum rf_decoded rf_exit_decode_outside(const struct rf_exit *e);

#endif
