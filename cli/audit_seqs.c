// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_seqs.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key)) ?: "";
}

bool rf_seq_line(const json_t *record, const char **instance, uint64_t *seq)
{
	const char *name = text(record, "instance");
	json_int_t n = json_integer_value(json_object_get(record, "seq"));
	size_t len = strlen(name);

	if (n < 1 || len < 3 || len >= sizeof(((struct rf_seq *)0)->instance) ||
	    strncmp(name, "0x", 2) != 0 || strspn(name + 2, "0123456789abcdef") != len - 2)
		return false;
	*instance = name;
	*seq = (uint64_t)n;
	return true;
}

struct rf_seq *rf_seqs_find(struct rf_seqs *s, const char *instance)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->all[i].instance, instance))
			return &s->all[i];
	return NULL;
}

/* In the place of one that has ended, where there is none else. */
static struct rf_seq *place(struct rf_seqs *s)
{
	if (s->count < RF_SEQS)
		return &s->all[s->count++];
	s->full = true;
	for (size_t i = 0; i < RF_SEQS; i++)
		if (s->all[i].left)
			return &s->all[i];
	return NULL;
}

struct rf_seq *rf_seqs_read(struct rf_seqs *s, const json_t *record, uint64_t part)
{
	const char *instance, *type = text(record, "type");
	struct rf_seq *q;
	uint64_t seq;

	if (!rf_seq_line(record, &instance, &seq))
		return NULL;
	q = rf_seqs_find(s, instance);
	if (!q) {
		q = place(s);
		if (!q)
			return NULL;
		*q = (struct rf_seq){ .last = 0 };
		strcpy(q->instance, instance);
	}
	/* What comes later than what comes after it, was told already. */
	if (seq <= q->last)
		return q;
	q->last = seq;
	q->part = part;
	snprintf(q->hash, sizeof(q->hash), "%s", text(record, "hash"));
	if (!strcmp(type, "rotated") || !strcmp(type, "end"))
		q->left = true;
	else if (strcmp(type, "checkpoint") != 0) /* which may follow either */
		q->left = false;
	return q;
}

bool rf_seq_fits(const struct rf_seq *q, const json_t *record)
{
	const char *instance;
	uint64_t seq;

	return rf_seq_line(record, &instance, &seq) && !strcmp(instance, q->instance) &&
	       seq == q->last + 1 && (!q->hash[0] || !strcmp(q->hash, text(record, "prev")));
}
