// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/doctor_table.h"

#include <stdio.h>
#include <string.h>

#include "cli/doctor_host.h"

#define NEWER "use a newer host kernel"
#define NO_WATCH                                                                                   \
	"CR0.WP, CR4.SMEP, SMAP, UMIP cleared by code not the kernel's own is only detected"

/* Slots the fence keeps for itself in each address space; a VMM needs a few hundred of its own. */
#define SLOTS_LEAST 512

const struct rf_facility rf_facilities[] = {
	{ .name = "KVM device",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_kvm_device,
	  .lost = "no VM can be run",
	  .fix = "load kvm_intel or kvm_amd, switch virtualisation on in the firmware, join the "
		 "group "
		 "kvm" },
	{ .name = "KVM API version 12",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_kvm_version,
	  .lost = "nothing below can be relied on",
	  .fix = "use the KVM of a stock kernel" },
	{ .name = "a VM can be made",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_kvm_create,
	  .lost = "no VM can be run",
	  .fix = "end the other hypervisor that holds the processor, if there is one" },
	{ .name = "read-only memory slots",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_READONLY_MEM,
	  .least = 1,
	  .lost = "text and rodata cannot be sealed",
	  .fix = NEWER },
	{ .name = "memory slots follow mappings",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_SYNC_MMU,
	  .least = 1,
	  .lost = "sealed slots cannot be pointed at a private copy; device DMA would reach them",
	  .fix = NEWER },
	{ .name = "enough memory slots",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_NR_MEMSLOTS,
	  .least = SLOTS_LEAST,
	  .lost = "the VMM's slots cannot be split around what is sealed",
	  .fix = NEWER },
	{ .name = "MSR exits",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_USER_SPACE_MSR,
	  .least = 1,
	  .lost = "the guest kernel is not noticed when it starts; MSRs cannot be pinned",
	  .fix = NEWER },
	{ .name = "MSR filter",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_MSR_FILTER,
	  .least = 1,
	  .lost = "the guest kernel is not noticed when it starts; MSRs cannot be pinned",
	  .fix = NEWER },
	{ .name = "exit on emulation failure",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_EMULATION_FAILURE,
	  .least = 1,
	  .lost = "a store KVM cannot emulate (AVX, cmpxchg16b) would not be judged",
	  .fix = NEWER },
	{ .name = "immediate exit",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_IMMEDIATE_EXIT,
	  .least = 1,
	  .lost = "vCPUs cannot be held, and a denied store cannot be taken back",
	  .fix = NEWER },
	{ .name = "vCPU events",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_VCPU_EVENTS,
	  .least = 1,
	  .lost = "a denied store cannot be answered with a page fault",
	  .fix = NEWER },
	{ .name = "single steps",
	  .need = RF_NEED_REQUIRED,
	  .cap = RF_PROBE_GUEST_DEBUG,
	  .least = 1,
	  .lost = "the watched page cannot let its other words be written",
	  .fix = NEWER },
	{ .name = "single steps without interrupts",
	  .need = RF_NEED_RECOMMENDED,
	  .cap = RF_PROBE_GUEST_DEBUG2,
	  .bits = RF_PROBE_DEBUG_BLOCKIRQ,
	  .lost = "an interrupt may come between a watched store and its step: the boot is slower",
	  .fix = NEWER },
	{ .name = "two-stage paging (EPT, NPT)",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_paging,
	  .lost = "guests run slowly, and stock ones may not run at all",
	  .fix = "load kvm_intel with ept=1, or kvm_amd with npt=1; in a VM, ask its host for it" },
	{ .name = "vmload exits",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_vmload,
	  .lost = "a guest can load LSTAR, TR and the like past the MSR filter, by vmload",
	  .weakens = "LSTAR; STAR, CSTAR, SFMASK, SYSENTER, EFER, PAT",
	  .fix = "load kvm_amd with vls=0; it costs speed in nested guests alone" },
	{ .name = "seals keep other mappings",
	  .need = RF_NEED_OPTIONAL,
	  .cap = RF_PROBE_QUIRKS,
	  .bits = RF_PROBE_QUIRK_SLOT_ZAP,
	  .lost = "sealing empties the whole VM's second-stage tables once; they fill again by use",
	  .fix = NEWER },
	{ .name = "pre-faulting",
	  .need = RF_NEED_OPTIONAL,
	  .cap = RF_PROBE_PRE_FAULT,
	  .least = 1,
	  .lost = "the first touches of sealed memory each cost a fault",
	  .fix = NEWER },
	{ .name = "dirty ring",
	  .need = RF_NEED_NONE,
	  .cap = RF_PROBE_DIRTY_RING,
	  .least = 1,
	  .lost = "nothing: it is reported to the VMM as absent, the dirty bitmap is used",
	  .fix = "nothing to do" },
	{ .name = "reading the VMM's memory",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_memory,
	  .lost = "the monitor cannot look at the guest",
	  .fix = "mount /proc where the VMM runs" },
	{ .name = "sealed memfds",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_memfd,
	  .lost = "the monitor could write what only the fence may",
	  .fix = NEWER },
	{ .name = "seccomp filters",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_seccomp,
	  .lost = "the monitor, which reads hostile memory, could not be confined, nor a VMM "
		  "that has lost the fence be kept from KVM",
	  .fix = "use a kernel with CONFIG_SECCOMP_FILTER; in a container or service, allow "
		 "seccomp(2)" },
	{ .name = "a user of the monitor's own",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_monitor_user,
	  .lost = "what breaks out of a VMM of the same user can end the monitor, though not read "
		  "or change it, and what it is to judge waits until there is another one",
	  .fix = "run `ringfence run` as root; in a container, with CAP_SETUID, CAP_SETGID and "
		 "CAP_KILL, and user ids that map to others" },
	{ .name = "huge pages",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_huge_pages,
	  .lost = "the sealed copy uses 4 KiB pages: more TLB misses in the guest's kernel",
	  .fix = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" },
	{ .name = "types of the host kernel (BTF)",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_btf,
	  .lost = NO_WATCH,
	  .fix = "use a kernel with CONFIG_DEBUG_INFO_BTF and CONFIG_DEBUG_INFO_BTF_MODULES" },
	{ .name = "rights to load BPF programs",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_bpf_rights,
	  .lost = NO_WATCH,
	  .fix = "run as root (in a container with all of CAP_BPF, CAP_PERFMON and "
		 "CAP_SYS_ADMIN), or have root start `ringfence watch` for other users" },
	{ .name = "kprobes through perf",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_kprobes,
	  .lost = NO_WATCH,
	  .fix = "use a host kernel with CONFIG_KPROBE_EVENTS, CONFIG_PERF_EVENTS and "
		 "CONFIG_BPF_EVENTS, as distributions' are (/boot/config-* or /proc/config.gz "
		 "tell); in a container, mount /sys" },
	{ .name = "kvm_set_cr0 and kvm_set_cr4",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_cr_symbols,
	  .lost = NO_WATCH,
	  .fix = "load kvm_intel or kvm_amd; use the KVM of a stock kernel" },
	{ .name = "BPF file system",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_bpffs,
	  .lost = "the watch of CR0 and CR4 has no place yet; `ringfence run` as root mounts it",
	  .fix = "mount -t bpf -o mode=0700 bpf /sys/fs/bpf" },
	{ .name = "the host's own process ids",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_pid_namespace,
	  .lost = NO_WATCH,
	  .fix = "run it in the host's process-id namespace (docker: --pid=host)" },
	{ .name = "control-register watch",
	  .need = RF_NEED_RECOMMENDED,
	  .check = rf_host_cr_watch,
	  .lost = NO_WATCH,
	  .weakens = "CR0.WP, CR4.SMEP, SMAP, UMIP cleared",
	  .fix = "mend the rows above that are missing, from BTF on, then ask again as root; where "
		 "none is, the detail of this row says what failed" },
	{ .name = "the fence (libringfence.so)",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_library,
	  .lost = "nothing can be protected",
	  .fix = "install ringfence, or set RINGFENCE_LIB to the library's path" },
	{ .name = "the monitor (ringfence-monitor)",
	  .need = RF_NEED_REQUIRED,
	  .check = rf_host_monitor,
	  .lost = "nothing can be protected",
	  .fix = "install ringfence, or put ringfence-monitor into the PATH" },
	{ .name = "QEMU (qemu-system-x86_64)",
	  .need = RF_NEED_OPTIONAL,
	  .check = rf_host_qemu,
	  .lost = "`ringfence demo` has nothing to run; another VMM may be there",
	  .fix = "install qemu-system-x86" },
	{ 0 },
};

_Static_assert(sizeof(rf_facilities) / sizeof(rf_facilities[0]) <= RF_FACILITIES_MAX, "facilities");

enum rf_facility_state rf_facility_check(const struct rf_facility *f, const struct rf_probe *kvm,
					 char detail[RF_DETAIL_MAX])
{
	int value;

	detail[0] = '\0';
	if (f->check)
		return f->check(kvm, detail);
	if (kvm->open_error || kvm->version < 0) {
		snprintf(detail, RF_DETAIL_MAX, "%s cannot be asked for", rf_probe_name(f->cap));
		return RF_FACILITY_UNKNOWN;
	}
	value = kvm->value[f->cap];
	snprintf(detail, RF_DETAIL_MAX, f->bits ? "%s 0x%x" : "%s %d", rf_probe_name(f->cap),
		 (unsigned int)value);
	return value >= f->least && (value & f->bits) == f->bits ? RF_FACILITY_PRESENT
								 : RF_FACILITY_MISSING;
}

bool rf_facilities_required(const enum rf_facility_state *found)
{
	for (size_t i = 0; rf_facilities[i].name; i++)
		if (rf_facilities[i].need == RF_NEED_REQUIRED && found[i] != RF_FACILITY_PRESENT)
			return false;
	return true;
}

bool rf_facility_is_off(const struct rf_facility *f, enum rf_facility_state found)
{
	return f->weakens && found != RF_FACILITY_PRESENT;
}

bool rf_facilities_protect(const enum rf_facility_state *found)
{
	for (size_t i = 0; rf_facilities[i].name; i++)
		if (rf_facility_is_off(&rf_facilities[i], found[i]))
			return false;
	return rf_facilities_required(found);
}

const char *rf_need_text(enum rf_need n)
{
	switch (n) {
	case RF_NEED_REQUIRED:
		return "required";
	case RF_NEED_RECOMMENDED:
		return "recommended";
	case RF_NEED_OPTIONAL:
		return "optional";
	case RF_NEED_NONE:
		return "not used";
	}
	return NULL;
}

const char *rf_facility_state_text(enum rf_facility_state s)
{
	switch (s) {
	case RF_FACILITY_PRESENT:
		return "present";
	case RF_FACILITY_MISSING:
		return "missing";
	case RF_FACILITY_UNKNOWN:
		return "unknown";
	}
	return NULL;
}
