// SPDX-License-Identifier: LGPL-2.1-or-later
/* cli/run_link.c: a monitor's socket that cannot be passed on just now is not lost. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h"
#include "tests/unit/must.h"

#define FILES 32 /* descriptors that the user may have in flight */

static struct rf_run started(void)
{
	struct rf_run r = { .link = { -1, -1 }, .meet = { -1, -1 } };

	MUST(!rf_run_link(&r));
	MUST(!rf_run_meet(&r));
	return r;
}

/* Sends its own descriptor through a pair that nobody reads. */
static void put_in_flight(int to, int fd)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	MUST(sendmsg(to, &m, MSG_DONTWAIT) == 1);
}

/* In a process of a user that nothing else runs under, and who may no more than others. */
static void too_many_in_flight(void)
{
	const struct rlimit few = { FILES, FILES };
	struct rf_run r;
	int pair[2];

	MUST(geteuid() || !setresuid(62941, 62941, 62941));
	MUST(!setrlimit(RLIMIT_NOFILE, &few));
	r = started();
	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	/* Several at once would be quicker; a queue of datagrams is short
	 * (net.unix.max_dgram_qlen), one of packets is not. */
	for (int i = 0; i <= FILES; i++)
		put_in_flight(pair[0], pair[0]);
	MUST(rf_run_introduce(&r) == -ETOOMANYREFS);
	MUST(rf_run_introduce(&r) == -ETOOMANYREFS && r.meet[1] >= 0);
	close(pair[0]);
	close(pair[1]);
	/* The kernel frees what was in flight in a round of its own. */
	for (int i = 0; rf_run_introduce(&r); i++) {
		MUST(i < 5000);
		usleep(1000);
	}
	MUST(r.meet[1] < 0);
}

static void kept_while_too_many_are_in_flight(void **state)
{
	pid_t child = fork();
	int status;

	if (!child) {
		too_many_in_flight();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* `run` reads neither the link nor the socket by which new logs go, and closes both in the end. */
static void nothing_comes_to_run(void **state)
{
	struct rf_run r = started();
	char byte = 0;

	r.logs[0] = r.logs[1] = -1;
	assert_int_equal(rf_run_logs(&r), 0);
	assert_int_equal(send(r.link[1], &byte, 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(send(r.logs[0], &byte, 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(rf_run_introduce(&r), 0);
	assert_int_equal(recv(r.link[1], &byte, 1, MSG_DONTWAIT), 1);
}

static void passed_on_or_nobody_there(void **state)
{
	struct rf_run r = started();

	assert_int_equal(rf_run_introduce(&r), 0);
	assert_int_equal(r.meet[0] & r.meet[1], -1);
	assert_int_equal(rf_run_introduce(&r), 0); /* nothing to do */
	/* The queue of a VMM that takes nothing is short. */
	for (int i = 0; !rf_run_introduce(&r); i++) {
		assert_true(i < 1000);
		assert_int_equal(rf_run_meet(&r), 0);
	}
	assert_int_equal(rf_run_introduce(&r), -EAGAIN);
	assert_int_equal(r.meet[0], -1); /* the monitor's own is the only one */
	close(r.link[1]);		 /* it has ended */
	assert_int_equal(rf_run_introduce(&r), 0);
	assert_int_equal(r.meet[1], -1);
	close(r.link[0]);
}

/* Between fork() and exec(): it ends with `run`, and inherits one descriptor. */
static void entered(void **state)
{
	struct rf_run r = started();
	pid_t run = getpid(), child = fork();
	int status, signal = 0;

	if (!child) {
		MUST(fcntl(r.link[1], F_GETFD) == FD_CLOEXEC);
		MUST(!rf_run_link_enter(&r, run));
		MUST(!prctl(PR_GET_PDEATHSIG, &signal) && signal == SIGKILL);
		MUST(!fcntl(r.link[1], F_GETFD) && fcntl(r.link[0], F_GETFD) == FD_CLOEXEC);
		MUST(atoi(getenv("RINGFENCE_LINK")) == r.link[1]);
		/* It has another parent already: nobody would end it. */
		MUST(rf_run_link_enter(&r, run + 1) == -ESRCH);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passed_on_or_nobody_there),
		cmocka_unit_test(nothing_comes_to_run),
		cmocka_unit_test(entered),
		cmocka_unit_test(kept_while_too_many_are_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
