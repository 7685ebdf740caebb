// SPDX-License-Identifier: LGPL-2.1-or-later
/* Those that an earlier service has entered, or root: held until they end, so that nobody's entry
 * outlives its process, and adopted by their `run`. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/watch_link.h"
#include "cli/watch_serve.h"

/* Of /proc/PID/status, real user and parent: the folder's owner is root where the process may not
 * be dumped. */
static int who_is(pid_t pid, uid_t *uid, pid_t *parent)
{
	char path[32], line[128];
	int got = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	/* The name comes first, escaped: no line of its is another's. */
	while (got != 3 && fgets(line, sizeof(line), f)) {
		got |= sscanf(line, "PPid: %d", parent) == 1 ? 1 : 0;
		got |= sscanf(line, "Uid: %u", uid) == 1 ? 2 : 0;
	}
	fclose(f);
	return got == 3 ? 0 : -EBADMSG;
}

bool rf_watch_has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void rf_watch_find(struct rf_watch_service *s)
{
	static pid_t pids[RF_WATCH_FOUND];
	unsigned int n = rf_crwatch_list(&s->watch, pids, RF_WATCH_FOUND);
	pid_t parent;

	for (unsigned int i = 0; i < n; i++) {
		struct rf_watch_client c = { .sock = -1,
					     .pid = pids[i],
					     .page = RF_CRWATCH_NO_PAGE,
					     .entered = true,
					     .found = true };

		c.pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
		if (c.pidfd < 0)
			continue; /* swept with the next opening */
		if (!who_is(c.pid, &c.uid, &parent) && !rf_crwatch_found(&s->watch, c.pid, &c.page))
			s->clients[s->count++] = c;
		else
			close(c.pidfd);
	}
	s->found = s->count;
}

/* By the one that is it or has started it, and of its user. */
struct rf_watch_client *rf_watch_find_for(struct rf_watch_service *s, pid_t pid,
					  const struct rf_watch_from *from)
{
	pid_t parent;
	uid_t uid;

	for (unsigned int i = 0; i < s->count; i++) {
		struct rf_watch_client *c = &s->clients[i];

		if (!c->entered || c->pid != pid || c->uid != from->uid ||
		    rf_watch_has_ended(c->pidfd) || who_is(pid, &uid, &parent) || from->pid <= 0 ||
		    (parent != from->pid && pid != from->pid))
			continue;
		return c;
	}
	return NULL;
}
