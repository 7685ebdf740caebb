// SPDX-License-Identifier: LGPL-2.1-or-later
/* KVM's interface on x86 as of Linux 6.18 (include/uapi/linux/kvm.h): all of it, by the
 * reason why it passes, is the fence's, or is refused. */
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
#define ROW(how, on, why, what...)                                                                 \
	{                                                                                          \
		on, RF_KNOWN_##how, why,                                                           \
		{                                                                                  \
			what                                                                       \
		}                                                                                  \
	}

#define READS "only tells"
#define STATE "loads a state that says nothing of memory or kernels"
#define DEVICE "an in-kernel device's own"
#define GONE "no kernel that the fence runs on has it"

const struct rf_known rf_known_ioctls[] = {
	ROW(OURS, OTHER, "a process has one protected VM", KVM_CREATE_VM),
	ROW(OURS, OTHER | VM, "less what the fence keeps or refuses", KVM_CHECK_EXTENSION),
	ROW(OURS, VM, "each has its place in the fence", KVM_CREATE_VCPU),
	ROW(OURS, VM, "cut around what is sealed", KVM_SET_USER_MEMORY_REGION),
	ROW(OURS, VM, "begins with the above; guest_memfd's flag is refused",
	    SET_USER_MEMORY_REGION2),
	ROW(OURS, VM, "merged from the pieces", KVM_GET_DIRTY_LOG),
	ROW(OURS, VM, "capability by capability, below", KVM_ENABLE_CAP),
	ROW(OURS, VM, "merged with the fence's", KVM_X86_SET_MSR_FILTER),
	ROW(OURS, VM, "not over sealed addresses", KVM_IOEVENTFD, KVM_REGISTER_COALESCED_MMIO),
	ROW(OURS, VCPU, "the loop", KVM_RUN),
	ROW(OURS, VCPU, "looked at for a kernel's entry", KVM_SET_MSRS),
	ROW(OURS, VCPU, "a reset or a load", KVM_SET_MP_STATE),
	ROW(OURS, VCPU, "less the fence's signal", KVM_SET_SIGNAL_MASK),
	ROW(OURS, VCPU, "kept, to be given back after a step", KVM_SET_GUEST_DEBUG),
	ROW(OURS, VCPU, "the VMM looks at a vCPU: decoys are healed first", KVM_GET_REGS),
	ROW(OURS, VCPU, "capability by capability, below", KVM_ENABLE_CAP),

	ROW(PASS, OTHER, READS, KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE, KVM_GET_MSR_INDEX_LIST,
	    KVM_GET_MSR_FEATURE_INDEX_LIST, KVM_GET_SUPPORTED_CPUID, KVM_GET_EMULATED_CPUID,
	    KVM_X86_GET_MCE_CAP_SUPPORTED),
	ROW(PASS, OTHER | VCPU, READS, KVM_GET_SUPPORTED_HV_CPUID),
	ROW(PASS, OTHER | VM | VCPU, DEVICE, KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR,
	    KVM_HAS_DEVICE_ATTR),
	ROW(PASS, OTHER, "feature MSRs of the host", KVM_GET_MSRS),
	ROW(PASS, VM, DEVICE, KVM_UNREGISTER_COALESCED_MMIO, KVM_CREATE_IRQCHIP, KVM_SET_IRQCHIP,
	    KVM_CREATE_PIT, KVM_CREATE_PIT2, KVM_SET_PIT, KVM_SET_PIT2, KVM_REINJECT_CONTROL,
	    KVM_IRQ_LINE, KVM_IRQ_LINE_STATUS, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_SIGNAL_MSI,
	    KVM_HYPERV_EVENTFD),
	ROW(PASS, VM, "before the guest runs; pages of KVM's own", KVM_SET_TSS_ADDR,
	    KVM_SET_IDENTITY_MAP_ADDR),
	ROW(PASS, VM, "a limit", KVM_SET_NR_MMU_PAGES),
	ROW(PASS, VM, READS, KVM_GET_NR_MMU_PAGES, KVM_GET_IRQCHIP, KVM_GET_PIT, KVM_GET_PIT2,
	    KVM_GET_CLOCK),
	ROW(PASS, VM, "before the first vCPU", KVM_SET_BOOT_CPU_ID),
	ROW(PASS, VM | VCPU, STATE, KVM_SET_TSC_KHZ),
	ROW(PASS, VM | VCPU, READS, KVM_GET_TSC_KHZ, KVM_GET_STATS_FD),
	ROW(PASS, VM, STATE, KVM_SET_CLOCK),
	ROW(PASS, VM, "VFIO: a device of the host, which writes decoys", KVM_CREATE_DEVICE),
	ROW(PASS, VM, "what counters count", KVM_SET_PMU_EVENT_FILTER),
	ROW(PASS, VCPU, READS, KVM_GET_MSRS, KVM_GET_SREGS, KVM_GET_SREGS2, KVM_GET_FPU,
	    KVM_GET_XSAVE, KVM_GET_XSAVE2, KVM_GET_XCRS, KVM_GET_DEBUGREGS, KVM_GET_VCPU_EVENTS,
	    KVM_GET_LAPIC, KVM_GET_MP_STATE, KVM_GET_CPUID2, KVM_GET_NESTED_STATE, KVM_TRANSLATE),
	ROW(PASS, VCPU, "registers; what is pinned is compared", KVM_SET_REGS, KVM_SET_SREGS,
	    KVM_SET_SREGS2),
	ROW(PASS, VCPU, STATE, KVM_SET_FPU, KVM_SET_XSAVE, KVM_SET_XCRS, KVM_SET_DEBUGREGS,
	    KVM_SET_VCPU_EVENTS, KVM_SET_LAPIC, KVM_SET_CPUID, KVM_SET_CPUID2, KVM_X86_SETUP_MCE,
	    KVM_X86_SET_MCE, KVM_KVMCLOCK_CTRL),
	ROW(PASS, VCPU, "a guest's guest, in which nothing is pinned", KVM_SET_NESTED_STATE),
	ROW(PASS, VCPU, DEVICE, KVM_INTERRUPT, KVM_NMI, KVM_TPR_ACCESS_REPORTING),
	ROW(PASS, VCPU, "the firmware's mode, in which nothing is pinned", KVM_SMI),
	ROW(PASS, VCPU, "KVM's own writes honour read-only slots", KVM_SET_VAPIC_ADDR),
	ROW(PASS, VCPU, "maps what the slots say", PRE_FAULT_MEMORY),

	ROW(REFUSE, VM, "goes with manual dirty-log protection, reported absent",
	    KVM_CLEAR_DIRTY_LOG),
	ROW(REFUSE, VM, "dirty rings are reported absent", KVM_RESET_DIRTY_RINGS),
	ROW(REFUSE, VM, "memory that the fence cannot map", CREATE_GUEST_MEMFD,
	    SET_MEMORY_ATTRIBUTES),
	ROW(REFUSE, VM, "the host could not read the guest", KVM_MEMORY_ENCRYPT_OP,
	    KVM_MEMORY_ENCRYPT_REG_REGION, KVM_MEMORY_ENCRYPT_UNREG_REGION),
	ROW(REFUSE, VM, "KVM writes the guest's memory by another path", KVM_XEN_HVM_CONFIG,
	    KVM_XEN_HVM_SET_ATTR),
	ROW(REFUSE, VM, "goes with the above", KVM_XEN_HVM_GET_ATTR, KVM_XEN_HVM_EVTCHN_SEND),
	ROW(REFUSE, VM, GONE, KVM_SET_MEMORY_REGION, KVM_SET_MEMORY_ALIAS),
	ROW(REFUSE, VCPU, "KVM writes the guest's memory by another path", KVM_XEN_VCPU_SET_ATTR),
	ROW(REFUSE, VCPU, "goes with the above", KVM_XEN_VCPU_GET_ATTR),
};
const size_t rf_known_ioctls_count = sizeof(rf_known_ioctls) / sizeof(rf_known_ioctls[0]);

#define CAP_DIRTY_LOG_RING_ACQ_REL 223
#define CAP_MEMORY_ATTRIBUTES 233
#define CAP_GUEST_MEMFD 234
#define CAP_X86_APIC_BUS_CYCLES_NS 237

/*
 * Capabilities that a VMM may enable, and those that are reported absent. What is not here may not
 * be enabled; that it is there is told as KVM tells it.
 */
const struct rf_known rf_known_caps[] = {
	ROW(OURS, VM, "merged with the fence's", KVM_CAP_X86_USER_SPACE_MSR),
	ROW(OURS, VM, "on already", KVM_CAP_EXIT_ON_EMULATION_FAILURE),
	ROW(OURS, VM, "less those that the fence keeps", KVM_CAP_NR_MEMSLOTS),

	ROW(PASS, VM, DEVICE, KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API,
	    CAP_X86_APIC_BUS_CYCLES_NS),
	ROW(PASS, VM, "HLT, MWAIT, PAUSE: no exit of the fence's", KVM_CAP_X86_DISABLE_EXITS),
	ROW(PASS, VM, STATE, KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT,
	    KVM_CAP_SMALLER_MAXPHYADDR),
	ROW(PASS, VM, "a guest's view of a feature", KVM_CAP_MSR_PLATFORM_INFO),
	ROW(PASS, VM, "an exit of the VMM's", KVM_CAP_X86_BUS_LOCK_EXIT, KVM_CAP_X86_NOTIFY_VMEXIT,
	    KVM_CAP_EXIT_HYPERCALL),
	ROW(PASS, VM, "how long KVM polls", KVM_CAP_HALT_POLL),
	ROW(PASS, VM, "how KVM behaves; none concerns slots before 6.12", KVM_CAP_DISABLE_QUIRKS),
	ROW(PASS, VM, "how KVM behaves; SLOT_ZAP_ALL is only a cost", KVM_CAP_DISABLE_QUIRKS2),
	ROW(PASS, VM, "a limit", KVM_CAP_MAX_VCPU_ID),
	ROW(PASS, VM, "what counters there are", KVM_CAP_PMU_CAPABILITY),
	ROW(PASS, VM, "a mitigation's", KVM_CAP_VM_DISABLE_NX_HUGE_PAGES),
	ROW(PASS, VM, "a feature's permission", KVM_CAP_SGX_ATTRIBUTE),
	ROW(PASS, VCPU, DEVICE, KVM_CAP_HYPERV_SYNIC, KVM_CAP_HYPERV_SYNIC2),
	ROW(PASS, VCPU, "a guest's guest's", KVM_CAP_HYPERV_ENLIGHTENED_VMCS,
	    KVM_CAP_HYPERV_DIRECT_TLBFLUSH),
	ROW(PASS, VCPU, "fewer features", KVM_CAP_HYPERV_ENFORCE_CPUID,
	    KVM_CAP_ENFORCE_PV_FEATURE_CPUID),

	ROW(REFUSE, VM, "pages that are patched would not be told", KVM_CAP_DIRTY_LOG_RING,
	    CAP_DIRTY_LOG_RING_ACQ_REL),
	ROW(REFUSE, VM, "clears by part of a slot", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2),
	ROW(REFUSE, VM, "memory that the fence cannot map", CAP_MEMORY_ATTRIBUTES, CAP_GUEST_MEMFD),
	ROW(REFUSE, VM, "the host could not read the guest", KVM_CAP_VM_COPY_ENC_CONTEXT_FROM,
	    KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM),
	ROW(REFUSE, VM, "KVM writes the guest's memory by another path", KVM_CAP_XEN_HVM),
};
const size_t rf_known_caps_count = sizeof(rf_known_caps) / sizeof(rf_known_caps[0]);
