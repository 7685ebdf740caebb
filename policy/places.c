// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/places.h"

#include <stdio.h>
#include <string.h>

#include <yaml.h>

#define LEVELS 2 /* the file's own keys, and those below one of them */

struct walk {
	yaml_parser_t parser;
	struct rf_places *out;
	const char *text;
	size_t len;
};

static void stop(struct walk *w, const yaml_mark_t *at, const char *why)
{
	w->out->line = (unsigned int)at->line + 1;
	w->out->column = (unsigned int)at->column + 1;
	snprintf(w->out->why, sizeof(w->out->why), "%s", why);
}

/* What is no text at all has an offset and no place: its line is counted. */
static void stop_at_problem(struct walk *w)
{
	yaml_mark_t at = w->parser.problem_mark;

	if (w->parser.error == YAML_READER_ERROR) {
		at = (yaml_mark_t){ 0 };
		for (size_t i = 0; i < w->parser.problem_offset && i < w->len; i++) {
			at.column = w->text[i] == '\n' ? 0 : at.column + 1;
			at.line += w->text[i] == '\n';
		}
	}
	stop(w, &at, w->parser.problem ?: "no memory");
}

/* The caller deletes the event. */
static bool next(struct walk *w, yaml_event_t *e)
{
	if (yaml_parser_parse(&w->parser, e))
		return true;
	stop_at_problem(w);
	return false;
}

static bool opens(const yaml_event_t *e)
{
	return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool closes(const yaml_event_t *e)
{
	return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

/* To the end of what was just opened. */
static bool skip(struct walk *w)
{
	yaml_event_t e;

	for (unsigned int depth = 1; depth;) {
		if (!next(w, &e))
			return false;
		depth += opens(&e);
		depth -= closes(&e);
		yaml_event_delete(&e);
	}
	return true;
}

/* A NUL that a quoted word has would end it for who compares it: it is another letter here. */
static void keep(char out[RF_PLACE_TEXT], const yaml_event_t *e)
{
	size_t len = e->data.scalar.length;

	len = len < RF_PLACE_TEXT ? len : RF_PLACE_TEXT - 1;
	memcpy(out, e->data.scalar.value, len);
	out[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (!out[i])
			out[i] = '?';
}

static enum rf_place_kind kind_of(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_MAPPING_START_EVENT:
		return RF_PLACE_KEYS;
	case YAML_SEQUENCE_START_EVENT:
		return RF_PLACE_LIST;
	case YAML_ALIAS_EVENT:
		return RF_PLACE_ALIAS;
	default:
		return RF_PLACE_WORD;
	}
}

static bool read_key(struct walk *w, const yaml_event_t *e, const char *section, struct rf_place *p)
{
	if (e->type != YAML_SCALAR_EVENT) {
		stop(w, &e->start_mark, "a key must be a word");
		return false;
	}
	*p = (struct rf_place){ .line = (unsigned int)e->start_mark.line + 1,
				.column = (unsigned int)e->start_mark.column + 1 };
	snprintf(p->section, sizeof(p->section), "%s", section);
	keep(p->key, e);
	return true;
}

static void read_value(const yaml_event_t *e, struct rf_place *p)
{
	p->kind = kind_of(e);
	p->value_line = (unsigned int)e->start_mark.line + 1;
	p->value_column = (unsigned int)e->start_mark.column + 1;
	if (p->kind == RF_PLACE_WORD)
		keep(p->value, e);
}

/* The keys of a mapping that was just opened, to its end. */
static bool read_keys(struct walk *w, const char *section, unsigned int level)
{
	struct rf_place p = { 0 };
	bool more = true, key = true, on = true;
	yaml_event_t e;

	while (more && on) {
		if (!next(w, &e))
			return false;
		if (key && e.type == YAML_MAPPING_END_EVENT) {
			more = false;
		} else if (key) {
			on = read_key(w, &e, section, &p);
		} else {
			read_value(&e, &p);
			if (w->out->count < RF_PLACES_MAX)
				w->out->items[w->out->count++] = p;
			if (p.kind == RF_PLACE_KEYS && level < LEVELS)
				on = read_keys(w, p.key, level + 1);
			else if (opens(&e))
				on = skip(w);
		}
		key = !key;
		yaml_event_delete(&e);
	}
	return on;
}

static void read_documents(struct walk *w)
{
	unsigned int documents = 0;
	yaml_event_t e;

	for (bool on = true; on;) {
		if (!next(w, &e))
			return;
		if (e.type == YAML_STREAM_END_EVENT) {
			on = false;
		} else if (e.type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
			w->out->second_line = (unsigned int)e.start_mark.line + 1;
			on = false;
		} else if (e.type == YAML_MAPPING_START_EVENT) {
			on = read_keys(w, "", 1);
		} else if (opens(&e) || e.type == YAML_SCALAR_EVENT || e.type == YAML_ALIAS_EVENT) {
			stop(w, &e.start_mark, "the file must be made of keys and their values");
			on = false;
		}
		yaml_event_delete(&e);
	}
}

void rf_places_read(const char *text, size_t len, struct rf_places *out)
{
	struct walk w = { .out = out, .text = text, .len = len };

	*out = (struct rf_places){ 0 };
	if (!yaml_parser_initialize(&w.parser))
		return;
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, len);
	read_documents(&w);
	yaml_parser_delete(&w.parser);
}

const struct rf_place *rf_places_find(const struct rf_places *p, const char *section,
				      const char *key)
{
	for (size_t i = 0; i < p->count; i++)
		if (!strcmp(p->items[i].section, section ?: "") && !strcmp(p->items[i].key, key))
			return &p->items[i];
	return NULL;
}
