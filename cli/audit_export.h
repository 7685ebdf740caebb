/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_CLI_AUDIT_EXPORT_H
#define RF_CLI_AUDIT_EXPORT_H

#include <stdbool.h>
#include <sys/types.h>

/* Prints each record of a log in a format (cli/export.h); format NULL: none was given. following:
 * goes on until interrupted. Returns an enum rf_exit. */
int rf_audit_export(const char *path, uid_t owner, const char *format, bool following);

#endif
