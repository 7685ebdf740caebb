// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What may come when (monitor/sequence.c), and what becomes of what may not: a fence that lies
 * about the order of things, message by message, as the serving loop takes them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"
#include "monitor/messages.h"

static int attach_first(void **state)
{
	int err = fake_setup(state);

	fake.info.next_event = 1;
	if (!err)
		rf_sequence_begin(&guest.sequence, &fake.info);
	return err;
}

static int attach_later(void **state)
{
	int err = fake_setup(state);

	if (!err)
		rf_sequence_begin(&guest.sequence, &fake.info);
	return err;
}

/* What the monitor makes of it; the fence acts on its verdict as fake_judge() has it. */
static int say(const struct rf_msg_event *ev)
{
	const union rf_backend_message m = { .event = *ev };
	unsigned int before = fake.verdicts;
	int err = rf_message_take(&guest, &m);

	if (!err && fake.verdicts != before && ev->kind == RF_EVENT_KERNEL &&
	    fake_verdict()->verdict == RF_VERDICT_ALLOW) {
		fake.info.kernel = ev->id;
		fake.info.lstar = ev->msr.value;
		fake.info.cr3 = ev->regs.cr3;
		if (fake.info.state == RF_VM_BOOTING)
			fake.info.state = RF_VM_FOUND;
	}
	return err;
}

static int say_outcome(uint64_t id)
{
	union rf_backend_message m = { .outcome = { .id = id } };

	rf_msg_init(&m.h, RF_MSG_OUTCOME, 0);
	return rf_message_take(&guest, &m);
}

static int say_kind(enum rf_event_kind kind)
{
	struct rf_msg_event ev = fake_event(kind);

	if (kind == RF_EVENT_RESET)
		ev.life.cause = RF_CAUSE_RESET;
	return say(&ev);
}

static int say_kernel(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	return say(&ev);
}

static struct rf_msg_event store(void)
{
	const uint8_t bytes[] = { 1, 2, 3, 4 };

	return fake_write_event(TABLE, bytes, sizeof(bytes));
}

static void booted(void)
{
	assert_int_equal(say_kernel(), 0);
	assert_int_equal(say_kind(RF_EVENT_WATCH), 0);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	fake_table_store();
}

/* On record, the VM is ended where it waits for an answer, and the connection is given up. */
static void cannot_be(int err, bool ends)
{
	size_t before = fake_count("outcome", "the fence says what cannot be");

	assert_int_equal(err, -EPROTO);
	if (ends) {
		assert_int_equal(fake_verdict()->verdict, RF_VERDICT_KILL);
		assert_int_equal(before, 1);
		return;
	}
	assert_int_equal(before, 0);
	rf_messages_give_up(&guest, err);
	assert_int_equal(fake_count("outcome", "the fence says what cannot be"), 1);
}

/* --- what is in order --------------------------------------------------------------- */

static void a_vms_life(void **state)
{
	struct rf_msg_event ev;

	assert_int_equal(say_kind(RF_EVENT_UNSEALED), 0);
	booted();
	ev = store();
	assert_int_equal(say(&ev), 0);
	assert_int_equal(fake_verdict()->verdict, RF_VERDICT_DENY);
	assert_int_equal(say_outcome(ev.id), 0);
	assert_int_equal(say_kind(RF_EVENT_RELOADED), 0);
	ev = fake_event(RF_EVENT_HALTED);
	ev.life.cause = RF_CAUSE_TEXT;
	assert_int_equal(say(&ev), 0);
	assert_int_equal(say_kind(RF_EVENT_RELOADED), 0);
	ev = store();
	assert_int_equal(say(&ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	assert_int_equal(say_kind(RF_EVENT_RESET), 0);
	booted();
	ev = fake_event(RF_EVENT_RESET);
	ev.life.cause = RF_CAUSE_KEXEC;
	assert_int_equal(say(&ev), 0);
	assert_int_equal(fake_count("outcome", "the fence says what cannot be"), 0);
}

/* Two vCPUs had asked, or were about to, when another thread of the VMM's released the seals. */
static void a_question_behind_its_release(void **state)
{
	struct rf_msg_event ev[4];

	booted();
	for (int i = 0; i < 4; i++) {
		ev[i] = store();
		ev[i].vcpu = (uint32_t)i % 2;
	}
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	fake.info.regions_count = 0;
	assert_int_equal(say_kind(RF_EVENT_RESET), 0);
	assert_int_equal(say(&ev[1]), 0);
	assert_int_equal(say(&ev[0]), 0);
	/* Each has had its answer: nothing of before is left to ask. */
	cannot_be(say(&ev[2]), true);
}

/* Numbers are given before anybody waits for a lock: they come a little out of order. */
static void numbers_of_two_vcpus(void **state)
{
	struct rf_msg_event first, second;

	booted();
	first = store();
	second = store();
	second.vcpu = 2;
	assert_int_equal(say(&second), 0);
	assert_int_equal(say(&first), 0);
	assert_int_equal(say_outcome(first.id), 0);
	assert_int_equal(say_outcome(second.id), 0);
}

/* What waited for a monitor may be of any state before it came. */
static void told_before(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RELOADED);

	ev.id = 3;
	assert_int_equal(say(&ev), 0);
	assert_int_equal(say_outcome(2), 0);
	cannot_be(say_outcome(2), false);
}

static void asked_before(void **state)
{
	struct rf_msg_event ev = store();

	ev.id = 2;
	assert_int_equal(say(&ev), 0);
	ev.id = 4;
	cannot_be(say(&ev), true); /* a second one of that vCPU's, with nothing sealed */
}

/* --- what is not --------------------------------------------------------------------- */

static void watch_of_no_kernel(void **state)
{
	cannot_be(say_kind(RF_EVENT_WATCH), true);
	assert_int_equal(fake.seals, 0);
}

/* The named one: WATCH, a seal that fails, WATCH again. The first failure is the VM's end, and
 * closes; a fence that goes on is not listened to. */
static void watch_again_after_a_failed_seal(void **state)
{
	bool more;

	assert_int_equal(say_kernel(), 0);
	fake.seal_err = -EIO;
	assert_int_equal(say_kind(RF_EVENT_WATCH), 0);
	assert_int_equal(fake_verdict()->verdict, RF_VERDICT_KILL);
	assert_true(rf_messages_wait(&guest));
	/* There is no next(): it would be called through NULL. */
	assert_null(guest.hv->ops->next);
	assert_int_equal(rf_messages_take(&guest, &more), 0);
	assert_false(more);
	guest.killed_ns -= UINT64_C(10000000001);
	cannot_be(rf_messages_take(&guest, &more), false);
}

/* A seal that the guards could not be attached behind leaves nothing for the next attach. */
static void attached_twice(void **state)
{
	fake.has_tables = true;
	guest.policy.pin_tables = true;
	assert_int_equal(say_kernel(), 0);
	fake.traps_err = -EIO; /* the last one: the others are attached */
	fake.insns_count = 1;
	fake.kexec = IMAGE_GVA + 0x2100;
	assert_int_equal(say_kind(RF_EVENT_WATCH), 0);
	assert_int_equal(fake_verdict()->verdict, RF_VERDICT_KILL);
	assert_non_null(guest.gdt_told);
	fake.traps_err = 0;
	assert_int_equal(rf_guards_attach(&guest, false), 0);
	/* The teardown and the leak checker count what is left. */
	assert_int_equal(fake.tables, 1);
	assert_int_equal(fake.hook_tables, 1);
}

static void seal_asked_for_twice(void **state)
{
	booted();
	cannot_be(say_kind(RF_EVENT_WATCH), true);
	assert_int_equal(fake.seals, 1);
}

static void nothing_is_sealed_yet(void **state)
{
	static const enum rf_event_kind asks[] = {
		RF_EVENT_WRITE, RF_EVENT_EMULATION, RF_EVENT_MSR,     RF_EVENT_CR,
		RF_EVENT_TRAP,	RF_EVENT_TABLES,    RF_EVENT_STALLED, RF_EVENT_DELIVERY,
	};

	assert_int_equal(say_kernel(), 0);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct rf_msg_event ev = fake_event(asks[i]);

		ev.vcpu = 3 + (uint32_t)i;
		assert_int_equal(say(&ev), -EPROTO);
		assert_int_equal(fake_verdict()->verdict, RF_VERDICT_KILL);
		assert_int_equal(fake_verdict()->id, ev.id);
	}
	assert_int_equal(say_kind(RF_EVENT_RELOADED), -EPROTO);
}

static void the_same_number(void **state)
{
	struct rf_msg_event ev;

	booted();
	ev = store();
	assert_int_equal(say(&ev), 0);
	ev.vcpu = 9; /* of another one: what is on record is not answered once more */
	cannot_be(say(&ev), true);
}

static void a_number_that_goes_back(void **state)
{
	struct rf_msg_event ev, before;

	booted();
	before = store();
	ev = store();
	assert_int_equal(say(&ev), 0);
	cannot_be(say(&before), true);
}

/* vCPUs that no VM has, and kinds that there are not. */
static void of_no_vcpu_and_no_kind(void **state)
{
	struct rf_msg_event ev;

	booted();
	ev = store();
	ev.vcpu = RF_BACKEND_VCPU_IDS - 1;
	assert_int_equal(say(&ev), 0);
	ev = store();
	ev.vcpu = RF_BACKEND_VCPU_IDS;
	cannot_be(say(&ev), true);
	ev = store();
	ev.vcpu = UINT32_MAX;
	assert_int_equal(say(&ev), -EPROTO);
	assert_int_equal(say_kind(0), -EPROTO);
	assert_int_equal(say_kind(UINT32_MAX), -EPROTO);
}

static void outcomes_of_nothing(void **state)
{
	struct rf_msg_event ev;

	booted();
	ev = store();
	assert_int_equal(say(&ev), 0);
	assert_int_equal(say_outcome(ev.id), 0);
	cannot_be(say_outcome(ev.id), false);
	assert_int_equal(say_outcome(ev.id + 1), -EPROTO); /* not asked */
	assert_int_equal(say_outcome(UINT64_MAX), -EPROTO);
}

static void a_kexec_of_what_is_not_sealed(void **state)
{
	struct rf_msg_event ev;

	assert_int_equal(say_kernel(), 0);
	ev = fake_event(RF_EVENT_RESET);
	ev.life.cause = RF_CAUSE_KEXEC;
	cannot_be(say(&ev), false);
}

static void compared_with_no_seal(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_HALTED);

	ev.life.cause = RF_CAUSE_TEXT;
	cannot_be(say(&ev), false);
}

/* --- the end ------------------------------------------------------------------------- */

/* A KILL that finds nobody, as the question was dropped, is none: the guest goes on. */
static void a_command_too_late_closes_nothing(void **state)
{
	assert_int_equal(say_kernel(), 0);
	fake.seal_err = -ESTALE;
	assert_int_equal(say_kind(RF_EVENT_WATCH), 0);
	assert_int_equal(fake_verdict()->verdict, RF_VERDICT_KILL);
	assert_false(rf_messages_wait(&guest));
	assert_null(guest.kernel);
	fake.seal_err = 0;
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	assert_int_equal(say_kind(RF_EVENT_RESET), 0);
	booted();
	assert_true(guest.attached);
}

/* Numbers come twice only if they come within what is remembered; and far ones cost nothing. */
static void far_numbers(void **state)
{
	struct rf_msg_event ev;

	booted();
	ev = store();
	ev.id = UINT64_MAX;
	assert_int_equal(say(&ev), 0);
	ev.vcpu = 5;
	assert_int_equal(say(&ev), -EPROTO);
	ev.id = UINT64_MAX - RF_SEQUENCE_WINDOW + 1;
	ev.vcpu = 6;
	assert_int_equal(say(&ev), 0);
	ev.vcpu = 7;
	assert_int_equal(say(&ev), -EPROTO);
}

#define FIRST(test) cmocka_unit_test_setup_teardown(test, attach_first, fake_teardown)
#define LATER(test) cmocka_unit_test_setup_teardown(test, attach_later, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIRST(a_vms_life),
		FIRST(a_question_behind_its_release),
		FIRST(numbers_of_two_vcpus),
		LATER(told_before),
		LATER(asked_before),
		FIRST(watch_of_no_kernel),
		FIRST(watch_again_after_a_failed_seal),
		FIRST(attached_twice),
		FIRST(seal_asked_for_twice),
		FIRST(nothing_is_sealed_yet),
		FIRST(the_same_number),
		FIRST(a_number_that_goes_back),
		FIRST(of_no_vcpu_and_no_kind),
		FIRST(outcomes_of_nothing),
		FIRST(a_kexec_of_what_is_not_sealed),
		FIRST(compared_with_no_seal),
		FIRST(a_command_too_late_closes_nothing),
		FIRST(far_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
