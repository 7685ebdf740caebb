// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Bits of CR0 and CR4: which are pinned at the seal, their names, and the instruction that cleared
 * one. Bits: SDM vol. 3A 2.5.
 *
 * Linux sets SMEP, SMAP and UMIP once for a CPU and never clears them (arch/x86/kernel/cpu/common.c
 * cr4_pinned_mask, native_write_cr0() for WP); PAE and LA57 are its paging mode, and CET goes with
 * a kexec alone (cet_disable()). PGE is another matter: it is cleared and set to flush global TLB
 * entries where INVPCID is not there (arch/x86/mm/tlb.c native_flush_tlb_global(), cpu/mtrr,
 * hibernation's restore), so it is pinned by request only.
 */
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"

#define CR0_ET UINT64_C(0x10)
#define CR4_PGE UINT64_C(0x80)

static const struct bit {
	uint64_t mask;
	const char *name;
	bool cr0;
} bits[] = {
	{ UINT64_C(1) << 16, "CR0.WP", true },
	{ UINT64_C(1) << 5, "CR4.PAE", false },
	{ CR4_PGE, "CR4.PGE", false },
	{ UINT64_C(1) << 11, "CR4.UMIP", false },
	{ UINT64_C(1) << 12, "CR4.LA57", false },
	{ UINT64_C(1) << 20, "CR4.SMEP", false },
	{ UINT64_C(1) << 21, "CR4.SMAP", false },
	{ UINT64_C(1) << 23, "CR4.CET", false },
};
#define BITS (sizeof(bits) / sizeof(bits[0]))

void rf_control_wanted(const struct rf_policy *p, uint64_t *cr0, uint64_t *cr4)
{
	*cr0 = *cr4 = 0;
	for (size_t i = 0; p->pin_control && i < BITS; i++)
		*(bits[i].cr0 ? cr0 : cr4) |= bits[i].mask;
	if (!p->pin_pge)
		*cr4 &= ~CR4_PGE;
}

void rf_control_names(uint64_t cr0, uint64_t cr4, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < BITS && at < size; i++)
		if ((bits[i].cr0 ? cr0 : cr4) & bits[i].mask)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? " " : "",
					       bits[i].name);
}

/*
 * MOV to CR is 0F 22 /r with the register operand in ModRM.rm whatever ModRM.mod says, and REX.B in
 * front for r8 to r15 (SDM vol. 2B, MOV to control registers). That the register still holds what
 * was loaded tells it from bytes that happen to look so.
 */
uint32_t rf_control_mov(struct rf_guest *g, const struct rf_paging *p,
			const struct rf_vcpu_regs *regs, uint32_t cr, uint64_t value)
{
	uint64_t ignored = cr ? 0 : CR0_ET; /* reads as set, whatever is loaded */
	uint8_t code[4] = { 0 };
	bool rex;

	if (rf_pt_read(&g->mem, p, rf_gva_of(regs->rip - 3), code + 1, 3) || code[1] != 0x0f ||
	    code[2] != 0x22 || (code[3] >> 3 & 7) != cr)
		return 0;
	if (!((regs->gpr[code[3] & 7] ^ value) & ~ignored))
		return 3;
	rex = !rf_pt_read(&g->mem, p, rf_gva_of(regs->rip - 4), code, 1) &&
	      (code[0] & 0xf5) == 0x41;
	return rex && !((regs->gpr[8 + (code[3] & 7)] ^ value) & ~ignored) ? 4 : 0;
}
