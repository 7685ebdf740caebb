// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/locate.h"

#include <errno.h>
#include <string.h>

#include "introspection/budget.h"
#include "introspection/diag.h"
#include "introspection/kernel_internal.h"
#include "introspection/kimage.h"
#include "introspection/scratch.h"

/*
 * Full tries: each reads an image and decodes what may be its symbols. A kernel needs one, and one
 * for each pair of tables under page-table isolation; the rest is for what only looks like one.
 */
#define TRIES_MAX 16u
#define HINTS_MAX 256u
/* Reads of page tables that are followed while memory is searched; a guest needs some thousands. */
#define SEARCH_BYTES (UINT64_C(1) << 42) /* looked through for page tables */
#define SEARCH_READS (UINT64_C(1) << 24)
#define BLOCK ((size_t)1 << 18)
/* Entries of one root that are looked at, until its first executable mappings are known. */
#define WALK_ENTRIES UINT64_C(2048)
/* Mappings at different distances from their memory: of these the image is the first. */
#define TEXTS_MAX 4u
/* Roots of all processes lead to the same tables of the kernel: what was followed lately. */
#define SEEN 1024u

struct text {
	rf_gva gva;
	rf_gpa gpa;
};

struct texts {
	struct text at[TEXTS_MAX];
	unsigned int count;
};

struct locate {
	const struct rf_memory *m; /* the dump itself */
	struct rf_memory tables;   /* the same, with the budget of the search */
	struct rf_budget budget;
	struct rf_diag *diag, last; /* last: why the last try failed */
	struct text tried[TRIES_MAX];
	unsigned int tries;
	bool spent; /* more than TRIES_MAX */
	struct rf_kernel *found;
	struct rf_paging paging;
	uint64_t seen[SEEN];
};

static bool in_window(uint64_t gva)
{
	return rf_within(gva, 1, RF_KIMAGE_WINDOW, RF_KIMAGE_WINDOW_SIZE);
}

/* --- one try -------------------------------------------------------------------------- */

static bool maps_itself(const struct rf_memory *m, const struct rf_kernel *k,
			const struct rf_paging *p, rf_gva inside)
{
	struct rf_translation t;
	rf_gpa gpa;

	return !rf_kimage_gpa(&k->image, inside, 1, &gpa) && !rf_pt_translate(m, p, inside, &t) &&
	       t.gpa.v == gpa.v;
}

/*
 * The levels by which the kernel was found are a claim, or a guess: a table of five levels' fourth
 * is a root of four. The kernel's own root maps the kernel with one number of levels alone.
 */
static int settle(const struct rf_memory *m, struct rf_kernel *k, rf_gva inside,
		  struct rf_paging *paging, struct rf_diag *diag)
{
	struct rf_paging four, five;
	bool by_four, by_five;

	if (rf_kernel_paging(k, &four))
		return rf_diag_fail(diag, -EBADMSG, "the kernel has no page tables of its own");
	five = four;
	four.levels = 4;
	five.levels = 5;
	by_four = maps_itself(m, k, &four, inside);
	by_five = maps_itself(m, k, &five, inside);
	if (by_four == by_five)
		return rf_diag_fail(diag, -EBADMSG,
				    "the kernel's own page tables at %#llx do not map it",
				    (unsigned long long)four.root.v);
	*paging = by_five ? five : four;
	k->levels = paging->levels;
	return 0;
}

/* False: it was tried, it is the kernel that was found already, or no try is left. */
static bool is_new(struct locate *l, const struct text *text)
{
	const struct rf_image *image = l->found ? rf_kernel_image(l->found) : NULL;

	if (image && rf_within(text->gva.v, 1, image->base.v, image->size) &&
	    text->gva.v - image->base.v == text->gpa.v - image->gpa.v)
		return false;
	for (unsigned int i = 0; i < l->tries; i++)
		if (l->tried[i].gva.v == text->gva.v && l->tried[i].gpa.v == text->gpa.v)
			return false;
	if (l->tries == TRIES_MAX) {
		l->spent = true;
		return false;
	}
	l->tried[l->tries++] = *text;
	return true;
}

/* A kernel around that text, by these page tables. Only -ENOMEM, and a second kernel, end it all.
 */
static int try_text(struct locate *l, const struct rf_paging *p, const struct text *text)
{
	struct rf_kernel *k;
	struct rf_paging paging;
	int r;

	if (!is_new(l, text))
		return 0;
	r = rf_kernel_discover(l->m, p, text->gva, &k, &l->last);
	if (r)
		return r == -ENOMEM ? r : 0;
	r = settle(l->m, k, text->gva, &paging, &l->last);
	if (!r && l->found && rf_kernel_image(l->found)->gpa.v != rf_kernel_image(k)->gpa.v)
		r = rf_diag_fail(l->diag, -E2BIG, "more than one kernel, at %#llx and at %#llx",
				 (unsigned long long)rf_kernel_image(l->found)->gpa.v,
				 (unsigned long long)rf_kernel_image(k)->gpa.v);
	if (r || l->found) {
		rf_kernel_destroy(k);
		return r == -E2BIG ? -EBADMSG : 0;
	}
	l->found = k;
	l->paging = paging;
	return 0;
}

static int try_address(struct locate *l, const struct rf_paging *p, uint64_t gva)
{
	struct rf_translation t;
	struct text text;

	if (!in_window(gva) || rf_pt_translate(l->m, p, rf_gva_of(gva), &t))
		return 0;
	text = (struct text){ rf_gva_of(gva), t.gpa };
	return try_text(l, p, &text);
}

/* --- by registers ----------------------------------------------------------------------- */

static int try_hint(struct locate *l, const struct rf_locate_hint *hint)
{
	/* Page fault, divide error: nothing replaces their handlers. */
	static const uint8_t vectors[] = { 14, 0 };
	const struct rf_paging p = rf_paging_of(hint->cr3, hint->cr4);
	rf_gva handler;
	int r = 0;

	for (size_t i = 0; i < sizeof(vectors) && hint->idt_base && !r && !l->found; i++)
		if (!rf_gate_target(l->m, &p, rf_gva_of(hint->idt_base), vectors[i], &handler))
			r = try_address(l, &p, handler.v);
	if (!r && !l->found)
		r = try_address(l, &p, hint->rip);
	return r;
}

/* --- by page tables that lie in memory --------------------------------------------------- */

static int note_text(void *ctx, const struct rf_mapping *run)
{
	struct texts *t = ctx;

	if (!run->executable || run->user)
		return 0;
	for (unsigned int i = 0; i < t->count; i++)
		if (t->at[i].gva.v - t->at[i].gpa.v == run->gva.v - run->gpa.v)
			return 0;
	t->at[t->count++] = (struct text){ run->gva, run->gpa };
	return t->count == TEXTS_MAX;
}

static int try_root(struct locate *l, uint64_t table, uint8_t levels)
{
	const struct rf_paging p = { rf_gpa_of(table), levels };
	struct texts texts = { 0 };
	int r = 0;

	/* However it ends: what was mapped before that counts. */
	rf_pt_walk(&l->tables, &p, rf_gva_of(RF_KIMAGE_WINDOW),
		   rf_gva_of(RF_KIMAGE_WINDOW + RF_KIMAGE_WINDOW_SIZE), WALK_ENTRIES, note_text,
		   &texts);
	for (unsigned int i = 0; i < texts.count && !r; i++)
		r = try_text(l, &p, &texts.at[i]);
	return r;
}

static int try_page(struct locate *l, uint64_t table, uint64_t last_entry)
{
	uint64_t next;
	int r;

	if (!rf_pt_leads_on(last_entry, &next) || l->seen[next / RF_PAGE_SIZE % SEEN] == next + 1)
		return 0;
	l->seen[next / RF_PAGE_SIZE % SEEN] = next + 1;
	r = try_root(l, table, 4);
	return r ? r : try_root(l, table, 5);
}

/* What cannot be read is no page table; the rest of the block may be. */
static int search_block(struct locate *l, uint64_t at, uint8_t *block, size_t len)
{
	bool whole = !rf_memory_read(l->m, rf_gpa_of(at), block, len);
	int r = 0;

	for (size_t page = 0; page < len && !r && !l->budget.spent; page += RF_PAGE_SIZE) {
		uint8_t *last = block + page + RF_PAGE_SIZE - sizeof(uint64_t);
		uint64_t entry;

		if (!whole &&
		    rf_memory_read(l->m, rf_gpa_of(at + (last - block)), last, sizeof(entry)))
			continue;
		memcpy(&entry, last, sizeof(entry));
		r = try_page(l, at + page, entry);
	}
	return r;
}

static int search(struct locate *l, const struct rf_locate_range *ranges, size_t count)
{
	uint8_t *block = rf_scratch_alloc(BLOCK);
	uint64_t at, end, blocks = SEARCH_BYTES / BLOCK;
	int r = 0;

	if (!block)
		return rf_diag_fail(l->diag, -ENOMEM, "no memory to search for a kernel");
	for (size_t i = 0; i < count && !r; i++) {
		end = rf_page_down(ranges[i].start.v + ranges[i].size);
		for (at = rf_page_up(ranges[i].start.v); at < end && !r; at += BLOCK) {
			/* A file may say that it has more memory than there is in the world. */
			if (!blocks--) {
				l->spent = true;
				break;
			}
			r = search_block(l, at, block, end - at < BLOCK ? end - at : BLOCK);
		}
		if (l->spent)
			break;
	}
	rf_scratch_free(block, BLOCK);
	if (!r && (l->budget.spent || l->spent))
		r = rf_diag_fail(l->diag, -E2BIG, "too much of this memory looks like a kernel");
	return r;
}

static int locate(struct locate *l, const struct rf_locate_hint *hints, size_t hint_count,
		  const struct rf_locate_range *ranges, size_t range_count)
{
	int r = 0;

	for (size_t i = 0; i < hint_count && i < HINTS_MAX && !r && !l->found; i++)
		if (hints[i].cr3)
			r = try_hint(l, &hints[i]);
	if (r || l->found)
		return r;
	l->tries = 0;
	l->spent = false;
	rf_budget_begin(&l->budget, SEARCH_READS);
	r = search(l, ranges, range_count);
	if (!r && !l->found)
		r = rf_diag_fail(l->diag, -ENOENT, "no kernel in this memory%s%.200s",
				 l->last.text[0] ? ": " : "", l->last.text);
	return r;
}

int rf_kernel_locate(const struct rf_memory *m, const struct rf_locate_hint *hints,
		     size_t hint_count, const struct rf_locate_range *ranges, size_t range_count,
		     struct rf_kernel **out, struct rf_paging *paging, struct rf_diag *diag)
{
	struct locate l = { .m = m, .budget = { .to = *m }, .diag = diag };
	int r;

	l.tables = (struct rf_memory){ rf_budget_read, &l.budget };
	r = locate(&l, hints, hint_count, ranges, range_count);
	if (r) {
		rf_kernel_destroy(l.found);
		return r;
	}
	*out = l.found;
	*paging = l.paging;
	return 0;
}
