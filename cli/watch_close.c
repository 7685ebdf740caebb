// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Connections with a descriptor that nobody asked for, on kernels that let one be sent (before
 * Linux 6.16). Whoever lets go of it last may wait in the kernel, beyond SIGKILL: that is a process
 * of its own, which holds nothing else, and is not waited for.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/watch_link.h"
#include "cli/watch_serve.h"

#define CLOSERS 4     /* of one user, at a time */
#define CLOSE_MS 5000 /* then it is killed, which ends what a signal ends */

static unsigned int closers_of(const struct rf_watch_service *s, uid_t uid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->doomed_count; i++)
		n += s->doomed[i].pid > 0 && s->doomed[i].uid == uid;
	return n;
}

/* Ends with the socket as its only descriptor but one: once the service has let go of it. */
__attribute__((noreturn)) static void be_closer(int sock, int word)
{
	char c = 0;

	/* Of the others none is the last one of its file: the service waits for the word. */
	if (dup2(word, 0) == 0 && dup2(sock, 1) == 1 && !syscall(SYS_close_range, 2, ~0U, 0) &&
	    send(0, &c, 1, MSG_NOSIGNAL) == 1)
		while (read(0, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* 0 or -errno: it is still the service's. */
static int start_closer(struct rf_watch_doomed *d)
{
	int words[2];
	pid_t pid;
	char c;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, words))
		return -errno;
	pid = fork();
	if (!pid)
		be_closer(d->sock, words[1]);
	close(words[1]);
	if (pid > 0) {
		d->until = rf_now_ms() + CLOSE_MS;
		/* No byte: it has ended, without its last hold of it, as this is another. */
		if (recv(words[0], &c, 1, 0) == 1) {
			d->pid = pid;
			close(d->sock);
			d->sock = -1;
		} else {
			waitpid(pid, NULL, 0);
			pid = -1;
		}
	}
	close(words[0]);
	return pid > 0 ? 0 : -EAGAIN;
}

void rf_watch_close(struct rf_watch_service *s, int sock, uid_t uid)
{
	struct rf_watch_doomed *d;

	if (rf_watch_finish(sock)) {
		close(sock);
		return;
	}
	d = &s->doomed[s->doomed_count++];
	*d = (struct rf_watch_doomed){ .sock = sock, .uid = uid };
	if (closers_of(s, uid) < CLOSERS)
		start_closer(d);
}

void rf_watch_close_again(struct rf_watch_service *s)
{
	for (unsigned int i = s->doomed_count; i--;) {
		struct rf_watch_doomed *d = &s->doomed[i];

		if (d->pid && waitpid(d->pid, NULL, WNOHANG))
			*d = s->doomed[--s->doomed_count];
		else if (d->pid && rf_now_ms() >= d->until)
			kill(d->pid, SIGKILL);
		else if (!d->pid && closers_of(s, d->uid) < CLOSERS)
			start_closer(d);
	}
}

bool rf_watch_close_full(const struct rf_watch_service *s)
{
	/* There is room beyond: each client may be one, and each that is accepted in a step. */
	return s->doomed_count >= RF_WATCH_DOOMED;
}

void rf_watch_close_all(struct rf_watch_service *s)
{
	for (unsigned int i = 0; i < s->doomed_count; i++)
		if (!s->doomed[i].pid)
			start_closer(&s->doomed[i]);
	s->doomed_count = 0;
}
