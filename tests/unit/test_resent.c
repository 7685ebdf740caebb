// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A monitor dies when its line is written and its verdict has not arrived: the next one is asked
 * the same, answers what is on record, all of it, and writes no second line; whatever the guest's
 * memory or the policy says by then. One test for each kind of event.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SITE (IMAGE_GPA + 0x1500)
#define LIDT_AT UINT64_C(0x3000)
#define OPERAND (OTHER_GVA + 0x100)
#define RO_IDT UINT64_C(0xfffffe0000000000)
#define TSS_AT (OTHER_GVA + 0x200)
#define WP (UINT64_C(1) << 16)

static struct rf_measurement expect;

static uint8_t *other(uint64_t gva)
{
	return fake.ram + (OTHER_GPA - IMAGE_GPA) + (gva - OTHER_GVA);
}

static int booting(void **state)
{
	static const uint8_t lidt[] = { 0x0f, 0x01, 0x1f, 0xc3 }; /* lidt [rdi] */
	int err = fake_setup(state);

	if (err)
		return err;
	fake.has_tables = true;
	guest.policy.pin_tables = true;
	memset(fake.ram + IDT_AT, 0, 3 * RF_PAGE_SIZE);
	fake_map(IMAGE_GVA + IDT_AT, IMAGE_GPA + IDT_AT, 4 * RF_PAGE_SIZE, true, false);
	memcpy(fake.ram + LIDT_AT, lidt, sizeof(lidt));
	fake.insns[0].gva = IMAGE_GVA + LIDT_AT;
	fake.insns_count = 1;
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2002),
					.size = 1,
					.insn_len = 2,
					.operand = rf_gva_of(TABLE_GVA),
					.target = rf_gva_of(TABLE_GVA) };
	/* Not those of the event. */
	for (int i = 0; i < 16; i++)
		fake.store.before.gpr[i] = UINT64_C(0x8877665544332211) * (unsigned int)(i + 1);
	fake.store.before.rflags = 0x10246;
	return 0;
}

static int sealed(void **state)
{
	int err = booting(state);

	if (!err)
		fake_sealed();
	return err;
}

/* What is sent for it. */
static struct rf_msg_verdict answer(const struct rf_msg_event *ev)
{
	unsigned int before = fake.verdicts;

	assert_int_equal(rf_guest_event(&guest, ev), 0);
	assert_int_equal(fake.verdicts, before + 1);
	return *fake_verdict();
}

static void another_monitor(void)
{
	const struct rf_policy policy = guest.policy;
	const struct rf_measurement *expected = guest.expect;

	fake_new_monitor();
	guest.policy = policy;
	guest.expect = expected;
	assert_int_equal(rf_guest_resume(&guest), 0);
}

static void drop_last_line(void)
{
	static char text[1u << 16];
	FILE *f = fopen(fake.log_path, "r");
	size_t n = fread(text, 1, sizeof(text), f);

	fclose(f);
	assert_in_range(n, 2, sizeof(text) - 1);
	for (n--; n && text[n - 1] != '\n';)
		n--;
	assert_int_equal(truncate(fake.log_path, (off_t)n), 0);
}

static size_t records(void)
{
	size_t found = 0;

	for (size_t i = 0, n = fake_lines(); i < n; i++)
		found += json_object_get(fake_line(i), "event") != NULL;
	return found;
}

/*
 * Answered, and lost; then `meanwhile` something that makes the answer another one, were it judged
 * once more. Its verdict, to be looked at.
 */
static const struct rf_msg_verdict *resent(const struct rf_msg_event *ev, void (*meanwhile)(void))
{
	static struct rf_msg_verdict first;
	struct rf_msg_verdict again;
	size_t lines, about = records();
	uint64_t reads;

	first = answer(ev);
	assert_int_equal(records(), about + 1);
	another_monitor();
	meanwhile();
	lines = fake_lines();
	reads = fake.judged + fake.seals + fake.watches;
	again = answer(ev);
	assert_int_equal(again.verdict, first.verdict);
	assert_memory_equal(&again, &first, sizeof(first));
	if (ev->kind != RF_EVENT_KERNEL)
		assert_int_equal(fake_lines(), lines);
	assert_int_equal(records(), about + 1);
	assert_int_equal(fake.judged + fake.seals + fake.watches, reads);
	assert_int_equal(fake_count("outcome", "not answered exactly as recorded"), 0);
	return &first;
}

/* --- what a test changes meanwhile --- */

static void not_found(void)
{
	fake.store_err = -ENOENT;
}

static void legal_patch(void)
{
	fake.patch.verdict = RF_PATCH_STEP;
}

static void elsewhere(void)
{
	fake.store.operand = fake.store.target = rf_gva_of(OTHER_GVA + 0x100);
}

static void observe(void)
{
	guest.policy.mode = RF_MODE_OBSERVE;
}

static void enforce(void)
{
	guest.policy.mode = RF_MODE_ENFORCE;
	guest.policy.on_kexec = RF_ON_KEXEC_DENY;
	guest.policy.on_denied = RF_ON_DENIED_FAULT;
}

static void operand(uint16_t limit, uint64_t base)
{
	memcpy(other(OPERAND), &limit, sizeof(limit));
	memcpy(other(OPERAND) + 2, &base, sizeof(base));
}

static void kernels_operand(void)
{
	operand(0xfff, RO_IDT);
}

static void another_operand(void)
{
	operand(0xff, OTHER_GVA + 0x400);
}

static void other_code(void)
{
	memset(other(OTHER_GVA), 0x90, 0x200);
}

static void other_stack(void)
{
	memset(other(TSS_AT), 0, 104);
}

static void clean_gate(void)
{
	memset(fake.ram + BRINGUP_AT, 0, RF_PAGE_SIZE);
}

static void recognised(void)
{
	fake.discover_err = 0;
}

static void can_be_sealed(void)
{
	fake.seal_err = 0;
}

static void text_is_right(void)
{
	fake.ram[0x2000] ^= 1;
}

static void nothing(void) {}

/* --- stores --- */

static void write_denied(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);
	const struct rf_msg_verdict *v = resent(&ev, not_found);

	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 14);
	assert_int_equal(v->error_code, 3);
	assert_int_equal(v->cr2, TABLE_GVA);
	assert_int_equal(v->rip, IMAGE_GVA + 0x2002);
	assert_int_equal(v->rflags, 0x10246);
	assert_memory_equal(v->gpr, fake.store.before.gpr, sizeof(v->gpr));
}

/* What was no legal patch has become one: a store that the log calls blocked would land. */
static void write_denied_then_legal(void **state)
{
	struct rf_msg_event ev = fake_write_event(SITE, "\x90", 1);

	fake.patch.verdict = RF_PATCH_BAD_STEP;
	assert_int_equal(resent(&ev, legal_patch)->verdict, RF_VERDICT_DENY);
}

static void write_observed(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	observe();
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

static void write_ends_the_vm(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_KILL);
}

static void emulation(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_EMULATION);

	assert_int_equal(resent(&ev, elsewhere)->verdict, RF_VERDICT_DENY);
}

static void stalled(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);

	fake.store.untold = true;
	assert_int_equal(resent(&ev, elsewhere)->verdict, RF_VERDICT_DENY);
}

static struct rf_msg_event delivery(uint32_t vector)
{
	const uint64_t stack = IMAGE_GVA + RODATA_AT + 0x100;
	struct rf_msg_event ev = fake_event(RF_EVENT_DELIVERY);

	ev.delivery.gpa = UINT64_MAX;
	ev.delivery.vector = vector;
	ev.regs.cpl = 3;
	ev.tables.tr = (struct rf_table){ .base = TSS_AT, .limit = 0x67, .selector = 0x40 };
	other_stack();
	memcpy(other(TSS_AT) + 4, &stack, sizeof(stack));
	return ev;
}

static void undelivered(void **state)
{
	struct rf_msg_event ev = delivery(32);
	const struct rf_msg_verdict *v = resent(&ev, other_stack);

	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 8);
}

/* There is a line, and it is the VMM's all the same. */
static void undelivered_double_fault(void **state)
{
	struct rf_msg_event ev = delivery(8);

	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_NOT_OURS);
}

/* --- registers --- */

static struct rf_msg_event msr(enum rf_event_kind kind, uint32_t index, uint64_t value)
{
	struct rf_msg_event ev = fake_event(kind);

	ev.msr.index = index;
	ev.msr.value = value;
	ev.msr.pinned = 0xd01;
	return ev;
}

static void msr_denied(void **state)
{
	struct rf_msg_event ev = msr(RF_EVENT_MSR, 0xc0000080, 0x501);

	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
}

static void msr_observed(void **state)
{
	struct rf_msg_event ev = msr(RF_EVENT_MSR, 0xc0000080, 0x501);

	observe();
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

static void msr_found(void **state)
{
	struct rf_msg_event ev = msr(RF_EVENT_MSR_FOUND, 0xc0000080, 0x501);

	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
	ev = msr(RF_EVENT_MSR_FOUND, 0xc0000080, 0x501);
	observe();
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

/* mov cr0, rax was there, and is no more: "undone" says that it got a fault. */
static void control(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_CR);
	const struct rf_msg_verdict *v;

	fake_map(UINT64_C(0xffffffffc0001000), OTHER_GPA, 0x1000, true, true);
	other_code();
	memcpy(other(OTHER_GVA) + 0xfd, "\x0f\x22\xc0", 3);
	ev.regs.rip = UINT64_C(0xffffffffc0001100);
	ev.regs.cr0 = 0x80050033;
	ev.cr = (struct rf_cr_cleared){ .cr0_bits = WP, .cr0 = 0x80050033 & ~WP, .interrupted = 1 };
	ev.regs.gpr[0] = ev.cr.cr0;
	v = resent(&ev, other_code);
	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 13);
	assert_int_equal(v->rip, ev.regs.rip - 3);
}

static void control_late(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_CR);
	const struct rf_msg_verdict *v;

	ev.cr.cr0_bits = WP;
	v = resent(&ev, observe);
	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 0);
}

/* --- loads --- */

static struct rf_msg_event load(void)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.gpa = IMAGE_GPA + LIDT_AT;
	ev.trap.kind = RF_TRAP_LIDT;
	ev.trap.len = 3;
	ev.regs.rip = IMAGE_GVA + LIDT_AT;
	ev.regs.gpr[7] = OPERAND;
	ev.tables.idt = (struct rf_table){ RO_IDT, 0xfff, 0, 0 };
	return ev;
}

static void load_denied(void **state)
{
	struct rf_msg_event ev = load();
	const struct rf_msg_verdict *v;

	operand(0xfff, OTHER_GVA);
	v = resent(&ev, kernels_operand);
	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 13);
}

/* It gets what it was to get. */
static void load_observed(void **state)
{
	struct rf_msg_event ev = load();
	const struct rf_msg_verdict *v;

	observe();
	operand(0xfff, OTHER_GVA);
	v = resent(&ev, another_operand);
	assert_int_equal(v->verdict, RF_VERDICT_ALLOW);
	assert_int_equal(v->table.base, OTHER_GVA);
	assert_int_equal(v->table.limit, 0xfff);
}

/* Legal loads have no line: they are judged anew, and as they are now. */
static void load_without_a_line(void **state)
{
	struct rf_msg_event ev = load();
	size_t about = records();

	kernels_operand();
	assert_int_equal(answer(&ev).verdict, RF_VERDICT_ALLOW);
	another_monitor();
	assert_int_equal(records(), about);
	operand(0xfff, OTHER_GVA);
	assert_int_equal(answer(&ev).verdict, RF_VERDICT_DENY);
	assert_int_equal(records(), about + 1);
}

static void move_to_control(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.kind = RF_TRAP_MOV_CR4;
	ev.trap.value = 0x20;
	ev.regs.cr4 = 0x100020;
	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
	ev.id = fake_event(RF_EVENT_TRAP).id;
	observe();
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

static void kexec(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
	enforce();
	guest.policy.on_kexec = RF_ON_KEXEC_REARM;
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

/* A forged gate, and it is clean again: the register would stay as it is, with the record saying
 * that the one before was put back. */
static void tables(void **state)
{
	static const uint64_t gate = UINT64_C(0x81008e0000102000);
	struct rf_msg_event ev = fake_event(RF_EVENT_TABLES);

	memcpy(fake.ram + BRINGUP_AT + 14 * 16, &gate, sizeof(gate));
	ev.has_kept = 1;
	ev.tables.idt = (struct rf_table){ IMAGE_GVA + BRINGUP_AT, 511, 0, 0 };
	ev.kept.idt = (struct rf_table){ RO_IDT, 0xfff, 0, 0 };
	/* load null, as INIT leaves them */
	ev.tables.gdt = ev.kept.gdt = (struct rf_table){ 0, 0, 0, 0 };
	assert_int_equal(resent(&ev, clean_gate)->verdict, RF_VERDICT_DENY);
}

/* --- kernels --- */

static void late_entry(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR + 0x10);

	fake.posted = guest.kernel_event;
	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
	observe();
	ev = fake_kernel_event(LSTAR + 0x10);
	fake.posted = guest.kernel_event;
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
}

/* "The VM is ended" is what the log says, whatever is found there by now. */
static void not_recognised(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.discover_err = -EBADMSG;
	assert_int_equal(resent(&ev, recognised)->verdict, RF_VERDICT_KILL);
}

static void cannot_be_sealed(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	fake.seal_err = -EINVAL;
	assert_int_equal(resent(&ev, can_be_sealed)->verdict, RF_VERDICT_KILL);
}

/* "Runs unsealed" is what the log says: what is there by now was put there by somebody. */
static void runs_unsealed(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	guest.policy.on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	fake.info.counters[RF_COUNT_RUN] = 7;
	fake.discover_err = -EBADMSG;
	assert_int_equal(resent(&ev, recognised)->verdict, RF_VERDICT_ALLOW);
	assert_true(guest.unknown);
	assert_null(guest.kernel);
	assert_non_null(strstr(guest.unprotected, "earlier monitor"));
	assert_int_equal(fake.watches + fake.seals, 0);
	assert_int_equal(fake_count("rule", "kernel-not-recognised"), 1);
}

/* A guest that ran elsewhere comes with other text than it was measured with, or as it was. */
static struct rf_msg_event arrives(bool changed)
{
	struct rf_msg_event ev;

	fake.site = 0;
	guest.policy.pin_tables = false;
	fake_sealed();
	strcpy(expect.kernel, rf_kernel_banner(guest.kernel));
	expect.count = guest.regions_count;
	for (uint32_t i = 0; i < expect.count; i++) {
		const struct rf_measured *m = &guest.regions[i];
		struct rf_measurement_region *r = &expect.regions[i];

		strcpy(r->kind, rf_region_text(m->region.kind));
		r->gva = m->region.gva;
		r->gpa = m->region.gpa;
		r->size = m->region.size;
		strcpy(r->sha256, m->sha256);
	}
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.lstar = 0;
	fake.info.regions_count = 0;
	fake.state_runs = true;
	guest.expect = &expect;
	another_monitor();
	fake.ram[0x2000] ^= changed;
	ev = fake_kernel_event(LSTAR);
	return ev;
}

static void arrived_changed(void **state)
{
	struct rf_msg_event ev = arrives(true);

	assert_int_equal(resent(&ev, text_is_right)->verdict, RF_VERDICT_DENY);
	assert_int_equal(fake_count("rule", "measurement-differs"), 1);
	assert_non_null(strstr(guest.refused, "not what was measured"));
}

static void arrived_changed_and_ends(void **state)
{
	struct rf_msg_event ev = arrives(true);

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(resent(&ev, text_is_right)->verdict, RF_VERDICT_KILL);
}

/* It is known to the next monitor as well, and was measured once. */
static void arrived_as_it_was(void **state)
{
	struct rf_msg_event ev = arrives(false);

	assert_int_equal(resent(&ev, text_is_right)->verdict, RF_VERDICT_ALLOW);
	assert_non_null(guest.kernel);
	assert_true(guest.arrived);
	assert_int_equal(guest.regions_count, 2);
	assert_int_equal(fake_count("kind", "measure"), 2);
}

static void arrived_with_nothing_expected(void **state)
{
	struct rf_msg_event ev = arrives(false);

	guest.expect = NULL;
	assert_int_equal(resent(&ev, nothing)->verdict, RF_VERDICT_ALLOW);
	assert_non_null(guest.kernel);
	assert_int_equal(fake_count("kind", "measure"), 1);
}

/* Cut short: some of its lines are there, and no answer. All of it is looked at again. */
static void arrived_and_half_measured(void **state)
{
	struct rf_msg_event ev = arrives(true);

	assert_int_equal(answer(&ev).verdict, RF_VERDICT_DENY);
	/* Rodata is as expected; what is held back for its end is what tells. */
	assert_string_equal(fake_text(fake_line(1), "rule"), "measurement-as-expected");
	assert_null(json_object_get(fake_line(1), "event"));
	assert_string_equal(fake_text(fake_line(0), "rule"), "measurement-differs");
	drop_last_line();
	another_monitor();
	assert_int_equal(answer(&ev).verdict, RF_VERDICT_DENY);
	assert_int_equal(fake_count("rule", "measurement-differs"), 1);
	assert_int_equal(fake_count("rule", "measurement-as-expected"), 2);
}

static void arrived_with_another_entry(void **state)
{
	struct rf_msg_event ev;

	arrives(false);
	ev = fake_kernel_event(LSTAR + 0x55);
	assert_int_equal(resent(&ev, observe)->verdict, RF_VERDICT_DENY);
}

static void arrived_with_another_entry_observed(void **state)
{
	struct rf_msg_event ev;

	arrives(false);
	observe();
	ev = fake_kernel_event(LSTAR + 0x55);
	assert_int_equal(resent(&ev, enforce)->verdict, RF_VERDICT_ALLOW);
	assert_non_null(guest.kernel);
}

/* What no verdict is awaited of is never an answer. */
static void told(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	answer(&ev);
	ev.kind = RF_EVENT_RESET;
	ev.life.cause = RF_CAUSE_RESET;
	assert_int_equal(fake_judge(&ev), 0);
	assert_null(guest.kernel);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, sealed, fake_teardown)
#define B(f) cmocka_unit_test_setup_teardown(f, booting, fake_teardown)
		T(write_denied),
		T(write_denied_then_legal),
		T(write_observed),
		T(write_ends_the_vm),
		T(emulation),
		T(stalled),
		T(undelivered),
		T(undelivered_double_fault),
		T(msr_denied),
		T(msr_observed),
		T(msr_found),
		T(control),
		T(control_late),
		T(load_denied),
		T(load_observed),
		T(load_without_a_line),
		T(move_to_control),
		T(kexec),
		T(tables),
		T(late_entry),
		B(not_recognised),
		B(cannot_be_sealed),
		B(runs_unsealed),
		B(arrived_changed),
		B(arrived_changed_and_ends),
		B(arrived_as_it_was),
		B(arrived_with_nothing_expected),
		B(arrived_and_half_measured),
		B(arrived_with_another_entry),
		B(arrived_with_another_entry_observed),
		T(told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
