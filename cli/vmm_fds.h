/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which descriptors a VMM's command line names: they are its caller's, and meant for it. Pure. */
#ifndef RF_CLI_VMM_FDS_H
#define RF_CLI_VMM_FDS_H

#include <stdbool.h>
#include <stdint.h>

#define RF_FD_MAX 65536 /* descriptors from here on are never passed */

struct rf_fd_set {
	uint64_t bits[RF_FD_MAX / 64];
};

static inline bool rf_fd_in(const struct rf_fd_set *s, unsigned int fd)
{
	return fd < RF_FD_MAX && (s->bits[fd / 64] >> fd % 64 & 1);
}

static inline void rf_fd_add(struct rf_fd_set *s, unsigned int fd)
{
	s->bits[fd / 64] |= UINT64_C(1) << fd % 64;
}

static inline void rf_fd_remove(struct rf_fd_set *s, unsigned int fd)
{
	s->bits[fd / 64] &= ~(UINT64_C(1) << fd % 64);
}

/*
 * Adds to *out the numbers, 3 and more, that the arguments (NULL-terminated) give
 * - to a key that ends in "fd" or "fds", or is "str": fd=7, fds=7:8, vhostfd=9, sock-fds=7,
 *   addr.str=7, fd:7 (-incoming), --tap-fd 7, fd=[7,8], and JSON's "fd":"7",
 * {"type":"fd","str":"7"} (QEMU's docs/interop and qapi/sockets.json FdSocketAddress);
 * - to /dev/fd and /proc/self/fd, as a shell does for <(...).
 * One too many is harmless: whoever writes the command line can name it.
 */
void rf_vmm_fds(char *const *args, struct rf_fd_set *out);

#endif
