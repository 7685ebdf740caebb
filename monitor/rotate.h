/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The logs go on in new files. The monitor opens nothing: `run` does, when it is asked to by a line
 * "rotate" of the monitor's (a client of the control socket has asked; "rotate-moved": only if the
 * audit log was moved) or by SIGHUP, and sends them
 * in one packet over a socket of their own. The monitor answers "rotated", or "rotate-failed": then
 * the old files are in use still.
 */
#ifndef RF_MONITOR_ROTATE_H
#define RF_MONITOR_ROTATE_H

#include <stdbool.h>
#include <stdint.h>

struct rf_guest;

#define RF_NEW_LOGS 2 /* descriptors: the audit log's, the patch log's */
#define RF_NEW_TEXT 1024

struct rf_new_logs {
	uint32_t with;	 /* 1: both come with it; 0: they are not to be had, or not needed */
	uint32_t failed; /* 1: none are to be had; told says why */
	/* For who has asked: a C string of printable ASCII. */
	char told[RF_NEW_TEXT];
};

/* A client asks, only_moved or not. True: its socket is kept, and answered later; else it has its
 * answer. */
bool rf_rotate_ask(struct rf_guest *g, int client, bool only_moved);
/* What `run` has sent, if anything. */
void rf_rotate_take(struct rf_guest *g);

#endif
