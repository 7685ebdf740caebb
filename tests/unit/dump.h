/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A raw memory dump as guest memory: byte n of the file is guest-physical n. */
#ifndef RF_TESTS_UNIT_DUMP_H
#define RF_TESTS_UNIT_DUMP_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "introspection/memory.h"

struct dump {
	const uint8_t *bytes;
	size_t len;
	uint64_t calls, copied; /* what the reader was asked for */
};

static inline int dump_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct dump *d = ctx;

	if (!rf_within(gpa.v, len, 0, d->len))
		return -EFAULT;
	d->calls++;
	d->copied += len;
	memcpy(buf, d->bytes + gpa.v, len);
	return 0;
}

static inline struct rf_memory dump_memory(struct dump *d)
{
	return (struct rf_memory){ dump_read, d };
}

static inline int dump_open(const char *path, struct dump *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -EIO;
	}
	bytes = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return -ENOMEM;
	*out = (struct dump){ .bytes = bytes, .len = st.st_size };
	return 0;
}

static inline void dump_close(struct dump *d)
{
	munmap((void *)d->bytes, d->len);
}

#endif
