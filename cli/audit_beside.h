/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files beside a log that go by its name: audit-TIME.jsonl, audit.jsonl.1 and so on. */
#ifndef RF_CLI_AUDIT_BESIDE_H
#define RF_CLI_AUDIT_BESIDE_H

#include <time.h>

#include "cli/audit_log.h"
#include "cli/audit_seqs.h"

bool rf_beside_same(int fd, int other); /* file? */
/* Does it have the line after that one, in its first MiB? */
bool rf_beside_has(struct rf_log *l, const struct rf_seq *q);
/* The first one of that log's owner that was written to since then and is `right`, open; *tries
 * files are looked into at most, and counted down. */
bool rf_beside_find(const struct rf_log *of, time_t since, int *tries,
		    bool (*right)(void *ctx, struct rf_log *l), void *ctx, struct rf_log *out);

#endif
