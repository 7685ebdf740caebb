/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of hooks share: where the guest keeps its hooks. */
#ifndef RF_INTROSPECTION_HOOKS_IMPL_H
#define RF_INTROSPECTION_HOOKS_IMPL_H

#include <stdlib.h>

#include "introspection/patches/hooks.h"
#include "introspection/patches/impl.h"
#include "introspection/task.h"

#define RF_HASH_BITS_MAX 14

/* Addresses of variables and offsets of members. A part of which something is missing is not known,
 * and not asked for. */
struct rf_hook_layout {
	bool ops_known, fprobe_known, fprobes_known, klp_known, direct_known, kprobe_known,
		kretprobe_known, tracepoint_known, call_known, bpf_known;
	uint64_t ops, ops_end, ops_next, ops_func, ops_trampoline, ops_hash, filter, count, bits,
		buckets;
	uint64_t direct, node, ip, to;
	uint64_t klp_handler, klp_ops, klp_stack, klp_node, klp_new;
	uint64_t fprobe_handlers[2], fprobe_ops, entry, exit;
	uint64_t fprobes, fprobe_node, fprobe_of, places_size, places, place; /* fprobes_known */
	uint64_t table, hlist, list, addr, pre, post, aggregator;
	uint64_t kretprobe_handler, kretprobe_kp, ret, ret_entry;
	uint64_t funcs, func, func_size;
	uint64_t pid_func, saved; /* ftrace_pid_func() calls saved_func; 0: no such function */
	uint64_t key_func;
	uint64_t bpf, ksym_node, ksym_start, ksym_end, ksym_name, ksym_name_size;
};

/* Trampolines and direct functions that the guest's lists have. */
struct rf_hook_listed {
	uint32_t count;
	bool full;
	uint64_t v[RF_SET_ROOM];
};

/* Where modules lie: asked for once a walk, when the first trampoline is looked at. */
#define RF_HOOK_RANGES 16384u /* each module has a few */
struct rf_hook_modules {
	bool asked, walking; /* walking: whoever looks meanwhile takes that walk's */
	int err;
	size_t count;
	struct rf_module_range v[RF_HOOK_RANGES];
};

struct rf_hooks {
	struct rf_hook_listed *listed;	 /* scratch */
	struct rf_hook_modules *modules; /* the same */
	struct rf_textpatch *t;
	struct rf_hook_layout l;
	uint64_t *tracepoints, *calls; /* addresses, ascending */
	uint64_t *of_calls;	       /* the tracepoint whose static call it is, 0 none's */
	size_t tracepoints_count, calls_count;
};

/* A walk, or a look at one object. */
struct rf_hook_view {
	const struct rf_hooks *h;
	const struct rf_hook_layout *l;
	struct rf_live g;
	rf_hook_fn fn;
	void *ctx;
	int *stop; /* fn's error */
};

static inline struct rf_hook_view rf_hook_view_begin(const struct rf_hooks *h,
						     const struct rf_memory *m,
						     const struct rf_paging *p, rf_hook_fn fn,
						     void *ctx, int *stop)
{
	*stop = 0;
	return (struct rf_hook_view){ h, &h->l, rf_live_begin(h->t, m, p), fn, ctx, stop };
}

static inline int rf_hook_word(const struct rf_hook_view *k, uint64_t gva, uint64_t *out)
{
	return rf_live_read(&k->g, gva, out, sizeof(*out));
}

static inline bool rf_hook_is_outside(const struct rf_hook_view *k, uint64_t handler)
{
	return handler && !rf_textpatch_in_text(k->h->t, handler);
}

static inline int rf_hook_ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static inline bool rf_hook_has(const uint64_t *v, size_t n, uint64_t what)
{
	return n && bsearch(&what, v, n, sizeof(*v), rf_hook_ascending);
}

/* --- hooks.c: one object ---------------------------------------------------- */
/* fn, if the handler lies outside; it is filled in. 0 or fn's error. */
int rf_hook_tell(const struct rf_hook_view *k, struct rf_hook *hook, uint64_t handler);
/* The handlers of one object. 0, -ENOENT: it can be none; fn's error, or that of reading. */
int rf_hook_look(const struct rf_hook_view *k, uint64_t kind, uint64_t object);

/* Is it part of a module? False also where the list cannot be read: then the walk's error says
 * so. */
bool rf_hook_is_of_a_module(const struct rf_hook_view *k, uint64_t trampoline);

/* --- hooks_lists.c ---------------------------------------------------------- */
typedef int (*rf_hook_object_fn)(const struct rf_hook_view *k, uint64_t object,
				 struct rf_hook_listed *to);
/* Of a table of n chains, whose node stands at that offset of an object. 0, fn's error or that of
 * reading. */
int rf_hook_each_chained(const struct rf_hook_view *k, uint64_t table, uint64_t n, uint64_t node,
			 rf_hook_object_fn fn, struct rf_hook_listed *to);
/* Of ftrace_ops_list, and of direct_functions. 0, fn's error or that of reading. */
int rf_hook_each_ops(const struct rf_hook_view *k, rf_hook_object_fn fn, struct rf_hook_listed *to);
int rf_hook_each_direct(const struct rf_hook_view *k, rf_hook_object_fn fn,
			struct rf_hook_listed *to);

/* --- hooks_unlisted.c: what text calls, and no list or key has ---------------- */
/* only: that one alone, 0 all. */
int rf_hook_unlisted(const struct rf_hook_view *k, uint64_t only);
/* The same of probes, by their places. */
int rf_hook_strays(const struct rf_hook_view *k, uint64_t only);

#endif
