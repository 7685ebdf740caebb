// SPDX-License-Identifier: LGPL-2.1-or-later
/* All hooks there are: each kind's list. hooks.c has what one of them calls. */
#include <errno.h>
#include <string.h>

#include "introspection/kernel_internal.h"
#include "introspection/patches/hooks_impl.h"

#define KPROBE_BUCKETS 64u /* KPROBE_TABLE_SIZE */
#define FPROBE_BUCKETS 64u /* FPROBE_TABLE_SIZE */
#define CHAIN_MAX 4096u
#define KSYMS_MAX 65536u

/* --- all of them ------------------------------------------------------------ */

static int tell_ops(const struct rf_hook_view *k, uint64_t ops, struct rf_hook_listed *to)
{
	return rf_hook_look(k, RF_HOOK_FTRACE, ops);
}

static int tell_direct(const struct rf_hook_view *k, uint64_t entry, struct rf_hook_listed *to)
{
	return rf_hook_look(k, RF_HOOK_DIRECT, entry);
}

/* --- probes ------------------------------------------------------------------- */

/* Behind an aggregate stand those who share its place. */
static int walk_probe(const struct rf_hook_view *k, uint64_t probe, struct rf_hook_listed *to)
{
	const struct rf_hook_layout *l = k->l;
	uint64_t pre, head = probe + l->list, at;
	int err = rf_hook_look(k, RF_HOOK_KPROBE, probe);

	if (!err)
		err = rf_hook_word(k, probe + l->pre, &pre);
	if (err || pre != l->aggregator)
		return err;
	err = rf_hook_word(k, head, &at);
	for (unsigned int i = 0; !err && at != head; i++) {
		if (i == CHAIN_MAX)
			return -EBADMSG;
		err = rf_hook_look(k, RF_HOOK_KPROBE, at - l->list);
		if (!err)
			err = rf_hook_word(k, at, &at);
	}
	return err;
}

static int tell_fprobe(const struct rf_hook_view *k, uint64_t probe, struct rf_hook_listed *to)
{
	return rf_hook_look(k, RF_HOOK_FPROBE, probe);
}

/* A list that cannot be read does not hide the others, nor one object its neighbours. */
static int walk_array(const struct rf_hook_view *k, uint64_t kind, const uint64_t *objects,
		      size_t n)
{
	int first = 0;

	for (size_t i = 0; !*k->stop && i < n; i++) {
		int err = rf_hook_look(k, kind, objects[i]);

		if (!first)
			first = err;
	}
	return first;
}

static void begin_modules(const struct rf_hooks *h)
{
	h->modules->asked = false;
	h->modules->err = 0;
}

int rf_hooks_walk(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  rf_hook_fn fn, void *ctx)
{
	int stop, err, first = 0;
	const struct rf_hook_view k = rf_hook_view_begin(h, m, p, fn, ctx, &stop);

	begin_modules(h);
	h->modules->walking = true;
	if (h->l.ops_known)
		first = rf_hook_each_ops(&k, tell_ops, NULL);
	if (!stop && h->l.direct_known && (err = rf_hook_each_direct(&k, tell_direct, NULL)) &&
	    !first)
		first = err;
	if (!stop && h->l.kprobe_known &&
	    (err = rf_hook_each_chained(&k, h->l.table, KPROBE_BUCKETS, h->l.hlist, walk_probe,
					NULL)) &&
	    !first)
		first = err;
	if (!stop && h->l.fprobes_known &&
	    (err = rf_hook_each_chained(&k, h->l.fprobes, FPROBE_BUCKETS, h->l.fprobe_node,
					tell_fprobe, NULL)) &&
	    !first)
		first = err;
	if (!stop && (err = rf_hook_unlisted(&k, 0)) && !first)
		first = err;
	if (!stop && (err = rf_hook_strays(&k, 0)) && !first)
		first = err;
	err = walk_array(&k, RF_HOOK_TRACEPOINT, h->tracepoints, h->tracepoints_count);
	if (!first)
		first = err;
	err = walk_array(&k, RF_HOOK_STATIC_CALL, h->calls, h->calls_count);
	if (!first)
		first = err;
	h->modules->walking = false;
	if (!first)
		first = h->modules->err;
	return stop ? stop : first;
}

int rf_hooks_look(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  uint64_t kind, uint64_t object, rf_hook_fn fn, void *ctx)
{
	int stop;
	const struct rf_hook_view k = rf_hook_view_begin(h, m, p, fn, ctx, &stop);
	int err;

	if (!h->modules->walking)
		begin_modules(h);
	if (kind == RF_HOOK_UNLISTED)
		err = rf_hook_unlisted(&k, object);
	else
		err = kind == RF_HOOK_STRAY ? rf_hook_strays(&k, object)
					    : rf_hook_look(&k, kind, object);
	return err ? err : h->modules->err;
}

/* --- whose a piece of code is ------------------------------------------------ */

/* 0, -ENOENT: it is another piece; or an error. */
static int name_piece(const struct rf_hook_view *k, uint64_t ksym, uint64_t gva,
		      char name[RF_BPF_NAME])
{
	const struct rf_hook_layout *l = k->l;
	char raw[RF_BPF_NAME];
	uint64_t bounds[2];

	if (rf_live_read(&k->g, ksym + l->ksym_start, bounds, sizeof(bounds)))
		return -EFAULT;
	if (gva < bounds[0] || gva >= bounds[1])
		return -ENOENT;
	if (rf_live_read(&k->g, ksym + l->ksym_name, raw, l->ksym_name_size))
		return -EFAULT;
	rf_guest_text(raw, l->ksym_name_size, name, RF_BPF_NAME);
	return 0;
}

int rf_hooks_bpf(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		 rf_gva gva, char name[RF_BPF_NAME])
{
	int stop, err = -ENOENT;
	const struct rf_hook_view k = rf_hook_view_begin(h, m, p, NULL, NULL, &stop);
	const struct rf_hook_layout *l = k.l;
	uint64_t at = l->bpf;

	if (!l->bpf_known)
		return -ENOENT;
	/* A list that leads nowhere does not say that nobody is on it. */
	for (unsigned int i = 0; !rf_hook_word(&k, at, &at); i++) {
		if (at == l->bpf)
			return -ENOENT;
		if (i == KSYMS_MAX)
			return -EBADMSG;
		err = name_piece(&k, at - l->ksym_node, gva.v, name);
		if (err != -ENOENT)
			return err;
	}
	return -EFAULT;
}
