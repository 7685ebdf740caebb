// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sites while they are compiled: a list that readers of tables add to, which is sorted,
 * compared with the text, cleared of what reaches into others, and written into the table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/patches/impl.h"

int rf_loader_push(struct rf_loader *l, const struct rf_site *site)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 4096;
		struct rf_site *sites = reallocarray(l->sites, room, sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		l->sites = sites;
		l->room = room;
	}
	l->sites[l->count++] = *site;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct rf_site *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->kind - y->kind;
}

/* Duplicates become one. Two trampoline symbols at one address may know the key once. */
int rf_loader_merge(struct rf_loader *l)
{
	size_t kept = 0;

	qsort(l->sites, l->count, sizeof(*l->sites), by_addr);
	for (size_t i = 0; i < l->count; i++) {
		struct rf_site *last = kept ? &l->sites[kept - 1] : NULL;
		const struct rf_site *s = &l->sites[i];

		if (!last || last->addr != s->addr) {
			l->sites[kept++] = *s;
			continue;
		}
		if (last->kind != s->kind || last->target != s->target || last->key != s->key ||
		    last->flags != s->flags) {
			return rf_diag_fail(l->diag, -EBADMSG, "two entries for %#llx disagree",
					    (unsigned long long)s->addr);
		}
		l->t->stats.merged++;
	}
	l->count = kept;
	return 0;
}

/* A call's own target is the trampoline of its key, when there is exactly one. */
static int by_key(const void *a, const void *b)
{
	const struct rf_site *x = *(const struct rf_site *const *)a;
	const struct rf_site *y = *(const struct rf_site *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (y->kind == RF_SITE_STATIC_TRAMP) - (x->kind == RF_SITE_STATIC_TRAMP);
}

int rf_loader_own_trampolines(struct rf_loader *l)
{
	struct rf_site **keyed = l->count ? calloc(l->count, sizeof(*keyed)) : NULL;
	const struct rf_site *tramp = NULL;
	size_t count = 0;

	if (!keyed)
		return l->count ? -ENOMEM : 0;
	for (size_t i = 0; i < l->count; i++)
		if (l->sites[i].kind != RF_SITE_JUMP_LABEL && l->sites[i].key)
			keyed[count++] = &l->sites[i];
	qsort(keyed, count, sizeof(struct rf_site *), by_key);
	for (size_t i = 0; i < count; i++) {
		if (keyed[i]->kind == RF_SITE_STATIC_TRAMP)
			tramp = keyed[i];
		else if (tramp && tramp->key == keyed[i]->key)
			keyed[i]->target = tramp->addr;
	}
	free(keyed);
	return 0;
}

static void odd(struct rf_textpatch *t, struct rf_site *s)
{
	if (!t->stats.odd++)
		t->stats.first_odd = rf_gva_of(s->addr);
	s->kind = 0;
}

void rf_loader_measure(struct rf_loader *l, size_t first)
{
	const struct rf_live live = rf_live_begin(l->t, l->m, l->p);
	struct rf_textpatch *t = l->t;

	for (size_t i = first; i < l->count; i++) {
		struct rf_site *s = &l->sites[i];
		size_t left = t->etext - s->addr,
		       have = left < RF_SITE_MAX_LEN ? left : RF_SITE_MAX_LEN;
		bool call = s->kind == RF_SITE_STATIC_CALL || s->kind == RF_SITE_STATIC_TRAMP;
		uint8_t now[RF_SITE_MAX_LEN] = { 0 };
		bool legal;

		memcpy(now, l->bytes + (s->addr - t->text), have);
		legal = rf_textpatch_measure(t, s, now, have);
		if (!legal && call && s->key && l->p) {
			rf_calls_learn(t, &live, s->key);
			legal = rf_textpatch_measure(t, s, now, have);
		}
		if (!legal) {
			odd(t, s);
			continue;
		}
		t->stats.traced += s->kind == RF_SITE_FTRACE &&
				   (now[0] == 0xe8 || now[0] == 0xe9); /* call, jmp */
		if (now[0] != RF_INT3)
			continue;
		t->stats.flying++;
		if (!rf_textpatch_tail_whole(t, s, now))
			t->torn = (uint32_t)(s->addr - t->text);
	}
}

/* Sealed tables name them; the rest come from writable memory, or from how text looks. */
static bool is_sealed(const struct rf_site *s)
{
	return s->kind <= RF_SITE_STATIC_TRAMP;
}

int rf_loader_part(struct rf_loader *l)
{
	size_t kept = 0;

	qsort(l->sites, l->count, sizeof(*l->sites), by_addr);
	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site s = l->sites[i];

		if (!s.kind)
			continue;
		while (kept && s.addr - l->sites[kept - 1].addr < l->sites[kept - 1].len) {
			const struct rf_site *last = &l->sites[kept - 1];

			if (is_sealed(&s) && is_sealed(last)) {
				return rf_diag_fail(
					l->diag, -EBADMSG, "sites %#llx and %#llx overlap",
					(unsigned long long)last->addr, (unsigned long long)s.addr);
			}
			l->t->stats.foreign++;
			if (!is_sealed(&s))
				break;
			kept--;
		}
		if (!kept || s.addr - l->sites[kept - 1].addr >= l->sites[kept - 1].len)
			l->sites[kept++] = s;
	}
	l->count = kept;
	return 0;
}

void rf_loader_write_down(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	struct rf_patch_table *table = t->table;

	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site *s = &l->sites[i];

		if (table->sites_count == RF_TABLE_SITES) {
			t->stats.full++;
			continue;
		}
		t->by_kind[s->kind]++;
		t->stats.frozen += !!(s->flags & RF_SITE_FROZEN);
		table->sites[table->sites_count++] = rf_textpatch_entry(t, s);
	}
}

int rf_loader_keep_keys(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;

	t->calls = l->count ? calloc(l->count, sizeof(*t->calls)) : NULL;
	if (l->count && !t->calls)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site *s = &l->sites[i];

		if ((s->kind == RF_SITE_STATIC_CALL || s->kind == RF_SITE_STATIC_TRAMP) && s->key)
			t->calls[t->calls_count++] =
				(struct rf_call_key){ (uint32_t)(s->addr - t->text), s->key };
	}
	return 0;
}
