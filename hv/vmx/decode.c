// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/vmx/decode.h"

static enum rf_decoded decode_mmio(const struct rf_exit *e, const struct rf_guard *g)
{
	uint64_t gpa = e->mmio.gpa;
	uint32_t len = e->mmio.len;

	for (size_t i = 0; i < g->count; i++) {
		const struct rf_guarded *r = &g->ranges[i];

		/* len 0 counts as one byte here, so that a malformed exit is not taken for the
		 * VMM's. */
		if (!rf_overlaps(gpa, len ? len : 1, r->start, r->size))
			continue;
		/*
		 * KVM cuts a store at page borders and into at most 8 bytes (x86.c
		 * emulator_read_write()), and reads of these pages never exit: anything else is not
		 * what we think it is.
		 */
		if (!e->mmio.is_write || len < 1 || len > sizeof(e->mmio.data) ||
		    !rf_within(gpa, len, r->start, r->size))
			return RF_MALFORMED;
		return r->sealed ? RF_SEALED_STORE : RF_WATCHED_STORE;
	}
	return RF_NOT_OURS;
}

/* What is not exactly the trap is an OUT like any other. */
static enum rf_decoded decode_io(const struct rf_exit *e, const struct rf_guard *g)
{
	if (e->io.port != RF_TRAP_PORT || !e->io.is_out || e->io.size != 1 || e->io.count != 1 ||
	    e->io.cpl)
		return RF_NOT_OURS;
	for (size_t i = 0; i < g->traps_count; i++)
		if (rf_trap_hit(g->traps[i], e->io.rip))
			return RF_TRAPPED;
	return RF_NOT_OURS;
}

static enum rf_decoded decode_delivery(const struct rf_exit *e, const struct rf_guard *g)
{
	if (!g->any_sealed)
		return RF_NOT_OURS;
	if (e->delivery.gpa == UINT64_MAX)
		return RF_UNDELIVERED;
	for (size_t i = 0; i < g->count; i++)
		if (g->ranges[i].sealed &&
		    rf_within(e->delivery.gpa, 1, g->ranges[i].start, g->ranges[i].size))
			return RF_UNDELIVERED;
	return RF_NOT_OURS;
}

enum rf_decoded rf_decode(const struct rf_exit *e, const struct rf_guard *g)
{
	switch (e->reason) {
	case RF_EXIT_MMIO:
		return decode_mmio(e, g);
	case RF_EXIT_RDMSR:
	case RF_EXIT_WRMSR:
		if (!e->msr.by_filter)
			return RF_NOT_OURS;
		if (e->reason == RF_EXIT_WRMSR && e->msr.index == RF_MSR_LSTAR)
			return RF_KERNEL_MSR;
		if (e->reason == RF_EXIT_WRMSR && g->msr_pinned)
			return RF_PINNED_MSR;
		return g->vmm_wants_msr_exits ? RF_NOT_OURS : RF_MSR_DENY;
	case RF_EXIT_EMULATION:
		if (!g->any_sealed)
			return RF_NOT_OURS;
		if (e->insn.has_bytes && e->insn.len > sizeof(e->insn.bytes))
			return RF_MALFORMED;
		return RF_CANNOT_EMULATE;
	case RF_EXIT_IO:
		return decode_io(e, g);
	case RF_EXIT_DELIVERY:
		return decode_delivery(e, g);
	case RF_EXIT_OTHER:
		break;
	}
	return RF_NOT_OURS;
}
