/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `audit verify` (audit_verify.c) and `audit keygen` (audit_keygen.c). */
#ifndef RF_CLI_AUDIT_VERIFY_H
#define RF_CLI_AUDIT_VERIFY_H

#include <stdbool.h>
#include <sys/types.h>

/* The files of one log, oldest first, NULL-terminated, whose each is to be, and as they were typed;
 * key: path of a public key, NULL none. Prints what was found; an enum rf_exit, reported where it
 * is an error. */
int rf_audit_verify(char *const *files, const uid_t *owners, char *const *typed, const char *key,
		    bool json);
/* Makes a key: the secret one at path, the public one beside it. The same. */
int rf_audit_keygen(const char *path);

#endif
