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

#include "cli/output.h"
#include "cli/watch_link.h"

#define LOOK_MS 1000
#define AGAIN_MS 5000
#define WAIT_MS 500
#define ENTER_MS 120000 /* for who has asked for a page: its monitor is started first */

int rf_watch_service_init(struct rf_watch_service *s, const char *kvm, int listener,
			  uint32_t per_user)
{
	memset(s, 0, sizeof(*s));
	s->kvm = kvm;
	s->listener = listener;
	s->per_user = per_user;
	s->watch = RF_CRWATCH_NONE;
	return rf_crwatch_open(kvm, RF_CRWATCH_WAIT_MS, &s->watch, s->why);
}

static void let_go(struct rf_watch_client *c)
{
	if (c->sock >= 0)
		close(c->sock);
	if (c->pidfd >= 0)
		close(c->pidfd);
	rf_crwatch_page_destroy(&c->page);
}

void rf_watch_service_deinit(struct rf_watch_service *s)
{
	for (unsigned int i = 0; i < s->count; i++)
		let_go(&s->clients[i]);
	s->count = 0;
	rf_crwatch_close(&s->watch);
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* --- who comes ----------------------------------------------------------------- */

static unsigned int clients_of(const struct rf_watch_service *s, uid_t uid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->count; i++)
		n += s->clients[i].uid == uid;
	return n;
}

static void take_client(struct rf_watch_service *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int on = 1;
	struct ucred who;
	socklen_t len = sizeof(who);
	const char *why = NULL;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		why = "nobody knows who asks";
	else if (s->count == RF_WATCH_CLIENTS)
		why = "there are too many VMs";
	else if (clients_of(s, who.uid) >= s->per_user)
		why = "this user has as many VMs as --per-user lets him";
	if (why) {
		rf_watch_send(fd, RF_WATCH_REFUSED, why, -1);
		close(fd);
		return;
	}
	s->clients[s->count++] = (struct rf_watch_client){ .sock = fd,
							   .uid = who.uid,
							   .until = rf_now_ms() + ENTER_MS,
							   .page = RF_CRWATCH_NO_PAGE,
							   .pidfd = -1 };
}

/* --- what they want -------------------------------------------------------------- */

static int give_page(struct rf_watch_client *c)
{
	int err = c->page.page ? -EALREADY : rf_crwatch_page_create(&c->page);

	return err ? err : rf_watch_send(c->sock, RF_WATCH_PAGE, NULL, c->page.fd);
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
	if (has_ended(c->pidfd))
		return -ESRCH;
	err = rf_crwatch_enter(&s->watch, c->pid, &c->page, false, WAIT_MS, c->why);
	if (err)
		return err;
	c->entered = true;
	return rf_watch_send(c->sock, RF_WATCH_ENTERED, NULL, -1);
}

/* Whoever has the page is who was given it, or has it from him: nobody else's process is on the map
 * with it. */
static int adopt(struct rf_watch_service *s, struct rf_watch_client *c, int fd)
{
	int err = c->page.page ? -EALREADY : rf_crwatch_page_open(fd, &c->page);
	pid_t pid;

	if (err)
		return err;
	for (unsigned int i = 0; i < s->count; i++)
		if (s->clients[i].entered && s->clients[i].page.id == c->page.id)
			return -EALREADY;
	pid = rf_crwatch_whose(&s->watch, c->page.id);
	if (pid <= 0)
		return -ENOENT;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->pidfd < 0)
		return -errno;
	c->pid = pid;
	c->entered = true;
	return rf_watch_send(c->sock, RF_WATCH_ENTERED, NULL, -1);
}

/* 0; else the connection is over. */
static int take_packet(struct rf_watch_service *s, struct rf_watch_client *c)
{
	struct rf_watch_packet p;
	struct rf_watch_from from;
	int err = rf_watch_receive(c->sock, &p, &from);

	if (err)
		return err == -EAGAIN ? 0 : err;
	if (p.word == RF_WATCH_ASK)
		err = give_page(c);
	else if (p.word == RF_WATCH_ENTER)
		err = enter(s, c, &from);
	else if (p.word == RF_WATCH_ADOPT)
		err = adopt(s, c, from.fd);
	else
		err = -EPROTO;
	if (from.fd >= 0)
		close(from.fd);
	if (err)
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
	let_go(c);
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
	close(c->sock);
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

		if (!c->entered || has_ended(c->pidfd))
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
	static struct pollfd p[2 + 2 * RF_WATCH_CLIENTS];
	unsigned int count = s->count;
	int64_t left = s->look_at - rf_now_ms();

	p[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->listener, .events = POLLIN };
	for (unsigned int i = 0; i < count; i++) {
		p[2 + 2 * i] = (struct pollfd){ .fd = s->clients[i].sock, .events = POLLIN };
		p[3 + 2 * i] =
			(struct pollfd){ .fd = s->clients[i].entered ? s->clients[i].pidfd : -1,
					 .events = POLLIN };
	}
	poll(p, 2 + 2 * count, left <= 0 ? 0 : left > LOOK_MS ? LOOK_MS : (int)left);
	/* From the last one down: whoever is forgotten, those before keep their places. */
	for (unsigned int i = count; i--;) {
		struct rf_watch_client *c = &s->clients[i];

		if (p[3 + 2 * i].revents || (!c->entered && c->sock >= 0 && rf_now_ms() > c->until))
			forget(s, i);
		else if (p[2 + 2 * i].revents && take_packet(s, c))
			hung_up(s, i);
	}
	if (p[1].revents)
		take_client(s);
	if (rf_now_ms() >= s->look_at)
		look(s);
}
