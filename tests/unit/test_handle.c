// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/handle.c, what becomes of a store, with all that it calls made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/event.h"
#include "hv/handle.h"
#include "hv/text.h"
#include "hv/watch.h"

#define EXIT 0x77 /* what stands in kvm_run */

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
static struct kvm_run area;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area };

static struct {
	bool settles, drains, stored, hit;
	int step_err;
	uint32_t step_exit;
} fake;

static unsigned posted, news;
static enum rf_event_kind kind;

bool rf_text_settle(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len, bool told)
{
	assert_false(told); /* nobody has been asked yet */
	return fake.settles;
}

bool rf_arch_drain(struct rf_vcpu *v)
{
	v->run->exit_reason = EXIT;
	return fake.drains;
}

void rf_arch_describe(struct rf_vcpu *v) {}

void rf_arch_announce(struct rf_msg_event *ev, uint64_t entry)
{
	ev->msr.value = entry;
}

void rf_exit_save(const struct rf_vcpu *v, struct rf_saved_exit *s)
{
	s->reason = v->run->exit_reason;
}

bool rf_watch_store(uint64_t gpa, const uint8_t *bytes, uint32_t len, bool *hit)
{
	*hit = fake.hit;
	return fake.stored;
}

int rf_watch_step(struct rf_vcpu *v, bool *hit)
{
	v->run->exit_reason = fake.step_exit;
	*hit = fake.hit;
	return fake.step_err;
}

void rf_watch_describe(struct rf_msg_event *ev)
{
	ev->watch.gpa = 0x5000;
}

void rf_event_new(struct rf_vcpu *v)
{
	memset(&v->wait.event, 0, sizeof(v->wait.event));
	v->wait.saved.reason = 0;
	news++;
}

void rf_event_post(struct rf_vcpu *v, enum rf_event_kind k)
{
	assert_int_equal(news, posted + 1);
	posted++;
	kind = k;
}

static void anew(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&area, 0, sizeof(area));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	vcpu.vmm_debug.control = 0;
	posted = news = 0;
	kind = 0;
}

static void is_posted(enum rf_event_kind k, uint32_t saved)
{
	assert_int_equal(posted, 1);
	assert_int_equal(kind, k);
	assert_int_equal(vcpu.wait.saved.reason, saved);
}

static const uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static void sealed_store(void **state)
{
	anew();
	fake.settles = true;
	assert_int_equal(rf_on_sealed_store(&vcpu, 0x1000, bytes, 8), RF_AGAIN);
	assert_int_equal(posted, 0);
	anew();
	assert_int_equal(rf_on_sealed_store(&vcpu, 0x1000, bytes, 3), RF_WAIT);
	is_posted(RF_EVENT_WRITE, 0);
	assert_int_equal(vcpu.wait.event.write.gpa, 0x1000);
	assert_int_equal(vcpu.wait.event.write.len, 3);
	assert_memory_equal(vcpu.wait.event.write.bytes, "\1\2\3\0", 4);
	/* Its rest is a device's. */
	anew();
	fake.drains = true;
	assert_int_equal(rf_on_sealed_store(&vcpu, 0x1000, bytes, 3), RF_WAIT);
	is_posted(RF_EVENT_WRITE, EXIT);
}

static void watched_store(void **state)
{
	const uint64_t writes = file.board.counters[RF_COUNT_WRITE];

	anew();
	fake.stored = true;
	assert_int_equal(rf_on_watched_store(&vcpu, 0x5000, bytes, 4), RF_AGAIN);
	assert_int_equal(posted, 0);
	anew();
	fake.stored = fake.hit = true;
	assert_int_equal(rf_on_watched_store(&vcpu, 0x5000, bytes, 4), RF_WAIT);
	is_posted(RF_EVENT_WATCH, 0);
	assert_int_equal(vcpu.wait.event.watch.gpa, 0x5000);
	assert_int_equal(file.board.counters[RF_COUNT_WRITE], writes);
	/* Sealed since KVM reported it. */
	anew();
	assert_int_equal(rf_on_watched_store(&vcpu, 0x5000, bytes, 4), RF_WAIT);
	is_posted(RF_EVENT_WRITE, 0);
	assert_int_equal(file.board.counters[RF_COUNT_WRITE], writes + 1);
}

static enum rf_next step(int want_err, bool want_dispatch)
{
	enum rf_next next;
	bool dispatch = !want_dispatch;
	int err = 1;

	next = rf_on_watched_step(&vcpu, &err, &dispatch);
	assert_int_equal(err, want_err);
	assert_int_equal(dispatch, want_dispatch);
	return next;
}

static void watched_step(void **state)
{
	for (int hit = 0; hit < 2; hit++) {
		/* The end of our own step is nobody's exit. */
		anew();
		fake.hit = hit;
		fake.step_exit = KVM_EXIT_DEBUG;
		assert_int_equal(step(0, false), hit ? RF_WAIT : RF_AGAIN);
		assert_int_equal(posted, hit);
		if (hit)
			is_posted(RF_EVENT_WATCH, 0);
		/* But where the VMM steps too it is its own, behind the question. */
		anew();
		fake.hit = hit;
		fake.step_exit = KVM_EXIT_DEBUG;
		vcpu.vmm_debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
		assert_int_equal(step(0, true), hit ? RF_WAIT : RF_TO_VMM);
		assert_int_equal(posted, hit);
		if (hit)
			is_posted(RF_EVENT_WATCH, KVM_EXIT_DEBUG);
		/* Breakpoints alone make no exit of our step. */
		anew();
		fake.hit = hit;
		fake.step_exit = KVM_EXIT_DEBUG;
		vcpu.vmm_debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
		assert_int_equal(step(0, false), hit ? RF_WAIT : RF_AGAIN);
		/* Another exit out of the step. */
		anew();
		fake.hit = hit;
		fake.step_exit = KVM_EXIT_IO;
		assert_int_equal(step(0, true), hit ? RF_WAIT : RF_TO_VMM);
		if (hit)
			is_posted(RF_EVENT_WATCH, KVM_EXIT_IO);
		/* Interrupted: the VMM's, unless it is the moment. */
		anew();
		fake.hit = hit;
		fake.step_err = -EINTR;
		fake.step_exit = KVM_EXIT_INTR;
		assert_int_equal(step(-EINTR, false), hit ? RF_WAIT : RF_TO_VMM);
		if (hit)
			is_posted(RF_EVENT_WATCH, 0);
	}
}

static void unemulated(void **state)
{
	anew();
	area.exit_reason = EXIT;
	assert_int_equal(rf_on_unemulated(&vcpu, bytes, 5), RF_WAIT);
	is_posted(RF_EVENT_EMULATION, EXIT);
	assert_int_equal(vcpu.wait.event.insn.len, 5);
	assert_memory_equal(vcpu.wait.event.insn.bytes, "\1\2\3\4\5\0", 6);
}

/* One that the VMM loaded answers no exit: the last one is still in kvm_run. */
static void new_entry(void **state)
{
	for (int pending = 0; pending < 2; pending++) {
		anew();
		area.exit_reason = EXIT;
		assert_int_equal(rf_on_new_entry(&vcpu, 0x1234, pending), RF_WAIT);
		is_posted(RF_EVENT_KERNEL, pending ? EXIT : 0);
		assert_int_equal(vcpu.wait.event.msr.value, 0x1234);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_store), cmocka_unit_test(watched_store),
		cmocka_unit_test(watched_step), cmocka_unit_test(unemulated),
		cmocka_unit_test(new_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
