// SPDX-License-Identifier: LGPL-2.1-or-later
/* What becomes of an exit on x86, and what is asked before a vCPU runs on. */
#include <string.h>

#include "hv/board.h"
#include "hv/event.h"
#include "hv/guestmem.h"
#include "hv/handle.h"
#include "hv/life.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/exit.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/poke.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"
#include "hv/vmx/vm.h"
#include "hv/watch.h"

/* --- MSRs ---------------------------------------------------------------------- */

static enum rf_next ask_msr(struct rf_vcpu *v, const struct rf_exit *e, uint64_t pinned)
{
	rf_event_new(v);
	v->wait.event.msr.index = e->msr.index;
	v->wait.event.msr.value = e->msr.value;
	v->wait.event.msr.pinned = pinned;
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_MSR);
	return RF_WAIT;
}

static enum rf_next on_kernel_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	uint64_t known;

	rf_count(RF_COUNT_MSR);
	v->arch->left_behind = false;
	switch (rf_life_entry(e->msr.value, &known)) {
	case RF_ENTRY_KNOWN:
		/* Further CPUs load what the first one did. */
		return rf_msr_let(v, e->msr.index, e->msr.value);
	case RF_ENTRY_PINNED:
		/* A guest's guest has a kernel of its own. */
		return rf_cpu_nested(v) ? rf_msr_let(v, e->msr.index, e->msr.value)
					: ask_msr(v, e, known);
	case RF_ENTRY_NEW:
		break;
	}
	return rf_on_new_entry(v, e->msr.value, true);
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
	/* A reset may have taken the pins away meanwhile; in SMM it is the firmware's own, and RSM
	 * loads the kernel's again. */
	if (!rf_msr_pinned(e->msr.index, &pin) ||
	    (pin.how == RF_PIN_VALUE && !((e->msr.value ^ pin.value) & pin.mask)) ||
	    rf_cpu_nested(v) || rf_cpu_in_smm(v))
		return rf_msr_let(v, e->msr.index, e->msr.value);
	return ask_msr(v, e, pin.value);
}

static enum rf_next on_our_msr(struct rf_vcpu *v, const struct rf_exit *e, enum rf_decoded what)
{
	/* Denied to this guest already: the VMM answers, or KVM would, with #GP. */
	if (rf_msr_vmm_denies(e->msr.index)) {
		v->run->msr.error = 1;
		return rf_vmm_asked.msr_exits ? RF_TO_VMM : RF_AGAIN;
	}
	return what == RF_KERNEL_MSR ? on_kernel_msr(v, e) : on_pinned_msr(v, e);
}

/* --- traps ----------------------------------------------------------------------- */

static enum rf_next on_trap(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_msg_event *ev = &v->wait.event;
	uint64_t rip = e->io.rip;
	struct rf_trap_site site;

	if (!rf_trap_find(v, &rip, &site)) {
		rf_count(RF_COUNT_EXIT);
		return RF_TO_VMM;
	}
	rf_event_new(v);
	if (site.kind == RF_TRAP_POKE && rf_poke(v, rip, &site))
		return RF_AGAIN;
	rf_count(RF_COUNT_TRAP);
	rf_trap_take(v, rip);
	if (rf_trap_settle(v, &site, &ev->trap.value))
		return RF_AGAIN;
	ev->trap.gpa = site.gpa;
	ev->trap.kind = site.kind;
	ev->trap.len = site.len;
	rf_arch_describe(v);
	rf_event_post(v, RF_EVENT_TRAP);
	return RF_WAIT;
}

/* --- stores of the CPU's own ------------------------------------------------------ */

/*
 * A CPU may say that an event was being delivered when none was: the emulated host's leaves the
 * type of the last one in the VMCB, and KVM's svm_check_emulate_instruction() looks at no more
 * (seen on a 7.3 host; QEMU target/i386/tcg/seg_helper.c do_interrupt_all() clears the valid bit
 * alone). Running again then performs the store as ever. Once: twice in a row it is believed, as of
 * INT3 nothing else tells.
 */
static enum rf_next on_undelivered(struct rf_vcpu *v, const struct rf_exit *e)
{
	uint32_t vector = rf_cpu_delivers(v);

	if (!v->arch->delivery_failed && vector == RF_NO_VECTOR) {
		v->arch->delivery_failed = true;
		return RF_AGAIN;
	}
	rf_event_new(v);
	v->wait.event.delivery.gpa = e->delivery.gpa;
	v->wait.event.delivery.vector = vector;
	rf_arch_describe(v);
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_DELIVERY);
	return RF_WAIT;
}

/* Nothing is sealed: what KVM cannot emulate is no event, but not the end of the guest either. */
static bool user_gets_ud(struct rf_vcpu *v)
{
	struct rf_vcpu_regs regs;

	rf_arch_regs(v, &regs);
	return rf_arch_unemulated(v, &regs);
}

bool rf_arch_unemulated(struct rf_vcpu *v, const struct rf_vcpu_regs *regs)
{
	/*
	 * KVM without EXIT_ON_EMULATION_FAILURE gives user mode a #UD instead of an exit (x86.c
	 * handle_emulation_failure()); a VMM that did not ask for the capability expects that.
	 */
	if (rf_vmm_asked.emulation_exits || !regs->cpl)
		return false;
	if (rf_cpu_inject(v, 6))
		rf_fatal("#UD could not be injected");
	return true;
}

/* --- KVM_RUN came back ------------------------------------------------------------- */

static enum rf_next dispatch(struct rf_vcpu *v, const struct rf_exit *e, enum rf_decoded what)
{
	switch (what) {
	case RF_NOT_OURS:
		if (e->reason == RF_EXIT_EMULATION && user_gets_ud(v))
			return RF_AGAIN;
		rf_count(RF_COUNT_EXIT);
		return RF_TO_VMM;
	case RF_SEALED_STORE:
		return rf_on_sealed_store(v, e->mmio.gpa, e->mmio.data, e->mmio.len);
	case RF_WATCHED_STORE:
		return rf_on_watched_store(v, e->mmio.gpa, e->mmio.data, e->mmio.len);
	case RF_KERNEL_MSR:
	case RF_PINNED_MSR:
		return on_our_msr(v, e, what);
	case RF_MSR_DENY:
		v->run->msr.error = 1;
		return RF_AGAIN;
	case RF_CANNOT_EMULATE:
		return rf_on_unemulated(v, e->insn.bytes, e->insn.has_bytes ? e->insn.len : 0);
	case RF_TRAPPED:
		return on_trap(v, e);
	case RF_UNDELIVERED:
		return on_undelivered(v, e);
	case RF_MALFORMED:
		break;
	}
	rf_count(RF_COUNT_MALFORMED);
	rf_fatal("KVM reported an exit that contradicts itself");
}

/*
 * A store to the watched page that did not execute. Where KVM emulates it instead of running it, a
 * locked one ends as an emulation failure: emulator_cmpxchg_emulated() cannot write to the page
 * either. RIP is on the instruction in both cases.
 */
static enum rf_next watched(struct rf_vcpu *v, int *err)
{
	enum rf_decoded what;
	enum rf_next next;
	struct rf_exit e;
	bool more;

	next = rf_on_watched_step(v, err, &more);
	if (!more)
		return next;
	rf_exit_copy(v, &e);
	what = rf_exit_decode_outside(&e);
	if (next != RF_WAIT)
		return dispatch(v, &e, what);
	if (what != RF_NOT_OURS)
		rf_fatal("one instruction was two events");
	return RF_WAIT;
}

static void post_cr(struct rf_vcpu *v)
{
	rf_event_new(v);
	v->wait.event.cr = v->arch->cr;
	v->arch->cr = (struct rf_cr_cleared){ 0 };
	rf_event_post(v, RF_EVENT_CR);
}

enum rf_next rf_arch_after_run(struct rf_vcpu *v, int *err)
{
	bool failed_before = v->arch->delivery_failed;
	struct rf_exit e;
	enum rf_decoded what = RF_NOT_OURS;

	e.reason = RF_EXIT_OTHER;
	v->arch->delivery_failed = false;
	rf_poke_ran(v);
	if (rf_cr_undo(v) && *err == -EINTR) {
		rf_gate_leave(v);
		v->arch->cr.interrupted = true;
		post_cr(v);
		return RF_WAIT;
	}
	if (!*err)
		rf_exit_copy(v, &e);
	if (rf_watch_armed() && (*err == -EFAULT || e.reason == RF_EXIT_EMULATION)) {
		rf_gate_leave(v);
		return watched(v, err);
	}
	if (!*err && e.reason != RF_EXIT_OTHER)
		what = rf_exit_decode(&e);
	rf_gate_leave(v);
	/* A kick in between says nothing. */
	if (*err || what == RF_UNDELIVERED)
		v->arch->delivery_failed = failed_before;
	v->arch->ready_said = *err == -EINTR;
	return *err ? RF_TO_VMM : dispatch(v, &e, what);
}

/* --- before it runs on ---------------------------------------------------------------- */

static enum rf_next post_tables(struct rf_vcpu *v, const struct rf_vcpu_tables *now)
{
	rf_event_new(v);
	v->wait.event.tables = *now;
	v->wait.event.kept = v->arch->kept.tables;
	v->wait.event.has_kept = v->arch->kept.known;
	rf_event_post(v, RF_EVENT_TABLES);
	return RF_WAIT;
}

static enum rf_next look_at_tables(struct rf_vcpu *v)
{
	struct rf_vcpu_tables now;

	return rf_tables_look(v, &now) ? post_tables(v, &now) : RF_AGAIN;
}

static enum rf_next look_at_msrs(struct rf_vcpu *v)
{
	rf_event_new(v);
	if (!rf_msr_look(v, rf_life_known_entry(), &v->wait.event))
		return RF_AGAIN;
	rf_event_post(v, RF_EVENT_MSR_FOUND);
	return RF_WAIT;
}

static enum rf_next look_for_a_stall(struct rf_vcpu *v)
{
	if (!rf_tables_stalled(v))
		return RF_AGAIN;
	/* A kick may have kept it back. At the second such look it is what cannot be delivered. */
	if (v->arch->kept.looks == 1 && rf_cpu_delivers(v) != RF_NO_VECTOR)
		return RF_AGAIN;
	rf_event_new(v);
	rf_arch_describe(v);
	rf_event_post(v, RF_EVENT_STALLED);
	return RF_WAIT;
}

enum rf_next rf_arch_look(struct rf_vcpu *v)
{
	static enum rf_next (*const looks[])(struct rf_vcpu * v) = { look_at_tables, look_at_msrs,
								     look_for_a_stall };
	const unsigned count = sizeof(looks) / sizeof(looks[0]);
	unsigned *turn = &v->arch->kept.turn;
	enum rf_next next = RF_AGAIN;

	if (!rf_tables_due(v))
		return RF_AGAIN;
	/* In turn: what is found at each look of one kind keeps no other kind from being found. */
	for (unsigned i = 0; i < count && next == RF_AGAIN; i++)
		next = looks[(*turn)++ % count](v);
	return next;
}

enum rf_next rf_arch_before_run(struct rf_vcpu *v)
{
	/* Told late: it came with an exit that had to be dealt with first. */
	if (v->arch->cr.cr0_bits | v->arch->cr.cr4_bits) {
		rf_poke_settle(v);
		post_cr(v);
		return RF_WAIT;
	}
	/* In HLT no window comes that the VMM has asked for (x86.c vcpu_run(), vcpu_block()): it
	 * gets its thread back once more, with KVM's word. */
	if (v->arch->ready_hidden && v->run->request_interrupt_window && rf_cpu_waits(v))
		rf_gate_hold_entry(v);
	return RF_AGAIN;
}

/*
 * KVM_RUN that ends so says whether KVM can take an interrupt (x86.c post_kvm_run_save()). Else a
 * question may be open, a fault of ours on its way, or an interrupt queued by the VMM since then. A
 * VMM that has the interrupt controller itself would queue one now (KVM_INTERRUPT), and KVM would
 * lose one: svm.c svm_complete_interrupts() and its like empty all queues. A VMM that reads 0 here
 * asks for the moment when KVM can take one (request_interrupt_window), and KVM_RUN exits then.
 */
void rf_arch_interrupted(struct rf_vcpu *v)
{
	v->arch->ready_hidden = !v->arch->ready_said;
	v->arch->ready_said = false;
	if (v->arch->ready_hidden)
		v->run->ready_for_interrupt_injection = 0;
}

void rf_arch_not_run(struct rf_vcpu *v)
{
	rf_poke_settle(v);
}
