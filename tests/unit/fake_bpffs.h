/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A BPF file system of this process's own at /sys/fs/bpf, everybody's to make files in, and another
 * user who does. */
#ifndef RF_TESTS_FAKE_BPFFS_H
#define RF_TESTS_FAKE_BPFFS_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/unit/leave_out.h"

/* Mounts it, over what was there. False: this is not root, or bpf() or mount() is not allowed. */
bool fake_bpffs(void);
/* Takes it away again. */
void fake_bpffs_end(void);

/* Another user's process, which has done what it was asked for. */
#define FAKE_BPFFS_USER 65534
/* It runs act(), and if that is 0 waits to be ended. Its process, or -errno of act(). */
pid_t fake_bpffs_user(int (*act)(void));
void fake_bpffs_user_end(pid_t pid);

/* In a test whose *state is what fake_bpffs() said. */
#define NEEDS_BPF()                                                                                \
	do {                                                                                       \
		if (!*state)                                                                       \
			LEAVE_OUT("not root, or bpf() or mount() is not allowed");                 \
	} while (0)

#endif
