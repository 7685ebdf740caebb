// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/export_check.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool printable(const char *text, size_t len, size_t newlines)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			newlines--;
		else if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	}
	return newlines == 0 && len && text[len - 1] == '\n';
}

/* --- JSON -------------------------------------------------------------------- */

static const char *ocsf_wrong(const json_t *o, json_t *record)
{
	static const char *const required[] = { "activity_id", "category_uid", "class_uid",
						"severity_id", "time",	       "type_uid" };
	json_int_t n[COUNT(required)];

	for (size_t i = 0; i < COUNT(required); i++) {
		if (!json_is_integer(json_object_get(o, required[i])))
			return "a required integer is missing";
		n[i] = json_integer_value(json_object_get(o, required[i]));
	}
	if (n[5] != n[2] * 100 + n[0] || n[1] != n[2] / 1000)
		return "type_uid or category_uid are another class's";
	if (n[4] < 0)
		return "a time before 1970";
	return json_equal(json_object_get(o, "unmapped"), record) ? NULL : "not the record";
}

static const char *falco_wrong(const json_t *o)
{
	json_t *fields = json_object_get(o, "output_fields"), *value;
	const char *key;

	if (!json_is_object(fields))
		return "no output fields";
	json_object_foreach(
		fields, key,
		value) if (json_is_object(value) ||
			   json_is_array(value)) return "an output field that is no leaf";
	return NULL;
}

static const char *json_wrong(const char *format, json_t *record, const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *wrong = NULL;

	if (!printable(text, len, 1))
		wrong = "not one line of ASCII";
	else if (!json_is_object(o))
		wrong = "no JSON object";
	else if (!strcmp(format, "ocsf"))
		wrong = ocsf_wrong(o, record);
	else if (!strcmp(format, "ecs"))
		wrong = json_equal(json_object_get(o, "ringfence"), record) ? NULL
									    : "not the record";
	else
		wrong = falco_wrong(o);
	json_decref(o);
	return wrong;
}

/* --- CEF --------------------------------------------------------------------- */

/* Up to what is none of `special` without a backslash, or the end; NULL: a backslash before
 * something else. */
static const char *skip_escaped(const char *p, const char *special)
{
	for (; *p && !(*p != '\\' && strchr(special, *p)); p++)
		if (*p == '\\' && (!p[1] || !strchr(special, *++p)))
			return NULL;
	return p;
}

/* One of ours, and not seen before: one that stands there twice was forged. */
static bool new_key(const char *key, size_t len, unsigned int *seen)
{
	static const char *const keys[] = {
		"cat",	 "rt",	"externalId", "dhost",	  "deviceExternalId",
		"act",	 "cnt", "sproc",      "spid",	  "suid",
		"start", "end", "msg",	      "cs1Label", "cs2Label",
		"cs1",	 "cs2", "cs3Label",   "cs4Label", "cs5Label",
		"cs3",	 "cs4", "cs6Label",   "cs5",	  "cs6",
	};

	for (size_t i = 0; i < COUNT(keys); i++)
		if (strlen(keys[i]) == len && !strncmp(keys[i], key, len) && !(*seen >> i & 1)) {
			*seen |= 1u << i;
			return true;
		}
	return false;
}

static const char *cef_wrong(const char *text)
{
	static const char begin[] = "CEF:0|ringfence|ringfence|";
	const char *p = text + sizeof(begin) - 1, *key;
	unsigned int seen = 0;

	if (strncmp(text, begin, sizeof(begin) - 1) != 0)
		return "not the header of this product";
	for (int i = 0; i < 4; i++) {
		p = skip_escaped(p, "\\|");
		if (!p || *p != '|')
			return "a header field that does not end";
		p++;
	}
	for (;;) {
		for (key = p; isalnum((unsigned char)*p); p++)
			;
		if (*p != '=' || !new_key(key, (size_t)(p - key), &seen))
			return "a key that is none of ours, or there twice";
		p = skip_escaped(p + 1, "\\=");
		if (!p)
			return "an escape that is none";
		if (*p != '=')
			return *p ? "a value that does not end" : NULL;
		/* The key of the next one is the value's last word. */
		while (p > key && p[-1] != ' ')
			p--;
	}
}

/* --- syslog ------------------------------------------------------------------- */

static const char *word(const char *p)
{
	const char *from = p;

	while (*p > 0x20 && *p <= 0x7e)
		p++;
	return *p == ' ' && p > from ? p + 1 : NULL;
}

static const char *param(const char *p)
{
	size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (!n || n > 32 || strncmp(p + n, "=\"", 2) != 0)
		return NULL;
	for (p += n + 2; *p && *p != '"'; p++)
		if (*p == ']' || (*p == '\\' && (!p[1] || !strchr("\"\\]", *++p))))
			return NULL;
	return *p ? p + 1 : NULL;
}

static const char *syslog_wrong(const char *text)
{
	static const char element[] = "[ringfence@32473";
	const char *p = text;

	if (*p++ != '<' || strspn(p, "0123456789") > 3)
		return "no priority";
	p += strspn(p, "0123456789");
	if (strncmp(p, ">1 ", 3) != 0)
		return "not RFC 5424's version";
	p += 3;
	for (int i = 0; i < 5 && p; i++)
		p = word(p);
	if (!p || strncmp(p, element, sizeof(element) - 1) != 0)
		return "not five words and our element";
	for (p += sizeof(element) - 1; p && *p == ' ';)
		p = param(p + 1);
	return p && !strncmp(p, "] ", 2) ? NULL : "a parameter that does not end";
}

/* --- the journal --------------------------------------------------------------- */

static const char *journal_wrong(const char *text, size_t len)
{
	static const char *const trusted[] = { "__REALTIME_TIMESTAMP=", "__MONOTONIC_TIMESTAMP=",
					       "_BOOT_ID=" };
	const char *p = text;

	while (*p != '\n' && *p) {
		size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		bool good = *p != '_';

		for (size_t i = 0; i < COUNT(trusted); i++)
			good |= !strncmp(p, trusted[i], strlen(trusted[i]));
		if (!n || n > 64 || p[n] != '=' || !good || isdigit((unsigned char)*p))
			return "a field with a name that the journal does not take";
		p = strchr(p, '\n');
		if (!p)
			return "a field that does not end";
		p++;
	}
	return *p == '\n' && p + 1 == text + len ? NULL : "not one entry";
}

const char *export_wrong(const char *format, json_t *record, const char *text, size_t len)
{
	size_t lines = 0;

	if (strlen(text) != len)
		return "a NUL";
	if (strcmp(format, "cef") != 0 && strcmp(format, "syslog") != 0 &&
	    strcmp(format, "journal") != 0)
		return json_wrong(format, record, text, len);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	if (!printable(text, len, strcmp(format, "journal") ? 1 : lines))
		return "not one line of ASCII";
	return !strcmp(format, "cef")	   ? cef_wrong(text)
	       : !strcmp(format, "syslog") ? syslog_wrong(text)
					   : journal_wrong(text, len);
}
