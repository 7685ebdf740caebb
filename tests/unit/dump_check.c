// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/dump_check.h"
#include "tests/unit/leave_out.h"

static char why[160];

static int open_bytes(const struct fake_dump *f, struct rf_dump **out)
{
	int fd = fake_dump_fd(f), r;

	memset(why, 0, sizeof(why));
	r = rf_dump_open(fd, out, why, sizeof(why));
	close(fd);
	if (r && !why[0])
		fail_msg("refused with %d, and no reason", r);
	return r;
}

struct rf_dump *dump_opened(const struct fake_dump *f)
{
	struct rf_dump *d = NULL;
	int r = open_bytes(f, &d);

	if (r)
		fail_msg("%s (%d)", why, r);
	return d;
}

void dump_refused(struct fake_dump *f, int err, const char *reason)
{
	struct rf_dump *d = NULL;
	int r = open_bytes(f, &d);

	if (r != err || !strstr(why, reason))
		fail_msg("%d (%s), not %d (... %s ...)", r, why, err, reason);
	assert_null(d);
	free(f->bytes);
}

static bool there(uint64_t gpa)
{
	for (unsigned int i = 0; i < FAKE_DUMP_RANGES; i++)
		if (rf_within(gpa, 1, fake_dump_ranges[i].start, fake_dump_ranges[i].size))
			return true;
	return false;
}

/* What a read must say and give. */
static void check_read(struct rf_dump *d, uint64_t gpa, size_t len)
{
	static uint8_t buf[8 * 4096];
	bool all = true;
	int r;

	for (size_t i = 0; i < len; i++)
		all = all && there(gpa + i);
	r = rf_dump_read(d, rf_gpa_of(gpa), buf, len);
	if (r != (all ? 0 : -EFAULT))
		fail_msg("%d at %#llx, %zu bytes", r, (unsigned long long)gpa, len);
	for (size_t i = 0; i < len && all; i++)
		if (buf[i] != fake_dump_byte(gpa + i))
			fail_msg("another byte at %#llx", (unsigned long long)gpa + i);
}

void dump_check_memory(struct rf_dump *d)
{
	static const uint32_t lengths[] = { 1, 2, 8, 24, 4095, 4096, 4097, 8192, 16384 };
	uint8_t byte;

	/* Small reads first, while nothing is in a cache; and again. */
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		for (uint64_t gpa = 0; gpa < FAKE_DUMP_END + PAGE; gpa += 509)
			check_read(d, gpa, lengths[i]);
	for (uint64_t gpa = 0; gpa < FAKE_DUMP_END + 2 * PAGE; gpa += PAGE)
		for (int off = -9; off < 2; off++)
			check_read(d, gpa + 16 + off, 8);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(UINT64_MAX), &byte, 1), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(UINT64_MAX), &byte, 0), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(UINT64_MAX - 7), &(uint64_t[2]){ 0 }, 16),
			 -EFAULT);
	assert_int_equal(rf_dump_end(d), FAKE_DUMP_END);
}

static void check_ranges(struct rf_dump *d)
{
	uint64_t size, bytes = 0, last = 0;
	rf_gpa start;
	size_t i;

	for (i = 0; !rf_dump_range(d, i, &start, &size); i++) {
		assert_true(start.v >= last && size);
		last = start.v + size;
		for (uint64_t at = 0; at < size; at += 512)
			assert_true(there(start.v + at));
		bytes += size;
	}
	assert_int_equal(rf_dump_range(d, i, &start, &size), -ENOENT);
	assert_int_equal(bytes, 7 * PAGE);
}

static void check_cpus(struct rf_dump *d)
{
	struct rf_dump_cpu cpu;

	assert_int_equal(rf_dump_cpus(d), FAKE_DUMP_CPUS);
	for (unsigned int n = 0; n < FAKE_DUMP_CPUS; n++) {
		assert_int_equal(rf_dump_cpu(d, n, &cpu), 0);
		assert_int_equal(cpu.known, 7);
		assert_int_equal(cpu.rip, fake_dump_register(n, FAKE_RIP));
		assert_int_equal(cpu.cr0, fake_dump_register(n, FAKE_CR0));
		assert_int_equal(cpu.cr3, fake_dump_register(n, FAKE_CR3));
		assert_int_equal(cpu.cr4, fake_dump_register(n, FAKE_CR4));
		assert_int_equal(cpu.idt_base, fake_dump_register(n, FAKE_IDT));
		assert_int_equal(cpu.gs_base, fake_dump_register(n, FAKE_GS));
		assert_int_equal(cpu.kernel_gs_base, fake_dump_register(n, FAKE_KGS));
	}
	assert_int_equal(rf_dump_cpu(d, FAKE_DUMP_CPUS, &cpu), -ENOENT);
}

void dump_check_all(struct fake_dump *f, const char *format, bool cpus)
{
	struct rf_dump *d = dump_opened(f);

	assert_string_equal(rf_dump_format(d), format);
	check_ranges(d);
	dump_check_memory(d);
	if (cpus)
		check_cpus(d);
	rf_dump_close(d);
	free(f->bytes);
}

static void right_or_missing(struct rf_dump *d)
{
	uint8_t byte;

	for (uint64_t gpa = 0x1000; gpa < FAKE_DUMP_END; gpa += PAGE / 2)
		if (!rf_dump_read(d, rf_gpa_of(gpa), &byte, 1))
			assert_int_equal(byte, fake_dump_byte(gpa));
}

void dump_check_cut(struct fake_dump *f)
{
	int fd = fake_dump_fd(f), r;
	struct rf_dump *d, *whole;
	size_t step = f->len / rounds(f->len);

	assert_int_equal(rf_dump_open(fd, &whole, why, sizeof(why)), 0);
	for (size_t len = f->len - 1; len >= step; len -= step) {
		assert_int_equal(ftruncate(fd, len), 0);
		r = rf_dump_open(fd, &d, why, sizeof(why));
		if (r) {
			assert_true(r == -EBADMSG || r == -ENOTSUP);
			continue;
		}
		right_or_missing(d);
		rf_dump_close(d);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	/* Some of it may be in a cache. */
	right_or_missing(whole);
	rf_dump_close(whole);
	close(fd);
	free(f->bytes);
}
