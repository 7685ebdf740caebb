// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/outlet.h"

struct rf_listing {
	size_t columns, rows;
	size_t *width;
	char **cells; /* rows * columns, the titles are the first row */
};

static int messages = STDERR_FILENO;
static int patience = -1; /* ms that a line may wait, -1: as long as it takes */
static struct rf_outlet outlet;
static bool opened; /* outlet: to `messages`, or anew */

void rf_messages_to(int fd)
{
	messages = fd;
	opened = false;
}

void rf_messages_wait(int ms)
{
	patience = ms;
}

static struct rf_outlet *open_outlet(void)
{
	if (!opened)
		rf_outlet_to(&outlet, messages);
	opened = true;
	return &outlet;
}

void rf_messages_anew(void)
{
	rf_outlet_anew(open_outlet()); /* open until the process ends */
}

int rf_messages_fd(void)
{
	return messages;
}

/* One write: the monitor and the VMM share the terminal. more: what follows, in lines of its
 * own. */
__attribute__((format(printf, 1, 0))) static void say(const char *fmt, va_list args,
						      const char *more)
{
	char text[1024], safe[1024], lines[4096];

	vsnprintf(text, sizeof(text), fmt, args);
	rf_safe(safe, sizeof(safe), text);
	snprintf(lines, sizeof(lines), "ringfence: %s\n%s", safe, more);
	rf_outlet_put(open_outlet(), "ringfence: ", lines, patience);
}

void rf_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args, "");
	va_end(args);
}

int rf_fail(int code, const char *means, const char *todo, const char *fmt, ...)
{
	char more[2048];
	va_list args;

	fflush(stdout);
	snprintf(more, sizeof(more), "  it means: %s\n  to do:    %s\n", means, todo);
	va_start(args, fmt);
	say(fmt, args, more);
	va_end(args);
	return code;
}

int rf_options(const struct rf_command *c, const struct rf_option *table, bool command,
	       int usage_code, int argc, char **argv, struct rf_operands *out)
{
	char why[200], todo[100];

	if (rf_options_parse(table, command, argc, argv, why, sizeof(why), out)) {
		snprintf(todo, sizeof(todo), "see `ringfence %s --help`", c->name);
		return rf_fail(usage_code, "nothing was done", todo, "%s: %s", c->name, why);
	}
	if (out->help) {
		printf("Usage: ringfence %s %s\n\n%s.\n\n%s", c->name, c->usage, c->summary,
		       c->help);
		return rf_flush();
	}
	return -1;
}

void rf_safe(char *out, size_t size, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++)
		out[i] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
	out[i] = '\0';
}

json_t *rf_safe_json(const json_t *v)
{
	const json_t *member;
	json_t *out;
	const char *key;
	char *text;
	size_t i;

	if (json_is_string(v)) {
		text = rf_safe_dup(json_string_value(v));
		out = text ? json_string(text) : NULL;
		free(text);
	} else if (json_is_array(v)) {
		out = json_array();
		json_array_foreach(v, i, member) json_array_append_new(out, rf_safe_json(member));
	} else if (json_is_object(v)) {
		out = json_object();
		json_object_foreach((json_t *)(uintptr_t)v, key, member)
		{
			text = rf_safe_dup(key);
			if (text)
				json_object_set_new(out, text, rf_safe_json(member));
			free(text);
		}
	} else {
		out = json_deep_copy(v);
	}
	return out;
}

char *rf_safe_dup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *out = malloc(size);

	if (out)
		rf_safe(out, size, text);
	return out;
}

struct rf_listing *rf_listing_create(const char *const *titles, size_t columns)
{
	struct rf_listing *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->columns = columns;
	t->width = calloc(columns, sizeof(*t->width));
	if (!t->width || rf_listing_row(t, titles)) {
		rf_listing_destroy(t);
		return NULL;
	}
	return t;
}

void rf_listing_destroy(struct rf_listing *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t->width);
	free(t);
}

int rf_listing_row(struct rf_listing *t, const char *const *cells)
{
	char **grown = reallocarray(t->cells, (t->rows + 1) * t->columns, sizeof(*grown));
	char **row;

	if (!grown)
		return -ENOMEM;
	t->cells = grown;
	row = grown + t->rows * t->columns;
	for (size_t i = 0; i < t->columns; i++) {
		row[i] = rf_safe_dup(cells[i] ? cells[i] : "-");
		if (!row[i]) {
			while (i--)
				free(row[i]);
			return -ENOMEM;
		}
		if (strlen(row[i]) > t->width[i])
			t->width[i] = strlen(row[i]);
	}
	t->rows++;
	return 0;
}

void rf_listing_print(const struct rf_listing *t)
{
	for (size_t r = 0; r < t->rows; r++)
		for (size_t c = 0; c < t->columns; c++) {
			bool last = c + 1 == t->columns;

			printf("%-*s%s", last ? 0 : (int)t->width[c], t->cells[r * t->columns + c],
			       last ? "\n" : "  ");
		}
}

int rf_flush(void)
{
	if (fflush(stdout) || ferror(stdout))
		return rf_fail(RF_EXIT_INTERNAL, "what was printed is not complete",
			       "make room where the output goes, then run it again",
			       "cannot write to standard output: %s", strerror(errno));
	return RF_EXIT_OK;
}

int rf_print_json(json_t *o)
{
	int err = o ? json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

	json_decref(o);
	if (err && !ferror(stdout))
		return rf_fail(RF_EXIT_INTERNAL, "there is no answer", "free some memory",
			       "cannot build the JSON answer");
	putchar('\n');
	return rf_flush();
}

int64_t rf_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *rf_time_text(long long seconds, char out[RF_TIME_TEXT])
{
	time_t when = (time_t)seconds;
	struct tm t;

	if (!gmtime_r(&when, &t) || !strftime(out, RF_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &t))
		snprintf(out, RF_TIME_TEXT, "-");
	return out;
}
