// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/synth.h"

#define KERNEL UINT64_C(0xffffffff81000000)
#define RAM (UINT64_C(64) << 20)
#define TABLES (UINT64_C(32) << 20)

static struct rf_translation translate(struct synth *s, uint64_t gva)
{
	struct rf_translation t = { 0 };

	assert_int_equal(rf_pt_translate(&s->m, &s->p, rf_gva_of(gva), &t), 0);
	return t;
}

static int error_of(struct synth *s, uint64_t gva)
{
	struct rf_translation t = { .page_size = 77 };
	int r = rf_pt_translate(&s->m, &s->p, rf_gva_of(gva), &t);

	assert_int_equal(t.page_size, 77);
	return r;
}

static void each_page_size_translates(void **state)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct synth s;

		synth_init(&s, RAM, TABLES, levels);
		synth_map(&s, KERNEL, 0x5000, RF_PAGE_SIZE, SYNTH_NX);
		synth_map(&s, KERNEL + RF_HUGE_SIZE, 0x400000, RF_HUGE_SIZE, SYNTH_W);
		synth_map(&s, UINT64_C(0x40000000), UINT64_C(0x80000000), UINT64_C(1) << 30,
			  SYNTH_U);

		struct rf_translation t = translate(&s, KERNEL + 0x123);
		assert_int_equal(t.gpa.v, 0x5123);
		assert_int_equal(t.page_size, RF_PAGE_SIZE);
		assert_false(t.writable || t.user || t.executable);

		t = translate(&s, KERNEL + RF_HUGE_SIZE + 0x12345);
		assert_int_equal(t.gpa.v, 0x412345);
		assert_int_equal(t.page_size, RF_HUGE_SIZE);
		assert_true(t.writable && t.executable && !t.user);

		t = translate(&s, 0x7fffffff);
		assert_int_equal(t.gpa.v, 0xbfffffff);
		assert_int_equal(t.page_size, 1 << 30);
		assert_true(t.user && t.executable && !t.writable);
		synth_deinit(&s);
	}
}

/* Each entry from the root down, as far as there is one, and what it says of itself. */
static void a_walk_is_told_step_by_step(void **state)
{
	struct rf_pt_step steps[RF_PT_LEVELS_MAX];
	char flags[RF_PT_FLAGS_TEXT];
	struct rf_translation t;
	unsigned int count = 77;
	struct synth s;

	synth_init(&s, RAM, TABLES, 5);
	synth_map(&s, KERNEL, 0x5000, RF_PAGE_SIZE, SYNTH_NX | 1 << 6 | 1 << 7 | 1 << 8);
	synth_map(&s, KERNEL + RF_HUGE_SIZE, 0x400000, RF_HUGE_SIZE, SYNTH_W | SYNTH_U | 1 << 5);
	assert_int_equal(rf_pt_trace(&s.m, &s.p, rf_gva_of(KERNEL + 8), steps, &count, &t), 0);
	assert_int_equal(count, 5);
	assert_int_equal(t.gpa.v, 0x5008);
	for (unsigned int i = 0; i < 5; i++) {
		const uint64_t *e = synth_entry(&s, KERNEL, 4 - i);

		assert_int_equal(steps[i].level, 4 - i);
		assert_int_equal(steps[i].entry, *e);
		assert_int_equal(steps[i].at.v, (const uint8_t *)e - s.ram);
	}
	assert_string_equal(rf_pt_flags_text(&steps[4], flags), "present dirty pat global nx");
	assert_string_equal(rf_pt_level_text(steps[0].level), "PML5");
	assert_string_equal(rf_pt_level_text(steps[4].level), "PT");
	assert_string_equal(rf_pt_level_text(5), "?");

	assert_int_equal(
		rf_pt_trace(&s.m, &s.p, rf_gva_of(KERNEL + RF_HUGE_SIZE), steps, &count, &t), 0);
	assert_int_equal(count, 4);
	assert_string_equal(rf_pt_flags_text(&steps[3], flags),
			    "present writable user accessed large");
	/* All that there can be fits. */
	steps[3].entry = ~UINT64_C(0);
	assert_string_equal(rf_pt_flags_text(&steps[3], flags),
			    "present writable user write-through uncached accessed dirty large "
			    "global nx");

	/* Where it ends early, too. */
	assert_int_equal(
		rf_pt_trace(&s.m, &s.p, rf_gva_of(KERNEL + RF_PAGE_SIZE), steps, &count, &t),
		-ENOENT);
	assert_int_equal(count, 5);
	steps[4].entry = ~UINT64_C(1);
	assert_string_equal(rf_pt_flags_text(&steps[4], flags), "not present");
	*synth_entry(&s, KERNEL, 2) = RAM | 7;
	assert_int_equal(rf_pt_trace(&s.m, &s.p, rf_gva_of(KERNEL), steps, &count, &t), -EFAULT);
	assert_int_equal(count, 3);
	assert_int_equal(rf_pt_trace(&s.m, &s.p, rf_gva_of(UINT64_C(1) << 60), steps, &count, &t),
			 -EINVAL);
	assert_int_equal(count, 0);
	synth_deinit(&s);
}

static void rights_are_those_of_all_levels(void **state)
{
	struct synth s;

	synth_init(&s, RAM, TABLES, 4);
	synth_map(&s, KERNEL, 0x5000, RF_PAGE_SIZE, SYNTH_W | SYNTH_U);
	for (unsigned int level = 1; level < 4; level++) {
		uint64_t *e = synth_entry(&s, KERNEL, level), was = *e;

		*e = was & ~SYNTH_W;
		assert_false(translate(&s, KERNEL).writable);
		*e = was & ~SYNTH_U;
		assert_false(translate(&s, KERNEL).user);
		*e = was | SYNTH_NX;
		assert_false(translate(&s, KERNEL).executable);
		*e = was;
	}
	assert_true(translate(&s, KERNEL).writable && translate(&s, KERNEL).user);
	synth_deinit(&s);
}

static void what_the_processor_refuses_is_refused(void **state)
{
	struct synth s;

	synth_init(&s, RAM, TABLES, 4);
	synth_map(&s, KERNEL, 0x400000, RF_HUGE_SIZE, 0);
	assert_int_equal(error_of(&s, UINT64_C(0x0000800000000000)), -EINVAL);
	assert_int_equal(error_of(&s, UINT64_C(0xff00000000000000)), -EINVAL);
	assert_int_equal(error_of(&s, KERNEL - 1), -ENOENT);
	assert_int_equal(error_of(&s, 0), -ENOENT);

	uint64_t *e = synth_entry(&s, KERNEL, 1), was = *e;
	*e = was | 0x2000; /* below the page size: reserved */
	assert_int_equal(error_of(&s, KERNEL), -EBADMSG);
	*e = was | 0x1000; /* PAT, no address bit */
	assert_int_equal(translate(&s, KERNEL).gpa.v, 0x400000);
	*e = was;

	e = synth_entry(&s, KERNEL, 3);
	was = *e;
	*e = was | 0x80; /* no 512 GiB pages */
	assert_int_equal(error_of(&s, KERNEL), -EBADMSG);
	*e = 0x87; /* not at a multiple of that either */
	assert_int_equal(error_of(&s, KERNEL), -EBADMSG);
	*e = RAM | 7;
	assert_int_equal(error_of(&s, KERNEL), -EFAULT);
	*e = was;

	s.p.levels = 3;
	assert_int_equal(error_of(&s, KERNEL), -EINVAL);
	s.p.levels = 4;
	s.p.root.v |= 0x18; /* CR3 with its flag bits is no root */
	assert_int_equal(error_of(&s, KERNEL), -EINVAL);
	s.p = rf_paging_of(s.p.root.v | UINT64_C(0x8000000000000fff), 0x20);
	assert_int_equal(s.p.levels, 4);
	assert_int_equal(translate(&s, KERNEL).gpa.v, 0x400000);
	assert_int_equal(rf_paging_of(0, 0x1020).levels, 5);
	synth_deinit(&s);
}

static void reads_cross_pages(void **state)
{
	uint8_t out[0x3000];
	struct synth s;

	synth_init(&s, RAM, TABLES, 5);
	synth_map(&s, KERNEL, 0x7000, RF_PAGE_SIZE, 0);
	synth_map(&s, KERNEL + 0x1000, 0x3000, RF_PAGE_SIZE, 0);
	synth_map(&s, UINT64_C(0xfffffffffffff000), 0x9000, RF_PAGE_SIZE, 0);
	memset(s.ram + 0x7000, 1, 0x1000);
	memset(s.ram + 0x3000, 2, 0x1000);
	assert_int_equal(rf_pt_read(&s.m, &s.p, rf_gva_of(KERNEL + 0xffe), out, 4), 0);
	assert_memory_equal(out, ((uint8_t[]){ 1, 1, 2, 2 }), 4);
	assert_int_equal(rf_pt_read(&s.m, &s.p, rf_gva_of(KERNEL), out, 0x2001), -ENOENT);
	assert_int_equal(rf_pt_read(&s.m, &s.p, rf_gva_of(KERNEL), out, 0), 0);
	assert_int_equal(rf_pt_read(&s.m, &s.p, rf_gva_of(UINT64_MAX), out, 1), 0);
	assert_int_equal(rf_pt_read(&s.m, &s.p, rf_gva_of(UINT64_MAX), out, 2), -EINVAL);
	synth_deinit(&s);
}

struct runs {
	struct rf_mapping run[16];
	size_t count, stop_at;
};

static int collect(void *ctx, const struct rf_mapping *run)
{
	struct runs *r = ctx;

	assert_true(r->count < 16);
	r->run[r->count++] = *run;
	return r->count == r->stop_at ? 42 : 0;
}

static int walk(struct synth *s, uint64_t start, uint64_t end, uint64_t budget, struct runs *r)
{
	memset(r, 0, offsetof(struct runs, stop_at));
	return rf_pt_walk(&s->m, &s->p, rf_gva_of(start), rf_gva_of(end), budget, collect, r);
}

static void a_walk_merges_what_belongs_together(void **state)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		struct runs r = { 0 };
		struct synth s;

		synth_init(&s, RAM, TABLES, levels);
		/* 2 MiB, then 4 KiB pages that go on, one with other rights, a hole, one
		 * elsewhere. */
		synth_map(&s, KERNEL, 0x400000, RF_HUGE_SIZE, 0);
		for (unsigned int i = 0; i < 4; i++)
			synth_map(&s, KERNEL + RF_HUGE_SIZE + i * 0x1000, 0x600000 + i * 0x1000,
				  RF_PAGE_SIZE, i == 3 ? SYNTH_NX : 0);
		synth_map(&s, KERNEL + RF_HUGE_SIZE + 0x5000, 0x605000, RF_PAGE_SIZE, SYNTH_NX);
		synth_map(&s, KERNEL + RF_HUGE_SIZE + 0x6000, 0x1000, RF_PAGE_SIZE, SYNTH_NX);
		synth_map(&s, UINT64_C(0xfffffffffffff000), 0x2000, RF_PAGE_SIZE, SYNTH_W);

		assert_int_equal(walk(&s, UINT64_C(0xffffffff80000000), 0, 10000, &r), 0);
		assert_int_equal(r.count, 5);
		assert_int_equal(r.run[0].gva.v, KERNEL);
		assert_int_equal(r.run[0].gpa.v, 0x400000);
		assert_int_equal(r.run[0].size, RF_HUGE_SIZE + 0x3000);
		assert_int_equal(r.run[1].size, 0x1000);
		assert_false(r.run[1].executable);
		assert_int_equal(r.run[2].gva.v, KERNEL + RF_HUGE_SIZE + 0x5000);
		assert_int_equal(r.run[3].gpa.v, 0x1000);
		assert_int_equal(r.run[4].gva.v, UINT64_C(0xfffffffffffff000));

		/* Clipped at both ends, inside of a large page. */
		assert_int_equal(walk(&s, KERNEL + 0x3000, KERNEL + 0x5000, 100, &r), 0);
		assert_int_equal(r.count, 1);
		assert_int_equal(r.run[0].gpa.v, 0x403000);
		assert_int_equal(r.run[0].size, 0x2000);

		r.stop_at = 2;
		assert_int_equal(walk(&s, UINT64_C(0xffffffff80000000), 0, 10000, &r), 42);
		assert_int_equal(r.count, 2);
		r.stop_at = 0;
		assert_int_equal(walk(&s, KERNEL, KERNEL, 0, &r), 0);
		assert_int_equal(walk(&s, KERNEL + 1, 0, 10, &r), -EINVAL);
		assert_int_equal(walk(&s, 0, KERNEL, 1 << 20, &r), -EINVAL);
		assert_int_equal(walk(&s, KERNEL, KERNEL - 0x1000, 10, &r), -EINVAL);
		synth_deinit(&s);
	}
}

static int discard(void *ctx, const struct rf_mapping *run)
{
	++*(uint64_t *)ctx;
	return 0;
}

/* A root that is every table at once, and tables that alias each other: the work stays bounded. */
static void hostile_trees_end(void **state)
{
	uint64_t called = 0;
	struct runs r = { 0 };
	struct synth s;

	synth_init(&s, RAM, TABLES, 5);
	for (unsigned int i = 0; i < 512; i++)
		((uint64_t *)(s.ram + TABLES))[i] = TABLES | 7;
	assert_int_equal(translate(&s, KERNEL).page_size, RF_PAGE_SIZE);
	assert_int_equal(rf_pt_walk(&s.m, &s.p, rf_gva_of(UINT64_C(1) << 63 | UINT64_C(0x7f) << 56),
				    rf_gva_of(0), 1 << 20, discard, &called),
			 -E2BIG);
	assert_true(called <= 1 << 20);

	memset(s.ram + TABLES, 0, RF_PAGE_SIZE);
	synth_map(&s, KERNEL, 0x400000, RF_HUGE_SIZE, 0);
	*synth_entry(&s, KERNEL, 2) = RAM | 7; /* a table where RAM has ended */
	assert_int_equal(walk(&s, KERNEL, 0, 10000, &r), -EFAULT);
	*synth_entry(&s, KERNEL, 3) |= 0x80;
	assert_int_equal(walk(&s, KERNEL, 0, 10000, &r), -EBADMSG);
	synth_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_page_size_translates),
		cmocka_unit_test(a_walk_is_told_step_by_step),
		cmocka_unit_test(rights_are_those_of_all_levels),
		cmocka_unit_test(what_the_processor_refuses_is_refused),
		cmocka_unit_test(reads_cross_pages),
		cmocka_unit_test(a_walk_merges_what_belongs_together),
		cmocka_unit_test(hostile_trees_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
