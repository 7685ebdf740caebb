/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a device writes to a sealed range lands in the VMM's own pages below it, which the guest no
 * longer sees. Here the two are compared, piece by piece, so that the whole is covered once in the
 * policy's dma_sweep_ms.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/monitor/monitor.h"

#define BLOCK (64u << 10)

uint64_t rf_sweep_total(const struct rf_guest *g)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < g->regions_count; i++)
		total += g->regions[i].region.size;
	return total;
}

/* Index of a page among all sealed pages. */
static uint64_t page_index(const struct rf_guest *g, uint32_t region, uint64_t at)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < region; i++)
		before += g->regions[i].region.size;
	return (before + at) / RF_PAGE_SIZE;
}

static int record(struct rf_guest *g, const struct rf_measured *m, uint64_t at,
		  const uint8_t *sealed, const uint8_t *decoy, size_t len)
{
	const struct rf_facts facts = {
		.kind = RF_FACT_DMA,
		.region = m->region.kind == RF_REGION_TEXT  ? RF_FACT_REGION_TEXT
			  : m->region.kind == RF_REGION_IDT ? RF_FACT_REGION_IDT
							    : RF_FACT_REGION_RODATA,
	};
	struct rf_record r = { .kind = "dma", .region = rf_region_text(m->region.kind) };
	struct rf_decision d;
	size_t first = 0, last = len;

	while (first < len && sealed[first] == decoy[first])
		first++;
	while (last > first && sealed[last - 1] == decoy[last - 1])
		last--;
	if (first == last)
		return 0;
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.gpa = m->region.gpa + at + first;
	r.len = (uint32_t)(last - first);
	r.has_old = r.has_new = true;
	memcpy(r.old_bytes, sealed + first, r.len < RF_AUDIT_BYTES ? r.len : RF_AUDIT_BYTES);
	memcpy(r.new_bytes, decoy + first, r.len < RF_AUDIT_BYTES ? r.len : RF_AUDIT_BYTES);
	r.has_target = true;
	rf_name_address(g, &g->paging, m->region.gva + at + first, &r.target);
	r.rule = d.rule;
	r.verdict = d.word;
	r.outcome = "landed in the decoy, the guest's own bytes are unchanged";
	r.detail = "a device or the VMM itself wrote to a sealed address";
	return rf_record_write(g, &r);
}

/*
 * One look at a block: what is there into sealed; into decoy too, but for the bytes that are
 * foreign in this look and were in those before. False when there are none, or nothing can be read:
 * reset, or the VMM's slot is away just now.
 */
static bool look(struct rf_guest *g, rf_gpa gpa, uint8_t *sealed, uint8_t *decoy, uint64_t len,
		 bool first)
{
	static uint8_t after[BLOCK];
	static bool foreign[BLOCK];
	bool any = false;

	if (g->hv->ops->read(g->hv, gpa, sealed, len) ||
	    g->hv->ops->read_decoy(g->hv, gpa, decoy, len))
		return false;
	rf_traps_hide(g, gpa.v, sealed, len); /* the decoy has the instructions */
	if (!memcmp(sealed, decoy, len))
		return false;
	/* The kernel may be patching, tens of thousands of sites: what came while the decoy was
	 * read is in one of two copies around it. */
	if (g->hv->ops->read(g->hv, gpa, after, len))
		return false;
	rf_traps_hide(g, gpa.v, after, len);
	for (uint64_t i = 0; i < len; i++) {
		foreign[i] = decoy[i] != sealed[i] && decoy[i] != after[i] && (first || foreign[i]);
		any |= foreign[i];
		if (!foreign[i])
			decoy[i] = sealed[i];
	}
	return any;
}

static int compare_block(struct rf_guest *g, uint32_t region, uint64_t at, uint64_t len)
{
	static const struct timespec pause = { .tv_nsec = 2000000 };
	static uint8_t sealed[BLOCK], decoy[BLOCK];
	const struct rf_measured *m = &g->regions[region];
	rf_gpa gpa = rf_gpa_of(m->region.gpa + at);

	/* A legal patch is copied to the decoy a moment later: what differs is looked at twice. */
	if (!look(g, gpa, sealed, decoy, len, true))
		return 0;
	nanosleep(&pause, NULL);
	if (!look(g, gpa, sealed, decoy, len, false))
		return 0;
	for (uint64_t page = 0; page < len; page += RF_PAGE_SIZE) {
		uint64_t i = page_index(g, region, at + page);
		int err;

		if (!memcmp(sealed + page, decoy + page, RF_PAGE_SIZE) ||
		    g->dma_reported[i / 8] >> (i % 8) & 1)
			continue;
		g->dma_reported[i / 8] |= (uint8_t)(1u << (i % 8));
		err = record(g, m, at + page, sealed + page, decoy + page, RF_PAGE_SIZE);
		if (err)
			return err;
	}
	return 0;
}

int rf_sweep(struct rf_guest *g, uint64_t bytes)
{
	if (!g->regions_count || !g->hv->ops->read_decoy)
		return 0;
	if (!g->dma_reported)
		g->dma_reported = calloc(1, rf_sweep_total(g) / RF_PAGE_SIZE / 8 + 1);
	if (!g->dma_reported)
		return -ENOMEM;
	for (uint64_t done = 0; done < bytes;) {
		const struct rf_region *r = &g->regions[g->sweep_region].region;
		uint64_t len = r->size - g->sweep_at < BLOCK ? r->size - g->sweep_at : BLOCK;
		int err = compare_block(g, g->sweep_region, g->sweep_at, len);

		if (err)
			return err;
		done += len;
		g->sweep_at += len;
		if (g->sweep_at < r->size)
			continue;
		g->sweep_at = 0;
		if (++g->sweep_region < g->regions_count)
			continue;
		g->sweep_region = 0;
		g->sweeps++;
		break; /* one round a call at most */
	}
	return 0;
}
