/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unix sockets whose other end may have sent descriptors that nobody asked for. The kernel lets go
 * of them in whoever receives the message, or closes the socket with the message in it; that may
 * take as long as their sender likes, beyond SIGKILL (a socket that lingers, a file of his own file
 * system). So what comes with one is never received here, and is closed by another process.
 */
#ifndef RF_CLI_LET_GO_H
#define RF_CLI_LET_GO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * As recvmsg(2) that never blocks: *m has room for what is to come beside the bytes, and says what
 * came. The bytes, 0 at the end, or -errno.
 */
ssize_t rf_receive(int sock, int how, void *buf, size_t size, struct msghdr *m);
/*
 * As recv(2) that never blocks: the bytes, 0 at the end, or -errno. -EBADF: a descriptor is with
 * what would be received, which stays where it is: let the socket go.
 */
ssize_t rf_take(int sock, void *buf, size_t size);
/* Whoever sends to this socket, or to those that a listener gets, sends no descriptor: where the
 * kernel has that (Linux 6.16). */
void rf_refuse_descriptors(int sock);
/* Nothing can be sent to this end any more; what it sends goes on. */
void rf_take_nothing(int sock);
/* Nothing comes any more, and what came is passed over. True: closing it waits for nobody. */
bool rf_finish(int sock);
/* Closes it for good, whatever it holds. Nobody is waited for. */
void rf_let_go(int sock);

/*
 * A process that is to hold what its parent lets go of. The child of a fork has `word`, a socket's
 * other end, as 0, `what` (-1: nothing) as 1 and no other descriptor from here on; of those that it
 * had none was the last one of its file, as its parent waits for that. False: it cannot be so.
 */
bool rf_hold_alone(int word, int what);
/* The parent's: the child has come so far. False: it has ended, and let go of nothing for good. */
bool rf_holds_alone(int word);

#endif
