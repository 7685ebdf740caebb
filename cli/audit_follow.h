/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_CLI_AUDIT_FOLLOW_H
#define RF_CLI_AUDIT_FOLLOW_H

#include "cli/audit_log.h"

/* Goes on with each new record of a log, through rotations, until fn or the output fails. What fn
 * returned, -errno, or 0 when standard output took nothing more. */
int rf_audit_follow(struct rf_log *l, rf_log_fn fn, void *ctx);

#endif
