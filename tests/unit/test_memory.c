// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pages of a sealed guest's memory, for who looks at it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/fake_monitor.h"

#define PAGE RF_PAGE_SIZE

static uint8_t bytes[RF_ASKED_PAGES * PAGE];

/* How many there are, their contents in bytes[]; -1: an error. */
static int pages_at(uint64_t at, uint32_t pages)
{
	json_t *o;
	size_t n = 0;
	int have;

	guest.asked = (struct rf_asked){ at, pages };
	o = rf_guards_reply(&guest, &rf_guard_memory);
	assert_non_null(o);
	if (json_object_get(o, "error")) {
		json_decref(o);
		return -1;
	}
	assert_true(json_is_true(json_object_get(o, "done")));
	have = (int)json_integer_value(json_object_get(o, "pages"));
	assert_int_equal(sodium_base642bin(bytes, sizeof(bytes), fake_text(o, "bytes"),
					   strlen(fake_text(o, "bytes")), NULL, &n, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(n, have * PAGE);
	json_decref(o);
	return have;
}

static void what_the_guest_sees(void **state)
{
	fake_sealed();
	for (uint32_t n = 1; n <= RF_ASKED_PAGES; n++) {
		assert_int_equal(pages_at(IMAGE_GPA + RODATA_AT, n), n);
		assert_memory_equal(bytes, fake.ram + RODATA_AT, n * PAGE);
	}
}

/* In a row, from the first one on. */
static void where_memory_ends(void **state)
{
	fake_sealed();
	assert_int_equal(pages_at(IMAGE_GPA + RAM_SIZE - 2 * PAGE, RF_ASKED_PAGES), 2);
	assert_memory_equal(bytes, fake.ram + RAM_SIZE - 2 * PAGE, 2 * PAGE);
	assert_int_equal(pages_at(IMAGE_GPA + RAM_SIZE, RF_ASKED_PAGES), 0);
	fake.unreadable = IMAGE_GPA + PAGE + 5;
	assert_int_equal(pages_at(IMAGE_GPA, RF_ASKED_PAGES), 1);
	assert_int_equal(pages_at(IMAGE_GPA + PAGE, RF_ASKED_PAGES), 0);
}

static void what_cannot_be_asked(void **state)
{
	fake_sealed();
	assert_int_equal(pages_at(IMAGE_GPA, 0), -1);
	assert_int_equal(pages_at(IMAGE_GPA, RF_ASKED_PAGES + 1), -1);
	assert_int_equal(pages_at(IMAGE_GPA, UINT32_MAX), -1);
	assert_int_equal(pages_at(IMAGE_GPA + 1, 1), -1);
	assert_int_equal(pages_at(UINT64_MAX - PAGE + 1, 1), -1);
	assert_int_equal(pages_at(IMAGE_GPA, 1), 1);
}

/* Where a kernel is found from. */
static uint64_t number(json_t *o, const char *member)
{
	return strtoull(fake_text(o, member), NULL, 16);
}

static void where_the_kernel_is(void **state)
{
	json_t *o, *k;

	assert_int_equal(pages_at(IMAGE_GPA, 1), -1); /* none is sealed yet */
	fake_sealed();
	guest.asked = (struct rf_asked){ 0, 1 };
	o = rf_guards_reply(&guest, &rf_guard_memory);
	k = json_object_get(o, "kernel");
	assert_int_equal(number(k, "root"), guest.paging.root.v);
	assert_int_equal(json_integer_value(json_object_get(k, "levels")), guest.paging.levels);
	assert_int_equal(number(json_object_get(k, "image"), "gva"), IMAGE_GVA);
	assert_int_equal(number(json_object_get(k, "image"), "gpa"), IMAGE_GPA);
	assert_int_equal(number(json_object_get(k, "image"), "size"), IMAGE_SIZE);
	assert_int_equal(number(json_object_get(k, "tables"), "gva"), IMAGE_GVA + RODATA_AT);
	assert_int_equal(number(json_object_get(k, "tables"), "gpa"), IMAGE_GPA + RODATA_AT);
	assert_int_equal(number(json_object_get(k, "tables"), "size"), RODATA_SIZE);
	json_decref(o);
	fake_reset();
	assert_int_equal(pages_at(IMAGE_GPA, 1), -1);
}

static json_t *map_of(void)
{
	guest.asked = (struct rf_asked){ 0, 0 };
	return rf_guards_reply(&guest, &rf_guard_memory);
}

static void where_memory_is(void **state)
{
	json_t *o, *range;

	fake_sealed();
	o = map_of();
	assert_true(json_is_true(json_object_get(o, "done")));
	assert_non_null(json_object_get(o, "kernel"));
	assert_int_equal(json_array_size(json_object_get(o, "ranges")), 1);
	range = json_array_get(json_object_get(o, "ranges"), 0);
	assert_int_equal(number(range, "at"), IMAGE_GPA);
	assert_int_equal(number(range, "size"), RAM_SIZE);
	json_decref(o);
	/* Not now is not never. */
	fake.ram_err = -EAGAIN;
	o = map_of();
	assert_true(json_is_false(json_object_get(o, "done")));
	json_decref(o);
	for (int i = 0; i < 2; i++) {
		fake.ram_err = i ? -EBADMSG : -E2BIG;
		o = map_of();
		assert_non_null(json_object_get(o, "error"));
		json_decref(o);
	}
}

/* Its order has not come yet: nothing of it is shown as the old one's. */
static void of_another_kernel(void **state)
{
	json_t *o;

	fake_sealed();
	fake.info.kernel++;
	for (uint32_t pages = 0; pages < 2; pages++) {
		guest.asked = (struct rf_asked){ pages ? IMAGE_GPA : 0, pages };
		o = rf_guards_reply(&guest, &rf_guard_memory);
		assert_true(json_is_false(json_object_get(o, "done")));
		assert_null(json_object_get(o, "bytes"));
		assert_null(json_object_get(o, "ranges"));
		json_decref(o);
	}
	fake.info.kernel--;
	assert_int_equal(pages_at(IMAGE_GPA, 1), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		TEST(what_the_guest_sees), TEST(where_memory_ends), TEST(what_cannot_be_asked),
		TEST(where_the_kernel_is), TEST(where_memory_is),   TEST(of_another_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
