// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stores that no operand of the attacker's makes: SGDT and SIDT write what a register holds. KVM's
 * emulator does not report them as it reports others (arch/x86/kvm/emulate.c
 * emulate_store_desc_ptr(), segmented_write_std()).
 */
#include "attacks.h"

static unsigned long store_gdt(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("sgdt (%[p])") : [f] "+r"(faulted) : [p] "r"(at) : "memory", "cc");
	return faulted;
}

static unsigned long store_idt(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("sidt (%[p])") : [f] "+r"(faulted) : [p] "r"(at) : "memory", "cc");
	return faulted;
}

/* A limit of two bytes and a base of eight. */
void attack_sgdt_sealed(struct rf_report *r)
{
	unsigned long gdt, idt;
	struct rf_alias alias;
	bool stuck[2];

	if (!rf_aim_banner(r, &alias, 16, 10))
		return;
	rf_guard_begin();
	gdt = store_gdt(alias.at);
	stuck[0] = rf_guard_end();
	rf_guard_begin();
	idt = store_idt(alias.at);
	stuck[1] = rf_guard_end();
	rf_say(r, "sgdt=%s sidt=%s",
	       stuck[0] ? "stuck"
	       : gdt	? "faulted"
			: "done",
	       stuck[1] ? "stuck"
	       : idt	? "faulted"
			: "done");
	rf_judge(r, gdt && idt);
	/* Only our own timer's interrupt ended it: with interrupts off the processor is lost. */
	if (r->outcome != RF_LANDED && (stuck[0] || stuck[1]))
		r->outcome = RF_NONE;
	rf_alias_unmap(&alias);
}
