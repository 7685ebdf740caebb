// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A monitor that takes over: what the earlier one found in writable memory was looked at before
 * anybody could lie about it, at the seal, or against sealed text that held no breakpoint yet. It
 * is in the table, which the fence keeps, and is not asked for again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/patches/impl.h"

static void *copy(const void *from, size_t count, size_t size)
{
	void *to = calloc(count + 1, size);

	return to ? memcpy(to, from, count * size) : NULL;
}

/*
 * The earlier monitor is gone and may have died over it: every count is bounded, and what it was
 * about to move may be there twice or not at all, in which case it is not believed.
 */
int rf_kept_take(struct rf_kept *out, const struct rf_patch_table *table)
{
	const uint32_t targets = RF_TABLE_TARGETS - RF_FUNCTIONS_MAX;

	if (table->magic != RF_TABLE_MAGIC || table->revision != RF_TABLE_REVISION ||
	    table->sites_count > RF_TABLE_SITES || table->extra_count > RF_TABLE_EXTRA)
		return 0;
	*out = (struct rf_kept){
		.sites = copy(table->sites, table->sites_count, sizeof(*out->sites)),
		.extra = copy(table->extra, table->extra_count, sizeof(*out->extra)),
		.targets = copy(table->targets + RF_FUNCTIONS_MAX, targets, sizeof(*out->targets)),
		.base = table->base,
		.size = table->size,
		.count = table->sites_count,
		.extra_count = table->extra_count,
	};
	memcpy(out->sets, table->sets, sizeof(out->sets));
	if (out->sites && out->extra && out->targets)
		return 0;
	rf_kept_drop(out);
	return -ENOMEM;
}

void rf_kept_drop(struct rf_kept *k)
{
	free(k->sites);
	free(k->extra);
	free(k->targets);
	memset(k, 0, sizeof(*k));
}

bool rf_kept_fits(const struct rf_textpatch *t, const struct rf_kept *k)
{
	return k->sites && k->base == t->text && k->size == t->etext - t->text;
}

int rf_kept_sites(struct rf_loader *l)
{
	const struct rf_kept *k = l->before;

	for (uint32_t i = 0; i < k->count; i++) {
		const struct rf_site site = { .addr = k->base + k->sites[i].at,
					      .target = RF_NO_TARGET,
					      .kind = k->sites[i].kind };
		int err;

		if ((site.kind != RF_SITE_FTRACE && site.kind != RF_SITE_SMP_LOCK) ||
		    k->sites[i].at >= k->size || k->size - k->sites[i].at < 8)
			continue;
		err = rf_loader_push(l, &site);
		if (err)
			return err;
	}
	return 0;
}

void rf_kept_targets(struct rf_textpatch *t, const struct rf_kept *k, uint16_t set,
		     struct rf_targets *s)
{
	const struct rf_patch_set *was = &k->sets[set];
	uint32_t first = (set - RF_SET_CHANGING) * RF_SET_ROOM;

	if (!t->kept || was->first != RF_FUNCTIONS_MAX + first || was->count > RF_SET_ROOM)
		return;
	for (uint32_t i = 0; i < was->count; i++)
		rf_targets_add(t, s, k->targets[first + i]);
}

void rf_kept_probes(struct rf_loader *l)
{
	const struct rf_kept *k = l->before;
	struct rf_textpatch *t = l->t;

	rf_targets_clear(&t->targets);
	rf_kept_targets(t, k, RF_SET_OPT_SLOTS, &t->targets);
	rf_change_set(t, l->m, RF_SET_OPT_SLOTS, &t->targets);
	for (uint32_t i = 0; t->kept && i < k->extra_count; i++) {
		const struct rf_patch_site *s = &k->extra[i];

		if ((s->kind == RF_SITE_KPROBE || s->kind == RF_SITE_KGDB) &&
		    s->shape >= RF_SHAPE_PROBE && s->shape <= RF_SHAPE_PROBE_OPT_GONE &&
		    s->at < k->size && k->size - s->at >= rf_shape_len(t, s) &&
		    !rf_site_within(t, s->at, rf_shape_len(t, s)))
			rf_extra_put(t, s);
	}
}
