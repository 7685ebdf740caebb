// SPDX-License-Identifier: GPL-2.0-only
#include <asm/ibt.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <linux/delay.h>

#include "registers.h"

#define STEP_MS 100

u64 rf_entry_real;
unsigned int rf_entry_count;

/* SYSCALL keeps the flags in r11, and every other register is the caller's. */
void rf_entry_hook(void);
asm("	.pushsection .text\n"
    "	.globl rf_entry_hook\n"
    "rf_entry_hook:\n"
    "	" ASM_ENDBR "	incl rf_entry_count(%rip)\n"
    "	" ANNOTATE_RETPOLINE_SAFE "\n"
    "	jmp *rf_entry_real(%rip)\n"
    "	.popsection\n");

u64 rf_entry_begin(void)
{
	rf_entry_real = rf_get_msr(MSR_LSTAR);
	rf_entry_count = 0;
	return (unsigned long)rf_entry_hook;
}

void rf_entry_wait(struct rf_report *r)
{
	u64 hook = (unsigned long)rf_entry_hook;
	unsigned int waited;

	for (waited = 0; rf_get_msr(MSR_LSTAR) == hook && waited < rf_patience * 1000;
	     waited += STEP_MS)
		msleep(STEP_MS);
	if (r->outcome == RF_LANDED && rf_get_msr(MSR_LSTAR) != hook)
		r->outcome = RF_RESTORED;
	rf_say(r, "waited=%ums calls=%u", waited, rf_entry_count);
	r->symbol = "MSR_LSTAR";
	r->at = (u8 *)hook;
	r->len = sizeof(hook);
}
