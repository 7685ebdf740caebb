/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence watch`: the control-register watch for VMMs that root did not start (watch_link.h). */
#ifndef RF_CLI_WATCH_SERVE_H
#define RF_CLI_WATCH_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hv/bpf/crwatch.h"

#define RF_WATCH_CLIENTS 1024 /* three descriptors each */
#define RF_WATCH_FOUND 1024   /* two */
#define RF_WATCH_TAKES 16     /* in a step */
#define RF_WATCH_DOOMED 128   /* as long as the keeper does not take them, more are not accepted */

/* A VM, or who may become one. */
struct rf_watch_client {
	int sock; /* -1: its `run` is gone, or has not come yet, and its VMM is there */
	uid_t uid;
	int64_t until; /* ms; by then it must be entered */
	struct rf_crwatch_page page;
	pid_t pid; /* 0: nobody has asked to be entered */
	int pidfd; /* of that one, -1 none */
	bool entered, lost;
	bool found; /* on the map, by an earlier service or by root; nobody has adopted it */
	char why[RF_CRWATCH_WHY]; /* it is lost */
};

/* A connection that may keep whoever closes it, until the keeper has it (watch_close.c). */
struct rf_watch_doomed {
	int sock;
	uid_t uid;
};

struct rf_watch_service {
	const char *kvm;
	int listener;
	uint32_t per_user; /* VMs, 1 or more */
	struct rf_crwatch watch;
	bool lost;
	int64_t look_at, again_at; /* ms */
	char why[RF_CRWATCH_WHY];  /* it is, for all */
	unsigned int count, found;
	struct rf_watch_client clients[RF_WATCH_CLIENTS + RF_WATCH_FOUND];
	pid_t keeper; /* has the other end of: */
	int inbox;    /* -1: it has not been started yet */
	unsigned int doomed_count;
	struct rf_watch_doomed
		doomed[RF_WATCH_DOOMED + RF_WATCH_CLIENTS + RF_WATCH_FOUND + RF_WATCH_TAKES];
};

/* Opens the watch. 0 or -errno, with s->why. listener: SOCK_SEQPACKET, not blocking; the
 * caller's. */
int rf_watch_service_init(struct rf_watch_service *s, const char *kvm, int listener,
			  uint32_t per_user);
/* Who was entered stays so: the next service is asked to adopt them. */
void rf_watch_service_deinit(struct rf_watch_service *s);
/* Before that, and before the listener is closed: nobody connects any more, and who is there or
 * waits there is let go. */
void rf_watch_service_shut(struct rf_watch_service *s);
/* Waits for what comes, a second at most and no longer than stop_fd (-1 none) has nothing; deals
 * with it, and looks each second. */
void rf_watch_service_step(struct rf_watch_service *s, int stop_fd);

struct rf_watch_from;

/* --- watch_found.c --------------------------------------------------------- */
bool rf_watch_has_ended(int pidfd);
/* Those on the map become clients without a socket. */
void rf_watch_find(struct rf_watch_service *s);
/* The client that is this process, for the one that asks for it; NULL none. */
struct rf_watch_client *rf_watch_find_for(struct rf_watch_service *s, pid_t pid,
					  const struct rf_watch_from *from);

/* --- watch_close.c --------------------------------------------------------- */
/* Never waits for what was sent there. */
void rf_watch_close(struct rf_watch_service *s, int sock, uid_t uid);
/* With each step: what the keeper has had no room for. */
void rf_watch_close_again(struct rf_watch_service *s);
bool rf_watch_close_full(const struct rf_watch_service *s);
/* The keeper is waited for, some seconds at most, until it has taken what is left. */
void rf_watch_close_all(struct rf_watch_service *s);
/* And then it ends, which is not waited for. */
void rf_watch_close_end(struct rf_watch_service *s);

#endif
