// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writing needs write(2) and fdatasync(2) alone: the monitor does it inside its sandbox. */
#include "policy/patchlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define RECORD sizeof(union rf_patch_record)
#define BLOCK 1024 /* records read at once */

struct rf_patchlog {
	int fd;
	uint64_t instance, count;
	uint64_t from, to; /* what `sum` is of */
	crypto_hash_sha256_state sum;
};

long rf_patchlog_read(int fd, uint64_t *offset, union rf_patch_record *out, size_t max)
{
	ssize_t n = pread(fd, out, max * RECORD, (off_t)*offset);

	if (n < 0)
		return -errno;
	n /= (ssize_t)RECORD;
	*offset += (uint64_t)n * RECORD;
	return n;
}

/* From the end back to the first head of this instance, or to one of another. */
static int count_back(struct rf_patchlog *p, uint64_t records)
{
	static union rf_patch_record block[BLOCK];
	uint64_t pending = 0; /* patches whose head is still to come */

	while (records) {
		size_t want = records < BLOCK ? (size_t)records : BLOCK;
		uint64_t offset = (records - want) * RECORD;
		long n = rf_patchlog_read(p->fd, &offset, block, want);

		if (n != (long)want)
			return n < 0 ? (int)n : -EIO;
		for (size_t i = want; i--;) {
			if (rf_patch_is_head(&block[i])) {
				if (block[i].head.instance != p->instance)
					return 0;
				p->from = (records - want + i) * RECORD;
				p->count += pending;
				pending = 0;
			} else if (rf_patch_is_line(&block[i])) {
				pending++;
			}
		}
		records -= want;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The file's size, after what was torn at its end has been filled up. */
static int align(const struct rf_patchlog *p, uint64_t *size)
{
	static const uint8_t filling[RECORD];
	struct stat st;
	int err = 0;

	if (fstat(p->fd, &st))
		return -errno;
	*size = (uint64_t)st.st_size;
	if (*size % RECORD) {
		err = write_all(p->fd, filling, RECORD - *size % RECORD);
		*size += RECORD - *size % RECORD;
	}
	return err;
}

/* What lies in the file and is not summed up: an earlier writer's, or what was torn. */
static int sum_up(struct rf_patchlog *p, uint64_t size)
{
	static uint8_t block[BLOCK * RECORD];

	if (size < p->to) {
		p->from = p->to = size;
		crypto_hash_sha256_init(&p->sum);
	}
	while (p->to < size) {
		uint64_t left = size - p->to;
		ssize_t n = pread(p->fd, block, left < sizeof(block) ? left : sizeof(block),
				  (off_t)p->to);

		if (n <= 0)
			return n ? -errno : -EIO;
		crypto_hash_sha256_update(&p->sum, block, (size_t)n);
		p->to += (uint64_t)n;
	}
	return 0;
}

static int append(struct rf_patchlog *p, const void *data, size_t size)
{
	uint64_t before;
	int err = align(p, &before);

	if (!err)
		err = sum_up(p, before);
	if (!err)
		err = write_all(p->fd, data, size);
	if (!err && fdatasync(p->fd))
		err = -errno;
	if (err)
		return err;
	crypto_hash_sha256_update(&p->sum, data, size);
	p->to += size;
	return 0;
}

int rf_patchlog_open_fd(int fd, uint64_t instance, struct rf_patchlog **out)
{
	struct rf_patchlog *p;
	struct stat st;
	uint64_t size;
	int flags = fcntl(fd, F_GETFL), err;

	if (flags < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR || !(flags & O_APPEND))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct rf_patchlog){ .fd = fd, .instance = instance };
	crypto_hash_sha256_init(&p->sum);
	err = align(p, &size);
	p->from = size;
	if (!err)
		err = count_back(p, size / RECORD);
	p->to = p->from;
	if (!err)
		err = sum_up(p, size);
	/* Its writer may have died before it was on disk, and now it is vouched for. */
	if (!err && fdatasync(fd))
		err = -errno;
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

void rf_patchlog_rotate(struct rf_patchlog *p, int fd)
{
	struct stat st;

	close(p->fd);
	p->fd = fd;
	/* Another VM's may be there: `run` adds to what it finds. */
	p->from = p->to = fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
	p->from = p->to -= p->to % RECORD;
	crypto_hash_sha256_init(&p->sum);
}

void rf_patchlog_close(struct rf_patchlog *p)
{
	if (!p)
		return;
	close(p->fd);
	free(p);
}

uint64_t rf_patchlog_count(const struct rf_patchlog *p)
{
	return p->count;
}

uint64_t rf_patchlog_size(const struct rf_patchlog *p)
{
	struct stat st;

	return fstat(p->fd, &st) || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}

size_t rf_patchlog_name(union rf_patch_record *out, uint32_t at, const char *symbol,
			uint64_t offset)
{
	char text[RF_PATCH_NAME_BYTES];
	size_t len, n = 0;

	if (offset)
		snprintf(text, sizeof(text), "%.128s+0x%llx", symbol, (unsigned long long)offset);
	else
		snprintf(text, sizeof(text), "%.128s", symbol);
	len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			text[i] = '?';
	do {
		struct rf_patch_name *r = &out[n].name;
		size_t left = len - n * sizeof(r->text);

		*r = (struct rf_patch_name){ .at = at,
					     .part = (uint8_t)n,
					     .mark = RF_PATCHLOG_NAME };
		memcpy(r->text, text + n * sizeof(r->text),
		       left < sizeof(r->text) ? left : sizeof(r->text));
	} while (++n * sizeof(out->name.text) < len);
	out[n - 1].name.part |= RF_PATCH_NAME_LAST;
	return n;
}

int rf_patchlog_names(struct rf_patchlog *p, const union rf_patch_record *records, size_t count)
{
	return append(p, records, count * sizeof(*records));
}

void rf_patchlog_span(const struct rf_patchlog *p, struct rf_patch_span *out)
{
	crypto_hash_sha256_state sum = p->sum;

	*out = (struct rf_patch_span){ .from = p->from, .to = p->to };
	crypto_hash_sha256_final(&sum, out->sha256);
}

int rf_patchlog_head(struct rf_patchlog *p, uint64_t base, uint64_t kernel)
{
	const union rf_patch_record r = { .head = { .instance = p->instance,
						    .base = base,
						    .kernel = kernel,
						    .version = 1,
						    .mark = RF_PATCHLOG_HEAD } };

	return append(p, &r, sizeof(r));
}

int rf_patchlog_write(struct rf_patchlog *p, struct rf_patch_line *lines, size_t count)
{
	int err;

	for (size_t i = 0; i < count; i++)
		lines[i].mark = RF_PATCHLOG_LINE;
	err = append(p, lines, count * sizeof(*lines));
	if (!err)
		p->count += count;
	return err;
}
