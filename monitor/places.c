// SPDX-License-Identifier: LGPL-2.1-or-later
/* What lies at an address of the guest: a sealed region, a symbol, a module. Records say so. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"

const char *rf_region_text(uint32_t kind)
{
	switch (kind) {
	case RF_REGION_TEXT:
		return "text";
	case RF_REGION_RODATA:
		return "rodata";
	case RF_REGION_IDT:
		return "idt";
	}
	return "unknown";
}

const struct rf_measured *rf_guest_region(const struct rf_guest *g, uint64_t gpa)
{
	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_region *r = &g->regions[i].region;

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return &g->regions[i];
	}
	return NULL;
}

/* A name is for people: finding one must not cost the judgement its reads. */
static const struct rf_unit naming = { 1 << 15, "looking for a module" };

static int name_module(struct rf_guest *g, const struct rf_paging *p, struct rf_named *out,
		       struct rf_module *m)
{
	int err = rf_module_find(g->kernel, &g->mem, p, rf_gva_of(out->addr), m);

	if (err)
		return g->budget.spent ? -E2BIG : err;
	/* A module's own symbols are not read yet: its base is what can be told. */
	snprintf(out->module, sizeof(out->module), "%s", m->name);
	snprintf(out->symbol, sizeof(out->symbol), "[%s]", m->name);
	out->offset = out->addr - m->base.v;
	return 0;
}

/* False: no symbol of the kernel's; *out is begun. */
static bool name_symbol(const struct rf_guest *g, uint64_t gva, struct rf_named *out)
{
	struct rf_symbol s;

	memset(out, 0, sizeof(*out));
	out->addr = gva;
	if (!g->kernel || rf_kernel_symbolize(g->kernel, rf_gva_of(gva), &s, &out->offset))
		return false;
	snprintf(out->symbol, sizeof(out->symbol), "%s", s.name);
	return true;
}

int rf_name_within(struct rf_guest *g, const struct rf_paging *p, uint64_t gva,
		   struct rf_named *out, struct rf_module *m)
{
	if (name_symbol(g, gva, out))
		return 0;
	return g->kernel ? name_module(g, p, out, m) : -ENOENT;
}

void rf_name_address(struct rf_guest *g, const struct rf_paging *p, uint64_t gva,
		     struct rf_named *out)
{
	struct rf_budget outer;
	struct rf_module m;

	if (name_symbol(g, gva, out) || !g->kernel)
		return;
	outer = rf_unit_begin(g, &naming);
	name_module(g, p, out, &m);
	rf_unit_end(g, &naming, &outer); /* a log that cannot be written says so at the record */
}

/* SS, RSP, RFLAGS, CS, RIP and an error code, below a stack pointer rounded down (SDM vol. 3A
 * 6.14.2). */
#define FRAME 48

const struct rf_measured *rf_sealed_frame(struct rf_guest *g, const struct rf_paging *p,
					  uint64_t stack, uint64_t *gva, uint64_t *gpa)
{
	uint64_t top = stack & ~UINT64_C(15);
	const uint64_t ends[] = { top - 1, top - FRAME };

	for (int i = 0; i < 2; i++) {
		const struct rf_measured *m;
		struct rf_translation t;

		if (rf_pt_translate(&g->mem, p, rf_gva_of(ends[i]), &t))
			continue;
		m = rf_guest_region(g, t.gpa.v);
		if (m) {
			*gva = ends[i];
			*gpa = t.gpa.v;
			return m;
		}
	}
	return NULL;
}
