/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An open log: opened by audit_open.c, written by audit.c, line by line (audit_line.c), before
 * which something may have to be said of its file (audit_begin.c). */
#ifndef RF_POLICY_AUDIT_IMPL_H
#define RF_POLICY_AUDIT_IMPL_H

#include "policy/audit.h"
#include "policy/audit_tail.h"
#include "policy/chain.h"
#include "policy/note.h"

/* Longest part of each string that is kept: each byte can take six in the line. */
#define TEXT_MAX 256
#define DETAIL_MAX 1024
#define VM_MAX 64

/* All six plain strings, detail, VM, three names, two byte strings, task, digest, registers,
 * numbers, the chain's, a tree and member names. */
#define LINE_MAX_BYTES                                                                             \
	(6 * (5 * TEXT_MAX + DETAIL_MAX + VM_MAX + 3 * (128 + 57) + 17 + 65) +                     \
	 4 * RF_AUDIT_BYTES + 2 * 16 * 8 + 4 * RF_CHAIN_BYTES + RF_NOTE_BYTES +                    \
	 2 * RF_MERKLE_PACKED + 2560)

struct rf_audit {
	int fd;
	bool torn; /* the file does not end in a newline: the next line must start with one */
	bool owed; /* bytes of ours that are no record are in the file, and no line behind them yet
		    */
	size_t type_at, sealed_at;   /* in the line: where after_torn stands, and prev */
	struct rf_chain *chain, own; /* own: where nobody keeps it for us */
	uint64_t gap_from, gap_to; /* lines that are not in the file; 0 none, or they were named */
	bool anew;	/* what was known of the chain is lost, and no line says so yet */
	bool continues; /* another file has what was written before, and no line says so yet */
	uint64_t cuts;	/* how often the file was found to be cut by somebody else */
	const struct rf_note_key *key;
	bool failed;	   /* that try, to write a checkpoint */
	uint64_t tried_ns; /* when a checkpoint was last tried; before there was one, the start */
	struct rf_audit_seen seen;
	uint64_t count[RF_WORD_DETECTED + 1];
	char vm[VM_MAX + 1], boot_id[RF_AUDIT_BOOT_ID];
	char line[1 + LINE_MAX_BYTES]; /* [0] is the newline that ends a torn line */
};

/* --- audit_line.c --- */
uint64_t rf_audit_now_ns(void); /* CLOCK_MONOTONIC */
struct rf_jsonline;
void rf_audit_start_line(struct rf_audit *a, const char *type, struct rf_jsonline *j);
/* On disk, or -errno. */
int rf_audit_finish_line(struct rf_audit *a, struct rf_jsonline *j, bool checkpoint);

/* --- audit_begin.c --- */
/* Lines about the file, where there is something to say. 0 or -errno: then it is still to be
 * said. */
int rf_audit_settle(struct rf_audit *a);
/* rf_audit_start_line() behind these. */
int rf_audit_begin_line(struct rf_audit *a, const char *type, struct rf_jsonline *j);

#endif
