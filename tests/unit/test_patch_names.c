// SPDX-License-Identifier: LGPL-2.1-or-later
/* Names of patches: which one counts where there are several, and that no number of other names
 * takes its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/patch_names.h"

static int fd;
static struct rf_patch_names *names;

static int setup(void **state)
{
	names = NULL;
	fd = memfd_create("patches", MFD_CLOEXEC);
	return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	rf_patch_names_destroy(names);
	return close(fd);
}

/* Where it stands. */
static uint64_t append(const union rf_patch_record *r, size_t count)
{
	off_t at = lseek(fd, 0, SEEK_END);

	assert_int_equal(write(fd, r, count * sizeof(*r)), count * sizeof(*r));
	return (uint64_t)at;
}

static struct rf_patch_head head_of(uint64_t kernel)
{
	return (struct rf_patch_head){
		.instance = 7, .kernel = kernel, .version = 1, .mark = RF_PATCHLOG_HEAD
	};
}

static void append_head(uint64_t kernel)
{
	append(&(const union rf_patch_record){ .head = head_of(kernel) }, 1);
}

/* A call at that place, to 0x105 behind it. */
static uint64_t append_patch(uint32_t at)
{
	const union rf_patch_record r = {
		.line = { .at = at, .len = 5, .after = { 0xe8, 0, 1 }, .mark = RF_PATCHLOG_LINE }
	};

	return append(&r, 1);
}

static void append_name(uint32_t at, const char *symbol)
{
	union rf_patch_record r[RF_PATCH_NAME_PARTS];
	size_t n = rf_patchlog_name(r, at, symbol, 0);

	for (size_t i = 0; i < n; i++)
		r[i].name.mark = RF_PATCHLOG_NAME;
	append(r, n);
}

static void assert_name(uint64_t kernel, uint32_t at, const char *name)
{
	const struct rf_patch_head head = head_of(kernel);
	const char *found = rf_patch_names_find(names, &head, at);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
}

/* As many as there were of other places in between, and with a head of their own or none. */
static void the_first_counts(void **state)
{
	static const struct rf_patch_head none;

	append_head(1);
	append_patch(0x100);
	append_patch(0x300);
	append_name(0x100, "commit_creds");
	append_name(0x205, "its_target");
	for (int i = 0; i < 200; i++)
		append_name(0x100, "vfs_read");
	append_head(1);
	for (int i = 0; i < 200; i++) {
		append_name(0x100, "vfs_write");
		append_name(0x205, "vfs_open");
		append_name(0x300, i ? "later" : "first");
	}
	assert_int_equal(rf_patch_names_read(fd, 0, &none, &names), 0);
	assert_name(1, 0x100, "commit_creds");
	assert_name(1, 0x205, "its_target");
	assert_name(1, 0x300, "first");
	assert_name(2, 0x100, NULL);
	assert_name(1, 0x405, NULL);
}

#define EACH 65536u /* a monitor names no more of one kernel */

static void a_guest_that_reboots(void **state)
{
	static const struct rf_patch_head none;
	static union rf_patch_record many[EACH];
	uint64_t last = 0;

	for (uint64_t kernel = 1; kernel <= 18; kernel++) {
		append_head(kernel);
		last = append_patch(0x100);
		for (uint32_t i = 0; i < EACH; i++)
			many[i].name = (struct rf_patch_name){ .at = 0x1000 + i,
							       .part = RF_PATCH_NAME_LAST,
							       .text = "other",
							       .mark = RF_PATCHLOG_NAME };
		append(many, EACH);
		append_name(0x100, kernel == 18 ? "of_the_last" : "of_another");
	}
	assert_int_equal(rf_patch_names_read(fd, 0, &none, &names), 0);
	for (uint64_t kernel = 1; kernel <= 18; kernel++)
		assert_name(kernel, 0x100, kernel == 18 ? "of_the_last" : "of_another");
	/* What nobody asks for is not kept. */
	assert_name(18, 0x1000, NULL);
	rf_patch_names_destroy(names);
	names = NULL;
	/* From a place on, where another head holds. */
	assert_int_equal(
		rf_patch_names_read(fd, last,
				    &(const struct rf_patch_head){ .instance = 7, .kernel = 17 },
				    &names),
		0);
	assert_name(17, 0x100, "of_another");
	assert_name(18, 0x100, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_reboots, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
