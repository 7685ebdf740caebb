// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/wrong.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the nearest word ----------------------------------------------------- */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Letters to add, to leave out and to change until one is the other (Levenshtein's distance); case
 * is no difference. */
static size_t distance(const char *a, const char *b)
{
	size_t row[RF_PLACE_TEXT + 1], width = strlen(b);

	if (width > RF_PLACE_TEXT)
		return width;
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t before = row[0];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[j - 1]);
			size_t changed = before + !same;

			before = row[j];
			row[j] = least(row[j] + 1, row[j - 1] + 1, changed);
		}
	}
	return row[width];
}

struct nearest {
	const char *to; /* the word as it was written */
	size_t distance;
	char found[RF_KEY_PATH]; /* "": none is near */
};

/* More letters than a third of the word are another word, not a slip. */
static void consider(struct nearest *n, const char *word, const char *called)
{
	size_t d = distance(n->to, word), allowed = strlen(word) / 3 > 2 ? strlen(word) / 3 : 2;

	if (d > allowed || d >= strlen(word) || (n->found[0] && d >= n->distance))
		return;
	n->distance = d;
	snprintf(n->found, sizeof(n->found), "%s", called);
}

/* --- sentences ------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static void add(struct rf_policy_diag *d, const char *fmt,
						      ...)
{
	size_t len = strlen(d->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(d->text + len, sizeof(d->text) - len, fmt, args);
	va_end(args);
}

static bool is_section(const char *name)
{
	for (size_t i = 0; i < rf_keys_count; i++)
		if (rf_keys[i].section && !strcmp(rf_keys[i].section, name))
			return true;
	return false;
}

/* The keys below a section, "" those of the file's own level; each section's name once. */
static void add_keys(struct rf_policy_diag *d, const char *section)
{
	const char *last = "", *comma = "";

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];
		const char *name = *section || !k->section ? k->name : k->section;

		if ((*section && strcmp(k->section ?: "", section)) || !strcmp(name, last))
			continue;
		add(d, "%s%s", comma, name);
		comma = ", ";
		last = name;
	}
}

static void unknown_key(const struct rf_place *p, struct rf_policy_diag *d)
{
	struct nearest near = { .to = p->key };
	char path[RF_KEY_PATH];

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		if (!strcmp(k->section ?: "", p->section))
			consider(&near, k->name, k->name);
		else if (k->section && !p->section[0])
			consider(&near, k->section, k->section);
	}
	/* As it is, but elsewhere: "control_watch" belongs below "pin". */
	for (size_t i = 0; i < rf_keys_count && !near.found[0]; i++)
		if (!strcmp(rf_keys[i].name, p->key))
			consider(&near, rf_keys[i].name, rf_key_path(&rf_keys[i], path));
	d->line = p->line;
	d->column = p->column;
	add(d, "there is no such key");
	if (is_section(p->section))
		add(d, " below %s", p->section);
	if (near.found[0])
		add(d, "; did you mean \"%s\"?", near.found);
	add(d, "%s The keys there are: ", near.found[0] ? "" : ".");
	add_keys(d, p->section);
}

/* A list's own members have no place of their own. */
static void wrong_list(const struct rf_key *k, const struct rf_place *p, const char *said,
		       struct rf_policy_diag *d)
{
	char legal[RF_KEY_LEGAL];

	d->line = p->value_line;
	d->column = p->value_column;
	add(d, "%s: %s belongs there, as in [ one, two ]; a name has 1 to %u letters (%s)", k->name,
	    rf_key_legal(k, legal), RF_POLICY_NAME_MAX, said);
}

static void wrong_shape(const struct rf_place *p, const char *said, struct rf_policy_diag *d)
{
	d->line = p->value_line;
	d->column = p->value_column;
	if (p->kind == RF_PLACE_ALIAS) {
		add(d, "%s: an alias stands there, and none is read; write the value out", p->key);
	} else if (is_section(p->key) && !p->section[0]) {
		add(d, "%s: its keys belong below it, on lines of their own: ", p->key);
		add_keys(d, p->key);
	} else {
		add(d, "%s: one word belongs there, not %s", p->key,
		    p->kind == RF_PLACE_LIST ? "a list" : "keys");
	}
	add(d, " (%s)", said);
}

static void wrong_value(const struct rf_key *k, const struct rf_place *p, struct rf_policy_diag *d)
{
	struct nearest near = { .to = p->value };
	char legal[RF_KEY_LEGAL];

	d->line = p->value_line;
	d->column = p->value_column;
	for (const struct rf_key_word *w = k->words; w && w->text; w++)
		consider(&near, w->text, w->text);
	add(d, p->value[0] ? "%s cannot be what stands there" : "%s has no value", k->name);
	if (near.found[0])
		add(d, "; did you mean \"%s\"?", near.found);
	add(d, "%s It may be: %s%s", near.found[0] ? "" : ".", rf_key_legal(k, legal),
	    k->words ? "" : ", digits alone");
}

/* Digits, no zero before others: libcyaml reads up to what does not fit ("1GB" is 1 to it), and
 * "010" to another base. */
static bool is_number(const char *text)
{
	size_t len = strlen(text);

	return len && len < 11 && strspn(text, "0123456789") == len && (*text != '0' || len == 1) &&
	       strtoull(text, NULL, 10) <= UINT32_MAX;
}

static bool is_legal(const struct rf_key *k, const char *value)
{
	for (const struct rf_key_word *w = k->words; w && w->text; w++)
		if (!strcmp(w->text, value))
			return true;
	return !k->words && is_number(value);
}

/* The first of the same name that stands before it. */
static const struct rf_place *earlier(const struct rf_places *all, const struct rf_place *p)
{
	const struct rf_place *first = rf_places_find(all, p->section, p->key);

	return first != p ? first : NULL;
}

static bool explain(const struct rf_places *all, const struct rf_place *p, const char *said,
		    struct rf_policy_diag *d)
{
	const struct rf_key *k = rf_key_find(p->section, p->key);
	bool section = !p->section[0] && is_section(p->key);

	if (!k && !section) {
		unknown_key(p, d);
	} else if (earlier(all, p)) {
		d->line = p->line;
		d->column = p->column;
		add(d, "%s stands there twice, the first time in line %u", p->key,
		    earlier(all, p)->line);
	} else if (k && k->names && p->kind != RF_PLACE_ALIAS) {
		if (p->kind != RF_PLACE_LIST)
			wrong_list(k, p, said, d);
	} else if (p->kind != (section ? RF_PLACE_KEYS : RF_PLACE_WORD)) {
		wrong_shape(p, said, d);
	} else if (k && !is_legal(k, p->value)) {
		wrong_value(k, p, d);
	}
	return d->text[0];
}

void rf_wrong_explain(const struct rf_places *places, const char *said, struct rf_policy_diag *out)
{
	*out = (struct rf_policy_diag){ .line = 1, .column = 1 };
	for (size_t i = 0; i < places->count; i++)
		if (explain(places, &places->items[i], said, out))
			return;
	/* Then it is a member of a list. */
	for (size_t i = 0; !places->line && !places->second_line && i < places->count; i++) {
		const struct rf_place *at = &places->items[i];
		const struct rf_key *k = rf_key_find(at->section, at->key);

		if (k && k->names) {
			wrong_list(k, at, said, out);
			return;
		}
	}
	if (places->line) {
		out->line = places->line;
		out->column = places->column;
		add(out, "%s (%s)", places->why, said);
		return;
	}
	if (places->second_line)
		out->line = places->second_line;
	add(out, "%s",
	    places->second_line ? "a policy is one document, and there are documents after first"
				: said);
}

bool rf_wrong_number(const struct rf_places *places, struct rf_policy_diag *out)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct rf_place *p = &places->items[i];
		const struct rf_key *k = rf_key_find(p->section, p->key);

		if (!k || k->words || k->names || is_number(p->value))
			continue;
		*out = (struct rf_policy_diag){ 0 };
		wrong_value(k, p, out);
		return true;
	}
	return false;
}

int rf_wrong_at(const struct rf_places *places, const struct rf_key *key,
		struct rf_policy_diag *out, const char *fmt, ...)
{
	const struct rf_place *p = key ? rf_places_find(places, key->section, key->name) : NULL;
	va_list args;

	*out = (struct rf_policy_diag){ .line = p ? p->line : 1, .column = p ? p->column : 1 };
	va_start(args, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, args);
	va_end(args);
	return -EBADMSG;
}
