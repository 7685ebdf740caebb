// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/kvm/monitor.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/kvm/check.h"

#define MAX_EVENTS 200000
#define PATIENCE 20 /* seconds */

struct rf_rules monitor_rules = { .observe = 1, .kexec = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static enum monitor_manners manners;
static int link_ends[2] = { -1, -1 }, offered = -1, peer = -1;
static bool dead;
static monitor_judge judge;
static struct rf_msg_event *events;
static unsigned nr_events, nr_outcomes;
static struct rf_msg_outcome outcomes[8192];
static struct rf_msg_done done;
static bool answered;
static uint32_t seq;
static struct rf_msg_hello hello;
static const volatile struct rf_board *board;

static void take_hello(int fd)
{
	struct iovec iov = { &hello, sizeof(hello) };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(RF_MSG_FDS * sizeof(int))];
	} control;
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	int fds[2], board_fd;
	void *map;

	CHECK_EQ(recvmsg(fd, &m, 0), sizeof(hello));
	CHECK_EQ(rf_msg_check(&hello, sizeof(hello)), 0);
	CHECK_EQ(hello.h.type, RF_MSG_HELLO);
	CHECK(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS);
	CHECK_EQ(CMSG_FIRSTHDR(&m)->cmsg_len, CMSG_LEN(sizeof(fds)));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fds));
	board_fd = fds[0];
	/* Its memory can be read, and no more. */
	CHECK_EQ(fcntl(fds[1], F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fds[1]);
	CHECK_EQ(hello.board_size, sizeof(struct rf_board_file));
	/* The monitor gets no writable mapping, whatever it asks for. */
	CHECK(mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0) ==
	      MAP_FAILED);
	map = mmap(NULL, sizeof(struct rf_board_file), PROT_READ, MAP_SHARED, board_fd, 0);
	CHECK(map != MAP_FAILED);
	close(board_fd);
	board = map;
}

static void hear(const uint8_t *packet, size_t size)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_ALLOW };
	struct rf_msg_event ev;
	struct rf_msg h;
	monitor_judge j;

	CHECK_EQ(rf_msg_check(packet, size), 0);
	memcpy(&h, packet, sizeof(h));
	pthread_mutex_lock(&lock);
	j = judge;
	if (h.type == RF_MSG_EVENT) {
		memcpy(&ev, packet, sizeof(ev));
		CHECK(nr_events < MAX_EVENTS);
		events[nr_events++] = ev;
	} else if (h.type == RF_MSG_OUTCOME) {
		CHECK(nr_outcomes < sizeof(outcomes) / sizeof(outcomes[0]));
		memcpy(&outcomes[nr_outcomes++], packet, sizeof(outcomes[0]));
	} else {
		CHECK_EQ(h.type, RF_MSG_DONE);
		CHECK_EQ(h.seq, seq);
		memcpy(&done, packet, sizeof(done));
		answered = true;
	}
	pthread_cond_broadcast(&heard);
	pthread_mutex_unlock(&lock);
	if (h.type != RF_MSG_EVENT || !j || ev.kind == RF_EVENT_RESET)
		return;
	v.id = ev.id;
	if (j(&ev, &v))
		monitor_verdict(&v);
}

static void greet(int fd)
{
	struct rf_msg_welcome w = { .rules = monitor_rules };

	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	if (manners == MONITOR_REVISION)
		w.h.revision++;
	if (manners == MONITOR_FOREIGN)
		CHECK_EQ(send(fd, "220 mail ready\r\n", 16, MSG_NOSIGNAL), 16);
	else if (manners != MONITOR_HANGS_UP)
		CHECK_EQ(send(fd, &w, sizeof(w), MSG_NOSIGNAL), sizeof(w));
	if (manners != MONITOR_GOOD)
		close(fd);
}

/* One after the other, as `ringfence run` starts them. */
static void offer(void)
{
	struct rf_msg m;
	int pair[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	rf_msg_init(&m, RF_MSG_PEER, 0);
	CHECK_EQ(rf_msg_send(link_ends[0], &m, sizeof(m), &pair[1], 1), 0);
	close(pair[1]);
	offered = pair[0];
}

static void *serve(void *arg)
{
	for (;;) {
		uint8_t packet[RF_MSG_MAX + 1];
		struct pollfd p;
		int fd;
		ssize_t n;

		pthread_mutex_lock(&lock);
		if (!dead)
			offer();
		fd = offered;
		pthread_mutex_unlock(&lock);
		p = (struct pollfd){ .fd = fd, .events = POLLIN };
		if (dead || poll(&p, 1, -1) < 0 || dead)
			return NULL;
		take_hello(fd);
		greet(fd);
		if (manners != MONITOR_GOOD)
			continue;
		pthread_mutex_lock(&lock);
		peer = fd;
		pthread_cond_broadcast(&heard);
		pthread_mutex_unlock(&lock);
		while ((n = recv(fd, packet, sizeof(packet), 0)) > 0)
			hear(packet, (size_t)n);
	}
}

int monitor_link(void)
{
	if (link_ends[0] < 0)
		CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link_ends), 0);
	return link_ends[1];
}

void monitor_start(enum monitor_manners m)
{
	events = calloc(MAX_EVENTS, sizeof(*events)); /* touched as far as it is used */
	CHECK(events);
	nr_events = nr_outcomes = 0;
	manners = m;
	dead = false;
	monitor_link();
	CHECK_EQ(pthread_create(&thread, NULL, serve, NULL), 0);
}

void monitor_die(void)
{
	pthread_mutex_lock(&lock);
	dead = true;
	if (offered >= 0)
		shutdown(offered, SHUT_RDWR);
	if (peer >= 0)
		shutdown(peer, SHUT_RDWR);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	if (peer >= 0 && peer != offered)
		close(peer);
	if (offered >= 0)
		close(offered);
	peer = offered = -1;
	free(events);
	events = NULL;
	judge = NULL;
}

void monitor_set_judge(monitor_judge j)
{
	pthread_mutex_lock(&lock);
	judge = j;
	pthread_mutex_unlock(&lock);
}

/* Lock held. False when time is up. */
static bool wait_heard(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE;
	return !pthread_cond_timedwait(&heard, &lock, &t);
}

void monitor_await_vm(void)
{
	pthread_mutex_lock(&lock);
	while (peer < 0)
		CHECK(wait_heard());
	pthread_mutex_unlock(&lock);
}

struct rf_msg_event monitor_event(unsigned n, enum rf_event_kind kind)
{
	struct rf_msg_event ev;

	pthread_mutex_lock(&lock);
	while (nr_events <= n)
		if (!wait_heard())
			FAIL("event %u of kind %d did not come", n, kind);
	ev = events[n];
	pthread_mutex_unlock(&lock);
	CHECK_EQ(ev.kind, kind);
	return ev;
}

struct rf_msg_event monitor_nth(unsigned n)
{
	struct rf_msg_event ev;

	pthread_mutex_lock(&lock);
	CHECK(n < nr_events);
	ev = events[n];
	pthread_mutex_unlock(&lock);
	return ev;
}

unsigned monitor_events(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = nr_events;
	pthread_mutex_unlock(&lock);
	return n;
}

/* Lock held. How many of this kind have come; the last of them. */
static unsigned of_kind(enum rf_event_kind kind, struct rf_msg_event *last)
{
	unsigned n = 0;

	for (unsigned i = 0; i < nr_events; i++)
		if (events[i].kind == kind) {
			*last = events[i];
			n++;
		}
	return n;
}

unsigned monitor_events_of(enum rf_event_kind kind)
{
	struct rf_msg_event last;
	unsigned n;

	pthread_mutex_lock(&lock);
	n = of_kind(kind, &last);
	pthread_mutex_unlock(&lock);
	return n;
}

struct rf_msg_event monitor_await_event(enum rf_event_kind kind, unsigned count)
{
	struct rf_msg_event ev = { 0 };

	pthread_mutex_lock(&lock);
	while (of_kind(kind, &ev) < count)
		if (!wait_heard())
			FAIL("%u event(s) of kind %d did not come", count, kind);
	pthread_mutex_unlock(&lock);
	return ev;
}

struct rf_msg_event monitor_last_event(enum rf_event_kind kind)
{
	return monitor_await_event(kind, 1);
}

struct rf_msg_outcome monitor_outcome(unsigned n)
{
	struct rf_msg_outcome o;

	pthread_mutex_lock(&lock);
	while (nr_outcomes <= n)
		CHECK(wait_heard());
	o = outcomes[n];
	pthread_mutex_unlock(&lock);
	return o;
}

void monitor_send(const void *packet, size_t size)
{
	CHECK_EQ(send(peer, packet, size, MSG_NOSIGNAL), size);
}

void monitor_verdict(const struct rf_msg_verdict *v)
{
	struct rf_msg_verdict m = *v;

	rf_msg_init(&m.h, RF_MSG_VERDICT, 0);
	monitor_send(&m, sizeof(m));
}

void monitor_allow(uint64_t id)
{
	struct rf_msg_verdict v = { .id = id, .verdict = RF_VERDICT_ALLOW };

	monitor_verdict(&v);
}

int monitor_command(struct rf_msg *m)
{
	int status;

	pthread_mutex_lock(&lock);
	m->seq = ++seq;
	answered = false;
	monitor_send(m, m->size);
	while (!answered)
		CHECK(wait_heard());
	status = done.status;
	pthread_mutex_unlock(&lock);
	return status;
}

int monitor_watch(uint64_t kernel, uint64_t gpa, uint32_t len, uint64_t value)
{
	struct rf_msg_watch m = { .kernel = kernel, .gpa = gpa, .len = len, .value = value };

	rf_msg_init(&m.h, RF_MSG_WATCH, 0);
	return monitor_command(&m.h);
}

int monitor_seal_how(uint64_t kernel, const struct rf_region *regions, uint32_t count,
		     enum rf_seal_how how)
{
	struct rf_msg_seal m = { .kernel = kernel, .count = count, .how = how };

	for (uint32_t i = 0; i < count && i < RF_SEAL_MAX; i++)
		m.regions[i] = regions[i];
	if (count)
		m.image = regions[0]; /* the distance is all of it that counts here */
	rf_msg_init(&m.h, RF_MSG_SEAL, 0);
	return monitor_command(&m.h);
}

int monitor_seal(uint64_t kernel, const struct rf_region *regions, uint32_t count)
{
	return monitor_seal_how(kernel, regions, count, RF_SEAL_NOW);
}

int monitor_seal_again(uint64_t kernel, const struct rf_region *regions, uint32_t count)
{
	return monitor_seal_how(kernel, regions, count, RF_SEAL_KEPT);
}

int monitor_pin(const struct rf_msg_pin *m)
{
	struct rf_msg_pin copy = *m;

	rf_msg_init(&copy.h, RF_MSG_PIN, 0);
	return monitor_command(&copy.h);
}

int monitor_mend(const struct rf_msg_mend *m)
{
	struct rf_msg_mend copy = *m;

	rf_msg_init(&copy.h, RF_MSG_MEND, 0);
	return monitor_command(&copy.h);
}

int monitor_heal(uint64_t kernel, uint64_t gpa, uint64_t len, uint64_t taken)
{
	struct rf_msg_heal m = { .kernel = kernel, .gpa = gpa, .len = len, .taken = taken };

	rf_msg_init(&m.h, RF_MSG_HEAL, 0);
	return monitor_command(&m.h);
}

int monitor_restore(uint64_t kernel, uint64_t flight)
{
	struct rf_msg_restore m = { .kernel = kernel, .flight = flight };

	rf_msg_init(&m.h, RF_MSG_RESTORE, 0);
	return monitor_command(&m.h);
}

int monitor_traps(const struct rf_msg_traps *m)
{
	struct rf_msg_traps copy = *m;

	return monitor_command(&copy.h);
}

const volatile struct rf_board *monitor_board(void)
{
	return board;
}

const volatile struct rf_heals *monitor_heals(void)
{
	return &((const volatile struct rf_board_file *)board)->heals;
}

const volatile struct rf_trail *monitor_trail(void)
{
	return &((const volatile struct rf_board_file *)board)->trail;
}

const struct rf_msg_hello *monitor_hello(void)
{
	return &hello;
}

uint64_t monitor_count(enum rf_counter c)
{
	return __atomic_load_n(&board->counters[c], __ATOMIC_RELAXED);
}
