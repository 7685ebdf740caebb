// SPDX-License-Identifier: LGPL-2.1-or-later
/* Members of a record, which may be anything: text, numbers, times, all leaves of it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/export_impl.h"
#include "cli/output.h"

const char *rf_export_code(const struct rf_export_view *v)
{
	return v->kind[0] ? v->kind : v->type[0] ? v->type : "unknown";
}

const char *rf_export_text(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && *text ? text : NULL;
}

const json_t *rf_export_number(const struct rf_export_view *v, const char *name)
{
	const json_t *n = json_object_get(v->record, name);

	return json_is_integer(n) ? n : NULL;
}

const json_t *rf_export_task(const struct rf_export_view *v, const char *name)
{
	const json_t *n = json_object_get(json_object_get(v->record, "task"), name);

	return json_is_integer(n) ? n : NULL;
}

/* --- time -------------------------------------------------------------------- */

static int two(const char *digits)
{
	return (digits[0] - '0') * 10 + digits[1] - '0';
}

struct rf_export_time rf_export_time(const char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	struct rf_export_time t = { .known = true }, none = { .known = false };
	uint32_t unit = 100000000;
	struct tm tm = { 0 };

	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (!text ||
		    (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i]))
			return none;
	tm.tm_year = two(text) * 100 + two(text + 2) - 1900;
	tm.tm_mon = two(text + 5) - 1;
	tm.tm_mday = two(text + 8);
	tm.tm_hour = two(text + 11);
	tm.tm_min = two(text + 14);
	tm.tm_sec = two(text + 17);
	/* Nanoseconds since 1970 fit into 64 bits until 2262. */
	if (tm.tm_year < 70 || tm.tm_year > 350 || tm.tm_mon < 0 || tm.tm_mon > 11 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60)
		return none;
	t.seconds = timegm(&tm);
	text += sizeof(shape) - 1;
	if (*text == '.')
		for (text++; isdigit((unsigned char)*text) && unit; text++, unit /= 10)
			t.ns += (uint32_t)(*text - '0') * unit;
	/* The log is in UTC; another zone would be another time. */
	return strcmp(text, "Z") != 0 ? none : t;
}

void rf_export_time_text(const struct rf_export_time *t, int digits, char out[32])
{
	time_t seconds = (time_t)t->seconds;
	struct tm tm = { 0 };
	char second[24];

	gmtime_r(&seconds, &tm);
	strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 32, "%s.%0*" PRIu32 "Z", second, digits,
		 digits == 3 ? t->ns / 1000000 : t->ns / 1000);
}

int64_t rf_export_ms(const struct rf_export_time *t)
{
	return t->seconds * 1000 + t->ns / 1000000;
}

/* --- leaves ------------------------------------------------------------------ */

#define DEPTH 4

static int leaves(json_t *o, const char *before, int depth, rf_export_leaf_fn fn, void *ctx)
{
	char name[RF_EXPORT_NAME], safe[51];
	const char *key;
	json_t *value;
	int err = 0;

	json_object_foreach(o, key, value)
	{
		/* Its beginning is enough: names of ours are short, others are anybody's. As ASCII
		 * it can be cut anywhere. */
		rf_safe(safe, sizeof(safe), key);
		snprintf(name, sizeof(name), "%.40s%s%s", before, *before ? "." : "", safe);
		if (json_is_object(value) && depth < DEPTH)
			err = leaves(value, name, depth + 1, fn, ctx);
		else
			err = fn(ctx, name, value);
		if (err)
			return err;
	}
	return 0;
}

int rf_export_leaves(json_t *record, rf_export_leaf_fn fn, void *ctx)
{
	return leaves(record, "", 1, fn, ctx);
}

char *rf_export_leaf_text(const json_t *leaf)
{
	const char *text = json_string_value(leaf);
	char *dumped, *safe;

	if (text)
		return rf_safe_dup(text);
	dumped = json_dumps(leaf, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	safe = dumped ? rf_safe_dup(dumped) : NULL;
	free(dumped);
	return safe;
}
