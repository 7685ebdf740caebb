/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM's vCPUs: their table, what phase each is in, and the gate that keeps them out of the
 * guest.
 *
 * A vCPU is in one phase at a time. That it never enters the guest with a question open is not a
 * matter of care: entering is the step from RF_OUT to RF_IN, a question the one from RF_OUT to
 * RF_ASKING, and both end the VM when the phase is another.
 *
 *   RF_OUT --rf_gate_enter()--> RF_IN --rf_gate_leave()--> RF_OUT
 *   RF_OUT --rf_event_post()--> RF_ASKING --verdict--> RF_ANSWERED --rf_event_take()--> RF_OUT
 *   RF_ASKING, RF_ANSWERED --rf_event_drop()--> RF_OUT
 */
#ifndef RF_HV_VCPU_H
#define RF_HV_VCPU_H

#include <linux/kvm.h>
#include <stdatomic.h>

#include "hv/base.h"
#include "hv/proto.h"

static inline int rf_check_extension(int fd, uint32_t cap)
{
	return rf_kvm(fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);
}

#define RF_MAX_VCPUS 1024

enum rf_phase {
	RF_OUT = 0,  /* outside the guest, nothing asked */
	RF_IN,	     /* inside KVM_RUN, or about to be */
	RF_ASKING,   /* a question is open: no guest instruction runs here */
	RF_ANSWERED, /* its verdict is there, and not carried out yet */
};

/* kvm_run is shared with the VMM; this is what the fence takes out of it, and can give back. */
struct rf_saved_exit {
	uint32_t reason;   /* 0: nothing is saved */
	uint8_t data[256]; /* the union of struct kvm_run */
};

/* A vCPU's one question. Its own thread's in RF_OUT and RF_ANSWERED, else guarded by event.c. */
struct rf_wait {
	struct rf_msg_event event;
	struct rf_msg_verdict verdict;
	struct rf_saved_exit saved; /* to be given back to the VMM, or to KVM, with the answer */
	bool sent;		    /* the monitor that is connected has it */
	unsigned int tries;	    /* how often the table did not say what the monitor did */
};

struct rf_arch_vcpu; /* hv/arch.h: what an architecture keeps of a vCPU */

struct rf_vcpu {
	int fd;
	uint32_t id;
	struct kvm_run *run;
	struct rf_arch_vcpu *arch;
	_Atomic enum rf_phase phase;
	atomic_int tid;	   /* 0 until the first KVM_RUN */
	atomic_int kicked; /* our signal handler raised immediate_exit */
	struct rf_wait wait;
	/* The VMM's own loads of state, for life.c; its ioctls on one vCPU do not overlap. */
	atomic_bool loaded;	 /* the VMM has loaded what no guest makes it load */
	atomic_bool parked;	 /* the VMM has unplugged it */
	bool by_vmm;		 /* it had, when that was last looked at */
	atomic_bool overdue;	 /* is it of a kernel that runs unsealed for too long? To be seen */
	_Atomic(void *) vmm_run; /* where the VMM has its kvm_run */
	bool exited;		 /* its last KVM_RUN ended in an exit that the VMM deals with */
	bool chose; /* the guest, where it stands: by its last exit, whoever dealt with that */
	struct kvm_guest_debug vmm_debug;
};

extern struct rf_vcpu rf_vcpus[RF_MAX_VCPUS];
unsigned rf_vcpu_count(void);
/*
 * The VMM has mapped the kvm_run of the vCPU with that descriptor, or unmapped it: then it has
 * unplugged the vCPU, which KVM still has (QEMU accel/kvm/kvm-all.c kvm_destroy_vcpu() parks it).
 */
void rf_vcpu_mapped(int fd, void *run);
void rf_vcpu_unmapped(const void *run);
/* `v` goes through all vCPUs that there are. */
#define RF_EACH_VCPU(v)                                                                            \
	for (struct rf_vcpu *v = rf_vcpus, *v##_end = rf_vcpus + rf_vcpu_count(); v < v##_end; v++)

/* KVM_CREATE_VCPU. Result as the ioctl's, or -ENOMEM. One thread at a time. arch: of this vCPU. */
int rf_vcpu_create(uintptr_t id, struct rf_arch_vcpu *arch);
/* The vCPU with that descriptor, or NULL. */
struct rf_vcpu *rf_vcpu_of(int fd);

void rf_exit_save(const struct rf_vcpu *v, struct rf_saved_exit *s);
/* Gives it back to kvm_run and forgets it. */
void rf_exit_restore(struct rf_vcpu *v, struct rf_saved_exit *s);

/* --- the gate: gets every vCPU out of KVM_RUN and keeps it out -------------- */

int rf_gate_init(void);
/* Called around KVM_RUN by the vCPU's thread. -EINTR: the VMM wants the thread back. */
int rf_gate_enter(struct rf_vcpu *v);
void rf_gate_leave(struct rf_vcpu *v);
/* Returns with no vCPU in the guest; nests not. The caller may itself be a vCPU thread that
 * left. */
void rf_gate_close(void);
void rf_gate_open(void);
/* The signal that gets a vCPU out; the VMM's KVM_SET_SIGNAL_MASK must not block it. */
int rf_gate_signal(void);
/* Binds the calling thread to v before its KVM_RUN. */
void rf_gate_bind(struct rf_vcpu *v);
/* To be returned to the VMM for KVM_RUN: clears what our kick raised. Always -EINTR. */
int rf_gate_interrupted(struct rf_vcpu *v);
/* True when the VMM (or our kick) wants KVM_RUN to return. */
bool rf_gate_wanted(const struct rf_vcpu *v);
/* Makes KVM_RUN return to the VMM with -EINTR, once. Any thread. */
void rf_gate_kick(struct rf_vcpu *v);
/* Raises immediate_exit: KVM_RUN then completes what is pending and runs no guest (api.rst). */
void rf_gate_hold_entry(struct rf_vcpu *v);

#endif
