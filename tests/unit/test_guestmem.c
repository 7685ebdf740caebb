// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/guestmem.c and hv/seal.c: what is sealed, what lies below it, plain memory. Healing is
 * test_guestmem_heal.c's. */
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

/* --- a region over two slots ---------------------------------------------------------- */

static void sealed_over_two_slots(void **state)
{
	struct rf_overlay *o;
	bool writable;

	assert_true(rf_guestmem_is_ram(SEAL_GPA, SEAL_SIZE));
	assert_false(rf_guestmem_any_sealed());
	o = slots_sealed();
	assert_int_equal(fake_vcpus.closings, 1);
	assert_true(rf_guestmem_any_sealed());
	assert_memory_equal(o->copy, slots_a + SIZE - HALF, HALF);
	assert_memory_equal(o->copy + HALF, slots_b, HALF);
	assert_int_equal(((uint64_t)(uintptr_t)o->copy ^ SEAL_GPA) % RF_HUGE_SIZE, 0);
	for (uint64_t at = 0; at < 2 * SIZE; at += RF_PAGE_SIZE) {
		bool in = rf_within(A_GPA + at, 1, SEAL_GPA, SEAL_SIZE);

		assert_ptr_equal(slots_guest(A_GPA + at, &writable),
				 in	     ? o->copy + (A_GPA + at - SEAL_GPA)
				 : at < SIZE ? slots_a + at
					     : slots_b + at - SIZE);
		assert_int_equal(writable, !in);
	}
	assert_ptr_equal(rf_guestmem_sealed(SEAL_GPA, SEAL_SIZE), o);
	assert_ptr_equal(rf_guestmem_sealed(SEAL_GPA + SEAL_SIZE - 1, 1), o);
	assert_null(rf_guestmem_sealed(SEAL_GPA, SEAL_SIZE + 1));
	assert_null(rf_guestmem_sealed(SEAL_GPA + 1, UINT64_MAX));
	assert_null(rf_guestmem_sealed(SEAL_GPA - 1, 1));
	assert_true(rf_guestmem_overlaid(SEAL_GPA + SEAL_SIZE - 1, 1));
	assert_true(rf_guestmem_overlaid(0, UINT64_MAX));
	assert_false(rf_guestmem_overlaid(SEAL_GPA + SEAL_SIZE, 8));
	assert_false(rf_guestmem_overlaid(SEAL_GPA - 8, 8));
	assert_int_equal(slots_file.board.copy_bytes, SEAL_SIZE);
	assert_int_not_equal(slots_file.board.seal_ns, 0);
}

static void assert_run(uint32_t n, uint64_t gpa, uint64_t size, const void *host, const void *below)
{
	const struct rf_board_run *r = &slots_file.board.runs[n];

	assert_int_equal(r->gpa, gpa);
	assert_int_equal(r->size, size);
	assert_int_equal(r->hva, (uint64_t)(uintptr_t)host);
	assert_int_equal(r->decoy, (uint64_t)(uintptr_t)below);
}

static void board_shows_both(void **state)
{
	struct rf_overlay *o;
	uint32_t seq = slots_file.board.seq;

	assert_int_equal(slots_file.board.runs_count, 2);
	assert_run(0, A_GPA, SIZE, slots_a, NULL);
	assert_run(1, B_GPA, SIZE, slots_b, NULL);
	o = slots_sealed();
	assert_int_not_equal(slots_file.board.seq, seq);
	assert_int_equal(slots_file.board.seq % 2, 0);
	assert_int_equal(slots_file.board.runs_count, 4);
	assert_run(0, SEAL_GPA, HALF, o->copy, slots_a + SIZE - HALF);
	assert_run(1, B_GPA, HALF, o->copy + HALF, slots_b);
	assert_run(2, A_GPA, SIZE - HALF, slots_a, NULL);
	assert_run(3, B_GPA + HALF, SIZE - HALF, slots_b + HALF, NULL);
	assert_int_equal(slots_file.board.regions_count, 1);
	assert_int_equal(slots_file.board.regions[0].gpa, SEAL_GPA);
	assert_int_equal(slots_file.board.regions[0].size, SEAL_SIZE);
	assert_int_equal(slots_file.board.regions[0].gva, SEAL_GVA);
	assert_int_equal(slots_file.board.regions[0].kind, RF_REGION_TEXT);
	/* The VMM takes one of them away, and gives another. */
	assert_int_equal(slots_set(1, 0, B_GPA, 0, NULL), 0);
	assert_int_equal(slots_file.board.runs_count, 3);
	assert_run(0, SEAL_GPA, HALF, o->copy, slots_a + SIZE - HALF);
	assert_run(1, B_GPA, HALF, o->copy + HALF, NULL);
	assert_int_equal(slots_file.board.regions_count, 1);
	assert_int_equal(slots_set(2, 0, B_GPA, SIZE / 2, slots_b + SIZE / 2), 0);
	assert_run(1, B_GPA, HALF, o->copy + HALF, slots_b + SIZE / 2);
	/* What the firmware's own mode has elsewhere is no memory of the kernel's. */
	assert_int_equal(slots_file.board.runs_count, 4);
	assert_int_equal(slots_set(1u << 16 | 7, 0, B_GPA + SIZE, SIZE / 2, slots_b), 0);
	assert_int_equal(slots_file.board.runs_count, 4);
}

/* The VMM takes the first one away: the second is still there, and still follows. */
static void first_of_two_goes(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = slots_sealed();

	assert_int_equal(slots_set(0, 0, A_GPA, 0, NULL), 0);
	assert_run(0, SEAL_GPA, HALF, o->copy, NULL);
	assert_run(1, B_GPA, HALF, o->copy + HALF, slots_b);
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(slots_b, four + 2, 2);
}

/* An allowed store lands in the copy and in both memories below. */
static void written_over_two_slots(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = slots_sealed();

	slots_log_both();
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(slots_a + SIZE - 2, four, 2);
	assert_memory_equal(slots_b, four + 2, 2);
	assert_int_equal(o->dirty[0], 1u << 3 | 1u << 4);
	assert_int_equal(slots_file.board.counters[RF_COUNT_PATCHED_BYTES], 4);
	/* Each slot is told its own, once, whichever is asked first. */
	assert_int_equal(slots_dirty(1), 1u << 0);
	assert_int_equal(slots_dirty(1), 0);
	assert_int_equal(slots_dirty(0), 1u << 15);
	assert_int_equal(slots_dirty(0), 0);
	rf_overlay_write(o, 0, four, 1);
	rf_overlay_write(o, SEAL_SIZE - 1, four, 1);
	assert_int_equal(slots_dirty(0), 1u << 12);
	assert_int_equal(slots_dirty(1), 1u << 3);
	assert_int_equal(slots_a[SIZE - HALF], 0xa1);
	assert_int_equal(slots_b[HALF - 1], 0xa1);
	memset(slots_a, 0, SIZE);
	memset(slots_b, 0, SIZE);
	rf_overlay_mirror(o);
	assert_memory_equal(o->copy, slots_a + SIZE - HALF, HALF);
	assert_memory_equal(o->copy + HALF, slots_b, HALF);
	assert_int_equal(slots_a[SIZE - HALF - 1] | slots_b[HALF], 0);
}

/* One slot is away: what is there is kept right, what is not there is not touched. */
static void written_with_a_slot_away(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = slots_sealed();
	uint8_t was = slots_b[0], page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];

	assert_int_equal(slots_set(1, 0, B_GPA, 0, NULL), 0);
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(slots_a + SIZE - 2, four, 2);
	assert_int_equal(slots_b[0], was);
	assert_int_equal(rf_guestmem_below(o, HALF - 2, page, 2), 0);
	assert_int_equal(rf_guestmem_below(o, HALF - 2, page, 3), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, HALF, page, 1), -EFAULT);
	assert_false(rf_guestmem_differs(o, HALF, page, below));
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	/* It comes back as it was: what was patched meanwhile is not there. */
	assert_int_equal(slots_set(1, 0, B_GPA, SIZE, slots_b), 0);
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_memory_equal(slots_b, four + 2, 2);
}

/* --- plain memory ------------------------------------------------------------------------- */

static void plain_memory(void **state)
{
	struct rf_slot *held;
	uint8_t buf[RF_PAGE_SIZE + 1];
	uint64_t word = 0x1122334455667788;
	uint32_t half;

	slots_sealed();
	assert_int_equal(rf_guestmem_read(A_GPA + 5, buf, 9), 0);
	assert_memory_equal(buf, slots_a + 5, 9);
	assert_int_equal(rf_guestmem_read(A_GPA + 8, &half, 4), 0);
	assert_memory_equal(&half, slots_a + 8, 4);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, RF_PAGE_SIZE), 0);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, RF_PAGE_SIZE + 1), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, 0), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, UINT64_MAX), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA, buf, 1), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA + SEAL_SIZE - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA - 2, buf, 2), 0);

	memcpy(slots_a + 16, &word, 8);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, word, 9), 0);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, word, 10), -EAGAIN);
	memcpy(&word, slots_a + 16, 8);
	assert_int_equal(word, 9);
	assert_int_equal(rf_guestmem_swap(A_GPA + 17, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(SEAL_GPA, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(A_GPA - 8, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(UINT64_MAX - 7, 0, 0), -EINVAL);
	/* A guest that is being moved takes it along. */
	held = rf_slot_holding(&rf_guestmem, A_GPA, 1);
	assert_false(held->all_dirty);
	held->flags |= KVM_MEM_LOG_DIRTY_PAGES;
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, 10, 11), -EAGAIN);
	assert_false(held->all_dirty);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, 9, 11), 0);
	assert_true(held->all_dirty);
	held->flags &= ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES;
	held->all_dirty = false;

	assert_true(rf_guestmem_write(A_GPA + 24, "abc", 3));
	assert_memory_equal(slots_a + 24, "abc", 3);
	assert_false(rf_guestmem_write(SEAL_GPA, "abc", 3));
	assert_true(rf_guestmem_write(0, "abc", 3)); /* a device's */
	/* KVM did not see it: the log tells of all. */
	slots_log_both();
	assert_true(rf_guestmem_write(A_GPA + 24, "xyz", 3));
	assert_int_equal(slots_dirty(0), (1u << PAGES) - 1);
	assert_int_equal(slots_dirty(0), 0);
	assert_int_equal(slots_dirty(1), 0);
	/* Memory that the VMM gives read-only is none to store to. */
	assert_int_equal(slots_set(5, KVM_MEM_READONLY, 0x1000, 0x1000, slots_a), 0);
	assert_false(rf_guestmem_is_ram(0x1000, 0x1000));
	assert_int_equal(rf_guestmem_read(0x1000, buf, 8), -EFAULT);
	assert_true(rf_guestmem_write(0x1000, "rom", 3));
	assert_memory_not_equal(slots_a, "rom", 3);
}

/* Words over two slots, no overlay near. */
static void plain_over_two_slots(void **state)
{
	uint8_t buf[8];

	assert_int_equal(rf_guestmem_read(B_GPA - 4, buf, 8), -EFAULT);
	assert_int_equal(rf_guestmem_read(B_GPA - 8, buf, 8), 0);
	assert_true(rf_guestmem_write(B_GPA - 4, "12345678", 8));
	assert_memory_not_equal(slots_b, "5678", 4);
	assert_true(rf_guestmem_is_ram(A_GPA, 2 * SIZE));
	assert_false(rf_guestmem_is_ram(A_GPA, 2 * SIZE + 1));
	assert_false(rf_guestmem_is_ram(A_GPA - 1, 2));
	assert_false(rf_guestmem_is_ram(A_GPA, UINT64_MAX));
	assert_false(rf_guestmem_is_ram(UINT64_MAX, 1));
}

static void below_is_bounded(void **state)
{
	struct rf_overlay *o = slots_sealed();
	static uint8_t buf[SEAL_SIZE];

	assert_int_equal(rf_guestmem_below(o, 0, buf, SEAL_SIZE), 0);
	assert_memory_equal(buf, o->copy, SEAL_SIZE);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE, buf, 0), 0);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE, buf, 1), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE + 1, buf, 0), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, 1, buf, SEAL_SIZE), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, 1, buf, UINT64_MAX), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, UINT64_MAX, buf, 2), -EFAULT);
}

/* --- seals ------------------------------------------------------------------------------ */

static void what_cannot_be_sealed(void **state)
{
	struct rf_region many[RF_SEAL_MAX + 1];
	uint64_t ns;

	assert_int_equal(slots_seal(SEAL_GPA + 1, SEAL_SIZE, false), -EINVAL);
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE - 1, false), -EINVAL);
	assert_int_equal(slots_seal(SEAL_GPA, 0, false), -EINVAL);
	assert_int_equal(slots_seal(B_GPA, SIZE + RF_PAGE_SIZE, false), -EINVAL);
	assert_int_equal(slots_seal(A_GPA - RF_PAGE_SIZE, 2 * RF_PAGE_SIZE, false), -EINVAL);
	assert_int_equal(slots_seal(A_GPA, rf_page_down(UINT64_MAX), false), -EINVAL);
	assert_int_equal(slots_seal(rf_page_down(UINT64_MAX), RF_PAGE_SIZE, false), -EINVAL);
	for (uint32_t i = 0; i <= RF_SEAL_MAX; i++)
		many[i] = slots_region(A_GPA + i * RF_PAGE_SIZE, RF_PAGE_SIZE);
	assert_int_equal(rf_seal_install(many, 0, false, &ns), -EINVAL);
	assert_int_equal(rf_seal_install(many, RF_SEAL_MAX + 1, false, &ns), -EINVAL);
	assert_int_equal(rf_seal_install(many, UINT32_MAX, false, &ns), -EINVAL);
	many[1].gpa = many[0].gpa;
	assert_int_equal(rf_seal_install(many, 2, false, &ns), -EINVAL);
	many[1].gpa = many[0].gpa - RF_PAGE_SIZE;
	assert_int_equal(rf_seal_install(many, 2, false, &ns), -EINVAL);
	assert_int_equal(rf_guestmem.nr_overlays, 0);
	assert_int_equal(fake_vcpus.closings, 0);
	many[1] = slots_region(A_GPA + RF_PAGE_SIZE, RF_PAGE_SIZE);
	assert_int_equal(rf_seal_install(many, RF_SEAL_MAX, false, &ns), 0);
	assert_int_equal(slots_file.board.regions_count, RF_SEAL_MAX);
}

static void release(void)
{
	rf_gate_close();
	rf_seal_release();
	rf_gate_open();
}

/* Sealed, released, and again: the bytes are those it had, whatever lies below by now. */
static void kept(void **state)
{
	static uint8_t was[SEAL_SIZE];
	struct rf_overlay *o;
	struct rf_region r = slots_region(SEAL_GPA, SEAL_SIZE);
	bool writable;

	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), -ENOENT);
	o = slots_sealed();
	rf_overlay_write(o, 3, (const uint8_t *)"patched", 7);
	memcpy(was, o->copy, SEAL_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	release();
	assert_false(rf_guestmem_any_sealed());
	assert_int_equal(slots_file.board.regions_count, 0);
	assert_ptr_equal(slots_guest(SEAL_GPA, &writable), slots_a + SIZE - HALF);
	assert_true(writable);
	assert_true(rf_seal_is_kept(&r, 1));
	assert_false(rf_seal_is_kept(&r, 0));
	r.gva++;
	assert_false(rf_seal_is_kept(&r, 1));
	r = slots_region(SEAL_GPA + RF_PAGE_SIZE, SEAL_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	r = slots_region(SEAL_GPA, SEAL_SIZE - RF_PAGE_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	r = slots_region(SEAL_GPA, SEAL_SIZE);
	r.kind = RF_REGION_RODATA;
	assert_false(rf_seal_is_kept(&r, 1));
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE - RF_PAGE_SIZE, true), -ENOENT);
	/* Released with nothing sealed: what is kept stays so. */
	release();
	slots_b[7] ^= 0xff; /* an attacker's, while nothing is sealed */
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), 0);
	o = &rf_guestmem.overlays[0];
	assert_memory_equal(o->copy, was, SEAL_SIZE);
	assert_ptr_equal(slots_guest(B_GPA + 7, &writable), o->copy + HALF + 7);
	assert_false(writable);
	/* It is told as a device's would be. */
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_int_equal(heals->entries[0].gpa, B_GPA + 7);
	assert_int_equal(slots_b[7], was[HALF + 7]);
	/* And again: fifty times. */
	for (int i = 0; i < 50; i++) {
		release();
		slots_b[i]++;
		assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), 0);
		assert_memory_equal(rf_guestmem.overlays[0].copy, was, SEAL_SIZE);
	}
	/* Another kernel's seal takes its place. */
	release();
	assert_int_equal(slots_seal(A_GPA, RF_PAGE_SIZE, false), 0);
	release();
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), -ENOENT);
	assert_int_equal(slots_seal(A_GPA, RF_PAGE_SIZE, true), 0);
	release();
	rf_seal_forget();
	assert_int_equal(slots_seal(A_GPA, RF_PAGE_SIZE, true), -ENOENT);
}

/* Memory that went away can be kept, and sealed again when it is back; not without it. */
static void kept_without_memory(void **state)
{
	slots_sealed();
	release();
	assert_int_equal(slots_set(1, 0, B_GPA, 0, NULL), 0);
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), -EINVAL);
	assert_int_equal(slots_set(1, 0, B_GPA, SIZE, slots_b), 0);
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, true), 0);
}

static void the_gate_is_closed_where_slots_are_made_anew(void **state)
{
	assert_int_equal(fake_vcpus.closings, 0);
	assert_int_equal(slots_set(7, 0, 0x1000, 0x1000, slots_a), 0);
	assert_int_equal(fake_vcpus.closings, 0);
	slots_sealed();
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slots_set(7, 0, 0x1000, 0, NULL), 0); /* none of the overlays' */
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slots_set(0, LOG, A_GPA, SIZE, slots_a), 0); /* flags alone */
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slots_set(0, 0, A_GPA, 0, NULL), 0);
	assert_int_equal(fake_vcpus.closings, 2);
	assert_false(fake_vcpus.gate_closed);
	assert_int_equal(slots_set(0, 1u << 31, A_GPA, SIZE, slots_a), -EINVAL);
	assert_int_equal(slots_set(0, 0, B_GPA, SIZE, slots_a), -EEXIST);
	assert_int_equal(slots_set(LIMIT, 0, A_GPA, SIZE, slots_a), -EINVAL);
	assert_false(fake_vcpus.gate_closed);
}

#define T(f) cmocka_unit_test_setup_teardown(f, slots_setup, slots_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(sealed_over_two_slots),    T(board_shows_both),
		T(first_of_two_goes),	     T(written_over_two_slots),
		T(written_with_a_slot_away), T(plain_memory),
		T(plain_over_two_slots),     T(below_is_bounded),
		T(what_cannot_be_sealed),    T(kept),
		T(kept_without_memory),	     T(the_gate_is_closed_where_slots_are_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
