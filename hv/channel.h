/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket to the monitor, and the one thread that receives from it. `ringfence run` hands over
 * the socket of each monitor that it starts, by the link: a socket that the VMM has from its start.
 * So nobody who is not `run` can be a monitor, and a VMM needs no path to one, whatever uid, root
 * or namespace it has later. The newest one counts. When the link's other end is closed `run` is
 * gone, and the VM is ended. What monitors say is the handlers' business.
 */
#ifndef RF_HV_CHANNEL_H
#define RF_HV_CHANNEL_H

#include <stdbool.h>

#include "hv/proto.h"

/* Called on the channel's thread, but for the first hello() and welcome(): on the caller's. */
struct rf_channel_handlers {
	void (*hello)(struct rf_msg_hello *m); /* what the VM is just now */
	/* The monitor's answer, and the descriptor of its table (not owned; -1 none). 0 or -errno,
	 * *why: it is not talked to. */
	int (*welcome)(const struct rf_msg_welcome *m, int table_fd, const char **why);
	void (*connected)(void);
	/* A packet that rf_msg_check() has passed. False: no message for a fence; the connection is
	 * given up. */
	bool (*message)(const uint8_t *packet);
	void (*tick)(void); /* often: at least once in tick_ms(), and behind each message */
	unsigned (*tick_ms)(void);
};

/* Waits for a monitor, shakes hands, starts the thread. run: the link, not owned, open for ever.
 * board_fd goes with each HELLO. 0 or -errno with *why set to constant text. handlers: live for
 * ever. */
int rf_channel_start(int run, int board_fd, const struct rf_channel_handlers *handlers,
		     const char **why);
/* One message, from any thread. 0, -ENOTCONN: there is no monitor, -EAGAIN: it takes nothing just
 * now, or -errno. */
int rf_channel_send(const void *msg, size_t size);

#endif
