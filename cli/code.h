/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instructions of a guest, one by one, for people. */
#ifndef RF_CLI_CODE_H
#define RF_CLI_CODE_H

#include "cli/subject.h"

struct rf_code {
	rf_gva at;
	char place[RF_PLACE_TEXT]; /* "vfs_read+0x10", or "" */
	uint8_t bytes[15];
	uint8_t len;		/* 1 where they are no instruction: the text says so */
	char text[160];		/* "call 0xffffffff81000000" */
	char to[RF_PLACE_TEXT]; /* where a jump or call with an address leads, or "" */
};

/* The first of bytes[0..len), which stand at `at`; len is not 0. False: it is cut off there. */
bool rf_code_next(const struct rf_subject *s, struct rf_disasm *d, const uint8_t *bytes, size_t len,
		  rf_gva at, struct rf_code *out);
json_t *rf_code_json(const struct rf_code *c);
json_t *rf_hex_json(const uint8_t *bytes, size_t count);

#endif
