// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/replay_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- from a record to facts ------------------------------------------------ */

/* What a kind of record may be about: `kind` of monitor/, docs/ringfence.1.scd lists them. */
static const struct source {
	const char *kind;
	enum rf_fact_kind facts[3];
} sources[] = {
	{ "write", { RF_FACT_WRITE, RF_FACT_EMULATION } },
	{ "emulation", { RF_FACT_EMULATION } },
	{ "delivery", { RF_FACT_EMULATION } },
	{ "msr", { RF_FACT_MSR, RF_FACT_TABLE } },
	{ "control-register", { RF_FACT_CONTROL, RF_FACT_CONTROL_LATE, RF_FACT_LOAD } },
	{ "table", { RF_FACT_LOAD, RF_FACT_TABLE, RF_FACT_ENTRY } },
	{ "kexec", { RF_FACT_KEXEC } },
	{ "dma", { RF_FACT_DMA } },
	{ "patch", { RF_FACT_ABANDONED } },
	{ "measure", { RF_FACT_MEASURE } },
	{ "kernel", { RF_FACT_UNKNOWN } },
	{ "endless", { RF_FACT_ENDLESS } },
	{ "hook", { RF_FACT_HOOK } },
	{ "check", { RF_FACT_CHECK } },
};

static bool may_be_about(const char *kind, enum rf_fact_kind fact)
{
	for (size_t i = 0; i < COUNT(sources); i++)
		for (size_t j = 0; !strcmp(sources[i].kind, kind) && j < COUNT(sources[i].facts);
		     j++)
			if (sources[i].facts[j] == fact)
				return true;
	return false;
}

static enum rf_fact_region region_of(const char *region)
{
	return !strcmp(region, "text")	   ? RF_FACT_REGION_TEXT
	       : !strcmp(region, "rodata") ? RF_FACT_REGION_RODATA
	       : !strcmp(region, "idt")	   ? RF_FACT_REGION_IDT
					   : RF_FACT_REGION_UNKNOWN;
}

static void decision_text(const struct rf_decision *d, char *out, size_t size)
{
	bool passed = d->action == RF_ACTION_APPLY && d->word != RF_WORD_ALLOWED;

	snprintf(out, size, "%s%s", rf_word_text(d->word) ?: "nothing",
		 d->action == RF_ACTION_KILL	? ", VM ended"
		 : d->action == RF_ACTION_PAUSE ? ", VM paused"
		 : passed			? ", let be"
						: "");
}

/* What became of it, by the answer; 0: that is not on record. */
static enum rf_action action_of(const json_t *record)
{
	static const struct {
		const char *answer;
		enum rf_action action;
	} answers[] = {
		{ "allow", RF_ACTION_APPLY },
		{ "deny", RF_ACTION_SUPPRESS },
		{ "kill", RF_ACTION_KILL },
		{ "not-ours", RF_ACTION_SUPPRESS }, /* a fault that has nowhere to go either */
	};
	const char *answer = rf_replay_member(json_object_get(record, "answer"), "verdict");

	if (!strcmp(rf_replay_member(record, "outcome"), RF_OUTCOME_ENDED))
		return RF_ACTION_KILL;
	if (!strcmp(rf_replay_member(record, "outcome"), RF_OUTCOME_PAUSED))
		return RF_ACTION_PAUSE;
	if (!strcmp(rf_replay_member(record, "kind"), "check"))
		return RF_ACTION_APPLY;
	for (size_t i = 0; i < COUNT(answers); i++)
		if (!strcmp(answers[i].answer, answer))
			return answers[i].action;
	return 0;
}

/* Policies that between them decide all that any policy does: the keys that rf_policy_decide()
 * looks at, every word of each. */
#define VARIANTS 16u
#define CHECK_VARIANTS 64u /* and of what a check has found, whose name is "" in these */

static void variant(unsigned int i, struct rf_policy *out)
{
	struct rf_names *lists[] = { &out->checks_observe, &out->checks_pause, &out->checks_kill };

	rf_policy_default(out);
	out->mode = i & 1 ? RF_MODE_OBSERVE : RF_MODE_ENFORCE;
	out->on_denied = i & 2 ? RF_ON_DENIED_KILL : RF_ON_DENIED_FAULT;
	out->on_kexec = i & 4 ? RF_ON_KEXEC_REARM : RF_ON_KEXEC_DENY;
	out->on_mismatch = i & 8 ? RF_ON_MISMATCH_ALERT : RF_ON_MISMATCH_REFUSE;
	if (i >> 4)
		lists[(i >> 4) - 1]->count = 1;
}

/* Is there a policy that decides these facts as it is on record? *was: how, as far as all of them
 * agree. */
static bool explains(const json_t *record, const struct rf_facts *f, char was[32])
{
	const char *rule = rf_replay_member(record, "rule"),
		   *word = rf_replay_member(record, "verdict");
	enum rf_action action = action_of(record);
	bool is_check = f->kind == RF_FACT_CHECK, found = false;
	struct rf_facts mine = *f;
	struct rf_decision d;
	struct rf_policy p;

	mine.check = "";
	for (unsigned int i = 0; i < (is_check ? CHECK_VARIANTS : VARIANTS); i++) {
		char text[32];

		variant(i, &p);
		if (rf_policy_decide(&p, &mine, &d) || strcmp(d.rule, rule) != 0 ||
		    !rf_word_text(d.word) || strcmp(rf_word_text(d.word), word) != 0 ||
		    (action && action != d.action))
			continue;
		decision_text(&d, text, sizeof(text));
		/* Two ways to the same word: the word is all that is known. */
		snprintf(was, 32, "%s", found && strcmp(was, text) != 0 ? word : text);
		found = true;
	}
	return found;
}

/* What the monitor writes down of these alone tells facts with the same rule apart
 * (monitor/judge.c, registers.c, tables.c; `make cli-test` looks for the words there). */
static bool contradicts(const json_t *record, const struct rf_facts *f)
{
	static const struct {
		enum rf_fact_kind kind;
		const char *outcome;
	} others[] = {
		{ RF_FACT_TABLE, "applied" },
		{ RF_FACT_TABLE, "general protection fault" },
		{ RF_FACT_TABLE, "found, " },
		{ RF_FACT_LOAD, "left as " },
		{ RF_FACT_LOAD, "the registers it had" },
		{ RF_FACT_LOAD, "found, " },
		{ RF_FACT_MSR, "left as it is" },
		{ RF_FACT_MSR, "the value it had was put back" },
	};
	const char *outcome = rf_replay_member(record, "outcome"),
		   *detail = rf_replay_member(record, "detail");
	bool cleared = strstr(detail, " cleared: "), late = strstr(detail, "; the guest ran on");

	if (!strcmp(rf_replay_member(record, "kind"), "control-register") && *detail)
		return f->kind != (!cleared ? RF_FACT_LOAD
				   : late   ? RF_FACT_CONTROL_LATE
					    : RF_FACT_CONTROL);
	for (size_t i = 0; i < COUNT(others); i++)
		if (f->kind == others[i].kind &&
		    !strncmp(outcome, others[i].outcome, strlen(others[i].outcome)))
			return true;
	return f->kind == RF_FACT_ENTRY && *outcome && strncmp(outcome, "found, ", 7) != 0;
}

/* --- what has to be on ----------------------------------------------------- */

/* The register's name stands first in the detail of a record of kind msr: "LSTAR (MSR 0x...". */
static const struct rf_key *msr_off(const struct rf_policy *p, const char *detail,
				    unsigned int *open)
{
	size_t len = strcspn(detail, " ");

	if (!len)
		*open |= RF_OPEN_REGISTER;
	if (len == 5 && !strncmp(detail, "LSTAR", len))
		return NULL; /* pinned in any case */
	if (len == 8 && !strncmp(detail, "DEBUGCTL", len) && rf_replay_off(p, "pin", "debugctl"))
		return rf_replay_off(p, "pin", "debugctl");
	if (len == 9 && !strncmp(detail, "SPEC_CTRL", len) && rf_replay_off(p, "pin", "spec_ctrl"))
		return rf_replay_off(p, "pin", "spec_ctrl");
	return rf_replay_off(p, "pin", "msrs");
}

/* "CR4.PGE cleared: ..." names the bits, a trap's "CR4 <- ..." does not. */
static const struct rf_key *control_off(const struct rf_policy *p, const char *detail,
					unsigned int *open)
{
	static const char pge[] = "CR4.PGE cleared";

	if (rf_replay_off(p, "pin", "control"))
		return rf_replay_off(p, "pin", "control");
	if (!strstr(detail, " cleared"))
		*open |= RF_OPEN_REGISTER;
	return strncmp(detail, pge, sizeof(pge) - 1) ? NULL : rf_replay_off(p, "pin", "pge");
}

/* The key without which this policy would see no such event. NULL: there is none. */
static const struct rf_key *missing(const json_t *record, const struct rf_facts *f,
				    const struct rf_policy *p, unsigned int *open)
{
	const char *kind = rf_replay_member(record, "kind"),
		   *detail = rf_replay_member(record, "detail");

	if (!p->seal_text && !p->seal_rodata && !p->pin_tables && f->kind != RF_FACT_UNKNOWN &&
	    f->kind != RF_FACT_KEXEC && f->kind != RF_FACT_MEASURE)
		return rf_replay_off(p, "seal",
				     "text"); /* without a seal nothing is pinned either */
	if (!strcmp(kind, "msr"))
		return msr_off(p, detail, open);
	if (!strcmp(kind, "control-register"))
		return control_off(p, detail, open);
	if (!strcmp(kind, "table"))
		return rf_replay_off(p, "pin", "tables");
	if (f->kind == RF_FACT_MEASURE)
		return NULL;
	switch (region_of(rf_replay_member(record, "region"))) {
	case RF_FACT_REGION_TEXT:
		return rf_replay_off(p, "seal", "text");
	case RF_FACT_REGION_RODATA:
		return rf_replay_off(p, "seal", "rodata");
	case RF_FACT_REGION_IDT:
		return rf_replay_off(p, "pin", "tables");
	default:
		return NULL;
	}
}

/* Details of records whose facts say less than what happened (monitor/stores.c, tables.c): there
 * was nothing that could have been let through. */
static bool could_apply(const json_t *record)
{
	const char *detail = rf_replay_member(record, "detail");

	return !strstr(detail, "one instruction wrote to two sealed places") &&
	       !strstr(detail, "what it would get could not be read");
}

/* Whose handler it was is on record; whether that is one of the owners is this policy's to say. */
static enum rf_fact_hook hook_of(const json_t *record, const struct rf_policy *p)
{
	const char *detail = rf_replay_member(record, "detail");

	const char *module = rf_replay_member(json_object_get(record, "handler"), "module");

	/* A module may have any name, and that is part of the detail. */
	return rf_policy_owner(p, rf_policy_hook(detail), module,
			       !module[0] && strstr(detail, "; calls BPF code") != NULL);
}

/* Which check it was: the detail begins with that, or of one that is undecided with "the check NAME
 * is undecided" (monitor/checks_told.c). "": none. */
static void check_of(const json_t *record, char *out, size_t size)
{
	static const char undecided[] = "the check ";
	const char *detail = rf_replay_member(record, "detail");
	bool is_endless = !strcmp(rf_replay_member(record, "kind"), "endless");

	if (is_endless && !strncmp(detail, undecided, sizeof(undecided) - 1))
		detail += sizeof(undecided) - 1;
	else if (is_endless)
		detail = "";
	snprintf(out, size, "%.*s", (int)strcspn(detail, " "), detail);
}

/* A key that keeps it from being run; NULL: none. */
static const struct rf_key *check_off(const json_t *record, const struct rf_policy *p)
{
	char name[RF_POLICY_NAME_MAX + 1];
	const struct rf_key *off;

	check_of(record, name, sizeof(name));
	if (!name[0])
		return NULL;
	off = rf_replay_off(p, NULL, "checks");
	if (!off && rf_names_has(&p->checks_off, name))
		off = rf_key_find(NULL, "checks_off");
	return off;
}

/* --- all of it ---------------------------------------------------------------- */

/* The row that is about what no row is about has no kind of its own: then it is the record's. */
static void try_facts(const json_t *record, const struct rf_policy *p, const struct rf_facts *f,
		      struct rf_replay *out)
{
	struct rf_facts mine = *f;
	const struct rf_key *key;
	struct rf_decision d;
	char was[32] = "", check[RF_POLICY_NAME_MAX + 1];

	/* A store that KVM decoded has its length on record; one that it could not has not. */
	if (!strcmp(out->kind, "write") &&
	    (f->kind == RF_FACT_WRITE) != (json_object_get(record, "len") != NULL))
		return;
	if (contradicts(record, f) || !explains(record, f, was))
		return;
	mine.hook = f->kind == RF_FACT_HOOK ? hook_of(record, p) : 0;
	check_of(record, check, sizeof(check));
	mine.check = check;
	if (rf_policy_decide(p, &mine, &d))
		return;
	if (!out->was[0])
		snprintf(out->was, sizeof(out->was), "%s", was);
	else if (strcmp(out->was, was) != 0)
		snprintf(out->was, sizeof(out->was), "%s", rf_replay_member(record, "verdict"));
	key = missing(record, f, p, &out->open);
	if (!key && f->kind == RF_FACT_TABLE) /* found by comparison alone */
		key = rf_replay_off(p, NULL, "register_check_ms");
	if (!key && (f->kind == RF_FACT_CHECK || f->kind == RF_FACT_ENDLESS))
		key = check_off(record, p);
	if (key && out->what == RF_REPLAY_DECIDED)
		out->open |= RF_OPEN_SEEN;
	if (key && out->what != RF_REPLAY_DECIDED) {
		out->what = RF_REPLAY_NO_EVENT;
		out->key = key;
	}
	if (key)
		return;
	if (out->what == RF_REPLAY_NO_EVENT)
		out->open |= RF_OPEN_SEEN;
	if (d.action == RF_ACTION_APPLY && d.word != RF_WORD_ALLOWED && !could_apply(record)) {
		out->open |= RF_OPEN_APPLY;
		d.word = RF_WORD_BLOCKED;
		d.action = RF_ACTION_SUPPRESS;
	}
	if (f->patch == RF_FACT_PATCH_NOT_A_SITE || f->patch == RF_FACT_PATCH_ILLEGAL_STEP)
		out->open |= RF_OPEN_PATCHERS;
	out->what = RF_REPLAY_DECIDED;
	out->key = NULL;
	if (f->kind == RF_FACT_UNKNOWN && p->on_unknown_kernel == RF_ON_UNKNOWN_REFUSE) {
		out->what = RF_REPLAY_ENDED;
		out->key = rf_key_find(NULL, "on_unknown_kernel");
	}
	rf_replay_add(out, &d);
}

static bool has_region(enum rf_fact_kind kind)
{
	return kind == RF_FACT_WRITE || kind == RF_FACT_EMULATION || kind == RF_FACT_DMA ||
	       kind == RF_FACT_ABANDONED;
}

/* The facts of each row with the record's rule that a record of this kind may be about. */
static void replay_rows(const json_t *record, const struct rf_policy *p, struct rf_replay *out)
{
	enum rf_fact_region region = region_of(rf_replay_member(record, "region"));
	struct rf_facts f;
	const char *rule;

	for (size_t i = 0; rf_policy_row(i, &f, &rule); i++) {
		if (strcmp(rule, out->rule) != 0)
			continue;
		/* The row of no kind is about all that no other one fits. */
		for (int kind = f.kind ? (int)f.kind : RF_FACT_WRITE;
		     kind <= (f.kind ? (int)f.kind : RF_FACT_CHECK); kind++) {
			struct rf_facts one = f;

			one.kind = (enum rf_fact_kind)kind;
			if (!f.kind)
				one.region = region;
			if (may_be_about(out->kind, one.kind) &&
			    (!f.kind || !has_region(one.kind) || !f.region || f.region == region))
				try_facts(record, p, &one, out);
		}
	}
}

void rf_replay(const json_t *record, const struct rf_policy *p, struct rf_replay *out)
{
	*out = (struct rf_replay){ .what = RF_REPLAY_NOTE,
				   .kind = rf_replay_member(record, "kind"),
				   .rule = rf_replay_member(record, "rule"),
				   .events = 1,
				   .of_those = 1 };
	if (strcmp(rf_replay_member(record, "type"), "decision") != 0 || !out->rule[0])
		return;
	if (!strcmp(out->kind, "patches")) {
		rf_replay_patches(record, p, out);
		return;
	}
	out->what = RF_REPLAY_NOT_KNOWN;
	replay_rows(record, p, out);
	if (out->what != RF_REPLAY_NOT_KNOWN)
		return;
	snprintf(out->was, sizeof(out->was), "%.31s", rf_replay_member(record, "verdict"));
	out->why = rf_rule_says(out->rule)
			   ? "no policy decides a record of this kind by this rule so"
			   : "this release has no such rule";
}

void rf_replay_text(const struct rf_replay *r, const struct rf_policy *p, char *out, size_t size)
{
	char one[48], path[RF_KEY_PATH], value[RF_KEY_PATH];
	size_t len = 0;

	switch (r->what) {
	case RF_REPLAY_NOTE:
		snprintf(out, size, "no decision");
		return;
	case RF_REPLAY_NOT_KNOWN:
		snprintf(out, size, "not known");
		return;
	case RF_REPLAY_NO_EVENT:
	case RF_REPLAY_ENDED:
		snprintf(out, size, "%s (%s: %s)",
			 r->what == RF_REPLAY_ENDED ? "VM ended" : "no event",
			 rf_key_path(r->key, path),
			 rf_key_value(r->key, rf_key_get(p, r->key), value));
		return;
	case RF_REPLAY_DECIDED:
		break;
	}
	out[0] = '\0';
	for (size_t i = 0; i < r->count && len < size; i++) {
		decision_text(&r->would[i], one, sizeof(one));
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " or " : "", one);
	}
}

bool rf_replay_same(const struct rf_replay *r)
{
	char one[48];

	if (r->what == RF_REPLAY_NOTE)
		return true;
	if (r->what != RF_REPLAY_DECIDED || r->count != 1 || r->open & RF_OPEN_SEEN)
		return false;
	decision_text(&r->would[0], one, sizeof(one));
	return !strcmp(one, r->was);
}

/* What the guest gets for a patch that is denied where its patcher was asked for it is another
 * key's, and does not show in the decision (monitor/judge.c). */
static bool at_patcher(const json_t *record, const struct rf_replay *r)
{
	static const char *const outcomes[] = { "dropped: the kernel's patching function",
						"general protection fault at the instruction" };
	const char *outcome = rf_replay_member(record, "outcome");

	for (size_t i = 0; i < COUNT(outcomes) && !strcmp(r->kind, "write"); i++)
		if (!strncmp(outcome, outcomes[i], strlen(outcomes[i])))
			return r->what == RF_REPLAY_DECIDED &&
			       r->would[0].action == RF_ACTION_SUPPRESS;
	return false;
}

/* Would it be otherwise, were the record's own module, or check, the only name, or nobody one? */
static bool depends_on_names(const json_t *record, const struct rf_policy *p,
			     const struct rf_key *k, const char *text)
{
	const char *module = rf_replay_member(json_object_get(record, "handler"), "module");
	struct rf_policy q = *p;
	struct rf_names *list = (struct rf_names *)((char *)&q + k->at);
	struct rf_replay other;
	char changed[160];

	for (list->count = 0; list->count < 2; list->count++) {
		if (k->of_modules)
			snprintf(list->name[0], sizeof(list->name[0]), "%s", module);
		else
			check_of(record, list->name[0], sizeof(list->name[0]));
		rf_replay(record, &q, &other);
		rf_replay_text(&other, &q, changed, sizeof(changed));
		if (strcmp(text, changed) != 0)
			return true;
	}
	return false;
}

bool rf_replay_depends(const json_t *record, const struct rf_policy *p, const struct rf_key *k)
{
	struct rf_replay is, other;
	char text[160], changed[160];
	struct rf_policy q;

	/* A hook of an owner's is let by the list and by its kind's key: without the list it shows
	 * that the key counts. */
	if (k->words && k->section && !strcmp(k->section, "patches") && p->owners.count &&
	    !strcmp(rf_replay_member(record, "kind"), "hook")) {
		q = *p;
		q.owners.count = 0;
		return rf_replay_depends(record, &q, k);
	}
	rf_replay(record, p, &is);
	rf_replay_text(&is, p, text, sizeof(text));
	if (!strcmp(k->name, "on_denied_patch") && at_patcher(record, &is))
		return true;
	if (k->names)
		return depends_on_names(record, p, k, text);
	for (const struct rf_key_word *w = k->words; w && w->text; w++) {
		q = *p;
		rf_key_set(&q, k, w->value);
		rf_replay(record, &q, &other);
		rf_replay_text(&other, &q, changed, sizeof(changed));
		if (w->value != rf_key_get(p, k) && strcmp(text, changed) != 0)
			return true;
	}
	return false;
}
