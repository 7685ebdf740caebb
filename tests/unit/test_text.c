// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/text.c: what the fence settles by the table, what it leaves to the monitor, the trail of
 * both. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/fake_text.h"
#include "tests/unit/fake_vcpus.h"

/* --- settled ------------------------------------------------------------------ */

static void whole_patch(void **state)
{
	const struct rf_patch_entry *e = &trail->entries[0];
	uint32_t changes;

	assert_true(byte(SITE, 0xcc));
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->flights[0].at, SITE);
	assert_memory_equal(trail->flights[0].before, nop5, 5);
	assert_true(store(SITE + 1, jmp + 1, 4));
	assert_int_equal(trail->last_tail, SITE);
	changes = trail->changes;
	assert_true(store(SITE + 1, jmp + 1, 4));  /* memcpy()'s overlapping stores */
	assert_int_equal(trail->changes, changes); /* no sign of life */
	assert_int_equal(trail->head, 0);
	assert_true(byte(SITE, jmp[0]));
	assert_memory_equal(text + SITE, jmp, 5);
	assert_memory_equal(decoy + SITE, jmp, 5);
	assert_int_equal(dirty[0], 1);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	assert_int_equal(trail->head, 1);
	assert_int_equal(trail->kinds[RF_SITE_JUMP_LABEL], 1);
	assert_int_equal(e->at, SITE);
	assert_int_equal(e->vcpu, 3);
	assert_int_equal(e->kind, RF_SITE_JUMP_LABEL);
	assert_int_equal(e->len, 5);
	assert_memory_equal(e->before, nop5, 5);
	assert_memory_equal(e->after, jmp, 5);
}

/* int3 and back: nothing has changed, so there is nothing to write down. */
static void back_again(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(SITE, nop5[0]));
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->head, 0);
}

static void direct_byte(void **state)
{
	assert_false(byte(LOCK, 0xcc));
	assert_true(byte(LOCK, 0xf0));
	assert_int_equal(trail->kinds[RF_SITE_SMP_LOCK], 1);
	assert_int_equal(trail->entries[0].before[0], 0x3e);
	assert_false(byte(LOCK, 0x3e));
	assert_int_equal(text[LOCK], 0xf0);
}

static void batch(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->flights_count, 2);
	assert_true(store(SITE + 1, jmp + 1, 1));
	assert_false(store(OTHER + 1, jmp + 1, 4)); /* the first one's tail is half written */
	assert_true(store(OTHER + 1, nop5 + 1, 4)); /* changes nothing, and that is not forgotten */
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_true(store(SITE + 2, jmp + 2, 3));
	assert_true(store(OTHER + 1, jmp + 1, 4));
	assert_true(byte(SITE, 0xe9));
	assert_true(byte(OTHER, 0xe9));
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->head, 2);
}

/* What is begun after one has ended is of the next batch. */
static void batches(void **state)
{
	uint32_t first;

	assert_true(byte(SITE, 0xcc)); /* whatever an earlier test left */
	assert_true(byte(SITE, 0x0f));
	assert_true(byte(SITE, 0xcc));
	first = trail->batch;
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->batch, first);
	assert_int_equal(trail->flights[1].batch, first);
	assert_true(byte(OTHER, 0x0f));
	assert_int_equal(trail->batch, first);
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->batch, first + 1);
	assert_int_equal(trail->flights[0].batch, first);
	assert_int_equal(trail->flights[1].batch, first + 1);
}

#define PAD 0x600
static const uint8_t thunk[10] = { 0x65, 0x48, 0xc1, 0x3c, 0x25, 1, 2, 3, 4, 5 };
static uint8_t nops[10];

/* Ten bytes that are filled in, where nops are. */
static void add_pad(uint32_t at)
{
	memset(nops, 0x90, sizeof(nops));
	table->shapes_count = 3;
	table->shapes[2] = (struct rf_shape){ .len = 10, .flags = RF_SHAPE_FILLED, .count = 2 };
	table->shapes[2].forms[0].how = table->shapes[2].forms[1].how = RF_FORM_BYTES;
	memcpy(table->shapes[2].forms[0].bytes, thunk, 10);
	memcpy(table->shapes[2].forms[1].bytes, nops, 10);
	add_site(at, 2, RF_SITE_CALL_THUNK);
	memcpy(text + at, nops, 10);
	memcpy(decoy + at, nops, 10);
}

static void filled(void **state)
{
	const struct rf_patch_entry *e = &trail->entries[0];
	uint32_t busy_batch = trail->batch;

	add_pad(PAD);
	assert_false(byte(PAD, 0xcc));
	assert_false(store(PAD + 2, thunk + 2, 8)); /* not from the front */
	/* No word of the guest's says that it is at work: it has none for this. */
	table->busy = TEXT_GPA; /* and where it has, none that can be read */
	assert_true(store(PAD, thunk, 8));
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->flights[0].len, 10);
	assert_memory_equal(trail->flights[0].before, nops, 10);
	assert_int_equal(trail->head, 0);
	assert_true(store(PAD + 2, thunk + 2, 8)); /* memcpy()'s overlapping stores */
	assert_memory_equal(text + PAD, thunk, 10);
	assert_memory_equal(decoy + PAD, thunk, 10);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->kinds[RF_SITE_CALL_THUNK], 1);
	assert_int_equal(e->len, 10);
	assert_memory_equal(e->before, nops, 10);
	assert_memory_equal(e->after, thunk, 10);
	assert_in_range(trail->batch, busy_batch, busy_batch + 1);
	assert_false(store(PAD, nops, 10));
	assert_false(store(PAD, nops, 8));
}

/* Begun and left, it is put back; what does not belong there puts it back at once. */
static void filled_half(void **state)
{
	add_pad(PAD);
	for (uint32_t n = 1; n < 10; n++) {
		for (uint32_t i = 0; i < n; i++)
			assert_true(byte(PAD + i, thunk[i]));
		assert_int_equal(trail->flights_count, 1);
		if (n % 2) {
			rf_board->counters[RF_COUNT_RUN]++;
			assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
		} else {
			assert_false(byte(PAD + n, (uint8_t)~thunk[n]));
			rf_text_denied(TEXT_GPA + PAD + n, 1);
		}
		assert_int_equal(trail->flights_count, 0);
		assert_memory_equal(text + PAD, nops, 10);
		assert_memory_equal(decoy + PAD, nops, 10);
	}
	assert_int_equal(trail->head, 0);
}

/* A tail that is half written elsewhere is not forgotten over it. */
static void filled_meanwhile(void **state)
{
	add_pad(PAD);
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 1));
	assert_true(store(PAD, thunk, 4));
	assert_true(store(PAD + 1, thunk + 1, 8));
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_true(byte(PAD + 9, thunk[9]));
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_int_equal(trail->last_tail, SITE);
}

/* One that is half filled goes on where no other one may begin. */
static void filled_among_many(void **state)
{
	add_pad(PAD);
	assert_true(store(PAD, thunk, 4));
	trail->flights_count = RF_FLIGHTS;
	assert_false(byte(SITE, 0xcc));
	assert_true(store(PAD + 4, thunk + 4, 3));
	assert_true(store(PAD + 7, thunk + 7, 3));
	assert_int_equal(trail->flights_count, RF_FLIGHTS - 1);
	assert_memory_equal(text + PAD, thunk, 10);
}

/* --- left to the monitor ------------------------------------------------------- */

static void unchanged(void)
{
	assert_memory_equal(text + SITE, nop5, 5);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, 0);
	assert_int_equal(trail->flights_count, 0);
}

static void illegal(void **state)
{
	static const uint8_t foreign[5] = { 0xe9, 0x4b, 1, 0, 0 };

	assert_false(byte(SITE - 1, 0xcc));	   /* no site */
	assert_false(byte(SITE, 0xe9));		   /* no int3 */
	assert_false(store(SITE + 1, jmp + 1, 4)); /* no int3 */
	assert_false(store(SITE, jmp, 5));
	assert_false(store(SITE - 1, jmp, 4));
	assert_false(store(SITE + 3, jmp, 4));
	unchanged();
	assert_true(byte(SITE, 0xcc));
	assert_false(store(SITE + 1, foreign + 1, 4));
	assert_true(byte(SITE, 0x0f));
	unchanged();
}

static void other_tables(void **state)
{
	table->kernel = 8;
	assert_false(byte(SITE, 0xcc));
	table->kernel = 0;
	assert_false(byte(SITE, 0xcc));
	rf_board->kernel = 0;
	assert_false(byte(SITE, 0xcc));
	rf_board->kernel = table->kernel = 7;
	table->base += 4096;
	assert_false(byte(SITE, 0xcc));
	table->base -= 4096;
	table->magic++;
	assert_false(byte(SITE, 0xcc));
	table->magic--;
	table->revision++;
	assert_false(byte(SITE, 0xcc));
	table->revision--;
	table->seq = 1; /* being changed, for ever */
	assert_false(byte(SITE, 0xcc));
	table->seq = 2;
	unchanged();
	assert_true(byte(SITE, 0xcc));
}

static void other_memory(void **state)
{
	struct rf_overlay *o = overlay;

	assert_false(rf_text_settle(&vcpu, TEXT_GPA - 1, nop5, 1, false));
	assert_false(store(TEXT_SIZE - 1, nop5, 2)); /* reaches beyond */
	assert_false(store(TEXT_SIZE, nop5, 1));
	o->region = RF_REGION_RODATA;
	assert_false(byte(SITE, 0xcc));
	o->region = RF_REGION_TEXT;
	o->kind = RF_OVERLAY_WATCH;
	assert_false(byte(SITE, 0xcc));
	o->kind = RF_OVERLAY_SEAL;
	unchanged();
}

/* Counts, shapes and sets that a broken monitor could write: nothing is read out of bounds. */
static void hostile_table(void **state)
{
	table->sites_count = UINT32_MAX;
	table->extra_count = UINT32_MAX;
	assert_false(byte(SITE - 1, 0xcc));
	table->extra_count = 0;
	table->sites_count = 3;
	table->sites[0].shape = 9;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].shape = UINT16_MAX;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].shape = 0;
	table->sites[0].kind = RF_SITE_KINDS; /* counters are kept by kind */
	assert_false(byte(SITE, 0xcc));
	table->sites[0].kind = 0;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].kind = RF_SITE_JUMP_LABEL;
	table->shapes_count = UINT32_MAX;
	table->shapes[0].len = 255;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].len = 0;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].len = 5;
	table->shapes[0].count = 255;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].count = 2;
	table->shapes[0].forms[1].set = 1;
	table->sets[1] = (struct rf_patch_set){ UINT32_MAX, UINT32_MAX };
	assert_true(byte(SITE, 0xcc));
	assert_false(store(SITE + 1, jmp + 1, 4));
	table->shapes[0].forms[1].set = UINT16_MAX;
	assert_false(store(SITE + 1, jmp + 1, 4));
	/* A site that would reach out of text. */
	table->sites[2].at = TEXT_SIZE - 2;
	table->sites[2].shape = 0;
	assert_false(byte(TEXT_SIZE - 2, 0xcc));
	assert_memory_equal(text, decoy, sizeof(text));
}

static void full(void **state)
{
	trail->head = RF_TRAIL_ENTRIES + 5;
	table->taken = 5;
	assert_false(byte(SITE, 0xcc));
	table->taken = 6;
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(SITE, 0x0f));
	table->taken = RF_TRAIL_ENTRIES + 6; /* more than there is */
	assert_false(byte(SITE, 0xcc));
	table->taken = trail->head;
	trail->flights_count = RF_FLIGHTS;
	assert_false(byte(SITE, 0xcc));
	trail->flights_count = 0;
	assert_memory_equal(text, decoy, sizeof(text));
}

/* --- put back ------------------------------------------------------------------ */

static void denied_goes_back(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	rf_text_denied(TEXT_GPA + SITE - 8, 8); /* ends where the site begins */
	assert_int_equal(trail->flights_count, 2);
	rf_text_denied(TEXT_GPA + SITE, 1);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, 0);
}

static void restored(void **state)
{
	uint64_t flight, entries = trail->head;

	rf_board->counters[RF_COUNT_RUN] = 100;
	assert_true(byte(OTHER, 0xcc));
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	flight = trail->flights[1].number;
	/* Nobody has run since: whoever patches could not go on. */
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	assert_int_equal(text[SITE], 0xcc);
	/* Somebody has, and is outside again by now. */
	rf_board->counters[RF_COUNT_RUN]++;
	assert_true(store(SITE + 1, jmp + 1, 4)); /* the last change counts */
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	rf_board->counters[RF_COUNT_RUN]++;
	assert_int_equal(rf_text_restore(flight), 0);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(rf_text_restore(flight), -ENOENT);
	assert_int_equal(rf_text_restore(0), -ENOENT);
	assert_int_equal(rf_text_restore(UINT64_MAX), -ENOENT);
	assert_int_equal(trail->flights_count, 1);
	/* The counter moved on for a reason that has nothing to do with this text: enough. */
	assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
	assert_int_equal(trail->flights_count, 0);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, entries);
}

/* No seal of text, no flight to put back. */
static void restored_without_text(void **state)
{
	assert_true(byte(SITE, 0xcc));
	rf_board->counters[RF_COUNT_RUN]++;
	overlay->region = RF_REGION_RODATA;
	assert_int_equal(rf_text_restore(trail->flights[0].number), -ENOENT);
	overlay->region = RF_REGION_TEXT;
	overlay->kind = RF_OVERLAY_WATCH;
	assert_int_equal(rf_text_restore(trail->flights[0].number), -ENOENT);
	overlay->kind = RF_OVERLAY_SEAL;
	rf_text_reset();
	assert_int_equal(rf_text_restore(1), -ENOENT);
}

/* --- who begins ------------------------------------------------------------- */

static void begun_by_nobody(void **state)
{
	static uint32_t ram[1024];
	struct rf_slot *s = &rf_guestmem.slots[1];

	*s = (struct rf_slot){
		.used = true, .gpa = 0x8000, .size = sizeof(ram), .hva = (uint64_t)(uintptr_t)ram
	};
	rf_guestmem.nr_slots = 2;
	table->busy = 0x8010;
	assert_false(byte(SITE, 0xcc));
	assert_memory_equal(text + SITE, nop5, 5);
	/* The monitor may know better. */
	assert_true(rf_text_settle(&vcpu, TEXT_GPA + SITE, (const uint8_t *)"\xcc", 1, true));
	assert_true(byte(SITE, nop5[0]));
	ram[4] = 1;
	assert_true(byte(SITE, 0xcc));
	ram[4] = 0;
	assert_true(store(SITE + 1, jmp + 1, 4)); /* what is begun goes on */
	assert_true(byte(SITE, jmp[0]));
	assert_false(byte(OTHER, 0xcc));
	assert_true(byte(LOCK, 0xf0)); /* has no first step */
	table->sites[1].kind = RF_SITE_KPROBE;
	assert_true(byte(OTHER, 0xcc));
	rf_text_denied(TEXT_GPA + OTHER, 1);
	table->sites[1].kind = RF_SITE_JUMP_LABEL;
	ram[4] = ram[5] = ~0u;
	table->busy = 0x8012; /* no place for a number */
	assert_false(byte(OTHER, 0xcc));
	table->busy = 0x8000 + sizeof(ram); /* no memory */
	assert_false(byte(OTHER, 0xcc));
	table->busy = TEXT_GPA; /* sealed */
	assert_false(byte(OTHER, 0xcc));
	table->busy = UINT64_MAX - 3;
	assert_false(byte(OTHER, 0xcc));
	table->busy = 0;
	assert_true(byte(OTHER, 0xcc));
}

/*
 * A site whose target is gone from its set (forgotten in between, or no room for it) holds none of
 * its forms. It is begun all the same as any other: by the kernel's patcher alone, and watched.
 */
static void begun_where_its_target_is_gone(void **state)
{
	static uint32_t ram[1024];
	struct rf_slot *s = &rf_guestmem.slots[1];

	*s = (struct rf_slot){
		.used = true, .gpa = 0x8000, .size = sizeof(ram), .hva = (uint64_t)(uintptr_t)ram
	};
	rf_guestmem.nr_slots = 2;
	table->busy = 0x8010;
	ram[4] = 1;
	table->shapes[0].forms[1].set = 1;
	table->sets[1] = (struct rf_patch_set){ 0, 1 };
	table->targets[0] = TEXT_GVA + SITE + 0x50;
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	assert_true(byte(SITE, jmp[0]));
	assert_int_equal(trail->flights_count, 0);
	table->sets[1].count = 0; /* forgotten */
	ram[4] = 0;		  /* nobody patches */
	assert_false(byte(SITE, 0xcc));
	ram[4] = 1;
	if (byte(SITE, 0xcc))
		assert_int_equal(trail->flights_count, 1);
}

/* Whoever runs into the site meanwhile takes #BP: the first byte comes back last. */
static uint8_t *page_of_tail, first_byte;

static void at_the_tail(int signal)
{
	first_byte = page_of_tail[-1];
	if (mprotect(page_of_tail, RF_PAGE_SIZE, PROT_READ | PROT_WRITE))
		abort();
}

static void put_back_from_the_tail(void **state)
{
	uint8_t *copy =
		mmap(NULL, TEXT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction was, on_fault = { .sa_handler = at_the_tail };
	const uint32_t border = RF_PAGE_SIZE - 1;

	assert_ptr_not_equal(copy, MAP_FAILED);
	memcpy(copy, text, TEXT_SIZE);
	memcpy(copy + border, nop5, 5);
	memcpy(decoy + border, nop5, 5);
	overlay->copy = copy;
	add_site(border, 0, RF_SITE_JUMP_LABEL);
	assert_true(byte(border, 0xcc));
	assert_true(store(border + 1, jmp + 1, 4));
	page_of_tail = copy + RF_PAGE_SIZE;
	first_byte = 0;
	assert_int_equal(mprotect(page_of_tail, RF_PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(sigaction(SIGSEGV, &on_fault, &was), 0);
	rf_text_denied(TEXT_GPA + border + 1, 4);
	sigaction(SIGSEGV, &was, NULL);
	assert_int_equal(first_byte, 0xcc);
	assert_memory_equal(copy + border, nop5, 5);
	overlay->copy = text;
	munmap(copy, TEXT_SIZE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_text_setup, fake_text_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_patch),
		T(back_again),
		T(direct_byte),
		T(batch),
		T(batches),
		T(put_back_from_the_tail),
		T(filled),
		T(filled_half),
		T(filled_meanwhile),
		T(filled_among_many),
		T(illegal),
		T(other_tables),
		T(other_memory),
		T(hostile_table),
		T(full),
		T(denied_goes_back),
		T(restored),
		T(restored_without_text),
		T(begun_by_nobody),
		T(begun_where_its_target_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
