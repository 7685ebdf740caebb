// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Brings the VMM and its monitors together. The VMM is born with one end of the link and never
 * looks for anybody; each monitor that is started gets one end of a socket of its own, and the
 * other end goes to the VMM by the link. Both ends of each socket are made here and given to one
 * process each, so neither of the two has to be told who is at the other one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/run.h"
#include "hv/proto.h"

static void close_both(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int rf_run_link(struct rf_run *r)
{
	const int least = 1; /* the kernel makes it a handful of packets */

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r->link))
		return -errno;
	/* The VMM has nothing to say here, and what it sent would be let go of by `run`. */
	rf_take_nothing(r->link[0]);
	/*
	 * A VMM that is stopped keeps what was sent in flight, and Linux counts that by user, who
	 * may be other VMs' too (unix(7), ETOOMANYREFS): as few as can be.
	 */
	return fcntl(r->link[0], F_SETFL, O_NONBLOCK) ||
			       setsockopt(r->link[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least))
		       ? -errno
		       : 0;
}

int rf_run_link_enter(const struct rf_run *r, pid_t run)
{
	char fd[16];

	/*
	 * It is not to outlive who could give it another monitor. The kernel forgets this where the
	 * VMM changes its uid (credentials(7), prctl(2)); then the fence sees the link's end.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return -errno;
	if (getppid() != run)
		return -ESRCH;
	snprintf(fd, sizeof(fd), "%d", r->link[1]);
	return setenv("RINGFENCE_LINK", fd, 1) || fcntl(r->link[1], F_SETFD, 0) ? -errno : 0;
}

int rf_run_meet(struct rf_run *r)
{
	const int on = 1;

	close_both(r->meet);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r->meet))
		return -errno;
	/* The monitor asks the kernel which process speaks to it (hv/backend_kvm.c). */
	return setsockopt(r->meet[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ? -errno : 0;
}

/* What an error of sendmsg(2) says of now, and not of the VMM: unix(7), "ETOOMANYREFS". */
static bool passes(int err)
{
	return err == -EAGAIN || err == -ETOOMANYREFS || err == -ENOBUFS || err == -ENOMEM;
}

int rf_run_introduce(struct rf_run *r)
{
	struct rf_msg m;
	int err;

	if (r->meet[1] < 0)
		return 0;
	/* The monitor has its own: ours would keep it from seeing the VMM's end. */
	if (r->meet[0] >= 0)
		close(r->meet[0]);
	r->meet[0] = -1;
	rf_msg_init(&m, RF_MSG_PEER, 0);
	err = rf_msg_send(r->link[0], &m, sizeof(m), &r->meet[1], 1);
	if (passes(err))
		return err;
	close_both(r->meet);
	return 0;
}
