// SPDX-License-Identifier: LGPL-2.1-or-later
/* What `ringfence print` shows of a member, of types and bytes that a guest has made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/print_value.h"

static const uint8_t bytes[16] = { 0x81, 0xff, 0xff, 0xff, 'h', 'i', 0x1b, '[',
				   0,	 'x',  2,    0xaa, 0,	0,   0,	   0x80 };
static const char *enumerator; /* what each value is called */

/* --- what lies below it -------------------------------------------------------------------- */

const char *rf_subject_place(const struct rf_subject *s, rf_gva gva, char out[RF_PLACE_TEXT])
{
	memset(out, 'p', RF_PLACE_TEXT - 1);
	out[gva.v % 2 ? RF_PLACE_TEXT - 1 : 0] = '\0';
	return out;
}

const char *rf_kernel_field_value(const struct rf_kernel *k, const struct rf_field *f,
				  int64_t value)
{
	return enumerator;
}

/* --- tests ---------------------------------------------------------------------------------- */

static const char *text(struct rf_field f, uint64_t size)
{
	static const struct rf_subject s;
	static char out[RF_VALUE_TEXT + 1];
	uint8_t *copy = malloc(size); /* of that size: reading past its end is found */

	memcpy(copy, bytes, size);
	if (!f.is_array)
		f.count = 1;
	out[RF_VALUE_TEXT] = 'e';
	rf_value_text(&s, &f, copy, size, out);
	assert_int_equal(out[RF_VALUE_TEXT], 'e');
	assert_true(strlen(out) < RF_VALUE_TEXT);
	free(copy);
	return out;
}

#define says(expected, ...)                                                                        \
	assert_string_equal(text((struct rf_field){ __VA_ARGS__ }, 16), expected)

static void numbers(void **state)
{
	says("129", .kind = RF_FIELD_UNSIGNED, .width = 8);
	says("-127", .kind = RF_FIELD_SIGNED, .width = 8);
	says("-127", .kind = RF_FIELD_SIGNED, .width = 32);
	says("4294967169 (0xffffff81)", .kind = RF_FIELD_UNSIGNED, .width = 32);
	says("0x5b1b6968ffffff81", .kind = RF_FIELD_UNSIGNED, .width = 64);
	/* Bits, also across a byte's end. */
	says("1", .kind = RF_FIELD_UNSIGNED, .bit = 7, .width = 1);
	says("7", .kind = RF_FIELD_UNSIGNED, .bit = 7, .width = 3);
	says("-1", .kind = RF_FIELD_SIGNED, .bit = 7, .width = 3);
	says("false", .kind = RF_FIELD_BOOL, .bit = 64, .width = 8);
	says("true (2)", .kind = RF_FIELD_BOOL, .bit = 80, .width = 8);
	enumerator = "RED";
	says("-127 RED", .kind = RF_FIELD_ENUM, .is_signed = true, .width = 32);
	enumerator = NULL;
	says("4294967169", .kind = RF_FIELD_ENUM, .width = 32);
	says("0", .kind = RF_FIELD_POINTER, .bit = 96, .width = 16);
	says("0x80000000aa02", .kind = RF_FIELD_FUNCTION, .bit = 80, .width = 48);
}

static void what_is_not_there_is_not_read(void **state)
{
	says("(8 bits)", .kind = RF_FIELD_UNSIGNED, .bit = 128, .width = 8);
	says("(64 bits)", .kind = RF_FIELD_POINTER, .bit = 65, .width = 64);
	says("(8 bits)", .kind = RF_FIELD_UNSIGNED, .bit = UINT64_MAX - 3, .width = 8);
	says("(128 bits)", .kind = RF_FIELD_UNSIGNED, .width = 128);
	says("(0 bits)", .kind = RF_FIELD_SIGNED, .width = 0);
	says("", .kind = RF_FIELD_STRUCT, .width = 999);
	says("{, ... }", .kind = RF_FIELD_UNSIGNED, .is_array = true, .count = UINT64_MAX,
	     .bit = 128, .width = 32);
	says("", .kind = RF_FIELD_UNSIGNED, .is_array = true, .count = 0, .width = 32);
}

static void arrays_and_strings(void **state)
{
	says("\"hi?[\"", .type = "char[12]", .kind = RF_FIELD_UNSIGNED, .is_array = true,
	     .count = 12, .bit = 32, .width = 8);
	says("{ 104, 105 }", .type = "u8[2]", .kind = RF_FIELD_UNSIGNED, .is_array = true,
	     .count = 2, .bit = 32, .width = 8);
	says("{ 129, 255, 255, 255, 104, 105, 27, 91, ... }", .type = "u8[16]",
	     .kind = RF_FIELD_UNSIGNED, .is_array = true, .count = 16, .width = 8);
	/* Names that are as long as can be: cut, and said to be. */
	const char *cut = text(
		(struct rf_field){
			.kind = RF_FIELD_POINTER, .is_array = true, .count = 16, .width = 8 },
		16);
	assert_memory_equal(cut, "{ 0x81 <ppp", 11);
	assert_string_equal(cut + strlen(cut) - 7, ", ... }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_is_not_there_is_not_read),
		cmocka_unit_test(arrays_and_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
