// SPDX-License-Identifier: LGPL-2.1-or-later
/* monitor/patch_names.c: which addresses are named, and what it costs to keep them apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/patch_names.c"

/* --- what it asks of the rest ------------------------------------------------------------- */

static uint32_t named[2 * WANTED];
static size_t nr_named, nr_written;

int rf_name_within(struct rf_guest *g, const struct rf_paging *p, uint64_t gva, struct rf_named *out,
		   struct rf_module *m)
{
	named[nr_named++] = (uint32_t)(gva - g->table->base);
	strcpy(out->symbol, "somewhere");
	return 0;
}

struct rf_budget rf_part_begin(struct rf_guest *g, uint64_t reads)
{
	return (struct rf_budget){ .left = 0 };
}

uint64_t rf_part_end(struct rf_guest *g, const struct rf_budget *outer)
{
	return 0;
}

bool rf_record_is_long(const struct rf_guest *g, uint64_t size)
{
	return false;
}

uint64_t rf_patchlog_size(const struct rf_patchlog *p)
{
	return 0;
}

size_t rf_patchlog_name(union rf_patch_record *r, uint32_t at, const char *symbol, uint64_t offset)
{
	return 1;
}

int rf_patchlog_names(struct rf_patchlog *p, const union rf_patch_record *records, size_t n)
{
	nr_written += n;
	return 0;
}

/* --- tests ---------------------------------------------------------------------------------- */

/* The longest row of places that are taken: so many are looked at, at most. */
static unsigned longest(void)
{
	unsigned row = 0, most = 0;

	for (size_t i = 0; i < 2 * PLACES; i++) {
		row = places[i % PLACES] ? row + 1 : 0;
		most = row > most ? row : most;
	}
	return most;
}

/* Addresses that a hash which is known would put into one place: their upper bits are equal. */
static void chosen_by_the_guest(void **state)
{
	const uint32_t odd = UINT32_C(2654435769);
	uint32_t inverse = odd;

	rf_patch_names_forget();
	for (int i = 0; i < 5; i++) /* Newton: modulo 2^32 */
		inverse *= 2 - odd * inverse;
	assert_int_equal(odd * inverse, 1);
	for (uint32_t i = 1; i <= WANTED; i++)
		want(i * inverse);
	assert_int_equal(count, WANTED);
	assert_in_range(longest(), 1, 1000);
	/* Nor where they follow each other. */
	rf_patch_names_forget();
	for (uint32_t i = 1; i <= WANTED; i++)
		want(i);
	assert_int_equal(count, WANTED);
	assert_in_range(longest(), 1, 1000);
}

/* Each once, in the order of their patches; those past the last are left out. */
static void each_once(void **state)
{
	static struct rf_patch_table table = { .base = 0x1000, .size = UINT32_MAX };
	static struct rf_guest g = { .table = &table, .patches = (void *)&table, .patchlog = (void *)&table };
	struct rf_patch_line l = { .kind = RF_SITE_FTRACE, .len = 5, .after = { 0xe8 } };

	rf_patch_names_forget();
	nr_named = nr_written = 0;
	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < 700; i++) {
			l.at = 16 * i + 16;
			rf_patch_names_want(&l);
		}
	}
	for (int ticks = 0; rf_patch_names_left(&g); ticks++) {
		assert_in_range(ticks, 0, 5);
		rf_patch_names_write(&g);
	}
	assert_int_equal(nr_named, 1400);
	assert_int_equal(nr_written, 1400);
	for (uint32_t i = 0; i < 1400; i++)
		assert_int_equal(named[i], 16 * (i / 2) + 16 + (i % 2 ? 5 : 0));
	/* Another kernel's are others. */
	rf_patch_names_forget();
	assert_false(rf_patch_names_left(&g));
	l.at = 16;
	rf_patch_names_want(&l);
	assert_true(rf_patch_names_left(&g));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(chosen_by_the_guest), cmocka_unit_test(each_once) };

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
