// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Raw memory: byte n of the file is guest-physical n. QEMU's pmemsave from 0, LiME's "padded", dd
 * of /dev/mem. Of a machine with more memory than fits below the hole for devices, a file that
 * leaves the hole out (VMware's .vmem) is right up to the hole alone.
 */
#include <errno.h>

#include "hv/dump/impl.h"

int rf_dump_raw_open(struct rf_dump *d, const struct rf_dump_why *why)
{
	int r;

	d->format = "raw";
	d->read = rf_dump_ranges_read;
	if (!d->file.size || d->file.size % RF_PAGE_SIZE)
		return rf_dump_fail(why, -ENOTSUP,
				    "no known format, and as raw memory not of whole pages");
	r = rf_dump_ranges_add(&d->ranges, 0, d->file.size, 0);
	return r ? rf_dump_fail(why, r, "no place for %llu bytes of raw memory",
				(unsigned long long)d->file.size)
		 : 0;
}
