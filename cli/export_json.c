// SPDX-License-Identifier: LGPL-2.1-or-later
/* Elastic's Common Schema, with the record as it is below "ringfence"; and Falco's alerts, as its
 * consumers read them, with the record's leaves among the output fields. */
#include <string.h>

#include "cli/command.h"
#include "cli/export_impl.h"
#include "policy/replay.h"

#define ECS_VERSION "8.11.0"

static json_t *ecs_event(const struct rf_export_view *v)
{
	bool outcome = !strcmp(v->type, "outcome");
	bool judged = v->alert || v->verdict;
	const char *hash = rf_export_text(v->record, "hash");

	return json_pack("{s:s, s:[s], s:[s], s:s, s:s*, s:i, s:s, s:s, s:s, s:s, s:O*, s:s*}",
			 "kind", v->alert ? "alert" : "event", "category",
			 judged ? "intrusion_detection" : "host", "type",
			 v->verdict ? v->verdict->ecs : "info", "action", rf_export_code(v),
			 "outcome",
			 !outcome   ? NULL
			 : v->alert ? "failure"
				    : "success",
			 "severity", v->level->ocsf, "module", "ringfence", "dataset",
			 "ringfence.audit", "provider", "ringfence", "id", v->uid, "sequence",
			 rf_export_number(v, "seq"), "hash", hash);
}

/* As the guest claims. */
static int ecs_task(const struct rf_export_view *v, json_t *o)
{
	const json_t *pid = rf_export_task(v, "pid"), *uid = rf_export_task(v, "uid");
	char user[24];

	if (!pid)
		return 0;
	snprintf(user, sizeof(user), "%lld", (long long)json_integer_value(uid));
	return json_object_set_new(o, "process",
				   json_pack("{s:s, s:O, s:o*}", "name", v->task, "pid", pid,
					     "user", uid ? json_pack("{s:s}", "id", user) : NULL));
}

static int ecs_rule(const struct rf_export_view *v, json_t *o)
{
	if (!v->rule[0])
		return 0;
	return json_object_set_new(
		o, "rule",
		json_pack("{s:s, s:s*}", "name", v->rule, "description", rf_rule_says(v->rule)));
}

static json_t *make_ecs(const struct rf_export_view *v)
{
	char at[32];
	json_t *o;

	rf_export_time_text(&v->time, 3, at);
	o = json_pack("{s:s, s:{s:s}, s:s, s:o, s:{s:s}, s:{s:s, s:s, s:s, s:s}, s:{s:s}, s:O}",
		      "@timestamp", at, "ecs", "version", ECS_VERSION, "message", v->message,
		      "event", ecs_event(v), "host", "name", v->vm[0] ? v->vm : "unknown",
		      "observer", "vendor", "ringfence", "product", "ringfence", "type",
		      "kernel integrity monitor", "version", RF_VERSION, "log", "level",
		      v->level->falco, "ringfence", v->record);
	if (o && (ecs_task(v, o) || ecs_rule(v, o))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

const struct rf_export_way rf_export_ecs = { .make = make_ecs };

/* --- Falco ------------------------------------------------------------------- */

static int add_field(void *fields, const char *name, json_t *leaf)
{
	char full[RF_EXPORT_NAME + sizeof("ringfence.")];
	char *text;
	int err;

	snprintf(full, sizeof(full), "ringfence.%s", name);
	if (json_is_string(leaf) || json_is_number(leaf) || json_is_boolean(leaf))
		return json_object_set(fields, full, leaf);
	/* Consumers take no more than one level. */
	text = rf_export_leaf_text(leaf);
	err = json_object_set_new(fields, full, text ? json_string(text) : NULL);
	free(text);
	return err;
}

static json_t *falco_fields(const struct rf_export_view *v)
{
	const json_t *pid = rf_export_task(v, "pid"), *uid = rf_export_task(v, "uid");
	json_t *fields =
		json_pack("{s:I, s:s*, s:O*, s:O*}", "evt.time",
			  (json_int_t)(v->time.seconds * 1000000000 + v->time.ns), "proc.name",
			  pid ? v->task : NULL, "proc.pid", pid, "user.uid", uid);

	if (fields && rf_export_leaves(v->record, add_field, fields)) {
		json_decref(fields);
		return NULL;
	}
	return fields;
}

static json_t *make_falco(const struct rf_export_view *v)
{
	char at[32], output[sizeof(v->message) + 64];

	rf_export_time_text(&v->time, 6, at);
	snprintf(output, sizeof(output), "%s: %s %s", at, v->level->falco, v->message);
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:[s, s], s:s}", "hostname",
			 v->vm[0] ? v->vm : "unknown", "output", output, "output_fields",
			 falco_fields(v), "priority", v->level->falco, "rule",
			 v->rule[0] ? v->rule : v->row->says, "source", "ringfence", "tags",
			 "ringfence", rf_export_code(v), "time", at);
}

const struct rf_export_way rf_export_falco = { .make = make_falco };
