/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every architecture's exits have in common: stores to guarded memory, and a kernel that comes
 * up. By the vCPU's own thread, outside the gate. */
#ifndef RF_HV_HANDLE_H
#define RF_HV_HANDLE_H

#include "hv/arch.h"

/* A store to sealed bytes that KVM has decoded; more of the instruction may follow. */
enum rf_next rf_on_sealed_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes,
				uint32_t len);
/* The same to the watched page. */
enum rf_next rf_on_watched_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes,
				 uint32_t len);
/*
 * KVM_RUN stopped at a store to the watched page that has not executed: steps over it. RF_TO_VMM:
 * *err, or the exit that stands in kvm_run, is still to be looked at; with RF_WAIT the moment to
 * seal was among it.
 */
enum rf_next rf_on_watched_step(struct rf_vcpu *v, int *err, bool *dispatch);
/* An instruction that KVM could not emulate: its bytes, where KVM gave them (len 0: not). */
enum rf_next rf_on_unemulated(struct rf_vcpu *v, const uint8_t *bytes, uint32_t len);
/*
 * The vCPU is to be given this system-call entry, by its own instruction (pending: the exit in
 * kvm_run waits for an answer) or by the VMM's load.
 */
enum rf_next rf_on_new_entry(struct rf_vcpu *v, uint64_t entry, bool pending);

#endif
