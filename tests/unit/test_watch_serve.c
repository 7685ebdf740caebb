// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * `ringfence watch` and who asks it: the service is this process, as root, its clients are
 * processes of another user. Maps, pins and credentials are the kernel's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/watch_link.h"
#include "cli/watch_serve.h"
#include "hv/bpf/impl.h"
#include "hv/proto.h"
#include "tests/unit/fake_bpffs.h"
#include "tests/unit/fake_crwatch.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static struct rf_watch_service service;
static char path[64], said[256];
static int listener;

/* As cli/output.h has them, whose rf_command is not hv/proto.h's. */
int64_t rf_now_ms(void);
void rf_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int64_t rf_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void rf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

/* --- another user's processes ------------------------------------------------------ */

/* Shared with them: what they have to say, and what they are to do next. */
static struct shared {
	struct actor {
		volatile int step;   /* how far it may go */
		volatile int done;   /* how far it has got */
		volatile int result; /* of that step */
		char why[RF_CRWATCH_WHY];
	} actors[4];
	volatile pid_t other;
} * shared;

struct actor_state {
	int sock, page;
	int heard;
};

/* One step of it. */
typedef int (*act)(struct actor_state *s, int step, char *why);

static pid_t actors[4];

#define OTHER_USER 12345

static void become(uid_t uid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void become_user(void)
{
	become(FAKE_BPFFS_USER);
}

__attribute__((noreturn)) static void be_actor(int n, uid_t uid, act what)
{
	struct actor_state s = { .sock = -1, .page = -1 };
	struct actor *a = &shared->actors[n];

	become(uid);
	for (;;) {
		if (a->step > a->done) {
			a->result = what(&s, a->done + 1, a->why);
			a->done++;
		}
		usleep(1000);
	}
}

static void start_as(int n, uid_t uid, act what)
{
	actors[n] = fork();
	if (!actors[n])
		be_actor(n, uid, what);
	assert_true(actors[n] > 0);
}

static void start(int n, act what)
{
	start_as(n, FAKE_BPFFS_USER, what);
}

/* It does its next step while the service serves. */
static int goes_on(int n)
{
	struct actor *a = &shared->actors[n];
	int wanted = ++a->step;

	for (int64_t until = rf_now_ms() + 20000; a->done < wanted && rf_now_ms() < until;) {
		service.look_at = 0; /* no second is waited for */
		rf_watch_service_step(&service, -1);
		usleep(1000);
	}
	assert_int_equal(a->done, wanted);
	return a->result;
}

static void serve(void)
{
	for (int i = 0; i < 20; i++) {
		service.look_at = 0;
		rf_watch_service_step(&service, -1);
		usleep(1000);
	}
}

static void ends(int n)
{
	if (!actors[n])
		return;
	kill(actors[n], SIGKILL);
	waitpid(actors[n], NULL, 0);
	actors[n] = 0;
}

/* --- each test ----------------------------------------------------------------------- */

static char why[RF_CRWATCH_WHY];

static int listen_here(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 16) || chmod(path, 0666))
		return -1;
	return fd;
}

static int setup(void **state)
{
	memset(&fake_crwatch, 0, sizeof(fake_crwatch));
	*state = (void *)(uintptr_t)fake_bpffs();
	snprintf(path, sizeof(path), "/tmp/rf-watch-%d", (int)getpid());
	setenv(RF_WATCH_ENVIRONMENT, path, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	listener = listen_here();
	if (shared == MAP_FAILED || listener < 0)
		return -1;
	return *state && rf_watch_service_init(&service, "/dev/kvm", listener, 3) ? -1 : 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 4; i++)
		ends(i);
	if (*state) {
		rf_watch_service_deinit(&service);
		fake_bpffs_end();
	}
	close(listener);
	unlink(path);
	munmap(shared, sizeof(*shared));
	return 0;
}

#define NEEDS_BPF()                                                                                \
	do {                                                                                       \
		if (!*state) {                                                                     \
			print_message("not root, or bpf() or mount() is not allowed\n");           \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static uint32_t place_of(int n)
{
	return rf_vms_page(service.watch.vms, actors[n]);
}

static struct rf_watch_client *client_of(int n)
{
	for (unsigned int i = 0; i < service.count; i++)
		if (service.clients[i].entered && service.clients[i].pid == actors[n])
			return &service.clients[i];
	return NULL;
}

/* As `run` and the VMM together: 1 asks, 2 is entered, from 3 on it listens. */
static int as_it_should(struct actor_state *s, int step, char *reason)
{
	struct rf_cr_page *page;
	int err = 0;

	if (step == 1) {
		err = rf_watch_ask(&s->sock, &s->page, reason);
		if (err)
			return err;
		/* As the fence does (hv/vmx/cr.c). */
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, s->page, 0);
		return page != MAP_FAILED && page->magic == RF_CR_MAGIC ? 0 : -EBADF;
	}
	if (step == 2)
		return rf_watch_enter(s->sock, reason);
	for (int i = 0; !err && i < 2000; i++) {
		err = rf_watch_hear(s->sock, reason);
		usleep(1000);
	}
	return err;
}

static void entered(void **state)
{
	struct rf_watch_client *c;

	NEEDS_BPF();
	start(0, as_it_should);
	start(1, as_it_should);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(goes_on(n), 0);
		assert_int_equal(place_of(n), 0);
		assert_int_equal(goes_on(n), 0);
		c = client_of(n);
		assert_non_null(c);
		assert_int_equal(place_of(n), c->page.id);
		assert_int_equal(c->page.page->magic, RF_CR_MAGIC);
		assert_true(c->page.page->started > 0);
		assert_int_equal(goes_on(n), 1);
	}
	assert_int_not_equal(place_of(0), place_of(1));
	/* One ends: its place goes, the other's does not. */
	ends(0);
	serve();
	assert_int_equal(service.count, 1);
	assert_int_equal(goes_on(1), 1);
	assert_int_equal(place_of(1), client_of(1)->page.id);
}

/* Its `run` is gone, the process lives: it stays where it is. */
static int hangs_up(struct actor_state *s, int step, char *reason)
{
	return step < 3 ? as_it_should(s, step, reason) : close(s->sock);
}

static void run_is_gone(void **state)
{
	uint32_t page;

	NEEDS_BPF();
	start(0, hangs_up);
	goes_on(0);
	assert_int_equal(goes_on(0), 0);
	page = place_of(0);
	assert_int_equal(goes_on(0), 0);
	serve();
	assert_int_equal(service.count, 1);
	assert_int_equal(service.clients[0].sock, -1);
	assert_int_equal(place_of(0), page);
	/* It counts: who hangs up does not get more places by that. */
	ends(0);
	serve();
	assert_int_equal(service.count, 0);
}

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
	} else {
		waitpid(other, NULL, 0);
	}
	do {
		usleep(1000);
		err = rf_watch_receive(s->sock, &p, &from);
	} while (err == -EAGAIN);
	return err ? err : (int)p.word;
}

static void never_another_process(void **state)
{
	NEEDS_BPF();
	start(0, one_each);
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(goes_on(0), RF_WATCH_AGAIN);
	/* Whoever sends the second one is another: asked in its turn, and entered by nobody's word.
	 */
	assert_int_equal(goes_on(0), RF_WATCH_AGAIN);
	assert_int_equal(service.count, 1);
	assert_false(service.clients[0].entered);
	assert_int_equal(place_of(0), 0);
}

/* The process that was asked again has ended, and another one has got its id. */
static void id_given_out_again(void **state)
{
	int sock, page, status, ends_[2];
	struct rf_watch_packet p;
	struct rf_watch_from from;
	struct clone_args args = { .exit_signal = SIGCHLD };
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
		_exit(0);
	}
	do {
		rf_watch_service_step(&service, -1);
		err = waitpid(first, &status, WNOHANG);
	} while (!err);
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
		print_message("no process can be given an id: %s\n", strerror(errno));
		skip();
	}
	if (!second) {
		become_user();
		_exit(rf_watch_send(sock, RF_WATCH_ENTER, NULL, -1) ? 1 : 0);
	}
	assert_int_equal(second, first);
	for (int i = 0; i < 20; i++) {
		rf_watch_service_step(&service, -1);
		usleep(1000);
	}
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

	if (step < 3)
		return as_it_should(s, step, reason);
	if (step > 3)
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

static int asks(struct actor_state *s, int step, char *reason)
{
	return rf_watch_ask(&s->sock, &s->page, reason);
}

static void bounded(void **state)
{
	NEEDS_BPF();
	start(0, asks);
	for (int i = 0; i < 3; i++)
		assert_int_equal(goes_on(0), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(goes_on(0), -EPERM);
		assert_non_null(strstr(shared->actors[0].why, "as many VMs as --per-user"));
	}
	ends(0);
	serve();
	assert_int_equal(service.count, 0);
	start(1, asks);
	assert_int_equal(goes_on(1), 0);
	/* Who asks and is never entered is not kept for ever. */
	service.clients[0].until = rf_now_ms() - 1;
	serve();
	assert_int_equal(service.count, 0);
}

/* Packets of all kinds; each ends its connection, and leaves no descriptor. */
static int noise(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fds[2] = { open("/dev/null", O_RDONLY), open("/dev/null", O_RDONLY) };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), err = 0;
	struct timeval limit = { .tv_sec = 5 };
	char big[4096] = "";

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", getenv(RF_WATCH_ENVIRONMENT));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	memset(p.why, 'x', sizeof(p.why));
	switch (step) {
	case 1:
		err = rf_msg_send(fd, &p, sizeof(p) - 1, NULL, 0);
		break;
	case 2:
		err = rf_msg_send(fd, big, sizeof(big), NULL, 0);
		break;
	case 3:
		p.revision++;
		err = rf_msg_send(fd, &p, sizeof(p), fds, 1);
		break;
	case 4:
		p.word = RF_WATCH_LOST + 1;
		err = rf_msg_send(fd, &p, sizeof(p), fds, 2);
		break;
	case 5:
		p.word = RF_WATCH_ENTER;
		err = rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		break;
	case 6:
		p.word = RF_WATCH_ADOPT;
		err = rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		break;
	case 7:
		p.word = RF_WATCH_ADOPT;
		err = rf_msg_send(fd, &p, sizeof(p), fds, 1);
		break;
	case 8:
		p.word = RF_WATCH_ENTERED;
		err = rf_msg_send(fd, &p, sizeof(p), fds, 1);
		break;
	case 9: /* two pages of one connection */
		err = rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		err = err ?: rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		break;
	}
	/* Until the service has ended it. */
	while (!err && recv(fd, big, sizeof(big), 0) > 0)
		;
	close(fd);
	close(fds[0]);
	close(fds[1]);
	return err;
}

/* As on a kernel that cannot keep them away. */
static void descriptors_may_come(int on)
{
	setsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void what_makes_no_sense(void **state)
{
	int before;

	NEEDS_BPF();
	descriptors_may_come(true);
	start(0, noise);
	before = descriptors();
	for (int i = 0; i < 9; i++) {
		assert_int_equal(goes_on(0), 0);
		serve();
		assert_int_equal(service.count, 0);
		assert_int_equal(descriptors(), before);
	}
}

static void gets_a_place(int n)
{
	assert_int_equal(goes_on(n), 0);
	assert_int_equal(goes_on(n), 0);
	assert_int_equal(goes_on(n), 1);
	assert_non_null(client_of(n));
}

/* --- what keeps who closes it ----------------------------------------------------------- */

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
	before = descriptors();
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
	assert_int_equal(descriptors(), before);
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
	assert_in_range(rf_now_ms() - began, 0, 1000);
}

static void lost_and_back(void **state)
{
	char pin[128];

	NEEDS_BPF();
	for (int n = 0; n < 2; n++) {
		start(n, as_it_should);
		goes_on(n);
		assert_int_equal(goes_on(n), 0);
		assert_int_equal(goes_on(n), 1);
	}
	snprintf(pin, sizeof(pin), "%s/rf_cr4", service.watch.folder);
	assert_int_equal(unlink(pin), 0);
	fake_crwatch.no_attach = 1;
	service.look_at = 0;
	rf_watch_service_step(&service, -1);
	assert_non_null(strstr(said, "is lost: its rf_cr4 is not pinned"));
	for (int n = 0; n < 2; n++)
		assert_int_equal(goes_on(n), -ENOENT);
	fake_crwatch.no_attach = 0;
	service.again_at = 0;
	serve();
	assert_non_null(strstr(said, "is back"));
	for (int n = 0; n < 2; n++) {
		while (goes_on(n) != 1)
			;
		assert_int_equal(place_of(n), client_of(n)->page.id);
	}
	/* All of it, the map too. */
	snprintf(pin, sizeof(pin), "%s/vms", service.watch.folder);
	assert_int_equal(unlink(pin), 0);
	service.again_at = 0;
	serve();
	for (int n = 0; n < 2; n++)
		assert_int_equal(place_of(n), client_of(n)->page.id);
}

/* What becomes of one VM's place is no other one's trouble; and another's page is not fought. */
static void displaced(void **state)
{
	struct rf_crwatch_page other;

	NEEDS_BPF();
	for (int n = 0; n < 2; n++) {
		start(n, as_it_should);
		goes_on(n);
		assert_int_equal(goes_on(n), 0);
	}
	assert_int_equal(rf_crwatch_page_create(&other), 0);
	assert_int_equal(rf_vms_enter(service.watch.vms, actors[0], &other), 0);
	serve();
	assert_int_equal(goes_on(1), 1);
	for (int i = 0; i < 50 && goes_on(0) != -ENOENT; i++)
		;
	assert_int_equal(shared->actors[0].result, -ENOENT);
	assert_int_equal(place_of(0), other.id);
	assert_false(service.lost);
	/* Nor is it taken off with the process. */
	rf_vms_remove(service.watch.vms, actors[0], other.id);
	serve();
	assert_int_equal(place_of(0), client_of(0)->page.id);
	rf_crwatch_page_destroy(&other);
}

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

/* --- who comes again and again ---------------------------------------------------------- */

static int comes_again(struct actor_state *s, int step, char *reason)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", getenv(RF_WATCH_ENVIRONMENT));
	for (int i = 0; i < 40; i++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

			connect(fd, (struct sockaddr *)&at, sizeof(at));
			close(fd);
		}
	}
	return 0;
}

static int asks_and_leaves(struct actor_state *s, int step, char *reason)
{
	int err = rf_watch_ask(&s->sock, &s->page, reason);

	close(s->sock);
	close(s->page);
	return err;
}

static void flooded(void **state)
{
	NEEDS_BPF();
	start_as(2, OTHER_USER, asks_and_leaves);
	for (int with = 0; with < 2; with++) {
		if (with) {
			start(0, comes_again);
			goes_on(0);
			serve();
		}
		for (int i = 0; i < 8; i++)
			assert_int_equal(goes_on(2), 0);
	}
}

static int of_root_alone(struct actor_state *s, int step, char *reason)
{
	if (step == 1) {
		snprintf(path, sizeof(path), "/tmp/rf-watch-other-%d", (int)getpid());
		setenv(RF_WATCH_ENVIRONMENT, path, 1);
		listen_here();
	}
	return rf_watch_ask(&s->sock, &s->page, reason);
}

static void not_roots(void **state)
{
	NEEDS_BPF();
	start(0, of_root_alone);
	assert_int_equal(goes_on(0), -EPERM);
	assert_non_null(strstr(shared->actors[0].why, "is user 65534, not root"));
	snprintf(why, sizeof(why), "/tmp/rf-watch-other-%d", (int)actors[0]);
	unlink(why);
}

/* Nobody answers: the time is what was given. */
static void silent(void **state)
{
	int sock, none;
	int64_t began = rf_now_ms();

	NEEDS_BPF();
	assert_int_equal(rf_watch_adopt(getpid(), 200, &sock, why), -ETIMEDOUT);
	assert_in_range(rf_now_ms() - began, 200, 2000);
	unlink(path);
	assert_int_equal(rf_watch_ask(&sock, &none, why), -ENOENT);
	assert_non_null(strstr(why, "is not to be had at /tmp/rf-watch-"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(entered),
		TEST(run_is_gone),
		TEST(never_another_process),
		TEST(id_given_out_again),
		TEST(once_alone),
		TEST(bounded),
		TEST(what_makes_no_sense),
		TEST(no_descriptor_is_sent),
		TEST(held_by_a_descriptor),
		TEST(many_that_hold),
		TEST(held_at_the_end),
		TEST(lost_and_back),
		TEST(displaced),
		TEST(another_service),
		TEST(left_behind),
		TEST(left_behind_with_a_lie),
		TEST(left_while_nobody_served),
		TEST(flooded),
		TEST(not_roots),
		TEST(silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
