// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * OCSF 1.8.0 (schema.ocsf.io, github.com/ocsf/ocsf-schema). An event has what its class requires,
 * the profiles host and security_control, and the record as it is below "unmapped": whatever a
 * mapping leaves out is there, with the hash by which the line is found in the log.
 */
#include <string.h>

#include "cli/command.h"
#include "cli/export_impl.h"
#include "cli/output.h"
#include "policy/replay.h"

#define VERSION "1.8.0"
#define DEVICE_VIRTUAL 6
#define TYPE_OTHER 99
#define ANALYTIC_RULE 1
#define DISPOSITION_ALERT 19

static json_t *product(void)
{
	return json_pack("{s:s, s:s, s:s}", "name", "ringfence", "vendor_name", "ringfence",
			 "version", RF_VERSION);
}

static json_t *metadata(const struct rf_export_view *v)
{
	return json_pack("{s:s, s:o, s:[s, s], s:s, s:s, s:s, s:O*, s:s*}", "version", VERSION,
			 "product", product(), "profiles", "host", "security_control", "log_name",
			 "audit", "uid", v->uid, "event_code", rf_export_code(v), "sequence",
			 rf_export_number(v, "seq"), "original_time",
			 rf_export_text(v->record, "time"));
}

static json_t *device(const struct rf_export_view *v)
{
	return json_pack("{s:i, s:s, s:s, s:s}", "type_id", DEVICE_VIRTUAL, "type", "Virtual",
			 "name", v->vm[0] ? v->vm : "unknown", "instance_uid",
			 v->instance[0] ? v->instance : "unknown");
}

/* Who did it, as the guest claims. */
static json_t *actor(const struct rf_export_view *v)
{
	const json_t *pid = rf_export_task(v, "pid"), *uid = rf_export_task(v, "uid");
	char user[24];

	if (!pid)
		return json_pack("{s:s}", "app_name", v->by[0] ? v->by : "unknown");
	snprintf(user, sizeof(user), "%lld", (long long)json_integer_value(uid));
	return json_pack("{s:{s:s, s:O, s:o*}}", "process", "name", v->task, "pid", pid, "user",
			 uid ? json_pack("{s:s}", "uid", user) : NULL);
}

/* Memory and registers are the guest kernel's, which is its task 0. */
static json_t *memory(const struct rf_export_view *v)
{
	const json_t *target = json_object_get(v->record, "target");
	const char *addr = rf_export_text(target, "addr");

	return json_pack("{s:o, s:{s:s, s:i}, s:s*, s:O*}", "actor", actor(v), "process", "name",
			 "kernel", "pid", 0, "base_address", addr, "size",
			 rf_export_number(v, "len"));
}

/* The register's name is the detail's first word: "LSTAR (MSR 0x...". */
static json_t *kernel(const struct rf_export_view *v)
{
	const char *detail = rf_export_text(v->record, "detail");
	char name[33];

	rf_safe(name, sizeof(name), detail ? detail : "");
	name[strcspn(name, " ,:")] = '\0';
	return json_pack("{s:o, s:{s:s, s:i, s:s}}", "actor", actor(v), "kernel", "name",
			 name[0] ? name : rf_export_code(v), "type_id", TYPE_OTHER, "type",
			 rf_export_code(v));
}

static json_t *finding(const struct rf_export_view *v)
{
	const char *says = v->rule[0] ? rf_rule_says(v->rule) : NULL;
	json_t *analytic = NULL;

	if (v->rule[0])
		analytic = json_pack("{s:s, s:i, s:s}", "name", v->rule, "type_id", ANALYTIC_RULE,
				     "type", "Rule");
	return json_pack("{s:{s:s, s:s, s:s*, s:I, s:[s], s:o*}}", "finding_info", "uid", v->uid,
			 "title", v->row->says, "desc", says, "created_time",
			 (json_int_t)rf_export_ms(&v->time), "types", rf_export_code(v), "analytic",
			 analytic);
}

/* What the class requires and others have not. */
static json_t *own_part(const struct rf_export_view *v)
{
	switch (v->row->class) {
	case RF_OCSF_MEMORY:
		return memory(v);
	case RF_OCSF_KERNEL:
		return kernel(v);
	case RF_OCSF_FINDING:
		return finding(v);
	case RF_OCSF_LIFECYCLE:
		return json_pack("{s:o}", "app", product());
	case RF_OCSF_BASE:
		break;
	}
	return json_object();
}

static const char *class_name(enum rf_ocsf_class class)
{
	switch (class) {
	case RF_OCSF_MEMORY:
		return "Memory Activity";
	case RF_OCSF_KERNEL:
		return "Kernel Activity";
	case RF_OCSF_FINDING:
		return "Detection Finding";
	case RF_OCSF_LIFECYCLE:
		return "Application Lifecycle";
	case RF_OCSF_BASE:
		break;
	}
	return "Base Event";
}

/* The profile security_control. Where the caption is "other" the record's own word stands. */
static json_t *control_part(const struct rf_export_view *v)
{
	const struct rf_export_verdict *w = v->verdict;
	json_t *word = json_object_get(v->record, "verdict"), *o;

	if (!w)
		return v->alert ? json_pack("{s:b, s:i, s:s}", "is_alert", true, "disposition_id",
					    DISPOSITION_ALERT, "disposition", "Alert")
				: json_pack("{s:b}", "is_alert", false);
	o = json_pack("{s:b, s:i, s:i, s:s*, s:s*}", "is_alert", v->alert, "action_id",
		      w->action_id, "disposition_id", w->disposition_id, "action", w->action,
		      "disposition", w->disposition);
	if (o && !w->action &&
	    (json_object_set(o, "action", word) || json_object_set(o, "disposition", word))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* Of what was counted: the first and the last of it. */
static json_t *counted_part(const struct rf_export_view *v)
{
	const json_t *count = rf_export_number(v, "count");
	struct rf_export_time first = rf_export_time(rf_export_text(v->record, "first"));
	struct rf_export_time last = rf_export_time(rf_export_text(v->record, "last"));

	if (!count || !first.known || !last.known)
		return json_object();
	return json_pack("{s:O, s:I, s:I}", "count", count, "start_time",
			 (json_int_t)rf_export_ms(&first), "end_time",
			 (json_int_t)rf_export_ms(&last));
}

static json_t *make(const struct rf_export_view *v)
{
	int class = (int)v->row->class;
	json_t *parts[] = { own_part(v), control_part(v), counted_part(v) };
	json_t *o = json_pack(
		"{s:i, s:i, s:s, s:i, s:i, s:s, s:i, s:s, s:I, s:s, s:o, s:o, s:O}", "category_uid",
		class / 1000, "class_uid", class, "class_name", class_name(v->row->class),
		"type_uid", class * 100 + v->row->activity, "activity_id", v->row->activity,
		"activity_name", v->row->activity_name, "severity_id", v->level->ocsf, "severity",
		v->level->caption, "time", (json_int_t)rf_export_ms(&v->time), "message",
		v->message, "metadata", metadata(v), "device", device(v), "unmapped", v->record);
	bool whole = o;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		whole = whole && parts[i] && !json_object_update(o, parts[i]);
		json_decref(parts[i]);
	}
	if (!whole) {
		json_decref(o);
		return NULL;
	}
	return o;
}

const struct rf_export_way rf_export_ocsf = { .make = make };
