// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_tables.h"

#include <string.h>

const uint8_t fake_insns[FAKE_INSNS][15] = {
	[LIDT] = { 0x0f, 0x01, 0x1f, 0xc3 },		 /* lidt [rdi] */
	[LGDT] = { 0x0f, 0x01, 0x54, 0x24, 0x08, 0xc3 }, /* lgdt [rsp + 8] */
	[LLDT] = { 0x0f, 0x00, 0xd0, 0xc3 },		 /* lldt ax */
	[LTR] = { 0x0f, 0x00, 0xd8, 0xc3 },		 /* ltr ax */
	[CR4] = { 0x0f, 0x22, 0xe1, 0xc3 },		 /* mov cr4, rcx */
	[HIDDEN] = { 0x0f, 0x01, 0x1e, 0xc3 },		 /* lidt [rsi] */
};
const uint8_t fake_insn_lengths[FAKE_INSNS] = { 3, 5, 3, 3, 3, 3 };

void fake_put(uint64_t gva, const void *bytes, size_t len)
{
	uint64_t at = gva >= OTHER_GVA && gva < IMAGE_GVA ? gva - OTHER_GVA + IMAGE_SIZE
							  : gva - IMAGE_GVA;

	memcpy(fake.ram + at, bytes, len);
	memcpy(fake.decoy + at, bytes, len);
}

void fake_put64(uint64_t gva, uint64_t value)
{
	fake_put(gva, &value, sizeof(value));
}

/* gdt_page of arch/x86/kernel/cpu/common.c, with a TSS. */
void fake_make_gdt(unsigned int cpu)
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

	fake_put(gva, gdt, sizeof(gdt));
}

int fake_tables_setup(void **state)
{
	int err = fake_setup(state);

	fake.has_tables = true;
	guest.policy.pin_tables = true;
	memset(fake.ram + IDT_AT, 0, 3 * RF_PAGE_SIZE);
	memset(fake.decoy + IDT_AT, 0, 3 * RF_PAGE_SIZE);
	fake_make_gdt(0);
	fake_make_gdt(1);
	fake_map(IMAGE_GVA + IDT_AT, IMAGE_GPA + IDT_AT, 4 * RF_PAGE_SIZE, true, false);
	fake_map(GDT_RO_GVA, IMAGE_GPA + GDT_AT, RF_PAGE_SIZE, false, false);
	for (unsigned int i = 0; i < FAKE_INSNS; i++) {
		fake_put(IMAGE_GVA + CODE + i * 32, fake_insns[i], sizeof(fake_insns[i]));
		fake.insns[i].gva = IMAGE_GVA + CODE + i * 32;
		fake.insns[i].hidden = i == HIDDEN;
	}
	fake.insns_count = FAKE_INSNS;
	return err;
}

struct rf_msg_event fake_trap(int which)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_TRAP);

	ev.trap.gpa = IMAGE_GPA + CODE + (unsigned int)which * 32;
	ev.trap.kind = (uint32_t)(RF_TRAP_LIDT + which);
	ev.trap.len = fake_insn_lengths[which];
	ev.regs.rip = IMAGE_GVA + CODE + (unsigned int)which * 32;
	ev.regs.gpr[7] = OPERAND;
	ev.regs.gpr[4] = OPERAND - 8;
	ev.tables.idt = (struct rf_table){ RO_IDT, 0xfff, 0, 0 };
	ev.tables.gdt = (struct rf_table){ GDT_RO_GVA, 127, 0, 0 };
	ev.tables.tr = (struct rf_table){ TSS_GVA, 0x206f, 0x40, 0 };
	return ev;
}
