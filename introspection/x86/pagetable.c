// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/pagetable.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Entry bits: Intel SDM vol. 3A tables 4-14 to 4-20; AMD APM vol. 2 figures 5-18 to 5-27. */
#define PTE_PRESENT (UINT64_C(1) << 0)
#define PTE_WRITE (UINT64_C(1) << 1)
#define PTE_USER (UINT64_C(1) << 2)
#define PTE_LARGE (UINT64_C(1) << 7)
#define PTE_NX (UINT64_C(1) << 63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)

#define ENTRIES 512u
#define MAX_LEVELS RF_PT_LEVELS_MAX

_Static_assert(ENTRIES * sizeof(uint64_t) == RF_PAGE_SIZE, "a table is one page");

/* Level 0 holds 4 KiB entries. */
static unsigned int level_shift(unsigned int level)
{
	return RF_PAGE_SHIFT + 9 * level;
}

static unsigned int level_index(uint64_t gva, unsigned int level)
{
	return gva >> level_shift(level) & (ENTRIES - 1);
}

static bool canonical(uint64_t gva, unsigned int levels)
{
	unsigned int unused = 64 - level_shift(levels);

	return (uint64_t)((int64_t)(gva << unused) >> unused) == gva;
}

static bool paging_valid(const struct rf_paging *p)
{
	return (p->levels == 4 || p->levels == 5) && !(p->root.v & ~PTE_ADDR);
}

static bool is_leaf(uint64_t entry, unsigned int level)
{
	return level == 0 || entry & PTE_LARGE;
}

/*
 * Where a leaf points. Address bits below the page size are reserved but for bit 12, which is PAT
 * in a large entry; the processor faults on them, so a table that has them maps nothing it could
 * use. A large bit above 1 GiB is reserved too.
 */
static int leaf_address(uint64_t entry, unsigned int level, uint64_t *out)
{
	uint64_t low = (UINT64_C(1) << level_shift(level)) - 1;
	uint64_t addr = entry & PTE_ADDR;

	if (level > 2)
		return -EBADMSG;
	if (level > 0)
		addr &= ~RF_PAGE_SIZE;
	if (addr & low)
		return -EBADMSG;
	*out = addr;
	return 0;
}

bool rf_pt_leads_on(uint64_t entry, uint64_t *next)
{
	*next = entry & PTE_ADDR;
	return (entry & (PTE_PRESENT | PTE_LARGE | PTE_NX)) == PTE_PRESENT;
}

int rf_pt_trace(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		struct rf_pt_step steps[RF_PT_LEVELS_MAX], unsigned int *count,
		struct rf_translation *out)
{
	uint64_t entry = 0, base, table = p->root.v, all = PTE_WRITE | PTE_USER, nx = 0;
	unsigned int level = p->levels;
	rf_gpa at;
	int r;

	*count = 0;
	if (!paging_valid(p) || !canonical(gva.v, p->levels))
		return -EINVAL;
	do {
		level--;
		at = rf_gpa_of(table + level_index(gva.v, level) * sizeof(entry));
		r = rf_memory_read(m, at, &entry, sizeof(entry));
		if (r)
			return r;
		steps[(*count)++] = (struct rf_pt_step){ at, entry, level };
		if (!(entry & PTE_PRESENT))
			return -ENOENT;
		all &= entry;
		nx |= entry & PTE_NX;
		table = entry & PTE_ADDR;
	} while (!is_leaf(entry, level));

	r = leaf_address(entry, level, &base);
	if (r)
		return r;
	*out = (struct rf_translation){
		.gpa = rf_gpa_of(base + (gva.v & ((UINT64_C(1) << level_shift(level)) - 1))),
		.page_size = UINT64_C(1) << level_shift(level),
		.writable = all & PTE_WRITE,
		.user = all & PTE_USER,
		.executable = !nx,
	};
	return 0;
}

int rf_pt_translate(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		    struct rf_translation *out)
{
	struct rf_pt_step steps[RF_PT_LEVELS_MAX];
	unsigned int count;

	return rf_pt_trace(m, p, gva, steps, &count, out);
}

const char *rf_pt_level_text(unsigned int level)
{
	static const char *const names[] = { "PT", "PD", "PDPT", "PML4", "PML5" };

	return level < RF_PT_LEVELS_MAX ? names[level] : "?";
}

const char *rf_pt_flags_text(const struct rf_pt_step *step, char out[RF_PT_FLAGS_TEXT])
{
	/* Without the first the processor looks at none of the others. */
	static const struct {
		uint64_t bit;
		const char *table, *page;
	} flags[] = {
		{ PTE_PRESENT, "present", "present" },
		{ PTE_WRITE, "writable", "writable" },
		{ PTE_USER, "user", "user" },
		{ UINT64_C(1) << 3, "write-through", "write-through" },
		{ UINT64_C(1) << 4, "uncached", "uncached" },
		{ UINT64_C(1) << 5, "accessed", "accessed" },
		{ UINT64_C(1) << 6, NULL, "dirty" },
		{ PTE_LARGE, "large", "large" },
		{ UINT64_C(1) << 8, NULL, "global" },
		{ PTE_NX, "nx", "nx" },
	};
	bool leaf = is_leaf(step->entry, step->level);
	char *to = out;

	snprintf(out, RF_PT_FLAGS_TEXT, "not present");
	for (size_t i = 0; step->entry & PTE_PRESENT && i < sizeof(flags) / sizeof(flags[0]); i++) {
		const char *text = leaf ? flags[i].page : flags[i].table;

		if (!(step->entry & flags[i].bit) || !text)
			continue;
		if (flags[i].bit == PTE_LARGE && !step->level)
			text = "pat";
		to += snprintf(to, out + RF_PT_FLAGS_TEXT - to, "%s%s", to == out ? "" : " ", text);
	}
	return out;
}

int rf_pt_read(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva, void *buf,
	       size_t len)
{
	struct rf_translation t;
	uint8_t *to = buf;
	size_t part;
	int r;

	if (len && gva.v + (len - 1) < gva.v)
		return -EINVAL;
	while (len) {
		r = rf_pt_translate(m, p, gva, &t);
		if (r)
			return r;
		part = t.page_size - (gva.v & (t.page_size - 1));
		if (part > len)
			part = len;
		r = rf_memory_read(m, t.gpa, to, part);
		if (r)
			return r;
		to += part;
		len -= part;
		gva.v += part;
	}
	return 0;
}

/* One table per level of the current path; a run is held back until it cannot grow. */
struct walk {
	uint64_t table[MAX_LEVELS][ENTRIES];
	uint64_t rights[MAX_LEVELS]; /* WRITE|USER granted and NX demanded by the levels above */
	struct rf_mapping run;	     /* size 0: none pending */
	int (*fn)(void *ctx, const struct rf_mapping *run);
	void *ctx;
};

static int emit(struct walk *w)
{
	struct rf_mapping run = w->run;

	w->run.size = 0;
	return run.size ? w->fn(w->ctx, &run) : 0;
}

static int add(struct walk *w, uint64_t gva, uint64_t gpa, uint64_t size, uint64_t rights)
{
	bool writable = rights & PTE_WRITE, user = rights & PTE_USER,
	     executable = !(rights & PTE_NX);
	struct rf_mapping *run = &w->run;
	int r;

	if (run->size && run->gva.v + run->size == gva && run->gpa.v + run->size == gpa &&
	    run->writable == writable && run->user == user && run->executable == executable) {
		run->size += size;
		return 0;
	}
	r = emit(w);
	if (r)
		return r;
	*run =
		(struct rf_mapping){ rf_gva_of(gva), rf_gpa_of(gpa), size,
				     writable,	     user,	     executable };
	return 0;
}

static uint64_t combine(uint64_t above, uint64_t entry)
{
	return (above & entry & (PTE_WRITE | PTE_USER)) | ((above | entry) & PTE_NX);
}

/*
 * A loop with a level counter, not recursion: the depth is the guest's to choose only within
 * `levels`. `last` is inclusive, so that the top of the address space needs no special case.
 */
static int walk_tables(struct walk *w, const struct rf_memory *m, const struct rf_paging *p,
		       uint64_t cur, uint64_t last, uint64_t budget)
{
	unsigned int top = p->levels - 1, level = top;
	uint64_t entry, rights, base, end;
	int r;

	r = rf_memory_read(m, p->root, w->table[top], RF_PAGE_SIZE);
	if (r)
		return r;
	w->rights[top] = PTE_WRITE | PTE_USER;
	for (;;) {
		if (!budget--)
			return -E2BIG;
		entry = w->table[level][level_index(cur, level)];
		rights = combine(w->rights[level], entry);
		if (entry & PTE_PRESENT && !is_leaf(entry, level)) {
			level--;
			r = rf_memory_read(m, rf_gpa_of(entry & PTE_ADDR), w->table[level],
					   RF_PAGE_SIZE);
			if (r)
				return r;
			w->rights[level] = rights;
			continue;
		}
		end = cur | ((UINT64_C(1) << level_shift(level)) - 1);
		if (end > last)
			end = last;
		if (entry & PTE_PRESENT) {
			r = leaf_address(entry, level, &base);
			if (r)
				return r;
			base += cur & ((UINT64_C(1) << level_shift(level)) - 1);
			r = add(w, cur, base, end - cur + 1, rights);
			if (r)
				return r;
		}
		if (end == last)
			return emit(w);
		cur = end + 1;
		while (level < top && level_index(cur, level) == 0)
			level++;
	}
}

int rf_pt_walk(const struct rf_memory *m, const struct rf_paging *p, rf_gva start, rf_gva end,
	       uint64_t max_entries, int (*fn)(void *ctx, const struct rf_mapping *run), void *ctx)
{
	struct walk w;
	uint64_t last = end.v - 1;

	if (!paging_valid(p) || !canonical(start.v, p->levels) || !canonical(last, p->levels))
		return -EINVAL;
	if (start.v & (RF_PAGE_SIZE - 1) || end.v & (RF_PAGE_SIZE - 1))
		return -EINVAL;
	if (start.v == end.v)
		return 0;
	/* One half at a time: between the halves lies what no table describes. */
	if (start.v > last || (start.v ^ last) >> 63)
		return -EINVAL;
	w.run.size = 0;
	w.fn = fn;
	w.ctx = ctx;
	return walk_tables(&w, m, p, start.v, last, max_entries);
}
