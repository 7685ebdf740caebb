// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The log of allowed patches after a power cut at each moment of its writers' work: what a line of
 * the record may say of it by then is true, and the next start writes on.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/patchlog.h"
#include "tests/unit/fake_disk.h"

#define INSTANCE 7
#define SAID 64u

static char path[32], cut_path[36];

/* What a line of the record could say, and how much was done by then. */
static struct {
	size_t ops;
	struct rf_patch_span span;
} said[SAID];
static size_t said_count;

static struct rf_patchlog *open_log(const char *name)
{
	struct rf_patchlog *p;

	assert_int_equal(
		rf_patchlog_open_fd(open(name, O_RDWR | O_APPEND | O_CLOEXEC), INSTANCE, &p), 0);
	return p;
}

static void say(const struct rf_patchlog *p)
{
	assert_in_range(said_count, 0, SAID - 1);
	said[said_count].ops = fake_disk_ops();
	rf_patchlog_span(p, &said[said_count++].span);
}

static void put(struct rf_patchlog *p, size_t n)
{
	struct rf_patch_line lines[8] = { 0 };

	for (size_t i = 0; i < n; i++)
		lines[i] = (struct rf_patch_line){ .at = (uint32_t)(n + i), .kind = 1, .len = 5 };
	assert_int_equal(rf_patchlog_write(p, lines, n), 0);
	say(p);
}

/* A monitor that dies in the middle of its work: what it wrote is in the file, and not flushed. */
static void die_writing(size_t bytes)
{
	const union rf_patch_record r[4] = {
		{ .line = { .at = 1, .kind = 1, .len = 5, .mark = RF_PATCHLOG_LINE } }
	};
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, r, bytes), bytes);
	close(fd);
}

static void work(void)
{
	struct rf_patchlog *p = open_log(path);

	assert_int_equal(rf_patchlog_head(p, 0xffffffff81000000, 1), 0);
	put(p, 3);
	put(p, 8);
	rf_patchlog_close(p);
	for (size_t bytes = 16; bytes <= 128; bytes += 16) {
		die_writing(bytes);
		p = open_log(path);
		say(p);
		if (bytes % 32)
			put(p, 2);
		rf_patchlog_close(p);
	}
}

static int setup(void **state)
{
	int fd;

	strcpy(path, "/tmp/rf-patches-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || sodium_init() < 0)
		return -1;
	snprintf(cut_path, sizeof(cut_path), "%s.c", path);
	said_count = 0;
	fake_disk_begin(fd);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	fake_disk_end();
	unlink(path);
	unlink(cut_path);
	return 0;
}

static void is_true(const struct rf_patch_span *s, const char *text, size_t len)
{
	uint8_t hash[32];

	assert_in_range(s->to, s->from, len);
	crypto_hash_sha256(hash, (const uint8_t *)text + s->from, s->to - s->from);
	assert_memory_equal(hash, s->sha256, sizeof(hash));
}

static void cut_at(size_t ops, enum fake_disk_left left, unsigned int *seed)
{
	struct rf_patchlog *next;
	size_t len;
	char *text = fake_disk_cut(ops, left, seed, &len);
	int fd = open(cut_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, len), len);
	close(fd);
	for (size_t i = 0; i < said_count && said[i].ops <= ops; i++)
		is_true(&said[i].span, text, len);
	free(text);
	next = open_log(cut_path);
	assert_int_equal(rf_patchlog_head(next, 0xffffffff81000000, 2), 0);
	rf_patchlog_close(next);
}

static void at_each_moment(void **state)
{
	unsigned int seed = 1;

	work();
	assert_true(said_count > 10);
	for (size_t ops = 0; ops <= fake_disk_ops(); ops++)
		for (int left = 0; left < FAKE_DISK_KINDS; left++)
			cut_at(ops, (enum fake_disk_left)left, &seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(at_each_moment, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
