// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"

#define TOKENS 256u
#define GROUP 256u             /* symbols per marker */
#define NAME_MAX_LEN 511u      /* KSYM_NAME_LEN - 1, without the type letter */
#define SYMBOLS_MAX (1u << 22)
#define POOL_MAX ((size_t)96 << 20)
#define COPY_SLACK 16u         /* tokens are copied 16 bytes at a time */
#define WALK_BUDGET (SYMBOLS_MAX * 4ull)

const uint8_t rf_kallsyms_digits[RF_KALLSYMS_DIGITS_LEN] = "0\0" "1\0" "2\0" "3\0" "4\0" "5\0" "6\0" "7\0"
							   "8\0" "9";

_Static_assert(sizeof(rf_kallsyms_digits) == 20, "ten digits, each with its NUL");

struct tables {
	const struct rf_kallsyms_view *view;
	size_t token_table, token_index, markers, names; /* offsets in view->bytes */
	size_t names_size;
	uint32_t marker_count, count;
	struct {
		uint16_t start;
		uint16_t len;
		bool plain; /* printable ASCII only */
	} token[TOKENS];
	uint64_t budget; /* names that may still be stepped over, in all attempts together */
};

static uint32_t u32_at(const struct rf_kallsyms_view *v, size_t at)
{
	uint32_t x;

	memcpy(&x, v->bytes + at, sizeof(x));
	return x;
}

static size_t align8(size_t x)
{
	return (x + 7) & ~(size_t)7;
}

/* One string after the other from `at`; *end is just past the NUL. */
static bool skip_string(const struct rf_kallsyms_view *v, size_t at, size_t *end)
{
	size_t room = v->len - at < UINT16_MAX ? v->len - at : UINT16_MAX;
	const uint8_t *nul = at < v->len ? memchr(v->bytes + at, 0, room) : NULL;

	if (!nul)
		return false;
	*end = (size_t)(nul - v->bytes) + 1;
	return true;
}

/*
 * The token table from its digits. Its end follows from counting strings; its start does not, as an empty
 * first token looks like padding. The index that follows the table settles it: entry i is the offset of
 * token i, so entry '0' leads back to the start, and all 256 must agree.
 */
static int find_tokens(struct tables *t, size_t digits)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = digits, end;
	unsigned int i;
	uint16_t index[TOKENS];

	for (i = '0'; i < TOKENS; i++, at = end)
		if (!skip_string(v, at, &end) || end - digits > UINT16_MAX)
			return -ENOENT;
	t->token_index = align8(at);
	if (t->token_index > v->len || v->len - t->token_index < sizeof(index))
		return -ENOENT;
	memcpy(index, v->bytes + t->token_index, sizeof(index));
	if (index[0] || index['0'] > digits || (digits - index['0']) & 7)
		return -ENOENT;
	t->token_table = digits - index['0'];
	for (i = 0, at = t->token_table; i < TOKENS; i++, at = end) {
		if (index[i] != at - t->token_table || !skip_string(v, at, &end))
			return -ENOENT;
		t->token[i].start = index[i];
		t->token[i].len = end - at - 1;
		t->token[i].plain = true;
		for (size_t c = at; c < end - 1; c++)
			if (v->bytes[c] <= ' ' || v->bytes[c] > '~')
				t->token[i].plain = false;
	}
	return align8(at) == t->token_index ? 0 : -ENOENT;
}

/* Length field of the name at `at`: one byte, or two of ULEB128 for 128 and more (6.1 on). */
static bool name_step(const struct rf_kallsyms_view *v, size_t at, size_t limit, size_t *data, size_t *next)
{
	size_t len;

	if (at >= limit)
		return false;
	len = v->bytes[at++];
	if (len & 0x80) {
		if (at >= limit)
			return false;
		len = (len & 0x7f) | (size_t)v->bytes[at++] << 7;
	}
	if (!len || len > limit - at)
		return false;
	*data = at;
	*next = at + len;
	return true;
}

/* Walks all names: each 256th must start where its marker says, the last must end where markers begin. */
static bool names_fit(struct tables *t, size_t names, uint32_t count)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = names, data;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (i % GROUP == 0 && at - names != u32_at(v, t->markers + i / GROUP * 4))
			return false;
		if (!t->budget || !name_step(v, at, t->markers, &data, &at))
			return false;
		t->budget--;
	}
	if (align8(at) != t->markers)
		return false;
	t->names = names;
	t->names_size = at - names;
	t->count = count;
	return true;
}

/*
 * Names lie before the markers, num_syms before the names: a 4-byte count padded to 8, which must need
 * exactly as many markers as there are. The last marker tells the start but for the last group's length.
 */
static bool find_names(struct tables *t)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t last = u32_at(v, t->markers + (t->marker_count - 1) * 4);
	size_t longest = GROUP * (NAME_MAX_LEN + 3), names, lowest;
	uint32_t count;

	if (t->markers < 8 || last >= t->markers - 8)
		return false;
	names = (t->markers - last) & ~(size_t)7;
	lowest = names > longest + 8 ? names - longest : 8;
	for (; names >= lowest; names -= 8) {
		count = u32_at(v, names - 8);
		if (count <= SYMBOLS_MAX && (count + GROUP - 1) / GROUP == t->marker_count &&
		    u32_at(v, names - 4) == 0 && names_fit(t, names, count))
			return true;
	}
	return false;
}

/* Number of markers when they start at `at`: 0 and then rising, as many as `most` or fewer. */
static uint32_t markers_at(const struct rf_kallsyms_view *v, size_t at, uint32_t most)
{
	uint32_t n = 1;

	while (n < most && u32_at(v, at + n * 4) > u32_at(v, at + (n - 1) * 4))
		n++;
	return n;
}

/*
 * Markers end where the token table begins (but for padding) or where seqs_of_names does, which holds
 * `seq_size` bytes for each symbol; the distance then gives their number. Each 0 on the way back is a
 * possible first marker. A run rises from one 0 and cannot contain another, so the search is linear.
 */
static bool find_markers(struct tables *t)
{
	static const unsigned int seq_sizes[] = { 0, 3, 4 };
	const struct rf_kallsyms_view *v = t->view;
	size_t at, distance, rest;
	uint32_t run, n, most;

	for (at = t->token_table; at >= 8;) {
		at -= 8;
		distance = t->token_table - at;
		if (u32_at(v, at))
			continue;
		most = distance / 4 < SYMBOLS_MAX / GROUP ? distance / 4 : SYMBOLS_MAX / GROUP;
		run = markers_at(v, at, most);
		for (unsigned int s = 0; s < 3; s++) {
			/* n markers stand for (256(n-1), 256n] symbols. */
			n = distance / (4 + GROUP * seq_sizes[s]);
			for (n = n > 1 ? n - 1 : 1; n <= run && n * 4 <= distance; n++) {
				rest = distance - align8(n * 4);
				if (align8(n * 4) > distance ||
				    rest > align8((size_t)n * GROUP * seq_sizes[s]))
					continue;
				if (rest < align8(((size_t)(n - 1) * GROUP + 1) * seq_sizes[s]))
					break;
				t->markers = at;
				t->marker_count = n;
				if (find_names(t) &&
				    rest == align8((size_t)t->count * seq_sizes[s]))
					return true;
				if (!t->budget)
					return false;
			}
		}
	}
	return false;
}

/* --- addresses ---------------------------------------------------------------------------------------- */

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
 * The evidence for one reading of the offsets. scripts/kallsyms.c sorts by address, so a right reading does
 * not descend; each address is small (per-CPU) or in the image; `_text` or `_stext` is in the image; and
 * the code address we came with lies in a text symbol. A wrong reading fails the first of these at once.
 */
static bool addresses_fit(const struct tables *t, const struct rf_kallsyms *k, const uint64_t *addr)
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

static bool read_offsets(const struct tables *t, const struct rf_kallsyms *k, size_t at, uint64_t base,
			 enum rf_kallsyms_encoding encoding, uint64_t *addr)
{
	const struct rf_kallsyms_view *v = t->view;

	if (encoding != RF_KALLSYMS_PLACE_RELATIVE && (base < v->first.v || base > v->last.v))
		return false;
	for (size_t i = 0; i < k->count; i++)
		addr[i] = address_of(encoding, u32_at(v, at + i * 4), base, v->addr.v + at + i * 4);
	return addresses_fit(t, k, addr);
}

static int find_addresses(const struct tables *t, struct rf_kallsyms *k)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t size = align8(k->count * 4), after = align8(t->token_index + TOKENS * 2), at, base_at;
	uint64_t *addr = malloc(k->count * sizeof(*addr)), base;

	if (!addr)
		return -ENOMEM;
	for (unsigned int order = 0; order < 2; order++) {
		/* 0: offsets, relative_base (8), num_syms (8), names. 1: token_index, offsets, relative_base. */
		if (order == 0 && t->names < size + 16)
			continue;
		at = order == 0 ? t->names - 16 - size : after;
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

/* --- names -------------------------------------------------------------------------------------------- */

/* Exact size of all names expanded, each with type letter and NUL; 0 when one of them is not a name. */
static size_t expanded_size(const struct tables *t)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = t->names, data, total = 0, len;

	for (uint32_t i = 0; i < t->count; i++) {
		if (!name_step(v, at, t->markers, &data, &at))
			return 0;
		for (len = 0; data < at; data++) {
			if (!t->token[v->bytes[data]].plain)
				return 0;
			len += t->token[v->bytes[data]].len;
		}
		if (len < 1 || len > NAME_MAX_LEN + 1)
			return 0;
		total += len + 1;
	}
	return total <= POOL_MAX ? total : 0;
}

static bool is_type(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool expand_names(const struct tables *t, struct rf_kallsyms *k)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = t->names, data, used = 0, len, from;

	for (uint32_t i = 0; i < t->count; i++) {
		if (!name_step(v, at, t->markers, &data, &at))
			return false;
		k->name[i] = used;
		for (; data < at; data++, used += len) {
			len = t->token[v->bytes[data]].len;
			from = t->token_table + t->token[v->bytes[data]].start;
			/* The index behind the table and the pool's slack make 16 bytes safe to touch. */
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

bool rf_kallsyms_probe(const struct rf_kallsyms_view *view, size_t digits)
{
	struct tables t = { .view = view };

	return digits <= view->len && !find_tokens(&t, digits);
}

int rf_kallsyms_decode(const struct rf_kallsyms_view *view, size_t digits, struct rf_kallsyms *out,
		       struct rf_diag *diag)
{
	struct tables t = { .view = view, .budget = WALK_BUDGET };
	struct rf_kallsyms k = { 0 };
	size_t size;
	int r;

	if (digits > view->len || find_tokens(&t, digits))
		return rf_diag_fail(diag, -ENOENT, "no kallsyms token table");
	if (!find_markers(&t))
		return rf_diag_fail(diag, -EBADMSG, "kallsyms token table at %#llx: no names and markers agree",
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
		rf_diag_fail(diag, r, "kallsyms offsets of %zu symbols fit no known encoding", k.count);
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
