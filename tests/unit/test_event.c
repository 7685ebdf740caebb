// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/event.c over a socket that takes, is full, or is not there: what is asked and what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/channel.h"
#include "hv/event.h"
#include "hv/life.h"
#include "tests/unit/fake_vcpus.h"

#define VCPUS 300u

static struct rf_board_file file;

/* --- the rest of the fence --------------------------------------------------------------- */

static atomic_int wanted;

bool rf_gate_wanted(const struct rf_vcpu *v)
{
	return atomic_load(&wanted);
}

uint64_t rf_arch_announced(const struct rf_msg_event *ev)
{
	return ev->msr.value;
}

void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out)
{
	*out = (struct rf_vcpu_regs){ .rip = 0x1000 + v->id };
}

void rf_fatal(const char *why)
{
	_exit(42);
}

static struct {
	struct rf_vcpu *v;
	uint64_t event, entry;
	size_t sent; /* by then */
} announced;

/* The socket. */
static struct {
	int err;
	size_t room; /* packets it takes before -EAGAIN */
	struct rf_msg_event events[2000];
	size_t sent, outcomes;
	struct rf_msg_outcome outcome;
	uint64_t order[2000]; /* the ids of both, as they came */
	size_t packets;
} sock;

static const struct rf_msg_event *last(void)
{
	assert_true(sock.sent);
	return &sock.events[sock.sent - 1];
}

int rf_channel_send(const void *msg, size_t size)
{
	struct rf_msg h;

	memcpy(&h, msg, sizeof(h));
	assert_int_equal(rf_msg_check(msg, size), 0);
	if (sock.err)
		return sock.err;
	if (!sock.room)
		return -EAGAIN;
	sock.room--;
	if (h.type == RF_MSG_OUTCOME) {
		assert_int_equal(size, sizeof(sock.outcome));
		memcpy(&sock.outcome, msg, sizeof(sock.outcome));
		sock.order[sock.packets++] = sock.outcome.id;
		sock.outcomes++;
		return 0;
	}
	assert_int_equal(h.type, RF_MSG_EVENT);
	assert_true(sock.sent < sizeof(sock.events) / sizeof(sock.events[0]));
	memcpy(&sock.events[sock.sent++], msg, sizeof(sock.events[0]));
	sock.order[sock.packets++] = last()->id;
	return 0;
}

void rf_life_announced(struct rf_vcpu *v, uint64_t event, uint64_t entry)
{
	announced.v = v;
	announced.event = event;
	announced.entry = entry;
	announced.sent = sock.sent;
}

static int setup(void **state)
{
	static bool once;

	if (!once)
		rf_event_init();
	once = true;
	rf_board = &file.board;
	memset(&file.board.counters, 0, sizeof(file.board.counters));
	memset(&sock, 0, sizeof(sock));
	sock.room = SIZE_MAX;
	atomic_store(&wanted, 0);
	fake_vcpus.count = VCPUS;
	for (uint32_t i = 0; i < VCPUS; i++)
		rf_vcpus[i] = (struct rf_vcpu){ .id = i };
	return 0;
}

/* Nothing is left over. */
static int teardown(void **state)
{
	sock.err = 0;
	sock.room = SIZE_MAX;
	rf_event_retry();
	for (uint32_t i = 0; i < VCPUS; i++)
		rf_event_drop(&rf_vcpus[i]);
	return rf_event_retry();
}

static struct rf_vcpu *post(uint32_t vcpu, enum rf_event_kind kind)
{
	struct rf_vcpu *v = &rf_vcpus[vcpu];

	rf_event_new(v);
	rf_event_post(v, kind);
	assert_int_equal(v->phase, RF_ASKING);
	return v;
}

static void verdict(uint64_t id, uint32_t word)
{
	struct rf_msg_verdict m = { .id = id, .verdict = word };

	rf_msg_init(&m.h, RF_MSG_VERDICT, 0);
	rf_event_verdict(&m);
}

static void monitor_comes(void)
{
	rf_event_hello();
	rf_event_connected();
}

/* --- asked ---------------------------------------------------------------------------------- */

static void asked(void **state)
{
	uint64_t next = rf_event_hello();
	struct rf_vcpu *v = &rf_vcpus[7];

	v->wait.saved.reason = 9;
	v->wait.tries = 4;
	v->wait.event.write.len = 3;
	rf_event_new(v);
	assert_int_equal(v->wait.saved.reason, 0);
	assert_int_equal(v->wait.tries, 0);
	assert_int_equal(v->wait.event.write.len, 0);
	v->wait.event.write.gpa = 0x1234;
	rf_event_post(v, RF_EVENT_WRITE);
	assert_int_equal(sock.sent, 1);
	assert_int_equal(last()->id, next);
	assert_int_equal(last()->kind, RF_EVENT_WRITE);
	assert_int_equal(last()->vcpu, 7);
	assert_int_equal(last()->regs.rip, 0x1007);
	assert_int_equal(last()->write.gpa, 0x1234);
	assert_int_equal(rf_event_hello(), next + 1);
	assert_int_equal(post(8, RF_EVENT_WRITE)->wait.event.id, next + 1);
	assert_int_equal(sock.sent, 2);
}

/* Commands name an announced kernel: it is known before the monitor can. */
static void a_kernel_is_announced_first(void **state)
{
	struct rf_vcpu *v = &rf_vcpus[3];

	rf_event_new(v);
	v->wait.event.msr.value = 0x77;
	rf_event_post(v, RF_EVENT_KERNEL);
	assert_ptr_equal(announced.v, v);
	assert_int_equal(announced.event, last()->id);
	assert_int_equal(announced.entry, 0x77);
	assert_int_equal(announced.sent, 0);
	assert_int_equal(sock.sent, 1);
	announced.v = NULL;
	post(4, RF_EVENT_MSR);
	assert_null(announced.v);
}

static void verdicts_find_their_question(void **state)
{
	struct rf_vcpu *a = post(0, RF_EVENT_WRITE), *b = post(1, RF_EVENT_WRITE);
	uint64_t ida = a->wait.event.id, idb = b->wait.event.id;

	verdict(idb + 1, RF_VERDICT_ALLOW); /* unknown ids find nobody */
	verdict(0, RF_VERDICT_ALLOW);
	verdict(UINT64_MAX, RF_VERDICT_ALLOW);
	verdict(idb, RF_VERDICT_DENY);
	assert_int_equal(b->phase, RF_ANSWERED);
	assert_int_equal(a->phase, RF_ASKING);
	verdict(idb, RF_VERDICT_ALLOW); /* the first word counts */
	assert_int_equal(rf_event_take(b), 0);
	assert_int_equal(b->wait.verdict.verdict, RF_VERDICT_DENY);
	assert_int_equal(b->phase, RF_OUT);
	verdict(idb, RF_VERDICT_ALLOW); /* too late: it is settled */
	assert_int_equal(b->phase, RF_OUT);
	assert_int_equal(b->wait.verdict.verdict, RF_VERDICT_DENY);
	verdict(ida, RF_VERDICT_ALLOW);
	assert_int_equal(rf_event_take(a), 0);
	assert_int_equal(a->wait.verdict.verdict, RF_VERDICT_ALLOW);
}

static void unknown_words_are_the_strictest(void **state)
{
	static const uint32_t words[] = { 0, 6, 0x101, 0x80000001, UINT32_MAX };

	for (uint64_t i = 0; i < 5; i++) {
		struct rf_vcpu *v = post(0, RF_EVENT_WRITE);

		verdict(v->wait.event.id, words[i]);
		assert_int_equal(rf_event_take(v), 0);
		assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_KILL);
	}
}

/* A word of stores says nothing to any other question. */
static void settle_is_for_stores(void **state)
{
	for (enum rf_event_kind k = RF_EVENT_KERNEL; k <= RF_EVENT_DELIVERY; k++) {
		struct rf_vcpu *v = post(0, k);

		verdict(v->wait.event.id, RF_VERDICT_SETTLE);
		assert_int_equal(rf_event_take(v), 0);
		assert_int_equal(v->wait.verdict.verdict,
				 k == RF_EVENT_WRITE ? RF_VERDICT_SETTLE : RF_VERDICT_KILL);
	}
}

static void a_kick_gets_the_thread_back(void **state)
{
	struct rf_vcpu *v = post(0, RF_EVENT_WRITE);

	atomic_store(&wanted, 1);
	assert_int_equal(rf_event_take(v), -EINTR);
	assert_int_equal(v->phase, RF_ASKING);
	assert_int_equal(rf_event_take(v), -EINTR);
	verdict(v->wait.event.id, RF_VERDICT_DENY);
	assert_int_equal(v->phase, RF_ANSWERED);
	assert_int_equal(rf_event_take(v), 0); /* the answer first */
	assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_DENY);
}

static void *kick_soon(void *arg)
{
	usleep(30000);
	atomic_store(&wanted, 1);
	return NULL;
}

static void a_kick_while_it_waits(void **state)
{
	struct rf_vcpu *v = post(0, RF_EVENT_WRITE);
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, kick_soon, NULL), 0);
	assert_int_equal(rf_event_take(v), -EINTR);
	pthread_join(t, NULL);
	assert_int_equal(v->phase, RF_ASKING);
}

static void dropped(void **state)
{
	struct rf_vcpu *a = post(0, RF_EVENT_WRITE), *b = post(1, RF_EVENT_WRITE);
	uint64_t ida = a->wait.event.id;

	verdict(b->wait.event.id, RF_VERDICT_KILL);
	rf_event_drop(a);
	rf_event_drop(b); /* though it was answered */
	assert_int_equal(rf_event_take(a), -ECANCELED);
	assert_int_equal(rf_event_take(b), -ECANCELED);
	assert_int_equal(a->phase, RF_OUT);
	verdict(ida, RF_VERDICT_KILL); /* of before */
	a = post(0, RF_EVENT_WRITE);
	verdict(ida, RF_VERDICT_KILL);
	assert_int_equal(a->phase, RF_ASKING);
	verdict(a->wait.event.id, RF_VERDICT_ALLOW);
	assert_int_equal(rf_event_take(a), 0);
	assert_int_equal(a->wait.verdict.verdict, RF_VERDICT_ALLOW);
}

static void *drop_soon(void *arg)
{
	usleep(30000);
	rf_event_drop(arg);
	return NULL;
}

static void dropped_while_it_waits(void **state)
{
	struct rf_vcpu *v = post(0, RF_EVENT_WRITE);
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, drop_soon, v), 0);
	assert_int_equal(rf_event_take(v), -ECANCELED);
	pthread_join(t, NULL);
}

/* An open question and another one, or a guest that runs, exclude each other. */
static void two_at_once(void **state)
{
	static const enum rf_phase phases[] = { RF_IN, RF_ASKING, RF_ANSWERED };

	for (size_t i = 0; i < 3; i++) {
		int status;
		pid_t pid = fork();

		if (!pid) {
			atomic_store(&rf_vcpus[0].phase, phases[i]);
			rf_event_new(&rf_vcpus[0]);
			rf_event_post(&rf_vcpus[0], RF_EVENT_WRITE);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 42);
	}
}

static void outcomes(void **state)
{
	struct rf_vcpu *v = post(0, RF_EVENT_WRITE);

	rf_event_outcome(v, -EIO);
	assert_int_equal(sock.outcomes, 1);
	assert_int_equal(sock.outcome.id, v->wait.event.id);
	assert_int_equal(sock.outcome.status, -EIO);
}

/* --- a socket that is full ---------------------------------------------------------------- */

/* As the channel's thread does it. */
static unsigned retried(size_t room)
{
	unsigned rounds = 0;
	bool more = true;

	while (more) {
		sock.room = room;
		more = rf_event_retry();
		assert_true(++rounds < 10000);
	}
	sock.room = SIZE_MAX;
	return rounds;
}

/* More questions than it takes: each is sent, once. */
static void full_socket(void **state)
{
	bool seen[VCPUS] = { false };

	sock.room = 3;
	for (uint32_t i = 0; i < VCPUS; i++)
		post(i, RF_EVENT_WRITE);
	assert_int_equal(sock.sent, 3);
	sock.room = 0;
	assert_true(rf_event_retry());
	assert_int_equal(sock.sent, 3);
	assert_in_range(retried(7), VCPUS / 7 - 1, VCPUS / 7 + 2);
	assert_int_equal(sock.sent, VCPUS);
	for (uint32_t i = 0; i < VCPUS; i++) {
		assert_false(seen[sock.events[i].vcpu]);
		seen[sock.events[i].vcpu] = true;
		assert_int_equal(sock.events[i].id, rf_vcpus[sock.events[i].vcpu].wait.event.id);
	}
	sock.room = SIZE_MAX;
	assert_false(rf_event_retry());
	assert_int_equal(sock.sent, VCPUS);
	for (uint32_t i = 0; i < VCPUS; i++) {
		verdict(rf_vcpus[i].wait.event.id, RF_VERDICT_DENY);
		assert_int_equal(rf_event_take(&rf_vcpus[i]), 0);
	}
}

/* What became of a verdict is told later, each in its turn: before what its vCPU asks next. */
static void outcomes_wait_for_room(void **state)
{
	struct rf_vcpu *v = post(0, RF_EVENT_WRITE), *w = post(1, RF_EVENT_MSR);
	uint64_t idv = v->wait.event.id, idw = w->wait.event.id, next;

	verdict(idv, RF_VERDICT_DENY);
	verdict(idw, RF_VERDICT_DENY);
	assert_int_equal(rf_event_take(v) | rf_event_take(w), 0);
	sock.room = 0;
	rf_event_outcome(v, 0);
	rf_event_tell(NULL, RF_EVENT_RELOADED, 0, 0);
	rf_event_outcome(w, -EIO);
	sock.room = SIZE_MAX; /* not before those */
	next = post(0, RF_EVENT_WRITE)->wait.event.id;
	assert_int_equal(sock.packets, 2);
	sock.room = 1;
	assert_true(rf_event_retry());
	assert_int_equal(sock.outcomes, 1);
	assert_int_equal(sock.outcome.id, idv);
	assert_int_equal(sock.outcome.status, 0);
	retried(1);
	assert_int_equal(sock.outcomes, 2);
	assert_int_equal(sock.outcome.id, idw);
	assert_int_equal(sock.outcome.status, -EIO);
	assert_int_equal(sock.packets, 6);
	assert_int_equal(sock.order[2], idv);
	assert_int_equal(sock.events[2].kind, RF_EVENT_RELOADED);
	assert_int_equal(sock.order[4], idw);
	assert_int_equal(sock.order[5], next);
	assert_false(rf_event_retry());
	assert_int_equal(sock.packets, 6); /* each once */
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 0);
}

/* A guest has outcomes made: however many, they keep no reset out, and what is lost is counted. */
static void more_outcomes_than_room(void **state)
{
	uint64_t first;
	unsigned kept, lost = 7;

	sock.err = -ENOTCONN;
	rf_vcpus[0].wait.event.id = 5000;
	for (kept = 0; !file.board.counters[RF_COUNT_UNTOLD]; kept++) {
		rf_event_outcome(&rf_vcpus[0], 0);
		rf_vcpus[0].wait.event.id++;
		assert_true(kept < 1000);
	}
	kept--;
	assert_true(kept >= 16);
	while (--lost)
		rf_event_outcome(&rf_vcpus[0], 0);
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 7);
	first = rf_event_hello();
	for (unsigned i = 0; i < 64; i++)
		rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, i);
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 7);
	sock.err = 0;
	monitor_comes(); /* the next monitor has the same log */
	assert_int_equal(sock.outcomes, kept);
	assert_int_equal(sock.sent, 64);
	for (unsigned i = 0; i < kept + 64; i++)
		assert_int_equal(sock.order[i], i < kept ? 5000 + i : first + i - kept);
}

/* One that was dropped before it was sent is not sent. */
static void dropped_unsent(void **state)
{
	sock.room = 0;
	post(0, RF_EVENT_WRITE);
	rf_event_drop(post(1, RF_EVENT_WRITE));
	post(2, RF_EVENT_WRITE);
	assert_false(rf_vcpus[1].phase);
	retried(1);
	assert_int_equal(sock.sent, 2);
	assert_int_equal(sock.events[0].vcpu, 0);
	assert_int_equal(sock.events[1].vcpu, 2);
	/* The next one of that vCPU is another one. */
	post(1, RF_EVENT_TRAP);
	assert_int_equal(last()->kind, RF_EVENT_TRAP);
	assert_int_equal(last()->vcpu, 1);
}

/* --- no monitor, another monitor
 * --------------------------------------------------------------- */

/* A question that is asked when the socket is there, and not all of what was open has gone through
 * it yet: it is sent once. */
static void asked_as_one_comes(void **state)
{
	sock.err = -ENOTCONN;
	post(0, RF_EVENT_WRITE);
	rf_event_hello();
	post(1, RF_EVENT_WRITE);
	sock.err = 0;
	post(2, RF_EVENT_WRITE);
	assert_int_equal(sock.sent, 1);
	rf_event_connected();
	assert_int_equal(sock.sent, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(sock.events[i].vcpu, (i + 2) % 3);
	monitor_comes(); /* gets them all */
	assert_int_equal(sock.sent, 6);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(sock.events[3 + i].vcpu, i);
}

static void nobody_is_there(void **state)
{
	struct rf_vcpu *v;

	sock.err = -ENOTCONN;
	v = post(3, RF_EVENT_WRITE);
	rf_event_outcome(v, 0);
	assert_true(rf_event_retry());
	sock.err = 0;
	monitor_comes();
	assert_int_equal(sock.sent, 1);
	assert_int_equal(last()->id, v->wait.event.id);
	assert_false(rf_event_retry());
	assert_int_equal(sock.sent, 1);
	verdict(v->wait.event.id, RF_VERDICT_DENY);
	assert_int_equal(rf_event_take(v), 0);
}

/* It gets what is open: what is answered, or was told to the one before, is not open. */
static void another_monitor(void **state)
{
	struct rf_vcpu *a = post(0, RF_EVENT_WRITE), *b = post(1, RF_EVENT_WRITE);

	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	verdict(b->wait.event.id, RF_VERDICT_DENY);
	assert_int_equal(sock.sent, 3);
	sock.room = 0; /* and takes nothing at first */
	monitor_comes();
	retried(1);
	assert_int_equal(sock.sent, 4);
	assert_int_equal(last()->id, a->wait.event.id);
	monitor_comes();
	assert_int_equal(sock.sent, 5);
	assert_int_equal(last()->id, a->wait.event.id);
	assert_int_equal(rf_event_take(b), 0);
	verdict(a->wait.event.id, RF_VERDICT_ALLOW);
	assert_int_equal(rf_event_take(a), 0);
}

/* --- told
 * ---------------------------------------------------------------------------------------- */

static void told(void **state)
{
	uint64_t next = rf_event_hello();

	rf_event_tell(NULL, RF_EVENT_RELOADED, 0, 1234);
	assert_int_equal(last()->id, next);
	assert_int_equal(last()->kind, RF_EVENT_RELOADED);
	assert_int_equal(last()->life.adopted, 1234);
	assert_int_equal(last()->regs.rip, 0);
	rf_event_tell(&rf_vcpus[5], RF_EVENT_UNSEALED, 3, 0);
	assert_int_equal(last()->id, next + 1);
	assert_int_equal(last()->vcpu, 5);
	assert_int_equal(last()->regs.rip, 0x1005);
	assert_int_equal(last()->life.cause, 3);
	assert_int_equal(rf_vcpus[5].phase, RF_OUT); /* nothing is awaited */
}

/* A monitor hears of a reset before the questions that came after it, whatever the socket takes. */
static void told_before_what_is_asked(void **state)
{
	uint64_t first = rf_event_hello();

	sock.room = 0;
	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	sock.room = SIZE_MAX; /* there is room by now, but not before the first one */
	post(0, RF_EVENT_KERNEL);
	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_ARRIVED, 0);
	post(1, RF_EVENT_WRITE);
	assert_int_equal(sock.sent, 0);
	sock.room = 1;
	assert_true(rf_event_retry());
	assert_int_equal(sock.sent, 1);
	post(2, RF_EVENT_WRITE);
	assert_int_equal(sock.sent, 1);
	retried(1);
	assert_int_equal(sock.sent, 5);
	assert_int_equal(sock.events[0].id, first);
	assert_int_equal(sock.events[0].life.cause, RF_CAUSE_RESET);
	assert_int_equal(sock.events[1].id, first + 2);
	assert_int_equal(sock.events[1].life.cause, RF_CAUSE_ARRIVED);
	for (uint32_t i = 2; i < 5; i++)
		assert_int_equal(sock.events[i].vcpu, i - 2);
	/* The same for a monitor that comes. */
	sock.sent = 0;
	sock.err = -ENOTCONN;
	rf_event_tell(NULL, RF_EVENT_HALTED, RF_CAUSE_TEXT, 0);
	post(3, RF_EVENT_WRITE);
	sock.err = 0;
	sock.room = SIZE_MAX;
	monitor_comes();
	assert_int_equal(sock.sent, 5);
	assert_int_equal(sock.events[0].kind, RF_EVENT_HALTED);
	assert_int_equal(sock.events[1].vcpu, 0);
	assert_int_equal(sock.events[4].vcpu, 3);
}

/* Told while nobody is there: kept as far as there is room, and what is lost is counted. */
static void told_to_nobody(void **state)
{
	uint64_t first = rf_event_hello();
	unsigned kept, lost = 5;

	sock.err = -ENOTCONN;
	for (kept = 0; !file.board.counters[RF_COUNT_UNTOLD]; kept++) {
		rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, kept);
		assert_true(kept < 1000);
	}
	kept--;
	assert_true(kept >= 64); /* 50 resets in a row are not lost */
	while (--lost)
		rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 5);
	sock.err = 0;
	sock.room = 10;
	monitor_comes();
	assert_int_equal(sock.sent, 10);
	retried(9);
	assert_int_equal(sock.sent, kept);
	for (unsigned i = 0; i < kept; i++) {
		assert_int_equal(sock.events[i].id, first + i);
		assert_int_equal(sock.events[i].life.adopted, i);
	}
	/* There is room again. */
	sock.room = 0;
	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 5);
	retried(1);
	assert_int_equal(sock.sent, kept + 1);
}

/* --- threads
 * ---------------------------------------------------------------------------------------- */

#define ROUNDS 300

static void *ask_and_take(void *arg)
{
	struct rf_vcpu *v = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		rf_event_new(v);
		rf_event_post(v, RF_EVENT_WRITE);
		if (rf_event_take(v) || v->wait.verdict.id != v->wait.event.id ||
		    atomic_load(&v->phase) != RF_OUT)
			return v;
	}
	return NULL;
}

static void many_vcpus(void **state)
{
	pthread_t t[4];
	uint64_t from = rf_event_hello();
	bool joined[4] = { false };

	sock.err = -ENOTCONN; /* what is sent is not looked at */
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_and_take, &rf_vcpus[i]), 0);
	for (uint32_t i = 0, left = 4; left; i = (i + 1) % 4) {
		void *failed;

		usleep(10);
		/* The id stands before the phase does. */
		if (atomic_load(&rf_vcpus[i].phase) == RF_ASKING)
			verdict(rf_vcpus[i].wait.event.id, RF_VERDICT_DENY);
		if (joined[i] || pthread_tryjoin_np(t[i], &failed))
			continue;
		assert_null(failed);
		joined[i] = true;
		left--;
	}
	assert_int_equal(rf_event_hello(), from + 4 * ROUNDS);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(asked),
		T(a_kernel_is_announced_first),
		T(verdicts_find_their_question),
		T(unknown_words_are_the_strictest),
		T(settle_is_for_stores),
		T(a_kick_gets_the_thread_back),
		T(a_kick_while_it_waits),
		T(dropped),
		T(dropped_while_it_waits),
		T(two_at_once),
		T(outcomes),
		T(full_socket),
		T(outcomes_wait_for_room),
		T(more_outcomes_than_room),
		T(dropped_unsent),
		T(asked_as_one_comes),
		T(nobody_is_there),
		T(another_monitor),
		T(told),
		T(told_before_what_is_asked),
		T(told_to_nobody),
		T(many_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
