// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Breakpoints: kprobes, the jumps that replace them, and those of the kernel's own debugger.
 * kernel/kprobes.c and arch/x86/kernel/kprobes/{core,opt}.c, 6.1 and 6.12, do this in the order
 *  - register_kprobe(): into kprobe_table, then arch_arm_kprobe() (int3);
 *  - try_to_optimize_kprobe(): an aggregate with a prepared detour takes its place in the table,
 * and only later the worker writes: arch_optimize_kprobes(), text_poke_bp() of the jmp;
 *  - arch_unoptimize_kprobe(): int3 on the jmp, then the old tail behind it, and it rests so;
 *  - arch_disarm_kprobe() (the opcode), then out of kprobe_table.
 * So a probe is in the table whenever text is written for it. One that is gone while its site is
 * still patched keeps its own bytes as the only legal ones.
 *
 * The table is writable, and an own byte taken from it would be a byte of an attacker's choice.
 * What was there is taken from the sealed text, before the first breakpoint lands. Where one is
 * armed already at the seal the kernel's record is believed; another monitor that takes over has it
 * from the table.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/arch.h"
#include "introspection/kernel.h"
#include "introspection/patches/impl.h"

#define BUCKETS 64u /* KPROBE_TABLE_SIZE */
#define CHAIN_MAX 1024u
#define PROBE_SIZE_MAX 512u
#define KGDB_MAX 4096u
#define FUNCTION_MAX 65536u
#define INSN_MAX 15u
#define CHUNK 4096u

void rf_probe_layout_init(struct rf_textpatch *t)
{
	struct rf_probe_layout l = { 0 };
	const struct rf_kernel *k = t->k;
	struct rf_symbol s;
	rf_gva table, aggregator, end;

	if (!rf_kernel_address(k, "kprobe_table", &table) &&
	    rf_textpatch_member(k, "kprobe", "hlist", 16, &l.node) &&
	    rf_textpatch_member(k, "kprobe", "addr", 8, &l.addr) &&
	    rf_textpatch_member(k, "kprobe", "pre_handler", 8, &l.pre_handler) &&
	    rf_textpatch_member(k, "kprobe", "opcode", 1, &l.opcode) &&
	    !rf_kernel_sizeof(k, "kprobe", &l.size) && l.size <= PROBE_SIZE_MAX) {
		l.table = table.v;
		l.known = true;
	}
	if (l.known && !rf_kernel_address(k, "aggr_pre_handler", &aggregator) &&
	    rf_textpatch_member(k, "optimized_kprobe", "optinsn.copied_insn", 4, &l.copied) &&
	    rf_textpatch_member(k, "optimized_kprobe", "optinsn.insn", 8, &l.slot) &&
	    rf_textpatch_member(k, "optimized_kprobe", "optinsn.size", 8, &l.slot_size)) {
		l.aggregator = aggregator.v;
		l.opt_known = true;
	}
	if (!rf_kernel_symbol(k, "kgdb_break", &s) &&
	    !rf_kernel_symbol_extent(k, s.addr, &s, &end) &&
	    !rf_kernel_sizeof(k, "kgdb_bkpt", &l.kgdb_size) && l.kgdb_size && l.kgdb_size <= 64 &&
	    rf_textpatch_member(k, "kgdb_bkpt", "bpt_addr", 8, &l.kgdb_addr) &&
	    rf_textpatch_member(k, "kgdb_bkpt", "state", 4, &l.kgdb_state) &&
	    !rf_kernel_enumerator(k, "kgdb_bpstate", "BP_SET", &l.kgdb_set) &&
	    !rf_kernel_enumerator(k, "kgdb_bpstate", "BP_ACTIVE", &l.kgdb_active)) {
		l.kgdb = s.addr.v;
		l.kgdb_count = (end.v - s.addr.v) / l.kgdb_size;
		if (l.kgdb_count > KGDB_MAX)
			l.kgdb_count = KGDB_MAX;
		l.kgdb_known = true;
	}
	t->probe = l;
}

/* --- one probe of the guest's --------------------------------------------- */

struct probe {
	uint64_t addr, slot; /* slot: of a prepared detour, 0 none */
	uint8_t opcode, copied[4];
	uint8_t kind;
};

/* 0 with the probe and the next one's node, or a read error. */
static int read_probe(const struct rf_textpatch *t, const struct rf_live *g, uint64_t node,
		      struct probe *out, uint64_t *next)
{
	const struct rf_probe_layout *l = &t->probe;
	uint64_t base = node - l->node, handler, size;
	uint8_t raw[PROBE_SIZE_MAX];
	int err = rf_live_read(g, base, raw, l->size);

	if (err)
		return err;
	*out = (struct probe){ .kind = RF_SITE_KPROBE, .opcode = raw[l->opcode] };
	memcpy(next, raw + l->node, sizeof(*next));
	memcpy(&out->addr, raw + l->addr, sizeof(out->addr));
	memcpy(&handler, raw + l->pre_handler, sizeof(handler));
	if (!l->opt_known || handler != l->aggregator)
		return 0;
	if ((err = rf_live_read(g, base + l->slot, &out->slot, sizeof(out->slot))) ||
	    (err = rf_live_read(g, base + l->slot_size, &size, sizeof(size))) ||
	    (err = rf_live_read(g, base + l->copied, out->copied, sizeof(out->copied))))
		return err;
	if (!size || !rf_textpatch_is_code(t, out->slot))
		out->slot = 0;
	return 0;
}

/* include/linux/hash.h hash_ptr() */
static uint64_t bucket_of(uint64_t addr)
{
	return addr * UINT64_C(0x61c8864680b583eb) >> (64 - 6);
}

static bool find_kprobe(const struct rf_textpatch *t, const struct rf_live *g, uint64_t addr,
			struct probe *out)
{
	uint64_t node;

	if (!t->probe.known || rf_live_read(g, t->probe.table + 8 * bucket_of(addr), &node, 8))
		return false;
	for (unsigned int i = 0; node && i < CHAIN_MAX; i++) {
		if (read_probe(t, g, node, out, &node))
			return false;
		if (out->addr == addr)
			return true;
	}
	return false;
}

/* The nth breakpoint of the debugger, when it is set. */
static bool read_kgdb(const struct rf_textpatch *t, const struct rf_live *g, uint64_t n,
		      struct probe *out)
{
	const struct rf_probe_layout *l = &t->probe;
	uint64_t at = l->kgdb + n * l->kgdb_size;
	int32_t state;

	*out = (struct probe){ .kind = RF_SITE_KGDB };
	return !rf_live_read(g, at + l->kgdb_state, &state, sizeof(state)) &&
	       (state == l->kgdb_set || state == l->kgdb_active) &&
	       !rf_live_read(g, at + l->kgdb_addr, &out->addr, sizeof(out->addr));
}

static bool find_kgdb(const struct rf_textpatch *t, const struct rf_live *g, uint64_t addr,
		      struct probe *out)
{
	for (uint64_t i = 0; t->probe.kgdb_known && i < t->probe.kgdb_count; i++)
		if (read_kgdb(t, g, i, out) && out->addr == addr)
			return true;
	return false;
}

bool rf_probe_debugged(const struct rf_textpatch *t, const struct rf_live *g, uint64_t gva)
{
	struct probe p;

	return !(t->frozen >> RF_SITE_KGDB & 1) && find_kgdb(t, g, gva, &p);
}

/* --- is it a place for one? ----------------------------------------------- */

/* Where a detour's jump goes when the site holds it. */
static bool is_jump_to(uint64_t addr, const uint8_t *now, uint64_t slot)
{
	int32_t rel;

	memcpy(&rel, now + 1, sizeof(rel));
	return now[0] == 0xe9 && addr + 5 + (uint64_t)(int64_t)rel == slot;
}

/* As it would be without the breakpoints that are known. */
static void restore(const struct rf_textpatch *t, uint64_t gva, uint8_t *code, size_t len)
{
	const struct rf_patch_table *table = t->table;
	uint32_t at = (uint32_t)(gva - t->text), lo = 0, hi = table->extra_count;

	while (lo < hi) { /* the first that may reach in */
		uint32_t mid = lo + (hi - lo) / 2;

		if (table->extra[mid].at + RF_SITE_MAX_LEN <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < table->extra_count && table->extra[lo].at < at + len; lo++) {
		const struct rf_patch_site *s = &table->extra[lo];

		for (uint32_t i = 0; i < rf_shape_len(t, s); i++)
			if (s->at + i >= at && s->at + i < at + len)
				code[s->at + i - at] = s->own[i];
	}
}

/* At load the others that are armed may not be in the table yet. */
static void restore_armed(const struct rf_textpatch *t, const struct rf_live *g, uint64_t gva,
			  uint8_t *code, size_t len)
{
	struct probe p;

	if (!t->loading || t->kept || len < 5 || (code[0] != RF_INT3 && code[0] != 0xe9) ||
	    !find_kprobe(t, g, gva, &p))
		return;
	if (is_jump_to(gva, code, p.slot))
		memcpy(code + 1, p.copied, sizeof(p.copied));
	else if (code[0] != RF_INT3)
		return;
	code[0] = p.opcode;
}

/*
 * Does an instruction begin there? Decoded from the start of the function, as the kernel's
 * can_probe() does. Patch sites are as long as the table says. After bytes that the decoder does
 * not know the answer is the benefit of the doubt: the breakpoint's own byte is the text's in any
 * case.
 */
static bool is_boundary(struct rf_textpatch *t, const struct rf_live *g, uint64_t addr, rf_gva *end)
{
	uint8_t code[CHUNK + INSN_MAX];
	uint64_t at, have_end = 0, have = 0;
	struct rf_symbol sym;
	bool sure = true;

	if (rf_kernel_symbol_extent(t->k, rf_gva_of(addr), &sym, end) || sym.addr.v < t->text ||
	    addr - sym.addr.v > FUNCTION_MAX)
		return false;
	for (at = sym.addr.v; at < addr;) {
		struct rf_patch_site site;
		struct rf_shape shape;
		size_t len;

		if (rf_patch_find(t->table, (uint32_t)(at - t->text), &site, &shape) &&
		    site.at == at - t->text && shape.len > 1 && site.kind != RF_SITE_KPROBE) {
			at += shape.len;
			continue;
		}
		if (at + INSN_MAX > have_end && have_end < t->etext) {
			have = at;
			have_end = t->etext - at < sizeof(code) ? t->etext : at + sizeof(code);
			if (rf_textpatch_read(t, g->m, have, code, have_end - have))
				return false;
			restore(t, have, code, have_end - have);
		}
		if (rf_live_charge(g)) /* functions are long, and probes may be many */
			return false;
		restore_armed(t, g, at, code + (at - have), have_end - at);
		len = rf_disasm_length(t->disasm, code + (at - have), have_end - at, rf_gva_of(at));
		sure = sure && len;
		at += len ? len : 1;
	}
	return at == addr || !sure;
}

/* --- into the table ------------------------------------------------------- */

/*
 * Other breakpoints between the first byte and the end of a jump: those that are not armed step
 * aside, as they do in the kernel (arch_check_optimized_kprobe()). False: one is armed.
 */
static bool clear_tail(struct rf_textpatch *t, const struct rf_live *g, uint32_t at)
{
	for (uint32_t i = at + 1; i < at + 5; i++) {
		const struct rf_patch_site *s = rf_extra_at(t, i);
		uint8_t now;

		if (!s)
			continue;
		if (rf_textpatch_read(t, g->m, t->text + i, &now, 1) || now != s->own[0])
			return false;
		rf_extra_drop(t, i);
	}
	return true;
}

/* One that reaches over `at` from before holds its own bytes and shrinks. False: it is a jump
 * now. */
static bool shrink_before(struct rf_textpatch *t, const struct rf_live *g, uint32_t at)
{
	for (uint32_t i = at < 4 ? 0 : at - 4; i < at; i++) {
		const struct rf_patch_site *s = rf_extra_at(t, i);
		struct rf_patch_site shorter;
		uint8_t now[5];

		if (!s || i + rf_shape_len(t, s) <= at)
			continue;
		if (rf_textpatch_read(t, g->m, t->text + i, now, 5) ||
		    memcmp(now + 1, s->own + 1, 4))
			return false;
		shorter = *s;
		shorter.shape =
			s->shape == RF_SHAPE_PROBE_OPT ? RF_SHAPE_PROBE : RF_SHAPE_PROBE_GONE;
		rf_extra_put(t, &shorter);
	}
	return true;
}

/* wide: the store was behind the first byte, so the jump is on its way. */
static void take(struct rf_textpatch *t, const struct rf_live *g, const struct probe *p, bool wide)
{
	uint32_t at = (uint32_t)(p->addr - t->text);
	struct rf_patch_site s = { .at = at, .shape = RF_SHAPE_PROBE, .kind = p->kind };
	const struct rf_patch_site *old;
	uint8_t now[5];
	bool jump;
	rf_gva end;

	if (!rf_within(p->addr, sizeof(now), t->text, t->etext - t->text))
		return;
	old = rf_extra_at(t, at);
	/* Whoever took the table over knows those that were armed. */
	if (t->loading ? t->kept && !old : t->frozen >> p->kind & 1)
		return;
	if (rf_textpatch_read(t, g->m, p->addr, now, sizeof(now)) ||
	    !is_boundary(t, g, p->addr, &end) || rf_site_within(t, at, 1) ||
	    !shrink_before(t, g, at))
		return;
	old = rf_extra_at(t, at);
	jump = p->slot && is_jump_to(p->addr, now, p->slot);
	memcpy(s.own, now, sizeof(now));
	if (old) {
		memcpy(s.own, old->own, rf_shape_len(t, old));
		wide = wide || rf_shape_len(t, old) == 5;
		/* Own bytes that are not back yet are not forgotten. */
		if (rf_shape_len(t, old) == 5 && memcmp(now + 1, s.own + 1, 4))
			s.shape = RF_SHAPE_PROBE_OPT_GONE;
	} else if (t->loading && !t->kept && (jump || now[0] == RF_INT3)) {
		s.own[0] = p->opcode;
		if (jump)
			memcpy(s.own + 1, p->copied, sizeof(p->copied));
	} else if (now[0] == RF_INT3 || (p->kind == RF_SITE_KPROBE && p->opcode != now[0])) {
		return;
	}
	if (s.own[0] == RF_INT3)
		return;
	if (p->slot && (wide || jump) && end.v - p->addr >= 5 && !rf_site_within(t, at, 5) &&
	    clear_tail(t, g, at)) {
		s.shape = RF_SHAPE_PROBE_OPT;
		rf_change_add(t, RF_SET_OPT_SLOTS, p->slot);
	}
	if (rf_shape_len(t, &s) == 1)
		memset(s.own + 1, 0, sizeof(s.own) - 1);
	else
		memset(s.own + 5, 0, sizeof(s.own) - 5);
	rf_extra_put(t, &s);
}

/* An int3 is for the probe at that very place; anything else may be the tail of a jump. */
void rf_probe_refresh(struct rf_textpatch *t, const struct rf_live *g, uint64_t gva,
		      const uint8_t *bytes, size_t len)
{
	bool int3 = len == 1 && bytes[0] == RF_INT3;
	struct probe p;

	for (uint64_t back = 0; back < 5 && gva - back >= t->text; back++) {
		if (!find_kprobe(t, g, gva - back, &p))
			continue;
		take(t, g, &p, back);
		if (int3)
			break;
	}
	if (find_kgdb(t, g, gva, &p))
		take(t, g, &p, false);
}

/* --- all of them ---------------------------------------------------------- */

typedef void (*probe_fn)(struct rf_textpatch *t, const struct rf_live *g, const struct probe *p);

/* False: not all of them could be seen. */
static bool each(struct rf_textpatch *t, const struct rf_live *g, probe_fn fn)
{
	struct probe p;
	uint64_t node;

	for (unsigned int b = 0; t->probe.known && b < BUCKETS; b++) {
		if (rf_live_read(g, t->probe.table + 8 * b, &node, sizeof(node)))
			return false;
		for (unsigned int i = 0; node; i++) {
			if (i == CHAIN_MAX || read_probe(t, g, node, &p, &node))
				return false;
			fn(t, g, &p);
		}
	}
	for (uint64_t i = 0; t->probe.kgdb_known && i < t->probe.kgdb_count; i++)
		if (read_kgdb(t, g, i, &p))
			fn(t, g, &p);
	return true;
}

static void take_armed(struct rf_textpatch *t, const struct rf_live *g, const struct probe *p)
{
	uint8_t now;

	if (rf_textpatch_in_text(t, p->addr) &&
	    !rf_textpatch_read(t, g->m, p->addr, &now, sizeof(now)) &&
	    (now == RF_INT3 || now == 0xe9))
		take(t, g, p, false);
}

void rf_probe_load(struct rf_textpatch *t, const struct rf_live *g)
{
	if (!each(t, g, take_armed))
		t->stats.unread++;
}

static void note(struct rf_textpatch *t, const struct rf_live *g, const struct probe *p)
{
	struct rf_probes *all = &t->probes;

	if (p->slot)
		rf_targets_add(t, &t->targets, p->slot);
	if (!rf_textpatch_in_text(t, p->addr))
		return;
	if (all->count == sizeof(all->at) / sizeof(all->at[0]))
		all->partial = true;
	else
		all->at[all->count++] = (uint32_t)(p->addr - t->text);
}

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* One that the guest has no more: forgotten, or kept until its own bytes are back. */
static int retire(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_patch_site *s)
{
	uint8_t len = rf_shape_len(t, s), now[RF_SITE_MAX_LEN];
	struct rf_patch_site gone = *s;
	int err = rf_textpatch_read(t, m, t->text + s->at, now, len);

	if (err)
		return err;
	gone.shape = len == 5 ? RF_SHAPE_PROBE_OPT_GONE : RF_SHAPE_PROBE_GONE;
	if (memcmp(now, s->own, len))
		rf_extra_put(t, &gone);
	else
		rf_extra_drop(t, s->at);
	return 0;
}

int rf_probe_forget(struct rf_textpatch *t, const struct rf_memory *m, uint32_t at)
{
	const struct rf_patch_site *s = rf_extra_at(t, at);

	return s ? retire(t, m, s) : 0;
}

int rf_probe_sweep(struct rf_textpatch *t, const struct rf_live *g)
{
	struct rf_probes *all = &t->probes;
	int err = 0;

	if (!t->table->extra_count && !t->table->sets[RF_SET_OPT_SLOTS].count)
		return 0;
	rf_targets_clear(&t->targets);
	all->count = 0;
	all->partial = false;
	if (!each(t, g, note))
		all->partial = true;
	t->targets.partial = all->partial;
	if (!all->partial) {
		qsort(all->at, all->count, sizeof(all->at[0]), ascending);
		for (uint32_t i = t->table->extra_count; i-- && !err;) {
			const struct rf_patch_site *s = &t->table->extra[i];

			if (!all->count ||
			    !bsearch(&s->at, all->at, all->count, sizeof(all->at[0]), ascending))
				err = retire(t, g->m, s);
		}
	}
	return err ? err : rf_change_set(t, g->m, RF_SET_OPT_SLOTS, &t->targets);
}
