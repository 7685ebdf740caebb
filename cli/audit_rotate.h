/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `audit rotate`: a running VM's logs go on in new files. */
#ifndef RF_CLI_AUDIT_ROTATE_H
#define RF_CLI_AUDIT_ROTATE_H

#include <stdbool.h>

/* name: of a VM, or its state folder; only_moved: if somebody has moved its log. An enum rf_exit,
 * reported. */
int rf_rotate_logs_of(const char *name, bool only_moved);

#endif
