// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What comes to `ringfence watch` at its socket, in any order: packets of all kinds from several
 * connections, with and without descriptors, some ended in between, while the watch is lost now and
 * then. The map is made up, and has one process: this one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/watch_link.h"
#include "cli/watch_serve.h"
#include "hv/proto.h"
#include "tests/unit/open_fds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int64_t rf_now_ms(void);
void rf_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define PEERS 5
#define PER_USER 3

static struct rf_watch_service service;
static int64_t now = 1000;
static uint32_t place; /* the page that is there for this process, 0 none */
static bool gone;      /* the pins */
static bool left;      /* by the service before */

int64_t rf_now_ms(void)
{
	return now;
}

void rf_say(const char *fmt, ...) {}

/* --- the watch ------------------------------------------------------------------- */

int rf_crwatch_open(const char *kvm, uint32_t wait_ms, struct rf_crwatch *out, char *why)
{
	strcpy(why, "it is gone");
	*out = (struct rf_crwatch){ .vms = 1000 };
	return gone ? -ENOENT : 0;
}

void rf_crwatch_close(struct rf_crwatch *w) {}

int rf_crwatch_check(const struct rf_crwatch *w, char *why)
{
	strcpy(why, "it is gone");
	return gone ? -ENOENT : 0;
}

int rf_crwatch_check_place(const struct rf_crwatch *w, pid_t pid, uint32_t page, char *why)
{
	if (pid != getpid())
		abort();
	strcpy(why, "not there");
	return place == page ? 0 : -ENOENT;
}

int rf_crwatch_enter(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *page,
		     bool replace, uint32_t wait_ms, char *why)
{
	if (pid != getpid() || !page->id)
		abort();
	strcpy(why, "another one is there");
	if (place && place != page->id && !replace)
		return -EEXIST;
	place = page->id;
	return 0;
}

void rf_crwatch_leave(const struct rf_crwatch *w, pid_t pid, uint32_t page)
{
	if (place == page)
		place = 0;
}

static int page_of(int fd, struct rf_crwatch_page *out)
{
	struct stat st;

	/* Those of the next function alone. */
	if (fd < 0 || fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st))
		return -EINVAL;
	*out = (struct rf_crwatch_page){ .fd = dup(fd), .id = (uint32_t)st.st_ino };
	out->page = malloc(1);
	return 0;
}

int rf_crwatch_page_create(struct rf_crwatch_page *out)
{
	int fd = memfd_create("page", MFD_CLOEXEC), err = page_of(fd, out);

	close(fd);
	return err;
}

/* Now and then the one before has left this process there. */
unsigned int rf_crwatch_list(const struct rf_crwatch *w, pid_t *out, unsigned int room)
{
	*out = getpid();
	return left ? 1 : 0;
}

int rf_crwatch_found(const struct rf_crwatch *w, pid_t pid, struct rf_crwatch_page *out)
{
	int err = rf_crwatch_page_create(out);

	place = out->id;
	return err;
}

void rf_crwatch_page_destroy(struct rf_crwatch_page *p)
{
	free(p->page);
	if (p->fd >= 0)
		close(p->fd);
	*p = RF_CRWATCH_NO_PAGE;
}

/* --- who comes --------------------------------------------------------------------- */

static struct sockaddr_un at = { .sun_family = AF_UNIX };
static socklen_t at_len = sizeof(at);
static int peers[PEERS], page = -1; /* the last one that was given */

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!connect(fd, (struct sockaddr *)&at, at_len))
		return fd;
	close(fd);
	return -1;
}

static void hang_up(int *peer)
{
	if (*peer >= 0)
		close(*peer);
	*peer = -1;
}

static void hear(int peer)
{
	struct rf_watch_packet p;
	struct rf_watch_from from;

	while (!rf_watch_receive(peer, &p, &from)) {
		if (p.word < RF_WATCH_PAGE || p.word > RF_WATCH_LOST ||
		    strlen(p.why) >= sizeof(p.why))
			abort();
		if (from.fd < 0)
			continue;
		if (page >= 0)
			close(page);
		page = from.fd;
	}
}

static void say(int peer, uint8_t how, uint8_t word)
{
	static uint8_t room[2 * sizeof(struct rf_watch_packet)];
	struct rf_watch_packet *p = (struct rf_watch_packet *)room;
	const int fds[] = { how & 1 && page >= 0 ? page : peer, peer };

	memset(room, word, sizeof(room));
	p->revision = how & 2 && how & 4 ? word : RF_WATCH_REVISION;
	p->word = word % (RF_WATCH_LOST + 2);
	p->pid = how & 1 ? (uint32_t)getpid() : p->pid;
	rf_msg_send(peer, room, how & 8 && how & 16 ? sizeof(*p) + word - 128 : sizeof(*p), fds,
		    how >> 6 > 2 ? 2 : how >> 6);
}

static void act(uint8_t what, uint8_t how, uint8_t word)
{
	int *peer = &peers[what % PEERS];

	switch (what / PEERS % 8) {
	case 0:
		hang_up(peer);
		*peer = dial();
		break;
	case 1:
		hang_up(peer);
		break;
	case 2:
		gone = how & 1;
		break;
	case 3:
		place = how & 1 ? 0 : how & 2 ? 1 : place; /* root has a hand in the map */
		break;
	case 4:
		now += how * 512; /* two minutes and more */
		break;
	default:
		if (*peer >= 0) {
			say(*peer, how, word);
			hear(*peer);
		}
	}
}

static void look(void)
{
	unsigned int entered = 0;

	if (service.count - service.found > PER_USER || service.found > 1)
		abort();
	for (unsigned int i = 0; i < service.count; i++) {
		entered += service.clients[i].entered && service.clients[i].page.id == place;
		if (service.clients[i].entered && service.clients[i].pid != getpid())
			abort();
	}
	if (entered > 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int listener = -1;
	int before;

	if (listener < 0) {
		listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		/* A name of the kernel's own giving (unix(7), autobind). */
		if (bind(listener, (struct sockaddr *)&at, sizeof(at.sun_family)) ||
		    listen(listener, 8))
			abort();
		getsockname(listener, (struct sockaddr *)&at, &at_len);
	}
	before = open_fds();
	gone = false;
	place = 0;
	left = size % 2;
	memset(peers, 0xff, sizeof(peers));
	if (rf_watch_service_init(&service, "", listener, PER_USER))
		abort();
	for (size_t i = 0; i + 2 < size && i < 3 * 64; i += 3) {
		act(data[i], data[i + 1], data[i + 2]);
		service.look_at = 0;
		rf_watch_service_step(&service, -1);
		look();
	}
	for (int i = 0; i < PEERS; i++)
		hang_up(&peers[i]);
	hang_up(&page);
	/* What waits at the door. */
	for (int i = 0; i < 2 * PEERS; i++) {
		service.look_at = 0;
		rf_watch_service_step(&service, -1);
	}
	rf_watch_service_deinit(&service);
	if (open_fds() != before)
		abort();
	return 0;
}
