// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The fence towards a monitor, over a real socket: hv/serve.c, hv/event.c and hv/channel.c
 * together, with what commands do in their place. One connection for the life of the process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/event.h"
#include "hv/life.h"
#include "hv/serve.h"
#include "hv/text.h"
#include "tests/unit/fake_peer.h"
#include "tests/unit/fake_vcpus.h"

#define VCPUS 600u

static struct rf_board_file file;
static int run = -1; /* the link */
static int board = -1;

/* --- the rest of the fence ---------------------------------------------------------------- */

static atomic_int wanted;
static _Atomic enum rf_vm_state vm_state;
static struct rf_rules ruled;
static atomic_uint rules_said, arch_ticks, life_ticks, tick_interval = 1000;
static int table_err, tables;
static struct rf_msg_seal sealed;
static struct rf_msg_watch watched;
static struct rf_msg_heal healed;
static uint64_t announced;

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
	*out = (struct rf_vcpu_regs){ .rip = v->id };
}

void rf_arch_tick(void)
{
	arch_ticks++;
}

unsigned rf_arch_tick_ms(void)
{
	return tick_interval;
}

static atomic_ullong skipped_ns;

uint64_t rf_monotonic_ns(void)
{
	return rf_clock_ns(CLOCK_MONOTONIC) + atomic_load(&skipped_ns);
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

enum rf_vm_state rf_life_state(void)
{
	return vm_state;
}

void rf_life_rules(const struct rf_rules *r)
{
	ruled = *r;
	rules_said++;
}

void rf_life_tick(void)
{
	life_ticks++;
}

void rf_life_announced(struct rf_vcpu *v, uint64_t event, uint64_t entry)
{
	announced = event;
}

int rf_text_use(int fd)
{
	tables++;
	return table_err;
}

static int stale(uint64_t kernel)
{
	return kernel == 1 ? 0 : -ESTALE;
}

int rf_life_command(const union rf_command *m, uint64_t *ns)
{
	switch (m->to.h.type) {
	case RF_MSG_SEAL:
		sealed = m->seal;
		*ns = 42;
		return stale(sealed.kernel);
	case RF_MSG_WATCH:
		watched = m->watch;
		return stale(watched.kernel);
	case RF_MSG_TRAPS:
		return m->traps.count == 3 ? 0 : -EILSEQ;
	case RF_MSG_MEND:
		return m->mend.from == 8 ? 0 : -EAGAIN;
	case RF_MSG_RESTORE:
		return m->restore.flight == 6 ? 0 : -ENOENT;
	case RF_MSG_PIN:
		return m->pin.count == 1 ? 0 : -ENOSPC;
	case RF_MSG_HEAL:
		healed = m->heal;
		return healed.len == 1 ? 0 : -EINVAL;
	}
	return -EBADMSG;
}

/* --- a monitor ------------------------------------------------------------------------------- */

static const struct rf_rules rules = { .observe = 1, .unsealed_ms = 5000 };

static void *welcome_once(void *table)
{
	peer_welcome(&rules, *(int *)table);
	return NULL;
}

static int start(int table, const char **why)
{
	pthread_t t;
	int err;

	assert_int_equal(pthread_create(&t, NULL, welcome_once, &table), 0);
	err = rf_channel_start(run, board, &rf_serve, why);
	pthread_join(t, NULL);
	return err;
}

static void until(atomic_uint *count, unsigned least)
{
	for (int i = 0; atomic_load(count) < least; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

static struct rf_vcpu *post(uint32_t vcpu, enum rf_event_kind kind)
{
	struct rf_vcpu *v = &rf_vcpus[vcpu];

	rf_event_new(v);
	rf_event_post(v, kind);
	return v;
}

static void answered(struct rf_vcpu *v, uint32_t word)
{
	peer_verdict(v->wait.event.id, word);
	assert_int_equal(rf_event_take(v), 0);
	assert_int_equal(v->wait.verdict.verdict, word);
}

/* The command's answer: its number, and what became of it. */
static struct rf_msg_done done(void *m, size_t size, uint16_t type)
{
	static uint32_t seq = 10;
	struct rf_msg_done d;
	struct rf_msg h;

	rf_msg_init(&h, type, ++seq);
	memcpy(m, &h, sizeof(h));
	peer_tell(m, size);
	d = peer_done();
	assert_int_equal(d.h.seq, seq);
	return d;
}

#define DONE(m, type) done(&(m), sizeof(m), type)

static void refused_table(void **state)
{
	const char *why = "";

	table_err = -EBADMSG;
	assert_int_equal(start(board, &why), -EBADMSG);
	assert_non_null(strstr(why, "patch table"));
	assert_int_equal(tables, 1);
	assert_int_equal(rules_said, 0); /* nor are its rules */
	peer_close();
	table_err = 0;
}

static void connects(void **state)
{
	struct rf_msg_mend m = { .from = 8 };
	const char *why = "";

	assert_int_equal(start(-1, &why), 0);
	assert_int_equal(tables, 1); /* none was sent: each text patch is asked about */
	assert_int_equal(rules_said, 1);
	assert_memory_equal(&ruled, &rules, sizeof(rules));
	/* What is posted while its thread comes up is sent in no order. */
	assert_int_equal(DONE(m, RF_MSG_MEND).status, 0);
}

static void asked_and_answered(void **state)
{
	struct rf_vcpu *a = post(0, RF_EVENT_WRITE), *b = post(1, RF_EVENT_KERNEL);

	assert_int_equal(peer_event().id, a->wait.event.id);
	assert_int_equal(peer_event().id, b->wait.event.id);
	assert_int_equal(announced, b->wait.event.id);
	peer_verdict(b->wait.event.id + 1, RF_VERDICT_ALLOW);
	answered(b, RF_VERDICT_DENY);
	assert_int_equal(a->phase, RF_ASKING);
	answered(a, RF_VERDICT_SETTLE);
}

static void commands_are_answered(void **state)
{
	struct rf_msg_seal s = { .kernel = 1, .count = 3, .how = RF_SEAL_FRESH };
	struct rf_msg_watch w = { .kernel = 2, .note = { 9 } };
	struct rf_msg_heal h = { .kernel = 4, .gpa = 5, .len = 1, .taken = 6 };
	struct rf_msg_done d = DONE(s, RF_MSG_SEAL);

	assert_int_equal(d.status, 0);
	assert_int_equal(d.ns, 42);
	assert_int_equal(sealed.count, 3);
	assert_int_equal(sealed.how, RF_SEAL_FRESH);
	d = DONE(w, RF_MSG_WATCH);
	assert_int_equal(d.status, -ESTALE);
	assert_int_equal(d.ns, 0);
	assert_int_equal(watched.note[0], 9);
	assert_int_equal(DONE(h, RF_MSG_HEAL).status, 0);
	assert_int_equal(healed.kernel, 4);
	assert_int_equal(healed.gpa, 5);
	assert_int_equal(healed.taken, 6);
	for (uint32_t i = 0; i < 2; i++) {
		struct rf_msg_mend mend = { .from = 8 + i };
		struct rf_msg_traps traps = { .count = 3 + i };
		struct rf_msg_restore restore = { .flight = 6 + i };
		struct rf_msg_pin pin = { .count = 1 + i };

		h.len = 1 + i;
		assert_int_equal(DONE(h, RF_MSG_HEAL).status, i ? -EINVAL : 0);
		assert_int_equal(DONE(mend, RF_MSG_MEND).status, i ? -EAGAIN : 0);
		assert_int_equal(DONE(traps, RF_MSG_TRAPS).status, i ? -EILSEQ : 0);
		assert_int_equal(DONE(restore, RF_MSG_RESTORE).status, i ? -ENOENT : 0);
		assert_int_equal(DONE(pin, RF_MSG_PIN).status, i ? -ENOSPC : 0);
	}
}

/* Registers are compared, and time runs, without a word from the monitor. */
static void ticks(void **state)
{
	struct rf_msg_mend m = { .from = 8 };
	unsigned now, seen;

	tick_interval = 2;
	DONE(m, RF_MSG_MEND); /* ends the wait of before */
	now = arch_ticks + 5;
	until(&arch_ticks, now);
	seen = life_ticks;
	assert_in_range(seen, now - 1, arch_ticks + 1);
	/* An architecture without any such need: once a second at least all the same. */
	tick_interval = UINT32_MAX;
	DONE(m, RF_MSG_MEND);
	usleep(10000);
	now = life_ticks;
	until(&life_ticks, now + 1);
	tick_interval = 1000;
}

#define RAN (file.board.counters[RF_COUNT_RAN_NS])

static void count_ticks(unsigned n)
{
	unsigned now = life_ticks;

	until(&life_ticks, now + n);
}

/* The guest's time: it passes where a vCPU is inside or comes in, and while this process is not stopped. */
static void time_of_the_guest(void **state)
{
	struct rf_msg_mend m = { .from = 8 };
	uint64_t began;

	tick_interval = 5;
	DONE(m, RF_MSG_MEND);
	count_ticks(2);
	began = RAN;
	count_ticks(10);
	assert_int_equal(RAN, began);
	/* One that idles is inside. */
	atomic_store(&rf_vcpus[1].phase, RF_IN);
	count_ticks(20);
	assert_in_range(RAN - began, 50000000, 20000000000);
	/* Stopped with the whole VMM: what is not known to have passed in the guest is not counted. */
	began = RAN;
	atomic_fetch_add(&skipped_ns, UINT64_C(60000000000));
	count_ticks(2);
	assert_in_range(RAN - began, 1000000000, 3000000000);
	/* One that comes in and leaves between two ticks. */
	atomic_store(&rf_vcpus[1].phase, RF_OUT);
	count_ticks(2);
	began = RAN;
	rf_count(RF_COUNT_RUN);
	count_ticks(2);
	assert_in_range(RAN - began, 1000000, 2000000000);
	began = RAN;
	count_ticks(5);
	assert_int_equal(RAN, began);
	tick_interval = 1000;
}

/* --- a monitor that does not read ---------------------------------------------------------- */

/*
 * No vCPU waits in a send, or this never ends; when the monitor reads again it gets each question,
 * once.
 */
static void a_deaf_monitor(void **state)
{
	static bool seen[VCPUS];
	unsigned unsent = 0, told = 0, got = 0;

	for (uint32_t i = 0; i < VCPUS; i++) {
		post(i, RF_EVENT_WRITE);
		if (i == VCPUS / 2) /* in between, and so in between heard */
			rf_event_tell(NULL, RF_EVENT_RELOADED, 0, i);
		unsent += !rf_vcpus[i].wait.sent;
	}
	assert_true(unsent > 0); /* it did get full */
	/* A vCPU that waits is got back by the VMM as ever. */
	atomic_store(&wanted, 1);
	assert_int_equal(rf_event_take(&rf_vcpus[VCPUS - 1]), -EINTR);
	atomic_store(&wanted, 0);
	for (got = 0; got < VCPUS + 1; got++) {
		struct rf_msg_event e = peer_event();

		if (e.kind == RF_EVENT_RELOADED) {
			told++;
			continue;
		}
		/* What was told before it was asked was heard before. */
		assert_true(told || e.vcpu <= VCPUS / 2);
		assert_true(e.vcpu < VCPUS && !seen[e.vcpu]);
		seen[e.vcpu] = true;
		assert_int_equal(e.id, rf_vcpus[e.vcpu].wait.event.id);
		peer_verdict(e.id, RF_VERDICT_DENY);
	}
	assert_int_equal(told, 1);
	for (uint32_t i = 0; i < VCPUS; i++) {
		assert_int_equal(rf_event_take(&rf_vcpus[i]), 0);
		assert_int_equal(rf_vcpus[i].wait.verdict.verdict, RF_VERDICT_DENY);
	}
	assert_true(peer_hears_nothing(30));
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 0);
}

/* Nor is it lost what became of its verdicts. */
static void outcomes_are_heard_late(void **state)
{
	enum { OUTCOMES = 9 };
	unsigned events = 0, outcomes = 0;

	for (uint32_t i = 0; i < VCPUS; i++)
		post(i, RF_EVENT_WRITE);
	assert_false(rf_vcpus[VCPUS - 1].wait.sent);
	for (uint32_t i = 0; i < OUTCOMES; i++)
		rf_event_outcome(&rf_vcpus[i], i % 2 ? -EIO : 0);
	while (events < VCPUS || outcomes < OUTCOMES) {
		uint8_t packet[RF_MSG_MAX + 1];
		struct rf_msg_outcome o;
		struct rf_msg h;

		assert_true(peer_receive(packet) > 0);
		memcpy(&h, packet, sizeof(h));
		if (h.type == RF_MSG_EVENT) {
			events++;
			continue;
		}
		assert_int_equal(h.type, RF_MSG_OUTCOME);
		memcpy(&o, packet, sizeof(o));
		assert_true(outcomes < OUTCOMES);
		assert_int_equal(o.id, rf_vcpus[outcomes].wait.event.id);
		assert_int_equal(o.status, outcomes % 2 ? -EIO : 0);
		outcomes++;
	}
	assert_true(peer_hears_nothing(30));
	assert_int_equal(file.board.counters[RF_COUNT_UNTOLD], 0);
	for (uint32_t i = 0; i < VCPUS; i++)
		rf_event_drop(&rf_vcpus[i]);
}

/* A command to a socket that is full is answered when there is room. */
static void answered_late(void **state)
{
	struct rf_msg_mend m = { .from = 8 };
	unsigned events = 0;

	for (uint32_t i = 0; i < VCPUS; i++)
		post(i, RF_EVENT_WRITE);
	assert_false(rf_vcpus[VCPUS - 1].wait.sent);
	rf_msg_init(&m.h, RF_MSG_MEND, 99);
	peer_tell(&m, sizeof(m));
	usleep(50000);
	for (bool found = false; !found || events < VCPUS;) {
		uint8_t packet[RF_MSG_MAX + 1];
		struct rf_msg h;

		assert_true(peer_receive(packet) > 0);
		memcpy(&h, packet, sizeof(h));
		if (h.type == RF_MSG_DONE) {
			assert_false(found);
			assert_int_equal(h.seq, 99);
			found = true;
		} else {
			events++;
		}
	}
	for (uint32_t i = 0; i < VCPUS; i++)
		rf_event_drop(&rf_vcpus[i]);
}

/* --- nonsense, and other monitors ---------------------------------------------------------- */

/* What the fence does when it is told nonsense: hangs up, unlocks nothing, asks the next one. */
static void hung_up(const struct rf_vcpu *v)
{
	uint8_t packet[RF_MSG_MAX + 1];

	assert_int_equal(peer_receive(packet), 0);
	peer_close();
	assert_int_equal(v->phase, RF_ASKING);
	peer_welcome(&rules, -1);
	assert_int_equal(peer_event().id, v->wait.event.id);
}

static void nonsense_ends_the_connection(void **state)
{
	struct rf_vcpu *v = post(2, RF_EVENT_WRITE);
	struct rf_msg_verdict good = { .id = v->wait.event.id, .verdict = RF_VERDICT_ALLOW };
	static const uint16_t not_for_a_fence[] = { RF_MSG_HELLO, RF_MSG_WELCOME, RF_MSG_EVENT,
						    RF_MSG_OUTCOME, RF_MSG_DONE };

	peer_event();
	peer_tell("?", 1);
	hung_up(v);
	rf_msg_init(&good.h, RF_MSG_VERDICT, 0);
	peer_tell(&good, sizeof(good) - 8);
	hung_up(v);
	for (size_t i = 0; i < sizeof(not_for_a_fence) / sizeof(not_for_a_fence[0]); i++) {
		uint8_t packet[RF_MSG_MAX] = { 0 };
		struct rf_msg h;

		rf_msg_init(&h, not_for_a_fence[i], 0);
		memcpy(packet, &h, sizeof(h));
		peer_tell(packet, h.size);
		hung_up(v);
	}
	peer_tell(&good, sizeof(good));
	assert_int_equal(rf_event_take(v), 0);
	assert_int_equal(v->wait.verdict.verdict, RF_VERDICT_ALLOW);
}

static void hello_says_where_it_stands(void **state)
{
	struct rf_msg_hello hello;

	vm_state = RF_VM_HALTED;
	rf_vm.instance = 5;
	peer_close();
	peer_accept(&hello, NULL);
	assert_int_equal(hello.state, RF_VM_HALTED);
	assert_int_equal(hello.instance, 5);
	assert_int_equal(hello.next_event, rf_event_hello());
	assert_int_equal(hello.board_size, sizeof(struct rf_board_file));
	peer_close();
	peer_welcome(&rules, -1);
	vm_state = RF_VM_SEALED;
}

static void posted_while_nobody_is_there(void **state)
{
	struct rf_vcpu *v;
	unsigned now;

	peer_close();
	usleep(50000);
	v = post(3, RF_EVENT_WRITE);
	rf_event_tell(NULL, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	atomic_store(&wanted, 1);
	assert_int_equal(rf_event_take(v), -EINTR);
	atomic_store(&wanted, 0);
	now = life_ticks;
	until(&life_ticks, now + 3); /* time runs on */
	peer_welcome(&rules, -1);
	assert_int_equal(peer_event().kind, RF_EVENT_RESET);
	assert_int_equal(peer_event().id, v->wait.event.id);
	answered(v, RF_VERDICT_DENY);
}

static int set_up(void **state)
{
	run = peer_init();
	board = dup(0);
	rf_board = &file.board;
	fake_vcpus.count = VCPUS;
	for (uint32_t i = 0; i < VCPUS; i++)
		rf_vcpus[i].id = i;
	rf_event_init();
	return run >= 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_table),
		cmocka_unit_test(connects),
		cmocka_unit_test(asked_and_answered),
		cmocka_unit_test(commands_are_answered),
		cmocka_unit_test(ticks),
		cmocka_unit_test(time_of_the_guest),
		cmocka_unit_test(a_deaf_monitor),
		cmocka_unit_test(outcomes_are_heard_late),
		cmocka_unit_test(answered_late),
		cmocka_unit_test(nonsense_ends_the_connection),
		cmocka_unit_test(hello_says_where_it_stands),
		cmocka_unit_test(posted_while_nobody_is_there),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
