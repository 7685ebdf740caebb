/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hv/channel.c against monitors that are foreign, of another revision, hostile, or gone. The channel connects for the life
 * of a process, so the order of the tests counts: first all that must be refused, then one connection.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "hv/vm.h"
#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"

/* --- what channel.c asks of the rest of the fence ------------------------------------------------ */

struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
static atomic_int wanted;
static struct rf_msg_seal sealed;

bool rf_gate_wanted(const struct rf_vcpu *v)
{
	return atomic_load(&wanted);
}

int rf_seal(const struct rf_msg_seal *m, uint64_t *ns)
{
	sealed = *m;
	*ns = 42;
	return m->kernel == 1 ? 0 : -ESTALE;
}

int rf_watch_arm(const struct rf_msg_watch *m)
{
	return m->kernel == 1 ? 0 : -ESTALE;
}

int rf_traps_plant(const struct rf_msg_traps *m)
{
	atomic_store(&rf_vm.check_ns, m->check_ms * UINT64_C(1000000));
	return m->count == 3 ? 0 : -EILSEQ;
}

static atomic_uint ticks;

void rf_tables_tick(void)
{
	ticks += atomic_load(&rf_vm.check_ns) != 0;
}

int rf_mend(const struct rf_msg_mend *m)
{
	return m->from == 8 ? 0 : -EAGAIN;
}

int rf_patch_restore(const struct rf_msg_restore *m)
{
	return m->flight == 6 ? 0 : -ENOENT;
}

int rf_msr_pin(const struct rf_msg_pin *m)
{
	return m->count == 1 ? 0 : -ENOSPC;
}

bool rf_cr_watched(void)
{
	return true;
}

static atomic_uint cr_ticks;

void rf_cr_tick(void)
{
	cr_ticks++;
}

int rf_patch_use(int fd)
{
	return -EBADMSG; /* none is sent here */
}

/* --- a monitor ------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/rf-channel-XXXXXX";
static char path[64];
static int listener = -1, peer = -1, board = -1;

static void listen_again(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	unlink(path);
	strcpy(a.sun_path, path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1), 0);
}

static size_t receive(uint8_t *packet)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };
	ssize_t n;

	assert_int_equal(poll(&p, 1, 5000), 1);
	n = recv(peer, packet, RF_MSG_MAX + 1, 0);
	return n < 0 ? 0 : (size_t)n;
}

static void accept_hello(struct rf_msg_hello *hello)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(poll(&p, 1, 5000), 1);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(receive(packet), sizeof(*hello));
	assert_int_equal(rf_msg_check(packet, sizeof(*hello)), 0);
	memcpy(hello, packet, sizeof(*hello));
}

static void tell(const void *msg, size_t size)
{
	assert_int_equal(send(peer, msg, size, MSG_NOSIGNAL), size);
}

static void welcome(void)
{
	struct rf_msg_hello hello;
	struct rf_msg_welcome w = { .monitor_pid = (uint32_t)getpid() };

	accept_hello(&hello);
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	tell(&w, sizeof(w));
}

static struct rf_msg_event next_event(void)
{
	struct rf_msg_event e;
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(receive(packet), sizeof(e));
	assert_int_equal(rf_msg_check(packet, sizeof(e)), 0);
	memcpy(&e, packet, sizeof(e));
	assert_int_equal(e.h.type, RF_MSG_EVENT);
	return e;
}

static void verdict(uint64_t id, uint32_t word)
{
	struct rf_msg_verdict v = { .id = id, .verdict = word };

	rf_msg_init(&v.h, RF_MSG_VERDICT, 0);
	tell(&v, sizeof(v));
}

/* --- refused ---------------------------------------------------------------------------------------- */

static struct {
	const void *reply;
	size_t size;
} foreign;

/* Listens in a thread, since rf_channel_start() waits for the answer. */
static void *answer_once(void *arg)
{
	struct rf_msg_hello hello;

	accept_hello(&hello);
	if (foreign.size)
		tell(foreign.reply, foreign.size);
	close(peer);
	return NULL;
}

static int start(const void *reply, size_t size, const char **why)
{
	pthread_t t;
	int err;

	foreign.reply = reply;
	foreign.size = size;
	assert_int_equal(pthread_create(&t, NULL, answer_once, NULL), 0);
	err = rf_channel_start(path, board, why);
	pthread_join(t, NULL);
	return err;
}

static void refusals(void **state)
{
	const char *why = NULL;
	struct rf_msg_welcome w = { 0 };
	struct rf_msg_done d = { 0 };
	char long_path[200];

	assert_int_equal(rf_channel_start("/nonexistent/socket", board, &why), -ENOENT);
	assert_non_null(strstr(why, "RINGFENCE_SOCKET"));
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(rf_channel_start(long_path, board, &why), -ENAMETOOLONG);

	assert_int_equal(start("HTTP/1.1 400 Bad Request\r\n", 26, &why), -EBADMSG);
	assert_non_null(strstr(why, "not a monitor"));
	assert_int_equal(start(NULL, 0, &why), -ECONNRESET);
	assert_non_null(strstr(why, "refused"));
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	assert_int_equal(start(&w, sizeof(w) - 1, &why), -EBADMSG);
	rf_msg_init(&d.h, RF_MSG_DONE, 0); /* right size, but not what is awaited */
	assert_int_equal(start(&d, sizeof(d), &why), -EBADMSG);
	assert_non_null(strstr(why, "not a monitor"));
	w.h.revision++;
	assert_int_equal(start(&w, sizeof(w), &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "revision"));

	close(listener); /* the file is there, nobody listens */
	assert_int_equal(rf_channel_start(path, board, &why), -ECONNREFUSED);
	listen_again();
}

/* --- one connection --------------------------------------------------------------------------------- */

static void *welcome_once(void *arg)
{
	welcome();
	return NULL;
}

static void connects(void **state)
{
	const char *why = NULL;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, welcome_once, NULL), 0);
	assert_int_equal(rf_channel_start(path, board, &why), 0);
	pthread_join(t, NULL);
}

static struct rf_vcpu *posted(unsigned vcpu, uint64_t id)
{
	struct rf_vcpu *v = &rf_vm.vcpus[vcpu];

	v->wait.event = (struct rf_msg_event){ .id = id, .kind = RF_EVENT_WRITE, .vcpu = vcpu };
	rf_msg_init(&v->wait.event.h, RF_MSG_EVENT, 0);
	rf_channel_post(v);
	return v;
}

static void verdicts_find_their_event(void **state)
{
	struct rf_vcpu *a = posted(0, 100), *b = posted(1, 101);

	assert_int_equal(next_event().id, 100);
	assert_int_equal(next_event().id, 101);
	verdict(99, RF_VERDICT_ALLOW); /* unknown ids find nobody */
	verdict(0, RF_VERDICT_ALLOW);
	verdict(UINT64_MAX, RF_VERDICT_ALLOW);
	verdict(101, RF_VERDICT_DENY);
	assert_int_equal(rf_channel_wait(b), 0);
	assert_int_equal(b->wait.verdict.verdict, RF_VERDICT_DENY);
	assert_int_equal(b->wait.state, RF_WAIT_NONE);
	assert_int_equal(a->wait.state, RF_WAIT_PENDING);
	verdict(101, RF_VERDICT_ALLOW); /* too late: the event is settled */
	verdict(100, RF_VERDICT_ALLOW);
	verdict(100, RF_VERDICT_DENY); /* the first word counts */
	assert_int_equal(rf_channel_wait(a), 0);
	assert_int_equal(a->wait.verdict.verdict, RF_VERDICT_ALLOW);
	assert_int_equal(b->wait.state, RF_WAIT_NONE);
}

static void unknown_words_are_the_strictest(void **state)
{
	static const uint32_t words[] = { 0, 6, 0x101, 0x80000001, UINT32_MAX };

	for (uint64_t i = 0; i < 5; i++) {
		struct rf_vcpu *v = posted(0, 200 + i);

		assert_int_equal(next_event().id, 200 + i);
		verdict(200 + i, words[i]);
		assert_int_equal(rf_channel_wait(v), 0);
		assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_KILL);
	}
}

/* A word of stores says nothing to any other event. */
static void settle_is_for_stores(void **state)
{
	for (uint64_t i = 0; i < 2; i++) {
		struct rf_vcpu *v = posted(0, 300 + i);

		assert_int_equal(next_event().id, 300 + i);
		v->wait.event.kind = i ? RF_EVENT_WRITE : RF_EVENT_EMULATION;
		verdict(300 + i, RF_VERDICT_SETTLE);
		assert_int_equal(rf_channel_wait(v), 0);
		assert_int_equal(v->wait.verdict.verdict, i ? RF_VERDICT_SETTLE : RF_VERDICT_KILL);
	}
}

static void a_kick_gets_the_thread_back(void **state)
{
	struct rf_vcpu *v = posted(0, 300);

	assert_int_equal(next_event().id, 300);
	atomic_store(&wanted, 1);
	assert_int_equal(rf_channel_wait(v), -EINTR);
	assert_int_equal(v->wait.state, RF_WAIT_PENDING);
	verdict(300, RF_VERDICT_ALLOW);
	atomic_store(&wanted, 0);
	assert_int_equal(rf_channel_wait(v), 0);
}

static void commands_are_answered(void **state)
{
	struct rf_msg_seal s = { .kernel = 1, .count = 3 };
	struct rf_msg_watch w = { .kernel = 2 };
	struct rf_msg_done d;
	uint8_t packet[RF_MSG_MAX + 1];

	rf_msg_init(&s.h, RF_MSG_SEAL, 11);
	tell(&s, sizeof(s));
	assert_int_equal(receive(packet), sizeof(d));
	memcpy(&d, packet, sizeof(d));
	assert_int_equal(d.h.type, RF_MSG_DONE);
	assert_int_equal(d.h.seq, 11);
	assert_int_equal(d.status, 0);
	assert_int_equal(d.ns, 42);
	assert_int_equal(sealed.count, 3);
	rf_msg_init(&w.h, RF_MSG_WATCH, 12);
	tell(&w, sizeof(w));
	assert_int_equal(receive(packet), sizeof(d));
	memcpy(&d, packet, sizeof(d));
	assert_int_equal(d.h.seq, 12);
	assert_int_equal(d.status, -ESTALE);
	for (uint64_t from = 8; from <= 9; from++) {
		struct rf_msg_mend t = { .kernel = 1, .from = from };

		rf_msg_init(&t.h, RF_MSG_MEND, 15);
		tell(&t, sizeof(t));
		assert_int_equal(receive(packet), sizeof(d));
		memcpy(&d, packet, sizeof(d));
		assert_int_equal(d.h.seq, 15);
		assert_int_equal(d.status, from == 8 ? 0 : -EAGAIN);
	}
	for (uint32_t count = 3; count <= 4; count++) {
		struct rf_msg_traps t = { .kernel = 1, .count = count, .check_ms = 5 };

		rf_msg_init(&t.h, RF_MSG_TRAPS, 14);
		tell(&t, sizeof(t));
		assert_int_equal(receive(packet), sizeof(d));
		memcpy(&d, packet, sizeof(d));
		assert_int_equal(d.h.seq, 14);
		assert_int_equal(d.status, count == 3 ? 0 : -EILSEQ);
	}
	/* Without a word from the monitor, too. */
	for (unsigned now = ticks, n = 0; ticks < now + 3; n++) {
		assert_true(n < 1000);
		usleep(5000);
	}
	atomic_store(&rf_vm.check_ns, 0);
	assert_true(cr_ticks > 0);
	for (uint64_t flight = 6; flight <= 7; flight++) {
		struct rf_msg_restore r = { .kernel = 1, .flight = flight };

		rf_msg_init(&r.h, RF_MSG_RESTORE, 13);
		tell(&r, sizeof(r));
		assert_int_equal(receive(packet), sizeof(d));
		memcpy(&d, packet, sizeof(d));
		assert_int_equal(d.h.seq, 13);
		assert_int_equal(d.status, flight == 6 ? 0 : -ENOENT);
	}
	for (uint32_t count = 1; count <= 2; count++) {
		struct rf_msg_pin p = { .kernel = 1, .count = count };

		rf_msg_init(&p.h, RF_MSG_PIN, 14);
		tell(&p, sizeof(p));
		assert_int_equal(receive(packet), sizeof(d));
		memcpy(&d, packet, sizeof(d));
		assert_int_equal(d.h.seq, 14);
		assert_int_equal(d.status, count == 1 ? 0 : -ENOSPC);
	}
}

/* What the fence does when it is told nonsense: hangs up, unlocks nothing, asks the next one the same. */
static void hung_up(struct rf_vcpu *v, uint64_t id)
{
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(receive(packet), 0);
	close(peer);
	assert_int_equal(v->wait.state, RF_WAIT_PENDING);
	welcome();
	assert_int_equal(next_event().id, id);
}

static void nonsense_ends_the_connection(void **state)
{
	struct rf_vcpu *v = posted(2, 400);
	struct rf_msg_verdict good = { .id = 400, .verdict = RF_VERDICT_ALLOW };
	struct rf_msg_hello hello = { .state = 0 };
	uint8_t big[RF_MSG_MAX + 512] = { 0 };

	assert_int_equal(next_event().id, 400);
	tell("?", 1);
	hung_up(v, 400);
	rf_msg_init(&good.h, RF_MSG_VERDICT, 0);
	tell(&good, sizeof(good) - 8); /* truncated */
	hung_up(v, 400);
	good.h.revision++;
	tell(&good, sizeof(good));
	hung_up(v, 400);
	rf_msg_init(&good.h, RF_MSG_VERDICT, 0);
	memcpy(big, &good, sizeof(good)); /* longer than any message */
	tell(big, sizeof(big));
	hung_up(v, 400);
	rf_msg_init(&hello.h, RF_MSG_HELLO, 0); /* well-formed, but not for a fence */
	tell(&hello, sizeof(hello));
	hung_up(v, 400);
	shutdown(peer, SHUT_RDWR); /* vanishes */
	hung_up(v, 400);
	tell(&good, sizeof(good));
	assert_int_equal(rf_channel_wait(v), 0);
	assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_ALLOW);
}

static void hello_says_where_it_stands(void **state)
{
	struct rf_msg_hello hello;
	struct rf_msg_welcome w = { 0 };

	rf_vm.state = RF_VM_SEALED;
	rf_vm.instance = 5;
	atomic_store(&rf_vm.next_event, 401);
	close(peer);
	accept_hello(&hello);
	assert_int_equal(hello.state, RF_VM_SEALED);
	assert_int_equal(hello.instance, 5);
	assert_int_equal(hello.next_event, 401);
	assert_int_equal(hello.vmm_pid, getpid());
	/* It does not stop trying because one was of another revision. */
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	w.h.revision++;
	tell(&w, sizeof(w));
	close(peer);
	welcome();
}

static void a_reset_drops_what_waits(void **state)
{
	struct rf_vcpu *a = posted(0, 500), *b = posted(1, 501);
	struct rf_msg_event e;

	next_event();
	next_event();
	verdict(501, RF_VERDICT_DENY);
	while (*(volatile enum rf_wait_state *)&b->wait.state != RF_WAIT_ANSWERED)
		usleep(1000);
	rf_channel_reset();
	assert_int_equal(rf_channel_wait(a), -ECANCELED);
	assert_int_equal(rf_channel_wait(b), -ECANCELED);
	e = next_event();
	assert_int_equal(e.kind, RF_EVENT_RESET);
	assert_int_equal(e.id, 401);
	verdict(500, RF_VERDICT_KILL); /* of before the reset */
	a = posted(0, 502);
	assert_int_equal(next_event().id, 502);
	verdict(502, RF_VERDICT_ALLOW);
	assert_int_equal(rf_channel_wait(a), 0);
	assert_int_equal(a->wait.verdict.verdict, RF_VERDICT_ALLOW);
}

static void posted_while_nobody_is_there(void **state)
{
	struct rf_vcpu *v;

	close(listener);
	close(peer);
	usleep(50000);
	v = posted(3, 600);
	atomic_store(&wanted, 1);
	assert_int_equal(rf_channel_wait(v), -EINTR);
	atomic_store(&wanted, 0);
	rf_channel_outcome(v, 0);
	listen_again();
	welcome();
	assert_int_equal(next_event().id, 600);
	verdict(600, RF_VERDICT_DENY);
	assert_int_equal(rf_channel_wait(v), 0);
	assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_DENY);
}

static int set_up(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/monitor", dir);
	board = dup(0);
	atomic_store(&rf_vm.nr_vcpus, 4);
	listen_again();
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(connects),
		cmocka_unit_test(verdicts_find_their_event),
		cmocka_unit_test(unknown_words_are_the_strictest),
		cmocka_unit_test(settle_is_for_stores),
		cmocka_unit_test(a_kick_gets_the_thread_back),
		cmocka_unit_test(commands_are_answered),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(hello_says_where_it_stands),
		cmocka_unit_test(a_reset_drops_what_waits),
		cmocka_unit_test(posted_while_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
