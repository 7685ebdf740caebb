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
	unsigned long flags;
	struct rf_alias alias;

	if (!rf_aim_banner(r, &alias, 16, 10))
		return;
	/* No interrupt takes the processor off: where it hangs, only who is outside can end it. */
	local_irq_save(flags);
	gdt = store_gdt(alias.at);
	idt = store_idt(alias.at);
	local_irq_restore(flags);
	rf_say(r, "sgdt=%s sidt=%s", gdt ? "faulted" : "done", idt ? "faulted" : "done");
	rf_judge(r, gdt && idt);
	rf_alias_unmap(&alias);
}
