// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hv/channel.c against monitors that are foreign, of another revision, hostile, deaf, or gone, and
 * a `run` that is. The channel lives as long as its process, so the order of the tests counts:
 * first all that must be refused, then one connection.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/channel.h"
#include "tests/unit/fake_peer.h"
#include "tests/unit/open_fds.h"

static int run = -1; /* the link */
static int board = -1;

/* --- who uses it ---------------------------------------------------------------------- */

static atomic_uint ticks, connections, messages, hellos;
static uint8_t last_message[RF_MSG_MAX];
static atomic_bool message_is_bad;
static struct rf_msg_welcome welcomed;
static ino_t table_inode;
static int welcome_err;
static atomic_uint interval = 1000;

static void hello(struct rf_msg_hello *m)
{
	hellos++;
	m->state = RF_VM_SEALED;
	m->instance = 5;
	m->next_event = 400 + hellos;
	m->board_size = 123;
}

static int welcome(const struct rf_msg_welcome *m, int table_fd, const char **why)
{
	struct stat st = { 0 };

	welcomed = *m;
	if (table_fd >= 0)
		fstat(table_fd, &st);
	table_inode = st.st_ino;
	if (welcome_err)
		*why = "the table is bad";
	return welcome_err;
}

static void connected(void)
{
	connections++;
}

static bool message(const uint8_t *packet)
{
	struct rf_msg h;

	memcpy(&h, packet, sizeof(h));
	memcpy(last_message, packet, h.size);
	messages++;
	return !message_is_bad;
}

static void tick(void)
{
	ticks++;
}

static unsigned tick_ms(void)
{
	return interval;
}

static const struct rf_channel_handlers handlers = { hello,   welcome, connected,
						     message, tick,    tick_ms };

static void until(atomic_uint *count, unsigned wanted)
{
	for (int i = 0; atomic_load(count) < wanted; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

/* --- refused --------------------------------------------------------------------------- */

static struct {
	const void *reply;
	size_t size;
	int fd;
} foreign = { .fd = -1 };

/* In a thread, since rf_channel_start() waits for the answer. */
static void *answer_once(void *arg)
{
	struct rf_msg_hello h;

	peer_accept(&h, NULL);
	if (foreign.size)
		assert_int_equal(rf_msg_send(peer, foreign.reply, foreign.size, &foreign.fd,
					     foreign.fd >= 0),
				 0);
	peer_close();
	return NULL;
}

static int start(const void *reply, size_t size, const char **why)
{
	pthread_t t;
	int err;

	foreign.reply = reply;
	foreign.size = size;
	assert_int_equal(pthread_create(&t, NULL, answer_once, NULL), 0);
	err = rf_channel_start(run, board, &handlers, why);
	pthread_join(t, NULL);
	return err;
}

static void refusals(void **state)
{
	const char *why = NULL;
	struct rf_msg_welcome w = { 0 };
	struct rf_msg_done d = { 0 };
	int nobody[2];
	int fds = open_fds();

	/* No descriptor, no socket, one whose other end is closed. */
	assert_int_equal(rf_channel_start(-1, board, &handlers, &why), -ECONNRESET);
	assert_non_null(strstr(why, "RINGFENCE_LINK"));
	assert_int_equal(rf_channel_start(board, board, &handlers, &why), -ECONNRESET);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nobody), 0);
	close(nobody[0]);
	assert_int_equal(rf_channel_start(nobody[1], board, &handlers, &why), -ECONNRESET);
	assert_non_null(strstr(why, "leads to no"));
	close(nobody[1]);

	assert_int_equal(start("HTTP/1.1 400 Bad Request\r\n", 26, &why), -EBADMSG);
	assert_non_null(strstr(why, "not a monitor"));
	assert_int_equal(start(NULL, 0, &why), -ECONNRESET);
	assert_non_null(strstr(why, "refused"));
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	assert_int_equal(start(&w, sizeof(w) - 1, &why), -EBADMSG);
	rf_msg_init(&d.h, RF_MSG_DONE, 0); /* right size, but not what is awaited */
	foreign.fd = board;		   /* and a descriptor: closed with it */
	assert_int_equal(start(&d, sizeof(d), &why), -EBADMSG);
	assert_non_null(strstr(why, "not a monitor"));
	w.h.revision++;
	assert_int_equal(start(&w, sizeof(w), &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "revision"));
	assert_int_equal(welcomed.h.type, 0); /* none of them was a welcome */
	/* A table that is not what it should be. */
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	welcome_err = -EBADMSG;
	assert_int_equal(start(&w, sizeof(w), &why), -EBADMSG);
	assert_non_null(strstr(why, "table is bad"));
	assert_int_not_equal(table_inode, 0);
	welcome_err = 0;
	foreign.fd = -1;

	assert_int_equal(rf_channel_send(&d, sizeof(d)), -ENOTCONN);
	assert_int_equal(open_fds(), fds + 1); /* its memory, for the next start */
	assert_int_equal(connections + messages, 0);
}

/* --- one connection ---------------------------------------------------------------------- */

static const struct rf_rules rules = { .observe = 1, .kexec = 1, .unsealed_ms = 7 };

static void *welcome_once(void *arg)
{
	struct rf_msg_welcome w = { .rules = rules };
	struct rf_msg_hello h;
	char name[32] = "";
	struct stat sent, got;
	int fd;

	peer_accept(&h, &fd);
	assert_int_equal(h.state, RF_VM_SEALED);
	assert_int_equal(h.instance, 5);
	assert_int_equal(h.board_size, 123);
	assert_int_equal(h.vmm_pid, getpid());
	prctl(PR_GET_NAME, name);
	assert_string_equal(h.vmm, arg);
	assert_int_equal(fstat(fd, &got) | fstat(board, &sent), 0);
	assert_int_equal(got.st_ino, sent.st_ino);
	close(fd);
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	assert_int_equal(rf_msg_send(peer, &w, sizeof(w), &board, 1), 0);
	return NULL;
}

static void connects(void **state)
{
	const char *why = NULL;
	char name[32] = "";
	struct stat sent;
	pthread_t t;
	int fds = open_fds();

	/* As `run` leaves it to the VMM. */
	assert_int_equal(fcntl(run, F_SETFD, 0), 0);
	prctl(PR_GET_NAME, name);
	assert_int_equal(pthread_create(&t, NULL, welcome_once, name), 0);
	assert_int_equal(rf_channel_start(run, board, &handlers, &why), 0);
	pthread_join(t, NULL);
	until(&connections, 1);
	assert_memory_equal(&welcomed.rules, &rules, sizeof(rules));
	fstat(board, &sent);
	assert_int_equal(table_inode, sent.st_ino);
	/* The two ends, and for the next one the table. */
	assert_int_equal(open_fds(), fds + 3);
	/* Nobody that the VMM starts has the link. */
	assert_int_equal(fcntl(run, F_GETFD), FD_CLOEXEC);
}

static void both_ways(void **state)
{
	struct rf_msg_outcome o = { .id = 9, .status = -1 };
	struct rf_msg_verdict v = { .id = 77 };
	uint8_t packet[RF_MSG_MAX + 1];
	unsigned before = messages;

	rf_msg_init(&o.h, RF_MSG_OUTCOME, 0);
	assert_int_equal(rf_channel_send(&o, sizeof(o)), 0);
	assert_int_equal(peer_receive(packet), sizeof(o));
	assert_memory_equal(packet, &o, sizeof(o));
	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	peer_tell(&v, sizeof(v));
	until(&messages, before + 1);
	assert_memory_equal(last_message, &v, sizeof(v));
}

/* Without a word from the monitor, too. */
static void ticks_come(void **state)
{
	struct rf_msg_verdict v = { .id = 1 };
	unsigned now;

	interval = 2;
	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	peer_tell(&v, sizeof(v)); /* ends the wait of before */
	now = ticks;
	until(&ticks, now + 10);
	interval = 100000;
	usleep(20000);
	now = ticks;
	for (unsigned i = 1; i <= 5; i++) {
		peer_tell(&v, sizeof(v));
		until(&ticks, now + i); /* behind each message */
	}
	interval = 5;
	peer_tell(&v, sizeof(v));
}

static uint64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A monitor that does not read: nobody waits in a send, and what was taken arrives in order. */
static void a_deaf_monitor(void **state)
{
	struct rf_msg_outcome o = { .id = 0 };
	uint8_t packet[RF_MSG_MAX + 1];
	uint64_t began = ms_now(), sent = 0;
	int err = 0;

	rf_msg_init(&o.h, RF_MSG_OUTCOME, 0);
	while (!err) {
		o.id = sent;
		err = rf_channel_send(&o, sizeof(o));
		sent += !err;
		assert_true(sent < 1000000);
	}
	assert_int_equal(err, -EAGAIN);
	assert_int_equal(rf_channel_send(&o, sizeof(o)), -EAGAIN);
	assert_true(ms_now() - began < 3000);
	assert_true(sent > 0);
	/* It is heard all the same. */
	for (unsigned before = messages, i = 0; i < 3; i++) {
		struct rf_msg_verdict v = { .id = i };

		rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
		peer_tell(&v, sizeof(v));
		until(&messages, before + i + 1);
	}
	for (uint64_t i = 0; i < sent; i++) {
		assert_int_equal(peer_receive(packet), sizeof(o));
		memcpy(&o, packet, sizeof(o));
		assert_int_equal(o.id, i);
	}
	assert_true(peer_hears_nothing(20));
	assert_int_equal(rf_channel_send(&o, sizeof(o)), 0);
	peer_receive(packet);
}

/* --- nonsense ------------------------------------------------------------------------------ */

/* What the fence does when it is told nonsense: hangs up, and asks the next one. */
static void hung_up(void)
{
	unsigned before = connections;
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(peer_receive(packet), 0);
	peer_close();
	peer_welcome(NULL, -1);
	until(&connections, before + 1);
	assert_int_equal(table_inode, 0);
}

static void nonsense_ends_the_connection(void **state)
{
	struct rf_msg_verdict good = { .id = 400, .verdict = RF_VERDICT_ALLOW };
	uint8_t big[RF_MSG_MAX + 512] = { 0 };
	unsigned before = messages;

	peer_tell("?", 1);
	hung_up();
	rf_msg_init(&good.h, RF_MSG_VERDICT, 0);
	peer_tell(&good, sizeof(good) - 8); /* truncated */
	hung_up();
	good.h.revision++;
	peer_tell(&good, sizeof(good));
	hung_up();
	rf_msg_init(&good.h, RF_MSG_VERDICT, 0);
	memcpy(big, &good, sizeof(good)); /* longer than any message */
	peer_tell(big, sizeof(big));
	hung_up();
	shutdown(peer, SHUT_RDWR); /* vanishes */
	hung_up();
	assert_int_equal(messages, before); /* nothing of it was handed on */
	message_is_bad = true;		    /* well-formed, but not for a fence */
	peer_tell(&good, sizeof(good));
	hung_up();
	assert_int_equal(messages, before + 1);
	message_is_bad = false;
	peer_tell(&good, sizeof(good));
	until(&messages, before + 2);
}

/* Descriptors sent where none are awaited must not pile up in the VMM. */
static void smuggled_descriptors(void **state)
{
	struct rf_msg_verdict v = { .id = 1 };
	unsigned before = messages;
	int fds = open_fds();

	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	for (unsigned i = 1; i <= 8; i++) {
		assert_int_equal(rf_msg_send(peer, &v, sizeof(v), &board, 1), 0);
		until(&messages, before + i);
	}
	assert_int_equal(open_fds(), fds);
}

static void it_tries_again(void **state)
{
	struct rf_msg_hello h;
	struct rf_msg_welcome w = { 0 };
	unsigned before = connections, now;
	uint8_t packet[RF_MSG_MAX + 1];
	struct stat passed, first;

	/* One of another revision. */
	peer_close();
	peer_accept(&h, NULL);
	assert_int_equal(h.next_event, 400 + hellos); /* as it is now */
	/* What the last monitor's table says goes to this one. */
	assert_true(peer_table >= 0);
	assert_int_equal(fstat(peer_table, &passed) | fstat(board, &first), 0);
	assert_int_equal(passed.st_ino, first.st_ino);
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	w.h.revision++;
	peer_tell(&w, sizeof(w));
	peer_close();
	/* One whose table is bad. */
	peer_accept(&h, NULL);
	welcome_err = -EBADMSG;
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	peer_tell(&w, sizeof(w));
	assert_int_equal(peer_receive(packet), 0);
	welcome_err = 0;
	peer_close();
	assert_int_equal(rf_channel_send(&w, sizeof(w)), -ENOTCONN);
	/* Nobody for a while: time goes on. */
	peer_accept(&h, NULL);
	peer_close();
	now = ticks;
	until(&ticks, now + 3);
	assert_int_equal(rf_channel_send(&w, sizeof(w)), -ENOTCONN);
	assert_int_equal(connections, before);
	peer_welcome(&rules, -1);
	until(&connections, before + 1);
}

/* Nobody comes, or who comes says nothing: the fence's clock goes on. */
static void time_goes_on_while_one_starts(void **state)
{
	unsigned before = connections, now;

	interval = 50;
	peer_close();
	usleep(300000);
	peer_offer();
	now = ticks;
	sleep(3);
	assert_in_range(ticks - now, 10, 100000);
	peer_welcome(NULL, -1);
	until(&connections, before + 1);
	interval = 5;
}

/* A monitor that `run` could not even kill keeps nobody out, and of several the last one counts. */
static void the_newest_counts(void **state)
{
	struct rf_msg_verdict v = { .id = 3 };
	unsigned before = connections, heard;
	int old = peer, fds = open_fds();
	uint8_t packet[RF_MSG_MAX + 1];

	peer_offer();
	peer_offer();
	peer_offer();
	peer_welcome(NULL, -1);
	until(&connections, before + 1);
	assert_int_equal(recv(old, packet, sizeof(packet), 0), 0);
	close(old);
	heard = messages;
	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	peer_tell(&v, sizeof(v));
	until(&messages, heard + 1);
	assert_int_equal(connections, before + 1);
	/* The last of the sockets is let go of behind the message. */
	for (int i = 0; open_fds() != fds; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

/* The channel is this process's: so is its end. */
static void it_ends_with_run(void **state)
{
	char text[256] = "";
	int err[2], status;
	pid_t child;

	assert_int_equal(pipe(err), 0);
	child = fork();
	if (!child) {
		const char *why = NULL;
		char name[32] = "";
		pthread_t t;

		prctl(PR_GET_NAME, name);
		dup2(err[1], STDERR_FILENO);
		run = peer_init(); /* of its own */
		foreign.reply = NULL;
		pthread_create(&t, NULL, welcome_once, name);
		if (rf_channel_start(run, board, &handlers, &why))
			_exit(1);
		pthread_join(t, NULL);
		peer_give_up();
		sleep(5);
		_exit(2);
	}
	close(err[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(read(err[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "the VM was ended: `ringfence run` is gone"));
	close(err[0]);
}

static int set_up(void **state)
{
	run = peer_init();
	board = memfd_create("board", MFD_CLOEXEC);
	return run >= 0 && board >= 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_with_run), /* first: a child has the thread that forks */
		cmocka_unit_test(refusals),
		cmocka_unit_test(connects),
		cmocka_unit_test(both_ways),
		cmocka_unit_test(ticks_come),
		cmocka_unit_test(a_deaf_monitor),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(smuggled_descriptors),
		cmocka_unit_test(it_tries_again),
		cmocka_unit_test(time_goes_on_while_one_starts),
		cmocka_unit_test(the_newest_counts),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
