// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gate of the attacker's own in the interrupt table: written into the kernel's table, or into a
 * copy that the processor is then told to use. The vector is one of those that the processor
 * reserves and never raises (SDM vol. 3 6.3.1), so Linux has nothing there; `int` goes through it.
 */
#include <asm/desc.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "registers.h"

#define VECTOR 0x17
#define STEP_MS 100

/* True when a gate was there and led to us; without one the processor raises #NP. */
static bool interrupt(void)
{
	unsigned long faulted = 1;

	rf_gate_count = 0;
	asm volatile(RF_STORE("int %[n]") : [f] "+r"(faulted) : [n] "i"(VECTOR) : "memory", "cc");
	return READ_ONCE(rf_gate_count);
}

static gate_desc forged_gate(void)
{
	unsigned long to = (unsigned long)rf_gate_interrupt;

	return (gate_desc){
		.offset_low = (u16)to,
		.segment = __KERNEL_CS,
		.bits = { .type = GATE_INTERRUPT, .p = 1 },
		.offset_middle = (u16)(to >> 16),
		.offset_high = (u32)(to >> 32),
	};
}

void attack_idt_gate(struct rf_report *r)
{
	gate_desc gate = forged_gate();
	struct rf_alias alias;
	unsigned long faulted = 1;
	u64 half[2];

	if (!rf_aim(r, "idt_table", VECTOR * sizeof(gate), sizeof(gate)) ||
	    !rf_alias_map(r, &alias))
		return;
	memcpy(half, &gate, sizeof(gate));
	rf_guard_begin();
	/* The half with the present bit last. */
	asm volatile("1:	movq %[h], 8(%[p])\n"
		     "3:	movq %[l], (%[p])\n"
		     "	xorl %k[f], %k[f]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b) _ASM_EXTABLE(3b, 2b)
		     : [f] "+r"(faulted)
		     : [h] "r"(half[1]), [l] "r"(half[0]), [p] "r"(alias.at)
		     : "memory", "cc");
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	/* Where it was refused the vector leads into init text, which is long gone. */
	rf_say(r, "int=%s", faulted ? "refused" : interrupt() ? "taken" : "UNFORGED");
	rf_judge(r, faulted);
	rf_alias_unmap(&alias);
}

/* --- another table -------------------------------------------------------- */

static struct desc_ptr idt_register(void)
{
	struct desc_ptr now;

	asm volatile("sidt %0" : "=m"(now));
	return now;
}

static unsigned long set_idt_register(const struct desc_ptr *to)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("lidt %[t]") : [f] "+r"(faulted) : [t] "m"(*to) : "memory", "cc");
	return faulted;
}

static gate_desc *copy_of(const struct desc_ptr *idt)
{
	/* Of its own pages: nothing else may be read through it. */
	gate_desc *table = (void *)get_zeroed_page(GFP_KERNEL);

	if (table) {
		memcpy(table, (void *)idt->address, min_t(size_t, idt->size + 1ul, PAGE_SIZE));
		table[VECTOR] = forged_gate();
	}
	return table;
}

static void aim(struct rf_report *r, const void *table)
{
	r->symbol = "IDTR";
	r->at = (u8 *)table;
	r->len = sizeof(struct desc_ptr);
}

static bool same(struct desc_ptr a, const struct desc_ptr *b)
{
	return a.address == b->address && a.size == b->size;
}

/* By the kernel's own lidt, which is meant to be given any table. */
void attack_idt_lidt(struct rf_report *r)
{
	static const u8 lidt[] = { 0x0f, 0x01, 0x1f }; /* lidt (%rdi) */
	struct desc_ptr before = idt_register(), forged = before;
	struct rf_step s = { .len = sizeof(lidt) };
	unsigned long flags;
	gate_desc *table;
	bool stepped, loaded, taken;

	s.at = rf_find_insn("native_load_idt", lidt, sizeof(lidt));
	if (!s.at)
		return rf_skip(r, "native_load_idt() is built otherwise here");
	table = copy_of(&before);
	if (!table)
		return rf_skip(r, "no memory");
	forged.address = (unsigned long)table;
	s.operand = (unsigned long)&forged;
	local_irq_save(flags);
	stepped = rf_step(&s);
	loaded = same(idt_register(), &forged);
	/* Through the kernel's own table the vector leads into init text, which is long gone. */
	taken = loaded && interrupt();
	if (!same(idt_register(), &before))
		set_idt_register(&before);
	local_irq_restore(flags);
	aim(r, table);
	rf_say(r, "step=%s sidt=%s int=%s",
	       !stepped ? "LOST"
	       : s.ran	? "ran"
			: "refused",
	       loaded ? "forged" : "kept",
	       taken	? "taken"
	       : loaded ? "UNFORGED"
			: "not");
	r->outcome = loaded || taken ? RF_LANDED : s.refused ? RF_FAULTED : RF_UNCHANGED;
	free_page((unsigned long)table);
}

/*
 * By an instruction of the module's own, which nobody could have replaced. That it was loaded can
 * be found by looking, so it stays for a while. The rest of the table is the kernel's.
 */
void attack_idt_lidt_own(struct rf_report *r)
{
	struct desc_ptr before, forged;
	unsigned int waited;
	gate_desc *table;
	unsigned long faulted;
	bool taken;

	before = forged = idt_register();
	table = copy_of(&before);
	if (!table)
		return rf_skip(r, "no memory");
	forged.address = (unsigned long)table;
	migrate_disable();
	faulted = set_idt_register(&forged);
	taken = same(idt_register(), &forged) && interrupt();
	for (waited = 0; waited < rf_patience * 1000 && same(idt_register(), &forged);
	     waited += STEP_MS)
		msleep(STEP_MS);
	rf_say(r, "waited=%ums int=%s", waited, taken ? "taken" : faulted ? "not" : "UNFORGED");
	if (!taken)
		r->outcome = faulted ? RF_FAULTED : RF_UNCHANGED;
	else
		r->outcome = same(idt_register(), &forged) ? RF_LANDED : RF_RESTORED;
	if (!same(idt_register(), &before))
		rf_kept(r, "idtr", r->outcome == RF_LANDED && !set_idt_register(&before));
	migrate_enable();
	aim(r, table);
	free_page((unsigned long)table);
}
