// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pages of a dump, compressed each for itself. zlib is always there, the others where the build
 * found them (Makefile). All of the functions called here are the ones that are bounded on both
 * sides.
 */
#include <errno.h>
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

#include "hv/dump/impl.h"

static bool unzip(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	uLongf got = size;
	uLong used = len;

	return uncompress2(out, &got, in, &used) == Z_OK && got == size && used == len;
}

#ifdef RF_WITH_LZO
static bool have_lzo(void)
{
	return lzo_init() == LZO_E_OK;
}

static bool unlzo(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	lzo_uint got = size;

	return lzo1x_decompress_safe(in, len, out, &got, NULL) == LZO_E_OK && got == size;
}
#else
static bool have_lzo(void)
{
	return false;
}

static bool unlzo(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	return false;
}
#endif

#ifdef RF_WITH_SNAPPY
#define HAVE_SNAPPY true
static bool unsnap(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	size_t got = size;

	return snappy_uncompress((const char *)in, len, (char *)out, &got) == SNAPPY_OK &&
	       got == size;
}
#else
#define HAVE_SNAPPY false
static bool unsnap(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	return false;
}
#endif

#ifdef RF_WITH_ZSTD
#define HAVE_ZSTD true
static bool unzstd(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	return ZSTD_decompress(out, size, in, len) == size;
}
#else
#define HAVE_ZSTD false
static bool unzstd(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	return false;
}
#endif

const char *rf_dump_unpack_missing(uint32_t flags)
{
	if (flags & RF_DUMP_LZO && !have_lzo())
		return "lzo2";
	if (flags & RF_DUMP_SNAPPY && !HAVE_SNAPPY)
		return "snappy";
	if (flags & RF_DUMP_ZSTD && !HAVE_ZSTD)
		return "zstd";
	return NULL;
}

int rf_dump_unpack(uint32_t how, const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
	bool good = false;

	if (how == RF_DUMP_ZLIB)
		good = unzip(in, len, out, size);
	else if (how == RF_DUMP_LZO)
		good = unlzo(in, len, out, size);
	else if (how == RF_DUMP_SNAPPY)
		good = unsnap(in, len, out, size);
	else if (how == RF_DUMP_ZSTD)
		good = unzstd(in, len, out, size);
	return good ? 0 : -EFAULT;
}
