// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_filter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/export.h"
#include "cli/output.h"
#include "cli/when.h"
#include "policy/audit.h"
#include "policy/replay.h"

#define NOTHING "nothing was shown"

bool rf_filter_any(const struct rf_filter *f)
{
	return f->since || f->alerts || f->verdicts.count || f->rules.count || f->symbols.count;
}

static const char *verdict_name(size_t i)
{
	return rf_word_text((enum rf_word)(i + 1));
}

/* Each must be one of those that name() has, until NULL. */
static int check_words(const struct rf_option_list *l, const char *what,
		       const char *(*name)(size_t i))
{
	char legal[4096] = "use ";
	size_t len = strlen(legal);

	for (unsigned int i = 0; i < l->count; i++) {
		size_t n = 0;

		while (name(n) && strcmp(name(n), l->items[i]) != 0)
			n++;
		if (name(n))
			continue;
		for (n = 0; name(n) && len < sizeof(legal); n++)
			len += (size_t)snprintf(legal + len, sizeof(legal) - len, "%s%s",
						n ? ", " : "", name(n));
		return rf_fail(RF_EXIT_USAGE, NOTHING, legal, "audit: there is no %s \"%s\"", what,
			       l->items[i]);
	}
	return RF_EXIT_OK;
}

int rf_filter_ready(struct rf_filter *f)
{
	struct timespec now;
	int code = check_words(&f->verdicts, "verdict", verdict_name);

	if (!code)
		code = check_words(&f->rules, "rule", rf_rule_name);
	if (code || !f->since)
		return code;
	clock_gettime(CLOCK_REALTIME, &now);
	if (rf_when_ago(f->since, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
			&f->since_ns) &&
	    rf_when_at(f->since, &f->since_ns))
		return rf_fail(RF_EXIT_USAGE, NOTHING,
			       "give a time as 2026-01-31T09:30:00Z or 2026-01-31T10:30:00+01:00, "
			       "or how long ago: 90s, 10m, 2h, 3d",
			       "audit: --since \"%s\" is no time", f->since);
	return RF_EXIT_OK;
}

static bool has(const struct rf_option_list *l, const char *text)
{
	for (unsigned int i = 0; text && i < l->count; i++)
		if (!strcmp(l->items[i], text))
			return true;
	return false;
}

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

bool rf_filter_since(const struct rf_filter *f, const json_t *record)
{
	uint64_t at;

	return !f->since || (!rf_when_at(text_of(record, "time") ?: "", &at) && at >= f->since_ns);
}

bool rf_filter_lets(const struct rf_filter *f, const json_t *record)
{
	static const char *const places[] = { "target", "writer", "handler" };
	bool named = !f->symbols.count;

	if (!rf_filter_since(f, record) || (f->alerts && !rf_export_is_alert(record)))
		return false;
	if (f->verdicts.count && !has(&f->verdicts, text_of(record, "verdict")))
		return false;
	if (f->rules.count && !has(&f->rules, text_of(record, "rule")))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !named; i++)
		named = has(&f->symbols, text_of(json_object_get(record, places[i]), "symbol"));
	return named;
}
