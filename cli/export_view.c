// SPDX-License-Identifier: LGPL-2.1-or-later
/* What all formats say of a record. */
#include <stdarg.h>
#include <string.h>

#include "cli/audit_text.h"
#include "cli/export_impl.h"
#include "cli/output.h"

static void take(const json_t *o, const char *name, char *out, size_t size)
{
	const char *text = rf_export_text(o, name);

	rf_safe(out, size, text ? text : "");
}

static void take_place(const json_t *record, const char *name, char *out, size_t size)
{
	const json_t *place = json_object_get(record, name);
	char text[256];

	if (!json_is_object(place))
		return;
	rf_place_text(place, text, sizeof(text));
	rf_safe(out, size, text);
}

__attribute__((format(printf, 2, 3))) static void add(struct rf_export_view *v, const char *fmt,
						      ...)
{
	size_t len = strlen(v->message);
	va_list args;

	va_start(args, fmt);
	vsnprintf(v->message + len, sizeof(v->message) - len, fmt, args);
	va_end(args);
}

static void add_member(struct rf_export_view *v, const char *name)
{
	char text[sizeof(v->message)];

	take(v->record, name, text, sizeof(text));
	if (text[0])
		add(v, "; %s", text);
}

/* A name that the guest chose may read like a part of the sentence: such names stand last. */
static void describe(struct rf_export_view *v)
{
	const char *by = json_object_get(v->record, "handler") ? "to" : "by";
	const json_t *count = rf_export_number(v, "count"), *pid = rf_export_task(v, "pid");
	const json_t *event = rf_export_number(v, "event");
	const json_t *failed = rf_export_number(v, "failed");

	add(v, "%s", v->row->says);
	if (count)
		add(v, ": %lld more", (long long)json_integer_value(count));
	if (failed)
		add(v, ", %lld not carried out", (long long)json_integer_value(failed));
	add_member(v, "verdict");
	if (v->rule[0])
		add(v, "; rule %s", v->rule);
	if (event)
		add(v, "; event %lld", (long long)json_integer_value(event));
	add_member(v, "region");
	add_member(v, "outcome");
	add_member(v, "status");
	add_member(v, "cause");
	if (v->target[0])
		add(v, "; at %s", v->target);
	if (v->by[0])
		add(v, "; %s %s", by, v->by);
	if (pid)
		add(v, "; task %s(%lld)", v->task, (long long)json_integer_value(pid));
	add_member(v, "detail");
}

bool rf_export_is_alert(const json_t *record)
{
	const char *verdict = rf_export_text(record, "verdict");

	return verdict ? strcmp(verdict, "allowed") != 0 : !rf_export_row(record)->quiet;
}

void rf_export_look(json_t *record, struct rf_export_view *v)
{
	const json_t *seq = json_object_get(record, "seq");

	*v = (struct rf_export_view){ .record = record, .row = rf_export_row(record) };
	v->verdict = rf_export_verdict(rf_export_text(record, "verdict"));
	v->alert = rf_export_is_alert(record);
	v->level = rf_export_level(v->alert ? v->row->alert : RF_EXPORT_INFO);
	v->time = rf_export_time(rf_export_text(record, "time"));
	take(record, "vm", v->vm, sizeof(v->vm));
	take(record, "type", v->type, sizeof(v->type));
	take(record, "kind", v->kind, sizeof(v->kind));
	take(record, "rule", v->rule, sizeof(v->rule));
	take(record, "instance", v->instance, sizeof(v->instance));
	take(json_object_get(record, "task"), "comm", v->task, sizeof(v->task));
	take_place(record, "target", v->target, sizeof(v->target));
	take_place(record, json_object_get(record, "handler") ? "handler" : "writer", v->by,
		   sizeof(v->by));
	snprintf(v->uid, sizeof(v->uid), "%s/%lld", v->instance[0] ? v->instance : "-",
		 (long long)json_integer_value(seq));
	describe(v);
}
