// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * First instructions of the kernel's functions: the usual place to write a jump to one's own code.
 * Those that lead out of the text must lead to what the kernel's own lists of hooks account for. On
 * a dump there is no seal to say what stood there before; this needs none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/entries.h"
#include "introspection/checks/pieces.h"
#include "introspection/checks/set.h"

#define BUCKETS 64u /* KPROBE_TABLE_SIZE */
#define AHEAD 24u   /* bytes behind a page, for an entry at its end */
#define POKES 256u  /* TP_VEC_MAX, TEXT_POKE_ARRAY_MAX: more cannot be patched at once */

struct entries {
	struct rf_pieces hooks;
	struct rf_set probes; /* places of kprobes, and of what is patched now */
	uint64_t page;	      /* whose bytes these are */
	uint8_t bytes[RF_PAGE_SIZE + AHEAD];
};

/* --- where an instruction leads --------------------------------------------------------- */

static uint64_t read_imm(const uint8_t *at, unsigned int size)
{
	uint64_t v = 0;

	memcpy(&v, at, size);
	return size == 4 ? (uint64_t)(int64_t)(int32_t)v : v;
}

/* mov reg, imm64, and then jmp reg, or push reg; ret. */
static uint64_t leads_by_register(const uint8_t p[AHEAD])
{
	const uint8_t *next = p + 10;

	if ((p[0] & 0xfe) != 0x48 || (p[1] & 0xf8) != 0xb8)
		return 0;
	if (*next == 0x41)
		next++;
	if ((next[0] == 0xff && (next[1] & 0xf8) == 0xe0) ||
	    ((next[0] & 0xf8) == 0x50 && next[1] == 0xc3))
		return read_imm(p + 2, 8);
	return 0;
}

/* push imm32, with the upper half written over it or not; ret. */
static uint64_t leads_by_stack(const uint8_t p[AHEAD])
{
	static const uint8_t upper[] = { 0xc7, 0x44, 0x24, 0x04 };

	if (p[0] != 0x68)
		return 0;
	if (p[5] == 0xc3)
		return read_imm(p + 1, 4);
	if (!memcmp(p + 5, upper, sizeof(upper)) && p[13] == 0xc3)
		return (read_imm(p + 1, 4) & UINT32_MAX) | read_imm(p + 9, 4) << 32;
	return 0;
}

/* Where the instructions at `at` go without any condition; 0: on. */
static uint64_t leads_to(uint64_t at, const uint8_t p[AHEAD])
{
	uint64_t to;

	if (p[0] == 0xe8 || p[0] == 0xe9)
		return at + 5 + read_imm(p + 1, 4);
	/* jmp *0(%rip): the address stands behind it. Others read a variable of the kernel's. */
	if (p[0] == 0xff && p[1] == 0x25 && !read_imm(p + 2, 4))
		return read_imm(p + 6, 8);
	to = leads_by_register(p);
	return to ? to : leads_by_stack(p);
}

/* endbr64, or what is written over it where nobody calls the function indirectly. */
static unsigned int landing(const uint8_t p[AHEAD])
{
	static const uint8_t pads[][4] = { { 0xf3, 0x0f, 0x1e, 0xfa },
					   { 0x66, 0x0f, 0x1f, 0x00 },
					   { 0x0f, 0x1f, 0x40, 0xd6 } };

	for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++)
		if (!memcmp(p, pads[i], 4))
			return 4;
	return 0;
}

/* Between functions stand more of them, where labels have names, too; and one stands behind each
 * way back to user mode, which arch/x86/entry/entry_64.S has labelled. */
static bool is_breakpoint(const uint8_t p[AHEAD], const char *name)
{
	static const char back[] = "entry_SYSRET";

	return p[0] == 0xcc && p[1] != 0xcc && strncmp(name, back, sizeof(back) - 1) != 0;
}

/* --- probes ------------------------------------------------------------------------------- */

struct probes {
	struct entries *e;
	uint64_t place;
};

static int note_probe(struct rf_run *run, uint64_t probe, void *ctx)
{
	struct probes *p = ctx;
	uint64_t place;
	int err = rf_run_u64(run, probe + p->place, &place);

	return err ? err : rf_set_add(&p->e->probes, place);
}

static int note_probes(struct rf_run *run, struct entries *e)
{
	struct probes p = { .e = e };
	uint64_t table, link;
	int err = 0;

	/* A kernel without probes has no breakpoints of theirs. */
	if (rf_run_symbol(run, "kprobe_table", &table) ||
	    rf_run_member(run, "kprobe", "hlist", 16, &link) ||
	    rf_run_member(run, "kprobe", "addr", 8, &p.place))
		return 0;
	for (uint64_t i = 0; !err && i < BUCKETS; i++)
		err = rf_run_hlist(run, table + i * 8, link, note_probe, &p);
	return err;
}

/*
 * While the kernel patches it puts a breakpoint on each place first: text_poke_bp_batch() of 6.1
 * and 6.12 on those of bp_desc, as long as its refs are not 0; smp_text_poke_batch_finish() of 7.3
 * on those of text_poke_array (arch/x86/kernel/alternative.c). Each has its distance from _stext.
 */
static int note_poke(struct rf_run *run, struct entries *e, const char *type, uint64_t vec,
		     uint32_t count)
{
	uint64_t stext, each, distance;
	int err = rf_run_symbol(run, "_stext", &stext);

	if (err || rf_run_sizeof(run, type, &each) ||
	    rf_run_member(run, type, "rel_addr", 4, &distance))
		return err;
	for (uint32_t i = 0; !err && i < count && i < POKES; i++) {
		uint32_t from;

		err = rf_run_u32(run, vec + i * each + distance, &from);
		if (!err)
			err = rf_set_add(&e->probes, stext + (uint64_t)(int64_t)(int32_t)from);
	}
	return err;
}

static int note_pokes(struct rf_run *run, struct entries *e)
{
	uint64_t at, vec, entries, refs;
	uint32_t count = 0, busy = 1;
	int err;

	if (rf_run_has(run, "smp_text_poke_array", "vec")) {
		if ((err = rf_run_symbol(run, "text_poke_array", &at)) ||
		    (err = rf_run_member(run, "smp_text_poke_array", "vec", 0, &vec)) ||
		    (err = rf_run_member(run, "smp_text_poke_array", "nr_entries", 4, &entries)) ||
		    (err = rf_run_u32(run, at + entries, &count)))
			return err;
		return note_poke(run, e, "smp_text_poke_loc", at + vec, count);
	}
	/* Of other kernels a patch is found as what it looks like. */
	if (!rf_run_has(run, "bp_patching_desc", "refs") || rf_run_symbol(run, "bp_desc", &at))
		return 0;
	if ((err = rf_run_member(run, "bp_patching_desc", "vec", 8, &vec)) ||
	    (err = rf_run_member(run, "bp_patching_desc", "nr_entries", 4, &entries)) ||
	    (err = rf_run_member(run, "bp_patching_desc", "refs", 4, &refs)) ||
	    (err = rf_run_u32(run, at + refs, &busy)) || !busy ||
	    (err = rf_run_u32(run, at + entries, &count)) ||
	    (err = rf_run_u64(run, at + vec, &vec)))
		return err;
	return note_poke(run, e, "text_poke_loc", vec, count);
}

/* --- functions ------------------------------------------------------------------------------ */

static int look_at_entry(struct rf_run *run, struct entries *e, const struct rf_symbol *s)
{
	uint64_t at = s->addr.v, page = at & ~(RF_PAGE_SIZE - 1), target;
	const uint8_t *p = e->bytes + at % RF_PAGE_SIZE;
	struct rf_owner owner;
	char what[96];
	int err = 0;

	if (e->page != page)
		err = rf_run_read(run, page, e->bytes, sizeof(e->bytes));
	if (err)
		return err;
	e->page = page;
	rf_run_saw(run);
	snprintf(what, sizeof(what), "entry of %.60s", s->name);
	at += landing(p);
	p += landing(p);
	if (is_breakpoint(p, s->name))
		return rf_set_has(&e->probes, at)
			       ? 0
			       : rf_run_found(run, at, what, 0,
					      "a breakpoint is there, and no list has its probe");
	target = leads_to(at, p);
	if (!target || !rf_is_kernel(target) || rf_run_in_text(run, target) ||
	    rf_pieces_find(&e->hooks, target))
		return 0;
	err = rf_run_owner(run, target, &owner);
	/* BPF's trampolines, and functions that a module has ftrace call directly. */
	if (err || owner.vouched || owner.code == RF_CODE_BPF)
		return err;
	return rf_run_found(run, at, what, target,
			    "it leads out of the kernel's text, and no list of hooks accounts "
			    "for it");
}

/* Trampolines of static calls are no functions, and have a check of their own. */
static bool is_entry(const struct rf_run *run, const struct rf_symbol *s)
{
	return strchr("tTwW", s->type) && rf_run_in_text(run, s->addr.v) &&
	       strncmp(s->name, "__SCT__", 7) != 0;
}

int rf_run_entries(struct rf_run *run)
{
	const struct rf_kernel *k = rf_run_kernel(run);
	struct entries e = { 0 };
	uint64_t last = 0;
	int err = rf_pieces_of_hooks(run, &e.hooks);

	if (!err)
		err = note_probes(run, &e);
	if (!err)
		err = note_pokes(run, &e);
	rf_set_sort(&e.probes);
	for (size_t i = 0, n = rf_kernel_symbol_count(k); !err && i < n; i++) {
		struct rf_symbol s;

		rf_kernel_symbol_at(k, i, &s);
		if (s.addr.v == last || !is_entry(run, &s))
			continue;
		last = s.addr.v;
		err = look_at_entry(run, &e, &s);
	}
	rf_set_deinit(&e.probes);
	rf_pieces_deinit(&e.hooks);
	return err;
}
