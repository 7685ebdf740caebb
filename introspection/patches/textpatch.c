// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/kernel.h"
#include "introspection/arch.h"
#include "introspection/patches/impl.h"

/* --- the table's life ----------------------------------------------------- */

static void clear(struct rf_patch_table *table)
{
	__atomic_store_n(&table->kernel, 0, __ATOMIC_RELEASE);
	table->magic = 0;
	table->sites_count = table->extra_count = table->shapes_count = 0;
	memset(table->shapes, 0, sizeof(table->shapes));
	memset(table->sets, 0, sizeof(table->sets));
	table->base = table->size = table->busy = 0;
}

/*
 * A word that is not 0 from before the first int3 of the patcher to behind its last byte
 * (arch/x86/kernel/alternative.c). text_poke_bp_batch() counts itself in bp_desc.refs (6.1, 6.12).
 * smp_text_poke_batch_finish() has such a count for each processor and no such structure; what it
 * is about to write is counted in text_poke_array.nr_entries, from the first that is queued until
 * all are written (7.3). Either is the guest's own word, which an attacker can write: what is begun
 * on it and left is found by waiting.
 */
static const struct {
	const char *symbol, *type, *member;
} busy_words[] = {
	{ "bp_desc", "bp_patching_desc", "refs" },
	{ "text_poke_array", "smp_text_poke_array", "nr_entries" },
};

static void find_busy(struct rf_textpatch *t)
{
	uint64_t offset;
	rf_gva at;
	rf_gpa gpa;

	for (size_t i = 0; i < sizeof(busy_words) / sizeof(busy_words[0]); i++)
		if (!rf_kernel_address(t->k, busy_words[i].symbol, &at) &&
		    rf_textpatch_member(t->k, busy_words[i].type, busy_words[i].member, 4,
					&offset) &&
		    !rf_kernel_image_gpa(t->k, rf_gva_of(at.v + offset), &gpa))
			t->table->busy = gpa.v;
}

/* What cannot be read says nothing for the store. */
static bool is_busy(const struct rf_textpatch *t, const struct rf_memory *m)
{
	uint32_t refs;

	return !t->table->busy ||
	       (!rf_memory_read(m, rf_gpa_of(t->table->busy), &refs, sizeof(refs)) && refs);
}

int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_patch_table *table, bool kept,
			uint32_t frozen, struct rf_textpatch **out, struct rf_diag *diag)
{
	struct rf_textpatch *t = calloc(1, sizeof(*t));
	struct rf_kept before = { 0 };
	int err;

	if (!t || (kept && rf_kept_take(&before, table))) {
		free(t);
		return -ENOMEM;
	}
	t->k = k;
	t->table = table;
	t->kept = kept;
	t->frozen = frozen;
	t->torn = UINT32_MAX;
	t->loading = true;
	rf_ftrace_layout_init(t);
	rf_probe_layout_init(t);
	rf_change_begin(t);
	clear(table);
	err = rf_disasm_create(&t->disasm);
	if (err)
		rf_diag_fail(diag, err, "no disassembler");
	else
		err = rf_textpatch_load(t, m, p, &before, diag);
	rf_kept_drop(&before);
	if (err) {
		clear(table);
	} else {
		find_busy(t);
		table->magic = RF_TABLE_MAGIC; /* it is whole */
	}
	rf_change_end(t);
	t->loading = false;
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
	rf_disasm_destroy(t->disasm);
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
	int err;

	if (at >= t->table->size) {
		*out = (struct rf_patch_result){ .verdict = RF_PATCH_NOT_A_SITE,
						 .why = "not in the sealed text" };
		return 0;
	}
	err = rf_patch_judge(t->table, &text, last_tail, (uint32_t)at, bytes, len, out);
	if (!err && rf_patch_begins(out) && t->debugged != gva.v && !is_busy(t, m)) {
		out->verdict = RF_PATCH_BAD_STEP;
		out->why = "int3 while the kernel's patcher is not at work";
	}
	return err;
}

/* --- the guest is asked --------------------------------------------------- */

int rf_textpatch_refresh(struct rf_textpatch *t, const struct rf_memory *m,
			 const struct rf_paging *p, rf_gva gva, const uint8_t *bytes, size_t len)
{
	const struct rf_live g = rf_live_begin(t, m, p);
	struct rf_patch_site site;
	struct rf_shape shape;
	uint64_t at = gva.v - t->text;

	if (at >= t->table->size)
		return 0;
	t->debugged = len == 1 && *bytes == RF_INT3 && rf_probe_debugged(t, &g, gva.v) ? gva.v : 0;
	if (rf_patch_find(t->table, (uint32_t)at, &site, &shape)) {
		switch ((enum rf_site_kind)site.kind) {
		case RF_SITE_STATIC_CALL:
		case RF_SITE_STATIC_TRAMP:
			rf_calls_refresh(t, &g, site.at);
			return 0;
		case RF_SITE_FTRACE:
		case RF_SITE_FTRACE_CALL:
			rf_ftrace_refresh(t, &g, t->text + site.at);
			return 0;
		case RF_SITE_KPROBE:
		case RF_SITE_KGDB:
			break;
		default:
			return 0;
		}
	}
	rf_probe_refresh(t, &g, gva.v, bytes, len);
	return 0;
}

int rf_textpatch_sweep(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p)
{
	const struct rf_live g = rf_live_begin(t, m, p);
	int err = rf_probe_sweep(t, &g);

	if (!err)
		err = rf_ftrace_sweep(t, &g);
	if (!err)
		err = rf_calls_sweep(t, &g);
	return err;
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
