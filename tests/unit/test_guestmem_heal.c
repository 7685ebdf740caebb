// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/guestmem.c: what a device wrote below sealed memory is put back, and told; traps are none of
 * it. */
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/fake_slots.h"

static struct rf_heals *const heals = &slots_file.heals;

/* --- healed ------------------------------------------------------------------------------ */

static void healed_over_two_slots(void **state)
{
	struct rf_overlay *o = slots_sealed();
	uint8_t was_a = slots_a[SIZE - 1], was_b = slots_b[0];
	const struct rf_heal *h = heals->entries;

	slots_log_both();
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 0);
	slots_a[SIZE - 1] ^= 0xff; /* a device's write over the border */
	slots_b[0] ^= 0xff;
	slots_b[2] ^= 0x0f;
	assert_int_equal(rf_guestmem_heal(0, 0), 2);
	assert_int_equal(slots_a[SIZE - 1], was_a);
	assert_int_equal(slots_b[0], was_b);
	assert_memory_equal(o->copy + HALF, slots_b, HALF);
	assert_int_equal(heals->head, 2);
	assert_int_equal(h[0].gpa, B_GPA - 1);
	assert_int_equal(h[0].len, 1);
	assert_int_equal(h[0].own[0], was_a);
	assert_int_equal(h[0].foreign[0], (uint8_t)~was_a);
	assert_int_equal(h[0].own[1] | h[0].foreign[1], 0);
	assert_int_equal(h[1].gpa, B_GPA);
	assert_int_equal(h[1].len, 3);
	assert_int_equal(h[1].foreign[1], slots_b[1]); /* the byte between is as it should be */
	assert_int_equal(h[1].own[1], slots_b[1]);
	assert_int_equal(h[1].foreign[2], slots_b[2] ^ 0x0f);
	/* The VMM has saved the foreign ones by now: it is told again. */
	assert_int_equal(slots_dirty(0), 1u << 15);
	assert_int_equal(slots_dirty(1), 1u << 0);
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 2);
	assert_int_equal(fake_vcpus.closings, 1); /* the seal's alone */
}

/* Each difference is told, again and again; a whole page as much as an entry holds. */
static void each_write_is_told(void **state)
{
	slots_sealed();
	for (uint32_t i = 0; i < 5; i++) {
		slots_b[9] ^= 0x80;
		assert_int_equal(rf_guestmem_heal(0, 0), 1);
		assert_int_equal(heals->head, i + 1);
	}
	for (uint32_t i = 0; i < RF_PAGE_SIZE; i++)
		slots_b[RF_PAGE_SIZE + i]++;
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_int_equal(heals->entries[5].gpa, B_GPA + RF_PAGE_SIZE);
	assert_int_equal(heals->entries[5].len, RF_PAGE_SIZE);
	assert_memory_equal(heals->entries[5].own, slots_b + RF_PAGE_SIZE, RF_HEAL_BYTES);
	assert_int_equal(heals->entries[5].foreign[RF_HEAL_BYTES - 1],
			 (uint8_t)(slots_b[RF_PAGE_SIZE + RF_HEAL_BYTES - 1] + 1));
}

/* Only what was asked for. */
static void healed_in_part(void **state)
{
	uint8_t was;

	slots_sealed();
	was = slots_b[RF_PAGE_SIZE];
	slots_b[0]++;
	slots_b[RF_PAGE_SIZE]++;
	slots_b[2 * RF_PAGE_SIZE]++;
	assert_int_equal(rf_guestmem_heal(B_GPA + RF_PAGE_SIZE, RF_PAGE_SIZE), 1);
	assert_int_equal(slots_b[RF_PAGE_SIZE], was);
	assert_int_equal(heals->head, 1);
	assert_int_equal(rf_guestmem_heal(B_GPA + RF_PAGE_SIZE - 1, 1), 1); /* the page of a byte */
	assert_int_equal(rf_guestmem_heal(SEAL_GPA + SEAL_SIZE, RF_PAGE_SIZE), 0);
	assert_int_equal(rf_guestmem_heal(0, UINT64_MAX), 1);
	assert_int_equal(heals->head, 3);
	/* Not sealed: a device's own business. */
	slots_a[0]++;
	slots_b[HALF]++;
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
}

/* More than the list holds: none is lost unseen, as head counts them all. */
static void more_than_the_list_holds(void **state)
{
	slots_sealed();
	for (uint32_t i = 0; i < RF_HEALS + 10; i++) {
		slots_b[i] ^= 0xff;
		assert_int_equal(rf_guestmem_heal(0, 0), 1);
	}
	assert_int_equal(heals->head, RF_HEALS + 10);
	for (uint32_t n = 10; n < RF_HEALS + 10; n++)
		assert_int_equal(heals->entries[n % RF_HEALS].gpa, B_GPA + n);
	/* Written down: forwards only, and not more than there were. */
	rf_guestmem_heals_taken(20);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(19);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(RF_HEALS + 11);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(RF_HEALS + 10);
	assert_int_equal(heals->taken, RF_HEALS + 10);
}

/* Before the VMM reads: its dirty log, and its registers of a stopped VM. */
static void healed_before_it_is_read(void **state)
{
	uint8_t was = slots_b[5];

	slots_log_both();
	slots_sealed();
	slots_dirty(0);
	slots_dirty(1);
	slots_b[5]++;
	assert_int_equal(slots_dirty(0), 0);
	assert_int_equal(slots_b[5], (uint8_t)(was + 1)); /* asked about the other one */
	/* The same number in another address space (SMM's) is another slot, over other memory. */
	assert_int_equal(slots_set(1 | 1 << 16, LOG, A_GPA, SIZE, slots_a), 0);
	slots_dirty(1 | 1 << 16);
	assert_int_equal(slots_b[5], (uint8_t)(was + 1));
	assert_int_equal(slots_dirty(1), 1u << 0);
	assert_int_equal(slots_b[5], was);
	/* Not where what differs is a load that nobody has judged yet. */
	slots_b[5]++;
	{
		uint64_t bits[1];
		const struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

		assert_int_equal(rf_guestmem_dirty_log(&log, false), 0);
		assert_int_equal(bits[0], 0);
		assert_int_equal(slots_b[5], was + 1);
		slots_b[5] = was;
	}
	fake_vcpus.count = 3;
	for (enum rf_phase phase = RF_OUT; phase <= RF_ANSWERED; phase++) {
		uint64_t head = heals->head;

		atomic_store(&rf_vcpus[2].phase, phase);
		slots_b[5]++;
		rf_guestmem_heal_stopped();
		assert_int_equal(heals->head, head + (phase != RF_IN));
		assert_int_equal(slots_b[5], was + (phase == RF_IN));
		slots_b[5] = was;
	}
	atomic_store(&rf_vcpus[2].phase, RF_OUT);
	assert_int_equal(pthread_mutex_trylock(&rf_vm.lock), 0);
	pthread_mutex_unlock(&rf_vm.lock);
}

/* --- traps stand in the copy alone --------------------------------------------------------- */

static struct rf_trap_site sites[3];

/* An instruction of seven bytes, the fourth of which begins another page (and slot). */
static struct rf_overlay *trapped(void)
{
	struct rf_overlay *o = slots_sealed();

	for (int i = 0; i < 3; i++) {
		static const uint64_t at[3] = { 0x20, HALF - 3, HALF + 0x100 };

		sites[i] = (struct rf_trap_site){ .gpa = SEAL_GPA + at[i], .len = 7 };
		memcpy(sites[i].bytes, o->copy + at[i], 7);
		memset(o->copy + at[i], 0x90, 7);
		memset(o->copy + at[i], 0xe6, 2);
	}
	rf_guestmem_stand_ins(sites, 3);
	return o;
}

static void traps_are_no_difference(void **state)
{
	uint8_t page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	struct rf_overlay *o = trapped();

	assert_true(rf_guestmem_stands_in(SEAL_GPA + 0x26, 1));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x27, 1));
	assert_true(rf_guestmem_stands_in(SEAL_GPA + 0x1f, 2));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x1f, 1));
	assert_true(rf_guestmem_stands_in(B_GPA, RF_PAGE_SIZE));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x20, 0));
	for (uint64_t at = 0; at < SEAL_SIZE; at += RF_PAGE_SIZE)
		assert_false(rf_guestmem_differs(o, at, page, below));
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 0);
	assert_int_equal(o->copy[HALF - 3], 0xe6);
	/* Alone it stands on both of its pages. */
	rf_guestmem_stand_ins(&sites[1], 1);
	assert_true(rf_guestmem_stands_in(SEAL_GPA + HALF - 3, 1));
	assert_true(rf_guestmem_stands_in(B_GPA, 1));
	assert_true(rf_guestmem_stands_in(B_GPA + 3, 1));
	assert_false(rf_guestmem_stands_in(B_GPA + 4, 1));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x20, 1));
}

/* Who writes the trap's own bytes below it has written something foreign. */
static void a_device_over_a_trap(void **state)
{
	uint8_t page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	struct rf_overlay *o = trapped();

	memcpy(slots_a + SIZE - 3, o->copy + HALF - 3, 3);
	memcpy(slots_b, o->copy + HALF, 4);
	assert_true(rf_guestmem_differs(o, HALF - RF_PAGE_SIZE, page, below));
	assert_memory_equal(page + RF_PAGE_SIZE - 3, sites[1].bytes, 3);
	assert_int_equal(below[RF_PAGE_SIZE - 3], 0xe6);
	assert_true(rf_guestmem_differs(o, HALF, page, below));
	assert_memory_equal(page, sites[1].bytes + 3, 4);
	assert_memory_equal(page + 0x100, sites[2].bytes, 7);
	assert_int_equal(rf_guestmem_heal(0, 0), 2);
	assert_memory_equal(slots_a + SIZE - 3, sites[1].bytes, 3);
	assert_memory_equal(slots_b, sites[1].bytes + 3, 4);
	assert_memory_equal(heals->entries[0].own, sites[1].bytes, 3);
	assert_int_equal(o->copy[HALF - 3], 0xe6); /* the trap stands */
	assert_int_equal(o->copy[HALF], 0x90);
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, slots_setup, slots_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(healed_over_two_slots),    T(each_write_is_told),
		T(healed_in_part),	     T(more_than_the_list_holds),
		T(healed_before_it_is_read), T(traps_are_no_difference),
		T(a_device_over_a_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
