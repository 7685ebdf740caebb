// SPDX-License-Identifier: LGPL-2.1-or-later
/* Code of nobody, in a dump of a guest that is just giving the memory of modules back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "tests/unit/checking.h"
#include "tests/unit/fake_tasks.h"

#define LEAVING (UINT64_C(0xffffffffc0000000) + FAKE_IMAGE + 0x28000)
#define INIT_TASK (FAKE_BASE + 0x48000)
#define FREE_LIST (FAKE_BASE + 0x49000)
#define TASK (FAKE_HEAP + 0x30000)
#define THREADS (TASK + 0x1000)
#define STACK (FAKE_HEAP + 0x38000)
#define WAITS (STACK + 0x2e00) /* where it ends */
#define FREE_MODULE (FAKE_STEXT + 0x400)
#define FREED (FAKE_HEAP + 0x3e000) /* struct mod_initfree */

enum { ITS_STACK = 0x70, ITS_SP = 0x78, ON_CPU = 0x80 };

static enum rf_check_state look(bool live)
{
	begin_with(live, NULL);
	return run_begun(&rf_check_code_of_nobody);
}

/* Two pages of nobody's, and a task that waits. */
static int setup(void **state)
{
	const uint64_t node = TASK + NODE;

	kernel = fake_types();
	list_module(FAKE_HEAP + 0x8000, FAKE_HEAP + 0x9000);
	fake_symbol("_end", FAKE_BASE + FAKE_IMAGE);
	map(LEAVING, 2, false, true);
	put(LEAVING, "\x90", 1);
	put(LEAVING + 0x1000, "\x90", 1);
	fake_task_types(INIT_TASK);
	fake_member("task_struct", "stack", ITS_STACK, 8);
	fake_member("task_struct", "thread.sp", ITS_SP, 8);
	fake_member("task_struct", "on_cpu", ON_CPU, 4);
	fake_symbol("free_module", FREE_MODULE);
	fake_extent(FREE_MODULE, 0x100);
	fake_list(INIT_TASK + TASKS, (const uint64_t[]){ TASK + TASKS }, 1);
	fake_u64(TASK + SIGNAL, THREADS);
	fake_list(THREADS, &node, 1);
	fake_u64(TASK + ITS_STACK, STACK);
	fake_u64(TASK + ITS_SP, WAITS);
	return 0;
}

static void waits(uint64_t at)
{
	fake_u64(at, FREE_MODULE + 0x40);
}

static void who_waits(void **state)
{
	assert_int_equal(look(false), RF_CHECK_FOUND);
	waits(WAITS + 8);
	assert_int_equal(look(false), RF_CHECK_UNDECIDED);
	assert_int_equal(told_count, 0);
	assert_non_null(
		strstr(result.why, "2 pages on no list (places: 1, first 0xffffffffc00a8000) may"));
	assert_int_equal(look(true), RF_CHECK_FOUND); /* it is looked at again instead */
}

static void what_is_no_return(void **state)
{
	waits(WAITS - 8); /* what the stack held before */
	fake_u64(STACK + 0x3ff0, FREE_MODULE);
	fake_u64(STACK + 0x3ff8, FREE_MODULE + 0x100);
	waits(STACK + 0x4000); /* another's */
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_u64(TASK + ON_CPU, 1); /* where in its stack one that runs is no memory says */
	assert_int_equal(look(false), RF_CHECK_UNDECIDED);
	fake_u64(TASK + ITS_STACK, STACK + 4); /* that is none */
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_u64(TASK + ITS_STACK, UINT64_C(0xffffffffffffbff8)); /* to the end of all addresses */
	assert_int_equal(look(false), RF_CHECK_FOUND);
}

/* Between the image and where modules end, and not to be written. */
static void where_no_module_is(void **state)
{
	waits(WAITS + 8);
	fake_mappings[0].writable = true;
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_mappings[0].writable = false;
	for (const uint64_t *at = (const uint64_t[]){ NOBODY, FAKE_RODATA, FAKE_INIT,
						      RF_MODULES_END - RF_PAGE_SIZE, 0 };
	     *at; at++) {
		map(*at, 2, false, true);
		fake_mappings[1].gpa.v = FAKE_IMAGE + 0x50000;
		put(FAKE_IMAGE + 0x50000, "\x90", 1);
		put(FAKE_IMAGE + 0x51000, "\x90", 1);
		assert_int_equal(look(false), RF_CHECK_FOUND);
		assert_int_equal(told_count, 1);
		assert_int_equal(told[0].object.v, *at);
		assert_true(result.cut); /* the others are still undecided */
		fake_mappings_count--;
	}
}

/* What cannot be asked leaves what was found, and what comes behind it. */
static void who_cannot_be_asked(void **state)
{
	const struct {
		uint64_t at, value;
	} bent[] = { { INIT_TASK + TASKS, 0 },	       { TASK + SIGNAL, 0 },
		     { TASK + TASKS + 8, 1 },	       { THREADS, THREADS + 0x100 },
		     { TASK + ITS_STACK, 0 },	       { TASK + ITS_SP, STACK - 8 },
		     { TASK + ITS_SP, STACK + 0x4000 } };

	for (size_t i = 0; i < sizeof(bent) / sizeof(bent[0]); i++) {
		setup(state);
		waits(WAITS + 8);
		map(NOBODY, 1, false, true);
		fake_mappings[1].writable = true;
		put(NOBODY, "\x90", 1);
		fake_u64(bent[i].at, bent[i].value);
		assert_int_equal(look(false), RF_CHECK_FOUND);
		assert_int_equal(told_count, 2);
	}
}

/* More places than that are no module that leaves. */
static void too_many_places(void **state)
{
	waits(WAITS + 8);
	fake_mappings[0].size = RF_PAGE_SIZE;
	assert_int_equal(look(false), RF_CHECK_UNDECIDED);
	map(LEAVING + 0x2000, 40, false, true);
	for (uint64_t i = 0; i < 40; i += 2)
		put(LEAVING + 0x2000 + i * RF_PAGE_SIZE, "\x90", 1);
	assert_int_equal(look(false), RF_CHECK_FOUND);
	assert_true(told_count >= 4);
}

static void what_began_a_module(void **state)
{
	fake_symbol("init_free_list", FREE_LIST);
	fake_member("mod_initfree", "module_init", 8, 8);
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_u64(FREE_LIST, 8); /* a word alone says nothing */
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_u64(FREE_LIST, FREED);
	fake_u64(FREED + 8, LEAVING + 0x1000);
	assert_int_equal(look(false), RF_CHECK_FOUND);
	fake_u64(FREED + 8, LEAVING);
	assert_int_equal(look(false), RF_CHECK_UNDECIDED);
	/* That one alone. */
	map(LEAVING + 0x4000, 1, false, true);
	put(LEAVING + 0x4000, "\x90", 1);
	assert_int_equal(look(false), RF_CHECK_FOUND);
	assert_int_equal(told[0].object.v, LEAVING + 0x4000);
	fake_u64(FREED, FREED); /* without end */
	assert_int_equal(look(false), RF_CHECK_FOUND);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(who_waits),		T(what_is_no_return), T(where_no_module_is),
		T(who_cannot_be_asked), T(too_many_places),   T(what_began_a_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
