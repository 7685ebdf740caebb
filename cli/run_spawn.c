// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/run.h"

/* Descriptors of the monitor, as its command line names them. */
enum { FENCE_FD = 3, CONTROL_FD, AUDIT_FD, NOTIFY_FD, PATCHES_FD, POLICY_FD, EXPECT_FD, FREE_FD };

/*
 * Ends a child between fork and exec: the parent reads errno from the pipe, which a successful exec
 * closes.
 */
static _Noreturn void give_up(int report)
{
	int err = errno;

	if (write(report, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* Reads what give_up() wrote. 0 when the exec went through, -errno else. */
static int exec_result(int report, pid_t pid)
{
	int err = 0;
	ssize_t n;

	do
		n = read(report, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	close(report);
	return n == (ssize_t)sizeof(err) ? -err : 0;
}

/* fork() with the pipe; 0 in the child. `report` is the child's or the parent's end. */
static pid_t fork_reporting(int *report)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		pid = -errno;
		close(ends[0]);
		close(ends[1]);
		return pid;
	}
	*report = ends[pid ? 0 : 1];
	close(ends[pid ? 1 : 0]);
	return pid;
}

static void move_fds(const struct rf_run *r, int notify, int report)
{
	int from[FREE_FD - FENCE_FD] = { r->fence_fd,	r->control_fd, r->audit_fd, notify,
					 r->patches_fd, r->policy_fd,  r->expect_fd };

	/* First out of the way: one of them may stand where another must go. */
	for (int i = 0; i < FREE_FD - FENCE_FD; i++) {
		if (from[i] < 0)
			continue;
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FREE_FD);
		if (from[i] < 0)
			give_up(report);
	}
	for (int i = 0; i < FREE_FD - FENCE_FD; i++) {
		if (from[i] < 0)
			close(FENCE_FD + i);
		else if (dup2(from[i], FENCE_FD + i) < 0)
			give_up(report);
	}
}

static _Noreturn void monitor_child(const struct rf_run *r, const sigset_t *mask, int notify,
				    int report)
{
	char fd[5][16], policy[32], expect[32];
	const char *argv[20] = {
		r->monitor,	"--name",	r->name,      "--fence-fd", fd[0],
		"--control-fd", fd[1],		"--audit-fd", fd[2],	    "--notify-fd",
		fd[3],		"--patches-fd", fd[4],
	};
	int null, high, n = 13;

	for (int i = 0; i < 5; i++)
		snprintf(fd[i], sizeof(fd[i]), "%d", FENCE_FD + i);
	if (r->monitor_user[0]) {
		argv[n++] = "--user";
		argv[n++] = r->monitor_user;
	}
	if (r->policy_fd >= 0) {
		snprintf(policy, sizeof(policy), "/proc/self/fd/%d", POLICY_FD);
		argv[n++] = "--policy";
		argv[n++] = policy;
	}
	if (r->expect_fd >= 0) {
		snprintf(expect, sizeof(expect), "/proc/self/fd/%d", EXPECT_FD);
		argv[n++] = "--expect";
		argv[n++] = expect;
	}
	/* A Ctrl-C is meant for the VMM; the monitor must see its last moments. */
	setsid();
	high = fcntl(report, F_DUPFD_CLOEXEC, FREE_FD);
	if (high < 0)
		give_up(report);
	move_fds(r, notify, high);
	/* Descriptors that were handed to us for the VMM are none of the monitor's business. */
	if ((high > FREE_FD && close_range(FREE_FD, (unsigned int)high - 1, 0)) ||
	    close_range((unsigned int)high + 1, ~0u, 0))
		give_up(high);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		give_up(high);
	if (null > STDERR_FILENO)
		close(null);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(r->monitor, (char *const *)argv);
	give_up(high);
}

int rf_run_spawn_monitor(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify)
{
	int ends[2], report, err;
	pid_t child;

	/* A pipe for each monitor, so that no word of a dead one is taken for the living one's. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	child = fork_reporting(&report);
	if (!child)
		monitor_child(r, mask, ends[1], report);
	close(ends[1]);
	err = child < 0 ? (int)child : exec_result(report, child);
	if (err) {
		close(ends[0]);
		return err;
	}
	*pid = child;
	*notify = ends[0];
	return 0;
}

static _Noreturn void vmm_child(const struct rf_run *r, const sigset_t *mask, int report)
{
	const char *before = getenv("LD_PRELOAD");
	char *preload;

	if (asprintf(&preload, "%s%s%s", r->library, before && *before ? ":" : "",
		     before ? before : "") < 0)
		give_up(report);
	if (setenv("LD_PRELOAD", preload, 1) || setenv("RINGFENCE_SOCKET", r->fence_path, 1) ||
	    setenv("RINGFENCE_VMM", "1", 1) || fcntl(r->lock_fd, F_SETFD, 0) < 0)
		give_up(report);
	errno = -rf_run_control_enter(r);
	if (errno)
		give_up(report);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(r->program, r->command);
	give_up(report);
}

int rf_run_spawn_vmm(const struct rf_run *r, const sigset_t *mask, pid_t *pid)
{
	pid_t child;
	int report, err;

	child = fork_reporting(&report);
	if (!child)
		vmm_child(r, mask, report);
	err = child < 0 ? (int)child : exec_result(report, child);
	if (err)
		return err;
	*pid = child;
	return 0;
}
