// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * cli/run_control.c, with the watch itself made up: when `run` looks, what it says, what the
 * monitor hears, and what becomes of the VMM while its watch is lost. The VMM is a process that
 * sleeps.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/output.h"
#include "cli/run.h"
#include "cli/watch_link.h"
#include "monitor/watched.h"

static struct {
	int64_t now;
	bool there;	/* the watch */
	bool displaced; /* the VMM is not on its map */
	uid_t uid;
	int hears; /* what rf_watch_hear() says */
	int open;  /* what rf_crwatch_open() says */
	const char *why;
	unsigned int opened, entered, left, looks, adopted;
	uint32_t left_page;
	char said[1024];
	int failed;
} fake;

int64_t rf_now_ms(void)
{
	return fake.now;
}

void rf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fake.said, sizeof(fake.said), format, args);
	va_end(args);
}

int rf_fail(int code, const char *consequence, const char *advice, const char *format, ...)
{
	fake.failed = code;
	return code;
}

int rf_crwatch_open(const char *kvm, uint32_t wait_ms, struct rf_crwatch *out, char *why)
{
	fake.opened++;
	if (fake.open) {
		snprintf(why, RF_CRWATCH_WHY, "%s", fake.why);
		return fake.open;
	}
	*out = (struct rf_crwatch){ .vms = 100 + (int)fake.opened };
	return 0;
}

void rf_crwatch_close(struct rf_crwatch *w)
{
	*w = RF_CRWATCH_NONE;
}

int rf_crwatch_page_create(struct rf_crwatch_page *out)
{
	static struct rf_cr_page memory;

	*out = (struct rf_crwatch_page){ .page = &memory, .fd = 1000, .id = 77 };
	return 0;
}

int rf_crwatch_check(const struct rf_crwatch *w, char *why)
{
	fake.looks++;
	if (!fake.there)
		snprintf(why, RF_CRWATCH_WHY, "its map is not pinned");
	return fake.there ? 0 : -ENOENT;
}

int rf_crwatch_check_place(const struct rf_crwatch *w, pid_t pid, uint32_t page, char *why)
{
	assert_int_equal(page, 77);
	if (fake.displaced)
		snprintf(why, RF_CRWATCH_WHY, "is not in its map");
	return fake.displaced ? -ENOENT : 0;
}

/* --- another user's: what the service says ------------------------------------- */

uid_t geteuid(void)
{
	return fake.uid;
}

int rf_watch_ask(int *sock, int *page, char *why)
{
	if (fake.open) {
		snprintf(why, RF_CRWATCH_WHY, "%s", fake.why);
		return fake.open;
	}
	*sock = dup(0);
	*page = dup(0);
	return 0;
}

int rf_watch_enter(int sock, char *why)
{
	return 0;
}

int rf_watch_adopt(pid_t vmm, int64_t wait_ms, int *sock, char *why)
{
	fake.adopted++;
	if (fake.open) {
		snprintf(why, RF_CRWATCH_WHY, "%s", fake.why);
		return fake.open;
	}
	*sock = dup(0);
	return 0;
}

int rf_watch_hear(int sock, char *why)
{
	fake.looks++;
	if (fake.hears < 0)
		snprintf(why, RF_CRWATCH_WHY, "%s", fake.why);
	return fake.hears;
}

/* --- root's -------------------------------------------------------------------- */

int rf_crwatch_enter(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *page,
		     bool replace, uint32_t wait_ms, char *why)
{
	fake.entered++;
	assert_true(w->vms > 100);
	assert_true(replace); /* the VMM is its own child, whoever else has put it there */
	fake.there = true;
	fake.displaced = false;
	return 0;
}

void rf_crwatch_leave(const struct rf_crwatch *w, pid_t pid, uint32_t page)
{
	fake.left++;
	fake.left_page = page;
}

/* --- each test -------------------------------------------------------------------- */

static struct rf_run run;
static int monitor; /* its end */
static pid_t vmm;

int rf_run_order(struct rf_run *r, const void *packet, size_t size, int fd)
{
	assert_int_equal(fd, -1);
	if (send(r->orders[0], packet, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	r->deaf = true; /* as cli/run_logs.c has it */
	return -EPIPE;
}

static int setup(void **state)
{
	int ends[2];

	memset(&fake, 0, sizeof(fake));
	fake.now = 1000000;
	fake.there = true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return -1;
	monitor = ends[1];
	run = (struct rf_run){
		.name = "web",
		.orders = { ends[0], -1 },
		.control = { .watch = RF_CRWATCH_NONE, .service = -1, .page = RF_CRWATCH_NO_PAGE }
	};
	run.now.pin_control = true;
	vmm = fork();
	if (!vmm) {
		pause();
		_exit(0);
	}
	return vmm < 0;
}

static int teardown(void **state)
{
	kill(vmm, SIGKILL);
	waitpid(vmm, NULL, 0);
	close(run.orders[0]);
	close(monitor);
	return 0;
}

/* A second later. */
static void look(void)
{
	fake.now += 1000;
	fake.said[0] = '\0';
	rf_run_control_look(&run, vmm, true);
}

/* What the monitor hears next: 1 lost, 0 on, -1 nothing. */
static int hears(const char *why)
{
	struct rf_watched_report r;
	ssize_t n = recv(monitor, &r, sizeof(r), MSG_DONTWAIT);

	if (n < 0)
		return -1;
	assert_int_equal(n, sizeof(r));
	assert_int_equal(r.revision, RF_WATCHED_REVISION);
	if (r.lost && !strstr(r.why, why))
		fail_msg("\"%s\" is not in: %s", why, r.why);
	return (int)r.lost;
}

static void said(const char *text)
{
	if (!strstr(fake.said, text))
		fail_msg("\"%s\" is not in: %s", text, fake.said);
}

/* 'S' or 'T', as soon as it is: a signal takes its time. */
static void vmm_is(char wanted)
{
	const struct timespec pause_ = { .tv_nsec = 10000000 };
	char path[32], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)vmm);
	for (int i = 0; i < 200 && state != wanted; i++) {
		FILE *f = fopen(path, "re");

		assert_non_null(f);
		assert_int_equal(fscanf(f, "%*d %*s %c", &state), 1);
		fclose(f);
		nanosleep(&pause_, NULL);
	}
	assert_int_equal(state, wanted);
}

static void on(void **state)
{
	assert_int_equal(rf_run_control(&run), 0);
	for (int i = 0; i < 3; i++) {
		look();
		assert_int_equal(hears(""), 0);
		assert_string_equal(fake.said, "");
	}
	assert_int_equal(fake.looks, 3);
	assert_int_equal(fake.opened, 1);
	/* Not more often than it is due. */
	rf_run_control_look(&run, vmm, true);
	assert_int_equal(fake.looks, 3);
	assert_int_equal(hears(""), -1);
	assert_int_equal(rf_run_control_due(&run, fake.now + 60000), fake.now + 1000);
	/* Nobody serves: nobody is told. */
	fake.now += 1000;
	rf_run_control_look(&run, vmm, false);
	assert_int_equal(fake.looks, 4);
	assert_int_equal(hears(""), -1);
	rf_run_control_leave(&run, vmm);
	assert_int_equal(fake.left_page, 77);
}

static void none(void **state)
{
	fake.open = -EPERM;
	fake.why = "only root may load it";
	assert_int_equal(rf_run_control(&run), 0);
	said("are not watched: only root may load it");
	look();
	rf_run_control_serves(&run);
	assert_int_equal(fake.looks, 0);
	assert_int_equal(hears(""), -1);
	rf_run_control_leave(&run, vmm);
	assert_int_equal(fake.left, 0);
	assert_int_equal(rf_run_control_due(&run, 5), 5);
	run.now.need_watch = true;
	assert_int_equal(rf_run_control(&run), RF_EXIT_REFUSED);
}

static void lost_and_back(void **state)
{
	rf_run_control(&run);
	look();
	hears("");
	fake.there = false;
	look();
	said("the control-register watch is back");
	/* It hears of one thing after the other. */
	assert_int_equal(hears("its map is not pinned"), 1);
	assert_int_equal(hears(""), -1);
	assert_int_equal(fake.entered, 1);
	assert_int_equal(run.control.watch.vms, 102); /* the one that was opened then */
	look();
	assert_int_equal(fake.opened, 2);
	assert_int_equal(hears(""), 0);
	assert_string_equal(fake.said, "");
}

/* A monitor that is busy, or is none yet, hears of all of it later, and is not ended for that. */
static void told_later(void **state)
{
	rf_run_control(&run);
	for (int i = 0; i < 100; i++)
		look();
	fake.there = false;
	look();
	look();
	assert_true(fake.there);
	assert_false(run.deaf);
	assert_int_equal(hears(""), 0); /* of the first look */
	assert_int_equal(hears(""), -1);
	look();
	assert_int_equal(hears("its map is not pinned"), 1);
	look();
	assert_int_equal(hears(""), 0);
	/* Nobody serves while it is lost. */
	fake.there = false;
	fake.now += 1000;
	rf_run_control_look(&run, vmm, false);
	assert_true(fake.there);
	rf_run_control_serves(&run);
	assert_int_equal(hears("its map is not pinned"), 1);
	look();
	assert_int_equal(hears(""), 0);
	/* It has ended, and `run` has not heard of that yet. */
	close(monitor);
	look();
	assert_false(run.deaf);
	monitor = -1;
}

static void lost_for_long(void **state)
{
	rf_run_control(&run);
	look();
	hears("");
	fake.there = false;
	fake.open = -EACCES;
	fake.why = "is not root's alone";
	look();
	said("cannot be put back: is not root's alone");
	assert_int_equal(hears("its map is not pinned"), 1);
	for (int i = 0; i < 10; i++) {
		look();
		assert_string_equal(fake.said, ""); /* it is said once */
		assert_int_equal(hears("is not root's alone"), 1);
	}
	assert_in_range(fake.opened, 3, 4);
	/* The next monitor hears of it at once. */
	rf_run_control_serves(&run);
	assert_int_equal(hears("is not root's alone"), 1);
	fake.open = 0;
	for (int i = 0; i < 5; i++)
		look();
	while (hears("is not root's alone") == 1)
		;
	assert_false(run.control.lost);
	assert_true(fake.there);
	vmm_is('S'); /* the policy does not require the watch */
}

static void displaced(void **state)
{
	rf_run_control(&run);
	look();
	hears("");
	fake.displaced = true;
	look();
	assert_int_equal(hears("is not in its map"), 1);
	look();
	assert_int_equal(hears(""), 0);
	assert_int_equal(fake.entered, 1);
}

/* Nothing is asked of the kernel, and each loss is one here too. */
static void another_user(void **state)
{
	fake.uid = 1000;
	assert_int_equal(rf_run_control(&run), 0);
	fake.now += 60000; /* the VMM takes its time, and nobody has listened */
	look();
	assert_string_equal(fake.said, "");
	assert_int_equal(hears(""), 0);
	fake.hears = 1;
	look();
	assert_int_equal(hears(""), 0);
	fake.hears = -ENOENT;
	fake.why = "its map is not pinned";
	look();
	said("is lost: its map is not pinned");
	assert_int_equal(hears("its map is not pinned"), 1);
	fake.hears = 0;
	look();
	assert_true(run.control.lost); /* silence is no word of it */
	fake.hears = 1;
	look();
	said("is back");
	assert_false(run.control.lost);
	/* It hangs. */
	fake.hears = 0;
	for (int i = 0; i < 5; i++) {
		fake.now += 60000; /* this process is starved, and the service may be too */
		look();
		assert_false(run.control.lost);
	}
	look();
	said("says nothing");
	assert_true(run.control.lost);
	/* It is gone, and there is another one. */
	fake.hears = -ECONNRESET;
	fake.why = "is gone";
	fake.open = -ENOENT;
	look();
	assert_int_equal(run.control.service, -1);
	for (int i = 0; i < 6; i++)
		look();
	assert_in_range(fake.adopted, 1, 2);
	fake.open = 0;
	fake.hears = 1;
	for (int i = 0; i < 6; i++)
		look();
	assert_false(run.control.lost);
	assert_true(run.control.service >= 0);
	assert_int_equal(fake.opened, 0);
	rf_run_control_leave(&run, vmm);
	assert_int_equal(fake.left, 0);
	close(run.control.service);
	close(run.control.page.fd);
}

static void no_service(void **state)
{
	fake.uid = 1000;
	fake.open = -ENOENT;
	fake.why = "only root may load it";
	assert_int_equal(rf_run_control(&run), 0);
	said("are not watched: only root may load it");
	look();
	assert_int_equal(fake.looks, 0);
	run.now.need_watch = true;
	assert_int_equal(rf_run_control(&run), RF_EXIT_REFUSED);
}

static void lose_the_watch(void)
{
	fake.there = false;
	fake.open = -EACCES;
	fake.why = "is not root's alone";
	look();
}

static void watch_comes_back(void)
{
	fake.open = 0;
	for (int i = 0; i < 5; i++)
		look();
}

static void required(void **state)
{
	run.now.need_watch = true;
	rf_run_control(&run);
	look();
	vmm_is('S');
	assert_false(rf_run_is_paused(&run, vmm));
	lose_the_watch();
	vmm_is('T');
	assert_true(rf_run_is_paused(&run, vmm));
	/* Whoever lets it go on. */
	kill(vmm, SIGCONT);
	vmm_is('S');
	look();
	vmm_is('T');
	watch_comes_back();
	vmm_is('S');
	assert_false(rf_run_is_paused(&run, vmm));
}

/* What a check has paused is not resumed by the watch that comes back, but by somebody. */
static void paused_by_a_check(void **state)
{
	run.now.need_watch = true;
	rf_run_control(&run);
	look();
	assert_true(rf_run_pause(&run, vmm, RF_PAUSED_CHECK));
	/* At once, whether it has stopped by now or not. */
	assert_true(rf_run_is_paused(&run, vmm));
	lose_the_watch();
	watch_comes_back();
	vmm_is('T');
	assert_true(rf_run_is_paused(&run, vmm));
	kill(vmm, SIGCONT);
	vmm_is('S');
	assert_false(rf_run_is_paused(&run, vmm));
	/* And the other way round: who was resumed goes on once the watch is back. */
	assert_true(rf_run_pause(&run, vmm, RF_PAUSED_CHECK));
	vmm_is('T'); /* who has not stopped yet cannot be resumed */
	kill(vmm, SIGCONT);
	vmm_is('S');
	lose_the_watch();
	vmm_is('T');
	watch_comes_back();
	vmm_is('S');
	assert_false(rf_run_is_paused(&run, vmm));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(on),
		TEST(none),
		TEST(lost_and_back),
		TEST(told_later),
		TEST(lost_for_long),
		TEST(required),
		TEST(displaced),
		TEST(another_user),
		TEST(no_service),
		TEST(paused_by_a_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
