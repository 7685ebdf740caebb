// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/policy_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "policy/file.h"
#include "policy/reload.h"

int rf_policy_find(const char *word, char path[PATH_MAX], bool *profile)
{
	*profile = !strchr(word, '/') && !rf_find_profile(word, path);
	if (*profile)
		return 0;
	if (strlen(word) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path, word);
	return 0;
}

/* Where a running VM's policy came from is asked elsewhere: a relative path would mean nothing. */
void rf_policy_origin_name(struct rf_policy_origin *o, const char *word, const char *path)
{
	char whole[PATH_MAX];

	snprintf(o->name, sizeof(o->name), "%s",
		 o->profile		 ? word
		 : realpath(path, whole) ? whole
					 : path);
}

int rf_policy_read(const char *word, const char *from, struct rf_policy_diag *diag,
		   struct rf_policy_origin *origin, struct rf_policy *out)
{
	char text[RF_POLICY_FILE_MAX + 1], path[PATH_MAX];
	size_t len;
	int err;

	*origin = (struct rf_policy_origin){ .profile = false };
	err = rf_policy_find(word, path, &origin->profile);
	if (err)
		return err;
	rf_policy_origin_name(origin, word, path);
	err = rf_file_read(from ?: path, text, sizeof(text), &len);
	if (!err)
		err = rf_policy_parse(text, len, diag, out);
	if (err)
		return err;
	rf_policy_sha256(text, len, origin->sha256);
	rf_policy_lines(text, len, origin->lines);
	return 0;
}

const char *rf_policy_problem(int err)
{
	return err == -EINVAL ? "it is not a regular file" : strerror(-err);
}

const char *rf_policy_origin_text(const struct rf_policy_origin *o, char *out, size_t size)
{
	if (!o->name[0])
		snprintf(out, size, "none: every key is at its default");
	else
		snprintf(out, size, "%s%s", o->profile ? "profile " : "", o->name);
	return out;
}

json_t *rf_policy_origin_json(const struct rf_policy_origin *o)
{
	json_t *lines = json_object();
	char path[RF_KEY_PATH], name[PATH_MAX];

	/* A path may be any bytes, and JSON takes none that are not text. */
	rf_safe(name, sizeof(name), o->name);
	for (size_t i = 0; i < rf_keys_count; i++)
		if (o->lines[i])
			json_object_set_new(lines, rf_key_path(&rf_keys[i], path),
					    json_integer(o->lines[i]));
	return json_pack("{s:b, s:s, s:s, s:o, s:I, s:I, s:I}", "profile", o->profile, "name", name,
			 "sha256", o->sha256, "lines", lines, "since", (json_int_t)o->since,
			 "reloads", (json_int_t)o->reloads, "serial", (json_int_t)o->serial);
}

bool rf_policy_origin_read(const json_t *o, struct rf_policy_origin *out)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *sha256 = json_string_value(json_object_get(o, "sha256"));
	const json_t *lines = json_object_get(o, "lines");
	char path[RF_KEY_PATH];

	/* It is printed as it is, and may be another user's word. */
	if (!name || !sha256 || sha256[strspn(sha256, "0123456789abcdef")])
		return false;
	*out = (struct rf_policy_origin){
		.profile = json_is_true(json_object_get(o, "profile")),
		.since = json_integer_value(json_object_get(o, "since")),
		.reloads = (uint32_t)json_integer_value(json_object_get(o, "reloads")),
		.serial = (uint64_t)json_integer_value(json_object_get(o, "serial")),
	};
	snprintf(out->name, sizeof(out->name), "%s", name);
	snprintf(out->sha256, sizeof(out->sha256), "%s", sha256);
	for (size_t i = 0; i < rf_keys_count; i++)
		out->lines[i] = (unsigned int)json_integer_value(
			json_object_get(lines, rf_key_path(&rf_keys[i], path)));
	return true;
}
