/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hv/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
/* The same socket, for a VMM that may no more enter its folder, or finds others there. */
static struct sockaddr_un opened = { .sun_family = AF_UNIX };
static int sock = -1; /* guarded by lock; -1: no monitor */
static int board_fd = -1;
static int table_fd = -1;  /* of the last monitor, for the next one */
static int memory_fd = -1; /* opened once: later the VMM may have another uid, or no /proc */
static const struct rf_channel_handlers *handlers;

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

static int connect_monitor(const char **why)
{
	uint8_t packet[RF_MSG_MAX + 1] = { 0 };
	struct rf_msg_hello hello = { .vmm_pid = (uint32_t)getpid() };
	struct rf_msg_welcome welcome;
	const int fds[] = { board_fd, memory_fd, table_fd };
	int fd, table = -1, err;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*why = "no socket could be made";
		return -errno;
	}
	*why = "the monitor's socket (RINGFENCE_SOCKET) does not answer";
	if ((!*opened.sun_path || connect(fd, (struct sockaddr *)&opened, sizeof(opened))) &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		goto fail_errno;
	handlers->hello(&hello);
	rf_msg_init(&hello.h, RF_MSG_HELLO, 0);
	prctl(PR_GET_NAME, hello.vmm);
	if (rf_msg_send(fd, &hello, sizeof(hello), fds, table_fd < 0 ? 2 : 3))
		goto fail_errno;
	*why = "the monitor did not answer within 10 seconds";
	err = await_welcome(fd, packet, sizeof(packet), &table);
	memcpy(&welcome, packet, sizeof(welcome));
	if (!err && welcome.h.type != RF_MSG_WELCOME)
		err = -EBADMSG;
	if (err == -EPROTONOSUPPORT)
		*why = "the monitor is of another revision than the fence: install both from one "
		       "release";
	else if (err == -EBADMSG)
		*why = "what listens at the monitor's socket is not a monitor";
	else if (err == -ECONNRESET)
		*why = "the monitor refused this VM; its own message says why";
	/* A monitor that does not read keeps no thread of the VMM's waiting in a send. */
	if (!err && fcntl(fd, F_SETFL, O_NONBLOCK))
		goto fail_errno;
	if (!err)
		err = handlers->welcome(&welcome, table, why);
	if (err)
		goto fail;
	if (table >= 0) {
		if (table_fd >= 0)
			close(table_fd);
		table_fd = table;
	}
	return fd;

fail_errno:
	err = -errno;
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

/* Serves one connection until it is lost. */
static void serve(int fd)
{
	uint8_t packet[RF_MSG_MAX + 1];

	for (;;) {
		int err = rf_msg_receive(fd, (int)handlers->tick_ms(), packet, sizeof(packet), NULL,
					 0);

		handlers->tick();
		if (err == -EAGAIN)
			continue;
		if (err || !handlers->message(packet))
			return;
	}
}

static void *channel_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;
	const char *why;

	prctl(PR_SET_NAME, "ringfence");
	for (;;) {
		const struct timespec pause = { .tv_nsec = 20000000 };

		if (fd >= 0) {
			use(fd);
			handlers->connected();
			serve(fd);
			use(-1);
		}
		nanosleep(&pause, NULL);
		handlers->tick();
		fd = connect_monitor(&why);
	}
	return NULL;
}

int rf_channel_start(const char *path, int board, const struct rf_channel_handlers *h,
		     const char **why)
{
	sigset_t all, old;
	pthread_t thread;
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path)) {
		*why = "RINGFENCE_SOCKET is longer than a socket's path can be";
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
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
	fd = connect_monitor(why);
	if (fd < 0)
		return fd;
	/* Followed without a right to any folder (Linux fs/proc/base.c proc_fd_access_allowed()).
	 */
	snprintf(opened.sun_path, sizeof(opened.sun_path), "/proc/self/fd/%d",
		 open(path, O_PATH | O_CLOEXEC));
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
