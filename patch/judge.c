// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The int3 protocol, site by site. text_poke_bp_batch() (arch/x86/kernel/alternative.c, 6.1 and
 * 6.12; newer kernels call it smp_text_poke_batch_finish()) writes 0xCC to the first byte of every
 * site of a batch, then the tails one site after the other, then the first bytes. Each goes through
 * text_poke(), whose memcpy() may be rep movsb (one exit per byte) or two overlapping stores
 * (memcpy_orig). Between the steps another CPU that runs into the site takes #BP, so no mixture is
 * ever executed, and whatever stands in memory when the first byte becomes final must be legal as a
 * whole.
 */
#include "patch/judge.h"

#include <string.h>

#define EXACT_SET 64 /* sets up to this size are searched whole for each byte of a tail */

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* --- looking up ----------------------------------------------------------- */

static bool shape_of(const struct rf_patch_table *t, const struct rf_patch_site *site,
		     struct rf_shape *shape)
{
	/* Who applies stores counts them by kind. */
	if (site->shape >= least(t->shapes_count, RF_TABLE_SHAPES) || !site->kind ||
	    site->kind >= RF_SITE_KINDS)
		return false;
	*shape = t->shapes[site->shape];
	return shape->len >= 1 && shape->len <= RF_SITE_MAX_LEN && shape->count <= RF_SHAPE_FORMS;
}

static bool find_in(const struct rf_patch_table *t, const struct rf_patch_site *sites,
		    uint32_t count, uint32_t at, struct rf_patch_site *site, struct rf_shape *shape)
{
	uint32_t lo = 0, hi = count;

	while (lo < hi) { /* the first site past `at` */
		uint32_t mid = lo + (hi - lo) / 2;

		if (sites[mid].at <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	*site = sites[lo - 1];
	return shape_of(t, site, shape) && at >= site->at && at - site->at < shape->len;
}

bool rf_patch_find(const struct rf_patch_table *t, uint32_t at, struct rf_patch_site *site,
		   struct rf_shape *shape)
{
	return find_in(t, t->extra, least(t->extra_count, RF_TABLE_EXTRA), at, site, shape) ||
	       find_in(t, t->sites, least(t->sites_count, RF_TABLE_SITES), at, site, shape);
}

/* --- forms ---------------------------------------------------------------- */

static struct rf_patch_set set_of(const struct rf_patch_table *t, uint16_t number)
{
	struct rf_patch_set s = { 0, 0 };

	if (number < RF_TABLE_SETS)
		s = t->sets[number];
	if (s.first > RF_TABLE_TARGETS || s.count > RF_TABLE_TARGETS - s.first)
		s.count = 0;
	return s;
}

static bool in_set(const struct rf_patch_table *t, uint16_t number, uint64_t target)
{
	struct rf_patch_set s = set_of(t, number);
	uint32_t lo = s.first, hi = s.first + s.count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->targets[mid] < target)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s.first + s.count && t->targets[lo] == target;
}

/* The distance, little endian as x86 stores it. False: out of reach. */
static bool distance(uint64_t from, uint64_t to, size_t size, uint8_t *out)
{
	int64_t d = (int64_t)(to - from);

	if (size == 1 ? d < INT8_MIN || d > INT8_MAX : d < INT32_MIN || d > INT32_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)((uint64_t)d >> (8 * i));
	return true;
}

/* The form as bytes, where the site and the form alone determine them. */
static bool spell(const struct rf_patch_table *t, const struct rf_patch_site *site, uint8_t len,
		  const struct rf_form *f, uint64_t target, uint8_t *out)
{
	uint64_t end = t->base + site->at + len;
	uint8_t wide = f->how == RF_FORM_REL8 ? 1 : 4;

	memcpy(out, f->bytes, len);
	switch (f->how) {
	case RF_FORM_BYTES:
		return true;
	case RF_FORM_OWN:
	case RF_FORM_OWN_INT3:
		memcpy(out, site->own, least(len, sizeof(site->own)));
		if (f->how == RF_FORM_OWN_INT3)
			out[0] = RF_INT3;
		return len <= sizeof(site->own);
	case RF_FORM_REL8:
	case RF_FORM_REL32:
		return f->op_len + wide <= len && distance(end, target, wide, out + f->op_len);
	}
	return false;
}

static bool has_set(const struct rf_form *f)
{
	return f->how == RF_FORM_REL32 && f->set;
}

/* Does insn from byte `from` on (0, or 1 for a tail) read as the form does? */
static bool matches(const struct rf_patch_table *t, const struct rf_patch_site *site, uint8_t len,
		    const struct rf_form *f, const uint8_t *insn, uint8_t from)
{
	uint8_t want[RF_SITE_MAX_LEN];
	uint64_t target = site->target;
	int32_t rel;

	if (has_set(f)) {
		/* Searching the set is what costs. */
		if (len != f->op_len + 4 ||
		    (from < f->op_len && memcmp(insn + from, f->bytes + from, f->op_len - from)))
			return false;
		memcpy(&rel, insn + len - 4, sizeof(rel));
		target = t->base + site->at + len + (uint64_t)(int64_t)rel;
		if (!in_set(t, f->set, target))
			return false;
	}
	return spell(t, site, len, f, target, want) &&
	       (from >= len || !memcmp(insn + from, want + from, len - from));
}

static bool any_matches(const struct rf_patch_table *t, const struct rf_patch_site *site,
			const struct rf_shape *shape, const uint8_t *insn, uint8_t from)
{
	for (uint8_t i = 0; i < shape->count; i++)
		if (matches(t, site, shape->len, &shape->forms[i], insn, from))
			return true;
	return false;
}

bool rf_patch_at_rest(const struct rf_patch_table *t, const struct rf_patch_site *site,
		      const struct rf_shape *shape, const uint8_t *insn)
{
	return any_matches(t, site, shape, insn, 0);
}

/* Can `byte` stand at that offset of the form? */
static bool form_has(const struct rf_patch_table *t, const struct rf_patch_site *site, uint8_t len,
		     const struct rf_form *f, uint32_t offset, uint8_t byte)
{
	uint8_t want[RF_SITE_MAX_LEN];
	struct rf_patch_set s;

	if (!has_set(f))
		return spell(t, site, len, f, site->target, want) && want[offset] == byte;
	if (len != f->op_len + 4)
		return false;
	if (offset < f->op_len)
		return f->bytes[offset] == byte;
	s = set_of(t, f->set);
	if (s.count > EXACT_SET)
		return true; /* judged whole, when the first byte comes */
	for (uint32_t i = 0; i < s.count; i++)
		if (spell(t, site, len, f, t->targets[s.first + i], want) && want[offset] == byte)
			return true;
	return false;
}

static bool tail_byte_legal(const struct rf_patch_table *t, const struct rf_patch_site *site,
			    const struct rf_shape *shape, uint32_t offset, uint8_t byte)
{
	for (uint8_t i = 0; i < shape->count; i++)
		if (form_has(t, site, shape->len, &shape->forms[i], offset, byte))
			return true;
	return false;
}

/* --- the protocol --------------------------------------------------------- */

static void set(struct rf_patch_result *r, enum rf_patch_verdict verdict, const char *why)
{
	r->verdict = verdict;
	r->why = why;
}

static int other_tail_torn(const struct rf_patch_table *t, const struct rf_patch_text *text,
			   uint32_t last_tail, const struct rf_patch_site *site, bool *torn)
{
	uint8_t now[RF_SITE_MAX_LEN];
	struct rf_patch_site other;
	struct rf_shape shape;
	int err;

	*torn = false;
	if (last_tail == UINT32_MAX || last_tail == site->at ||
	    !rf_patch_find(t, last_tail, &other, &shape))
		return 0;
	err = text->read(text->ctx, other.at, now, shape.len);
	if (!err)
		*torn = now[0] == RF_INT3 && !any_matches(t, &other, &shape, now, 1);
	return err;
}

static int judge_tail(const struct rf_patch_table *t, const struct rf_patch_text *text,
		      uint32_t last_tail, const struct rf_patch_site *site,
		      const struct rf_shape *shape, struct rf_patch_result *r, size_t len,
		      bool fits)
{
	bool torn, whole = any_matches(t, site, shape, r->next, 1);
	int err;

	if (r->now[0] != RF_INT3) {
		set(r, RF_PATCH_BAD_STEP, "tail written without int3 on the first byte");
		return 0;
	}
	/* A tail that is some instruction's needs no look at its bytes. */
	for (uint32_t i = r->offset; !whole && i < r->offset + len; i++) {
		if (!tail_byte_legal(t, site, shape, i, r->next[i])) {
			set(r, RF_PATCH_BAD_INSN,
			    "tail byte that no legal instruction of the site has");
			return 0;
		}
	}
	err = other_tail_torn(t, text, last_tail, site, &torn);
	if (err)
		return err;
	if (torn)
		set(r, RF_PATCH_BAD_STEP, "tail written while another site's tail is half written");
	else if (fits)
		set(r, RF_PATCH_DONE, "original bytes back behind the breakpoint");
	else
		set(r, RF_PATCH_STEP, "tail under int3");
	return 0;
}

/* The store lies within the site; r->now and r->next are there. */
static int judge_site(const struct rf_patch_table *t, const struct rf_patch_text *text,
		      uint32_t last_tail, const struct rf_patch_site *site,
		      const struct rf_shape *shape, struct rf_patch_result *r, size_t len)
{
	bool fits = any_matches(t, site, shape, r->next, 0);

	if (shape->flags & RF_SHAPE_FILLED) {
		uint32_t i = 0;

		while (i < r->offset + len &&
		       form_has(t, site, shape->len, &shape->forms[0], i, r->next[i]))
			i++;
		if (i < r->offset + len)
			set(r, RF_PATCH_BAD_INSN, "not what the site is filled with");
		else
			set(r, fits ? RF_PATCH_DONE : RF_PATCH_STEP, "filled from the front");
	} else if (!memcmp(r->next, r->now, shape->len)) {
		set(r, fits ? RF_PATCH_DONE : RF_PATCH_STEP, "changes nothing");
		if (!fits && r->now[0] != RF_INT3)
			set(r, RF_PATCH_BAD_INSN, "not an instruction that the site may hold");
	} else if (site->flags & RF_SITE_FROZEN && r->resting) {
		set(r, RF_PATCH_BAD_STEP, "the site stays as it was at the seal");
	} else if (shape->flags & RF_SHAPE_DIRECT) {
		set(r, fits ? RF_PATCH_DONE : RF_PATCH_BAD_INSN,
		    fits ? "legal byte" : "not a byte that the site may hold");
	} else if (r->offset) {
		return judge_tail(t, text, last_tail, site, shape, r, len, fits);
	} else if (len != 1) {
		set(r, RF_PATCH_BAD_STEP, "more than the first byte written at once");
	} else if (r->next[0] == RF_INT3) {
		set(r, fits ? RF_PATCH_DONE : RF_PATCH_STEP, "int3 on the first byte");
	} else if (r->now[0] != RF_INT3) {
		set(r, RF_PATCH_BAD_STEP, "first byte changed without int3");
	} else {
		set(r, fits ? RF_PATCH_DONE : RF_PATCH_BAD_INSN,
		    fits ? "legal instruction complete"
			 : "not an instruction, or not a target, that the site may hold");
	}
	return 0;
}

int rf_patch_judge(const struct rf_patch_table *t, const struct rf_patch_text *text,
		   uint32_t last_tail, uint32_t at, const uint8_t *bytes, size_t len,
		   struct rf_patch_result *out)
{
	struct rf_patch_result r = { .verdict = RF_PATCH_NOT_A_SITE, .why = "not a patch site" };
	struct rf_patch_site site;
	struct rf_shape shape;
	bool found = false;
	int err;

	/* A store over a site's border belongs to that site, so that the record can name it. */
	for (uint32_t i = 0; i < len && i < 64 && !found && at <= UINT32_MAX - i; i++)
		found = rf_patch_find(t, at + i, &site, &shape);
	if (!found) {
		*out = r;
		return 0;
	}
	r.kind = site.kind;
	r.at = site.at;
	r.len = shape.len;
	err = text->read(text->ctx, site.at, r.now, shape.len);
	if (err)
		return err;
	memcpy(r.next, r.now, sizeof(r.next));
	/* What an old target has left there is an instruction all the same. */
	r.resting = (r.now[0] != RF_INT3 && !(shape.flags & RF_SHAPE_FILLED)) ||
		    any_matches(t, &site, &shape, r.now, 0);
	if (at < site.at || len > shape.len - (at - site.at)) {
		set(&r, RF_PATCH_BAD_STEP, "store reaches beyond the site");
	} else {
		r.offset = (uint8_t)(at - site.at);
		memcpy(r.next + r.offset, bytes, len);
		err = judge_site(t, text, last_tail, &site, &shape, &r, len);
	}
	if (!err)
		*out = r;
	return err;
}
