// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call gate in this processor's GDT, which is written at every context switch and so cannot be
 * read-only in its frame: through one user mode could enter the kernel wherever it says. It stands
 * where a process's LDT would be described; no process here has one (modify_ldt(2)).
 */
#include <asm/desc.h>
#include <linux/delay.h>

#include "registers.h"

#define STEP_MS 100

/* SDM vol. 3 5.8.3.1: laid out as an interrupt gate. */
static gate_desc call_gate(void)
{
	unsigned long to = (unsigned long)rf_gate_call;

	return (gate_desc){
		.offset_low = (u16)to,
		.segment = __KERNEL_CS,
		.bits = { .type = 0xc, .p = 1 },
		.offset_middle = (u16)(to >> 16),
		.offset_high = (u32)(to >> 32),
	};
}

/* Whether a far call came out where the gate leads. */
static bool call(void)
{
	const struct {
		u32 offset; /* the gate has its own */
		u16 selector;
	} __packed target = { 0, GDT_ENTRY_LDT * 8 };
	unsigned long flags;

	rf_gate_count = 0;
	local_irq_save(flags);
	asm volatile("	leaq 2f(%%rip), %%r10\n"
		     "	movq %%rsp, %%r11\n"
		     "1:	lcall *%[t]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     :
		     : [t] "m"(target)
		     : "r10", "r11", "memory", "cc");
	local_irq_restore(flags);
	return READ_ONCE(rf_gate_count);
}

void attack_gdt_callgate(struct rf_report *r)
{
	gate_desc gate = call_gate();
	struct ldttss_desc *at, before, now;
	unsigned int waited;
	bool taken;
	u16 ldt;

	BUILD_BUG_ON(sizeof(gate) != sizeof(before));
	asm volatile("sldt %0" : "=rm"(ldt));
	if (ldt)
		return rf_skip(r, "an LDT is in use");
	migrate_disable();
	at = (struct ldttss_desc *)&get_cpu_gdt_rw(smp_processor_id())[GDT_ENTRY_LDT];
	before = *at;
	memcpy(at, &gate, sizeof(gate));
	taken = call();
	rf_say(r, "lcall=%s", taken ? "taken" : "UNFORGED");
	for (waited = 0; waited < rf_patience * 1000 && !memcmp(at, &gate, sizeof(gate));
	     waited += STEP_MS)
		msleep(STEP_MS);
	msleep(STEP_MS); /* of a descriptor of two halves the second is cleared after the first */
	now = *at;
	rf_say(r, "waited=%ums", waited);
	if (!taken)
		r->outcome = RF_UNCHANGED;
	else
		r->outcome = memcmp(&now, &gate, sizeof(gate)) ? RF_RESTORED : RF_LANDED;
	if (r->outcome == RF_RESTORED)
		rf_kept(r, "entry", !memcmp(&now, &before, sizeof(now)));
	*at = before;
	migrate_enable();
	r->symbol = "GDT";
	r->at = (u8 *)at;
	r->offset = GDT_ENTRY_LDT * 8;
	r->len = sizeof(gate);
}
