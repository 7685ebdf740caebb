// SPDX-License-Identifier: LGPL-2.1-or-later
/* The file that goes with a guest: read strictly, written as it is read, compared. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/measurement.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REGION(kind, gva, gpa, size, sha)                                                          \
	"{\"kind\":\"" kind "\",\"gva\":\"" gva "\",\"gpa\":\"" gpa "\",\"size\":" size            \
	",\"sha256\":\"" sha "\"}"
#define TEXT REGION("text", "0xffffffff81000000", "0x1000000", "16777216", SHA_A)
#define FILE_OF(version, regions)                                                                  \
	"{\"version\":" version ",\"kernel\":\"Linux version 6.12\",\"regions\":[" regions "]}"

static int parse(const char *text, char why[RF_MEASUREMENT_WHY], struct rf_measurement *m)
{
	return rf_measurement_parse(text, strlen(text), why, m);
}

static void read_and_written(void **state)
{
	static const char text[] =
		FILE_OF("1", TEXT "," REGION("rodata", "0xffffffff82000000", "0x0", "4096", SHA_B));
	struct rf_measurement m, again;
	char why[RF_MEASUREMENT_WHY], *written;
	json_t *o;

	memset(&again, 0, sizeof(again));
	assert_int_equal(parse(text, why, &m), 0);
	assert_string_equal(m.kernel, "Linux version 6.12");
	assert_int_equal(m.count, 2);
	assert_string_equal(m.regions[0].kind, "text");
	assert_int_equal(m.regions[0].gva, 0xffffffff81000000);
	assert_int_equal(m.regions[0].gpa, 0x1000000);
	assert_int_equal(m.regions[0].size, 16777216);
	assert_string_equal(m.regions[1].sha256, SHA_B);
	o = rf_measurement_json(&m);
	written = json_dumps(o, JSON_COMPACT);
	assert_string_equal(written, text);
	assert_int_equal(parse(written, why, &again), 0);
	assert_memory_equal(&again.regions, &m.regions, sizeof(m.regions));
	free(written);
	json_decref(o);
	assert_ptr_equal(rf_measurement_find(&m, "rodata"), &m.regions[1]);
	assert_null(rf_measurement_find(&m, "idt"));
	/* A kernel that has no banner is one, too. */
	assert_int_equal(parse("{\"version\":1,\"kernel\":\"\",\"regions\":[" TEXT "]}", why, &m),
			 0);
}

static void bad_files(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "line" },
		{ "{", "line" },
		{ "[]", "no version" },
		{ "7", "line" },
		{ "{}", "no version" },
		{ FILE_OF("\"1\"", TEXT), "no version" },
		{ FILE_OF("1.0", TEXT), "no version" },
		{ FILE_OF("0", TEXT), "not 1" },
		{ FILE_OF("2", TEXT), "not 1" },
		{ FILE_OF("1", TEXT) "x", "line" },
		{ "{\"version\":1,\"version\":1,\"kernel\":\"x\",\"regions\":[" TEXT "]}", "line" },
		{ "{\"version\":1,\"regions\":[" TEXT "]}", "other members" },
		{ "{\"version\":1,\"kernel\":7,\"regions\":[" TEXT "]}", "other members" },
		{ "{\"version\":1,\"kernel\":\"x\",\"regions\":[" TEXT "],\"vm\":\"a\"}",
		  "other members" },
		{ "{\"version\":1,\"kernel\":\"x\\u0007\",\"regions\":[" TEXT "]}", "kernel" },
		{ "{\"version\":1,\"kernel\":\"x\\u0000y\",\"regions\":[" TEXT "]}", "line" },
		{ "{\"version\":1,\"kernel\":\"x\",\"regions\":{}}", "list" },
		{ FILE_OF("1", ""), "list" },
		{ FILE_OF("1", "7"), "members" },
		{ FILE_OF("1", "{\"kind\":\"text\"}"), "members" },
		{ FILE_OF("1", TEXT "," TEXT), "one kind" },
		{ FILE_OF("1", REGION("", "0x1", "0x1", "1", SHA_A)), "kind" },
		{ FILE_OF("1", REGION("Text", "0x1", "0x1", "1", SHA_A)), "kind" },
		{ FILE_OF("1", REGION("sixteenletterstx", "0x1", "0x1", "1", SHA_A)), "kind" },
		{ FILE_OF("1", REGION("text", "1", "0x1", "1", SHA_A)), "address" },
		{ FILE_OF("1", REGION("text", "0x", "0x1", "1", SHA_A)), "address" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1G", "1", SHA_A)), "address" },
		{ FILE_OF("1", REGION("text", "0x00000000000000001", "0x1", "1", SHA_A)),
		  "address" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "0", SHA_A)), "size" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "-4096", SHA_A)), "size" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "1.5", SHA_A)), "members" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "99999999999999999999", SHA_A)),
		  "line" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "1", "")), "sha256" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "1", SHA_A "a")), "sha256" },
		{ FILE_OF("1", REGION("text", "0x1", "0x1", "1",
				      "A123456789abcdef0123456789abcdef"
				      "0123456789abcdef0123456789abcdef")),
		  "sha256" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[RF_MEASUREMENT_WHY] = "";
		struct rf_measurement m, before;

		memset(&m, 0x5a, sizeof(m));
		before = m;
		if (parse(bad[i].text, why, &m) != -EBADMSG || !strstr(why, bad[i].says))
			fail_msg("file %zu: \"%s\" -> %s", i, bad[i].text, why);
		assert_memory_equal(&m, &before, sizeof(m));
	}
}

/* One region more than there is room for, of different kinds. */
static void too_many(void **state)
{
	char text[4096] = "{\"version\":1,\"kernel\":\"x\",\"regions\":[";
	char why[RF_MEASUREMENT_WHY];
	struct rf_measurement m;

	for (int i = 0; i <= RF_MEASUREMENT_REGIONS; i++) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len,
			 "%s{\"kind\":\"%c\",\"gva\":\"0x1\",\"gpa\":\"0x1\",\"size\":1,"
			 "\"sha256\":\"" SHA_A "\"}",
			 i ? "," : "", 'a' + i);
		if (i != RF_MEASUREMENT_REGIONS - 1)
			continue;
		strcat(text, "]}");
		assert_int_equal(parse(text, why, &m), 0);
		assert_int_equal(m.count, RF_MEASUREMENT_REGIONS);
		text[strlen(text) - 2] = '\0';
	}
	strcat(text, "]}");
	assert_int_equal(parse(text, why, &m), -EBADMSG);
	assert_non_null(strstr(why, "list"));
}

static void files_on_disk(void **state)
{
	static const char text[] = FILE_OF("1", TEXT);
	static char blanks[RF_MEASUREMENT_FILE_MAX + 1];
	char path[] = "/tmp/rf-measurement-XXXXXX", why[RF_MEASUREMENT_WHY];
	struct rf_measurement m;
	int fd = mkstemp(path);

	memset(blanks, '\n', sizeof(blanks));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(rf_measurement_load(path, why, &m), 0);
	assert_int_equal(write(fd, blanks, RF_MEASUREMENT_FILE_MAX - strlen(text)),
			 RF_MEASUREMENT_FILE_MAX - strlen(text));
	assert_int_equal(rf_measurement_load(path, why, &m), 0);
	assert_int_equal(write(fd, "\n", 1), 1);
	assert_int_equal(rf_measurement_load(path, why, &m), -EFBIG);
	assert_int_equal(rf_measurement_parse(blanks, sizeof(blanks), why, &m), -EFBIG);
	close(fd);
	unlink(path);
	assert_int_equal(rf_measurement_load(path, why, &m), -ENOENT);
	assert_int_equal(rf_measurement_load("/tmp", why, &m), -EINVAL);
	assert_int_equal(rf_measurement_load("/dev/zero", why, &m), -EINVAL);
}

static void compared(void **state)
{
	const struct rf_measurement_region a = { "text", 1, 2, 3, SHA_A };
	struct rf_measurement_region b = a;

	assert_int_equal(rf_measurement_compare(&a, &b), RF_MEASUREMENT_SAME);
	memcpy(b.sha256, SHA_B, 65);
	assert_int_equal(rf_measurement_compare(&a, &b), RF_MEASUREMENT_CHANGED);
	b = a;
	b.gva++;
	assert_int_equal(rf_measurement_compare(&a, &b), RF_MEASUREMENT_ELSEWHERE);
	b = a;
	b.gpa++;
	assert_int_equal(rf_measurement_compare(&a, &b), RF_MEASUREMENT_ELSEWHERE);
	b = a;
	b.size++;
	assert_int_equal(rf_measurement_compare(&a, &b), RF_MEASUREMENT_ELSEWHERE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_and_written), cmocka_unit_test(bad_files),
		cmocka_unit_test(too_many),	    cmocka_unit_test(files_on_disk),
		cmocka_unit_test(compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
