/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log of its own for a test, as `ringfence run` opens one for a monitor. */
#ifndef RF_TESTS_LOG_OPEN_H
#define RF_TESTS_LOG_OPEN_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "policy/audit.h"

static inline int log_open_fd(int fd, const char *vm, uint64_t instance, struct rf_audit **out)
{
	const struct rf_audit_setup setup = { .vm = vm, .instance = instance };

	return rf_audit_open_setup(fd, &setup, out);
}

static inline int log_open(const char *path, const char *vm, uint64_t instance,
			   struct rf_audit **out)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600), err;

	if (fd < 0)
		return -errno;
	err = log_open_fd(fd, vm, instance, out);
	if (err)
		close(fd);
	return err;
}

#endif
