/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fence asks of an architecture. Exactly one implementation is linked: hv/vmx/ (x86: VMX
 * and SVM alike, KVM hides the difference) or hv/arm64/. Generic files name no register, no port
 * and no member of kvm_run's union (scripts/check-layers looks for them); these functions do.
 *
 * To add an architecture: the checklist is in docs/architecture.md, "To add". What it cannot do yet
 * it refuses in rf_arch_refusal(): a VM that was to be protected is then not started.
 */
#ifndef RF_HV_ARCH_H
#define RF_HV_ARCH_H

#include "hv/proto.h"
#include "hv/vcpu.h"

/* What becomes of an exit, or of a vCPU that is about to run. */
enum rf_next {
	RF_AGAIN,  /* it is dealt with: the guest may go on */
	RF_WAIT,   /* a question was posted: nothing runs before its answer */
	RF_TO_VMM, /* the exit that stands in kvm_run is the VMM's */
	RF_RESET,  /* the kernel goes over to another one: as after a reset */
};

/* --- the VM -------------------------------------------------------------------- */

/* Why this host cannot protect a VM, as constant text; NULL: it can. Asks KVM's capabilities. */
const char *rf_arch_refusal(int kvm_fd);
/* Everything that must stand before the guest can run, with what the board says of the host. 0, or
 * -errno with *why set. */
int rf_arch_protect(int vm_fd, const char **why);
/* A VM ioctl of the VMM's that is this architecture's to merge: true, and *result is its result. */
bool rf_arch_vm_ioctl(unsigned long request, void *arg, int *result);
/* Called by the channel's thread once in rf_arch_tick_ms() at least, and after each message. */
void rf_arch_tick(void);
unsigned rf_arch_tick_ms(void);

/* --- a vCPU; by its own thread, or with every vCPU outside ------------------------ */

/* Registers that cannot be read end the VM, here and below. */

/* What is kept of the n-th vCPU, with that id; NULL: it cannot be protected. */
struct rf_arch_vcpu *rf_arch_vcpu(unsigned n, uintptr_t id);
void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out);
/* The address of the next instruction. */
uint64_t rf_arch_where(struct rf_vcpu *v);
/* Flags of KVM_SET_GUEST_DEBUG for a step of one instruction, besides ENABLE and SINGLESTEP. */
uint32_t rf_arch_step_flags(void);
/* Registers as the verdict says, then the exception it names. */
int rf_arch_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict);
/* What a question of this vCPU needs to know beside its general registers: v->wait.event. */
void rf_arch_describe(struct rf_vcpu *v);
/* Completes what KVM_RUN exited for without any effect on the registers. The guest does not run. */
int rf_arch_abandon(struct rf_vcpu *v);

/* What a vCPU is, by what KVM holds for it; see life.c. */
enum rf_vcpu_class {
	RF_CPU_RESET, /* the whole state that a reset leaves, as the architecture's manual has it */
	RF_CPU_KERNEL, /* runs 64-bit code with paging, outside of any guest of its own */
	RF_CPU_NESTED, /* inside a guest of the guest's, or in the firmware's own mode */
	RF_CPU_OTHER,  /* firmware, a boot loader, a CPU that comes up */
};

struct rf_cpu_state {
	enum rf_vcpu_class class;
	uint64_t entry; /* the kernel's system-call entry as the CPU holds it, 0 none */
	bool paging;	/* some kernel's tables are in force, of whatever width or nesting */
};

struct rf_cpu_state rf_arch_state(struct rf_vcpu *v);
/*
 * Before a vCPU ioctl of the VMM's: does it load what no guest makes a VMM load? arg is the VMM's.
 */
bool rf_arch_loads(struct rf_vcpu *v, unsigned long request, const void *arg);
/* Is it a vCPU ioctl by which a VMM that saves the guest reads its registers? */
bool rf_arch_saves(unsigned long request);

/* --- what is guarded in the CPU; life.c alone arms and disarms -------------------- */

/*
 * As rf_msg_pin and rf_msg_traps say; boot is the vCPU whose values count, again: with the values
 * that were pinned last. Lock held. 0 or -errno with nothing changed.
 */
int rf_arch_pin(const struct rf_msg_pin *m, struct rf_vcpu *boot, bool again);
int rf_arch_plant(const struct rf_msg_traps *m);
/* Nothing is pinned or trapped any more. first: the vCPU that goes on in another kernel while the
 * others stand where they are; NULL: none. Lock held, gate closed. */
void rf_arch_disarm(const struct rf_vcpu *first);

/* --- KVM_RUN; by the vCPU's own thread ---------------------------------------------- */

/*
 * The VMM wants the vCPU to run: are its registers, now and then, as they should be? RF_AGAIN or
 * RF_WAIT. Looked at here, and not on the way out: what KVM_RUN had exited for is dealt with by the
 * VMM, and waits behind no question.
 */
enum rf_next rf_arch_look(struct rf_vcpu *v);
/* Is there anything left to ask before the guest runs on? RF_AGAIN or RF_WAIT. */
enum rf_next rf_arch_before_run(struct rf_vcpu *v);
/* The thread goes back to the VMM without having entered. */
void rf_arch_not_run(struct rf_vcpu *v);
/* The VMM gets its thread back by -EINTR, maybe with a question open. */
void rf_arch_interrupted(struct rf_vcpu *v);
/* KVM_RUN returned *err; inside the gate, which this leaves. RF_TO_VMM: with *err. */
enum rf_next rf_arch_after_run(struct rf_vcpu *v, int *err);
/*
 * Lets KVM hand out the rest of the store in v->wait.event without running the guest: with
 * immediate_exit set, KVM_RUN completes the pending part, then exits with the next one or returns
 * -EINTR when there is none (api.rst, KVM_RUN). The parts that follow in sealed memory are added to
 * the event, which says then where the vCPU stands. True when an exit that is not ours stands in
 * kvm_run.
 */
bool rf_arch_drain(struct rf_vcpu *v);
/*
 * The verdict on a question that only this architecture asks. *err RF_NOT_NOW: the guest goes on
 * without the fault that it was to have, which the record then says.
 */
enum rf_next rf_arch_enforce(struct rf_vcpu *v, int *err);
/* An instruction KVM could not emulate is not ours; true: the guest got its own fault for it. */
bool rf_arch_unemulated(struct rf_vcpu *v, const struct rf_vcpu_regs *regs);

/* --- a kernel that comes up ----------------------------------------------------------- */

/* KERNEL events: the vCPU is to be given this system-call entry, and which one they say. */
void rf_arch_announce(struct rf_msg_event *ev, uint64_t entry);
uint64_t rf_arch_announced(const struct rf_msg_event *ev);
/* What the board says of a kernel: as the event has it. Between rf_board_begin() and _end(). */
void rf_arch_kernel_to_board(const struct rf_msg_event *ev);
/* The announced entry is let be, or not: answers the exit that waits for it. 0; -EIO: it was let,
 * but the CPU does not take it, and the guest gets the fault for that; another -errno is the end.
 */
int rf_arch_answer_entry(struct rf_vcpu *v, bool allowed);

#endif
