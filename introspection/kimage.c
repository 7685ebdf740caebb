// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/kimage.h"

#include <errno.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/scratch.h"

/* Every entry of every table below the window, were it all mapped in 4 KiB pages. */
#define WALK_ENTRIES (UINT64_C(512) * 512 + 512 + 2 + 4)
#define IMAGE_MAX (UINT64_C(256) << 20)
/* One read call each: few enough callbacks to cost nothing, small enough to stay in the cache. */
#define SCAN_BLOCK ((size_t)1 << 20)
/*
 * Places that may look like a token table, and token tables that may lead nowhere, before we give
 * up.
 */
#define PROBES_MAX 1024
#define TABLES_MAX 4

struct extent {
	uint64_t distance, first, last; /* last is exclusive */
};

static int widen(void *ctx, const struct rf_mapping *run)
{
	struct extent *e = ctx;

	if (run->gva.v - run->gpa.v != e->distance)
		return 0;
	if (e->first == e->last)
		e->first = run->gva.v;
	e->last = run->gva.v + run->size;
	return 0;
}

int rf_kimage_find(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		   struct rf_image *out, struct rf_diag *diag)
{
	struct rf_translation t;
	struct extent e = { 0 };
	int r;

	if (!rf_within(inside.v, 1, RF_KIMAGE_WINDOW, RF_KIMAGE_WINDOW_SIZE))
		return rf_diag_fail(diag, -ENOENT, "%#llx is not in the kernel-image window",
				    (unsigned long long)inside.v);
	r = rf_pt_translate(m, p, inside, &t);
	if (r)
		return rf_diag_fail(diag, r, "%#llx: no translation in page tables at %#llx",
				    (unsigned long long)inside.v, (unsigned long long)p->root.v);
	e.distance = inside.v - t.gpa.v;
	r = rf_pt_walk(m, p, rf_gva_of(RF_KIMAGE_WINDOW),
		       rf_gva_of(RF_KIMAGE_WINDOW + RF_KIMAGE_WINDOW_SIZE), WALK_ENTRIES, widen,
		       &e);
	if (r)
		return rf_diag_fail(diag, r,
				    "page tables of the kernel-image window are malformed");
	if (e.last - e.first > IMAGE_MAX || !rf_within(inside.v, 1, e.first, e.last - e.first))
		return rf_diag_fail(diag, -EBADMSG, "image [%#llx, %#llx) is no kernel image",
				    (unsigned long long)e.first, (unsigned long long)e.last);
	*out = (struct rf_image){ rf_gva_of(e.first), rf_gpa_of(e.first - e.distance),
				  e.last - e.first };
	return 0;
}

int rf_kimage_gpa(const struct rf_image *image, rf_gva gva, uint64_t len, rf_gpa *out)
{
	if (!rf_within(gva.v, len, image->base.v, image->size))
		return -ENOENT;
	out->v = image->gpa.v + (gva.v - image->base.v);
	return 0;
}

struct scan {
	const struct rf_memory *m;
	const struct rf_image *image, *within;
	rf_gva inside;
	unsigned int probes, tables; /* how many of each are still allowed */
	struct rf_diag *diag;
	struct rf_kallsyms found; /* the first that decoded */
};

/*
 * Copies what lies within `before` and `after` bytes of offset `at`. The bytes are scratch:
 * free them.
 */
static int make_view(const struct scan *s, uint64_t at, size_t before, size_t after, void **bytes,
		     struct rf_kallsyms_view *view, size_t *digits)
{
	uint64_t from = at > before ? (at - before) & ~UINT64_C(7) : 0;
	uint64_t to = s->within->size - at > after ? at + after : s->within->size;
	void *copy = rf_scratch_alloc(to - from);
	int r;

	if (!copy)
		return rf_diag_fail(s->diag, -ENOMEM, "no memory for %zu bytes of the image",
				    (size_t)(to - from));
	r = rf_memory_read(s->m, rf_gpa_of(s->within->gpa.v + from), copy, to - from);
	if (r) {
		rf_scratch_free(copy, to - from);
		return rf_diag_fail(s->diag, r, "cannot read the image at %#llx",
				    (unsigned long long)(s->within->base.v + from));
	}
	*view = (struct rf_kallsyms_view){
		.bytes = copy,
		.len = to - from,
		.addr = rf_gva_of(s->within->base.v + from),
		.first = s->image->base,
		.last = rf_gva_of(RF_KIMAGE_WINDOW + RF_KIMAGE_WINDOW_SIZE - 1),
		.inside = s->inside,
	};
	*bytes = copy;
	*digits = at - from;
	return 0;
}

static int decode_around(struct scan *s, uint64_t at, size_t before, size_t after,
			 struct rf_kallsyms *out)
{
	struct rf_kallsyms_view view;
	size_t digits;
	void *bytes;
	int r;

	r = make_view(s, at, before, after, &bytes, &view, &digits);
	if (r)
		return r;
	r = rf_kallsyms_decode(&view, digits, out, s->diag);
	rf_scratch_free(bytes, view.len);
	return r;
}

/* The digits at offset `at`: -ENOENT when they are something else's. */
static int try_digits(struct scan *s, uint64_t at)
{
	struct rf_kallsyms table = { 0 };
	struct rf_kallsyms_view view;
	size_t digits;
	void *bytes;
	bool tokens;
	int r;

	if (!s->probes--)
		return rf_diag_fail(s->diag, -E2BIG, "too many places look like kallsyms");
	r = make_view(s, at, RF_KALLSYMS_TOKENS, RF_KALLSYMS_TOKENS, &bytes, &view, &digits);
	if (r)
		return r;
	tokens = rf_kallsyms_probe(&view, digits);
	rf_scratch_free(bytes, view.len);
	if (!tokens)
		return -ENOENT;
	if (!s->tables--)
		return rf_diag_fail(s->diag, -E2BIG, "too many tables look like kallsyms");
	/* What a distribution's kernel needs; the rest is read for a much larger one only. */
	r = decode_around(s, at, RF_KALLSYMS_BEFORE / 3, RF_KALLSYMS_AFTER / 2, &table);
	if (r == -EBADMSG)
		r = decode_around(s, at, RF_KALLSYMS_BEFORE, RF_KALLSYMS_AFTER, &table);
	if (r)
		return r;
	if (s->found.count) {
		rf_kallsyms_deinit(&table);
		return rf_diag_fail(s->diag, -E2BIG, "more than one kallsyms, one near %#llx",
				    (unsigned long long)(s->within->base.v + at));
	}
	s->found = table;
	return 0;
}

/*
 * Every place in the block where the digits stand. 0: what decodes is in s->found; -EBADMSG: what
 * was there did not; any other error ends the search.
 */
static int try_block(struct scan *s, const uint8_t *block, size_t len, uint64_t at)
{
	const uint8_t *from = block, *hit;
	int r, bad = 0;

	while ((hit = memmem(from, len - (from - block), rf_kallsyms_digits,
			     RF_KALLSYMS_DIGITS_LEN))) {
		r = try_digits(s, at + (hit - block));
		if (r == -EBADMSG)
			bad = r;
		else if (r && r != -ENOENT)
			return r;
		from = hit + 1;
	}
	return bad;
}

int rf_kimage_symbols(const struct rf_memory *m, const struct rf_image *image,
		      const struct rf_image *within, rf_gva inside, struct rf_kallsyms *out,
		      struct rf_diag *diag)
{
	const size_t overlap = RF_KALLSYMS_DIGITS_LEN - 1;
	struct scan s = { m, image, within, inside, PROBES_MAX, TABLES_MAX, diag, { 0 } };
	uint8_t *block = rf_scratch_alloc(SCAN_BLOCK);
	int r = 0, none = -ENOENT;
	uint64_t at;
	size_t len;

	if (!block)
		return rf_diag_fail(diag, -ENOMEM, "no memory to scan the image");
	rf_diag_fail(diag, 0, "no kallsyms in [%#llx, %#llx)", (unsigned long long)within->base.v,
		     (unsigned long long)(within->base.v + within->size));
	for (at = 0; at < within->size && !r; at += SCAN_BLOCK - overlap) {
		len = within->size - at < SCAN_BLOCK ? within->size - at : SCAN_BLOCK;
		r = rf_memory_read(m, rf_gpa_of(within->gpa.v + at), block, len);
		if (r)
			rf_diag_fail(diag, r, "cannot read the image at %#llx",
				     (unsigned long long)(within->base.v + at));
		else
			r = try_block(&s, block, len, at);
		if (r == -EBADMSG) {
			none = r;
			r = 0;
		}
	}
	rf_scratch_free(block, SCAN_BLOCK);
	if (r || !s.found.count) {
		rf_kallsyms_deinit(&s.found);
		return r == -E2BIG ? -EBADMSG : r ? r : none;
	}
	*out = s.found;
	return 0;
}
