// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_dump.h"

#include <elf.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>
#ifdef RF_WITH_LZO
#include <lzo/lzo1x.h>
#endif
#ifdef RF_WITH_SNAPPY
#include <snappy-c.h>
#endif
#ifdef RF_WITH_ZSTD
#include <zstd.h>
#endif

#define PAGE 4096u

/* Two that touch, and a hole. */
const struct fake_dump_range fake_dump_ranges[FAKE_DUMP_RANGES] = {
	{ 0x1000, 0x3000 },
	{ 0x4000, 0x1000 },
	{ 0x12000, 0x3000 },
};

uint8_t fake_dump_byte(uint64_t gpa)
{
	return (gpa >> 12) * 37 + (gpa >> 3);
}

uint64_t fake_dump_register(unsigned int n, enum fake_dump_register r)
{
	return UINT64_C(0xffffffff81000000) + n * 0x100 + r;
}

void fake_dump_put(struct fake_dump *f, size_t at, const void *bytes, size_t len)
{
	if (at + len > f->cap) {
		f->cap = 2 * (at + len);
		f->bytes = realloc(f->bytes, f->cap);
		if (!f->bytes)
			abort();
	}
	if (at + len > f->len) {
		memset(f->bytes + f->len, 0, at + len - f->len);
		f->len = at + len;
	}
	memcpy(f->bytes + at, bytes, len);
}

void fake_dump_u32(struct fake_dump *f, size_t at, uint32_t v)
{
	fake_dump_put(f, at, &v, sizeof(v));
}

void fake_dump_u64(struct fake_dump *f, size_t at, uint64_t v)
{
	fake_dump_put(f, at, &v, sizeof(v));
}

int fake_dump_fd(const struct fake_dump *f)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);

	if (fd < 0 || (f->len && write(fd, f->bytes, f->len) != (ssize_t)f->len))
		abort();
	return fd;
}

static void put_memory(struct fake_dump *f, size_t at, uint64_t gpa, size_t len)
{
	uint8_t *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = fake_dump_byte(gpa + i);
	fake_dump_put(f, at, bytes, len);
	free(bytes);
}

/* --- notes --- */

static size_t put_note(struct fake_dump *f, size_t at, const char *name, uint32_t type,
		       const uint8_t *desc, size_t len)
{
	size_t name_len = strlen(name) + 1, to = at + 12 + ((name_len + 3) & ~3u);
	uint8_t none[4] = { 0 };

	fake_dump_u32(f, at, name_len);
	fake_dump_u32(f, at + 4, len);
	fake_dump_u32(f, at + 8, type);
	fake_dump_put(f, at + 12, name, name_len);
	fake_dump_put(f, to, desc, len);
	fake_dump_put(f, to + len, none, -len & 3);
	return to + ((len + 3) & ~3u);
}

static size_t put_status(struct fake_dump *f, size_t at, unsigned int n)
{
	uint64_t rip = fake_dump_register(n, FAKE_RIP);
	uint8_t desc[336] = { 0 };

	memcpy(desc + 240, &rip, 8);
	return put_note(f, at, "CORE", NT_PRSTATUS, desc, sizeof(desc));
}

static size_t put_state(struct fake_dump *f, size_t at, unsigned int n)
{
	static const uint16_t places[] = {
		[FAKE_RIP] = 136, [FAKE_CR0] = 392, [FAKE_CR3] = 416, [FAKE_CR4] = 424,
		[FAKE_IDT] = 384, [FAKE_GS] = 264,  [FAKE_KGS] = 432,
	};
	uint32_t head[2] = { 1, 440 };
	uint8_t desc[440] = { 0 };
	uint64_t v;

	memcpy(desc, head, sizeof(head));
	for (unsigned int r = 0; r < sizeof(places) / sizeof(*places); r++) {
		v = fake_dump_register(n, r);
		memcpy(desc + places[r], &v, 8);
	}
	return put_note(f, at, "QEMU", 0, desc, sizeof(desc));
}

/* Where they end. */
static size_t put_notes(struct fake_dump *f, size_t at)
{
	for (unsigned int n = 0; n < FAKE_DUMP_CPUS; n++)
		at = put_status(f, at, n);
	for (unsigned int n = 0; n < FAKE_DUMP_CPUS; n++)
		at = put_state(f, at, n);
	return at;
}

/* --- ELF --- */

static void put_phdr(struct fake_dump *f, unsigned int i, uint32_t type, uint64_t at,
		     uint64_t paddr, uint64_t size)
{
	size_t to = FAKE_ELF_PHDR(i);

	fake_dump_u32(f, to, type);
	fake_dump_u64(f, to + 8, at);
	fake_dump_u64(f, to + 24, paddr);
	fake_dump_u64(f, to + 32, size);
	fake_dump_u64(f, to + 40, size);
}

struct fake_dump fake_dump_elf(void)
{
	static const uint8_t ident[16] = {
		0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT
	};
	size_t at = FAKE_ELF_PHDR(1 + FAKE_DUMP_RANGES), end;
	struct fake_dump f = { 0 };

	fake_dump_put(&f, 0, ident, sizeof(ident));
	fake_dump_u32(&f, 16, ET_CORE | EM_X86_64 << 16);
	fake_dump_u64(&f, 32, 64); /* e_phoff */
	fake_dump_u32(&f, 52, 64 | 56u << 16);
	fake_dump_u32(&f, 56, 1 + FAKE_DUMP_RANGES);
	end = put_notes(&f, at);
	end = put_note(&f, end, "VMCOREINFO", 0, (const uint8_t *)FAKE_DUMP_VMCOREINFO,
		       strlen(FAKE_DUMP_VMCOREINFO));
	put_phdr(&f, 0, PT_NOTE, at, 0, end - at);
	for (unsigned int i = 0; i < FAKE_DUMP_RANGES; i++) {
		put_phdr(&f, 1 + i, PT_LOAD, end, fake_dump_ranges[i].start,
			 fake_dump_ranges[i].size);
		put_memory(&f, end, fake_dump_ranges[i].start, fake_dump_ranges[i].size);
		end += fake_dump_ranges[i].size;
	}
	return f;
}

/* --- kdump --- */

static size_t pack(uint32_t how, const uint8_t *in, uint8_t *out, size_t cap)
{
	uLongf zlib = cap;
	size_t len = 0;

	if (how == FAKE_ZLIB && compress(out, &zlib, in, PAGE) == Z_OK)
		return zlib;
#ifdef RF_WITH_LZO
	static uint8_t work[LZO1X_1_MEM_COMPRESS];
	lzo_uint lzo = cap;

	if (how == FAKE_LZO && lzo1x_1_compress(in, PAGE, out, &lzo, work) == LZO_E_OK)
		return lzo;
#endif
#ifdef RF_WITH_SNAPPY
	len = cap;
	if (how == FAKE_SNAPPY &&
	    snappy_compress((const char *)in, PAGE, (char *)out, &len) == SNAPPY_OK)
		return len;
#endif
#ifdef RF_WITH_ZSTD
	if (how == FAKE_ZSTD)
		return ZSTD_compress(out, cap, in, PAGE, 1);
#endif
	/* Not built with it: then it is not looked at either. */
	return len ? len : 1;
}

static void put_page(struct fake_dump *f, unsigned int index, uint64_t gpa, uint32_t how)
{
	uint8_t page[PAGE], packed[2 * PAGE] = { 0 };
	size_t at = FAKE_KDUMP_PAGES + index * 24, to = f->len, len = PAGE;

	for (size_t i = 0; i < PAGE; i++)
		page[i] = fake_dump_byte(gpa + i);
	if (how)
		len = pack(how, page, packed, sizeof(packed));
	fake_dump_u64(f, at, to);
	fake_dump_u32(f, at + 8, len);
	fake_dump_u32(f, at + 12, how);
	fake_dump_put(f, to, how ? packed : page, len);
}

static void put_subheader(struct fake_dump *f)
{
	size_t at = FAKE_KDUMP_BLOCK, text = at + 104, notes = text + 16, end = put_notes(f, notes);

	fake_dump_put(f, text, FAKE_DUMP_VMCOREINFO, strlen(FAKE_DUMP_VMCOREINFO));
	fake_dump_u64(f, at + 32, text);
	fake_dump_u64(f, at + 40, strlen(FAKE_DUMP_VMCOREINFO));
	fake_dump_u64(f, at + 48, notes);
	fake_dump_u64(f, at + 56, end - notes);
	fake_dump_u64(f, at + 96, FAKE_DUMP_END / PAGE);
}

struct fake_dump fake_dump_kdump(uint32_t how)
{
	const struct fake_dump_range *r;
	uint64_t bits = 0, pfn;
	struct fake_dump f = { 0 };
	unsigned int pages = 0;

	fake_dump_put(&f, 0, "KDUMP   ", 8);
	fake_dump_u32(&f, 8, 6);
	fake_dump_u32(&f, 424, how); /* status */
	fake_dump_u32(&f, 428, FAKE_KDUMP_BLOCK);
	fake_dump_u32(&f, 432, 1); /* blocks of the subheader */
	fake_dump_u32(&f, 436, 2); /* of the bitmaps */
	put_subheader(&f);
	for (unsigned int i = 0; i < FAKE_DUMP_RANGES; i++) {
		r = &fake_dump_ranges[i];
		for (pfn = r->start / PAGE; pfn < (r->start + r->size) / PAGE; pfn++, pages++)
			bits |= UINT64_C(1) << pfn;
	}
	fake_dump_u64(&f, FAKE_KDUMP_BITMAP - FAKE_KDUMP_BLOCK, bits);
	fake_dump_u64(&f, FAKE_KDUMP_BITMAP, bits);
	fake_dump_u64(&f, FAKE_KDUMP_PAGES + pages * 24, 0);
	pages = 0;
	for (unsigned int i = 0; i < FAKE_DUMP_RANGES; i++) {
		r = &fake_dump_ranges[i];
		for (uint64_t at = r->start; at < r->start + r->size; at += PAGE)
			put_page(&f, pages++, at, at + PAGE == r->start + r->size ? 0 : how);
	}
	return f;
}

static void put_piece(struct fake_dump *to, const struct fake_dump *f, size_t at, size_t len)
{
	fake_dump_u64(to, to->len, htobe64(at));
	fake_dump_u64(to, to->len, htobe64(len));
	fake_dump_put(to, to->len, f->bytes + at, len);
}

struct fake_dump fake_dump_flatten(const struct fake_dump *f, size_t piece)
{
	size_t pieces = (f->len + piece - 1) / piece, at;
	struct fake_dump to = { 0 };

	fake_dump_put(&to, 0, "makedumpfile", 12);
	fake_dump_u64(&to, 16, htobe64(1));
	fake_dump_u64(&to, 24, htobe64(1));
	fake_dump_u64(&to, 4088, 0);
	/* The even ones, and then the odd ones. */
	for (size_t i = 0; i < pieces; i++) {
		at = (i * 2 < pieces ? i * 2 : (i - (pieces + 1) / 2) * 2 + 1) * piece;
		put_piece(&to, f, at, f->len - at < piece ? f->len - at : piece);
	}
	fake_dump_u64(&to, to.len, UINT64_MAX);
	fake_dump_u64(&to, to.len, UINT64_MAX);
	return to;
}

/* --- LiME --- */

struct fake_dump fake_dump_lime(void)
{
	struct fake_dump f = { 0 };
	size_t at;

	for (unsigned int i = 0; i < FAKE_DUMP_RANGES; i++) {
		at = f.len;
		fake_dump_u32(&f, at, 0x4c694d45);
		fake_dump_u32(&f, at + 4, 1);
		fake_dump_u64(&f, at + 8, fake_dump_ranges[i].start);
		fake_dump_u64(&f, at + 16,
			      fake_dump_ranges[i].start + fake_dump_ranges[i].size - 1);
		fake_dump_u64(&f, at + 24, 0);
		put_memory(&f, at + 32, fake_dump_ranges[i].start, fake_dump_ranges[i].size);
	}
	return f;
}
