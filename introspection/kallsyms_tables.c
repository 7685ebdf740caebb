// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/kallsyms_tables.h"

#define GROUP 256u	       /* symbols per marker */
#define SYMBOLS_MAX (1u << 20) /* distributions have 200,000 */
#define WALK_BUDGET (SYMBOLS_MAX * 4ull)

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
 * The token table from its digits. Its end follows from counting strings; its start does not, as an
 * empty first token looks like padding. The index that follows the table settles it: entry i is the
 * offset of token i, so entry '0' leads back to the start, and all 256 must agree.
 */
bool rf_kallsyms_find_tokens(struct rf_kallsyms_tables *t, size_t digits)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = digits, end;
	unsigned int i;
	uint16_t index[RF_KALLSYMS_TOKEN_COUNT];

	for (i = '0'; i < RF_KALLSYMS_TOKEN_COUNT; i++, at = end)
		if (!skip_string(v, at, &end) || end - digits > UINT16_MAX)
			return false;
	t->token_index = rf_kallsyms_align(t, at);
	if (t->token_index > v->len || v->len - t->token_index < sizeof(index))
		return false;
	memcpy(index, v->bytes + t->token_index, sizeof(index));
	if (index[0] || index['0'] > digits || (digits - index['0']) & (t->align - 1))
		return false;
	t->token_table = digits - index['0'];
	for (i = 0, at = t->token_table; i < RF_KALLSYMS_TOKEN_COUNT; i++, at = end) {
		if (index[i] != at - t->token_table || !skip_string(v, at, &end))
			return false;
		t->token[i].start = index[i];
		t->token[i].len = end - at - 1;
		t->token[i].plain = true;
		for (size_t c = at; c < end - 1; c++)
			if (v->bytes[c] <= ' ' || v->bytes[c] > '~')
				t->token[i].plain = false;
	}
	return rf_kallsyms_align(t, at) == t->token_index;
}

/* Length field of the name at `at`: one byte, or two of ULEB128 for 128 and more (6.1 on). */
bool rf_kallsyms_name_step(const struct rf_kallsyms_view *v, size_t at, size_t limit, size_t *data,
			   size_t *next)
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

/*
 * Walks all names: each 256th must start where its marker says, the last must end where markers
 * begin.
 */
static bool names_fit(struct rf_kallsyms_tables *t, size_t names, uint32_t count)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t at = names, data;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (i % GROUP == 0 && at - names != rf_u32_at(v, t->markers + i / GROUP * 4))
			return false;
		if (!t->budget || !rf_kallsyms_name_step(v, at, t->markers, &data, &at))
			return false;
		t->budget--;
	}
	if (rf_kallsyms_align(t, at) != t->markers)
		return false;
	t->names = names;
	t->names_size = at - names;
	t->count = count;
	return true;
}

/*
 * Names lie before the markers, num_syms before the names: a 4-byte count, padded to 8 where all
 * is, which must need exactly as many markers as there are. The last marker tells the start but for
 * the last group's length.
 */
static bool find_names(struct rf_kallsyms_tables *t)
{
	const struct rf_kallsyms_view *v = t->view;
	size_t last = rf_u32_at(v, t->markers + (t->marker_count - 1) * 4);
	size_t longest = GROUP * (RF_KALLSYMS_NAME_MAX + 3), names, lowest;
	uint32_t count;

	if (t->markers < t->align || last >= t->markers - t->align)
		return false;
	names = (t->markers - last) & ~(t->align - 1);
	lowest = names > longest + t->align ? names - longest : t->align;
	for (; names >= lowest; names -= t->align) {
		count = rf_u32_at(v, names - t->align);
		if (count <= SYMBOLS_MAX && (count + GROUP - 1) / GROUP == t->marker_count &&
		    (t->align == 4 || rf_u32_at(v, names - 4) == 0) && names_fit(t, names, count))
			return true;
	}
	return false;
}

/* Number of markers when they start at `at`: 0 and then rising, as many as `most` or fewer. */
static uint32_t markers_at(const struct rf_kallsyms_view *v, size_t at, uint32_t most)
{
	uint32_t n = 1;

	while (n < most && rf_u32_at(v, at + n * 4) > rf_u32_at(v, at + (n - 1) * 4))
		n++;
	return n;
}

/*
 * Markers end where the token table begins (but for padding) or where seqs_of_names does, which
 * holds `seq_size` bytes for each symbol; the distance then gives their number. Each 0 on the way
 * back is a possible first marker. A run rises from one 0 and cannot contain another, so the search
 * is linear.
 */
bool rf_kallsyms_find_names(struct rf_kallsyms_tables *t)
{
	static const unsigned int seq_sizes[] = { 0, 3, 4 };
	const struct rf_kallsyms_view *v = t->view;
	size_t at, distance, rest;
	uint32_t run, n, most;

	t->budget = WALK_BUDGET;
	for (at = t->token_table; at >= t->align;) {
		at -= t->align;
		distance = t->token_table - at;
		if (rf_u32_at(v, at))
			continue;
		most = distance / 4 < SYMBOLS_MAX / GROUP ? distance / 4 : SYMBOLS_MAX / GROUP;
		run = markers_at(v, at, most);
		for (unsigned int s = 0; s < 3; s++) {
			/* n markers stand for (256(n-1), 256n] symbols. */
			n = distance / (4 + GROUP * seq_sizes[s]);
			for (n = n > 1 ? n - 1 : 1; n <= run && n * 4 <= distance; n++) {
				rest = distance - rf_kallsyms_align(t, n * 4);
				if (rf_kallsyms_align(t, n * 4) > distance ||
				    rest > rf_kallsyms_align(t, (size_t)n * GROUP * seq_sizes[s]))
					continue;
				if (rest < rf_kallsyms_align(t, ((size_t)(n - 1) * GROUP + 1) *
									seq_sizes[s]))
					break;
				t->markers = at;
				t->marker_count = n;
				if (find_names(t) &&
				    rest == rf_kallsyms_align(t, (size_t)t->count * seq_sizes[s]))
					return true;
				if (!t->budget)
					return false;
			}
		}
	}
	return false;
}
