// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/policy.h"
#include "policy/stricter.h"

/* --- what may stand in one ------------------------------------------------ */

static json_t *key_json(const struct rf_key *k)
{
	char path[RF_KEY_PATH], way[RF_KEY_LEGAL];
	json_t *o = json_pack("{s:s, s:s, s:o, s:s, s:s}", "key", rf_key_path(k, path), "kind",
			      k->names	 ? "list"
			      : k->words ? "word"
					 : "number",
			      "default", k->names ? json_array() : rf_key_json(k, k->standard),
			      "what", k->what, "stricter", rf_key_way_text(k, way));
	json_t *words = k->words ? json_array() : NULL;

	for (const struct rf_key_word *w = k->words; w && w->text; w++)
		json_array_append_new(words, rf_key_json(k, w->value));
	if (words) {
		json_object_set_new(o, "words", words);
		return o;
	}
	json_object_set_new(o, "min", json_integer(k->min));
	json_object_set_new(o, "max", json_integer(k->max));
	json_object_set_new(o, "unit", k->unit ? json_string(k->unit) : json_null());
	return o;
}

static int no_memory(void)
{
	return rf_fail(RF_EXIT_INTERNAL, "nothing is shown", "free some memory",
		       "no memory for the table");
}

int rf_policy_keys(const struct rf_policy_args *a)
{
	static const char *const titles[] = { "KEY", "MAY BE", "DEFAULT", "WHAT" };
	json_t *all = a->json ? json_array() : NULL;
	struct rf_listing *t = a->json ? NULL : rf_listing_create(titles, 4);

	if (!all && !t)
		return no_memory();
	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];
		char path[RF_KEY_PATH], legal[RF_KEY_LEGAL], value[RF_KEY_PATH];

		if (all)
			json_array_append_new(all, key_json(k));
		else if (rf_listing_row(t, (const char *[]){
						   rf_key_path(k, path), rf_key_legal(k, legal),
						   rf_key_value(k, k->standard, value), k->what }))
			break;
	}
	if (all)
		return rf_print_json(all);
	rf_listing_print(t);
	rf_listing_destroy(t);
	return rf_flush();
}

/* --- is it one? ----------------------------------------------------------- */

static void print_changed(const struct rf_policy *p, const struct rf_key *k)
{
	char path[RF_KEY_PATH], value[RF_KEY_PATH], standard[RF_KEY_PATH];

	printf("  %-22s %-18s (default: %s)\n", rf_key_path(k, path),
	       rf_key_value(k, rf_key_get(p, k), value), rf_key_value(k, k->standard, standard));
	for (uint32_t i = 0; k->names && i < rf_key_names(p, k)->count; i++)
		printf("    %s\n", rf_key_names(p, k)->name[i]);
}

/* What it amounts to: what is not as it would be without it. */
static void print_good(const char *name, const struct rf_policy *p)
{
	char safe[PATH_MAX];
	unsigned int changed = 0;

	for (size_t i = 0; i < rf_keys_count; i++)
		changed += rf_key_get(p, &rf_keys[i]) != rf_keys[i].standard;
	rf_safe(safe, sizeof(safe), name);
	printf("%s: ok: mode %s, on_denied %s; ", safe, rf_policy_mode_text(p->mode),
	       rf_on_denied_text(p->on_denied));
	if (!changed)
		printf("the same as the default\n");
	else
		printf("not as the default: %u key%s\n", changed, changed > 1 ? "s" : "");
	for (size_t i = 0; i < rf_keys_count; i++)
		if (rf_key_get(p, &rf_keys[i]) != rf_keys[i].standard)
			print_changed(p, &rf_keys[i]);
}

static json_t *changed_json(const struct rf_policy *p)
{
	json_t *o = json_object();
	char path[RF_KEY_PATH];

	for (size_t i = 0; i < rf_keys_count; i++) {
		uint32_t value = rf_key_get(p, &rf_keys[i]);

		if (value != rf_keys[i].standard)
			json_object_set_new(o, rf_key_path(&rf_keys[i], path),
					    rf_key_json_of(p, &rf_keys[i]));
	}
	return o;
}

static int check_one(const char *word, json_t *all)
{
	struct rf_policy_diag diag = { 0 };
	struct rf_policy_origin origin;
	struct rf_policy p;
	char safe[sizeof(diag.text)], file[PATH_MAX];
	int err = rf_policy_read_known(word, NULL, &diag, &origin, &p);

	rf_safe(file, sizeof(file), word);
	rf_safe(safe, sizeof(safe), diag.text[0] ? diag.text : err ? rf_policy_problem(err) : "");
	if (all && !err)
		json_array_append_new(all, json_pack("{s:s, s:b, s:s, s:o}", "file", file, "ok", 1,
						     "sha256", origin.sha256, "not_default",
						     changed_json(&p)));
	else if (all)
		json_array_append_new(all, json_pack("{s:s, s:b, s:i, s:i, s:s}", "file", file,
						     "ok", 0, "line", (int)diag.line, "column",
						     (int)diag.column, "error", safe));
	else if (!err)
		print_good(word, &p);
	else if (err == -EBADMSG)
		printf("%s:%u:%u: %s\n", file, diag.line, diag.column, safe);
	if (!err)
		return RF_EXIT_OK;
	if (err == -EBADMSG)
		return RF_EXIT_NO;
	return all ? RF_EXIT_NOT_FOUND
		   : rf_fail(RF_EXIT_NOT_FOUND, "it was not checked",
			     "give the path of a file that this user may read, at most 64 KiB, or "
			     "a profile: " RF_PROFILES,
			     "policy %s: %s", word, rf_policy_problem(err));
}

int rf_policy_check(const struct rf_policy_args *a)
{
	json_t *all = a->json ? json_array() : NULL;
	int code = RF_EXIT_OK, printed;

	for (int i = 0; i < a->count; i++) {
		int one = check_one(a->items[i], all);

		/* One that is not there weighs more than one that is not valid. */
		code = one > code ? one : code;
	}
	printed = all ? rf_print_json(all) : rf_flush();
	return printed ? printed : code;
}
