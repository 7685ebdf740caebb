// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/stricter.h"

#include <stdio.h>
#include <string.h>

#define ENDLESS ((uint64_t)UINT32_MAX + 1)

const char *rf_change_text(enum rf_change c)
{
	switch (c) {
	case RF_CHANGE_NONE:
		return "none";
	case RF_CHANGE_TIGHTER:
		return "tighter";
	case RF_CHANGE_LOOSER:
		return "looser";
	case RF_CHANGE_NEVER:
		return "never";
	}
	return NULL;
}

/* The one with the least value above `over`, in the order from loose to strict. */
static const struct rf_key_word *next_word(const struct rf_key *k, const struct rf_key_word *over)
{
	const struct rf_key_word *next = NULL;
	bool up = k->way == RF_KEY_GREATER;

	for (const struct rf_key_word *w = k->words; w->text; w++) {
		bool behind = !over || (up ? w->value > over->value : w->value < over->value);

		if (behind && (!next || (up ? w->value < next->value : w->value > next->value)))
			next = w;
	}
	return next;
}

const char *rf_key_way_text(const struct rf_key *k, char out[RF_KEY_LEGAL])
{
	size_t len = 0;

	if (k->way == RF_KEY_FIXED)
		snprintf(out, RF_KEY_LEGAL, "fixed");
	else if (k->way == RF_KEY_FEWER)
		snprintf(out, RF_KEY_LEGAL, "fewer names");
	else if (k->way == RF_KEY_MORE)
		snprintf(out, RF_KEY_LEGAL, "more names");
	else if (!k->words)
		snprintf(out, RF_KEY_LEGAL, "the %s number%s",
			 k->way == RF_KEY_GREATER ? "greater" : "smaller",
			 k->endless ? ", 0 the greatest" : "");
	if (k->way == RF_KEY_FIXED || !k->words)
		return out;
	for (const struct rf_key_word *w = NULL; (w = next_word(k, w)) && len < RF_KEY_LEGAL;)
		len += (size_t)snprintf(out + len, RF_KEY_LEGAL - len, "%s%s", len ? " < " : "",
					w->text);
	if (k->held && len < RF_KEY_LEGAL)
		snprintf(out + len, RF_KEY_LEGAL - len, ", never looser");
	return out;
}

/* Is each of a's names one of b's? */
static bool within(const struct rf_names *a, const struct rf_names *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (!rf_names_has(b, a->name[i]))
			return false;
	return true;
}

static uint64_t size_of(const struct rf_key *k, const struct rf_policy *p)
{
	uint32_t value = rf_key_get(p, k);

	return k->endless && !value ? ENDLESS : value;
}

/* Of a key that is not fixed. */
static enum rf_change compare(const struct rf_key *k, const struct rf_policy *from,
			      const struct rf_policy *to)
{
	uint64_t was = size_of(k, from), is = size_of(k, to);
	bool tighter;

	if (k->names) {
		bool less = within(rf_key_names(to, k), rf_key_names(from, k));
		bool more = within(rf_key_names(from, k), rf_key_names(to, k));

		if (less && more)
			return RF_CHANGE_NONE;
		tighter = k->way == RF_KEY_FEWER ? less : more;
		return tighter ? RF_CHANGE_TIGHTER : RF_CHANGE_LOOSER;
	}
	if (was == is)
		return RF_CHANGE_NONE;
	tighter = k->way == RF_KEY_GREATER ? is > was : is < was;
	return tighter ? RF_CHANGE_TIGHTER : RF_CHANGE_LOOSER;
}

enum rf_change rf_key_change(const struct rf_key *k, const struct rf_policy *from,
			     const struct rf_policy *to)
{
	enum rf_change c;

	switch (k->way) {
	case RF_KEY_GREATER:
	case RF_KEY_SMALLER:
	case RF_KEY_FEWER:
	case RF_KEY_MORE:
		c = compare(k, from, to);
		return c == RF_CHANGE_LOOSER && k->held ? RF_CHANGE_NEVER : c;
	case RF_KEY_FIXED:
		break;
	}
	return rf_key_get(from, k) == rf_key_get(to, k) ? RF_CHANGE_NONE : RF_CHANGE_NEVER;
}

const char *rf_key_whole_value(const struct rf_key *k, const struct rf_policy *p, char *out,
			       size_t size)
{
	const struct rf_names *names = rf_key_names(p, k);
	char value[RF_KEY_PATH];
	size_t len;

	if (!k->names) {
		snprintf(out, size, "%s", rf_key_value(k, rf_key_get(p, k), value));
		return out;
	}
	len = (size_t)snprintf(out, size, "[");
	for (uint32_t i = 0; i < names->count && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "",
					names->name[i]);
	if (len < size)
		snprintf(out + len, size - len, "]");
	return out;
}

#define VALUE_MAX 256
static const char more[] = " ...";

/* As many of those in a that b has not, each behind the sign; *left: that had no room. */
static size_t put_names(const struct rf_names *a, const struct rf_names *b, char sign, char *out,
			size_t size, uint32_t *left)
{
	size_t len = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		if (rf_names_has(b, a->name[i]))
			continue;
		if (len + strlen(a->name[i]) + 3 > size)
			++*left;
		else
			len += (size_t)snprintf(out + len, size - len, " %c%s", sign, a->name[i]);
	}
	return len;
}

/* "[a, b] -> [a]"; of lists that are long what comes and what goes: "60 -> 61 names: +c". */
static void put_change(const struct rf_key *k, const struct rf_policy *from,
		       const struct rf_policy *to, char out[2 * VALUE_MAX])
{
	const struct rf_names *was = rf_key_names(from, k), *is = rf_key_names(to, k);
	char before[VALUE_MAX], after[VALUE_MAX];
	uint32_t left = 0;
	size_t len;

	rf_key_whole_value(k, from, before, sizeof(before));
	rf_key_whole_value(k, to, after, sizeof(after));
	if (!k->names || (before[strlen(before) - 1] == ']' && after[strlen(after) - 1] == ']')) {
		snprintf(out, 2 * VALUE_MAX, "%.250s -> %.250s", before, after);
		return;
	}
	len = (size_t)snprintf(out, 2 * VALUE_MAX, "%u -> %u names:", was->count, is->count);
	len += put_names(is, was, '+', out + len, 2 * VALUE_MAX - 24 - len, &left);
	len += put_names(was, is, '-', out + len, 2 * VALUE_MAX - 24 - len, &left);
	if (left)
		snprintf(out + len, 2 * VALUE_MAX - len, " and %u more", left);
}

/* Lists come last: one that is long must not hide the other keys. */
const char *rf_changes_text(const struct rf_policy *from, const struct rf_policy *to, uint32_t ways,
			    char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t n = 0; n < 2 * rf_keys_count; n++) {
		const struct rf_key *k = &rf_keys[n % rf_keys_count];
		enum rf_change c = rf_key_change(k, from, to);
		char path[RF_KEY_PATH], change[2 * VALUE_MAX];
		char one[RF_KEY_PATH + sizeof(change) + 16];
		size_t more_len;

		if (k->names != (n >= rf_keys_count) || c == RF_CHANGE_NONE || !(ways >> c & 1))
			continue;
		put_change(k, from, to, change);
		more_len = (size_t)snprintf(one, sizeof(one), "%s%s: %s", len ? "; " : "",
					    rf_key_path(k, path), change);
		if (len + more_len + sizeof(more) > size) {
			snprintf(out + len, size - len, "%s", more);
			break;
		}
		memcpy(out + len, one, more_len + 1);
		len += more_len;
	}
	return out;
}
