/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_CLI_AUDIT_PATCHES_H
#define RF_CLI_AUDIT_PATCHES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Prints the last n patches of the log that belongs to an audit log (or of a .patches file itself).
 * It is to be of the log's owner. The code to exit with.
 */
int rf_audit_patches(const char *log, uid_t owner, uint32_t n, bool json);

#endif
