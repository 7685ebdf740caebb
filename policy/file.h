/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files that say how a VM is to be judged: read whole, or not at all. */
#ifndef RF_POLICY_FILE_H
#define RF_POLICY_FILE_H

#include <stddef.h>

/* A descriptor for rf_file_take(), or -errno. Opening waits for nobody (a FIFO, a terminal). */
int rf_file_open(const char *path);
/*
 * Reads a regular file into buf, `room` bytes at most; whoever must tell a file that is too long
 * gives one byte more than it may have. Closes fd. 0 with *len, or -errno of reading, -EINVAL for
 * anything but a regular file.
 */
int rf_file_take(int fd, char *buf, size_t room, size_t *len);
/* Both. */
int rf_file_read(const char *path, char *buf, size_t room, size_t *len);

#endif
