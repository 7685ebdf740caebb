// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Read in the sources of 6.1, 6.12 and 7.3:
 *  - kernel/trace/ftrace.c: ftrace_ops_list, an ops' func and func_hash->filter_hash (none, or an
 * empty one: every function); direct_functions;
 *  - kernel/trace/fprobe.c, to 6.13: fprobe_handler() and fprobe_kprobe_handler() call the handlers
 * of the struct fprobe around the ops; from 6.14 on each struct fprobe has a struct fprobe_hlist in
 * fprobe_table, with the functions that it is of;
 *  - kernel/livepatch/patch.c: klp_ftrace_handler() sends the caller to the function that is on top
 * of the func_stack of the struct klp_ops around the ops;
 *  - kernel/kprobes.c: kprobe_table; behind aggr_pre_handler() stands a list of probes, behind
 * pre_handler_kretprobe() a struct kretprobe;
 *  - include/linux/tracepoint.h: __tracepoints_ptrs[], offsets to themselves in sealed rodata
 * (tracepoint_ptr_deref()), and each one's funcs[] up to a NULL; one alone is a static call as
 * well, of a key __SCK__tp_func_NAME (whatever else that says, is told);
 *  - include/linux/static_call_types.h struct static_call_key;
 *  - kernel/bpf/core.c: bpf_kallsyms, a list of struct bpf_ksym.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/kernel.h"
#include "introspection/patches/hooks_impl.h"

#define POINTERS_MAX 65536u /* tracepoints */
#define SYMBOL_MAX 256

/* --- where things are ------------------------------------------------------ */

static uint64_t address(const struct rf_kernel *k, const char *name)
{
	rf_gva a;

	return rf_kernel_address(k, name, &a) ? 0 : a.v;
}

/* A member of any size. */
static bool offset_of(const struct rf_kernel *k, const char *type, const char *path, uint64_t *out)
{
	struct rf_member m;

	if (rf_kernel_member(k, type, path, &m))
		return false;
	*out = m.offset;
	return true;
}

static bool fprobe_handlers(const struct rf_kernel *k, struct rf_hook_layout *l)
{
	return rf_textpatch_member(k, "fprobe", "entry_handler", 8, &l->entry) &&
	       rf_textpatch_member(k, "fprobe", "exit_handler", 8, &l->exit);
}

static void ftrace_layout(const struct rf_kernel *k, struct rf_hook_layout *l)
{
	l->ops = address(k, "ftrace_ops_list");
	l->ops_end = address(k, "ftrace_list_end");
	l->direct = address(k, "direct_functions");
	l->ops_known = l->ops && l->ops_end &&
		       rf_textpatch_member(k, "ftrace_ops", "next", 8, &l->ops_next) &&
		       rf_textpatch_member(k, "ftrace_ops", "func", 8, &l->ops_func) &&
		       rf_textpatch_member(k, "ftrace_ops", "trampoline", 8, &l->ops_trampoline) &&
		       rf_textpatch_member(k, "ftrace_ops", "func_hash", 8, &l->ops_hash) &&
		       rf_textpatch_member(k, "ftrace_ops_hash", "filter_hash", 8, &l->filter) &&
		       rf_textpatch_member(k, "ftrace_hash", "size_bits", 8, &l->bits) &&
		       rf_textpatch_member(k, "ftrace_hash", "buckets", 8, &l->buckets) &&
		       rf_textpatch_member(k, "ftrace_hash", "count", 8, &l->count) &&
		       rf_textpatch_member(k, "ftrace_func_entry", "hlist", 16, &l->node) &&
		       rf_textpatch_member(k, "ftrace_func_entry", "ip", 8, &l->ip);
	l->pid_func = address(k, "ftrace_pid_func");
	if (!rf_textpatch_member(k, "ftrace_ops", "saved_func", 8, &l->saved))
		l->pid_func = 0;
	l->direct_known = l->ops_known && l->direct &&
			  rf_textpatch_member(k, "ftrace_func_entry", "direct", 8, &l->to);
	l->fprobe_handlers[0] = address(k, "fprobe_handler");
	l->fprobe_handlers[1] = address(k, "fprobe_kprobe_handler");
	l->fprobe_known = l->ops_known && l->fprobe_handlers[0] && fprobe_handlers(k, l) &&
			  offset_of(k, "fprobe", "ops", &l->fprobe_ops);
	l->fprobes = address(k, "fprobe_table");
	l->fprobes_known = l->fprobes && fprobe_handlers(k, l) &&
			   rf_textpatch_member(k, "fprobe_hlist", "hlist", 16, &l->fprobe_node) &&
			   rf_textpatch_member(k, "fprobe_hlist", "fp", 8, &l->fprobe_of) &&
			   rf_textpatch_member(k, "fprobe_hlist", "size", 4, &l->places_size) &&
			   offset_of(k, "fprobe_hlist", "array", &l->places) &&
			   rf_textpatch_member(k, "fprobe_hlist_node", "addr", 8, &l->place);
}

static void livepatch_layout(const struct rf_kernel *k, struct rf_hook_layout *l)
{
	l->klp_handler = address(k, "klp_ftrace_handler");
	l->klp_known = l->ops_known && l->klp_handler &&
		       offset_of(k, "klp_ops", "fops", &l->klp_ops) &&
		       rf_textpatch_member(k, "klp_ops", "func_stack", 16, &l->klp_stack) &&
		       rf_textpatch_member(k, "klp_func", "stack_node", 16, &l->klp_node) &&
		       rf_textpatch_member(k, "klp_func", "new_func", 8, &l->klp_new);
}

static void probe_layout(const struct rf_kernel *k, struct rf_hook_layout *l)
{
	l->table = address(k, "kprobe_table");
	l->aggregator = address(k, "aggr_pre_handler");
	l->kprobe_known = l->table && l->aggregator &&
			  rf_textpatch_member(k, "kprobe", "hlist", 16, &l->hlist) &&
			  rf_textpatch_member(k, "kprobe", "list", 16, &l->list) &&
			  rf_textpatch_member(k, "kprobe", "addr", 8, &l->addr) &&
			  rf_textpatch_member(k, "kprobe", "pre_handler", 8, &l->pre) &&
			  rf_textpatch_member(k, "kprobe", "post_handler", 8, &l->post);
	l->kretprobe_handler = address(k, "pre_handler_kretprobe");
	l->kretprobe_known = l->kprobe_known && l->kretprobe_handler &&
			     offset_of(k, "kretprobe", "kp", &l->kretprobe_kp) &&
			     rf_textpatch_member(k, "kretprobe", "handler", 8, &l->ret) &&
			     rf_textpatch_member(k, "kretprobe", "entry_handler", 8, &l->ret_entry);
}

static void other_layout(const struct rf_kernel *k, struct rf_hook_layout *l)
{
	struct rf_member name;

	l->tracepoint_known = rf_textpatch_member(k, "tracepoint", "funcs", 8, &l->funcs) &&
			      rf_textpatch_member(k, "tracepoint_func", "func", 8, &l->func) &&
			      !rf_kernel_sizeof(k, "tracepoint_func", &l->func_size) &&
			      l->func_size >= 8 && l->func_size <= 64;
	l->call_known = rf_textpatch_member(k, "static_call_key", "func", 8, &l->key_func);
	l->bpf = address(k, "bpf_kallsyms");
	l->bpf_known = l->bpf && rf_textpatch_member(k, "bpf_ksym", "lnode", 16, &l->ksym_node) &&
		       rf_textpatch_member(k, "bpf_ksym", "start", 8, &l->ksym_start) &&
		       rf_textpatch_member(k, "bpf_ksym", "end", 8, &l->ksym_end) &&
		       l->ksym_end == l->ksym_start + 8 &&
		       !rf_kernel_member(k, "bpf_ksym", "name", &name);
	if (l->bpf_known) {
		l->ksym_name = name.offset;
		l->ksym_name_size = name.size < RF_BPF_NAME ? name.size : RF_BPF_NAME;
	}
}

static bool in_image(const struct rf_kernel *k, uint64_t gva)
{
	const struct rf_image *image = rf_kernel_image(k);

	return rf_within(gva, 1, image->base.v, image->size);
}

/* 0, -ENOMEM, or the error of m->read. */
static int find_tracepoints(struct rf_hooks *h, const struct rf_memory *m)
{
	const struct rf_kernel *k = h->t->k;
	uint64_t at = address(k, "__start___tracepoints_ptrs");
	uint64_t end = address(k, "__stop___tracepoints_ptrs");
	int32_t offset;

	if (!h->l.tracepoint_known || !at || at % 4 || end <= at ||
	    end - at > POINTERS_MAX * sizeof(offset))
		return 0;
	h->tracepoints = calloc((end - at) / sizeof(offset), sizeof(*h->tracepoints));
	if (!h->tracepoints)
		return -ENOMEM;
	for (; at < end; at += sizeof(offset)) {
		uint64_t tracepoint;
		int err = rf_textpatch_read(h->t, m, at, &offset, sizeof(offset));

		if (err)
			return err;
		tracepoint = at + (uint64_t)(int64_t)offset;
		if (in_image(k, tracepoint))
			h->tracepoints[h->tracepoints_count++] = tracepoint;
	}
	if (h->tracepoints_count)
		qsort(h->tracepoints, h->tracepoints_count, sizeof(*h->tracepoints),
		      rf_hook_ascending);
	return 0;
}

static bool is_call_key(const struct rf_symbol *s)
{
	return !strncmp(s->name, "__SCK__", 7);
}

/* 0: it is none of a tracepoint's, or nobody knows how those keep their functions. */
static uint64_t tracepoint_of(const struct rf_hooks *h, const char *key)
{
	static const char prefix[] = "__SCK__tp_func_";
	char name[SYMBOL_MAX];

	if (strncmp(key, prefix, sizeof(prefix) - 1) || !h->l.tracepoint_known)
		return 0;
	snprintf(name, sizeof(name), "__tracepoint_%s", key + sizeof(prefix) - 1);
	return address(h->t->k, name);
}

static int find_calls(struct rf_hooks *h)
{
	size_t total = h->l.call_known ? rf_kernel_symbol_count(h->t->k) : 0, room = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass && (!(h->calls = calloc(room + 1, sizeof(*h->calls))) ||
			     !(h->of_calls = calloc(room + 1, sizeof(*h->of_calls)))))
			return -ENOMEM;
		for (size_t i = 0; i < total; i++) {
			struct rf_symbol s;

			rf_kernel_symbol_at(h->t->k, i, &s);
			if (!is_call_key(&s) || !in_image(h->t->k, s.addr.v))
				continue;
			if (!pass) {
				room++;
				continue;
			}
			h->of_calls[h->calls_count] = tracepoint_of(h, s.name);
			h->calls[h->calls_count++] = s.addr.v; /* symbols ascend */
		}
	}
	return 0;
}

bool rf_hooks_shows(const struct rf_hooks *h, enum rf_hook_kind kind)
{
	const bool shown[RF_HOOK_KINDS] = {
		[RF_HOOK_FTRACE] = h->l.ops_known,
		[RF_HOOK_FPROBE] = h->l.fprobe_known || h->l.fprobes_known,
		[RF_HOOK_LIVEPATCH] = h->l.klp_known,
		[RF_HOOK_DIRECT] = h->l.direct_known,
		[RF_HOOK_KPROBE] = h->l.kprobe_known,
		[RF_HOOK_KRETPROBE] = h->l.kretprobe_known,
		[RF_HOOK_TRACEPOINT] = h->tracepoints_count,
		[RF_HOOK_STATIC_CALL] = h->calls_count,
		[RF_HOOK_UNLISTED] = h->l.ops_known,
		[RF_HOOK_STRAY] = h->l.kprobe_known,
	};

	return (unsigned int)kind < RF_HOOK_KINDS && shown[kind];
}

int rf_hooks_create(struct rf_textpatch *t, const struct rf_memory *m, struct rf_hooks **out)
{
	struct rf_hooks *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->t = t;
	h->listed = malloc(sizeof(*h->listed));
	h->modules = calloc(1, sizeof(*h->modules));
	if (!h->listed || !h->modules) {
		rf_hooks_destroy(h);
		return -ENOMEM;
	}
	ftrace_layout(t->k, &h->l);
	livepatch_layout(t->k, &h->l);
	probe_layout(t->k, &h->l);
	other_layout(t->k, &h->l);
	err = find_tracepoints(h, m);
	if (!err)
		err = find_calls(h);
	if (err) {
		rf_hooks_destroy(h);
		return err;
	}
	*out = h;
	return 0;
}

void rf_hooks_destroy(struct rf_hooks *h)
{
	if (!h)
		return;
	free(h->listed);
	free(h->modules);
	free(h->tracepoints);
	free(h->calls);
	free(h->of_calls);
	free(h);
}
