// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The front doors: tracers, probes, static calls and live patches, by which a kernel lets itself be
 * hooked. introspection/patches/hooks.h finds whom they call; here it is judged.
 *
 * The table of patch sites that it works with is made once for a kernel under check, in the run
 * that asks first: all of the text is read for it, some 100 ms, and 7 MiB are kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/checks/entries.h"
#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "introspection/patches/hooks.h"
#include "introspection/scratch.h"

/* --- what it works with ---------------------------------------------------------------- */

struct rf_front {
	struct rf_patch_table *table;
	struct rf_textpatch *patches;
	struct rf_hooks *hooks;
};

void rf_front_destroy(struct rf_front *front)
{
	if (!front)
		return;
	rf_hooks_destroy(front->hooks);
	rf_textpatch_destroy(front->patches);
	rf_scratch_free(front->table, sizeof(*front->table));
	free(front);
}

static int make_front(struct rf_run *run, struct rf_front *front)
{
	struct rf_checks *c = run->c;
	struct rf_diag diag = { "" };
	int err;

	/* Populated it would take twice as much as it needs: most of it stays empty. */
	front->table = mmap(NULL, sizeof(*front->table), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (front->table == MAP_FAILED) {
		front->table = NULL;
		return -ENOMEM;
	}
	err = rf_textpatch_create(c->k, &c->m, &c->p, front->table, false, 0, &front->patches,
				  &diag);
	if (err == -ENOENT)
		return rf_run_lacks(run, "%s", diag.text);
	return err ? err : rf_hooks_create(front->patches, &c->m, &front->hooks);
}

static int ask_front(struct rf_run *run, struct rf_front **out)
{
	struct rf_checks *c = run->c;
	int err = 0;

	if (!c->front) {
		struct rf_front *front = calloc(1, sizeof(*front));

		err = front ? make_front(run, front) : -ENOMEM;
		if (err)
			rf_front_destroy(front);
		else
			c->front = front;
	}
	*out = c->front;
	return err;
}

/* --- one hook ---------------------------------------------------------------------------- */

struct walk {
	struct rf_run *run;
	uint32_t kinds; /* bits 1 << kind, that the check is about */
};

/* "__tracepoint_x" says no more than "x". */
static void name_function(const struct rf_kernel *k, uint64_t at, char *out, size_t size)
{
	static const char prefix[] = "__tracepoint_";
	const char *name;
	struct rf_symbol s;
	uint64_t offset;

	snprintf(out, size, "%#llx", (unsigned long long)at);
	if (rf_kernel_symbolize(k, rf_gva_of(at), &s, &offset))
		return;
	name = strncmp(s.name, prefix, sizeof(prefix) - 1) ? s.name : s.name + sizeof(prefix) - 1;
	if (offset)
		snprintf(out, size, "%.40s+%#llx", name, (unsigned long long)offset);
	else
		snprintf(out, size, "%.40s", name);
}

/* "ftrace hook of vfs_read and 3 more" */
static void describe(const struct walk *w, const struct rf_hook *hook, char *out, size_t size)
{
	const char *kind = rf_hook_text(hook->kind);
	char function[64];
	int len;

	if (!hook->function && (hook->unread || hook->kind == RF_HOOK_UNLISTED)) {
		snprintf(out, size, "%s hook", kind);
		return;
	}
	if (!hook->function) {
		snprintf(out, size, "%s hook of every function", kind);
		return;
	}
	name_function(rf_run_kernel(w->run), hook->function, function, sizeof(function));
	len = snprintf(out, size, "%s hook of %s", kind, function);
	if (hook->more)
		snprintf(out + len, size - (size_t)len, " and %llu more",
			 (unsigned long long)hook->more);
}

/* BPF's code is its programs', and those have checks of their own: bpf.c. */
static int is_usual(struct rf_run *run, const struct rf_hook *hook, bool *out)
{
	struct rf_owner owner;
	struct rf_symbol s;
	uint64_t offset;
	int err = rf_run_owner(run, hook->handler, &owner);

	*out = !err && (owner.code == RF_CODE_BPF ||
			(owner.code == RF_CODE_MODULE &&
			 !rf_kernel_symbolize(run->c->k, rf_gva_of(hook->function), &s, &offset) &&
			 !offset && rf_hook_is_usual(hook, s.name, owner.name)));
	return err;
}

static int judge(void *ctx, const struct rf_hook *hook)
{
	const struct walk *w = ctx;
	char what[96];
	bool usual;
	int err;

	if (!(w->kinds & UINT32_C(1) << hook->kind))
		return 0;
	describe(w, hook, what, sizeof(what));
	if (hook->kind == RF_HOOK_UNLISTED)
		return rf_run_found(w->run, hook->object, what, hook->handler,
				    "the kernel's text calls it, and no list of hooks has it");
	if (hook->kind == RF_HOOK_STRAY)
		return rf_run_found(w->run, hook->object, what, hook->handler,
				    "a probe's patch is there, and no list has the probe");
	err = is_usual(w->run, hook, &usual);
	if (err)
		return err;
	if (usual) {
		rf_run_saw(w->run);
		return rf_run_fine(w->run, hook->object, what, hook->handler);
	}
	return rf_run_code(w->run, hook->object, hook->handler, what);
}

/* Who was built without a kind has no hooks of it. */
static bool has_kind(const struct rf_kernel *k, enum rf_hook_kind kind)
{
	static const char *const registers[RF_HOOK_KINDS] = {
		[RF_HOOK_FTRACE] = "register_ftrace_function",
		[RF_HOOK_FPROBE] = "register_fprobe",
		[RF_HOOK_LIVEPATCH] = "klp_enable_patch",
		[RF_HOOK_KPROBE] = "register_kprobe",
	};
	rf_gva unused;

	return !registers[kind] || !rf_kernel_address(k, registers[kind], &unused);
}

static int look_at_hooks(struct rf_run *run, const enum rf_hook_kind *kinds, size_t count)
{
	struct walk w = { .run = run };
	struct rf_checks *c = run->c;
	struct rf_front *front;
	int err;

	if (!has_kind(c->k, kinds[0]))
		return 0;
	err = ask_front(run, &front);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if (rf_hooks_shows(front->hooks, kinds[i]))
			w.kinds |= UINT32_C(1) << kinds[i];
	if (!w.kinds)
		return rf_run_lacks(run, "the kernel does not show where it keeps %s hooks",
				    rf_hook_text(kinds[0]));
	/* What came and went since is no hook that somebody hides. */
	err = rf_textpatch_sweep(front->patches, &c->m, &c->p);
	return err ? err : rf_hooks_walk(front->hooks, &c->m, &c->p, judge, &w);
}

/* --- the checks ---------------------------------------------------------------------------- */

#define HOOKS_READS (1 << 17)

#define LOOK_AT(name, ...)                                                                         \
	static int look_at_##name(struct rf_run *run)                                              \
	{                                                                                          \
		static const enum rf_hook_kind kinds[] = { __VA_ARGS__ };                          \
                                                                                                   \
		return look_at_hooks(run, kinds, sizeof(kinds) / sizeof(kinds[0]));                \
	}

LOOK_AT(ftrace, RF_HOOK_FTRACE, RF_HOOK_DIRECT)
LOOK_AT(fprobes, RF_HOOK_FPROBE)
LOOK_AT(kprobes, RF_HOOK_KPROBE, RF_HOOK_KRETPROBE)
LOOK_AT(tracepoints, RF_HOOK_TRACEPOINT)
LOOK_AT(static_calls, RF_HOOK_STATIC_CALL)
LOOK_AT(livepatches, RF_HOOK_LIVEPATCH)
LOOK_AT(on_lists, RF_HOOK_UNLISTED, RF_HOOK_STRAY)

/*
 * Sites of the kernel's own patching that hold nothing it would write there. They are counted when
 * the table is made: that is done again before they are told.
 */
static int look_at_sites(struct rf_run *run)
{
	struct rf_textpatch_stats stats;
	struct rf_front *front;
	char what[96], at[64];
	int err = ask_front(run, &front);

	if (err)
		return err;
	rf_textpatch_stats(front->patches, &stats);
	if (!stats.odd)
		return 0;
	rf_front_destroy(front);
	run->c->front = NULL;
	err = ask_front(run, &front);
	if (err)
		return err;
	rf_textpatch_stats(front->patches, &stats);
	if (!stats.odd)
		return 0;
	name_function(rf_run_kernel(run), stats.first_odd.v, at, sizeof(at));
	snprintf(what, sizeof(what), "patch site %s, the first of %zu", at, stats.odd);
	return rf_run_found(run, stats.first_odd.v, what, stats.first_odd.v,
			    "what stands there is none of what the kernel would write");
}

static int look_at_unlisted(struct rf_run *run)
{
	int err = look_at_sites(run);

	if (!err)
		err = look_at_on_lists(run);
	return err ? err : rf_run_entries(run);
}

const struct rf_check rf_check_hooks_ftrace = {
	.name = "hooks-ftrace",
	.summary = "who traces functions is the kernel, or a signed module",
	.reading = "calls of a function go through somebody's code: how most rootkits hide files, "
		   "tasks and connections today; or a tracer from elsewhere",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 2000,
	.reads = HOOKS_READS,
	.run = look_at_ftrace,
};

const struct rf_check rf_check_hooks_fprobes = {
	.name = "hooks-fprobes",
	.summary = "handlers of fprobes are the kernel's, or a signed module's",
	.reading = "entry to a function, or its return, goes through somebody's code",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 2000,
	.reads = HOOKS_READS,
	.run = look_at_fprobes,
};

const struct rf_check rf_check_hooks_kprobes = {
	.name = "hooks-kprobes",
	.summary = "handlers of kprobes and kretprobes are the kernel's, or a signed module's",
	.reading = "an instruction, or a function's return, goes through somebody's code: a "
		   "rootkit, or a monitoring agent",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 2000,
	.reads = HOOKS_READS,
	.run = look_at_kprobes,
};

const struct rf_check rf_check_hooks_tracepoints = {
	.name = "hooks-tracepoints",
	.summary = "probes of tracepoints are the kernel's, or a signed module's",
	.reading = "somebody's code is called at system calls, task switches ...: a rootkit, or a "
		   "monitoring agent",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_HIGH,
	.front_door = true,
	.period_ms = 2000,
	.reads = HOOKS_READS,
	.run = look_at_tracepoints,
};

const struct rf_check rf_check_hooks_static_calls = {
	.name = "hooks-static-calls",
	.summary = "static calls lead to the kernel's text, or a signed module's",
	.reading = "a call of the kernel's own was moved to somebody's code",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 2000,
	.reads = HOOKS_READS,
	.run = look_at_static_calls,
};

const struct rf_check rf_check_hooks_livepatches = {
	.name = "hooks-livepatches",
	.summary = "live patches are a signed module's",
	.reading = "a function of the kernel's was replaced: a rootkit, or a vendor's fix that was "
		   "not signed for this kernel",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 5000,
	.reads = HOOKS_READS,
	.run = look_at_livepatches,
};

const struct rf_check rf_check_hooks_unlisted = {
	.name = "hooks-unlisted",
	.summary = "what the kernel's text calls outside of itself is on a list of hooks",
	.reading = "a hook was made by hand, or taken off the kernel's list so as not to be seen",
	.attack = "T1014",
	.guard = "hooks",
	.severity = RF_SEVERITY_CRITICAL,
	.front_door = true,
	.period_ms = 10000,
	.reads = HOOKS_READS,
	.run = look_at_unlisted,
};
