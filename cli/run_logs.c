// SPDX-License-Identifier: LGPL-2.1-or-later
/* The socket by which a monitor gets new files for its logs (monitor/rotate.h). */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/run.h"
#include "hv/proto.h"
#include "monitor/rotate.h"

int rf_run_logs(struct rf_run *r)
{
	for (int i = 0; i < 2; i++)
		if (r->logs[i] >= 0)
			close(r->logs[i]);
	r->logs[0] = r->logs[1] = -1;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, r->logs) ? -errno : 0;
}

int rf_run_logs_send(const struct rf_run *r, const struct rf_new_logs *m)
{
	const int fds[RF_NEW_LOGS] = { r->next_audit_fd, r->next_patches_fd };

	return rf_msg_send(r->logs[1], m, sizeof(*m), fds, m->with ? RF_NEW_LOGS : 0);
}
