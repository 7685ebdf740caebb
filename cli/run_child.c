// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/run_child.h"

#include <signal.h>
#include <unistd.h>

#include "cli/output.h"

#define RESTARTS 3	/* started again at once, before it is once in RF_CHILD_AGAIN_MS */
#define STABLE_MS 60000 /* one that lived so long earns new restarts at once */
/* Read at once at most, as much as a pipe holds: one that never stops keeps nobody from the
 * rest. */
#define READ_BYTES 65536
/* And what came with the last one: each may be told, and wait for its reader. */
#define READ_LINES 16

void rf_child_began(struct rf_child *c, pid_t pid, int notify_fd)
{
	c->pid = pid;
	c->notify_fd = notify_fd;
	c->line_len = 0;
	c->since = c->heard = rf_now_ms();
}

static void close_notify(struct rf_child *c)
{
	if (c->notify_fd >= 0)
		close(c->notify_fd);
	c->notify_fd = -1;
}

void rf_child_read(struct rf_child *c, void (*line)(void *ctx, const char *line), void *ctx)
{
	char buf[64];
	size_t all = 0, lines = 0;
	ssize_t n = -1;

	while (all < READ_BYTES && lines < READ_LINES && c->notify_fd >= 0 &&
	       (n = read(c->notify_fd, buf, sizeof(buf))) > 0) {
		all += (size_t)n;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				c->line[c->line_len] = '\0';
				c->line_len = 0;
				c->heard = rf_now_ms();
				lines++;
				line(ctx, c->line);
			} else if (c->line_len < sizeof(c->line) - 1) {
				c->line[c->line_len++] = buf[i];
			}
		}
	}
	/* Its other end is closed: poll() would report that for ever. */
	if (n == 0)
		close_notify(c);
}

void rf_child_ended(struct rf_child *c)
{
	int64_t now = rf_now_ms();

	close_notify(c);
	c->pid = 0;
	if (now - c->since >= STABLE_MS)
		c->restarts = 0;
	c->restart_at = c->restarts++ < RESTARTS ? now : c->since + RF_CHILD_AGAIN_MS;
}

bool rf_child_end_silent(struct rf_child *c, uint32_t seconds, int64_t *silent_ms)
{
	*silent_ms = rf_now_ms() - c->heard;
	if (!c->pid || !seconds || *silent_ms < (int64_t)seconds * 1000)
		return false;
	kill(c->pid, SIGKILL);
	c->heard = rf_now_ms();
	return true;
}
