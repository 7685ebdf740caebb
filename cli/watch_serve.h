/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence watch`: the control-register watch for VMMs that root did not start (watch_link.h). */
#ifndef RF_CLI_WATCH_SERVE_H
#define RF_CLI_WATCH_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hv/bpf/crwatch.h"

#define RF_WATCH_CLIENTS 1024 /* three descriptors each */

/* A VM, or who may become one. */
struct rf_watch_client {
	int sock; /* -1: its `run` is gone, and its VMM is not */
	uid_t uid;
	int64_t until; /* ms; by then it must be entered */
	struct rf_crwatch_page page;
	pid_t pid; /* 0: nobody has asked to be entered */
	int pidfd; /* of that one, -1 none */
	bool entered, lost;
	char why[RF_CRWATCH_WHY]; /* it is lost */
};

struct rf_watch_service {
	const char *kvm;
	int listener;
	uint32_t per_user; /* VMs, 1 or more */
	struct rf_crwatch watch;
	bool lost;
	int64_t look_at, again_at; /* ms */
	char why[RF_CRWATCH_WHY];  /* it is, for all */
	unsigned int count;
	struct rf_watch_client clients[RF_WATCH_CLIENTS];
};

/* Opens the watch. 0 or -errno, with s->why. listener: SOCK_SEQPACKET, not blocking; the caller's.
 */
int rf_watch_service_init(struct rf_watch_service *s, const char *kvm, int listener,
			  uint32_t per_user);
/* Who was entered stays so: the next service is asked to adopt them. */
void rf_watch_service_deinit(struct rf_watch_service *s);
/* Waits for what comes, a second at most and no longer than stop_fd (-1 none) has nothing; deals
 * with it, and looks each second. */
void rf_watch_service_step(struct rf_watch_service *s, int stop_fd);

#endif
