// SPDX-License-Identifier: LGPL-2.1-or-later
/* Any exit under any guard: no crash, and nothing that touches a guarded byte is ever called the VMM's. */
#include <stdlib.h>
#include <string.h>

#include "hv/arm64/decode.h"

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

/* The first range that has one of the bytes; overflow is kept out by 128-bit sums. */
static const struct rf_arm64_guarded *touched(const struct rf_arm64_guard *g, uint64_t gpa, uint32_t len)
{
	unsigned __int128 from = gpa, to = from + (len ? len : 1);

	for (size_t i = 0; i < g->count; i++) {
		unsigned __int128 start = g->ranges[i].start, end = start + g->ranges[i].size;

		if (from < end && start < to)
			return &g->ranges[i];
	}
	return NULL;
}

static void check_mmio(const struct rf_arm64_exit *e, const struct rf_arm64_guard *g,
		       enum rf_arm64_decoded what)
{
	const struct rf_arm64_guarded *r = touched(g, e->mmio.gpa, e->mmio.len);

	if (!r != (what == RF_ARM64_NOT_OURS))
		abort();
	if (what != RF_ARM64_SEALED_STORE)
		return;
	if (!r->sealed || !e->mmio.is_write || !e->mmio.len || e->mmio.len > 8 ||
	    !rf_within(e->mmio.gpa, e->mmio.len, r->start, r->size) ||
	    rf_page_down(e->mmio.gpa) != rf_page_down(e->mmio.gpa + e->mmio.len - 1))
		abort();
}

static void check_debug(const struct rf_arm64_exit *e, const struct rf_arm64_guard *g,
			enum rf_arm64_decoded what)
{
	bool at_trap = false;

	for (size_t i = 0; i < g->traps_count; i++)
		at_trap |= g->traps[i] == e->debug.pc;
	if (what == RF_ARM64_TRAPPED && (!at_trap || (e->debug.esr & 0xffff) != RF_ARM64_TRAP_IMM))
		abort();
	if (what == RF_ARM64_STEPPED && !g->steps)
		abort();
	if (what == RF_ARM64_GUEST_BREAKPOINT && g->vmm_breakpoints)
		abort();
	/* No trap of ours is the VMM's or the guest's. */
	if (at_trap && RF_ESR_EC(e->debug.esr) == RF_EC_BRK64 && what != RF_ARM64_TRAPPED &&
	    what != RF_ARM64_MALFORMED)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_arm64_guarded ranges[MAX_RANGES];
	const uint64_t traps[] = { 0x1000, UINT64_C(0xffff800080010044) };
	struct rf_arm64_guard g = { .ranges = ranges, .traps = traps };
	struct rf_arm64_exit e = { 0 };
	uint8_t flags, reason, count;
	enum rf_arm64_decoded what;
	uint64_t at = 0;

	take(&data, &size, &flags, 1);
	take(&data, &size, &reason, 1);
	take(&data, &size, &count, 1);
	e.reason = (enum rf_arm64_reason)(reason % 5);
	e.mmio.is_write = flags & 1;
	g.steps = flags & 2;
	g.vmm_breakpoints = flags & 4;
	g.traps_count = flags & 8 ? 2 : 0;
	take(&data, &size, &e.mmio.gpa, 8);
	take(&data, &size, &e.mmio.len, 4);
	if (flags & 16)
		e.mmio.len %= 16; /* the lengths that matter, more often */
	e.nisv.gpa = e.mmio.gpa;
	take(&data, &size, &e.nisv.iss, 8);
	take(&data, &size, &e.debug.esr, 4);
	e.debug.pc = flags & 32 ? traps[1] : e.mmio.gpa;
	if (flags & 64)
		e.debug.esr = RF_EC_BRK64 << 26 | RF_ARM64_TRAP_IMM;
	while (g.count < count % (MAX_RANGES + 1)) {
		struct rf_arm64_guarded *r = &ranges[g.count];
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

	what = rf_arm64_decode(&e, &g);
	switch (e.reason) {
	case RF_ARM64_MMIO:
		check_mmio(&e, &g, what);
		break;
	case RF_ARM64_NISV:
		if (!touched(&g, e.nisv.gpa, 1) != (what == RF_ARM64_NOT_OURS))
			abort();
		break;
	case RF_ARM64_DEBUG:
		check_debug(&e, &g, what);
		break;
	case RF_ARM64_OTHER:
	default:
		if (what != RF_ARM64_NOT_OURS)
			abort();
	}
	return 0;
}
