// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory that is written to a file is what is read out of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/dump/core.h"
#include "hv/dump/dump.h"

#define PAGE 4096u
#define HIGH (UINT64_C(1) << 40)

static struct rf_core core;
static uint8_t pages[4 * PAGE], back[4 * PAGE];
static int fd;

static int setup(void **state)
{
	fd = memfd_create("core", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(rf_core_begin(&core, fd), 0);
	for (unsigned int i = 0; i < sizeof(pages); i++)
		pages[i] = (uint8_t)(i / PAGE == 2 ? 0 : i * 7 + i / PAGE);
	return 0;
}

static int teardown(void **state)
{
	return close(fd);
}

static int add(uint64_t gpa, unsigned int n)
{
	return rf_core_add(&core, rf_gpa_of(gpa), pages, n * PAGE);
}

static void as_it_was(void **state)
{
	struct rf_dump *d;
	uint64_t size;
	rf_gpa start;
	char why[256];

	assert_int_equal(add(0, 4), 0);
	assert_int_equal(add(4 * PAGE, 4), 0);
	assert_int_equal(add(0x100000, 1), 0);
	assert_int_equal(add(HIGH, 3), 0);
	assert_int_equal(core.count, 3);
	assert_int_equal(core.zeros, 3 * PAGE);
	assert_int_equal(rf_core_end(&core), 0);
	assert_int_equal(rf_dump_open(fd, &d, why, sizeof(why)), 0);
	assert_string_equal(rf_dump_format(d), "ELF core");
	for (unsigned int at = 0; at < 2; at++) {
		assert_int_equal(rf_dump_read(d, rf_gpa_of(at * sizeof(pages)), back, sizeof(back)),
				 0);
		assert_memory_equal(back, pages, sizeof(back));
	}
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x100000), back, PAGE), 0);
	assert_memory_equal(back, pages, PAGE);
	/* The last page is one of zeros, and of the file's end. */
	assert_int_equal(rf_dump_read(d, rf_gpa_of(HIGH), back, 3 * PAGE), 0);
	assert_memory_equal(back, pages, 3 * PAGE);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x101000), back, 1), -EFAULT);
	assert_int_equal(rf_dump_range(d, 0, &start, &size), 0);
	assert_int_equal(start.v, 0);
	assert_int_equal(size, 8 * PAGE);
	assert_int_equal(rf_dump_end(d), HIGH + 3 * PAGE);
	rf_dump_close(d);
}

/* Nobody takes half a file for a machine's memory. */
static void half_of_it(void **state)
{
	struct rf_dump *d;
	char why[256];

	assert_int_equal(add(0, 4), 0);
	assert_int_equal(rf_dump_open(fd, &d, why, sizeof(why)), -ENOTSUP);
}

static void in_order(void **state)
{
	assert_int_equal(add(0x10000, 2), 0);
	assert_int_equal(add(0x10000, 1), -EINVAL);
	assert_int_equal(add(0x11000, 1), -EINVAL);
	assert_int_equal(add(0, 1), -EINVAL);
	assert_int_equal(add(0x12001, 1), -EINVAL);
	assert_int_equal(rf_core_add(&core, rf_gpa_of(0x12000), pages, 5), -EINVAL);
	assert_int_equal(add(UINT64_MAX - PAGE + 1, 2), -EINVAL);
	assert_int_equal(add(0x12000, 1), 0);
	assert_int_equal(core.count, 1);
}

static void many_pieces(void **state)
{
	struct rf_dump *d;
	char why[256];

	for (uint64_t i = 0; i < RF_CORE_RANGES; i++)
		assert_int_equal(add(i * 2 * PAGE, 1), 0);
	assert_int_equal(add(RF_CORE_RANGES * 2 * PAGE, 1), -E2BIG);
	assert_int_equal(rf_core_end(&core), 0);
	assert_int_equal(rf_dump_open(fd, &d, why, sizeof(why)), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of((RF_CORE_RANGES - 1) * 2 * PAGE), back, PAGE),
			 0);
	assert_memory_equal(back, pages, PAGE);
	rf_dump_close(d);
}

static void no_room(void **state)
{
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(rf_core_begin(&core, fd), -ENOSPC);
	assert_int_equal(add(0, 1), -ENOSPC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(as_it_was), TEST(half_of_it), TEST(in_order),
					    TEST(many_pieces), TEST(no_room) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
