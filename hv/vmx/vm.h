/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_HV_VMX_VM_H
#define RF_HV_VMX_VM_H

#include <stdbool.h>

/* What the VMM asked of KVM for itself, where the fence asks for more. */
extern struct rf_vmm_asked {
	bool msr_exits;	      /* filtered MSR accesses */
	bool emulation_exits; /* instructions that KVM cannot emulate in user mode */
} rf_vmm_asked;

#endif
