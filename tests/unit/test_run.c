// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hv/run.c, the loop around KVM_RUN, with all that it calls made up: what is asked in which order,
 * and what happens between two looks at the VM's life, which no guest can be made to hit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/enforce.h"
#include "hv/event.h"
#include "hv/handle.h"
#include "hv/life.h"
#include "hv/run.h"

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
static struct kvm_run area;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area };

/* --- what is done, one letter each ------------------------------------------------------------ */

static char done[64];

static void does(char what)
{
	size_t n = strlen(done);

	assert_true(n + 1 < sizeof(done));
	done[n] = what;
}

/* What the made-up ones answer next; the last one is repeated. */
struct answers {
	int of[8];
	unsigned next;
};

static int answer(struct answers *a)
{
	int r = a->of[a->next];

	if (a->next + 1 < 8 && a->of[a->next + 1] != -1000)
		a->next++;
	return r;
}

#define ANSWERS(...) ((struct answers){ { __VA_ARGS__, -1000 }, 0 })

static struct {
	struct answers unsettled, overdue, may, look, before, enter, run, after, take, enforce, wanted;
	struct rf_life_outcome outcome;
	bool kexec;
	enum rf_phase phase_after_settle;
} fake;

bool rf_life_unsettled(void)
{
	return answer(&fake.unsettled);
}

bool rf_life_overdue(struct rf_vcpu *v)
{
	return answer(&fake.overdue);
}

enum rf_life_may rf_life_may(struct rf_vcpu *v, uint64_t *entry)
{
	does('m');
	*entry = 0x1234;
	return (enum rf_life_may)answer(&fake.may);
}

void rf_life_settle(void (*drop)(struct rf_vcpu *v),
		    void (*tell)(const struct rf_life_outcome *out), struct rf_life_outcome *out)
{
	does('s');
	*out = fake.outcome;
	if (out->event != RF_LIFE_EVENTS)
		tell(out);
	fake.outcome = (struct rf_life_outcome){ .event = RF_LIFE_EVENTS };
}

bool rf_life_kexec(struct rf_vcpu *first, void (*drop)(struct rf_vcpu *v), void (*tell)(void))
{
	does('x');
	tell();
	return fake.kexec;
}

enum rf_next rf_arch_look(struct rf_vcpu *v)
{
	does('l');
	return (enum rf_next)answer(&fake.look);
}

enum rf_next rf_arch_before_run(struct rf_vcpu *v)
{
	does('b');
	return (enum rf_next)answer(&fake.before);
}

void rf_arch_interrupted(struct rf_vcpu *v)
{
	does('I');
}

void rf_arch_not_run(struct rf_vcpu *v)
{
	does('n');
}

enum rf_next rf_arch_after_run(struct rf_vcpu *v, int *err)
{
	does('a');
	return (enum rf_next)answer(&fake.after);
}

bool rf_gate_wanted(const struct rf_vcpu *v)
{
	return answer(&fake.wanted);
}

int rf_gate_enter(struct rf_vcpu *v)
{
	does('(');
	return answer(&fake.enter);
}

void rf_gate_leave(struct rf_vcpu *v)
{
	does(')');
}

int rf_gate_interrupted(struct rf_vcpu *v)
{
	does('i');
	return -EINTR;
}

enum rf_next rf_on_new_entry(struct rf_vcpu *v, uint64_t entry, bool pending)
{
	does('e');
	assert_int_equal(entry, 0x1234);
	assert_false(pending);
	return RF_WAIT;
}

int rf_event_take(struct rf_vcpu *v)
{
	does('t');
	atomic_store(&v->phase, RF_OUT);
	return answer(&fake.take);
}

enum rf_next rf_enforce(struct rf_vcpu *v)
{
	does('f');
	return (enum rf_next)answer(&fake.enforce);
}

void rf_event_drop(struct rf_vcpu *v) {}

static struct {
	enum rf_event_kind kind;
	uint32_t cause, adopted;
	bool whose;
} told[4];
static unsigned tells;

void rf_event_tell(struct rf_vcpu *v, enum rf_event_kind kind, uint32_t cause, uint32_t adopted)
{
	assert_true(tells < 4);
	told[tells].kind = kind;
	told[tells].cause = cause;
	told[tells].adopted = adopted;
	told[tells++].whose = v;
}

static unsigned says;

void rf_say(const char *what, const char *why)
{
	says++;
}

static jmp_buf ended;

void rf_fatal(const char *why)
{
	longjmp(ended, 1);
}

long syscall(long number, ...)
{
	int err = answer(&fake.run);

	does('r');
	if (err)
		errno = err;
	return err ? -1 : 0;
}

/* A VM with nothing to look at, whose guest runs once, up to an exit that is the VMM's. */
static void anew(void)
{
	memset(done, 0, sizeof(done));
	memset(told, 0, sizeof(told));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	tells = says = 0;
	fake.unsettled = fake.overdue = fake.enter = fake.run = fake.take = fake.wanted = ANSWERS(0);
	fake.may = ANSWERS(RF_MAY_RUN);
	fake.look = fake.before = ANSWERS(RF_AGAIN);
	fake.after = ANSWERS(RF_TO_VMM);
	fake.enforce = ANSWERS(RF_AGAIN);
	fake.outcome = (struct rf_life_outcome){ .event = RF_LIFE_EVENTS };
	fake.kexec = true;
	atomic_store(&vcpu.phase, RF_OUT);
	vcpu.exited = false;
	file.board.counters[RF_COUNT_RUN] = 0;
}

static void runs(int result, const char *what)
{
	assert_int_equal(rf_vcpu_run(&vcpu), result);
	assert_string_equal(done, what);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void plain(void **state)
{
	anew();
	runs(0, "lb(ra");
	assert_true(vcpu.exited);
	assert_int_equal(file.board.counters[RF_COUNT_RUN], 1);
	/* Looked at where the VMM comes in, and not again after an exit of ours. */
	anew();
	fake.after = ANSWERS(RF_AGAIN, RF_AGAIN, RF_TO_VMM);
	runs(0, "lb(rab(rab(ra");
	assert_int_equal(file.board.counters[RF_COUNT_RUN], 3);
	assert_int_equal(tells, 0);
}

/* No exit, whatever the last one was. */
static void interrupted(void **state)
{
	anew();
	fake.run = ANSWERS(EINTR);
	vcpu.exited = true;
	runs(-EINTR, "lb(raIi");
	assert_false(vcpu.exited);
	anew();
	fake.run = ANSWERS(EFAULT);
	vcpu.exited = true;
	runs(-EFAULT, "lb(ra");
	assert_false(vcpu.exited);
}

/* Where it stands the guest chose, until it has run and was got out. */
static void chosen(void **state)
{
	/* An exit of its own: the VMM's, or one of ours; or a store that did not execute. */
	for (int what = 0; what < 3; what++) {
		anew();
		vcpu.chose = false;
		fake.run = ANSWERS(what == 2 ? EFAULT : 0, EINTR);
		fake.after = ANSWERS(what ? RF_AGAIN : RF_TO_VMM, RF_TO_VMM);
		/* A kick came while that was dealt with, so that it has not run since. */
		fake.wanted = ANSWERS(0, 1);
		rf_vcpu_run(&vcpu);
		assert_true(vcpu.chose);
		assert_int_equal(vcpu.exited, !what);
	}
	/* The VMM comes in, and wants its thread back before the guest runs. */
	anew();
	vcpu.chose = true;
	fake.run = ANSWERS(EINTR);
	fake.wanted = ANSWERS(1);
	runs(-EINTR, "lb(raIi");
	assert_true(vcpu.chose);
	/* It was got out of the guest. */
	anew();
	fake.run = ANSWERS(EINTR);
	runs(-EINTR, "lb(raIi");
	assert_false(vcpu.chose);
	/* What was pending comes to its end by an exit. */
	anew();
	fake.wanted = ANSWERS(1);
	runs(0, "lb(ra");
	assert_true(vcpu.chose);
}

/* What was to be taken along into KVM_RUN does not stay there. */
static void not_entered(void **state)
{
	anew();
	fake.enter = ANSWERS(-EINTR);
	runs(-EINTR, "lb(nIi");
	assert_int_equal(file.board.counters[RF_COUNT_RUN], 0);
	/* The VMM has loaded something while it waited at the gate: that is looked at first. */
	anew();
	fake.unsettled = ANSWERS(0, 1, 1, 0);
	runs(0, "lb()nsmb(ra");
	assert_int_equal(file.board.counters[RF_COUNT_RUN], 1);
	anew();
	fake.unsettled = ANSWERS(0, 1);
	fake.may = ANSWERS(RF_MAY_NEVER);
	runs(-EPERM, "lb()nsm");
	assert_false(vcpu.exited);
	assert_int_equal(file.board.counters[RF_COUNT_RUN], 0);
}

static void questions(void **state)
{
	anew();
	fake.look = ANSWERS(RF_WAIT);
	runs(0, "ltfb(ra");
	anew();
	fake.before = ANSWERS(RF_WAIT, RF_AGAIN);
	runs(0, "lbtfb(ra");
	anew();
	fake.after = ANSWERS(RF_WAIT, RF_TO_VMM);
	runs(0, "lb(ratfb(ra");
	/* The VMM wants its thread, and asks again with the question open. */
	anew();
	fake.after = ANSWERS(RF_WAIT, RF_TO_VMM);
	fake.take = ANSWERS(-EINTR, 0);
	runs(-EINTR, "lb(ratIi");
	assert_false(vcpu.exited);
	memset(done, 0, sizeof(done));
	atomic_store(&vcpu.phase, RF_ASKING);
	runs(0, "tfb(ra");
	/* Dropped: nothing is carried out. */
	anew();
	fake.after = ANSWERS(RF_WAIT, RF_TO_VMM);
	fake.take = ANSWERS(-ECANCELED);
	runs(0, "lb(ratb(ra");
	/* An exit that was saved beside it. */
	anew();
	fake.after = ANSWERS(RF_WAIT);
	fake.enforce = ANSWERS(RF_TO_VMM);
	runs(0, "lb(ratf");
	assert_true(vcpu.exited);
}

static void loads(void **state)
{
	/* Held, until it may. */
	anew();
	fake.unsettled = ANSWERS(1, 1, 1, 0);
	fake.may = ANSWERS(RF_MAY_NOT_YET, RF_MAY_NOT_YET, RF_MAY_RUN);
	runs(0, "smsmsmlb(ra");
	anew();
	fake.unsettled = ANSWERS(1);
	fake.may = ANSWERS(RF_MAY_NOT_YET);
	fake.wanted = ANSWERS(0, 0, 1);
	runs(-EINTR, "smsmsmIi");
	/* It announces; meanwhile nothing runs. */
	anew();
	fake.unsettled = ANSWERS(1, 0);
	fake.may = ANSWERS(RF_MAY_ANNOUNCE);
	runs(0, "smetfb(ra");
	/* A question that the load has not dropped is answered first. */
	anew();
	fake.unsettled = ANSWERS(1, 0);
	atomic_store(&vcpu.phase, RF_ASKING);
	runs(0, "stfb(ra");
}

static void outcome(enum rf_life_event event, bool released, uint32_t halted, uint32_t adopted)
{
	anew();
	fake.unsettled = ANSWERS(1, 0);
	fake.outcome = (struct rf_life_outcome){ event, released, halted, adopted };
	runs(0, "smlb(ra");
	assert_int_equal(says, halted != 0);
}

static void is_told(unsigned n, enum rf_event_kind kind, uint32_t cause, uint32_t adopted)
{
	assert_true(n < tells);
	assert_int_equal(told[n].kind, kind);
	assert_int_equal(told[n].cause, cause);
	assert_int_equal(told[n].adopted, adopted);
	assert_false(told[n].whose);
}

static void what_is_told(void **state)
{
	outcome(RF_LIFE_EVENTS, false, 0, 0);
	assert_int_equal(tells, 0);
	outcome(RF_LIFE_RESET, false, 0, 0);
	is_told(0, RF_EVENT_RESET, RF_CAUSE_RESET, 0);
	assert_int_equal(tells, 1);
	outcome(RF_LIFE_ARRIVED, true, 0, 0);
	is_told(0, RF_EVENT_RESET, RF_CAUSE_ARRIVED, 0);
	assert_int_equal(tells, 1);
	outcome(RF_LIFE_ARRIVED, false, 0, 0);
	assert_int_equal(tells, 0);
	outcome(RF_LIFE_ARRIVED, false, RF_CAUSE_NOBODY, 0);
	is_told(0, RF_EVENT_HALTED, RF_CAUSE_NOBODY, 0);
	assert_int_equal(tells, 1);
	outcome(RF_LIFE_ARRIVED, true, RF_CAUSE_NOBODY, 0);
	is_told(0, RF_EVENT_RESET, RF_CAUSE_ARRIVED, 0);
	is_told(1, RF_EVENT_HALTED, RF_CAUSE_NOBODY, 0);
	assert_int_equal(tells, 2);
	outcome(RF_LIFE_RELOADED, false, 0, 5);
	is_told(0, RF_EVENT_RELOADED, 0, 5);
	assert_int_equal(tells, 1);
	/* What does not fit was not loaded. */
	outcome(RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
	is_told(0, RF_EVENT_HALTED, RF_CAUSE_TEXT, 0);
	assert_int_equal(tells, 1);
	/* A kernel that runs unsealed: by the vCPU that found it, once. */
	anew();
	vcpu.overdue = true;
	fake.overdue = ANSWERS(1, 0);
	runs(0, "lb(ra");
	assert_int_equal(tells, 1);
	assert_int_equal(told[0].kind, RF_EVENT_UNSEALED);
	assert_true(told[0].whose);
}

static void kexec(void **state)
{
	anew();
	fake.after = ANSWERS(RF_WAIT, RF_TO_VMM);
	fake.enforce = ANSWERS(RF_RESET);
	runs(0, "lb(ratfxb(ra");
	is_told(0, RF_EVENT_RESET, RF_CAUSE_KEXEC, 0);
	/* What the rules forbid ends the VM, and not in the other kernel. */
	anew();
	fake.after = ANSWERS(RF_WAIT, RF_TO_VMM);
	fake.enforce = ANSWERS(RF_RESET);
	fake.kexec = false;
	if (!setjmp(ended)) {
		rf_vcpu_run(&vcpu);
		fail();
	}
	assert_string_equal(done, "lb(ratfx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),       cmocka_unit_test(interrupted),
		cmocka_unit_test(chosen),
		cmocka_unit_test(not_entered), cmocka_unit_test(questions),
		cmocka_unit_test(loads),       cmocka_unit_test(what_is_told),
		cmocka_unit_test(kexec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
