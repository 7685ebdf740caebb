// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence run` of another user than root, at the service's socket. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/watch_link.h"

/* To get through, and for an answer: the service may be about to put the watch back meanwhile. */
#define ANSWER_MS 10000

__attribute__((format(printf, 3, 4))) static int tell(char *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, RF_CRWATCH_WHY, format, args);
	va_end(args);
	return err;
}

/* As long as others keep the queue full connect() waits, until the send timeout. */
static int reach(int fd, const struct sockaddr_un *at, int64_t wait_ms)
{
	struct timeval limit = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };
	int64_t until = rf_now_ms() + wait_ms;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return -errno;
	while (connect(fd, (const struct sockaddr *)at, sizeof(*at)))
		if (errno == EAGAIN || (errno == EINTR && rf_now_ms() >= until))
			return -ETIMEDOUT;
		else if (errno != EINTR)
			return -errno;
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

static int dial(int64_t wait_ms, char *why)
{
	const char *path = getenv(RF_WATCH_ENVIRONMENT) ?: RF_WATCH_SOCKET;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return tell(why, -errno, "no socket: %s", strerror(errno));
	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		err = -ENAMETOOLONG;
	else
		err = reach(fd, &at, wait_ms);
	if (err)
		tell(why, err,
		     "only root may load it, and `ringfence watch`, which does it for others, "
		     "is not to be had at %s: %s",
		     path, strerror(-err));
	/* Whoever can make that file could else see what the VMM is given. */
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.uid)
		err = tell(why, -EPERM, "who listens at %s is user %u, not root", path, peer.uid);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* Waits for one of these words; what is said of the watch meanwhile is passed over. */
static int wait_for(int sock, enum rf_watch_word first, enum rf_watch_word second, int *fd,
		    enum rf_watch_word *word, int64_t wait_ms, char *why)
{
	int64_t until = rf_now_ms() + wait_ms;

	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int64_t left = until - rf_now_ms();
		struct rf_watch_packet packet;
		struct rf_watch_from from;
		int err;

		if (left <= 0)
			return tell(why, -ETIMEDOUT, "`ringfence watch` does not answer");
		poll(&p, 1, (int)left);
		err = rf_watch_receive(sock, &packet, &from);
		if (err == -EAGAIN)
			continue;
		if (!err && (packet.word == first || packet.word == second)) {
			*word = packet.word;
			if (fd)
				*fd = from.fd;
			else if (from.fd >= 0)
				close(from.fd);
			return 0;
		}
		if (from.fd >= 0)
			close(from.fd);
		if (err)
			return tell(why, err, "`ringfence watch` is gone, or of another release");
		if (packet.word == RF_WATCH_REFUSED)
			return tell(why, -EPERM, "`ringfence watch` refuses: %s", packet.why);
	}
}

static int ask(int sock, const struct rf_watch_packet *what, enum rf_watch_word wanted, int *fd,
	       int64_t wait_ms, char *why)
{
	enum rf_watch_word word;
	int err = send(sock, what, sizeof(*what), MSG_NOSIGNAL) < 0 ? -errno : 0;

	/* Who has hung up may have said why. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		return tell(why, err, "`ringfence watch` cannot be asked: %s", strerror(-err));
	return wait_for(sock, wanted, wanted, fd, &word, wait_ms, why);
}

int rf_watch_ask(int *sock, int *page, char *why)
{
	const struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	int64_t until = rf_now_ms() + ANSWER_MS;
	int fd = dial(ANSWER_MS, why), map = -1, err;

	if (fd < 0)
		return fd;
	err = ask(fd, &p, RF_WATCH_PAGE, &map, until - rf_now_ms(), why);
	if (!err && map < 0)
		err = tell(why, -EPROTO, "`ringfence watch` gives no page");
	if (err) {
		close(fd);
		return err;
	}
	*sock = fd;
	*page = map;
	return 0;
}

int rf_watch_enter(int sock, char *why)
{
	enum rf_watch_word word = RF_WATCH_AGAIN;
	int err = 0;

	for (int i = 0; !err && word == RF_WATCH_AGAIN && i < 2; i++) {
		err = rf_watch_send(sock, RF_WATCH_ENTER, NULL, -1);
		if (err)
			tell(why, err, "`ringfence watch` cannot be asked: %s", strerror(-err));
		else
			err = wait_for(sock, RF_WATCH_AGAIN, RF_WATCH_ENTERED, NULL, &word,
				       ANSWER_MS, why);
	}
	if (!err && word != RF_WATCH_ENTERED)
		err = tell(why, -EPROTO, "`ringfence watch` asks again and again");
	return err;
}

int rf_watch_adopt(pid_t vmm, int64_t wait_ms, int *sock, char *why)
{
	const struct rf_watch_packet p = { .revision = RF_WATCH_REVISION,
					   .word = RF_WATCH_ADOPT,
					   .pid = (uint32_t)vmm };
	int64_t until = rf_now_ms() + wait_ms;
	int fd = dial(wait_ms, why), err;

	if (fd < 0)
		return fd;
	err = ask(fd, &p, RF_WATCH_ENTERED, NULL, until - rf_now_ms(), why);
	if (err)
		close(fd);
	else
		*sock = fd;
	return err;
}

int rf_watch_hear(int sock, char *why)
{
	struct rf_watch_packet packet;
	struct rf_watch_from from;
	int heard = 0, err;

	/* It says one a second: more than a few are no service's. */
	for (int i = 0; i < 64; i++) {
		err = rf_watch_receive(sock, &packet, &from);
		if (from.fd >= 0)
			close(from.fd);
		if (err == -EAGAIN)
			return heard;
		if (err)
			return tell(why, -ECONNRESET, "`ringfence watch` is gone");
		if (packet.word == RF_WATCH_ON)
			heard = 1;
		else if (packet.word == RF_WATCH_LOST)
			heard = tell(why, -ENOENT, "%s", packet.why);
	}
	return heard;
}
