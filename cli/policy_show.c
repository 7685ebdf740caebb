// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/control.h"
#include "cli/paths.h"
#include "cli/policy.h"

/* What is in force, as it is shown. */
struct shown {
	struct rf_policy_origin origin;
	bool known;	/* where it is from */
	json_t *values; /* by path: as in the file; a key that is not there is not known */
};

/* A state folder, or a name that has one in the usual place; a profile's name is the profile. */
static bool is_vm(const char *word)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct rf_why why;
	struct stat st;
	struct rf_vm vm;
	int err;

	if (!strchr(word, '/') && !rf_find_profile(word, path))
		return false;
	if (strchr(word, '/') && !(stat(word, &st) == 0 && S_ISDIR(st.st_mode)))
		return false;
	if (rf_state_dir(word, dir))
		return false;
	err = rf_vm_read(dir, &why, &vm);
	if (!err)
		rf_vm_close(&vm);
	return !err || err == -ENODATA || err == -EPERM;
}

static int ask_vm(const char *word, struct shown *out)
{
	json_t *status = NULL;
	struct rf_vm vm;
	int code = rf_vm_find(word, &vm), err;

	if (code != RF_EXIT_OK)
		return code;
	err = rf_control_ask(&vm, "status", &status);
	if (err)
		return rf_vm_silent(&vm, err,
				    "what was sealed stays sealed; by which policy is "
				    "not known");
	out->known = vm.policy_known;
	out->origin = vm.policy;
	out->values = json_incref(json_object_get(status, "policy"));
	json_decref(status);
	if (!json_is_object(out->values)) {
		json_decref(out->values);
		return rf_fail(RF_EXIT_NO_ANSWER, "its policy cannot be shown",
			       "see `ringfence status` for what it does say",
			       "the monitor of VM %s is of a release that does not tell its policy",
			       vm.name);
	}
	return RF_EXIT_OK;
}

static int find(const char *word, struct shown *out)
{
	struct rf_policy p;
	int code;

	if (is_vm(word))
		return ask_vm(word, out);
	code = rf_policy_take(word, &out->origin, &p);
	if (code != RF_EXIT_OK)
		return code;
	out->known = true;
	out->values = rf_keys_json(&p);
	return RF_EXIT_OK;
}

/* "line 3", "default", "-" where nobody knows. */
static const char *from_of(const struct shown *s, size_t row, char out[32])
{
	if (!s->known)
		snprintf(out, 32, "-");
	else if (s->origin.lines[row])
		snprintf(out, 32, "%s, line %u", s->origin.profile ? "profile" : "file",
			 s->origin.lines[row]);
	else
		snprintf(out, 32, "default");
	return out;
}

/* "2024-05-01T10:00:00Z, reload 2, signed with serial 7": of a VM that runs. */
static void print_since(const struct rf_policy_origin *o)
{
	char when[RF_TIME_TEXT];

	if (!o->since)
		return;
	printf("since   %s", rf_time_text(o->since, when));
	if (o->reloads)
		printf(", reload %u, %s", o->reloads, o->serial ? "signed" : "unsigned");
	if (o->serial)
		printf(" with serial %llu", (unsigned long long)o->serial);
	putchar('\n');
}

static int print_rows(const struct shown *s)
{
	static const char *const titles[] = { "KEY", "VALUE", "FROM" };
	struct rf_listing *t = rf_listing_create(titles, 3);
	char name[PATH_MAX + 16], safe[PATH_MAX + 16];

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "nothing is shown", "free some memory",
			       "no memory for the table");
	rf_policy_origin_text(&s->origin, name, sizeof(name));
	rf_safe(safe, sizeof(safe), s->known ? name : "not known");
	printf("policy  %s\n", safe);
	if (s->origin.sha256[0])
		printf("sha256  %s\n", s->origin.sha256);
	print_since(&s->origin);
	putchar('\n');
	for (size_t i = 0; i < rf_keys_count; i++) {
		char path[RF_KEY_PATH], from[32], *value;
		json_t *v = json_object_get(s->values, rf_key_path(&rf_keys[i], path));

		value = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
		if (value && json_is_string(v))
			snprintf(value, strlen(value) + 1, "%s", json_string_value(v));
		if (rf_listing_row(t, (const char *[]){ path, value, from_of(s, i, from) }))
			i = rf_keys_count;
		free(value);
	}
	rf_listing_print(t);
	rf_listing_destroy(t);
	return rf_flush();
}

static int print_json(const struct shown *s)
{
	json_t *keys = json_array(), *o;

	for (size_t i = 0; i < rf_keys_count; i++) {
		char path[RF_KEY_PATH];
		json_t *v = json_object_get(s->values, rf_key_path(&rf_keys[i], path));
		bool given = s->origin.lines[i] != 0;

		o = json_pack("{s:s, s:O?, s:s?, s:o}", "key", path, "value", v, "from",
			      !s->known		  ? NULL
			      : !given		  ? "default"
			      : s->origin.profile ? "profile"
						  : "file",
			      "line", given ? json_integer(s->origin.lines[i]) : json_null());
		json_array_append_new(keys, o);
	}
	o = json_pack("{s:s?, s:s?, s:s?, s:o, s:I, s:I, s:o}", "profile",
		      s->origin.profile ? s->origin.name : NULL, "file",
		      s->known && !s->origin.profile && s->origin.name[0] ? s->origin.name : NULL,
		      "sha256", s->origin.sha256[0] ? s->origin.sha256 : NULL, "since",
		      s->origin.since ? json_integer(s->origin.since) : json_null(), "reloads",
		      (json_int_t)s->origin.reloads, "serial", (json_int_t)s->origin.serial, "keys",
		      keys);
	return rf_print_json(o);
}

int rf_policy_show(const struct rf_policy_args *a)
{
	struct shown s = { .known = false };
	int code = find(a->items[0], &s);

	if (code != RF_EXIT_OK)
		return code;
	code = a->json ? print_json(&s) : print_rows(&s);
	json_decref(s.values);
	return code;
}
