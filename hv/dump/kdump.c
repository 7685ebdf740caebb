// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kdump-compressed, also called diskdump: makedumpfile, filtered (-d) and not, and QEMU's
 * kdump-zlib, kdump-lzo and kdump-snappy. Format: makedumpfile's IMPLEMENTATION, diskdump_mod.h and
 * sadump.h's users; QEMU's include/sysemu/dump.h.
 *
 *   header | subheader | bitmap of RAM | bitmap of what is here | a descriptor per page | pages
 *
 * The n-th bit that is set in the second bitmap has the n-th descriptor. Neither is kept in memory:
 * only how many bits are set before each 4096th one.
 */
#include <errno.h>
#include <string.h>

#include "hv/dump/impl.h"

#define SIGNATURE "KDUMP   "
#define OLD_SIGNATURE "DISKDUMP" /* diskdump's own, of kernels 2.6 */
#define LEVEL_ZEROS 0x1u	 /* makedumpfile(8), -d */
#define STATUS_INCOMPLETE 0x8u	 /* the disk was full: descriptors and pages may be missing */
#define BLOCK_MIN 4096u
#define BLOCK_MAX 65536u
/* 8 TiB in pages of 4 KiB; counts of 4 MiB. */
#define PAGES_MAX (UINT64_C(1) << 31)
#define STEP 4096u   /* bits of the bitmap */
#define CHUNK 65536u /* bytes of the bitmap that are read at once */

struct header {
	char signature[8];
	uint32_t version;
	char utsname[6][65];
	uint8_t timestamp[22]; /* with the padding before it */
	uint32_t status, block_size, sub_blocks, bitmap_blocks, pages, ram_blocks, device_blocks;
	uint32_t written_blocks, cpu, cpus;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 464, "struct disk_dump_header of a 64-bit machine");

struct sub_header {
	uint64_t phys_base;
	uint32_t level, split;
	uint64_t start, end;
	uint64_t unused[2];
	uint64_t notes, notes_size; /* since version 4 */
	uint64_t erased, erased_size;
	uint64_t start64, end64, pages64; /* since version 6 */
};
_Static_assert(sizeof(struct sub_header) == 104, "struct kdump_sub_header");

struct descriptor {
	uint64_t from;
	uint32_t size, flags;
	uint64_t page_flags;
};

struct rf_dump_kdump {
	uint32_t block; /* bytes of a page */
	bool incomplete;
	bool zeros_out;	      /* pages of zeros were left out */
	bool fill;	      /* what was left out is zeros */
	uint64_t pages;	      /* bits of a bitmap */
	uint64_t ram, bitmap; /* where the two are */
	uint64_t descriptors; /* where they are */
	uint64_t *before;     /* bits set before each STEP */
	struct rf_dump_cache cache;
	uint8_t packed[BLOCK_MAX];
};

static int bad(const struct rf_dump_why *why, const char *what)
{
	return rf_dump_fail(why, -EBADMSG, "kdump-compressed, malformed or cut off: %s", what);
}

static bool is_block(uint32_t size)
{
	return size >= BLOCK_MIN && size <= BLOCK_MAX && !(size & (size - 1));
}

static int check_header(const struct header *h, const struct rf_dump_why *why)
{
	const char *missing = rf_dump_unpack_missing(h->status);
	uint32_t narrow;

	/* A 32-bit machine's header is 12 bytes shorter before this. */
	memcpy(&narrow, (const uint8_t *)h + offsetof(struct header, block_size) - 12,
	       sizeof(narrow));
	if (!is_block(h->block_size))
		return is_block(narrow) ? rf_dump_fail(why, -ENOTSUP,
						       "kdump-compressed, of a 32-bit machine")
					: bad(why, "the size of a block");
	if (!h->version || h->version > 64)
		return bad(why, "version");
	if (missing)
		return rf_dump_fail(
			why, -ENOTSUP,
			"kdump-compressed with %s, which this program was built without", missing);
	return 0;
}

static int read_headers(struct rf_dump *d, struct header *h, struct sub_header *sub,
			const struct rf_dump_why *why)
{
	int r;

	if (rf_dump_file_read(&d->file, 0, h, sizeof(*h)))
		return bad(why, "the header");
	r = check_header(h, why);
	if (r)
		return r;
	if (!h->sub_blocks || rf_dump_file_read(&d->file, h->block_size, sub, sizeof(*sub)))
		return bad(why, "the subheader");
	if (h->version >= 2 && sub->split)
		return rf_dump_fail(why, -ENOTSUP, "kdump-compressed, and split: join it first");
	return 0;
}

static int lay_out(struct rf_dump *d, const struct header *h, const struct sub_header *sub,
		   const struct rf_dump_why *why)
{
	struct rf_dump_kdump *k = d->kdump;
	uint64_t bitmaps = h->block_size * (1 + (uint64_t)h->sub_blocks);
	uint64_t bytes = h->block_size * (uint64_t)(h->bitmap_blocks / 2);

	k->block = h->block_size;
	k->incomplete = h->status & STATUS_INCOMPLETE;
	k->zeros_out = sub->level & LEVEL_ZEROS;
	k->ram = bitmaps;
	k->pages = h->version >= 6 ? sub->pages64 : h->pages;
	k->bitmap = bitmaps + bytes;
	k->descriptors = bitmaps + h->block_size * (uint64_t)h->bitmap_blocks;
	if (!k->pages)
		return bad(why, "no pages");
	if (k->pages > PAGES_MAX)
		return rf_dump_fail(why, -ENOTSUP, "kdump-compressed, of %llu pages",
				    (unsigned long long)k->pages);
	if ((k->pages + 7) / 8 > bytes || !rf_within(k->bitmap, bytes, 0, d->file.size))
		return bad(why, "the bitmaps");
	k->before = calloc(k->pages / STEP + 1, sizeof(*k->before));
	if (!k->before || !rf_dump_cache_init(&k->cache, k->block))
		return rf_dump_fail(why, -ENOMEM, "no memory for %llu pages",
				    (unsigned long long)k->pages);
	return 0;
}

struct scan {
	struct rf_dump *d;
	uint64_t pfn, run; /* of the next bit; and how many were set right before it */
	uint64_t set;
};

static int end_run(struct scan *s)
{
	uint64_t block = s->d->kdump->block, run = s->run;

	s->run = 0;
	return run ? rf_dump_ranges_run(&s->d->ranges, (s->pfn - run) * block, run * block) : 0;
}

/* 64 bits, of which those past the last page are clear. */
static int scan_word(struct scan *s, uint64_t word)
{
	int r = 0;

	s->set += __builtin_popcountll(word);
	if (!word || word == UINT64_MAX) {
		r = word ? 0 : end_run(s);
		s->run += word ? 64 : 0;
		s->pfn += 64;
		return r;
	}
	for (unsigned int bit = 0; bit < 64 && !r; bit++, s->pfn++) {
		if (word >> bit & 1)
			s->run++;
		else
			r = end_run(s);
	}
	return r;
}

static int scan_chunk(struct scan *s, const uint64_t *words)
{
	struct rf_dump_kdump *k = s->d->kdump;
	uint64_t left;
	int r = 0;

	for (size_t i = 0; i < CHUNK / 8 && s->pfn < k->pages && !r; i++) {
		if (s->pfn % STEP == 0)
			k->before[s->pfn / STEP] = s->set;
		left = k->pages - s->pfn;
		r = scan_word(s, left < 64 ? words[i] & ((UINT64_C(1) << left) - 1) : words[i]);
	}
	return r;
}

static int scan_bitmap(struct rf_dump *d, const struct rf_dump_why *why)
{
	struct rf_dump_kdump *k = d->kdump;
	uint64_t *words = malloc(CHUNK), bytes = (k->pages + 7) / 8, part;
	struct scan s = { .d = d };
	int r = 0;

	if (!words)
		return rf_dump_fail(why, -ENOMEM, "no memory for a bitmap");
	for (uint64_t at = 0; at < bytes && !r; at += CHUNK) {
		part = bytes - at < CHUNK ? bytes - at : CHUNK;
		memset(words, 0, CHUNK);
		r = rf_dump_file_read(&d->file, k->bitmap + at, words, part);
		if (!r)
			r = scan_chunk(&s, words);
	}
	free(words);
	if (!r)
		r = end_run(&s);
	if (r)
		return rf_dump_fail(why, r, "kdump-compressed, its bitmap cannot be read");
	if (!s.set)
		return bad(why, "no memory in it");
	if (!k->incomplete &&
	    !rf_within(k->descriptors, s.set * sizeof(struct descriptor), 0, d->file.size))
		return bad(why, "the descriptors of pages");
	return 0;
}

/* The words of a bitmap from the last STEP up to a page's; all are in the file. */
static int read_bits(struct rf_dump *d, uint64_t bitmap, uint64_t pfn, uint64_t words[STEP / 64])
{
	return rf_dump_file_read(&d->file, bitmap + pfn / STEP * (STEP / 8), words,
				 pfn % STEP / 64 * 8 + 8);
}

/* -ENOENT: the page is not here. */
static int find_descriptor(struct rf_dump *d, uint64_t pfn, struct descriptor *out)
{
	struct rf_dump_kdump *k = d->kdump;
	uint64_t words[STEP / 64], index = k->before[pfn / STEP], below;
	size_t last = pfn % STEP / 64;

	if (read_bits(d, k->bitmap, pfn, words))
		return -EFAULT;
	if (!(words[last] >> pfn % 64 & 1))
		return -ENOENT;
	below = (UINT64_C(1) << pfn % 64) - 1;
	for (size_t i = 0; i < last; i++)
		index += __builtin_popcountll(words[i]);
	index += __builtin_popcountll(words[last] & below);
	return rf_dump_file_read(&d->file, k->descriptors + index * sizeof(*out), out,
				 sizeof(*out));
}

static int fill_page(struct rf_dump *d, uint64_t pfn, uint8_t *out)
{
	uint64_t words[STEP / 64];

	if (!d->kdump->fill || read_bits(d, d->kdump->ram, pfn, words) ||
	    !(words[pfn % STEP / 64] >> pfn % 64 & 1))
		return -EFAULT;
	memset(out, 0, d->kdump->block);
	return 0;
}

static int read_page(void *dump, uint64_t pfn, uint8_t *out)
{
	struct rf_dump *d = dump;
	struct rf_dump_kdump *k = d->kdump;
	struct descriptor p;
	int r = pfn < k->pages ? find_descriptor(d, pfn, &p) : -EFAULT;

	if (r)
		return r == -ENOENT ? fill_page(d, pfn, out) : r;
	/* A page that did not get smaller is not compressed. One at 0 was lost. */
	if (!p.size || p.size > k->block || !p.from)
		return -EFAULT;
	if (!(p.flags & RF_DUMP_PACKED))
		return p.size == k->block ? rf_dump_file_read(&d->file, p.from, out, k->block)
					  : -EFAULT;
	r = rf_dump_file_read(&d->file, p.from, k->packed, p.size);
	return r ? r : rf_dump_unpack(p.flags & RF_DUMP_PACKED, k->packed, p.size, out, k->block);
}

static int kdump_read(struct rf_dump *d, uint64_t gpa, void *buf, size_t len)
{
	return rf_dump_cache_read(&d->kdump->cache, read_page, d, gpa, buf, len);
}

int rf_dump_kdump_open(struct rf_dump *d, const struct rf_dump_why *why)
{
	struct sub_header sub;
	struct header h;
	char magic[8];
	int r;

	if (rf_dump_file_read(&d->file, 0, magic, sizeof(magic)))
		return -ENOENT;
	if (!memcmp(magic, OLD_SIGNATURE, sizeof(magic)))
		return rf_dump_fail(why, -ENOTSUP, "diskdump's own format, of kernels 2.6");
	if (memcmp(magic, SIGNATURE, sizeof(magic)))
		return -ENOENT;
	d->format = d->file.flat ? "kdump-compressed, flattened" : "kdump-compressed";
	d->read = kdump_read;
	r = read_headers(d, &h, &sub, why);
	if (r)
		return r;
	d->kdump = calloc(1, sizeof(*d->kdump));
	if (!d->kdump)
		return rf_dump_fail(why, -ENOMEM, "no memory for a dump");
	r = lay_out(d, &h, &sub, why);
	if (!r)
		r = scan_bitmap(d, why);
	if (!r)
		r = h.version >= 4 && sub.notes_size
			    ? rf_dump_notes(d, sub.notes, sub.notes_size, why)
			    : 0;
	return r;
}

int rf_dump_kdump_fill(struct rf_dump *d)
{
	if (!d->kdump || !d->kdump->zeros_out)
		return -ENOTSUP;
	d->kdump->fill = true;
	return 0;
}

void rf_dump_kdump_close(struct rf_dump *d)
{
	if (!d->kdump)
		return;
	rf_dump_cache_deinit(&d->kdump->cache);
	free(d->kdump->before);
	free(d->kdump);
}
