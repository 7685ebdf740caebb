/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is a log as it was written? Fed with its lines, oldest first, on whatever machine: each
 * instance's chain (policy/chain.h) is followed, and what does not fit is told with its place.
 * Nothing is believed that is not hashed.
 */
#ifndef RF_POLICY_VERIFY_H
#define RF_POLICY_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/note.h"

/* In the order in which one outweighs the other. */
enum rf_verdict_of_log {
	RF_LOG_INTACT,	    /* every line of each instance, from the first to its end */
	RF_LOG_OPEN_END,    /* as far as it goes; but somebody goes on, or an end was cut off */
	RF_LOG_OPEN_BEGIN,  /* the same, and an instance's first lines are in a file not given */
	RF_LOG_CANNOT_TELL, /* there is nothing to check, or lines without a chain */
	RF_LOG_NOT_INTACT,
};

enum rf_finding_kind {
	RF_FOUND_CHANGED,	   /* a line is not what was hashed */
	RF_FOUND_NOT_LINKED,	   /* it names another line before it than the one that is there */
	RF_FOUND_LOST,		   /* lines that are nowhere: seq to `to` */
	RF_FOUND_LOST_TOLD,	   /* the same, and a record of type "gap" says so */
	RF_FOUND_MOVED,		   /* it stands behind lines that were written after it */
	RF_FOUND_TWICE,		   /* a number that was there before */
	RF_FOUND_AFTER_END,	   /* its instance had ended */
	RF_FOUND_ADDED,		   /* a line without a chain, of an instance that has one */
	RF_FOUND_NO_RECORD,	   /* bytes that are no record at all */
	RF_FOUND_FALSE_CHECKPOINT, /* it does not fit the lines before it */
	RF_FOUND_NOT_COMPUTED,	/* checkpoints, seq to `to`, of lines that are not all here as they
				   were */
	RF_FOUND_NOT_SIGNED,	/* a checkpoint that the key has not signed */
	RF_FOUND_NO_CHECKPOINT, /* of an instance, though a key was given */
	RF_FOUND_EARLIER, /* lines that are in an earlier file, as this one begins: up to `to` */
	RF_FOUND_NOT_CHAINED, /* lines of an older version: `to` of them, this is the first */
	RF_FOUND_ROTATED,     /* its last line says that it goes on in a later file */
	RF_FOUND_OPEN_END,    /* the last line of an instance is no end, or lacks its checkpoint */
	RF_FOUND_NOT_COVERED, /* its last checkpoint is at seq, and nothing is known behind it */
	RF_FOUND_TORN,	      /* the log's last line lacks its newline */
	RF_FOUND_TORN_TOLD,   /* half a line, and the record behind it says so: no harm */
	RF_FOUND_PATCHES_CHANGED,     /* the patch log is not what this line says of it */
	RF_FOUND_PATCHES_MISSING,     /* a line says what is in it, and there is none */
	RF_FOUND_PATCHES_TOO_MANY,    /* more VMs share it at once than can be looked at */
	RF_FOUND_PATCHES_NOT_COVERED, /* `to` records of it that no line says anything of */
	RF_FOUND_UNWRITTEN, /* the log took no line for a time: decisions are counts alone */
	RF_FOUND_KINDS,
};

struct rf_finding {
	enum rf_finding_kind kind;
	uint64_t instance; /* 0: it cannot be said whose */
	uint64_t seq, to;  /* 0: none */
	unsigned int file; /* as the caller numbers them */
	uint64_t line;	   /* from 1 */
};

const char *rf_finding_text(enum rf_finding_kind k);		  /* "changed" ... */
enum rf_verdict_of_log rf_finding_weight(enum rf_finding_kind k); /* what it makes of a log */
const char *rf_verdict_of_log_text(enum rf_verdict_of_log v);	  /* "intact" ... */

/* What is known of one instance. */
struct rf_verified {
	uint64_t instance;
	char vm[65];
	uint64_t first, last; /* seq; 0: no line of a chain */
	uint64_t records;     /* lines of the chain, each counted once */
	uint64_t not_chained;
	bool ended;	      /* and signed, where its end says so or a key was given */
	uint64_t checkpoints; /* that hold: the tree of all lines before was computed, and is theirs
			       */
	uint64_t covered;     /* lines before the last one of them */
	enum rf_verdict_of_log verdict;
};

struct rf_verify;
typedef void (*rf_finding_fn)(void *ctx, const struct rf_finding *f);

/* NULL: no memory. fn is called for each finding, most of them at the line, some at the end. */
struct rf_verify *rf_verify_create(rf_finding_fn fn, void *ctx);
void rf_verify_destroy(struct rf_verify *v);
/* Before the first line: checkpoints must be signed by this key, which stays the caller's, and each
 * instance must have one. */
void rf_verify_trust(struct rf_verify *v, const struct rf_note_key *key);

#define RF_VERIFY_LINE_BYTES (64u << 10) /* no record is longer; of a longer line give one more */

/* The next line, without its newline; `whole`: it had one. 0 or -ENOMEM. */
int rf_verify_line(struct rf_verify *v, unsigned int file, uint64_t number, const char *line,
		   size_t len, bool whole);
/* There are no more. To be called once, after it nothing but the three below. */
enum rf_verdict_of_log rf_verify_finish(struct rf_verify *v);
/* How often something was compared with what was met before: a few times for each line. */
uint64_t rf_verify_steps(const struct rf_verify *v);
size_t rf_verify_count(const struct rf_verify *v);
const struct rf_verified *rf_verify_instance(const struct rf_verify *v, size_t i);

#endif
