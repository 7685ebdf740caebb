// SPDX-License-Identifier: LGPL-2.1-or-later
/* What checks walk beside lists: maple trees, CPUs, mapped pages, entries of functions; and how
 * hooks and BPF programs are judged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "tests/unit/fake_hooks.h"
#include "tests/unit/checking.h"

#define TREE (FAKE_BASE + 0x40000)
#define NODES FAKE_HEAP /* of 256 bytes each */
#define MODULE (FAKE_HEAP + 0x8000)
#define CODE (FAKE_HEAP + 0x9000) /* of that module: 0x1000 bytes */
#define PROGRAMS (FAKE_HEAP + 0x10000)

enum { DENSE, LEAF, RANGE, GAPS }; /* enum maple_type */

static unsigned int seen_count;
static uint64_t seen[64];

static int setup(void **state)
{
	kernel = fake_types();
	fake_hooks_count = 0;
	fake_odd = 0;
	seen_count = 0;
	list_module(MODULE, CODE);
	return 0;
}

static enum rf_check_state run_known(const struct rf_check *check, const char *known)
{
	begin_with(false, known);
	return run_begun(check);
}

static enum rf_check_state run_check(const struct rf_check *check)
{
	return run_known(check, NULL);
}

static int note_object(struct rf_run *run, uint64_t object, void *ctx)
{
	rf_run_saw(run);
	if (seen_count < 64)
		seen[seen_count++] = object;
	return 0;
}

/* The nobody of these tests is not vouched for. */
static void taint_module(void)
{
	fake_u64(MODULE + 0x70, 1 << 12);
}

/* --- maple trees ------------------------------------------------------------------------ */

static int walk_tree(struct rf_run *run)
{
	return rf_run_mtree(run, TREE, note_object, NULL);
}

static const struct rf_check tree_check = { .name = "x", .reads = 4000, .run = walk_tree };

static void tree_types(void)
{
	fake_member("maple_tree", "ma_root", 8, 8);
	fake_member("maple_node", "parent", 0, 8);
	fake_sizeof("maple_node", 256);
	fake_member("maple_range_64", "pivot", 8, 120);
	fake_member("maple_range_64", "slot", 128, 128);
	fake_member("maple_arange_64", "pivot", 8, 72);
	fake_member("maple_arange_64", "slot", 80, 80);
	fake_enumerator("maple_leaf_64", LEAF);
	fake_enumerator("maple_range_64", RANGE);
	fake_enumerator("maple_arange_64", GAPS);
}

static uint64_t node(unsigned int i)
{
	return NODES + i * 256;
}

/* As a slot has it: bit 2 means that there is a NULL below. */
static uint64_t entry(unsigned int i, unsigned int type)
{
	return node(i) | type << 3 | 4;
}

static void root(unsigned int type)
{
	fake_u64(TREE + 8, entry(0, type) | 2);
	fake_u64(node(0), TREE | 1);
}

static void under(unsigned int child, unsigned int parent, unsigned int slot)
{
	fake_u64(node(child), node(parent) | slot << 3 | 6);
}

static void leaf_slot(unsigned int of, unsigned int i, uint64_t pivot, uint64_t value)
{
	if (i < 15)
		fake_u64(node(of) + 8 + i * 8, pivot);
	fake_u64(node(of) + 128 + i * 8, value);
}

static void gaps_slot(unsigned int of, unsigned int i, uint64_t pivot, uint64_t value)
{
	if (i < 9)
		fake_u64(node(of) + 8 + i * 8, pivot);
	fake_u64(node(of) + 80 + i * 8, value);
}

static void a_tree_without_nodes(void **state)
{
	tree_types();
	assert_int_equal(run_check(&tree_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 0);
	fake_u64(TREE + 8, NOBODY);
	assert_int_equal(run_check(&tree_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 1);
	assert_int_equal(seen[0], NOBODY);
}

static void a_tree_of_two_levels(void **state)
{
	tree_types();
	root(GAPS);
	gaps_slot(0, 0, 63, entry(1, LEAF));
	gaps_slot(0, 1, 0, entry(2, LEAF)); /* the last pivot is not written */
	gaps_slot(0, 2, 5, 0x1234);	    /* what was there once */
	under(1, 0, 0);
	under(2, 0, 1);
	leaf_slot(1, 0, 0, NOBODY);
	leaf_slot(1, 1, 9, 0);
	leaf_slot(1, 2, 10, 0x55); /* a value */
	leaf_slot(1, 3, 63, NOBODY + 8);
	leaf_slot(1, 4, 70, NOBODY + 16); /* behind the end */
	for (unsigned int i = 0; i < 16; i++)
		leaf_slot(2, i, i == 15 ? 0 : 64 + i, NOBODY + 0x100 + i * 8);
	assert_int_equal(run_check(&tree_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 18);
	assert_int_equal(seen[0], NOBODY);
	assert_int_equal(seen[1], NOBODY + 8);
	assert_int_equal(seen[17], NOBODY + 0x178);
}

static void a_tree_that_lies(void **state)
{
	tree_types();
	root(LEAF);
	leaf_slot(0, 0, 5, NOBODY);
	leaf_slot(0, 1, 3, NOBODY); /* it ends before it begins */
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	root(DENSE);
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	root(GAPS);
	gaps_slot(0, 0, 63, entry(1, LEAF));
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED); /* the child knows nothing */
	under(1, 0, 0);
	leaf_slot(1, 0, 64, NOBODY); /* it goes on behind its parent's slot */
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	leaf_slot(1, 0, 63, NOBODY);
	gaps_slot(0, 1, 0, 0); /* and nothing behind it */
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	fake_u64(node(0), node(0)); /* the tree has given it up */
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	fake_u64(TREE + 8, UINT64_C(0xffff888000000000) + FAKE_SIZE - 0x800 + 2 + (LEAF << 3));
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
}

static void a_tree_without_end(void **state)
{
	tree_types();
	root(GAPS);
	/* It leads to itself, or to its parent. */
	gaps_slot(0, 0, 63, entry(0, GAPS));
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
	for (unsigned int i = 0; i < 40; i++) {
		gaps_slot(i, 0, UINT64_MAX, entry(i + 1, GAPS));
		under(i + 1, i, 0);
	}
	assert_int_equal(run_check(&tree_check), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "the list does not end");
	assert_int_equal(told[0].object.v, TREE);
	/* As wide as it can be: what is below leaves its slot. */
	for (unsigned int i = 0; i < 10; i++)
		gaps_slot(0, i, i, entry(1, GAPS));
	assert_int_equal(run_check(&tree_check), RF_CHECK_UNDECIDED);
}

static void a_tree_of_another_kernel(void **state)
{
	tree_types();
	fake_types();
	assert_int_equal(run_check(&tree_check), RF_CHECK_NOT_RUN);
	fake_member("maple_tree", "ma_root", 8, 8);
	fake_member("maple_node", "parent", 0, 8);
	fake_sizeof("maple_node", 256);
	fake_member("maple_range_64", "pivot", 8, 120);
	fake_member("maple_range_64", "slot", 128, 64); /* fewer than pivots */
	fake_enumerator("maple_leaf_64", LEAF);
	assert_int_equal(run_check(&tree_check), RF_CHECK_NOT_RUN);
	assert_non_null(strstr(result.why, "maple"));
}

/* --- CPUs --------------------------------------------------------------------------------- */

#define OFFSETS (FAKE_BASE + 0x41000)
#define COUNT (FAKE_BASE + 0x41100)
#define MASK (FAKE_BASE + 0x41200)

static int note_cpu(struct rf_run *run, uint32_t cpu, uint64_t base, void *ctx)
{
	return note_object(run, base + cpu, ctx);
}

static int walk_cpus(struct rf_run *run)
{
	return rf_run_cpus(run, note_cpu, NULL);
}

static const struct rf_check cpu_check = { .name = "x", .reads = 100, .run = walk_cpus };

static void cpus(uint32_t count)
{
	fake_symbol("__per_cpu_offset", OFFSETS);
	fake_symbol("nr_cpu_ids", COUNT);
	fake_u64(COUNT, count);
	for (unsigned int i = 0; i < 8; i++)
		fake_u64(OFFSETS + i * 8, FAKE_HEAP + i * 0x1000);
}

static void each_possible_cpu(void **state)
{
	cpus(3);
	assert_int_equal(run_check(&cpu_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 1); /* a kernel without a mask is for one */
	fake_symbol("__cpu_possible_mask", MASK);
	fake_u64(MASK, 5);
	seen_count = 0;
	assert_int_equal(run_check(&cpu_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[1], FAKE_HEAP + 0x2002);
}

/* nr_cpu_ids is data, which anybody may set. */
static void cpus_that_are_hidden(void **state)
{
	cpus(1);
	fake_symbol("__cpu_possible_mask", MASK);
	fake_u64(MASK, 0xff);
	assert_int_equal(run_check(&cpu_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 8);
	fake_u64(MASK, UINT64_MAX); /* the array has room for 8 */
	fake_u64(COUNT, UINT32_MAX);
	seen_count = 0;
	assert_int_equal(run_check(&cpu_check), RF_CHECK_CLEAN);
	assert_int_equal(seen_count, 8);
}

static int measure(struct rf_run *run)
{
	assert_int_equal(rf_run_percpu_room(run, 0x1000), 0x80);
	assert_int_equal(rf_run_percpu_room(run, FAKE_BASE + 0x50000), 0x40);
	assert_int_equal(rf_run_percpu_room(run, UINT64_MAX), 0);
	return 0;
}

static void room_of_a_symbol(void **state)
{
	const struct rf_check check = { .name = "x", .reads = 100, .run = measure };

	fake_symbol("counted_from_0", 0x1000);
	fake_symbol("its_other_name", 0x1000);
	fake_symbol("next", 0x1080);
	fake_symbol("in_the_image", FAKE_BASE + 0x50000);
	fake_symbol("behind_it", FAKE_BASE + 0x50040);
	assert_int_equal(run_check(&check), RF_CHECK_CLEAN);
}

/* A timer in each CPU's only list. */
static void timers(void **state)
{
	const uint64_t base = FAKE_HEAP + 0x100, timer = NOBODY;

	cpus(1);
	fake_symbol("timer_bases", 0x100);
	fake_symbol("behind_them", 0x180);
	fake_sizeof("timer_base", 0x40);
	fake_member("timer_base", "cpu", 0, 4);
	fake_member("timer_base", "vectors", 8, 16);
	fake_member("timer_list", "function", 0x10, 8);
	fake_u64(base + 0x40 + 16, timer); /* the second base's second list */
	fake_u64(timer + 0x10, FAKE_STEXT);
	assert_int_equal(run_check(&rf_check_timers), RF_CHECK_NOT_RUN); /* no others are known */
	assert_int_equal(result.looked_at, 1);
	fake_u64(timer + 0x10, NOBODY);
	assert_int_equal(run_check(&rf_check_timers), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "timer of CPU 0");
	fake_u64(base, 7); /* it is another CPU's */
	assert_int_equal(run_check(&rf_check_timers), RF_CHECK_UNDECIDED);
}

/* --- pages ---------------------------------------------------------------------------------- */

static void pages_of_somebody(void **state)
{
	map(FAKE_STEXT, 16, false, true);
	map(FAKE_HEAP, 1, true, true);
	map(FAKE_HEAP + 0x1000, 1, false, false);
	map(CODE, 1, false, true);
	put(FAKE_HEAP, "\x90", 1);
	put(FAKE_HEAP + 0x1000, "\x90", 1);
	put(CODE, "\x90", 1);
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 2);
}

static void pages_of_nobody(void **state)
{
	map(CODE, 4, false, true);
	put(CODE + 0x1000, "\x0f\x05", 2);
	put(CODE + 0x2000, "\xc3", 1);
	put(CODE + 0x3000, "\xcc\xcc\xff\xe0\xcc\xea\x75\xfd\x41\xff\xe3\xcc", 12); /* thunks */
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].object.v, CODE + 0x1000);
	assert_string_equal(told[0].what, "2 executable pages");
	assert_string_equal(told[0].owner, "nobody");
	assert_int_equal(told[0].bytes[1], 5);
	put(CODE + 0x3000 + 12, "\xff\xd0\xcc", 3); /* a call is no such thunk */
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "3 executable pages");
}

static void text_that_is_elsewhere(void **state)
{
	map(FAKE_STEXT, 1, false, true);
	fake_mappings[0].gpa.v += FAKE_IMAGE;
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_FOUND);
	assert_int_equal(told[0].target.v, FAKE_STEXT);
}

static void trampolines(void)
{
	const uint64_t ops = FAKE_HEAP + 0x6000, end = FAKE_BASE + 0x42000;

	fake_symbol("ftrace_ops_list", FAKE_BASE + 0x42100);
	fake_member("ftrace_ops", "next", 0, 8);
	fake_member("ftrace_ops", "trampoline", 8, 8);
	fake_member("ftrace_ops", "trampoline_size", 0x10, 8);
	fake_u64(FAKE_BASE + 0x42100, ops);
	fake_u64(ops, end);
	fake_u64(ops + 8, NOBODY);
	fake_u64(ops + 0x10, 0x100);
}

static void pages_of_tracers(void **state)
{
	trampolines();
	map(NOBODY, 1, false, true);
	put(NOBODY, "\x90", 1);
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_CLEAN);
	fake_u64(FAKE_HEAP + 0x6010, UINT64_C(1) << 40); /* as large as to hide anything */
	assert_int_equal(run_check(&rf_check_code_of_nobody), RF_CHECK_UNDECIDED);
}

/* --- entries of functions ------------------------------------------------------------------ */

#define FUNCTION (FAKE_STEXT + 0x200)

static void jump(uint64_t at, uint8_t opcode, uint64_t to)
{
	int32_t distance = (int32_t)(to - at - 5);

	fake_bytes[at % FAKE_SIZE] = opcode;
	memcpy(fake_bytes + at % FAKE_SIZE + 1, &distance, 4);
}

static bool is_odd(void)
{
	return run_check(&rf_check_hooks_unlisted) == RF_CHECK_FOUND;
}

static void entries(void **state)
{
	const uint64_t near = FAKE_BASE + 0x60000;

	fake_symbol("victim", FUNCTION);
	put(FUNCTION, "\xf3\x0f\x1e\xfa\x0f\x1f\x44\x00\x00", 9);
	assert_false(is_odd());
	jump(FUNCTION + 4, 0xe9, FAKE_STEXT + 0x800);
	assert_false(is_odd());
	jump(FUNCTION + 4, 0xe9, near);
	assert_true(is_odd());
	assert_string_equal(told[0].what, "entry of victim");
	assert_int_equal(told[0].target.v, near);
	jump(FUNCTION + 4, 0xe8, near);
	assert_true(is_odd());
	/* movabs rax; jmp rax, and push; ret */
	put(FUNCTION, "\x48\xb8\x56\x34\x12\x00\x80\x88\xff\xff\xff\xe0", 12);
	assert_true(is_odd());
	assert_int_equal(told[0].target.v, UINT64_C(0xffff888000123456));
	put(FUNCTION, "\x68\x00\x00\x12\xc0\xc3", 6);
	assert_true(is_odd());
	put(FUNCTION, "\x68\x00\x00\x12\x00\xc7\x44\x24\x04\x80\x88\xff\xff\xc3", 14);
	assert_true(is_odd());
	assert_int_equal(told[0].target.v, UINT64_C(0xffff888000120000));
	put(FUNCTION, "\xff\x25\x00\x00\x00\x00\x00\x00\x12\x00\x80\x88\xff\xff", 14);
	assert_true(is_odd());
	put(FUNCTION, "\xff\x25\x10\x00\x00\x00", 6); /* a variable of the kernel's */
	assert_false(is_odd());
}

static void entries_with_probes(void **state)
{
	const uint64_t probe = FAKE_HEAP + 0x7000;

	fake_symbol("victim", FUNCTION);
	put(FUNCTION, "\xcc\x90", 2);
	assert_true(is_odd());
	fake_symbol("kprobe_table", FAKE_BASE + 0x43000);
	fake_member("kprobe", "hlist", 0, 16);
	fake_member("kprobe", "addr", 0x10, 8);
	fake_u64(FAKE_BASE + 0x43008, probe);
	fake_u64(probe + 0x10, FUNCTION);
	assert_false(is_odd());
	fake_u64(probe + 0x10, FUNCTION + 1);
	assert_true(is_odd());
	put(FUNCTION, "\xcc\xcc", 2); /* between functions */
	assert_false(is_odd());
}

/* While the kernel patches a function, a breakpoint is on it: 6.x, where a pointer leads to the
 * places. */
static void entries_that_are_patched(void **state)
{
	const uint64_t desc = FAKE_BASE + 0x44000, vec = FAKE_HEAP + 0x7000;

	fake_symbol("victim", FUNCTION);
	put(FUNCTION, "\xcc\x90", 2);
	fake_symbol("bp_desc", desc);
	fake_member("bp_patching_desc", "vec", 0, 8);
	fake_member("bp_patching_desc", "nr_entries", 8, 4);
	fake_member("bp_patching_desc", "refs", 12, 4);
	fake_member("text_poke_loc", "rel_addr", 0, 4);
	fake_sizeof("text_poke_loc", 16);
	fake_u64(desc, vec);
	fake_u64(desc + 8, UINT64_C(1) << 32 | 2);
	fake_u64(vec, 0x100);
	fake_u64(vec + 16, FUNCTION - FAKE_STEXT);
	assert_false(is_odd());
	fake_u64(desc + 8, UINT64_C(1) << 32 | 1); /* one place alone, the other one */
	assert_true(is_odd());
	fake_u64(desc + 8, 2); /* it is done */
	assert_true(is_odd());
	fake_u64(desc + 8, UINT64_C(1) << 32 | UINT32_MAX); /* no kernel has so many */
	assert_int_equal(run_check(&rf_check_hooks_unlisted), RF_CHECK_CLEAN);
}

/* 7.x, where they are in a table. */
static void entries_in_the_table(void **state)
{
	const uint64_t table = FAKE_BASE + 0x44000;

	fake_symbol("victim", FUNCTION);
	put(FUNCTION, "\xcc\x90", 2);
	fake_symbol("text_poke_array", table);
	fake_member("smp_text_poke_array", "vec", 0, 4096);
	fake_member("smp_text_poke_array", "nr_entries", 4096, 4);
	fake_member("smp_text_poke_loc", "rel_addr", 0, 4);
	fake_sizeof("smp_text_poke_loc", 16);
	fake_u64(table, FUNCTION - FAKE_STEXT);
	assert_true(is_odd());
	fake_u64(table + 4096, 1);
	assert_false(is_odd());
}

static void odd_sites(void **state)
{
	fake_odd = 2;
	assert_true(is_odd());
	assert_non_null(strstr(told[0].what, "the first of 2"));
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void hook(enum rf_hook_kind kind, uint64_t handler)
{
	fake_symbol("register_ftrace_function", FAKE_STEXT);
	fake_symbol("register_kprobe", FAKE_STEXT);
	fake_hooks[0] = (struct rf_hook){ .kind = kind,
					  .object = NOBODY,
					  .handler = handler,
					  .function = FAKE_STEXT,
					  .more = 2 };
	fake_hooks_count = 1;
}

static void hooks_by_owner(void **state)
{
	hook(RF_HOOK_FTRACE, CODE);
	assert_int_equal(run_check(&rf_check_hooks_ftrace), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 1);
	taint_module();
	assert_int_equal(run_check(&rf_check_hooks_ftrace), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "ftrace hook of image and 2 more");
	assert_string_equal(told[0].owner, "module tracer");
	assert_int_equal(told[0].target.v, CODE);
	assert_int_equal(run_known(&rf_check_hooks_ftrace, "tracer"), RF_CHECK_CLEAN);
	/* Each check has its kinds. */
	assert_int_equal(run_check(&rf_check_hooks_kprobes), RF_CHECK_CLEAN);
	assert_int_equal(run_check(&rf_check_hooks_fprobes), RF_CHECK_CLEAN); /* it has none */
	fake_symbol("register_fprobe", FAKE_STEXT);
	assert_int_equal(run_check(&rf_check_hooks_fprobes), RF_CHECK_NOT_RUN);
	hook(RF_HOOK_KRETPROBE, NOBODY);
	assert_int_equal(run_check(&rf_check_hooks_kprobes), RF_CHECK_FOUND);
	hook(RF_HOOK_UNLISTED, CODE);
	assert_int_equal(run_known(&rf_check_hooks_unlisted, "tracer"), RF_CHECK_FOUND);
	hook(RF_HOOK_STRAY, FAKE_STEXT + 8);
	assert_int_equal(run_check(&rf_check_hooks_unlisted), RF_CHECK_FOUND);
}

static void hooks_of_every_function(void **state)
{
	hook(RF_HOOK_FTRACE, NOBODY);
	fake_hooks[0].function = 0;
	assert_int_equal(run_check(&rf_check_hooks_ftrace), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "ftrace hook of every function");
	fake_hooks[0].unread = true;
	assert_int_equal(run_check(&rf_check_hooks_ftrace), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "ftrace hook");
}

/* --- BPF --------------------------------------------------------------------------- */

#define PROGRAM PROGRAMS
#define AUX (PROGRAMS + 0x1000)
#define FUNCS (PROGRAMS + 0x2000)
#define WRITE (FAKE_STEXT + 0x1000)
#define CALL_BASE (FAKE_STEXT + 0x4000)

static void insn(unsigned int i, uint8_t code, uint8_t registers, int32_t imm)
{
	fake_u64(PROGRAM + 0x40 + i * 8, code | registers << 8 | (uint64_t)(uint32_t)imm << 32);
}

static void program(uint32_t type, const char *name)
{
	fake_symbol("prog_idr", FAKE_BASE + 0x44000);
	fake_member("idr", "idr_rt", 0, 0);
	fake_member("xarray", "xa_head", 8, 8);
	fake_member("xa_node", "shift", 0, 1);
	fake_member("xa_node", "slots", 8, 512);
	fake_sizeof("xa_node", 520);
	fake_u64(FAKE_BASE + 0x44008, PROGRAM);
	fake_member("bpf_prog", "type", 4, 4);
	fake_member("bpf_prog", "expected_attach_type", 8, 4);
	fake_member("bpf_prog", "len", 0xc, 4);
	fake_member("bpf_prog", "tag", 0x10, 8);
	fake_member("bpf_prog", "aux", 0x38, 8);
	fake_member("bpf_prog", "insnsi", 0x40, 0);
	fake_member("bpf_prog_aux", "name", 0x10, 16);
	fake_member("bpf_prog_aux", "attach_func_name", 0x20, 8);
	fake_enumerator("BPF_PROG_TYPE_KPROBE", 2);
	fake_enumerator("BPF_PROG_TYPE_LSM", 29);
	fake_enumerator("BPF_PROG_TYPE_TRACING", 26);
	fake_enumerator("BPF_TRACE_ITER", 28);
	fake_symbol("__bpf_call_base", CALL_BASE);
	fake_symbol("bpf_probe_write_user", WRITE);
	fake_u64(PROGRAM, (uint64_t)type << 32);
	fake_u64(PROGRAM + 8, UINT64_C(600) << 32); /* len */
	fake_u64(PROGRAM + 0x38, AUX);
	memcpy(fake_bytes + (AUX + 0x10) % FAKE_SIZE, name, strlen(name) + 1);
}

static void programs_by_type(void **state)
{
	program(8, "egress");
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 1);
	fake_u64(PROGRAM, UINT64_C(2) << 32);
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "BPF program egress, kprobe");
	assert_int_equal(run_known(&rf_check_bpf_programs, "egress"), RF_CHECK_CLEAN);
	fake_u64(PROGRAM, UINT64_C(26) << 32);
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_FOUND);
	fake_u64(PROGRAM + 8, UINT64_C(600) << 32 | 28); /* it is read, as a file is */
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_CLEAN);
}

static void programs_of_systemd(void **state)
{
	const uint64_t at = AUX + 0x100;

	program(29, "restrict_filesy");
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_FOUND); /* not there */
	fake_u64(AUX + 0x20, at);
	put(at, "bpf_lsm_file_open", 18);
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_CLEAN);
	put(at, "bpf_lsm_task_kill", 18);
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "BPF program restrict_filesy, LSM, at bpf_lsm_task_kill");
}

static void programs_that_write(void **state)
{
	program(8, "egress");
	insn(599, 0x85, 0, (int32_t)(WRITE - CALL_BASE));
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_FOUND);
	assert_non_null(strstr(told[0].reason, "bpf_probe_write_user()"));
	insn(599, 0x85, 0x10, (int32_t)(WRITE - CALL_BASE)); /* of the program's own */
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_CLEAN);
	insn(600, 0x85, 0, (int32_t)(WRITE - CALL_BASE)); /* behind its end */
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_CLEAN);
	fake_u64(PROGRAM + 8, UINT64_C(0xffffffff) << 32);
	assert_int_equal(run_check(&rf_check_bpf_programs), RF_CHECK_UNDECIDED);
}

static void programs_without_a_number(void **state)
{
	const uint64_t ksym = AUX + 0x80 + 0x20, of_func = FUNCS + 0x1000;
	const uint64_t symbols[] = { ksym, of_func + 0x80 + 0x20 };

	program(8, "egress");
	fake_symbol("bpf_kallsyms", BPF);
	fake_member("bpf_prog_aux", "func", 0x30, 8);
	fake_member("bpf_prog_aux", "func_cnt", 0x3c, 4);
	fake_member("bpf_prog_aux", "prog", 0x40, 8);
	fake_member("bpf_prog_aux", "ksym", 0x80, 0);
	fake_member("bpf_ksym", "start", 0, 8);
	fake_member("bpf_ksym", "end", 8, 8);
	fake_member("bpf_ksym", "prog", 0x10, 1);
	fake_member("bpf_ksym", "lnode", 0x20, 16);
	fake_member("bpf_ksym", "name", 0x30, 32);
	fake_list(BPF, symbols, 2);
	fake_bytes[(AUX + 0x90) % FAKE_SIZE] = fake_bytes[(of_func + 0x90) % FAKE_SIZE] = 1;
	fake_u64(AUX + 0x40, PROGRAM);
	fake_u64(of_func + 0x40, FUNCS + 0x800); /* a function in it */
	fake_u64(AUX + 0x30, FUNCS);
	fake_u64(AUX + 0x38, UINT64_C(1) << 32);
	fake_u64(FUNCS, FUNCS + 0x800);
	assert_int_equal(run_check(&rf_check_bpf_hidden), RF_CHECK_CLEAN);
	assert_int_equal(result.looked_at, 3);
	fake_u64(FAKE_BASE + 0x44008, 0); /* the number leads nowhere */
	assert_int_equal(run_check(&rf_check_bpf_hidden), RF_CHECK_FOUND);
	assert_int_equal(told_count, 2);
	assert_int_equal(told[0].object.v, PROGRAM);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_tree_without_nodes),
		T(a_tree_of_two_levels),
		T(a_tree_that_lies),
		T(a_tree_without_end),
		T(a_tree_of_another_kernel),
		T(each_possible_cpu),
		T(cpus_that_are_hidden),
		T(room_of_a_symbol),
		T(timers),
		T(pages_of_somebody),
		T(pages_of_nobody),
		T(text_that_is_elsewhere),
		T(pages_of_tracers),
		T(entries),
		T(entries_with_probes),
		T(entries_that_are_patched),
		T(entries_in_the_table),
		T(odd_sites),
		T(hooks_by_owner),
		T(hooks_of_every_function),
		T(programs_by_type),
		T(programs_of_systemd),
		T(programs_that_write),
		T(programs_without_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
