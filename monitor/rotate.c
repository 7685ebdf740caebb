// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/rotate.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"

/* For a client that went away meanwhile nobody waits. */
static bool somebody_waits(const struct rf_guest *g)
{
	struct pollfd p = { .fd = g->rotate_client, .events = POLLRDHUP };

	return g->rotate_client && poll(&p, 1, 0) == 0;
}

/* Takes the reference. */
static void answer_client(struct rf_guest *g, json_t *reply)
{
	if (!g->rotate_client) {
		json_decref(reply);
		return;
	}
	rf_reply(g->rotate_client, reply);
	close(g->rotate_client);
	g->rotate_client = 0;
}

bool rf_rotate_ask(struct rf_guest *g, int client, bool only_moved)
{
	const char *why = NULL;

	if (!g->audit)
		why = "no VMM is under protection yet, so nothing is written";
	else if (!g->logs_fd || rf_run_is_gone(g))
		why = "`ringfence run`, which would open the new file, is gone";
	else if (somebody_waits(g))
		why = "that is under way already";
	if (why) {
		rf_reply(client, json_pack("{s:s}", "error", why));
		return false;
	}
	answer_client(g, NULL);
	g->rotate_client = client;
	rf_notify(g, only_moved ? "rotate-moved" : "rotate");
	return true;
}

/* 0: both are owned. What the old audit log says of the old patch log is all of it. */
static int go_on(struct rf_guest *g, const int fds[RF_NEW_LOGS])
{
	int err;

	/* Descriptors that this process has no room for do not arrive. */
	if (fds[0] < 0 || fds[1] < 0)
		return -EMFILE;
	rf_patches_end_part(g);
	err = rf_audit_rotate(g->audit, fds[0]);
	if (err)
		return err;
	/* One that was full may have room now. */
	g->tried_ns = 0;
	if (g->patchlog)
		rf_patchlog_rotate(g->patchlog, fds[1]);
	else
		close(fds[1]);
	g->headless = true;
	g->patches_full = false;
	return 0;
}

static void take(struct rf_guest *g, const struct rf_new_logs *m, const int fds[RF_NEW_LOGS])
{
	int err = m->with ? go_on(g, fds) : 0;

	for (int i = 0; i < RF_NEW_LOGS && err; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (err)
		rf_complain(g, "the log goes on in its old file: %s", strerror(-err));
	rf_notify(g, err ? "rotate-failed" : "rotated");
	answer_client(g, err ? json_pack("{s:s}", "error", strerror(-err))
			     : json_pack("{s:b, s:s}", "done", 1, "told", m->told));
}

void rf_rotate_take(struct rf_guest *g)
{
	int fds[RF_NEW_LOGS] = { -1, -1 };
	struct rf_new_logs m = { 0 };
	ssize_t n;

	if (!g->logs_fd)
		return;
	n = rf_packet_receive(g->logs_fd, 0, &m, sizeof(m), fds, RF_NEW_LOGS);
	if (n == -EAGAIN)
		return;
	if (n != (ssize_t)sizeof(m)) {
		/* `run` is gone: nobody else sends anything here. */
		close(g->logs_fd);
		g->logs_fd = 0;
		answer_client(g, json_pack("{s:s}", "error", "`ringfence run` is gone"));
		return;
	}
	m.told[sizeof(m.told) - 1] = '\0';
	if (!m.failed)
		take(g, &m, fds);
	else
		answer_client(g, json_pack("{s:s}", "error", m.told));
}
