/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a log of decisions while it is written, cut, rotated or torn. A line that is not a JSON
 * object is counted and skipped; every string in one may come from a hostile guest.
 */
#ifndef RF_CLI_AUDIT_LOG_H
#define RF_CLI_AUDIT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "cli/safe_path.h"

#define RF_LOG_BACK_BYTES (8u << 20) /* how far back the last records are looked for */
#define RF_LOG_LINE_BYTES (64u << 10)

struct rf_log {
	const char *path;
	int fd;
	uid_t owner;
	off_t at;   /* where the next read starts */
	char *line; /* what has no newline yet, RF_LOG_LINE_BYTES */
	size_t len;
	bool skipping; /* inside a line that is too long */
	uint64_t unreadable;
	uint64_t ended; /* lines, since the reading began */
	/* Told of each line that is no record, counted from 1 where the reading began, with the ctx
	 * of the records. NULL: nobody is. */
	void (*broken)(void *ctx, uint64_t line);
	/* Asked about each record before it is told: 0; 1: it is left out; -errno. NULL: nobody
	 * is. */
	int (*see)(struct rf_log *l, const json_t *record);
	struct rf_follow *follow; /* whose that is */
	uint64_t part;		  /* of that, which file it is */
};

/* Reached as rf_path_read_of() says, each time, so that nobody else leads to another one. 0 or
 * -errno; -EMEDIUMTYPE: it is compressed, as rotated logs may be. */
int rf_log_open(const char *path, uid_t owner, struct rf_log *l);
/* The same of one that is open, which is closed where it is none. */
int rf_log_take(int fd, const char *path, struct rf_log *l);
/* The same for who reads it himself: 0, -errno or -EMEDIUMTYPE. */
int rf_log_is_plain(int fd);
const char *rf_log_problem(int err); /* for people */
/* To be read from its beginning: it is opened where its last records are. */
void rf_log_whole(struct rf_log *l);
void rf_log_close(struct rf_log *l);

/* Called for each record; takes no reference. Not 0 stops the reading and is returned. */
typedef int (*rf_log_fn)(void *ctx, json_t *record);

/* Calls fn for every record there is until the end of the file. 0, -errno, or what fn returned. */
int rf_log_read(struct rf_log *l, rf_log_fn fn, void *ctx);
/* The last line may lack its newline: torn, or still being written. Calls fn when it is a record
 * all the same. */
int rf_log_finish(struct rf_log *l, rf_log_fn fn, void *ctx);
/* To be read from its beginning, as if nothing had been. */
void rf_log_anew(struct rf_log *l);

enum rf_log_now {
	RF_LOG_SAME,
	RF_LOG_CUT,  /* to be read from its beginning */
	RF_LOG_NEXT, /* another file has the name, and is the log */
};
/* Which file has the name now? RF_LOG_NEXT: *before is the last one, which may be written to yet,
 * and which the caller closes. An enum rf_log_now or -errno; -EPERM and *why: something of another
 * user's has it, or leads from it, and the last one is the log still. */
int rf_log_reopen(struct rf_log *l, struct rf_log *before, struct rf_why *why);

#endif
