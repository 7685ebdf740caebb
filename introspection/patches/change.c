// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The part of the table that changes while the fence reads it from another process: one writer's
 * side of a sequence lock. It is held for a copy, never for a walk through the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/patches/impl.h"

#define BLOCK 65536u /* bytes of text at a time */

void rf_change_begin(struct rf_textpatch *t)
{
	if (t->changing++)
		return;
	__atomic_store_n(&t->table->seq, t->table->seq | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void rf_change_end(struct rf_textpatch *t)
{
	if (!--t->changing)
		__atomic_store_n(&t->table->seq, t->table->seq + 1, __ATOMIC_RELEASE);
}

/* --- sets ----------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort(struct rf_targets *s)
{
	uint32_t kept = 0;

	qsort(s->v, s->count, sizeof(s->v[0]), ascending);
	for (uint32_t i = 0; i < s->count; i++)
		if (!kept || s->v[kept - 1] != s->v[i])
			s->v[kept++] = s->v[i];
	s->count = s->sorted = kept;
}

static bool within(const uint64_t *v, uint32_t count, uint64_t target)
{
	return count && bsearch(&target, v, count, sizeof(*v), ascending);
}

void rf_targets_clear(struct rf_targets *s)
{
	s->count = s->sorted = 0;
	s->partial = false;
}

void rf_targets_add(struct rf_textpatch *t, struct rf_targets *s, uint64_t target)
{
	/* Most are there many times over. One more that is known costs a search, and no sort: a
	 * list can be made of what nearly fills the set, again and again. */
	if (s->count == RF_SET_ROOM && s->sorted < s->count)
		sort(s);
	if (within(s->v, s->sorted, target))
		return;
	if (s->count == RF_SET_ROOM)
		t->stats.full++;
	else
		s->v[s->count++] = target;
}

bool rf_targets_have(const struct rf_textpatch *t, uint16_t set, uint64_t target)
{
	const struct rf_patch_set *old = &t->table->sets[set];

	return within(t->table->targets + old->first, old->count, target);
}

static void store(struct rf_textpatch *t, uint16_t set, const struct rf_targets *s)
{
	struct rf_patch_set to = { RF_FUNCTIONS_MAX + (set - RF_SET_CHANGING) * RF_SET_ROOM,
				   s->count };
	uint64_t *v = t->table->targets + to.first;

	if (!memcmp(&t->table->sets[set], &to, sizeof(to)) &&
	    !memcmp(v, s->v, s->count * sizeof(*v)))
		return;
	rf_change_begin(t);
	memcpy(v, s->v, s->count * sizeof(*v));
	t->table->sets[set] = to;
	rf_change_end(t);
}

/* Where the call, jmp or jcc in insn goes; behind int3 where its tail says. False: it is none. */
static bool goes_to(uint64_t at, uint8_t len, const uint8_t *insn, uint64_t *target)
{
	int32_t rel;

	if (insn[0] != 0xe8 && insn[0] != 0xe9 && insn[0] != 0x0f && insn[0] != RF_INT3)
		return false;
	memcpy(&rel, insn + len - 4, sizeof(rel));
	*target = at + len + (uint64_t)(int64_t)rel;
	return true;
}

static bool has_set(const struct rf_shape *shape, uint16_t set)
{
	for (uint8_t i = 0; i < shape->count; i++)
		if (shape->forms[i].set == set)
			return true;
	return false;
}

/* Marks in t->held, by their places in the old set, the members that sites of the list hold. */
static int mark_held(struct rf_textpatch *t, const struct rf_memory *m, uint16_t set,
		     const struct rf_patch_site *sites, uint32_t count)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first, *found;
	uint8_t block[BLOCK];
	uint64_t target, start = 0, end = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct rf_shape *shape = &t->table->shapes[sites[i].shape];
		uint64_t at = sites[i].at;

		if (!has_set(shape, set) || at + shape->len > t->table->size)
			continue;
		if (at + shape->len > end) {
			uint64_t left = t->table->size - at;
			int err;

			start = at;
			end = at + (left < BLOCK ? left : BLOCK);
			err = rf_textpatch_read(t, m, t->text + start, block, end - start);
			if (err)
				return err;
		}
		if (!goes_to(t->text + at, shape->len, block + (at - start), &target))
			continue;
		found = bsearch(&target, v, old->count, sizeof(*v), ascending);
		if (found)
			t->held[found - v] = true;
	}
	return 0;
}

static bool is_held(const struct rf_textpatch *t, uint16_t set, uint64_t target)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first,
		       *found = bsearch(&target, v, old->count, sizeof(*v), ascending);

	return found && t->held[found - v];
}

/*
 * What a site still holds joins *s, and before what is only listed: that is asked for again when a
 * store needs it.
 */
static int keep_held(struct rf_textpatch *t, const struct rf_memory *m, uint16_t set,
		     struct rf_targets *s)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first;
	uint32_t listed = s->count, least = listed;
	int err;

	memset(t->held, 0, sizeof(t->held));
	err = mark_held(t, m, set, t->table->sites, t->table->sites_count);
	if (!err)
		err = mark_held(t, m, set, t->table->extra, t->table->extra_count);
	for (uint32_t i = 0; !err && i < old->count; i++) {
		if (!t->held[i] || within(s->v, least, v[i]))
			continue;
		if (s->count < RF_SET_ROOM) {
			s->v[s->count++] = v[i];
			continue;
		}
		while (least && is_held(t, set, s->v[least - 1]))
			least--;
		if (!least)
			break;
		s->v[--least] = v[i];
		t->stats.full++;
	}
	if (!err)
		sort(s);
	return err;
}

int rf_change_set(struct rf_textpatch *t, const struct rf_memory *m, uint16_t set,
		  struct rf_targets *s)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first;
	bool gone = false;
	int err = 0;

	sort(s);
	for (uint32_t i = 0; i < old->count && !gone; i++)
		gone = !within(s->v, s->count, v[i]);
	if (gone && s->partial) {
		for (uint32_t i = 0; i < old->count; i++)
			rf_targets_add(t, s, v[i]);
		sort(s);
	}
	if (gone && (!s->partial || s->count == RF_SET_ROOM))
		err = keep_held(t, m, set, s);
	if (!err)
		store(t, set, s);
	return err;
}

void rf_change_drop(struct rf_textpatch *t, uint16_t set, const uint64_t *targets, size_t n)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first;
	struct rf_targets *s = &t->targets;
	bool any = false;

	for (size_t k = 0; k < n && !any; k++)
		any = rf_targets_have(t, set, targets[k]);
	if (!any)
		return;
	rf_targets_clear(s);
	for (uint32_t i = 0; i < old->count; i++) {
		bool drop = false;

		for (size_t k = 0; k < n; k++)
			drop |= targets[k] == v[i];
		if (!drop)
			s->v[s->count++] = v[i];
	}
	store(t, set, s);
}

void rf_change_add(struct rf_textpatch *t, uint16_t set, uint64_t target)
{
	const struct rf_patch_set *old = &t->table->sets[set];
	const uint64_t *v = t->table->targets + old->first;
	struct rf_targets *s = &t->targets;
	uint32_t i = 0;

	if (rf_targets_have(t, set, target))
		return;
	/* One that has no room costs no copy, either: there may be as many as reads. */
	if (old->count == RF_SET_ROOM) {
		t->stats.full++;
		return;
	}
	while (i < old->count && v[i] < target)
		i++;
	memcpy(s->v, v, i * sizeof(*v));
	s->v[i] = target;
	memcpy(s->v + i + 1, v + i, (old->count - i) * sizeof(*v));
	s->count = s->sorted = old->count + 1;
	s->partial = false;
	store(t, set, s);
}

/* --- extra sites ---------------------------------------------------------- */

/* Number of extra sites before `at`. */
static uint32_t before(const struct rf_patch_table *table, uint32_t at)
{
	uint32_t lo = 0, hi = table->extra_count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (table->extra[mid].at < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct rf_patch_site *rf_extra_at(const struct rf_textpatch *t, uint32_t at)
{
	uint32_t i = before(t->table, at);

	return i < t->table->extra_count && t->table->extra[i].at == at ? &t->table->extra[i]
									: NULL;
}

bool rf_extra_put(struct rf_textpatch *t, const struct rf_patch_site *s)
{
	struct rf_patch_table *table = t->table;
	uint32_t i = before(table, s->at);
	bool there = i < table->extra_count && table->extra[i].at == s->at;

	if (there && !memcmp(&table->extra[i], s, sizeof(*s)))
		return true;
	if (!there && table->extra_count == RF_TABLE_EXTRA) {
		t->stats.full++;
		return false;
	}
	rf_change_begin(t);
	if (there) {
		t->by_kind[table->extra[i].kind]--;
	} else {
		memmove(&table->extra[i + 1], &table->extra[i],
			(table->extra_count - i) * sizeof(*s));
		table->extra_count++;
	}
	table->extra[i] = *s;
	t->by_kind[s->kind]++;
	rf_change_end(t);
	return true;
}

void rf_extra_drop(struct rf_textpatch *t, uint32_t at)
{
	struct rf_patch_table *table = t->table;
	uint32_t i = before(table, at);

	if (i == table->extra_count || table->extra[i].at != at)
		return;
	rf_change_begin(t);
	t->by_kind[table->extra[i].kind]--;
	table->extra_count--;
	memmove(&table->extra[i], &table->extra[i + 1],
		(table->extra_count - i) * sizeof(table->extra[0]));
	rf_change_end(t);
}

bool rf_site_within(const struct rf_textpatch *t, uint32_t at, uint32_t len)
{
	const struct rf_patch_table *table = t->table;
	uint32_t lo = 0, hi = table->sites_count;

	while (lo < hi) { /* the first site at or past the end */
		uint32_t mid = lo + (hi - lo) / 2;

		if (table->sites[mid].at < at + len)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && table->sites[lo - 1].at + rf_shape_len(t, &table->sites[lo - 1]) > at;
}
