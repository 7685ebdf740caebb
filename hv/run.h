/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM_RUN in three files: what an exit says (exit.c), what becomes of a verdict (enforce.c), the
 * loop (run.c). All by the vCPU's own thread. */
#ifndef RF_HV_RUN_H
#define RF_HV_RUN_H

#include "hv/vm.h"
#include "hv/vmx/decode.h"

/* --- exit.c ------------------------------------------------------------------ */
void rf_exit_save(const struct rf_vcpu *v, struct rf_saved_exit *s);
/* Gives it back to kvm_run and forgets it. */
void rf_exit_restore(struct rf_vcpu *v, struct rf_saved_exit *s);
/* Out of kvm_run, once. */
struct rf_exit rf_exit_copy(struct rf_vcpu *v);
/* Inside the gate, or with rf_vm.lock held: overlays change only with the lock held and every vCPU
 * outside. */
enum rf_decoded rf_exit_decode(const struct rf_exit *e);
/* Takes the lock. */
enum rf_decoded rf_exit_decode_outside(const struct rf_exit *e);
/*
 * Lets KVM hand out the rest of the store without running the guest: with immediate_exit set,
 * KVM_RUN completes the pending part, then exits with the next one or returns -EINTR when there is
 * none (api.rst, KVM_RUN). The parts that follow in sealed memory are added to the event. True when
 * an exit that is not ours stands in kvm_run.
 */
bool rf_exit_drain(struct rf_vcpu *v, struct rf_msg_event *ev);

/* --- enforce.c --------------------------------------------------------------- */
enum rf_next { RF_AGAIN, RF_TO_VMM };

void rf_event_new(struct rf_vcpu *v);
/* v->wait.event, filled in but for what all events have. From here on the vCPU waits. */
void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind);
/* The verdict is there. RF_TO_VMM when an exit stands in kvm_run that the VMM must see. */
enum rf_next rf_enforce(struct rf_vcpu *v);
/*
 * KVM without EXIT_ON_EMULATION_FAILURE gives user mode a #UD instead of an exit (x86.c
 * handle_emulation_failure()); a VMM that did not ask for the capability expects that.
 */
bool rf_vmm_expects_ud(const struct rf_vcpu_regs *regs);

#endif
