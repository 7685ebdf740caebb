// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence watch` and those that an earlier service has entered: adopted, or gone with their
 * end. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/leave_out.h"
#include "tests/unit/watch_actors.h"

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
		LEAVE_OUT("no process can be given an id: %s", strerror(errno));
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
		TEST(another_service),
		TEST(left_behind),
		TEST(left_behind_with_a_lie),
		TEST(left_while_nobody_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
