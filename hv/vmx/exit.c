// SPDX-License-Identifier: LGPL-2.1-or-later
/* What KVM_RUN came back with: taken out of kvm_run once, and decoded. */
#include "hv/vmx/exit.h"

#include <string.h>

#include "hv/guestmem.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/trap.h"
#include "hv/vmx/vm.h"

void rf_exit_copy(struct rf_vcpu *v, struct rf_exit *e)
{
	const struct kvm_run *run = v->run;
	uint32_t traps;
	uint16_t port;

	e->reason = RF_EXIT_OTHER;
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		e->reason = RF_EXIT_MMIO;
		e->mmio.gpa = run->mmio.phys_addr;
		e->mmio.len = run->mmio.len;
		e->mmio.is_write = run->mmio.is_write;
		memcpy(e->mmio.data, run->mmio.data, sizeof(e->mmio.data));
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		e->reason = run->exit_reason == KVM_EXIT_X86_WRMSR ? RF_EXIT_WRMSR : RF_EXIT_RDMSR;
		e->msr.index = run->msr.index;
		e->msr.value = run->msr.data;
		e->msr.by_filter = run->msr.reason == KVM_MSR_EXIT_REASON_FILTER;
		break;
	case KVM_EXIT_IO:
		port = run->io.port;
		if (port != RF_TRAP_PORT || (rf_traps_at(&traps), !traps))
			break;
		e->reason = RF_EXIT_IO;
		e->io.port = port;
		e->io.size = run->io.size;
		e->io.count = run->io.count;
		e->io.is_out = run->io.direction == KVM_EXIT_IO_OUT;
		rf_cpu_where(v, &e->io.rip, &e->io.cpl);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV) {
			e->reason = RF_EXIT_DELIVERY;
			/* x86.c kvm_prepare_event_vectoring_exit(): what the CPU says of the event,
			 * its exit and why; the address, where there is one; the last CPU. */
			e->delivery.gpa =
				run->internal.ndata >= 5 ? run->internal.data[3] : UINT64_MAX;
			break;
		}
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
			break;
		e->reason = RF_EXIT_EMULATION;
		e->insn.has_bytes = run->emulation_failure.ndata >= 3 &&
				    run->emulation_failure.flags &
					    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		if (e->insn.has_bytes) {
			e->insn.len = run->emulation_failure.insn_size;
			memcpy(e->insn.bytes, run->emulation_failure.insn_bytes,
			       sizeof(e->insn.bytes));
		}
		break;
	}
}

enum rf_decoded rf_exit_decode(const struct rf_exit *e)
{
	struct rf_guarded ranges[RF_MAX_OVERLAYS];
	struct rf_guard g = {
		.ranges = ranges,
		.count = rf_guestmem.nr_overlays,
		.msr_pinned = e->reason == RF_EXIT_WRMSR && rf_msr_ours(e->msr.index),
		.vmm_wants_msr_exits = rf_vmm_asked.msr_exits,
	};
	uint32_t count;

	if (e->reason == RF_EXIT_OTHER)
		return RF_NOT_OURS;
	g.traps = rf_traps_at(&count);
	g.traps_count = count;
	for (size_t i = 0; i < g.count; i++) {
		const struct rf_overlay *o = &rf_guestmem.overlays[i];

		ranges[i] = (struct rf_guarded){ o->gpa.start, o->gpa.size,
						 o->kind == RF_OVERLAY_SEAL };
		g.any_sealed |= ranges[i].sealed;
	}
	return rf_decode(e, &g);
}

enum rf_decoded rf_exit_decode_outside(const struct rf_exit *e)
{
	RF_LOCKED();
	return rf_exit_decode(e);
}

/*
 * KVM_RUN that completes what is pending and does not run the guest. Outside the gate, but it may
 * look memory up: with the lock held nobody is half through re-making slots.
 */
static int complete(struct rf_vcpu *v, struct rf_exit *e, enum rf_decoded *what)
{
	int err;

	RF_LOCKED();
	err = rf_kvm(v->fd, KVM_RUN, NULL);
	if (!err) {
		rf_exit_copy(v, e);
		*what = rf_exit_decode(e);
	}
	return err;
}

/* --- one instruction, all its parts --------------------------------------- */

#define MAX_PARTS                                                                                  \
	64 /* KVM cuts an operand into 8-byte parts; xsave and the like are 512 bytes and more */

bool rf_arch_drain(struct rf_vcpu *v)
{
	struct rf_msg_event *ev = &v->wait.event;

	/* x86.c x86_emulate_instruction(): a store's RIP is written back before it exits. */
	ev->write.rip_after = 1;
	for (int i = 0; i < MAX_PARTS; i++) {
		enum rf_decoded what;
		struct rf_exit e;
		int err;

		/* Left raised: lowered on the way back to the VMM, so that a kick of its own is not
		 * lost. */
		rf_gate_hold_entry(v);
		err = complete(v, &e, &what);
		if (err == -EINTR)
			return false;
		if (err)
			rf_fatal("a store could not be completed");
		if (what != RF_SEALED_STORE)
			return true;
		if (ev->write.gpa + ev->write.len == e.mmio.gpa &&
		    ev->write.len + e.mmio.len <= sizeof(ev->write.bytes)) {
			memcpy(ev->write.bytes + ev->write.len, e.mmio.data, e.mmio.len);
			ev->write.len += e.mmio.len;
		} else {
			ev->write.elsewhere = 1;
		}
	}
	rf_fatal("a store that does not end");
}
