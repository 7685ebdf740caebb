// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file itself: read with pread(2), so that one that gets shorter is an error, not SIGBUS. */
#include <errno.h>
#include <fcntl.h>
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

static int read_block(void *file, uint64_t number, uint8_t *to)
{
	struct rf_dump_file *f = file;
	uint64_t left = f->plain_size - number * BLOCK;

	return read_all(f->fd, number * BLOCK, to, left < BLOCK ? left : BLOCK);
}

int rf_dump_file_plain(struct rf_dump_file *f, uint64_t at, void *buf, size_t len)
{
	if (!rf_within(at, len, 0, f->plain_size))
		return -EFAULT;
	if (len >= BLOCK)
		return read_all(f->fd, at, buf, len);
	return rf_dump_cache_read(&f->cache, read_block, f, at, buf, len);
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
