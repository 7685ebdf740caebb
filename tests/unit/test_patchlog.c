// SPDX-License-Identifier: LGPL-2.1-or-later
/* The log of allowed patches: written, torn, taken up again by the next writer, read. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/patchlog.h"

static char path[] = "/tmp/rf-patchlog-XXXXXX";

static int setup(void **state)
{
	strcpy(path, "/tmp/rf-patchlog-XXXXXX");
	close(mkstemp(path));
	return 0;
}

static int teardown(void **state)
{
	return unlink(path);
}

static struct rf_patchlog *open_log(uint64_t instance)
{
	struct rf_patchlog *p = NULL;

	assert_int_equal(rf_patchlog_open_fd(open(path, O_RDWR | O_APPEND), instance, &p), 0);
	return p;
}

static void write_lines(struct rf_patchlog *p, size_t count)
{
	struct rf_patch_line l = { .ns = 5, .at = 0x100, .kind = 4, .len = 5 };

	for (size_t i = 0; i < count; i++)
		assert_int_equal(rf_patchlog_write(p, &l, 1), 0);
}

static void taken_up(void **state)
{
	struct rf_patchlog *p = open_log(1);

	assert_int_equal(rf_patchlog_count(p), 0);
	assert_int_equal(rf_patchlog_head(p, 0x1000, 2), 0);
	write_lines(p, 3);
	assert_int_equal(rf_patchlog_head(p, 0x2000, 9), 0); /* the guest was rebooted */
	write_lines(p, 2);
	assert_int_equal(rf_patchlog_count(p), 5);
	rf_patchlog_close(p);

	p = open_log(1); /* the next monitor of the same VM start */
	assert_int_equal(rf_patchlog_count(p), 5);
	rf_patchlog_close(p);

	p = open_log(2); /* another start */
	assert_int_equal(rf_patchlog_count(p), 0);
	assert_int_equal(rf_patchlog_head(p, 0x3000, 2), 0);
	write_lines(p, 1);
	rf_patchlog_close(p);
	p = open_log(2);
	assert_int_equal(rf_patchlog_count(p), 1);
	rf_patchlog_close(p);
}

static void torn(void **state)
{
	struct rf_patchlog *p = open_log(1);
	union rf_patch_record r[8];
	uint64_t offset = 0;
	int fd;

	assert_int_equal(rf_patchlog_head(p, 0x1000, 2), 0);
	write_lines(p, 2);
	rf_patchlog_close(p);
	assert_int_equal(truncate(path, 3 * 32 - 7), 0);
	p = open_log(1);
	assert_int_equal(rf_patchlog_count(p), 1); /* its mark is gone: it is to be written again */
	write_lines(p, 1);
	/* A full disk tears too, and the same writer goes on. */
	assert_int_equal(truncate(path, 4 * 32 - 20), 0);
	write_lines(p, 1);
	rf_patchlog_close(p);
	p = open_log(1);
	assert_int_equal(rf_patchlog_count(p), 2);
	rf_patchlog_close(p);
	fd = open(path, O_RDONLY);
	assert_int_equal(rf_patchlog_read(fd, &offset, r, 8), 5);
	assert_int_equal(offset, 5 * 32);
	assert_true(rf_patch_is_head(&r[0]));
	assert_true(rf_patch_is_line(&r[1]));
	for (int i = 2; i < 4; i++) {
		assert_false(rf_patch_is_line(&r[i]));
		assert_false(rf_patch_is_head(&r[i]));
	}
	assert_true(rf_patch_is_line(&r[4]));
	assert_int_equal(rf_patchlog_read(fd, &offset, r, 8), 0);
	close(fd);
}

/* More than one block back; and a file that is no log at all. */
static void long_and_foreign(void **state)
{
	struct rf_patch_line lines[700];
	struct rf_patchlog *p;
	FILE *f;

	for (size_t i = 0; i < 700; i++)
		lines[i] = (struct rf_patch_line){ .kind = 1, .len = 2 };
	f = fopen(path, "w");
	for (int i = 0; i < 5000; i++)
		fputs("this is not a patch log, whatever its name may say", f);
	fclose(f);
	p = open_log(1);
	assert_int_equal(rf_patchlog_count(p), 0); /* no head of ours: nothing is ours */
	assert_int_equal(rf_patchlog_head(p, 0x1000, 2), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rf_patchlog_write(p, lines, 700), 0);
	rf_patchlog_close(p);
	p = open_log(1);
	assert_int_equal(rf_patchlog_count(p), 3500);
	rf_patchlog_close(p);
}

static void refused(void **state)
{
	struct rf_patchlog *p = NULL;
	int ends[2], fd = open(path, O_RDWR);

	assert_int_equal(rf_patchlog_open_fd(fd, 1, &p), -EINVAL); /* not for append */
	close(fd);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(rf_patchlog_open_fd(fd, 1, &p), -EINVAL);
	close(fd);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(rf_patchlog_open_fd(ends[0], 1, &p), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(rf_patchlog_open_fd(-1, 1, &p), -EBADF);
	assert_null(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(taken_up), T(torn), T(long_and_foreign), T(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
