// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Connections with a descriptor that nobody asked for, on kernels that let one be sent (before
 * Linux 6.16). Whoever lets go of it last may wait in the kernel, beyond SIGKILL: the service hands
 * the connection over to a process of its own (watch_keep.h), and lets go of it first.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/watch_keep.h"
#include "cli/watch_link.h"
#include "cli/watch_serve.h"

#define END_MS 5000 /* for all that is left, at the end */

/* 0 or -errno. */
static int start_keeper(struct rf_watch_service *s)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return -errno;
	pid = fork();
	if (!pid)
		rf_watch_keep(ends[1]);
	close(ends[1]);
	if (pid > 0 && rf_holds_alone(ends[0])) {
		s->keeper = pid;
		s->inbox = ends[0];
		return 0;
	}
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return -EAGAIN;
}

/* It may be about to close what it had: it is not waited for. */
static void leave_keeper(struct rf_watch_service *s)
{
	if (s->inbox < 0)
		return;
	close(s->inbox);
	waitpid(s->keeper, NULL, WNOHANG);
	s->inbox = -1;
}

/* 0 or -errno: it is still the service's. What is under way counts for its sender, and is bounded
 * for root by nothing (net/unix/af_unix.c too_many_unix_fds()) but the room of the inbox. */
static int hand_over(struct rf_watch_service *s, const struct rf_watch_doomed *d)
{
	int err = s->inbox < 0 ? start_keeper(s) : 0;

	if (err)
		return err;
	err = rf_watch_hand(s->inbox, d->sock, d->uid);
	if (!err)
		close(d->sock); /* there is a holder more, which is in the inbox */
	else if (err == -EPIPE || err == -ECONNRESET)
		leave_keeper(s); /* somebody has killed it, and it is about to end */
	return err;
}

void rf_watch_close(struct rf_watch_service *s, int sock, uid_t uid)
{
	if (rf_finish(sock)) {
		close(sock);
		return;
	}
	s->doomed[s->doomed_count++] = (struct rf_watch_doomed){ .sock = sock, .uid = uid };
	rf_watch_close_again(s);
}

void rf_watch_close_again(struct rf_watch_service *s)
{
	/* Killed by somebody: its closers have its inbox still. */
	if (s->inbox >= 0 && waitpid(s->keeper, NULL, WNOHANG))
		leave_keeper(s);
	while (s->doomed_count && !hand_over(s, &s->doomed[s->doomed_count - 1]))
		s->doomed_count--;
}

bool rf_watch_close_full(const struct rf_watch_service *s)
{
	/* There is room beyond: each client may be one, and each that is accepted in a step. */
	return s->doomed_count >= RF_WATCH_DOOMED;
}

void rf_watch_close_all(struct rf_watch_service *s)
{
	int64_t until = rf_now_ms() + END_MS, left = END_MS;

	for (; s->doomed_count && left > 0; left = until - rf_now_ms()) {
		struct pollfd p = { .fd = s->inbox, .events = POLLOUT };

		/* No keeper could be started: that is tried again a little later. */
		poll(&p, 1, s->inbox < 0 && left > 100 ? 100 : (int)left);
		rf_watch_close_again(s);
	}
}

void rf_watch_close_end(struct rf_watch_service *s)
{
	rf_watch_close_all(s);
	s->doomed_count = 0;
	leave_keeper(s);
}
