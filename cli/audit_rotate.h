/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `audit rotate`: a running VM's logs go on in new files. */
#ifndef RF_CLI_AUDIT_ROTATE_H
#define RF_CLI_AUDIT_ROTATE_H

/* name: of a VM, or its state folder. An enum rf_exit, reported. */
int rf_rotate_logs_of(const char *name);

#endif
