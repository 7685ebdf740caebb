// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ftrace: the entry of each traceable function holds a nop or a call, and two callers in core text
 * (ftrace_caller, ftrace_regs_caller) hold a call of what is traced with.
 *
 * Records (kernel/trace/ftrace.c struct ftrace_page, struct dyn_ftrace) lie in writable memory.
 * Only those are taken that name the start of a function, or the place behind its endbr64, and hold
 * a nop or a known call. Records of weak functions that were overridden name neither; the kernel
 * never patches them (FTRACE_FL_DISABLED).
 *
 * What an entry may call is ftrace_get_addr_new() (6.1, 6.12, 7.3): a direct function, the
 * trampoline of an ops, ftrace_caller or ftrace_regs_caller. A direct function whose address has
 * bit 0 set is jumped to instead, without that bit (7.3 include/linux/ftrace.h ftrace_is_jmp(), for
 * BPF). Order of events, the same in both:
 *  - register: ftrace_startup() puts the ops on ftrace_ops_list and makes its trampoline before
 *    ftrace_run_update_code() writes text; direct_functions has its entry before that
 *    (register_ftrace_direct(), in 6.1 also modify_ftrace_direct(), through a second ops);
 *  - unregister: ftrace_shutdown() takes the ops off the list first and then writes text, to a nop
 *    or to what the ops that remain call: those are on the list. The old trampoline is never
 *    written again: removed_ops only serves to know what is there now;
 *  - text_poke_queue() writes up to 256 entries after the decision, under the same ftrace_lock, so
 *    that the lists say the same until the last byte.
 * So a target is in the lists whenever it is written. A set that is older than that has it or is
 * refreshed when the store is refused; one that is newer may have lost the trampoline that entries
 * still call, which matters to nobody but who asks whether they are at rest: it is kept for them
 * (rf_change_set()).
 *
 * What the callers call is ftrace_trace_function, set before ftrace_modify_all_code() writes it,
 * or ftrace_ops_list_func meanwhile. Kernels without HAVE_DYNAMIC_FTRACE_WITH_ARGS also patch the
 * jmp at ftrace_graph_call (arch/x86/kernel/ftrace.c ftrace_mod_jmp()).
 */
#include <string.h>

#include "introspection/patches/impl.h"
#include "introspection/kernel.h"

#define PAGES_MAX 16384u
#define RECORDS_MAX RF_TABLE_SITES
#define OPS_MAX 4096u
#define HASH_BITS_MAX 14
#define CHAIN_MAX 4096u
#define CHUNK 4096u

void rf_ftrace_layout_init(struct rf_textpatch *t)
{
	struct rf_ftrace_layout l = { 0 };
	const struct rf_kernel *k = t->k;
	rf_gva a, b;

	if (!rf_kernel_address(k, "ftrace_pages_start", &a) &&
	    rf_textpatch_member(k, "ftrace_page", "next", 8, &l.page_next) &&
	    rf_textpatch_member(k, "ftrace_page", "records", 8, &l.page_records) &&
	    rf_textpatch_member(k, "ftrace_page", "index", 4, &l.page_index) &&
	    rf_textpatch_member(k, "dyn_ftrace", "ip", 8, &l.record_ip) &&
	    !rf_kernel_sizeof(k, "ftrace_page", &l.page_size) && l.page_size <= 64 &&
	    !rf_kernel_sizeof(k, "dyn_ftrace", &l.record_size) && l.record_size >= 8 &&
	    l.record_size <= 64) {
		l.pages = a.v;
		l.pages_known = true;
	}
	if (!rf_kernel_address(k, "ftrace_ops_list", &a) &&
	    !rf_kernel_address(k, "ftrace_list_end", &b) &&
	    rf_textpatch_member(k, "ftrace_ops", "next", 8, &l.ops_next) &&
	    rf_textpatch_member(k, "ftrace_ops", "trampoline", 8, &l.ops_trampoline)) {
		l.ops = a.v;
		l.ops_end = b.v;
		l.ops_known = true;
	}
	if (!rf_kernel_address(k, "direct_functions", &a) &&
	    rf_textpatch_member(k, "ftrace_hash", "size_bits", 8, &l.hash_bits) &&
	    rf_textpatch_member(k, "ftrace_hash", "buckets", 8, &l.hash_buckets) &&
	    rf_textpatch_member(k, "ftrace_func_entry", "hlist", 16, &l.entry_node) &&
	    rf_textpatch_member(k, "ftrace_func_entry", "ip", 8, &l.entry_ip) &&
	    rf_textpatch_member(k, "ftrace_func_entry", "direct", 8, &l.entry_direct)) {
		l.direct = a.v;
		l.direct_known = true;
	}
	if (!rf_kernel_address(k, "ftrace_trace_function", &a)) {
		l.func = a.v;
		l.func_known = true;
	}
	t->ftrace = l;
}

/* --- targets -------------------------------------------------------------- */

static void add_code(struct rf_textpatch *t, struct rf_targets *s, uint64_t target)
{
	if (rf_textpatch_is_code(t, target))
		rf_targets_add(t, s, target);
}

static void add_named(struct rf_textpatch *t, struct rf_targets *s, const char *name)
{
	rf_gva v;

	if (!rf_kernel_address(t->k, name, &v))
		add_code(t, s, v.v);
}

static void add_trampolines(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s)
{
	const struct rf_ftrace_layout *l = &t->ftrace;
	uint64_t ops, trampoline;

	if (!l->ops_known || rf_live_read(g, l->ops, &ops, sizeof(ops)))
		goto partial;
	for (unsigned int i = 0; ops != l->ops_end; i++) {
		if (i == OPS_MAX || rf_live_read(g, ops + l->ops_trampoline, &trampoline, 8) ||
		    rf_live_read(g, ops + l->ops_next, &ops, sizeof(ops)))
			goto partial;
		add_code(t, s, trampoline);
	}
	return;
partial:
	s->partial = true;
}

struct hash {
	uint64_t bits, buckets;
};

static bool direct_hash(const struct rf_textpatch *t, const struct rf_live *g, struct hash *out)
{
	const struct rf_ftrace_layout *l = &t->ftrace;
	uint64_t at;

	return !rf_live_read(g, l->direct, &at, sizeof(at)) &&
	       !rf_live_read(g, at + l->hash_bits, &out->bits, 8) &&
	       !rf_live_read(g, at + l->hash_buckets, &out->buckets, 8) &&
	       out->bits <= HASH_BITS_MAX;
}

/* One bucket's chain; ip 0: all of it. False: it does not end. */
static bool add_chain(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s,
		      uint64_t node, uint64_t ip)
{
	const struct rf_ftrace_layout *l = &t->ftrace;

	for (unsigned int i = 0; node; i++) {
		uint64_t entry = node - l->entry_node, of, direct;

		if (i == CHAIN_MAX || rf_live_read(g, entry + l->entry_ip, &of, 8) ||
		    rf_live_read(g, entry + l->entry_direct, &direct, 8) ||
		    rf_live_read(g, node, &node, sizeof(node)))
			return false;
		if (!ip || of == ip)
			add_code(t, s, direct);
	}
	return true;
}

/* All direct functions: one chain after the other, as many entries as the set has room for. */
static void add_directs(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s)
{
	uint64_t chunk[CHUNK / 8];
	struct hash h;

	if (!t->ftrace.direct_known)
		return;
	if (!direct_hash(t, g, &h))
		goto partial;
	for (uint64_t at = 0, count = UINT64_C(1) << h.bits; at < count;) {
		uint64_t n = count - at < CHUNK / 8 ? count - at : CHUNK / 8;

		if (rf_live_read(g, h.buckets + at * 8, chunk, n * 8))
			goto partial;
		for (uint64_t i = 0; i < n; i++)
			if (s->count == RF_SET_ROOM || !add_chain(t, g, s, chunk[i], 0))
				goto partial;
		at += n;
	}
	return;
partial:
	s->partial = true;
}

/* include/linux/hash.h hash_long() */
static uint64_t bucket_of(uint64_t ip, uint64_t bits)
{
	return bits ? ip * UINT64_C(0x61c8864680b583eb) >> (64 - bits) : 0;
}

static void add_direct(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s,
		       uint64_t ip)
{
	struct hash h;
	uint64_t node;

	if (t->ftrace.direct_known && direct_hash(t, g, &h) &&
	    !rf_live_read(g, h.buckets + bucket_of(ip, h.bits) * 8, &node, sizeof(node)))
		add_chain(t, g, s, node, ip);
}

static void add_callers(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s)
{
	rf_targets_clear(s);
	add_named(t, s, "ftrace_caller");
	add_named(t, s, "ftrace_regs_caller");
	if (g)
		add_trampolines(t, g, s);
}

/*
 * Of the callers in *s, which becomes that: those that an entry jumps to. They are BPF's and lie
 * outside of text, where labels of the assembler's stand at odd addresses, too.
 */
static void keep_jumps(const struct rf_textpatch *t, struct rf_targets *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->v[i] & 1 && !rf_textpatch_in_text(t, s->v[i]))
			s->v[kept++] = s->v[i] & ~UINT64_C(1);
	s->count = kept;
	s->sorted = 0;
}

/* Callers and jumps, out of the callers in *s. */
static int set_callers(struct rf_textpatch *t, const struct rf_memory *m, struct rf_targets *s)
{
	int err = rf_change_set(t, m, RF_SET_FTRACE_CALLERS, s);

	if (err)
		return err;
	keep_jumps(t, s);
	return rf_change_set(t, m, RF_SET_FTRACE_JUMPS, s);
}

static const char *const call_names[] = { "ftrace_call", "ftrace_regs_call", "ftrace_graph_call" };

static void add_funcs(struct rf_textpatch *t, const struct rf_live *g, struct rf_targets *s)
{
	rf_gva graph;
	uint64_t func;

	rf_targets_clear(s);
	add_named(t, s, "ftrace_stub");
	add_named(t, s, "ftrace_ops_list_func");
	add_named(t, s, "arch_ftrace_ops_list_func"); /* its other name: vmlinux.lds.h */
	add_named(t, s, "ftrace_ops_assist_func");
	if (!rf_kernel_address(t->k, "ftrace_graph_call", &graph))
		add_named(t, s, "ftrace_graph_caller");
	if (g && t->ftrace.func_known && !rf_live_read(g, t->ftrace.func, &func, sizeof(func)))
		add_code(t, s, func);
}

void rf_ftrace_refresh(struct rf_textpatch *t, const struct rf_live *g, uint64_t ip)
{
	struct rf_targets *s = &t->targets;

	add_callers(t, g, s);
	add_direct(t, g, s, ip);
	s->partial = true; /* the other direct functions were not asked for */
	set_callers(t, g->m, s);
	add_funcs(t, g, s);
	s->partial = true;
	rf_change_set(t, g->m, RF_SET_FTRACE_FUNCS, s);
}

int rf_ftrace_sweep(struct rf_textpatch *t, const struct rf_live *g)
{
	struct rf_targets *s = &t->targets;
	int err;

	if (t->table->sets[RF_SET_FTRACE_CALLERS].count > 2 || /* its own two callers */
	    t->table->sets[RF_SET_FTRACE_JUMPS].count) {
		add_callers(t, g, s);
		add_directs(t, g, s);
		err = set_callers(t, g->m, s);
		if (err)
			return err;
	}
	add_funcs(t, g, s);
	return rf_change_set(t, g->m, RF_SET_FTRACE_FUNCS, s);
}

/* --- sites ---------------------------------------------------------------- */

/*
 * What stands in the callers at load is what the kernel wrote there: it stays known. Where calls
 * are counted that is ftrace_stub's padding (thunks.c), until something is traced.
 */
static int call_sites(struct rf_loader *l, struct rf_targets *s)
{
	struct rf_textpatch *t = l->t;

	for (size_t i = 0; i < sizeof(call_names) / sizeof(call_names[0]); i++) {
		struct rf_site site = { .target = RF_NO_TARGET, .kind = RF_SITE_FTRACE_CALL };
		const uint8_t *now;
		uint64_t target;
		int32_t rel;
		rf_gva at;
		int err;

		if (rf_kernel_address(t->k, call_names[i], &at) ||
		    !rf_within(at.v, 5, t->text, t->etext - t->text))
			continue;
		site.addr = at.v;
		now = l->bytes + (at.v - t->text);
		memcpy(&rel, now + 1, sizeof(rel));
		target = at.v + 5 + (uint64_t)(int64_t)rel;
		if (now[0] == 0xe8 && rf_targets_have(t, RF_SET_FUNCTIONS, target))
			rf_targets_add(t, s, target);
		else if (now[0] == 0xe8 || now[0] == 0xe9)
			add_code(t, s, target);
		err = rf_loader_push(l, &site);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The start of a function, or behind its endbr64. Where nothing calls a function indirectly the
 * kernel has overwritten that (arch/x86/kernel/alternative.c poison_endbr(), asm/ibt.h
 * gen_endbr_poison()).
 */
static bool is_entry(const struct rf_loader *l, uint64_t ip)
{
	static const uint8_t landing[][4] = { { 0xf3, 0x0f, 0x1e, 0xfa },
					      { 0x66, 0x0f, 0x1f, 0x00 },
					      { 0x0f, 0x1f, 0x40, 0xd6 } };
	const struct rf_textpatch *t = l->t;

	if (rf_kernel_is_function(t->k, rf_gva_of(ip)))
		return true;
	if (ip - 4 < t->text || !rf_kernel_is_function(t->k, rf_gva_of(ip - 4)))
		return false;
	for (size_t i = 0; i < sizeof(landing) / sizeof(landing[0]); i++)
		if (!memcmp(l->bytes + (ip - 4 - t->text), landing[i], 4))
			return true;
	return false;
}

static int add_record(struct rf_loader *l, uint64_t ip)
{
	struct rf_textpatch *t = l->t;
	const struct rf_site site = { .addr = ip, .target = RF_NO_TARGET, .kind = RF_SITE_FTRACE };

	if (!rf_within(ip, 5, t->text, t->etext - t->text))
		return 0; /* a module's, or of init text, whose records the kernel drops late */
	if (!is_entry(l, ip)) {
		t->stats.nameless++;
		return 0;
	}
	return rf_loader_push(l, &site);
}

static int add_page(struct rf_loader *l, const struct rf_live *g, uint64_t records, uint32_t count)
{
	const struct rf_ftrace_layout *f = &l->t->ftrace;
	uint8_t chunk[CHUNK];
	uint32_t each = CHUNK / (uint32_t)f->record_size;
	uint64_t ip;

	for (uint32_t at = 0; at < count;) {
		uint32_t n = count - at < each ? count - at : each;

		if (rf_live_read(g, records + at * f->record_size, chunk, n * f->record_size)) {
			l->t->stats.unread++;
			return 0;
		}
		for (uint32_t i = 0; i < n; i++) {
			int err;

			memcpy(&ip, chunk + i * f->record_size + f->record_ip, sizeof(ip));
			err = add_record(l, ip);
			if (err)
				return err;
		}
		at += n;
	}
	return 0;
}

static int record_sites(struct rf_loader *l, const struct rf_live *g)
{
	const struct rf_ftrace_layout *f = &l->t->ftrace;
	uint32_t total = 0;
	uint64_t at;

	if (!f->pages_known)
		return 0;
	if (rf_live_read(g, f->pages, &at, sizeof(at)))
		goto unread;
	for (unsigned int i = 0; at; i++) {
		uint8_t page[64];
		uint64_t records;
		int32_t count;
		int err;

		if (i == PAGES_MAX || rf_live_read(g, at, page, f->page_size))
			goto unread;
		memcpy(&at, page + f->page_next, sizeof(at));
		memcpy(&records, page + f->page_records, sizeof(records));
		memcpy(&count, page + f->page_index, sizeof(count));
		if (count < 0 || (uint32_t)count > RECORDS_MAX - total)
			goto unread;
		total += (uint32_t)count;
		err = add_page(l, g, records, (uint32_t)count);
		if (err)
			return err;
	}
	return 0;
unread:
	l->t->stats.unread++;
	return 0;
}

int rf_ftrace_sites(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	const struct rf_live live = rf_live_begin(t, l->m, l->p), *g = l->p ? &live : NULL;
	struct rf_targets *s = &t->targets;
	int err;

	add_callers(t, g, s);
	if (g)
		add_directs(t, g, s);
	rf_kept_targets(t, l->before, RF_SET_FTRACE_CALLERS, s);
	err = set_callers(t, l->m, s);
	if (err)
		return err;
	add_funcs(t, g, s);
	err = call_sites(l, s);
	rf_kept_targets(t, l->before, RF_SET_FTRACE_FUNCS, s);
	rf_change_set(t, l->m, RF_SET_FTRACE_FUNCS, s);
	return err || !g || t->kept ? err : record_sites(l, g);
}
