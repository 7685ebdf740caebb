// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Names come from the guest: an attacker can choose thousands that hash alike. Real tables need
 * fewer than two probes a name; a table that needs far more is refused instead of being slow.
 */
#define PROBES_PER_NAME 16u

static const char *name_of(const struct rf_symbols *s, size_t index)
{
	return s->table.pool + s->table.name[index] + 1;
}

static char type_of(const struct rf_symbols *s, size_t index)
{
	return s->table.pool[s->table.name[index]];
}

/* Only the first of a name goes in: static functions repeat theirs, and lookups want the first. */
static int insert_all(struct rf_symbols *s)
{
	uint64_t probes = (uint64_t)s->table.count * PROBES_PER_NAME;

	for (size_t i = 0; i < s->table.count; i++) {
		const char *name = name_of(s, i);
		uint32_t at = rf_name_hash(name) & s->mask;

		while (s->slot[at] && strcmp(name_of(s, s->slot[at] - 1), name)) {
			if (!probes--)
				return -EBADMSG;
			at = (at + 1) & s->mask;
		}
		if (!s->slot[at])
			s->slot[at] = i + 1;
	}
	return 0;
}

int rf_symbols_init(struct rf_symbols *s, struct rf_kallsyms *table)
{
	struct rf_symbols made = { .table = *table, .mask = 15 };
	int r;

	while (made.mask < table->count + table->count / 2)
		made.mask = made.mask * 2 + 1;
	made.slot = calloc((size_t)made.mask + 1, sizeof(*made.slot));
	if (!made.slot)
		return -ENOMEM;
	r = insert_all(&made);
	if (r) {
		free(made.slot);
		return r;
	}
	memset(table, 0, sizeof(*table));
	*s = made;
	return 0;
}

void rf_symbols_deinit(struct rf_symbols *s)
{
	rf_kallsyms_deinit(&s->table);
	free(s->slot);
	memset(s, 0, sizeof(*s));
}

void rf_symbols_at(const struct rf_symbols *s, size_t index, struct rf_symbol *out)
{
	*out = (struct rf_symbol){ name_of(s, index), rf_gva_of(s->table.addr[index]),
				   type_of(s, index) };
}

int rf_symbols_by_name(const struct rf_symbols *s, const char *name, struct rf_symbol *out)
{
	uint32_t at = rf_name_hash(name) & s->mask;

	for (; s->slot[at]; at = (at + 1) & s->mask) {
		if (strcmp(name_of(s, s->slot[at] - 1), name))
			continue;
		rf_symbols_at(s, s->slot[at] - 1, out);
		return 0;
	}
	return -ENOENT;
}

/* Number of symbols at or below addr. */
static size_t count_to(const struct rf_symbols *s, uint64_t addr)
{
	size_t low = 0, high = s->table.count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (s->table.addr[mid] <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Mapping symbols ($x, $d) and local labels say nothing to a person. */
static bool is_marker(const char *name)
{
	return name[0] == '$' || !strncmp(name, ".L", 2);
}

/*
 * Bounds put there by the linker script (include/asm-generic/vmlinux.lds.h), not things in their
 * own right.
 */
static bool is_bound(const char *name)
{
	size_t len = strlen(name);

	return !strncmp(name, "__start_", 8) || !strncmp(name, "__stop_", 7) ||
	       (len > 6 && !strcmp(name + len - 6, "_start")) ||
	       (len > 4 && !strcmp(name + len - 4, "_end")) || !strcmp(name, "_text") ||
	       !strcmp(name, "_stext") || !strcmp(name, "_etext");
}

static int rank(const struct rf_symbols *s, size_t index)
{
	const char *name = name_of(s, index);

	if (is_marker(name))
		return 0;
	if (is_bound(name))
		return 1;
	return type_of(s, index) >= 'a' ? 2 : 3;
}

int rf_symbols_by_address(const struct rf_symbols *s, uint64_t addr, struct rf_symbol *out,
			  uint64_t *next)
{
	size_t above = count_to(s, addr), i = above, best;

	while (i && is_marker(name_of(s, i - 1)))
		i--;
	if (!i)
		return -ENOENT;
	/* kallsyms sorts the better of equal aliases first: the first of the highest rank. */
	for (best = --i; i && s->table.addr[i - 1] == s->table.addr[best]; i--)
		if (rank(s, i - 1) >= rank(s, best))
			best = i - 1;
	while (above < s->table.count && is_marker(name_of(s, above)))
		above++;
	rf_symbols_at(s, best, out);
	*next = above < s->table.count ? s->table.addr[above] : UINT64_MAX;
	return 0;
}

bool rf_symbols_is_function(const struct rf_symbols *s, uint64_t addr)
{
	for (size_t i = count_to(s, addr); i && s->table.addr[i - 1] == addr; i--) {
		char type = type_of(s, i - 1);

		if (type == 't' || type == 'T' || type == 'w' || type == 'W')
			return true;
	}
	return false;
}
