// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tasks and modules of a kernel made by hand, all of it in its image; and lists that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/checks/listing.h"
#include "tests/unit/fake_tasks.h"

#define IMAGE (FAKE_BASE + 0x20000)
#define INIT_TASK (IMAGE + 0x1000)
#define MODULES (IMAGE + 0x2000)
#define TASK(n) (IMAGE + 0x3000 + (n)*0x400u)
#define MODULE(n) (IMAGE + 0x8000 + (n)*0x400u)
/* Where members stand; each task has its signal_struct and its cred behind it. */
enum { UID = 4, EUID = 12, ITS_CRED = 0x200 };
enum { LIST = 8, NAME = 24, M_STATE = 80, TAINTS = 88, MEM = 96 };

static struct rf_kernel *kernel;

struct guest {
	struct rf_checks *c;
	uint64_t last_task, last_module; /* list_heads at the end of the lists */
};

static void put(uint64_t gva, const void *bytes, size_t len)
{
	assert_true(rf_within(gva, len, FAKE_BASE, FAKE_IMAGE));
	memcpy(fake_bytes + (gva - FAKE_BASE), bytes, len);
}

static void put32(uint64_t gva, uint32_t v)
{
	put(gva, &v, 4);
}

static void make_types(const char *state)
{
	fake_task_types(INIT_TASK);
	fake_symbol("modules", MODULES);
	fake_member("task_struct", state, STATE, 4);
	fake_member("task_struct", "exit_state", EXIT_STATE, 4);
	fake_member("cred", "uid", UID, 4);
	fake_member("cred", "euid", EUID, 4);
	fake_member("module", "list", LIST, 16);
	fake_member("module", "name", NAME, 56);
	fake_member("module", "state", M_STATE, 4);
	fake_member("module", "taints", TAINTS, 8);
}

/* --- its lists ------------------------------------------------------------------------------ */

/* Behind *last, at the end of the list at head. */
static void enlist(uint64_t head, uint64_t *last, uint64_t node)
{
	fake_u64(*last, node);
	fake_u64(node, head);
	fake_u64(node + 8, *last);
	fake_u64(head + 8, node);
	*last = node;
}

static void put_task(uint64_t t, uint32_t pid, uint32_t tgid, const char *comm)
{
	char name[16] = { 0 };

	memcpy(name, comm, strnlen(comm, sizeof(name)));
	put32(t + PID, pid);
	put32(t + TGID, tgid);
	put(t + COMM, name, sizeof(name));
	fake_u64(t + CRED, t + ITS_CRED);
	fake_u64(t + PARENT, INIT_TASK);
}

static void add_process(struct guest *g, uint64_t t, uint32_t pid, const char *comm)
{
	uint64_t head = t + HEAD, last = head;

	put_task(t, pid, pid, comm);
	fake_u64(t + SIGNAL, head);
	enlist(head, &last, t + NODE);
	enlist(INIT_TASK + TASKS, &g->last_task, t + TASKS);
}

static void add_module(struct guest *g, unsigned int n, const char *name, uint32_t state)
{
	uint64_t m = MODULE(n);

	enlist(MODULES, &g->last_module, m + LIST);
	put(m + NAME, name, strlen(name) + 1);
	put32(m + M_STATE, state);
	for (unsigned int i = 0; i < 3; i++) {
		fake_u64(m + MEM + i * 16,
			 UINT64_C(0xffffffffc0000000) + n * 0x100000 + i * 0x10000);
		put32(m + MEM + i * 16 + 8, i == 2 ? 0 : 0x1000 * (i + 1));
	}
}

static void make_guest(struct guest *g, const char *state)
{
	const struct rf_checks_options options = { 0 };
	const struct rf_memory m = fake_memory();
	const struct rf_paging p = { { 0 }, 4 };

	kernel = fake_types();
	kernel->module.part_count = 3;
	for (unsigned int i = 0; i < 3; i++)
		kernel->module.part[i] = (struct rf_module_part){ MEM + i * 16, MEM + i * 16 + 8 };
	make_types(state);
	fake_list(INIT_TASK + TASKS, NULL, 0);
	fake_list(MODULES, NULL, 0);
	g->last_task = INIT_TASK + TASKS;
	g->last_module = MODULES;
	assert_int_equal(rf_checks_create(kernel, &m, &p, &options, &g->c), 0);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void tasks_are_listed(void **state)
{
	struct rf_task_row *rows;
	char why[RF_WHY] = "old";
	struct guest g;
	uint64_t last;
	size_t count;

	make_guest(&g, "__state");
	put32(INIT_TASK + TGID, 0);
	assert_int_equal(rf_list_tasks(g.c, &rows, &count, why), 0);
	assert_int_equal(count, 0);
	free(rows);

	add_process(&g, TASK(0), 1, "init");
	add_process(&g, TASK(1), 2, "k\x1b[8m\xff");
	put32(TASK(1) + FLAGS, 0x00200000);
	put32(TASK(1) + STATE, 0x402);
	add_process(&g, TASK(2), 7, "fifteen letters");
	fake_u64(TASK(2) + PARENT, TASK(0));
	put32(TASK(2) + ITS_CRED + UID, 1000);
	put32(TASK(2) + ITS_CRED + EUID, 4294967294);
	/* A second thread of it. */
	put_task(TASK(3), 8, 7, "helper");
	put32(TASK(3) + EXIT_STATE, 0x20);
	last = TASK(2) + NODE;
	enlist(TASK(2) + HEAD, &last, TASK(3) + NODE);

	assert_int_equal(rf_list_tasks(g.c, &rows, &count, why), 0);
	assert_string_equal(why, "");
	assert_int_equal(count, 4);
	assert_int_equal(rows[0].at.v, TASK(0));
	assert_true(rows[0].pid == 1 && rows[0].tgid == 1 && !rows[0].is_kernel);
	assert_int_equal(rows[0].state, 'R');
	assert_string_equal(rows[1].comm, "k?[8m?");
	assert_true(rows[1].is_kernel);
	assert_int_equal(rows[1].state, 'I');
	assert_string_equal(rows[2].comm, "fifteen letters");
	assert_true(rows[2].parent == 1 && rows[2].uid == 1000 && rows[2].euid == 4294967294);
	assert_true(rows[3].pid == 8 && rows[3].tgid == 7 && rows[3].parent == 0);
	assert_int_equal(rows[3].state, 'Z');
	free(rows);
	rf_checks_destroy(g.c);
}

static void states_have_their_letters(void **state)
{
	static const struct {
		uint32_t state, exit_state;
		char letter;
	} each[] = { { 0, 0, 'R' },	{ 1, 0, 'S' },	     { 2, 0, 'D' },	  { 4, 0, 'T' },
		     { 8, 0, 't' },	{ 0x80, 0x10, 'X' }, { 0x80, 0x20, 'Z' }, { 0x40, 0, 'P' },
		     { 0x402, 0, 'I' }, { 0x1000, 0, 'D' },  { 0x8000, 0, 'D' },  { 0x101, 0, 'S' },
		     { ~0u, ~0u, 'I' } };
	struct rf_task_row *rows;
	char why[RF_WHY];
	struct guest g;
	size_t count;

	make_guest(&g, "state"); /* as it was called to 5.13 */
	add_process(&g, TASK(0), 1, "x");
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		put32(TASK(0) + STATE, each[i].state);
		put32(TASK(0) + EXIT_STATE, each[i].exit_state);
		assert_int_equal(rf_list_tasks(g.c, &rows, &count, why), 0);
		assert_int_equal(rows[0].state, each[i].letter);
		free(rows);
	}
	rf_checks_destroy(g.c);
}

/* What could be read is there, and why there is no more. */
static void assert_tasks(struct guest *g, int err, size_t count, const char *why)
{
	struct rf_task_row *rows;
	char said[RF_WHY];
	size_t n;

	assert_int_equal(rf_list_tasks(g->c, &rows, &n, said), err);
	assert_int_equal(n, count);
	if (!strstr(said, why))
		fail_msg("\"%s\", not \"%s\"", said, why);
	free(rows);
}

static void lists_that_lie_end(void **state)
{
	struct guest g;

	make_guest(&g, "__state");
	add_process(&g, TASK(0), 1, "a");
	add_process(&g, TASK(1), 2, "b");
	add_process(&g, TASK(2), 3, "c");
	assert_tasks(&g, 0, 3, "");
	/* Its parent, its credentials: nowhere. */
	fake_u64(TASK(1) + CRED, 0x1234);
	assert_tasks(&g, -EFAULT, 1, "0x1238 leads to memory that is not there");
	fake_u64(TASK(1) + CRED, TASK(1) + ITS_CRED);
	fake_u64(TASK(1) + PARENT, 8);
	assert_tasks(&g, -EFAULT, 1, "leads to memory that is not there");
	fake_u64(TASK(1) + PARENT, 0);
	assert_tasks(&g, 0, 3, "");
	/* One that was taken out by its neighbours only half. */
	fake_u64(TASK(2) + TASKS + 8, TASK(0) + TASKS);
	assert_tasks(&g, -EBADMSG, 2, "contradicts itself");
	/* A circle past the head. */
	fake_u64(TASK(2) + TASKS + 8, TASK(1) + TASKS);
	fake_u64(TASK(2) + TASKS, TASK(1) + TASKS);
	fake_u64(TASK(1) + TASKS + 8, TASK(2) + TASKS);
	fake_u64(TASK(0) + TASKS, TASK(2) + TASKS);
	fake_u64(TASK(2) + TASKS + 8, TASK(0) + TASKS);
	assert_tasks(&g, -EBADMSG, 3, "contradicts itself");
	/* A thread list that is one task, for ever. */
	fake_u64(TASK(0) + NODE, TASK(0) + NODE);
	fake_u64(TASK(0) + NODE + 8, TASK(0) + HEAD);
	assert_tasks(&g, -ELOOP, 1, "does not end");
	rf_checks_destroy(g.c);
}

static void a_kernel_that_lacks_it_says_so(void **state)
{
	struct guest g;

	make_guest(&g, "mood");
	assert_tasks(&g, -ENOTSUP, 0, "no __state|state in struct task_struct");
	rf_checks_destroy(g.c);
}

static void modules_are_listed(void **state)
{
	struct rf_module_row *rows;
	char why[RF_WHY];
	struct guest g;
	size_t count;

	make_guest(&g, "__state");
	assert_int_equal(rf_list_modules(g.c, &rows, &count, why), 0);
	assert_int_equal(count, 0);
	free(rows);
	add_module(&g, 0, "veth", 0);
	add_module(&g, 1, "ev\x1bil", 1);
	fake_u64(MODULE(1) + TAINTS, 1 << 12 | 1 << 13);
	add_module(&g, 2, "odd", 77);
	assert_int_equal(rf_list_modules(g.c, &rows, &count, why), 0);
	assert_int_equal(count, 3);
	assert_string_equal(rows[0].name, "veth");
	assert_true(rows[0].at.v == MODULE(0) && rows[0].vouched && !rows[0].taints);
	assert_true(rows[0].base.v == UINT64_C(0xffffffffc0000000) && rows[0].size == 0x3000);
	assert_int_equal(rows[0].state, 'L');
	assert_string_equal(rows[1].name, "ev?il");
	assert_true(!rows[1].vouched && rows[1].taints == 0x3000 && rows[1].state == 'C');
	assert_int_equal(rows[2].state, '?');
	free(rows);
	/* Bent: what stands before it is shown. */
	fake_u64(MODULE(1) + LIST + 8, MODULES);
	assert_int_equal(rf_list_modules(g.c, &rows, &count, why), -EBADMSG);
	assert_int_equal(count, 1);
	assert_non_null(strstr(why, "contradicts itself"));
	free(rows);
	/* Its parts are not known. */
	kernel->module.known = false;
	assert_int_equal(rf_list_modules(g.c, &rows, &count, why), -ENOTSUP);
	assert_int_equal(count, 0);
	assert_non_null(strstr(why, "where a module lies"));
	free(rows);
	rf_checks_destroy(g.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_are_listed),
		cmocka_unit_test(states_have_their_letters),
		cmocka_unit_test(lists_that_lie_end),
		cmocka_unit_test(a_kernel_that_lacks_it_says_so),
		cmocka_unit_test(modules_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
