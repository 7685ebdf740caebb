/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "introspection/textpatch_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int rf_textpatch_read(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t gva,
		      void *buf, size_t len)
{
	const struct rf_image *image = rf_kernel_image(t->k);

	if (!rf_within(gva, len, image->base.v, image->size))
		return -EFAULT;
	return rf_memory_read(m, rf_gpa_of(image->gpa.v + (gva - image->base.v)), buf, len);
}

/* --- the table's life ----------------------------------------------------- */

/* The one writer's side of a sequence lock; the fence reads from another process. */
static void begin(struct rf_patch_table *table)
{
	__atomic_store_n(&table->seq, table->seq | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end(struct rf_patch_table *table)
{
	__atomic_store_n(&table->seq, table->seq + 1, __ATOMIC_RELEASE);
}

static void clear(struct rf_patch_table *table)
{
	__atomic_store_n(&table->kernel, 0, __ATOMIC_RELEASE);
	table->sites_count = table->extra_count = table->shapes_count = 0;
	memset(table->shapes, 0, sizeof(table->shapes));
	memset(table->sets, 0, sizeof(table->sets));
	table->base = table->size = 0;
}

int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_patch_table *table,
			struct rf_textpatch **out, struct rf_diag *diag)
{
	struct rf_textpatch *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->k = k;
	t->table = table;
	t->torn = UINT32_MAX;
	begin(table);
	clear(table);
	err = rf_textpatch_load(t, m, p, diag);
	if (err)
		clear(table);
	end(table);
	if (err) {
		rf_textpatch_destroy(t);
		return err;
	}
	*out = t;
	return 0;
}

void rf_textpatch_destroy(struct rf_textpatch *t)
{
	if (!t)
		return;
	free(t->calls);
	free(t);
}

/* --- judging -------------------------------------------------------------- */

struct sealed_text {
	const struct rf_textpatch *t;
	const struct rf_memory *m;
};

static int read_text(void *ctx, uint32_t at, uint8_t *buf, uint32_t len)
{
	const struct sealed_text *s = ctx;

	return rf_textpatch_read(s->t, s->m, s->t->text + at, buf, len);
}

int rf_textpatch_judge(const struct rf_textpatch *t, const struct rf_memory *m, uint32_t last_tail,
		       rf_gva gva, const uint8_t *bytes, size_t len, struct rf_patch_result *out)
{
	struct sealed_text s = { t, m };
	const struct rf_patch_text text = { read_text, &s };
	uint64_t at = gva.v - t->text;

	if (at >= t->table->size) {
		*out = (struct rf_patch_result){ .verdict = RF_PATCH_NOT_A_SITE,
						 .why = "not in the sealed text" };
		return 0;
	}
	return rf_patch_judge(t->table, &text, last_tail, (uint32_t)at, bytes, len, out);
}

int rf_textpatch_refresh(struct rf_textpatch *t, const struct rf_memory *m,
			 const struct rf_paging *p, rf_gva gva, const uint8_t *bytes, size_t len)
{
	return 0;
}

int rf_textpatch_sweep(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p)
{
	return 0;
}

/* --- for the log ---------------------------------------------------------- */

size_t rf_textpatch_count(const struct rf_textpatch *t, enum rf_site_kind kind)
{
	return (unsigned int)kind < RF_SITE_KINDS ? t->by_kind[kind] : 0;
}

uint32_t rf_textpatch_torn(const struct rf_textpatch *t)
{
	return t->torn;
}

void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out)
{
	*out = t->stats;
}
