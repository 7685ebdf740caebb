// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Static calls that leave core text: a tracepoint's probe in a module, the BPF dispatcher. The key
 * is written before any of its calls (6.1 and 6.12 kernel/static_call_inline.c
 * __static_call_update(): key->func = func, then the trampoline, then the sites), so a call's new
 * target is what its key says at that moment. Keys lie in writable memory; what a key says is
 * believed when a loaded module holds it, or when it is one of the two halves of the image of
 * bpf_dispatcher_xdp (kernel/bpf/dispatcher.c bpf_dispatcher_update(); 6.1 and 6.12 both make it a
 * static call).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/task.h"
#include "introspection/patches/impl.h"

static bool is_dispatcher(const struct rf_textpatch *t, const struct rf_live *g, uint64_t key,
			  uint64_t target)
{
	uint64_t offset, image;
	rf_gva dispatcher, own;

	return !rf_kernel_address(t->k, "__SCK__bpf_dispatcher_xdp_call", &own) && own.v == key &&
	       !rf_kernel_address(t->k, "bpf_dispatcher_xdp", &dispatcher) &&
	       rf_textpatch_member(t->k, "bpf_dispatcher", "image", 8, &offset) &&
	       !rf_live_read(g, dispatcher.v + offset, &image, sizeof(image)) && image &&
	       rf_textpatch_is_code(t, image) &&
	       (target == image || target == image + RF_PAGE_SIZE / 2);
}

/* A module's own, or the dispatcher's. */
static bool may_be_called(const struct rf_textpatch *t, const struct rf_live *g, uint64_t key,
			  uint64_t target)
{
	struct rf_module module;

	return !rf_textpatch_in_text(t, target) && rf_textpatch_is_code(t, target) &&
	       (!rf_module_find(t->k, g->m, g->p, rf_gva_of(target), &module) ||
		is_dispatcher(t, g, key, target));
}

/*
 * Calls are accounted for before the function, also a module's: 6.12
 * callthunks_translate_call_dest(). Of core text the copy may have been written after the seal.
 */
static bool has_thunk(const struct rf_textpatch *t, const struct rf_live *g, uint64_t target)
{
	uint64_t pad = target - t->thunk.len;
	uint8_t have[RF_SITE_MAX_LEN];
	int err;

	if (rf_textpatch_in_text(t, target))
		err = rf_targets_have(t, RF_SET_FUNCTIONS, target) && pad >= t->text
			      ? rf_textpatch_read(t, g->m, pad, have, t->thunk.len)
			      : -ENOENT;
	else
		err = rf_live_read(g, pad, have, t->thunk.len);
	return !err && rf_call_thunk_is(&t->thunk, pad, have);
}

static void remember(struct rf_textpatch *t, uint64_t target, uint64_t key)
{
	for (size_t i = 0; i < t->extra_count; i++)
		if (t->extra[i].target == target && t->extra[i].key == key)
			return;
	if (t->extra_count == sizeof(t->extra) / sizeof(t->extra[0])) {
		t->stats.full++;
		return;
	}
	t->extra[t->extra_count++] = (struct rf_call_extra){ target, key };
	rf_change_add(t, RF_SET_CALL_EXTRA, target);
}

void rf_calls_learn(struct rf_textpatch *t, const struct rf_live *g, uint64_t key)
{
	uint64_t offset, target;

	if (!rf_textpatch_member(t->k, "static_call_key", "func", 8, &offset) ||
	    rf_live_read(g, key + offset, &target, sizeof(target)))
		return;
	if (!rf_textpatch_in_text(t, target)) {
		if (!may_be_called(t, g, key, target))
			return;
		remember(t, target, key);
	}
	if (has_thunk(t, g, target))
		remember(t, target - t->thunk.len, key);
}

static int by_at(const void *key, const void *element)
{
	const uint32_t *at = key;
	const struct rf_call_key *c = element;

	return *at < c->at ? -1 : *at > c->at;
}

void rf_calls_refresh(struct rf_textpatch *t, const struct rf_live *g, uint32_t at)
{
	const struct rf_call_key *c =
		t->calls_count ? bsearch(&at, t->calls, t->calls_count, sizeof(*c), by_at) : NULL;

	if (c)
		rf_calls_learn(t, g, c->key);
}

int rf_calls_sweep(struct rf_textpatch *t, const struct rf_live *g)
{
	struct rf_targets *s = &t->targets;
	uint64_t offset, target;
	int err;

	if (!t->table->sets[RF_SET_CALL_EXTRA].count ||
	    !rf_textpatch_member(t->k, "static_call_key", "func", 8, &offset))
		return 0;
	rf_targets_clear(s);
	for (size_t i = 0; i < t->extra_count; i++) {
		const struct rf_call_extra *e = &t->extra[i];

		if (rf_live_read(g, e->key + offset, &target, sizeof(target)))
			s->partial = true;
		else if (e->target == target || e->target + t->thunk.len == target)
			rf_targets_add(t, s, e->target);
	}
	err = rf_change_set(t, g->m, RF_SET_CALL_EXTRA, s);
	/* What some call still holds stays in the set, and is looked at again. */
	if (!err)
		rf_calls_forget(t);
	return err;
}

void rf_calls_forget(struct rf_textpatch *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->extra_count; i++)
		if (rf_targets_have(t, RF_SET_CALL_EXTRA, t->extra[i].target))
			t->extra[kept++] = t->extra[i];
	t->extra_count = kept;
}

static bool is_known(const struct rf_textpatch *t, uint64_t target)
{
	for (size_t i = 0; i < t->extra_count; i++)
		if (t->extra[i].target == target)
			return true;
	return false;
}

/* A target whose key is not found is nobody's any more. */
void rf_calls_follow(struct rf_textpatch *t, const struct rf_live *g)
{
	const struct rf_patch_set *set = &t->table->sets[RF_SET_CALL_EXTRA];
	uint64_t offset, target;
	bool all = true, own, thunk;

	rf_calls_forget(t);
	for (uint32_t i = 0; i < set->count && all; i++)
		all = is_known(t, t->table->targets[set->first + i]);
	if (all || !rf_textpatch_member(t->k, "static_call_key", "func", 8, &offset))
		return;
	for (size_t i = 0; i < t->calls_count; i++) {
		if (i && t->calls[i].key == t->calls[i - 1].key)
			continue;
		if (rf_live_read(g, t->calls[i].key + offset, &target, sizeof(target)))
			return;
		own = rf_targets_have(t, RF_SET_CALL_EXTRA, target);
		thunk = rf_targets_have(t, RF_SET_CALL_EXTRA, target - t->thunk.len);
		if ((!own && !thunk) || (!rf_textpatch_in_text(t, target) &&
					 !may_be_called(t, g, t->calls[i].key, target)))
			continue;
		if (own)
			remember(t, target, t->calls[i].key);
		if (thunk && has_thunk(t, g, target))
			remember(t, target - t->thunk.len, t->calls[i].key);
	}
}
