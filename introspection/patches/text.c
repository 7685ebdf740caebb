// SPDX-License-Identifier: LGPL-2.1-or-later
/* The sealed text and what the kernel says of it: what every other file of textpatch asks. */
#include <errno.h>
#include <string.h>

#include "introspection/kimage.h"
#include "introspection/patches/impl.h"

struct rf_live rf_live_begin(struct rf_textpatch *t, const struct rf_memory *m,
			     const struct rf_paging *p)
{
	for (unsigned int i = 0; i < RF_PAGES; i++)
		t->pages.at[i] = RF_NO_PAGE;
	return (struct rf_live){ m, p, &t->pages };
}

int rf_live_charge(const struct rf_live *g)
{
	uint8_t none;

	return rf_memory_read(g->m, rf_gpa_of(0), &none, 0);
}

/* Lists of small things lie close together, and each word costs a walk through the page tables. */
int rf_live_read(const struct rf_live *g, uint64_t gva, void *buf, size_t len)
{
	uint64_t page = gva & ~(uint64_t)(RF_PAGE_SIZE - 1), slot = page / RF_PAGE_SIZE % RF_PAGES;
	int err;

	if (!len || len > RF_PAGE_SIZE - (gva - page))
		return rf_pt_read(g->m, g->p, rf_gva_of(gva), buf, len);
	/* What is cached is not free: a chain in a few pages hangs in each of 2^14 buckets. */
	err = rf_live_charge(g);
	if (err)
		return err;
	if (g->pages->at[slot] != page) {
		g->pages->at[slot] = RF_NO_PAGE;
		err = rf_pt_read(g->m, g->p, rf_gva_of(page), g->pages->bytes[slot], RF_PAGE_SIZE);
		if (err)
			return err;
		g->pages->at[slot] = page;
	}
	memcpy(buf, g->pages->bytes[slot] + (gva - page), len);
	return 0;
}

int rf_textpatch_read(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t gva,
		      void *buf, size_t len)
{
	const struct rf_image *image = rf_kernel_image(t->k);

	if (!rf_within(gva, len, image->base.v, image->size))
		return -EFAULT;
	return rf_memory_read(m, rf_gpa_of(image->gpa.v + (gva - image->base.v)), buf, len);
}

bool rf_textpatch_is_code(const struct rf_textpatch *t, uint64_t gva)
{
	const struct rf_image *image = rf_kernel_image(t->k);

	if (rf_textpatch_in_text(t, gva))
		return rf_kernel_is_function(t->k, rf_gva_of(gva));
	return gva >= RF_KIMAGE_WINDOW && !rf_within(gva, 1, image->base.v, image->size);
}

bool rf_textpatch_member(const struct rf_kernel *k, const char *type, const char *path,
			 uint64_t size, uint64_t *offset)
{
	struct rf_member m;

	if (rf_kernel_member(k, type, path, &m) || m.size != size)
		return false;
	*offset = m.offset;
	return true;
}
