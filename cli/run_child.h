/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that watches over the VM, the monitor or its sweeper: it says lines, is started again
 * when it ends, and is killed when it says nothing for too long. */
#ifndef RF_CLI_RUN_CHILD_H
#define RF_CLI_RUN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rf_child {
	const char *what; /* for messages */
	pid_t pid;	  /* 0: none lives */
	int notify_fd;	  /* of the living one, -1 none */
	char line[512];
	size_t line_len;
	int64_t heard; /* when it said something last, and it does so each second (monitor/) */
	int64_t since, restart_at;
	unsigned int restarts;
};

#define RF_CHILD_AGAIN_MS 1000 /* one that ends again and again is started so often */

#define RF_CHILD_NONE(name) ((struct rf_child){ .what = (name), .notify_fd = -1 })

/* It has been started. */
void rf_child_began(struct rf_child *c, pid_t pid, int notify_fd);
/* What it said since the last call, line by line. */
void rf_child_read(struct rf_child *c, void (*line)(void *ctx, const char *line), void *ctx);
/* It has been reaped, and is to be started again at restart_at; what it said last is read
 * before. */
void rf_child_ended(struct rf_child *c);
/* Has it said nothing for so many seconds? 0: never. It is killed then, and true. */
bool rf_child_end_silent(struct rf_child *c, uint32_t seconds, int64_t *silent_ms);

#endif
