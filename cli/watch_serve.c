// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/watch_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/watch_link.h"

#define LOOK_MS 1000
#define AGAIN_MS 5000
#define WAIT_MS 500
#define ENTER_MS 120000 /* for who has asked for a page: its monitor is started first */

int rf_watch_service_init(struct rf_watch_service *s, const char *kvm, int listener,
			  uint32_t per_user)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->kvm = kvm;
	s->listener = listener;
	s->per_user = per_user;
	s->watch = RF_CRWATCH_NONE;
	s->inbox = -1;
	rf_refuse_descriptors(listener);
	err = rf_crwatch_open(kvm, RF_CRWATCH_WAIT_MS, &s->watch, s->why);
	if (!err)
		rf_watch_find(s);
	return err;
}

static void let_go(struct rf_watch_service *s, struct rf_watch_client *c)
{
	if (c->sock >= 0)
		rf_watch_close(s, c->sock, c->uid);
	if (c->pidfd >= 0)
		close(c->pidfd);
	rf_crwatch_page_destroy(&c->page);
}

static void let_all_go(struct rf_watch_service *s)
{
	while (s->count)
		let_go(s, &s->clients[--s->count]);
	s->found = 0;
}

void rf_watch_service_deinit(struct rf_watch_service *s)
{
	let_all_go(s);
	rf_watch_close_end(s);
	rf_crwatch_close(&s->watch);
}

/* --- who comes ----------------------------------------------------------------- */

/* found: with those that nobody has adopted yet, who connects for just that. */
static unsigned int clients_of(const struct rf_watch_service *s, uid_t uid, bool found)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->count; i++)
		n += s->clients[i].uid == uid && (found || !s->clients[i].found);
	return n;
}

static const char too_many[] = "this user has as many VMs as --per-user lets him";

/* False: nobody waits. */
static bool take_client(struct rf_watch_service *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int on = 1;
	struct ucred who = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(who);
	const char *why = NULL;

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		why = "nobody knows who asks";
	else if (s->count - s->found >= RF_WATCH_CLIENTS)
		why = "there are too many VMs";
	else if (clients_of(s, who.uid, false) >= s->per_user)
		why = too_many;
	if (why) {
		rf_watch_send(fd, RF_WATCH_REFUSED, why, -1);
		rf_watch_close(s, fd, who.uid);
		return true;
	}
	s->clients[s->count++] = (struct rf_watch_client){ .sock = fd,
							   .uid = who.uid,
							   .until = rf_now_ms() + ENTER_MS,
							   .page = RF_CRWATCH_NO_PAGE,
							   .pidfd = -1 };
	return true;
}

void rf_watch_service_shut(struct rf_watch_service *s)
{
	shutdown(s->listener, SHUT_RD);
	do {
		let_all_go(s);
		if (rf_watch_close_full(s))
			rf_watch_close_all(s);
	} while (!rf_watch_close_full(s) && take_client(s));
}

/* --- what they want -------------------------------------------------------------- */

static int give_page(struct rf_watch_service *s, struct rf_watch_client *c)
{
	int err;

	if (clients_of(s, c->uid, true) > s->per_user) {
		snprintf(c->why, sizeof(c->why), "%s", too_many);
		return -EUSERS;
	}
	err = c->page.page ? -EALREADY : rf_crwatch_page_create(&c->page);

	return err ? err : rf_watch_send(c->sock, RF_WATCH_PAGE, NULL, c->page.fd);
}

/* The process has asked itself: a page that is there for its id is its own, or a dead one's. Its
 * own that this service has given is no second time. */
static bool is_entered(const struct rf_watch_service *s, pid_t pid)
{
	for (unsigned int i = 0; i < s->count; i++)
		if (s->clients[i].entered && !s->clients[i].found && s->clients[i].pid == pid &&
		    !rf_watch_has_ended(s->clients[i].pidfd))
			return true;
	return false;
}

/*
 * The first time its process is held fast; the second one it has sent again, so what is held is
 * what sends, unless it has ended. Another process of the same user may have the connection, but
 * only one is entered.
 */
static int enter(struct rf_watch_service *s, struct rf_watch_client *c,
		 const struct rf_watch_from *from)
{
	int err;

	if (!c->page.page || c->entered || from->pid <= 0 || from->uid != c->uid)
		return -EPERM;
	if (c->pid != from->pid) {
		if (c->pidfd >= 0)
			close(c->pidfd);
		c->pidfd = (int)syscall(SYS_pidfd_open, from->pid, 0);
		if (c->pidfd < 0)
			return -errno;
		c->pid = from->pid;
		return rf_watch_send(c->sock, RF_WATCH_AGAIN, NULL, -1);
	}
	if (rf_watch_has_ended(c->pidfd))
		return -ESRCH;
	err = rf_crwatch_enter(&s->watch, c->pid, &c->page, !is_entered(s, c->pid), WAIT_MS,
			       c->why);
	if (err)
		return err;
	c->entered = true;
	return rf_watch_send(c->sock, RF_WATCH_ENTERED, NULL, -1);
}

/* The connection is from now on that of who was found: 1, this one is over without a word. */
static int adopt(struct rf_watch_service *s, struct rf_watch_client *c, pid_t pid,
		 const struct rf_watch_from *from)
{
	struct rf_watch_client *there = c->page.page ? NULL : rf_watch_find_for(s, pid, from);

	if (!there)
		return c->page.page ? -EALREADY : -ENOENT;
	if (there->sock >= 0)
		return -EALREADY;
	s->found -= there->found;
	there->found = false;
	there->sock = c->sock;
	c->sock = -1;
	rf_watch_send(there->sock, RF_WATCH_ENTERED, NULL, -1);
	return 1;
}

/* 0; else the connection is over. */
static int take_packet(struct rf_watch_service *s, struct rf_watch_client *c)
{
	struct rf_watch_packet p;
	struct rf_watch_from from;
	int err = rf_watch_take(c->sock, &p, &from);

	if (err)
		return err == -EAGAIN ? 0 : err;
	if (p.word == RF_WATCH_ASK)
		err = give_page(s, c);
	else if (p.word == RF_WATCH_ENTER)
		err = enter(s, c, &from);
	else if (p.word == RF_WATCH_ADOPT)
		err = adopt(s, c, (pid_t)p.pid, &from);
	else
		err = -EPROTO;
	if (err < 0)
		rf_watch_send(c->sock, RF_WATCH_REFUSED, c->why[0] ? c->why : strerror(-err), -1);
	return err;
}

/* --- what becomes of them ---------------------------------------------------------- */

/* Before others are looked at, and none is entered twice: the last one takes its place. */
static void forget(struct rf_watch_service *s, unsigned int i)
{
	struct rf_watch_client *c = &s->clients[i];

	if (c->entered)
		rf_crwatch_leave(&s->watch, c->pid, c->page.id);
	s->found -= c->found;
	let_go(s, c);
	*c = s->clients[--s->count];
}

/* Its connection is over. One that is entered is on the map for as long as its process lives. */
static void hung_up(struct rf_watch_service *s, unsigned int i)
{
	struct rf_watch_client *c = &s->clients[i];

	if (!c->entered) {
		forget(s, i);
		return;
	}
	rf_watch_close(s, c->sock, c->uid);
	c->sock = -1;
}

/* Its place alone. Where another page is, by whoever's hand, that is not fought over. */
static void look_at(struct rf_watch_service *s, struct rf_watch_client *c)
{
	c->lost = rf_crwatch_check_place(&s->watch, c->pid, c->page.id, c->why) &&
		  rf_crwatch_enter(&s->watch, c->pid, &c->page, false, WAIT_MS, c->why);
}

static void tell(const struct rf_watch_service *s, const struct rf_watch_client *c)
{
	const char *why = s->lost ? s->why : c->lost ? c->why : NULL;

	rf_watch_send(c->sock, why ? RF_WATCH_LOST : RF_WATCH_ON, why, -1);
}

static void put_back(struct rf_watch_service *s)
{
	struct rf_crwatch fresh;

	s->again_at = rf_now_ms() + AGAIN_MS;
	if (rf_crwatch_open(s->kvm, WAIT_MS, &fresh, s->why))
		return;
	rf_crwatch_close(&s->watch);
	s->watch = fresh;
	s->lost = false;
	rf_say("the control-register watch is back");
}

static void look(struct rf_watch_service *s)
{
	if (!s->lost && rf_crwatch_check(&s->watch, s->why)) {
		s->lost = true;
		s->again_at = 0;
		rf_say("the control-register watch is lost: %s", s->why);
		for (unsigned int i = 0; i < s->count; i++)
			if (s->clients[i].entered && s->clients[i].sock >= 0)
				tell(s, &s->clients[i]);
	}
	if (s->lost && rf_now_ms() >= s->again_at)
		put_back(s);
	for (unsigned int i = 0; i < s->count; i++) {
		struct rf_watch_client *c = &s->clients[i];

		/* Nor who may be another than it was entered for, until somebody says so. */
		if (!c->entered || c->found || rf_watch_has_ended(c->pidfd))
			continue;
		if (!s->lost)
			look_at(s, c);
		if (c->sock >= 0)
			tell(s, c);
	}
	s->look_at = rf_now_ms() + LOOK_MS;
}

void rf_watch_service_step(struct rf_watch_service *s, int stop_fd)
{
	static struct pollfd p[3 + 2 * (RF_WATCH_CLIENTS + RF_WATCH_FOUND)];
	struct pollfd *of = p + 3; /* each client's two */
	unsigned int count = s->count;
	int64_t left = s->look_at - rf_now_ms();

	p[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = rf_watch_close_full(s) ? -1 : s->listener, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = s->doomed_count ? s->inbox : -1, .events = POLLOUT };
	for (unsigned int i = 0; i < count; i++) {
		of[2 * i] = (struct pollfd){ .fd = s->clients[i].sock, .events = POLLIN };
		of[1 + 2 * i] =
			(struct pollfd){ .fd = s->clients[i].entered ? s->clients[i].pidfd : -1,
					 .events = POLLIN };
	}
	poll(p, 3 + 2 * count, left <= 0 ? 0 : left > LOOK_MS ? LOOK_MS : (int)left);
	/* From the last one down: whoever is forgotten, those before keep their places. */
	for (unsigned int i = count; i--;) {
		struct rf_watch_client *c = &s->clients[i];

		if (of[1 + 2 * i].revents ||
		    (!c->entered && c->sock >= 0 && rf_now_ms() > c->until))
			forget(s, i);
		else if (of[2 * i].revents && take_packet(s, c))
			hung_up(s, i);
	}
	/* More than one, as many may wait; bounded, as one may come again and again. */
	for (int i = 0; p[1].revents && i < RF_WATCH_TAKES && take_client(s); i++)
		;
	rf_watch_close_again(s);
	if (rf_now_ms() >= s->look_at)
		look(s);
}
