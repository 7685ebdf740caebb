// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/run.h"
#include "hv/doorkeeper.h"

/* Descriptors of the monitor, as its command line names them. */
enum {
	FENCE_FD = 3,
	CONTROL_FD,
	AUDIT_FD,
	NOTIFY_FD,
	PATCHES_FD,
	POLICY_FD,
	EXPECT_FD,
	PAIR_FD,
	CHAIN_FD,
	KEY_FD,
	FOLD_FD,
	LOGS_FD,
	BEFORE_FD,
	RELOAD_FD,
	POLICY_KEY_FD,
	LOCK_FD,
	FREE_FD,
};
#define FDS (FREE_FD - FENCE_FD)

#define SWEEPER_NICE 5 /* a third of the weight of the monitor: sched(7) */

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

/* from: what goes to FENCE_FD and so on, -1 nothing. */
static void move_fds(int from[FDS], int report)
{
	/* First out of the way: one of them may stand where another must go. */
	for (int i = 0; i < FDS; i++) {
		if (from[i] < 0)
			continue;
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FREE_FD);
		if (from[i] < 0)
			give_up(report);
	}
	for (int i = 0; i < FDS; i++) {
		if (from[i] < 0)
			close(FENCE_FD + i);
		else if (dup2(from[i], FENCE_FD + i) < 0)
			give_up(report);
	}
}

/* A command line: its options in pairs. */
struct line {
	const char *argv[52];
	char serial[24], reloads[16], vmm[16];
	char fd[FDS][24];
	int n;
};

static void add(struct line *l, const char *option, const char *value)
{
	l->argv[l->n++] = option;
	l->argv[l->n++] = value;
}

/* The descriptor's number, or what stands for its file. */
static void add_fd(struct line *l, const char *option, const char *before, int fd)
{
	char *text = l->fd[fd - FENCE_FD];

	snprintf(text, sizeof(l->fd[0]), "%s%d", before, fd);
	add(l, option, text);
}

/* What both have. */
static void begin_line(const struct rf_run *r, struct line *l)
{
	*l = (struct line){ .argv = { r->monitor }, .n = 1 };
	add(l, "--name", r->name);
	add_fd(l, "--notify-fd", "", NOTIFY_FD);
	if (r->monitor_user[0])
		add(l, "--user", r->monitor_user);
	if (r->policy_fd >= 0)
		add_fd(l, "--policy", "/proc/self/fd/", POLICY_FD);
}

static _Noreturn void become(const struct rf_run *r, const struct line *l, int from[FDS],
			     const sigset_t *mask, int report)
{
	int null, high;

	/* A Ctrl-C is meant for the VMM; the monitor must see its last moments. */
	setsid();
	/* It prints where we do. */
	if (dup2(rf_messages_fd(), STDERR_FILENO) < 0)
		give_up(report);
	high = fcntl(report, F_DUPFD_CLOEXEC, FREE_FD);
	if (high < 0)
		give_up(report);
	move_fds(from, high);
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
	execv(r->monitor, (char *const *)l->argv);
	give_up(high);
}

static _Noreturn void monitor_child(const struct rf_run *r, const sigset_t *mask, int notify,
				    int report)
{
	int from[FDS] = { r->meet[0],	      r->control_fd, r->audit_fd,      notify,
			  r->patches_fd,      r->policy_fd,  r->expect_fd,     r->pair[0],
			  r->chain_fd,	      r->key_fd,     r->fold_fd,       r->logs[0],
			  r->audit_before_fd, r->orders[1],  r->policy_key_fd, r->lock_fd };
	struct line l;

	begin_line(r, &l);
	add_fd(&l, "--fence-fd", "", FENCE_FD);
	add_fd(&l, "--control-fd", "", CONTROL_FD);
	add_fd(&l, "--audit-fd", "", AUDIT_FD);
	add_fd(&l, "--patches-fd", "", PATCHES_FD);
	add_fd(&l, "--chain-fd", "", CHAIN_FD);
	add_fd(&l, "--sweeper-fd", "", PAIR_FD);
	add_fd(&l, "--fold-fd", "", FOLD_FD);
	add_fd(&l, "--logs-fd", "", LOGS_FD);
	if (r->audit_before_fd >= 0)
		add_fd(&l, "--audit-before-fd", "", BEFORE_FD);
	add_fd(&l, "--reload-fd", "", RELOAD_FD);
	add_fd(&l, "--lock-fd", "", LOCK_FD);
	if (r->policy_key_fd >= 0)
		add_fd(&l, "--policy-key", "/proc/self/fd/", POLICY_KEY_FD);
	if (r->reloads) {
		snprintf(l.serial, sizeof(l.serial), "%" PRIu64, r->serial);
		snprintf(l.reloads, sizeof(l.reloads), "%" PRIu32, r->reloads);
		add(&l, "--policy-serial", l.serial);
		add(&l, "--reloads", l.reloads);
	}
	if (r->attached) {
		snprintf(l.vmm, sizeof(l.vmm), "%d", (int)r->attached);
		add(&l, "--vmm-pid", l.vmm);
	}
	if (r->key_fd >= 0)
		add_fd(&l, "--audit-key", "/proc/self/fd/", KEY_FD);
	if (r->expect_fd >= 0)
		add_fd(&l, "--expect", "/proc/self/fd/", EXPECT_FD);
	become(r, &l, from, mask, report);
}

static _Noreturn void sweeper_child(const struct rf_run *r, const sigset_t *mask, int notify,
				    int report)
{
	int from[FDS] = { -1, -1, -1, notify, -1, r->policy_fd, -1, r->pair[1],
			  -1, -1, -1, -1,     -1, -1,		-1, -1 };
	struct line l;

	/* Who waits for a verdict, and who gives it, goes first. Not to be had: no harm. */
	setpriority(PRIO_PROCESS, 0, SWEEPER_NICE);
	begin_line(r, &l);
	add_fd(&l, "--sweep-for", "", PAIR_FD);
	become(r, &l, from, mask, report);
}

static int spawn(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify,
		 void (*become_it)(const struct rf_run *r, const sigset_t *mask, int notify,
				   int report))
{
	int ends[2], report, err;
	pid_t child;

	/* A pipe for each process, so that no word of a dead one is taken for the living one's. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	child = fork_reporting(&report);
	if (!child)
		become_it(r, mask, ends[1], report);
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

int rf_run_spawn_monitor(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify)
{
	return spawn(r, mask, pid, notify, monitor_child);
}

int rf_run_spawn_sweeper(const struct rf_run *r, const sigset_t *mask, pid_t *pid, int *notify)
{
	return spawn(r, mask, pid, notify, sweeper_child);
}

int rf_run_pair(struct rf_run *r)
{
	const int least = 1; /* the kernel makes it a handful of packets */

	for (int i = 0; i < 2; i++)
		if (r->pair[i] >= 0)
			rf_let_go(r->pair[i]);
	r->pair[0] = r->pair[1] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r->pair))
		return -errno;
	/*
	 * A sweeper that reads nothing keeps what was sent with orders in flight, and Linux counts
	 * that by user, who may be other VMs' too (unix(7), ETOOMANYREFS): as few as can be.
	 */
	return setsockopt(r->pair[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)) ? -errno : 0;
}

static _Noreturn void vmm_child(struct rf_run *r, const sigset_t *mask, pid_t run, int report)
{
	const char *before = getenv("LD_PRELOAD");
	char *preload;

	if (asprintf(&preload, "%s%s%s", r->library, before && *before ? ":" : "",
		     before ? before : "") < 0)
		give_up(report);
	if (setenv("LD_PRELOAD", preload, 1) || setenv("RINGFENCE_VMM", "1", 1))
		give_up(report);
	errno = -rf_run_link_enter(r, run);
	if (!errno)
		errno = -rf_run_control_enter(r);
	if (!errno)
		errno = -rf_run_fds_pass(r);
	if (!errno)
		errno = -rf_door_shut(RF_DOOR_CLOSED);
	if (errno)
		give_up(report);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(r->program, r->command);
	give_up(report);
}

int rf_run_spawn_vmm(struct rf_run *r, const sigset_t *mask, pid_t *pid)
{
	pid_t run = getpid(), child;
	int report, err;

	child = fork_reporting(&report);
	if (!child)
		vmm_child(r, mask, run, report);
	err = child < 0 ? (int)child : exec_result(report, child);
	rf_run_fds_close(r);
	if (err)
		return err;
	/* The VMM's alone: its death is heard. */
	close(r->link[1]);
	r->link[1] = -1;
	*pid = child;
	return 0;
}
