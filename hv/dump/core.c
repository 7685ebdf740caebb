// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/dump/core.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
/* Where the memory begins: there is room for all headers before it. */
#define DATA (64 * 1024)

_Static_assert(sizeof(Elf64_Ehdr) + RF_CORE_RANGES * sizeof(Elf64_Phdr) <= DATA, "headers fit");

static int write_all(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

int rf_core_add(struct rf_core *c, rf_gpa gpa, const void *bytes, size_t len)
{
	struct rf_core_range *last = c->count ? &c->ranges[c->count - 1] : NULL;
	const uint8_t *from = bytes;
	int err = 0;

	if (gpa.v % PAGE || len % PAGE || len > UINT64_MAX - gpa.v ||
	    (last && gpa.v < last->gpa + last->size))
		return -EINVAL;
	if (!last || gpa.v > last->gpa + last->size) {
		if (c->count == RF_CORE_RANGES)
			return -E2BIG;
		last = &c->ranges[c->count++];
		*last = (struct rf_core_range){ gpa.v, 0 };
	}
	for (size_t at = 0; !err && at < len; at += PAGE) {
		if (is_zero(from + at))
			c->zeros += PAGE;
		else
			err = write_all(c->fd, from + at, PAGE, c->size + at);
	}
	last->size += len;
	c->size += len;
	return err;
}

/* half: only that it is ELF. */
static int write_headers(const struct rf_core *c, bool half)
{
	uint8_t bytes[DATA] = { 0 };
	Elf64_Ehdr h = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = half ? ET_NONE : ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(h),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)c->count,
	};
	uint64_t offset = DATA;

	memcpy(bytes, &h, sizeof(h));
	for (size_t i = 0; i < c->count; i++) {
		Elf64_Phdr p = {
			.p_type = PT_LOAD,
			.p_offset = offset,
			.p_paddr = c->ranges[i].gpa,
			.p_filesz = c->ranges[i].size,
			.p_memsz = c->ranges[i].size,
		};

		memcpy(bytes + sizeof(h) + i * sizeof(p), &p, sizeof(p));
		offset += c->ranges[i].size;
	}
	return write_all(c->fd, bytes, sizeof(bytes), 0);
}

int rf_core_begin(struct rf_core *c, int fd)
{
	c->fd = fd;
	c->size = DATA;
	c->zeros = 0;
	c->count = 0;
	return write_headers(c, true);
}

int rf_core_end(struct rf_core *c)
{
	int err;

	/* Its last pages may be a hole. */
	if (ftruncate(c->fd, (off_t)c->size) || fsync(c->fd))
		return -errno;
	err = write_headers(c, false);
	return !err && fsync(c->fd) ? -errno : err;
}
