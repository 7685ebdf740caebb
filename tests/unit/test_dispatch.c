// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/dispatch.c, what becomes of an exit, with the exit and all that it calls made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/event.h"
#include "hv/handle.h"
#include "hv/life.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/exit.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/poke.h"
#include "hv/vmx/tables.h"
#include "hv/vmx/trap.h"
#include "hv/vmx/vm.h"
#include "hv/watch.h"

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
struct rf_vmm_asked rf_vmm_asked;
static struct kvm_run area;
static struct rf_arch_vcpu arch;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area, .arch = &arch };

static struct {
	struct rf_exit exit;
	enum rf_decoded what;
	enum rf_life_entry entry;
	struct rf_pinned pin;
	uint32_t delivers;
	struct rf_trap_site site;
	bool pinned, offers, nested, smm, armed, step_more, undone, denies;
	bool trap, poked, settled, due, tables, msr, stalled, waits;
	enum rf_next step;
	int step_err;
	uint32_t cpl;
	/* what was done */
	unsigned left, posted, lets, injected, news, takes, poke_settles, saves, held;
	enum rf_event_kind kind;
} fake;

void rf_exit_copy(struct rf_vcpu *v, struct rf_exit *e)
{
	*e = fake.exit;
}

enum rf_decoded rf_exit_decode(const struct rf_exit *e)
{
	assert_int_equal(fake.left, 0);
	return fake.what;
}

enum rf_decoded rf_exit_decode_outside(const struct rf_exit *e)
{
	assert_int_equal(fake.left, 1);
	return fake.what;
}

void rf_gate_leave(struct rf_vcpu *v)
{
	fake.left++;
}

void rf_gate_hold_entry(struct rf_vcpu *v)
{
	fake.held++;
}

bool rf_cpu_waits(struct rf_vcpu *v)
{
	return fake.waits;
}

enum rf_life_entry rf_life_entry(uint64_t entry, uint64_t *known)
{
	*known = 0x1000;
	return fake.entry;
}

uint64_t rf_life_known_entry(void)
{
	return 0x1000;
}

bool rf_msr_vmm_denies(uint32_t index)
{
	assert_int_equal(index, fake.exit.msr.index);
	return fake.denies;
}

bool rf_msr_pinned(uint32_t index, struct rf_pinned *out)
{
	*out = fake.pin;
	return fake.pinned;
}

enum rf_next rf_msr_let(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	fake.lets++;
	return RF_AGAIN;
}

bool rf_msr_look(struct rf_vcpu *v, uint64_t lstar, struct rf_msg_event *out)
{
	assert_int_equal(lstar, 0x1000);
	return fake.msr;
}

bool rf_cpu_offers_efer(struct rf_vcpu *v, uint64_t efer)
{
	return fake.offers;
}

bool rf_cpu_nested(struct rf_vcpu *v)
{
	return fake.nested;
}

bool rf_cpu_in_smm(struct rf_vcpu *v)
{
	return fake.smm;
}

int rf_cpu_inject(struct rf_vcpu *v, uint8_t vector)
{
	assert_int_equal(vector, 6);
	fake.injected++;
	return 0;
}

void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out)
{
	*out = (struct rf_vcpu_regs){ .cpl = fake.cpl };
}

void rf_arch_describe(struct rf_vcpu *v) {}

void rf_exit_save(const struct rf_vcpu *v, struct rf_saved_exit *s)
{
	fake.saves++;
	s->reason = 1;
}

void rf_event_new(struct rf_vcpu *v)
{
	memset(&v->wait.event, 0, sizeof(v->wait.event));
	v->wait.saved.reason = 0;
	fake.news++;
}

void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind)
{
	assert_true(fake.news > 0);
	assert_int_equal(fake.posted, 0);
	fake.posted++;
	fake.kind = kind;
}

enum rf_next rf_on_sealed_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len)
{
	fake.news++;
	rf_event_post(v, RF_EVENT_WRITE);
	return RF_WAIT;
}

enum rf_next rf_on_watched_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes,
				 uint32_t len)
{
	return RF_AGAIN;
}

enum rf_next rf_on_watched_step(struct rf_vcpu *v, int *err, bool *dispatch)
{
	assert_int_equal(fake.left, 1);
	*err = fake.step_err;
	*dispatch = fake.step_more;
	return fake.step;
}

enum rf_next rf_on_unemulated(struct rf_vcpu *v, const uint8_t *bytes, uint32_t len)
{
	fake.news++;
	v->wait.event.insn.len = len;
	rf_event_post(v, RF_EVENT_EMULATION);
	return RF_WAIT;
}

enum rf_next rf_on_new_entry(struct rf_vcpu *v, uint64_t entry, bool pending)
{
	assert_true(pending);
	fake.news++;
	rf_event_post(v, RF_EVENT_KERNEL);
	return RF_WAIT;
}

bool rf_trap_find(struct rf_vcpu *v, uint64_t *rip, struct rf_trap_site *out)
{
	*out = fake.site;
	return fake.trap;
}

void rf_trap_take(struct rf_vcpu *v, uint64_t rip)
{
	fake.takes++;
}

bool rf_trap_settle(struct rf_vcpu *v, const struct rf_trap_site *site, uint64_t *value)
{
	*value = 0x55;
	return fake.settled;
}

bool rf_poke(struct rf_vcpu *v, uint64_t rip, const struct rf_trap_site *site)
{
	if (!fake.poked)
		v->wait.event.write.len = 3;
	return fake.poked;
}

void rf_poke_settle(struct rf_vcpu *v)
{
	fake.poke_settles++;
}

void rf_poke_ran(struct rf_vcpu *v) {}

bool rf_watch_armed(void)
{
	return fake.armed;
}

bool rf_cr_undo(struct rf_vcpu *v)
{
	return fake.undone;
}

bool rf_tables_due(struct rf_vcpu *v)
{
	return fake.due;
}

bool rf_tables_look(struct rf_vcpu *v, struct rf_vcpu_tables *out)
{
	return fake.tables;
}

bool rf_tables_stalled(struct rf_vcpu *v)
{
	return fake.stalled;
}

static jmp_buf ended;

void rf_fatal(const char *why)
{
	longjmp(ended, 1);
}

uint32_t rf_cpu_delivers(struct rf_vcpu *v)
{
	return fake.delivers;
}

static void anew(enum rf_decoded what, enum rf_exit_reason reason)
{
	memset(&fake, 0, sizeof(fake));
	memset(&area, 0, sizeof(area));
	memset(&arch, 0, sizeof(arch));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	memset(file.board.counters, 0, sizeof(file.board.counters));
	memset(&rf_vmm_asked, 0, sizeof(rf_vmm_asked));
	fake.what = what;
	fake.exit.reason = reason;
	fake.offers = fake.pinned = true;
	fake.delivers = RF_NO_VECTOR;
}

static void ends(enum rf_next next, int with)
{
	int err = with;

	fake.left = 0;
	assert_int_equal(rf_arch_after_run(&vcpu, &err), next);
	assert_int_equal(fake.left, 1);
	assert_int_equal(err, fake.armed ? fake.step_err : with);
}

static void asked(enum rf_event_kind kind)
{
	assert_int_equal(fake.posted, 1);
	assert_int_equal(fake.kind, kind);
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static void kernel_msr(void **state)
{
	anew(RF_KERNEL_MSR, RF_EXIT_WRMSR);
	fake.entry = RF_ENTRY_NEW;
	arch.left_behind = true;
	ends(RF_WAIT, 0);
	asked(RF_EVENT_KERNEL);
	assert_false(arch.left_behind); /* it is in a kernel again: it is looked at */
	anew(RF_KERNEL_MSR, RF_EXIT_WRMSR);
	fake.entry = RF_ENTRY_KNOWN;
	ends(RF_AGAIN, 0);
	assert_int_equal(fake.lets, 1);
	assert_int_equal(fake.posted, 0);
	for (int nested = 0; nested < 2; nested++) {
		anew(RF_KERNEL_MSR, RF_EXIT_WRMSR);
		fake.entry = RF_ENTRY_PINNED;
		fake.nested = nested;
		ends(nested ? RF_AGAIN : RF_WAIT, 0);
		assert_int_equal(fake.lets, nested);
		if (nested)
			continue;
		asked(RF_EVENT_MSR);
		assert_int_equal(vcpu.wait.event.msr.pinned, 0x1000);
		assert_int_equal(fake.saves, 1);
	}
}

static void pinned(uint32_t how, uint64_t mask, uint64_t value, uint64_t written, bool let)
{
	anew(RF_PINNED_MSR, RF_EXIT_WRMSR);
	fake.pin = (struct rf_pinned){ 0xc0000081, how, mask, value };
	fake.exit.msr.index = 0xc0000081;
	fake.exit.msr.value = written;
	ends(let ? RF_AGAIN : RF_WAIT, 0);
	assert_int_equal(fake.lets, let);
	if (let)
		return;
	asked(RF_EVENT_MSR);
	assert_int_equal(vcpu.wait.event.msr.value, written);
	assert_int_equal(vcpu.wait.event.msr.pinned, value);
	/* Not in a guest's guest, nor in the firmware's mode, nor when a reset has unpinned it. */
	for (int why = 0; why < 3; why++) {
		fake.posted = fake.lets = 0;
		fake.nested = why == 0;
		fake.smm = why == 1;
		fake.pinned = why != 2;
		ends(RF_AGAIN, 0);
		assert_int_equal(fake.lets, 1);
		assert_int_equal(fake.posted, 0);
	}
}

static void pinned_msr(void **state)
{
	pinned(RF_PIN_VALUE, UINT64_MAX, 5, 5, true);
	pinned(RF_PIN_VALUE, UINT64_MAX, 5, 4, false);
	pinned(RF_PIN_VALUE, 0xff, 5, 0xf05, true);
	pinned(RF_PIN_VALUE, 0xff, 5, 0xf04, false);
	pinned(RF_PIN_ASK, 0, 5, 5, false);
	pinned(RF_PIN_ASK, 0, 5, 6, false);
	/* Bits that CPUID does not offer are the guest's own fault, whoever else has them. */
	anew(RF_PINNED_MSR, RF_EXIT_WRMSR);
	fake.offers = false;
	fake.exit.msr.index = RF_MSR_EFER;
	ends(RF_AGAIN, 0);
	assert_int_equal(area.msr.error, 1);
	assert_int_equal(fake.lets + fake.posted, 0);
	fake.exit.msr.index = 0xc0000081;
	fake.pin.how = RF_PIN_ASK;
	ends(RF_WAIT, 0);
	asked(RF_EVENT_MSR);
	anew(RF_MSR_DENY, RF_EXIT_WRMSR);
	ends(RF_AGAIN, 0);
	assert_int_equal(area.msr.error, 1);
}

/* The VMM's filter denies it: nobody is asked and nothing let, whatever it is of ours and whatever
 * is written. The VMM answers where it asked for that. */
static void denied_by_the_vmm(void **state)
{
	static const enum rf_decoded ours[] = { RF_KERNEL_MSR, RF_PINNED_MSR };

	for (int i = 0; i < 2; i++)
		for (enum rf_life_entry entry = RF_ENTRY_KNOWN; entry <= RF_ENTRY_PINNED; entry++)
			for (int exits = 0; exits < 2; exits++)
				for (int nested = 0; nested < 2; nested++) {
					anew(ours[i], RF_EXIT_WRMSR);
					fake.denies = true;
					fake.entry = entry;
					fake.nested = nested;
					fake.exit.msr.index = i ? 0xc0000081 : 0xc0000082;
					fake.pin =
						(struct rf_pinned){ 0xc0000081, RF_PIN_ASK, 0, 0 };
					rf_vmm_asked.msr_exits = exits;
					ends(exits ? RF_TO_VMM : RF_AGAIN, 0);
					assert_int_equal(area.msr.error, 1);
					assert_int_equal(fake.lets + fake.posted, 0);
				}
}

/* --- what KVM cannot do
 * ------------------------------------------------------------------------ */

static void unemulated(void **state)
{
	for (int cpl = 0; cpl < 4; cpl += 3)
		for (int wants = 0; wants < 2; wants++) {
			const bool ud = cpl && !wants;

			anew(RF_NOT_OURS, RF_EXIT_EMULATION);
			fake.cpl = (uint32_t)cpl;
			rf_vmm_asked.emulation_exits = wants;
			ends(ud ? RF_AGAIN : RF_TO_VMM, 0);
			assert_int_equal(fake.injected, ud);
		}
	anew(RF_CANNOT_EMULATE, RF_EXIT_EMULATION);
	fake.exit.insn.len = 4;
	ends(RF_WAIT, 0);
	asked(RF_EVENT_EMULATION);
	assert_int_equal(vcpu.wait.event.insn.len, 0); /* KVM did not say that they are there */
	fake.exit.insn.has_bytes = true;
	fake.posted = 0;
	ends(RF_WAIT, 0);
	assert_int_equal(vcpu.wait.event.insn.len, 4);
	anew(RF_MALFORMED, RF_EXIT_MMIO);
	if (!setjmp(ended)) {
		ends(RF_AGAIN, 0);
		fail();
	}
	assert_int_equal(file.board.counters[RF_COUNT_MALFORMED], 1);
}

/* Without a vector it is tried once more, and believed when it comes twice in a row. */
static void undelivered(void **state)
{
	anew(RF_UNDELIVERED, RF_EXIT_DELIVERY);
	ends(RF_AGAIN, 0);
	ends(RF_TO_VMM, -EINTR); /* a kick in between */
	ends(RF_WAIT, 0);
	asked(RF_EVENT_DELIVERY);
	assert_int_equal(vcpu.wait.event.delivery.vector, UINT32_MAX);
	/* Another exit in between: not in a row. */
	anew(RF_UNDELIVERED, RF_EXIT_DELIVERY);
	ends(RF_AGAIN, 0);
	fake.what = RF_NOT_OURS;
	ends(RF_TO_VMM, 0);
	fake.what = RF_UNDELIVERED;
	ends(RF_AGAIN, 0);
	/* One that KVM tells of is believed at once. */
	anew(RF_UNDELIVERED, RF_EXIT_DELIVERY);
	fake.delivers = 14;
	ends(RF_WAIT, 0);
	assert_int_equal(vcpu.wait.event.delivery.vector, 14);
}

/* --- the watch, control registers, traps
 * ------------------------------------------------------- */

static void watched(void **state)
{
	/* A store to it makes KVM_RUN fail, or an emulation that fails. */
	for (int how = 0; how < 4; how++) {
		anew(RF_NOT_OURS, how == 1 ? RF_EXIT_EMULATION : RF_EXIT_OTHER);
		fake.armed = how < 2;
		fake.step = RF_AGAIN;
		fake.cpl = 3;
		rf_vmm_asked.emulation_exits = true;
		ends(how < 2 ? RF_AGAIN : RF_TO_VMM, how == 0 || how == 2 ? -EFAULT : 0);
	}
	/* What the step ended in besides. */
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	fake.armed = fake.step_more = true;
	fake.step = RF_WAIT;
	ends(RF_WAIT, -EFAULT);
	fake.what = RF_SEALED_STORE;
	fake.left = 0;
	if (!setjmp(ended)) {
		ends(RF_WAIT, -EFAULT);
		fail();
	}
	anew(RF_SEALED_STORE, RF_EXIT_MMIO);
	fake.armed = fake.step_more = true;
	fake.step = RF_TO_VMM;
	ends(RF_WAIT, -EFAULT);
	asked(RF_EVENT_WRITE);
}

static void control_registers(void **state)
{
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	fake.undone = true;
	arch.cr = (struct rf_cr_cleared){ .cr4_bits = 0x80, .cr4 = 0x20 };
	ends(RF_WAIT, -EINTR);
	asked(RF_EVENT_CR);
	assert_int_equal(vcpu.wait.event.cr.cr4_bits, 0x80);
	assert_int_equal(vcpu.wait.event.cr.cr4, 0x20);
	assert_int_equal(vcpu.wait.event.cr.interrupted, 1);
	assert_int_equal(rf_arch_before_run(&vcpu), RF_AGAIN); /* told once */
	/* Beside another exit: that first. */
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	fake.undone = true;
	arch.cr.cr0_bits = 0x10000;
	ends(RF_TO_VMM, 0);
	assert_int_equal(fake.posted, 0);
	assert_int_equal(rf_arch_before_run(&vcpu), RF_WAIT);
	asked(RF_EVENT_CR);
	assert_int_equal(vcpu.wait.event.cr.cr0_bits, 0x10000);
	assert_int_equal(vcpu.wait.event.cr.interrupted, 0);
	assert_int_equal(fake.poke_settles, 1);
}

/*
 * A VMM with a PIC of its own reads whether it may queue an interrupt. KVM's word stands where KVM_RUN
 * has just given it: a halted vCPU never comes to the window that the VMM asks for else.
 */
static void ready_for_an_interrupt(void **state)
{
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	arch.ready_hidden = false;
	area.request_interrupt_window = 1;
	area.ready_for_interrupt_injection = 1;
	ends(RF_TO_VMM, -EINTR);
	rf_arch_interrupted(&vcpu);
	assert_int_equal(area.ready_for_interrupt_injection, 1);
	fake.waits = true;
	assert_int_equal(rf_arch_before_run(&vcpu), RF_AGAIN);
	assert_int_equal(fake.held, 0);
	/* It has not run since: what KVM said is old. */
	rf_arch_interrupted(&vcpu);
	assert_int_equal(area.ready_for_interrupt_injection, 0);
	/* One that is halted then is taken out once more, so that KVM says it again. */
	for (int what = 0; what < 4; what++) {
		fake.held = 0;
		fake.waits = what & 1;
		area.request_interrupt_window = what >> 1;
		assert_int_equal(rf_arch_before_run(&vcpu), RF_AGAIN);
		assert_int_equal(fake.held, what == 3);
	}
	area.ready_for_interrupt_injection = 1;
	ends(RF_TO_VMM, -EINTR);
	rf_arch_interrupted(&vcpu);
	assert_int_equal(area.ready_for_interrupt_injection, 1);
	assert_int_equal(rf_arch_before_run(&vcpu), RF_AGAIN);
	assert_int_equal(fake.held, 1);
	/* A question came with it. */
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	area.ready_for_interrupt_injection = 1;
	fake.undone = true;
	arch.cr.cr4_bits = 0x80;
	ends(RF_WAIT, -EINTR);
	rf_arch_interrupted(&vcpu);
	assert_int_equal(area.ready_for_interrupt_injection, 0);
}

static void traps(void **state)
{
	anew(RF_TRAPPED, RF_EXIT_IO);
	ends(RF_TO_VMM, 0); /* gone meanwhile */
	anew(RF_TRAPPED, RF_EXIT_IO);
	fake.trap = true;
	fake.site = (struct rf_trap_site){ .gpa = 0x5000, .kind = RF_TRAP_LTR, .len = 3 };
	ends(RF_WAIT, 0);
	asked(RF_EVENT_TRAP);
	assert_int_equal(fake.takes, 1);
	assert_int_equal(vcpu.wait.event.trap.gpa, 0x5000);
	assert_int_equal(vcpu.wait.event.trap.kind, RF_TRAP_LTR);
	assert_int_equal(vcpu.wait.event.trap.len, 3);
	assert_int_equal(fake.saves, 0);
	anew(RF_TRAPPED, RF_EXIT_IO);
	fake.trap = fake.settled = true;
	ends(RF_AGAIN, 0);
	assert_int_equal(fake.posted, 0);
	/* The patching function: it is dealt with, or asked about before it has begun. */
	for (int poked = 0; poked < 2; poked++) {
		anew(RF_TRAPPED, RF_EXIT_IO);
		fake.trap = true;
		fake.poked = poked;
		fake.site.kind = RF_TRAP_POKE;
		ends(poked ? RF_AGAIN : RF_WAIT, 0);
		assert_int_equal(fake.takes, !poked);
		assert_int_equal(fake.posted, !poked);
		assert_int_equal(file.board.counters[RF_COUNT_TRAP], !poked);
		assert_int_equal(vcpu.wait.event.write.len, poked ? 0 : 3);
	}
}

static void looks(void **state)
{
	anew(RF_NOT_OURS, RF_EXIT_OTHER);
	fake.tables = fake.msr = fake.stalled = true;
	assert_int_equal(rf_arch_look(&vcpu), RF_AGAIN); /* not due */
	fake.due = true;
	arch.kept.known = true;
	assert_int_equal(rf_arch_look(&vcpu), RF_WAIT);
	asked(RF_EVENT_TABLES);
	assert_int_equal(vcpu.wait.event.has_kept, 1);
	fake.tables = false;
	fake.posted = 0;
	assert_int_equal(rf_arch_look(&vcpu), RF_WAIT);
	asked(RF_EVENT_MSR_FOUND);
	fake.msr = false;
	fake.posted = 0;
	assert_int_equal(rf_arch_look(&vcpu), RF_WAIT);
	asked(RF_EVENT_STALLED);
	/* A kick may have kept something from being delivered, once. */
	for (arch.kept.looks = 1; arch.kept.looks <= 2; arch.kept.looks++) {
		fake.posted = 0;
		fake.delivers = 0x30;
		assert_int_equal(rf_arch_look(&vcpu), arch.kept.looks == 1 ? RF_AGAIN : RF_WAIT);
		assert_int_equal(fake.posted, arch.kept.looks == 2);
	}
	fake.delivers = RF_NO_VECTOR;
	fake.stalled = false;
	assert_int_equal(rf_arch_look(&vcpu), RF_AGAIN);
	/* One kind of finding at each look keeps no other from being told. */
	arch.kept.turn = 0;
	fake.tables = fake.msr = fake.stalled = true;
	for (unsigned look = 0; look < 6; look++) {
		static const enum rf_event_kind in_turn[] = { RF_EVENT_TABLES, RF_EVENT_MSR_FOUND,
							      RF_EVENT_STALLED };

		fake.posted = 0;
		assert_int_equal(rf_arch_look(&vcpu), RF_WAIT);
		asked(in_turn[look % 3]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_msr),
		cmocka_unit_test(pinned_msr),
		cmocka_unit_test(denied_by_the_vmm),
		cmocka_unit_test(unemulated),
		cmocka_unit_test(undelivered),
		cmocka_unit_test(watched),
		cmocka_unit_test(control_registers), cmocka_unit_test(ready_for_an_interrupt),
		cmocka_unit_test(traps),
		cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
