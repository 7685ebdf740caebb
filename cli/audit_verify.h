/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `audit verify` (audit_verify.c). */
#ifndef RF_CLI_AUDIT_VERIFY_H
#define RF_CLI_AUDIT_VERIFY_H

#include <stdbool.h>

/* The files of one log, oldest first, NULL-terminated. Prints what was found; an enum rf_exit,
 * reported where it is an error. */
int rf_audit_verify(char *const *files, bool json);

#endif
