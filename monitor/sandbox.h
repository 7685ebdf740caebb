/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the monitor gives up, in this order, each once. All of them: 0 or -errno. */
#ifndef RF_MONITOR_SANDBOX_H
#define RF_MONITOR_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No descriptor but the three standard ones and these n, -1 none. */
int rf_sandbox_keep(const int *fds, size_t n);
/*
 * For ever: every capability, new privileges by any exec, core dumps, processes of its own, being
 * traced. uid and gid: what it becomes, without other groups; -1: it stays what it is.
 */
int rf_sandbox_drop(int64_t uid, int64_t gid);
/* From here on nothing is opened, started or connected to; a VMM may come, with its descriptors. */
int rf_sandbox_start(void);
/* A VMM is there: no other descriptor comes but clients of control_fd (-1: none), and those that
 * the monitor sends its sweeper. */
int rf_sandbox_attached(int control_fd, bool is_monitor);

#endif
