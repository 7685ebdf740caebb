// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A table in two processes: the one that judges keeps it, and another one, which walks the guest's
 * lists, follows it and says what may be forgotten. Whatever that one says, nothing but forgetting
 * comes of it, and what the guest still has is asked for again when a store needs it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "introspection/patches/impl.h"

#define TRIES 1000 /* it changes for as long as a copy takes */

/* What changes. */
static void copy_changing(const struct rf_patch_table *from, struct rf_patch_table *to)
{
	uint32_t extra = from->extra_count < RF_TABLE_EXTRA ? from->extra_count : RF_TABLE_EXTRA;

	to->extra_count = extra;
	memcpy(to->extra, from->extra, extra * sizeof(to->extra[0]));
	for (uint16_t set = RF_SET_CHANGING; set < RF_SETS; set++) {
		uint32_t first = RF_FUNCTIONS_MAX + (set - RF_SET_CHANGING) * RF_SET_ROOM;
		struct rf_patch_set is = from->sets[set];

		if (is.first != first || is.count > RF_SET_ROOM)
			is = (struct rf_patch_set){ first, 0 };
		memcpy(to->targets + first, from->targets + first, is.count * sizeof(uint64_t));
		to->sets[set] = is;
	}
}

static void copy_whole(const struct rf_patch_table *from, struct rf_patch_table *to)
{
	uint32_t sites = from->sites_count < RF_TABLE_SITES ? from->sites_count : RF_TABLE_SITES;

	to->magic = from->magic;
	to->revision = from->revision;
	to->base = from->base;
	to->size = from->size;
	to->sites_count = sites;
	memcpy(to->sites, from->sites, sites * sizeof(to->sites[0]));
	copy_changing(from, to);
}

/* 0 or -EAGAIN: it kept changing. */
static int copy_settled(const struct rf_patch_table *from, struct rf_patch_table *to,
			void (*copy)(const struct rf_patch_table *, struct rf_patch_table *))
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);

		if (!(seq & 1)) {
			copy(from, to);
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (__atomic_load_n(&from->seq, __ATOMIC_RELAXED) == seq)
				return 0;
		}
		usleep(100);
	}
	return -EAGAIN;
}

int rf_textpatch_copy(const struct rf_patch_table *from, uint64_t kernel, struct rf_patch_table *to)
{
	if (__atomic_load_n(&from->kernel, __ATOMIC_ACQUIRE) != kernel)
		return -ENOENT;
	return copy_settled(from, to, copy_whole);
}

int rf_textpatch_follow(struct rf_textpatch *t, const struct rf_patch_table *from)
{
	return copy_settled(from, t->table, copy_changing);
}

/* --- what is gone --------------------------------------------------------- */

static bool is_gone(const struct rf_textpatch *t, const struct rf_patch_site *was)
{
	const struct rf_patch_site *is = rf_extra_at(t, was->at);

	return !is || (is->shape != was->shape &&
		       (is->shape == RF_SHAPE_PROBE_GONE || is->shape == RF_SHAPE_PROBE_OPT_GONE));
}

static int tell_gone(const struct rf_textpatch *t, const struct rf_kept *before, rf_gone_fn gone,
		     void *ctx)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < before->extra_count; i++)
		if (is_gone(t, &before->extra[i]))
			err = gone(ctx, RF_GONE_PROBE, before->extra[i].at);
	for (uint16_t set = RF_SET_CHANGING; !err && set < RF_SETS; set++) {
		const uint64_t *was = before->targets + (set - RF_SET_CHANGING) * RF_SET_ROOM;

		for (uint32_t i = 0; !err && i < before->sets[set].count; i++)
			if (!rf_targets_have(t, set, was[i]))
				err = gone(ctx, set, was[i]);
	}
	return err;
}

int rf_textpatch_look(struct rf_textpatch *t, const struct rf_patch_table *from,
		      const struct rf_memory *m, const struct rf_paging *p, rf_gone_fn gone,
		      void *ctx)
{
	struct rf_kept before = { 0 };
	struct rf_live g = rf_live_begin(t, m, p);
	int err = rf_textpatch_follow(t, from);

	if (!err)
		err = rf_kept_take(&before, t->table);
	if (err)
		return err;
	rf_calls_follow(t, &g);
	err = rf_textpatch_sweep(t, m, p);
	if (!err && before.sites)
		err = tell_gone(t, &before, gone, ctx);
	rf_kept_drop(&before);
	return err;
}

int rf_textpatch_forget(struct rf_textpatch *t, const struct rf_memory *m, uint32_t of,
			const uint64_t *what, size_t n)
{
	int err = 0;

	if (of >= RF_SET_CHANGING && of < RF_SETS) {
		rf_change_drop(t, (uint16_t)of, what, n);
		if (of == RF_SET_CALL_EXTRA)
			rf_calls_forget(t);
	}
	for (size_t i = 0; of == RF_GONE_PROBE && !err && i < n; i++)
		if (what[i] < t->table->size)
			err = rf_probe_forget(t, m, (uint32_t)what[i]);
	return err;
}
