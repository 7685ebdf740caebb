// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rows of posture by the configuration that a kernel carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/posturing.h"

#define CONFIG (FAKE_BASE + 0x50000)

static size_t pack_config(const char *text, size_t len)
{
	static uint8_t packed[0x8000];
	z_stream z = { .next_in = (Bytef *)text,
		       .avail_in = (uInt)len,
		       .next_out = packed,
		       .avail_out = sizeof(packed) };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	memcpy(fake_bytes + CONFIG % FAKE_SIZE, packed, z.total_out);
	return z.total_out;
}

static void have_config(uint64_t size)
{
	setup(NULL);
	fake_symbol("kernel_config_data", CONFIG);
	fake_symbol("kernel_config_data_end", CONFIG + size);
}

static const struct rf_reading zeroed = { rf_read_config, "CONFIG_ZERO=y", RF_IS, 1,
					  .absent = RF_ABSENT_UNKNOWN };

static void a_configuration(void **state)
{
	static const char *const with[] = { "CONFIG_ZERO=y", "CONFIG_A=m\nCONFIG_ZERO=y\n",
					    "CONFIG_ZERO=y\n# CONFIG_A is not set\n" };
	static const char *const without[] = { "", "\n\n", "# CONFIG_ZERO is not set\n",
					       "CONFIG_ZERO=yes\n", "XCONFIG_ZERO=y\n" };
	size_t size;

	assert_int_equal(look_by(zeroed), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "does not carry it"));
	for (unsigned int i = 0; i < 3; i++) {
		have_config(0x8000);
		size = pack_config(with[i], strlen(with[i]));
		have_config(size);
		pack_config(with[i], strlen(with[i]));
		assert_int_equal(look_by(zeroed), RF_POSTURE_GOOD);
	}
	for (unsigned int i = 0; i < 5; i++) {
		have_config(pack_config(without[i], strlen(without[i])));
		pack_config(without[i], strlen(without[i]));
		assert_int_equal(look_by(zeroed), RF_POSTURE_WEAK);
	}
}

/* Damaged, cut, endless, or somewhere else: nothing is known by it, and nothing is good. */
static void a_configuration_that_lies(void **state)
{
	static char many[6 << 20];
	size_t size = pack_config("CONFIG_ZERO=y\n", 14);
	const uint64_t ends[] = { 0, UINT64_C(1) << 21, UINT64_MAX - 5, 10, size - 1 };

	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		have_config(ends[i]);
		pack_config("CONFIG_ZERO=y\n", 14);
		assert_int_equal(look_by(zeroed), RF_POSTURE_UNKNOWN);
	}
	have_config(size);
	memset(fake_bytes + CONFIG % FAKE_SIZE, 0x55, size);
	assert_int_equal(look_by(zeroed), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "unpacked"));
	memset(many, '\n', sizeof(many));
	size = pack_config(many, sizeof(many));
	have_config(size);
	pack_config(many, sizeof(many));
	assert_int_equal(look_by(zeroed), RF_POSTURE_UNKNOWN);
	/* It begins where nothing is; what has another reading does not take that instead. */
	setup(NULL);
	fake_symbol("kernel_config_data", GONE);
	fake_symbol("kernel_config_data_end", GONE + 100);
	assert_int_equal(look_by(zeroed), RF_POSTURE_UNKNOWN);
	assert_non_null(strstr(fact.unknown, "not there"));
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_configuration),
		TEST(a_configuration_that_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
