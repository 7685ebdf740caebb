/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Goes on with a log while it is written, through rotations. A file that another one has followed
 * is read on: its writer may have something to say in it yet. Where the first line that an instance
 * has in another file is not the next one, what is between them is looked for in the files beside
 * that go by the same name, and told to be missing where it is not there.
 */
#ifndef RF_CLI_AUDIT_FOLLOW_H
#define RF_CLI_AUDIT_FOLLOW_H

#include "cli/audit_log.h"
#include "cli/audit_seqs.h"

#define RF_FOLLOW_PARTS 8 /* files that were the log before, and are read on */

struct rf_part {
	struct rf_log log;
	int64_t grown_ms; /* when it was longer last */
	bool held;	  /* an instance's last line was in it */
	bool found;	  /* by its lines: those that are known are left out */
};

struct rf_follow {
	struct rf_log *named;			/* the file that has the log's name */
	struct rf_part *parts[RF_FOLLOW_PARTS]; /* the oldest first */
	size_t count;
	uint64_t last_part;
	struct rf_seqs seqs;
	bool from_within; /* the first file was not read from its beginning */
	bool lost;	  /* lines that were told to be missing */
	bool refused;	  /* what has the log's name now is another user's, and that was told */
	int tries;	  /* files that may be looked into until the next rotation */
	time_t since;
	rf_log_fn fn;
	void *ctx;
};

/* From here on what is read of the log is known; before anything is. */
void rf_follow_begin(struct rf_follow *f, struct rf_log *l);
/* All but the log itself. True: lines are missing, and that was told. */
bool rf_follow_end(struct rf_follow *f);
/* Each new record goes to fn, until that or the output fails, or SIGINT or SIGTERM comes. What fn
 * returned, -errno, or 0. */
int rf_audit_follow(struct rf_follow *f, rf_log_fn fn, void *ctx);

#endif
