/* SPDX-License-Identifier: LGPL-2.1-or-later OR GPL-2.0-only */
/*
 * The page that the control-register watch and one VM's fence share: the only value of a BPF array,
 * mapped by the fence, found by the program through the VMM's process id. Fixed-width, and plain
 * enough for a BPF compiler.
 *
 * The program counts and marks; the fence alone clears marks, and says what is pinned.
 */
#ifndef RF_HV_VMX_CRWATCH_H
#define RF_HV_VMX_CRWATCH_H

#include <linux/types.h>

#define RF_CR_MAGIC 0x52434652u /* "RFCR" */
#define RF_CR_REVISION 1u
/* vCPU ids have a slot each. KVM's x86 default allows ids below 4 * 1024
 * (arch/x86/include/asm/kvm_host.h KVM_MAX_VCPU_IDS). */
#define RF_CR_VCPUS 4096
/* In the environment of the VMM: the descriptor of its page. */
#define RF_CR_ENVIRONMENT "RINGFENCE_CR_FD"

struct rf_cr_page {
	__u32 magic;
	__u32 revision;
	/* Of the VMM, in clock ticks since boot (proc(5), stat, field 22): with it a process that
	 * got a dead VMM's id is told from it. */
	__u64 started;
	__u32 signal; /* sent to the vCPU's thread */
	__u32 pad;
	__u64 cr0_pinned, cr4_pinned; /* 0 nothing: then the program does nothing */
	/* Writes that would clear a pinned bit which was set; of them, those without a signal. */
	__u64 cleared, lost;
	/* By vCPU id: the pinned bits that a write cleared, CR4's below, CR0's from bit 32 on. */
	__u64 slots[RF_CR_VCPUS];
};

_Static_assert(sizeof(struct rf_cr_page) == 56 + 8 * RF_CR_VCPUS, "the page's layout");

#endif
