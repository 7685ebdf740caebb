// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/text.c: text that the VMM loads, and traps that stand in text. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/fake_text.h"
#include "tests/unit/fake_vcpus.h"

/* --- over traps ------------------------------------------------------------------ */

#define TRAP 0x208u /* seven bytes */

static const uint8_t lidt[7] = { 0x0f, 0x01, 0x1d, 1, 2, 3, 4 };
static struct rf_trap_site traps[2];

/* The trap in the copy, the instruction in the VMM's memory. */
static void plant(uint32_t at)
{
	traps[0] = (struct rf_trap_site){ .gpa = TEXT_GPA + 0x10, .len = 3, .bytes = { 9, 9, 9 } };
	traps[1] = (struct rf_trap_site){ .gpa = TEXT_GPA + at, .len = 7, .kind = RF_TRAP_LIDT };
	memcpy(traps[1].bytes, lidt, 7);
	for (int i = 0; i < 7; i++)
		text[at + i] = RF_TRAP_BYTE(i);
	memcpy(decoy + at, lidt, 7);
	for (int i = 0; i < 3; i++)
		text[0x10 + i] = RF_TRAP_BYTE(i);
	memset(decoy + 0x10, 9, 3);
	rf_guestmem_stand_ins(traps, 2);
}

static void trap_stands(void)
{
	for (int i = 0; i < 7; i++)
		assert_int_equal(text[TRAP + i], RF_TRAP_BYTE(i));
	assert_memory_equal(decoy + TRAP, lidt, 7);
}

/* A probe's site, of six bytes, that holds what the guest itself has there. */
static void probe(uint32_t at, enum rf_site_kind kind)
{
	table->shapes[0].len = 6;
	table->shapes[0].forms[0].how = RF_FORM_OWN;
	table->shapes[0].forms[1].op_len = 2;
	table->shapes[0].forms[1].bytes[1] = 0x4b;
	table->sites[1] = (struct rf_patch_site){ .at = at, .kind = (uint8_t)kind };
	memcpy(table->sites[1].own, decoy + at, 6);
	table->sites[2].at = 0x400;
}

/*
 * A forged probe puts a site on a trap's bytes: the guest says where probes are. Beside the trap it
 * may be written; no byte of the trap's is, and none comes back with what is put back.
 */
static void over_traps(void **state)
{
	static const enum rf_site_kind kinds[] = { RF_SITE_KPROBE, RF_SITE_KGDB };

	for (size_t k = 0; k < 2; k++) {
		for (uint32_t at = TRAP - 8; at <= TRAP + 8; at++) {
			bool in = at >= TRAP && at < TRAP + 7;
			uint8_t was[8], below[8];

			plant(TRAP);
			probe(at, kinds[k]);
			memcpy(was, text + at, 8);
			memcpy(below, decoy + at, 8);
			/* Its first byte, and back. */
			assert_int_equal(byte(at, 0xcc), !in);
			trap_stands();
			assert_int_equal(byte(at, below[0]), !in);
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_int_equal(trail->flights_count, 0);
			/* Its first byte, then all that may be stored of its tail, denied. */
			assert_int_equal(byte(at, 0xcc), !in);
			for (uint32_t i = 1; i < 6; i++) {
				bool over = at + i >= TRAP && at + i < TRAP + 7;

				if (over)
					assert_false(store(at + i, below + i, 1));
				else
					store(at + i, below + i, 1);
				assert_false(over && store(at + i, below + i, 2));
			}
			assert_int_equal(trail->flights_count, !in);
			rf_text_denied(TEXT_GPA + at + 5, 1);
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_memory_equal(decoy + at, below, 8);
			/* And put back at the monitor's word. */
			if (!in) {
				assert_true(byte(at, 0xcc));
				rf_board->counters[RF_COUNT_RUN]++;
				assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
			}
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_memory_equal(decoy + at, below, 8);
			assert_int_equal(trail->flights_count, 0);
		}
	}
}

/* One that a store of the whole would end, as a breakpoint's does. */
static void over_a_trap_at_once(void **state)
{
	plant(TRAP);
	table->shapes[1].forms[0].bytes[0] = 0x77;
	table->sites[1] = (struct rf_patch_site){ .at = TRAP, .shape = 1, .kind = RF_SITE_KPROBE };
	table->sites[2].at = 0x400;
	assert_false(byte(TRAP, 0x77));
	trap_stands();
	rf_guestmem_stand_ins(NULL, 0);
	assert_true(byte(TRAP, 0x77)); /* it was the trap alone that kept it */
}

/* --- adopted ---------------------------------------------------------------------- */

static void adopts(uint32_t bytes)
{
	uint32_t n = 77;

	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, bytes);
	assert_memory_equal(text, decoy, sizeof(text));
}

static void refuses(void)
{
	static uint8_t text_was[TEXT_SIZE], decoy_was[TEXT_SIZE];
	uint32_t flights = trail->flights_count, n = 77;

	memcpy(text_was, text, sizeof(text));
	memcpy(decoy_was, decoy, sizeof(decoy));
	dirty[0] = 0;
	assert_int_equal(rf_text_adopt(&n), -EPERM);
	assert_int_equal(n, 0);
	assert_memory_equal(text, text_was, sizeof(text));
	assert_memory_equal(decoy, decoy_was, sizeof(decoy));
	assert_int_equal(dirty[0], 0);
	assert_int_equal(trail->flights_count, flights);
}

static void adopted(void **state)
{
	adopts(0);
	assert_int_equal(dirty[0], 0);
	memcpy(decoy + SITE, jmp, 5);
	decoy[LOCK] = 0xf0;
	adopts(4); /* 0f 1f 44 00 00 -> e9 4b 00 00 00, and the prefix */
	assert_memory_equal(text + SITE, jmp, 5);
	assert_int_equal(text[LOCK], 0xf0);
	assert_int_equal(dirty[0], 1);
	assert_int_equal(trail->head, 0);
	memcpy(decoy + SITE, nop5, 5); /* and back */
	adopts(3);
	/* What had been half way is at rest in what was loaded. */
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 1));
	memcpy(decoy + SITE, jmp, 5);
	adopts(2); /* text had cc 4b 44 00 00 */
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	/* And the kernel that was loaded patches on. */
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, nop5 + 1, 4));
	assert_true(byte(SITE, nop5[0]));
}

/* A site over two pages is one site. */
static void adopted_over_pages(void **state)
{
	table->sites[2] =
		(struct rf_patch_site){ .at = 0xffe, .shape = 0, .kind = RF_SITE_JUMP_LABEL };
	table->sites[2].target = TEXT_GVA + 0xffe + 0x50;
	table->shapes[0].forms[0].bytes[3] = 0x11;
	memcpy(text + 0xffe, table->shapes[0].forms[0].bytes, 5);
	memcpy(decoy + 0xffe, jmp, 5);
	memcpy(decoy + SITE, jmp, 5);
	adopts(7);
	assert_int_equal(dirty[0], 3);
	/* Only its second half is foreign. */
	decoy[0x1001] = 0x11;
	refuses();
}

static void not_adopted(void **state)
{
	static const uint8_t foreign[5] = { 0xe9, 0x4b, 1, 0, 0 };

	memcpy(decoy + SITE, jmp, 5);
	decoy[SITE + 5]++; /* no site; behind one that could be adopted */
	refuses();
	decoy[SITE + 5]--;
	decoy[TEXT_SIZE - 1]++;
	refuses();
	decoy[TEXT_SIZE - 1]--;
	decoy[0]++; /* before the first */
	refuses();
	decoy[0]--;
	memcpy(decoy + OTHER, foreign, 5);
	refuses();
	memcpy(decoy + OTHER, jmp, 4);
	decoy[OTHER] = 0xcc; /* half way: nobody says what it was before */
	refuses();
	memcpy(decoy + OTHER, nop5, 5);
	decoy[LOCK] = 0xcc;
	refuses();
	decoy[LOCK] = 0x3e;
	/* A table that is not for this text. */
	table->kernel = 8;
	refuses();
	table->kernel = 7;
	table->base += 4096;
	refuses();
	table->base -= 4096;
	table->sites[0].shape = 9;
	refuses();
	table->sites[0].shape = 0;
	/* Memory that is never patched. */
	overlay->region = RF_REGION_RODATA;
	refuses();
	overlay->region = RF_REGION_TEXT;
	adopts(3);
}

/* One region is as it may be, the next is not: nothing of the first is taken over. */
static void not_adopted_for_the_next(void **state)
{
	static uint8_t rodata[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	static uint64_t rodata_dirty[1];

	rf_guestmem.nr_slots = 2;
	rf_guestmem.slots[1] = (struct rf_slot){ .used = true,
						 .gpa = TEXT_GPA + TEXT_SIZE,
						 .size = sizeof(below),
						 .hva = (uint64_t)(uintptr_t)below };
	rf_guestmem.nr_overlays = 2;
	overlay[1] = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
					  .gpa = { TEXT_GPA + TEXT_SIZE, sizeof(rodata) },
					  .gva = TEXT_GVA + TEXT_SIZE,
					  .region = RF_REGION_RODATA,
					  .copy = rodata,
					  .dirty = rodata_dirty };
	memcpy(decoy + SITE, jmp, 5);
	below[RF_PAGE_SIZE - 1] = 1;
	refuses();
	/* A watched page is no seal. */
	overlay[1].kind = RF_OVERLAY_WATCH;
	adopts(3);
	assert_int_equal(rodata[RF_PAGE_SIZE - 1], 0);
	below[RF_PAGE_SIZE - 1] = 0;
}

/* The trap stays: the instruction below it is the guest's own, and nothing else may lie there. */
static void adopted_with_traps(void **state)
{
	uint32_t n;

	plant(TRAP);
	memcpy(decoy + SITE, jmp, 5);
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(text + SITE, jmp, 5);
	assert_int_equal(text[TRAP], 0xe6);
	assert_memory_equal(decoy + TRAP, lidt, 7);
	decoy[TRAP + 3]++;
	refuses();
	decoy[TRAP + 3]--;
	decoy[TRAP] = 0xe6; /* what the copy has is not the guest's */
	refuses();
	decoy[TRAP] = 0x0f;
	/* A site over it says nothing, even if its bytes would be legal: a probe's. */
	table->sites[1] = (struct rf_patch_site){ .at = TRAP + 2, .kind = RF_SITE_KPROBE };
	table->sites[1].target = TEXT_GVA + TRAP + 2 + 0x50;
	table->sites[2].at = 0x400;
	memcpy(decoy + TRAP + 2, jmp, 5);
	refuses();
	rf_guestmem_stand_ins(NULL, 0);
	memcpy(text + TRAP, decoy + TRAP, 2);
	memcpy(text + 0x10, decoy + 0x10, 3);
	memcpy(text + TRAP + 2, nop5, 5);
	adopts(3); /* it was the trap alone that kept it */
}

/* The VMM has taken its memory away: there is nothing to compare with. */
static void adopted_without_memory(void **state)
{
	uint32_t n = 77;

	memset(decoy, 0xff, sizeof(decoy));
	rf_guestmem.slots[0].used = false;
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, 0);
	assert_memory_equal(text + SITE, nop5, 5);
}

static void tables_refused(void **state)
{
	int fd = make_table(4096, F_SEAL_SHRINK);

	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	fd = make_table(sizeof(*table), F_SEAL_GROW);
	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	/* The one in use stays. */
	assert_true(byte(SITE, 0xcc));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_text_setup, fake_text_teardown)

/* As it was at the seal: also where another state of the kernel has it otherwise. */
static void frozen(void **state)
{
	uint32_t n = 77;

	table->sites[0].flags = RF_SITE_FROZEN;
	memcpy(decoy + SITE, jmp, 5);
	assert_int_equal(rf_text_adopt(&n), -EPERM);
	assert_memory_equal(text + SITE, nop5, 5);
	table->sites[0].flags = 0;
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_memory_equal(text + SITE, jmp, 5);
}

/* What is half way here and in what was loaded, too, would be put back by nobody. */
static void half_way_in_both(void **state)
{
	uint32_t n = 77;

	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	assert_memory_equal(decoy + SITE, text + SITE, 5);
	assert_int_equal(rf_text_adopt(&n), -EPERM);
	assert_int_equal(trail->flights_count, 1);
	memcpy(decoy + SITE, nop5, 5);
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(trail->flights_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frozen),
		T(half_way_in_both),
		T(over_traps),
		T(over_a_trap_at_once),
		T(adopted),
		T(adopted_over_pages),
		T(not_adopted),
		T(not_adopted_for_the_next),
		T(adopted_with_traps),
		T(adopted_without_memory),
		T(tables_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
