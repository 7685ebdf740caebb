// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The way from a record of the log back to the judgement. Whatever a policy decides, written down
 * as the monitor would and judged anew by any policy, is what that policy decides of the same
 * facts.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/replay.h"

/* As monitor/ writes it: the kind of a record about such facts. */
static const char *kind_of(const struct rf_facts *f)
{
	switch (f->kind) {
	case RF_FACT_WRITE:
		return "write";
	case RF_FACT_MSR:
		return "msr";
	case RF_FACT_DMA:
		return "dma";
	case RF_FACT_ABANDONED:
		return "patch";
	case RF_FACT_CONTROL:
	case RF_FACT_CONTROL_LATE:
		return "control-register";
	case RF_FACT_LOAD:
		return f->table == RF_FACT_TABLE_CLEARED ? "control-register" : "table";
	case RF_FACT_TABLE:
		return f->table == RF_FACT_TABLE_CHANGED ? "msr" : "table";
	case RF_FACT_ENTRY:
		return "table";
	case RF_FACT_KEXEC:
		return "kexec";
	case RF_FACT_MEASURE:
		return "measure";
	case RF_FACT_ENDLESS:
		return "endless";
	case RF_FACT_UNKNOWN:
		return "kernel";
	case RF_FACT_HOOK:
		return "hook";
	case RF_FACT_CHECK:
		return "check";
	case RF_FACT_EMULATION:
		break;
	}
	return "emulation";
}

static const char *region_of(const struct rf_facts *f)
{
	static const char *const names[] = { "unknown", "text", "rodata", "unknown", "idt" };

	return names[f->region];
}

static json_t *record_of(const struct rf_facts *f, const struct rf_decision *d)
{
	static const char *const answers[] = { [RF_ACTION_APPLY] = "allow",
					       [RF_ACTION_SUPPRESS] = "deny",
					       [RF_ACTION_KILL] = "kill" };
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s}}", "type", "decision", "kind",
			      kind_of(f), "region", region_of(f), "rule", d->rule, "verdict",
			      rf_word_text(d->word), "answer", "verdict", answers[d->action]);

	assert_non_null(o);
	if (f->kind == RF_FACT_WRITE)
		json_object_set_new(o, "len", json_integer(8));
	if (f->kind == RF_FACT_HOOK) {
		json_object_set_new(o, "handler", json_pack("{s:s}", "module", "foo"));
		json_object_set_new(o, "detail", json_string("kprobe; calls the module foo"));
	}
	if (f->kind == RF_FACT_MSR || f->kind == RF_FACT_TABLE)
		json_object_set_new(o, "detail", json_string("LSTAR (MSR 0xc0000082) <- 0x1"));
	return o;
}

static void any_policy(unsigned int i, struct rf_policy *p)
{
	rf_policy_default(p);
	p->mode = i & 1 ? RF_MODE_OBSERVE : RF_MODE_ENFORCE;
	p->on_denied = i & 2 ? RF_ON_DENIED_KILL : RF_ON_DENIED_FAULT;
	p->on_kexec = i & 4 ? RF_ON_KEXEC_REARM : RF_ON_KEXEC_DENY;
	p->on_mismatch = i & 8 ? RF_ON_MISMATCH_ALERT : RF_ON_MISMATCH_REFUSE;
	p->on_unknown_kernel = RF_ON_UNKNOWN_UNSEALED;
	p->pin_debugctl = p->pin_spec_ctrl = p->pin_pge = true;
}

static bool has(const struct rf_replay *r, const struct rf_decision *d)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->would[i].word == d->word && r->would[i].action == d->action)
			return true;
	return false;
}

/* One record, made under policy i, judged by policy j. */
static void check(const struct rf_facts *f, const json_t *record, unsigned int j)
{
	struct rf_decision d;
	struct rf_replay r;
	struct rf_policy p;

	any_policy(j, &p);
	/* Whose a handler is the policy says. */
	p.owners.count = f->kind == RF_FACT_HOOK && f->hook == RF_FACT_HOOK_OWNED;
	strcpy(p.owners.name[0], "foo");
	assert_int_equal(rf_policy_decide(&p, f, &d), 0);
	rf_replay(record, &p, &r);
	if (r.what != RF_REPLAY_DECIDED || !has(&r, &d))
		fail_msg("%s: fact %d, region %d: %d, %zu decisions, not %d/%d", r.rule, f->kind,
			 f->region, r.what, r.count, d.word, d.action);
}

/* Whoever lets BPF does not let a module by that name. */
static void test_module_called_bpf(void **state)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s}, s:s}", "type", "decision", "kind",
			      "hook", "rule", "handler-outside-image", "verdict", "detected",
			      "answer", "", "handler", "module", "; calls BPF code", "detail",
			      "kprobe; calls the module \"; calls BPF code\"");
	struct rf_replay r;
	struct rf_policy p;

	rf_policy_default(&p);
	p.patches[RF_PATCH_WORD_BPF] = RF_PATCH_RULE_ALLOW;
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_DECIDED);
	for (size_t i = 0; i < r.count; i++)
		assert_int_not_equal(r.would[i].word, RF_WORD_ALLOWED);
	json_decref(o);
}

static void test_every_rule(void **state)
{
	unsigned int rows = 0, records = 0;
	struct rf_facts f;
	const char *rule;

	for (size_t i = 0; rf_policy_row(i, &f, &rule); i++, rows++) {
		assert_non_null(rf_rule_says(rule));
		assert_true(strlen(rule) < RF_AUDIT_RULE);
		for (unsigned int then = 0; then < 16; then++) {
			struct rf_decision d;
			struct rf_policy p;
			json_t *o;

			any_policy(then, &p);
			assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
			if (!d.word)
				continue; /* no record is made of it */
			/* What the policy of then had a word on has another rule, and another
			 * row. */
			assert_true(!strcmp(d.rule, rule) || f.kind == RF_FACT_KEXEC);
			o = record_of(&f, &d);
			for (unsigned int now = 0; now < 16; now++, records++)
				check(&f, o, now);
			json_decref(o);
		}
	}
	assert_true(rows >= 38 && records > 8000);
}

static json_t *record(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return o;
}

/* What another policy makes of one record, and what is left open. */
static void test_texts(void **state)
{
#define D "{\"type\":\"decision\",\"kind\":"
	static const struct {
		const char *policy, *record, *was, *would;
		unsigned int open;
	} cases[] = {
		{ "",
		  D
		  "\"write\",\"region\":\"rodata\",\"len\":8,\"rule\":\"rodata-is-never-written\","
		  "\"verdict\":\"blocked\",\"answer\":{\"verdict\":\"kill\"}}",
		  "blocked, VM ended", "blocked", 0 },
		{ "mode: observe\n",
		  D
		  "\"write\",\"region\":\"rodata\",\"len\":8,\"rule\":\"rodata-is-never-written\","
		  "\"verdict\":\"blocked\"}",
		  "blocked", "detected, let be", 0 },
		/* Found where a vCPU stood still: nothing could be let through. */
		{ "mode: observe\n",
		  D "\"write\",\"region\":\"rodata\",\"rule\":\"rodata-is-never-written\","
		    "\"verdict\":\"blocked\"}",
		  "blocked", "blocked", 0 },
		{ "mode: observe\n",
		  D "\"write\",\"region\":\"text\",\"len\":8,\"rule\":\"text-not-a-patch-site\","
		    "\"verdict\":\"blocked\",\"detail\":\"one instruction wrote to two sealed "
		    "places\"}",
		  "blocked", "blocked", RF_OPEN_APPLY | RF_OPEN_PATCHERS },
		{ "seal: { rodata: false }\n",
		  D
		  "\"write\",\"region\":\"rodata\",\"len\":8,\"rule\":\"rodata-is-never-written\","
		  "\"verdict\":\"blocked\"}",
		  "blocked", "no event (seal.rodata: false)", 0 },
		{ "pin: { msrs: false }\n",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"blocked\",\"detail\":\"STAR "
		    "(MSR 0xc0000081) <- 0x1\"}",
		  "blocked", "no event (pin.msrs: false)", 0 },
		{ "pin: { msrs: false }\n",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"blocked\",\"detail\":\"LSTAR "
		    "(MSR 0xc0000082) <- 0x1\"}",
		  "blocked", "blocked", 0 },
		{ "",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"detected\",\"outcome\":"
		    "\"applied\",\"detail\":\"STAR (MSR 0xc0000081) <- 0x1\","
		    "\"answer\":{\"verdict\":\"allow\"}}",
		  "detected, let be", "blocked", 0 },
		{ "",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"detected\",\"outcome\":"
		    "\"left as it is\",\"detail\":\"STAR (MSR 0xc0000081) <- 0x1\","
		    "\"answer\":{\"verdict\":\"allow\"}}",
		  "detected, let be", "detected", 0 },
		{ "register_check_ms: 0\n",
		  D "\"table\",\"rule\":\"table-is-foreign\",\"verdict\":\"detected\","
		    "\"answer\":{\"verdict\":\"deny\"}}",
		  "detected", "no event (register_check_ms: 0)", 0 },
		/* One of the two ways to find it is off. */
		{ "register_check_ms: 0\n",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"detected\",\"detail\":\"STAR "
		    "(MSR 0xc0000081) <- 0x1\",\"answer\":{\"verdict\":\"allow\"}}",
		  "detected, let be", "blocked", RF_OPEN_SEEN },
		/* Neither says what it was found by. */
		{ "",
		  D "\"msr\",\"rule\":\"msr-is-pinned\",\"verdict\":\"detected\","
		    "\"answer\":{\"verdict\":\"allow\"}}",
		  "detected, let be", "blocked or detected", RF_OPEN_REGISTER },
		{ "",
		  D "\"control-register\",\"rule\":\"control-register-is-pinned\",\"verdict\":"
		    "\"detected\",\"detail\":\"CR4.SMEP cleared: CR4 <- 0x0\"}",
		  "detected, let be", "undone", 0 },
		{ "",
		  D "\"control-register\",\"rule\":\"control-register-is-pinned\",\"verdict\":"
		    "\"detected\",\"detail\":\"CR4.PGE cleared: CR4 <- 0x0\"}",
		  "detected, let be", "no event (pin.pge: false)", 0 },
		{ "",
		  D "\"control-register\",\"rule\":\"control-register-is-pinned\",\"verdict\":"
		    "\"blocked\",\"detail\":\"CR4 <- 0x0, was 0x1\"}",
		  "blocked", "blocked", RF_OPEN_REGISTER },
		{ "pin: { tables: false }\n",
		  D "\"table\",\"rule\":\"table-is-foreign\",\"verdict\":\"blocked\"}", "blocked",
		  "no event (pin.tables: false)", 0 },
		{ "", D "\"kernel\",\"rule\":\"kernel-not-recognised\",\"verdict\":\"detected\"}",
		  "detected, let be", "VM ended (on_unknown_kernel: refuse)", 0 },
		{ "on_kexec: rearm\n",
		  D "\"kexec\",\"rule\":\"kexec-is-denied\",\"verdict\":\"blocked\"}", "blocked",
		  "allowed", 0 },
		{ "on_mismatch: alert\n",
		  D "\"measure\",\"region\":\"text\",\"rule\":\"measurement-differs\",\"verdict\":"
		    "\"blocked\"}",
		  "blocked", "detected, let be", 0 },
		{ "", D "\"seal\",\"region\":\"text\"}", "", "no decision", 0 },
		{ "", "{\"type\":\"outcome\",\"event\":1,\"status\":\"ok\"}", "", "no decision",
		  0 },
		{ "", D "\"write\",\"rule\":\"of-another-release\",\"verdict\":\"blocked\"}",
		  "blocked", "not known", 0 },
		{ "",
		  D "\"dma\",\"region\":\"text\",\"rule\":\"msr-is-pinned\",\"verdict\":"
		    "\"blocked\"}",
		  "blocked", "not known", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *o = record(cases[i].record);
		struct rf_policy_diag diag;
		struct rf_replay r;
		struct rf_policy p;
		char file[128], would[160];

		snprintf(file, sizeof(file), "version: 1\n%s", cases[i].policy);
		assert_int_equal(rf_policy_parse(file, strlen(file), &diag, &p), 0);
		rf_replay(o, &p, &r);
		rf_replay_text(&r, &p, would, sizeof(would));
		if (strcmp(r.was, cases[i].was) != 0 || strcmp(would, cases[i].would) != 0 ||
		    r.open != cases[i].open)
			fail_msg("case %zu: was \"%s\", would be \"%s\", open %u", i, r.was, would,
				 r.open);
		assert_int_equal(rf_replay_same(&r),
				 r.what == RF_REPLAY_NOTE ||
					 (!strcmp(r.was, would) && !(r.open & RF_OPEN_SEEN)));
		json_decref(o);
	}
}

static void test_patches(void **state)
{
	json_t *o = record(D "\"patches\",\"region\":\"text\",\"rule\":\"text-patch-legal\","
			     "\"verdict\":\"allowed\",\"detail\":\"jump_label 3, ftrace 12, "
			     "ftrace_call 2, kgdb 1\"}");
	struct rf_replay r;
	struct rf_policy p;

	rf_policy_default(&p);
	rf_replay(o, &p, &r);
	assert_true(rf_replay_same(&r) && r.events == 18);
	p.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_DENY;
	rf_replay(o, &p, &r);
	assert_false(rf_replay_same(&r));
	assert_int_equal(r.of_those, 14);
	assert_int_equal(r.events, 18);
	assert_int_equal(r.would[0].word, RF_WORD_BLOCKED);
	assert_string_equal(r.key->name, "ftrace");
	assert_int_equal(r.open, RF_OPEN_ATTACHED);
	/* The debugger's breakpoints are denied by either word, and counted once. */
	p.patches[RF_PATCH_WORD_FTRACE] = RF_PATCH_RULE_ALLOW;
	p.patches[RF_PATCH_WORD_KPROBES] = p.patches[RF_PATCH_WORD_KGDB] = RF_PATCH_RULE_DENY;
	rf_replay(o, &p, &r);
	assert_int_equal(r.of_those, 1);
	p.seal_text = false;
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_NO_EVENT);
	json_decref(o);
}

static void test_depends(void **state)
{
	json_t *o = record(D "\"write\",\"region\":\"rodata\",\"len\":8,\"rule\":"
			     "\"rodata-is-never-written\",\"verdict\":\"blocked\"}");
	struct rf_policy p;
	unsigned int n = 0;

	rf_policy_default(&p);
	for (size_t i = 0; i < rf_keys_count; i++)
		n += rf_replay_depends(o, &p, &rf_keys[i]);
	assert_int_equal(n, 3);
	assert_true(rf_replay_depends(o, &p, rf_key_find(NULL, "mode")));
	assert_true(rf_replay_depends(o, &p, rf_key_find(NULL, "on_denied")));
	assert_true(rf_replay_depends(o, &p, rf_key_find("seal", "rodata")));
	/* What a denied patch gets is this key's where the patcher was asked for it. */
	assert_false(rf_replay_depends(o, &p, rf_key_find(NULL, "on_denied_patch")));
	json_object_set_new(o, "outcome",
			    json_string("dropped: the kernel's patching function returned"));
	assert_true(rf_replay_depends(o, &p, rf_key_find(NULL, "on_denied_patch")));
	/* Observing, a fault or an end make no difference. */
	p.mode = RF_MODE_OBSERVE;
	assert_false(rf_replay_depends(o, &p, rf_key_find(NULL, "on_denied")));
	json_decref(o);
}

/* What one check finds may be no alert, or pause the VM, or end it. */
static void test_check_lists(void **state)
{
	static const struct {
		const char *verdict, *outcome, *was;
	} rows[] = {
		{ "allowed", "left as it is", "allowed" },
		{ "detected", "left as it is", "detected, let be" },
		{ "detected", RF_OUTCOME_PAUSED, "detected, VM paused" },
		{ "detected", RF_OUTCOME_ENDED, "detected, VM ended" },
	};
	struct rf_replay r;
	struct rf_policy p;
	char line[512], text[160];
	json_t *o;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line),
			 D "\"check\",\"rule\":\"check-found\",\"verdict\":\"%s\","
			   "\"outcome\":\"%s\",\"detail\":\"idt (critical, T1014): x\"}",
			 rows[i].verdict, rows[i].outcome);
		o = record(line);
		rf_policy_default(&p);
		rf_replay(o, &p, &r);
		assert_int_equal(r.what, RF_REPLAY_DECIDED);
		assert_string_equal(r.was, rows[i].was);
		rf_replay_text(&r, &p, text, sizeof(text));
		assert_string_equal(text, "detected, let be");
		assert_true(rf_replay_depends(o, &p, rf_key_find(NULL, "checks_kill")));
		strcpy(p.checks_kill.name[0], "gdt");
		strcpy(p.checks_kill.name[1], "idt");
		p.checks_kill.count = 1;
		rf_replay(o, &p, &r);
		rf_replay_text(&r, &p, text, sizeof(text));
		assert_string_equal(text, "detected, let be");
		p.checks_kill.count = 2;
		rf_replay(o, &p, &r);
		rf_replay_text(&r, &p, text, sizeof(text));
		assert_string_equal(text, "detected, VM ended");
		json_decref(o);
	}
}

/* A check that this policy does not run finds nothing. */
static void test_checks_off(void **state)
{
	const struct rf_key *off = rf_key_find(NULL, "checks_off");
	struct rf_policy p;
	struct rf_replay r;
	json_t *o = record(D "\"check\",\"rule\":\"check-found\",\"verdict\":\"detected\","
			     "\"detail\":\"tasks-hidden (critical, T1564): x\"}");

	rf_policy_default(&p);
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_DECIDED);
	assert_true(rf_replay_depends(o, &p, off));
	strcpy(p.checks_off.name[0], "tasks");
	p.checks_off.count = 1;
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_DECIDED);
	strcpy(p.checks_off.name[0], "tasks-hidden");
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_NO_EVENT);
	assert_ptr_equal(r.key, off);
	json_decref(o);
	/* Nor is it undecided; other lists are no check's. */
	o = record(D "\"endless\",\"rule\":\"guest-lists-end\",\"verdict\":\"detected\","
		     "\"detail\":\"the check tasks-hidden is undecided: x\"}");
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_NO_EVENT);
	assert_ptr_equal(r.key, off);
	assert_true(rf_replay_depends(o, &p, off));
	json_decref(o);
	o = record(D "\"endless\",\"rule\":\"guest-lists-end\",\"verdict\":\"detected\","
		     "\"detail\":\"walking lists took more than 5 reads\"}");
	p.checks = RF_CHECKS_OFF;
	rf_replay(o, &p, &r);
	assert_int_equal(r.what, RF_REPLAY_DECIDED);
	json_decref(o);
}

/* A hook that is let: by whose list, and by which kind's key. */
static void test_owners(void **state)
{
	static const char hook[] =
		D "\"hook\",\"rule\":\"handler-outside-image\",\"verdict\":\"detected\","
		  "\"handler\":{\"module\":\"%s\"},\"detail\":\"kprobe; by the guest's lists\"}";
	const struct rf_key *owners = rf_key_find("patches", "owners"),
			    *kprobes = rf_key_find("patches", "kprobes"),
			    *ftrace = rf_key_find("patches", "ftrace");
	struct rf_policy p;
	struct rf_replay r;
	char text[512];
	json_t *o;

	snprintf(text, sizeof(text), hook, "foo");
	o = record(text);
	rf_policy_default(&p);
	for (p.owners.count = 0; p.owners.count < 2; p.owners.count++) {
		strcpy(p.owners.name[0], "foo");
		rf_replay(o, &p, &r);
		assert_int_equal(r.what, RF_REPLAY_DECIDED);
		assert_string_equal(r.would[0].rule, p.owners.count ? "handler-of-an-owner"
								    : "handler-outside-image");
		assert_true(rf_replay_depends(o, &p, owners));
		assert_true(rf_replay_depends(o, &p, kprobes));
		assert_false(rf_replay_depends(o, &p, ftrace));
	}
	/* All of the kind may: then the list counts for nothing. */
	p.owners.count = 0;
	p.patches[RF_PATCH_WORD_KPROBES] = RF_PATCH_RULE_ALLOW;
	assert_false(rf_replay_depends(o, &p, owners));
	assert_true(rf_replay_depends(o, &p, kprobes));
	json_decref(o);
	/* Of a module that is not known none can be an owner. */
	snprintf(text, sizeof(text), hook, "");
	o = record(text);
	rf_policy_default(&p);
	assert_false(rf_replay_depends(o, &p, owners));
	json_decref(o);
}

/* Members of any kind where strings belong. */
static void test_odd_records(void **state)
{
	static const char *const members[] = { "type",	  "kind",    "region", "rule",	"len",
					       "verdict", "outcome", "detail", "answer" };
	static const char *const values[] = { "null",	      "7",	   "[]",   "{}",
					      "\"decision\"", "\"write\"", "\"\"", "true" };
	struct rf_policy p;
	struct rf_replay r;
	char would[160];

	rf_policy_default(&p);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			json_t *o =
				record(D "\"write\",\"region\":\"rodata\",\"len\":8,\"rule\":"
					 "\"rodata-is-never-written\",\"verdict\":\"blocked\"}");

			json_object_set_new(o, members[i],
					    json_loads(values[j], JSON_DECODE_ANY, NULL));
			rf_replay(o, &p, &r);
			rf_replay_text(&r, &p, would, sizeof(would));
			assert_true(would[0]);
			json_decref(o);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module_called_bpf),
		cmocka_unit_test(test_every_rule),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_patches),
		cmocka_unit_test(test_depends),
		cmocka_unit_test(test_odd_records),
		cmocka_unit_test(test_checks_off),
		cmocka_unit_test(test_check_lists),
		cmocka_unit_test(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
