// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * KVM_RUN, again and again, until an exit is the VMM's. An exit of ours never reaches it: for
 * KVM_EXIT_MMIO QEMU would perform the write itself (accel/kvm/kvm-all.c kvm_cpu_exec(),
 * address_space_rw()).
 */
#include "hv/run.h"

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/enforce.h"
#include "hv/event.h"
#include "hv/handle.h"
#include "hv/life.h"

/* --- what the VMM loaded ------------------------------------------------------------ */

static const char held_text[] = "the state that was loaded goes with other sealed memory than this "
				"guest's: load it into a new VM, or reset this one";
static const char held_nobody[] =
	"no vCPU of what was loaded says which kernel it is of: load another state, or reset";

/* With rf_vm.lock held, before anything else can be told. */
static void tell(const struct rf_life_outcome *o)
{
	switch (o->event) {
	case RF_LIFE_RESET:
		rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
		break;
	case RF_LIFE_ARRIVED:
		if (o->released)
			rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_ARRIVED, 0);
		break;
	case RF_LIFE_RELOADED:
		if (!o->halted)
			rf_event_tell(NULL, RF_EVENT_RELOADED, 0, o->adopted);
		break;
	default:
		break;
	}
	if (o->halted)
		rf_event_tell(NULL, RF_EVENT_HALTED, o->halted, 0);
}

static void settle(void)
{
	struct rf_life_outcome o;

	rf_life_settle(rf_event_drop, tell, &o);
	if (o.halted)
		rf_say("the VM is halted", o.halted == RF_CAUSE_TEXT ? held_text : held_nobody);
}

/* RF_AGAIN: v may run, as far as the VM's life goes. *err: the VMM gets its thread back. */
static enum rf_next may_run(struct rf_vcpu *v, int *err)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t entry;

	settle();
	if (atomic_load(&v->phase) != RF_OUT)
		return RF_WAIT;
	switch (rf_life_may(v, &entry)) {
	case RF_MAY_RUN:
		return RF_AGAIN;
	case RF_MAY_ANNOUNCE:
		return rf_on_new_entry(v, entry, false);
	case RF_MAY_NEVER:
		*err = -EPERM;
		return RF_TO_VMM;
	case RF_MAY_NOT_YET:
		break;
	}
	if (rf_gate_wanted(v)) {
		*err = -EINTR;
		return RF_TO_VMM;
	}
	nanosleep(&pause, NULL);
	return RF_RESET; /* look again */
}

/* --- the loop ------------------------------------------------------------------------- */

static enum rf_next enter(struct rf_vcpu *v, int *err)
{
	enum rf_next next = rf_arch_before_run(v);
	bool held;

	if (next != RF_AGAIN)
		return next;
	if (rf_gate_enter(v) == -EINTR) {
		rf_arch_not_run(v);
		*err = -EINTR;
		return RF_TO_VMM;
	}
	/* Loaded while this one waited at the gate. */
	if (rf_life_unsettled()) {
		rf_gate_leave(v);
		rf_arch_not_run(v);
		return RF_AGAIN;
	}
	rf_count(RF_COUNT_RUN);
	held = rf_gate_wanted(v); /* then the guest does not run: api.rst, KVM_RUN */
	*err = rf_kvm(v->fd, KVM_RUN, NULL);
	if (!held || *err != -EINTR)
		v->chose = *err != -EINTR;
	return rf_arch_after_run(v, err);
}

/* The answer to the open question, carried out. */
static enum rf_next answer(struct rf_vcpu *v, int *err)
{
	*err = rf_event_take(v);
	if (*err == -EINTR)
		return RF_TO_VMM;
	if (*err)
		return RF_AGAIN; /* dropped */
	return rf_enforce(v);
}

static void tell_kexec(void)
{
	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_KEXEC, 0);
}

static void hand_over(struct rf_vcpu *v)
{
	if (!rf_life_kexec(v, rf_event_drop, tell_kexec))
		rf_fatal("the monitor lets a kexec pass that the policy does not, or not any more");
}

int rf_vcpu_run(struct rf_vcpu *v)
{
	bool comes_in = true;

	for (;;) {
		enum rf_next next = RF_AGAIN;
		int err = 0;

		if (atomic_load(&v->overdue) && rf_life_overdue(v))
			rf_event_tell(v, RF_EVENT_UNSEALED, 0, 0);
		if (rf_life_unsettled()) {
			next = may_run(v, &err);
			if (next == RF_RESET)
				continue;
		}
		if (next == RF_AGAIN && atomic_load(&v->phase) != RF_OUT)
			next = RF_WAIT; /* asked before the VMM had its thread back */
		if (next == RF_AGAIN && comes_in)
			next = rf_arch_look(v);
		comes_in = false;
		if (next == RF_AGAIN)
			next = enter(v, &err);
		if (next == RF_WAIT)
			next = answer(v, &err);
		if (next == RF_RESET)
			hand_over(v);
		if (next == RF_TO_VMM) {
			v->exited = !err;
			if (err != -EINTR)
				return err;
			rf_arch_interrupted(v);
			return rf_gate_interrupted(v);
		}
	}
}
