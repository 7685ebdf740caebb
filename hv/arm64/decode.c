// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/arm64/decode.h"

static const struct rf_arm64_guarded *touched(const struct rf_arm64_guard *g, uint64_t gpa,
					      uint64_t len)
{
	for (size_t i = 0; i < g->count; i++)
		if (rf_overlaps(gpa, len, g->ranges[i].start, g->ranges[i].size))
			return &g->ranges[i];
	return NULL;
}

static enum rf_arm64_decoded decode_mmio(const struct rf_arm64_exit *e,
					 const struct rf_arm64_guard *g)
{
	uint64_t gpa = e->mmio.gpa;
	uint32_t len = e->mmio.len;
	/* len 0 counts as one byte here, so that a malformed exit is not taken for the VMM's. */
	const struct rf_arm64_guarded *r = touched(g, gpa, len ? len : 1);

	if (!r)
		return RF_ARM64_NOT_OURS;
	/*
	 * SAS is 1, 2, 4 or 8 bytes. Reads of sealed pages never exit, nor does a store to the
	 * watched one, which is a writable slot.
	 */
	if (!e->mmio.is_write || !r->sealed || !len || len > sizeof(e->mmio.data) ||
	    len & (len - 1))
		return RF_ARM64_MALFORMED;
	/*
	 * A naturally aligned store crosses no border. One that is reported at a page's first byte
	 * may have begun in the page before, whatever its length.
	 */
	if (gpa % len || !(gpa % RF_PAGE_SIZE))
		return RF_ARM64_UNDECODED;
	return RF_ARM64_SEALED_STORE;
}

static bool faults_on_slot(uint64_t iss)
{
	uint32_t dfsc = iss & RF_ISS_DFSC, type = dfsc & RF_DFSC_TYPE;

	return type == RF_DFSC_TRANSLATION || type == RF_DFSC_ACCESS_FLAG ||
	       type == RF_DFSC_PERMISSION || dfsc == RF_DFSC_TRANSLATION_LEVEL_MINUS_1;
}

static enum rf_arm64_decoded decode_nisv(const struct rf_arm64_exit *e,
					 const struct rf_arm64_guard *g)
{
	/* One byte of it is known, and that lies in the page that faulted. */
	const struct rf_arm64_guarded *r = touched(g, e->nisv.gpa, 1);

	if (!r)
		return RF_ARM64_NOT_OURS;
	/* KVM hands out no abort of another kind (kvm_handle_guest_abort()). */
	if (!r->sealed || !(e->nisv.iss & RF_ISS_WNR) || !faults_on_slot(e->nisv.iss))
		return RF_ARM64_MALFORMED;
	return e->nisv.iss & RF_ISS_CM ? RF_ARM64_CACHE : RF_ARM64_UNDECODED;
}

static bool at_trap(const struct rf_arm64_guard *g, uint64_t pc)
{
	for (size_t i = 0; i < g->traps_count; i++)
		if (g->traps[i] == pc)
			return true;
	return false;
}

static enum rf_arm64_decoded decode_debug(const struct rf_arm64_exit *e,
					  const struct rf_arm64_guard *g)
{
	switch (RF_ESR_EC(e->debug.esr)) {
	case RF_EC_BRK64:
		/* What stands at a trap is the trap. */
		if (at_trap(g, e->debug.pc))
			return (e->debug.esr & RF_ISS_BRK_IMM) == RF_ARM64_TRAP_IMM
				       ? RF_ARM64_TRAPPED
				       : RF_ARM64_MALFORMED;
		/* fallthrough */
	case RF_EC_BKPT32:
		return g->vmm_breakpoints ? RF_ARM64_NOT_OURS : RF_ARM64_GUEST_BREAKPOINT;
	case RF_EC_STEP_LOW:
		return g->steps ? RF_ARM64_STEPPED : RF_ARM64_NOT_OURS;
	case RF_EC_BREAKPOINT_LOW:
	case RF_EC_WATCHPOINT_LOW:
		return RF_ARM64_NOT_OURS; /* a debugger's of the VMM; the fence has none */
	}
	return RF_ARM64_MALFORMED;
}

enum rf_arm64_decoded rf_arm64_decode(const struct rf_arm64_exit *e, const struct rf_arm64_guard *g)
{
	switch (e->reason) {
	case RF_ARM64_MMIO:
		return decode_mmio(e, g);
	case RF_ARM64_NISV:
		return decode_nisv(e, g);
	case RF_ARM64_DEBUG:
		return decode_debug(e, g);
	case RF_ARM64_OTHER:
		break;
	}
	return RF_ARM64_NOT_OURS;
}
