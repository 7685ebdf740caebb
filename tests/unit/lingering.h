/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_TESTS_LINGERING_H
#define RF_TESTS_LINGERING_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* So long somebody waits who closes it. */
#define LINGERS_S 20

/* A TCP socket with bytes that nobody reads, which waits for that as it is closed, so many seconds.
 * -1: none. */
static inline int lingering_for(int seconds)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger wait = { .l_onoff = 1, .l_linger = seconds };
	/* There may be many. More is sent than is taken, whatever comes through after send() has
	 * said that there is no room. */
	const int small = 4096, more = 32768;
	int at = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	static char room[65536];
	socklen_t len = sizeof(to);

	setsockopt(at, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &more, sizeof(more));
	if (bind(at, (struct sockaddr *)&to, sizeof(to)) || listen(at, 4) ||
	    getsockname(at, (struct sockaddr *)&to, &len) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) || accept(at, NULL, NULL) < 0)
		return -1;
	while (send(fd, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
	close(at);
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)) ? -1 : fd;
}

static inline int lingering(void)
{
	return lingering_for(LINGERS_S);
}

#endif
