// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "policy/keys.h"
#include "policy/policy.h"
#include "policy/wrong.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* What libcyaml loads: for each row of rf_keys its value, NULL where the file does not say, so that
 * defaults are ours and not zero. */
struct values {
	uint32_t *of[RF_KEYS_MAX];
	char **names[RF_KEYS_MAX]; /* of a row that is a list; of it nothing is in `of` */
	uint64_t counts[RF_KEYS_MAX];
};

struct file {
	struct values own; /* of the file's own level */
	struct values *sections[RF_KEY_SECTIONS];
};

/* rf_keys, as libcyaml wants it. */
struct schema {
	cyaml_strval_t words[RF_KEYS_MAX][RF_KEY_WORDS_MAX];
	cyaml_schema_field_t own[RF_KEYS_MAX + RF_KEY_SECTIONS + 1];
	cyaml_schema_field_t below[RF_KEY_SECTIONS][RF_KEYS_MAX + 1];
	const char *sections[RF_KEY_SECTIONS];
	size_t owns, belows[RF_KEY_SECTIONS], count; /* fields, fields of a section, sections */
	cyaml_schema_value_t file;
};

/* Words are an enumeration to libcyaml: its booleans take every word that is not a known "no" for a
 * "yes". */
static cyaml_schema_field_t field_of(struct schema *s, size_t row, size_t base)
{
	const struct rf_key *k = &rf_keys[row];
	uint32_t n = 0;

	static const cyaml_schema_value_t name = {
		CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, RF_POLICY_NAME_MAX),
	};
	cyaml_schema_field_t field = {
		.key = k->name,
		.data_offset = (uint32_t)(base + offsetof(struct values, of[row])),
		.value = { .type = k->words ? CYAML_ENUM : CYAML_UINT,
			   .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT,
			   .data_size = sizeof(uint32_t) },
	};

	for (; k->words && k->words[n].text; n++)
		s->words[row][n] = (cyaml_strval_t){ k->words[n].text, k->words[n].value };
	if (k->words) {
		field.value.enumeration.strings = s->words[row];
		field.value.enumeration.count = n;
	}
	if (k->names) {
		field.data_offset = (uint32_t)(base + offsetof(struct values, names[row]));
		field.count_offset = (uint32_t)(base + offsetof(struct values, counts[row]));
		field.count_size = sizeof(uint64_t);
		field.value = (cyaml_schema_value_t){
			CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char *,
					     &name, 0, k->max),
		};
	}
	return field;
}

static size_t section_of(struct schema *s, const char *name)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->sections[i], name) != 0)
		i++;
	if (i == s->count) {
		s->sections[s->count++] = name;
		s->own[s->owns++] = (cyaml_schema_field_t){
			.key = name,
			.data_offset = (uint32_t)offsetof(struct file, sections[i]),
			.value = { .type = CYAML_MAPPING,
				   .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
				   .data_size = sizeof(struct values),
				   .mapping.fields = s->below[i] },
		};
	}
	return i;
}

/* A field without a key ends each list; *s is all zeros. */
static void make_schema(struct schema *s)
{
	for (size_t row = 0; row < rf_keys_count; row++) {
		size_t i;

		if (!rf_keys[row].section) {
			s->own[s->owns++] = field_of(s, row, offsetof(struct file, own));
			continue;
		}
		i = section_of(s, rf_keys[row].section);
		s->below[i][s->belows[i]++] = field_of(s, row, 0);
	}
	s->file = (cyaml_schema_value_t){
		CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, s->own),
	};
}

/* Where a row's value is; NULL: the file says nothing of its section. */
static const struct values *values_of(const struct schema *s, const struct file *f, size_t row)
{
	const char *section = rf_keys[row].section;

	for (size_t i = 0; section && i < s->count; i++)
		if (!strcmp(s->sections[i], section))
			return f->sections[i];
	return &f->own;
}

/* Of a row; NULL: the file does not say. */
static const uint32_t *value_of(const struct schema *s, const struct file *f, size_t row)
{
	const struct values *v = values_of(s, f, row);

	return v ? v->of[row] : NULL;
}

/*
 * libcyaml tells its errors through a log, in sentences that quote the file. What was given as a
 * policy may be anything that the user may read and others may not: that something was said counts,
 * policy/wrong.h has the words.
 */
static void note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	bool *said = ctx;

	*said = true;
}

/* As modprobe does, and as the kernel's list has it: '_' for '-'. */
static void name_module(char *name)
{
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

/* False: nothing can have one of the names. */
static bool take_names(const struct rf_key *k, const struct values *v, struct rf_policy *p)
{
	struct rf_names *list = (struct rf_names *)((char *)p + k->at);
	size_t row = (size_t)(k - rf_keys);

	for (uint64_t n = 0; v && n < v->counts[row]; n++) {
		const char *name = v->names[row][n];
		char one[sizeof(list->name[0])];

		if (name[strspn(name, NAME_LETTERS)])
			return false;
		snprintf(one, sizeof(one), "%s", name);
		if (k->of_modules)
			name_module(one);
		if (!rf_names_has(list, one))
			memcpy(list->name[list->count++], one, sizeof(one));
	}
	return true;
}

/* What no key alone can tell. */
static int check_whole(const struct rf_policy *p, const struct rf_places *places,
		       struct rf_policy_diag *diag)
{
	if (p->need_watch && !p->pin_control)
		return rf_wrong_at(places, rf_key_find("pin", "control_watch"), diag,
				   "control_watch is required, but control is not pinned");
	return 0;
}

static int convert(const struct schema *s, const struct file *f, const struct rf_places *places,
		   struct rf_policy_diag *diag, struct rf_policy *out)
{
	const struct rf_key *version = rf_key_find(NULL, "version");
	const uint32_t *first = value_of(s, f, (size_t)(version - rf_keys));
	struct rf_policy p;
	int err;

	if (!first || !*first)
		return rf_wrong_at(places, version, diag, "version is missing, or 0: it must be %u",
				   version->max);
	if (*first != version->max)
		return rf_wrong_at(places, version, diag,
				   "version must be %u, the only one there is", version->max);
	rf_policy_default(&p);
	for (size_t row = 0; row < rf_keys_count; row++) {
		const struct rf_key *k = &rf_keys[row];
		const uint32_t *value = value_of(s, f, row);

		if (k->names && !take_names(k, values_of(s, f, row), &p))
			return rf_wrong_at(places, k, diag,
					   "%s: one of them is no name, which is made of letters, "
					   "digits, \"_\" and \"-\"",
					   k->name);
		if (!value)
			continue;
		if (!k->words && (*value < k->min || *value > k->max))
			return rf_wrong_at(places, k, diag, "%s is not within %u to %u (%s)",
					   k->name, k->min, k->max, k->unit);
		rf_key_set(&p, k, *value);
	}
	err = check_whole(&p, places, diag);
	if (!err)
		*out = p;
	return err;
}

int rf_policy_parse(const char *text, size_t len, struct rf_policy_diag *diag,
		    struct rf_policy *out)
{
	bool said = false;
	const cyaml_config_t config = {
		.log_fn = note,
		.log_ctx = &said,
		.log_level = CYAML_LOG_WARNING,
		.mem_fn = cyaml_mem,
		/* No aliases: a small file must not become a large one. */
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct schema schema = { 0 };
	struct rf_places places;
	struct file *f = NULL;
	cyaml_err_t cyaml;
	int err = -EBADMSG;

	if (len > RF_POLICY_FILE_MAX)
		return -EFBIG;
	make_schema(&schema);
	cyaml = cyaml_load_data((const uint8_t *)text, len, &config, &schema.file,
				(cyaml_data_t **)&f, NULL);
	if (cyaml == CYAML_ERR_OOM)
		return -ENOMEM;
	rf_places_read(text, len, &places);
	/* Warnings too: "ignored" is not what a protection's author meant. */
	if (cyaml != CYAML_OK || said)
		rf_wrong_explain(&places, cyaml_strerror(cyaml), diag);
	else if (!f)
		rf_wrong_at(&places, NULL, diag,
			    "the file says nothing; it needs at least \"version: 1\"");
	else if (!rf_wrong_number(&places, diag))
		err = convert(&schema, f, &places, diag, out);
	cyaml_free(&config, &schema.file, f, 0);
	return err;
}

void rf_policy_lines(const char *text, size_t len, unsigned int *lines)
{
	struct rf_places places;

	rf_places_read(text, len, &places);
	for (size_t row = 0; row < rf_keys_count; row++) {
		const struct rf_place *p =
			rf_places_find(&places, rf_keys[row].section, rf_keys[row].name);

		lines[row] = p ? p->line : 0;
	}
}
