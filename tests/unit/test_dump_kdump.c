// SPDX-License-Identifier: LGPL-2.1-or-later
/* kdump-compressed dumps, and the flattened form that they and others come in. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/dump_check.h"

/* --- kdump --- */

static const struct {
	uint32_t how;
	bool there;
	const char *library;
} packers[] = {
	{ 0, true, "" },	   { FAKE_ZLIB, true, "" },
#ifdef RF_WITH_LZO
	{ FAKE_LZO, true, "" },
#else
	{ FAKE_LZO, false, "lzo2" },
#endif
#ifdef RF_WITH_SNAPPY
	{ FAKE_SNAPPY, true, "" },
#else
	{ FAKE_SNAPPY, false, "snappy" },
#endif
#ifdef RF_WITH_ZSTD
	{ FAKE_ZSTD, true, "" },
#else
	{ FAKE_ZSTD, false, "zstd" },
#endif
};
#define PACKERS (sizeof(packers) / sizeof(*packers))

static void test_kdump(void **state)
{
	for (size_t i = 0; i < PACKERS; i++) {
		struct fake_dump f = fake_dump_kdump(packers[i].how), flat;

		if (!packers[i].there) {
			dump_refused(&f, -ENOTSUP, packers[i].library);
			continue;
		}
		flat = fake_dump_flatten(&f, 1000);
		dump_check_all(&f, "kdump-compressed", true);
		dump_check_all(&flat, "kdump-compressed, flattened", true);
	}
}

static void test_kdump_cut(void **state)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB), flat = fake_dump_flatten(&f, 1000);

	dump_check_cut(&f);
	dump_check_cut(&flat);
}

static void kdump_refused(size_t at, uint64_t value, size_t len, int err, const char *reason)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB);

	fake_dump_put(&f, at, &value, len);
	dump_refused(&f, err, reason);
}

static void test_kdump_malformed(void **state)
{
	const size_t sub = FAKE_KDUMP_BLOCK;
	struct fake_dump f;

	kdump_refused(0, 'D' | 'I' << 8, 2, -ENOTSUP,
		      "no known format"); /* not "DISKDUMP" either */
	kdump_refused(8, 0, 4, -EBADMSG, "version");
	kdump_refused(8, 1000, 4, -EBADMSG, "version");
	kdump_refused(428, 0, 4, -EBADMSG, "size of a block");
	kdump_refused(428, 4095, 4, -EBADMSG, "size of a block");
	kdump_refused(428, 1 << 17, 4, -EBADMSG, "size of a block");
	kdump_refused(428, 2048, 4, -EBADMSG, "size of a block");
	kdump_refused(432, 0, 4, -EBADMSG, "subheader");
	kdump_refused(432, UINT32_MAX, 4, -EBADMSG, "bitmaps");
	kdump_refused(436, 0, 4, -EBADMSG, "bitmaps");
	kdump_refused(436, UINT32_MAX, 4, -EBADMSG, "bitmaps");
	kdump_refused(sub + 12, 1, 4, -ENOTSUP, "split");
	kdump_refused(sub + 96, 0, 8, -EBADMSG, "no pages");
	kdump_refused(sub + 96, FAKE_KDUMP_BLOCK * 8 + 1, 8, -EBADMSG, "bitmaps");
	kdump_refused(sub + 96, UINT64_MAX, 8, -ENOTSUP, "pages");
	kdump_refused(sub + 56, 1 << 20, 8, -EBADMSG, "notes");
	kdump_refused(sub + 48, UINT64_MAX, 8, -EBADMSG, "notes");
	kdump_refused(FAKE_KDUMP_BITMAP, 0, 8, -EBADMSG, "no memory");

	f = fake_dump_kdump(FAKE_ZLIB);
	fake_dump_u32(&f, 416, 4096); /* where a 32-bit machine has it */
	fake_dump_u32(&f, 428, 21);
	dump_refused(&f, -ENOTSUP, "32-bit");
	f = fake_dump_kdump(FAKE_ZLIB);
	fake_dump_put(&f, 0, "DISKDUMP", 8);
	dump_refused(&f, -ENOTSUP, "diskdump");
	f = fake_dump_kdump(FAKE_ZLIB);
	memset(f.bytes + FAKE_KDUMP_BITMAP, 0xff, FAKE_KDUMP_BLOCK);
	fake_dump_u64(&f, sub + 96, FAKE_KDUMP_BLOCK * 8);
	dump_refused(&f, -EBADMSG, "descriptors");
}

/* One page's descriptor is wrong: that page is not there, the others are. */
static void page_missing(size_t at, uint64_t value, size_t len)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB);
	uint8_t bytes[2 * PAGE];
	struct rf_dump *d;

	fake_dump_put(&f, at, &value, len);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x2ff0), bytes, 16), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x2000), bytes, 1), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x1000), bytes, 2 * PAGE), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x1000), bytes, PAGE), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x3000), bytes, 2 * PAGE), 0);
	rf_dump_close(d);
	free(f.bytes);
}

static void test_kdump_page(void **state)
{
	const size_t second = FAKE_KDUMP_PAGES + 24;
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB);
	uint64_t from, first;
	uint32_t size;

	memcpy(&first, f.bytes + second - 24, 8);
	memcpy(&from, f.bytes + second, 8);
	memcpy(&size, f.bytes + second + 8, 4);
	free(f.bytes);
	page_missing(second, 0, 8);
	page_missing(second, UINT64_MAX, 8);
	page_missing(second, first + 2, 8);
	page_missing(second + 8, 0, 4);
	page_missing(second + 8, size - 1, 4);
	page_missing(second + 8, size + 1, 4); /* as many bytes must be used as there are */
	page_missing(second + 8, 4097, 4);
	page_missing(second + 8, UINT32_MAX, 4);
	page_missing(second + 12, 0, 4);	/* not compressed, but short */
	page_missing(second + 12, FAKE_LZO, 4); /* with something else */
	page_missing(second + 12, FAKE_SNAPPY, 4);
	page_missing(second + 12, FAKE_ZSTD, 4);
	page_missing(second + 12, FAKE_ZLIB | FAKE_LZO, 4);
	page_missing(from + 2, UINT64_MAX, 8);
}

/* A page that unpacks to less or more than a page. */
static void test_kdump_other_size(void **state)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB), g = fake_dump_kdump(FAKE_ZLIB);
	uint8_t bytes[PAGE] = { 0 };
	struct rf_dump *d;

	/* The same file with blocks that are half or twice as large is another one. */
	fake_dump_u32(&g, 428, 8192);
	fake_dump_u32(&g, 436, 2);
	fake_dump_put(&g, 8192, f.bytes + 4096, 4096);
	fake_dump_put(&g, 3 * 8192, f.bytes + FAKE_KDUMP_BITMAP, 4096);
	fake_dump_put(&g, 4 * 8192, f.bytes + FAKE_KDUMP_PAGES, 7 * 24);
	fake_dump_put(&g, f.len, bytes, sizeof(bytes));
	fake_dump_u64(&g, 8192 + 32, 0);
	fake_dump_u64(&g, 8192 + 40, 0);
	fake_dump_u64(&g, 8192 + 48, 0);
	fake_dump_u64(&g, 8192 + 56, 0);
	d = dump_opened(&g);
	for (uint64_t gpa = 0; gpa < FAKE_DUMP_END * 2; gpa += PAGE)
		assert_int_equal(rf_dump_read(d, rf_gpa_of(gpa), bytes, 1), -EFAULT);
	rf_dump_close(d);
	free(f.bytes);
	free(g.bytes);
}

static void test_kdump_versions(void **state)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB);
	struct rf_dump *d;

	fake_dump_u32(&f, 8, 5);
	fake_dump_u32(&f, 440, FAKE_DUMP_END / PAGE);
	fake_dump_u64(&f, FAKE_KDUMP_BLOCK + 96, 0);
	dump_check_all(&f, "kdump-compressed", true);

	/* Version 1 says nothing of notes. */
	f = fake_dump_kdump(FAKE_ZLIB);
	fake_dump_u32(&f, 8, 1);
	fake_dump_u32(&f, 440, FAKE_DUMP_END / PAGE);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_cpus(d), 0);
	dump_check_memory(d);
	rf_dump_close(d);
	free(f.bytes);
}

/* The disk was full: what is there is read. */
static void test_kdump_incomplete(void **state)
{
	struct fake_dump f = fake_dump_kdump(0);
	uint8_t bytes[PAGE];
	struct rf_dump *d;

	fake_dump_u32(&f, 424, 8);
	f.len -= PAGE + 1; /* the last page, and a byte of the one before */
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x12000), bytes, PAGE), 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x13000), bytes, PAGE), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x14000), bytes, PAGE), -EFAULT);
	rf_dump_close(d);
	f.len = FAKE_KDUMP_PAGES + 30; /* and most descriptors */
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x12000), bytes, PAGE), -EFAULT);
	rf_dump_close(d);
	free(f.bytes);
}

/* Pages that makedumpfile -d left out: in the first bitmap, not in the second. */
static void test_kdump_filtered(void **state)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB);
	uint8_t bytes[PAGE];
	struct rf_dump *d;
	uint64_t size;
	rf_gpa start;

	fake_dump_u64(&f, FAKE_KDUMP_BITMAP, 0x2 | 0x8); /* of the first range the outer pages */
	fake_dump_put(&f, FAKE_KDUMP_PAGES + 24, f.bytes + FAKE_KDUMP_PAGES + 48, 24);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x1ff8), bytes, 16), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x2000), bytes, 8), -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x3000), bytes, PAGE), 0);
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(bytes[i], fake_dump_byte(0x3000 + i));
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x12000), bytes, 1), -EFAULT);
	assert_int_equal(rf_dump_range(d, 1, &start, &size), 0);
	assert_true(start.v == 0x3000 && size == PAGE);
	assert_int_equal(rf_dump_end(d), 0x4000);
	/* Not with zeros among them, it says. */
	assert_int_equal(rf_dump_fill(d), -ENOTSUP);
	rf_dump_close(d);

	fake_dump_u32(&f, FAKE_KDUMP_BLOCK + 8, 31);
	d = dump_opened(&f);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x2000), bytes, 8), -EFAULT);
	assert_int_equal(rf_dump_fill(d), 0);
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x2000), bytes, PAGE), 0);
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x3000), bytes, 8), 0);
	assert_int_equal(bytes[0], fake_dump_byte(0x3000));
	assert_int_equal(rf_dump_read(d, rf_gpa_of(0x5000), bytes, 8), -EFAULT); /* no RAM */
	assert_int_equal(rf_dump_read(d, rf_gpa_of(FAKE_DUMP_END), bytes, 8), -EFAULT);
	rf_dump_close(d);
	free(f.bytes);
}

#define MANY_PAGES UINT64_C(600000)

/* Every other page, and a piece far away: more holes than anyone counts. */
static void test_kdump_many_holes(void **state)
{
	const size_t bitmap = (MANY_PAGES / 8 + PAGE - 1) / PAGE * PAGE, at = 8192 + 2 * bitmap;
	struct fake_dump f = fake_dump_kdump(0);
	uint64_t size, last = 0, v;
	uint8_t *bytes;
	struct rf_dump *d;
	rf_gpa start;
	size_t i;

	f.len = 8192;
	fake_dump_u32(&f, 436, 2 * bitmap / PAGE);
	fake_dump_u64(&f, FAKE_KDUMP_BLOCK + 96, MANY_PAGES);
	bytes = calloc(1, bitmap);
	memset(bytes, 0x55, MANY_PAGES / 8 / 2);
	bytes[MANY_PAGES / 8 - 1] = 0x80;
	fake_dump_put(&f, 8192 + bitmap, bytes, bitmap);
	fake_dump_u64(&f, at + (MANY_PAGES / 4 + 1) * 24 + PAGE - 8, 0);
	for (i = 0; i <= MANY_PAGES / 4; i++) { /* the last 4096 bytes of the file, all of them */
		fake_dump_u64(&f, at + i * 24, f.len - PAGE);
		fake_dump_u32(&f, at + i * 24 + 8, PAGE);
	}
	d = dump_opened(&f);
	for (i = 0; !rf_dump_range(d, i, &start, &size); i++) {
		assert_true(!i || start.v > last);
		last = start.v + size;
	}
	assert_in_range(i, 2, 1 << 16);
	assert_int_equal(start.v, (MANY_PAGES - 1) * PAGE);
	assert_int_equal(rf_dump_end(d), MANY_PAGES * PAGE);
	for (uint64_t pfn = 0; pfn < MANY_PAGES; pfn += 997)
		assert_int_equal(rf_dump_read(d, rf_gpa_of(pfn * PAGE), &v, 8),
				 pfn < MANY_PAGES / 2 && !(pfn % 2) ? 0 : -EFAULT);
	assert_int_equal(rf_dump_read(d, rf_gpa_of(MANY_PAGES * PAGE - 8), &v, 8), 0);
	rf_dump_close(d);
	free(bytes);
	free(f.bytes);
}

/* --- flattened --- */

static void put_be64(struct fake_dump *f, size_t at, uint64_t v)
{
	fake_dump_u64(f, at, __builtin_bswap64(v));
}

static void test_flat(void **state)
{
	static const uint16_t pieces[] = { 1, 7, 64, 4096, 20000 };
	struct fake_dump f = fake_dump_elf(), flat;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		flat = fake_dump_flatten(&f, pieces[i]);
		dump_check_all(&flat, "ELF core, flattened", true);
	}
	flat = fake_dump_flatten(&f, 2000);
	dump_check_cut(&flat);
	flat = fake_dump_flatten(&f, 2000);
	put_be64(&flat, 16, 2);
	dump_refused(&flat, -ENOTSUP, "not known");
	flat = fake_dump_flatten(&f, 2000);
	put_be64(&flat, 24, 0);
	dump_refused(&flat, -ENOTSUP, "not known");
	free(f.bytes);
	f = fake_dump_lime();
	f.bytes[0] ^= 1;
	flat = fake_dump_flatten(&f, 2000);
	dump_refused(&flat, -ENOTSUP, "no known format in it");
	free(f.bytes);
}

static void flat_refused(size_t at, uint64_t value, const char *reason)
{
	struct fake_dump f = fake_dump_elf(), flat = fake_dump_flatten(&f, 2000);

	put_be64(&flat, at, value);
	dump_refused(&flat, -EBADMSG, reason);
	free(f.bytes);
}

static void test_flat_malformed(void **state)
{
	struct fake_dump flat = { 0 };

	flat_refused(4096, UINT64_MAX, "malformed piece"); /* a place, but a size */
	flat_refused(4096, UINT64_C(1) << 63, "malformed piece");
	flat_refused(4096, INT64_MAX - 1999, "");
	flat_refused(4096, 1, ""); /* without its first byte, and over the next */
	flat_refused(4104, 0, "malformed piece");
	flat_refused(4104, UINT64_MAX, "malformed piece");
	flat_refused(4104, UINT64_C(1) << 40, "cut off in a piece");
	flat_refused(4104, 2001, "");

	fake_dump_put(&flat, 0, "makedumpfile", 12);
	put_be64(&flat, 16, 1);
	put_be64(&flat, 24, 1);
	put_be64(&flat, 4096, UINT64_MAX);
	put_be64(&flat, 4104, UINT64_MAX);
	dump_refused(&flat, -EBADMSG, "nothing in it");
}

static void again(struct fake_dump *flat, uint64_t at, const void *bytes, size_t len)
{
	flat->len -= 16;
	put_be64(flat, flat->len, at);
	put_be64(flat, flat->len, len);
	fake_dump_put(flat, flat->len, bytes, len);
	put_be64(flat, flat->len, UINT64_MAX);
	put_be64(flat, flat->len, UINT64_MAX);
}

/* What is written once more counts as it was written last. */
static void test_flat_again(void **state)
{
	struct fake_dump f = fake_dump_kdump(FAKE_ZLIB), flat, bad = fake_dump_kdump(FAKE_ZLIB);
	uint8_t junk[200];

	memset(junk, 0xee, sizeof(junk));
	memset(bad.bytes, 0xdd, 464);
	flat = fake_dump_flatten(&bad, 500);
	again(&flat, 10, junk, 100);
	again(&flat, 0, f.bytes, 464);
	dump_check_all(&flat, "kdump-compressed, flattened", true);
	/* Not inside of one piece. */
	flat = fake_dump_flatten(&bad, 500);
	again(&flat, 450, f.bytes + 450, 100);
	dump_refused(&flat, -EBADMSG, "overlap");
	/* Too often. */
	flat = fake_dump_flatten(&f, 500);
	for (unsigned int i = 0; i < 64; i++)
		again(&flat, 8, f.bytes + 8, 4);
	dump_check_all(&flat, "kdump-compressed, flattened", true);
	flat = fake_dump_flatten(&f, 500);
	for (unsigned int i = 0; i < 65; i++)
		again(&flat, 8, f.bytes + 8, 4);
	dump_refused(&flat, -EBADMSG, "overlap");
	free(f.bytes);
	free(bad.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kdump),
		cmocka_unit_test(test_kdump_cut),
		cmocka_unit_test(test_kdump_malformed),
		cmocka_unit_test(test_kdump_page),
		cmocka_unit_test(test_kdump_other_size),
		cmocka_unit_test(test_kdump_versions),
		cmocka_unit_test(test_kdump_incomplete),
		cmocka_unit_test(test_kdump_filtered),
		cmocka_unit_test(test_kdump_many_holes),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_flat_malformed),
		cmocka_unit_test(test_flat_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
