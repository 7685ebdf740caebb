// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/enforce.c, the answer to a kernel that shows itself, with all that it calls made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/enforce.h"
#include "hv/event.h"
#include "hv/guestmem.h"
#include "hv/life.h"
#include "hv/text.h"

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct rf_vcpu vcpu;

static struct {
	int answer;   /* rf_arch_answer_entry()'s */
	bool awaited; /* rf_life_denied()'s */
	bool settles; /* rf_text_settle()'s */
	unsigned asked, settled;
	unsigned answers, known, denied, told, outcomes, fatal;
	bool allowed;
	int status;
} fake;

int rf_arch_answer_entry(struct rf_vcpu *v, bool allowed)
{
	assert_int_equal(fake.known + fake.denied, 0);
	fake.answers++;
	fake.allowed = allowed;
	v->wait.saved.reason = 0;
	return fake.answer;
}

void rf_life_known(const struct rf_msg_event *ev)
{
	assert_int_equal(ev->id, 7);
	fake.known++;
}

bool rf_life_denied(const struct rf_msg_event *ev)
{
	assert_int_equal(ev->id, 7);
	fake.denied++;
	return fake.awaited;
}

void rf_event_tell(struct rf_vcpu *v, enum rf_event_kind kind, uint32_t cause, uint32_t adopted)
{
	assert_int_equal(kind, RF_EVENT_HALTED);
	assert_int_equal(cause, RF_CAUSE_DENIED);
	fake.told++;
}

void rf_event_outcome(struct rf_vcpu *v, int status)
{
	fake.outcomes++;
	fake.status = status;
}

static jmp_buf ended;

void rf_fatal(const char *why)
{
	fake.fatal++;
	longjmp(ended, 1);
}

/* --- of other questions --- */

const struct rf_rules *rf_life_allowed(void)
{
	fail();
	return NULL;
}

void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind)
{
	assert_int_equal(kind, RF_EVENT_WRITE);
	fake.asked++;
}

struct rf_overlay *rf_guestmem_sealed(uint64_t gpa, uint64_t len)
{
	fail();
	return NULL;
}

bool rf_guestmem_stands_in(uint64_t gpa, uint64_t len)
{
	fail();
	return false;
}

void rf_overlay_write(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len)
{
	fail();
}

bool rf_text_settle(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len, bool told)
{
	assert_true(told);
	fake.settled++;
	return fake.settles;
}

void rf_text_denied(uint64_t gpa, uint32_t len)
{
	fail();
}

bool rf_arch_drain(struct rf_vcpu *v)
{
	fail();
	return false;
}

int rf_arch_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict)
{
	fail();
	return 0;
}

bool rf_arch_unemulated(struct rf_vcpu *v, const struct rf_vcpu_regs *regs)
{
	fail();
	return false;
}

enum rf_next rf_arch_enforce(struct rf_vcpu *v, int *err)
{
	*err = fake.answer;
	return RF_AGAIN;
}

void rf_exit_restore(struct rf_vcpu *v, struct rf_saved_exit *s)
{
	fail();
}

/* ---------------------------------------------------------------------------------------------- */

/* pending: the guest writes it; else the VMM has loaded it. */
static void answered(bool pending, enum rf_verdict verdict, int answer)
{
	memset(&fake, 0, sizeof(fake));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	fake.answer = answer;
	vcpu.wait.event.kind = RF_EVENT_KERNEL;
	vcpu.wait.event.id = 7;
	vcpu.wait.verdict.verdict = verdict;
	vcpu.wait.saved.reason = pending;
	if (!setjmp(ended))
		assert_int_equal(rf_enforce(&vcpu), RF_AGAIN);
	assert_int_equal(fake.answers, pending && verdict != RF_VERDICT_KILL);
}

static void let(void **state)
{
	for (int pending = 0; pending < 2; pending++) {
		answered(pending, RF_VERDICT_ALLOW, 0);
		assert_int_equal(fake.known, 1);
		assert_int_equal(fake.allowed, pending);
		assert_int_equal(fake.denied + fake.outcomes + fake.fatal, 0);
	}
}

static void denied(void **state)
{
	for (int pending = 0; pending < 2; pending++) {
		answered(pending, RF_VERDICT_DENY, 0);
		assert_int_equal(fake.denied, 1);
		assert_false(fake.allowed);
		assert_int_equal(fake.known + fake.fatal + fake.told, 0);
		assert_int_equal(fake.outcomes, 1);
		assert_int_equal(fake.status, 0);
	}
}

/* Let, but no address for the CPU: as if denied, the kernel is not known. The monitor hears why. */
static void not_taken(void **state)
{
	answered(true, RF_VERDICT_ALLOW, -EIO);
	assert_true(fake.allowed);
	assert_int_equal(fake.known + fake.fatal + fake.told, 0);
	assert_int_equal(fake.denied, 1);
	assert_int_equal(fake.outcomes, 1);
	assert_int_equal(fake.status, -EIO);
}

/* What could not be answered at all is the end, and neither known nor denied. */
static void not_answered(void **state)
{
	static const int errors[] = { -EOPNOTSUPP, -EINVAL, -EPERM };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		answered(true, RF_VERDICT_ALLOW, errors[i]);
		assert_int_equal(fake.known + fake.denied, 0);
		assert_int_equal(fake.fatal, 1);
		assert_int_equal(fake.outcomes, 1);
		assert_int_equal(fake.status, errors[i]);
	}
	answered(true, RF_VERDICT_KILL, 0);
	assert_int_equal(fake.fatal, 1);
	assert_int_equal(fake.known + fake.denied + fake.outcomes, 0);
}

static void stalled(int err)
{
	memset(&fake, 0, sizeof(fake));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	fake.answer = err;
	vcpu.wait.event.kind = RF_EVENT_STALLED;
	vcpu.wait.verdict.verdict = RF_VERDICT_DENY;
	if (!setjmp(ended))
		assert_int_equal(rf_enforce(&vcpu), RF_AGAIN);
	assert_int_equal(fake.outcomes, 1);
	assert_int_equal(fake.status, err);
}

/* What the architecture cannot do now the monitor hears; what it cannot do at all is the end. */
static void not_now(void **state)
{
	stalled(RF_NOT_NOW);
	assert_int_equal(fake.fatal, 0);
	stalled(-EINVAL);
	assert_int_equal(fake.fatal, 1);
}

/* "The table allows it": as long as it does, and of all of the store. */
static enum rf_next settle(bool elsewhere, bool settles)
{
	memset(&fake, 0, sizeof(fake));
	fake.settles = settles;
	vcpu.wait.event.kind = RF_EVENT_WRITE;
	vcpu.wait.event.write.elsewhere = elsewhere;
	vcpu.wait.verdict.verdict = RF_VERDICT_SETTLE;
	vcpu.wait.saved.reason = 0;
	return setjmp(ended) ? RF_RESET : rf_enforce(&vcpu);
}

static void settled_or_asked(void **state)
{
	unsigned times = 0;

	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	assert_int_equal(settle(false, true), RF_AGAIN);
	assert_int_equal(fake.settled, 1);
	assert_int_equal(fake.asked + fake.outcomes + fake.fatal, 0);
	assert_int_equal(settle(true, true), RF_WAIT);
	assert_int_equal(fake.settled, 0);
	assert_int_equal(fake.asked, 1);
	/* A monitor that says so of what its table does not allow is not asked for ever. */
	while (settle(false, false) == RF_WAIT)
		assert_in_range(++times, 1, 1000);
	assert_int_equal(fake.fatal, 1);
	assert_int_equal(fake.asked, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(let), cmocka_unit_test(denied),
					    cmocka_unit_test(not_taken),
					    cmocka_unit_test(not_answered),
					    cmocka_unit_test(not_now),
					    cmocka_unit_test(settled_or_asked) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
