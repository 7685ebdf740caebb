// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whom the kernel's hooks call: each kind, and lists that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/budget.h"
#include "introspection/patches/hooks.h"
#include "introspection/task.h"
#include "tests/unit/fake_patched.h"

#define HANDLER (MODULE + 0x100) /* a module's */
#define JITED (MODULE + 0x1800)	 /* BPF's */

static struct rf_hooks *hooks;
static struct rf_hook seen[64];
static size_t count;
static int answer; /* of note() */

static int setup(void **state)
{
	struct patched *f;
	int err = patched_setup(state);

	f = *state;
	answer = 0;
	return err ? err : rf_hooks_create(f->t, &f->g.m, &hooks);
}

static int teardown(void **state)
{
	rf_hooks_destroy(hooks);
	hooks = NULL;
	return patched_teardown(state);
}

static int note(void *ctx, const struct rf_hook *hook)
{
	assert_true(count < sizeof(seen) / sizeof(seen[0]));
	seen[count++] = *hook;
	return answer;
}

static int walk(struct patched *f)
{
	count = 0;
	return rf_hooks_walk(hooks, &f->g.m, &f->g.p, note, NULL);
}

/* One hook there is, and this one, whoever asks. */
static void expect(struct patched *f, enum rf_hook_kind kind, uint64_t object, uint64_t handler,
		   uint64_t function)
{
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 1);
	assert_int_equal(seen[0].kind, kind);
	assert_int_equal(seen[0].object, object);
	assert_int_equal(seen[0].handler, handler);
	assert_int_equal(seen[0].function, function);
	count = 0;
	assert_int_equal(rf_hooks_look(hooks, &f->g.m, &f->g.p, kind, object, note, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(seen[0].handler, handler);
	assert_int_equal(seen[0].function, function);
}

static void nobody(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, TRAMPOLINE);

	/* A tracer, a probe, a tracepoint's probe of the kernel's own. */
	fake_put64(&f->g, ops, TRACER);
	fake_put64(&f->g, patched_probe(f, CODE, 0x55, 0) + 64, TRACER);
	fake_put64(&f->g, TRACEPOINT(0) + 8, patched_alloc(f, 32));
	fake_put64(&f->g, f->heap - 32, TRACER);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

static uint64_t filter(struct patched *f, uint64_t ops, const uint64_t *functions, uint64_t n)
{
	uint64_t hashes = patched_alloc(f, 24), hash = patched_alloc(f, 24);
	uint64_t buckets = patched_alloc(f, 16);

	fake_put64(&f->g, ops + 24, hashes);
	fake_put64(&f->g, hashes + 8, hash);
	fake_put64(&f->g, hash, 1); /* two buckets */
	fake_put64(&f->g, hash + 8, buckets);
	fake_put64(&f->g, hash + 16, n);
	for (uint64_t i = 0, node = 0; i < n; i++) {
		uint64_t entry = patched_alloc(f, 32);

		fake_put64(&f->g, entry, node);
		fake_put64(&f->g, entry + 16, functions[i]);
		fake_put64(&f->g, buckets + 8, entry);
		node = entry;
	}
	return buckets;
}

static void ftrace(void **state)
{
	static const uint64_t functions[] = { FUNC(1), FUNC(2), FUNC(3) };
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, TRAMPOLINE), buckets;

	fake_put64(&f->g, ops, HANDLER);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, 0); /* every function */
	buckets = filter(f, ops, functions, 3);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, FUNC(3));
	assert_int_equal(seen[0].more, 2);
	/* A filter that leads nowhere hides nobody. */
	fake_put64(&f->g, buckets + 8, 0x1000);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, 0);
	assert_true(seen[0].unread);
}

static void fprobes(void **state)
{
	struct patched *f = *state;
	uint64_t ops;

	patched_alloc(f, 16);
	ops = patched_ops(f, TRAMPOLINE);
	patched_alloc(f, 16); /* it goes on behind the ops */
	fake_put64(&f->g, ops, FPROBE);
	fake_put64(&f->g, ops + 56, HANDLER);
	expect(f, RF_HOOK_FPROBE, ops, HANDLER, 0);
}

static void create_again(struct patched *f)
{
	rf_hooks_destroy(hooks);
	assert_int_equal(rf_hooks_create(f->t, &f->g.m, &hooks), 0);
}

/* From 6.14 on they have a table, and an ops is all of theirs. */
static void fprobes_in_a_table(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_alloc(f, 64), listed = patched_alloc(f, 80), other;

	patched_later_fprobes(f);
	create_again(f);
	assert_true(rf_hooks_shows(hooks, RF_HOOK_FPROBE));
	fake_put64(&f->g, FPROBES + 8 * 63, listed);
	assert_int_equal(walk(f), 0); /* it is being taken out */
	assert_int_equal(count, 0);
	fake_put64(&f->g, listed + 16, probe);
	fake_put64(&f->g, probe + 48, TRACER);
	fake_put64(&f->g, probe + 56, HANDLER);
	fake_put64(&f->g, listed + 24, 3);
	fake_put64(&f->g, listed + 32 + 8, FUNC(2));
	expect(f, RF_HOOK_FPROBE, listed, HANDLER, FUNC(2));
	assert_int_equal(seen[0].more, 2);
	/* Places that are none hide nobody. */
	fake_put64(&f->g, listed + 24, 0x80000000);
	expect(f, RF_HOOK_FPROBE, listed, HANDLER, 0);
	assert_true(seen[0].unread);
	/* Both handlers, and what stands behind it. */
	other = patched_alloc(f, 80);
	fake_put64(&f->g, listed, other);
	fake_put64(&f->g, other + 16, probe);
	fake_put64(&f->g, probe + 48, HANDLER + 16);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 4);
	fake_put64(&f->g, other, listed); /* for ever */
	fake_put64(&f->g, probe + 48, 0);
	fake_put64(&f->g, probe + 56, 0);
	assert_int_equal(walk(f), -EBADMSG);
}

static void livepatches(void **state)
{
	struct patched *f = *state;
	uint64_t around = patched_alloc(f, 32), ops = patched_ops(f, TRAMPOLINE);
	uint64_t func = patched_alloc(f, 48);

	assert_int_equal(ops, around + 32);
	fake_put64(&f->g, ops, LIVEPATCH);
	fake_put64(&f->g, around + 16, around + 16); /* none is on the stack */
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
	fake_put64(&f->g, around + 16, func + 32);
	fake_put64(&f->g, func + 8, HANDLER);
	expect(f, RF_HOOK_LIVEPATCH, ops, HANDLER, 0);
}

static void forged_trampoline(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, HANDLER);

	fake_put64(&f->g, ops, FTRACE_STUB);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, 0);
	fake_put64(&f->g, ops + 40, TRAMPOLINE); /* no module's */
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

/* In whatever order modules are listed, one within another, beside or behind it. */
static void among_modules(void **state)
{
	static const struct rf_module_range ranges[] = {
		{ MODULE + 0x9000, 0x10 },   { MODULE + 0x1000, 0x1000 }, { MODULE + 0x2000, 0x800 },
		{ MODULE + 0x1000, 0x2000 }, { MODULE + 0x4000, 0x1000 }, { MODULE + 0x4800, 0x1000 },
		{ MODULE + 0x1100, 0x10 },   { MODULE + 0x9000, 0 },	  { 0x1000, 0x10 },
	};
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, TRAMPOLINE);

	fake_put64(&f->g, ops, FTRACE_STUB);
	f->g.ranges = ranges;
	f->g.nr_ranges = sizeof(ranges) / sizeof(ranges[0]);
	for (uint64_t at = MODULE; at < MODULE + 0xa000; at += 8) {
		bool in = false;

		for (size_t i = 0; i < f->g.nr_ranges; i++)
			in |= at >= ranges[i].base && at - ranges[i].base < ranges[i].size;
		fake_put64(&f->g, ops + 40, at);
		assert_int_equal(walk(f), 0);
		assert_int_equal(count, in);
	}
	f->g.nr_ranges = 0;
}

/* However many tracers there are, the list of modules is read once. */
static void modules_once(void **state)
{
	struct patched *f = *state;

	for (int i = 0; i < 220; i++)
		fake_put64(&f->g, patched_ops(f, TRAMPOLINE), TRACER);
	f->g.module_walks = 0;
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
	assert_int_equal(f->g.module_walks, 1);
	assert_int_equal(walk(f), 0);
	assert_int_equal(f->g.module_walks, 2);
}

/* Then nobody is accused, and that it could not be read is said. */
static void modules_unread(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, HANDLER);

	fake_put64(&f->g, ops, FTRACE_STUB);
	fake_put64(&f->g, KEY, HANDLER); /* hidden by nothing */
	f->g.modules_err = -EBADMSG;
	assert_int_equal(walk(f), -EBADMSG);
	assert_int_equal(count, 1);
	assert_int_equal(rf_hooks_look(hooks, &f->g.m, &f->g.p, RF_HOOK_FTRACE, ops, note, NULL),
			 -EBADMSG);
	f->g.modules_err = -ENOTSUP; /* a kernel that shows none */
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 1);
}

static void direct(void **state)
{
	struct patched *f = *state;
	uint64_t entry = patched_direct(f, FUNC(4), HANDLER | 1);

	expect(f, RF_HOOK_DIRECT, entry, HANDLER, FUNC(4));
}

static void probes(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE, 0x55, 0), child;

	fake_put64(&f->g, probe + 72, HANDLER); /* post_handler */
	expect(f, RF_HOOK_KPROBE, probe, HANDLER, CODE);
	fake_put64(&f->g, probe + 72, 0);
	fake_put64(&f->g, probe + 64, KRETPROBE);
	fake_put64(&f->g, probe + 120, HANDLER);
	expect(f, RF_HOOK_KRETPROBE, probe, HANDLER, CODE);
	/* Two at one place stand behind an aggregate, which is nobody's own. */
	child = patched_alloc(f, 160);
	fake_put64(&f->g, probe + 64, AGGREGATOR);
	fake_put64(&f->g, probe + 16, child + 16);
	fake_put64(&f->g, child + 16, probe + 16);
	fake_put64(&f->g, child + 40, CODE);
	fake_put64(&f->g, child + 64, HANDLER);
	expect(f, RF_HOOK_KPROBE, child, HANDLER, CODE);
	fake_put64(&f->g, child + 64, TRACER);
	fake_put64(&f->g, child + 16, child + 16); /* for ever */
	assert_int_equal(walk(f), -EBADMSG);
}

static void tracepoints(void **state)
{
	struct patched *f = *state;
	uint64_t funcs = patched_alloc(f, 64);

	fake_put64(&f->g, funcs, TRACER);
	fake_put64(&f->g, funcs + 16, HANDLER);
	fake_put64(&f->g, funcs + 32, HANDLER + 16);
	fake_put64(&f->g, TRACEPOINT(0) + 8, funcs);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 2);
	assert_int_equal(seen[1].handler, HANDLER + 16);
	assert_int_equal(seen[1].function, TRACEPOINT(0));
	/* Its own static call says the same again, and is not told. */
	fake_put64(&f->g, TRACEPOINT_KEY, HANDLER);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 2);
	/* What is no tracepoint, nor a key, is none because somebody says so. */
	assert_int_equal(rf_hooks_look(hooks, &f->g.m, &f->g.p, RF_HOOK_TRACEPOINT,
				       TRACEPOINT(1) + 8, note, NULL),
			 -ENOENT);
	assert_int_equal(rf_hooks_look(hooks, &f->g.m, &f->g.p, RF_HOOK_STATIC_CALL,
				       TRACEPOINT_KEY + 8, note, NULL),
			 -ENOENT);
	assert_int_equal(rf_hooks_look(hooks, &f->g.m, &f->g.p, RF_HOOK_KINDS, HANDLER, note, NULL),
			 -ENOENT);
}

/* What a tracepoint's static call says, and the tracepoint has not: static_call_update() by
 * hand. */
static void tracepoint_key(void **state)
{
	struct patched *f = *state;
	uint64_t funcs = patched_alloc(f, 32);

	fake_put64(&f->g, funcs, TRACER);
	fake_put64(&f->g, TRACEPOINT(0) + 8, funcs);
	fake_put64(&f->g, TRACEPOINT_KEY, HANDLER);
	expect(f, RF_HOOK_STATIC_CALL, TRACEPOINT_KEY, HANDLER, TRACEPOINT_KEY);
	assert_true(seen[0].settling); /* the kernel writes the key first */
}

/* The same one may be there many times with other data; what is cut off is not so silently. */
static void seventeenth(void **state)
{
	struct patched *f = *state;
	uint64_t funcs = patched_alloc(f, 34 * 16);

	for (uint64_t i = 0; i < 16; i++)
		fake_put64(&f->g, funcs + 16 * i, HANDLER);
	fake_put64(&f->g, funcs + 16 * 16, HANDLER + 0x40);
	fake_put64(&f->g, TRACEPOINT(1) + 8, funcs);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 2);
	assert_int_equal(seen[1].handler, HANDLER + 0x40);
	for (uint64_t i = 0; i < 17; i++)
		fake_put64(&f->g, funcs + 16 * i, HANDLER + i);
	assert_int_equal(walk(f), -EBADMSG);
	assert_int_equal(count, RF_HOOKS_EACH);
}

/* The kernel calls the post_handler of an aggregate itself, and of a kretprobe's probe. */
static void post_handlers(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE, 0x55, 0), child = patched_alloc(f, 160);

	fake_put64(&f->g, probe + 64, AGGREGATOR);
	fake_put64(&f->g, probe + 72, HANDLER);
	fake_put64(&f->g, probe + 16, child + 16);
	fake_put64(&f->g, child + 16, probe + 16);
	fake_put64(&f->g, child + 40, CODE);
	fake_put64(&f->g, child + 64, TRACER);
	expect(f, RF_HOOK_KPROBE, probe, HANDLER, CODE);
	fake_put64(&f->g, probe + 64, KRETPROBE);
	fake_put64(&f->g, probe + 120, TRACER);
	expect(f, RF_HOOK_KRETPROBE, probe, HANDLER, CODE);
}

/* The detour of an optimised probe is allocated: one that is a module's code is forged. */
static void detour(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT), child = patched_alloc(f, 160);

	fake_put64(&f->g, probe + 16, child + 16);
	fake_put64(&f->g, child + 16, probe + 16);
	fake_put64(&f->g, child + 40, CODE + 4);
	fake_put64(&f->g, child + 64, TRACER);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
	fake_put64(&f->g, probe + 144, HANDLER);
	expect(f, RF_HOOK_KPROBE, probe, HANDLER, CODE + 4);
}

/* ftrace_pid_func() calls saved_func. */
static void by_pid(void **state)
{
	struct patched *f = *state;
	uint64_t ops;

	fake_symbol(&f->g, "ftrace_pid_func", TEXT + 0x1280, 't');
	fake_member(&f->g, "ftrace_ops", "saved_func", 32, 8);
	rf_hooks_destroy(hooks);
	assert_int_equal(rf_hooks_create(f->t, &f->g.m, &hooks), 0);
	ops = patched_ops(f, TRAMPOLINE);
	fake_put64(&f->g, ops, TEXT + 0x1280);
	fake_put64(&f->g, ops + 32, HANDLER);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, 0);
}

static void static_calls(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, KEY, HANDLER);
	expect(f, RF_HOOK_STATIC_CALL, KEY, HANDLER, KEY);
}

/* A function calls what was a tracer's; the tracer is on no list any more. */
static void unlisted(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, HANDLER);

	fake_put64(&f->g, ops, TRACER);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, HANDLER), RF_PATCH_DONE);
	expect(f, RF_HOOK_FTRACE, ops, HANDLER, 0);
	fake_put64(&f->g, OPS_VAR, OPS_END);
	assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_UNLISTED, HANDLER, HANDLER, 0);
	assert_int_equal(patched_poke(f, FUNC(5), patched_nop5, 5), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

/* The same by a jump, which BPF's trampolines of 7.3 are reached by. */
static void unlisted_jump(void **state)
{
	struct patched *f = *state;
	uint64_t entry = patched_direct(f, FUNC(5), HANDLER | 1);

	assert_int_equal(patched_call(f, FUNC(5), 0xe9, HANDLER), RF_PATCH_DONE);
	expect(f, RF_HOOK_DIRECT, entry, HANDLER, FUNC(5));
	fake_put64(&f->g, entry + 24, TRACER);
	for (int i = 0; i < 3; i++)
		assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_UNLISTED, HANDLER, HANDLER, 0);
	assert_true(seen[0].settling);
	assert_int_equal(patched_poke(f, FUNC(5), patched_nop5, 5), RF_PATCH_DONE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

/* Out of the table with its breakpoint in text: the kernel takes that back first. */
static void stray(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE, 0x55, 0);

	assert_int_equal(patched_byte(f, CODE, 0xcc), RF_PATCH_DONE);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
	patched_unprobe(f, probe);
	assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_STRAY, CODE, CODE, CODE);
	assert_true(seen[0].settling);
	assert_int_equal(patched_byte(f, CODE, 0x55), RF_PATCH_DONE);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

/* The jump that replaces a breakpoint says where it leads. */
static void stray_detour(void **state)
{
	struct patched *f = *state;
	uint64_t probe = patched_probe(f, CODE + 4, 0xb8, SLOT);
	uint8_t insn[5];

	patched_detour(f, insn);
	assert_int_equal(patched_byte(f, CODE + 4, 0xcc), RF_PATCH_DONE);
	assert_int_equal(patched_poke(f, CODE + 4, insn, 5), RF_PATCH_DONE);
	patched_unprobe(f, probe);
	assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_STRAY, CODE + 4, SLOT, CODE + 4);
}

/* ftrace_call itself: ftrace_update_ftrace_func() by hand. */
static void trace_function(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, FUNC_VAR, HANDLER);
	assert_int_equal(patched_call(f, FTRACE_CALL, 0xe8, HANDLER), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_UNLISTED, HANDLER, HANDLER, 0);
}

/* A call site holds it, and its key says another function again. */
static void key_set_back(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, KEY, HANDLER);
	assert_int_equal(patched_call(f, CALL, 0xe8, HANDLER), RF_PATCH_DONE);
	expect(f, RF_HOOK_STATIC_CALL, KEY, HANDLER, KEY);
	fake_put64(&f->g, KEY, FUNC(0));
	for (int i = 0; i < 5; i++)
		assert_int_equal(patched_sweep(f), 0);
	expect(f, RF_HOOK_UNLISTED, HANDLER, HANDLER, 0);
	assert_int_equal(patched_call(f, CALL, 0xe8, FUNC(0)), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(walk(f), 0);
	assert_int_equal(count, 0);
}

static int look_too(void *f, const struct rf_hook *hook)
{
	struct patched *p = f;

	note(NULL, hook);
	rf_hooks_look(hooks, &p->g.m, &p->g.p, hook->kind, hook->object, note, NULL);
	return 0;
}

/* Without a sweeper it is looked at one while the others are walked: that spoils no scratch. */
static void looked_at_meanwhile(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, HANDLER);

	fake_put64(&f->g, ops, TRACER);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, HANDLER), RF_PATCH_DONE);
	fake_put64(&f->g, OPS_VAR, OPS_END);
	fake_put64(&f->g, patched_ops(f, TRAMPOLINE), TRACER);
	fake_put64(&f->g, KEY, HANDLER + 0x20);
	assert_int_equal(patched_call(f, FUNC(6), 0xe8, TRAMPOLINE), RF_PATCH_DONE);
	assert_int_equal(patched_call(f, CALL, 0xe8, HANDLER + 0x20), RF_PATCH_DONE);
	assert_int_equal(patched_sweep(f), 0);
	count = 0;
	f->g.module_walks = 0;
	assert_int_equal(rf_hooks_walk(hooks, &f->g.m, &f->g.p, look_too, f), 0);
	assert_int_equal(count, 4); /* what is not listed, and the key's function: twice each */
	assert_int_equal(f->g.module_walks, 1);
	for (size_t i = 0; i < count; i++)
		assert_int_not_equal(seen[i].handler, TRAMPOLINE);
}

/* More that are listed than are looked through: nobody is accused, and that is said. */
static void crowded(void **state)
{
	struct patched *f = *state;
	uint64_t hash, buckets, chain = patched_alloc(f, 16 * 522);
	uint64_t ops = patched_ops(f, HANDLER);

	fake_put64(&f->g, ops, TRACER);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, HANDLER), RF_PATCH_DONE);
	fake_put64(&f->g, OPS_VAR, OPS_END);
	assert_int_equal(rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(DIRECT_VAR), &hash, 8), 0);
	assert_int_equal(rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(hash + 8), &buckets, 8), 0);
	for (uint64_t i = 0; i < 520; i++) {
		fake_put64(&f->g, chain + 16 * i, i < 519 ? chain + 16 * (i + 1) : 0);
		fake_put64(&f->g, chain + 16 * i + 24, TRACER);
	}
	for (uint64_t i = 0; i < 16; i++)
		fake_put64(&f->g, buckets + 8 * i, chain);
	assert_int_equal(patched_sweep(f), 0);
	assert_int_equal(walk(f), -EBADMSG);
	assert_int_equal(count, 0);
}

static struct rf_budget budget;

static int within_budget(void *guest, rf_gpa gpa, void *buf, size_t len)
{
	budget.to = ((struct fake_guest *)guest)->m;
	return rf_budget_read(&budget, gpa, buf, len);
}

/* What is too much for one look of the monitor's is told by the sweeper's word, if text calls
 * it. */
static void too_much_for_one_look(void **state)
{
	struct patched *f = *state;
	struct rf_memory m = { within_budget, &f->g };
	uint64_t ops = patched_ops(f, HANDLER), first;

	fake_put64(&f->g, ops, TRACER);
	assert_int_equal(patched_call(f, FUNC(5), 0xe8, HANDLER), RF_PATCH_DONE);
	fake_put64(&f->g, OPS_VAR, OPS_END);
	first = ops;
	for (int i = 0; i < 100; i++)
		fake_put64(&f->g, first = patched_ops(f, TRAMPOLINE), TRACER);
	assert_int_equal(patched_sweep(f), 0);
	rf_budget_begin(&budget, 100);
	count = 0;
	assert_int_equal(rf_hooks_look(hooks, &m, &f->g.p, RF_HOOK_UNLISTED, HANDLER, note, NULL),
			 0);
	assert_int_equal(count, 1);
	assert_true(seen[0].unread);
	rf_budget_begin(&budget, 100);
	assert_int_equal(
		rf_hooks_look(hooks, &m, &f->g.p, RF_HOOK_UNLISTED, HANDLER + 64, note, NULL),
		-E2BIG);
	assert_int_equal(count, 1);
}

/* One list that does not end hides neither what is before its end nor the others. */
static void endless(void **state)
{
	struct patched *f = *state;
	uint64_t ops = patched_ops(f, TRAMPOLINE);

	fake_put64(&f->g, ops, TRACER);
	fake_put64(&f->g, ops + 8, ops);
	fake_put64(&f->g, KEY, HANDLER);
	assert_int_equal(walk(f), -EBADMSG);
	assert_int_equal(count, 1);
	fake_put64(&f->g, ops + 8, 0x1000); /* nowhere */
	assert_true(walk(f) < 0);
	assert_int_equal(count, 1);
}

static void ended(void **state)
{
	struct patched *f = *state;

	fake_put64(&f->g, patched_ops(f, TRAMPOLINE), HANDLER);
	fake_put64(&f->g, KEY, HANDLER);
	answer = -ENOMEM;
	assert_int_equal(walk(f), -ENOMEM);
	assert_int_equal(count, 1);
}

static void bpf(void **state)
{
	struct patched *f = *state;
	uint64_t ksym = patched_alloc(f, 64);
	char name[RF_BPF_NAME];

	assert_int_equal(rf_hooks_bpf(hooks, &f->g.m, &f->g.p, rf_gva_of(JITED), name), -ENOENT);
	fake_put64(&f->g, ksym, JITED - 16);
	fake_put64(&f->g, ksym + 8, JITED + 16);
	fake_write(&f->g, ksym + 16, "bpf_\x01prog", 10);
	fake_put64(&f->g, ksym + 48, BPF_LIST);
	fake_put64(&f->g, BPF_LIST, ksym + 48);
	assert_int_equal(rf_hooks_bpf(hooks, &f->g.m, &f->g.p, rf_gva_of(JITED), name), 0);
	assert_string_equal(name, "bpf_?prog");
	assert_int_equal(rf_hooks_bpf(hooks, &f->g.m, &f->g.p, rf_gva_of(JITED + 16), name),
			 -ENOENT);
	fake_put64(&f->g, ksym + 48, ksym + 48);
	assert_int_equal(rf_hooks_bpf(hooks, &f->g.m, &f->g.p, rf_gva_of(HANDLER), name), -EBADMSG);
	fake_put64(&f->g, ksym + 48, 0x1000); /* nowhere: that is not nobody's */
	assert_int_equal(rf_hooks_bpf(hooks, &f->g.m, &f->g.p, rf_gva_of(HANDLER), name), -EFAULT);
}

/* A kernel whose kallsyms have no data: what is not looked for is said. */
static void not_shown(void **state)
{
	static const char *const data[] = { "ftrace_ops_list", "kprobe_table",
					    "__start___tracepoints_ptrs" };
	struct patched *f = *state;

	for (int kind = 1; kind < RF_HOOK_KINDS; kind++)
		assert_true(rf_hooks_shows(hooks, (enum rf_hook_kind)kind));
	for (size_t n = 0; n < 3; n++)
		patched_rename(f, data[n], "not_in_kallsyms");
	create_again(f);
	for (int kind = 1; kind < RF_HOOK_KINDS; kind++)
		assert_int_equal(rf_hooks_shows(hooks, (enum rf_hook_kind)kind),
				 kind == RF_HOOK_STATIC_CALL);
}

static void names(void **state)
{
	for (int kind = 1; kind < RF_HOOK_KINDS; kind++)
		assert_non_null(rf_hook_text((enum rf_hook_kind)kind));
	assert_null(rf_hook_text((enum rf_hook_kind)0));
	assert_null(rf_hook_text((enum rf_hook_kind)RF_HOOK_KINDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(ftrace, setup, teardown),
		cmocka_unit_test_setup_teardown(fprobes, setup, teardown),
		cmocka_unit_test_setup_teardown(fprobes_in_a_table, setup, teardown),
		cmocka_unit_test_setup_teardown(livepatches, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_trampoline, setup, teardown),
		cmocka_unit_test_setup_teardown(among_modules, setup, teardown),
		cmocka_unit_test_setup_teardown(modules_once, setup, teardown),
		cmocka_unit_test_setup_teardown(modules_unread, setup, teardown),
		cmocka_unit_test_setup_teardown(direct, setup, teardown),
		cmocka_unit_test_setup_teardown(probes, setup, teardown),
		cmocka_unit_test_setup_teardown(tracepoints, setup, teardown),
		cmocka_unit_test_setup_teardown(static_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(unlisted, setup, teardown),
		cmocka_unit_test_setup_teardown(tracepoint_key, setup, teardown),
		cmocka_unit_test_setup_teardown(seventeenth, setup, teardown),
		cmocka_unit_test_setup_teardown(post_handlers, setup, teardown),
		cmocka_unit_test_setup_teardown(detour, setup, teardown),
		cmocka_unit_test_setup_teardown(by_pid, setup, teardown),
		cmocka_unit_test_setup_teardown(unlisted_jump, setup, teardown),
		cmocka_unit_test_setup_teardown(stray, setup, teardown),
		cmocka_unit_test_setup_teardown(stray_detour, setup, teardown),
		cmocka_unit_test_setup_teardown(trace_function, setup, teardown),
		cmocka_unit_test_setup_teardown(key_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(looked_at_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(crowded, setup, teardown),
		cmocka_unit_test_setup_teardown(too_much_for_one_look, setup, teardown),
		cmocka_unit_test_setup_teardown(endless, setup, teardown),
		cmocka_unit_test_setup_teardown(ended, setup, teardown),
		cmocka_unit_test_setup_teardown(bpf, setup, teardown),
		cmocka_unit_test_setup_teardown(not_shown, setup, teardown),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
