// SPDX-License-Identifier: LGPL-2.1-or-later
/* What `run` sends its monitor: new files for its logs (monitor/rotate.h), another policy
 * (monitor/reload.h), how the control-register watch stands (monitor/watched.h). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/run.h"
#include "hv/proto.h"
#include "monitor/rotate.h"

/* A new pair. Ours never blocks: the other end is a monitor's, which may have been taken over. */
static int renew(int pair[2], int ours)
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			rf_let_go(pair[i]);
	pair[0] = pair[1] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	return fcntl(pair[ours], F_SETFL, O_NONBLOCK) ? -errno : 0;
}

/* One that leaves no room, or has closed its end, reads nothing any more. */
static int send_to_monitor(struct rf_run *r, int fd, const void *packet, size_t size,
			   const int *fds, size_t n)
{
	int err = rf_msg_send(fd, packet, size, fds, n);

	if (err == -EAGAIN || err == -EPIPE || err == -ECONNRESET)
		r->deaf = true;
	return err;
}

int rf_run_logs(struct rf_run *r)
{
	int err = renew(r->logs, 1);

	if (!err)
		rf_take_nothing(r->logs[1]);
	return err;
}

int rf_run_orders(struct rf_run *r)
{
	int err = renew(r->orders, 0);

	if (!err)
		rf_refuse_descriptors(r->orders[0]);
	return err;
}

int rf_run_logs_room(struct rf_run *r)
{
	struct pollfd p = { .fd = r->logs[1], .events = POLLOUT };

	if (poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		return 0;
	r->deaf = true;
	return -EAGAIN;
}

int rf_run_logs_send(struct rf_run *r, const struct rf_new_logs *m)
{
	const int fds[RF_NEW_LOGS] = { r->next_audit_fd, r->next_patches_fd };

	return send_to_monitor(r, r->logs[1], m, sizeof(*m), fds, m->with ? RF_NEW_LOGS : 0);
}

int rf_run_order(struct rf_run *r, const void *packet, size_t size, int fd)
{
	return send_to_monitor(r, r->orders[0], packet, size, &fd, fd >= 0);
}
