// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What sealed text calls outside of itself, and no list or key of the guest's has any more; and
 * breakpoints that no table has. The table of sites keeps a target for as long as a site holds it,
 * and a probe's site until its own bytes are back.
 */
#include <errno.h>
#include <string.h>

#include "introspection/patches/hooks_impl.h"

static void list(struct rf_hook_listed *to, uint64_t target)
{
	if (to->count == RF_SET_ROOM)
		to->full = true;
	else
		to->v[to->count++] = target;
}

static int list_ops(const struct rf_hook_view *k, uint64_t ops, struct rf_hook_listed *to)
{
	uint64_t trampoline;
	int err = rf_hook_word(k, ops + k->l->ops_trampoline, &trampoline);

	if (!err)
		list(to, trampoline);
	return err;
}

/* Bit 0: it is jumped to (7.3 ftrace_is_jmp()). */
static int list_direct(const struct rf_hook_view *k, uint64_t entry, struct rf_hook_listed *to)
{
	uint64_t direct;
	int err = rf_hook_word(k, entry + k->l->to, &direct);

	if (!err)
		list(to, direct & ~UINT64_C(1));
	return err;
}

/* What the keys of static calls say of what the table has of them. */
static int list_keys(const struct rf_hook_view *k, struct rf_hook_listed *to)
{
	const struct rf_textpatch *t = k->h->t;

	for (size_t i = 0; i < t->extra_count; i++) {
		const struct rf_call_extra *e = &t->extra[i];
		uint64_t func;
		int err = rf_hook_word(k, e->key + k->l->key_func, &func);

		if (err)
			return err;
		if (func == e->target || func == e->target + t->thunk.len)
			list(to, e->target);
	}
	return 0;
}

static bool has(const struct rf_textpatch *t, uint16_t set, uint64_t target)
{
	return rf_targets_have(t, set, target) || rf_targets_have(t, set, target | 1);
}

/* Those of the set that are not listed. fn may look at one of them, which needs the same
 * scratch. */
static int tell_set(const struct rf_hook_view *k, uint16_t set, uint64_t only)
{
	const struct rf_textpatch *t = k->h->t;
	const struct rf_patch_set *s = &t->table->sets[set];
	const struct rf_hook_listed *to = k->h->listed;
	uint64_t missing[RF_SET_ROOM];
	uint32_t count = 0;
	int err = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t target = t->table->targets[s->first + i];

		if (!rf_textpatch_in_text(t, target) && set != RF_SET_CALL_EXTRA)
			target &= ~UINT64_C(1);
		if (!rf_hook_has(to->v, to->count, target) && (!only || only == target))
			missing[count++] = target;
	}
	for (uint32_t i = 0; !err && i < count; i++) {
		struct rf_hook hook = { .kind = RF_HOOK_UNLISTED,
					.object = missing[i],
					.settling = true };

		err = rf_hook_tell(k, &hook, missing[i]);
	}
	return err;
}

static int sort_listed(struct rf_hook_listed *to, int err)
{
	if (!err && to->full)
		err = -EBADMSG;
	if (!err)
		qsort(to->v, to->count, sizeof(to->v[0]), rf_hook_ascending);
	return err;
}

static void clear(struct rf_hook_listed *to)
{
	to->count = 0;
	to->full = false;
}

/* The lists are longer than may be read for one: that text calls it is sealed memory's word. */
static int tell_unread(const struct rf_hook_view *k, uint64_t only)
{
	struct rf_hook hook = {
		.kind = RF_HOOK_UNLISTED, .object = only, .settling = true, .unread = true
	};

	if (!has(k->h->t, RF_SET_FTRACE_CALLERS, only) && !has(k->h->t, RF_SET_FTRACE_JUMPS, only))
		return -E2BIG;
	return rf_hook_tell(k, &hook, only);
}

/* Where the lists cannot be read nobody is accused. */
static int tell_ftrace(const struct rf_hook_view *k, uint64_t only)
{
	const struct rf_patch_set *sets = k->h->t->table->sets;
	struct rf_hook_listed *to = k->h->listed;
	int err;

	if (sets[RF_SET_FTRACE_CALLERS].count <= 2 && !sets[RF_SET_FTRACE_JUMPS].count)
		return 0; /* its own two callers */
	clear(to);
	err = rf_hook_each_ops(k, list_ops, to);
	if (!err && k->l->direct_known)
		err = rf_hook_each_direct(k, list_direct, to);
	err = sort_listed(to, err);
	if (err == -E2BIG && only)
		return tell_unread(k, only);
	if (!err)
		err = tell_set(k, RF_SET_FTRACE_CALLERS, only);
	return err ? err : tell_set(k, RF_SET_FTRACE_JUMPS, only);
}

static int tell_calls(const struct rf_hook_view *k, uint64_t only)
{
	struct rf_hook_listed *to = k->h->listed;
	int err;

	if (!k->l->call_known || !k->h->t->table->sets[RF_SET_CALL_EXTRA].count)
		return 0;
	clear(to);
	err = sort_listed(to, list_keys(k, to));
	return err ? err : tell_set(k, RF_SET_CALL_EXTRA, only);
}

/*
 * ftrace's own callers call its own functions alone: a tracer of a module's is dynamic, and has
 * ftrace_ops_list_func() or a trampoline in between (update_ftrace_function()).
 */
static int tell_funcs(const struct rf_hook_view *k, uint64_t only)
{
	clear(k->h->listed);
	return tell_set(k, RF_SET_FTRACE_FUNCS, only);
}

int rf_hook_unlisted(const struct rf_hook_view *k, uint64_t only)
{
	int err, first = k->l->ops_known ? tell_ftrace(k, only) : 0;

	if (!*k->stop && (err = tell_funcs(k, only)) && !first)
		first = err;
	if (!*k->stop && (err = tell_calls(k, only)) && !first)
		first = err;
	return first;
}

/*
 * The kernel takes a breakpoint out of text before its probe out of the table (kernel/kprobes.c
 * __unregister_kprobe_top()). What stays runs whoever has the notifier of breakpoints, or the
 * detour.
 */
static int tell_stray(const struct rf_hook_view *k, const struct rf_patch_site *s)
{
	const struct rf_textpatch *t = k->h->t;
	uint64_t place = t->text + s->at;
	struct rf_hook hook = { .kind = RF_HOOK_STRAY,
				.object = place,
				.function = place,
				.handler = place,
				.settling = true };
	uint8_t now[RF_SITE_MAX_LEN], len = rf_shape_len(t, s);
	int err = rf_textpatch_read(t, k->g.m, place, now, len);
	int32_t rel;

	if (err || !memcmp(now, s->own, len))
		return err;
	if (now[0] == 0xe9 && len == 5) {
		memcpy(&rel, now + 1, sizeof(rel));
		hook.handler = place + len + (uint64_t)(int64_t)rel;
	}
	*k->stop = k->fn(k->ctx, &hook);
	return *k->stop;
}

int rf_hook_strays(const struct rf_hook_view *k, uint64_t only)
{
	const struct rf_textpatch *t = k->h->t;
	int err = 0;

	for (uint32_t i = 0; !err && i < t->table->extra_count; i++) {
		const struct rf_patch_site *s = &t->table->extra[i];
		bool gone = s->shape == RF_SHAPE_PROBE_GONE || s->shape == RF_SHAPE_PROBE_OPT_GONE;

		if (gone && s->kind == RF_SITE_KPROBE && (!only || only == t->text + s->at))
			err = tell_stray(k, s);
	}
	return err;
}
