/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far each instance's lines were read, and in which of the files that a log goes on in. */
#ifndef RF_CLI_AUDIT_SEQS_H
#define RF_CLI_AUDIT_SEQS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define RF_SEQS 256

struct rf_seq {
	char instance[24]; /* "0x" and hexadecimal digits */
	char hash[72];	   /* of its last line, "" unknown */
	uint64_t last;	   /* line */
	uint64_t part;	   /* which file that is in */
	bool left;	   /* by what it says it goes on in another file, or nowhere */
};

struct rf_seqs {
	struct rf_seq all[RF_SEQS];
	size_t count;
	bool full; /* there were more: those are not followed */
};

/* Which line it is; false: of no instance, as far as one can see. */
bool rf_seq_line(const json_t *record, const char **instance, uint64_t *seq);
/* NULL: nothing was seen of it. */
struct rf_seq *rf_seqs_find(struct rf_seqs *s, const char *instance);
/* It was read in that file. NULL: it is not followed. */
struct rf_seq *rf_seqs_read(struct rf_seqs *s, const json_t *record, uint64_t part);
/* Is this the line after it? */
bool rf_seq_fits(const struct rf_seq *q, const json_t *record);

#endif
