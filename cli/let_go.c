// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/let_go.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

ssize_t rf_receive(int sock, int how, void *buf, size_t size, struct msghdr *m)
{
	struct iovec iov = { buf, size };
	const int on = 1;
	ssize_t n;

	/* Else a look passes over a byte out of band, and the next receiver throws it away with
	 * what came with it (net/unix/af_unix.c manage_oob()). */
	setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	m->msg_iov = &iov;
	m->msg_iovlen = 1;
	/* It has closed with something unread: that is said first, and once, and then what it sent
	 * before (net/unix/af_unix.c unix_release_sock()). */
	for (int again = 0; again < 2; again++) {
		n = recvmsg(sock, m, how | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0 || errno != ECONNRESET)
			break;
	}
	m->msg_iov = NULL;
	return n < 0 ? -errno : n;
}

/* What is looked at keeps its descriptors, so that nothing is closed by that (unix_peek_fds()). A
 * message with any, and no room for them, says so. */
ssize_t rf_take(int sock, void *buf, size_t size)
{
	struct msghdr m = { 0 };
	ssize_t n = rf_receive(sock, MSG_PEEK, buf, size, &m);

	if (n < 0)
		return n;
	if (m.msg_flags & MSG_CTRUNC)
		return -EBADF;
	m = (struct msghdr){ 0 };
	/* No more than was looked at: what came to a stream since is another message. */
	return rf_receive(sock, 0, buf, (size_t)n, &m);
}

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h */
#endif

void rf_refuse_descriptors(int sock)
{
	const int off = 0;

	setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}

void rf_take_nothing(int sock)
{
	shutdown(sock, SHUT_RD);
}

bool rf_finish(int sock)
{
	/* Room for the sender alone, who is with each packet, of no bytes too: so the end differs
	 * from it. A stream has no empty ones, and names its sender at its end too. */
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char bytes[4096];
	const int on = 1;
	int type;
	socklen_t len = sizeof(type);
	ssize_t n;

	if (setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len))
		return false;
	/* Who sends from now on gets EPIPE (unix_dgram_sendmsg(), RCV_SHUTDOWN). */
	shutdown(sock, SHUT_RDWR);
	for (;;) {
		struct msghdr m = { .msg_control = control.room,
				    .msg_controllen = sizeof(control.room) };

		n = rf_receive(sock, MSG_PEEK, bytes, sizeof(bytes), &m);
		if (n < 0 || m.msg_flags & MSG_CTRUNC)
			return false;
		if (!n && (type == SOCK_STREAM || !m.msg_controllen))
			return true;
		m = (struct msghdr){ 0 };
		rf_receive(sock, 0, bytes, (size_t)n, &m);
	}
}

bool rf_hold_alone(int word, int what)
{
	return dup2(word, 0) == 0 && (what < 0 || dup2(what, 1) == 1) &&
	       !syscall(SYS_close_range, what < 0 ? 1 : 2, ~0U, 0) &&
	       send(0, "", 1, MSG_NOSIGNAL) == 1;
}

bool rf_holds_alone(int word)
{
	struct pollfd p = { .fd = word, .events = POLLIN };
	char c;

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	return recv(word, &c, 1, 0) == 1;
}

/* Ends with the socket: once its caller has let go of it. */
static _Noreturn void be_closer(int sock, int word)
{
	char c;

	if (rf_hold_alone(word, sock))
		while (read(0, &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* Of its own, so that nobody has to wait for it. *words: it lives until that is closed. */
static int start_closer(int sock, int *words)
{
	int ends[2], status = -1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid)
			be_closer(sock, ends[1]);
		_exit(pid < 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(ends[1]);
	if (!status && rf_holds_alone(ends[0])) {
		*words = ends[0];
		return 0;
	}
	close(ends[0]);
	return -EAGAIN;
}

void rf_let_go(int sock)
{
	int words = -1;

	if (rf_finish(sock)) {
		close(sock);
	} else if (!start_closer(sock, &words)) {
		close(sock);
		close(words);
	}
	/* Else it stays, until this process ends. */
}
