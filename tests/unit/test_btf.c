// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/synth_load.h"

/* What a member lookup says: 8 * offset + size, or the error. */
static int64_t member(const struct rf_btf *btf, const char *type, const char *path)
{
	struct rf_member m = { 77, 77 };
	int r = rf_btf_member(btf, type, path, &m);

	if (r)
		assert_true(m.offset == 77 && m.size == 77);
	return r ? r : (int64_t)(m.offset * 8 + m.size);
}

static void make_task(struct synth_btf *b)
{
	uint32_t u32, u8, uid, uid_t_, cred, pointer, name, inner, outer, list, constant;

	synth_btf_init(b);
	u32 = synth_btf_int(b, "unsigned int", 4, 32);
	u8 = synth_btf_int(b, "char", 1, 8);
	uid = synth_btf_struct(b, STRUCT, NULL, 4, 1, false);
	synth_btf_member(b, "val", u32, 0);
	uid_t_ = synth_btf_ref(b, BTF_KIND_TYPEDEF, "kuid_t", uid);
	cred = synth_btf_struct(b, STRUCT, "cred", 16, 2, false);
	synth_btf_member(b, "usage", u32, 0);
	synth_btf_member(b, "uid", uid_t_, 64);
	constant = synth_btf_ref(b, BTF_KIND_CONST, NULL, cred);
	pointer = synth_btf_ref(b, BTF_KIND_PTR, NULL, constant);
	name = synth_btf_array(b, u8, 16);
	list = synth_btf_array(b, name, 3);
	/* union { struct { u32 a, b; }; u8 raw[16]; } */
	inner = synth_btf_struct(b, STRUCT, NULL, 8, 2, false);
	synth_btf_member(b, "a", u32, 0);
	synth_btf_member(b, "b", u32, 32);
	outer = synth_btf_struct(b, UNION, NULL, 16, 2, false);
	synth_btf_member(b, NULL, inner, 0);
	synth_btf_member(b, "raw", name, 0);
	synth_btf_struct(b, STRUCT, "task_struct", 256, 8, true);
	synth_btf_member(b, "pid", u32, 0);
	synth_btf_member(b, NULL, outer, 64);
	synth_btf_member(b, "cred", cred, 192);
	synth_btf_member(b, "real_cred", pointer, 320);
	synth_btf_member(b, "comm", name, 384);
	synth_btf_member(b, "list", list, 512);
	synth_btf_member(b, "flag", u32, 1 << 24 | 896);  /* one bit wide */
	synth_btf_member(b, "tail", u32, 32 << 24 | 928); /* a whole word, declared as 32 bits */
}

static void members_are_found_as_in_c(void **state)
{
	struct synth_btf b;
	uint64_t size = 0;

	make_task(&b);
	struct rf_btf *btf = load(&b);

	assert_int_equal(member(btf, "task_struct", "pid"), 0 + 4);
	assert_int_equal(member(btf, "task_struct", "a"), 64 + 4);
	assert_int_equal(member(btf, "task_struct", "b"), 96 + 4);
	assert_int_equal(member(btf, "task_struct", "raw"), 64 + 16);
	assert_int_equal(member(btf, "task_struct", "cred.uid.val"), 192 + 64 + 4);
	assert_int_equal(member(btf, "task_struct", "real_cred"), 320 + 8);
	assert_int_equal(member(btf, "task_struct", "comm"), 384 + 16);
	assert_int_equal(member(btf, "task_struct", "list"), 512 + 48);
	assert_int_equal(member(btf, "kuid_t", "val"), 0 + 4);
	assert_int_equal(member(btf, "task_struct", "flag"), -ENOTSUP);
	assert_int_equal(member(btf, "task_struct", "tail"), -ENOTSUP);

	assert_int_equal(member(btf, "task_struct", "nothing"), -ENOENT);
	assert_int_equal(member(btf, "task_struct", "real_cred.uid"), -ENOENT); /* a pointer */
	assert_int_equal(member(btf, "task_struct", "comm.x"), -ENOENT);
	assert_int_equal(member(btf, "task_struct", "pi"), -ENOENT);
	assert_int_equal(member(btf, "task_struct", "pidx"), -ENOENT);
	assert_int_equal(member(btf, "nothing", "pid"), -ENOENT);
	assert_int_equal(member(btf, "char", "pid"), -ENOENT);
	assert_int_equal(member(btf, "task_struct", ""), -EINVAL);
	assert_int_equal(member(btf, "task_struct", "cred."), -EINVAL);
	assert_int_equal(member(btf, "task_struct", "cred..uid"), -EINVAL);

	assert_int_equal(rf_btf_sizeof(btf, "task_struct", &size), 0);
	assert_int_equal(size, 256);
	assert_int_equal(rf_btf_sizeof(btf, "kuid_t", &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(rf_btf_sizeof(btf, "unsigned int", &size), -ENOENT);
	rf_btf_destroy(btf);
	rf_btf_destroy(NULL);
}

static void enumerators_have_their_values(void **state)
{
	struct synth_btf b;
	int64_t v;

	synth_btf_init(&b);
	synth_btf_enum(&b, false, "system_states", 2, false);
	synth_btf_value(&b, false, "SYSTEM_BOOTING", 0);
	synth_btf_value(&b, false, "SYSTEM_BIG", 0xffffffff);
	synth_btf_enum(&b, false, NULL, 1, true);
	synth_btf_value(&b, false, "MINUS", -5);
	synth_btf_enum(&b, true, "wide", 1, false);
	synth_btf_value(&b, true, "WIDE", INT64_C(0x123456789a));
	struct rf_btf *btf = load(&b);

	assert_int_equal(rf_btf_enumerator(btf, "system_states", "SYSTEM_BIG", &v), 0);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(rf_btf_enumerator(btf, NULL, "MINUS", &v), 0);
	assert_int_equal(v, -5);
	assert_int_equal(rf_btf_enumerator(btf, NULL, "WIDE", &v), 0);
	assert_int_equal(v, INT64_C(0x123456789a));
	assert_int_equal(rf_btf_enumerator(btf, "system_states", "WIDE", &v), -ENOENT);
	assert_int_equal(rf_btf_enumerator(btf, "no_enum", "WIDE", &v), -ENOENT);
	rf_btf_destroy(btf);
}

static void types_without_an_end_are_refused(void **state)
{
	struct synth_btf b;
	uint32_t u32, deep;

	synth_btf_init(&b);
	u32 = synth_btf_int(&b, "int", 4, 32);
	/* 2: a typedef of itself. 3, 4: const and volatile of each other. */
	synth_btf_ref(&b, BTF_KIND_TYPEDEF, "loop", 2);
	synth_btf_ref(&b, BTF_KIND_CONST, NULL, 4);
	synth_btf_ref(&b, BTF_KIND_VOLATILE, NULL, 3);
	/* 5: a struct that holds itself without a name. */
	synth_btf_struct(&b, STRUCT, "inside_out", 8, 2, false);
	synth_btf_member(&b, NULL, 5, 0);
	synth_btf_member(&b, "x", u32, 0);
	/* 6: an array of itself. */
	synth_btf_array(&b, 6, 2);
	synth_btf_struct(&b, STRUCT, "holder", 8, 5, false);
	synth_btf_member(&b, "loop", 2, 0);
	synth_btf_member(&b, "cv", 3, 0);
	synth_btf_member(&b, "array", 6, 0);
	synth_btf_member(&b, "dangling", 9999, 0);
	synth_btf_member(&b, "nothing", 0, 0);
	/* 28 structs, each with the next one 16 times over: 2^112 ways to the last. */
	deep = b.types + 1;
	for (uint32_t i = 0; i < 28; i++) {
		synth_btf_struct(&b, STRUCT, i ? NULL : "bomb", 8, 16, false);
		for (unsigned int k = 0; k < 16; k++)
			synth_btf_member(&b, NULL, deep + i + 1, 0);
	}
	synth_btf_struct(&b, STRUCT, NULL, 8, 0, false);
	/* Arrays of arrays whose size no 64 bits hold. */
	u32 = synth_btf_array(&b, u32, UINT32_MAX);
	u32 = synth_btf_array(&b, u32, UINT32_MAX);
	u32 = synth_btf_array(&b, u32, UINT32_MAX);
	synth_btf_struct(&b, STRUCT, "huge", 8, 1, false);
	synth_btf_member(&b, "x", u32, 0);
	struct rf_btf *btf = load(&b);

	assert_int_equal(member(btf, "loop", "x"), -ENOENT);
	assert_int_equal(member(btf, "holder", "loop"), -EBADMSG);
	assert_int_equal(member(btf, "holder", "cv"), -EBADMSG);
	assert_int_equal(member(btf, "holder", "array"), -EBADMSG);
	assert_int_equal(member(btf, "holder", "dangling"), -EBADMSG);
	assert_int_equal(member(btf, "holder", "nothing"), -EBADMSG);
	assert_int_equal(member(btf, "inside_out", "x"), 0 + 4);
	assert_int_equal(member(btf, "inside_out", "y"), -EBADMSG);
	assert_int_equal(member(btf, "bomb", "x"), -EBADMSG);
	assert_int_equal(member(btf, "huge", "x"), -EBADMSG);
	rf_btf_destroy(btf);
}

/* A member that would lie outside its struct, whole or in part, in it or in one inside. */
static void members_stay_inside(void **state)
{
	struct synth_btf b;
	struct rf_btf *btf;
	uint32_t u32, inner;

	synth_btf_init(&b);
	u32 = synth_btf_int(&b, "unsigned int", 4, 32);
	inner = synth_btf_struct(&b, STRUCT, "inner", 4, 1, false);
	synth_btf_member(&b, "far", u32, 8 * 1000);
	synth_btf_struct(&b, STRUCT, "outer", 16, 5, false);
	synth_btf_member(&b, "last", u32, 8 * 12);
	synth_btf_member(&b, "over", u32, 8 * 13);
	synth_btf_member(&b, "behind", u32, 8 * 16);
	synth_btf_member(&b, "away", u32, 0x7fffff8);
	synth_btf_member(&b, "in", inner, 0);
	btf = load(&b);
	assert_int_equal(member(btf, "outer", "last"), 8 * 12 + 4);
	assert_int_equal(member(btf, "outer", "over"), -EBADMSG);
	assert_int_equal(member(btf, "outer", "behind"), -EBADMSG);
	assert_int_equal(member(btf, "outer", "away"), -EBADMSG);
	assert_int_equal(member(btf, "outer", "in"), 4);
	assert_int_equal(member(btf, "outer", "in.far"), -EBADMSG);
	assert_int_equal(member(btf, "inner", "far"), -EBADMSG);
	rf_btf_destroy(btf);
}

/* Every shorter blob, in memory of exactly its size, and every blob with one byte changed. */
static void cut_or_changed_blobs_do_no_harm(void **state)
{
	static const char *const paths[] = { "pid", "b", "cred.uid.val", "list", "nothing" };
	struct synth_btf b;
	struct rf_btf *btf;
	struct rf_member m;
	int64_t value;
	size_t len;
	uint8_t *blob, *copy;

	make_task(&b);
	blob = synth_btf_blob(&b, &len);
	for (size_t n = 0; n < len; n++) {
		copy = malloc(n ? n : 1);
		memcpy(copy, blob, n);
		assert_int_equal(rf_btf_create(copy, n, &btf), -EBADMSG);
		free(copy);
	}
	for (size_t at = 0; at < len; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			copy = malloc(len);
			memcpy(copy, blob, len);
			copy[at] ^= 1 << bit;
			if (!rf_btf_create(copy, len, &btf)) {
				for (unsigned int i = 0; i < 5; i++)
					rf_btf_member(btf, "task_struct", paths[i], &m);
				rf_btf_enumerator(btf, NULL, "x", &value);
				rf_btf_destroy(btf);
			}
			free(copy);
		}
	}
	free(blob);
}

static void foreign_blobs_are_refused(void **state)
{
	struct synth_btf b;
	struct rf_btf *btf = NULL;
	struct btf_header *h;
	size_t len;

	make_task(&b);
	h = (struct btf_header *)synth_btf_blob(&b, &len);
	h->magic = 0x9feb; /* the other byte order */
	assert_int_equal(rf_btf_create(h, len, &btf), -EBADMSG);
	h->magic = BTF_MAGIC;
	h->version = 2;
	assert_int_equal(rf_btf_create(h, len, &btf), -EBADMSG);
	h->version = BTF_VERSION;
	h->str_off = UINT32_MAX - 3;
	h->str_len = 8;
	assert_int_equal(rf_btf_create(h, len, &btf), -EBADMSG);
	assert_null(btf);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_as_in_c),
		cmocka_unit_test(enumerators_have_their_values),
		cmocka_unit_test(types_without_an_end_are_refused),
		cmocka_unit_test(members_stay_inside),
		cmocka_unit_test(cut_or_changed_blobs_do_no_harm),
		cmocka_unit_test(foreign_blobs_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
