// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/channel.h"
#include "hv/base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int link_fd = -1;
static int sock = -1; /* guarded by lock; -1: no monitor */
static int board_fd = -1;
static int table_fd = -1;  /* of the last monitor, for the next one */
static int memory_fd = -1; /* opened once: later the VMM may have another uid, or no /proc */
static const struct rf_channel_handlers *handlers;

/*
 * The newest of the monitors that `ringfence run` has started: its socket, owned by the caller.
 * -EAGAIN: none within timeout_ms, -ECONNRESET: that end is closed. What is wrong with one, its
 * answer to HELLO will say.
 */
static int next_monitor(int timeout_ms)
{
	uint8_t packet[RF_MSG_MAX + 1];
	int newest = -1, err = 0;

	for (int fd = -1; err != -EAGAIN && err != -ECONNRESET; fd = -1) {
		err = rf_msg_receive(link_fd, newest < 0 ? timeout_ms : 0, packet, sizeof(packet),
				     &fd, 1);
		if (fd >= 0 && newest >= 0)
			close(newest);
		newest = fd >= 0 ? fd : newest;
	}
	return newest >= 0 ? newest : err;
}

/* The same once there was one: without `run` nobody starts another, and no VM outlives it. */
static int another_monitor(int timeout_ms)
{
	int fd = next_monitor(timeout_ms);

	if (fd == -ECONNRESET)
		rf_fatal("`ringfence run` is gone, and with it who watches over this VM");
	return fd;
}

/* Whoever comes up takes its time, or never answers; the fence's own clock goes on meanwhile. */
static int await_welcome(int fd, uint8_t *packet, size_t size, int *table)
{
	const int step = (int)handlers->tick_ms();
	int err = -EAGAIN;

	for (int ms = 0; ms < 10000 && err == -EAGAIN; ms += step) {
		err = rf_msg_receive(fd, step, packet, size, table, 1);
		handlers->tick();
	}
	return err;
}

/* fd: the monitor's, closed on failure. 0 or -errno. */
static int shake_hands(int fd, const char **why)
{
	struct rf_msg_hello hello = { .vmm_pid = (uint32_t)getpid() };
	struct rf_msg_welcome welcome;
	uint8_t packet[RF_MSG_MAX + 1] = { 0 };
	const int fds[] = { board_fd, memory_fd, table_fd };
	int table = -1, err;

	handlers->hello(&hello);
	rf_msg_init(&hello.h, RF_MSG_HELLO, 0);
	prctl(PR_GET_NAME, hello.vmm);
	*why = "the monitor did not answer within 10 seconds";
	err = rf_msg_send(fd, &hello, sizeof(hello), fds, table_fd < 0 ? 2 : 3);
	if (!err)
		err = await_welcome(fd, packet, sizeof(packet), &table);
	memcpy(&welcome, packet, sizeof(welcome));
	if (!err && welcome.h.type != RF_MSG_WELCOME)
		err = -EBADMSG;
	if (err == -EPROTONOSUPPORT)
		*why = "the monitor is of another revision than the fence: install both from one "
		       "release";
	else if (err == -EBADMSG)
		*why = "what answers in the monitor's place is not a monitor";
	else if (err == -ECONNRESET)
		*why = "the monitor refused this VM; its own message says why";
	/* A monitor that does not read keeps no thread of the VMM's waiting in a send. */
	if (!err && fcntl(fd, F_SETFL, O_NONBLOCK))
		err = -errno;
	if (!err)
		err = handlers->welcome(&welcome, table, why);
	if (err)
		goto fail;
	if (table >= 0) {
		if (table_fd >= 0)
			close(table_fd);
		table_fd = table;
	}
	return 0;

fail:
	if (table >= 0)
		close(table);
	close(fd);
	return err;
}

static void use(int fd)
{
	pthread_mutex_lock(&lock);
	if (sock >= 0)
		close(sock);
	sock = fd;
	pthread_mutex_unlock(&lock);
}

int rf_channel_send(const void *msg, size_t size)
{
	int err;

	pthread_mutex_lock(&lock);
	err = sock >= 0 ? rf_msg_send(sock, msg, size, NULL, 0) : -ENOTCONN;
	pthread_mutex_unlock(&lock);
	return err;
}

/* Serves one monitor until it is lost or another one is there: that one's socket, or -1. */
static int serve(int fd)
{
	uint8_t packet[RF_MSG_MAX + 1];
	int err = 0, next = -1;

	while (next < 0 && (!err || err == -EAGAIN)) {
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
				       { .fd = link_fd, .events = POLLIN } };

		poll(p, 2, (int)handlers->tick_ms());
		err = rf_msg_receive(fd, 0, packet, sizeof(packet), NULL, 0);
		handlers->tick();
		next = another_monitor(0);
		if (!err && !handlers->message(packet))
			break;
	}
	return next;
}

static void *channel_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	const char *why;

	prctl(PR_SET_NAME, "ringfence");
	for (;;) {
		use(fd);
		handlers->connected();
		fd = serve(fd);
		use(-1);
		for (; fd < 0 || shake_hands(fd, &why); handlers->tick())
			fd = another_monitor((int)handlers->tick_ms());
	}
	return NULL;
}

int rf_channel_start(int run, int board, const struct rf_channel_handlers *h, const char **why)
{
	sigset_t all, old;
	pthread_t thread;
	int fd, err;

	link_fd = run;
	board_fd = board;
	handlers = h;
	/*
	 * A process may read its own memory whatever Yama, its uid and its capabilities say, and
	 * whom it gives the descriptor to may too (Linux fs/proc/base.c mem_open(): the check
	 * is made there alone, and the file is the address space's, not the process id's).
	 */
	if (memory_fd < 0)
		memory_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	*why = "/proc/self/mem cannot be opened: mount /proc where the VMM runs, and let its "
	       "security profile read it";
	if (memory_fd < 0)
		return -errno;
	/* Nobody that the VMM starts is to hear of monitors. */
	fcntl(link_fd, F_SETFD, FD_CLOEXEC);
	do {
		fd = next_monitor(10000);
		*why = fd == -EAGAIN ? "no monitor came within 10 seconds"
				     : "RINGFENCE_LINK leads to no `ringfence run`";
		err = fd < 0 ? fd : shake_hands(fd, why);
	} while (err == -EPIPE); /* it died before it was asked: the next one */
	if (err)
		return err;
	/* The VMM's signals are its own threads' business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, channel_thread, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		*why = "no thread could be started";
		close(fd);
		return -err;
	}
	pthread_detach(thread);
	return 0;
}
