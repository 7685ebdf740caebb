// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/keys.h"

#include <stdio.h>
#include <string.h>

static const struct rf_key_word mode_words[] = {
	{ "enforce", RF_MODE_ENFORCE },
	{ "observe", RF_MODE_OBSERVE },
	{ NULL, 0 },
};

static const struct rf_key_word denied_words[] = {
	{ "fault", RF_ON_DENIED_FAULT },
	{ "kill", RF_ON_DENIED_KILL },
	{ NULL, 0 },
};

static const struct rf_key_word denied_patch_words[] = {
	{ "drop", RF_ON_DENIED_PATCH_DROP },
	{ "fault", RF_ON_DENIED_PATCH_FAULT },
	{ NULL, 0 },
};

static const struct rf_key_word kexec_words[] = {
	{ "deny", RF_ON_KEXEC_DENY },
	{ "rearm", RF_ON_KEXEC_REARM },
	{ NULL, 0 },
};

static const struct rf_key_word mismatch_words[] = {
	{ "refuse", RF_ON_MISMATCH_REFUSE },
	{ "alert", RF_ON_MISMATCH_ALERT },
	{ NULL, 0 },
};

static const struct rf_key_word unknown_words[] = {
	{ "refuse", RF_ON_UNKNOWN_REFUSE },
	{ "run-unsealed-alert", RF_ON_UNKNOWN_UNSEALED },
	{ NULL, 0 },
};

static const struct rf_key_word checks_words[] = {
	{ "off", RF_CHECKS_OFF },
	{ "alert", RF_CHECKS_ALERT },
	{ 0 },
};
static const struct rf_key_word log_full_words[] = {
	{ "pause", RF_ON_LOG_FULL_PAUSE },
	{ "deny", RF_ON_LOG_FULL_DENY },
	{ "continue", RF_ON_LOG_FULL_CONTINUE },
	{ NULL, 0 },
};

/* Words, because libcyaml takes all that is not a known "no" for a true boolean. */
static const struct rf_key_word bool_words[] = { { "true", 1 }, { "false", 0 }, { NULL, 0 } };
static const struct rf_key_word watch_words[] = { { "optional", 0 },
						  { "required", 1 },
						  { NULL, 0 } };
/* Not each kind can be denied, nor has each a handler: words of which some are left out. */
static const struct rf_key_word patcher_words[] = { { "allow", RF_PATCH_RULE_ALLOW },
						    { "deny", RF_PATCH_RULE_DENY },
						    { NULL, 0 } };
static const struct rf_key_word handler_words[] = { { "owners", RF_PATCH_RULE_OWNERS },
						    { "allow", RF_PATCH_RULE_ALLOW },
						    { NULL, 0 } };
static const struct rf_key_word both_words[] = { { "owners", RF_PATCH_RULE_OWNERS },
						 { "allow", RF_PATCH_RULE_ALLOW },
						 { "deny", RF_PATCH_RULE_DENY },
						 { NULL, 0 } };

#define MEMBER(m) .at = offsetof(struct rf_policy, m), .size = sizeof(((struct rf_policy *)0)->m)
#define WORDS(w, preset) .words = (w), .standard = (preset)
#define MS(least, most, preset)                                                                    \
	.unit = "milliseconds", .min = (least), .max = (most), .standard = (preset)
/* The count stands first in it. */
#define NAMES(m)                                                                                   \
	.names = true, .max = RF_POLICY_NAMES, .unit = "names",                                    \
	.at = offsetof(struct rf_policy, m), .size = sizeof(uint32_t)
#define FIXED .way = RF_KEY_FIXED
#define GREATER .way = RF_KEY_GREATER
#define SMALLER .way = RF_KEY_SMALLER
#define FEWER .way = RF_KEY_FEWER
#define MORE .way = RF_KEY_MORE
/* Of these the first monitor tells the fence what it may do at all (struct rf_rules of
 * hv/proto.h). */
#define HELD SMALLER, .held = true
#define PATCHER(word) WORDS(patcher_words, RF_PATCH_RULE_ALLOW), MEMBER(patches[word]), GREATER
#define HANDLER(word) WORDS(handler_words, RF_PATCH_RULE_OWNERS), MEMBER(patches[word]), GREATER
#define BOTH(word) WORDS(both_words, RF_PATCH_RULE_OWNERS), MEMBER(patches[word]), GREATER

const struct rf_key rf_keys[] = {
	{ NULL, "version", "the form of the file; it must be there", .min = 1, .max = 1,
	  .standard = 1, FIXED },
	{ NULL, "mode", "what is not legal is denied, or let through and recorded",
	  WORDS(mode_words, RF_MODE_ENFORCE), MEMBER(mode), HELD },
	{ NULL, "on_denied", "the guest gets a fault, or the VM is ended",
	  WORDS(denied_words, RF_ON_DENIED_FAULT), MEMBER(on_denied), GREATER },
	{ NULL, "on_denied_patch", "a denied change by the kernel's own patching function",
	  WORDS(denied_patch_words, RF_ON_DENIED_PATCH_DROP), MEMBER(on_denied_patch), GREATER },
	{ NULL, "on_kexec", "another kernel is started, by kexec or a crash",
	  WORDS(kexec_words, RF_ON_KEXEC_DENY), MEMBER(on_kexec), HELD },
	{ NULL, "on_mismatch", "a guest arrives that is not what run --expect says",
	  WORDS(mismatch_words, RF_ON_MISMATCH_REFUSE), MEMBER(on_mismatch), SMALLER },
	{ NULL, "on_unknown_kernel", "a kernel boots that is not recognised",
	  WORDS(unknown_words, RF_ON_UNKNOWN_REFUSE), MEMBER(on_unknown_kernel), SMALLER },

	{ NULL, "checks", "the guest's memory is checked for what rootkits leave",
	  WORDS(checks_words, RF_CHECKS_ALERT), MEMBER(checks), GREATER },
	{ NULL, "checks_off", "checks that are not run", NAMES(checks_off), FEWER },
	{ NULL, "checks_observe", "checks of which what they find is no alert",
	  NAMES(checks_observe), FEWER },
	{ NULL, "checks_pause", "checks that pause the VM (SIGSTOP) when they find something",
	  NAMES(checks_pause), MORE },
	{ NULL, "checks_kill", "checks that end the VM when they find something",
	  NAMES(checks_kill), MORE },

	{ NULL, "on_log_full", "the log is full: who asks waits, is denied, or goes on",
	  WORDS(log_full_words, RF_ON_LOG_FULL_DENY), MEMBER(on_log_full), SMALLER },
	{ NULL, "log_quota_mb", "so long each of the two logs may get; 0: any", .unit = "MiB",
	  .max = RF_POLICY_QUOTA_MAX, .standard = 256, MEMBER(log_quota_mb), GREATER,
	  .endless = true },

	{ "patches", "ftrace", "tracing, live patches, BPF trampolines",
	  BOTH(RF_PATCH_WORD_FTRACE) },
	{ "patches", "livepatch", "functions that a live patch puts in place of others",
	  HANDLER(RF_PATCH_WORD_LIVEPATCH) },
	{ "patches", "kprobes", "breakpoints and the jumps that replace them",
	  BOTH(RF_PATCH_WORD_KPROBES) },
	{ "patches", "kgdb", "the kernel debugger's breakpoints", PATCHER(RF_PATCH_WORD_KGDB) },
	{ "patches", "static_calls", "calls that the kernel switches itself",
	  BOTH(RF_PATCH_WORD_STATIC_CALLS) },
	{ "patches", "jump_labels", "branches that the kernel switches itself",
	  PATCHER(RF_PATCH_WORD_JUMP_LABELS) },
	{ "patches", "tracepoints", "what tracepoints call", HANDLER(RF_PATCH_WORD_TRACEPOINTS) },
	{ "patches", "bpf", "code of BPF that any of these calls", HANDLER(RF_PATCH_WORD_BPF) },
	{ "patches", "owners", "modules whose handlers are not told of", NAMES(owners), FEWER,
	  .of_modules = true },

	{ "seal", "text", "the kernel's text is sealed", WORDS(bool_words, true), MEMBER(seal_text),
	  FIXED },
	{ "seal", "rodata", "read-only data is sealed, and what becomes so after the start",
	  WORDS(bool_words, true), MEMBER(seal_rodata), FIXED },

	{ "pin", "msrs", "MSRs that lead into the kernel or guard it keep their value",
	  WORDS(bool_words, true), MEMBER(pin_msrs), FIXED },
	{ "pin", "tables", "descriptor tables: the kernel's own alone, the IDT sealed",
	  WORDS(bool_words, true), MEMBER(pin_tables), FIXED },
	{ "pin", "debugctl", "DEBUGCTL keeps its value as well", WORDS(bool_words, false),
	  MEMBER(pin_debugctl), FIXED },
	{ "pin", "spec_ctrl", "SPEC_CTRL keeps its value as well", WORDS(bool_words, false),
	  MEMBER(pin_spec_ctrl), FIXED },
	{ "pin", "control", "CR0.WP and CR4.SMEP, SMAP, UMIP, PAE, LA57, CET stay set",
	  WORDS(bool_words, true), MEMBER(pin_control), FIXED },
	{ "pin", "pge", "CR4.PGE stays set as well", WORDS(bool_words, false), MEMBER(pin_pge),
	  FIXED },
	{ "pin", "control_watch", "required: no VM on a host that cannot watch CR0 and CR4",
	  WORDS(watch_words, 0), MEMBER(need_watch), FIXED },

	{ NULL, "register_check_ms", "how often registers are compared; 0: never",
	  MS(0, RF_POLICY_CHECK_MAX, 1000), MEMBER(register_check_ms), FIXED },
	{ NULL, "unsealed_alert_ms", "a kernel unsealed for so long is recorded; 0: never",
	  MS(0, RF_POLICY_SWEEP_MAX, 600000), MEMBER(unsealed_alert_ms), FIXED },
	{ NULL, "dma_sweep_ms", "how often pages that devices reach are compared",
	  MS(RF_POLICY_SWEEP_MIN, RF_POLICY_SWEEP_MAX, 5000), MEMBER(dma_sweep_ms), SMALLER },
	{ NULL, "patch_timeout_ms", "a patch begun so long ago was left half way",
	  MS(RF_POLICY_PATCH_MIN, RF_POLICY_PATCH_MAX, 20000), MEMBER(patch_timeout_ms), SMALLER },
};
const size_t rf_keys_count = sizeof(rf_keys) / sizeof(rf_keys[0]);
_Static_assert(offsetof(struct rf_names, count) == 0, "NAMES()");
_Static_assert(sizeof(rf_keys) / sizeof(rf_keys[0]) <= RF_KEYS_MAX, "room in the parser");

/* Members are bool, or as wide as an enumeration. */
uint32_t rf_key_get(const struct rf_policy *p, const struct rf_key *k)
{
	const char *at = (const char *)p + k->at;
	uint32_t value = k->standard;

	if (k->size == sizeof(bool))
		value = *(const bool *)at;
	else if (k->size)
		memcpy(&value, at, sizeof(value));
	return value;
}

void rf_key_set(struct rf_policy *p, const struct rf_key *k, uint32_t value)
{
	char *at = (char *)p + k->at;

	if (k->size == sizeof(bool))
		*(bool *)at = value;
	else if (k->size)
		memcpy(at, &value, sizeof(value));
}

bool rf_names_has(const struct rf_names *list, const char *name)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!strcmp(list->name[i], name))
			return true;
	return false;
}

const struct rf_names *rf_key_names(const struct rf_policy *p, const struct rf_key *k)
{
	return (const struct rf_names *)((const char *)p + k->at);
}

void rf_policy_default(struct rf_policy *out)
{
	*out = (struct rf_policy){ 0 };
	for (size_t i = 0; i < rf_keys_count; i++)
		rf_key_set(out, &rf_keys[i], rf_keys[i].standard);
}

const char *rf_key_path(const struct rf_key *k, char out[RF_KEY_PATH])
{
	snprintf(out, RF_KEY_PATH, "%s%s%s", k->section ?: "", k->section ? "." : "", k->name);
	return out;
}

const struct rf_key *rf_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < rf_keys_count; i++)
		if (!strcmp(rf_keys[i].section ?: "", section ?: "") &&
		    !strcmp(rf_keys[i].name, name))
			return &rf_keys[i];
	return NULL;
}

static const char *word_of(const struct rf_key_word *words, uint32_t value)
{
	for (; words->text; words++)
		if (words->value == value)
			return words->text;
	return NULL;
}

const char *rf_key_value(const struct rf_key *k, uint32_t value, char out[RF_KEY_PATH])
{
	if (k->words)
		snprintf(out, RF_KEY_PATH, "%s", word_of(k->words, value) ?: "-");
	else if (k->names)
		snprintf(out, RF_KEY_PATH, value ? "%u of them" : "[]", value);
	else
		snprintf(out, RF_KEY_PATH, "%u", value);
	return out;
}

const char *rf_key_legal(const struct rf_key *k, char out[RF_KEY_LEGAL])
{
	size_t len = 0;

	out[0] = '\0';
	for (const struct rf_key_word *w = k->words; w && w->text && len < RF_KEY_LEGAL; w++)
		len += (size_t)snprintf(out + len, RF_KEY_LEGAL - len, "%s%s", len ? ", " : "",
					w->text);
	if (k->names)
		snprintf(out, RF_KEY_LEGAL, "a list of %u %s at most", k->max, k->unit);
	else if (!k->words && k->min == k->max)
		snprintf(out, RF_KEY_LEGAL, "%u", k->min);
	else if (!k->words)
		snprintf(out, RF_KEY_LEGAL, "%u to %u (%s)", k->min, k->max, k->unit);
	return out;
}

json_t *rf_key_json(const struct rf_key *k, uint32_t value)
{
	if (k->words == bool_words)
		return json_boolean(value);
	return k->words ? json_string(word_of(k->words, value)) : json_integer(value);
}

json_t *rf_key_json_of(const struct rf_policy *p, const struct rf_key *k)
{
	const struct rf_names *names;
	json_t *all;

	if (!k->names)
		return rf_key_json(k, rf_key_get(p, k));
	all = json_array();
	names = rf_key_names(p, k);
	for (uint32_t i = 0; i < names->count; i++)
		json_array_append_new(all, json_string(names->name[i]));
	return all;
}

json_t *rf_keys_json(const struct rf_policy *p)
{
	json_t *o = json_object();
	char path[RF_KEY_PATH];

	for (size_t i = 0; i < rf_keys_count; i++)
		json_object_set_new(o, rf_key_path(&rf_keys[i], path),
				    rf_key_json_of(p, &rf_keys[i]));
	return o;
}

/* --- single words --------------------------------------------------------- */

const char *rf_patch_word_text(enum rf_patch_word w)
{
	for (size_t i = 0; w < RF_PATCH_WORDS && i < rf_keys_count; i++)
		if (rf_keys[i].at == offsetof(struct rf_policy, patches[w]))
			return rf_keys[i].name;
	return NULL;
}

const char *rf_policy_mode_text(enum rf_policy_mode m)
{
	return word_of(mode_words, m);
}

const char *rf_on_denied_text(enum rf_on_denied d)
{
	return word_of(denied_words, d);
}

const char *rf_on_denied_patch_text(enum rf_on_denied_patch d)
{
	return word_of(denied_patch_words, d);
}

const char *rf_on_log_full_text(enum rf_on_log_full f)
{
	return word_of(log_full_words, f);
}

const char *rf_on_kexec_text(enum rf_on_kexec k)
{
	return word_of(kexec_words, k);
}

const char *rf_on_unknown_kernel_text(enum rf_on_unknown_kernel u)
{
	return word_of(unknown_words, u);
}

const char *rf_on_mismatch_text(enum rf_on_mismatch m)
{
	return word_of(mismatch_words, m);
}
