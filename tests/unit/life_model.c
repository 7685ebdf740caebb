// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/life_model.h"

#include <stddef.h>
#include <string.h>

const char *const model_deeds[WHATS] = {
	[W_RUN] = "VMM: KVM_RUN",
	[W_BACK] = "VMM: has the thread back",
	[W_MEMORY] = "VMM: replaces memory",
	[W_LOAD] = "VMM: loads all vCPUs",
	[W_RESET_BOOT] = "VMM: resets the first vCPU alone",
	[W_PLUG] = "VMM: plugs the vCPU in",
	[W_PUT] = "VMM: puts registers back as they were",
	[W_LEAVE] = "guest: leaves KVM_RUN",
	[W_REGISTERS] = "guest: makes of its registers",
	[W_WRITE_ENTRY] = "guest: writes its entry",
	[W_STORE] = "guest: stores to sealed memory",
	[W_KEXEC] = "guest: runs into the kexec trap",
	[W_SETTLE] = "fence: looks at what was loaded",
	[W_MAY] = "fence: is to announce what arrived",
	[W_ENTER] = "fence: enters the gate",
	[W_LOOK] = "fence: looks again",
	[W_POST] = "fence: posts",
	[W_TAKE] = "fence: takes the verdict",
	[W_ENFORCE] = "fence: carries the verdict out",
	[W_ASK_AGAIN] = "fence: the table does not allow it",
	[W_TELL] = "fence: tells",
	[W_DIE] = "monitor: dies",
	[W_CONNECT] = "monitor: comes",
	[W_HEAR] = "monitor: takes an announcement up",
	[W_SAY] = "monitor: says",
};

static const char *broken; /* what the step under way did wrong */

static void must(bool holds, const char *what)
{
	if (!holds && !broken)
		broken = what;
}

/* The first vCPU is the boot processor, and runs firmware; nobody is connected yet. */
struct vm model_start(void)
{
	struct vm vm;

	memset(&vm, 0, sizeof(vm));
	return vm;
}

static bool inside(const struct vm *vm)
{
	for (unsigned i = 0; i < MAX_CPUS; i++)
		if (vm->cpu[i].phase == P_IN)
			return true;
	return false;
}

static uint32_t holding(uint32_t entry)
{
	return entry == A ? H_KA : H_KB;
}

static bool kernel_runs(const struct cpu *c)
{
	return c->held == H_K0 || c->held == H_KA || c->held == H_KB;
}

/* All that has been asked so far is of a guest that is gone. */
static void all_over(struct vm *vm)
{
	vm->stale = 0xfe;
}

/* rf_fatal(): one state, whatever it was. */
static void end(struct vm *vm)
{
	*vm = model_start();
	vm->dead = true;
}

static uint32_t new_id(struct vm *vm)
{
	uint32_t used =
		1u << vm->in_force | 1u << vm->announced | 1u << vm->mon_id | 1u << vm->force | 1;

	for (unsigned i = 0; i < MAX_CPUS; i++)
		used |= 1u << vm->cpu[i].id;
	for (uint32_t id = 1; id < 8; id++)
		if (!(used >> id & 1)) {
			vm->stale &= ~(1u << id);
			return id;
		}
	must(false, "the model has too few ids");
	return 1;
}

/* life.c take(), enter_state() */
static enum rf_life_action take(const struct model *m, struct vm *vm, enum rf_life_event event)
{
	struct rf_life_step s = m->step(vm->state, event);

	if (s.action != RF_LIFE_REFUSE)
		vm->state = s.next;
	return s.action;
}

/* life.c arrived() */
static void arrived(struct vm *vm)
{
	vm->announcer = 0;
	vm->awaiting = false;
}

/* life.c release() */
static void release(const struct model *m, struct vm *vm)
{
	if (vm->seals) {
		bool proven = vm->run_since || vm->again || m->fault == F_UNRUN_SEAL_COUNTS;

		vm->kept = proven ? vm->seals : 0;
		vm->stale_kept = vm->kept && vm->stale_seal;
	}
	vm->seals = vm->armed = vm->bad_text = vm->run_since = vm->again = 0;
	vm->stale_seal = vm->stale_watch = 0;
	vm->entry = vm->in_force = vm->announced = vm->announced_entry = vm->force = 0;
	if (m->fault != F_AWAITING_STAYS)
		arrived(vm);
	all_over(vm);
	vm->waits = false;
	vm->untold = true;
}

static void told(struct vm *vm)
{
	vm->untold = vm->must = false;
}

/* life.c what_was_loaded() */
static enum rf_life_event what_was_loaded(const struct model *m, struct vm *vm, bool *announces)
{
	bool anew = vm->cpu[0].loaded, runs = false, known = false;

	*announces = false;
	for (unsigned i = 0; i < m->cpus; i++) {
		const struct cpu *c = &vm->cpu[i];

		if (m->fault == F_BELIEVES_LSTAR_0 && c->loaded && c->held == H_K0)
			return RF_LIFE_RESET;
		anew &= c->held == H_RESET; /* or, by the VMM's load, firmware's */
		runs |= c->loaded && (kernel_runs(c) || c->held == H_NESTED);
		if (!entry_held(c))
			continue;
		*announces = true;
		known |= entry_held(c) == vm->entry;
	}
	if (runs)
		return known && vm->seals && (vm->run_since || m->fault == F_UNRUN_SEAL_COUNTS)
			       ? RF_LIFE_RELOADED
			       : RF_LIFE_ARRIVED;
	if (anew)
		return RF_LIFE_RESET;
	/* Nobody is left who could say what arrived. */
	return vm->awaiting && !*announces ? RF_LIFE_ARRIVED : RF_LIFE_EVENTS;
}

/* life.c take_load(). True: run.c tell() says that seals went. */
static bool take_load(const struct model *m, struct vm *vm, enum rf_life_event event,
		      bool announces)
{
	bool empty = vm->state == RF_VM_BOOTING && !vm->announced;
	bool by_vmm = vm->loads || vm->awaiting;

	switch (take(m, vm, event)) {
	case RF_LIFE_RELEASE:
		must(by_vmm, "released, and the VMM has loaded nothing");
		release(m, vm);
		return event == RF_LIFE_RESET && !empty;
	case RF_LIFE_AWAIT:
		must(by_vmm, "released, and the VMM has loaded nothing");
		release(m, vm);
		vm->awaiting = true;
		if (announces)
			return event == RF_LIFE_ARRIVED && !empty;
		take(m, vm, RF_LIFE_MISFIT);
		arrived(vm);
		return event == RF_LIFE_ARRIVED && !empty;
	case RF_LIFE_COMPARE:
		if (vm->bad_text) /* text.c rf_text_adopt() */
			take(m, vm, RF_LIFE_MISFIT);
		return false;
	default:
		return false;
	}
}

/* life.c make_moot(), event.c rf_event_drop() */
static void make_moot(const struct model *m, struct vm *vm, unsigned i)
{
	struct cpu *c = &vm->cpu[i];

	if (vm->announcer == i + 1 && m->fault != F_ANNOUNCER_STAYS)
		vm->announcer = 0;
	if (c->id && vm->announced == c->id && m->fault != F_ANNOUNCED_STAYS)
		vm->announced = vm->announced_entry = 0;
	if (c->phase == P_ASKING || c->phase == P_ANSWERED)
		vm->stale |= 1u << c->id;
	c->phase = P_OUT;
}

/* life.c rf_life_settle(), and what run.c settle() tells within it */
static void settle(const struct model *m, struct vm *vm, unsigned by)
{
	bool announces, tell = false, released;
	enum rf_life_event event = what_was_loaded(m, vm, &announces);

	if (event != RF_LIFE_EVENTS)
		tell = take_load(m, vm, event, announces);
	released = event == RF_LIFE_RESET || event == RF_LIFE_ARRIVED;
	for (unsigned i = 0; i < m->cpus; i++) {
		if (!vm->cpu[i].loaded && !released)
			continue;
		make_moot(m, vm, i);
		vm->cpu[i].loaded = false;
	}
	if (event == RF_LIFE_RELOADED) {
		vm->stale &= ~(1u << vm->in_force); /* it is the kernel's again */
		must(vm->bad_text || vm->state == RF_VM_SEALED,
		     "a state of the sealed kernel with its text is held");
	}
	must(event != RF_LIFE_RESET || vm->state == RF_VM_BOOTING, "a reset is no new beginning");
	must(event != RF_LIFE_ARRIVED || !announces || vm->state == RF_VM_BOOTING,
	     "what arrived is held though it says who it is");
	vm->waits |= event == RF_LIFE_ARRIVED;
	vm->loaded = vm->loads = false;
	if (!tell)
		vm->untold = vm->untold && vm->must;
	else if (m->fault == F_TOLD_LATE)
		vm->cpu[by].at = AT_TELL;
	else
		told(vm);
}

static bool unsettled(const struct model *m, const struct vm *vm)
{
	/* life.c rf_life_unsettled() */
	return vm->loaded || vm->awaiting ||
	       (vm->state == RF_VM_HALTED && m->fault != F_HALTED_RUNS);
}

/* --- the VMM -------------------------------------------------------------------- */

static bool all_back(const struct model *m, const struct vm *vm)
{
	for (unsigned i = 0; i < m->cpus; i++)
		if (vm->cpu[i].at != AT_VMM)
			return false;
	return true;
}

static void load(struct vm *vm, unsigned i, enum held held)
{
	/* fence.c vcpu_ioctl(), life.c rf_life_loaded() */
	vm->cpu[i].held = held;
	vm->cpu[i].loaded = vm->loaded = true;
	/* Not a CPU that is plugged in: nothing may be released for that. */
	if (!i)
		vm->loads = true;
}

static void load_all(const struct model *m, struct vm *vm, enum load how)
{
	static const enum held first[LOADS] = {
		[LOAD_RESET] = H_RESET,	    [LOAD_A] = H_KA,	        [LOAD_B] = H_KB,
		[LOAD_A_NESTED] = H_NESTED, [LOAD_B_NESTED] = H_NESTED, [LOAD_NOBODY] = H_K0,
	}, others[LOADS] = {
		[LOAD_RESET] = H_RESET, [LOAD_A] = H_KA,        [LOAD_B] = H_KB,
		[LOAD_A_NESTED] = H_KA, [LOAD_B_NESTED] = H_KB, [LOAD_NOBODY] = H_NESTED,
	};

	for (unsigned i = 0; i < m->cpus; i++)
		load(vm, i, i ? others[how] : first[how]);
	vm->loading = false;
	all_over(vm);
}

static bool vmm(const struct model *m, struct vm *vm, struct deed d)
{
	struct cpu *c = &vm->cpu[d.cpu];

	switch (d.what) {
	case W_RUN:
		if (c->at != AT_VMM || vm->loading)
			return false;
		c->at = AT_LOOP;
		return true;
	case W_BACK: /* event.c rf_event_take(), run.c may_run(), vcpu.c rf_gate_enter(): -EINTR */
		if (c->at != AT_LOOP)
			return false;
		c->at = AT_VMM;
		return true;
	case W_MEMORY:
		if (!m->vmm || vm->loading || !all_back(m, vm))
			return false;
		vm->loading = true;
		vm->bad_text = vm->seals && d.arg;
		all_over(vm);
		return true;
	case W_LOAD:
		if (!m->vmm || !all_back(m, vm))
			return false;
		/* A reset leaves memory as it is, a load has brought its own. */
		if (vm->loading != (d.arg != LOAD_RESET))
			return false;
		load_all(m, vm, d.arg);
		return true;
	case W_RESET_BOOT:
		if (!m->vmm || vm->loading || d.cpu || c->at != AT_VMM)
			return false;
		load(vm, 0, H_RESET);
		return true;
	case W_PLUG:
		if (!m->vmm || vm->loading || !d.cpu || c->at != AT_VMM)
			return false;
		load(vm, d.cpu, H_RESET);
		return true;
	case W_PUT: /* vmx/cpu.c rf_arch_loads(): what KVM holds already is no load */
		if (m->fault != F_BELIEVES_LSTAR_0 || c->at != AT_VMM || c->held != H_K0)
			return false;
		c->loaded = vm->loaded = true;
		return true;
	}
	return false;
}

/* --- the guest ------------------------------------------------------------------- */

static void leave(struct cpu *c, enum at at)
{
	c->phase = P_OUT; /* vcpu.c rf_gate_leave() */
	c->at = at;
}

/* event.c rf_event_post() */
static void post(const struct model *m, struct vm *vm, struct cpu *c)
{
	if (c->at == AT_ASK) {
		c->id = new_id(vm);
		if (c->ask == ASK_KERNEL) {
			/* life.c rf_life_announced() */
			vm->announced = c->id;
			vm->announced_entry = c->entry;
			if (m->fault == F_ANNOUNCED_IN_FORCE)
				vm->in_force = c->id;
			c->at = AT_ANNOUNCED;
			return;
		}
	}
	must(!vm->untold || c->ask != ASK_KERNEL,
	     "a kernel is asked about before the release that came first is told");
	must(c->phase == P_OUT, "two questions at once");
	c->phase = P_ASKING;
	c->sent = vm->connected;
	c->at = AT_LOOP;
}

/* handle.c rf_on_sealed_store() and its like: nobody can tell when it was posted. */
static void ask_other(const struct vm *vm, struct cpu *c)
{
	must(c->phase == P_OUT, "two questions at once");
	c->ask = ASK_OTHER;
	c->phase = P_ASKING;
	c->sent = vm->connected;
	c->at = AT_LOOP;
}

/*
 * vmx/dispatch.c on_kernel_msr() by life.c rf_life_entry(); handle.c rf_on_new_entry(). What comes
 * between the exit and the look might as well have come before the exit.
 */
static void written(struct vm *vm, struct cpu *c, uint32_t entry)
{
	if (vm->entry && entry == vm->entry) {
		c->held = holding(entry);
		return;
	}
	if (vm->state == RF_VM_SEALED) {
		if (c->held != H_NESTED) /* a pinned register; its guest's own is let be */
			ask_other(vm, c);
		return;
	}
	c->ask = ASK_KERNEL;
	c->entry = entry & 3;
	c->at = AT_ASK;
}

static bool guest(const struct model *m, struct vm *vm, struct deed d)
{
	struct cpu *c = &vm->cpu[d.cpu];

	if (c->at != AT_GUEST)
		return false;
	switch (d.what) {
	case W_LEAVE: /* an interrupt, an exit that is the VMM's, a kick */
		leave(c, AT_LOOP);
		return true;
	case W_REGISTERS: /* VMLOAD, INIT, a guest of its own ... */
		if (!m->tricks || c->held == d.arg)
			return false;
		c->held = d.arg;
		return true;
	case W_WRITE_ENTRY:
		leave(c, AT_LOOP);
		written(vm, c, d.arg);
		return true;
	case W_STORE:
		if (!vm->seals && !vm->armed)
			return false;
		leave(c, AT_LOOP);
		ask_other(vm, c);
		return true;
	case W_KEXEC: /* vmx/dispatch.c on_trap() */
		if (!m->traps || !vm->seals)
			return false;
		leave(c, AT_ASK);
		c->ask = ASK_KEXEC;
		return true;
	}
	return false;
}

/* --- a vCPU's thread in the fence -------------------------------------------------- */

/* life.c rf_life_known() */
static void known(const struct model *m, struct vm *vm, const struct cpu *c)
{
	bool over = is_stale(vm, c->id), halted = vm->state == RF_VM_HALTED;

	/* Asked before a release: hv/life.c knows by the ids. */
	if (over && m->fault != F_OVER_IS_KNOWN)
		return;
	if (take(m, vm, RF_LIFE_KNOWN) != RF_LIFE_REFUSE) {
		vm->entry = c->entry;
		vm->in_force = vm->force = c->id;
		if (vm->announced == c->id)
			vm->announced = vm->announced_entry = 0;
		arrived(vm);
		vm->waits = false;
	}
	must(halted || (vm->in_force == c->id && vm->state != RF_VM_HALTED),
	     "a kernel that was let is not known");
}

/* life.c rf_life_denied() */
static void denied(const struct model *m, struct vm *vm, const struct cpu *c)
{
	bool over = is_stale(vm, c->id);

	if (vm->announced == c->id)
		vm->announced = vm->announced_entry = 0;
	vm->stale |= 1u << c->id;
	if (!vm->awaiting || over)
		return;
	if (m->fault != F_DENIED_RUNS)
		take(m, vm, RF_LIFE_MISFIT);
	arrived(vm);
}

/* run.c hand_over(), life.c rf_life_kexec() */
static bool hand_over(const struct model *m, struct vm *vm, unsigned first)
{
	bool may = m->kexec || m->fault == F_RULES_NOT_ASKED;
	bool over = is_stale(vm, vm->cpu[first].id), sealed = vm->state == RF_VM_SEALED;

	if (inside(vm))
		return false; /* rf_gate_close() waits */
	/* Asked before a release: its id is below that of the kernel sealed since. */
	if (over && m->fault != F_OVER_HANDS_OVER)
		may = false;
	if (!may || take(m, vm, RF_LIFE_KEXEC) != RF_LIFE_RELEASE) {
		must(!may || !sealed, "a kexec that may be ends the VM");
		end(vm);
		return true;
	}
	must(m->kexec, "released by a kexec that the policy forbids");
	must(!over, "released by an answer from before another release");
	must(vm->state == RF_VM_BOOTING, "a kexec is no new beginning");
	release(m, vm);
	for (unsigned i = 0; i < m->cpus; i++)
		if (i != first)
			make_moot(m, vm, i);
	vm->cpu[first].at = AT_LOOP;
	if (m->fault == F_TOLD_LATE)
		vm->cpu[first].at = AT_TELL;
	else
		told(vm);
	return true;
}

/* enforce.c rf_enforce() */
static bool enforce(const struct model *m, struct vm *vm, unsigned i)
{
	struct cpu *c = &vm->cpu[i];

	if (c->ask == ASK_KEXEC && c->allow)
		return hand_over(m, vm, i);
	/* enforce_kernel(), vmx/enforce.c answer_msr() */
	if (c->ask == ASK_KERNEL && c->allow)
		c->held = holding(c->entry);
	if (c->ask == ASK_KERNEL && c->allow)
		known(m, vm, c);
	else if (c->ask == ASK_KERNEL)
		denied(m, vm, c);
	c->at = AT_LOOP;
	return true;
}

static bool thread(const struct model *m, struct vm *vm, struct deed d)
{
	struct cpu *c = &vm->cpu[d.cpu];

	switch (d.what) {
	case W_SETTLE: /* run.c settle() */
		if (c->at != AT_LOOP || !vm->loaded || (inside(vm) && m->fault != F_GATE_OPEN))
			return false;
		settle(m, vm, d.cpu);
		return true;
	case W_MAY: /* run.c may_run(), life.c rf_life_may() */
		if (c->at != AT_LOOP || c->phase != P_OUT || vm->loaded || !vm->awaiting ||
		    vm->state == RF_VM_HALTED || vm->announcer || !entry_held(c))
			return false;
		vm->announcer = (d.cpu + 1u) & 3;
		c->ask = ASK_KERNEL;
		c->entry = entry_held(c) & 3;
		c->at = AT_ASK;
		return true;
	case W_ENTER: /* run.c enter(), vcpu.c rf_gate_enter(); all looks before may be old */
		if (c->at != AT_LOOP || c->phase != P_OUT)
			return false;
		c->phase = P_IN;
		c->at = AT_GATE;
		return true;
	case W_LOOK: /* run.c enter(), behind the gate */
		if (c->at != AT_GATE)
			return false;
		if (unsettled(m, vm) && m->fault != F_NO_SECOND_LOOK) {
			leave(c, AT_LOOP);
			return true;
		}
		c->at = AT_GUEST;
		vm->run_since |= !!vm->seals; /* RF_COUNT_RUN */
		return true;
	case W_POST:
		if (c->at != AT_ASK && c->at != AT_ANNOUNCED)
			return false;
		post(m, vm, c);
		return true;
	case W_TAKE: /* run.c answer(), event.c rf_event_take(); a new KVM_RUN settles first */
		if (c->at != AT_LOOP || c->phase != P_ANSWERED || c->loaded ||
		    m->fault == F_ANSWER_LEFT)
			return false;
		c->phase = P_OUT;
		if (c->ask != ASK_OTHER)
			c->at = AT_TAKEN;
		return true;
	case W_ENFORCE:
		return c->at == AT_TAKEN && enforce(m, vm, d.cpu);
	case W_ASK_AGAIN: /* enforce.c settle_or_ask() */
		if (c->at != AT_LOOP || c->phase != P_ANSWERED || c->loaded || c->ask != ASK_OTHER)
			return false;
		c->phase = P_OUT;
		ask_other(vm, c);
		if (m->fault == F_ENTERS_ASKING)
			c->at = AT_GATE;
		return true;
	case W_TELL: /* planted */
		if (c->at != AT_TELL)
			return false;
		told(vm);
		c->at = AT_LOOP;
		return true;
	}
	return false;
}

/* --- the monitor, and the channel's thread ----------------------------------------- */

/* event.c rf_event_verdict() */
static void verdict(const struct model *m, struct vm *vm, const struct cpu *of, uint32_t id,
		    bool allow)
{
	for (unsigned i = 0; i < m->cpus; i++) {
		struct cpu *c = &vm->cpu[i];

		bool asked = of ? c == of : c->id == id;

		if (c->phase != P_ASKING || (!asked && m->fault != F_ANY_VERDICT))
			continue;
		must(asked, "a verdict answers another question");
		c->phase = P_ANSWERED;
		c->allow = allow && c->ask != ASK_OTHER;
	}
}

/* life.c refusal() and entry_of() */
static bool refused(const struct model *m, const struct vm *vm, uint32_t id)
{
	return id != vm->in_force && id != vm->announced && m->fault != F_STALE_COMMANDS;
}

static uint32_t entry_of(const struct vm *vm, uint32_t id)
{
	return id == vm->in_force ? vm->entry : vm->announced_entry;
}

/* life.c watch(), seal(); both close the gate */
static void command(const struct model *m, struct vm *vm, enum msg msg)
{
	enum rf_life_event event = msg == MSG_WATCH ? RF_LIFE_WATCH : RF_LIFE_SEAL;
	uint32_t entry = entry_of(vm, vm->mon_id);
	bool early = vm->state < RF_VM_SEALED;

	if (refused(m, vm, vm->mon_id))
		return;
	if (m->step(vm->state, event).action != RF_LIFE_ARM) {
		must(!early, "a command for the kernel in force is refused");
		return;
	}
	must(!vm->seals, "sealed memory is sealed anew");
	if (msg == MSG_WATCH) {
		vm->armed = true;
		vm->stale_watch = is_stale(vm, vm->mon_id);
		take(m, vm, event);
		must(vm->state == RF_VM_WATCHED, "the watch is armed, and the state is another");
		return;
	}
	/* life.c seal_rule(), seal.c rf_seal_install() */
	if (msg == MSG_KEPT && (!vm->kept || (vm->kept != entry && m->fault != F_KEPT_FOR_ANY)))
		return;
	if (msg == MSG_KEPT)
		must(vm->kept == entry, "a kernel gets what was kept of another one");
	vm->stale_seal = msg == MSG_KEPT ? vm->stale_kept : is_stale(vm, vm->mon_id);
	vm->again = msg == MSG_KEPT;
	vm->seals = entry ? entry & 3 : A; /* none: F_STALE_COMMANDS */
	vm->kept = vm->stale_kept = 0;
	vm->armed = vm->stale_watch = vm->run_since = vm->bad_text = 0;
	take(m, vm, event);
	must(vm->state == RF_VM_SEALED, "it is sealed, and the state is another");
	vm->must = true;
}

static bool monitor(const struct model *m, struct vm *vm, struct deed d)
{
	struct cpu *c = &vm->cpu[d.cpu];

	switch (d.what) {
	case W_DIE:
		if (!m->mortal || !vm->connected)
			return false;
		vm->connected = false;
		vm->mon_id = 0;
		for (unsigned i = 0; i < m->cpus; i++)
			vm->cpu[i].sent = false;
		return true;
	case W_CONNECT: /* channel.c; event.c rf_event_connected(); the board names the kernel */
		if (vm->connected)
			return false;
		vm->connected = true;
		vm->mon_id = vm->in_force;
		for (unsigned i = 0; i < m->cpus; i++)
			vm->cpu[i].sent =
				vm->cpu[i].phase == P_ASKING && m->fault != F_NOT_ASKED_AGAIN;
		return true;
	case W_HEAR:
		if (c->phase != P_ASKING || !c->sent || c->ask != ASK_KERNEL || vm->mon_id == c->id)
			return false;
		vm->mon_id = c->id;
		return true;
	case W_SAY: /* serve.c message() */
		/* Of the announcement it took up it may say anything, however late. */
		if (d.arg >= MSG_WATCH || (vm->mon_id && !d.cpu && d.id)) {
			if (!vm->mon_id || (d.arg >= MSG_WATCH && inside(vm)))
				return false;
			if (d.arg >= MSG_WATCH)
				command(m, vm, d.arg);
			else
				verdict(m, vm, NULL, vm->mon_id, d.arg == MSG_ALLOW);
			return true;
		}
		if (d.id || c->phase != P_ASKING || !c->sent)
			return false;
		verdict(m, vm, c, 0, d.arg == MSG_ALLOW);
		return true;
	}
	return false;
}

/* --- one step ----------------------------------------------------------------------- */

bool model_do(const struct model *m, struct vm *vm, struct deed d, const char **wrong)
{
	bool halted = vm->state == RF_VM_HALTED, loads = vm->loads, done;

	broken = *wrong = NULL;
	if (vm->dead)
		return false;
	if (d.what <= W_PUT)
		done = vmm(m, vm, d);
	else if (d.what <= W_KEXEC)
		done = guest(m, vm, d);
	else if (d.what <= W_TELL)
		done = thread(m, vm, d);
	else
		done = monitor(m, vm, d);
	if (!done)
		return false;
	must(!halted || vm->state == RF_VM_HALTED || vm->dead || (d.what == W_SETTLE && loads),
	     "it was halted, and goes on with nothing loaded");
	*wrong = broken;
	return true;
}

/* What three vCPUs need not do to get into each other's way. */
static bool is_more(enum what what, uint8_t arg)
{
	return what == W_STORE || (what == W_WRITE_ENTRY && arg == B) ||
	       (what == W_SAY && (arg == MSG_WATCH || arg == MSG_KEPT)) ||
	       (what == W_LOAD && arg != LOAD_RESET && arg != LOAD_A && arg != LOAD_B_NESTED);
}

unsigned model_deeds_of(const struct model *m, struct deed *out, unsigned max)
{
	unsigned n = 0;

#define ADD(...)                                                                                   \
	do {                                                                                       \
		if (n < max)                                                                       \
			out[n++] = (struct deed){ __VA_ARGS__ };                                   \
	} while (0)
	for (uint8_t i = 0; i < m->cpus; i++) {
		for (uint8_t what = W_RUN; what < WHATS; what++) {
			uint8_t args = what == W_REGISTERS     ? H_COUNT
				       : what == W_WRITE_ENTRY ? 3
				       : what == W_MEMORY      ? 2
				       : what == W_LOAD	       ? LOADS
				       : what == W_SAY	       ? MSGS
							       : 1;

			if (i && (what == W_MEMORY || what == W_LOAD || what == W_DIE ||
				  what == W_CONNECT))
				continue;
			if ((!m->vmm && what >= W_MEMORY && what <= W_PLUG) ||
			    (!m->tricks && what == W_REGISTERS) || (!m->traps && what == W_KEXEC) ||
			    (!m->mortal && what == W_DIE))
				continue;
			for (uint8_t arg = what == W_WRITE_ENTRY; arg < args; arg++)
				if ((!i || what != W_SAY || arg < MSG_WATCH) &&
				    !(m->lean && is_more(what, arg)))
					ADD(what, i, arg, 0);
		}
	}
	/* Verdicts on what may not be asked any more. */
	ADD(W_SAY, 0, MSG_ALLOW, 1);
	ADD(W_SAY, 0, MSG_DENY, 1);
#undef ADD
	return n;
}
