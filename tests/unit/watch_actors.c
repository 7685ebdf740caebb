// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/watch_actors.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct rf_watch_service service;
char path[64], said[256], why[RF_CRWATCH_WHY];
int listener;
struct shared *shared;
pid_t actors[ACTORS];

static bool is_actor;

int64_t rf_now_ms(void)
{
	struct timespec now;

	if (is_actor && shared->clock)
		return shared->clock;
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

static void become(uid_t uid)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void become_user(void)
{
	become(FAKE_BPFFS_USER);
}

void be_actor(int n, uid_t uid, act what)
{
	struct actor_state s = { .sock = -1, .page = -1 };
	struct actor *a = &shared->actors[n];

	become(uid);
	is_actor = true;
	for (;;) {
		if (a->step > a->done) {
			a->result = what(&s, a->done + 1, a->why);
			a->done++;
		}
		usleep(1000);
	}
}

void start_as(int n, uid_t uid, act what)
{
	actors[n] = fork();
	if (!actors[n])
		be_actor(n, uid, what);
	assert_true(actors[n] > 0);
}

void start(int n, act what)
{
	start_as(n, FAKE_BPFFS_USER, what);
}

int goes_on(int n)
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

void serve(void)
{
	for (int i = 0; i < 20; i++) {
		service.look_at = 0;
		rf_watch_service_step(&service, -1);
		usleep(1000);
	}
}

void ends(int n)
{
	if (!actors[n])
		return;
	kill(actors[n], SIGKILL);
	waitpid(actors[n], NULL, 0);
	actors[n] = 0;
}

/* --- each test ----------------------------------------------------------------------- */

int listen_here(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 16) || chmod(path, 0666))
		return -1;
	return fd;
}

int setup(void **state)
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

int teardown(void **state)
{
	for (int i = 0; i < ACTORS; i++)
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

uint32_t place_of(int n)
{
	return rf_vms_page(service.watch.vms, actors[n]);
}

struct rf_watch_client *client_of(int n)
{
	for (unsigned int i = 0; i < service.count; i++)
		if (service.clients[i].entered && service.clients[i].pid == actors[n])
			return &service.clients[i];
	return NULL;
}

int as_it_should(struct actor_state *s, int step, char *reason)
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

void gets_a_place(int n)
{
	assert_int_equal(goes_on(n), 0);
	assert_int_equal(goes_on(n), 0);
	assert_int_equal(goes_on(n), 1);
	assert_non_null(client_of(n));
}

void descriptors_may_come(int on)
{
	setsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
}
