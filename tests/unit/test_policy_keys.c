// SPDX-License-Identifier: LGPL-2.1-or-later
/* The table of the policy's keys against the parser, what is said of a wrong file, and files that
 * are nothing but noise. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/keys.h"

static int parse(const char *text, struct rf_policy_diag *d, struct rf_policy *p)
{
	return rf_policy_parse(text, strlen(text), d, p);
}

static void test_rows(void **state)
{
	char path[RF_KEY_PATH], value[RF_KEY_PATH], legal[RF_KEY_LEGAL];

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		rf_key_path(k, path);
		assert_ptr_equal(rf_key_find(k->section, k->name), k);
		assert_true(strlen(k->what) > 10 && strlen(k->what) < 80);
		assert_string_not_equal(rf_key_value(k, k->standard, value), "-");
		assert_non_null(strstr(rf_key_legal(k, legal), k->words ? value : k->unit ?: "1"));
		assert_true(strlen(legal) < RF_KEY_LEGAL - 1);
		/* libcyaml takes a flag word for another one if a row has two of a value. */
		for (size_t w = 0; k->words && k->words[w].text; w++) {
			assert_string_equal(rf_key_value(k, k->words[w].value, value),
					    k->words[w].text);
			assert_true(w < RF_KEY_WORDS_MAX);
		}
		assert_true(k->words || (k->standard >= k->min && k->standard <= k->max));
		/* Rows of a section stand together: sentences name each section once. */
		for (size_t j = i + 1; k->section && j < rf_keys_count; j++)
			if (rf_keys[j].section && !strcmp(rf_keys[j].section, k->section))
				assert_string_equal(rf_keys[j - 1].section ?: "", k->section);
	}
	assert_null(rf_key_find(NULL, "control_watch"));
	assert_null(rf_key_find("pin", "mode"));
	assert_null(rf_patch_word_text(RF_PATCH_WORDS));
	for (int w = 0; w < RF_PATCH_WORDS; w++)
		assert_non_null(rf_patch_word_text((enum rf_patch_word)w));
}

/* Of all keys this one alone has another value than the default. */
static void assert_only(const struct rf_policy *p, const struct rf_key *changed, uint32_t value)
{
	struct rf_policy standard;

	rf_policy_default(&standard);
	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		/* The one that goes with another: see test_whole_file. */
		if (k == changed)
			assert_int_equal(rf_key_get(p, k), value);
		else
			assert_int_equal(rf_key_get(p, k), rf_key_get(&standard, k));
	}
}

static int parse_one(const struct rf_key *k, const char *value, struct rf_policy_diag *d,
		     struct rf_policy *p)
{
	char text[256];

	snprintf(text, sizeof(text), "version: 1\n%s%s%s: %s\n", k->section ?: "",
		 k->section ? ":\n  " : "", k->name, value);
	return parse(text, d, p);
}

/* Each legal word of each key, and both ends of each range, do what the table says and no more. */
static void test_every_value(void **state)
{
	struct rf_policy_diag d;
	struct rf_policy p;
	char value[RF_KEY_PATH];
	unsigned int n = 0;

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		for (const struct rf_key_word *w = k->words; w && w->text; w++, n++) {
			assert_int_equal(parse_one(k, w->text, &d, &p), 0);
			assert_only(&p, k, w->value);
		}
		if (k->words || k->names || !k->size)
			continue;
		for (int end = 0; end < 2; end++, n++) {
			uint32_t at = end ? k->max : k->min;

			assert_int_equal(parse_one(k, rf_key_value(k, at, value), &d, &p), 0);
			assert_only(&p, k, at);
			if (!end && !at)
				continue;
			rf_key_value(k, end ? at + 1 : at - 1, value);
			assert_int_equal(parse_one(k, value, &d, &p), -EBADMSG);
			assert_int_equal(d.line, 2);
			assert_non_null(strstr(d.text, k->unit));
		}
	}
	assert_true(n >= 48);
}

/* Where, what, the words that are legal there, and the nearest one. */
static void test_sentences(void **state)
{
	static const struct {
		const char *text;
		unsigned int line, column;
		const char *says;
	} files[] = {
		{ "version: 1\nmdoe: observe\n", 2, 1,
		  "there is no such key; did you mean \"mode\"? The keys there are: version, "
		  "mode, on_denied, on_denied_patch, on_kexec, on_mismatch, on_unknown_kernel, "
		  "checks, checks_off, checks_observe, checks_pause, checks_kill, on_log_full, "
		  "log_quota_mb, "
		  "patches, seal, pin, register_check_ms, unsealed_alert_ms, dma_sweep_ms, "
		  "patch_timeout_ms" },
		{ "version: 1\n# mdoe: x\nmode: enforce # mdoe:\nmdoe: observe\n", 4, 1,
		  "there is no such key" },
		{ "version: 1\nmode: observ\n", 2, 7,
		  "mode cannot be what stands there; did you mean \"observe\"? It may be: enforce, "
		  "observe" },
		{ "version: 1\nmode: Enforce\n", 2, 7, "did you mean \"enforce\"?" },
		{ "version: 1\nmode:\n", 2, 6, "mode has no value. It may be: enforce, observe" },
		{ "version: 1\nmode: off\n", 2, 7,
		  "mode cannot be what stands there. It may be: enforce, observe" },
		{ "version: 1\nseals: { text: true }\n", 2, 1, "did you mean \"seal\"?" },
		{ "version: 1\nseal:\n  txt: true\n", 3, 3,
		  "there is no such key below seal; did you mean \"text\"? The keys there are: "
		  "text, rodata" },
		{ "version: 1\ncontrol_watch: required\n", 2, 1,
		  "did you mean \"pin.control_watch\"?" },
		{ "version: 1\npin: { mode: observe }\n", 2, 8, "did you mean \"mode\"?" },
		{ "version: 1\npin: { control_watch: true }\n", 2, 23,
		  "control_watch cannot be what stands there. It may be: optional, required" },
		{ "version: 1\npin: all\n", 2, 6, "pin: its keys belong below it" },
		{ "version: 1\nmode: [enforce]\n", 2, 7,
		  "mode: one word belongs there, not a list" },
		{ "version: 1\nmode: { on: true }\n", 2, 7,
		  "mode: one word belongs there, not keys" },
		{ "version: 1\ndma_sweep_ms: soon\n", 2, 15,
		  "dma_sweep_ms cannot be what stands there. It may be: 10 to 3600000 "
		  "(milliseconds)" },
		{ "version: 1\n\nmode: enforce\nmode: observe\n", 4, 1,
		  "mode stands there twice, the first time in line 3" },
		{ "version: 1\n---\nmode: observe\n", 2, 1, "documents after first" },
		{ "mode: observe\n", 1, 1, "version" },
		{ "", 1, 1, "says nothing" },
		{ "version: 1\nmode: \"enf\n", 3, 1, "unexpected end of stream" },
		{ "version: 1\nseal:\n  text: true\n\trodata: true\n", 4, 1, "tab" },
		{ "version: 1\n\nmode: \x01\n", 3, 7, "control characters" },
		{ "- version\n", 1, 1, "made of keys" },
		{ "version: 1\n? [mode]\n: x\n", 2, 3, "a key must be a word" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct rf_policy_diag d = { 0 };
		struct rf_policy p;

		if (parse(files[i].text, &d, &p) != -EBADMSG || d.line != files[i].line ||
		    d.column != files[i].column || !strstr(d.text, files[i].says))
			fail_msg("file %zu: \"%s\" -> %u:%u: %s", i, files[i].text, d.line,
				 d.column, d.text);
	}
}

/*
 * A word that stands anywhere in a file, as a key, a value, a name, of any shape: a file that is
 * not the user's to read may be given as a policy, and no word of it is told.
 */
static void test_nothing_of_the_file(void **state)
{
	static const char *const around[] = {
		"%s",
		"%s\n",
		"%s:",
		"%s: x",
		"x: %s",
		"root:%s:19000:0:99999:7:::\n",
		"version: 1\n%s: x\n",
		"version: 1\nx: %s\n",
		"version: %s\n",
		"version: 1\nmode: %s\n",
		"version: 1\nmode: '%s'\n",
		"version: 1\nmode: [%s]\n",
		"version: 1\nmode: { %s: 1 }\n",
		"version: 1\nmode: *%s\n",
		"version: 1\nmode: &%s enforc\n",
		"version: 1\nmode: !%s enforce\n",
		"version: 1\nmode: !<tag:%s> x\n",
		"version: 1\ndma_sweep_ms: %s\n",
		"version: 1\ndma_sweep_ms: 1%s\n",
		"version: 1\nseal: %s\n",
		"version: 1\nseal: { %s: true }\n",
		"version: 1\nseal: { text: %s }\n",
		"version: 1\n%s: { text: true }\n",
		"version: 1\n%s: { %s: %s }\n",
		"version: 1\npatches: { owners: %s }\n",
		"version: 1\npatches: { owners: [ '%s b' ] }\n",
		"version: 1\npatches: { owners: [ [ %s ] ] }\n",
		"version: 1\npatches: { owners: [ { %s: %s } ] }\n",
		"version: 1\nmode: \"%s\n",
		"%%%s 1.1\n---\nversion: 1\n",
		"%%TAG !%s! tag:x\nversion: 1\n",
		"@%s\n",
		"`%s`\n",
		"? %s\n: x\n",
		"version: 1\nmode: | %s\n",
		"version: 1\nmode: \"\\%s\"\n",
		"version: 1\n---\n%s: x\n",
		"-----BEGIN %s KEY-----\n%s\n",
		"{ \"%s\": \"%s\" }",
		"PRIVATE+KEY+%s+00000000+%s\n",
		"version: 1\nmode: enforce\nmode: %s\n",
		"version: 1\nmode: enforce %s\n",
		"\t%s\n",
		"[%s\n",
		"{%s\n",
		"- %s\n",
		"# %s\n",
	};
	static const char *const secrets[] = { "Hunter2secret", "7734", "modeHunter2",
					       "$y$j9T$Hunter2" };
	unsigned int refused = 0;

	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		for (size_t n = 0; n < sizeof(secrets) / sizeof(secrets[0]); n++) {
			char text[256];
			struct rf_policy_diag d = { 0 };
			const char *s = secrets[n];
			struct rf_policy p;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(text, sizeof(text), around[i], s, s, s);
#pragma GCC diagnostic pop
			/* A tag is nothing to us, and a number is one. */
			if (!parse(text, &d, &p))
				continue;
			refused++;
			if (strstr(d.text, s) || strstr(d.text, "Hunter"))
				fail_msg("%s -> %s", text, d.text);
			assert_true(d.line && d.column);
		}
	}
	assert_true(refused > 150);
}

/* Digits, and nothing else: what libcyaml would read a number out of. */
static void test_numbers(void **state)
{
	static const char *const wrong[] = {
		"1GB",	     "1s",	   "1e6",
		"10,000",    "1.5",	   "010",
		"00",	     "0x10",	   "+5",
		"-1",	     "1 000",	   "1_000",
		"\"10\\0\"", "\" 5\"",	   "\"5 \"",
		"''",	     "0b1",	   "1:30",
		"٣",	     "4294967297", "99999999999999999999",
		"1 GB",	     "5;",	   "\"5\\n\"",
		"1-2",	     ".5",	   "1000000000000000000000000000000000GB",
	};
	struct rf_policy_diag d;
	struct rf_policy p;

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];

		if (k->words || k->names)
			continue;
		for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
			char text[128], legal[RF_KEY_LEGAL];

			snprintf(text, sizeof(text), "%s\n%s: %s\n",
				 k->size ? "version: 1" : "mode: enforce", k->name, wrong[n]);
			memset(&d, 0, sizeof(d));
			if (parse(text, &d, &p) != -EBADMSG || d.line != 2 ||
			    d.column != strlen(k->name) + 3 || !strstr(d.text, " It may be: ") ||
			    !strstr(d.text, rf_key_legal(k, legal)))
				fail_msg("%s -> %u:%u: %s", text, d.line, d.column, d.text);
		}
	}
	assert_int_equal(parse("version: 1\nlog_quota_mb: 1GB\n", &d, &p), -EBADMSG);
	assert_string_equal(d.text,
			    "log_quota_mb cannot be what stands there. It may be: 0 to 1048576 "
			    "(MiB), digits alone");
	/* A quoted number is one, and 0 is. */
	assert_int_equal(
		parse("version: '1'\nlog_quota_mb: \"10\"\nregister_check_ms: 0\n", &d, &p), 0);
	assert_int_equal(p.log_quota_mb, 10);
	assert_int_equal(p.register_check_ms, 0);
}

static void test_names(void **state)
{
	const struct rf_key *k = rf_key_find("patches", "owners");
	struct rf_policy_diag d;
	struct rf_policy p;
	json_t *names;

	assert_int_equal(parse_one(k, "[]", &d, &p), 0);
	assert_int_equal(rf_key_get(&p, k), 0);
	assert_int_equal(parse_one(k, "[ foo, rf-attack ]", &d, &p), 0);
	assert_int_equal(rf_key_get(&p, k), 2);
	names = rf_key_json_of(&p, k);
	assert_string_equal(json_string_value(json_array_get(names, 1)), "rf_attack");
	json_decref(names);
	assert_int_equal(parse_one(k, "foo", &d, &p), -EBADMSG);
	assert_int_equal(d.line, 3);
	assert_non_null(strstr(d.text, "owners: a list of 64 names at most belongs there"));
	assert_int_equal(parse_one(k, "[ '' ]", &d, &p), -EBADMSG);
	assert_non_null(strstr(d.text, "1 to 56 letters"));
	assert_int_equal(parse_one(k, "[ ok, 'a b' ]", &d, &p), -EBADMSG);
	assert_int_equal(d.line, 3);
	assert_non_null(strstr(d.text, "owners: one of them is no name, which is made of"));
	assert_int_equal(parse_one(k, "[ nf/x ]", &d, &p), -EBADMSG);
	/* What is wrong elsewhere is not blamed on it. */
	assert_int_equal(parse("version: 1\npatches: { owners: [ a ] }\nmode: x\n", &d, &p),
			 -EBADMSG);
	assert_int_equal(d.line, 3);
}

static void test_lines(void **state)
{
	static const char text[] = "# pin:\nversion: 1\npin: { pge: true,\n  msrs: false }\n";
	unsigned int lines[RF_KEYS_MAX];

	rf_policy_lines(text, strlen(text), lines);
	for (size_t i = 0; i < rf_keys_count; i++)
		assert_int_equal(lines[i], !strcmp(rf_keys[i].name, "version") ? 2
					   : !strcmp(rf_keys[i].name, "pge")   ? 3
					   : !strcmp(rf_keys[i].name, "msrs")  ? 4
									       : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_value),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_nothing_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
