/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was counted (fold.h), to the log. */
#ifndef RF_POLICY_FOLDLOG_H
#define RF_POLICY_FOLDLOG_H

#include <stdbool.h>

#include "policy/audit.h"
#include "policy/fold.h"

struct rf_fold_time rf_fold_now(void);

/*
 * Memory that more than one process has, one after the other: a descriptor for it (memfd), and its
 * mapping. 0 or -errno; -EINVAL: it is too small, or may yet become so.
 */
int rf_fold_create(int *fd);
int rf_fold_map(int fd, struct rf_fold **out);
void rf_fold_unmap(struct rf_fold *f);

/* Writes the lines that are due, or all. 0 or -errno of the first that could not be written. */
int rf_fold_flush(struct rf_fold *f, struct rf_audit *a, const struct rf_fold_time *now, bool all);

#endif
