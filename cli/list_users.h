/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other users of this host who may have VMs, for root. */
#ifndef RF_CLI_LIST_USERS_H
#define RF_CLI_LIST_USERS_H

#include <stddef.h>
#include <sys/types.h>

#include "cli/safe_path.h"

/*
 * Users other than this one: who has a folder /run/user/UID or /tmp/ringfence-UID of his own, or a
 * process. Ascending, the lowest max of them: a user may have thousands of numbers (subuid(5)),
 * which are higher than those of people.
 */
size_t rf_users_find(uid_t *out, size_t max);

#define RF_USERS_BASES 2
/* One of the folders in which a user's state folders lie, if it is that user's. 0 or -errno. */
int rf_users_base(uid_t uid, unsigned int which, char path[PATH_MAX], struct rf_folder *out);

#endif
