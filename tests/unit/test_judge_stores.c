// SPDX-License-Identifier: LGPL-2.1-or-later
/* Guests that stand still and events that could not be delivered: whether sealed memory is why. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define PAGE UINT64_C(0xffffc90000000000) /* mapped as a case needs it */
#define RODATA (IMAGE_GPA + RODATA_AT)
#define RODATA_GVA (IMAGE_GVA + RODATA_AT)
#define TSS (OTHER_GVA + 0x200)
#define SP 4

static int setup(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	fake_sealed();
	fake.store = (struct rf_store){ .rip = rf_gva_of(IMAGE_GVA + 0x2004),
					.insn_len = 3,
					.size = 10,
					.untold = true,
					.text = "sgdt [rdi]" };
	fake.store.before.gpr[7] = 0x77;
	fake.store.before.rflags = 0x246;
	return 0;
}

static void store_at(uint64_t gva)
{
	fake.store.operand = fake.store.target = rf_gva_of(gva);
}

static void tss(struct rf_msg_event *ev, uint16_t at, uint64_t stack)
{
	memset(fake.ram + (OTHER_GPA - IMAGE_GPA) + 0x200, 0, 104);
	memcpy(fake.ram + (OTHER_GPA - IMAGE_GPA) + 0x200 + at, &stack, 8);
	ev->tables.tr = (struct rf_table){ .base = TSS, .limit = 0x67, .selector = 0x40 };
}

static void assert_line(const char *kind, const char *rule, uint64_t gpa)
{
	json_t *line = fake_line(0);
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)gpa);
	assert_string_equal(fake_text(line, "kind"), kind);
	assert_string_equal(fake_text(line, "verdict"), "blocked");
	assert_string_equal(fake_text(line, "rule"), rule);
	assert_string_equal(fake_text(line, "gpa"), text);
}

static void assert_double_fault(const struct rf_msg_event *ev)
{
	const struct rf_msg_verdict *v = fake_verdict();

	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 8);
	assert_int_equal(v->error_code, 0);
	assert_int_equal(v->rip, ev->regs.rip);
	assert_memory_equal(v->gpr, ev->regs.gpr, sizeof(v->gpr));
}

/* It loops, or waits, or stores where it may: no line, in no mode. */
static void goes_on(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);
	size_t lines = fake_lines();

	store_at(OTHER_GVA + 0x100);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	/* The kernel's patcher at its copy loop, at this look and at the last: what it stores is
	 * told when it is stored. */
	store_at(IMAGE_GVA + TEXT_AT + 0x40);
	fake.store.untold = false;
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.store_err = -ENOENT;
	ev = fake_event(RF_EVENT_STALLED);
	ev.regs.gpr[SP] = OTHER_GVA + 0x800;
	tss(&ev, 4, OTHER_GVA + 0x700);
	ev.tables.gdt = (struct rf_table){ .base = OTHER_GVA + 0x300, .limit = 0x7f };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_STALLED);
	ev.regs.rip = 0x1234; /* not mapped */
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake_log_full();
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_lines(), lines);
}

/* What stands in the way was not all read: it may be sealed. */
static void stalled_and_not_read(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);

	store_at(OTHER_GVA + 0x100);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.store_endless = true;
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_count("rule", "undecided"), 1);
	assert_int_equal(fake_count("rule", "guest-lists-end"), 1);
}

/* The writer's name is looked for in lists that do not end: what is judged, and how, stays the
 * same. */
static void stalled_with_endless_modules(void **state)
{
	struct rf_msg_event ev;

	store_at(RODATA_GVA + 0x40);
	fake.store.rip = rf_gva_of(UINT64_C(0xffffffffc0000010)); /* in a module, or in no image */
	fake.endless = true;
	for (int i = 0; i < 2; i++) {
		ev = fake_event(RF_EVENT_STALLED);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_string_equal(fake_text(fake_line(0), "kind"), "write");
		assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
	}
	assert_int_equal(fake_count("rule", "guest-lists-end"), 1);
	fake.endless = false;
}

static void write_with_endless_modules(void **state)
{
	struct rf_msg_event ev = fake_write_event(RODATA, "x", 1);
	struct rf_msg_verdict control;

	fake_map(PAGE, RODATA, 0x1000, true, false);
	store_at(PAGE);
	fake.store.rip = rf_gva_of(UINT64_C(0xffffffffc0000010));
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	control = *fake_verdict();
	fake.endless = true;
	for (int i = 0; i < 2; i++) {
		ev = fake_write_event(RODATA, "x", 1);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_int_equal(fake_verdict()->vector, control.vector);
		assert_int_equal(fake_verdict()->error_code, control.error_code);
	}
	fake.endless = false;
}

/* A task's xsave area (2.7 KiB with AVX-512) three pages below sealed text in the direct map, found
 * at a second look: it does not reach the seal. */
static void xsave_near_the_seal(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);

	fake_map(PAGE, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x1000, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x2000, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x3000, IMAGE_GPA + 0x1000, 0x1000, true, false);
	fake.store.size = 0;
	fake.store.untold = false; /* so rf_store_find() says */
	store_at(PAGE);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
}

static void stands_at_a_store(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);
	const struct rf_msg_verdict *v;

	store_at(RODATA_GVA + 0x40);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake.seen.gpa.v, RF_STORE_GPA_UNKNOWN);
	assert_int_equal(fake.seen.len, 0);
	assert_false(fake.seen.rip_after);
	assert_line("write", "rodata-is-never-written", RODATA + 0x40);
	assert_string_equal(fake_text(fake_line(0), "disassembly"), "sgdt [rdi]");
	v = fake_verdict();
	assert_int_equal(v->vector, 14);
	assert_int_equal(v->error_code, 3);
	assert_int_equal(v->cr2, RODATA_GVA + 0x40);
	assert_int_equal(v->rip, fake.store.rip.v);
	assert_int_equal(v->gpr[7], 0x77);

	/* Its end alone is sealed, and the guest maps it writable. */
	fake_map(PAGE, OTHER_GPA, 0x1000, true, false);
	fake_map(PAGE + 0x1000, IMAGE_GPA + 0x1000, 0x1000, true, false);
	store_at(PAGE + 0xff8);
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("write", "text-store-no-patcher-uses", IMAGE_GPA + 0x1000);
	assert_int_equal(fake_verdict()->cr2, PAGE + 0x1000);
	assert_int_equal(fake_verdict()->error_code, 3 | 8);
	store_at(PAGE + 0xff6); /* and now it just does not reach it */
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);

	/* Nothing can be applied, so observing denies it too; and ends no VM. */
	guest.policy.mode = RF_MODE_OBSERVE;
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	store_at(RODATA_GVA);
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	guest.policy.mode = RF_MODE_ENFORCE;
	ev = fake_event(RF_EVENT_STALLED);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

/* On SVM before 6.14 KVM emulates on when a frame cannot be pushed, and so gets nowhere. */
static void stands_with_its_stack_sealed(void **state)
{
	static const struct {
		uint64_t sp;
		uint64_t gpa; /* of the byte named, 0: not sealed */
	} cases[] = {
		{ RODATA_GVA + 0x800, RODATA + 0x7ff },
		{ RODATA_GVA + 0x80f, RODATA + 0x7ff }, /* rounded down first */
		{ RODATA_GVA + 0x10, RODATA + 0xf },
		{ RODATA_GVA, 0 },
		{ RODATA_GVA + RODATA_SIZE, RODATA + RODATA_SIZE - 1 },
		{ RODATA_GVA + RODATA_SIZE + 0x20, RODATA + RODATA_SIZE - 0x10 },
		{ RODATA_GVA + RODATA_SIZE + 0x30, 0 },
	};

	fake.store_err = -ENOENT;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);

		ev.regs.gpr[SP] = cases[i].sp;
		assert_int_equal(fake_judge(&ev),
				 cases[i].gpa ? RF_VERDICT_DENY : RF_VERDICT_ALLOW);
		if (!cases[i].gpa)
			continue;
		assert_double_fault(&ev);
		assert_line("delivery", "rodata-is-never-written", cases[i].gpa);
		assert_non_null(strstr(fake_text(fake_line(0), "detail"), "RSP"));
		/* What is on a user's stack is the user's: the kernel's is in the TSS. */
		ev = fake_event(RF_EVENT_STALLED);
		ev.regs.gpr[SP] = cases[i].sp;
		ev.regs.cpl = 3;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	}
}

static void stands_with_a_stack_of_the_tss_sealed(void **state)
{
	static const struct {
		const char *name;
		uint16_t at;
	} stacks[] = { { "RSP0", 4 }, { "RSP2", 20 }, { "IST1", 36 }, { "IST7", 84 } };
	struct rf_msg_event ev;

	fake.store_err = -ENOENT;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		ev = fake_event(RF_EVENT_STALLED);
		ev.regs.cpl = 3;
		tss(&ev, stacks[i].at, RODATA_GVA + 0x100);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
		assert_double_fault(&ev);
		assert_line("delivery", "rodata-is-never-written", RODATA + 0xff);
		assert_non_null(strstr(fake_text(fake_line(0), "detail"), stacks[i].name));
		ev = fake_event(RF_EVENT_STALLED); /* it ends before that stack pointer */
		tss(&ev, stacks[i].at, RODATA_GVA + 0x100);
		ev.tables.tr.limit = 0x66;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	}
	ev = fake_event(RF_EVENT_STALLED);
	tss(&ev, 92, RODATA_GVA + 0x100); /* no stack's place */
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev.id = fake.info.next_event++;
	ev.tables.tr.base = 0x1000; /* not mapped */
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev.id = fake.info.next_event++;
	ev.tables.tr.base = UINT64_MAX - 50;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
}

/* mov %cx, %ds with the GDT in sealed memory: the descriptor would be marked as accessed. */
static void stands_with_a_table_sealed(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_STALLED);

	fake.store_err = -ENOENT;
	ev.tables.gdt = (struct rf_table){ .base = RODATA_GVA + 0x100, .limit = 0x7f };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("write", "rodata-is-never-written", RODATA + 0x100);
	assert_int_equal(fake_verdict()->vector, 14);
	assert_int_equal(fake_verdict()->cr2, RODATA_GVA + 0x100);
	assert_int_equal(fake_verdict()->rip, ev.regs.rip);
	assert_memory_equal(fake_verdict()->gpr, ev.regs.gpr, sizeof(ev.regs.gpr));

	ev = fake_event(RF_EVENT_STALLED); /* its last byte alone */
	ev.tables.ldt = (struct rf_table){ .base = RODATA_GVA - 0x7f, .limit = 0x7f };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("write", "rodata-is-never-written", RODATA);
	ev = fake_event(RF_EVENT_STALLED);
	ev.tables.ldt = (struct rf_table){ .base = RODATA_GVA - 0x80, .limit = 0x7f };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_STALLED); /* a limit has 16 bits, an address space an end */
	ev.tables.gdt = (struct rf_table){ .base = UINT64_MAX - 4, .limit = UINT32_MAX };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
}

static struct rf_msg_event delivery(uint64_t gpa, uint32_t vector)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_DELIVERY);

	ev.delivery.gpa = gpa;
	ev.delivery.vector = vector;
	return ev;
}

static void delivery_told(void **state)
{
	struct rf_msg_event ev = delivery(RODATA + 0x7f8, 14);
	json_t *line;

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_double_fault(&ev);
	assert_line("delivery", "rodata-is-never-written", RODATA + 0x7f8);
	line = fake_line(0);
	assert_non_null(strstr(fake_text(line, "detail"), "RSP 0x1004"));
	assert_non_null(strstr(fake_text(line, "detail"), "vector 14"));
	assert_string_equal(fake_text(json_object_get(line, "target"), "addr"),
			    "0xffffffff810407f8");
	/* A stack in a device's memory is the VMM's business, whatever else is there. */
	ev = delivery(OTHER_GPA, 14);
	ev.regs.gpr[SP] = RODATA_GVA + 0x800;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_NOT_OURS);
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	ev = delivery(RODATA, 14);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = delivery(RODATA, 14);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
}

static void delivery_not_told(void **state)
{
	struct rf_msg_event ev = delivery(UINT64_MAX, 3);

	ev.regs.gpr[SP] = IMAGE_GVA + 0x1800;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_double_fault(&ev);
	assert_line("delivery", "text-store-no-patcher-uses", IMAGE_GPA + 0x17ff);
	ev = delivery(UINT64_MAX, 3);
	tss(&ev, 36, RODATA_GVA + 0x100);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("delivery", "rodata-is-never-written", RODATA + 0xff);
	/* All stacks looked at, and none is sealed. */
	ev = delivery(UINT64_MAX, 3);
	tss(&ev, 36, OTHER_GVA + 0x800);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_NOT_OURS);
	/* Not looked at: it may be. */
	ev = delivery(UINT64_MAX, 3);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_double_fault(&ev);
	assert_string_equal(fake_text(fake_line(0), "rule"), "undecided");
}

/* A double fault that has nowhere to go either would be a triple fault: said, and left. */
static void delivery_of_a_double_fault(void **state)
{
	struct rf_msg_event ev = delivery(RODATA + 0x7f8, 8);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_NOT_OURS);
	assert_line("delivery", "rodata-is-never-written", RODATA + 0x7f8);
	assert_non_null(strstr(fake_text(fake_line(0), "outcome"), "left to the VMM"));
}

/* push with its stack sealed: the page fault would push there as well. */
static void push_to_a_sealed_stack(void **state)
{
	struct rf_msg_event ev = fake_write_event(RODATA + 0x7f8, "12345678", 8);

	ev.regs.gpr[SP] = RODATA_GVA + 0x7f8;
	store_at(RODATA_GVA + 0x7f8);
	memcpy(fake.store.before.gpr, ev.regs.gpr, sizeof(ev.regs.gpr));
	fake.store.before.gpr[SP] += 8;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 8);
	assert_int_equal(fake_verdict()->error_code, 0);
	assert_int_equal(fake_verdict()->gpr[SP], RODATA_GVA + 0x800);
	assert_int_equal(fake_verdict()->rip, fake.store.rip.v);
	assert_line("write", "rodata-is-never-written", RODATA + 0x7f8);
	/* A user's fault goes to another stack. */
	ev.id = fake.info.next_event++;
	ev.regs.cpl = 3;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 14);
}

/* int3 where KVM emulates, which it cannot in 64-bit mode, as its frame has nowhere to go. */
static void emulation_for_a_frame(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_EMULATION);

	fake.store_err = -ENOENT;
	ev.regs.gpr[SP] = RODATA_GVA + 0x800;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_double_fault(&ev);
	assert_line("delivery", "rodata-is-never-written", RODATA + 0x7ff);
	fake.store_err = 0;
	store_at(OTHER_GVA + 0x100); /* what it stores is not sealed */
	ev.id = fake.info.next_event++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_line("delivery", "rodata-is-never-written", RODATA + 0x7ff);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(stalled_with_endless_modules),
		T(write_with_endless_modules),
		T(goes_on),
		T(stalled_and_not_read),
		T(xsave_near_the_seal),
		T(stands_at_a_store),
		T(stands_with_its_stack_sealed),
		T(stands_with_a_stack_of_the_tss_sealed),
		T(stands_with_a_table_sealed),
		T(delivery_told),
		T(delivery_not_told),
		T(delivery_of_a_double_fault),
		T(push_to_a_sealed_stack),
		T(emulation_for_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
