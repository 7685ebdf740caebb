// SPDX-License-Identifier: LGPL-2.1-or-later
/* `ringfence watch` serves: how many, what is told, and what makes no sense. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <signal.h>
#include <unistd.h>

#include "hv/proto.h"
#include "tests/unit/open_fds.h"
#include "tests/unit/watch_actors.h"

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

static int connects(struct actor_state *s, int step, char *reason)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
}

/* Nor does one user take all places by asking for nothing. */
static void bounded_before_it_asks(void **state)
{
	NEEDS_BPF();
	start(0, connects);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(goes_on(0), 0);
		serve();
		assert_in_range(service.count, 0, service.per_user);
	}
	assert_int_equal(service.count, service.per_user);
}

/* Nor do many users together. */
static void bounded_for_all(void **state)
{
	NEEDS_BPF();
	for (service.count = 0; service.count < RF_WATCH_CLIENTS; service.count++)
		service.clients[service.count] = (struct rf_watch_client){
			.sock = -1, .uid = OTHER_USER, .page = RF_CRWATCH_NO_PAGE, .pidfd = -1
		};
	start(0, asks);
	assert_int_equal(goes_on(0), -EPERM);
	assert_non_null(strstr(shared->actors[0].why, "there are too many VMs"));
	service.count--;
	assert_int_equal(goes_on(0), 0);
	assert_int_equal(service.count, RF_WATCH_CLIENTS);
	assert_int_equal(goes_on(0), -EPERM);
}

/* What the other side says why ends, as whoever prints it will want. */
static void text_ends(void **state)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_LOST };
	struct rf_watch_from from;
	int ends_[2];

	memset(p.why, 'x', sizeof(p.why));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends_), 0);
	assert_int_equal(rf_msg_send(ends_[0], &p, sizeof(p), NULL, 0), 0);
	assert_int_equal(rf_watch_receive(ends_[1], &p, &from), 0);
	assert_int_equal(p.word, RF_WATCH_LOST);
	assert_int_equal(strnlen(p.why, sizeof(p.why)), sizeof(p.why) - 1);
	close(ends_[0]);
	close(ends_[1]);
}

/* Packets of all kinds; each ends its connection, and leaves no descriptor. The first word that is
 * answered, 0 none. */
static int noise(struct actor_state *s, int step, char *reason)
{
	struct rf_watch_packet p = { .revision = RF_WATCH_REVISION, .word = RF_WATCH_ASK };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fds[2] = { open("/dev/null", O_RDONLY), open("/dev/null", O_RDONLY) };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), err = 0, first = 0;
	char big[4096] = "";

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", getenv(RF_WATCH_ENVIRONMENT));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -errno;
	memset(p.why, 'x', sizeof(p.why));
	memcpy(big, &p, sizeof(p)); /* as far as it goes, a packet */
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
		p.word = RF_WATCH_ENTERED; /* the service's own */
		err = rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		break;
	case 9: /* two pages of one connection */
		err = rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		err = err ?: rf_msg_send(fd, &p, sizeof(p), NULL, 0);
		break;
	}
	/* Until the service has ended it. */
	while (!err && recv(fd, &p, sizeof(p), 0) > 0)
		first = first ? first : (int)p.word;
	close(fd);
	close(fds[0]);
	close(fds[1]);
	return err ? err : first;
}

static void what_makes_no_sense(void **state)
{
	/* What is no packet, or comes with a descriptor, is not answered. */
	static const int answers[] = { 0, 0, 0, 0, RF_WATCH_REFUSED, RF_WATCH_REFUSED,
				       0, RF_WATCH_REFUSED, RF_WATCH_PAGE };
	int before;

	NEEDS_BPF();
	descriptors_may_come(true);
	start(0, noise);
	before = open_fds();
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		assert_int_equal(goes_on(0), answers[i]);
		serve();
		assert_int_equal(service.count, 0);
		assert_int_equal(open_fds(), before + (service.inbox >= 0));
	}
}

/* At the first try, or on a slow machine at a later one. */
static void is_back(void)
{
	for (int i = 0; i < 20 && !strstr(said, "is back"); i++) {
		service.again_at = 0;
		serve();
	}
	assert_non_null(strstr(said, "is back"));
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
	is_back();
	for (int n = 0; n < 2; n++) {
		while (goes_on(n) != 1)
			;
		assert_int_equal(place_of(n), client_of(n)->page.id);
	}
	/* All of it, the map too. */
	snprintf(pin, sizeof(pin), "%s/vms", service.watch.folder);
	assert_int_equal(unlink(pin), 0);
	said[0] = '\0';
	is_back();
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
	const struct CMUnitTest tests[] = {
		TEST(entered),
		TEST(run_is_gone),
		TEST(bounded),
		TEST(bounded_before_it_asks),
		TEST(bounded_for_all),
		TEST(text_ends),
		TEST(what_makes_no_sense),
		TEST(lost_and_back),
		TEST(displaced),
		TEST(flooded),
		TEST(not_roots),
		TEST(silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
