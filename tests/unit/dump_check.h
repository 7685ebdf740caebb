/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of hv/dump/ ask of a dump of fake_dump.h's machine. Each fails the test. */
#ifndef RF_TESTS_UNIT_DUMP_CHECK_H
#define RF_TESTS_UNIT_DUMP_CHECK_H

#include "hv/dump/dump.h"
#include "tests/unit/fake_dump.h"

#define PAGE UINT64_C(4096)

/* Of these bytes; the file itself is gone. */
struct rf_dump *dump_opened(const struct fake_dump *f);
/* With that error, and a reason that has these words. Frees the bytes. */
void dump_refused(struct fake_dump *f, int err, const char *reason);
/* Each byte is there, and no other. */
void dump_check_memory(struct rf_dump *d);
/* All of it: format, ranges, memory and, where it has them, processors. Frees the bytes. */
void dump_check_all(struct fake_dump *f, const char *format, bool cpus);
/*
 * Whatever is missing at its end, a file is refused, or gives the right bytes or none; and so does
 * one that gets shorter once it is open. Frees the bytes.
 */
void dump_check_cut(struct fake_dump *f);

#endif
