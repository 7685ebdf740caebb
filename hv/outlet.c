// SPDX-License-Identifier: LGPL-2.1-or-later
/* rf_outlet_put() works inside the monitor's sandbox. */
#include "hv/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hv/terminal.h"

/* What POSIX calls an atomic write to a pipe, whole or not at all: pipe(7), PIPE_BUF. */
#define WRITE_BYTES 4096
/* Until the next try where there is room for less than a line, of which poll(2) knows nothing. */
#define PAUSE_MS 5

void rf_outlet_to(struct rf_outlet *o, int fd)
{
	struct stat st;

	*o = (struct rf_outlet){ .fd = fd,
				 .terminal = isatty(fd),
				 .socket = !fstat(fd, &st) && S_ISSOCK(st.st_mode) };
}

/* Opening the master of a terminal makes another terminal (drivers/tty/pty.c, ptmx_open()); only
 * masters have a number (pty_unix98_ioctl()). Opening other devices may do anything. */
static bool may_open_anew(const struct rf_outlet *o)
{
	unsigned int number;
	struct stat st;

	if (o->terminal)
		return ioctl(o->fd, TIOCGPTN, &number) != 0;
	return !fstat(o->fd, &st) && S_ISFIFO(st.st_mode);
}

/* /dev/tty is another terminal in another session. */
static bool is_same(const struct rf_outlet *o, int fd)
{
	unsigned int here, there;

	return !o->terminal ||
	       (!ioctl(o->fd, TIOCGDEV, &here) && !ioctl(fd, TIOCGDEV, &there) && here == there);
}

int rf_outlet_anew(struct rf_outlet *o)
{
	char path[32];
	int fd, err;

	if (!may_open_anew(o))
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	err = fd < 0 ? -errno : is_same(o, fd) ? 0 : -ENOTTY;
	if (!err)
		return o->fd = fd;
	if (fd >= 0)
		close(fd);
	return err;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static ssize_t take(const struct rf_outlet *o, const char *text, size_t len)
{
	return o->socket ? send(o->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : write(o->fd, text, len);
}

/*
 * How much of it was taken. A terminal is said to be writable while there is room for one byte, and
 * takes as much as there is room for (drivers/tty/n_tty.c, n_tty_poll() and n_tty_write()); what
 * poll(2) says of a pipe is true until somebody else has written to it.
 */
static size_t put(const struct rf_outlet *o, const char *text, size_t len, int ms)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	int64_t until = now_ms() + ms;
	int left = ms;
	size_t at = 0;

	for (;;) {
		/* Who waits as long as it takes may be kept by the write as well. */
		if (ms < 0 || poll(&p, 1, left) > 0) {
			ssize_t n = take(o, text + at, len - at);

			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return at; /* nobody hears it */
			at += n > 0 ? (size_t)n : 0;
		}
		if (ms >= 0)
			left = (int)(until - now_ms());
		if (at == len || (ms >= 0 && left <= 0))
			return at;
		poll(NULL, 0, left > 0 && left < PAUSE_MS ? left : PAUSE_MS);
	}
}

void rf_outlet_put(struct rf_outlet *o, const char *who, const char *lines, int ms)
{
	char all[WRITE_BYTES], gap[96] = "";
	size_t len, taken;
	int n;

	if (o->lost)
		snprintf(gap, sizeof(gap), "%s%u lines before this were lost\n", who, o->lost);
	/* On a terminal half a line is wiped out by what ours begin with. */
	n = snprintf(all, sizeof(all), "%s%s%s",
		     o->terminal ? RF_TERMINAL_BEGIN
		     : o->torn	 ? "\n"
				 : "",
		     gap, lines);
	if (n < 0)
		return;
	len = n < WRITE_BYTES ? (size_t)n : WRITE_BYTES - 1;
	/* Who has not read the last one in its time gets no more: there may be thousands. */
	taken = put(o, all, len, o->lost && ms > 0 ? 0 : ms);
	o->lost = taken == len ? 0 : o->lost + 1;
	if (taken)
		o->torn = taken < len;
}
