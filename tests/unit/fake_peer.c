// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_peer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int ends[2] = { -1, -1 };
static int offered = -1; /* the other end is under way to the fence */
int peer = -1;

int peer_init(void)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ? -1 : ends[1];
}

void peer_offer(void)
{
	struct rf_msg m;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	rf_msg_init(&m, RF_MSG_PEER, 0);
	assert_int_equal(rf_msg_send(ends[0], &m, sizeof(m), &pair[1], 1), 0);
	close(pair[1]);
	if (offered >= 0)
		close(offered);
	offered = pair[0];
}

void peer_give_up(void)
{
	close(ends[0]);
}

void peer_close(void)
{
	close(peer);
	peer = -1;
}

size_t peer_receive(uint8_t *packet)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&p, 1, 5000), 1);
	n = recv(peer, packet, RF_MSG_MAX + 1, 0);
	return n < 0 ? 0 : (size_t)n;
}

int peer_hears_nothing(int ms)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };

	return poll(&p, 1, ms) == 0;
}

int peer_table = -1;

void peer_accept(struct rf_msg_hello *hello, int *board)
{
	uint8_t packet[RF_MSG_MAX + 1], first;
	int fds[RF_MSG_FDS] = { -1, -1, -1 };

	if (offered < 0)
		peer_offer();
	peer = offered;
	offered = -1;
	assert_int_equal(rf_msg_receive(peer, 5000, packet, sizeof(packet), fds, RF_MSG_FDS), 0);
	memcpy(hello, packet, sizeof(*hello));
	assert_int_equal(hello->h.type, RF_MSG_HELLO);
	/* Its own memory, which reads at an address of ours: we are the fence's process. */
	assert_int_equal(pread(fds[1], &first, 1, (off_t)(uintptr_t)&peer), 1);
	assert_int_equal(first, *(uint8_t *)&peer);
	close(fds[1]);
	if (peer_table >= 0)
		close(peer_table);
	peer_table = fds[2];
	if (board)
		*board = fds[0];
	else if (fds[0] >= 0)
		close(fds[0]);
}

void peer_welcome(const struct rf_rules *rules, int table)
{
	struct rf_msg_welcome w = { .h.type = 0 };
	struct rf_msg_hello hello;

	peer_accept(&hello, NULL);
	if (rules)
		w.rules = *rules;
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	assert_int_equal(rf_msg_send(peer, &w, sizeof(w), &table, table >= 0), 0);
}

void peer_tell(const void *msg, size_t size)
{
	assert_int_equal(send(peer, msg, size, MSG_NOSIGNAL), size);
}

struct rf_msg_event peer_event(void)
{
	struct rf_msg_event e;
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(peer_receive(packet), sizeof(e));
	assert_int_equal(rf_msg_check(packet, sizeof(e)), 0);
	memcpy(&e, packet, sizeof(e));
	assert_int_equal(e.h.type, RF_MSG_EVENT);
	return e;
}

struct rf_msg_done peer_done(void)
{
	struct rf_msg_done d;
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(peer_receive(packet), sizeof(d));
	memcpy(&d, packet, sizeof(d));
	assert_int_equal(d.h.type, RF_MSG_DONE);
	return d;
}

void peer_verdict(uint64_t id, uint32_t word)
{
	struct rf_msg_verdict v = { .id = id, .verdict = word };

	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	peer_tell(&v, sizeof(v));
}
