// SPDX-License-Identifier: GPL-2.0-only
/* Every system call enters the kernel where MSR_LSTAR says. */
#include <asm/msr.h>
#include <linux/irqflags.h>

#include "poke.h"

static unsigned long set_lstar(u64 value)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("wrmsr")
		     : [f] "+r"(faulted)
		     : "c"(MSR_LSTAR), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory", "cc");
	return faulted;
}

static u64 get_lstar(void)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_LSTAR));
	return (u64)high << 32 | low;
}

void attack_lstar_after_seal(struct rf_report *r)
{
	u64 before, after, hook = (unsigned long)rf_forged;
	unsigned long faulted, flags;

	r->symbol = "MSR_LSTAR";
	r->at = (u8 *)rf_forged;
	r->len = sizeof(hook);
	/* No system call comes in between: on this processor nothing else runs. */
	local_irq_save(flags);
	before = get_lstar();
	faulted = set_lstar(hook);
	after = get_lstar();
	if (after != before)
		set_lstar(before);
	local_irq_restore(flags);
	rf_say(r, "rdmsr=%s", after == hook ? "hook" : after == before ? "kept" : "CHANGED");
	r->outcome = after == hook ? RF_LANDED : faulted ? RF_FAULTED : RF_UNCHANGED;
}
