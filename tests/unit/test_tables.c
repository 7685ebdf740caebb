// SPDX-License-Identifier: LGPL-2.1-or-later
/* Descriptor tables: what a register may get, what is found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_tables.h"

#define LDT_GVA (OTHER_GVA + 0x800)
#define CALL_GATE UINT64_C(0x8100ec0000102000) /* for users */

/* --- loading --- */

static void operand(uint16_t limit, uint64_t base)
{
	fake_put(OPERAND, &limit, sizeof(limit));
	fake_put(OPERAND + 2, &base, sizeof(base));
}

static void loads(struct rf_msg_event ev, uint64_t base, uint32_t limit, uint16_t selector)
{
	size_t lines = fake_lines();

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_verdict()->table.base, base);
	assert_int_equal(fake_verdict()->table.limit, limit);
	assert_int_equal(fake_verdict()->table.selector, selector);
	assert_int_equal(fake_lines(), lines); /* of what is legal no line */
}

static void denied(struct rf_msg_event ev, const char *rule)
{
	json_t *line;

	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->rip, ev.regs.rip);
	assert_memory_equal(fake_verdict()->gpr, ev.regs.gpr, sizeof(ev.regs.gpr));
	line = fake_line(0);
	assert_string_equal(fake_text(line, "kind"), "table");
	assert_string_equal(fake_text(line, "verdict"), "blocked");
	assert_string_equal(fake_text(line, "rule"), rule);
	assert_string_equal(fake_text(line, "outcome"),
			    "general protection fault at the instruction");
}

static void idtr(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	operand(0xfff, RO_IDT);
	loads(fake_trap(LIDT), RO_IDT, 0xfff, 0);
	operand(0, 0); /* to end in a triple fault */
	loads(fake_trap(LIDT), 0, 0, 0);
	operand(511, IMAGE_GVA + BRINGUP_AT);
	loads(fake_trap(LIDT), IMAGE_GVA + BRINGUP_AT, 511, 0);
	operand(0xfff, OTHER_GVA);
	denied(fake_trap(LIDT), "table-is-foreign");
	assert_string_equal(fake_text(fake_line(0), "detail"),
			    "IDTR <- 0xffff888001080000 limit 0xfff selector 0x0, was "
			    "0xfffffe0000000000 limit 0xfff");
	operand(0x1fff, RO_IDT);
	denied(fake_trap(LIDT), "table-is-foreign");
	fake_put64(IMAGE_GVA + BRINGUP_AT + 14 * 16, UINT64_C(0x81008e0000102000));
	operand(511, IMAGE_GVA + BRINGUP_AT);
	denied(fake_trap(LIDT), "table-entry-is-forged");
	/* An operand nobody can read: nothing could be let through, in any mode. */
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = fake_trap(LIDT);
	ev.regs.gpr[7] = 0x1234;
	denied(ev, "undecided");
	operand(0xfff, OTHER_GVA);
	ev = fake_trap(LIDT);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_verdict()->table.base, OTHER_GVA);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	/* A site that was never planted. */
	ev = fake_trap(LIDT);
	ev.trap.gpa++;
	denied(ev, "undecided");
	/* Another instruction's kind: the kernel's own GDT is no IDT. */
	operand(127, IMAGE_GVA + GDT_AT);
	ev = fake_trap(LIDT);
	ev.trap.kind = RF_TRAP_LGDT;
	denied(ev, "undecided");
}

/* The only gate that CPUs come up with is for #VC, and leads to one of two functions. */
static void bringup_gate(void **state)
{
	static const struct {
		uint64_t to;
		bool legal;
	} cases[] = {
		{ IMAGE_GVA + VC_AT, true },
		{ IMAGE_GVA + VC_AT + 1, false },
		{ IMAGE_GVA + 0x2000, false }, /* commit_creds() */
		{ OTHER_GVA, false },
	};

	fake_sealed();
	operand(511, IMAGE_GVA + BRINGUP_AT);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t to = cases[i].to, gate = IMAGE_GVA + BRINGUP_AT + 29 * 16;

		/* SDM vol. 3A figure 6-8 */
		fake_put64(gate, UINT64_C(0x00008e0000100000) | (to & 0xffff) |
					 (to >> 16 & 0xffff) << 48);
		fake_put64(gate + 8, to >> 32);
		if (cases[i].legal)
			loads(fake_trap(LIDT), IMAGE_GVA + BRINGUP_AT, 511, 0);
		else
			denied(fake_trap(LIDT), "table-entry-is-forged");
	}
}

static void gdtr(void **state)
{
	fake_sealed();
	operand(127, IMAGE_GVA + GDT_AT);
	loads(fake_trap(LGDT), IMAGE_GVA + GDT_AT, 127, 0);
	operand(127, GDT_RO_GVA);
	loads(fake_trap(LGDT), GDT_RO_GVA, 127, 0);
	operand(255, GDT_RO_GVA);
	denied(fake_trap(LGDT), "table-is-foreign");
	operand(127, OTHER_GVA);
	denied(fake_trap(LGDT), "table-is-foreign");
	fake_put64(IMAGE_GVA + GDT_AT + 12 * 8, CALL_GATE);
	operand(127, GDT_RO_GVA);
	denied(fake_trap(LGDT), "table-entry-is-forged");
}

/* In CPU 0's GDT, of 16 bytes. */
static void ldt_descriptor(uint64_t ldt)
{
	fake_put64(IMAGE_GVA + GDT_AT + 80, UINT64_C(0x0000820000000000) | 15 |
						    (ldt & 0xffffff) << 16 |
						    (ldt >> 24 & 0xff) << 56);
	fake_put64(IMAGE_GVA + GDT_AT + 88, ldt >> 32);
}

static void ldtr(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 3; /* null, whatever its RPL */
	loads(ev, 0, 0, 0);
	fake_put64(LDT_GVA, 0x00cff3000000ffff); /* user data */
	fake_put64(LDT_GVA + 8, 0);
	ldt_descriptor(LDT_GVA);
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = UINT64_C(0xffff000000000050); /* 16 bits count */
	loads(ev, LDT_GVA, 15, 0x50);
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x58;
	denied(ev, "table-is-foreign");
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x54; /* out of the LDT itself */
	denied(ev, "table-is-foreign");
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x80; /* past the limit */
	denied(ev, "table-is-foreign");
	fake_put64(LDT_GVA, CALL_GATE);
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x50;
	denied(ev, "table-entry-is-forged");
}

/* The kernel's LDTs lie in its half: in a user's everybody writes. */
static void ldt_of_a_user(void **state)
{
	const uint64_t user = UINT64_C(0x7f0000001000);
	struct rf_msg_event ev;

	fake_sealed();
	fake_map(user, OTHER_GPA, RF_PAGE_SIZE, true, false);
	fake_put64(OTHER_GVA, 0x00cff3000000ffff);
	fake_put64(OTHER_GVA + 8, 0);
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x50;
	ldt_descriptor(OTHER_GVA);
	loads(ev, OTHER_GVA, 15, 0x50);
	ev = fake_trap(LLDT);
	ev.regs.gpr[0] = 0x50;
	ldt_descriptor(user);
	denied(ev, "table-is-foreign");
}

/* As the processor would refuse them, at a selector that is right (SDM vol. 2A LLDT, LTR). */
static void descriptors_that_are_none(void **state)
{
	static const struct {
		int insn;
		unsigned int byte;
		uint8_t is;
	} cases[] = {
		{ LLDT, 5, 0x89 },  /* a TSS's */
		{ LLDT, 5, 0x02 },  /* not present */
		{ LLDT, 5, 0x92 },  /* no system descriptor */
		{ LLDT, 13, 0x01 }, /* its second half is a descriptor */
		{ LTR, 5, 0x8b },   /* busy */
		{ LTR, 5, 0x82 },   /* an LDT's */
		{ LTR, 5, 0x09 },   /* not present */
		{ LTR, 13, 0x10 },
	};

	fake_sealed();
	fake_put64(LDT_GVA, 0);
	fake_put64(LDT_GVA + 8, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint16_t selector = cases[i].insn == LTR ? 0x40 : 0x50;
		struct rf_msg_event ev = fake_trap(cases[i].insn);
		const uint32_t last = selector + 15u;

		fake_make_gdt(0);
		ldt_descriptor(LDT_GVA);
		ev.regs.gpr[0] = selector;
		ev.tables.gdt.limit = last;
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
		ev.id = fake.info.next_event++;
		ev.tables.gdt.limit = last - 1; /* it ends in the descriptor */
		denied(ev, "table-is-foreign");
		fake_put(IMAGE_GVA + GDT_AT + selector + cases[i].byte, &cases[i].is, 1);
		ev.id = fake.info.next_event++;
		ev.tables.gdt.limit = 127;
		denied(ev, "table-is-foreign");
	}
}

static void tr(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = fake_trap(LTR);
	ev.regs.gpr[0] = 0x40;
	loads(ev, TSS_GVA, 0x206f, 0x40);
	ev = fake_trap(LTR);
	ev.regs.gpr[0] = 0x18;
	denied(ev, "table-is-foreign");
	fake_put64(IMAGE_GVA + GDT_AT + 72, OTHER_GVA >> 32);
	ev = fake_trap(LTR);
	ev.regs.gpr[0] = 0x40;
	denied(ev, "table-is-foreign");
}

/* --- found --- */

static size_t told_of(const char *entry, size_t lines)
{
	size_t n = 0;

	for (size_t i = 0; i < lines; i++)
		n += !strcmp(fake_text(fake_line(i), "kind"), "table") &&
		     strstr(fake_text(fake_line(i), "detail"), entry);
	return n;
}

static void gates_at_the_seal(void **state)
{
	fake_put64(IMAGE_GVA + IDT_AT + 14 * 16,
		   UINT64_C(0x81008e0000100000) | 0x1e0); /* #PF, its own */
	fake_put64(IMAGE_GVA + IDT_AT + 14 * 16 + 8, 0xffffffff);
	fake_sealed();
	assert_int_equal(fake_count("kind", "table"), 0);
	fake_new_monitor();
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.traps_count = 0;
	fake_put64(IMAGE_GVA + IDT_AT + 13 * 16,
		   UINT64_C(0x8100ee0000102000)); /* elsewhere, for users */
	fake_put64(IMAGE_GVA + IDT_AT + 13 * 16 + 8, 0xffffffff);
	guest.policy.pin_tables = true;
	fake_sealed();
	assert_true(fake_count("rule", "table-entry-is-forged") >= 2);
	assert_int_equal(fake_count("verdict", "detected"), fake_count("kind", "table"));
}

/* Of more than are told one by one it is said that there are more. */
static void many_gates_at_the_seal(void **state)
{
	for (unsigned int i = 0; i < 40; i++)
		fake_put64(IMAGE_GVA + IDT_AT + i * 16, CALL_GATE);
	fake_sealed();
	assert_int_equal(told_of("IDT, entry", fake_lines()), 16);
	assert_int_equal(told_of(" more findings", fake_lines()), 1);
}

static void a_gate_is_not_written(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = fake_write_event(IMAGE_GPA + IDT_AT + 14 * 16, "12345678", 8);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "region"), "idt");
	assert_string_equal(fake_text(fake_line(0), "rule"), "idt-is-never-written");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
}

static void look_again(void)
{
	memset(guest.ticked_ns, 0, sizeof(guest.ticked_ns));
	assert_int_equal(rf_guards_tick(&guest), 0);
}

static uint64_t get64(uint64_t gva)
{
	uint64_t value;

	memcpy(&value, fake.ram + (gva - IMAGE_GVA), sizeof(value));
	return value;
}

static void a_call_gate_in_a_gdt(void **state)
{
	const uint64_t gdt = IMAGE_GVA + GDT_AT + RF_PAGE_SIZE;

	fake_sealed();
	look_again();
	assert_int_equal(fake_count("kind", "table"), 0);
	for (unsigned int index = 10; index <= 14; index++) {
		fake_put64(gdt + index * 8, CALL_GATE);
		look_again();
		assert_int_equal(fake_count("kind", "table"), index - 9);
		assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
		assert_string_equal(fake_text(fake_line(0), "outcome"), "found, and cleared");
		assert_int_equal(get64(gdt + index * 8), 0);
	}
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "GDT of CPU 1, entry 14"));
	assert_int_equal(fake.mends, 5);
	fake_put64(gdt + 10 * 8, CALL_GATE); /* with its second half */
	fake_put64(gdt + 11 * 8, 0xffffffff);
	look_again();
	assert_int_equal(get64(gdt + 10 * 8) | get64(gdt + 11 * 8), 0);
	look_again();
	fake_put64(gdt + 12 * 8, 0x00cff3000000ffff); /* a thread's own data: legal */
	look_again();
	assert_int_equal(fake_count("kind", "table"), 6);
	assert_int_equal(fake.mends, 7);
}

/* What must be there is not cleared, nor anything in mode observe; it is told once each time. */
static void left_as_it_is(void **state)
{
	const uint64_t gdt = IMAGE_GVA + GDT_AT;

	fake_sealed();
	for (unsigned int round = 1; round <= 2; round++) {
		fake_put64(gdt + 16, CALL_GATE);
		look_again();
		look_again();
		assert_int_equal(fake_count("kind", "table"), round);
		assert_string_equal(fake_text(fake_line(0), "outcome"), "found, left as it is");
		fake_make_gdt(0);
		look_again();
	}
	assert_int_equal(fake.mends, 0);
	fake.mend_err = -EAGAIN; /* it has just changed */
	fake_put64(gdt + 12 * 8, CALL_GATE);
	look_again();
	assert_string_equal(fake_text(fake_line(0), "outcome"), "found, left as it is");
	fake.mend_err = 0;
	look_again();
	assert_string_equal(fake_text(fake_line(0), "outcome"), "found, and cleared");
	guest.policy.mode = RF_MODE_OBSERVE;
	fake_put64(gdt + 12 * 8, CALL_GATE);
	look_again();
	look_again();
	assert_int_equal(fake_count("kind", "table"), 5);
	assert_int_equal(get64(gdt + 12 * 8), CALL_GATE);
	guest.policy.register_check_ms = 0;
	fake_put64(gdt + 13 * 8, CALL_GATE);
	look_again();
	assert_int_equal(fake_count("kind", "table"), 5);
}

/* However much is wrong before them: no finding hides another. */
static void behind_many_findings(void **state)
{
	const uint64_t gdt = IMAGE_GVA + GDT_AT, no_type = UINT64_C(0x80ffec000000ffff);
	size_t lines;

	fake_sealed();
	lines = fake_lines();
	for (unsigned int i = 0; i < 8; i++)
		fake_put64(gdt + i * 8, UINT64_C(0x00cf93000000fff0));
	for (unsigned int i = 8; i < 12; i += 2) { /* TSS and LDT: all that can be wrong is */
		fake_put64(gdt + i * 8, no_type);
		fake_put64(gdt + i * 8 + 8, UINT64_C(0x17fffffff));
	}
	for (unsigned int i = 12; i < 16; i++)
		fake_put64(gdt + i * 8, CALL_GATE);
	look_again();
	lines = fake_lines() - lines;
	for (unsigned int i = 12; i < 16; i++) {
		char entry[16];

		snprintf(entry, sizeof(entry), "entry %u:", i);
		assert_int_equal(told_of(entry, lines), i == 13 ? 0 : 1); /* 13: cleared with 12 */
	}
	assert_int_equal(get64(gdt + 12 * 8), 0);
	assert_int_equal(get64(gdt + 13 * 8), 0);
	assert_int_equal(get64(gdt + 14 * 8), 0);
}

/* Told once, and again when it is another; a second half belongs to it. */
static void another_in_its_place(void **state)
{
	const uint64_t gdt = IMAGE_GVA + GDT_AT, harmless = UINT64_C(0x0040f10000000000);
	const struct {
		unsigned int index;
		uint64_t value;
	} steps[] = { { 15, harmless }, { 15, CALL_GATE }, { 15, CALL_GATE + 1 },
		    { 10, CALL_GATE }, { 11, UINT64_C(0xffffffff) } };
	size_t lines;

	fake_sealed();
	fake.mend_err = -EAGAIN; /* nothing is cleared */
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		fake_put64(gdt + steps[i].index * 8, steps[i].value);
		lines = fake_lines();
		look_again();
		assert_true(fake_lines() > lines);
		lines = fake_lines();
		look_again();
		assert_int_equal(fake_lines(), lines);
	}
	fake.mend_err = 0;
}

static struct rf_msg_event compared(void)
{
	struct rf_msg_event ev = fake_trap(LIDT);

	ev.kind = RF_EVENT_TABLES;
	ev.kept = ev.tables;
	ev.has_kept = 1;
	return ev;
}

static void found(struct rf_msg_event ev, const char *name, const char *outcome)
{
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "rule"), "table-is-foreign");
	assert_string_equal(fake_text(fake_line(0), "outcome"), outcome);
	assert_memory_equal(fake_text(fake_line(0), "detail"), name, strlen(name));
}

static void registers(void **state)
{
	static const char put_back[] = "the registers it had before were put back";
	struct rf_msg_event ev;
	size_t lines;

	fake_sealed();
	lines = fake_lines();
	ev = compared();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = compared(); /* INIT leaves such a TR and LDTR */
	ev.tables.tr = (struct rf_table){ 0, 0xffff, 0, 0 };
	ev.tables.ldt = (struct rf_table){ 0, 0xffff, 0, 0 };
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = compared(); /* a guest's own VMX */
	ev.tables.idt.limit = ev.tables.gdt.limit = 0xffff;
	ev.tables.tr.limit = 0x67;
	ev.regs.cr4 = 1 << 13;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_lines(), lines);
	ev = compared();
	ev.tables.idt.limit = 0xffff;
	found(ev, "IDTR <- ", put_back);
	ev = compared();
	ev.tables.idt.base = OTHER_GVA;
	found(ev, "IDTR <- ", put_back);
	ev = compared();
	ev.tables.gdt.base = OTHER_GVA;
	found(ev, "GDTR <- ", put_back);
	ev = compared();
	ev.tables.tr.base = OTHER_GVA;
	ev.has_kept = 0;
	found(ev, "TR <- ", "left as they are, none were known before");
	ev = compared(); /* VMLOAD takes a null selector with a base */
	ev.tables.tr = (struct rf_table){ OTHER_GVA, 0x206f, 0, 0 };
	found(ev, "TR <- ", put_back);
	ev = compared();
	ev.tables.ldt = (struct rf_table){ OTHER_GVA, 0xfff, 0, 0 };
	found(ev, "LDTR <- ", put_back);
	ev = compared(); /* asked about again, for what it points at */
	ev.tables.idt.base = ev.kept.idt.base = OTHER_GVA;
	found(ev, "IDTR <- ", "left as they are, they are the ones it had before");
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = compared();
	ev.tables.idt.base = OTHER_GVA;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	guest.policy.mode = RF_MODE_ENFORCE;
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	ev = compared();
	ev.tables.idt.base = OTHER_GVA;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

/* A CPU that comes up has the trampoline's GDT and no IDT, there alone. */
static void comes_up(void **state)
{
	static const char put_back[] = "the registers it had before were put back";
	struct rf_msg_event ev, up;
	size_t lines;

	fake_sealed();
	lines = fake_lines();
	up = compared();
	up.tables.gdt = (struct rf_table){ 0x9000, 0x1f, 0, 0 };
	up.tables.idt = (struct rf_table){ 0, 0, 0, 0 };
	up.regs.rip = IMAGE_GVA + STARTUP_AT + 0x10;
	/* There, in what 6.9 has behind it, and in what both call. */
	for (ev = up; ev.regs.rip < IMAGE_GVA + TEXT_END; ev.regs.rip += 0x10) {
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
		assert_int_equal(fake_lines(), lines);
		ev.id = fake.info.next_event++;
	}
	ev = up;
	ev.id = fake.info.next_event++;
	ev.regs.rip = IMAGE_GVA + STARTUP_AT - 0x10;
	found(ev, "GDTR <- ", put_back);
	ev = up;
	ev.id = fake.info.next_event++;
	ev.tables.gdt.base = 0x100000;
	found(ev, "GDTR <- ", put_back);
	ev = up;
	ev.id = fake.info.next_event++;
	ev.tables.idt = (struct rf_table){ 0x9000, 0x1ff, 0, 0 };
	found(ev, "IDTR <- ", put_back);
	ev = up; /* with the kernel's own IDT it has come up */
	ev.id = fake.info.next_event++;
	ev.tables.idt = compared().tables.idt;
	found(ev, "GDTR <- ", put_back);
	/* Of the others INIT leaves none that is the trampoline's. */
	ev = up;
	ev.id = fake.info.next_event++;
	ev.tables.tr = (struct rf_table){ 0x8000, 0x67, 0x80, 0 };
	found(ev, "TR <- ", put_back);
	ev = up;
	ev.id = fake.info.next_event++;
	ev.tables.ldt = (struct rf_table){ OTHER_GVA, 0xfff, 0x70, 0 };
	found(ev, "LDTR <- ", put_back);
}

static void a_pinned_msr(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = fake_event(RF_EVENT_MSR_FOUND);
	ev.msr.index = 0xc0000082;
	ev.msr.value = OTHER_GVA;
	ev.msr.pinned = LSTAR;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "kind"), "msr");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "rule"), "msr-is-pinned");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "the value it had was put back");
	assert_memory_equal(fake_text(fake_line(0), "detail"), "LSTAR (MSR 0xc0000082) <- ", 26);
	guest.policy.mode = RF_MODE_OBSERVE;
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "left as it is");
}

/* Where the tables lie is read from memory that the guest can write. */
static void taken_over_after_a_forgery(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake.gdt_at = IDT_AT;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_false(guest.tables_known);
	assert_int_equal(fake_count("outcome", "nothing is loaded any more"), 1);
	operand(0xfff, RO_IDT);
	denied(fake_trap(LIDT), "undecided");
	ev = compared();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	fake.gdt_at = 0;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_true(guest.tables_known);
	loads(fake_trap(LIDT), RO_IDT, 0xfff, 0);
}

/* What the kernel does not tell is not protected, and the record says so. */
static void a_kernel_that_does_not_tell(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.no_types = true;
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_count("outcome", "not protected"), 1);
	assert_int_equal(fake.traps, 0);
	/* Control registers are trapped all the same; of tables nothing is expected then. */
	ev = fake_event(RF_EVENT_RESET);
	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	fake.info.cr_watch = false;
	fake_sealed();
	assert_int_equal(fake.traps, 1);
	ev = compared();
	ev.tables.idt.base = OTHER_GVA;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_tables_setup, fake_teardown)
		T(idtr),
		T(bringup_gate),
		T(gdtr),
		T(ldtr),
		T(ldt_of_a_user),
		T(descriptors_that_are_none),
		T(tr),
		T(gates_at_the_seal),
		T(many_gates_at_the_seal),
		T(a_gate_is_not_written),
		T(a_call_gate_in_a_gdt),
		T(left_as_it_is),
		T(behind_many_findings),
		T(another_in_its_place),
		T(registers),
		T(comes_up),
		T(a_pinned_msr),
		T(taken_over_after_a_forgery),
		T(a_kernel_that_does_not_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
