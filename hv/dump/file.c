// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file itself: read with pread(2), so that one that gets shorter is an error, not SIGBUS. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hv/dump/impl.h"

/* Reads of at least that much go past the cache: a system call costs less than copying them. */
#define BLOCK 4096u

static int read_all(int fd, uint64_t at, void *buf, size_t len)
{
	uint8_t *to = buf;
	ssize_t n;

	while (len) {
		n = pread(fd, to, len, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		to += n;
		at += n;
		len -= n;
	}
	return 0;
}

static const uint8_t *cached(struct rf_dump_file *f, uint64_t number)
{
	const uint8_t *block = rf_dump_cache_find(&f->cache, number);
	uint64_t left = f->plain_size - number * BLOCK;
	uint8_t *to;

	if (block)
		return block;
	to = rf_dump_cache_take(&f->cache, number);
	if (read_all(f->fd, number * BLOCK, to, left < BLOCK ? left : BLOCK))
		return NULL;
	rf_dump_cache_keep(&f->cache, number);
	return to;
}

int rf_dump_file_plain(struct rf_dump_file *f, uint64_t at, void *buf, size_t len)
{
	const uint8_t *block;
	uint8_t *to = buf;
	size_t part;

	if (!rf_within(at, len, 0, f->plain_size))
		return -EFAULT;
	if (len >= BLOCK)
		return read_all(f->fd, at, buf, len);
	while (len) {
		block = cached(f, at / BLOCK);
		if (!block)
			return -EFAULT;
		part = BLOCK - at % BLOCK;
		if (part > len)
			part = len;
		memcpy(to, block + at % BLOCK, part);
		to += part;
		at += part;
		len -= part;
	}
	return 0;
}

int rf_dump_file_open(struct rf_dump_file *f, int fd, const struct rf_dump_why *why)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return rf_dump_fail(why, -ENOTSUP, "not a file that can be read at any place");
	size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
	if (size < 0)
		return rf_dump_fail(why, -ENOTSUP, "the size of the file is not known");
	f->plain_size = f->size = size;
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return rf_dump_fail(why, -EMFILE, "no descriptor for the file");
	if (!rf_dump_cache_init(&f->cache, BLOCK))
		return rf_dump_fail(why, -ENOMEM, "no memory for a cache");
	return 0;
}

void rf_dump_file_close(struct rf_dump_file *f)
{
	rf_dump_cache_deinit(&f->cache);
	if (f->fd >= 0)
		close(f->fd);
}
