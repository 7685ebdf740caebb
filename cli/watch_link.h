/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control-register watch for VMMs that root did not start: `ringfence watch` (watch_serve.h),
 * as root, enters them for `ringfence run` of others, who may not ask the kernel themselves. One
 * SOCK_SEQPACKET connection for each VM, packets of one size.
 *
 *	run -> ASK			<- PAGE, with the page's map
 *	the VMM's process -> ENTER	<- AGAIN
 *	the VMM's process -> ENTER	<- ENTERED
 *	run				<- ON or LOST, each second
 *
 * Nobody says which process is to be entered: it is the one that sends ENTER, by the kernel's word
 * (unix(7), SCM_CREDENTIALS). Asked twice, as its id could be another process's by the time that
 * the first answer is made: what sends again, while a descriptor of that process is held and it
 * lives, is that process. The other side of the trust: what is not root's (SO_PEERCRED) is no
 * service.
 *
 * A service that is started anew does not know whom the one before it served:
 *
 *	run -> ADOPT, with the VMM's id	<- ENTERED, if it is on the map and nobody's yet
 *
 * No word to the service has a descriptor: closing one may wait for what its sender likes (his own
 * file system, a socket that lingers), beyond SIGKILL, wherever it is closed.
 */
#ifndef RF_CLI_WATCH_LINK_H
#define RF_CLI_WATCH_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hv/bpf/crwatch.h"

/* Beside root's state folders, which nobody else may enter. */
#define RF_WATCH_SOCKET "/run/ringfence-watch/socket"
#define RF_WATCH_ENVIRONMENT "RINGFENCE_WATCH_SOCKET" /* for `run`: it is elsewhere */
#define RF_WATCH_REVISION 2
/* It says something each second; what says nothing to so many looks in a row does not look. */
#define RF_WATCH_SILENT 5

enum rf_watch_word {
	RF_WATCH_ASK = 1,
	RF_WATCH_ENTER,
	RF_WATCH_ADOPT,
	/* Answers. */
	RF_WATCH_PAGE,
	RF_WATCH_AGAIN,
	RF_WATCH_ENTERED,
	RF_WATCH_REFUSED,
	RF_WATCH_ON,
	RF_WATCH_LOST,
};

struct rf_watch_packet {
	uint32_t revision, word;
	uint32_t pid, pad;	  /* of ADOPT */
	char why[RF_CRWATCH_WHY]; /* of REFUSED and LOST */
};

/* What came with it. */
struct rf_watch_from {
	pid_t pid; /* who sent it, 0 not known; where SO_PASSCRED is set */
	uid_t uid;
	int fd; /* -1 none; the caller closes */
};

/* Never blocks. fd -1: none. why may be NULL. 0 or -errno. */
int rf_watch_send(int sock, enum rf_watch_word word, const char *why, int fd);
/* Never blocks; `why` ends in a 0. 0, -EAGAIN: nothing is there, -EPROTO: it is no such packet,
 * -ECONNRESET. */
int rf_watch_receive(int sock, struct rf_watch_packet *p, struct rf_watch_from *from);

/* --- of the service (watch_link.c) ---------------------------------------- */
/* As rf_watch_receive(), of anybody: from->fd is -1. -EBADF: a descriptor comes with the next
 * packet, which stays where it is; whoever closes the connection may wait for ever. */
int rf_watch_take(int sock, struct rf_watch_packet *p, struct rf_watch_from *from);
/* A user's connection for the keeper (watch_keep.h). Never blocks; it stays the caller's too. 0 or
 * -errno. */
int rf_watch_hand(int inbox, int sock, uid_t uid);
/* 0: *sock, -1 none, is the caller's; else as rf_watch_receive(). */
int rf_watch_handed(int inbox, int *sock, uid_t *uid);

/* --- of `run` (watch_ask.c) ----------------------------------------------- */
/* Connects and asks. 0: *sock and *page, a descriptor, are the caller's; else -errno, with why. */
int rf_watch_ask(int *sock, int *page, char *why);
/* The calling process is entered. 0 or -errno, with why. */
int rf_watch_enter(int sock, char *why);
/* A new connection, for the calling process or its child, which is on the map. 0 or -errno, with
 * why. */
int rf_watch_adopt(pid_t vmm, int64_t wait_ms, int *sock, char *why);
/* What has been said since: 1 on, 0 nothing, -ENOENT lost, with why; -ECONNRESET: it is gone. */
int rf_watch_hear(int sock, char *why);

#endif
