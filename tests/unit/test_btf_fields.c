// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a type is made of, for who prints one; and types that lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/synth_load.h"

static char said[4096];
static unsigned int left; /* fields until the one that ends it; 0: none does */

/* "depth name type kind bit width count" a line. */
static int note(void *ctx, const struct rf_field *f)
{
	size_t used = strlen(said);

	if (used < sizeof(said))
		snprintf(said + used, sizeof(said) - used, "%u %s %s %d %llu %u %llu%s\n", f->depth,
			 *f->name ? f->name : "-", f->type, f->kind, (unsigned long long)f->bit,
			 f->width, (unsigned long long)f->count, f->is_array ? " array" : "");
	return left && !--left ? 77 : 0;
}

static int fields(const struct rf_btf *btf, const char *type, const char *path, unsigned int depth)
{
	*said = '\0';
	return rf_btf_fields(btf, type, path, depth, note, NULL);
}

static uint32_t int_of(struct synth_btf *b, const char *name, uint32_t bytes, uint32_t encoding)
{
	return synth_btf_int(b, name, bytes, encoding << 24 | bytes * 8);
}

static void make_types(struct synth_btf *b)
{
	uint32_t u32, s64, ch, yes, cred, pointer, name, grid, color, function, inner, anon, id;
	uint32_t nothing, none;

	synth_btf_init(b);
	u32 = int_of(b, "unsigned int", 4, 0);
	s64 = int_of(b, "long", 8, BTF_INT_SIGNED);
	ch = int_of(b, "char", 1, 0);
	yes = int_of(b, "_Bool", 1, BTF_INT_BOOL);
	id = synth_btf_ref(b, BTF_KIND_TYPEDEF, "pid_t", u32);
	cred = synth_btf_struct(b, STRUCT, "cred", 8, 2, false);
	synth_btf_member(b, "uid", u32, 0);
	synth_btf_member(b, "gid", u32, 32);
	pointer = synth_btf_ref(b, BTF_KIND_CONST, NULL, cred);
	pointer = synth_btf_ref(b, BTF_KIND_PTR, NULL, pointer);
	name = synth_btf_array(b, ch, 16);
	grid = synth_btf_array(b, synth_btf_array(b, u32, 2), 3);
	color = synth_btf_enum(b, false, "color", 2, true);
	synth_btf_value(b, false, "RED", -1);
	synth_btf_value(b, false, "BLUE", 7);
	function = synth_btf_ref(b, BTF_KIND_FUNC_PROTO, NULL, 0);
	function = synth_btf_ref(b, BTF_KIND_PTR, NULL, function);
	inner = synth_btf_struct(b, STRUCT, "inner", 16, 2, false);
	synth_btf_member(b, "cred", cred, 0);
	synth_btf_member(b, "more", s64, 64);
	anon = synth_btf_struct(b, UNION, NULL, 8, 2, false);
	synth_btf_member(b, "number", s64, 0);
	synth_btf_member(b, "cred", cred, 0);
	nothing = synth_btf_ref(b, BTF_KIND_PTR, NULL, 0);
	none = synth_btf_array(b, ch, 0);
	synth_btf_struct(b, STRUCT, "thing", 128, 12, true);
	synth_btf_member(b, "pid", id, 0);
	synth_btf_member(b, "flag", u32, 3 << 24 | 32);
	synth_btf_member(b, "good", yes, 40);
	synth_btf_member(b, "in", inner, 64);
	synth_btf_member(b, NULL, anon, 192);
	synth_btf_member(b, "who", pointer, 256);
	synth_btf_member(b, "act", function, 320);
	synth_btf_member(b, "comm", name, 384);
	synth_btf_member(b, "grid", grid, 512);
	synth_btf_member(b, "color", color, 704);
	synth_btf_member(b, "nothing", nothing, 768);
	synth_btf_member(b, "tail", none, 1024);
}

static void members_are_told_in_order(void **state)
{
	struct synth_btf b;
	struct rf_btf *btf;

	make_types(&b);
	btf = load(&b);
	assert_int_equal(fields(btf, "thing", NULL, 0), 0);
	assert_string_equal(said, "0 pid pid_t 2 0 32 1\n"
				  "0 flag unsigned int 2 32 3 1\n"
				  "0 good _Bool 3 40 8 1\n"
				  "0 in struct inner 7 64 128 1\n"
				  "0 - union (unnamed) 8 192 64 1\n"
				  "1 number long 1 192 64 1\n"
				  "1 cred struct cred 7 192 64 1\n"
				  "0 who struct cred * 5 256 64 1\n"
				  "0 act function * 6 320 64 1\n"
				  "0 comm char[16] 2 384 8 16 array\n"
				  "0 grid unsigned int[3][2] 2 512 32 6 array\n"
				  "0 color enum color 4 704 32 1\n"
				  "0 nothing void * 5 768 64 1\n"
				  "0 tail char[0] 2 1024 8 0 array\n");
	/* Down to what is asked for. */
	assert_int_equal(fields(btf, "inner", NULL, 1), 0);
	assert_string_equal(said, "0 cred struct cred 7 0 64 1\n"
				  "1 uid unsigned int 2 0 32 1\n"
				  "1 gid unsigned int 2 32 32 1\n"
				  "0 more long 1 64 64 1\n");
	/* One member, and what is in it, from the start of the whole. */
	assert_int_equal(fields(btf, "thing", "in.cred", 0), 0);
	assert_string_equal(said, "0 in.cred struct cred 7 64 64 1\n"
				  "1 uid unsigned int 2 64 32 1\n"
				  "1 gid unsigned int 2 96 32 1\n");
	assert_int_equal(fields(btf, "thing", "flag", 8), 0);
	assert_string_equal(said, "0 flag unsigned int 2 32 3 1\n");
	assert_int_equal(fields(btf, "thing", "who.uid", 8), -ENOENT);
	assert_int_equal(fields(btf, "thing", "in.", 8), -EINVAL);
	assert_int_equal(fields(btf, "nothing", NULL, 8), -ENOENT);
	/* Who is told may end it. */
	left = 3;
	assert_int_equal(fields(btf, "thing", NULL, 8), 77);
	rf_btf_destroy(btf);
}

static int name_value(void *ctx, const struct rf_field *f)
{
	const struct rf_btf *btf = ctx;

	assert_true(f->is_signed);
	assert_string_equal(rf_btf_field_value(btf, f, -1), "RED");
	assert_string_equal(rf_btf_field_value(btf, f, 7), "BLUE");
	assert_null(rf_btf_field_value(btf, f, 0xffffffff));
	return 0;
}

static int name_none(void *ctx, const struct rf_field *f)
{
	assert_null(rf_btf_field_value(ctx, f, 7));
	return 0;
}

static void values_of_enums_have_names(void **state)
{
	struct synth_btf b;
	struct rf_btf *btf;

	make_types(&b);
	btf = load(&b);
	assert_int_equal(rf_btf_fields(btf, "thing", "color", 0, name_value, btf), 0);
	assert_int_equal(rf_btf_fields(btf, "thing", "pid", 0, name_none, btf), 0);
	rf_btf_destroy(btf);
}

static void types_without_an_end_are_refused(void **state)
{
	struct synth_btf b;
	uint32_t u32, deep, many;

	synth_btf_init(&b);
	u32 = synth_btf_int(&b, "int", 4, 32);
	synth_btf_struct(&b, STRUCT, "itself", 8, 2, false); /* 2 */
	synth_btf_member(&b, "x", u32, 0);
	synth_btf_member(&b, "again", 2, 0);
	synth_btf_struct(&b, STRUCT, "unnamed", 8, 1, false); /* 3 */
	synth_btf_member(&b, NULL, 3, 0);
	/* 28 structs, each with the next one 16 times over: 2^112 ways to the last. */
	deep = b.types + 1;
	for (uint32_t i = 0; i < 28; i++) {
		synth_btf_struct(&b, STRUCT, i ? NULL : "bomb", 8, 16, false);
		for (unsigned int k = 0; k < 16; k++)
			synth_btf_member(&b, NULL, deep + i + 1, 0);
	}
	synth_btf_struct(&b, STRUCT, NULL, 8, 0, false);
	synth_btf_struct(&b, STRUCT, "dangling", 8, 1, false);
	synth_btf_member(&b, "x", 9999, 0);
	synth_btf_struct(&b, STRUCT, "outside", 8, 1, false);
	synth_btf_member(&b, "x", u32, 40);
	many = synth_btf_array(&b, u32, UINT32_MAX);
	synth_btf_struct(&b, STRUCT, "huge", 8, 1, false);
	synth_btf_member(&b, "x", many, 0);
	many = synth_btf_array(&b, synth_btf_array(&b, many, UINT32_MAX), UINT32_MAX);
	synth_btf_struct(&b, STRUCT, "endless", 8, 1, false);
	synth_btf_member(&b, "x", many, 0);
	struct rf_btf *btf = load(&b);

	assert_int_equal(fields(btf, "itself", NULL, 3), 0);
	assert_string_equal(said, "0 x int 2 0 32 1\n0 again struct itself 7 0 64 1\n"
				  "1 x int 2 0 32 1\n1 again struct itself 7 0 64 1\n"
				  "2 x int 2 0 32 1\n2 again struct itself 7 0 64 1\n"
				  "3 x int 2 0 32 1\n3 again struct itself 7 0 64 1\n");
	assert_int_equal(fields(btf, "itself", NULL, 1000), -EBADMSG);
	assert_int_equal(fields(btf, "unnamed", NULL, 0), -EBADMSG);
	assert_int_equal(fields(btf, "bomb", NULL, 0), -EBADMSG);
	assert_int_equal(fields(btf, "dangling", NULL, 0), -EBADMSG);
	assert_int_equal(fields(btf, "outside", NULL, 0), -EBADMSG);
	assert_int_equal(fields(btf, "huge", NULL, 0), -EBADMSG);
	assert_int_equal(fields(btf, "endless", NULL, 0), -EBADMSG);
	rf_btf_destroy(btf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_told_in_order),
		cmocka_unit_test(values_of_enums_have_names),
		cmocka_unit_test(types_without_an_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
