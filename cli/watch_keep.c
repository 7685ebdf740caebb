// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/watch_keep.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/watch_link.h"

#define INBOX 0
#define CLOSE_MS 5000 /* then a closer is killed, which ends what a signal ends */
#define AGAIN_MS 1000 /* closers that could not be started, or are to be killed */

struct closer {
	pid_t pid;
	int pidfd;
	uid_t uid;
	int64_t until; /* ms */
};

struct keeper {
	unsigned int room, count, closing;
	struct kept {
		int fd;
		uid_t uid;
	} kept[RF_WATCH_KEPT];
	struct closer closers[RF_WATCH_CLOSERS];
};

/* How many fit: a descriptor too many would be closed by recvmsg(), here (net/core/scm.c
 * scm_detach_fds()). */
static unsigned int room_for_kept(void)
{
	/* Beside them the inbox, and of each closer its pidfd and what it closes. */
	const rlim_t others = 1 + 2 * RF_WATCH_CLOSERS;
	struct rlimit files = { .rlim_cur = RF_WATCH_KEPT + others,
				.rlim_max = RF_WATCH_KEPT + others };

	if (setrlimit(RLIMIT_NOFILE, &files) && getrlimit(RLIMIT_NOFILE, &files))
		return 0;
	if (files.rlim_cur <= others)
		return 0;
	return files.rlim_cur - others < RF_WATCH_KEPT ? (unsigned int)(files.rlim_cur - others)
						       : RF_WATCH_KEPT;
}

/* All that is there, as far as there is room. False: the service is gone. */
static bool take(struct keeper *k)
{
	while (k->count < k->room) {
		struct kept *next = &k->kept[k->count];
		int err = rf_watch_handed(INBOX, &next->fd, &next->uid);

		if (err)
			return err == -EAGAIN;
		k->count += next->fd >= 0;
	}
	return true;
}

/* Nobody has the other end of the inbox any more. */
static bool is_left(void)
{
	struct pollfd p = { .fd = INBOX };

	return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

static unsigned int closers_of(const struct keeper *k, uid_t uid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < k->closing; i++)
		n += k->closers[i].uid == uid;
	return n;
}

/* close() takes it out of the table first and waits then (fs/file.c), so its number may be that of
 * the next one at once. */
static bool start_closer(struct keeper *k, const struct kept *what)
{
	struct closer *c = &k->closers[k->closing];

	*c = (struct closer){ .uid = what->uid, .until = rf_now_ms() + CLOSE_MS };
	c->pid = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, &c->pidfd,
				NULL, NULL);
	if (!c->pid) {
		close(what->fd);
		_exit(0);
	}
	k->closing += c->pid > 0;
	return c->pid > 0;
}

static void start_closers(struct keeper *k)
{
	for (unsigned int i = k->count; i-- && k->closing < RF_WATCH_CLOSERS;) {
		if (closers_of(k, k->kept[i].uid) >= RF_WATCH_CLOSERS_OF)
			continue;
		if (!start_closer(k, &k->kept[i]))
			return;
		k->kept[i] = k->kept[--k->count];
	}
}

static void end_closers(struct keeper *k)
{
	for (unsigned int i = k->closing; i--;) {
		struct closer *c = &k->closers[i];

		if (waitpid(c->pid, NULL, WNOHANG)) {
			close(c->pidfd);
			*c = k->closers[--k->closing];
		} else if (rf_now_ms() >= c->until) {
			kill(c->pid, SIGKILL);
		}
	}
}

static void wait_for_news(const struct keeper *k)
{
	struct pollfd p[1 + RF_WATCH_CLOSERS];

	p[0] = (struct pollfd){ .fd = INBOX, .events = k->count < k->room ? POLLIN : 0 };
	for (unsigned int i = 0; i < k->closing; i++)
		p[1 + i] = (struct pollfd){ .fd = k->closers[i].pidfd, .events = POLLIN };
	poll(p, 1 + k->closing, k->count || k->closing ? AGAIN_MS : -1);
}

void rf_watch_keep(int inbox)
{
	static struct keeper k;

	k.room = room_for_kept();
	if (!rf_hold_alone(inbox, -1))
		_exit(1);
	/* Who is full takes nothing, and so does not hear by that that the service is gone. */
	while (take(&k) && (k.count < k.room || !is_left())) {
		start_closers(&k);
		wait_for_news(&k);
		end_closers(&k);
	}
	for (unsigned int i = 0; i < k.closing; i++)
		kill(k.closers[i].pid, SIGKILL);
	_exit(0);
}
