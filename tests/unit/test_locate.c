// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel of a memory made by hand, found by registers and by nothing at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/locate.h"
#include "tests/unit/synth.h"

#define MIB UINT64_C(0x100000)
#define RAM (64 * MIB)
#define IMAGE UINT64_C(0xffffffff92000000)
#define IMAGE_GPA (16 * MIB)
#define IMAGE_SIZE (8 * MIB)
#define WINDOW UINT64_C(0xffffffff80000000)
#define LA57 UINT64_C(0x1000)

/* Offsets in an image. */
#define ENTRY UINT64_C(0x80)
#define SYMBOLS (2 * MIB)
#define ROOT (4 * MIB)
#define BANNER (6 * MIB)
/* Elsewhere. */
#define IDT UINT64_C(0xfffffe0000000000)
#define IDT_GPA (40 * MIB)
#define PROCESS (44 * MIB) /* a process's root, and its user half */
#define OTHER_GPA (48 * MIB)
#define TABLES_BELOW (12 * MIB)

struct guest {
	struct synth s; /* its root is the kernel's own */
	struct rf_locate_range ranges[2];
	struct rf_diag diag;
};

static void put_image(struct guest *g, uint64_t gva, uint64_t gpa, const char *banner)
{
	const struct synth_symbol list[] = {
		{ "pcpu_hot", 'A', 0x1000 },
		{ "_text", 'T', gva },
		{ "entry_SYSCALL_64", 'T', gva + ENTRY },
		{ "init_top_pgt", 'D', gva + ROOT },
		{ "linux_banner", 'D', gva + BANNER },
		{ "_end", 'B', gva + IMAGE_SIZE - 100 },
	};
	struct synth_tables t = synth_kallsyms(list, 6, SYNTH_ORDER_6_4,
					       RF_KALLSYMS_ABSOLUTE_PERCPU, gva + SYMBOLS, gva);

	synth_put(&g->s, gpa + SYMBOLS, t.bytes, t.len);
	synth_put(&g->s, gpa + BANNER, banner, strlen(banner) + 1);
	free(t.bytes);
}

static void map_image(struct synth *s, uint64_t gva, uint64_t gpa)
{
	for (uint64_t at = 0; at < IMAGE_SIZE; at += RF_HUGE_SIZE)
		synth_map(s, gva + at, gpa + at, RF_HUGE_SIZE, at ? SYNTH_NX | SYNTH_W : 0);
}

static void put_u64(struct guest *g, uint64_t gpa, uint64_t v)
{
	synth_put(&g->s, gpa, &v, 8);
}

static void put_gate(struct guest *g, unsigned int vector, uint64_t handler)
{
	uint64_t gate[2] = { (handler & 0xffff) | UINT64_C(0x10) << 16 | UINT64_C(0x8e) << 40 |
				     (handler & 0xffff0000) << 32,
			     handler >> 32 };

	synth_put(&g->s, IDT_GPA + vector * 16, gate, sizeof(gate));
}

/* Tables go below the image, where they are met before the root. */
static void make_guest(struct guest *g, unsigned int levels)
{
	struct synth user;

	memset(g, 0, sizeof(*g));
	synth_init(&g->s, RAM, IMAGE_GPA + ROOT, levels);
	g->s.next_table = TABLES_BELOW;
	put_image(g, IMAGE, IMAGE_GPA, "Linux version 6.99 (made by hand)\n");
	map_image(&g->s, IMAGE, IMAGE_GPA);
	synth_map(&g->s, IDT, IDT_GPA, RF_PAGE_SIZE, SYNTH_NX);
	put_gate(g, 14, IMAGE + ENTRY);
	/* Half of the root is the kernel's. */
	memcpy(g->s.ram + PROCESS + 2048, g->s.ram + IMAGE_GPA + ROOT + 2048, 2048);
	user = g->s;
	user.p.root.v = PROCESS + RF_PAGE_SIZE;
	synth_map(&user, IMAGE, IMAGE_GPA, RF_PAGE_SIZE, 0);
	synth_map(&user, IDT, IDT_GPA, RF_PAGE_SIZE, SYNTH_NX);
	g->s.next_table = user.next_table;
	g->ranges[0] = (struct rf_locate_range){ rf_gpa_of(0), 3 * MIB + 5 };
	g->ranges[1] = (struct rf_locate_range){ rf_gpa_of(4 * MIB), RAM - 4 * MIB };
}

static int locate(struct guest *g, const struct rf_locate_hint *hint, size_t ranges,
		  struct rf_kernel **k, struct rf_paging *p)
{
	int r;

	g->diag.text[0] = '\0';
	r = rf_kernel_locate(&g->s.m, hint, hint ? 1 : 0, g->ranges, ranges, k, p, &g->diag);
	if (r && !g->diag.text[0])
		fail_msg("%d, and no reason", r);
	return r;
}

static void found_at(struct guest *g, const struct rf_locate_hint *hint, size_t ranges,
		     uint64_t gpa)
{
	struct rf_paging p = { 0 }, own;
	struct rf_kernel *k = NULL;
	int r = locate(g, hint, ranges, &k, &p);

	if (r)
		fail_msg("%d: %s", r, g->diag.text);
	assert_int_equal(rf_kernel_image(k)->base.v, IMAGE);
	assert_int_equal(rf_kernel_image(k)->gpa.v, gpa);
	assert_int_equal(p.root.v, gpa + ROOT);
	assert_int_equal(p.levels, g->s.p.levels);
	assert_int_equal(rf_kernel_paging(k, &own), 0);
	assert_int_equal(own.levels, p.levels);
	rf_kernel_destroy(k);
}

static void not_found(struct guest *g, const struct rf_locate_hint *hint, int err)
{
	struct rf_paging p = { .levels = 77 };
	struct rf_kernel *k = NULL;
	int r = locate(g, hint, 2, &k, &p);

	if (r != err)
		fail_msg("%d: %s", r, g->diag.text);
	assert_null(k);
	assert_int_equal(p.levels, 77);
}

static void memory_alone_is_enough(void **state)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct guest g;

		make_guest(&g, levels);
		found_at(&g, NULL, 2, IMAGE_GPA);
		/* Where each table lies before the one that leads to it, and after. */
		memset(g.s.ram + PROCESS, 0, 2 * RF_PAGE_SIZE);
		found_at(&g, NULL, 2, IMAGE_GPA);
		synth_deinit(&g.s);
	}
}

static void registers_are_enough(void **state)
{
	static const uint64_t roots[] = { IMAGE_GPA + ROOT, PROCESS | 5, PROCESS | 0x1000 | 0x805 };

	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct guest g;

		make_guest(&g, levels);
		for (size_t i = 0; i < 3; i++) {
			struct rf_locate_hint h = { .cr3 = roots[i],
						    .cr4 = levels == 5 ? LA57 : 0 };

			h.idt_base = IDT;
			found_at(&g, &h, 0, IMAGE_GPA);
			h.rip = 0x401000; /* in user space */
			found_at(&g, &h, 0, IMAGE_GPA);
			h.idt_base = 0;
			h.rip = IMAGE + ENTRY + 3;
			found_at(&g, &h, 0, IMAGE_GPA);
		}
		/* One gate is enough. */
		put_gate(&g, 14, 0x1234);
		put_gate(&g, 0, IMAGE + ENTRY);
		found_at(&g, &(struct rf_locate_hint){ PROCESS, levels == 5 ? LA57 : 0, IDT, 0 }, 0,
			 IMAGE_GPA);
		synth_deinit(&g.s);
	}
}

/* They are claims. */
static void registers_that_lead_nowhere_cost_nothing(void **state)
{
	static const struct rf_locate_hint hints[] = {
		{ 0, 0, IDT, IMAGE + ENTRY },
		{ RAM, 0, IDT, IMAGE + ENTRY },
		{ PROCESS, 0, UINT64_MAX - 100, UINT64_MAX },
		{ PROCESS, 0, IMAGE, IMAGE - 1 }, /* no gates there */
		{ PROCESS, 0, 0, IMAGE + BANNER },
		{ PROCESS, 0, 0, 0 },
		{ PROCESS, LA57, IDT, IMAGE + ENTRY },
	};
	struct guest g;

	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		make_guest(&g, 4);
		found_at(&g, &hints[i], 2, IMAGE_GPA);
		synth_deinit(&g.s);
	}
	make_guest(&g, 5);
	found_at(&g, &(struct rf_locate_hint){ PROCESS, 0, IDT, 0 }, 2, IMAGE_GPA);
	synth_deinit(&g.s);
}

/* Left behind by a reboot, say: nothing in memory tells which one runs, a register does. */
static void of_two_kernels_the_running_one(void **state)
{
	struct rf_locate_hint h = { .cr3 = OTHER_GPA + ROOT, .rip = IMAGE + ENTRY };
	struct synth other;
	struct guest g;

	make_guest(&g, 4);
	put_image(&g, IMAGE, OTHER_GPA, "Linux version 6.98 (made by hand)\n");
	other = g.s;
	other.p.root.v = OTHER_GPA + ROOT;
	map_image(&other, IMAGE, OTHER_GPA);
	not_found(&g, NULL, -EBADMSG);
	assert_non_null(strstr(g.diag.text, "more than one"));
	found_at(&g, &h, 2, OTHER_GPA);
	h.cr3 = PROCESS;
	found_at(&g, &h, 2, IMAGE_GPA);
	synth_deinit(&g.s);
}

static void the_kernel_maps_itself(void **state)
{
	const struct rf_locate_hint h = { .cr3 = PROCESS, .rip = IMAGE + ENTRY };
	struct guest g;

	make_guest(&g, 4);
	memset(g.s.ram + IMAGE_GPA + ROOT, 0, RF_PAGE_SIZE);
	not_found(&g, NULL, -ENOENT);
	assert_non_null(strstr(g.diag.text, "do not map it"));
	not_found(&g, &h, -ENOENT);
	synth_deinit(&g.s);
}

static void nothing_is_found_in_nothing(void **state)
{
	struct guest g;

	make_guest(&g, 4);
	g.ranges[1].size = 0;
	not_found(&g, NULL, -ENOENT);
	g.ranges[1].size = RAM - 4 * MIB;
	g.ranges[1].start.v = RAM; /* not there, whatever the ranges say */
	not_found(&g, NULL, -ENOENT);
	g.ranges[1].start.v = 4 * MIB;
	memset(g.s.ram, 0, RAM);
	not_found(&g, NULL, -ENOENT);
	memset(g.s.ram, 0xff, RAM);
	not_found(&g, NULL, -ENOENT);
	synth_deinit(&g.s);
}

/* A root that maps one executable page at the start of the window. */
static void put_fake(struct guest *g, uint64_t at, uint64_t text)
{
	put_u64(g, at + 4088, (at + 0x1000) | 3);
	put_u64(g, at + 0x1000 + 510 * 8, (at + 0x2000) | 3);
	put_u64(g, at + 0x2000, (at + 0x3000) | 3);
	put_u64(g, at + 0x3000, text | 1);
}

/* What only looks like a kernel is passed over, up to a bound; registers are not led astray. */
static void fakes_are_passed_over(void **state)
{
	const struct rf_locate_hint h = { .cr3 = PROCESS, .idt_base = IDT };
	struct guest g;

	make_guest(&g, 4);
	for (unsigned int i = 0; i < 12; i++)
		put_fake(&g, MIB + i * 0x4000, 5 * MIB + i * RF_PAGE_SIZE);
	found_at(&g, NULL, 2, IMAGE_GPA);
	for (unsigned int i = 0; i < 40; i++)
		put_fake(&g, MIB + i * 0x4000, 5 * MIB + i * RF_PAGE_SIZE);
	not_found(&g, NULL, -E2BIG);
	found_at(&g, &h, 2, IMAGE_GPA);
	synth_deinit(&g.s);
}

/* Something executable below the image, in its own tables. */
static void the_image_need_not_be_first(void **state)
{
	struct guest g;

	make_guest(&g, 4);
	for (unsigned int i = 0; i < 3; i++)
		synth_map(&g.s, WINDOW + i * 0x3000, 5 * MIB + i * 0x7000, RF_PAGE_SIZE, SYNTH_W);
	found_at(&g, NULL, 2, IMAGE_GPA);
	synth_deinit(&g.s);
}

/* Each page is a table, and each entry of it leads to a next one. */
static void tables_without_end_end(void **state)
{
	struct guest g;
	int r;

	make_guest(&g, 4);
	memset(g.s.ram + IMAGE_GPA + ROOT, 0, RF_PAGE_SIZE);
	for (uint64_t at = 0; at < 3 * MIB; at += 8)
		put_u64(&g, at, ((at * 7 + 0x1000) & 0x1ff000) | 3);
	r = locate(&g, NULL, 2, &(struct rf_kernel *){ NULL }, &(struct rf_paging){ 0 });
	assert_true(r == -ENOENT || r == -E2BIG);
	synth_deinit(&g.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_alone_is_enough),
		cmocka_unit_test(registers_are_enough),
		cmocka_unit_test(registers_that_lead_nowhere_cost_nothing),
		cmocka_unit_test(of_two_kernels_the_running_one),
		cmocka_unit_test(the_kernel_maps_itself),
		cmocka_unit_test(nothing_is_found_in_nothing),
		cmocka_unit_test(fakes_are_passed_over),
		cmocka_unit_test(the_image_need_not_be_first),
		cmocka_unit_test(tables_without_end_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
