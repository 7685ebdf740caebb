// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/life.c: what the VMM's loads do to the VM, what comes too late, kexec and time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_life.h"

/* The rules of the first monitor, which count for as long as the process lives. */
static int ruled(void **state)
{
	const struct rf_rules rules = { .kexec = 1, .unsealed_ms = 1000 };

	rf_life_rules(&rules);
	return once(state);
}

/* --- loads
 * --------------------------------------------------------------------------------------------- */

static void arrives(void **state)
{
	struct rf_msg_event ev;

	/* CPU 0 has no entry yet, CPU 1 is in a guest of its own, CPU 2 says who it is. */
	load(0, RF_CPU_KERNEL, 0);
	load(1, RF_CPU_NESTED, OTHER_ENTRY);
	load(2, RF_CPU_KERNEL, ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_NOT_YET);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_true(rf_life_unsettled());
	assert_int_equal(may(0), RF_MAY_NOT_YET);
	assert_int_equal(may(1), RF_MAY_NOT_YET);
	assert_int_equal(may(2), RF_MAY_ANNOUNCE);
	assert_int_equal(may(2), RF_MAY_NOT_YET); /* once */
	ev = announce(2, ENTRY);
	/* Nobody runs before it is sealed and answered. */
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_NOT_YET);
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
	assert_false(rf_life_unsettled());
}

static void arrives_over_a_sealed_one(void **state)
{
	uint64_t id = sealed(3);

	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, OTHER_ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(restore(id), -ESTALE);
	assert_int_equal(drops, 3);
	assert_int_equal(arch.disarms, 1);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
	/* And is loaded again before the answer: that announcement is moot, another comes. */
	announce(1, OTHER_ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, OTHER_ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_int_equal(may(2), RF_MAY_ANNOUNCE);
	announce(2, OTHER_ENTRY);
	/* And is reset before the answer: nothing is awaited any more. */
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
}

/* The one that announces is taken away by the VMM: another one does. */
static void the_announcer_goes(void **state)
{
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
	announce(1, ENTRY);
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(dropped[1]);
	assert_int_equal(may(1), RF_MAY_NOT_YET);
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
}

/* A CPU that the VMM has unplugged says nothing of the VM, until the VMM loads it. */
static void unplugged(void **state)
{
	sealed(1);
	atomic_store(&rf_vcpus[2].parked, true);
	load(0, RF_CPU_RESET, 0);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_RESET, false, 0, 0);
	load(2, RF_CPU_KERNEL, ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_int_equal(may(0), RF_MAY_NOT_YET);
	assert_int_equal(may(2), RF_MAY_ANNOUNCE);
}

/* Nobody says which kernel it is: it does not run. */
static void arrives_with_nobody(void **state)
{
	static const struct {
		enum rf_vcpu_class class;
		uint64_t entry;
	} rows[] = { { RF_CPU_KERNEL, 0 }, { RF_CPU_NESTED, ENTRY }, { RF_CPU_NESTED, 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(state);
		sealed(1);
		for (uint32_t n = 0; n < 3; n++)
			load(n, rows[i].class, rows[i].entry);
		assert_outcome(settle(), RF_LIFE_ARRIVED, true, RF_CAUSE_NOBODY, 0);
		assert_int_equal(rf_life_state(), RF_VM_HALTED);
		assert_int_equal(file.board.state, RF_VM_HALTED);
		for (uint32_t n = 0; n < 3; n++)
			assert_int_equal(may(n), RF_MAY_NEVER);
		assert_true(rf_life_unsettled());
		/* The guest's own doing changes nothing; another load does. */
		cpu(0, RF_CPU_KERNEL, ENTRY);
		assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
		assert_int_equal(may(0), RF_MAY_NEVER);
		/* Nor one that says as little: it was halted for that already, and told of. */
		cpu(0, RF_CPU_NESTED, ENTRY);
		load(1, RF_CPU_OTHER, 0);
		assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
		load(0, RF_CPU_KERNEL, ENTRY);
		assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
		assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	}
}

static void arrives_and_is_denied(void **state)
{
	struct rf_msg_event ev;

	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	settle();
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	ev = announce(0, ENTRY);
	assert_true(rf_life_denied(&ev));
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_NEVER);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -ESTALE);
	/* A late answer of another one does not let it run. */
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	assert_int_equal(may(0), RF_MAY_NEVER);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(may(0), RF_MAY_RUN);
	/* One that the guest announces by itself: denied, and it runs on as it was. */
	ev = announce(0, ENTRY);
	assert_false(rf_life_denied(&ev));
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
}

/* A state of the kernel that is sealed. */
static void reload(void)
{
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
}

static void loaded_again(void **state)
{
	uint8_t *text = ram + (TEXT_GPA - RAM_GPA);
	uint64_t id = sealed(1);

	table->kernel = id;
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	reload();
	/* What differs now is the load: not to be healed before it is judged. */
	assert_true(rf_life_holds_load());
	ram[TEXT_GPA - RAM_GPA + 0x700]++;
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	ram[TEXT_GPA - RAM_GPA + 0x700]--;
	assert_int_equal(file.heals.head, 0);
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 0);
	assert_false(rf_life_holds_load());
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
	assert_true(is_sealed());
	assert_true(dropped[1]); /* of before the load */
	assert_int_equal(arch.disarms, 0);
	assert_int_equal(restore(id), -ENOENT);
	/* Its text had another legal patch. */
	memcpy(text + SITE, "\xe9\x4b\0\0\0", 5);
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 3);
	assert_memory_equal(rf_guestmem.overlays[0].copy + SITE, "\xe9\x4b\0\0\0", 5);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_RUN);
	/* One vCPU that knows is enough: others may be in guests of their own, or come up. */
	load(0, RF_CPU_NESTED, OTHER_ENTRY);
	load(1, RF_CPU_KERNEL, ENTRY);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
}

static void loaded_and_does_not_fit(void **state)
{
	uint8_t *text = ram + (TEXT_GPA - RAM_GPA);
	uint64_t id = sealed(1);

	table->kernel = id;
	memcpy(text + SITE, "\xe9\x4b\0\0\0", 5);
	text[0x500] ^= 0xff;
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	assert_true(is_sealed()); /* seals stay as they are */
	assert_true(rf_life_holds_load());
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(text[0x500], (uint8_t)~rf_guestmem.overlays[0].copy[0x500]);
	assert_int_equal(rf_guestmem.overlays[0].copy[SITE], 0x0f);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_NEVER);
	/* The same state again is the same again; one that fits is let. */
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
	text[0x500] ^= 0xff;
	assert_int_equal(may(0), RF_MAY_NEVER); /* nobody has loaded it */
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 3);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_int_equal(may(0), RF_MAY_RUN);
	assert_int_equal(restore(id), -ENOENT);
	/* A reset gets out of it, too. */
	text[0x500] ^= 0xff;
	reload();
	settle();
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(may(0), RF_MAY_RUN);
}

static atomic_bool still;

/* A device whose request came with the state: the VMM starts it again before it runs the vCPUs. */
static void *device(void *arg)
{
	volatile uint8_t *at = arg;

	while (!atomic_load(&still)) {
		for (int i = 0; i < 200; i++)
			*at = 0x41; /* a jump elsewhere */
		for (int i = 0; i < 200; i++)
			*at = 0x4b; /* the legal one */
	}
	return NULL;
}

/* What is adopted is what was judged, whoever writes to the VMM's memory meanwhile. */
static void loaded_while_a_device_writes(void **state)
{
	uint8_t *text = ram + (TEXT_GPA - RAM_GPA);
	const uint8_t *copy;
	bool legal = true;
	pthread_t t;

	table->kernel = sealed(1);
	memcpy(text + SITE, "\xe9\x4b\0\0\0", 5);
	atomic_store(&still, false);
	assert_int_equal(pthread_create(&t, NULL, device, text + SITE + 1), 0);
	for (int i = 0; legal && i < 20000; i++) {
		reload();
		settle();
		copy = rf_guestmem.overlays[0].copy + SITE;
		legal = !memcmp(copy, "\x0f\x1f\x44\0\0", 5) || !memcmp(copy, "\xe9\x4b\0\0\0", 5);
	}
	atomic_store(&still, true);
	pthread_join(t, NULL);
	assert_true(legal); /* the guest's own text, sealed */
}

static void tell_and_load(const struct rf_life_outcome *o)
{
	tell(o);
	rf_life_loaded(&rf_vcpus[0]); /* by a thread of the VMM's: it takes no lock */
}

/* A load that comes while an earlier one is looked at is looked at as well. */
static void loaded_while_it_is_settled(void **state)
{
	struct rf_life_outcome o;

	sealed(1);
	for (uint32_t i = 0; i < fake_vcpus.count; i++)
		load(i, RF_CPU_RESET, 0);
	rf_life_settle(drop, tell_and_load, &o);
	assert_int_equal(o.event, RF_LIFE_RESET);
	assert_true(rf_vcpus[0].loaded);
	assert_true(rf_life_unsettled());
}

/* Rodata that differs fits nothing. */
static void loaded_with_other_rodata(void **state)
{
	table->kernel = sealed(1);
	ram[RODATA_GPA - RAM_GPA + 5] ^= 1;
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
}

/* Before the seal a load of the same kernel may run user code: sealed before it runs. */
static void loaded_before_the_seal(void **state)
{
	uint64_t id = kernel(0, ENTRY);

	assert_int_equal(watch(id, 1), 0);
	reload();
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_false(rf_watch_armed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
}

/* --- what comes too late
 * ------------------------------------------------------------------------ */

/* The VMM has loaded memory when a command for the kernel that was there comes. */
static void sealed_while_loaded(void **state)
{
	struct rf_msg_seal m;
	uint64_t id = kernel(0, ENTRY);

	assert_int_equal(watch(id, 1), 0);
	ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
	assert_int_equal(seal_held(id, RF_SEAL_NOW), 0);
	reload();
	/* As if it had not come: it is announced, and nothing of it is kept. */
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_int_equal(file.board.kept_entry, 0);
	m = seal_of(id, RF_SEAL_KEPT);
	assert_false(rf_seal_is_kept(m.regions, m.count));
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	id = announce(0, ENTRY).id;
	assert_int_equal(seal_held(id, RF_SEAL_KEPT), -ENOENT);
	assert_int_equal(seal_held(id, RF_SEAL_NOW), 0);
}

/* Sealed with what was kept, and reset before it runs: kept again, for the kernel that it is of. */
static void kept_twice(void **state)
{
	uint8_t text[TEXT_SIZE];
	struct rf_msg_event ev;

	sealed(7);
	memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
	reset();
	for (int i = 0; i < 2; i++) {
		ev = announce(0, ENTRY);
		assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), 0);
		ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
		reset();
		assert_int_equal(file.board.kept_entry, ENTRY);
	}
	ev = announce(0, OTHER_ENTRY);
	assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), -EPERM);
	ev = announce(0, ENTRY);
	assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), 0);
	assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
}

/* An announcement that the VMM made moot: no command is for it. */
static void announced_and_loaded(void **state)
{
	struct rf_msg_event first = announce(0, ENTRY), second;

	rf_life_known(&first);
	second = announce(1, OTHER_ENTRY);
	assert_int_equal(watch(second.id, 1), 0);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_int_equal(seal(second.id, RF_SEAL_NOW), -ESTALE);
	assert_int_equal(seal(first.id, RF_SEAL_NOW), 0);
}

/* The only one that could say what arrived is taken away: it is held, and not for ever silently. */
static void nobody_is_left(void **state)
{
	load(0, RF_CPU_NESTED, 0);
	load(1, RF_CPU_KERNEL, ENTRY);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, RF_CAUSE_NOBODY, 0);
	assert_int_equal(may(0), RF_MAY_NEVER);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
}

/* Answers from before a release, carried out behind it. */
static void answered_too_late(void **state)
{
	struct rf_msg_event other, ev;

	kernel(0, ENTRY);
	other = announce(1, OTHER_ENTRY);
	assert_int_equal(seal(rf_vcpus[0].wait.event.id, RF_SEAL_NOW), 0);
	rf_vcpus[0].wait.event.id = next_id++;
	rf_vcpus[2].wait.event.id = next_id++;
	assert_true(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	rf_life_known(&other);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_known_entry(), 0);
	assert_int_equal(watch(other.id, 1), -ESTALE);
	/* Its question got its id before the release, and is announced after it. */
	rf_life_announced(&rf_vcpus[1], other.id, OTHER_ENTRY);
	assert_int_equal(watch(other.id, 1), -ESTALE);
	/* The next kernel is sealed: no kexec of the one before ends that. */
	ev = announce(0, ENTRY);
	rf_life_known(&ev);
	assert_int_equal(seal(ev.id, RF_SEAL_FRESH), 0);
	assert_false(rf_life_kexec(&rf_vcpus[2], drop, tell_kexec));
	assert_true(is_sealed());
	rf_vcpus[2].wait.event.id = next_id++;
	assert_true(rf_life_kexec(&rf_vcpus[2], drop, tell_kexec));
	/* Nor does a denial hold what the VMM has loaded since. */
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	settle();
	assert_false(rf_life_denied(&ev));
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
}

static void out_of_the_table(void **state)
{
	for (unsigned s = 0; s < RF_VM_STATES + 2; s++)
		for (unsigned e = 0; e < RF_LIFE_EVENTS + 2; e++) {
			struct rf_life_step step;

			if (s < RF_VM_STATES && e < RF_LIFE_EVENTS)
				continue;
			step = rf_life_step((enum rf_vm_state)s, (enum rf_life_event)e);
			assert_int_equal(step.next, s);
			assert_int_equal(step.action, RF_LIFE_REFUSE);
		}
	/* What has no seal to be compared with has arrived. */
	for (unsigned s = RF_VM_BOOTING; s < RF_VM_SEALED; s++) {
		struct rf_life_step step = rf_life_step((enum rf_vm_state)s, RF_LIFE_RELOADED);

		assert_int_equal(step.next, RF_VM_BOOTING);
		assert_int_equal(step.action, RF_LIFE_AWAIT);
	}
}

/* --- kexec
 * ------------------------------------------------------------------------------------------------
 */

static void handed_over(void **state)
{
	uint64_t id = sealed(4);

	rf_vcpus[0].wait.saved.reason = 2;
	rf_vcpus[0].wait.event.id = next_id++;
	rf_vcpus[1].wait.saved.reason = 2;
	drops = arch.abandoned = tells = 0;
	memset(dropped, 0, sizeof(dropped));
	assert_true(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_false(fake_vcpus.gate_closed);
	assert_int_equal(tells, 1);
	assert_false(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_ptr_equal(arch.disarm_first, &rf_vcpus[0]);
	assert_int_equal(drops, 2);
	assert_int_equal(tells, 1);
	assert_false(dropped[0]); /* its own is being carried out */
	assert_int_equal(arch.abandoned, 1);
	assert_int_equal(rf_vcpus[0].wait.saved.reason, 2);
	assert_int_equal(restore(id), -ESTALE);
	assert_int_equal(file.board.kept_entry, ENTRY);
	/* There is no other kernel to hand over to from there. */
	tells = 0;
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	kernel(0, OTHER_ENTRY);
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_int_equal(tells, 0);
	assert_int_equal(rf_life_state(), RF_VM_FOUND);
}

/* --- unsealed for too long
 * ------------------------------------------------------------------------------------ */

static void later(uint64_t ms)
{
	now += ms * 1000000;
	rf_life_tick();
}

static void unsealed(void **state)
{
	uint64_t id;

	cpu(0, RF_CPU_KERNEL, 0);
	cpu(1, RF_CPU_OTHER, 0);
	cpu(2, RF_CPU_NESTED, 0);
	atomic_store(&rf_vcpus[1].phase, RF_IN);
	later(1000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	assert_false(rf_life_unsettled());
	later(1);
	assert_int_equal(kicks, 1); /* who is inside is got out to be looked at */
	for (int i = 0; i < 3; i++)
		assert_true(rf_vcpus[i].overdue);
	/* Each for itself: those that are none of a kernel's say nothing of the one that is. */
	assert_false(rf_life_overdue(&rf_vcpus[1]));
	assert_false(rf_vcpus[1].overdue);
	assert_false(rf_life_overdue(&rf_vcpus[2]));
	later(1);
	assert_true(rf_vcpus[1].overdue); /* it may have become one */
	assert_false(rf_life_overdue(&rf_vcpus[1]));
	assert_true(rf_life_overdue(&rf_vcpus[0]));
	/* Once. */
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	assert_false(rf_life_unsettled());
	/* Whatever it announces since: the time counts from the boot on, and anew from the next. */
	atomic_store(&rf_vcpus[1].phase, RF_OUT);
	kernel(0, OTHER_ENTRY);
	reset();
	later(600);
	id = kernel(0, ENTRY);
	later(600);
	assert_true(rf_life_overdue(&rf_vcpus[0]));
	/* A sealed one is none, nor is one that does not run. */
	assert_int_equal(seal(id, RF_SEAL_NOW), 0);
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, 0);
	assert_int_equal(settle().halted, RF_CAUSE_NOBODY);
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
}

/* What is held runs for no time at all, however long the VMM or the monitor takes. */
static void held_is_not_unsealed(void **state)
{
	struct rf_msg_event ev;

	sealed(1);
	reset();
	later(600);
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	later(5000); /* not looked at yet */
	for (int i = 0; i < 3; i++)
		assert_false(rf_life_overdue(&rf_vcpus[i]));
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	ev = announce(0, ENTRY);
	later(5000); /* not answered yet */
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	rf_life_known(&ev);
	later(1000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	later(1);
	assert_true(rf_life_overdue(&rf_vcpus[0]));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(arrives),
		T(arrives_over_a_sealed_one),
		T(the_announcer_goes),
		T(unplugged),
		T(arrives_with_nobody),
		T(arrives_and_is_denied),
		T(loaded_again),
		T(loaded_and_does_not_fit),
		T(loaded_with_other_rodata),
		T(loaded_while_a_device_writes),
		T(loaded_while_it_is_settled),
		T(loaded_before_the_seal),
		T(sealed_while_loaded),
		T(kept_twice),
		T(announced_and_loaded),
		T(nobody_is_left),
		T(answered_too_late),
		T(out_of_the_table),
		T(handed_over),
		T(unsealed),
		T(held_is_not_unsealed),
	};

	return cmocka_run_group_tests(tests, ruled, NULL);
}
