// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence watch` is held up by nobody: what a client sends with a descriptor, and how often. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/watch_keep.h"
#include "hv/proto.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/lingering.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/watch_actors.h"

/* --- who sends what ------------------------------------------------------------------------ */

static int dial(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", getenv(RF_WATCH_ENVIRONMENT));
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	close(fd);
	return -errno;
}

/* Odd steps without, even ones with it, as the last holder: it is with the packet alone. */
static int sends_what_lingers(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	int fd = dial(), with = lingering_for(3600), err;

	if (fd < 0 || with < 0)
		return -EBADF;
	err = rf_msg_send(fd, &p, sizeof(p), &with, step % 2 ? 0 : 1) ? -errno : 0;
	if (!err && !(step % 2))
		close(with);
	return err;
}

/* Who is refused at once has sent nothing. */
static void everybody_may_send(void)
{
	descriptors_may_come(true);
	listen(listener, 1024);
	service.per_user = RF_WATCH_CLIENTS;
}

static int many; /* of those, in a step */

static int sends_many(struct actor_state *s, int step, char *reason)
{
	int err = 0;

	for (int i = 0; !err && i < many; i++)
		err = sends_what_lingers(s, 2, reason);
	return err;
}

static int with_descriptor, without_end;

/* Its connections are over at once, with /dev/null in each of them or nothing. Who comes without end
 * has more descriptors under way now and then than the kernel lets a user have (unix_attach_fds()). */
static int sends_null(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	int null = open("/dev/null", O_RDONLY), err = 0;

	for (int i = 0; !err && (without_end || i < many); i++) {
		int fd = dial();

		err = fd < 0 ? fd : rf_msg_send(fd, &p, sizeof(p), &null, with_descriptor);
		close(fd);
		if (without_end && err == -ETOOMANYREFS)
			err = 0;
	}
	close(null);
	return err;
}

static int asks_and_leaves(struct actor_state *s, int step, char *reason)
{
	int err = rf_watch_ask(&s->sock, &s->page, reason);

	close(s->sock);
	close(s->page);
	return err;
}

/* --- what becomes of the service ----------------------------------------------------------- */

/* The longest step of the service, in ms. */
static int64_t longest(int ms)
{
	int64_t worst = 0, until = rf_now_ms() + ms;

	while (rf_now_ms() < until) {
		int64_t began = rf_now_ms();

		service.look_at = 0;
		rf_watch_service_step(&service, -1);
		if (rf_now_ms() - began > worst)
			worst = rf_now_ms() - began;
		usleep(1000);
	}
	return worst;
}

#define LISTED 64

/* Adds the children of that one that are no actors and not the keeper. */
static unsigned int list_children(pid_t parent, pid_t *list, unsigned int n)
{
	char name[64];
	int pid;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(name, "r");
	while (f && n < LISTED && fscanf(f, "%d", &pid) == 1) {
		bool other = service.inbox >= 0 && pid == service.keeper;

		for (int i = 0; i < ACTORS; i++)
			other |= pid == actors[i];
		if (!other)
			list[n++] = pid;
	}
	if (f)
		fclose(f);
	return n;
}

static unsigned int list_of_root(pid_t *list)
{
	unsigned int n = list_children(getpid(), list, 0);

	return service.inbox >= 0 ? list_children(service.keeper, list, n) : n;
}

/* The service's processes beside itself and its keeper. Those of two lists were there in between,
 * all at once: one list may have one that goes and the one that comes after it. */
static unsigned int of_root(void)
{
	pid_t first[LISTED], second[LISTED];
	unsigned int count[2], n = 0;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	count[0] = list_of_root(first);
	count[1] = list_of_root(second);
	for (unsigned int i = 0; i < count[0]; i++)
		for (unsigned int j = 0; j < count[1]; j++)
			n += first[i] == second[j];
	return n;
}

/* There are so many, and at no time more than one user may have. */
static void until_closing(unsigned int wanted)
{
	unsigned int n = of_root();

	for (int64_t until = rf_now_ms() + 60000; n != wanted && rf_now_ms() < until;
	     n = of_root()) {
		assert_in_range(n, 0, RF_WATCH_CLOSERS_OF);
		rf_watch_service_step(&service, -1);
		usleep(1000);
	}
	assert_int_equal(n, wanted);
}

/* What it can do where the kernel keeps descriptors away; else the next ones tell. */
static void no_descriptor_is_sent(void **state)
{
	int on;
	socklen_t len = sizeof(on);

	NEEDS_BPF();
	if (getsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &on, &len)) {
		LEAVE_OUT("this kernel lets descriptors come");
	}
	service.per_user = 5; /* each step leaves a connection */
	start(0, sends_what_lingers);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(0), -EPERM);
	descriptors_may_come(true);
	goes_on(0);
	assert_int_equal(goes_on(0), 0);
}

static void held_by_a_descriptor(void **state)
{
	int before;

	NEEDS_BPF();
	descriptors_may_come(true);
	start(0, sends_what_lingers);
	start(1, as_it_should);
	before = open_fds();
	shared->actors[0].step = 1;
	assert_in_range(longest(500), 0, 5000);
	assert_int_equal(service.count, 1);
	assert_int_equal(service.doomed_count, 0);
	shared->actors[0].step = 2;
	assert_in_range(longest(1500), 0, 5000);
	assert_int_equal(shared->actors[0].done, 2);
	assert_int_equal(shared->actors[0].result, 0);
	assert_int_equal(service.count, 1);
	/* The others are served, and nothing of it is left here. */
	gets_a_place(1);
	ends(0);
	ends(1);
	until_closing(0);
	serve();
	assert_int_equal(service.count, 0);
	assert_int_equal(service.doomed_count, 0);
	assert_int_equal(open_fds(), before + 1); /* the keeper's inbox */
}

/* Those that hold a connection: a queue of them, and the other user's place. */
static void many_that_hold(void **state)
{
	NEEDS_BPF();
	everybody_may_send();
	many = 200;
	start(0, sends_many);
	assert_int_equal(goes_on(0), 0);
	longest(100);
	assert_int_equal(service.count, 0);
	/* All are the keeper's, so many of them in somebody's hands. */
	assert_int_equal(service.doomed_count, 0);
	until_closing(RF_WATCH_CLOSERS_OF);
	start_as(1, OTHER_USER, as_it_should);
	gets_a_place(1);
	until_closing(RF_WATCH_CLOSERS_OF); /* still, or those after them */
}

/* One's time is over: the next one has its turn. */
static void each_in_its_turn(void **state)
{
	NEEDS_BPF();
	everybody_may_send();
	many = RF_WATCH_CLOSERS_OF + 1;
	start(0, sends_many);
	assert_int_equal(goes_on(0), 0);
	until_closing(RF_WATCH_CLOSERS_OF);
	until_closing(1);
	until_closing(0);
}

/* The keeper is ended by somebody: there is another one. */
static void without_its_keeper(void **state)
{
	siginfo_t end;
	pid_t first;

	NEEDS_BPF();
	descriptors_may_come(true);
	start(0, sends_what_lingers);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(0), 0);
	longest(100);
	first = service.keeper;
	assert_true(first > 0);
	kill(first, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)first, &end, WEXITED | WNOWAIT), 0);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(0), 0);
	longest(100);
	assert_int_equal(service.doomed_count, 0);
	assert_int_not_equal(service.keeper, first);
}

/* Many that are not even accepted, as the service ends, and some that are. */
static void held_at_the_end(void **state)
{
	int64_t began;

	NEEDS_BPF();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	everybody_may_send();
	many = 14;
	start(0, sends_many);
	assert_int_equal(goes_on(0), 0);
	until_closing(RF_WATCH_CLOSERS_OF);
	shared->actors[0].step++;
	while (shared->actors[0].done < 2)
		usleep(1000);
	assert_int_equal(shared->actors[0].result, 0);
	began = rf_now_ms();
	rf_watch_service_shut(&service);
	rf_watch_service_deinit(&service);
	close(listener);
	listener = -1;
	assert_in_range(rf_now_ms() - began, 0, 5000);
	/* The keeper, until it has seen that. */
	for (int i = 0; i < 6000 && of_root(); i++) {
		assert_in_range(of_root(), 0, RF_WATCH_CLOSERS_OF + 1);
		usleep(10000);
	}
	assert_int_equal(of_root(), 0);
}

/* --- by many connections ------------------------------------------------------------------- */

/* Each second one without descriptors, which shows what the others take. */
static void after_many(void **state)
{
	NEEDS_BPF();
	everybody_may_send();
	many = 600;
	for (with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
		int steps = 0;

		start(0, sends_null);
		shared->actors[0].done = shared->actors[1].done = 0;
		shared->actors[0].step = 1;
		while (!shared->actors[0].done)
			usleep(1000);
		assert_int_equal(shared->actors[0].result, 0);
		ends(0);
		start_as(1, OTHER_USER, asks_and_leaves);
		shared->actors[1].step = 1;
		for (; !shared->actors[1].done && steps < many; steps++)
			rf_watch_service_step(&service, -1);
		assert_int_equal(shared->actors[1].result, 0);
		/* He is behind all of them. */
		assert_in_range(steps, many / RF_WATCH_TAKES, many / 2);
		ends(1);
		shared->actors[1].step = 0;
		serve();
	}
}

static void while_they_come(void **state)
{
	NEEDS_BPF();
	everybody_may_send();
	without_end = true;
	start_as(1, OTHER_USER, asks_and_leaves);
	for (with_descriptor = 0; with_descriptor < 2; with_descriptor++) {
		start(0, sends_null);
		shared->actors[0].step = 1;
		for (int i = 0; i < 100; i++)
			rf_watch_service_step(&service, -1);
		for (int i = 0; i < 8; i++) {
			int wanted = ++shared->actors[1].step;

			/* As it goes, with what it waits for itself. */
			while (shared->actors[1].done < wanted)
				rf_watch_service_step(&service, -1);
			assert_int_equal(shared->actors[1].result, 0);
		}
		/* It is still at it. */
		assert_int_equal(shared->actors[0].done, 0);
		assert_in_range(of_root(), 0, RF_WATCH_CLOSERS_OF);
		ends(0);
	}
	without_end = false;
}

/* --- by nobody's answer -------------------------------------------------------------------- */

static bool is_in(pid_t pid, long call)
{
	char name[64];
	long which = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/syscall", (int)pid);
	f = fopen(name, "r");
	if (!f || fscanf(f, "%ld", &which) != 1)
		which = -1;
	if (f)
		fclose(f);
	return which == call;
}

/* To get through and to be answered take ten seconds of its clock together, and not each. */
static void one_deadline(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int first, waits = -1;

	NEEDS_BPF();
	listen(listener, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	first = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(first, (struct sockaddr *)&at, sizeof(at)), 0);
	shared->clock = 1000;
	start(0, asks_and_leaves);
	shared->actors[0].step = 1;
	while (!is_in(actors[0], SYS_connect))
		usleep(1000);
	shared->clock += 9000;
	close(accept(listener, NULL, NULL));
	while (waits < 0) {
		waits = accept(listener, NULL, NULL);
		usleep(1000);
	}
	shared->clock += 1001;
	for (int i = 0; i < 20000 && !shared->actors[0].done; i++)
		usleep(1000);
	assert_int_equal(shared->actors[0].done, 1);
	assert_int_equal(shared->actors[0].result, -ETIMEDOUT);
	close(first);
	close(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_descriptor_is_sent),
		TEST(held_by_a_descriptor),
		TEST(many_that_hold),
		TEST(each_in_its_turn),
		TEST(without_its_keeper),
		TEST(held_at_the_end),
		TEST(after_many),
		TEST(while_they_come),
		TEST(one_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
