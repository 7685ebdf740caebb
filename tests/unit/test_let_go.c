// SPDX-License-Identifier: LGPL-2.1-or-later
/* What comes with a descriptor is not received, and nobody waits for what he lets go of. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "cli/let_go.h"
#include "hv/proto.h"
#include "tests/unit/lingering.h"
#include "tests/unit/open_fds.h"

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
static int ends[2]; /* ours, theirs */

static void make_pair(int type)
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_pair(void)
{
	close(ends[0]);
	close(ends[1]);
}

static void they_send(const char *text, int fd)
{
	assert_int_equal(rf_msg_send(ends[1], text, strlen(text), &fd, fd >= 0), 0);
}

static void plain_messages(void **state)
{
	char got[16] = "";

	for (size_t i = 0; i < 2; i++) {
		make_pair(types[i]);
		assert_int_equal(rf_take(ends[0], got, sizeof(got)), -EAGAIN);
		they_send("hello", -1);
		assert_int_equal(rf_take(ends[0], got, sizeof(got)), 5);
		assert_memory_equal(got, "hello", 5);
		/* Of a stream the rest comes next; of a packet it is lost. */
		they_send("hello", -1);
		assert_int_equal(rf_take(ends[0], got, 2), 2);
		assert_int_equal(rf_take(ends[0], got, sizeof(got)), i ? -EAGAIN : 3);
		/* It has hung up with something of ours unread: what it sent before is taken. */
		assert_int_equal(send(ends[0], "x", 1, 0), 1);
		they_send("last", -1);
		close(ends[1]);
		assert_int_equal(rf_take(ends[0], got, sizeof(got)), 4);
		assert_int_equal(rf_take(ends[0], got, sizeof(got)), 0);
		close(ends[0]);
	}
}

static void descriptors_stay(void **state)
{
	int pipes[2], before;
	char got[16];

	for (size_t i = 0; i < 2; i++) {
		make_pair(types[i]);
		assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
		they_send("plain", -1);
		they_send("with", pipes[1]);
		close(pipes[1]);
		before = open_fds();
		/* A stream looks as far as that. */
		if (types[i] == SOCK_SEQPACKET)
			assert_int_equal(rf_take(ends[0], got, sizeof(got)), 5);
		for (int n = 0; n < 3; n++)
			assert_int_equal(rf_take(ends[0], got, sizeof(got)), -EBADF);
		assert_int_equal(open_fds(), before);
		/* It is there still: the pipe has a writer. */
		assert_int_equal(read(pipes[0], got, 1), -1);
		assert_int_equal(errno, EAGAIN);
		close_pair();
		assert_int_equal(read(pipes[0], got, 1), 0);
		close(pipes[0]);
	}
}

static void nothing_is_taken(void **state)
{
	char got[16];

	for (size_t i = 0; i < 2; i++) {
		make_pair(types[i]);
		rf_take_nothing(ends[0]);
		assert_int_equal(send(ends[1], "x", 1, MSG_NOSIGNAL), -1);
		assert_int_equal(errno, EPIPE);
		assert_int_equal(send(ends[0], "ours", 4, MSG_NOSIGNAL), 4);
		assert_int_equal(recv(ends[1], got, sizeof(got), 0), 4);
		close_pair();
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Who lets go of ours last in its own way; `what` of it. True: it is still at it after a while. */
static bool waits(void (*what)(int sock))
{
	int words[2];
	bool done = false;
	char c;
	pid_t pid;

	assert_int_equal(pipe(words), 0);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		close(words[1]);
		/* Not before it is the last one here. */
		if (!read(words[0], &c, 1))
			what(ends[0]);
		_exit(0);
	}
	close(ends[0]);
	close(words[0]);
	close(words[1]);
	for (int i = 0; i < 300 && !done; i++) {
		done = waitpid(pid, NULL, WNOHANG) == pid;
		usleep(10000);
	}
	if (!done) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ends[1]);
	return !done;
}

static void closes(int sock)
{
	close(sock);
}

static void receives(int sock)
{
	char got[16];

	while (recv(sock, got, sizeof(got), MSG_DONTWAIT) >= 0)
		;
}

/* A byte out of band, which a look passes over. */
static void they_send_out_of_band(int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	char urgent = '!';
	struct iovec byte = { &urgent, 1 };
	struct msghdr m = { .msg_iov = &byte,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };

	control.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	assert_int_equal(sendmsg(ends[1], &m, MSG_OOB), 1);
}

static const struct way {
	int type;
	bool behind; /* plain messages, of which one may be empty */
	bool oob;
} ways[] = {
	{ SOCK_STREAM, true, false },
	{ SOCK_SEQPACKET, true, false },
	{ SOCK_STREAM, true, true },
	{ SOCK_STREAM, false, true },
};

static void they_send_what_lingers(const struct way *w)
{
	int fd = lingering();

	assert_true(fd >= 0);
	make_pair(w->type);
	if (w->behind)
		they_send("plain", -1);
	if (w->type == SOCK_SEQPACKET)
		they_send("", -1);
	if (w->oob)
		they_send_out_of_band(fd);
	else
		they_send("with", fd);
	close(fd);
	if (w->oob)
		they_send("more", -1);
}

/* All that is given. */
static void takes(int sock)
{
	char got[16];

	while (rf_take(sock, got, sizeof(got)) > 0)
		;
}

static void nobody_waits(void **state)
{
	int64_t began;
	int before;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		/* The controls. */
		they_send_what_lingers(&ways[i]);
		assert_true(waits(closes));
		they_send_what_lingers(&ways[i]);
		assert_true(waits(receives));

		they_send_what_lingers(&ways[i]);
		before = open_fds();
		began = now_ms();
		takes(ends[0]);
		rf_let_go(ends[0]);
		assert_in_range(now_ms() - began, 0, LINGERS_S * 1000 / 2);
		assert_int_equal(open_fds(), before - 1);
		/* Nor is a child left to be waited for. */
		assert_int_equal(waitpid(-1, NULL, 0), -1);
		assert_int_equal(errno, ECHILD);
		/* Reset, once that is closed with something unread (unix_release_sock()). */
		assert_int_equal(send(ends[1], "x", 1, MSG_NOSIGNAL), -1);
		assert_true(errno == EPIPE || errno == ECONNRESET);
		close(ends[1]);
	}
}

/* Without a descriptor nobody else is needed: what came is passed over. */
static void plain_is_closed(void **state)
{
	char got;

	for (size_t i = 0; i < 2; i++) {
		make_pair(types[i]);
		they_send("plain", -1);
		if (types[i] == SOCK_SEQPACKET)
			they_send("", -1);
		they_send("more", -1);
		rf_let_go(ends[0]);
		assert_int_equal(recv(ends[1], &got, 1, 0), 0);
		close(ends[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_messages),   cmocka_unit_test(descriptors_stay),
		cmocka_unit_test(nothing_is_taken), cmocka_unit_test(nobody_waits),
		cmocka_unit_test(plain_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
