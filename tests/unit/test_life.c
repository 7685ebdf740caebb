// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hv/life.c: what each command, reset and new kernel does to the VM; loads are test_life_loads.c's.
 * The states and all the ways between them are test_life_model.c's. The order of the first tests
 * counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_life.h"

/* --- the rules
 * --------------------------------------------------------------------------------- */

/* Before any monitor has said anything nothing is let. */
static void no_rules_yet(void **state)
{
	uint64_t known = 77;

	assert_false(rf_life_allowed()->observe);
	assert_false(rf_life_allowed()->kexec);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(known, 0);
	assert_int_equal(rf_life_entry(0, &known), RF_ENTRY_NEW);
	sealed(0);
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_true(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	now += UINT64_C(1000000000000);
	reset();
	now += UINT64_C(1000000000000);
	rf_life_tick();
	assert_false(rf_life_overdue(&rf_vcpus[0]));
}

static void the_first_rules_count(void **state)
{
	const struct rf_rules first = { .kexec = 1, .unsealed_ms = 1000 };
	const struct rf_rules next = { .observe = 1, .unsealed_ms = 0 };

	rf_life_rules(&first);
	assert_memory_equal(rf_life_allowed(), &first, sizeof(first));
	rf_life_rules(&next);
	rf_life_rules(&(struct rf_rules){ 0 });
	assert_memory_equal(rf_life_allowed(), &first, sizeof(first));
}

/* --- the kernel and its commands
 * ------------------------------------------------------------------ */

static void boots_and_is_sealed(void **state)
{
	struct rf_msg_event ev = announce(1, ENTRY);
	uint64_t known;

	/* Announced: commands may name it before the answer, and no other. */
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(watch(ev.id - 1, 1), -ESTALE);
	assert_int_equal(watch(ev.id + 1, 1), -ESTALE);
	assert_int_equal(watch(0, 1), -ESTALE);
	assert_int_equal(watch(ev.id, 1), 0);
	assert_int_equal(rf_life_state(), RF_VM_WATCHED);
	assert_true(rf_watch_armed());
	assert_int_equal(file.board.state, RF_VM_WATCHED);
	assert_int_equal(file.board.kernel, 0);
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_WATCHED);
	assert_int_equal(file.board.kernel, ev.id);
	assert_int_equal(file.board.lstar, ENTRY);
	assert_int_equal(file.board.cr3, ev.regs.cr3);
	assert_int_equal(file.board.cr4, ev.regs.cr4);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_KNOWN);
	assert_int_equal(known, ENTRY);
	assert_int_equal(rf_life_known_entry(), ENTRY);
	assert_int_equal(rf_life_entry(OTHER_ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(plant(ev.id), -EINVAL); /* traps go into sealed text */
	assert_int_equal(seal(ev.id + 1, RF_SEAL_NOW), -ESTALE);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_false(rf_watch_armed());
	assert_true(is_sealed());
	assert_int_equal(file.board.image.size, 0x8000);
	assert_int_equal(file.board.regions_count, 2);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_KNOWN);
	assert_int_equal(rf_life_entry(OTHER_ENTRY, &known), RF_ENTRY_PINNED);
	assert_int_equal(known, ENTRY);
	/* Sealed once. */
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -EALREADY);
	assert_int_equal(seal(ev.id, RF_SEAL_FRESH), -EALREADY);
	assert_int_equal(seal(ev.id, RF_SEAL_KEPT), -EALREADY);
	assert_int_equal(watch(ev.id, 2), -EBUSY);
	assert_int_equal(pin(ev.id), 0);
	assert_ptr_equal(arch.pin_boot, &rf_vcpus[1]); /* the one that announced it */
	assert_false(arch.pin_again);
	assert_int_equal(plant(ev.id), 0);
	assert_int_equal(arch.plants, 1);
	assert_int_equal(pin(ev.id + 1), -ESTALE);
	assert_int_equal(plant(ev.id + 1), -ESTALE);
	assert_int_equal(arch.pins + arch.plants, 2);
}

static void not_sealed(void **state)
{
	struct rf_msg_event ev = announce(0, ENTRY);
	struct rf_msg_seal m = seal_of(ev.id, RF_SEAL_NOW);

	m.count = RF_SEAL_MAX + 1;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = UINT32_MAX;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = 0;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = 2;
	m.how = RF_SEAL_FRESH + 1;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.how = UINT32_MAX;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.how = RF_SEAL_KEPT;
	assert_int_equal(seal_of_message(&m), -ENOENT);
	m.how = RF_SEAL_NOW;
	m.regions[1].gpa = RAM_GPA + RAM_SIZE;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_false(is_sealed());
	/* A word that has its value: a kernel that runs already. Its note counts all the same. */
	ram[WORD_GPA - RAM_GPA] = RUNNING;
	assert_int_equal(watch(ev.id, 5), -EALREADY);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	rf_life_known(&ev);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	reset();
	assert_int_equal(file.board.kept_note[31], 5);
}

/* A store that KVM emulated: it lands, and the VMM's log knows of it, as KVM's does not. */
static void watched_store(void **state)
{
	uint64_t id = kernel(0, ENTRY);
	uint32_t value = RUNNING;
	bool hit = true;

	memset(ram + (WORD_GPA - RAM_GPA), 0, 8);
	assert_int_equal(watch(id, 1), 0);
	assert_int_equal(rf_guestmem.overlays[0].dirty[0], 0);
	assert_true(rf_watch_store(WORD_GPA + 4, (const uint8_t *)&value, 4, &hit));
	assert_false(hit); /* another word */
	assert_int_equal(rf_guestmem.overlays[0].dirty[0], 1);
	assert_memory_equal(ram + (WORD_GPA + 4 - RAM_GPA), &value, 4);
	assert_true(rf_watch_store(WORD_GPA, (const uint8_t *)&value, 4, &hit));
	assert_true(hit);
	assert_true(rf_watch_store(WORD_GPA, (const uint8_t *)&value, 4, &hit));
	assert_false(hit); /* it has it already */
	assert_memory_equal(ram + (WORD_GPA - RAM_GPA), &value, 4);
	/* Sealed since KVM reported the store: it is judged. Not sealed, it is the guest's own. */
	assert_int_equal(seal(id, RF_SEAL_NOW), 0);
	assert_false(rf_watch_store(TEXT_GPA, (const uint8_t *)&value, 4, &hit));
	assert_memory_not_equal(rf_guestmem.overlays[0].copy, &value, 4);
	assert_false(hit);
	value = 77;
	assert_true(rf_watch_store(WORD_GPA, (const uint8_t *)&value, 4, &hit));
	assert_memory_equal(ram + (WORD_GPA - RAM_GPA), &value, 4);
	assert_false(hit);
}

/* An announced kernel is not the one in force: who loops on denied ones makes nothing stale. */
static void announced_and_in_force(void **state)
{
	uint64_t id = sealed(1);
	struct rf_msg_event ev;

	for (int i = 0; i < 20; i++) {
		ev = announce(1, OTHER_ENTRY);
		assert_int_equal(restore(id), -ENOENT); /* there is no flight: not stale */
		assert_int_equal(restore(ev.id), -ENOENT);
		assert_int_equal(mend(id), i ? -EAGAIN : 0);
		assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
		assert_int_equal(pin(id), 0);
		assert_false(rf_life_denied(&ev));
		assert_int_equal(restore(id), -ENOENT);
		assert_int_equal(mend(id), -EAGAIN);
		assert_int_equal(restore(ev.id), -ESTALE);
		assert_int_equal(mend(ev.id), -ESTALE);
		assert_int_equal(heal(ev.id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	}
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_int_equal(rf_life_known_entry(), ENTRY);
	assert_int_equal(file.board.kernel, id);
	/* Two at once: the answer to the older one takes nothing from the newer. */
	ev = announce(1, OTHER_ENTRY);
	announce(2, OTHER_ENTRY);
	assert_int_equal(restore(ev.id), -ESTALE);
	assert_int_equal(restore(ev.id + 1), -ENOENT);
	assert_false(rf_life_denied(&ev));
	assert_int_equal(restore(ev.id + 1), -ENOENT);
	assert_int_equal(restore(id), -ENOENT);
}

static void healed(void **state)
{
	uint64_t id = sealed(1);
	uint8_t was = ram[TEXT_GPA - RAM_GPA];

	ram[TEXT_GPA - RAM_GPA] ^= 0xff;
	ram[TEXT_GPA - RAM_GPA + RF_PAGE_SIZE] ^= 0xff;
	assert_int_equal(heal(id + 1, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(heal(id, UINT64_MAX - 1, 3, 0), -EINVAL);
	assert_int_equal(file.heals.head, 0);
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
	assert_int_equal(file.heals.head, 1);
	assert_int_equal(ram[TEXT_GPA - RAM_GPA], was);
	/* What is written down is of any kernel's time. */
	assert_int_equal(heal(0, 0, 0, 1), 0);
	assert_int_equal(file.heals.taken, 1);
	assert_int_equal(file.heals.head, 1);
	assert_int_equal(heal(id + 1, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(heal(id, 0, UINT64_MAX, 0), 0);
	assert_int_equal(file.heals.head, 2);
}

/* --- a reset
 * ---------------------------------------------------------------------------------------- */

static void released_by_a_reset(void **state)
{
	uint64_t id = sealed(9), known;

	announce(1, OTHER_ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		atomic_store(&rf_vcpus[i].phase, i == 1 ? RF_ASKING : RF_OUT);
	rf_vcpus[1].wait.saved.reason = 29;
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(file.board.state, RF_VM_BOOTING);
	assert_false(is_sealed());
	assert_int_equal(file.board.kernel, 0);
	assert_int_equal(file.board.regions_count, 0);
	assert_int_equal(file.board.copy_bytes, 0);
	assert_int_equal(arch.disarms, 1);
	assert_null(arch.disarm_first);
	/* All questions are moot; the register write that waited is not completed by KVM. */
	assert_int_equal(drops, 3);
	assert_int_equal(arch.abandoned, 1);
	assert_int_equal(rf_vcpus[1].wait.saved.reason, 0);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(known, 0);
	for (uint64_t k = id; k < next_id; k++) {
		assert_int_equal(restore(k), -ESTALE);
		assert_int_equal(mend(k), -ESTALE);
		assert_int_equal(seal(k, RF_SEAL_NOW), -ESTALE);
		assert_int_equal(watch(k, 1), -ESTALE);
		assert_int_equal(pin(k), -ESTALE);
		assert_int_equal(plant(k), -ESTALE);
	}
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(file.board.kept_note[0], 9);
	assert_false(rf_life_unsettled());
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
	/* With nobody's load there is nothing to look at. */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_int_equal(drops, 0);
}

/* What is not all of a reset is none: no value of the guest's makes it one. */
static void no_reset(void **state)
{
	static const struct {
		enum rf_vcpu_class class;
		uint64_t entry;
	} others[] = {
		{ RF_CPU_KERNEL, ENTRY }, { RF_CPU_KERNEL, 0 }, /* LSTAR of 0 by VMLOAD */
		{ RF_CPU_NESTED, ENTRY }, { RF_CPU_NESTED, 0 },
		{ RF_CPU_OTHER, 0 }, /* a guest can leave long mode */
		{ RF_CPU_OTHER, ENTRY },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		for (uint32_t left = 1; left < 3; left++) {
			uint64_t id;

			setup(state);
			id = sealed(1);
			/* All are in the reset state by the VMM, but for one that goes on. */
			for (uint32_t n = 0; n < 3; n++)
				if (n != left)
					load(n, RF_CPU_RESET, 0);
			cpu(left, others[i].class, others[i].entry);
			assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
			assert_true(is_sealed());
			assert_int_equal(rf_life_state(), RF_VM_SEALED);
			assert_int_equal(restore(id), -ENOENT);
			assert_false(dropped[left]);
			assert_int_equal(arch.disarms, 0);
		}
	}
	/* The boot CPU was not: an AP that the VMM resets, while the others look like reset. */
	setup(state);
	sealed(1);
	for (uint32_t n = 0; n < 3; n++)
		cpu(n, RF_CPU_RESET, 0);
	load(1, RF_CPU_RESET, 0);
	load(2, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
	/* Nor is what a guest can make its CPUs look like without any load. */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
}

/* A CPU that is plugged in comes by a load, while the others run. */
static void a_plugged_cpu_is_nothing(void **state)
{
	uint64_t id = sealed(1);

	fake_vcpus.count = 4;
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	load(3, RF_CPU_RESET, 0);
	assert_true(rf_life_unsettled());
	assert_int_equal(may(0), RF_MAY_NOT_YET); /* until it is looked at */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
	assert_int_equal(restore(id), -ENOENT);
	assert_int_equal(drops, 1);
	assert_true(dropped[3]);
	assert_int_equal(rf_vcpus[1].phase, RF_ASKING); /* its question stands */
	assert_int_equal(may(3), RF_MAY_RUN);
	assert_false(rf_life_unsettled());
}

/* The firmware's state, as a snapshot of it has: no kernel runs in there. */
static void a_load_of_firmware(void **state)
{
	sealed(1);
	load(0, RF_CPU_OTHER, 0);
	load(1, RF_CPU_RESET, 0);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_RESET, false, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
}

static void nothing_to_tell(void **state)
{
	/* The VMM's first reset, of a VM that has not begun. */
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
	/* A kernel that was announced had begun. */
	announce(0, ENTRY);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
	kernel(0, ENTRY);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
}

/* Each in an announcement of its own: nothing of them waits on, nobody waits for ever. */
static void two_resets_in_announcements(void **state)
{
	struct rf_msg_event ev = announce(0, ENTRY), next;

	atomic_store(&rf_vcpus[0].phase, RF_ASKING);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_true(dropped[0]);
	next = announce(0, ENTRY);
	atomic_store(&rf_vcpus[0].phase, RF_ASKING);
	assert_int_equal(watch(ev.id, 1), -ESTALE);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(watch(next.id, 1), -ESTALE);
	assert_int_equal(may(0), RF_MAY_RUN);
	sealed(1);
}

static void many_resets(void **state)
{
	uint8_t text[TEXT_SIZE];

	for (int i = 0; i < 50; i++) {
		uint64_t id = sealed(1);

		/* What was patched in its life is kept, whatever its next life begins with. */
		rf_overlay_write(&rf_guestmem.overlays[0], 0x40, (uint8_t *)&id, sizeof(id));
		memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
		assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
		assert_int_equal(file.board.kept_entry, ENTRY);
		ram[TEXT_GPA - RAM_GPA + 0x40]++;
		if (i % 2) {
			id = kernel(0, ENTRY);
			assert_int_equal(seal(id, RF_SEAL_KEPT), 0);
			assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
			reset();
		}
	}
	for (uint32_t space = 0; space < RF_SPACES; space++)
		for (uint32_t i = 0; i < RF_OWN_IDS; i++)
			assert_int_equal(rf_guestmem.own_ids[space][i], 0);
}

/* --- what is kept
 * ------------------------------------------------------------------------------------ */

static void kept_until_another_is_sealed(void **state)
{
	uint8_t text[TEXT_SIZE];
	uint64_t id = sealed(7);

	assert_int_equal(pin(id), 0);
	memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
	reset();
	/* Another kernel comes up, and is not sealed: by firmware, a boot loader, an attacker. */
	id = kernel(0, OTHER_ENTRY);
	assert_int_equal(watch(id, 8), 0);
	reset();
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(file.board.kept_note[0], 7);
	ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
	/* The same one, at the same place: not with the bytes that are there by now. */
	id = kernel(2, ENTRY);
	assert_int_equal(seal(id, RF_SEAL_NOW), -EEXIST);
	assert_int_equal(rf_life_state(), RF_VM_FOUND);
	assert_int_equal(seal(id, RF_SEAL_KEPT), 0);
	assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
	assert_int_equal(file.board.kept_entry, 0);
	assert_int_equal(pin(id), 0);
	assert_true(arch.pin_again); /* with the values it had */
	assert_ptr_equal(arch.pin_boot, &rf_vcpus[2]);
	/* And its note goes on with it. */
	reset();
	assert_int_equal(file.board.kept_note[0], 7);
	assert_int_equal(file.board.kept_entry, ENTRY);
	/* Booted anew, as the monitor knows: what is pinned of it has no values of before. */
	id = kernel(0, ENTRY);
	assert_int_equal(pin(id), 0);
	assert_false(arch.pin_again);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	assert_int_equal(rf_guestmem.overlays[0].copy[9], (uint8_t)~text[9]);
	assert_int_equal(pin(id), 0);
	assert_false(arch.pin_again);
	reset();
	/* Another entry there is what whoever woke the kernel up says: it gets nothing, nor may it
	 * be sealed over. Booted anew it may; then nothing of the first is left. */
	id = kernel(0, OTHER_ENTRY);
	assert_int_equal(seal(id, RF_SEAL_NOW), -EEXIST);
	assert_int_equal(seal(id, RF_SEAL_KEPT), -EPERM);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	reset();
	assert_int_equal(file.board.kept_entry, OTHER_ENTRY);
	assert_int_equal(file.board.kept_note[0],
			 0); /* it had no watch: the note was not its own */
	id = kernel(0, ENTRY);
	assert_int_equal(seal(id, RF_SEAL_KEPT), -EPERM);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
}

/* By the announced entry as well: a kernel is sealed before its answer where it runs already. */
static void kept_by_the_announced_entry(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_seal m;

	sealed(7);
	reset();
	ev = announce(0, ENTRY);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -EEXIST);
	/* Bounds are what whoever has memory after a reset says; what lies there is not. */
	ram[TEXT_GPA - RAM_GPA + 0x500] ^= 0xff;
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.count = 1;
	assert_int_equal(seal_of_message(&m), -EPERM);
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.regions[0].size -= RF_PAGE_SIZE;
	assert_int_equal(seal_of_message(&m), -EPERM);
	/* However much else is said to belong to it, before it and behind. */
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.count = 1;
	m.regions[0].gpa = RAM_GPA;
	m.regions[0].size = RAM_SIZE;
	m.regions[0].gva -= TEXT_GPA - RAM_GPA;
	assert_int_equal(seal_of_message(&m), -EPERM);
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.regions[0].size = UINT64_MAX - RF_PAGE_SIZE + 1;
	assert_int_equal(seal_of_message(&m), -EPERM);
	/* The same one, linked for elsewhere, as at another boot; or elsewhere, while this lies
	 * about. */
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.image.gva += 0x200000;
	m.regions[0].gva += 0x200000;
	m.regions[1].gva += 0x200000;
	assert_int_equal(seal_of_message(&m), 0);
	reset();
	ev = announce(0, ENTRY);
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.count = 1;
	m.image.gpa = m.regions[0].gpa = RAM_GPA + 20 * RF_PAGE_SIZE;
	assert_int_equal(seal_of_message(&m), 0);
	reset();
	sealed(8);
	reset();
	ev = announce(0, ENTRY);
	/* Another kernel, in the same frames. */
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.regions[0].size -= RF_PAGE_SIZE;
	assert_int_equal(seal_of_message(&m), -EPERM);
	memset(ram + (TEXT_GPA - RAM_GPA), 0x2f, TEXT_SIZE + RF_PAGE_SIZE);
	assert_int_equal(seal_of_message(&m), 0);
	reset();
	ev = announce(0, ENTRY);
	assert_int_equal(seal(ev.id, RF_SEAL_KEPT), -ENOENT);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
}

/* The kernel that is kept runs on, in its frames, with its entry and all its bytes but one;
 * symbols (in rodata, unsealed since the reset) say that text and rodata lie in its bss. */
static void kept_and_bounds_beside_it(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_seal m;

	sealed(7);
	reset();
	ram[TEXT_GPA - RAM_GPA + 0x500] ^= 0xff; /* the backdoor */
	ev = announce(0, ENTRY);
	assert_int_equal(file.board.kept_entry, ENTRY);
	m = seal_of(ev.id, RF_SEAL_NOW);
	for (uint32_t i = 0; i < m.count; i++) {
		uint64_t by =
			20 * RF_PAGE_SIZE + i * 2 * RF_PAGE_SIZE - (m.regions[i].gpa - RAM_GPA);

		m.regions[i].gpa += by;
		m.regions[i].gva += by;
		m.regions[i].size = RF_PAGE_SIZE;
	}
	assert_int_equal(seal_of_message(&m), -EPERM);
}

/* The same, and only the page that was altered throughout is said to be the text. */
static void kept_and_bounds_of_what_was_altered(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_seal m;

	sealed(7);
	reset();
	for (uint32_t i = 0; i < RF_PAGE_SIZE; i++)
		ram[TEXT_GPA - RAM_GPA + i] ^= 0xff;
	ev = announce(0, ENTRY);
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.count = 1;
	m.regions[0].size = RF_PAGE_SIZE;
	assert_int_equal(seal_of_message(&m), -EPERM);
}

/* The same, and other addresses are said of it than it runs at. */
static void kept_and_other_addresses(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_seal m;

	sealed(7);
	reset();
	ram[TEXT_GPA - RAM_GPA + 0x500] ^= 0xff;
	ev = announce(0, ENTRY);
	m = seal_of(ev.id, RF_SEAL_NOW);
	for (uint32_t i = 0; i < m.count; i++)
		m.regions[i].gva += 0x200000;
	assert_int_equal(seal_of_message(&m), -EPERM);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_rules_yet),
		T(the_first_rules_count),
		T(kept_and_bounds_beside_it),
		T(kept_and_bounds_of_what_was_altered),
		T(kept_and_other_addresses),
		T(boots_and_is_sealed),
		T(not_sealed),
		T(announced_and_in_force),
		T(healed),
		T(released_by_a_reset),
		T(no_reset),
		T(a_plugged_cpu_is_nothing),
		T(a_load_of_firmware),
		T(nothing_to_tell),
		T(two_resets_in_announcements),
		T(many_resets),
		T(kept_until_another_is_sealed),
		T(kept_by_the_announced_entry),
		T(watched_store),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
