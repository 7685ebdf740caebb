/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom the monitor tells what: lines for who started it, errors for people, notes for the log.
 * Works inside the sandbox: no dprintf(), which asks its descriptor whether it is a terminal.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "monitor/monitor.h"

uint64_t rf_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One write, so that lines of several processes do not mix. If nobody reads it, we judge on. */
__attribute__((format(printf, 3, 0))) static void put_line(int fd, const char *prefix,
							   const char *format, va_list ap)
{
	char line[768];
	size_t len = (size_t)snprintf(line, sizeof(line), "%s", prefix);
	int n = vsnprintf(line + len, sizeof(line) - len - 1, format, ap);

	if (n < 0 || fd < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\n';
	if (write(fd, line, len + 1) < 0)
		return;
}

void rf_notify(const struct rf_guest *g, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_line(g->notify_fd, "", format, ap);
	va_end(ap);
}

void rf_complain(const struct rf_guest *g, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_line(STDERR_FILENO, "ringfence-monitor: ", format, ap);
	va_end(ap);
	va_start(ap, format);
	put_line(g->notify_fd, "error ", format, ap);
	va_end(ap);
}

static int written(const struct rf_guest *g, int err)
{
	if (err)
		rf_complain(g, "the audit log could not be written: %s", strerror(-err));
	return err;
}

int rf_record_write(struct rf_guest *g, const struct rf_record *r)
{
	return written(g, rf_audit_write(g->audit, r));
}

int rf_record_outcome(struct rf_guest *g, uint64_t event, const char *status)
{
	return written(g, rf_audit_outcome(g->audit, event, status));
}

void rf_record_tick(struct rf_guest *g)
{
	written(g, rf_audit_tick(g->audit));
}

int rf_record_end(struct rf_guest *g)
{
	return written(g, rf_audit_end(g->audit));
}

int rf_note(struct rf_guest *g, const char *kind, const char *outcome, const char *detail)
{
	const struct rf_record r = { .kind = kind, .outcome = outcome, .detail = detail };

	return rf_record_write(g, &r);
}
