// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any exit under any guard: no crash, and nothing that touches a guarded byte is ever called the VMM's. */
#include <stdlib.h>
#include <string.h>

#include "hv/vmx/decode.h"

#define MAX_RANGES 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(const uint8_t **data, size_t *size, void *out, size_t n)
{
	size_t have = *size < n ? *size : n;

	memset(out, 0, n);
	if (have)
		memcpy(out, *data, have);
	*data += have;
	*size -= have;
}

/* Bit by bit what hv/vmx/decode.h says; overflow is kept out by 128-bit sums. */
static bool touches(const struct rf_exit *e, const struct rf_guarded *r, bool *inside)
{
	unsigned __int128 from = e->mmio.gpa, to = from + (e->mmio.len ? e->mmio.len : 1);
	unsigned __int128 start = r->start, end = start + r->size;

	*inside = from >= start && to <= end;
	return from < end && start < to;
}

static void check_mmio(const struct rf_exit *e, const struct rf_guard *g, enum rf_decoded what)
{
	bool touched = false, inside = false, sealed = false;

	for (size_t i = 0; i < g->count; i++) {
		bool in;

		if (!touches(e, &g->ranges[i], &in))
			continue;
		touched = true;
		inside |= in;
		sealed |= in && g->ranges[i].sealed;
	}
	if (touched == (what == RF_NOT_OURS))
		abort();
	if (what != RF_SEALED_STORE && what != RF_WATCHED_STORE)
		return;
	if (!inside || !e->mmio.is_write || !e->mmio.len || e->mmio.len > 8)
		abort();
	if (sealed != (what == RF_SEALED_STORE))
		abort();
}

static bool is_sealed_byte(const struct rf_exit *e, const struct rf_guard *g)
{
	bool sealed = e->delivery.gpa == UINT64_MAX;

	for (size_t i = 0; i < g->count; i++)
		sealed |= g->ranges[i].sealed && e->delivery.gpa >= g->ranges[i].start &&
			  e->delivery.gpa - g->ranges[i].start < g->ranges[i].size;
	return sealed && g->any_sealed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_guarded ranges[MAX_RANGES];
	struct rf_guard g = { .ranges = ranges };
	struct rf_exit e = { 0 };
	uint8_t flags, reason, count;
	uint64_t at = 0;
	const uint64_t traps[] = { 0x1000, 0xffffffff81000000 };
	enum rf_decoded what;

	take(&data, &size, &flags, 1);
	take(&data, &size, &reason, 1);
	take(&data, &size, &count, 1);
	g.any_sealed = flags & 1;
	g.vmm_wants_msr_exits = flags & 2;
	e.reason = (enum rf_exit_reason)(reason % 8);
	e.mmio.is_write = flags & 4;
	e.msr.by_filter = flags & 8;
	e.insn.has_bytes = flags & 16;
	take(&data, &size, &e.mmio.gpa, 8);
	take(&data, &size, &e.mmio.len, 4);
	e.insn.len = e.mmio.len;
	e.delivery.gpa = e.mmio.gpa;
	if (flags & 32)
		e.mmio.len %= 16; /* the lengths that matter, more often */
	take(&data, &size, &e.msr.index, 4);
	if (flags & 64)
		e.msr.index = RF_MSR_LSTAR;
	take(&data, &size, &e.io, sizeof(e.io.port) + sizeof(e.io.size));
	e.io.count = flags & 32 ? 1 : e.mmio.len;
	e.io.is_out = flags & 4;
	e.io.rip = e.mmio.gpa;
	e.io.cpl = flags & 128 ? 0 : count;
	if (flags & 64)
		e.io.port = RF_TRAP_PORT;
	g.traps = traps;
	g.traps_count = flags & 2 ? 0 : 2;
	while (g.count < count % (MAX_RANGES + 1)) {
		struct rf_guarded *r = &ranges[g.count];
		uint32_t gap, pages;

		take(&data, &size, &gap, 4);
		take(&data, &size, &pages, 4);
		r->start = at + gap * RF_PAGE_SIZE;
		r->size = (1 + pages % 65536) * RF_PAGE_SIZE;
		r->sealed = gap & 1;
		if (r->start + r->size < r->start)
			break;
		at = r->start + r->size;
		g.count++;
	}

	what = rf_decode(&e, &g);
	switch (e.reason) {
	case RF_EXIT_MMIO:
		check_mmio(&e, &g, what);
		break;
	case RF_EXIT_RDMSR:
	case RF_EXIT_WRMSR:
		if (!e.msr.by_filter != (what == RF_NOT_OURS) && !g.vmm_wants_msr_exits)
			abort();
		if (what == RF_KERNEL_MSR && e.msr.index != RF_MSR_LSTAR)
			abort();
		break;
	case RF_EXIT_EMULATION:
		if (g.any_sealed == (what == RF_NOT_OURS))
			abort();
		if (what == RF_CANNOT_EMULATE && e.insn.has_bytes && e.insn.len > 15)
			abort();
		break;
	case RF_EXIT_IO:
		if (what != (e.io.port == RF_TRAP_PORT && e.io.is_out && e.io.size == 1 &&
			     e.io.count == 1 && !e.io.cpl && g.traps_count &&
			     (e.io.rip == traps[0] || e.io.rip == traps[1] ||
			      e.io.rip == traps[0] + 2 || e.io.rip == traps[1] + 2)
				     ? RF_TRAPPED : RF_NOT_OURS))
			abort();
		break;
	case RF_EXIT_DELIVERY:
		if (what != (is_sealed_byte(&e, &g) ? RF_UNDELIVERED : RF_NOT_OURS))
			abort();
		break;
	case RF_EXIT_OTHER:
	default:
		if (what != RF_NOT_OURS)
			abort();
	}
	return 0;
}
