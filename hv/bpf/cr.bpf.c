// SPDX-License-Identifier: LGPL-2.1-or-later OR GPL-2.0-only
/*
 * One program for all VMs of a host: before KVM gives a vCPU another CR0 or CR4, says whether the
 * write clears a bit that is pinned and set, and if so signals the vCPU's thread. What follows is
 * the fence's (hv/vmx/cr.c).
 *
 * Every guest MOV to CR0 or CR4 that exits passes kvm_set_cr0() or kvm_set_cr4(), those that KVM
 * emulates too (arch/x86/kvm/svm/svm.c cr_interception(), vmx/vmx.c handle_cr(), x86.c
 * emulator_set_cr()); both are exported, hence neither inlined into the vendor module. INIT and an
 * SMI load the registers past them (x86.c kvm_vcpu_reset(), smm.c enter_smm()), so a CPU that comes
 * up is not in the way: its bits are not set before it sets them.
 *
 * The signal: bpf_send_signal_thread() queues an irq_work where it may not take locks
 * (kernel/trace/bpf_trace.c bpf_send_signal_common(): 6.1 with interrupts off, 6.12 with preemption
 * off, as always in a kprobe), and refuses a task that exits or whose memory is not loaded
 * (nmi_uaccess_okay()), neither of which runs a vCPU. The work's interrupt comes before the next
 * guest instruction: exit handlers run with interrupts on, and an interrupt still pending at the
 * entry ends that entry, as both vendors' KVM intercepts them (svm/svm.c init_vmcb(), vmx/vmx.c
 * PIN_BASED_EXT_INTR_MASK). vcpu_run() looks for signals after each exit, and vcpu_enter_guest()
 * again with interrupts off (kvm_vcpu_exit_request()). -EBUSY: the CPU's only irq_work is under
 * way for somebody else.
 *
 * A program is passed over while another one, or a change to a map, is under way on the same CPU
 * (bpf_prog_active, trace_call_bpf()): on hosts that preempt the kernel anywhere a write may go
 * unseen so.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "hv/vmx/crwatch.h"

/* The kernel's own, as far as they matter here; libbpf fills the offsets in. */
struct kvm_vcpu_arch {
	unsigned long cr0, cr4;
} __attribute__((preserve_access_index));

struct kvm_vcpu {
	int vcpu_id;
	struct kvm_vcpu_arch arch;
} __attribute__((preserve_access_index));

struct task_struct {
	struct task_struct *group_leader;
	__u64 start_boottime;
} __attribute__((preserve_access_index));

#define NS_PER_TICK 10000000 /* USER_HZ is 100 on x86 (asm-generic/param.h) */

struct page_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size,
	       sizeof(struct rf_cr_page)); /* its type would only be declared in the BTF */
};

/* By process id of the VMM, as the init namespace has it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__array(values, struct page_map);
} rf_cr_vms SEC(".maps");

static __always_inline int watch(struct pt_regs *ctx, bool cr4)
{
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)PT_REGS_PARM1(ctx);
	__u64 value = PT_REGS_PARM2(ctx), pinned, bits;
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0, id;
	struct task_struct *task;
	struct rf_cr_page *page;
	void *vm;

	vm = bpf_map_lookup_elem(&rf_cr_vms, &tgid);
	if (!vm)
		return 0;
	page = bpf_map_lookup_elem(vm, &zero);
	if (!page)
		return 0;
	pinned = cr4 ? page->cr4_pinned : page->cr0_pinned;
	if (!pinned)
		return 0;
	bits = (cr4 ? BPF_CORE_READ(vcpu, arch.cr4) : BPF_CORE_READ(vcpu, arch.cr0)) & ~value &
	       pinned & 0xffffffff;
	if (!bits)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	if (BPF_CORE_READ(task, group_leader, start_boottime) / NS_PER_TICK != page->started)
		return 0;
	__sync_fetch_and_add(&page->cleared, 1);
	id = BPF_CORE_READ(vcpu, vcpu_id);
	if (id < RF_CR_VCPUS)
		__sync_fetch_and_or(&page->slots[id], cr4 ? bits : bits << 32);
	if (id >= RF_CR_VCPUS || bpf_send_signal_thread(page->signal))
		__sync_fetch_and_add(&page->lost, 1);
	return 0;
}

SEC("kprobe/kvm_set_cr0")
int rf_cr0(struct pt_regs *ctx)
{
	return watch(ctx, false);
}

SEC("kprobe/kvm_set_cr4")
int rf_cr4(struct pt_regs *ctx)
{
	return watch(ctx, true);
}

/* What reads kernel memory is for programs under the GPL alone. */
char LICENSE[] SEC("license") = "GPL";
