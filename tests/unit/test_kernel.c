// SPDX-License-Identifier: LGPL-2.1-or-later
/* Discovery, tasks and modules on a whole guest made by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "introspection/task.h"
#include "tests/unit/synth.h"

#define MIB UINT64_C(0x100000)
#define RAM (64 * MIB)
#define IMAGE UINT64_C(0xffffffff92000000)
#define IMAGE_GPA (16 * MIB)
#define IMAGE_SIZE (12 * MIB)
#define DIRECT UINT64_C(0xffff888000000000) /* the direct map: gpa 0 */

/* What stands where in the image. */
#define ENTRY (IMAGE + 0x80)
#define TABLES (IMAGE + 4 * MIB)
#define DECOYS (IMAGE + 3 * MIB)
#define BTF (IMAGE + 6 * MIB)
#define BANNER (IMAGE + 7 * MIB)
#define ROOT (IMAGE + 8 * MIB)
#define LIST (IMAGE + 10 * MIB)
#define INIT (IMAGE + 11 * MIB)
/* And elsewhere in RAM. */
#define PERCPU (DIRECT + 40 * MIB)
#define TASK (DIRECT + 41 * MIB)
#define CRED (DIRECT + 42 * MIB)
#define MODULE_A UINT64_C(0xffffffffc0100000)
#define MODULE_B UINT64_C(0xffffffffc0200000)

enum mapping { EARLY, SEALED };

struct guest {
	struct synth s;
	bool modern; /* pcpu_hot, module mem[] */
	uint64_t btf_len;
};

static uint64_t image_gpa(uint64_t gva)
{
	return gva - IMAGE + IMAGE_GPA;
}

static void put(struct guest *g, uint64_t gva, const void *bytes, size_t len)
{
	synth_put(&g->s, gva >= IMAGE ? image_gpa(gva) : gva - DIRECT, bytes, len);
}

static void put_u64(struct guest *g, uint64_t gva, uint64_t value)
{
	put(g, gva, &value, 8);
}

static void put_types(struct guest *g)
{
	uint32_t u32, u64, pointer, ch, name, long_name, list, cred, part, parts;
	struct synth_btf b;
	size_t len;
	uint8_t *blob;

	synth_btf_init(&b);
	u32 = synth_btf_int(&b, "unsigned int", 4, 32);
	u64 = synth_btf_int(&b, "unsigned long", 8, 64);
	ch = synth_btf_int(&b, "char", 1, 8);
	pointer = synth_btf_ref(&b, BTF_KIND_PTR, NULL, 0);
	name = synth_btf_array(&b, ch, 16);
	long_name = synth_btf_array(&b, ch, 56);
	cred = synth_btf_struct(&b, BTF_KIND_STRUCT, NULL, 4, 1, false);
	synth_btf_member(&b, "val", u32, 0);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "cred", 16, 1, false);
	synth_btf_member(&b, "uid", cred, 64);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "task_struct", 64, 4, false);
	synth_btf_member(&b, "pid", u32, 0);
	synth_btf_member(&b, "tgid", u32, 32);
	synth_btf_member(&b, "real_cred", pointer, 64);
	synth_btf_member(&b, "comm", name, 128);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "pcpu_hot", 64, 2, false);
	synth_btf_member(&b, "preempt_count", u64, 0);
	synth_btf_member(&b, "current_task", pointer, 64);
	list = synth_btf_struct(&b, BTF_KIND_STRUCT, "list_head", 16, 2, false);
	synth_btf_member(&b, "next", pointer, 0);
	synth_btf_member(&b, "prev", pointer, 64);
	part = synth_btf_struct(&b, BTF_KIND_STRUCT, g->modern ? "module_memory" : "module_layout",
				16, 2, false);
	synth_btf_member(&b, "base", pointer, 0);
	synth_btf_member(&b, "size", u32, 64);
	parts = synth_btf_array(&b, part, 2);
	synth_btf_struct(&b, BTF_KIND_STRUCT, "module", 256, g->modern ? 3 : 4, false);
	synth_btf_member(&b, "list", list, 64);
	synth_btf_member(&b, "name", long_name, 192);
	if (g->modern) {
		synth_btf_member(&b, "mem", parts, 1024);
	} else {
		synth_btf_member(&b, "core_layout", part, 1024);
		synth_btf_member(&b, "init_layout", part, 1152);
	}
	blob = synth_btf_blob(&b, &len);
	put(g, BTF, blob, len);
	g->btf_len = len;
	free(blob);
}

static void put_symbols(struct guest *g)
{
	const struct synth_symbol list[] = {
		{ g->modern ? "pcpu_hot" : "current_task", 'A', 0x1000 },
		{ "_text", 'T', IMAGE },
		{ "entry_SYSCALL_64", 'T', ENTRY },
		{ "do_something", 't', ENTRY + 0x100 },
		{ "__start_BTF", 'R', BTF },
		{ "__stop_BTF", 'R', BTF + g->btf_len },
		{ "linux_banner", 'D', BANNER },
		{ "init_top_pgt", 'D', ROOT },
		{ "modules", 'd', LIST },
		{ "system_state", 'D', LIST + 0x100 },
		{ "_end", 'B', IMAGE + IMAGE_SIZE - 100 },
	};
	struct synth_tables t;

	t = synth_kallsyms(list, 11, g->modern ? SYNTH_ORDER_6_4 : SYNTH_ORDER_6_1,
			   RF_KALLSYMS_ABSOLUTE_PERCPU, TABLES, IMAGE);
	put(g, TABLES, t.bytes, t.len);
	free(t.bytes);
}

/* Many case tables like those of fs/nls, each with the digits that a search goes by. */
static void put_decoys(struct guest *g)
{
	uint16_t table[256];

	for (unsigned int i = 0; i < 256; i++)
		table[i] = i;
	for (unsigned int i = 0; i < 60; i++)
		put(g, DECOYS + i * 0x1000 + 2 * i, table, sizeof(table));
}

static void map_image(struct guest *g, enum mapping mapping)
{
	for (uint64_t at = 0; at < IMAGE_SIZE; at += RF_HUGE_SIZE) {
		if (mapping == EARLY || at == 4 * MIB) {
			synth_map(&g->s, IMAGE + at, IMAGE_GPA + at, RF_HUGE_SIZE,
				  mapping == EARLY ? SYNTH_W : SYNTH_NX);
			continue;
		}
		for (uint64_t page = at; page < at + RF_HUGE_SIZE; page += RF_PAGE_SIZE)
			if (IMAGE + page <
			    INIT) /* freed and unmapped: a hole up to the last page */
				synth_map(&g->s, IMAGE + page, IMAGE_GPA + page, RF_PAGE_SIZE,
					  page < 2 * MIB ? 0 : SYNTH_W | SYNTH_NX);
	}
	if (mapping == SEALED)
		synth_map(&g->s, IMAGE + IMAGE_SIZE - RF_PAGE_SIZE,
			  IMAGE_GPA + IMAGE_SIZE - RF_PAGE_SIZE, RF_PAGE_SIZE, SYNTH_NX);
	/* A module right behind the window, and in it something that is no part of the image. */
	synth_map(&g->s, IMAGE + 32 * MIB, 2 * MIB, RF_HUGE_SIZE, SYNTH_W);
}

static void put_modules(struct guest *g)
{
	static const uint64_t at[] = { 44 * MIB, 45 * MIB }, base[] = { MODULE_A, MODULE_B };

	put_u64(g, LIST, DIRECT + at[0] + 8);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t m = DIRECT + at[i];

		put_u64(g, m + 8, i ? LIST : DIRECT + at[1] + 8);
		put(g, m + 24, i ? "second\x1b" : "first\0\0", 8);
		put_u64(g, m + 128, base[i]);
		put_u64(g, m + 136, 0x3000);
		put_u64(g, m + 144, base[i] + 0x10000);
		put_u64(g, m + 152, 0x1000);
	}
}

static void make_guest(struct guest *g, unsigned int levels, enum mapping mapping, bool modern)
{
	static const char banner[] = "Linux version 6.99 (made by hand)\n";

	*g = (struct guest){ .modern = modern };
	synth_init(&g->s, RAM, image_gpa(ROOT), levels);
	g->s.next_table += RF_PAGE_SIZE; /* the user half of the root */
	put_types(g);
	put_symbols(g);
	put_decoys(g);
	put_modules(g);
	put(g, BANNER, banner, sizeof(banner));
	put_u64(g, PERCPU + 0x1000 + (modern ? 8 : 0), TASK);
	put_u64(g, TASK, 7 | UINT64_C(8) << 32);
	put_u64(g, TASK + 8, CRED);
	put(g, TASK + 16, "sh\n\xff", 5);
	put_u64(g, CRED + 8, 1000);
	map_image(g, mapping);
	for (uint64_t at = 40 * MIB; at < 48 * MIB; at += RF_HUGE_SIZE)
		synth_map(&g->s, DIRECT + at, at, RF_HUGE_SIZE, SYNTH_W | SYNTH_NX);
}

static int discover(struct guest *g, uint64_t inside, struct rf_kernel **k)
{
	struct rf_diag diag = { "" };
	int r = rf_kernel_discover(&g->s.m, &g->s.p, rf_gva_of(inside), k, &diag);

	if (r)
		assert_true(diag.text[0]);
	return r;
}

static void check_kernel(const struct rf_kernel *k, const struct guest *g)
{
	struct rf_paging paging;
	struct rf_symbol s;
	struct rf_member m;
	uint64_t offset;
	rf_gva end;
	rf_gpa gpa;

	assert_int_equal(rf_kernel_image(k)->base.v, IMAGE);
	assert_int_equal(rf_kernel_image(k)->gpa.v, IMAGE_GPA);
	assert_int_equal(rf_kernel_image(k)->size, IMAGE_SIZE);
	assert_string_equal(rf_kernel_banner(k), "Linux version 6.99 (made by hand)");
	assert_int_equal(rf_kernel_symbol_count(k), 11);
	assert_int_equal(rf_kernel_symbolize(k, rf_gva_of(ENTRY + 0x123), &s, &offset), 0);
	assert_string_equal(s.name, "do_something");
	assert_int_equal(offset, 0x23);
	assert_int_equal(rf_kernel_symbol_extent(k, rf_gva_of(ENTRY), &s, &end), 0);
	assert_int_equal(end.v, ENTRY + 0x100);
	assert_int_equal(rf_kernel_symbol_extent(k, rf_gva_of(LIST + 0x200), &s, &end), 0);
	assert_int_equal(end.v, IMAGE + IMAGE_SIZE - 100);
	assert_int_equal(rf_kernel_symbol_extent(k, rf_gva_of(end.v), &s, &end), 0);
	assert_int_equal(end.v, IMAGE + IMAGE_SIZE);
	assert_int_equal(rf_kernel_symbolize(k, rf_gva_of(IMAGE - 1), &s, &offset), -ENOENT);
	assert_int_equal(rf_kernel_symbolize(k, rf_gva_of(IMAGE + IMAGE_SIZE), &s, &offset),
			 -ENOENT);
	assert_int_equal(rf_kernel_image_gpa(k, rf_gva_of(LIST), &gpa), 0);
	assert_int_equal(gpa.v, image_gpa(LIST));
	assert_int_equal(rf_kernel_image_gpa(k, rf_gva_of(IMAGE + IMAGE_SIZE), &gpa), -ENOENT);
	assert_true(rf_kernel_has_types(k));
	assert_int_equal(rf_kernel_member(k, "task_struct", "comm", &m), 0);
	assert_int_equal(m.offset, 16);
	assert_int_equal(rf_kernel_paging(k, &paging), 0);
	assert_int_equal(paging.root.v, image_gpa(ROOT));
	assert_int_equal(paging.levels, g->s.p.levels);
}

static void kernels_are_found_early_and_sealed(void **state)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		for (int mapping = EARLY; mapping <= SEALED; mapping++) {
			for (int modern = 0; modern <= 1; modern++) {
				struct rf_kernel *k = NULL;
				struct guest g;

				make_guest(&g, levels, mapping, modern);
				assert_int_equal(discover(&g, ENTRY, &k), 0);
				check_kernel(k, &g);

				/* Again, from the image alone: the page tables are gone. */
				struct rf_image known = *rf_kernel_image(k);
				struct rf_diag diag;

				rf_kernel_destroy(k);
				memset(g.s.ram + image_gpa(ROOT), 0, RF_PAGE_SIZE);
				assert_int_equal(rf_kernel_discover_image(&g.s.m, &known, &known,
									  levels, rf_gva_of(ENTRY),
									  &k, &diag),
						 0);
				check_kernel(k, &g);
				rf_kernel_destroy(k);
				synth_deinit(&g.s);
			}
		}
	}
}

/* A part of the image, from `first` to `last`. */
static struct rf_image part(uint64_t first, uint64_t last)
{
	return (struct rf_image){ rf_gva_of(first), rf_gpa_of(image_gpa(first)), last - first };
}

static int discover_in(struct guest *g, struct rf_image tables, struct rf_kernel **k)
{
	const struct rf_image image = part(IMAGE, IMAGE + IMAGE_SIZE);
	struct rf_diag diag = { "" };

	return rf_kernel_discover_image(&g->s.m, &image, &tables, 4, rf_gva_of(ENTRY), k, &diag);
}

/* Who can write to the image makes another kallsyms, below the real one or above. */
static void another_kallsyms_is_not_believed(void **state)
{
	static const uint64_t at[] = { IMAGE + 2 * MIB + 0x3000, ROOT + MIB };
	const struct synth_symbol list[] = {
		{ "_text", 'T', IMAGE },
		{ "system_state", 'D', IMAGE + 0x10000 },
	};

	for (int modern = 0; modern <= 1; modern++) {
		for (unsigned int i = 0; i < 2; i++) {
			struct rf_kernel *k = NULL;
			struct synth_tables t;
			struct guest g;

			make_guest(&g, 4, EARLY, modern);
			t = synth_kallsyms(list, 2, modern ? SYNTH_ORDER_6_4 : SYNTH_ORDER_6_1,
					   RF_KALLSYMS_ABSOLUTE_PERCPU, at[i], IMAGE);
			put(&g, at[i], t.bytes, t.len);
			free(t.bytes);
			/* It is one: alone it is found. */
			assert_int_equal(discover_in(&g, part(at[i] - 0x1000, at[i] + 0x10000), &k),
					 0);
			assert_int_equal(rf_kernel_symbol_count(k), 2);
			rf_kernel_destroy(k);
			k = NULL;
			/* Anybody may have written anything: neither is believed. */
			assert_int_equal(discover(&g, ENTRY, &k), -EBADMSG);
			assert_int_equal(discover_in(&g, part(IMAGE, IMAGE + IMAGE_SIZE), &k),
					 -EBADMSG);
			assert_null(k);
			/* What is sealed is. */
			assert_int_equal(discover_in(&g, part(TABLES, ROOT), &k), 0);
			check_kernel(k, &g);
			rf_kernel_destroy(k);
			synth_deinit(&g.s);
		}
	}
}

/* The tables may say that types and banner lie anywhere. */
static void what_is_not_sealed_is_not_read(void **state)
{
	struct rf_kernel *k = NULL;
	struct guest g;

	make_guest(&g, 4, EARLY, true);
	assert_int_equal(discover_in(&g, part(TABLES, BTF), &k), 0);
	assert_false(rf_kernel_has_types(k));
	assert_string_equal(rf_kernel_banner(k), "");
	rf_kernel_destroy(k);
	k = NULL;
	assert_int_equal(discover_in(&g, part(TABLES, BTF + 8), &k), 0);
	assert_false(rf_kernel_has_types(k));
	rf_kernel_destroy(k);
	k = NULL;
	assert_int_equal(discover_in(&g, part(BTF, ROOT), &k), -ENOENT);
	assert_null(k);
	synth_deinit(&g.s);
}

/* Pages that an attacker mapped below and above, at the image's own distance. */
static void neighbours_are_no_part_of_the_image(void **state)
{
	struct rf_kernel *k = NULL;
	struct guest g;

	make_guest(&g, 4, EARLY, true);
	synth_map(&g.s, IMAGE - 8 * MIB, IMAGE_GPA - 8 * MIB, RF_HUGE_SIZE, SYNTH_W);
	synth_map(&g.s, IMAGE + IMAGE_SIZE + 2 * MIB, IMAGE_GPA + IMAGE_SIZE + 2 * MIB,
		  RF_HUGE_SIZE, 0);
	assert_int_equal(discover(&g, ENTRY, &k), 0);
	check_kernel(k, &g);
	rf_kernel_destroy(k);
	synth_deinit(&g.s);
}

/* Under page-table isolation CR3 may be the user half, which maps a page of entry code and no
 * more. */
static void the_user_half_leads_to_the_kernel(void **state)
{
	struct rf_kernel *k = NULL;
	struct synth user;
	struct guest g;

	make_guest(&g, 4, SEALED, true);
	user = g.s;
	user.p.root.v |= 0x1000;
	user.m = g.s.m;
	synth_map(&user, ENTRY & ~UINT64_C(0xfff), image_gpa(ENTRY) & ~UINT64_C(0xfff),
		  RF_PAGE_SIZE, 0);
	g.s.p.root.v |= 0x1000;
	assert_int_equal(discover(&g, ENTRY, &k), 0);
	check_kernel(k, &g);
	rf_kernel_destroy(k);
	synth_deinit(&g.s);
}

static void what_is_no_kernel_is_refused(void **state)
{
	struct rf_kernel *k = NULL;
	struct guest g;
	uint8_t *page;

	make_guest(&g, 4, EARLY, true);
	assert_int_equal(discover(&g, 0x400000, &k), -ENOENT);
	assert_int_equal(discover(&g, DIRECT + 40 * MIB, &k), -ENOENT);
	assert_int_equal(discover(&g, IMAGE - RF_HUGE_SIZE, &k), -ENOENT);
	assert_int_equal(discover(&g, IMAGE + 32 * MIB, &k), -ENOENT); /* mapped, without tables */
	/* An address in data: no text symbol holds it. */
	assert_int_equal(discover(&g, LIST + 0x200, &k), -EBADMSG);

	/* RAM that ends inside the image. */
	g.s.size = image_gpa(BTF);
	assert_int_equal(discover(&g, ENTRY, &k), -EFAULT);
	g.s.size = RAM;

	page = g.s.ram + image_gpa(TABLES);
	memset(page, 0xa5, MIB);
	assert_int_equal(discover(&g, ENTRY, &k), -ENOENT);
	srand(1);
	for (size_t i = 0; i < IMAGE_SIZE; i++)
		if (!rf_within(IMAGE + i, 1, ROOT, 2 * MIB))
			g.s.ram[IMAGE_GPA + i] = rand() >> 7;
	assert_int_equal(discover(&g, ENTRY, &k), -ENOENT);

	/* Nothing but what a search goes by: it gives up. */
	for (size_t i = 0; i + 20 < 4 * MIB; i += 20)
		memcpy(g.s.ram + IMAGE_GPA + i, rf_kallsyms_digits, 20);
	assert_int_equal(discover(&g, ENTRY, &k), -EBADMSG);
	assert_null(k);
	synth_deinit(&g.s);
}

static void bad_types_cost_the_types_alone(void **state)
{
	struct rf_kernel *k = NULL;
	struct rf_member m;
	struct rf_task task;
	struct rf_module module;
	struct guest g;
	int64_t value;

	make_guest(&g, 4, EARLY, true);
	put_u64(&g, BTF + 8, UINT64_MAX);
	assert_int_equal(discover(&g, ENTRY, &k), 0);
	assert_false(rf_kernel_has_types(k));
	assert_int_equal(rf_kernel_member(k, "task_struct", "comm", &m), -ENOTSUP);
	assert_int_equal(rf_kernel_sizeof(k, "task_struct", &m.size), -ENOTSUP);
	assert_int_equal(rf_kernel_enumerator(k, NULL, "X", &value), -ENOTSUP);
	assert_int_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(PERCPU), &task), -ENOENT);
	assert_int_equal(rf_module_find(k, &g.s.m, &g.s.p, rf_gva_of(MODULE_A), &module), -ENOENT);
	rf_kernel_destroy(k);
	synth_deinit(&g.s);
}

static void the_running_task_is_read(void **state)
{
	for (int modern = 0; modern <= 1; modern++) {
		struct rf_kernel *k;
		struct rf_task t = { .uid = 77 };
		struct guest g;

		make_guest(&g, 4, SEALED, modern);
		assert_int_equal(discover(&g, ENTRY, &k), 0);
		assert_int_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(PERCPU), &t), 0);
		assert_int_equal(t.pid, 7);
		assert_int_equal(t.tgid, 8);
		assert_int_equal(t.uid, 1000);
		assert_string_equal(t.comm, "sh??");

		t.uid = 77;
		assert_int_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(0), &t), -ENOENT);
		put_u64(&g, TASK + 8, 0x1000); /* a credential in user memory */
		assert_int_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(PERCPU), &t),
				 -EBADMSG);
		put_u64(&g, TASK + 8, UINT64_C(0xffffffffffffffff));
		assert_int_not_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(PERCPU), &t), 0);
		put_u64(&g, PERCPU + 0x1000 + (modern ? 8 : 0), 0x1000);
		assert_int_equal(rf_task_current(k, &g.s.m, &g.s.p, rf_gva_of(PERCPU), &t),
				 -EBADMSG);
		assert_int_equal(t.uid, 77);
		rf_kernel_destroy(k);
		synth_deinit(&g.s);
	}
}

static int find(struct rf_kernel *k, struct guest *g, uint64_t gva, struct rf_module *m)
{
	return rf_module_find(k, &g->s.m, &g->s.p, rf_gva_of(gva), m);
}

static int ranges(struct rf_kernel *k, struct guest *g, size_t max, struct rf_module_range *v,
		  size_t *count)
{
	return rf_module_ranges(k, &g->s.m, &g->s.p, v, max, count);
}

static void modules_are_listed_whole(void **state)
{
	for (int modern = 0; modern <= 1; modern++) {
		struct rf_module_range v[64];
		struct rf_kernel *k;
		bool has[2] = { false };
		struct guest g;
		size_t count;

		make_guest(&g, 5, SEALED, modern);
		assert_int_equal(discover(&g, ENTRY, &k), 0);
		assert_int_equal(ranges(k, &g, 64, v, &count), 0);
		for (size_t i = 0; i < count; i++) {
			has[0] |= v[i].base == MODULE_A && v[i].size == 0x3000;
			has[1] |= v[i].base == MODULE_B + 0x10000;
		}
		assert_true(has[0] && has[1]);
		assert_int_equal(ranges(k, &g, 1, v, &count), -EBADMSG);   /* no room */
		put_u64(&g, DIRECT + 45 * MIB + 8, DIRECT + 44 * MIB + 8); /* for ever */
		assert_int_equal(ranges(k, &g, 64, v, &count), -EBADMSG);
		put_u64(&g, DIRECT + 45 * MIB + 8, DIRECT + 63 * MIB); /* nowhere */
		assert_int_equal(ranges(k, &g, 64, v, &count), -EFAULT);
		rf_kernel_destroy(k);
		synth_deinit(&g.s);
	}
}

static void modules_are_found_by_address(void **state)
{
	for (int modern = 0; modern <= 1; modern++) {
		struct rf_module m = { .size = 77 };
		struct rf_kernel *k;
		struct guest g;

		make_guest(&g, 5, SEALED, modern);
		assert_int_equal(discover(&g, ENTRY, &k), 0);
		assert_int_equal(find(k, &g, MODULE_A, &m), 0);
		assert_string_equal(m.name, "first");
		assert_int_equal(m.base.v, MODULE_A);
		assert_int_equal(m.size, 0x3000);
		assert_int_equal(find(k, &g, MODULE_B + 0x10fff, &m), 0);
		assert_string_equal(m.name, "second?");
		assert_int_equal(m.base.v, MODULE_B + 0x10000);
		m.size = 77;
		assert_int_equal(find(k, &g, MODULE_B + 0x3000, &m), -ENOENT);
		assert_int_equal(find(k, &g, IMAGE, &m), -ENOENT);

		/* Lists that never come back, lead nowhere, or into user memory. */
		put_u64(&g, DIRECT + 45 * MIB + 8, DIRECT + 44 * MIB + 8);
		assert_int_equal(find(k, &g, IMAGE, &m), -EBADMSG);
		put_u64(&g, DIRECT + 45 * MIB + 8, DIRECT + 63 * MIB);
		assert_int_equal(find(k, &g, IMAGE, &m), -EFAULT);
		put_u64(&g, DIRECT + 45 * MIB + 8, UINT64_C(0x1234567812345678));
		assert_int_equal(find(k, &g, IMAGE, &m), -EBADMSG);
		put_u64(&g, LIST, LIST); /* empty */
		assert_int_equal(find(k, &g, MODULE_A, &m), -ENOENT);
		assert_int_equal(m.size, 77);
		rf_kernel_destroy(k);
		synth_deinit(&g.s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_are_found_early_and_sealed),
		cmocka_unit_test(another_kallsyms_is_not_believed),
		cmocka_unit_test(what_is_not_sealed_is_not_read),
		cmocka_unit_test(neighbours_are_no_part_of_the_image),
		cmocka_unit_test(the_user_half_leads_to_the_kernel),
		cmocka_unit_test(what_is_no_kernel_is_refused),
		cmocka_unit_test(bad_types_cost_the_types_alone),
		cmocka_unit_test(the_running_task_is_read),
		cmocka_unit_test(modules_are_listed_whole),
		cmocka_unit_test(modules_are_found_by_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
