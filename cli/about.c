// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/about.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/audit_log.h"
#include "cli/output.h"
#include "cli/paths.h"

#define SECONDS 19 /* "2024-05-01T10:00:00", what comes before a fraction or the zone */

struct search {
	char since[32]; /* records before it are of an earlier VM of this name */
	json_t *last;
};

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static int take_denial(void *ctx, json_t *record)
{
	struct search *s = ctx;
	const char *verdict = text_of(record, "verdict");

	/* What was detected has happened: nothing was denied. */
	if ((strcmp(verdict, "blocked") != 0 && strcmp(verdict, "undone") != 0) ||
	    strncmp(text_of(record, "time"), s->since, SECONDS) < 0)
		return 0;
	json_decref(s->last);
	s->last = json_incref(record);
	return 0;
}

static json_t *last_denial(const struct rf_vm *vm)
{
	struct search s = { .last = NULL };
	time_t started = (time_t)vm->started;
	char path[PATH_MAX];
	struct rf_log log;
	struct stat st;
	struct tm t;

	if (!vm->started || !gmtime_r(&started, &t) || rf_vm_log_open(vm, path, &log))
		return NULL;
	strftime(s.since, sizeof(s.since), "%Y-%m-%dT%H:%M:%S", &t);
	if (!fstat(log.fd, &st) && st.st_size > RF_ABOUT_LOG_BYTES) {
		/* The first line met is half a line. */
		log.at = st.st_size - RF_ABOUT_LOG_BYTES;
		log.skipping = true;
	}
	rf_log_read(&log, take_denial, &s);
	rf_log_close(&log);
	return s.last;
}

json_t *rf_about(const struct rf_vm *vm)
{
	long long up = vm->alive && vm->started ? (long long)time(NULL) - vm->started : -1;
	json_t *from = NULL;

	if (vm->policy_known)
		from = json_pack("{s:b, s:s, s:s}", "profile", vm->policy.profile, "name",
				 vm->policy.name, "sha256", vm->policy.sha256);
	return json_pack("{s:o?, s:o?, s:o?}", "policy_from", from, "uptime_s",
			 up < 0 ? NULL : json_integer(up), "last_denial", last_denial(vm));
}

const char *rf_about_state(const json_t *o, char out[RF_ABOUT_STATE])
{
	const char *watch = text_of(o, "control_watch");
	char state[41];

	rf_safe(state, sizeof(state), *text_of(o, "state") ? text_of(o, "state") : "-");
	snprintf(out, RF_ABOUT_STATE, "%s%s%s%s", state,
		 !strcmp(watch, "lost")	     ? ", watch lost"
		 : !strcmp(watch, "unknown") ? ", watch unknown"
					     : "",
		 strcmp(text_of(json_object_get(o, "log"), "state"), "full") ? "" : ", log full",
		 json_is_true(json_object_get(o, "fence_silent")) ? ", VMM silent" : "");
	return out;
}

const char *rf_about_policy(const json_t *about, char *out, size_t size)
{
	const json_t *from = json_object_get(about, "policy_from");
	const char *name = text_of(from, "name");
	char text[PATH_MAX];

	snprintf(text, sizeof(text), "%s%s",
		 json_is_true(json_object_get(from, "profile")) ? "profile " : "",
		 *name ? name : "none");
	rf_safe(out, size, json_is_object(from) ? text : "-");
	return out;
}

const char *rf_about_uptime(const json_t *about, char *out, size_t size)
{
	const json_t *up = json_object_get(about, "uptime_s");
	long long s = json_integer_value(up);
	int n = 0;

	if (!json_is_integer(up))
		s = 0;
	if (s >= 86400)
		n = snprintf(out, size, "%lldd ", s / 86400);
	if (n >= 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, "%02lld:%02lld:%02lld", s / 3600 % 24,
			 s / 60 % 60, s % 60);
	if (!json_is_integer(up))
		snprintf(out, size, "-");
	return out;
}

const char *rf_about_denial(const json_t *about, char *out, size_t size)
{
	const json_t *last = json_object_get(about, "last_denial");
	char text[128];

	snprintf(text, sizeof(text), "%.*sZ %s %s", SECONDS, text_of(last, "time"),
		 text_of(last, "verdict"), text_of(last, "rule"));
	rf_safe(out, size, json_is_object(last) ? text : "-");
	return out;
}
