// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/kallsyms_tables.h"

#define POOL_MAX ((size_t)96 << 20)
#define COPY_SLACK 16u /* tokens are copied 16 bytes at a time */

const uint8_t rf_kallsyms_digits[RF_KALLSYMS_DIGITS_LEN] = {
	'0', 0, '1', 0, '2', 0, '3', 0, '4', 0, '5', 0, '6', 0, '7', 0, '8', 0, '9', 0,
};

/* --- addresses ------------------------------------------------------------------- */

static uint64_t address_of(enum rf_kallsyms_encoding encoding, uint32_t offset, uint64_t base,
			   uint64_t place)
{
	int64_t value = (int32_t)offset;

	switch (encoding) {
	case RF_KALLSYMS_ABSOLUTE_PERCPU:
		return value >= 0 ? (uint64_t)value : base - 1 - (uint64_t)value;
	case RF_KALLSYMS_BASE_RELATIVE:
		return base + offset;
	case RF_KALLSYMS_PLACE_RELATIVE:
		return place + (uint64_t)value;
	}
	return 0;
}

static bool is_text_type(char type)
{
	return type == 't' || type == 'T' || type == 'w' || type == 'W';
}

/*
 * The evidence for one reading of the offsets. scripts/kallsyms.c sorts by address, so a right
 * reading does not descend; each address is small (per-CPU) or in the image; `_text` or `_stext` is
 * in the image; and the code address we came with lies in a text symbol. A wrong reading fails the
 * first of these at once.
 */
static bool addresses_fit(const struct rf_kallsyms_tables *t, const struct rf_kallsyms *k,
			  const uint64_t *addr)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t i, holder = SIZE_MAX;
	bool start = false;

	for (i = 0; i < k->count; i++) {
		const char *name = k->pool + k->name[i];

		if (i && addr[i] < addr[i - 1])
			return false;
		if (addr[i] > INT32_MAX && (addr[i] < v->first.v || addr[i] > v->last.v))
			return false;
		if (addr[i] >= v->first.v && addr[i] <= v->inside.v) {
			/* Of several names at one address a text name speaks. */
			if (holder == SIZE_MAX || addr[holder] != addr[i] ||
			    !is_text_type(k->pool[k->name[holder]]))
				holder = i;
			if (!strcmp(name + 1, "_text") || !strcmp(name + 1, "_stext"))
				start = true;
		}
	}
	return start && holder != SIZE_MAX && is_text_type(k->pool[k->name[holder]]);
}

static bool read_offsets(const struct rf_kallsyms_tables *t, const struct rf_kallsyms *k, size_t at,
			 uint64_t base, enum rf_kallsyms_encoding encoding, uint64_t *addr)
{
	const struct rf_kallsyms_view *v = t->view;

	if (encoding != RF_KALLSYMS_PLACE_RELATIVE && (base < v->first.v || base > v->last.v))
		return false;
	for (size_t i = 0; i < k->count; i++)
		addr[i] = address_of(encoding, rf_u32_at(v, at + i * 4), base,
				     v->addr.v + at + i * 4);
	return addresses_fit(t, k, addr);
}

static int find_addresses(const struct rf_kallsyms_tables *t, struct rf_kallsyms *k)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t size = rf_kallsyms_align(t, k->count * 4),
	       after = rf_kallsyms_align(t, t->token_index + RF_KALLSYMS_TOKEN_COUNT * 2), at,
	       base_at;
	uint64_t *addr = malloc(k->count * sizeof(*addr)), base;

	if (!addr)
		return -ENOMEM;
	for (unsigned int order = 0; order < 2; order++) {
		/*
		 * 0: offsets, relative_base (8), num_syms (padded), names. 1: token_index, offsets,
		 * relative_base.
		 */
		if (order == 0 && t->names < size + 8 + t->align)
			continue;
		at = order == 0 ? t->names - 8 - t->align - size : after;
		if (at > v->len || v->len - at < size)
			continue;
		base_at = at + size;
		base = 0;
		if (v->len - base_at >= 8)
			memcpy(&base, v->bytes + base_at, 8);
		for (int e = RF_KALLSYMS_ABSOLUTE_PERCPU; e <= RF_KALLSYMS_PLACE_RELATIVE; e++) {
			if (!read_offsets(t, k, at, base, e, addr))
				continue;
			k->addr = addr;
			k->encoding = e;
			return 0;
		}
	}
	free(addr);
	return -EBADMSG;
}

/* --- names ----------------------------------------------------------------------- */

/*
 * Exact size of all names expanded, each with type letter and NUL; 0 when one of them is not a
 * name.
 */
static size_t expanded_size(const struct rf_kallsyms_tables *t)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = t->names, data, total = 0, len;

	for (uint32_t i = 0; i < t->count; i++) {
		if (!rf_kallsyms_name_step(v, at, t->markers, &data, &at))
			return 0;
		for (len = 0; data < at; data++) {
			if (!t->token[v->bytes[data]].plain)
				return 0;
			len += t->token[v->bytes[data]].len;
		}
		if (len < 1 || len > RF_KALLSYMS_NAME_MAX + 1)
			return 0;
		total += len + 1;
	}
	return total <= POOL_MAX ? total : 0;
}

static bool is_type(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool expand_names(const struct rf_kallsyms_tables *t, struct rf_kallsyms *k)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = t->names, data, used = 0, len, from;

	for (uint32_t i = 0; i < t->count; i++) {
		if (!rf_kallsyms_name_step(v, at, t->markers, &data, &at))
			return false;
		k->name[i] = used;
		for (; data < at; data++, used += len) {
			len = t->token[v->bytes[data]].len;
			from = t->token_table + t->token[v->bytes[data]].start;
			/*
			 * The index behind the table and the pool's slack make 16 bytes safe to
			 * touch.
			 */
			if (len <= COPY_SLACK)
				memcpy(k->pool + used, v->bytes + from, COPY_SLACK);
			else
				memcpy(k->pool + used, v->bytes + from, len);
		}
		if (!is_type(k->pool[k->name[i]]))
			return false;
		k->pool[used++] = '\0';
	}
	k->pool_size = used;
	return true;
}

/* -ENOENT: no token table; -EBADMSG: one, but no names and markers that fit it. */
static int find_tables(struct rf_kallsyms_tables *t, size_t digits)
{
	static const size_t aligns[] = { 8, 4 };
	int r = -ENOENT;

	for (size_t i = 0; i < 2; i++) {
		t->align = aligns[i];
		if (!rf_kallsyms_find_tokens(t, digits))
			continue;
		if (rf_kallsyms_find_names(t))
			return 0;
		r = -EBADMSG;
	}
	return r;
}

bool rf_kallsyms_probe(const struct rf_kallsyms_view *view, size_t digits)
{
	struct rf_kallsyms_tables t = { .view = view, .align = 8 };

	if (digits > view->len)
		return false;
	if (rf_kallsyms_find_tokens(&t, digits))
		return true;
	t.align = 4;
	return rf_kallsyms_find_tokens(&t, digits);
}

int rf_kallsyms_decode(const struct rf_kallsyms_view *view, size_t digits, struct rf_kallsyms *out,
		       struct rf_diag *diag)
{
	struct rf_kallsyms_tables t = { .view = view };
	struct rf_kallsyms k = { 0 };
	size_t size;
	int r;

	r = digits > view->len ? -ENOENT : find_tables(&t, digits);
	if (r == -ENOENT)
		return rf_diag_fail(diag, -ENOENT, "no kallsyms token table");
	if (r)
		return rf_diag_fail(diag, -EBADMSG,
				    "kallsyms token table at %#llx: no names and markers agree",
				    (unsigned long long)(view->addr.v + t.token_table));
	size = expanded_size(&t);
	if (!size)
		return rf_diag_fail(diag, -EBADMSG, "kallsyms names are not names");
	k.count = t.count;
	k.pool = malloc(size + COPY_SLACK);
	k.name = malloc(k.count * sizeof(*k.name));
	if (!k.pool || !k.name)
		r = rf_diag_fail(diag, -ENOMEM, "no memory for %zu symbols", k.count);
	else if (!expand_names(&t, &k))
		r = rf_diag_fail(diag, -EBADMSG, "kallsyms names have no types");
	else if ((r = find_addresses(&t, &k)))
		rf_diag_fail(diag, r, "kallsyms offsets of %zu symbols fit no known encoding",
			     k.count);
	if (r) {
		rf_kallsyms_deinit(&k);
		return r;
	}
	*out = k;
	return 0;
}

void rf_kallsyms_deinit(struct rf_kallsyms *k)
{
	free(k->addr);
	free(k->name);
	free(k->pool);
	memset(k, 0, sizeof(*k));
}
