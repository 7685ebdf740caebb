// SPDX-License-Identifier: LGPL-2.1-or-later
/* A kernel out of sealed memory: where it lies is the fence's to say, and no page table is
 * asked. */
#include <string.h>

#include "monitor/monitor.h"

static const struct rf_region *sealed_as(const struct rf_backend_info *sealed, uint32_t kind)
{
	for (uint32_t i = 0; i < sealed->regions_count; i++)
		if (sealed->regions[i].kind == kind)
			return &sealed->regions[i];
	return NULL;
}

/* A code address of the sealed image. LSTAR is none any more where mode "observe" let it change. */
static uint64_t code_in(const struct rf_backend_info *sealed, uint64_t lstar)
{
	const struct rf_region *text = sealed_as(sealed, RF_REGION_TEXT);

	if (rf_within(lstar, 1, sealed->image.gva, sealed->image.size))
		return lstar;
	return text ? text->gva : lstar;
}

static struct rf_image image_of(const struct rf_region *r)
{
	return (struct rf_image){ rf_gva_of(r->gva), rf_gpa_of(r->gpa), r->size };
}

int rf_sealed_kernel(struct rf_guest *g, const struct rf_backend_info *sealed, uint64_t lstar,
		     struct rf_diag *diag)
{
	const struct rf_region *rodata = sealed_as(sealed, RF_REGION_RODATA);
	const struct rf_image image = image_of(&sealed->image);
	const struct rf_image tables = rodata ? image_of(rodata) : image;
	int err = rf_kernel_discover_image(&g->mem, &image, &tables, g->paging.levels,
					   rf_gva_of(code_in(sealed, lstar)), &g->kernel, diag);

	return err ? err : rf_plan_agrees(g, sealed, diag);
}

void rf_sealed_traps(struct rf_guest *g, const struct rf_backend_info *sealed)
{
	g->traps_count = sealed->traps_count;
	memcpy(g->traps, sealed->traps, sizeof(g->traps));
}
