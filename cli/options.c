// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct rf_option *find(const struct rf_option *table, const char *arg)
{
	for (const struct rf_option *o = table; o < table + RF_OPTIONS_MAX && o->name; o++) {
		size_t len = strlen(o->name);

		if (arg[1] != '-') {
			if (o->letter && arg[1] == o->letter && !arg[2])
				return o;
		} else if (!strncmp(arg + 2, o->name, len) &&
			   (!arg[2 + len] || arg[2 + len] == '=')) {
			return o;
		}
	}
	return NULL;
}

static int set(const struct rf_option *o, const char *text, char *why, size_t why_size)
{
	struct rf_option_list *list = o->value; /* of that kind */
	unsigned long long n;
	char *end;

	switch (o->kind) {
	case RF_OPTION_FLAG:
		*(bool *)o->value = true;
		return 0;
	case RF_OPTION_TEXT:
	case RF_OPTION_LIST:
		if (!text[0]) {
			snprintf(why, why_size, "--%s needs a value that is not empty", o->name);
			return -EINVAL;
		}
		if (o->kind == RF_OPTION_TEXT) {
			*(const char **)o->value = text;
			return 0;
		}
		if (list->count == RF_OPTION_LIST_MAX) {
			snprintf(why, why_size, "--%s may be given %d times", o->name,
				 RF_OPTION_LIST_MAX);
			return -EINVAL;
		}
		list->items[list->count++] = text;
		return 0;
	case RF_OPTION_NUMBER:
		errno = 0;
		n = strtoull(text, &end, 10);
		/* strtoull() itself would take " 7", "+7" and "-7". */
		if (text[0] < '0' || text[0] > '9' || *end || errno || n < o->min || n > o->max) {
			snprintf(why, why_size, "--%s needs a number from %u to %u, not \"%s\"",
				 o->name, o->min, o->max, text);
			return -EINVAL;
		}
		*(uint32_t *)o->value = (uint32_t)n;
		return 0;
	}
	return -EINVAL;
}

/* Which of two values was meant cannot be known: the last one may be of a script's own. */
static int once(const struct rf_option *o, bool *given, char *why, size_t why_size)
{
	if (*given && (o->kind == RF_OPTION_TEXT || o->kind == RF_OPTION_NUMBER)) {
		snprintf(why, why_size, "--%s may be given once", o->name);
		return -EINVAL;
	}
	*given = true;
	return 0;
}

int rf_options_parse(const struct rf_option *table, bool command, int argc, char **argv, char *why,
		     size_t why_size, struct rf_operands *out)
{
	bool given[RF_OPTIONS_MAX] = { false }, help = false, ended = false;
	int operands = 0;

	for (int i = 1; i < argc; i++) {
		const struct rf_option *o;
		const char *value = NULL;
		char *arg = argv[i];
		int err;

		if (!ended && !strcmp(arg, "--")) {
			ended = true;
			continue;
		}
		/* "-" alone is an operand, as everywhere. */
		if (ended || arg[0] != '-' || !arg[1]) {
			argv[1 + operands++] = arg;
			ended = ended || command;
			continue;
		}
		if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			help = true;
			continue;
		}
		o = find(table, arg);
		if (!o) {
			snprintf(why, why_size, "there is no option %s", arg);
			return -EINVAL;
		}
		if (arg[1] == '-' && strchr(arg, '='))
			value = strchr(arg, '=') + 1;
		if (o->kind == RF_OPTION_FLAG && value) {
			snprintf(why, why_size, "--%s takes no value", o->name);
			return -EINVAL;
		}
		if (o->kind != RF_OPTION_FLAG && !value) {
			if (++i >= argc) {
				snprintf(why, why_size, "--%s needs a value", o->name);
				return -EINVAL;
			}
			value = argv[i];
		}
		err = once(o, &given[o - table], why, why_size);
		if (!err)
			err = set(o, value, why, why_size);
		if (err)
			return err;
	}
	argv[1 + operands] = NULL;
	*out = (struct rf_operands){ argv + 1, operands, help };
	return 0;
}
