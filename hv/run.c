/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM_RUN, again and again, until an exit is the VMM's. An exit of ours never reaches it: for
 * KVM_EXIT_MMIO QEMU would perform the write itself (accel/kvm/kvm-all.c kvm_cpu_exec(),
 * address_space_rw()).
 */
#include "hv/vm.h"

#include <string.h>
#include <time.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/decode.h"

enum next { AGAIN, TO_VMM };

/* --- kvm_run in and out --------------------------------------------------- */

static void save_exit(const struct rf_vcpu *v, struct rf_saved_exit *s)
{
	s->reason = v->run->exit_reason;
	memcpy(s->data, (const uint8_t *)&v->run->hw, sizeof(s->data));
}

static void restore_exit(struct rf_vcpu *v, struct rf_saved_exit *s)
{
	v->run->exit_reason = s->reason;
	memcpy((uint8_t *)&v->run->hw, s->data, sizeof(s->data));
	s->reason = 0;
}

_Static_assert(sizeof(((struct rf_saved_exit *)0)->data) ==
		       offsetof(struct kvm_run, kvm_valid_regs) - offsetof(struct kvm_run, hw),
	       "the union of kvm_run is 256 bytes");

static struct rf_exit copy_exit(struct rf_vcpu *v)
{
	const struct kvm_run *run = v->run;
	struct rf_exit e = { .reason = RF_EXIT_OTHER };

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		e.reason = RF_EXIT_MMIO;
		e.mmio.gpa = run->mmio.phys_addr;
		e.mmio.len = run->mmio.len;
		e.mmio.is_write = run->mmio.is_write;
		memcpy(e.mmio.data, run->mmio.data, sizeof(e.mmio.data));
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		e.reason = run->exit_reason == KVM_EXIT_X86_WRMSR ? RF_EXIT_WRMSR : RF_EXIT_RDMSR;
		e.msr.index = run->msr.index;
		e.msr.value = run->msr.data;
		e.msr.by_filter = run->msr.reason == KVM_MSR_EXIT_REASON_FILTER;
		break;
	case KVM_EXIT_IO:
		e.io.port = run->io.port;
		if (e.io.port != RF_TRAP_PORT || !rf_vm.traps.count)
			break;
		e.reason = RF_EXIT_IO;
		e.io.size = run->io.size;
		e.io.count = run->io.count;
		e.io.is_out = run->io.direction == KVM_EXIT_IO_OUT;
		if (rf_cpu_where(v, &e.io.rip, &e.io.cpl))
			rf_fatal("a vCPU's registers could not be read");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
			break;
		e.reason = RF_EXIT_EMULATION;
		e.insn.has_bytes = run->emulation_failure.ndata >= 3 &&
				   run->emulation_failure.flags &
					   KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		if (e.insn.has_bytes) {
			e.insn.len = run->emulation_failure.insn_size;
			memcpy(e.insn.bytes, run->emulation_failure.insn_bytes,
			       sizeof(e.insn.bytes));
		}
		break;
	}
	return e;
}

/* Overlays change only with rf_vm.lock held and every vCPU outside: callers hold the one or are not
 * the other. */
static enum rf_decoded decode(const struct rf_exit *e)
{
	struct rf_guarded ranges[RF_MAX_OVERLAYS];
	struct rf_guard g = {
		.ranges = ranges,
		.count = rf_vm.slots.nr_overlays,
		.any_sealed = rf_vm.state == RF_VM_SEALED,
		.msr_pinned = e->reason == RF_EXIT_WRMSR && rf_msr_ours(e->msr.index),
		.traps = rf_vm.traps.rips,
		.traps_count = rf_vm.traps.count,
		.vmm_wants_msr_exits = rf_vm.vmm_msr_reasons & KVM_MSR_EXIT_REASON_FILTER,
	};

	if (e->reason == RF_EXIT_OTHER)
		return RF_NOT_OURS;
	for (size_t i = 0; i < g.count; i++) {
		const struct rf_overlay *o = &rf_vm.slots.overlays[i];

		ranges[i] = (struct rf_guarded){ o->gpa.start, o->gpa.size,
						 o->kind == RF_OVERLAY_SEAL };
	}
	return rf_decode(e, &g);
}

static enum rf_decoded decode_outside(const struct rf_exit *e)
{
	enum rf_decoded what;

	pthread_mutex_lock(&rf_vm.lock);
	what = decode(e);
	pthread_mutex_unlock(&rf_vm.lock);
	return what;
}

/*
 * KVM_RUN that completes what is pending and does not run the guest. Outside the gate, but it may
 * look memory up: with the lock held nobody is half through re-making slots.
 */
static int complete(struct rf_vcpu *v, struct rf_exit *e, enum rf_decoded *what)
{
	int err;

	pthread_mutex_lock(&rf_vm.lock);
	err = rf_kvm(v->fd, KVM_RUN, NULL);
	if (!err) {
		*e = copy_exit(v);
		*what = decode(e);
	}
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

/* --- one instruction, all its parts --------------------------------------- */

#define MAX_PARTS                                                                                  \
	64 /* KVM cuts an operand into 8-byte parts; xsave and the like are 512 bytes and more */

/*
 * Lets KVM hand out the rest of the store without running the guest: with immediate_exit set,
 * KVM_RUN completes the pending part, then exits with the next one or returns -EINTR when there is
 * none (api.rst, KVM_RUN). The parts that follow in sealed memory are added to the event. True when
 * an exit that is not ours stands in kvm_run.
 */
static bool drain(struct rf_vcpu *v, struct rf_msg_event *ev)
{
	for (int i = 0; i < MAX_PARTS; i++) {
		enum rf_decoded what;
		struct rf_exit e;
		int err;

		/* Left raised: lowered on the way back to the VMM, so that a kick of its own is not
		 * lost. */
		atomic_store(&v->kicked, 1);
		v->run->immediate_exit = 1;
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

/* --- posting and enforcing ------------------------------------------------ */

static void post(struct rf_vcpu *v, enum rf_event_kind kind)
{
	struct rf_msg_event *ev = &v->wait.event;

	rf_msg_init(&ev->h, RF_MSG_EVENT, 0);
	ev->id = atomic_fetch_add(&rf_vm.next_event, 1);
	ev->kind = kind;
	ev->vcpu = v->id;
	if (kind == RF_EVENT_KERNEL)
		atomic_store(&rf_vm.kernel, ev->id);
	if (rf_cpu_get_regs(v, &ev->regs))
		rf_fatal("a vCPU's registers could not be read");
	rf_channel_post(v);
}

static void new_event(struct rf_vcpu *v)
{
	memset(&v->wait.event, 0, sizeof(v->wait.event));
	v->wait.saved.reason = 0;
	v->wait.tries = 0;
}

/* Its bytes follow each other, but one region may end and the next begin among them. */
static void apply_store(const struct rf_msg_event *ev)
{
	pthread_mutex_lock(&rf_vm.lock);
	for (uint64_t done = 0; done < ev->write.len;) {
		struct rf_overlay *o = rf_overlay_at(&rf_vm.slots, ev->write.gpa + done);
		uint64_t at, part = ev->write.len - done;

		if (!o || o->kind != RF_OVERLAY_SEAL)
			break; /* released by a reset */
		at = ev->write.gpa + done - o->gpa.start;
		if (part > o->gpa.size - at)
			part = o->gpa.size - at;
		rf_overlay_write(o, at, ev->write.bytes + done, part);
		done += part;
	}
	pthread_mutex_unlock(&rf_vm.lock);
}

static int enforce_store(struct rf_vcpu *v, enum rf_verdict verdict)
{
	struct rf_wait *w = &v->wait;

	if (verdict == RF_VERDICT_ALLOW && !w->event.write.elsewhere) {
		rf_count(RF_COUNT_ALLOWED);
		apply_store(&w->event);
		return 0;
	}
	rf_count(RF_COUNT_DENIED);
	rf_patch_denied(w->event.write.gpa, w->event.write.len);
	if (w->saved.reason) {
		/* The part of the store that was the VMM's does not happen either. */
		w->saved.reason = 0;
		while (drain(v, &w->event))
			;
	}
	return rf_cpu_fault(v, &w->verdict);
}

/*
 * KVM without EXIT_ON_EMULATION_FAILURE gives user mode a #UD instead of an exit (x86.c
 * handle_emulation_failure()); a VMM that did not ask for the capability expects that.
 */
static bool vmm_expects_ud(const struct rf_vcpu_regs *regs)
{
	return !rf_vm.vmm_wants_emulation_exit && regs->cpl != 0;
}

#define SETTLE_TRIES 64

/*
 * The monitor has put what makes the store legal on the table. It is judged again and applied under
 * one lock: text may have changed since the monitor looked. Not legal any more: a new question.
 */
static void settle_or_ask(struct rf_vcpu *v)
{
	struct rf_wait *w = &v->wait;

	if (!w->event.write.elsewhere &&
	    rf_patch_settle(v, w->event.write.gpa, w->event.write.bytes, w->event.write.len)) {
		rf_count(RF_COUNT_ALLOWED);
		return;
	}
	if (rf_vm.state != RF_VM_SEALED)
		return; /* released by a reset */
	if (++w->tries > SETTLE_TRIES)
		rf_fatal("the monitor calls a store legal that its table does not allow");
	post(v, RF_EVENT_WRITE);
}

static int enforce_emulation(struct rf_vcpu *v, enum rf_verdict verdict)
{
	if (verdict == RF_VERDICT_DENY) {
		rf_count(RF_COUNT_DENIED);
		v->wait.saved.reason = 0;
		return rf_cpu_fault(v, &v->wait.verdict);
	}
	rf_count(RF_COUNT_NOT_OURS);
	if (vmm_expects_ud(&v->wait.event.regs)) {
		v->wait.saved.reason = 0;
		return rf_cpu_inject(v, 6);
	}
	return 0;
}

static int enforce_msr(struct rf_vcpu *v, enum rf_verdict verdict)
{
	const struct rf_msg_event *ev = &v->wait.event;
	int err;

	restore_exit(v, &v->wait.saved); /* run->msr.error is what KVM reads next */
	if (verdict != RF_VERDICT_ALLOW) {
		rf_count(RF_COUNT_DENIED);
		v->run->msr.error = 1; /* #GP */
		return 0;
	}
	rf_count(RF_COUNT_ALLOWED);
	err = rf_cpu_set_msr(v, ev->msr.index, ev->msr.value);
	/* A value that the CPU itself would refuse is the guest's own fault; LSTAR's must be known.
	 */
	v->run->msr.error = err && ev->kind == RF_EVENT_MSR;
	return ev->kind == RF_EVENT_MSR ? 0 : err;
}

/* The bits are set again already. */
static int enforce_cr(struct rf_vcpu *v, enum rf_verdict verdict)
{
	const struct rf_msg_event *ev = &v->wait.event;

	if (verdict == RF_VERDICT_ALLOW) {
		rf_count(RF_COUNT_ALLOWED);
		return rf_cr_let(v, ev->cr.cr0_bits, ev->cr.cr4_bits);
	}
	rf_count(RF_COUNT_DENIED);
	return v->wait.verdict.vector ? rf_cpu_fault(v, &v->wait.verdict) : 0;
}

/* Commands name the kernel that was known before, again. */
static void kernel_denied(uint64_t id)
{
	unsigned long long announced = id;

	atomic_compare_exchange_strong(&rf_vm.kernel, &announced, rf_vm.board->kernel);
}

/* The verdict is there. TO_VMM when an exit stands in kvm_run that the VMM must see. */
static enum next enforce(struct rf_vcpu *v)
{
	enum rf_verdict verdict = v->wait.verdict.verdict;
	int err = 0;

	if (verdict == RF_VERDICT_KILL)
		rf_fatal("the monitor ends it; its own message and the audit log say why");
	switch (v->wait.event.kind) {
	case RF_EVENT_WRITE:
		if (verdict == RF_VERDICT_SETTLE) {
			settle_or_ask(v);
			if (v->wait.state != RF_WAIT_NONE)
				return AGAIN;
		} else {
			err = enforce_store(v, verdict);
		}
		break;
	case RF_EVENT_EMULATION:
		err = enforce_emulation(v, verdict);
		break;
	case RF_EVENT_MSR:
		err = enforce_msr(v, verdict);
		break;
	case RF_EVENT_CR:
		err = enforce_cr(v, verdict);
		break;
	case RF_EVENT_TRAP:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		err = rf_trap_enforce(v, verdict == RF_VERDICT_ALLOW);
		break;
	case RF_EVENT_TABLES:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		err = rf_tables_enforce(v, verdict == RF_VERDICT_ALLOW);
		break;
	case RF_EVENT_MSR_FOUND:
		rf_count(verdict == RF_VERDICT_ALLOW ? RF_COUNT_ALLOWED : RF_COUNT_DENIED);
		if (verdict != RF_VERDICT_ALLOW) {
			err = rf_cpu_set_msr(v, v->wait.event.msr.index, v->wait.event.msr.pinned);
			v->kept.msr = 0;
		}
		break;
	case RF_EVENT_KERNEL:
		/* Announced by the VMM's own load: nothing of the guest waits in kvm_run, no fault
		 * undoes it. */
		if (v->wait.saved.reason)
			err = enforce_msr(v, verdict);
		else if (verdict != RF_VERDICT_ALLOW)
			rf_fatal("the guest state that the VMM loaded was denied");
		if (!err && verdict == RF_VERDICT_ALLOW)
			rf_kernel_found(&v->wait.event);
		else
			kernel_denied(v->wait.event.id);
		break;
	}
	/* An allowed store is settled by its record; the others' end is worth a line of its own. */
	if (err || (verdict != RF_VERDICT_ALLOW && verdict != RF_VERDICT_SETTLE))
		rf_channel_outcome(v, err);
	if (err)
		rf_fatal("a verdict could not be enforced");
	if (!v->wait.saved.reason)
		return AGAIN;
	restore_exit(v, &v->wait.saved);
	return TO_VMM;
}

/* --- exits ---------------------------------------------------------------- */

/* KVM reads msr.error when it goes on: set, the guest gets #GP. The CPU itself refuses some values.
 */
static enum next let_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	v->run->msr.error = rf_cpu_set_msr(v, e->msr.index, e->msr.value) != 0;
	return AGAIN;
}

static enum next on_kernel_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	rf_count(RF_COUNT_MSR);
	/* Further CPUs load what the first one did; a guest's guest has a kernel of its own. */
	if ((rf_vm.lstar && e->msr.value == rf_vm.lstar) ||
	    (rf_vm.state == RF_VM_SEALED && rf_cpu_nested(v)))
		return let_msr(v, e);
	new_event(v);
	v->wait.event.msr.index = e->msr.index;
	v->wait.event.msr.value = e->msr.value;
	save_exit(v, &v->wait.saved);
	post(v, RF_EVENT_KERNEL);
	return AGAIN;
}

static enum next on_pinned_msr(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_pinned pin;

	rf_count(RF_COUNT_MSR);
	/* A reset may have taken the pins away meanwhile. */
	if (!rf_msr_pinned(e->msr.index, &pin) ||
	    (pin.how == RF_PIN_VALUE && !((e->msr.value ^ pin.value) & pin.mask)) ||
	    rf_cpu_nested(v))
		return let_msr(v, e);
	new_event(v);
	v->wait.event.msr.index = e->msr.index;
	v->wait.event.msr.value = e->msr.value;
	v->wait.event.msr.pinned = pin.value;
	save_exit(v, &v->wait.saved);
	post(v, RF_EVENT_MSR);
	return AGAIN;
}

static enum next on_sealed_store(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_msg_event *ev = &v->wait.event;

	rf_count(RF_COUNT_WRITE);
	if (rf_patch_settle(v, e->mmio.gpa, e->mmio.data, e->mmio.len)) {
		rf_count(RF_COUNT_SETTLED);
		return AGAIN;
	}
	new_event(v);
	ev->write.gpa = e->mmio.gpa;
	ev->write.len = e->mmio.len;
	ev->write.rip_after = 1;
	memcpy(ev->write.bytes, e->mmio.data, e->mmio.len);
	if (drain(v, ev))
		save_exit(v, &v->wait.saved);
	post(v, RF_EVENT_WRITE);
	return AGAIN;
}

static enum next on_emulation_failure(struct rf_vcpu *v, const struct rf_exit *e)
{
	rf_count(RF_COUNT_EMULATION);
	new_event(v);
	if (e->insn.has_bytes) {
		v->wait.event.insn.len = e->insn.len;
		memcpy(v->wait.event.insn.bytes, e->insn.bytes, sizeof(e->insn.bytes));
	}
	save_exit(v, &v->wait.saved);
	post(v, RF_EVENT_EMULATION);
	return AGAIN;
}

static void post_cr(struct rf_vcpu *v, bool interrupted)
{
	new_event(v);
	v->wait.event.cr.cr0_bits = v->cr.cr0_bits;
	v->wait.event.cr.cr4_bits = v->cr.cr4_bits;
	v->wait.event.cr.cr0 = v->cr.cr0;
	v->wait.event.cr.cr4 = v->cr.cr4;
	v->wait.event.cr.interrupted = interrupted;
	v->cr = (struct rf_cr_undone){ 0 };
	post(v, RF_EVENT_CR);
}

static enum next on_trap(struct rf_vcpu *v, const struct rf_exit *e)
{
	struct rf_msg_event *ev = &v->wait.event;
	struct rf_trap_site site;

	if (!rf_trap_take(v, e->io.rip, &site)) {
		rf_count(RF_COUNT_EXIT);
		return TO_VMM;
	}
	rf_count(RF_COUNT_TRAP);
	new_event(v);
	if (rf_trap_settle(v, &site, &ev->trap.value))
		return AGAIN;
	ev->trap.gpa = site.gpa;
	ev->trap.kind = site.kind;
	ev->trap.len = site.len;
	if (rf_cpu_get_tables(v, &ev->tables))
		rf_fatal("a vCPU's registers could not be read");
	post(v, RF_EVENT_TRAP);
	return AGAIN;
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
	new_event(v);
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
		save_exit(v, &v->wait.saved);
	post(v, kind);
	return true;
}

static void post_watch(struct rf_vcpu *v)
{
	new_event(v);
	v->wait.event.watch.gpa = rf_vm.watch.gpa.v;
	v->wait.event.watch.new_value = rf_vm.watch.value;
	post(v, RF_EVENT_WATCH);
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
	if (!vmm_expects_ud(&regs))
		return false;
	if (rf_cpu_inject(v, 6))
		rf_fatal("#UD could not be injected");
	return true;
}

/* KVM_RUN came back with *err; still inside the gate, which this leaves. */
static enum next dispatch(struct rf_vcpu *v, int *err)
{
	struct rf_exit e = { .reason = RF_EXIT_OTHER };
	enum rf_decoded what = RF_NOT_OURS;
	bool hit = false;

	if (!*err)
		e = copy_exit(v);
	/*
	 * Where KVM emulates the store instead of running it, a locked one ends here:
	 * emulator_cmpxchg_emulated() cannot write to the page either. RIP is on the instruction in
	 * both cases.
	 */
	if (rf_vm.watch.armed && (*err == -EFAULT || e.reason == RF_EXIT_EMULATION)) {
		rf_gate_leave(v);
		if (!step_over_watch(v, err))
			return AGAIN;
		e = copy_exit(v);
		if (!*err)
			what = decode_outside(&e);
		if (v->wait.state != RF_WAIT_NONE && what != RF_NOT_OURS)
			rf_fatal("one instruction was two events");
	} else {
		what = decode(&e);
		rf_gate_leave(v);
	}
	if (*err)
		return TO_VMM;

	switch (what) {
	case RF_NOT_OURS:
		if (e.reason == RF_EXIT_EMULATION && user_gets_ud(v))
			return AGAIN;
		rf_count(RF_COUNT_EXIT);
		return TO_VMM;
	case RF_SEALED_STORE:
		return on_sealed_store(v, &e);
	case RF_WATCHED_STORE:
		if (!rf_watch_store(rf_gpa_of(e.mmio.gpa), e.mmio.data, e.mmio.len, &hit))
			return on_sealed_store(v, &e);
		if (hit)
			post_watch(v);
		return AGAIN;
	case RF_KERNEL_MSR:
		return on_kernel_msr(v, &e);
	case RF_PINNED_MSR:
		return on_pinned_msr(v, &e);
	case RF_MSR_DENY:
		v->run->msr.error = 1;
		return AGAIN;
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
			new_event(v);
			v->wait.event.msr.index = RF_MSR_LSTAR;
			v->wait.event.msr.value = v->loaded_lstar;
			v->loaded_lstar = 0;
			post(v, RF_EVENT_KERNEL);
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
			enum next next = AGAIN;

			err = rf_channel_wait(v);
			if (err == -EINTR)
				return rf_gate_interrupted(v);
			if (!err)
				next = enforce(v);
			if (v->wait.event.kind == RF_EVENT_KERNEL)
				atomic_store(&rf_vm.announcing, 0);
			if (next == TO_VMM)
				return 0;
		}
		/* Told late: it came with an exit that had to be dealt with first. */
		if (v->cr.cr0_bits | v->cr.cr4_bits) {
			post_cr(v, false);
			continue;
		}
		if (rf_gate_enter(v) == -EINTR)
			return rf_gate_interrupted(v);
		rf_count(RF_COUNT_RUN);
		err = rf_kvm(v->fd, KVM_RUN, NULL);
		if (rf_cr_undo(v) && err == -EINTR)
			post_cr(v, true);
		if (dispatch(v, &err) == AGAIN || (post_found(v, err) && !err))
			continue;
		return err == -EINTR ? rf_gate_interrupted(v) : err;
	}
}
