// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of posture: each way to read one, good, weak and unknown; what cannot be read is never good.
 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/posturing.h"

/* --- symbols and types ------------------------------------------------------------------ */

static void a_function(void **state)
{
	const struct rf_reading r = { rf_read_function, "old_name|new_name", RF_IS, 1,
				      .absent = RF_ABSENT_WEAK };
	const struct rf_reading none = { rf_read_function, "new_name", RF_IS, 0,
					 .absent = RF_ABSENT_WEAK };

	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "not built in");
	assert_int_equal(look_by(none), RF_POSTURE_GOOD);
	fake_symbol("new_name", FAKE_STEXT);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	assert_string_equal(fact.by, "symbol new_name");
	assert_int_equal(look_by(none), RF_POSTURE_WEAK);
}

/* A kernel whose kallsyms has functions alone says nothing by a variable that is not among them. */
static void variables_without_kallsyms_all(void **state)
{
	const struct rf_reading symbol = { rf_read_symbol, "variable", RF_IS, 0,
					   .absent = RF_ABSENT_WEAK };
	const struct rf_reading readings[] = {
		{ rf_read_number, "variable", RF_IS, 1, .absent = RF_ABSENT_WEAK },
		{ rf_read_number, "variable", RF_IS, 1, .absent = RF_ABSENT_GOOD },
		{ rf_read_number, "variable", RF_IS, 1, .absent = RF_ABSENT_PASS },
		{ rf_read_key, "variable", RF_IS, 0, .absent = RF_ABSENT_GOOD },
		symbol,
	};

	assert_int_equal(look_by(symbol), RF_POSTURE_GOOD);
	kernel = fake_types(); /* no init_task */
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		assert_int_equal(look_by(readings[i]), RF_POSTURE_UNKNOWN);
		assert_non_null(strstr(fact.unknown, "no variables"));
	}
	fake_symbol("variable", AT);
	assert_int_equal(look_by(symbol), RF_POSTURE_WEAK);
}

static void a_member(void **state)
{
	const struct rf_reading r = { rf_read_member, "canary", RF_IS, 1, .type = "thing" };

	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "no struct thing"));
	fake_sizeof("thing", 64);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.by, "no type thing.canary");
	fake_member("thing", "canary", 8, 8);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
}

static void a_span_of_an_enum(void **state)
{
	const struct rf_posture_row *row = row_named("kmalloc-random");

	assert_int_equal(look_at(row), RF_POSTURE_WEAK); /* older than that */
	fake_enumerator("KMALLOC_PARTITION_START", 0);
	fake_enumerator("KMALLOC_PARTITION_END", 0);
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	fake_enumerator("KMALLOC_RANDOM_START", 0);
	fake_enumerator("KMALLOC_RANDOM_END", 15);
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	kernel = fake_types(); /* no types at all */
	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
}

/* --- variables ---------------------------------------------------------------------------- */

static void a_number(void **state)
{
	struct rf_reading r = { rf_read_number, "number", RF_IS, 2, .absent = RF_ABSENT_WEAK };

	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "not built in");
	assert_string_equal(fact.by, "no number");
	r.missing = "cannot be forbidden";
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "cannot be forbidden");
	r.absent = RF_ABSENT_GOOD;
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	r.absent = RF_ABSENT_UNKNOWN;
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	assert_string_equal(fact.unknown, "the kernel has no symbol number");
	r.absent = RF_ABSENT_PASS; /* and there is no other */
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	fake_symbol("number", AT);
	fake_u64(AT, UINT64_C(0x500000002)); /* what is behind is another's */
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "2");
	assert_string_equal(fact.by, "number");
	r.value = 3;
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	r.wanted = RF_IS_NOT;
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	r.wanted = RF_AT_LEAST;
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	r.value = 1;
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
}

/* An int below zero is not a large number. */
static void a_number_below_zero(void **state)
{
	fake_symbol("number", AT);
	fake_u64(AT, UINT64_MAX);
	assert_int_equal(look_by((struct rf_reading){ rf_read_number, "number", RF_AT_LEAST, 1,
						      .absent = RF_ABSENT_WEAK }),
			 RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "-1");
	/* No bool is 255: it is neither of both. */
	assert_int_equal(
		look_by((struct rf_reading){ rf_read_number, "number", RF_IS, 1, .size = 1 }),
		RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "255");
}

static void a_number_that_is_not_there(void **state)
{
	const struct rf_reading r = { rf_read_number, "number", RF_IS, 0,
				      .absent = RF_ABSENT_WEAK };
	const struct rf_reading key = { rf_read_key, "number", RF_IS, 0, .absent = RF_ABSENT_WEAK };
	const struct rf_reading text = { rf_read_text, "number", RF_IS, 0, .path = "x" };

	fake_symbol("number", GONE);
	for (const struct rf_reading *each[] = { &r, &key, &text, NULL }, **one = each; *one;
	     one++) {
		assert_int_equal(look_by(**one), RF_POSTURE_UNKNOWN);
		assert_non_null(strstr(fact.unknown, "memory that is not there"));
	}
	kernel = fake_types();
	fake_symbol("init_task", AT);
	fake_symbol("number", 0x1000); /* no address of the kernel's */
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
}

static void a_member_of_a_variable(void **state)
{
	const struct rf_reading r = { rf_read_number, "number",	 RF_IS,		  1,
				      .size = 1,      .mask = 2, .type = "thing", .path = "flags" };

	fake_symbol("number", AT);
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	fake_member("thing", "flags", 0x10, 1);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "off");
	fake_u64(AT + 0x10, 0x83);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "on");
	assert_string_equal(fact.by, "number.flags");
}

static void enumerators(void **state)
{
	static const struct rf_word words[] = {
		{ .enumerator = "MODE_NONE", .text = "none" },
		{ .enumerator = "MODE_ALL", .text = "all" },
		{ 0 },
	};
	const struct rf_reading r = { rf_read_number, "number", RF_AT_LEAST,
				      .enumerator = "MODE_ALL", .words = words };

	fake_symbol("number", AT);
	fake_u64(AT, 7);
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "MODE_ALL"));
	fake_enumerator("MODE_NONE", 0);
	fake_enumerator("MODE_ALL", 7);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	assert_string_equal(fact.found, "all");
	fake_u64(AT, 0);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "none");
	fake_u64(AT, 6);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "6");
}

static void a_key(void **state)
{
	const struct rf_reading r = { rf_read_key, "key", RF_IS, 1, .absent = RF_ABSENT_WEAK };

	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	fake_symbol("key", AT);
	fake_u64(AT, UINT64_C(0xffffffff00000000));
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	assert_string_equal(fact.found, "off");
	for (uint64_t enabled = 1; enabled < 4; enabled++) {
		fake_u64(AT, enabled);
		assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	}
	assert_string_equal(fact.by, "static key key");
	fake_u64(AT, UINT32_MAX); /* -1: it is being switched on */
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
}

/* --- texts ---------------------------------------------------------------------------------- */

static void put_text(uint64_t at, const char *text)
{
	memcpy(fake_bytes + at % FAKE_SIZE, text, strlen(text) + 1);
}

static void a_text(void **state)
{
	const struct rf_posture_row *row = row_named("randstruct");

	assert_int_equal(look_at(row), RF_POSTURE_UNKNOWN);
	fake_symbol("vermagic", AT);
	put_text(AT, "6.12.1 SMP preempt mod_unload modversions ");
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
	put_text(AT, "6.12.1 SMP preempt mod_unload RANDSTRUCT_0a1b");
	assert_int_equal(look_at(row), RF_POSTURE_GOOD);
	memset(fake_bytes + AT % FAKE_SIZE, 'x', 1000); /* no end */
	assert_int_equal(look_at(row), RF_POSTURE_WEAK);
}

static void security_modules_by_text(void **state)
{
	const struct rf_reading r = { rf_read_lsm, "yama", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN };

	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	fake_symbol("lsm_names", AT);
	fake_u64(AT, AT + 0x100);
	put_text(AT + 0x100, "lockdown,yama,bpf");
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	put_text(AT + 0x100, "lockdown,bpf,yama");
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	put_text(AT + 0x100, "yama");
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	for (const char *each[] = { "", ",", "yam", "yamas,bpf", "xyama", "bpf" }, **one = each;
	     one < each + 6; one++) {
		put_text(AT + 0x100, *one);
		assert_int_equal(look_by(r), RF_POSTURE_WEAK);
		assert_string_equal(fact.found, "not active");
	}
	fake_u64(AT, GONE);
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
}

static void security_modules_by_list(void **state)
{
	const struct rf_reading r = { rf_read_lsm, "yama", RF_IS, 1, .absent = RF_ABSENT_WEAK };
	const uint64_t count = AT + 0x200;

	fake_symbol("lsm_idlist", AT);
	fake_symbol("lsm_active_cnt", count);
	for (unsigned int i = 0; i < 2; i++) {
		fake_u64(AT + i * 8, AT + 0x300 + i * 16);
		fake_u64(AT + 0x300 + i * 16, AT + 0x400 + i * 32);
	}
	put_text(AT + 0x400, "capability");
	put_text(AT + 0x420, "yama");
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	fake_u64(count, 1);
	assert_int_equal(look_by(r), RF_POSTURE_WEAK);
	fake_u64(count, 2);
	assert_int_equal(look_by(r), RF_POSTURE_GOOD);
	fake_u64(count, 3); /* one more, that leads nowhere */
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	fake_u64(count, UINT32_MAX);
	assert_int_equal(look_by(r), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "contradicts itself"));
}

/* --- several readings ------------------------------------------------------------------------- */

#define GOOD                                                                                       \
	{                                                                                          \
		rf_read_number, "one", RF_IS, 1                                                    \
	}
#define WEAK                                                                                       \
	{                                                                                          \
		rf_read_number, "one", RF_IS, 0                                                    \
	}
#define PASS                                                                                       \
	{                                                                                          \
		rf_read_number, "none", RF_IS, 1, .absent = RF_ABSENT_PASS                         \
	}
#define LOST                                                                                       \
	{                                                                                          \
		rf_read_number, "gone", RF_IS, 1                                                   \
	}

static void several_readings(void **state)
{
	static const struct {
		struct rf_posture_row row;
		enum rf_posture_state state;
	} rows[] = {
		{ { .combine = RF_FIRST, .readings = { PASS, GOOD, WEAK } }, RF_POSTURE_GOOD },
		{ { .combine = RF_FIRST, .readings = { PASS, WEAK, GOOD } }, RF_POSTURE_WEAK },
		{ { .combine = RF_FIRST, .readings = { LOST, GOOD } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_FIRST, .readings = { PASS, PASS } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_ANY, .readings = { WEAK, PASS, GOOD } }, RF_POSTURE_GOOD },
		{ { .combine = RF_ANY, .readings = { LOST, GOOD } }, RF_POSTURE_GOOD },
		{ { .combine = RF_ANY, .readings = { WEAK, LOST } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_ANY, .readings = { LOST, WEAK } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_ANY, .readings = { WEAK, PASS } }, RF_POSTURE_WEAK },
		{ { .combine = RF_ANY, .readings = { PASS, PASS } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_ALL, .readings = { GOOD, PASS, GOOD } }, RF_POSTURE_GOOD },
		{ { .combine = RF_ALL, .readings = { GOOD, WEAK } }, RF_POSTURE_WEAK },
		{ { .combine = RF_ALL, .readings = { LOST, WEAK } }, RF_POSTURE_WEAK },
		{ { .combine = RF_ALL, .readings = { GOOD, LOST } }, RF_POSTURE_UNKNOWN },
		{ { .combine = RF_ALL, .readings = { PASS, PASS } }, RF_POSTURE_UNKNOWN },
	};

	fake_symbol("one", AT);
	fake_u64(AT, 1);
	fake_symbol("gone", GONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(look_at(&rows[i].row), rows[i].state);
}

/* --- all of them ------------------------------------------------------------------- */

static void every_row_is_described(void **state)
{
	const struct rf_posture_row *row, *other;
	size_t n = 0;

	for (; (row = rf_posture_row(n)); n++) {
		for (const char *p = row->name; *p; p++)
			assert_true(islower(*p) || isdigit(*p) || *p == '-');
		for (size_t i = 0; i < n && (other = rf_posture_row(i)); i++)
			assert_string_not_equal(other->name, row->name);
		assert_true(*rf_posture_wanted(row) && *rf_posture_why(row) &&
			    *rf_posture_set(row));
		assert_non_null(row->readings[0].read);
		for (size_t i = 0; i < 4 && row->readings[i].read; i++) {
			assert_true(row->readings[i].name && row->readings[i].wanted);
			/* Nothing is behind the last one, or it is not for `first` alone. */
			assert_true(row->readings[i].absent != RF_ABSENT_PASS ||
				    row->combine != RF_FIRST || i < 3);
		}
	}
	assert_true(n > 60);
	assert_null(rf_posture_row(n + 1));
	/* `ringfence check posture` means the rows. */
	assert_null(rf_check_named("posture"));
	for (int i = RF_POSTURE_GOOD; i <= RF_POSTURE_UNKNOWN; i++)
		assert_true(*rf_posture_state_text((enum rf_posture_state)i));
}

/* Of a kernel that is not there nothing is good, but what functions show by not being there. */
static void nothing_is_not_good(void **state)
{
	static const char *const shown[] = { "io-uring", "modify-ldt", "kcore" };
	const struct rf_posture_row *row;

	kernel = fake_types();
	for (size_t i = 0; (row = rf_posture_row(i)); i++) {
		bool may = false;

		for (unsigned int n = 0; n < 3; n++)
			may |= !strcmp(row->name, shown[n]);
		if (!may)
			assert_int_not_equal(look_at(row), RF_POSTURE_GOOD);
	}
}

/* Whatever stands wherever it is looked for: bounded, and one of the three. */
static void anything_anywhere(void **state)
{
	const struct rf_posture_row *row;

	for (unsigned int seed = 0; seed < 8; seed++) {
		setup(NULL);
		fake_everything();
		srandom(seed);
		for (size_t i = 0; seed && i < FAKE_SIZE; i++)
			fake_bytes[i] = seed % 2 ? (uint8_t)random() : 0xff;
		for (size_t i = 0; seed > 5 && i < FAKE_SIZE; i += 8)
			fake_u64(i, FAKE_BASE + (uint64_t)random() % FAKE_IMAGE);
		for (size_t i = 0; (row = rf_posture_row(i)); i++)
			assert_in_range(look_at(row), RF_POSTURE_GOOD, RF_POSTURE_UNKNOWN);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_function),
		TEST(variables_without_kallsyms_all),
		TEST(a_member),
		TEST(a_span_of_an_enum),
		TEST(a_number),
		TEST(a_number_below_zero),
		TEST(a_number_that_is_not_there),
		TEST(a_member_of_a_variable),
		TEST(enumerators),
		TEST(a_key),
		TEST(a_text),
		TEST(security_modules_by_text),
		TEST(security_modules_by_list),
		TEST(several_readings),
		TEST(every_row_is_described),
		TEST(nothing_is_not_good),
		TEST(anything_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
