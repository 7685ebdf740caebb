// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which of two policies is the stricter, key by key, and which one may take the other's place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/checkpoint.h"
#include "policy/reload.h"
#include "policy/stricter.h"

/* --- each key ----------------------------------------------------------------- */

/* Written down once more, by hand: of words from the loosest to the strictest. */
static const struct row {
	const char *path;
	bool fixed, held;
	const char *order[4];
	uint32_t loose, strict; /* of a number */
} rows[] = {
	{ "version", .fixed = true },
	{ "mode", .held = true, .order = { "observe", "enforce" } },
	{ "on_denied", .order = { "fault", "kill" } },
	{ "on_denied_patch", .order = { "drop", "fault" } },
	{ "on_kexec", .held = true, .order = { "rearm", "deny" } },
	{ "on_mismatch", .order = { "alert", "refuse" } },
	{ "on_unknown_kernel", .order = { "run-unsealed-alert", "refuse" } },
	{ "checks", .order = { "off", "alert" } },
	{ "checks_off", .fixed = false }, /* test_names, and the next three */
	{ "checks_observe", .fixed = false },
	{ "checks_pause", .fixed = false },
	{ "checks_kill", .fixed = false },
	{ "on_log_full", .order = { "continue", "deny", "pause" } },
	{ "log_quota_mb", .loose = 1, .strict = 1024 },
	{ "patches.ftrace", .order = { "allow", "owners", "deny" } },
	{ "patches.livepatch", .order = { "allow", "owners" } },
	{ "patches.kprobes", .order = { "allow", "owners", "deny" } },
	{ "patches.kgdb", .order = { "allow", "deny" } },
	{ "patches.static_calls", .order = { "allow", "owners", "deny" } },
	{ "patches.jump_labels", .order = { "allow", "deny" } },
	{ "patches.tracepoints", .order = { "allow", "owners" } },
	{ "patches.bpf", .order = { "allow", "owners" } },
	{ "patches.owners", .fixed = false }, /* test_names */
	{ "seal.text", .fixed = true },
	{ "seal.rodata", .fixed = true },
	{ "pin.msrs", .fixed = true },
	{ "pin.tables", .fixed = true },
	{ "pin.debugctl", .fixed = true },
	{ "pin.spec_ctrl", .fixed = true },
	{ "pin.control", .fixed = true },
	{ "pin.pge", .fixed = true },
	{ "pin.control_watch", .fixed = true },
	{ "register_check_ms", .fixed = true },
	{ "unsealed_alert_ms", .fixed = true },
	{ "dma_sweep_ms", .loose = 2000, .strict = 20 },
	{ "patch_timeout_ms", .loose = 30000, .strict = 2000 },
};

static const struct row *row_of(const struct rf_key *k)
{
	char path[RF_KEY_PATH];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].path, rf_key_path(k, path)))
			return &rows[i];
	fail_msg("%s has no row here: which of its values is the stricter?", path);
	return NULL;
}

static enum rf_change change(const struct rf_key *k, uint32_t from, uint32_t to)
{
	struct rf_policy a, b;
	enum rf_change c;

	rf_policy_default(&a);
	b = a;
	rf_key_set(&a, k, from);
	rf_key_set(&b, k, to);
	c = rf_key_change(k, &a, &b);
	for (size_t i = 0; i < rf_keys_count; i++)
		if (&rf_keys[i] != k)
			assert_int_equal(rf_key_change(&rf_keys[i], &a, &b), RF_CHANGE_NONE);
	return c;
}

static uint32_t word(const struct rf_key *k, const char *text)
{
	for (const struct rf_key_word *w = k->words; w && w->text; w++)
		if (!strcmp(w->text, text))
			return w->value;
	fail_msg("%s has no word %s", k->name, text);
	return 0;
}

static void each_word(const struct rf_key *k, const struct row *row)
{
	enum rf_change back = row->held ? RF_CHANGE_NEVER : RF_CHANGE_LOOSER;
	size_t n = 0, words = 0;

	while (k->words[words].text)
		words++;
	for (; n < 4 && row->order[n]; n++)
		for (size_t i = 0; i <= n; i++) {
			uint32_t loose = word(k, row->order[i]), strict = word(k, row->order[n]);

			assert_int_equal(change(k, loose, strict),
					 i == n ? RF_CHANGE_NONE : RF_CHANGE_TIGHTER);
			assert_int_equal(change(k, strict, loose), i == n ? RF_CHANGE_NONE : back);
		}
	assert_int_equal(n, words); /* none is left out */
}

static void test_each_key(void **state)
{
	assert_int_equal(rf_keys_count, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];
		const struct row *row = row_of(k);

		assert_true(k->way >= RF_KEY_FIXED && k->way <= RF_KEY_MORE);
		assert_int_equal(k->way == RF_KEY_FIXED, row->fixed);
		assert_int_equal(k->way == RF_KEY_FEWER || k->way == RF_KEY_MORE, k->names);
		if (row->fixed && k->words) {
			assert_int_equal(change(k, 0, 1), RF_CHANGE_NEVER);
			assert_int_equal(change(k, 1, 0), RF_CHANGE_NEVER);
			assert_int_equal(change(k, 1, 1), RF_CHANGE_NONE);
		} else if (row->fixed && k->size) {
			assert_int_equal(change(k, 500, 1000), RF_CHANGE_NEVER);
			assert_int_equal(change(k, 1000, 500), RF_CHANGE_NEVER);
			assert_int_equal(change(k, 1000, 0), RF_CHANGE_NEVER);
		} else if (k->words) {
			each_word(k, row);
		} else if (!k->names && k->size) {
			assert_int_equal(change(k, row->loose, row->strict), RF_CHANGE_TIGHTER);
			assert_int_equal(change(k, row->strict, row->loose), RF_CHANGE_LOOSER);
			assert_int_equal(change(k, row->strict, row->strict), RF_CHANGE_NONE);
		}
	}
}

/* 0 is no small quota, but none. */
static void test_endless(void **state)
{
	const struct rf_key *k = rf_key_find(NULL, "log_quota_mb");

	assert_int_equal(change(k, 0, RF_POLICY_QUOTA_MAX), RF_CHANGE_LOOSER);
	assert_int_equal(change(k, RF_POLICY_QUOTA_MAX, 0), RF_CHANGE_TIGHTER);
	assert_int_equal(change(k, 0, 0), RF_CHANGE_NONE);
}

static struct rf_policy policy_of(const char *text)
{
	struct rf_policy_diag d;
	struct rf_policy p;
	char whole[512];

	snprintf(whole, sizeof(whole), "version: 1\n%s", text);
	if (rf_policy_parse(whole, strlen(whole), &d, &p))
		fail_msg("%s", d.text);
	return p;
}

static enum rf_change names(const char *from, const char *to)
{
	struct rf_policy a, b;
	char text[128];

	snprintf(text, sizeof(text), "patches: { owners: [ %s ] }\n", from);
	a = policy_of(text);
	snprintf(text, sizeof(text), "patches: { owners: [ %s ] }\n", to);
	b = policy_of(text);
	return rf_key_change(rf_key_find("patches", "owners"), &a, &b);
}

static void test_names(void **state)
{
	assert_int_equal(names("a, b", "a, b"), RF_CHANGE_NONE);
	assert_int_equal(names("a, b", "b, a"), RF_CHANGE_NONE);
	assert_int_equal(names("a, b", "b, a, b"), RF_CHANGE_NONE);
	assert_int_equal(names("a, b", "b"), RF_CHANGE_TIGHTER);
	assert_int_equal(names("a", ""), RF_CHANGE_TIGHTER);
	assert_int_equal(names("a", "a, b"), RF_CHANGE_LOOSER);
	assert_int_equal(names("", "a"), RF_CHANGE_LOOSER);
	/* As many as before, and fewer, but another one among them. */
	assert_int_equal(names("a, b", "a, c"), RF_CHANGE_LOOSER);
	assert_int_equal(names("a, b", "c"), RF_CHANGE_LOOSER);
}

/* Who ends the VM over more is stricter. */
static void test_more_names(void **state)
{
	static const char *const names_of[] = { "checks_pause", "checks_kill" };

	for (size_t i = 0; i < 2; i++) {
		const struct rf_key *k = rf_key_find(NULL, names_of[i]);
		struct rf_policy none = policy_of(""), one, two, other;
		char text[64];

		snprintf(text, sizeof(text), "%s: [ x ]\n", names_of[i]);
		one = policy_of(text);
		snprintf(text, sizeof(text), "%s: [ x, y ]\n", names_of[i]);
		two = policy_of(text);
		snprintf(text, sizeof(text), "%s: [ y, z ]\n", names_of[i]);
		other = policy_of(text);
		assert_int_equal(rf_key_change(k, &none, &one), RF_CHANGE_TIGHTER);
		assert_int_equal(rf_key_change(k, &one, &two), RF_CHANGE_TIGHTER);
		assert_int_equal(rf_key_change(k, &two, &two), RF_CHANGE_NONE);
		assert_int_equal(rf_key_change(k, &two, &one), RF_CHANGE_LOOSER);
		assert_int_equal(rf_key_change(k, &one, &other), RF_CHANGE_LOOSER);
		assert_int_equal(rf_key_change(k, &one, &none), RF_CHANGE_LOOSER);
	}
}

/* Each list has its own names. */
static void test_two_lists(void **state)
{
	struct rf_policy a = policy_of("checks_off: [ x ]\npatches: { owners: [ a ] }\n");
	struct rf_policy b = policy_of("checks_off: [ x, y ]\npatches: { owners: [ a ] }\n");
	const struct rf_key *off = rf_key_find(NULL, "checks_off");
	const struct rf_key *owners = rf_key_find("patches", "owners");

	assert_int_equal(rf_key_change(off, &a, &b), RF_CHANGE_LOOSER);
	assert_int_equal(rf_key_change(off, &b, &a), RF_CHANGE_TIGHTER);
	assert_int_equal(rf_key_change(owners, &a, &b), RF_CHANGE_NONE);
}

/* Of lists that are long what comes and goes, behind all other keys. */
static void test_long_lists(void **state)
{
	struct rf_policy from, to;
	char text[1024];

	rf_policy_default(&from);
	for (unsigned int i = 0; i < 60; i++)
		snprintf(from.checks_off.name[i], sizeof(from.checks_off.name[i]), "check-%u", i);
	from.checks_off.count = 60;
	to = from;
	strcpy(to.checks_off.name[60], "lsm-hooks");
	to.checks_off.count = 61;
	to.on_denied = RF_ON_DENIED_KILL;
	to.dma_sweep_ms = 20;
	rf_changes_text(&from, &to, UINT32_MAX, text, sizeof(text));
	assert_string_equal(text, "on_denied: fault -> kill; dma_sweep_ms: 5000 -> 20; "
				  "checks_off: 60 -> 61 names: +lsm-hooks");
	strcpy(to.checks_off.name[0], "idt");
	rf_changes_text(&from, &to, UINT32_MAX, text, sizeof(text));
	assert_non_null(strstr(text, "names: +idt +lsm-hooks -check-0"));
	/* More than there is room for is counted. */
	from.checks_off.count = 0;
	rf_changes_text(&from, &to, UINT32_MAX, text, sizeof(text));
	assert_non_null(strstr(text, "0 -> 61 names: +idt +check-1 "));
	assert_non_null(strstr(text, " more"));
	assert_null(strstr(text, "..."));
}

static void test_way_text(void **state)
{
	static const char *const texts[][3] = {
		{ NULL, "mode", "observe < enforce, never looser" },
		{ NULL, "on_log_full", "continue < deny < pause" },
		{ "patches", "ftrace", "allow < owners < deny" },
		{ "patches", "owners", "fewer names" },
		{ NULL, "checks_kill", "more names" },
		{ "pin", "msrs", "fixed" },
		{ NULL, "dma_sweep_ms", "the smaller number" },
		{ NULL, "log_quota_mb", "the greater number, 0 the greatest" },
	};
	char out[RF_KEY_LEGAL];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(rf_key_way_text(rf_key_find(texts[i][0], texts[i][1]), out),
				    texts[i][2]);
	for (size_t i = 0; i < rf_keys_count; i++)
		assert_true(strlen(rf_key_way_text(&rf_keys[i], out)) < RF_KEY_LEGAL - 1);
}

static void test_text(void **state)
{
	struct rf_policy from = policy_of("patches: { owners: [ a, b ] }\ndma_sweep_ms: 20\n");
	struct rf_policy to = policy_of("on_denied: kill\npatches: { owners: [ a ] }\n");
	const uint32_t all = ~0u;
	char text[256], small[40];

	assert_string_equal(
		rf_changes_text(&from, &to, 1u << RF_CHANGE_TIGHTER, text, sizeof(text)),
		"on_denied: fault -> kill; patches.owners: [a, b] -> [a]");
	assert_string_equal(rf_changes_text(&from, &to, 1u << RF_CHANGE_LOOSER, text, sizeof(text)),
			    "dma_sweep_ms: 20 -> 5000");
	assert_string_equal(rf_changes_text(&from, &from, all, text, sizeof(text)), "");
	assert_string_equal(rf_changes_text(&from, &to, all, small, sizeof(small)),
			    "on_denied: fault -> kill ...");
	assert_true(strlen(rf_changes_text(&from, &to, all, small, 6)) < 6);
}

/* --- what is taken ------------------------------------------------------------ */

static struct rf_note_key key, other;
static struct rf_policy now;
static struct rf_reloaded said;

/* A question about a file that says this beside its version. */
static struct rf_reload question;
static char file[512], note[RF_NOTE_BYTES];

static int setup(void **state)
{
	rf_note_key_generate("owner", &key);
	rf_note_key_generate("owner", &other);
	now = policy_of("patches: { ftrace: deny }\n");
	question = (struct rf_reload){ .vm = "web", .now = &now, .time = 1000 };
	return 0;
}

static void ask(const char *text)
{
	snprintf(file, sizeof(file), "version: 1\n%s", text);
	question.text = file;
	question.len = strlen(file);
	memset(&said, 0xee, sizeof(said));
	rf_reload_judge(&question, &said);
}

static void assert_refused(const char *why)
{
	assert_false(said.accepted);
	if (!strstr(said.why, why))
		fail_msg("refused because %s, not %s", said.why, why);
	assert_int_equal(said.serial, question.serial);
}

static void assert_taken(bool is_signed)
{
	if (!said.accepted)
		fail_msg("refused: %s", said.why);
	assert_string_equal(said.why, "");
	assert_int_equal(said.is_signed, is_signed);
}

#define LOOSE "patches: { ftrace: allow }\non_denied: kill\n"

/* Signed so, of the file that ask() makes of this text. */
static void sign_by(const struct rf_note_key *k, const char *vm, uint64_t serial, uint64_t until,
		    const char *text)
{
	struct rf_policy_note n = { .serial = serial, .until = until };

	snprintf(file, sizeof(file), "version: 1\n%s", text);
	rf_policy_sha256(file, strlen(file), n.sha256);
	assert_int_equal(rf_policy_note_sign(k, vm, &n, note), 0);
	question.note = note;
	question.note_len = strlen(note);
}

static void test_tighter(void **state)
{
	ask("patches: { ftrace: deny, kprobes: deny }\n");
	assert_taken(false);
	assert_int_equal(said.policy.patches[RF_PATCH_WORD_KPROBES], RF_PATCH_RULE_DENY);
	assert_int_equal(strlen(said.sha256), 64);
	/* Another file that says the same. */
	ask("# the same\npatches: { ftrace: deny }\n");
	assert_taken(false);
}

static void test_looser(void **state)
{
	ask(LOOSE);
	assert_refused("it loosens, and this VM was started without --policy-key: "
		       "patches.ftrace: deny -> allow");
	assert_null(strstr(said.why, "on_denied")); /* that tightens */
	question.key = &key;
	ask(LOOSE);
	assert_refused("it loosens, and it is not signed: patches.ftrace: deny -> allow");
}

static void test_fixed(void **state)
{
	question.key = &key;
	sign_by(&key, "web", 1, 2000, "seal: { text: false }\n");
	ask("seal: { text: false }\n");
	assert_refused("never loosened, while the VM runs: seal.text: true -> false");
	now = policy_of("mode: observe\n");
	question.note_len = 0;
	ask("");
	assert_taken(false);
	now = policy_of("");
	sign_by(&key, "web", 1, 2000, "mode: observe\n");
	ask("mode: observe\n");
	assert_refused("never loosened, while the VM runs: mode: enforce -> observe");
}

static void test_no_policy(void **state)
{
	ask("mdoe: observe\n");
	assert_refused("it is no policy: line 2, column 1: there is no such key; did");
	question.text = "";
	question.len = 0;
	rf_reload_judge(&question, &said);
	assert_refused("it is no policy: line 1");
	question.text = calloc(1, RF_POLICY_FILE_MAX + 1);
	question.len = RF_POLICY_FILE_MAX + 1;
	rf_reload_judge(&question, &said);
	assert_refused("it is no policy: File too large");
	free((char *)question.text);
}

static void test_signed(void **state)
{
	question.key = &key;
	question.serial = 6;
	sign_by(&key, "web", 7, 1000, LOOSE);
	ask(LOOSE);
	assert_taken(true);
	assert_int_equal(said.serial, 7);
	/* Taken: from here on neither it nor an older one. */
	question.serial = said.serial;
	ask(LOOSE);
	assert_refused("serial is not greater");
	sign_by(&key, "web", 6, 1000, LOOSE);
	ask(LOOSE);
	assert_refused("serial is not greater");
	sign_by(&key, "web", 8, 999, LOOSE);
	ask(LOOSE);
	assert_refused("too old");
	sign_by(&key, "web2", 8, 1000, LOOSE);
	ask(LOOSE);
	assert_refused("for another VM");
	sign_by(&other, "web", 8, 1000, LOOSE);
	ask(LOOSE);
	assert_refused("by another key");
	sign_by(&key, "web", 8, 1000, "");
	ask(LOOSE);
	assert_refused("of another file");
}

/* Each letter of what came as a signature. */
static void test_changed_note(void **state)
{
	size_t len;

	question.key = &key;
	sign_by(&key, "web", 7, 1000, LOOSE);
	len = strlen(note);
	for (size_t i = 0; i < len; i++) {
		note[i] ^= 1;
		ask(LOOSE);
		assert_false(said.accepted);
		assert_string_not_equal(said.why, "");
		note[i] ^= 1;
	}
	for (size_t i = 1; i < len; i++) {
		question.note_len = i;
		ask(LOOSE);
		assert_false(said.accepted);
	}
	question.note_len = len;
	ask(LOOSE);
	assert_taken(true);
}

/* The key's owner has signed it, but a number has one spelling alone. */
static void test_two_spellings(void **state)
{
	static const char *const serials[] = { "7", "07", "+7", " 7" };
	char sha256[RF_SHA256_TEXT], text[RF_NOTE_BYTES];

	question.key = &key;
	sign_by(&key, "web", 7, 1000, LOOSE);
	rf_policy_sha256(file, strlen(file), sha256);
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		snprintf(text, sizeof(text), "ringfence/policy/web\n%s\n1000\n%s\n", serials[i],
			 sha256);
		assert_int_equal(rf_note_sign(&key, text, note), 0);
		question.note_len = strlen(note);
		ask(LOOSE);
		if (i)
			assert_refused("none of a policy's");
		else
			assert_taken(true);
	}
}

/* A wrong signature is no unsigned file. A VM without a key looks at none. */
static void test_needless_note(void **state)
{
	const char *tighter = "patches: { ftrace: deny }\non_denied: kill\n";

	sign_by(&other, "web", 7, 1000, tighter);
	ask(tighter);
	assert_taken(false);
	question.key = &key;
	ask(tighter);
	assert_refused("by another key");
	sign_by(&key, "web", 7, 1000, tighter);
	ask(tighter);
	assert_taken(true);
	assert_int_equal(said.serial, 7);
}

/* One key may be used for both: what is signed for one is none of the other's. */
static void test_checkpoint_is_none(void **state)
{
	struct rf_checkpoint c = { .size = 7 };
	struct rf_policy_note n = { .serial = 1, .until = 2000 };

	question.key = &key;
	rf_checkpoint_origin("web", 1, c.origin);
	assert_int_equal(rf_checkpoint_sign(&key, &c, note), 0);
	question.note = note;
	question.note_len = strlen(note);
	ask(LOOSE);
	assert_refused("none of a policy's");
	memset(n.sha256, 'a', 64);
	assert_int_equal(rf_policy_note_sign(&key, "web", &n, note), 0);
	assert_int_equal(rf_checkpoint_open(&key, note, strlen(note), &c), -EBADMSG);
}

static void test_sign_errors(void **state)
{
	struct rf_policy_note n = { .serial = 1, .until = 1 };

	assert_int_equal(rf_policy_note_sign(&key, "web", &n, note), -EINVAL); /* no digest */
	memset(n.sha256, 'a', 64);
	assert_int_equal(rf_policy_note_sign(&key, "a\nb", &n, note), -EINVAL);
	n.serial = 0;
	assert_int_equal(rf_policy_note_sign(&key, "web", &n, note), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_key),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_two_lists),
		cmocka_unit_test(test_more_names),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_way_text),
		T(test_tighter),
		T(test_looser),
		T(test_fixed),
		T(test_no_policy),
		T(test_signed),
		T(test_changed_note),
		T(test_two_spellings),
		T(test_needless_note),
		T(test_checkpoint_is_none),
		T(test_sign_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
