// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/life.h"

#include <string.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/seal.h"
#include "hv/text.h"
#include "hv/watch.h"

/* All of it changes with rf_vm.lock held. */
static struct {
	_Atomic enum rf_vm_state state;
	uint64_t entry;			     /* of the kernel in force */
	uint64_t in_force;		     /* id of the event that announced it, 0 none */
	uint64_t announced, announced_entry; /* the newest one that has no answer yet, 0 none */
	struct rf_vcpu *boot;		     /* announced the kernel: others are to be as it is */
	uint64_t over;			     /* questions up to this id are from before a release */
	uint64_t sealed_entry;		     /* of the kernel that the seal was for */
	uint64_t sealed_at_run;		     /* entries into the guest when it was sealed */
	bool again;			     /* sealed with what was kept, and so to be pinned */
	uint8_t note[32];		     /* the monitor's, of the kernel in force */
	struct rf_vcpu *announcer;	     /* announces what arrived; NULL: nobody yet */
	uint64_t unsealed_ns;		     /* CLOCK_MONOTONIC, since when nothing is sealed */
	bool not_due;			     /* sealed, or told: once a kernel */
	struct rf_rules rules;
	bool ruled;
} life = { .boot = rf_vcpus };

/* What keeps vCPUs from running on as they are; read at each exit, without the lock. */
enum concern {
	LOADED = 1 << 0,   /* the VMM has loaded something: to be looked at */
	AWAITING = 1 << 1, /* what arrived is not announced and answered yet */
	HALTED = 1 << 2,   /* none runs */
};
static atomic_uint concerns;

static bool concerned(enum concern c)
{
	return atomic_load(&concerns) & c;
}

static void concern(enum concern c, bool on)
{
	if (on)
		atomic_fetch_or(&concerns, c);
	else
		atomic_fetch_and(&concerns, ~(unsigned)c);
}

enum rf_vm_state rf_life_state(void)
{
	return atomic_load(&life.state);
}

void rf_life_rules(const struct rf_rules *rules)
{
	RF_LOCKED();
	if (!life.ruled)
		life.rules = *rules;
	life.ruled = true;
}

const struct rf_rules *rf_life_allowed(void)
{
	return &life.rules;
}

static void enter_state(enum rf_vm_state state)
{
	bool sealed = life.state == RF_VM_SEALED || life.state == RF_VM_HALTED;

	/* Since the start, a release, or since it was told: whatever was announced and however
	 * often it was reset meanwhile, as a guest can have itself reset. */
	bool anew = state == RF_VM_BOOTING && (sealed || life.not_due);

	if (anew || !life.unsealed_ns)
		life.unsealed_ns = rf_monotonic_ns();
	if (anew || state == RF_VM_SEALED)
		life.not_due = !anew;
	concern(HALTED, state == RF_VM_HALTED);
	atomic_store(&life.state, state);
	rf_board_begin();
	rf_board->state = state;
	rf_board_end();
}

/* Takes the step if the table has it. */
static enum rf_life_action take(enum rf_life_event event)
{
	struct rf_life_step step = rf_life_step(life.state, event);

	if (step.action != RF_LIFE_REFUSE)
		enter_state(step.next);
	return step.action;
}

/* --- the kernel ------------------------------------------------------------------ */

uint64_t rf_life_known_entry(void)
{
	RF_LOCKED();
	return life.entry;
}

enum rf_life_entry rf_life_entry(uint64_t entry, uint64_t *known)
{
	RF_LOCKED();
	*known = life.entry;
	if (life.entry && entry == life.entry)
		return RF_ENTRY_KNOWN;
	return life.state == RF_VM_SEALED ? RF_ENTRY_PINNED : RF_ENTRY_NEW;
}

void rf_life_announced(struct rf_vcpu *v, uint64_t event, uint64_t entry)
{
	RF_LOCKED();
	if (event <= life.over)
		return;
	life.announced = event;
	life.announced_entry = entry;
	life.boot = v;
}

/* What arrived has had its answer. */
static void arrived(void)
{
	life.announcer = NULL;
	concern(AWAITING, false);
}

static void misfit(void)
{
	take(RF_LIFE_MISFIT);
	arrived();
}

void rf_life_known(const struct rf_msg_event *ev)
{
	RF_LOCKED();
	/* One of before a release is of a kernel that is gone, however late its answer comes. */
	if (ev->id <= life.over || take(RF_LIFE_KNOWN) == RF_LIFE_REFUSE)
		return;
	life.entry = rf_arch_announced(ev);
	life.in_force = ev->id;
	if (life.announced == ev->id)
		life.announced = 0;
	arrived();
	rf_board_begin();
	rf_board->kernel = ev->id;
	rf_arch_kernel_to_board(ev);
	rf_board_end();
}

bool rf_life_denied(const struct rf_msg_event *ev)
{
	RF_LOCKED();
	if (life.announced == ev->id)
		life.announced = 0;
	if (!concerned(AWAITING) || ev->id <= life.over)
		return false;
	misfit();
	return true;
}

/* --- commands -------------------------------------------------------------------- */

static int watch(const struct rf_msg_watch *m)
{
	int err;

	if (rf_life_step(life.state, RF_LIFE_WATCH).action != RF_LIFE_ARM)
		return -EBUSY;
	err = rf_watch_arm(m->gpa, m->len, m->value);
	if (!err)
		take(RF_LIFE_WATCH);
	if (!err || err == -EALREADY)
		memcpy(life.note, m->note, sizeof(life.note));
	return err;
}

/* The entry of the kernel that this command is for: announced and not answered yet, or in force. */
static uint64_t entry_of(uint64_t kernel)
{
	return kernel == life.in_force ? life.entry : life.announced_entry;
}

static int seal_rule(const struct rf_msg_seal *m)
{
	/* All of memory is the VMM's own when it has loaded a running guest: nothing goes on. */
	bool keeps = rf_board->kept_entry && !concerned(AWAITING);
	bool kept = keeps && rf_seal_is_kept(m->regions, m->count);

	if (rf_life_step(life.state, RF_LIFE_SEAL).action != RF_LIFE_ARM)
		return -EALREADY;
	switch (m->how) {
	case RF_SEAL_NOW:
		/* Bounds are what the guest says, while nothing is sealed. */
		return kept ? -EEXIST
		       : keeps && rf_seal_lies_there(entry_of(m->kernel),
						     m->image.gva - m->image.gpa)
			       ? -EPERM
			       : 0;
	case RF_SEAL_KEPT:
		/* The entry is what whoever wakes the kernel up says. */
		return !kept ? -ENOENT : entry_of(m->kernel) == rf_board->kept_entry ? 0 : -EPERM;
	case RF_SEAL_FRESH:
		return 0;
	}
	return -EINVAL;
}

static int seal(const struct rf_msg_seal *m, uint64_t *ns)
{
	static const uint8_t no_note[sizeof(m->note)];
	int err = m->count > RF_SEAL_MAX ? -EINVAL : seal_rule(m);

	if (!err)
		err = rf_seal_install(m->regions, m->count, m->how == RF_SEAL_KEPT, ns);
	if (err)
		return err;
	rf_watch_disarm();
	life.sealed_entry = entry_of(m->kernel);
	life.sealed_at_run = rf_board->counters[RF_COUNT_RUN];
	life.again = m->how == RF_SEAL_KEPT;
	if (life.again)
		memcpy(life.note, rf_board->kept_note, sizeof(life.note));
	else if (memcmp(m->note, no_note, sizeof(no_note)))
		memcpy(life.note, m->note, sizeof(life.note));
	rf_board_begin();
	/* Kept, it lies where it lay: what the guest says now is no matter. */
	if (!life.again)
		rf_board->image = m->image;
	rf_board->kept_entry = 0;
	rf_board_end();
	take(RF_LIFE_SEAL);
	return 0;
}

static int heal(const struct rf_msg_heal *m)
{
	if (m->gpa + m->len < m->gpa)
		return -EINVAL;
	if (rf_life_holds_load())
		return -ESTALE; /* another state, perhaps another kernel's */
	rf_guestmem_heal(m->gpa, m->len);
	return 0;
}

int rf_life_command(const union rf_command *m, uint64_t *ns)
{
	uint64_t kernel = m->to.kernel;
	int stale;

	RF_LOCKED();
	/* A monitor that has not heard of the newest kernel yet finds nothing. */
	stale = kernel && (kernel == life.in_force || kernel == life.announced) ? 0 : -ESTALE;
	switch (m->to.h.type) {
	case RF_MSG_WATCH:
		return stale ?: watch(&m->watch);
	case RF_MSG_SEAL:
		return stale ?: seal(&m->seal, ns);
	case RF_MSG_PIN:
		return stale ?: rf_arch_pin(&m->pin, life.boot, life.again);
	case RF_MSG_TRAPS:
		if (!stale && life.state != RF_VM_SEALED)
			return -EINVAL;
		return stale ?: rf_arch_plant(&m->traps);
	case RF_MSG_RESTORE:
		return stale ?: rf_text_restore(m->restore.flight);
	case RF_MSG_MEND:
		return stale ?: rf_guestmem_swap(m->mend.gpa, m->mend.from, m->mend.to);
	case RF_MSG_HEAL:
		rf_guestmem_heals_taken(m->heal.taken);
		return !m->heal.len ? 0 : stale ?: heal(&m->heal);
	}
	return -EBADMSG;
}

/* --- unsealed for too long --------------------------------------------------------- */

/* With the lock held. */
static bool too_long_unsealed(void)
{
	/* What the VMM loads is held until it is answered for. */
	return life.rules.unsealed_ms && !life.not_due && !concerned(LOADED | AWAITING) &&
	       life.state != RF_VM_SEALED && life.state != RF_VM_HALTED &&
	       rf_monotonic_ns() - life.unsealed_ns > life.rules.unsealed_ms * UINT64_C(1000000);
}

void rf_life_tick(void)
{
	bool due;

	pthread_mutex_lock(&rf_vm.lock);
	/* What the VMM has loaded is held until it is answered for, and has run for no time at
	 * all. */
	if (!life.unsealed_ns || concerned(AWAITING))
		life.unsealed_ns = rf_monotonic_ns();
	due = too_long_unsealed();
	pthread_mutex_unlock(&rf_vm.lock);
	if (!due)
		return;
	/* Each looks at itself: what one of them is says nothing of the others. */
	RF_EACH_VCPU(v) {
		atomic_store(&v->overdue, true);
		if (atomic_load(&v->phase) == RF_IN)
			rf_gate_kick(v);
	}
}

bool rf_life_overdue(struct rf_vcpu *v)
{
	RF_LOCKED();
	atomic_store(&v->overdue, false);
	if (!too_long_unsealed())
		return false;
	/* A vCPU that is none of a kernel's is looked at again at the next tick. */
	return life.not_due = rf_arch_state(v).paging;
}

/* --- the VMM's loads --------------------------------------------------------------- */

void rf_life_loaded(struct rf_vcpu *v)
{
	atomic_store(&v->loaded, true);
	concern(LOADED, true);
}

bool rf_life_unsettled(void)
{
	return atomic_load(&concerns);
}

bool rf_life_holds_load(void)
{
	return concerned(LOADED | HALTED);
}

/*
 * A command can come while the VMM loads: then memory was another state's by the time it was
 * sealed. Under a seal that says something of its kernel a vCPU has run.
 */
static bool run_under_seal(void)
{
	return rf_guestmem_any_sealed() && rf_board->counters[RF_COUNT_RUN] != life.sealed_at_run;
}

/* Seals, pins and traps go. What was sealed is kept, until another kernel is. */
static void release(const struct rf_vcpu *first)
{
	bool sealed = rf_guestmem_any_sealed(), keeps = run_under_seal() || life.again;

	rf_text_put_back_all(); /* what is kept has no site half way */
	rf_arch_disarm(first);
	if (sealed) {
		rf_board->kept_entry = keeps ? life.sealed_entry : 0;
		memcpy(rf_board->kept_note, life.note, sizeof(life.note));
	}
	rf_seal_release();
	if (sealed && !keeps)
		rf_seal_forget();
	/* Each has the id of its last question, whatever has become of that. */
	RF_EACH_VCPU(v)
		if (v->wait.event.id > life.over)
			life.over = v->wait.event.id;
	rf_watch_disarm();
	rf_text_reset();
	life.entry = life.in_force = life.announced = 0;
	life.again = false;
	life.boot = rf_vcpus;
	memset(life.note, 0, sizeof(life.note));
	arrived();
	rf_board_begin();
	rf_board->kernel = 0;
	rf_board->copy_bytes = 0;
	rf_board_end();
}

/* What the VMM made of the guest, told by what KVM holds for all vCPUs; RF_LIFE_EVENTS: nothing. */
static enum rf_life_event what_was_loaded(bool *announces)
{
	bool anew = rf_vcpus[0].by_vmm, runs = false, known = false;

	*announces = false;
	RF_EACH_VCPU(v) {
		struct rf_cpu_state s;

		if (!v->by_vmm && atomic_load(&v->parked))
			continue;
		s = rf_arch_state(v);
		/* A guest can leave long mode, and make its entry 0: that it did is no reset. */
		anew &= s.class == RF_CPU_RESET || (s.class == RF_CPU_OTHER && v->by_vmm);
		runs |= v->by_vmm && (s.class == RF_CPU_KERNEL || s.class == RF_CPU_NESTED);
		if (s.class != RF_CPU_KERNEL || !s.entry)
			continue;
		*announces = true;
		known |= s.entry == life.entry;
	}
	if (runs)
		return known && run_under_seal() ? RF_LIFE_RELOADED : RF_LIFE_ARRIVED;
	/* Reset, or the firmware's or a boot loader's state: no kernel runs in it any more. */
	if (anew)
		return RF_LIFE_RESET;
	/* A CPU that was plugged in; unless it was the last that could say what arrived. */
	return concerned(AWAITING) && !*announces ? RF_LIFE_ARRIVED : RF_LIFE_EVENTS;
}

static void take_load(enum rf_life_event event, bool announces, struct rf_life_outcome *out)
{
	bool empty = life.state == RF_VM_BOOTING && !life.announced;

	out->event = event;
	switch (take(event)) {
	case RF_LIFE_RELEASE:
		release(NULL);
		if (empty)
			out->event = RF_LIFE_EVENTS; /* it had not begun: nothing to tell */
		break;
	case RF_LIFE_AWAIT:
		release(NULL);
		rf_board->loaded = 1;
		out->released = !empty;
		concern(AWAITING, true);
		if (announces)
			break;
		misfit();
		out->halted = RF_CAUSE_NOBODY;
		break;
	case RF_LIFE_COMPARE:
		if (!rf_text_adopt(&out->adopted))
			break;
		take(RF_LIFE_MISFIT);
		out->halted = RF_CAUSE_TEXT;
		break;
	default:
		break;
	}
}

/*
 * The question of a vCPU is moot. KVM would complete a register write that waited for its verdict
 * in the state that was loaded, and move its PC.
 */
static void make_moot(struct rf_vcpu *v, void (*drop)(struct rf_vcpu *v))
{
	drop(v);
	if (v->wait.saved.reason && rf_arch_abandon(v))
		rf_fatal("what the guest did before could not be dropped");
	v->wait.saved.reason = 0;
}

void rf_life_settle(void (*drop)(struct rf_vcpu *v),
		    void (*tell)(const struct rf_life_outcome *out), struct rf_life_outcome *out)
{
	bool announces, released;
	enum rf_life_event event;

	*out = (struct rf_life_outcome){ .event = RF_LIFE_EVENTS };
	RF_LOCKED();
	if (!concerned(LOADED))
		return;
	rf_gate_close();
	/* What comes from here on, by a thread of the VMM's that asks for no lock, is looked at
	 * next. */
	concern(LOADED, false);
	RF_EACH_VCPU(v)
		v->by_vmm = atomic_exchange(&v->loaded, false);
	event = what_was_loaded(&announces);
	if (event != RF_LIFE_EVENTS)
		take_load(event, announces, out);
	released = event == RF_LIFE_RESET || event == RF_LIFE_ARRIVED;
	RF_EACH_VCPU(v) {
		if (!v->by_vmm && !released)
			continue;
		make_moot(v, drop);
		/* Its announcement went: another one's, and no command is for it. */
		if (life.announcer == v)
			life.announcer = NULL;
		if (life.announced == v->wait.event.id)
			life.announced = 0;
	}
	if (event != RF_LIFE_EVENTS)
		tell(out);
	rf_gate_open();
}

bool rf_life_kexec(struct rf_vcpu *first, void (*drop)(struct rf_vcpu *v), void (*tell)(void))
{
	RF_LOCKED();
	if ((!life.rules.kexec && !life.rules.observe) || first->wait.event.id <= life.over ||
	    take(RF_LIFE_KEXEC) != RF_LIFE_RELEASE)
		return false;
	rf_gate_close();
	release(first);
	RF_EACH_VCPU(v)
		if (v != first)
			make_moot(v, drop);
	tell();
	rf_gate_open();
	return true;
}

enum rf_life_may rf_life_may(struct rf_vcpu *v, uint64_t *entry)
{
	struct rf_cpu_state s;

	if (!rf_life_unsettled())
		return RF_MAY_RUN;
	RF_LOCKED();
	if (life.state == RF_VM_HALTED)
		return RF_MAY_NEVER;
	if (!concerned(LOADED | AWAITING))
		return RF_MAY_RUN;
	if (concerned(LOADED) || life.announcer)
		return RF_MAY_NOT_YET;
	s = rf_arch_state(v);
	if (s.class != RF_CPU_KERNEL || !s.entry)
		return RF_MAY_NOT_YET;
	life.announcer = v;
	*entry = s.entry;
	return RF_MAY_ANNOUNCE;
}
