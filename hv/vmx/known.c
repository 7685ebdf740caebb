/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's interface on x86 as of Linux 6.18 (include/uapi/linux/kvm.h), one row each. */
#include "hv/known.h"

#include <linux/kvm.h>

/* Of newer kernels than the build's headers; sizes as their structs have them. */
#define SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, char[160])
#define SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, char[32])
#define CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, char[64])
#define PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, char[64])

#define VM RF_ON_VM
#define VCPU RF_ON_VCPU
#define OTHER RF_ON_OTHER
#define PASS(on, what, why)                                                                        \
	{                                                                                          \
		what, on, RF_KNOWN_PASS, why                                                       \
	}
#define OURS(on, what, why)                                                                        \
	{                                                                                          \
		what, on, RF_KNOWN_OURS, why                                                       \
	}
#define REFUSE(on, what, why)                                                                      \
	{                                                                                          \
		what, on, RF_KNOWN_REFUSE, why                                                     \
	}

#define READS "only tells"
#define STATE "loads a state that says nothing of memory or kernels"
#define DEVICE "an in-kernel device's own"
#define GONE "no kernel that the fence runs on has it"

const struct rf_known rf_known_ioctls[] = {
	PASS(OTHER, KVM_GET_API_VERSION, READS),
	OURS(OTHER, KVM_CREATE_VM, "a process has one protected VM"),
	OURS(OTHER | VM, KVM_CHECK_EXTENSION, "less what the fence keeps or refuses"),
	PASS(OTHER, KVM_GET_VCPU_MMAP_SIZE, READS),
	PASS(OTHER, KVM_GET_MSR_INDEX_LIST, READS),
	PASS(OTHER, KVM_GET_MSR_FEATURE_INDEX_LIST, READS),
	PASS(OTHER, KVM_GET_SUPPORTED_CPUID, READS),
	PASS(OTHER, KVM_GET_EMULATED_CPUID, READS),
	PASS(OTHER | VCPU, KVM_GET_SUPPORTED_HV_CPUID, READS),
	PASS(OTHER, KVM_X86_GET_MCE_CAP_SUPPORTED, READS),
	PASS(OTHER | VM | VCPU, KVM_SET_DEVICE_ATTR, DEVICE),
	PASS(OTHER | VM | VCPU, KVM_GET_DEVICE_ATTR, DEVICE),
	PASS(OTHER | VM | VCPU, KVM_HAS_DEVICE_ATTR, DEVICE),
	PASS(OTHER, KVM_GET_MSRS, "feature MSRs of the host"),

	OURS(VM, KVM_CREATE_VCPU, "each has its place in the fence"),
	OURS(VM, KVM_SET_USER_MEMORY_REGION, "cut around what is sealed"),
	OURS(VM, SET_USER_MEMORY_REGION2, "begins with the above; guest_memfd's flag is refused"),
	OURS(VM, KVM_GET_DIRTY_LOG, "merged from the pieces"),
	OURS(VM, KVM_ENABLE_CAP, "capability by capability, below"),
	OURS(VM, KVM_X86_SET_MSR_FILTER, "merged with the fence's"),
	OURS(VM, KVM_IOEVENTFD, "not over sealed addresses"),
	OURS(VM, KVM_REGISTER_COALESCED_MMIO, "not over sealed addresses"),
	PASS(VM, KVM_UNREGISTER_COALESCED_MMIO, DEVICE),
	PASS(VM, KVM_SET_TSS_ADDR, "before the guest runs; pages of KVM's own"),
	PASS(VM, KVM_SET_IDENTITY_MAP_ADDR, "before the guest runs; pages of KVM's own"),
	PASS(VM, KVM_SET_NR_MMU_PAGES, "a limit"),
	PASS(VM, KVM_GET_NR_MMU_PAGES, READS),
	PASS(VM, KVM_CREATE_IRQCHIP, DEVICE),
	PASS(VM, KVM_GET_IRQCHIP, READS),
	PASS(VM, KVM_SET_IRQCHIP, DEVICE),
	PASS(VM, KVM_CREATE_PIT, DEVICE),
	PASS(VM, KVM_CREATE_PIT2, DEVICE),
	PASS(VM, KVM_GET_PIT, READS),
	PASS(VM, KVM_SET_PIT, DEVICE),
	PASS(VM, KVM_GET_PIT2, READS),
	PASS(VM, KVM_SET_PIT2, DEVICE),
	PASS(VM, KVM_REINJECT_CONTROL, DEVICE),
	PASS(VM, KVM_IRQ_LINE, DEVICE),
	PASS(VM, KVM_IRQ_LINE_STATUS, DEVICE),
	PASS(VM, KVM_SET_GSI_ROUTING, DEVICE),
	PASS(VM, KVM_IRQFD, DEVICE),
	PASS(VM, KVM_SIGNAL_MSI, DEVICE),
	PASS(VM, KVM_SET_BOOT_CPU_ID, "before the first vCPU"),
	PASS(VM | VCPU, KVM_SET_TSC_KHZ, STATE),
	PASS(VM | VCPU, KVM_GET_TSC_KHZ, READS),
	PASS(VM, KVM_SET_CLOCK, STATE),
	PASS(VM, KVM_GET_CLOCK, READS),
	PASS(VM, KVM_CREATE_DEVICE, "VFIO: a device of the host, which writes decoys"),
	PASS(VM, KVM_SET_PMU_EVENT_FILTER, "what counters count"),
	PASS(VM, KVM_HYPERV_EVENTFD, DEVICE),
	PASS(VM | VCPU, KVM_GET_STATS_FD, READS),
	REFUSE(VM, KVM_CLEAR_DIRTY_LOG, "goes with manual dirty-log protection, reported absent"),
	REFUSE(VM, KVM_RESET_DIRTY_RINGS, "dirty rings are reported absent"),
	REFUSE(VM, CREATE_GUEST_MEMFD, "memory that the fence cannot map"),
	REFUSE(VM, SET_MEMORY_ATTRIBUTES, "memory that the fence cannot map"),
	REFUSE(VM, KVM_MEMORY_ENCRYPT_OP, "the host could not read the guest"),
	REFUSE(VM, KVM_MEMORY_ENCRYPT_REG_REGION, "the host could not read the guest"),
	REFUSE(VM, KVM_MEMORY_ENCRYPT_UNREG_REGION, "the host could not read the guest"),
	REFUSE(VM, KVM_XEN_HVM_CONFIG, "KVM writes the guest's memory by another path"),
	REFUSE(VM, KVM_XEN_HVM_SET_ATTR, "KVM writes the guest's memory by another path"),
	REFUSE(VM, KVM_XEN_HVM_GET_ATTR, "goes with the above"),
	REFUSE(VM, KVM_XEN_HVM_EVTCHN_SEND, "goes with the above"),
	REFUSE(VM, KVM_SET_MEMORY_REGION, GONE),
	REFUSE(VM, KVM_SET_MEMORY_ALIAS, GONE),

	OURS(VCPU, KVM_RUN, "the loop"),
	OURS(VCPU, KVM_SET_MSRS, "looked at for a kernel's entry"),
	OURS(VCPU, KVM_SET_MP_STATE, "a reset or a load"),
	OURS(VCPU, KVM_SET_SIGNAL_MASK, "less the fence's signal"),
	OURS(VCPU, KVM_SET_GUEST_DEBUG, "kept, to be given back after a step"),
	OURS(VCPU, KVM_GET_REGS, "the VMM looks at a vCPU: decoys are healed first"),
	OURS(VCPU, KVM_ENABLE_CAP, "capability by capability, below"),
	PASS(VCPU, KVM_GET_MSRS, READS),
	PASS(VCPU, KVM_SET_REGS, "registers; what is pinned is compared"),
	PASS(VCPU, KVM_GET_SREGS, READS),
	PASS(VCPU, KVM_SET_SREGS, "registers; what is pinned is compared"),
	PASS(VCPU, KVM_GET_SREGS2, READS),
	PASS(VCPU, KVM_SET_SREGS2, "registers; what is pinned is compared"),
	PASS(VCPU, KVM_GET_FPU, READS),
	PASS(VCPU, KVM_SET_FPU, STATE),
	PASS(VCPU, KVM_GET_XSAVE, READS),
	PASS(VCPU, KVM_GET_XSAVE2, READS),
	PASS(VCPU, KVM_SET_XSAVE, STATE),
	PASS(VCPU, KVM_GET_XCRS, READS),
	PASS(VCPU, KVM_SET_XCRS, STATE),
	PASS(VCPU, KVM_GET_DEBUGREGS, READS),
	PASS(VCPU, KVM_SET_DEBUGREGS, STATE),
	PASS(VCPU, KVM_GET_VCPU_EVENTS, READS),
	PASS(VCPU, KVM_SET_VCPU_EVENTS, STATE),
	PASS(VCPU, KVM_GET_LAPIC, READS),
	PASS(VCPU, KVM_SET_LAPIC, STATE),
	PASS(VCPU, KVM_GET_MP_STATE, READS),
	PASS(VCPU, KVM_SET_CPUID, STATE),
	PASS(VCPU, KVM_SET_CPUID2, STATE),
	PASS(VCPU, KVM_GET_CPUID2, READS),
	PASS(VCPU, KVM_GET_NESTED_STATE, READS),
	PASS(VCPU, KVM_SET_NESTED_STATE, "a guest's guest, in which nothing is pinned"),
	PASS(VCPU, KVM_TRANSLATE, READS),
	PASS(VCPU, KVM_INTERRUPT, DEVICE),
	PASS(VCPU, KVM_NMI, DEVICE),
	PASS(VCPU, KVM_SMI, "the firmware's mode, in which nothing is pinned"),
	PASS(VCPU, KVM_TPR_ACCESS_REPORTING, DEVICE),
	PASS(VCPU, KVM_SET_VAPIC_ADDR, "KVM's own writes honour read-only slots"),
	PASS(VCPU, KVM_X86_SETUP_MCE, STATE),
	PASS(VCPU, KVM_X86_SET_MCE, STATE),
	PASS(VCPU, KVM_KVMCLOCK_CTRL, STATE),
	PASS(VCPU, PRE_FAULT_MEMORY, "maps what the slots say"),
	REFUSE(VCPU, KVM_XEN_VCPU_SET_ATTR, "KVM writes the guest's memory by another path"),
	REFUSE(VCPU, KVM_XEN_VCPU_GET_ATTR, "goes with the above"),
};
const size_t rf_known_ioctls_count = sizeof(rf_known_ioctls) / sizeof(rf_known_ioctls[0]);

#define CAP_DIRTY_LOG_RING_ACQ_REL 223
#define CAP_PMU_EVENT_MASKED_EVENTS 226
#define CAP_MEMORY_ATTRIBUTES 233
#define CAP_GUEST_MEMFD 234
#define CAP_VM_TYPES 235
#define CAP_PRE_FAULT_MEMORY 236
#define CAP_X86_APIC_BUS_CYCLES_NS 237

/*
 * Capabilities that a VMM may enable, and those that are reported absent. What is not here may not
 * be enabled; that it is there is told as KVM tells it.
 */
const struct rf_known rf_known_caps[] = {
	OURS(VM, KVM_CAP_X86_USER_SPACE_MSR, "merged with the fence's"),
	OURS(VM, KVM_CAP_EXIT_ON_EMULATION_FAILURE, "on already"),
	PASS(VM, KVM_CAP_SPLIT_IRQCHIP, DEVICE),
	PASS(VM, KVM_CAP_X2APIC_API, DEVICE),
	PASS(VM, KVM_CAP_X86_DISABLE_EXITS, "HLT, MWAIT, PAUSE: no exit of the fence's"),
	PASS(VM, KVM_CAP_EXCEPTION_PAYLOAD, STATE),
	PASS(VM, KVM_CAP_X86_TRIPLE_FAULT_EVENT, STATE),
	PASS(VM, KVM_CAP_MSR_PLATFORM_INFO, "a guest's view of a feature"),
	PASS(VM, KVM_CAP_X86_BUS_LOCK_EXIT, "an exit of the VMM's"),
	PASS(VM, KVM_CAP_X86_NOTIFY_VMEXIT, "an exit of the VMM's"),
	PASS(VM, KVM_CAP_HALT_POLL, "how long KVM polls"),
	PASS(VM, KVM_CAP_SMALLER_MAXPHYADDR, STATE),
	PASS(VM, KVM_CAP_DISABLE_QUIRKS, "how KVM behaves; none concerns slots before 6.12"),
	PASS(VM, KVM_CAP_DISABLE_QUIRKS2, "how KVM behaves; SLOT_ZAP_ALL is only a cost"),
	PASS(VM, KVM_CAP_MAX_VCPU_ID, "a limit"),
	PASS(VM, KVM_CAP_PMU_CAPABILITY, "what counters there are"),
	PASS(VM, KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, "a mitigation's"),
	PASS(VM, KVM_CAP_EXIT_HYPERCALL, "an exit of the VMM's"),
	PASS(VM, KVM_CAP_SGX_ATTRIBUTE, "a feature's permission"),
	PASS(VM, CAP_X86_APIC_BUS_CYCLES_NS, DEVICE),
	PASS(VCPU, KVM_CAP_HYPERV_SYNIC, DEVICE),
	PASS(VCPU, KVM_CAP_HYPERV_SYNIC2, DEVICE),
	PASS(VCPU, KVM_CAP_HYPERV_ENLIGHTENED_VMCS, "a guest's guest's"),
	PASS(VCPU, KVM_CAP_HYPERV_DIRECT_TLBFLUSH, "a guest's guest's"),
	PASS(VCPU, KVM_CAP_HYPERV_ENFORCE_CPUID, "fewer features"),
	PASS(VCPU, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, "fewer features"),
	OURS(VM, KVM_CAP_NR_MEMSLOTS, "less those that the fence keeps"),
	REFUSE(VM, KVM_CAP_DIRTY_LOG_RING, "pages that are patched would not be told"),
	REFUSE(VM, CAP_DIRTY_LOG_RING_ACQ_REL, "pages that are patched would not be told"),
	REFUSE(VM, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "clears by part of a slot"),
	REFUSE(VM, CAP_MEMORY_ATTRIBUTES, "memory that the fence cannot map"),
	REFUSE(VM, CAP_GUEST_MEMFD, "memory that the fence cannot map"),
	REFUSE(VM, KVM_CAP_VM_COPY_ENC_CONTEXT_FROM, "the host could not read the guest"),
	REFUSE(VM, KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM, "the host could not read the guest"),
	REFUSE(VM, KVM_CAP_XEN_HVM, "KVM writes the guest's memory by another path"),
};
const size_t rf_known_caps_count = sizeof(rf_known_caps) / sizeof(rf_known_caps[0]);
