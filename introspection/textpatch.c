/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The int3 protocol, site by site. text_poke_bp_batch() (arch/x86/kernel/alternative.c, 6.1
 * and 6.12; newer kernels call it smp_text_poke_batch_finish()) writes 0xCC to the first byte of
 * every site of a batch, then the tails one site after the other, then the first bytes. Each goes
 * through text_poke(), whose memcpy() may be rep movsb (one exit per byte) or two overlapping
 * stores (memcpy_orig). Between the steps another CPU that runs into the site takes #BP, so no
 * mixture is ever executed, and whatever stands in memory when the first byte becomes final must be
 * legal as a whole. The state is the memory itself: first byte 0xCC, or not.
 */
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

struct rf_site *rf_textpatch_find(const struct rf_textpatch *t, uint64_t gva)
{
	size_t lo = 0, hi = t->count;

	while (lo < hi) { /* the first site past gva */
		size_t mid = lo + (hi - lo) / 2;

		if (t->sites[mid].addr <= gva)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || gva - t->sites[lo - 1].addr >= t->sites[lo - 1].len)
		return NULL;
	return &t->sites[lo - 1];
}

int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_textpatch **out, struct rf_diag *diag)
{
	struct rf_textpatch *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->k = k;
	err = rf_textpatch_load(t, m, p, diag);
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
	free(t->sites);
	free(t);
}

static void set(struct rf_patch_result *r, enum rf_patch_verdict verdict, const char *why)
{
	r->verdict = verdict;
	r->why = why;
}

/*
 * The kernel writes tails one site at a time under text_mutex, so at most one is half written.
 * Without this rule every site could be parked in flight with four bytes of an attacker's choice in
 * executable memory.
 */
static int other_tail_torn(const struct rf_textpatch *t, const struct rf_memory *m,
			   const struct rf_site *site, bool *torn)
{
	const struct rf_site *other = t->last_tail ? rf_textpatch_find(t, t->last_tail) : NULL;
	uint8_t now[RF_SITE_MAX_LEN];
	int err;

	*torn = false;
	if (!other || other == site)
		return 0;
	err = rf_textpatch_read(t, m, other->addr, now, other->len);
	if (err)
		return err;
	*torn = now[0] == RF_INT3 && !rf_textpatch_tail_complete(t, m, other, now);
	return 0;
}

static int judge_tail(const struct rf_textpatch *t, const struct rf_memory *m,
		      const struct rf_site *site, const uint8_t *bytes, size_t len,
		      struct rf_patch_result *r)
{
	const struct rf_site_ops *ops = rf_site_ops(site->kind);
	bool torn;
	int err;

	for (size_t i = 0; i < len; i++) {
		if (!ops->tail_byte(t, site, r->offset + (uint32_t)i, bytes[i])) {
			set(r, RF_PATCH_BAD_INSN,
			    "tail byte that no legal instruction of the site has");
			return 0;
		}
	}
	err = other_tail_torn(t, m, site, &torn);
	if (err)
		return err;
	if (torn)
		set(r, RF_PATCH_BAD_STEP, "tail written while another site's tail is half written");
	else
		set(r, RF_PATCH_STEP, "tail under int3");
	return 0;
}

/* now: what the site holds; the store lies within it. */
static int judge_site(const struct rf_textpatch *t, const struct rf_memory *m,
		      const struct rf_site *site, const uint8_t *now, const uint8_t *bytes,
		      size_t len, struct rf_patch_result *r)
{
	const struct rf_site_ops *ops = rf_site_ops(site->kind);
	bool flying = now[0] == RF_INT3;
	uint8_t next[RF_SITE_MAX_LEN];
	const char *rule;

	memcpy(next, now, site->len);
	memcpy(next + r->offset, bytes, len);
	if (!memcmp(next, now, site->len)) {
		rule = flying ? NULL : ops->illegal(t, m, site, now);
		memcpy(r->insn, now, site->len);
		if (rule)
			set(r, RF_PATCH_BAD_INSN, rule);
		else
			set(r, flying ? RF_PATCH_STEP : RF_PATCH_DONE, "changes nothing");
		return 0;
	}
	if (site->flags & RF_SITE_FROZEN && !flying) {
		set(r, RF_PATCH_BAD_STEP, "the site's key is read-only after init");
		return 0;
	}
	if (r->offset) {
		if (flying)
			return judge_tail(t, m, site, bytes, len, r);
		set(r, RF_PATCH_BAD_STEP, "tail written without int3 on the first byte");
		return 0;
	}
	if (len != 1) {
		set(r, RF_PATCH_BAD_STEP, "more than the first byte written at once");
		return 0;
	}
	if (bytes[0] == RF_INT3) {
		memcpy(r->before, now, site->len);
		set(r, RF_PATCH_STEP, "int3 on the first byte");
		return 0;
	}
	if (!flying) {
		set(r, RF_PATCH_BAD_STEP, "first byte changed without int3");
		return 0;
	}
	rule = ops->illegal(t, m, site, next);
	if (rule) {
		set(r, RF_PATCH_BAD_INSN, rule);
		return 0;
	}
	memcpy(r->insn, next, site->len);
	set(r, RF_PATCH_DONE, "legal instruction complete");
	return 0;
}

int rf_textpatch_judge(struct rf_textpatch *t, const struct rf_memory *m, rf_gva gva,
		       const uint8_t *bytes, size_t len, struct rf_patch_result *out)
{
	struct rf_patch_result r = { .verdict = RF_PATCH_NOT_A_SITE, .why = "not a patch site" };
	const struct rf_site *site = NULL;
	uint8_t now[RF_SITE_MAX_LEN];
	int err;

	/* A store over a site's border belongs to that site, so that the record can name it. */
	for (size_t i = 0; i < len && i < 64 && !site; i++)
		site = rf_textpatch_find(t, gva.v + i);
	if (!site) {
		*out = r;
		return 0;
	}
	r.kind = site->kind;
	r.site = rf_gva_of(site->addr);
	r.site_len = site->len;
	memcpy(r.before, site->before, sizeof(site->before));
	if (!(site->flags & RF_SITE_IN_FLIGHT))
		r.before[0] = RF_INT3;
	if (!rf_within(gva.v, len, site->addr, site->len)) {
		set(&r, RF_PATCH_BAD_STEP, "store reaches beyond the site");
		*out = r;
		return 0;
	}
	r.offset = (uint8_t)(gva.v - site->addr);
	err = rf_textpatch_read(t, m, site->addr, now, site->len);
	if (!err)
		err = judge_site(t, m, site, now, bytes, len, &r);
	if (!err)
		*out = r;
	return err;
}

void rf_textpatch_applied(struct rf_textpatch *t, const struct rf_patch_result *r)
{
	struct rf_site *site;

	if (r->verdict != RF_PATCH_STEP && r->verdict != RF_PATCH_DONE)
		return;
	site = rf_textpatch_find(t, r->site.v);
	if (!site)
		return;
	if (r->verdict == RF_PATCH_DONE) {
		t->in_flight -= !!(site->flags & RF_SITE_IN_FLIGHT);
		site->flags &= (uint8_t)~RF_SITE_IN_FLIGHT;
		return;
	}
	if (!(site->flags & RF_SITE_IN_FLIGHT)) {
		site->flags |= RF_SITE_IN_FLIGHT;
		t->in_flight++;
		memcpy(site->before, r->before, sizeof(site->before));
	}
	if (r->offset)
		t->last_tail = site->addr;
}

size_t rf_textpatch_count(const struct rf_textpatch *t, enum rf_site_kind kind)
{
	return (unsigned int)kind < sizeof(t->by_kind) / sizeof(t->by_kind[0]) ? t->by_kind[kind]
									       : 0;
}

size_t rf_textpatch_in_flight(const struct rf_textpatch *t)
{
	return t->in_flight;
}

void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out)
{
	*out = t->stats;
}
