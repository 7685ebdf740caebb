// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * systemd's list of user ids (docs/UIDS-GIDS.md) has 1879048192 to 2147352575 as unused; a process
 * id, 2^22 at most (include/linux/threads.h), tells each `run` from all others that live.
 */
#define FIRST_ID 1879048192u

/* In a child: becomes it, says how that went, and waits to be killed. */
static _Noreturn void become(const struct rf_user *u, int said, int held)
{
	int err = 0;

	if (setgroups(0, NULL) || setresgid(u->gid, u->gid, u->gid) ||
	    setresuid(u->uid, u->uid, u->uid))
		err = errno;
	if (write(said, &err, sizeof(err)) == (ssize_t)sizeof(err) && read(held, &err, 1) < 0)
		_exit(1);
	_exit(0);
}

static int try_user(const struct rf_user *u, char why[RF_USER_WHY])
{
	int said[2], held[2], err = EIO;
	pid_t pid;

	if (pipe2(said, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(held, O_CLOEXEC) < 0) {
		err = errno;
		close(said[0]);
		close(said[1]);
		return -err;
	}
	pid = fork();
	if (!pid) {
		close(held[1]);
		become(u, said[1], held[0]);
	}
	close(said[1]);
	close(held[0]);
	if (pid < 0 || read(said[0], &err, sizeof(err)) < 0)
		err = errno;
	if (err)
		snprintf(why, RF_USER_WHY, "cannot become user %u: %s", u->uid, strerror(err));
	else if (kill(pid, SIGKILL)) /* `run` could not end such a monitor */
		snprintf(why, RF_USER_WHY, "cannot signal user %u: %s", u->uid,
			 strerror(err = errno));
	close(held[1]); /* ends it if nothing else did */
	close(said[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -err;
}

int rf_user_of_monitor(struct rf_user *out, char why[RF_USER_WHY])
{
	const struct passwd *p;

	snprintf(why, RF_USER_WHY, "only root can give it one");
	if (geteuid())
		return -EPERM;
	p = getpwnam("ringfence");
	*out = (struct rf_user){ FIRST_ID + (uid_t)getpid(), FIRST_ID + (gid_t)getpid(), false };
	if (p && p->pw_uid && p->pw_gid)
		*out = (struct rf_user){ p->pw_uid, p->pw_gid, true };
	return try_user(out, why);
}
