// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/watch_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "hv/proto.h"

int rf_watch_send(int sock, enum rf_watch_word word, const char *why, int fd)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = word };

	snprintf(p.why, sizeof(p.why), "%s", why ? why : "");
	return rf_msg_send(sock, &p, sizeof(p), &fd, fd >= 0);
}

static void take_control(struct msghdr *m, struct rf_watch_from *from)
{
	struct ucred who;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(who))) {
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			from->pid = who.pid;
			from->uid = who.uid;
		} else if (c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
			memcpy(&from->fd, CMSG_DATA(c), sizeof(int));
		}
	}
}

static int is_packet(struct rf_watch_packet *p, ssize_t n, const struct msghdr *m)
{
	if (n != (ssize_t)sizeof(*p) || m->msg_flags & MSG_TRUNC ||
	    p->revision != RF_WATCH_REVISION)
		return -EPROTO;
	p->why[sizeof(p->why) - 1] = '\0';
	return 0;
}

/* A packet, and with it so much of what its sender adds; what does not fit is closed by the kernel.
 * *m says what came. -EAGAIN: nothing yet. -ECONNRESET: nothing comes. */
static ssize_t take(int sock, int how, void *room, size_t size, struct rf_watch_packet *p,
		    struct msghdr *m)
{
	ssize_t n;

	*m = (struct msghdr){ .msg_control = room, .msg_controllen = size };
	n = rf_receive(sock, how, p, sizeof(*p), m);
	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? -EAGAIN : -ECONNRESET;
	return n;
}

int rf_watch_receive(int sock, struct rf_watch_packet *p, struct rf_watch_from *from)
{
	/* The sender and one descriptor. */
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(sizeof(int))];
	} control;
	struct msghdr m;
	ssize_t n = take(sock, 0, control.room, sizeof(control.room), p, &m);

	*from = (struct rf_watch_from){ .fd = -1 };
	if (n <= 0)
		return n ? (int)n : -ECONNRESET;
	take_control(&m, from);
	if (!is_packet(p, n, &m))
		return 0;
	if (from->fd >= 0)
		close(from->fd);
	from->fd = -1;
	return -EPROTO;
}

/* --- what anybody sends --------------------------------------------------------- */

/* -EBADF: a descriptor is with it. -ECONNRESET: there is nothing, and nothing comes. */
static int look(int sock, int how, struct rf_watch_packet *p, struct rf_watch_from *from)
{
	/* The sender alone. */
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr m;
	ssize_t n = take(sock, how, control.room, sizeof(control.room), p, &m);

	*from = (struct rf_watch_from){ .fd = -1 };
	if (n < 0)
		return (int)n;
	if (m.msg_flags & MSG_CTRUNC)
		return -EBADF;
	/* A packet of no bytes has a sender all the same. */
	if (!n && !m.msg_controllen)
		return -ECONNRESET;
	take_control(&m, from);
	return is_packet(p, n, &m);
}

/* What is looked at keeps its descriptors, so that nothing is closed by that; and nobody else takes
 * it away before it is taken (net/unix/af_unix.c unix_peek_fds()). */
int rf_watch_take(int sock, struct rf_watch_packet *p, struct rf_watch_from *from)
{
	int err = look(sock, MSG_PEEK, p, from);

	return err && err != -EPROTO ? err : look(sock, 0, p, from);
}

int rf_watch_hand(int inbox, int sock, uid_t uid)
{
	return rf_msg_send(inbox, &uid, sizeof(uid), &sock, 1);
}

int rf_watch_handed(int inbox, int *sock, uid_t *uid)
{
	int fd = -1;
	uid_t whose;
	ssize_t n = rf_packet_receive(inbox, 0, &whose, sizeof(whose), &fd, 1);

	if (n < 0)
		return (int)n;
	*sock = fd;
	*uid = whose;
	return 0;
}
