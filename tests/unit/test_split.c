// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/memslots.h"

#define LAST_PAGE (UINT64_MAX & ~(RF_PAGE_SIZE - 1)) /* its end is 2^64: no range may hold it */

struct one {
	struct rf_range slot;
	size_t n;
	struct rf_range cuts[4];
	int pieces;
	struct rf_range out[4];
};

/* In pages; every way two ranges can lie to each other. */
static const struct one cases[] = {
	{ { 10, 10 }, 0, { { 0 } }, 1, { { 10, 10 } } },
	{ { 10, 10 }, 1, { { 0, 5 } }, 1, { { 10, 10 } } },		 /* before */
	{ { 10, 10 }, 1, { { 0, 10 } }, 1, { { 10, 10 } } },		 /* touches the start */
	{ { 10, 10 }, 1, { { 0, 15 } }, 1, { { 15, 5 } } },		 /* over the start */
	{ { 10, 10 }, 1, { { 10, 3 } }, 1, { { 13, 7 } } },		 /* head */
	{ { 10, 10 }, 1, { { 12, 3 } }, 2, { { 10, 2 }, { 15, 5 } } },	 /* inside */
	{ { 10, 10 }, 1, { { 17, 3 } }, 1, { { 10, 7 } } },		 /* tail */
	{ { 10, 10 }, 1, { { 17, 9 } }, 1, { { 10, 7 } } },		 /* over the end */
	{ { 10, 10 }, 1, { { 20, 9 } }, 1, { { 10, 10 } } },		 /* touches the end */
	{ { 10, 10 }, 1, { { 30, 9 } }, 1, { { 10, 10 } } },		 /* after */
	{ { 10, 10 }, 1, { { 10, 10 } }, 0, { { 0 } } },		 /* the same */
	{ { 10, 10 }, 1, { { 5, 30 } }, 0, { { 0 } } },			 /* all of it and more */
	{ { 10, 10 }, 1, { { 12, 0 } }, 1, { { 10, 10 } } },		 /* empty */
	{ { 10, 0 }, 1, { { 5, 30 } }, 0, { { 0 } } },			 /* an empty slot */
	{ { 10, 10 }, 2, { { 12, 2 }, { 14, 2 } }, 2, { { 10, 2 }, { 16, 4 } } },
	{ { 10, 10 }, 2, { { 12, 2 }, { 15, 2 } }, 3, { { 10, 2 }, { 14, 1 }, { 17, 3 } } },
	{ { 10, 10 }, 3, { { 0, 11 }, { 13, 1 }, { 19, 8 } }, 2, { { 11, 2 }, { 14, 5 } } },
	{ { 0, 4 }, 1, { { 0, 1 } }, 1, { { 1, 3 } } },
	{ { 0, 4 }, 1, { { 3, 1 } }, 1, { { 0, 3 } } },
};

static void relations(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct one c = cases[i];
		struct rf_range out[4];

		c.slot.start *= RF_PAGE_SIZE;
		c.slot.size *= RF_PAGE_SIZE;
		for (size_t j = 0; j < 4; j++) {
			c.cuts[j].start *= RF_PAGE_SIZE;
			c.cuts[j].size *= RF_PAGE_SIZE;
		}
		assert_int_equal(rf_split(c.slot, c.cuts, c.n, out, 4), c.pieces);
		for (int j = 0; j < c.pieces; j++) {
			assert_int_equal(out[j].start, c.out[j].start * RF_PAGE_SIZE);
			assert_int_equal(out[j].size, c.out[j].size * RF_PAGE_SIZE);
		}
	}
}

static void end_of_the_space(void **state)
{
	struct rf_range slot = { LAST_PAGE - 4 * RF_PAGE_SIZE, 4 * RF_PAGE_SIZE }, out[2];
	struct rf_range tail = { LAST_PAGE - RF_PAGE_SIZE, RF_PAGE_SIZE };
	struct rf_range middle = { LAST_PAGE - 3 * RF_PAGE_SIZE, RF_PAGE_SIZE };

	assert_int_equal(rf_split(slot, &tail, 1, out, 2), 1);
	assert_int_equal(out[0].start, slot.start);
	assert_int_equal(out[0].size, 3 * RF_PAGE_SIZE);
	assert_int_equal(rf_split(slot, &middle, 1, out, 2), 2);
	assert_int_equal(out[1].start + out[1].size, LAST_PAGE);
}

static void too_many_pieces(void **state)
{
	struct rf_range slot = { 0, 100 }, cuts[] = { { 10, 1 }, { 20, 1 } };
	struct rf_range out[3] = { { 0 } };

	assert_int_equal(rf_split(slot, cuts, 2, out, 0), -ENOSPC);
	assert_int_equal(rf_split(slot, cuts, 2, out, 1), -ENOSPC);
	assert_int_equal(rf_split(slot, cuts, 2, out, 2), -ENOSPC);
	assert_int_equal(out[2].size, 0);
	assert_int_equal(rf_split(slot, cuts, 2, out, 3), 3);
}

/* Any slot, any overlays: each unit is in a piece exactly when it is in the slot and in no overlay. */
static void random_ranges(void **state)
{
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		struct rf_range cuts[RF_MAX_OVERLAYS], out[RF_MAX_PIECES];
		struct rf_range slot = { (uint64_t)random() % 64, (uint64_t)random() % 64 };
		uint8_t want[128] = { 0 }, got[128] = { 0 };
		size_t n = 0;
		int pieces;

		memset(want + slot.start, 1, slot.size);
		for (uint64_t at = 0; n < RF_MAX_OVERLAYS;) {
			uint64_t start = at + (uint64_t)random() % 12, size = (uint64_t)random() % 12;

			if (start + size > sizeof(want))
				break;
			cuts[n++] = (struct rf_range){ start, size };
			memset(want + start, 0, size);
			at = start + size;
		}
		pieces = rf_split(slot, cuts, n, out, RF_MAX_PIECES);
		assert_in_range(pieces, 0, RF_MAX_PIECES);
		for (int i = 0; i < pieces; i++) {
			assert_true(out[i].size > 0);
			if (i)
				assert_true(out[i - 1].start + out[i - 1].size < out[i].start);
			for (uint64_t u = 0; u < out[i].size; u++)
				got[out[i].start + u]++;
		}
		assert_memory_equal(got, want, sizeof(got));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relations),
		cmocka_unit_test(end_of_the_space),
		cmocka_unit_test(too_many_pieces),
		cmocka_unit_test(random_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
