// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence watch` enters the process that asks for it, and no other: not who shares its
 * connection, not who has its id by then, and nobody twice. */
#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/proto.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/watch_actors.h"

/* Two processes that share a connection, each says it once. */
static int one_each(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .word = 0 };
	struct rf_watch_from from;
	pid_t other;
	int err;

	if (step == 1)
		return rf_watch_ask(&s->sock, &s->page, reason);
	other = step == 2 ? 0 : fork();
	if (!other) {
		rf_watch_send(s->sock, RF_WATCH_ENTER, NULL, -1);
		if (step == 3)
			_exit(0);
	}
	do {
		usleep(1000);
		err = rf_watch_receive(s->sock, &p, &from);
	} while (err == -EAGAIN);
	/* Its number is its own until now, however late the service gets to what it has sent. */
	if (other)
		waitpid(other, NULL, 0);
	return err ? err : (int)p.word;
}

static void never_another_process(void **state)
{
	NEEDS_BPF();
	start(0, one_each);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(0), RF_WATCH_AGAIN);
	/* Whoever sends the second one is another: asked in its turn, and entered by nobody's
	 * word. */
	assert_int_equal(goes_on(0), RF_WATCH_AGAIN);
	assert_int_equal(service.count, 1);
	assert_false(service.clients[0].entered);
	assert_int_equal(place_of(0), 0);
}

/* The process that was asked again has ended, and another one has got its id. */
static void id_given_out_again(void **state)
{
	int sock, page, status, ended, ends_[2];
	struct rf_watch_packet p;
	struct rf_watch_from from;
	struct clone_args args = { .exit_signal = SIGCHLD };
	struct pollfd answer = { .events = POLLIN };
	pid_t first, second;
	int err;

	NEEDS_BPF();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends_), 0);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	start(0, as_it_should); /* only to know that the service is there */
	assert_int_equal(goes_on(0), 0);
	first = fork();
	if (!first) {
		become_user();
		if (rf_watch_ask(&sock, &page, why) ||
		    rf_watch_send(sock, RF_WATCH_ENTER, NULL, -1))
			_exit(1);
		rf_msg_send(ends_[1], "x", 1, &sock, 1);
		/* Who has ended before he is looked at is not asked again. */
		answer.fd = sock;
		_exit(poll(&answer, 1, 60000) != 1);
	}
	ended = (int)syscall(SYS_pidfd_open, first, 0);
	assert_true(ended >= 0);
	do {
		rf_watch_service_step(&service, ended);
		err = waitpid(first, &status, WNOHANG);
	} while (!err);
	close(ended);
	assert_int_equal(status, 0);
	serve();
	close(sock);
	assert_int_equal(rf_packet_receive(ends_[0], 1000, &p, sizeof(p), &sock, 1), 1);
	while (rf_watch_receive(sock, &p, &from))
		usleep(1000);
	assert_int_equal(p.word, RF_WATCH_AGAIN);
	args.set_tid = (uint64_t)(uintptr_t)&first;
	args.set_tid_size = 1;
	second = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (second < 0) {
		LEAVE_OUT("no process can be given an id: %s", strerror(errno));
	}
	if (!second) {
		become_user();
		_exit(rf_watch_send(sock, RF_WATCH_ENTER, NULL, -1) ? 1 : 0);
	}
	assert_int_equal(second, first);
	answer.fd = sock;
	for (int i = 0; i < 20 && !poll(&answer, 1, 0); i++)
		rf_watch_service_step(&service, -1);
	assert_int_equal(rf_vms_page(service.watch.vms, second), 0);
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(status, 0);
	while (rf_watch_receive(sock, &p, &from))
		usleep(1000);
	assert_int_equal(p.word, RF_WATCH_REFUSED);
	close(sock);
	close(ends_[0]);
	close(ends_[1]);
}

/* A second page for a process that has one, and what it says of others. */
static int twice(struct actor_state *s, int step, char *reason)
{
	int other, page;

	if (step != 3)
		return as_it_should(s, step, reason);
	return rf_watch_ask(&other, &page, reason) ?: rf_watch_enter(other, reason);
}

static void once_alone(void **state)
{
	uint32_t page;

	NEEDS_BPF();
	start(0, twice);
	goes_on(0);
	assert_int_equal(goes_on(0), 0);
	page = place_of(0);
	assert_int_equal(goes_on(0), -EPERM);
	assert_non_null(strstr(shared->actors[0].why, "cannot be entered: File exists"));
	assert_int_equal(place_of(0), page);
	assert_int_equal(goes_on(0), 1);
}

/* --- another user's page ------------------------------------------------------------------ */

static int handed[2];

static int hands_over(struct actor_state *s, int step, char *reason)
{
	int err = rf_watch_ask(&s->sock, &s->page, reason);

	return err ? err : rf_msg_send(handed[1], "x", 1, &s->sock, 1);
}

static int is_handed(struct actor_state *s, int step, char *reason)
{
	char x;

	if (rf_packet_receive(handed[0], -1, &x, 1, &s->sock, 1) != 1)
		return -EBADF;
	return rf_watch_enter(s->sock, reason);
}

/* Whoever has the connection has no place by that: the page is its user's. */
static void of_its_user(void **state)
{
	NEEDS_BPF();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, handed), 0);
	start(0, hands_over);
	start_as(1, OTHER_USER, is_handed);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(1), -EPERM);
	assert_non_null(strstr(shared->actors[1].why, "refuses: Operation not permitted"));
	assert_int_equal(place_of(1), 0);
	serve();
	assert_int_equal(service.count, 0);
	close(handed[0]);
	close(handed[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(never_another_process),
		TEST(id_given_out_again),
		TEST(once_alone),
		TEST(of_its_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
