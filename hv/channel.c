/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence's end of the socket: one thread that receives, connects again when the monitor is gone,
 * and sends waiting events again. While no monitor is there nothing is unlocked and every event
 * waits.
 */
#include "hv/vm.h"
#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int sock = -1; /* guarded by lock; -1: no monitor */
static int board_fd = -1;

static int connect_monitor(const char **why)
{
	uint8_t packet[RF_MSG_MAX + 1];
	struct rf_msg_hello hello = {
		.vmm_pid = (uint32_t)getpid(),
		.state = rf_vm.state,
		.instance = rf_vm.instance,
		.next_event = atomic_load(&rf_vm.next_event),
		.board_size = sizeof(struct rf_board_file),
	};
	struct rf_msg_welcome welcome;
	int fd, table_fd = -1, err;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*why = "no socket could be made";
		return -errno;
	}
	*why = "the monitor's socket (RINGFENCE_SOCKET) does not answer";
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		goto fail_errno;
	rf_msg_init(&hello.h, RF_MSG_HELLO, 0);
	prctl(PR_GET_NAME, hello.vmm);
	if (rf_msg_send(fd, &hello, sizeof(hello), board_fd))
		goto fail_errno;
	*why = "the monitor did not answer within 10 seconds";
	err = rf_msg_receive(fd, 10000, packet, sizeof(packet), &table_fd);
	if (err == -EPROTONOSUPPORT)
		*why = "the monitor is of another revision than the fence: install both from one "
		       "release";
	else if (err == -EBADMSG)
		*why = "what listens at the monitor's socket is not a monitor";
	else if (err == -ECONNRESET)
		*why = "the monitor refused this VM; its own message says why";
	if (err)
		goto fail;
	memcpy(&welcome, packet, sizeof(welcome));
	if (welcome.h.type != RF_MSG_WELCOME) {
		*why = "what listens at the monitor's socket is not a monitor";
		err = -EBADMSG;
		goto fail;
	}
	/* Without one each text patch is asked about. */
	err = table_fd < 0 ? 0 : rf_patch_use(table_fd);
	if (err) {
		*why = "the monitor's patch table is not what it should be";
		goto fail;
	}
	if (table_fd >= 0)
		close(table_fd);
	/* Under Yama only a declared tracer may read our memory; without Yama this fails and is not
	 * needed. */
	prctl(PR_SET_PTRACER, (unsigned long)welcome.monitor_pid, 0, 0, 0);
	return fd;

fail_errno:
	err = -errno;
fail:
	if (table_fd >= 0)
		close(table_fd);
	close(fd);
	return err;
}

static void lose(void)
{
	pthread_mutex_lock(&lock);
	if (sock >= 0)
		close(sock);
	sock = -1;
	pthread_mutex_unlock(&lock);
}

/* The new monitor gets every event that has no verdict yet. */
static void take_up(int fd)
{
	pthread_mutex_lock(&lock);
	sock = fd;
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++) {
		struct rf_wait *w = &rf_vm.vcpus[i].wait;

		if (w->state == RF_WAIT_PENDING)
			rf_msg_send(fd, &w->event, sizeof(w->event), -1);
	}
	pthread_mutex_unlock(&lock);
}

static void on_verdict(const struct rf_msg_verdict *m)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++) {
		struct rf_wait *w = &rf_vm.vcpus[i].wait;

		/* A verdict for an event that a reset dropped finds nobody. */
		if (w->state != RF_WAIT_PENDING || w->event.id != m->id)
			continue;
		w->verdict = *m;
		/* Anything but the known words is the strictest of them. */
		if (m->verdict < RF_VERDICT_ALLOW || m->verdict > RF_VERDICT_SETTLE ||
		    (m->verdict == RF_VERDICT_SETTLE && w->event.kind != RF_EVENT_WRITE))
			w->verdict.verdict = RF_VERDICT_KILL;
		w->state = RF_WAIT_ANSWERED;
	}
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}

static void on_command(int fd, const uint8_t *packet)
{
	struct rf_msg_done done = { 0 };
	struct rf_msg h;

	memcpy(&h, packet, sizeof(h));
	if (h.type == RF_MSG_SEAL) {
		struct rf_msg_seal m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_seal(&m, &done.ns);
	} else if (h.type == RF_MSG_PIN) {
		struct rf_msg_pin m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_msr_pin(&m);
	} else if (h.type == RF_MSG_TRAPS) {
		struct rf_msg_traps m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_traps_plant(&m);
	} else if (h.type == RF_MSG_MEND) {
		struct rf_msg_mend m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_mend(&m);
	} else if (h.type == RF_MSG_RESTORE) {
		struct rf_msg_restore m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_patch_restore(&m);
	} else {
		struct rf_msg_watch m;

		memcpy(&m, packet, sizeof(m));
		done.status = rf_watch_arm(&m);
	}
	rf_msg_init(&done.h, RF_MSG_DONE, h.seq);
	rf_msg_send(fd, &done, sizeof(done), -1);
}

/* Serves one connection until it is lost. */
static void serve(int fd)
{
	uint8_t packet[RF_MSG_MAX + 1];

	for (;;) {
		uint64_t wait_ms = atomic_load(&rf_vm.check_ns) / 1000000;
		struct rf_msg h;
		int err;

		if (!wait_ms || wait_ms > 60000)
			wait_ms = 60000;
		if (rf_cr_watched() && wait_ms > RF_CR_TICK_MS)
			wait_ms = RF_CR_TICK_MS;
		err = rf_msg_receive(fd, (int)wait_ms, packet, sizeof(packet), NULL);
		rf_cr_tick();
		rf_tables_tick();
		if (err == -EAGAIN)
			continue;
		if (err)
			return;
		memcpy(&h, packet, sizeof(h));
		if (h.type == RF_MSG_VERDICT) {
			struct rf_msg_verdict m;

			memcpy(&m, packet, sizeof(m));
			on_verdict(&m);
		} else if (h.type == RF_MSG_SEAL || h.type == RF_MSG_WATCH ||
			   h.type == RF_MSG_RESTORE || h.type == RF_MSG_PIN ||
			   h.type == RF_MSG_TRAPS || h.type == RF_MSG_MEND) {
			on_command(fd, packet);
		} else {
			return;
		}
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
			take_up(fd);
			serve(fd);
			lose();
		}
		nanosleep(&pause, NULL);
		rf_cr_tick();
		fd = connect_monitor(&why);
	}
	return NULL;
}

int rf_channel_start(const char *path, int board, const char **why)
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
	fd = connect_monitor(why);
	if (fd < 0)
		return fd;
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

void rf_channel_post(struct rf_vcpu *v)
{
	pthread_mutex_lock(&lock);
	v->wait.state = RF_WAIT_PENDING;
	if (sock >= 0)
		rf_msg_send(sock, &v->wait.event, sizeof(v->wait.event), -1);
	pthread_mutex_unlock(&lock);
}

int rf_channel_wait(struct rf_vcpu *v)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	while (v->wait.state == RF_WAIT_PENDING && !err) {
		struct timespec t;

		if (rf_gate_wanted(v)) {
			err = -EINTR;
			break;
		}
		/* A kick interrupts no condition wait: look every now and then. */
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 20000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		pthread_cond_timedwait(&answered, &lock, &t);
	}
	if (!err && v->wait.state == RF_WAIT_NONE)
		err = -ECANCELED; /* a reset dropped it */
	if (!err)
		v->wait.state = RF_WAIT_NONE;
	pthread_mutex_unlock(&lock);
	return err;
}

void rf_channel_outcome(struct rf_vcpu *v, int status)
{
	struct rf_msg_outcome m = { .id = v->wait.event.id, .status = status };

	rf_msg_init(&m.h, RF_MSG_OUTCOME, 0);
	pthread_mutex_lock(&lock);
	if (sock >= 0)
		rf_msg_send(sock, &m, sizeof(m), -1);
	pthread_mutex_unlock(&lock);
}

void rf_channel_reset(void)
{
	struct rf_msg_event ev = { .kind = RF_EVENT_RESET };

	rf_msg_init(&ev.h, RF_MSG_EVENT, 0);
	ev.id = atomic_fetch_add(&rf_vm.next_event, 1);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		rf_vm.vcpus[i].wait.state = RF_WAIT_NONE;
	if (sock >= 0)
		rf_msg_send(sock, &ev, sizeof(ev), -1);
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}
