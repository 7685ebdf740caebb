/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user that root's monitor runs as. */
#ifndef RF_CLI_USER_H
#define RF_CLI_USER_H

#include <stdbool.h>
#include <sys/types.h>

#define RF_USER_WHY 120

struct rf_user {
	uid_t uid;
	gid_t gid;
	bool named; /* the system has a user of that name */
};

/*
 * The system user `ringfence`, else ids that are nobody's, of this process alone. Tried, not looked
 * up: 0 when a child became it and could still be signalled; else -errno and why, and there is no
 * such user for this process.
 */
int rf_user_of_monitor(struct rf_user *out, char why[RF_USER_WHY]);

#endif
