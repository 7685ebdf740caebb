// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whom the monitor tells what: lines for who started it, errors for people, answers to clients.
 * Works inside the sandbox: no dprintf(), which asks its descriptor whether it is a terminal, as
 * rf_report_begin() does before.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hv/outlet.h"
#include "monitor/monitor.h"

uint64_t rf_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct rf_outlet people = { .fd = STDERR_FILENO };

/* Standard error of this process alone: what lasts is closed with it. */
void rf_report_begin(void)
{
	int fd;

	rf_outlet_to(&people, STDERR_FILENO);
	fd = rf_outlet_anew(&people);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
	people.fd = STDERR_FILENO;
}

/* Names and banners are a guest's, errors a parser's of what is hostile. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

#define LINE_BYTES 768
#define MONITOR "ringfence-monitor: "

__attribute__((format(printf, 3, 0))) static void
make_line(char line[LINE_BYTES], const char *prefix, const char *format, va_list ap)
{
	size_t len = (size_t)snprintf(line, LINE_BYTES, "%s", prefix);

	if (vsnprintf(line + len, LINE_BYTES - 1 - len, format, ap) < 0)
		line[len] = '\0';
	make_printable(line + len);
	strcat(line, "\n");
}

/* The pipe is between us and `run` alone: where there is room, there is until we write. */
__attribute__((format(printf, 3, 0))) static bool tell_run(int fd, const char *prefix,
							   const char *format, va_list ap)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char line[LINE_BYTES];

	if (fd < 0)
		return false;
	make_line(line, prefix, format, ap);
	/* If nobody reads it, we judge on. */
	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT &&
	       write(fd, line, strlen(line)) == (ssize_t)strlen(line);
}

bool rf_notify(const struct rf_guest *g, const char *format, ...)
{
	va_list ap;
	bool taken;

	va_start(ap, format);
	taken = tell_run(g->notify_fd, "", format, ap);
	va_end(ap);
	return taken;
}

void rf_complain(const struct rf_guest *g, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list ap;

	va_start(ap, format);
	make_line(line, MONITOR, format, ap);
	va_end(ap);
	/* Verdicts do not wait for who reads it. */
	rf_outlet_put(&people, MONITOR, line, 0);
	va_start(ap, format);
	tell_run(g->notify_fd, "error ", format, ap);
	va_end(ap);
}

void rf_alive(const struct rf_guest *g)
{
	static uint64_t told;

	if (rf_now_ns() - told < RF_ALIVE_NS)
		return;
	told = rf_now_ns();
	rf_notify(g, "alive");
}

bool rf_run_is_gone(const struct rf_guest *g)
{
	struct pollfd p = { .fd = g->notify_fd };

	return g->notify_fd < 0 || (poll(&p, 1, 0) > 0 && p.revents & POLLERR);
}

/* The answer is small enough for the socket's own buffer. */
void rf_reply(int client, json_t *reply)
{
	/* Each string of it is a name of our own or printable ASCII. */
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	size_t len;

	if (text) {
		len = strlen(text);
		text[len] = '\n'; /* takes the terminator's place */
		send(client, text, len + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
	json_decref(reply);
}

void rf_reply_not_yet(int client)
{
	rf_reply(client, json_pack("{s:b, s:i, s:i}", "done", 0, "searched", 0, "text_bytes", 0));
}
