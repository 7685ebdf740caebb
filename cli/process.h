/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc says of a process. */
#ifndef RF_CLI_PROCESS_H
#define RF_CLI_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Its state, a letter of ps(1), and its parent; either may be NULL. False: there is none, or nobody
 * knows. */
bool rf_process_stat(pid_t pid, char *state, pid_t *parent);

#endif
