// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/kimage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"

/* Every entry of every table below the window, were it all mapped in 4 KiB pages. */
#define WALK_ENTRIES (UINT64_C(512) * 512 + 512 + 2 + 4)
#define IMAGE_MAX (UINT64_C(256) << 20)
/* One read call each: few enough callbacks to cost nothing, small enough to stay in the cache. */
#define SCAN_BLOCK ((size_t)1 << 20)
/* Places that may look like a token table and be none before we give up; each costs a large read. */
#define CANDIDATES_MAX 16

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
		       rf_gva_of(RF_KIMAGE_WINDOW + RF_KIMAGE_WINDOW_SIZE), WALK_ENTRIES, widen, &e);
	if (r)
		return rf_diag_fail(diag, r, "page tables of the kernel-image window are malformed");
	if (e.last - e.first > IMAGE_MAX || !rf_within(inside.v, 1, e.first, e.last - e.first))
		return rf_diag_fail(diag, -EBADMSG, "image [%#llx, %#llx) is no kernel image",
				    (unsigned long long)e.first, (unsigned long long)e.last);
	*out = (struct rf_image){ rf_gva_of(e.first), rf_gpa_of(e.first - e.distance), e.last - e.first };
	return 0;
}

int rf_kimage_gpa(const struct rf_image *image, rf_gva gva, uint64_t len, rf_gpa *out)
{
	if (!rf_within(gva.v, len, image->base.v, image->size))
		return -ENOENT;
	out->v = image->gpa.v + (gva.v - image->base.v);
	return 0;
}

/* Decodes around the digits at image offset `at` with as much on either side as the tables can need. */
static int decode_at(const struct rf_memory *m, const struct rf_image *image, uint64_t at, rf_gva inside,
		     struct rf_kallsyms *out, struct rf_diag *diag)
{
	uint64_t from = at > RF_KALLSYMS_BEFORE ? (at - RF_KALLSYMS_BEFORE) & ~UINT64_C(7) : 0;
	uint64_t to = image->size - at > RF_KALLSYMS_AFTER ? at + RF_KALLSYMS_AFTER : image->size;
	struct rf_kallsyms_view view = {
		.len = to - from,
		.addr = rf_gva_of(image->base.v + from),
		.first = image->base,
		.last = rf_gva_of(RF_KIMAGE_WINDOW + RF_KIMAGE_WINDOW_SIZE - 1),
		.inside = inside,
	};
	uint8_t *bytes = malloc(view.len);
	int r;

	if (!bytes)
		return rf_diag_fail(diag, -ENOMEM, "no memory for %zu bytes of the image", view.len);
	r = rf_memory_read(m, rf_gpa_of(image->gpa.v + from), bytes, view.len);
	view.bytes = bytes;
	if (r)
		rf_diag_fail(diag, r, "cannot read the image at %#llx", (unsigned long long)view.addr.v);
	else
		r = rf_kallsyms_decode(&view, at - from, out, diag);
	free(bytes);
	return r;
}

/* Every place in the block where the digits stand, until one decodes. -ENOENT: none here. */
static int try_block(const struct rf_memory *m, const struct rf_image *image, const uint8_t *block,
		     size_t len, uint64_t at, rf_gva inside, unsigned int *candidates,
		     struct rf_kallsyms *out, struct rf_diag *diag)
{
	const uint8_t *from = block, *hit;
	int r = -ENOENT;

	while ((hit = memmem(from, len - (from - block), rf_kallsyms_digits, RF_KALLSYMS_DIGITS_LEN))) {
		if (!*candidates)
			return -EBADMSG;
		--*candidates;
		r = decode_at(m, image, at + (hit - block), inside, out, diag);
		if (r != -ENOENT && r != -EBADMSG)
			return r;
		from = hit + 1;
	}
	return r;
}

int rf_kimage_symbols(const struct rf_memory *m, const struct rf_image *image, rf_gva inside,
		      struct rf_kallsyms *out, struct rf_diag *diag)
{
	const size_t overlap = RF_KALLSYMS_DIGITS_LEN - 1;
	unsigned int candidates = CANDIDATES_MAX;
	uint8_t *block = malloc(SCAN_BLOCK);
	int r = -ENOENT, found = -ENOENT;
	uint64_t at;
	size_t len;

	if (!block)
		return rf_diag_fail(diag, -ENOMEM, "no memory to scan the image");
	rf_diag_fail(diag, 0, "no kallsyms in [%#llx, %#llx)", (unsigned long long)image->base.v,
		     (unsigned long long)(image->base.v + image->size));
	for (at = 0; at < image->size; at += SCAN_BLOCK - overlap) {
		len = image->size - at < SCAN_BLOCK ? image->size - at : SCAN_BLOCK;
		r = rf_memory_read(m, rf_gpa_of(image->gpa.v + at), block, len);
		if (r) {
			found = rf_diag_fail(diag, r, "cannot read the image at %#llx",
					     (unsigned long long)(image->base.v + at));
			break;
		}
		r = try_block(m, image, block, len, at, inside, &candidates, out, diag);
		if (r != -ENOENT)
			found = r;
		if (r != -ENOENT && r != -EBADMSG)
			break;
		if (!candidates)
			break;
	}
	free(block);
	return found;
}
