// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is sealed of a kernel, by its own symbols. */
#include <errno.h>

#include "monitor/monitor.h"
#include "introspection/diag.h"

/*
 * Bounds as mark_rodata_ro() uses them (arch/x86/mm/init_64.c): the gaps behind text and rodata are
 * freed to the page allocator and belong to nobody's seal. idt_table is a page of bss that
 * idt_setup_apic_and_irq_gates() makes read-only (arch/x86/kernel/idt.c).
 */
static const struct {
	const char *first, *last; /* NULL: one page */
} bounds[] = {
	[RF_REGION_TEXT] = { "_text", "_etext" },
	[RF_REGION_RODATA] = { "__start_rodata", "__end_rodata" },
	[RF_REGION_IDT] = { "idt_table", NULL },
};

int rf_plan_region(const struct rf_guest *g, uint32_t kind, struct rf_region *out)
{
	rf_gva start, end;
	rf_gpa gpa;
	int err = rf_kernel_address(g->kernel, bounds[kind].first, &start);

	end.v = start.v + RF_PAGE_SIZE;
	if (!err && bounds[kind].last)
		err = rf_kernel_address(g->kernel, bounds[kind].last, &end);
	if (!err)
		err = rf_kernel_image_gpa(g->kernel, start, &gpa);
	if (err)
		return err;
	if (start.v % RF_PAGE_SIZE || end.v <= start.v)
		return -EBADMSG;
	*out = (struct rf_region){
		.gpa = gpa.v, .size = rf_page_up(end.v - start.v), .gva = start.v, .kind = kind
	};
	return 0;
}

/* Without the symbol it is not sealed, and rf_tables_begin() says so. */
static void plan_idt(const struct rf_guest *g, struct rf_msg_seal *m)
{
	struct rf_region idt;
	const struct rf_region *below = m->count ? &m->regions[m->count - 1] : NULL;

	if (g->policy.pin_tables && !rf_plan_region(g, RF_REGION_IDT, &idt) &&
	    (!below || idt.gpa >= below->gpa + below->size))
		m->regions[m->count++] = idt;
}

int rf_plan(const struct rf_guest *g, struct rf_msg_seal *m)
{
	const struct rf_image *image = rf_kernel_image(g->kernel);
	int err = 0;

	*m = (struct rf_msg_seal){ .kernel = g->kernel_event };
	m->image = (struct rf_region){ .gpa = image->gpa.v,
				       .size = image->size,
				       .gva = image->base.v };
	if (g->policy.seal_text)
		err = rf_plan_region(g, RF_REGION_TEXT, &m->regions[m->count++]);
	if (!err && g->policy.seal_rodata)
		err = rf_plan_region(g, RF_REGION_RODATA, &m->regions[m->count++]);
	if (!err)
		plan_idt(g, m);
	return err;
}

int rf_plan_agrees(const struct rf_guest *g, const struct rf_backend_info *sealed,
		   struct rf_diag *diag)
{
	for (uint32_t i = 0; i < sealed->regions_count; i++) {
		const struct rf_region *is = &sealed->regions[i];
		struct rf_region says = { 0 };

		if (is->kind >= sizeof(bounds) / sizeof(bounds[0]) || !bounds[is->kind].first ||
		    rf_plan_region(g, is->kind, &says) || says.gva != is->gva ||
		    says.gpa != is->gpa || says.size != is->size)
			return rf_diag_fail(diag, -EBADMSG,
					    "its symbols name %llu bytes at %#llx as its %s, and "
					    "%llu at %#llx are sealed",
					    (unsigned long long)says.size,
					    (unsigned long long)says.gva, rf_region_text(is->kind),
					    (unsigned long long)is->size,
					    (unsigned long long)is->gva);
	}
	return 0;
}
