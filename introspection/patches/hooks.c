// SPDX-License-Identifier: LGPL-2.1-or-later
/* One hook: whom it calls. hooks_find.c has where that stands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/kernel_internal.h"
#include "introspection/patches/hooks_impl.h"

#define CHUNK 4096u
#define FUNCS_MAX 256u

/* --- one object ------------------------------------------------------------- */

int rf_hook_tell(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t handler)
{
	if (!rf_hook_is_outside(k, handler))
		return 0;
	hook->handler = handler;
	*k->stop = k->fn(k->ctx, hook);
	return *k->stop;
}

/* What the words at two offsets of the object say. */
static int tell_two(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t at, uint64_t first,
		    uint64_t second)
{
	uint64_t handlers[2];
	int err = rf_hook_word(k, at + first, &handlers[0]);

	if (!err)
		err = rf_hook_word(k, at + second, &handlers[1]);
	if (!err)
		err = rf_hook_tell(k, hook, handlers[0]);
	return err ? err : rf_hook_tell(k, hook, handlers[1]);
}

/* The first function of an ops' filter, and how many more there are. */
static int filtered(const struct rf_hook_view *k, uint64_t ops, struct rf_hook *hook)
{
	const struct rf_hook_layout *l = k->l;
	uint64_t hash, count, bits, buckets, chunk[CHUNK / 8];
	int err = rf_hook_word(k, ops + l->ops_hash, &hash);

	if (!err && hash)
		err = rf_hook_word(k, hash + l->filter, &hash);
	if (err || !hash)
		return err;
	if ((err = rf_hook_word(k, hash + l->count, &count)) ||
	    (err = rf_hook_word(k, hash + l->bits, &bits)) ||
	    (err = rf_hook_word(k, hash + l->buckets, &buckets)))
		return err;
	if (!count || bits > RF_HASH_BITS_MAX)
		return 0;
	for (uint64_t at = 0, all = UINT64_C(1) << bits; at < all;) {
		uint64_t n = all - at < CHUNK / 8 ? all - at : CHUNK / 8;

		err = rf_live_read(&k->g, buckets + at * 8, chunk, n * 8);
		if (err)
			return err;
		for (uint64_t i = 0; i < n; i++) {
			if (!chunk[i])
				continue;
			hook->more = count - 1;
			return rf_hook_word(k, chunk[i] - l->node + l->ip, &hook->function);
		}
		at += n;
	}
	return 0;
}

static int by_base(const void *a, const void *b)
{
	const struct rf_module_range *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* In order, none in another: a search for each trampoline, of which there may be as many. */
static void in_order(struct rf_hook_modules *all)
{
	struct rf_module_range *last = all->v;
	size_t kept = 0;

	qsort(all->v, all->count, sizeof(all->v[0]), by_base);
	for (size_t i = 0; i < all->count; i++) {
		const struct rf_module_range r = all->v[i];
		uint64_t behind = r.base - last->base;

		if (!kept || behind > last->size)
			*(last = &all->v[kept++]) = r;
		else if (behind + r.size > last->size)
			last->size = behind + r.size;
	}
	all->count = kept;
}

static int against(const void *at, const void *range)
{
	const struct rf_module_range *r = range;
	uint64_t a = *(const uint64_t *)at;

	return a < r->base ? -1 : !rf_within(a, 1, r->base, r->size);
}

/*
 * Trampolines are allocated (arch/x86/kernel/ftrace.c alloc_tramp()): none is part of a module. A
 * list of modules that cannot be read accuses nobody, and is the walk's error in the end.
 */
bool rf_hook_is_of_a_module(const struct rf_hook_view *k, uint64_t trampoline)
{
	struct rf_hook_modules *all = k->h->modules;

	if (!rf_hook_is_outside(k, trampoline))
		return false;
	if (!all->asked) {
		all->asked = true;
		all->err = rf_module_ranges(k->h->t->k, k->g.m, k->g.p, all->v, RF_HOOK_RANGES,
					    &all->count);
		/* A kernel that shows no modules has none that could be asked for. */
		if (all->err == -ENOTSUP) {
			all->err = 0;
			all->count = 0;
		}
		if (!all->err)
			in_order(all);
	}
	return !all->err &&
	       bsearch(&trampoline, all->v, all->count, sizeof(all->v[0]), against) != NULL;
}

/* What the ops' own function calls in its turn, where the kernel has one for that. */
static int behind_ops(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t ops,
		      uint64_t func, uint64_t v[2])
{
	const struct rf_hook_layout *l = k->l;
	uint64_t around, top;
	int err;

	if (l->pid_func && func == l->pid_func) {
		err = rf_hook_word(k, ops + l->saved, &func);
		if (err)
			return err;
	}
	if (l->fprobe_known && func &&
	    (func == l->fprobe_handlers[0] || func == l->fprobe_handlers[1])) {
		hook->kind = RF_HOOK_FPROBE;
		around = ops - l->fprobe_ops;
		err = rf_hook_word(k, around + l->entry, &v[0]);
		return err ? err : rf_hook_word(k, around + l->exit, &v[1]);
	}
	if (l->klp_known && func == l->klp_handler) {
		hook->kind = RF_HOOK_LIVEPATCH;
		around = ops - l->klp_ops;
		err = rf_hook_word(k, around + l->klp_stack, &top);
		if (err || top == around + l->klp_stack)
			return err;
		return rf_hook_word(k, top - l->klp_node + l->klp_new, &v[0]);
	}
	v[0] = func;
	return 0;
}

static int look_ops(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t ops)
{
	uint64_t func, v[3] = { 0, 0, 0 };
	int err = rf_hook_word(k, ops + k->l->ops_func, &func);

	hook->kind = RF_HOOK_FTRACE;
	if (!err)
		err = behind_ops(k, hook, ops, func, v);
	if (!err)
		err = rf_hook_word(k, ops + k->l->ops_trampoline, &v[2]);
	if (!err && !rf_hook_is_of_a_module(k, v[2]))
		v[2] = 0;
	/* Only then is its filter worth the reading; one that cannot be read hides nobody. */
	if (!err && (rf_hook_is_outside(k, v[0]) || rf_hook_is_outside(k, v[1]) || v[2]))
		hook->unread = filtered(k, ops, hook) != 0;
	for (int i = 0; !err && i < 3; i++)
		err = rf_hook_tell(k, hook, v[i]);
	return err;
}

/* As the table of fprobes has it. */
static int look_fprobe(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t listed)
{
	const struct rf_hook_layout *l = k->l;
	uint64_t probe;
	int32_t places;
	int err = rf_hook_word(k, listed + l->fprobe_of, &probe);

	/* 0: it is being taken out (del_fprobe_hash()). */
	if (err || !probe)
		return err;
	/* Places that cannot be read hide nobody. */
	hook->unread = rf_live_read(&k->g, listed + l->places_size, &places, sizeof(places)) ||
		       places <= 0 ||
		       rf_hook_word(k, listed + l->places + l->place, &hook->function);
	if (!hook->unread)
		hook->more = (uint64_t)places - 1;
	return tell_two(k, hook, probe, l->entry, l->exit);
}

static int look_direct(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t entry)
{
	uint64_t to;
	int err = rf_hook_word(k, entry + k->l->ip, &hook->function);

	if (!err)
		err = rf_hook_word(k, entry + k->l->to, &to);
	/* Bit 0: it is jumped to (7.3 ftrace_is_jmp()). */
	return err ? err : rf_hook_tell(k, hook, to & ~UINT64_C(1));
}

/* The detour of an optimised probe is allocated, as trampolines are. */
static int look_detour(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t probe)
{
	uint64_t detour;
	int err;

	if (!k->h->t->probe.opt_known)
		return 0;
	err = rf_hook_word(k, probe + k->h->t->probe.slot, &detour);
	return err || !rf_hook_is_of_a_module(k, detour) ? err : rf_hook_tell(k, hook, detour);
}

static int look_probe(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t probe)
{
	const struct rf_hook_layout *l = k->l;
	uint64_t pre, post;
	int err = rf_hook_word(k, probe + l->addr, &hook->function);

	if (!err)
		err = rf_hook_word(k, probe + l->pre, &pre);
	if (!err)
		err = rf_hook_word(k, probe + l->post, &post);
	if (err)
		return err;
	hook->kind = RF_HOOK_KPROBE;
	if (l->kretprobe_known && pre == l->kretprobe_handler) {
		hook->kind = RF_HOOK_KRETPROBE;
		err = tell_two(k, hook, probe - l->kretprobe_kp, l->ret, l->ret_entry);
	} else if (pre == l->aggregator) {
		err = look_detour(k, hook, probe);
	} else {
		err = rf_hook_tell(k, hook, pre);
	}
	return err ? err : rf_hook_tell(k, hook, post);
}

/* fn for each of a tracepoint's functions, up to the first that it is not 0 for. */
static int each_func(const struct rf_hook_view *k, uint64_t tracepoint,
		     int (*fn)(void *ctx, uint64_t func), void *ctx)
{
	uint64_t funcs, func;
	int err = rf_hook_word(k, tracepoint + k->l->funcs, &funcs);

	for (unsigned int i = 0; !err && funcs; i++) {
		if (i == FUNCS_MAX)
			return -EBADMSG;
		err = rf_hook_word(k, funcs + i * k->l->func_size + k->l->func, &func);
		if (err || !func)
			break;
		err = fn(ctx, func);
	}
	return err;
}

/* Handlers that differ: the same one may be there many times, with other data. */
struct distinct {
	const struct rf_hook_view *k;
	uint64_t v[RF_HOOKS_EACH];
	unsigned int count;
};

static int collect(void *ctx, uint64_t func)
{
	struct distinct *d = ctx;

	if (!rf_hook_is_outside(d->k, func))
		return 0;
	for (unsigned int i = 0; i < d->count; i++)
		if (d->v[i] == func)
			return 0;
	if (d->count == RF_HOOKS_EACH)
		return -EBADMSG; /* cut short, which is not to be silent */
	d->v[d->count++] = func;
	return 0;
}

static int look_tracepoint(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t tracepoint)
{
	struct distinct d = { .k = k };
	int err = each_func(k, tracepoint, collect, &d), told = 0;

	hook->function = tracepoint;
	for (unsigned int i = 0; !told && i < d.count; i++)
		told = rf_hook_tell(k, hook, d.v[i]);
	return told ? told : err;
}

static int is_func(void *ctx, uint64_t func)
{
	return func == *(const uint64_t *)ctx;
}

/* 0 when it is the index's own to tell, 1: its tracepoint tells it; or an error. */
static int is_tracepoints(const struct rf_hook_view *k, size_t index, uint64_t func)
{
	uint64_t tracepoint = k->h->of_calls[index];

	return tracepoint && rf_hook_is_outside(k, func) ? each_func(k, tracepoint, is_func, &func)
							 : 0;
}

static int look_call(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t key)
{
	const struct rf_hooks *h = k->h;
	const uint64_t *place =
		bsearch(&key, h->calls, h->calls_count, sizeof(*place), rf_hook_ascending);
	size_t index = (size_t)(place - h->calls);
	uint64_t func;
	int err = rf_hook_word(k, key + k->l->key_func, &func);

	if (!err)
		err = is_tracepoints(k, index, func);
	if (err)
		return err < 0 ? err : 0;
	/* tracepoint_add_func() writes the key first, and removes it last. */
	hook->settling = h->of_calls[index];
	hook->function = key;
	return rf_hook_tell(k, hook, func);
}

int rf_hook_look(const struct rf_hook_view *k, uint64_t kind, uint64_t object)
{
	const struct rf_hooks *h = k->h;
	struct rf_hook hook = { .kind = kind, .object = object };

	if (kind == RF_HOOK_FPROBE && k->l->fprobes_known)
		return look_fprobe(k, &hook, object);
	if (kind >= RF_HOOK_FTRACE && kind <= RF_HOOK_LIVEPATCH && k->l->ops_known)
		return look_ops(k, &hook, object);
	if (kind == RF_HOOK_DIRECT && k->l->direct_known)
		return look_direct(k, &hook, object);
	if ((kind == RF_HOOK_KPROBE || kind == RF_HOOK_KRETPROBE) && k->l->kprobe_known)
		return look_probe(k, &hook, object);
	if (kind == RF_HOOK_TRACEPOINT && rf_hook_has(h->tracepoints, h->tracepoints_count, object))
		return look_tracepoint(k, &hook, object);
	if (kind == RF_HOOK_STATIC_CALL && rf_hook_has(h->calls, h->calls_count, object))
		return look_call(k, &hook, object);
	return -ENOENT;
}
