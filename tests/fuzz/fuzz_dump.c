// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Any bytes as a dump. What opens has sorted ranges that do not overlap, in which a read gives the
 * same bytes whether it is small or large; nothing is read outside of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/dump/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOOKS 64u
#define LARGE 8192u

static void require(bool good)
{
	if (!good)
		abort();
}

static void look(struct rf_dump *d, uint64_t gpa)
{
	static uint8_t large[LARGE];
	uint8_t small[8];
	int r = rf_dump_read(d, rf_gpa_of(gpa), large, LARGE);

	require(!r || r == -EFAULT);
	for (size_t at = 0; at < LARGE; at += LARGE / 4 - 2) {
		int s = rf_dump_read(d, rf_gpa_of(gpa + at), small, sizeof(small));

		require(!s || s == -EFAULT);
		if (at + sizeof(small) <= LARGE && !r)
			require(!s && !memcmp(small, large + at, sizeof(small)));
	}
}

static void look_at_all(struct rf_dump *d)
{
	uint64_t size, last = 0;
	rf_gpa start;
	uint8_t byte;

	for (size_t i = 0; !rf_dump_range(d, i, &start, &size); i++) {
		require(start.v >= last && size && start.v + size > start.v);
		if (start.v > last)
			require(rf_dump_read(d, rf_gpa_of(start.v - 1), &byte, 1) == -EFAULT);
		last = start.v + size;
		if (i >= LOOKS)
			continue;
		look(d, start.v);
		look(d, start.v + size / 2);
		look(d, last - 8);
	}
	require(last && rf_dump_end(d) == last);
	require(rf_dump_read(d, rf_gpa_of(last), &byte, 1) == -EFAULT);
	look(d, UINT64_MAX - LARGE / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("dump", MFD_CLOEXEC), r;
	struct rf_dump_cpu cpu;
	struct rf_dump *d;
	char why[100] = "";

	require(fd >= 0 && (!size || write(fd, data, size) == (ssize_t)size));
	r = rf_dump_open(fd, &d, why, sizeof(why));
	if (r) {
		require(why[0] && (r == -ENOTSUP || r == -EBADMSG));
		close(fd);
		return 0;
	}
	look_at_all(d);
	for (size_t i = 0; i < rf_dump_cpus(d); i++)
		require(!rf_dump_cpu(d, i, &cpu));
	require(rf_dump_cpu(d, rf_dump_cpus(d), &cpu) == -ENOENT);
	if (!rf_dump_fill(d))
		look(d, rf_dump_end(d) / 2);
	/* And gone. */
	require(!ftruncate(fd, size / 2));
	look(d, 0);
	look(d, rf_dump_end(d) - 8);
	rf_dump_close(d);
	close(fd);
	return 0;
}
