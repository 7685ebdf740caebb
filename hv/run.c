/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM_RUN, again and again, until an exit is the VMM's. An exit of ours never reaches it: for
 * KVM_EXIT_MMIO QEMU would perform the write itself (accel/kvm/kvm-all.c kvm_cpu_exec(),
 * address_space_rw()).
 */
#include "hv/run.h"

#include <string.h>
#include <time.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"

/* --- exits ---------------------------------------------------------------- */

/* KVM reads msr.error when it goes on: set, the guest gets #GP. The CPU itself refuses some values.
 */
static enum rf_next let_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	v->run->msr.error = rf_cpu_set_msr(v, e->msr.index, e->msr.value) != 0;
	return RF_AGAIN;
}

static enum rf_next on_kernel_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	rf_count(RF_COUNT_MSR);
	v->left_behind = false;
	/* Further CPUs load what the first one did; a guest's guest has a kernel of its own. */
	if ((rf_vm.lstar && e->msr.value == rf_vm.lstar) ||
	    (rf_vm.state == RF_VM_SEALED && rf_cpu_nested(v)))
		return let_msr(v, e);
	rf_event_new(v);
	v->wait.event.msr.index = e->msr.index;
	v->wait.event.msr.value = e->msr.value;
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_KERNEL);
	return RF_AGAIN;
}

static enum rf_next on_pinned_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_pinned pin;

	rf_count(RF_COUNT_MSR);
	/* KVM_SET_MSRS gives what the guest's CPUID does not offer (x86.c set_efer()). */
	if (e->msr.index == RF_MSR_EFER && !rf_cpu_offers_efer(v, e->msr.value)) {
		v->run->msr.error = 1;
		return RF_AGAIN;
	}
	/* A reset may have taken the pins away meanwhile. */
	if (!rf_msr_pinned(e->msr.index, &pin) ||
	    (pin.how == RF_PIN_VALUE && !((e->msr.value ^ pin.value) & pin.mask)) ||
	    rf_cpu_nested(v) || rf_cpu_in_smm(v))
		return let_msr(v, e); /* in SMM the firmware's own; RSM loads the kernel's again */
	rf_event_new(v);
	v->wait.event.msr.index = e->msr.index;
	v->wait.event.msr.value = e->msr.value;
	v->wait.event.msr.pinned = pin.value;
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_MSR);
	return RF_AGAIN;
}

static enum rf_next on_sealed_store(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_msg_event *ev = &v->wait.event;

	rf_count(RF_COUNT_WRITE);
	if (rf_patch_settle(v, e->mmio.gpa, e->mmio.data, e->mmio.len)) {
		rf_count(RF_COUNT_SETTLED);
		return RF_AGAIN;
	}
	rf_event_new(v);
	ev->write.gpa = e->mmio.gpa;
	ev->write.len = e->mmio.len;
	ev->write.rip_after = 1;
	memcpy(ev->write.bytes, e->mmio.data, e->mmio.len);
	if (rf_exit_drain(v, ev))
		rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_WRITE);
	return RF_AGAIN;
}

static enum rf_next on_emulation_failure(struct rf_vcpu *v, const struct rf_exit *e)
{
	rf_count(RF_COUNT_EMULATION);
	rf_event_new(v);
	if (e->insn.has_bytes) {
		v->wait.event.insn.len = e->insn.len;
		memcpy(v->wait.event.insn.bytes, e->insn.bytes, sizeof(e->insn.bytes));
	}
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_EMULATION);
	return RF_AGAIN;
}

static void post_cr(struct rf_vcpu *v, bool interrupted)
{
	rf_event_new(v);
	v->wait.event.cr.cr0_bits = v->cr.cr0_bits;
	v->wait.event.cr.cr4_bits = v->cr.cr4_bits;
	v->wait.event.cr.cr0 = v->cr.cr0;
	v->wait.event.cr.cr4 = v->cr.cr4;
	v->wait.event.cr.interrupted = interrupted;
	v->cr = (struct rf_cr_undone){ 0 };
	rf_event_post(v, RF_EVENT_CR);
}

static enum rf_next on_trap(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_msg_event *ev = &v->wait.event;
	uint64_t rip = e->io.rip;
	struct rf_trap_site site;

	if (!rf_trap_find(v, &rip, &site)) {
		rf_count(RF_COUNT_EXIT);
		return RF_TO_VMM;
	}
	if (site.kind == RF_TRAP_POKE) {
		rf_count(rf_poke(v, rip, &site) ? RF_COUNT_POKED : RF_COUNT_TRAP);
		return RF_AGAIN;
	}
	rf_count(RF_COUNT_TRAP);
	rf_trap_take(v, rip);
	rf_event_new(v);
	if (rf_trap_settle(v, &site, &ev->trap.value))
		return RF_AGAIN;
	ev->trap.gpa = site.gpa;
	ev->trap.kind = site.kind;
	ev->trap.len = site.len;
	if (rf_cpu_get_tables(v, &ev->tables))
		rf_fatal("a vCPU's registers could not be read");
	rf_event_post(v, RF_EVENT_TRAP);
	return RF_AGAIN;
}

/*
 * On the way to the VMM with KVM_RUN's result: true when registers were found that are not as they
 * should be, and the exit waits for the verdict.
 */
static bool post_found(struct rf_vcpu *v, int err)
{
	struct rf_msg_event *ev = &v->wait.event;
	struct rf_vcpu_tables now;
	enum rf_event_kind kind;

	if ((err && err != -EINTR) || v->wait.state != RF_WAIT_NONE || !rf_tables_due(v))
		return false;
	rf_event_new(v);
	if (rf_tables_look(v, &now)) {
		kind = RF_EVENT_TABLES;
		ev->tables = now;
		ev->kept = v->kept.tables;
		ev->has_kept = v->kept.known;
	} else if (rf_msr_look(v, ev)) {
		kind = RF_EVENT_MSR_FOUND;
	} else {
		return false;
	}
	if (!err)
		rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, kind);
	return true;
}

static void post_watch(struct rf_vcpu *v)
{
	rf_event_new(v);
	v->wait.event.watch.gpa = rf_vm.watch.gpa.v;
	v->wait.event.watch.new_value = rf_vm.watch.value;
	rf_event_post(v, RF_EVENT_WATCH);
}

/* A store to the watched page, caught before it ran. True when KVM_RUN's result is still to be
 * dispatched. */
static bool step_over_watch(struct rf_vcpu *v, int *err)
{
	bool hit = false;

	*err = rf_watch_step(v, &hit);
	if (hit)
		post_watch(v);
	if (*err)
		return true;
	/* A debugger of the VMM's steps too: then the exit is its own. */
	return v->run->exit_reason != KVM_EXIT_DEBUG ||
	       v->vmm_debug.control & KVM_GUESTDBG_SINGLESTEP;
}

/* Nothing is sealed: what KVM cannot emulate is no event, but not the end of the guest either. */
static bool user_gets_ud(struct rf_vcpu *v)
{
	struct rf_vcpu_regs regs;

	if (rf_cpu_get_regs(v, &regs))
		rf_fatal("a vCPU's registers could not be read");
	if (!rf_vmm_expects_ud(&regs))
		return false;
	if (rf_cpu_inject(v, 6))
		rf_fatal("#UD could not be injected");
	return true;
}

/* KVM_RUN came back with *err; still inside the gate, which this leaves. */
static enum rf_next dispatch(struct rf_vcpu *v, int *err)
{
	struct rf_exit e = { .reason = RF_EXIT_OTHER };
	enum rf_decoded what = RF_NOT_OURS;
	bool hit = false;

	if (!*err)
		e = rf_exit_copy(v);
	/*
	 * Where KVM emulates the store instead of running it, a locked one ends here:
	 * emulator_cmpxchg_emulated() cannot write to the page either. RIP is on the instruction in
	 * both cases.
	 */
	if (rf_vm.watch.armed && (*err == -EFAULT || e.reason == RF_EXIT_EMULATION)) {
		rf_gate_leave(v);
		if (!step_over_watch(v, err))
			return RF_AGAIN;
		e = rf_exit_copy(v);
		if (!*err)
			what = rf_exit_decode_outside(&e);
		if (v->wait.state != RF_WAIT_NONE && what != RF_NOT_OURS)
			rf_fatal("one instruction was two events");
	} else {
		what = rf_exit_decode(&e);
		rf_gate_leave(v);
	}
	if (*err)
		return RF_TO_VMM;

	switch (what) {
	case RF_NOT_OURS:
		if (e.reason == RF_EXIT_EMULATION && user_gets_ud(v))
			return RF_AGAIN;
		rf_count(RF_COUNT_EXIT);
		return RF_TO_VMM;
	case RF_SEALED_STORE:
		return on_sealed_store(v, &e);
	case RF_WATCHED_STORE:
		if (!rf_watch_store(rf_gpa_of(e.mmio.gpa), e.mmio.data, e.mmio.len, &hit))
			return on_sealed_store(v, &e);
		if (hit)
			post_watch(v);
		return RF_AGAIN;
	case RF_KERNEL_MSR:
		return on_kernel_msr(v, &e);
	case RF_PINNED_MSR:
		return on_pinned_msr(v, &e);
	case RF_MSR_DENY:
		v->run->msr.error = 1;
		return RF_AGAIN;
	case RF_CANNOT_EMULATE:
		return on_emulation_failure(v, &e);
	case RF_TRAPPED:
		return on_trap(v, &e);
	case RF_MALFORMED:
		break;
	}
	rf_count(RF_COUNT_MALFORMED);
	rf_fatal("KVM reported an exit that contradicts itself");
}

/*
 * The VMM loaded a running guest: its kernel is announced, and sealed, before the first instruction
 * here. One vCPU does it; the others wait until the kernel is known.
 */
static int announce_loaded(struct rf_vcpu *v)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	while (v->loaded_lstar) {
		int nobody = 0;

		if (v->loaded_lstar == rf_vm.lstar) {
			v->loaded_lstar = 0;
		} else if (atomic_compare_exchange_strong(&rf_vm.announcing, &nobody, 1)) {
			rf_event_new(v);
			v->wait.event.msr.index = RF_MSR_LSTAR;
			v->wait.event.msr.value = v->loaded_lstar;
			v->loaded_lstar = 0;
			rf_event_post(v, RF_EVENT_KERNEL);
		} else if (rf_gate_wanted(v)) {
			return -EINTR;
		} else {
			nanosleep(&pause, NULL);
		}
	}
	return 0;
}

int rf_vcpu_run(struct rf_vcpu *v)
{
	for (;;) {
		int err = announce_loaded(v);

		if (err)
			return rf_gate_interrupted(v);
		if (v->wait.state != RF_WAIT_NONE) {
			enum rf_next next = RF_AGAIN;

			err = rf_channel_wait(v);
			if (err == -EINTR)
				return rf_gate_interrupted(v);
			if (!err)
				next = rf_enforce(v);
			if (v->wait.event.kind == RF_EVENT_KERNEL)
				atomic_store(&rf_vm.announcing, 0);
			if (next == RF_TO_VMM)
				return 0;
		}
		/* Told late: it came with an exit that had to be dealt with first. */
		if (v->cr.cr0_bits | v->cr.cr4_bits) {
			rf_poke_settle(v);
			post_cr(v, false);
			continue;
		}
		if (rf_gate_enter(v) == -EINTR) {
			rf_poke_settle(v);
			return rf_gate_interrupted(v);
		}
		rf_count(RF_COUNT_RUN);
		err = rf_kvm(v->fd, KVM_RUN, NULL);
		rf_poke_ran(v);
		if (rf_cr_undo(v) && err == -EINTR)
			post_cr(v, true);
		if (dispatch(v, &err) == RF_AGAIN || (post_found(v, err) && !err))
			continue;
		return err == -EINTR ? rf_gate_interrupted(v) : err;
	}
}
