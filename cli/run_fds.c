// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the caller has open and means for the VMM. It is looked at before anything else is opened:
 * a number that a command line names is never that of a descriptor of `run`'s own.
 *
 * Descriptors of socket activation (sd_listen_fds(3)) are among the rest: LISTEN_PID names `run`,
 * so no VMM would take them, and none is told of them. --pass-fd names what a VMM finds otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"

static bool is_open(unsigned int fd)
{
	return fcntl((int)fd, F_GETFD) >= 0;
}

static int take_option(struct rf_fd_set *set, const char *text)
{
	char *end;
	unsigned long fd = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || fd >= RF_FD_MAX)
		return rf_fail(RF_EXIT_REFUSED, "nothing was started",
			       "give a number up to 65535, and --pass-fd once for each",
			       "run: --pass-fd %s is no descriptor's number", text);
	if (!is_open((unsigned int)fd))
		return rf_fail(RF_EXIT_REFUSED, "nothing was started",
			       "open it where `ringfence run` is started",
			       "run: --pass-fd %lu is not open", fd);
	rf_fd_add(set, (unsigned int)fd);
	return RF_EXIT_OK;
}

/* All behind standard error that are not in the set. 0 or -errno. */
static int close_others(const struct rf_fd_set *set)
{
	unsigned int from = STDERR_FILENO + 1;

	for (unsigned int fd = from; fd < RF_FD_MAX; fd++) {
		if (!rf_fd_in(set, fd))
			continue;
		if (fd > from && close_range(from, fd - 1, 0))
			return -errno;
		from = fd + 1;
	}
	return close_range(from, UINT_MAX, 0) ? -errno : 0;
}

static int set_cloexec(const struct rf_fd_set *set, int flags)
{
	for (unsigned int fd = STDERR_FILENO + 1; fd < RF_FD_MAX; fd++)
		if (rf_fd_in(set, fd) && fcntl((int)fd, F_SETFD, flags) < 0)
			return -errno;
	return 0;
}

int rf_run_fds(struct rf_run *r)
{
	struct rf_fd_set keep;
	int code = RF_EXIT_OK, err;

	for (unsigned int i = 0; !code && i < r->pass.count; i++)
		code = take_option(&r->passed, r->pass.items[i]);
	if (code)
		return code;
	rf_vmm_fds(r->command + 1, &r->passed);
	for (unsigned int fd = 0; fd < RF_FD_MAX; fd++)
		if (rf_fd_in(&r->passed, fd) && (fd <= STDERR_FILENO || !is_open(fd)))
			rf_fd_remove(&r->passed, fd);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (r->messages_fd && rf_fd_in(&r->passed, r->messages_fd))
		return rf_fail(RF_EXIT_REFUSED, "nothing was started",
			       "open another one for the VMM, or for --messages-fd",
			       "run: descriptor %u cannot be the VMM's and that of --messages-fd",
			       r->messages_fd);
	keep = r->passed;
	if (r->messages_fd)
		rf_fd_add(&keep, r->messages_fd);
	err = close_others(&keep);
	if (!err)
		err = set_cloexec(&r->passed, FD_CLOEXEC);
	if (!err)
		return RF_EXIT_OK;
	return rf_fail(RF_EXIT_REFUSED, "nothing was started",
		       "use a kernel with close_range(2), 5.9 or later",
		       "run: the caller's descriptors cannot be closed: %s", strerror(-err));
}

int rf_run_fds_pass(const struct rf_run *r)
{
	return set_cloexec(&r->passed, 0);
}

void rf_run_fds_close(struct rf_run *r)
{
	for (unsigned int fd = STDERR_FILENO + 1; fd < RF_FD_MAX; fd++)
		if (rf_fd_in(&r->passed, fd))
			close((int)fd);
	r->passed = (struct rf_fd_set){ 0 };
}
