/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence run` and its monitors, as the fence sees them, for tests of hv/channel.c and what is
 * above. */
#ifndef RF_TESTS_FAKE_PEER_H
#define RF_TESTS_FAKE_PEER_H

#include <stddef.h>

#include "hv/proto.h"

extern int peer; /* the connection, -1 none */

/* The link: the fence's end, or -1. */
int peer_init(void);
/* A monitor is started: its socket goes to the fence. */
void peer_offer(void);
/* `run` is gone. */
void peer_give_up(void);
/* A HELLO, of the monitor that was offered, or of a new one; *board: the descriptor that came with
 * it, -1 none. */
void peer_accept(struct rf_msg_hello *hello, int *board);
extern int peer_table; /* the third one: the table that an earlier welcome came with, -1 none */
/* The same, and a good answer; table: sent along, -1 none. */
void peer_welcome(const struct rf_rules *rules, int table);
/* The next packet, within five seconds: its length, 0 when they hung up. */
size_t peer_receive(uint8_t *packet);
/* True: nothing has come within ms. */
int peer_hears_nothing(int ms);
void peer_tell(const void *msg, size_t size);
struct rf_msg_event peer_event(void);
struct rf_msg_done peer_done(void);
void peer_verdict(uint64_t id, uint32_t word);
void peer_close(void);

#endif
