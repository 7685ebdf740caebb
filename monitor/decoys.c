// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a device writes to a sealed range lands in the VMM's own pages below it, which the guest no
 * longer sees. Here the two are compared, piece by piece, so that the whole is covered once in the
 * policy's dma_sweep_ms.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "monitor/monitor.h"

#define BLOCK (64u << 10)

/* A record shows as many bytes as there are, up to its own limit: none may be made up. */
_Static_assert(RF_HEAL_BYTES == RF_AUDIT_BYTES, "a heal has what a record shows");

static int record(struct rf_guest *g, const struct rf_heal *h)
{
	const struct rf_measured *m = rf_guest_region(g, h->gpa);
	struct rf_facts facts = { .kind = RF_FACT_DMA, .region = RF_FACT_REGION_UNKNOWN };
	struct rf_record r = { .kind = "dma", .gpa = h->gpa, .len = h->len };
	struct rf_decision d;

	if (m)
		facts.region = m->region.kind == RF_REGION_TEXT	 ? RF_FACT_REGION_TEXT
			       : m->region.kind == RF_REGION_IDT ? RF_FACT_REGION_IDT
								 : RF_FACT_REGION_RODATA;
	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	r.region = m ? rf_region_text(m->region.kind) : "unknown";
	r.has_old = r.has_new = true;
	memcpy(r.old_bytes, h->own, sizeof(r.old_bytes));
	memcpy(r.new_bytes, h->foreign, sizeof(r.new_bytes));
	if (m) {
		r.has_target = true;
		rf_name_address(g, &g->paging, m->region.gva + (h->gpa - m->region.gpa), &r.target);
	}
	r.rule = d.rule;
	r.verdict = d.word;
	r.outcome = "landed in the decoy, which was put back; the guest's own bytes are unchanged";
	r.detail = "a device or the VMM itself wrote to a sealed address";
	return rf_record_write(g, &r);
}

#define HEALS_AT_ONCE 16

int rf_sweep_drain(struct rf_guest *g)
{
	struct rf_heal heals[HEALS_AT_ONCE];
	struct rf_msg_heal ack = { .len = 0 };
	uint64_t began = g->heals_taken;
	size_t n, left = RF_HEALS; /* there are no more, but what comes meanwhile */
	char text[96];

	if (!g->hv->ops->heals)
		return 0;
	do {
		uint64_t from = g->heals_taken;
		int err = 0;

		n = g->hv->ops->heals(g->hv, &g->heals_taken, heals,
				      left < HEALS_AT_ONCE ? left : HEALS_AT_ONCE);
		left -= n;
		if (g->heals_taken - n != from) {
			snprintf(text, sizeof(text), "%llu more writes of devices were put back",
				 (unsigned long long)(g->heals_taken - n - from));
			err = rf_note(g, "dma", "put back, not told one by one", text);
		}
		for (size_t i = 0; !err && i < n; i++)
			err = record(g, &heals[i]);
		if (err)
			return err;
	} while (n && left);
	ack.taken = g->heals_taken;
	return ack.taken == began ? 0 : g->hv->ops->heal(g->hv, &ack);
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
		const uint64_t at_page = gpa.v + page;
		int err = 0;

		if (memcmp(sealed + page, decoy + page, RF_PAGE_SIZE))
			err = rf_tell(g, &rf_guard_decoys, 0, &at_page, 1);
		if (err)
			return err;
	}
	return 0;
}

/* What is foreign in these pages is the fence's to see, and to put back. */
static int heal(struct rf_guest *g, uint32_t kind, const uint64_t *pages, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n && g->hv->ops->heal; i++) {
		struct rf_msg_heal m = { .kernel = g->kernel_event,
					 .gpa = rf_page_down(pages[i]),
					 .len = RF_PAGE_SIZE };

		if (rf_guest_region(g, pages[i]))
			err = g->hv->ops->heal(g->hv, &m);
		/* A reset came between: its event is on the way. */
		if (err == -ESTALE)
			err = 0;
	}
	return err;
}

int rf_sweep(struct rf_guest *g, uint64_t bytes)
{
	if (!g->regions_count || !g->hv->ops->read_decoy || (!g->pair.sweeper && !g->hv->ops->heal))
		return 0;
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

/* So much that the whole is covered once in dma_sweep_ms. */
static int sweep(struct rf_guest *g, uint32_t elapsed_ms)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < g->regions_count; i++)
		total += g->regions[i].region.size;
	return rf_sweep(g, total * elapsed_ms / g->policy.dma_sweep_ms + 1);
}

static int tick(struct rf_guest *g, uint32_t elapsed_ms)
{
	return rf_sweep_drain(g);
}

static void forget(struct rf_guest *g)
{
	g->sweep_region = 0;
	g->sweep_at = 0;
}

static const char *lacks(const struct rf_guest *g)
{
	return g->hv->ops->read_decoy ? NULL : "this hypervisor's backend has no decoys";
}

const struct rf_guard rf_guard_decoys = {
	.name = "decoys",
	.lacks = lacks,
	.forget = forget,
	.tick_unit = { 1 << 12, "naming what a device wrote" },
	.tick = tick,
	.sweep_unit = { 1 << 12, "comparing decoys" },
	.sweep = sweep,
	.found = heal,
};
