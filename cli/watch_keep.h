/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keeper of `ringfence watch` (watch_close.c): a process that has, instead of the service, the
 * connections that may keep whoever closes them. It never closes one itself: that is done by
 * closers, processes that share its table of descriptors (CLONE_FILES) and close one each. What a
 * closer waits for in the kernel keeps that one alone, so the keeper takes the next connection
 * whatever becomes of those before.
 */
#ifndef RF_CLI_WATCH_KEEP_H
#define RF_CLI_WATCH_KEEP_H

#define RF_WATCH_KEPT 65536   /* connections; more stay with the service */
#define RF_WATCH_CLOSERS 64   /* of all users, at a time */
#define RF_WATCH_CLOSERS_OF 4 /* of one */

/*
 * The child of a fork is the keeper from now on. inbox: SOCK_SEQPACKET, not blocking. The keeper
 * says a byte once it has no other descriptor; each packet is then a uid_t with one connection.
 * When nobody has the other end any more it ends, and its closers are killed: what is left is
 * closed by the last one of them.
 */
__attribute__((noreturn)) void rf_watch_keep(int inbox);

#endif
