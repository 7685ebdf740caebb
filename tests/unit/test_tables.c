// SPDX-License-Identifier: LGPL-2.1-or-later
/* Traps in sealed text and descriptor tables: what is planted, what a register may get, what is
 * found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define CODE UINT64_C(0x3000) /* in the image */
#define RO_IDT UINT64_C(0xfffffe0000000000)
#define OPERAND (OTHER_GVA + 0x100)
#define LDT_GVA (OTHER_GVA + 0x800)

enum { LIDT, LGDT, LLDT, LTR, CR4, HIDDEN };

static const uint8_t insns[][15] = {
	[LIDT] = { 0x0f, 0x01, 0x1f, 0xc3 },		 /* lidt [rdi] */
	[LGDT] = { 0x0f, 0x01, 0x54, 0x24, 0x08, 0xc3 }, /* lgdt [rsp + 8] */
	[LLDT] = { 0x0f, 0x00, 0xd0, 0xc3 },		 /* lldt ax */
	[LTR] = { 0x0f, 0x00, 0xd8, 0xc3 },		 /* ltr ax */
	[CR4] = { 0x0f, 0x22, 0xe1, 0xc3 },		 /* mov cr4, rcx */
	[HIDDEN] = { 0x0f, 0x01, 0x1e, 0xc3 },		 /* lidt [rsi] */
};
static const uint8_t lengths[] = { 3, 5, 3, 3, 3, 3 };

static uint8_t *ram(uint64_t at)
{
	return fake.ram + at;
}

static void put(uint64_t gva, const void *bytes, size_t len)
{
	uint64_t at = gva >= OTHER_GVA && gva < IMAGE_GVA ? gva - OTHER_GVA + IMAGE_SIZE
							  : gva - IMAGE_GVA;

	memcpy(fake.ram + at, bytes, len);
	memcpy(fake.decoy + at, bytes, len);
}

static void put64(uint64_t gva, uint64_t value)
{
	put(gva, &value, sizeof(value));
}

/* gdt_page of arch/x86/kernel/cpu/common.c, with a TSS. */
static void make_gdt(unsigned int cpu)
{
	const uint64_t gva = IMAGE_GVA + GDT_AT + cpu * RF_PAGE_SIZE, tss = TSS_GVA + cpu * 0x10000;
	const uint64_t gdt[16] = {
		[1] = 0x00cf9b000000ffff,
		[2] = 0x00af9b000000ffff,
		[3] = 0x00cf93000000ffff,
		[4] = 0x00cffb000000ffff,
		[5] = 0x00cff3000000ffff,
		[6] = 0x00affb000000ffff,
		[8] = UINT64_C(0x0000890000000000) | 0x206f | (tss & 0xffffff) << 16 |
		      (tss >> 24 & 0xff) << 56,
		[9] = tss >> 32,
	};

	put(gva, gdt, sizeof(gdt));
}

static int setup(void **state)
{
	int err = fake_setup(state);

	fake.has_tables = true;
	guest.policy.pin_tables = true;
	memset(ram(IDT_AT), 0, 3 * RF_PAGE_SIZE);
	memset(fake.decoy + IDT_AT, 0, 3 * RF_PAGE_SIZE);
	make_gdt(0);
	make_gdt(1);
	fake_map(IMAGE_GVA + IDT_AT, IMAGE_GPA + IDT_AT, 4 * RF_PAGE_SIZE, true, false);
	fake_map(GDT_RO_GVA, IMAGE_GPA + GDT_AT, RF_PAGE_SIZE, false, false);
	for (unsigned int i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		put(IMAGE_GVA + CODE + i * 32, insns[i], sizeof(insns[i]));
		fake.insns[i].gva = IMAGE_GVA + CODE + i * 32;
		fake.insns[i].hidden = i == HIDDEN;
	}
	fake.insns_count = 6;
	return err;
}

/* --- planting --- */

static void planted(void **state)
{
	uint8_t seen[8], decoy[8];

	fake_sealed();
	assert_int_equal(fake.seal.count, 3);
	assert_int_equal(fake.seal.regions[2].kind, RF_REGION_IDT);
	assert_int_equal(fake.seal.regions[2].gpa, IMAGE_GPA + IDT_AT);
	assert_int_equal(fake.seal.regions[2].size, RF_PAGE_SIZE);
	assert_int_equal(fake.traps, 1);
	assert_int_equal(fake.trapped.count,
			 4); /* neither the hidden one nor the control register's */
	assert_int_equal(fake.trapped.check_ms, 1000);
	assert_int_equal(fake.trapped.cr0 | fake.trapped.cr4, 0);
	for (unsigned int i = LIDT; i <= LTR; i++) {
		const struct rf_trap_site *s = &fake.trapped.sites[i];

		assert_int_equal(s->gpa, IMAGE_GPA + CODE + i * 32);
		assert_int_equal(s->kind, RF_TRAP_LIDT + i);
		assert_int_equal(s->len, lengths[i]);
		assert_memory_equal(s->bytes, insns[i], s->len);
	}
	/* Who reads text sees the kernel's, also in part; the fence's copy has the traps. */
	assert_int_equal(*ram(CODE), 0xe6);
	for (uint64_t at = 0; at < 8; at++)
		for (size_t len = 1; len + at <= 8; len++) {
			assert_int_equal(rf_memory_read(&guest.mem,
							rf_gpa_of(IMAGE_GPA + CODE + 30 + at), seen,
							len),
					 0);
			memcpy(decoy, fake.decoy + CODE + 30 + at, len);
			assert_memory_equal(seen, decoy, len);
		}
	/* The sweep finds no device there. */
	for (int i = 0; i < 40; i++)
		assert_int_equal(rf_sweep(&guest, 1u << 16), 0);
	assert_true(guest.sweeps);
	assert_int_equal(fake_count("kind", "dma"), 0);
	assert_int_equal(fake_count("kind", "table"), 0);
}

static void a_device_over_a_trap(void **state)
{
	fake_sealed();
	fake.decoy[CODE] = 0xe6;
	for (int i = 0; i < 40; i++)
		assert_int_equal(rf_sweep(&guest, 1u << 16), 0);
	assert_int_equal(fake.decoy[CODE], fake.trapped.sites[0].bytes[0]); /* the instruction's */
	assert_int_equal(fake.ram[CODE], 0xe6);
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake_count("kind", "dma"), 1);
}

static void control_registers_too(void **state)
{
	struct rf_msg_event ev;

	fake.info.cr_watch = false; /* nothing else sees them */
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[CR4].kind, RF_TRAP_MOV_CR4);
	assert_int_equal(fake.trapped.sites[CR4].reg, 1);
	assert_int_equal(fake.trapped.cr0, 0x10000);
	assert_int_equal(fake.trapped.cr4, 0xb01820);
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.gpa = IMAGE_GPA + CODE + CR4 * 32;
	ev.trap.kind = RF_TRAP_MOV_CR4;
	ev.trap.value = 0x20;
	ev.regs.cr4 = 0x100020;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "kind"), "control-register");
	assert_string_equal(fake_text(fake_line(0), "rule"), "control-register-is-pinned");
	assert_string_equal(fake_text(fake_line(0), "detail"), "CR4 <- 0x20, was 0x100020");
	guest.policy.mode = RF_MODE_OBSERVE;
	ev.id++;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
}

/* A patch site and a trap do not go together. */
static void not_where_the_kernel_patches(void **state)
{
	fake.table.kernel = 5;
	fake.table.base = IMAGE_GVA;
	fake.table.shapes[0].len = 5;
	fake.table.sites_count = 1;
	fake.table.sites[0].at = CODE - 4; /* its last byte is lidt's first */
	fake_sealed();
	assert_int_equal(fake.trapped.count, 3);
	assert_int_equal(fake.trapped.sites[0].kind, RF_TRAP_LGDT);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "more than could be replaced"));
}

/* Text patching that the kernel's own tables allow is denied there all the same. */
static void no_patch_on_a_trap(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake.patch.verdict = RF_PATCH_STEP;
	ev = fake_write_event(IMAGE_GPA + CODE + 2, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake.judged, 0);
	assert_string_equal(fake_text(fake_line(0), "detail"), "one of the traps stands there");
	ev = fake_write_event(IMAGE_GPA + CODE + 3, "\xcc", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_SETTLE);
}

static void by_policy(void **state)
{
	guest.policy.pin_tables = false;
	fake_sealed();
	assert_int_equal(fake.traps, 0);
	assert_int_equal(fake.seal.count, 2);
}

/* The kernel's own patcher is replaced whether or not instructions that load are. */
static void patcher(void **state)
{
	fake.poker = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[1].kind, RF_TRAP_POKE);
	assert_int_equal(fake.trapped.sites[1].gpa, IMAGE_GPA + CODE + 16);
	assert_int_equal(fake.trapped.poke.how, fake.poker + 32);
	assert_int_equal(fake.trapped.poke.back, fake.poker + 16);
	assert_int_equal(fake.trapped.poke.frame, 0x40);
	assert_true(rf_traps_load(&guest));
}

static void patcher_alone(void **state)
{
	guest.policy.pin_tables = false;
	fake.poker = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 1);
	assert_int_equal(fake.trapped.check_ms, 0);
	assert_false(rf_traps_load(&guest));
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.traps_count, 1);
}

static void kexec(void **state)
{
	struct rf_msg_event ev;

	fake.kexec = IMAGE_GVA + CODE + 16;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 5);
	assert_int_equal(fake.trapped.sites[1].kind, RF_TRAP_KEXEC);
	assert_int_equal(fake.trapped.poke.how, 0);
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	ev.trap.gpa = fake.trapped.sites[1].gpa;
	ev.trap.len = 4;
	ev.regs.rip = fake.kexec;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 13);
	assert_int_equal(fake_verdict()->rip, fake.kexec);
	assert_string_equal(fake_text(fake_line(0), "kind"), "kexec");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "blocked");
	guest.policy.on_kexec = RF_ON_KEXEC_REARM;
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "allowed");
	guest.policy.on_kexec = RF_ON_KEXEC_DENY;
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_KEXEC;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
}

/* In unsealed text, or where the kernel patches, it is left alone. */
static void patcher_elsewhere(void **state)
{
	fake.poker = IMAGE_GVA - 64;
	fake_sealed();
	assert_int_equal(fake.trapped.count, 4);
	assert_int_equal(fake.trapped.poke.how, 0);
}

static void refused_by_the_fence(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.traps_err = -EILSEQ;
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

static void taken_over(void **state)
{
	char sha[65];

	fake_sealed();
	strcpy(sha, guest.regions[0].sha256);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(guest.traps_count, 4);
	assert_string_equal(guest.regions[0].sha256, sha); /* the traps are not measured */
	assert_true(guest.tables_known);
	assert_int_equal(fake.traps, 1);
}

/* --- loading --- */

static struct rf_msg_event trap(int which)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.gpa = IMAGE_GPA + CODE + (unsigned int)which * 32;
	ev.trap.kind = (uint32_t)(RF_TRAP_LIDT + which);
	ev.trap.len = lengths[which];
	ev.regs.rip = IMAGE_GVA + CODE + (unsigned int)which * 32;
	ev.regs.gpr[7] = OPERAND;
	ev.regs.gpr[4] = OPERAND - 8;
	ev.tables.idt = (struct rf_table){ RO_IDT, 0xfff, 0, 0 };
	ev.tables.gdt = (struct rf_table){ GDT_RO_GVA, 127, 0, 0 };
	ev.tables.tr = (struct rf_table){ TSS_GVA, 0x206f, 0x40, 0 };
	return ev;
}

static void operand(uint16_t limit, uint64_t base)
{
	put(OPERAND, &limit, sizeof(limit));
	put(OPERAND + 2, &base, sizeof(base));
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
	loads(trap(LIDT), RO_IDT, 0xfff, 0);
	operand(0, 0); /* to end in a triple fault */
	loads(trap(LIDT), 0, 0, 0);
	operand(511, IMAGE_GVA + BRINGUP_AT);
	loads(trap(LIDT), IMAGE_GVA + BRINGUP_AT, 511, 0);
	operand(0xfff, OTHER_GVA);
	denied(trap(LIDT), "table-is-foreign");
	assert_string_equal(fake_text(fake_line(0), "detail"),
			    "IDTR <- 0xffff888001080000 limit 0xfff selector 0x0, was "
			    "0xfffffe0000000000 limit 0xfff");
	operand(0x1fff, RO_IDT);
	denied(trap(LIDT), "table-is-foreign");
	put64(IMAGE_GVA + BRINGUP_AT + 14 * 16, UINT64_C(0x81008e0000102000));
	operand(511, IMAGE_GVA + BRINGUP_AT);
	denied(trap(LIDT), "table-entry-is-forged");
	/* An operand nobody can read: nothing could be let through, in any mode. */
	guest.policy.mode = RF_MODE_OBSERVE;
	ev = trap(LIDT);
	ev.regs.gpr[7] = 0x1234;
	denied(ev, "undecided");
	operand(0xfff, OTHER_GVA);
	ev = trap(LIDT);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_verdict()->table.base, OTHER_GVA);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	/* A site that was never planted. */
	ev = trap(LIDT);
	ev.trap.gpa++;
	denied(ev, "undecided");
}

static void gdtr(void **state)
{
	fake_sealed();
	operand(127, IMAGE_GVA + GDT_AT);
	loads(trap(LGDT), IMAGE_GVA + GDT_AT, 127, 0);
	operand(127, GDT_RO_GVA);
	loads(trap(LGDT), GDT_RO_GVA, 127, 0);
	operand(255, GDT_RO_GVA);
	denied(trap(LGDT), "table-is-foreign");
	operand(127, OTHER_GVA);
	denied(trap(LGDT), "table-is-foreign");
	put64(IMAGE_GVA + GDT_AT + 12 * 8,
	      UINT64_C(0x8100ec0000102000)); /* a call gate for users */
	operand(127, GDT_RO_GVA);
	denied(trap(LGDT), "table-entry-is-forged");
}

static void ldtr(void **state)
{
	struct rf_msg_event ev;
	const uint64_t ldt = LDT_GVA;

	fake_sealed();
	ev = trap(LLDT);
	ev.regs.gpr[0] = 3; /* null, whatever its RPL */
	loads(ev, 0, 0, 0);
	put64(LDT_GVA, 0x00cff3000000ffff); /* user data */
	put64(LDT_GVA + 8, 0);
	put64(IMAGE_GVA + GDT_AT + 80, UINT64_C(0x0000820000000000) | 15 | (ldt & 0xffffff) << 16 |
					       (ldt >> 24 & 0xff) << 56);
	put64(IMAGE_GVA + GDT_AT + 88, ldt >> 32);
	ev = trap(LLDT);
	ev.regs.gpr[0] = UINT64_C(0xffff000000000050); /* 16 bits count */
	loads(ev, LDT_GVA, 15, 0x50);
	ev = trap(LLDT);
	ev.regs.gpr[0] = 0x58;
	denied(ev, "table-is-foreign");
	ev = trap(LLDT);
	ev.regs.gpr[0] = 0x54; /* out of the LDT itself */
	denied(ev, "table-is-foreign");
	ev = trap(LLDT);
	ev.regs.gpr[0] = 0x80; /* past the limit */
	denied(ev, "table-is-foreign");
	put64(LDT_GVA, UINT64_C(0x8100ec0000102000));
	ev = trap(LLDT);
	ev.regs.gpr[0] = 0x50;
	denied(ev, "table-entry-is-forged");
}

static void tr(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	ev = trap(LTR);
	ev.regs.gpr[0] = 0x40;
	loads(ev, TSS_GVA, 0x206f, 0x40);
	ev = trap(LTR);
	ev.regs.gpr[0] = 0x18;
	denied(ev, "table-is-foreign");
	put64(IMAGE_GVA + GDT_AT + 72, OTHER_GVA >> 32);
	ev = trap(LTR);
	ev.regs.gpr[0] = 0x40;
	denied(ev, "table-is-foreign");
}

/* --- found --- */

static void gates_at_the_seal(void **state)
{
	put64(IMAGE_GVA + IDT_AT + 14 * 16,
	      UINT64_C(0x81008e0000100000) | 0x1e0); /* #PF, its own */
	put64(IMAGE_GVA + IDT_AT + 14 * 16 + 8, 0xffffffff);
	fake_sealed();
	assert_int_equal(fake_count("kind", "table"), 0);
	fake_new_monitor();
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.traps_count = 0;
	put64(IMAGE_GVA + IDT_AT + 13 * 16,
	      UINT64_C(0x8100ee0000102000)); /* elsewhere, for users */
	put64(IMAGE_GVA + IDT_AT + 13 * 16 + 8, 0xffffffff);
	guest.policy.pin_tables = true;
	fake_sealed();
	assert_true(fake_count("rule", "table-entry-is-forged") >= 2);
	assert_int_equal(fake_count("verdict", "detected"), fake_count("kind", "table"));
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

#define CALL_GATE UINT64_C(0x8100ec0000102000)

static void look_again(void)
{
	memset(guest.ticked_ns, 0, sizeof(guest.ticked_ns));
	assert_int_equal(rf_guards_tick(&guest), 0);
}

static uint64_t get64(uint64_t gva)
{
	uint64_t value;

	memcpy(&value, ram(gva - IMAGE_GVA), sizeof(value));
	return value;
}

static void a_call_gate_in_a_gdt(void **state)
{
	const uint64_t gdt = IMAGE_GVA + GDT_AT + RF_PAGE_SIZE;

	fake_sealed();
	look_again();
	assert_int_equal(fake_count("kind", "table"), 0);
	for (unsigned int index = 10; index <= 14; index++) {
		put64(gdt + index * 8, CALL_GATE);
		look_again();
		assert_int_equal(fake_count("kind", "table"), index - 9);
		assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
		assert_string_equal(fake_text(fake_line(0), "outcome"), "found, and cleared");
		assert_int_equal(get64(gdt + index * 8), 0);
	}
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "GDT of CPU 1, entry 14"));
	assert_int_equal(fake.mends, 5);
	put64(gdt + 10 * 8, CALL_GATE); /* with its second half */
	put64(gdt + 11 * 8, 0xffffffff);
	look_again();
	assert_int_equal(get64(gdt + 10 * 8) | get64(gdt + 11 * 8), 0);
	look_again();
	put64(gdt + 12 * 8, 0x00cff3000000ffff); /* a thread's own data: legal */
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
		put64(gdt + 16, CALL_GATE);
		look_again();
		look_again();
		assert_int_equal(fake_count("kind", "table"), round);
		assert_string_equal(fake_text(fake_line(0), "outcome"), "found, left as it is");
		make_gdt(0);
		look_again();
	}
	assert_int_equal(fake.mends, 0);
	fake.mend_err = -EAGAIN; /* it has just changed */
	put64(gdt + 12 * 8, CALL_GATE);
	look_again();
	assert_string_equal(fake_text(fake_line(0), "outcome"), "found, left as it is");
	fake.mend_err = 0;
	look_again();
	assert_string_equal(fake_text(fake_line(0), "outcome"), "found, and cleared");
	guest.policy.mode = RF_MODE_OBSERVE;
	put64(gdt + 12 * 8, CALL_GATE);
	look_again();
	look_again();
	assert_int_equal(fake_count("kind", "table"), 5);
	assert_int_equal(get64(gdt + 12 * 8), CALL_GATE);
	guest.policy.register_check_ms = 0;
	put64(gdt + 13 * 8, CALL_GATE);
	look_again();
	assert_int_equal(fake_count("kind", "table"), 5);
}

static struct rf_msg_event compared(void)
{
	struct rf_msg_event ev = trap(LIDT);

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
	struct rf_msg_event ev, up;
	size_t lines;

	fake_sealed();
	lines = fake_lines();
	up = compared();
	up.tables.gdt = (struct rf_table){ 0x9000, 0x1f, 0, 0 };
	up.tables.idt = (struct rf_table){ 0, 0, 0, 0 };
	up.regs.rip = IMAGE_GVA + STARTUP_AT + 0x10;
	ev = up;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_lines(), lines);
	ev = up;
	ev.regs.rip = IMAGE_GVA + STARTUP_AT - 0x10;
	found(ev, "GDTR <- ", "the registers it had before were put back");
	ev = up;
	ev.tables.gdt.base = 0x100000;
	found(ev, "GDTR <- ", "the registers it had before were put back");
	ev = up;
	ev.tables.idt = (struct rf_table){ 0x9000, 0x1ff, 0, 0 };
	found(ev, "GDTR <- ", "the registers it had before were put back");
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
	denied(trap(LIDT), "undecided");
	ev = compared();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	fake.gdt_at = 0;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_true(guest.tables_known);
	loads(trap(LIDT), RO_IDT, 0xfff, 0);
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(planted),
		T(a_device_over_a_trap),
		T(control_registers_too),
		T(not_where_the_kernel_patches),
		T(no_patch_on_a_trap),
		T(by_policy),
		T(patcher),
		T(patcher_alone),
		T(patcher_elsewhere),
		T(kexec),
		T(refused_by_the_fence),
		T(taken_over),
		T(idtr),
		T(gdtr),
		T(ldtr),
		T(tr),
		T(gates_at_the_seal),
		T(a_gate_is_not_written),
		T(a_call_gate_in_a_gdt),
		T(left_as_it_is),
		T(registers),
		T(comes_up),
		T(a_pinned_msr),
		T(taken_over_after_a_forgery),
		T(a_kernel_that_does_not_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
