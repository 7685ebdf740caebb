/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that loses what was not flushed: the file is a real one, each operation on it is kept in
 * its order, and what a power cut would leave of it can be built for each moment. A program that
 * links it has the system calls of this file in place of libc's; nothing is ever flushed to the
 * machine's own disk.
 */
#ifndef RF_TESTS_UNIT_FAKE_DISK_H
#define RF_TESTS_UNIT_FAKE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is in the file now is on disk. From here on its operations are kept, whoever's descriptor it
 * is; one that this disk does not know ends the test. */
void fake_disk_begin(int fd);
void fake_disk_end(void);

size_t fake_disk_ops(void); /* kept until now: writes, flushes */
uint64_t fake_disk_writes(void), fake_disk_flushes(void);
size_t fake_disk_length(uint64_t n); /* of write n, bytes */

/* Of what was not flushed when the power went, the disk has: */
enum fake_disk_left {
	FAKE_DISK_NONE,
	FAKE_DISK_ALL,
	FAKE_DISK_LAST,	 /* the last write alone: zeros where those before it were */
	FAKE_DISK_TORN,	 /* all, but of the last write the beginning, to some byte */
	FAKE_DISK_ZEROS, /* as long as all, but sectors at its end are zeros */
	FAKE_DISK_SOME,	 /* as long as all: of each sector the new bytes, or those before */
	FAKE_DISK_KINDS,
};

#define FAKE_DISK_SECTOR 512u

/* What a cut behind the first `ops` operations leaves; malloc'd. Chance comes of *seed. */
char *fake_disk_cut(size_t ops, enum fake_disk_left left, unsigned int *seed, size_t *len);
/* Were there writes at that moment that were not flushed? */
bool fake_disk_is_dirty(size_t ops);

/* Has a flush failed that had something to flush? */
bool fake_disk_has_lost(void);

/* Before operation n the process is killed; `half`: it is a write, and half of it is done. SIZE_MAX
 * never. */
void fake_disk_kill_at(size_t n, bool half);
/* From write n on, so many writes find the disk full, the first when it has taken `bytes`. */
void fake_disk_fill_at(uint64_t n, uint64_t times, size_t bytes);
/* So many flushes fail with EIO: what they were to flush is on disk with FAKE_DISK_ALL alone,
 * whatever is flushed later. */
void fake_disk_fail_flush(uint64_t n, uint64_t times);

#endif
