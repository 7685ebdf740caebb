// SPDX-License-Identifier: LGPL-2.1-or-later
/* The frame of the checks: lists that lie, whose code is whose, what is told and what is not. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/checks/impl.h"
#include "introspection/checks/nets.h"
#include "introspection/checks/slots.h"
#include "tests/unit/checking.h"

#define HEAD (FAKE_BASE + 0x40000)
#define ARRAY (FAKE_BASE + 0x40300)
#define MODULE FAKE_HEAP
#define CODE (FAKE_HEAP + 0x8000)  /* of that module: 0x1000 bytes */
#define PIECE (FAKE_HEAP + 0xa000) /* of BPF's: 0x100 bytes */
#define GONE (UINT64_C(0xffff888000000000) + FAKE_SIZE - 0x800)

static void object(unsigned int i, uint64_t function)
{
	fake_u64(NOBODY + i * 0x40 + 0x18, function);
}

static uint64_t node(unsigned int i)
{
	return NOBODY + i * 0x40 + 8;
}

static int setup(void **state)
{
	const uint64_t piece = FAKE_HEAP + 0x4000;

	kernel = fake_types();
	list_module(MODULE, CODE);
	fake_member("module", "sig_ok", 0x78, 1);
	fake_bytes[(MODULE + 0x78) % FAKE_SIZE] = 1;
	fake_symbol("bpf_kallsyms", BPF);
	fake_member("bpf_ksym", "lnode", 0, 16);
	fake_member("bpf_ksym", "start", 0x10, 8);
	fake_member("bpf_ksym", "end", 0x18, 8);
	fake_member("bpf_ksym", "name", 0x20, 64);
	fake_list(BPF, &piece, 1);
	fake_u64(piece + 0x10, PIECE);
	fake_u64(piece + 0x18, PIECE + 0x100);
	memcpy(fake_bytes + (piece + 0x20) % FAKE_SIZE, "filter", 7);
	/* What most tests look at. */
	fake_symbol("heads", HEAD);
	fake_symbol("array", ARRAY);
	fake_member("thing", "link", 8, 16);
	fake_function_member("thing", "act", 0x18);
	fake_sizeof("thing", 0x20);
	return 0;
}

static enum rf_check_state run_rows(const struct rf_slots *rows)
{
	struct rf_check check = { .name = "x", .reads = 4000, .slots = rows };

	return run_begun(&check);
}

static const struct rf_slots list_row[] = {
	{ .what = "thing",
	  .symbol = "heads",
	  .shape = RF_SHAPE_LIST,
	  .type = "thing",
	  .link = "link" },
	{ 0 },
};

/* --- lists ----------------------------------------------------------------------- */

static void make_list(unsigned int n)
{
	uint64_t nodes[64];

	for (unsigned int i = 0; i < n; i++) {
		nodes[i] = node(i);
		object(i, FAKE_STEXT + 0x100);
	}
	fake_list(HEAD, nodes, n);
}

static void a_list_to_its_end(void **state)
{
	begin_with(false, NULL);
	make_list(5);
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
	assert_true(result.looked_at >= 5);
	make_list(0);
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
}

/* One that never ends links back wrongly somewhere, if it is not to one place alone. */
static void a_list_that_does_not_end(void **state)
{
	begin_with(false, NULL);
	make_list(6);
	fake_u64(node(5), node(2));
	fake_u64(node(2) + 8, node(5));
	fake_u64(node(1) + 8, node(0));
	/* 2's prev is 5: the first way in, from 1, contradicts itself. */
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
	fake_u64(node(0), node(0));
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "the list does not end");
}

static const struct rf_slots chain_row[] = {
	{ .what = "thing",
	  .symbol = "heads",
	  .shape = RF_SHAPE_HLIST,
	  .type = "thing",
	  .link = "link" },
	{ 0 },
};

static void a_chain_that_does_not_end(void **state)
{
	begin_with(false, NULL);
	for (unsigned int i = 0; i < 6; i++) {
		object(i, FAKE_STEXT);
		fake_u64(node(i), node(i + 1));
	}
	fake_u64(HEAD, node(0));
	fake_u64(node(5), 0);
	assert_int_equal(run_rows(chain_row), RF_CHECK_CLEAN);
	fake_u64(node(5), 1 | NOBODY); /* the processor would follow it */
	assert_int_equal(run_rows(chain_row), RF_CHECK_UNDECIDED);
	fake_u64(node(5), node(3));
	assert_int_equal(run_rows(chain_row), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "the list does not end");
	assert_int_equal(told[0].object.v, HEAD);
}

/* Without a circle the budget ends it. */
static void a_list_that_is_too_long(void **state)
{
	struct rf_check check = { .name = "x", .reads = 10, .slots = list_row };

	begin_with(false, NULL);
	make_list(40);
	assert_int_equal(run_begun(&check), RF_CHECK_UNDECIDED);
	assert_non_null(strstr(result.why, "more than 10 reads"));
	assert_true(result.reads <= 10);
}

static void a_list_that_leads_nowhere(void **state)
{
	begin_with(false, NULL);
	make_list(3);
	fake_u64(node(1), GONE);
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
	assert_non_null(strstr(result.why, "memory that is not there"));
	fake_u64(node(1), 0x1000); /* user memory is nothing of the kernel's */
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
}

static unsigned int reads_until;
static void heal(uint64_t gpa)
{
	if (!reads_until--)
		fake_u64(node(1) + 8, node(0));
}

/* Torn for a moment. */
static void a_list_is_read_again(void **state)
{
	begin_with(true, NULL);
	make_list(3);
	fake_u64(node(1) + 8, 0);
	reads_until = 9;
	fake_before_read = heal;
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
	fake_before_read = NULL;
	fake_u64(node(1) + 8, 0);
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
	assert_non_null(strstr(result.why, "contradicts itself"));
}

/* --- what is told ------------------------------------------------------------------- */

static void outside_is_told(void **state)
{
	begin_with(false, NULL);
	make_list(3);
	object(1, NOBODY);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	assert_int_equal(told[0].object.v, node(1) - 8 + 0x18);
	assert_int_equal(told[0].target.v, NOBODY);
	assert_string_equal(told[0].owner, "nobody");
	assert_string_equal(told[0].what, "act of thing");
	assert_int_equal(told[0].bytes_count, 16);
	object(1, GONE);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_int_equal(told[0].bytes_count, 0);
}

static void count_reads(uint64_t gpa)
{
	reads_until++;
}

/* Sets reads_until so that the hook works before the second look, which is as long as the first. */
static void before_the_second_look(void (*hook)(uint64_t gpa))
{
	reads_until = 0;
	fake_before_read = count_reads;
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_int_equal(told_count, 1);
	assert_int_equal(reads_until % 2, 0);
	reads_until /= 2;
	fake_before_read = hook;
}

static void go_away(uint64_t gpa)
{
	if (!reads_until--)
		object(1, FAKE_STEXT);
}

/* On a live guest what is gone at a second look was a moment's. */
static void a_second_look(void **state)
{
	begin_with(true, NULL);
	make_list(3);
	object(1, NOBODY);
	before_the_second_look(go_away);
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
	assert_int_equal(told_count, 0);
	fake_before_read = NULL;
}

static void bend(uint64_t gpa)
{
	if (!reads_until--)
		fake_u64(node(2) + 8, NOBODY);
}

/* Nor is it clean what cannot be seen a second time. */
static void a_second_look_that_fails(void **state)
{
	begin_with(true, NULL);
	make_list(3);
	object(0, NOBODY);
	before_the_second_look(bend);
	assert_int_not_equal(run_rows(list_row), RF_CHECK_CLEAN);
	fake_before_read = NULL;
	assert_true(result.cut);
	assert_non_null(strstr(result.why, "contradicts itself"));
}

/* A page is read once a look, and anew in the next one. */
static void pages_are_read_once(void **state)
{
	begin_with(true, NULL);
	make_list(3);
	reads_until = 0;
	fake_before_read = count_reads;
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
	assert_true(reads_until && reads_until < result.reads / 2);
	fake_before_read = NULL;
	object(1, NOBODY);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	object(1, FAKE_STEXT);
	assert_int_equal(run_rows(list_row), RF_CHECK_CLEAN);
}

/* What is found in front does not hide that the rest was not looked at. */
static void found_and_cut(void **state)
{
	begin_with(false, NULL);
	make_list(4);
	object(0, NOBODY);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_false(result.cut);
	fake_u64(node(2) + 8, NOBODY);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_true(result.cut);
}

static void many_are_counted(void **state)
{
	uint64_t nodes[200];

	begin_with(true, NULL);
	for (unsigned int i = 0; i < 200; i++) {
		nodes[i] = node(i);
		object(i, NOBODY + 0x10000);
	}
	fake_list(HEAD, nodes, 200);
	assert_int_equal(run_rows(list_row), RF_CHECK_FOUND);
	assert_int_equal(told_count, RF_FINDINGS_MAX);
	assert_int_equal(result.found, 200);
	assert_non_null(strstr(result.why, "136 more"));
}

static unsigned int listed, accepted, anew;

static int count_listed(void *ctx, const struct rf_check_finding *f)
{
	if (!f) {
		anew++;
		listed = accepted = 0;
		return 0;
	}
	listed++;
	accepted += !*f->reason;
	assert_string_equal(f->what, "act of thing");
	assert_true(*f->reason ? f->target.v == NOBODY + 0x10000 : f->target.v == FAKE_STEXT);
	assert_string_equal(f->owner, *f->reason ? "nobody" : "the kernel");
	return ctx && listed == *(unsigned int *)ctx ? -ENOMEM : 0;
}

/* Also what may be there, and all of what may not. */
static void all_is_listed(void **state)
{
	const struct rf_check check = { .name = "x", .reads = 40000, .slots = list_row };
	unsigned int stop = 7;
	uint64_t nodes[200];

	begin_with(false, NULL);
	for (unsigned int i = 0; i < 200; i++) {
		nodes[i] = node(i);
		object(i, i % 2 ? NOBODY + 0x10000 : FAKE_STEXT);
	}
	fake_list(HEAD, nodes, 200);
	listed = accepted = 0;
	assert_int_equal(rf_checks_list(checks, &check, count_listed, NULL, &result), 0);
	assert_int_equal(listed, 200);
	assert_int_equal(accepted, 100);
	assert_int_equal(result.state, RF_CHECK_FOUND);
	assert_int_equal(result.found, 100);
	assert_false(result.cut);
	assert_string_equal(result.why, "");
	listed = 0;
	assert_int_equal(rf_checks_list(checks, &check, count_listed, &stop, &result), -ENOMEM);
	assert_int_equal(listed, stop);
	/* Of a guest that runs: what is torn is read again, and what had come by then is not
	 * counted. */
	begin_with(true, NULL);
	listed = accepted = 0;
	assert_int_equal(rf_checks_list(checks, &check, count_listed, NULL, &result), 0);
	assert_int_equal(listed, 200);
	fake_u64(node(150), 1 | NOBODY);
	listed = accepted = anew = 0;
	assert_int_equal(rf_checks_list(checks, &check, count_listed, NULL, &result), 0);
	assert_int_equal(result.cut, true);
	assert_in_range(anew, 1, 7);
	assert_in_range(listed, 100, 151);
}

/* --- whose code ------------------------------------------------------------------------- */

static const char *owner_of(uint64_t target)
{
	make_list(1);
	object(0, target);
	return run_rows(list_row) == RF_CHECK_FOUND ? told[0].owner : "";
}

static void whose_code(void **state)
{
	begin_with(false, NULL);
	assert_string_equal(owner_of(FAKE_STEXT), "");
	assert_string_equal(owner_of(FAKE_ETEXT - 1), "");
	assert_string_equal(owner_of(FAKE_ETEXT), "nobody"); /* rodata is no code */
	assert_string_equal(owner_of(0), "");
	assert_string_equal(owner_of(CODE), "");
	assert_string_equal(owner_of(CODE + 0xfff), "");
	assert_string_equal(owner_of(CODE + 0x1000), "nobody");
	assert_string_equal(owner_of(CODE - 1), "nobody");
	assert_string_equal(owner_of(PIECE), "BPF program filter");
	assert_string_equal(owner_of(PIECE + 0x100), "nobody");
}

/* Freed text of the boot leads nowhere, as long as nothing there runs. */
static void text_of_the_boot(void **state)
{
	begin_with(false, NULL);
	assert_string_equal(owner_of(FAKE_INIT), "");
	fake_init_executable = true;
	assert_string_equal(owner_of(FAKE_INIT), "nobody");
}

static void modules_that_nobody_vouches_for(void **state)
{
	static const unsigned int bits[] = { 1, 12, 13 };

	begin_with(false, NULL);
	for (unsigned int i = 0; i < 3; i++) {
		fake_u64(MODULE + 0x70, UINT64_C(1) << bits[i]);
		assert_string_equal(owner_of(CODE), "module tracer");
	}
	fake_u64(MODULE + 0x70, UINT64_C(1) << 10); /* staging */
	assert_string_equal(owner_of(CODE), "");
	fake_bytes[(MODULE + 0x78) % FAKE_SIZE] = 0;
	assert_string_equal(owner_of(CODE), "module tracer");
	begin_with(false, "tracer");
	assert_string_equal(owner_of(CODE), "");
	begin_with(false, "filter");
	assert_string_equal(owner_of(PIECE), "");
	assert_string_equal(owner_of(CODE), "module tracer");
}

/* Who makes the list of modules endless does not vouch for anything by that. */
static void owners_that_cannot_be_read(void **state)
{
	begin_with(false, NULL);
	fake_u64(MODULE + 8, GONE);
	make_list(1);
	object(0, CODE);
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
}

/* --- rows ------------------------------------------------------------------------------ */

/* However often a torn list of theirs is read again. */
static void owners_have_one_budget(void **state)
{
	static uint64_t nodes[0x1f00];
	const unsigned int count = sizeof(nodes) / sizeof(nodes[0]);

	begin_with(true, NULL);
	make_list(1);
	object(0, NOBODY + 0x10000);
	for (unsigned int i = 0; i < count; i++)
		nodes[i] = FAKE_HEAP + 0x40008 + i * 0x20;
	fake_list(MODULES, nodes, count);
	fake_u64(nodes[count - 1], NOBODY + 0x10);
	assert_int_not_equal(run_rows(list_row), RF_CHECK_CLEAN);
	assert_true(result.cut);
	assert_in_range(result.reads, RF_CLAIMS_READS / 2, 4000 + RF_CLAIMS_READS);
}

static void each_shape(void **state)
{
	static const struct rf_slots rows[][2] = {
		{ { .what = "a", .symbol = "array", .shape = RF_SHAPE_CODE } },
		{ { .what = "a", .symbol = "array", .shape = RF_SHAPE_STRUCTS, .type = "thing" } },
		{ { .what = "a", .symbol = "array", .shape = RF_SHAPE_POINTERS, .type = "thing" } },
		{ { .what = "a",
		    .symbol = "array",
		    .shape = RF_SHAPE_HLISTS,
		    .type = "thing",
		    .link = "link" } },
	};
	const uint64_t at[] = { ARRAY + 0x38, ARRAY + 0x38, ARRAY + 0x38, ARRAY + 0x38 };
	const uint64_t value[] = { NOBODY, NOBODY, node(0) - 8, node(0) };
	const char *const reasons[] = { "it leads out of the text of the kernel",
					"it leads to memory whose code is nobody's",
					"it leads to memory whose code is nobody's",
					"it leads to memory whose code is nobody's" };

	begin_with(false, NULL);
	object(0, NOBODY);
	for (unsigned int i = 0; i < 4; i++) {
		fake_u64(at[i], 0);
		assert_int_equal(run_rows(rows[i]), RF_CHECK_CLEAN);
		fake_u64(at[i], value[i]);
		assert_int_equal(run_rows(rows[i]), RF_CHECK_FOUND);
		assert_string_equal(told[0].reason, reasons[i]);
	}
}

static void system_calls_are_of_no_module(void **state)
{
	static const struct rf_slots rows[] = {
		{ .what = "a", .symbol = "array", .shape = RF_SHAPE_CODE },
		{ 0 },
	};

	begin_with(false, NULL);
	fake_u64(ARRAY, CODE); /* one that is vouched for */
	assert_int_equal(run_rows(rows), RF_CHECK_FOUND);
}

static void tables_of_operations(void **state)
{
	static const struct rf_slots rows[] = {
		{ .what = "thing",
		  .symbol = "heads",
		  .shape = RF_SHAPE_LIST,
		  .type = "thing",
		  .link = "link",
		  .ops = "ops",
		  .ops_type = "ops" },
		{ 0 },
	};

	fake_member("thing", "ops", 0x18, 8);
	fake_function_member("ops", "open", 0);
	begin_with(false, NULL);
	make_list(1);
	object(0, FAKE_RODATA);
	fake_u64(FAKE_RODATA, FAKE_STEXT);
	assert_int_equal(run_rows(rows), RF_CHECK_CLEAN);
	fake_u64(FAKE_RODATA, NOBODY);
	assert_int_equal(run_rows(rows), RF_CHECK_FOUND);
	assert_string_equal(told[0].what, "open of thing");
	/* A copy of it in allocated memory, each function of which is the kernel's. */
	object(0, NOBODY + 0x8000);
	assert_int_equal(run_rows(rows), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "its operations lie in memory that is nobody's");
	object(0, CODE);
	assert_int_equal(run_rows(rows), RF_CHECK_CLEAN);
}

static void what_a_kernel_lacks(void **state)
{
	static const struct rf_slots none[] = {
		{ .what = "a", .symbol = "no_such", .shape = RF_SHAPE_CODE },
		{ 0 },
	};
	static const struct rf_slots no_type[] = {
		{ .what = "a",
		  .symbol = "heads",
		  .shape = RF_SHAPE_LIST,
		  .type = "stranger",
		  .link = "link" },
		{ .what = "a", .symbol = "array", .shape = RF_SHAPE_CODE },
		{ 0 },
	};
	static const struct rf_slots either[] = {
		{ .what = "a",
		  .symbol = "heads",
		  .shape = RF_SHAPE_LIST,
		  .type = "stranger",
		  .link = "link" },
		{ .what = "a",
		  .symbol = "heads",
		  .shape = RF_SHAPE_LIST,
		  .type = "thing",
		  .link = "link" },
		{ 0 },
	};

	begin_with(false, NULL);
	make_list(0);
	assert_int_equal(run_rows(none), RF_CHECK_NOT_RUN);
	assert_int_equal(run_rows(no_type), RF_CHECK_NOT_RUN);
	assert_non_null(strstr(result.why, "struct stranger"));
	assert_int_equal(run_rows(either), RF_CHECK_CLEAN);
	fake_u64(ARRAY, NOBODY); /* what could be looked at is told all the same */
	assert_int_equal(run_rows(no_type), RF_CHECK_FOUND);
}

/* Such as one whose BTF is damaged: flips.c has found that no reason was given. */
static void without_any_types(void **state)
{
	static const struct rf_slots rows[] = {
		{ .what = "a", .symbol = "array", .shape = RF_SHAPE_POINTERS, .type = "thing" },
		{ 0 },
	};

	begin_with(false, NULL);
	fake_u64(ARRAY, NOBODY);
	fake_without_types = true;
	assert_int_equal(run_rows(rows), RF_CHECK_NOT_RUN);
	assert_non_null(strstr(result.why, "struct thing"));
}

/* --- trees --------------------------------------------------------------------------------- */

static int count_one(struct rf_run *run, uint64_t at, void *ctx)
{
	(*(unsigned int *)ctx)++;
	return 0;
}

static unsigned int counted;
static int walk_tree(struct rf_run *run)
{
	counted = 0;
	return rf_run_rbtree(run, HEAD, 0x10, count_one, &counted);
}

static int walk_xarray(struct rf_run *run)
{
	counted = 0;
	return rf_run_xarray(run, HEAD, count_one, &counted);
}

static void a_red_black_tree(void **state)
{
	struct rf_check check = { .name = "x", .reads = 4000, .run = walk_tree };

	fake_member("rb_node", "rb_right", 8, 8);
	fake_member("rb_node", "rb_left", 16, 8);
	begin_with(false, NULL);
	fake_u64(HEAD, node(0));
	fake_u64(node(0) + 8, node(1));
	fake_u64(node(0) + 16, node(2));
	assert_int_equal(run_begun(&check), RF_CHECK_CLEAN);
	assert_int_equal(counted, 3);
	fake_u64(node(2) + 16, node(0)); /* a circle, always to the left */
	fake_u64(node(2) + 8, node(0));
	assert_int_equal(run_begun(&check), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "the list does not end");
}

static void an_xarray(void **state)
{
	struct rf_check check = { .name = "x", .reads = 4000, .run = walk_xarray };
	const uint64_t inner = FAKE_HEAP + 0x30000, leaf = FAKE_HEAP + 0x31000;

	fake_member("xarray", "xa_head", 8, 8);
	fake_member("xa_node", "shift", 0, 1);
	fake_member("xa_node", "slots", 0x28, 512);
	fake_sizeof("xa_node", 0x240);
	begin_with(false, NULL);
	assert_int_equal(run_begun(&check), RF_CHECK_CLEAN);
	assert_int_equal(counted, 0);
	fake_u64(HEAD + 8, NOBODY); /* an entry of index 0 has no node */
	assert_int_equal(run_begun(&check), RF_CHECK_CLEAN);
	assert_int_equal(counted, 1);
	fake_u64(HEAD + 8, inner | 2);
	fake_u64(inner + 0x28, leaf | 2);
	fake_u64(inner + 0x28 + 63 * 8, NOBODY);
	fake_u64(leaf + 0x28, NOBODY);
	fake_u64(leaf + 0x38, 258); /* a mark: XA_RETRY_ENTRY */
	assert_int_equal(run_begun(&check), RF_CHECK_CLEAN);
	assert_int_equal(counted, 2);
	fake_u64(leaf + 0x30, NOBODY | 1); /* a value, where there are none */
	assert_int_equal(run_begun(&check), RF_CHECK_UNDECIDED);
	fake_u64(leaf + 0x30, 0);
	fake_u64(leaf + 0x28, inner | 2);
	assert_int_equal(run_begun(&check), RF_CHECK_FOUND);
	assert_string_equal(told[0].reason, "the list does not end");
}

static int walk_nets(struct rf_run *run)
{
	counted = 0;
	return rf_run_nets(run, count_one, &counted);
}

/* Taken off the list, it is looked at all the same, and that is told. */
static void the_first_namespace(void **state)
{
	struct rf_check check = { .name = "x", .reads = 4000, .run = walk_nets };
	const uint64_t nodes[] = { NOBODY + 8, FAKE_BASE + 0x42008 };

	fake_symbol("net_namespace_list", HEAD);
	fake_symbol("init_net", FAKE_BASE + 0x42000);
	fake_member("net", "list", 8, 16);
	begin_with(false, NULL);
	fake_list(HEAD, nodes, 2);
	assert_int_equal(run_begun(&check), RF_CHECK_CLEAN);
	assert_int_equal(counted, 2);
	fake_list(HEAD, nodes, 1);
	assert_int_equal(run_begun(&check), RF_CHECK_FOUND);
	assert_int_equal(counted, 2);
	assert_int_equal(told[0].object.v, FAKE_BASE + 0x42000);
}

/* Pieces of many owners, one in another: the inner one counts, and what lies over it all is made
 * up. */
static void pieces_over_pieces(void **state)
{
	uint64_t nodes[80], at;

	for (unsigned int i = 0; i < 80; i++) {
		at = nodes[i] = FAKE_HEAP + 0x40000 + i * 0x80;
		fake_u64(at + 0x10, NOBODY + 0x1000 + i * 16);
		fake_u64(at + 0x18, NOBODY + 0x1000 + i * 16 + 8);
		snprintf((char *)fake_bytes + (at + 0x20) % FAKE_SIZE, 64, "p%u", i);
	}
	fake_list(BPF, nodes, 80);
	begin_with(false, NULL);
	assert_string_equal(owner_of(NOBODY + 0x1000 + 40 * 16), "BPF program p40");
	assert_string_equal(owner_of(NOBODY + 0x1000 + 40 * 16 + 8), "nobody");
	fake_u64(nodes[38] + 0x18, NOBODY + 0x1000 + 41 * 16);
	assert_string_equal(owner_of(NOBODY + 0x1000 + 40 * 16), "BPF program p40");
	assert_string_equal(owner_of(NOBODY + 0x1000 + 40 * 16 + 8), "BPF program p38");
	for (unsigned int i = 0; i < 80; i++)
		fake_u64(nodes[i] + 0x18, NOBODY + 0x1000 + i * 16 + 1);
	fake_u64(nodes[0] + 0x18, NOBODY + 0x10000);
	make_list(1);
	object(0, NOBODY + 0x1000 + 79 * 16 + 8);
	assert_int_equal(run_rows(list_row), RF_CHECK_UNDECIDED);
}

/* --- the table ------------------------------------------------------------------------------- */

static void every_check_is_described(void **state)
{
	unsigned int n = 0, front_doors = 0;

	for (; rf_checks[n]; n++) {
		const struct rf_check *c = rf_checks[n];

		assert_ptr_equal(rf_check_named(c->name), c);
		for (const char *p = c->name; *p; p++)
			assert_true(islower(*p) || isdigit(*p) || *p == '-');
		assert_true(c->summary && c->reading && c->attack);
		assert_int_equal(c->attack[0], 'T');
		assert_non_null(rf_severity_text(c->severity));
		assert_true(c->period_ms >= 100 && c->reads >= 1 << 10);
		assert_true(!c->slots != !c->run);
		front_doors += c->front_door;
		/* Those that monitor/checks.c knows. */
		assert_true(!c->guard || !strcmp(c->guard, "hooks") || !strcmp(c->guard, "tables"));
	}
	assert_true(n > 20 && front_doors > 10 && front_doors < n);
	assert_null(rf_check_named("no-such"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_to_its_end),
		TEST(a_list_that_does_not_end),
		TEST(a_chain_that_does_not_end),
		TEST(a_list_that_is_too_long),
		TEST(a_list_that_leads_nowhere),
		TEST(a_list_is_read_again),
		TEST(outside_is_told),
		TEST(a_second_look),
		TEST(a_second_look_that_fails),
		TEST(pages_are_read_once),
		TEST(found_and_cut),
		TEST(many_are_counted),
		TEST(all_is_listed),
		TEST(whose_code),
		TEST(text_of_the_boot),
		TEST(modules_that_nobody_vouches_for),
		TEST(owners_that_cannot_be_read),
		TEST(owners_have_one_budget),
		TEST(each_shape),
		TEST(system_calls_are_of_no_module),
		TEST(tables_of_operations),
		TEST(what_a_kernel_lacks),
		TEST(without_any_types),
		TEST(a_red_black_tree),
		TEST(an_xarray),
		TEST(the_first_namespace),
		TEST(pieces_over_pieces),
		TEST(every_check_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
