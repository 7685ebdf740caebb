// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence watch` is held up by nobody: not by what a client sends, not by what one has left. */
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv/proto.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/watch_actors.h"

/* --- by what whoever closes it waits for --------------------------------------------------- */

/* A TCP socket with bytes that nobody reads, which waits for that as it is closed. */
static int lingering(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger wait = { .l_onoff = 1, .l_linger = 20 };
	int at = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	static char room[65536];
	socklen_t len = sizeof(to);

	if (bind(at, (struct sockaddr *)&to, sizeof(to)) || listen(at, 4) ||
	    getsockname(at, (struct sockaddr *)&to, &len) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) || accept(at, NULL, NULL) < 0)
		return -1;
	while (send(fd, room, sizeof(room), MSG_DONTWAIT) > 0)
		;
	close(at);
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)) ? -1 : fd;
}

/* Odd steps without, even ones with it, as the last holder: it is with the packet alone. */
static int sends_what_lingers(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), with = lingering(), err;

	if (with < 0)
		return -EBADF;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", getenv(RF_WATCH_ENVIRONMENT));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	err = rf_msg_send(fd, &p, sizeof(p), &with, step % 2 ? 0 : 1) ? -errno : 0;
	if (!err && !(step % 2))
		close(with);
	return err;
}

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

/* What it can do where the kernel keeps descriptors away; else the next ones tell. */
static void no_descriptor_is_sent(void **state)
{
	int on;
	socklen_t len = sizeof(on);

	NEEDS_BPF();
	if (getsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &on, &len)) {
		print_message("this kernel lets descriptors come\n");
		skip();
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
	for (int i = 0; i < 50 && service.doomed_count; i++)
		longest(100);
	serve();
	assert_int_equal(service.count, 0);
	assert_int_equal(service.doomed_count, 0);
	assert_int_equal(open_fds(), before);
}

/* Closers that do not come to their end: so many for one user, and others are served. */
static void many_that_hold(void **state)
{
	NEEDS_BPF();
	descriptors_may_come(true);
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		service.doomed[service.doomed_count++] = (struct rf_watch_doomed){
			.sock = -1, .uid = FAKE_BPFFS_USER, .pid = pid, .until = rf_now_ms() + 60000
		};
	}
	start(0, sends_what_lingers);
	shared->actors[0].done = 1;
	shared->actors[0].step = 2;
	assert_in_range(longest(500), 0, 5000);
	assert_int_equal(shared->actors[0].result, 0);
	assert_int_equal(service.count, 0);
	assert_int_equal(service.doomed_count, 5);
	assert_int_equal(service.doomed[4].pid, 0);
	assert_true(service.doomed[4].sock >= 0);
	start_as(1, OTHER_USER, as_it_should);
	gets_a_place(1);
	/* One's time is over: the next one has its turn. */
	service.doomed[2].until = 0;
	for (int i = 0; i < 50 && service.doomed_count > 3; i++)
		assert_in_range(longest(100), 0, 5000);
	assert_int_equal(service.doomed_count, 3);
	for (int i = 0; i < 3; i++)
		service.doomed[i].until = 0;
	for (int i = 0; i < 50 && service.doomed_count; i++)
		longest(100);
	assert_int_equal(service.doomed_count, 0);
}

/* One that is not even accepted, as the service ends. */
static void held_at_the_end(void **state)
{
	int64_t began;

	NEEDS_BPF();
	descriptors_may_come(true);
	start(0, sends_what_lingers);
	shared->actors[0].done = 1;
	shared->actors[0].step = 2;
	while (shared->actors[0].done < 2)
		usleep(1000);
	assert_int_equal(shared->actors[0].result, 0);
	began = rf_now_ms();
	rf_watch_service_deinit(&service);
	rf_watch_service_shut(&service);
	close(listener);
	listener = -1;
	assert_in_range(rf_now_ms() - began, 0, 5000);
}

/* --- by those that an earlier service has entered ------------------------------------------ */

/* 3: the service is another one. 4: it wants to be adopted once more. */
static int adopted(struct actor_state *s, int step, char *reason)
{
	int sock;

	if (step < 3)
		return as_it_should(s, step, reason);
	if (step == 3)
		return rf_watch_adopt(getpid(), 5000, &s->sock, reason);
	if (step == 4)
		return rf_watch_adopt(getpid(), 5000, &sock, reason);
	return as_it_should(s, step, reason);
}

/* Not entered, and then for a process of its user that is, and is not its child. */
static int adopted_early(struct actor_state *s, int step, char *reason)
{
	if (step == 1)
		return rf_watch_ask(&s->sock, &s->page, reason);
	return rf_watch_adopt(step == 2 ? getpid() : shared->other, 5000, &s->sock, reason);
}

static void another_service(void **state)
{
	uint32_t page;

	NEEDS_BPF();
	start(0, adopted);
	start(1, adopted_early);
	goes_on(0);
	assert_int_equal(goes_on(0), 0);
	goes_on(1);
	page = place_of(0);
	assert_int_equal(goes_on(1), -EPERM);
	rf_watch_service_deinit(&service);
	assert_int_equal(rf_watch_service_init(&service, "/dev/kvm", listener, 3), 0);
	assert_int_equal(place_of(0), page); /* it was watched all the time */
	shared->other = actors[0];
	assert_int_equal(goes_on(1), -EPERM);
	assert_non_null(strstr(shared->actors[1].why, "No such file"));
	assert_int_equal(goes_on(0), 0);
	assert_non_null(client_of(0));
	assert_int_equal(client_of(0)->page.id, page);
	assert_int_equal(goes_on(0), -EPERM);
	assert_non_null(strstr(shared->actors[0].why, "already in progress"));
	serve();
	assert_non_null(client_of(0));
	ends(0);
	serve();
	assert_null(client_of(0));
}

/* Another user's process that has this id. */
static void another_of_that_id(pid_t id)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = (uint64_t)(uintptr_t)&id,
				   .set_tid_size = 1 };

	actors[2] = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (actors[2] < 0) {
		actors[2] = 0;
		print_message("no process can be given an id: %s\n", strerror(errno));
		skip();
	}
	if (!actors[2])
		be_actor(2, OTHER_USER, as_it_should);
}

static void other_service(void)
{
	rf_watch_service_deinit(&service);
	assert_int_equal(rf_watch_service_init(&service, "/dev/kvm", listener, 3), 0);
}

/* Its `run` never comes to the next service: its entry goes with it. */
static void left_behind(void **state)
{
	uint32_t page;
	pid_t id;

	NEEDS_BPF();
	start(0, as_it_should);
	gets_a_place(0);
	page = place_of(0);
	id = actors[0];
	other_service();
	serve();
	assert_int_equal(place_of(0), page); /* for as long as it lives */
	ends(0);
	serve();
	assert_int_equal(service.count, 0);
	assert_int_equal(rf_vms_page(service.watch.vms, id), 0);
	another_of_that_id(id);
	gets_a_place(2);
}

/* The page of a dead one, for the process that has its id now; `lies`: in its start time too. */
static void leave_one(pid_t pid, struct rf_crwatch_page *page, bool lies)
{
	assert_int_equal(rf_crwatch_page_create(page), 0);
	assert_int_equal(rf_vms_enter(service.watch.vms, pid, page), 0);
	page->page->started -= !lies;
}

static void left_behind_with_a_lie(void **state)
{
	struct rf_crwatch_page page;

	NEEDS_BPF();
	start(0, as_it_should);
	leave_one(actors[0], &page, true);
	other_service();
	assert_int_equal(service.found, 1);
	assert_int_equal(place_of(0), page.id);
	gets_a_place(0);
	assert_int_not_equal(place_of(0), page.id);
	ends(0);
	serve();
	assert_int_equal(service.count, 0);
	assert_int_equal(service.found, 0);
	rf_crwatch_page_destroy(&page);
}

static void left_while_nobody_served(void **state)
{
	struct rf_crwatch_page page;

	NEEDS_BPF();
	start(0, as_it_should);
	leave_one(actors[0], &page, false);
	other_service();
	assert_int_equal(service.count, 0);
	assert_int_equal(place_of(0), 0);
	gets_a_place(0);
	rf_crwatch_page_destroy(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_descriptor_is_sent),  TEST(held_by_a_descriptor),     TEST(many_that_hold),
		TEST(held_at_the_end),	      TEST(another_service),	      TEST(left_behind),
		TEST(left_behind_with_a_lie), TEST(left_while_nobody_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
