// SPDX-License-Identifier: LGPL-2.1-or-later
/* The policy file, and every combination of facts against the decision it must get. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/file.h"
#include "policy/policy.h"

static int parse(const char *text, struct rf_policy_diag *d, struct rf_policy *p)
{
	return rf_policy_parse(text, strlen(text), d, p);
}

static void test_defaults(void **state)
{
	struct rf_policy_diag d;
	struct rf_policy p, q;

	rf_policy_default(&p);
	assert_int_equal(p.mode, RF_MODE_ENFORCE);
	assert_int_equal(p.on_denied, RF_ON_DENIED_FAULT);
	assert_int_equal(p.on_denied_patch, RF_ON_DENIED_PATCH_DROP);
	for (int w = 0; w < RF_PATCH_WORDS; w++)
		assert_int_equal(p.patches[w],
				 w == RF_PATCH_WORD_KGDB || w == RF_PATCH_WORD_JUMP_LABELS
					 ? RF_PATCH_RULE_ALLOW
					 : RF_PATCH_RULE_OWNERS);
	assert_int_equal(p.owners.count, 0);
	assert_int_equal(p.on_kexec, RF_ON_KEXEC_DENY);
	assert_int_equal(p.on_mismatch, RF_ON_MISMATCH_REFUSE);
	assert_true(p.seal_text && p.seal_rodata);
	assert_true(p.pin_tables);
	assert_int_equal(p.register_check_ms, 1000);
	assert_int_equal(p.dma_sweep_ms, 5000);
	assert_int_equal(p.patch_timeout_ms, 20000);
	assert_int_equal(p.unsealed_alert_ms, 600000);
	assert_int_equal(p.on_log_full, RF_ON_LOG_FULL_DENY);
	assert_int_equal(p.log_quota_mb, 256);
	assert_true(p.pin_msrs && p.pin_control);
	assert_false(p.pin_pge || p.need_watch);
	assert_false(p.pin_debugctl || p.pin_spec_ctrl);
	memset(&q, 0xa5, sizeof(q));
	assert_int_equal(parse("version: 1\n", &d, &q), 0);
	assert_int_equal(q.mode, p.mode);
	assert_int_equal(q.on_denied, p.on_denied);
	assert_true(q.seal_text && q.seal_rodata);
	assert_int_equal(q.dma_sweep_ms, p.dma_sweep_ms);
	assert_int_equal(q.unsealed_alert_ms, p.unsealed_alert_ms);
}

static void test_full_file(void **state)
{
	struct rf_policy_diag d;
	struct rf_policy p;

	assert_int_equal(parse("# comment\nversion: 1\nmode: observe\non_denied: kill\n"
			       "on_denied_patch: fault\n"
			       "patches: { ftrace: deny, kprobes: allow, kgdb: deny,\n"
			       "  tracepoints: allow, owners: [ lttng-tracer, foo ] }\n"
			       "seal: { text: false, rodata: true }\ndma_sweep_ms: 250\n"
			       "patch_timeout_ms: 2000\nunsealed_alert_ms: 5000\n"
			       "pin: { msrs: false, debugctl: true, spec_ctrl: true, pge: true,\n"
			       "  control_watch: required, tables: false }\n"
			       "register_check_ms: 0\n"
			       "on_log_full: pause\nlog_quota_mb: 0\n",
			       &d, &p),
			 0);
	assert_int_equal(p.mode, RF_MODE_OBSERVE);
	assert_int_equal(p.on_denied, RF_ON_DENIED_KILL);
	assert_int_equal(p.on_denied_patch, RF_ON_DENIED_PATCH_FAULT);
	assert_int_equal(p.patches[RF_PATCH_WORD_FTRACE], RF_PATCH_RULE_DENY);
	assert_int_equal(p.patches[RF_PATCH_WORD_KPROBES], RF_PATCH_RULE_ALLOW);
	assert_int_equal(p.patches[RF_PATCH_WORD_KGDB], RF_PATCH_RULE_DENY);
	assert_int_equal(p.patches[RF_PATCH_WORD_TRACEPOINTS], RF_PATCH_RULE_ALLOW);
	assert_int_equal(p.patches[RF_PATCH_WORD_STATIC_CALLS], RF_PATCH_RULE_OWNERS);
	assert_int_equal(p.owners.count, 2);
	assert_string_equal(p.owners.name[0], "lttng_tracer"); /* as the kernel calls it */
	assert_string_equal(p.owners.name[1], "foo");
	assert_false(p.seal_text);
	assert_true(p.seal_rodata);
	assert_int_equal(p.dma_sweep_ms, 250);
	assert_int_equal(p.patch_timeout_ms, 2000);
	assert_int_equal(p.unsealed_alert_ms, 5000);
	assert_false(p.pin_msrs);
	assert_true(p.pin_debugctl && p.pin_spec_ctrl);
	assert_true(p.pin_control && p.pin_pge && p.need_watch);
	assert_false(p.pin_tables);
	assert_int_equal(p.register_check_ms, 0);
	assert_int_equal(p.on_log_full, RF_ON_LOG_FULL_PAUSE);
	assert_int_equal(p.log_quota_mb, 0);
	assert_int_equal(parse("version: 1\non_log_full: continue\n", &d, &p), 0);
	assert_int_equal(p.on_log_full, RF_ON_LOG_FULL_CONTINUE);
	assert_int_equal(parse("version: 1\nlog_quota_mb: 1048576\n", &d, &p), 0);
	assert_int_equal(p.log_quota_mb, 1048576);
	assert_int_equal(parse("version: 1\nunsealed_alert_ms: 0\n", &d, &p), 0);
	assert_int_equal(p.unsealed_alert_ms, 0);
	assert_int_equal(parse("version: 1\nunsealed_alert_ms: 3600000\n", &d, &p), 0);
	assert_int_equal(p.unsealed_alert_ms, 3600000);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *says;
		unsigned int line;
	} bad[] = {
		{ "", "says nothing", 0 },
		{ "# nothing\n", "says nothing", 0 },
		{ "mode: observe\n", "version", 0 },
		{ "version: 2\n", "version must be 1, the only one there is", 1 },
		{ "\n# version: 1\nversion: 0\n", "version is missing, or 0", 3 },
		{ "version: 1\n# dma_sweep_ms: 9\nmode: observe\ndma_sweep_ms: 9 # dma_sweep_ms:\n",
		  "dma_sweep_ms is not within 10 to 3600000", 4 },
		{ "{ version: 1, register_check_ms: 60001 }",
		  "register_check_ms is not within 0 to 60000", 1 },
		{ "version: 1\nregister_check_ms : 60001\n", "register_check_ms", 0 },
		{ "version: -1\n", "version cannot be", 1 },
		{ "version: one\n", "version cannot be", 1 },
		{ "version: 1\nmdoe: observe\n", "there is no such key", 2 },
		{ "version: 1\nmode: observ\n", "mode cannot be", 2 },
		{ "version: 1\nmode: 2\n", "mode cannot be", 2 },
		{ "version: 1\nmode: Enforce\n", "mode cannot be", 2 },
		{ "version: 1\nmode:\n", "", 2 },
		{ "version: 1\non_denied: allow\n", "on_denied cannot be", 2 },
		{ "version: 1\non_denied_patch: kill\n", "on_denied_patch cannot be", 2 },
		{ "version: 1\npatches: { ftrace: owner }\n", "ftrace cannot be", 2 },
		{ "version: 1\npatches: { bpf: deny }\n", "bpf cannot be", 2 },
		{ "version: 1\npatches: deny\n", "patches: its keys belong below it", 2 },
		{ "version: 1\non_mismatch: ignore\n", "on_mismatch cannot be", 2 },
		{ "version: 1\nseal: { text: maybe }\n", "text cannot be", 2 },
		{ "version: 1\nseal: { text: yes }\n", "text cannot be", 2 },
		{ "version: 1\nseal:\n  txt: true\n", "there is no such key below seal", 3 },
		{ "version: 1\nseal: everything\n", "seal: its keys belong below it", 2 },
		{ "version: 1\npin: { msrs: 1 }\n", "msrs cannot be", 2 },
		{ "version: 1\npin:\n  lstar: true\n", "there is no such key below pin", 3 },
		{ "version: 1\npin: all\n", "pin: its keys belong below it", 2 },
		{ "version: 1\npin: { control_watch: true }\n", "control_watch cannot be", 2 },
		{ "version: 1\npin: { control: false, control_watch: required }\n", "control", 2 },
		{ "version: 1\ndma_sweep_ms: 0\n", "dma_sweep_ms", 2 },
		{ "version: 1\npatch_timeout_ms: 999\n", "patch_timeout_ms", 2 },
		{ "version: 1\npatch_timeout_ms: 3600001\n", "patch_timeout_ms", 2 },
		{ "version: 1\ndma_sweep_ms: 9\n", "dma_sweep_ms", 2 },
		{ "version: 1\ndma_sweep_ms: 3600001\n", "dma_sweep_ms", 2 },
		{ "version: 1\nunsealed_alert_ms: 3600001\n", "unsealed_alert_ms", 2 },
		{ "version: 1\nunsealed_alert_ms: -1\n", "unsealed_alert_ms cannot be", 2 },
		{ "version: 1\nunsealed_alert_ms: soon\n", "unsealed_alert_ms cannot be", 2 },
		{ "version: 1\non_log_full: allow\n", "on_log_full cannot be", 2 },
		{ "version: 1\nlog_quota_mb: 1048577\n", "log_quota_mb", 2 },
		{ "version: 1\nlog_quota_mb: -1\n", "log_quota_mb cannot be", 2 },
		{ "version: 1\ndma_sweep_ms: 99999999999999999999\n", "dma_sweep_ms cannot be", 2 },
		{ "version: 1\nmode: observe\nmode: enforce\n", "mode", 0 },
		{ "version: 1\n---\nmode: observe\n", "documents after first", 0 },
		{ "version: &a 1\ndma_sweep_ms: *a\n", "an alias stands there", 2 },
		{ "- version: 1\n", "made of keys", 0 },
		{ "version: [1\n", "", 0 },
		{ "\x01\xff", "", 0 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rf_policy_diag d = { 0 };
		struct rf_policy p, before;

		memset(&p, 0x5a, sizeof(p));
		before = p;
		if (parse(bad[i].text, &d, &p) != -EBADMSG || !d.text[0] ||
		    !strstr(d.text, bad[i].says) || (bad[i].line && d.line != bad[i].line))
			fail_msg("file %zu: \"%s\" -> line %u: %s", i, bad[i].text, d.line, d.text);
		assert_memory_equal(&p, &before, sizeof(p));
	}
}

/* As `run` and the monitor do. */
static int load(const char *path, struct rf_policy_diag *d, struct rf_policy *p)
{
	char text[RF_POLICY_FILE_MAX + 1];
	size_t len;
	int err = rf_file_read(path, text, sizeof(text), &len);

	return err ? err : rf_policy_parse(text, len, d, p);
}

static void test_files_on_disk(void **state)
{
	static char huge[RF_POLICY_FILE_MAX + 1];
	char path[] = "/tmp/rf-policy-XXXXXX";
	struct rf_policy_diag d;
	struct rf_policy p;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "version: 1\nmode: observe\n", 25), 25);
	assert_int_equal(load(path, &d, &p), 0);
	assert_int_equal(p.mode, RF_MODE_OBSERVE);
	memset(huge, '\n', sizeof(huge));
	/* Exactly the limit is read, one byte more is not. */
	assert_int_equal(write(fd, huge, RF_POLICY_FILE_MAX - 25), RF_POLICY_FILE_MAX - 25);
	assert_int_equal(load(path, &d, &p), 0);
	assert_int_equal(write(fd, "\n", 1), 1);
	assert_int_equal(load(path, &d, &p), -EFBIG);
	assert_int_equal(rf_policy_parse(huge, sizeof(huge), &d, &p), -EFBIG);
	close(fd);
	unlink(path);
	assert_int_equal(load(path, &d, &p), -ENOENT);
	assert_int_equal(load("/tmp", &d, &p), -EINVAL);
	assert_int_equal(load("/dev/zero", &d, &p), -EINVAL);
}

/* --- decisions --------------------------------------------------------------------- */

/* What each combination must come to when enforcing, written apart from the table it checks. */
static const char *expected_rule(const struct rf_facts *f, bool *legal, bool *pass)
{
	*legal = *pass = false;
	switch (f->kind) {
	case RF_FACT_WRITE:
		if (f->region == RF_FACT_REGION_RODATA)
			return "rodata-is-never-written";
		if (f->region == RF_FACT_REGION_IDT)
			return "idt-is-never-written";
		if (f->region != RF_FACT_REGION_TEXT)
			return "undecided";
		switch (f->patch) {
		case RF_FACT_PATCH_STEP:
			*legal = true;
			return "text-patch-legal-step";
		case RF_FACT_PATCH_DONE:
			*legal = true;
			return "text-patch-legal-instruction";
		case RF_FACT_PATCH_NOT_A_SITE:
			return "text-not-a-patch-site";
		case RF_FACT_PATCH_ILLEGAL_STEP:
			return "text-illegal-step";
		case RF_FACT_PATCH_ILLEGAL_INSN:
			return "text-illegal-instruction";
		default:
			return "undecided";
		}
	case RF_FACT_EMULATION:
		*pass = f->region == RF_FACT_REGION_OUTSIDE;
		if (*pass)
			return "outside-sealed-memory";
		if (f->region == RF_FACT_REGION_TEXT)
			return "text-store-no-patcher-uses";
		if (f->region == RF_FACT_REGION_IDT)
			return "idt-is-never-written";
		return f->region == RF_FACT_REGION_RODATA ? "rodata-is-never-written" : "undecided";
	case RF_FACT_MSR:
		*legal = f->msr == RF_FACT_MSR_BEFORE_SEAL || f->msr == RF_FACT_MSR_SAME_VALUE ||
			 f->msr == RF_FACT_MSR_PER_CPU || f->msr == RF_FACT_MSR_ELSEWHERE;
		switch (f->msr) {
		case RF_FACT_MSR_BEFORE_SEAL:
			return "msr-set-before-seal";
		case RF_FACT_MSR_SAME_VALUE:
			return "msr-keeps-its-value";
		case RF_FACT_MSR_CHANGED:
			return "msr-is-pinned";
		case RF_FACT_MSR_PER_CPU:
			return "msr-of-each-cpu";
		case RF_FACT_MSR_INTO_SEAL:
			return "msr-points-into-sealed-memory";
		case RF_FACT_MSR_ELSEWHERE:
			return "msr-points-elsewhere";
		default:
			return "undecided";
		}
	case RF_FACT_LOAD:
		*legal = f->table == RF_FACT_TABLE_KERNELS;
		return f->table == RF_FACT_TABLE_KERNELS   ? "table-of-the-kernel"
		       : f->table == RF_FACT_TABLE_FOREIGN ? "table-is-foreign"
		       : f->table == RF_FACT_TABLE_FORGED  ? "table-entry-is-forged"
		       : f->table == RF_FACT_TABLE_CLEARED ? "control-register-is-pinned"
							   : "undecided";
	case RF_FACT_TABLE:
		*legal = f->table == RF_FACT_TABLE_KERNELS;
		return f->table == RF_FACT_TABLE_KERNELS   ? "table-of-the-kernel"
		       : f->table == RF_FACT_TABLE_FOREIGN ? "table-is-foreign"
		       : f->table == RF_FACT_TABLE_CHANGED ? "msr-is-pinned"
							   : "undecided";
	case RF_FACT_ENTRY:
		return f->table == RF_FACT_TABLE_FORGED ? "table-entry-is-forged" : "undecided";
	case RF_FACT_DMA:
		if (f->region == RF_FACT_REGION_TEXT || f->region == RF_FACT_REGION_RODATA ||
		    f->region == RF_FACT_REGION_IDT)
			return "dma-to-sealed-memory";
		return "undecided";
	case RF_FACT_ABANDONED:
		return f->region == RF_FACT_REGION_TEXT ? "text-patch-abandoned" : "undecided";
	case RF_FACT_ENDLESS:
		return "guest-lists-end";
	case RF_FACT_CHECK:
		return "check-found";
	case RF_FACT_UNKNOWN:
		return "kernel-not-recognised";
	case RF_FACT_HOOK:
		*legal = f->hook == RF_FACT_HOOK_OWNED;
		return *legal ? "handler-of-an-owner" : "handler-outside-image";
	case RF_FACT_KEXEC:
		return "kexec-is-denied";
	case RF_FACT_MEASURE:
		*legal = f->measure == RF_FACT_MEASURE_EXPECTED;
		return *legal ? "measurement-as-expected"
		       : f->measure == RF_FACT_MEASURE_DIFFERENT ||
				       f->measure == RF_FACT_MEASURE_BOOTED
			       ? "measurement-differs"
			       : "undecided";
	case RF_FACT_CONTROL:
	case RF_FACT_CONTROL_LATE:
		return "control-register-is-pinned";
	}
	return "undecided";
}

static void check(const struct rf_policy *p, const struct rf_facts *f)
{
	bool legal, pass, observable;
	const char *rule = expected_rule(f, &legal, &pass);
	struct rf_decision d;

	assert_int_equal(rf_policy_decide(p, f, &d), 0);
	assert_string_equal(d.rule, rule);
	observable = f->kind == RF_FACT_WRITE || f->kind == RF_FACT_MSR ||
		     f->kind == RF_FACT_CONTROL || f->kind == RF_FACT_CONTROL_LATE ||
		     f->kind == RF_FACT_LOAD || f->kind == RF_FACT_TABLE ||
		     f->kind == RF_FACT_KEXEC ||
		     (f->kind == RF_FACT_MEASURE && f->measure == RF_FACT_MEASURE_DIFFERENT);
	if (legal) {
		assert_int_equal(d.word, RF_WORD_ALLOWED);
		assert_int_equal(d.action, RF_ACTION_APPLY);
	} else if (pass) {
		assert_int_equal(d.word, 0);
		assert_int_equal(d.action, RF_ACTION_PASS);
	} else if ((p->mode == RF_MODE_OBSERVE && observable) || f->kind == RF_FACT_UNKNOWN ||
		   f->kind == RF_FACT_HOOK || f->kind == RF_FACT_CHECK ||
		   (f->kind == RF_FACT_MEASURE && f->measure == RF_FACT_MEASURE_BOOTED)) {
		assert_int_equal(d.word, RF_WORD_DETECTED);
		assert_int_equal(d.action, RF_ACTION_APPLY);
	} else if (f->kind == RF_FACT_TABLE) { /* found later, but the vCPU waits */
		assert_int_equal(d.word, RF_WORD_DETECTED);
		assert_int_equal(d.action, p->on_denied == RF_ON_DENIED_KILL ? RF_ACTION_KILL
									     : RF_ACTION_SUPPRESS);
	} else if (f->kind == RF_FACT_DMA || f->kind == RF_FACT_ABANDONED ||
		   f->kind == RF_FACT_ENTRY || f->kind == RF_FACT_ENDLESS) {
		assert_int_equal(d.word, RF_WORD_DETECTED);
		assert_int_equal(d.action, RF_ACTION_SUPPRESS);
	} else {
		assert_int_equal(d.word, f->kind == RF_FACT_CONTROL	   ? RF_WORD_UNDONE
					 : f->kind == RF_FACT_CONTROL_LATE ? RF_WORD_DETECTED
									   : RF_WORD_BLOCKED);
		assert_int_equal(d.action,
				 p->mode == RF_MODE_ENFORCE && p->on_denied == RF_ON_DENIED_KILL
					 ? RF_ACTION_KILL
					 : RF_ACTION_SUPPRESS);
	}
}

/* One value past each enumeration's end too: what is not known must not be allowed. */
static void test_every_combination(void **state)
{
	struct rf_policy p;
	unsigned int n = 0;

	rf_policy_default(&p);
	for (int mode = RF_MODE_ENFORCE; mode <= RF_MODE_OBSERVE; mode++)
		for (int denied = RF_ON_DENIED_FAULT; denied <= RF_ON_DENIED_KILL; denied++)
			for (int kind = 0; kind <= RF_FACT_CHECK + 1; kind++)
				for (int region = 0; region <= RF_FACT_REGION_IDT + 1; region++)
					for (int patch = 0; patch <= RF_FACT_PATCH_ILLEGAL_INSN + 1;
					     patch++)
						for (int msr = 0; msr <= RF_FACT_MSR_ELSEWHERE + 1;
						     msr++, n++) {
							struct rf_facts f = { kind,  region, patch,
									      msr,   n % 7,  n % 5,
									      n % 3, NULL };

							p.mode = mode;
							p.on_denied = denied;
							check(&p, &f);
						}
	assert_int_equal(n, 2 * 2 * 18 * 6 * 7 * 8);
}

/* Only this one depends on what the owner wants. */
static void test_kexec(void **state)
{
	const struct rf_facts f = { .kind = RF_FACT_KEXEC };
	struct rf_policy_diag diag;
	struct rf_decision d;
	struct rf_policy p;

	assert_int_equal(parse("version: 1\non_kexec: deny\n", &diag, &p), 0);
	assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
	assert_int_equal(d.word, RF_WORD_BLOCKED);
	assert_int_equal(parse("version: 1\non_kexec: rearm\n", &diag, &p), 0);
	assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
	assert_int_equal(d.word, RF_WORD_ALLOWED);
	assert_int_equal(d.action, RF_ACTION_APPLY);
	assert_string_equal(d.rule, "kexec-is-awaited");
	assert_int_equal(parse("version: 1\non_kexec: allow\n", &diag, &p), -EBADMSG);
}

static void test_unknown_kernel(void **state)
{
	const struct rf_facts f = { .kind = RF_FACT_UNKNOWN };
	struct rf_policy_diag diag;
	struct rf_decision d;
	struct rf_policy p;

	assert_int_equal(parse("version: 1\n", &diag, &p), 0);
	assert_int_equal(p.on_unknown_kernel, RF_ON_UNKNOWN_REFUSE);
	assert_int_equal(parse("version: 1\non_unknown_kernel: refuse\n", &diag, &p), 0);
	assert_int_equal(p.on_unknown_kernel, RF_ON_UNKNOWN_REFUSE);
	assert_int_equal(parse("version: 1\non_unknown_kernel: run-unsealed-alert\n", &diag, &p),
			 0);
	assert_int_equal(p.on_unknown_kernel, RF_ON_UNKNOWN_UNSEALED);
	assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
	assert_int_equal(d.word, RF_WORD_DETECTED);
	assert_int_equal(d.action, RF_ACTION_APPLY);
	assert_int_equal(parse("version: 1\non_unknown_kernel: run\n", &diag, &p), -EBADMSG);
}

/* Names of checks stay as they are: only a module's has '_' for '-'. */
static void test_checks_off(void **state)
{
	struct rf_policy_diag diag;
	struct rf_policy p;

	assert_int_equal(parse("version: 1\nchecks_off: [ tasks-hidden, idt ]\n"
			       "patches: { owners: [ my-module ] }\n",
			       &diag, &p),
			 0);
	assert_int_equal(p.checks_off.count, 2);
	assert_true(rf_names_has(&p.checks_off, "tasks-hidden"));
	assert_true(rf_names_has(&p.checks_off, "idt"));
	assert_false(rf_names_has(&p.checks_off, "tasks"));
	assert_int_equal(p.owners.count, 1);
	assert_string_equal(p.owners.name[0], "my_module");
	assert_int_equal(parse("version: 1\nchecks_off: [ idt, gdt, idt ]\n"
			       "patches: { owners: [ a-b, a_b ] }\n",
			       &diag, &p),
			 0);
	assert_int_equal(p.checks_off.count, 2); /* each once */
	assert_int_equal(p.owners.count, 1);
	assert_int_equal(parse("version: 1\nchecks_off: [ 'a b' ]\n", &diag, &p), -EBADMSG);
	assert_int_equal(diag.line, 2);
	assert_non_null(strstr(diag.text, "checks_off: one of them is no name"));
	assert_int_equal(parse("version: 1\nchecks_off: idt\n", &diag, &p), -EBADMSG);
}

/* Whose handlers are told of. */
static void test_owners(void **state)
{
	struct rf_policy_diag diag;
	struct rf_policy p;

	rf_policy_default(&p);
	for (int w = 0; w < RF_PATCH_WORDS; w++)
		assert_int_equal(rf_policy_owner(&p, w, "foo", false),
				 p.patches[w] == RF_PATCH_RULE_ALLOW ? RF_FACT_HOOK_OWNED
								     : RF_FACT_HOOK_FOREIGN);
	p.owners.count = 1;
	p.owners.name[0][0] = '\0'; /* what has no module is nobody's */
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "", false),
			 RF_FACT_HOOK_FOREIGN);
	snprintf(p.owners.name[0], sizeof(p.owners.name[0]), "foo");
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORDS, "foo", true), RF_FACT_HOOK_FOREIGN);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "", true), RF_FACT_HOOK_FOREIGN);
	assert_int_equal(parse("version: 1\npatches: { tracepoints: allow, bpf: allow,\n"
			       "  kprobes: deny, owners: [ foo ] }\n",
			       &diag, &p),
			 0);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_TRACEPOINTS, "", false),
			 RF_FACT_HOOK_OWNED);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "", true), RF_FACT_HOOK_OWNED);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "", false),
			 RF_FACT_HOOK_FOREIGN);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "foo", false),
			 RF_FACT_HOOK_OWNED);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_KPROBES, "foo", false),
			 RF_FACT_HOOK_OWNED);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "fo", false),
			 RF_FACT_HOOK_FOREIGN);
	assert_int_equal(rf_policy_owner(&p, RF_PATCH_WORD_FTRACE, "food", false),
			 RF_FACT_HOOK_FOREIGN);
	/* An owner without a name would be everybody that no module is. */
	assert_int_equal(parse("version: 1\npatches: { owners: [ '' ] }\n", &diag, &p), -EBADMSG);
	assert_int_equal(parse("version: 1\npatches: { owners: foo }\n", &diag, &p), -EBADMSG);
	assert_int_equal(parse("version: 1\npatches: { owners: [ "
			       "a2345678901234567890123456789012345678901234567890123456 ] }\n",
			       &diag, &p),
			 0);
	assert_int_equal(parse("version: 1\npatches: { owners: [ "
			       "a23456789012345678901234567890123456789012345678901234567 ] }\n",
			       &diag, &p),
			 -EBADMSG);
}

static void test_measured(void **state)
{
	static const struct {
		const char *file;
		enum rf_word word;
		enum rf_action action;
	} arrived[] = {
		{ "version: 1\n", RF_WORD_BLOCKED, RF_ACTION_SUPPRESS },
		{ "version: 1\non_mismatch: refuse\n", RF_WORD_BLOCKED, RF_ACTION_SUPPRESS },
		{ "version: 1\non_denied: kill\n", RF_WORD_BLOCKED, RF_ACTION_KILL },
		{ "version: 1\non_mismatch: alert\n", RF_WORD_DETECTED, RF_ACTION_APPLY },
		{ "version: 1\non_mismatch: alert\non_denied: kill\n", RF_WORD_DETECTED,
		  RF_ACTION_APPLY },
		{ "version: 1\nmode: observe\n", RF_WORD_DETECTED, RF_ACTION_APPLY },
	};
	struct rf_facts f = { .kind = RF_FACT_MEASURE };
	struct rf_policy_diag diag;
	struct rf_decision d;
	struct rf_policy p;

	for (size_t i = 0; i < sizeof(arrived) / sizeof(arrived[0]); i++) {
		assert_int_equal(parse(arrived[i].file, &diag, &p), 0);
		f.measure = RF_FACT_MEASURE_DIFFERENT;
		assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
		assert_int_equal(d.word, arrived[i].word);
		assert_int_equal(d.action, arrived[i].action);
		assert_string_equal(d.rule, "measurement-differs");
		/* What booted runs in any case, what is as it should be as well. */
		f.measure = RF_FACT_MEASURE_BOOTED;
		assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
		assert_int_equal(d.word, RF_WORD_DETECTED);
		assert_int_equal(d.action, RF_ACTION_APPLY);
		f.measure = RF_FACT_MEASURE_EXPECTED;
		assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
		assert_int_equal(d.word, RF_WORD_ALLOWED);
		assert_string_equal(d.rule, "measurement-as-expected");
		/* Not known: never. */
		for (f.measure = 0; f.measure < 9; f.measure += RF_FACT_MEASURE_BOOTED + 1) {
			assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
			assert_int_not_equal(d.action, RF_ACTION_APPLY);
			assert_string_equal(d.rule, "undecided");
		}
	}
}

/* The strictest list that names a check counts, and none of them where the mode is to observe. */
static void test_check_lists(void **state)
{
	static const struct {
		const char *check;
		enum rf_word word;
		enum rf_action action, observing;
	} rows[] = {
		{ "a", RF_WORD_ALLOWED, RF_ACTION_APPLY, RF_ACTION_APPLY },
		{ "b", RF_WORD_DETECTED, RF_ACTION_PAUSE, RF_ACTION_APPLY },
		{ "c", RF_WORD_DETECTED, RF_ACTION_KILL, RF_ACTION_APPLY },
		{ "d", RF_WORD_DETECTED, RF_ACTION_APPLY, RF_ACTION_APPLY },
		{ NULL, RF_WORD_DETECTED, RF_ACTION_APPLY, RF_ACTION_APPLY },
	};
	struct rf_facts f = { .kind = RF_FACT_CHECK };
	struct rf_policy_diag diag;
	struct rf_decision d;
	struct rf_policy p;

	assert_int_equal(parse("version: 1\nchecks_observe: [ a, b, c ]\nchecks_pause: [ b, c ]\n"
			       "checks_kill: [ c ]\n",
			       &diag, &p),
			 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f.check = rows[i].check;
		p.mode = RF_MODE_ENFORCE;
		assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
		assert_int_equal(d.word, rows[i].word);
		assert_int_equal(d.action, rows[i].action);
		assert_string_equal(d.rule, "check-found");
		p.mode = RF_MODE_OBSERVE;
		assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
		assert_int_equal(d.word, rows[i].word);
		assert_int_equal(d.action, rows[i].observing);
	}
}

static void test_no_facts_is_blocked(void **state)
{
	struct rf_facts f = { 0 };
	struct rf_decision d;
	struct rf_policy p;

	rf_policy_default(&p);
	assert_int_equal(rf_policy_decide(&p, &f, &d), 0);
	assert_int_equal(d.word, RF_WORD_BLOCKED);
	assert_int_equal(d.action, RF_ACTION_SUPPRESS);
	assert_string_equal(d.rule, "undecided");
}

static void test_invalid_policy(void **state)
{
	struct rf_facts f = { .kind = RF_FACT_WRITE,
			      .region = RF_FACT_REGION_TEXT,
			      .patch = RF_FACT_PATCH_DONE };
	struct rf_decision d = { .action = 77 };
	struct rf_policy p = { 0 };

	assert_int_equal(rf_policy_decide(&p, &f, &d), -EINVAL);
	rf_policy_default(&p);
	p.on_denied = 3;
	assert_int_equal(rf_policy_decide(&p, &f, &d), -EINVAL);
	assert_int_equal(d.action, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_full_file),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_files_on_disk),
		cmocka_unit_test(test_every_combination),
		cmocka_unit_test(test_kexec),
		cmocka_unit_test(test_unknown_kernel),
		cmocka_unit_test(test_checks_off),
		cmocka_unit_test(test_check_lists),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_measured),
		cmocka_unit_test(test_no_facts_is_blocked),
		cmocka_unit_test(test_invalid_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
