// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

struct op {
	bool flush;
	bool failed;	/* of a write: the flush behind it, after which the kernel lets go of it */
	size_t at, len; /* of a write */
	char *bytes;
};

static struct {
	bool on;
	int fd; /* so that no other file gets its number */
	dev_t dev;
	ino_t ino;
	char *base; /* what was on disk at the beginning */
	size_t base_len;
	struct op *ops;
	size_t count, room;
	uint64_t writes, tries, flushes, flush_tries;
} disk;

static struct {
	size_t kill_at;
	bool half;
	uint64_t full_from, full_to, bytes;
	uint64_t fail_from, fail_to;
} fate = { .kill_at = SIZE_MAX };

int fdatasync(int fd);
int fsync(int fd);
ssize_t write(int fd, const void *data, size_t size);
ssize_t pwrite(int fd, const void *data, size_t size, off_t at);
int ftruncate(int fd, off_t size);

static bool is_ours(int fd)
{
	struct stat st;

	return disk.on && !fstat(fd, &st) && st.st_dev == disk.dev && st.st_ino == disk.ino;
}

static struct op *keep(void)
{
	if (disk.count == disk.room) {
		disk.room = disk.room ? 2 * disk.room : 64;
		disk.ops = reallocarray(disk.ops, disk.room, sizeof(*disk.ops));
		assert_non_null(disk.ops);
	}
	disk.ops[disk.count] = (struct op){ .flush = true };
	return &disk.ops[disk.count++];
}

static void keep_write(int fd, const void *data, size_t len)
{
	struct op *op = keep();

	*op = (struct op){ .at = (size_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - len, .len = len };
	op->bytes = malloc(len);
	assert_non_null(op->bytes);
	memcpy(op->bytes, data, len);
	disk.writes++;
}

ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t n;

	if (!is_ours(fd))
		return syscall(SYS_write, fd, data, size);
	if (disk.count == fate.kill_at) {
		if (fate.half)
			syscall(SYS_write, fd, data, size / 2);
		raise(SIGKILL);
	}
	disk.tries++;
	if (disk.tries > fate.full_from && disk.tries <= fate.full_to) {
		size_t fits = disk.tries == fate.full_from + 1 ? fate.bytes : 0;

		if (!fits) {
			errno = ENOSPC;
			return -1;
		}
		size = fits < size ? fits : size;
	}
	n = syscall(SYS_write, fd, data, size);
	assert_true(n == (ssize_t)size);
	keep_write(fd, data, size);
	return n;
}

int fdatasync(int fd)
{
	if (!is_ours(fd))
		return 0;
	if (disk.count == fate.kill_at)
		raise(SIGKILL);
	disk.flush_tries++;
	if (disk.flush_tries > fate.fail_from && disk.flush_tries <= fate.fail_to) {
		for (size_t i = disk.count; i && !disk.ops[i - 1].flush; i--)
			disk.ops[i - 1].failed = true;
		keep();
		errno = EIO;
		return -1;
	}
	keep();
	disk.flushes++;
	return 0;
}

int fsync(int fd)
{
	return fdatasync(fd);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
	assert_false(is_ours(fd));
	return syscall(SYS_pwrite64, fd, data, size, at);
}

int ftruncate(int fd, off_t size)
{
	assert_false(is_ours(fd));
	return (int)syscall(SYS_ftruncate, fd, size);
}

void fake_disk_begin(int fd)
{
	struct stat st;

	fake_disk_end();
	assert_int_equal(fstat(fd, &st), 0);
	disk.fd = dup(fd);
	disk.dev = st.st_dev;
	disk.ino = st.st_ino;
	disk.base_len = (size_t)st.st_size;
	disk.base = malloc(disk.base_len + 1);
	assert_true(disk.base && pread(fd, disk.base, disk.base_len, 0) == (ssize_t)disk.base_len);
	disk.on = true;
}

void fake_disk_end(void)
{
	if (disk.on)
		close(disk.fd);
	for (size_t i = 0; i < disk.count; i++)
		free(disk.ops[i].bytes);
	free(disk.ops);
	free(disk.base);
	memset(&disk, 0, sizeof(disk));
	memset(&fate, 0, sizeof(fate));
	fate.kill_at = SIZE_MAX;
}

size_t fake_disk_ops(void)
{
	return disk.count;
}

uint64_t fake_disk_writes(void)
{
	return disk.writes;
}

uint64_t fake_disk_flushes(void)
{
	return disk.flushes;
}

size_t fake_disk_length(uint64_t n)
{
	size_t i = 0;

	for (; i < disk.count && (disk.ops[i].flush || n); i++)
		n -= !disk.ops[i].flush;
	assert_in_range(i, 0, disk.count - 1);
	return disk.ops[i].len;
}

void fake_disk_kill_at(size_t n, bool half)
{
	fate.kill_at = n;
	fate.half = half;
}

void fake_disk_fill_at(uint64_t n, uint64_t times, size_t bytes)
{
	fate.full_from = n;
	fate.full_to = times > UINT64_MAX - n ? UINT64_MAX : n + times;
	fate.bytes = bytes;
}

void fake_disk_fail_flush(uint64_t n, uint64_t times)
{
	fate.fail_from = n;
	fate.fail_to = n + times;
}

/* --- what is left -------------------------------------------------------------- */

/* Where the writes begin that are not flushed. */
static size_t dirty_from(size_t ops)
{
	while (ops && !disk.ops[ops - 1].flush)
		ops--;
	return ops;
}

bool fake_disk_is_dirty(size_t ops)
{
	return dirty_from(ops) != ops;
}

bool fake_disk_has_lost(void)
{
	for (size_t i = 0; i < disk.count; i++)
		if (disk.ops[i].failed)
			return true;
	return false;
}

static void apply(char *text, const struct op *op, size_t len)
{
	if (!op->flush)
		memcpy(text + op->at, op->bytes, len);
}

static size_t end_of(size_t ops)
{
	size_t end = disk.base_len;

	for (size_t i = 0; i < ops; i++)
		if (!disk.ops[i].flush && disk.ops[i].at + disk.ops[i].len > end)
			end = disk.ops[i].at + disk.ops[i].len;
	return end;
}

static size_t any(unsigned int *seed, size_t below)
{
	return (size_t)rand_r(seed) % below;
}

/* From the first dirty byte on, which shares its sector with what was flushed: of that one sector
 * the old bytes are kept. */
static void mix_sectors(char *text, const char *old, size_t from, size_t len, unsigned int *seed)
{
	for (size_t at = from - from % FAKE_DISK_SECTOR; at < len; at += FAKE_DISK_SECTOR) {
		size_t begin = at < from ? from : at;
		size_t end = at + FAKE_DISK_SECTOR < len ? at + FAKE_DISK_SECTOR : len;

		if (any(seed, 2))
			memcpy(text + begin, old + begin, end - begin);
	}
}

static void zero_sectors(char *text, const struct op *last, size_t len, unsigned int *seed)
{
	size_t first = last->at / FAKE_DISK_SECTOR, end = (len - 1) / FAKE_DISK_SECTOR;
	size_t from = (end - any(seed, end - first + 1)) * FAKE_DISK_SECTOR;

	from = from < last->at ? last->at : from;
	memset(text + from, 0, len - from);
}

char *fake_disk_cut(size_t ops, enum fake_disk_left left, unsigned int *seed, size_t *len)
{
	size_t flushed = dirty_from(ops), full = end_of(ops), old_len = end_of(flushed);
	char *text = calloc(full + 1, 1), *old = calloc(full + 1, 1);
	const struct op *last = ops ? &disk.ops[ops - 1] : NULL;

	assert_true(text && old && ops <= disk.count);
	memcpy(text, disk.base, disk.base_len);
	for (size_t i = 0; i < flushed; i++)
		if (left == FAKE_DISK_ALL || !disk.ops[i].failed)
			apply(text, &disk.ops[i], disk.ops[i].len);
	memcpy(old, text, full);
	*len = left == FAKE_DISK_NONE || flushed == ops ? old_len : full;
	for (size_t i = flushed; i < ops && left != FAKE_DISK_NONE; i++) {
		bool is_last = i + 1 == ops;
		size_t part = disk.ops[i].len;

		if (left == FAKE_DISK_LAST && !is_last)
			continue;
		if (left == FAKE_DISK_TORN && is_last) {
			part = any(seed, part);
			*len = disk.ops[i].at + part;
		}
		apply(text, &disk.ops[i], part);
	}
	if (flushed != ops && left == FAKE_DISK_SOME)
		mix_sectors(text, old, old_len, full, seed);
	if (flushed != ops && left == FAKE_DISK_ZEROS)
		zero_sectors(text, last, full, seed);
	free(old);
	return text;
}
