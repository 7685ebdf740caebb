// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records in the formats of others: what they say, and that no name, nor a whole forged record, can
 * end a line, open a field or speak to a terminal. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/audit_log.h"
#include "cli/export.h"
#include "policy/audit.h"
#include "tests/unit/export_check.h"
#include "tests/unit/log_open.h"

static char path[] = "/tmp/rf-export-XXXXXX";
static char *text; /* what was exported last */

static int setup(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	free(text);
	text = NULL;
	unlink(path);
	strcpy(path, "/tmp/rf-export-XXXXXX");
	return 0;
}

static const char *export(const char *format, json_t *record)
{
	const struct rf_export_format *f = rf_export_find(format);
	size_t len = 0;
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	assert_non_null(f);
	assert_int_equal(rf_export(f, record, out), 0);
	fclose(out);
	if (export_wrong(format, record, text, len))
		fail_msg("%s: %s: %s", format, export_wrong(format, record, text, len), text);
	return text;
}

static void export_all(json_t *record)
{
	for (size_t i = 0; i < rf_export_formats_count; i++)
		export(rf_export_formats[i].name, record);
}

static json_t *parse(const char *line)
{
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	assert_true(json_is_object(o));
	return o;
}

/* As OCSF, parsed; the caller drops it. */
static json_t *ocsf(const char *line)
{
	json_t *record = parse(line), *o;

	export_all(record);
	o = parse(export("ocsf", record));
	json_decref(record);
	return o;
}

static long long number(const json_t *o, const char *name)
{
	assert_true(json_is_integer(json_object_get(o, name)));
	return json_integer_value(json_object_get(o, name));
}

static void assert_event(const char *line, int type_uid, int severity, bool alert)
{
	json_t *o = ocsf(line);

	if (number(o, "type_uid") != type_uid || number(o, "severity_id") != severity ||
	    json_is_true(json_object_get(o, "is_alert")) != alert)
		fail_msg("%s: type %lld, severity %lld, alert %d", line, number(o, "type_uid"),
			 number(o, "severity_id"), json_is_true(json_object_get(o, "is_alert")));
	json_decref(o);
}

/* --- what they say ------------------------------------------------------------- */

static void test_kinds(void **state)
{
	assert_event("{\"type\":\"decision\",\"kind\":\"write\",\"verdict\":\"blocked\"}", 100408,
		     4, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"msr\",\"verdict\":\"blocked\"}", 100399, 4,
		     true);
	assert_event("{\"type\":\"decision\",\"kind\":\"msr\",\"verdict\":\"allowed\"}", 100399, 1,
		     false);
	assert_event("{\"type\":\"decision\",\"kind\":\"hook\",\"verdict\":\"detected\"}", 200401,
		     3, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"seal\",\"outcome\":\"sealed late\"}",
		     600206, 1, false);
	assert_event("{\"type\":\"decision\",\"kind\":\"seal\",\"outcome\":\"not sealed\"}", 200401,
		     5, true);
	/* The guest's page tables differ: it is sealed, and somebody should look. */
	assert_event("{\"type\":\"decision\",\"kind\":\"seal\",\"outcome\":\"sealed late\","
		     "\"detail\":\"writable\"}",
		     600206, 3, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"table\",\"outcome\":\"not protected\"}",
		     200401, 4, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"kernel\",\"outcome\":\"found\"}", 600299, 1,
		     false);
	assert_event("{\"type\":\"decision\",\"kind\":\"kernel\",\"outcome\":\"runs unsealed\"}",
		     200401, 5, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"policy\",\"outcome\":\"taken\"}", 600208, 1,
		     false);
	assert_event("{\"type\":\"decision\",\"kind\":\"policy\",\"outcome\":\"not in force\"}",
		     200401, 4, true);
	assert_event("{\"type\":\"outcome\",\"event\":1,\"status\":\"ok\"}", 99, 1, false);
	assert_event("{\"type\":\"outcome\",\"event\":1,\"status\":\"failed\"}", 200401, 5, true);
	assert_event("{\"type\":\"folded\",\"kind\":\"write\",\"verdict\":\"undone\",\"count\":3}",
		     100408, 4, true);
	assert_event("{\"type\":\"folded\",\"kind\":\"other\",\"verdict\":\"any\"}", 200401, 4,
		     true);
	assert_event("{\"type\":\"end\"}", 600204, 1, false);
}

/* Of a newer release, or of nobody: exported all the same, and an alert. */
static void test_unknown_kinds(void **state)
{
	static const char *const lines[] = {
		"{}",
		"{\"type\":\"decision\"}",
		"{\"type\":\"decision\",\"kind\":\"levitation\"}",
		"{\"type\":\"decision\",\"kind\":\"levitation\",\"verdict\":\"blocked\"}",
		"{\"type\":\"decision\",\"kind\":\"other\"}",
		"{\"type\":\"folded\",\"kind\":\"levitation\",\"count\":1}",
		"{\"type\":\"news\",\"kind\":\"write\"}",
		"{\"type\":7,\"kind\":\"write\"}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_event(lines[i], 0, 3, true);
	assert_event("{\"type\":\"decision\",\"kind\":\"levitation\",\"verdict\":\"allowed\"}", 0,
		     1, false);
}

static void assert_control(const char *verdict, int action, int disposition)
{
	char line[128];
	json_t *o;

	snprintf(line, sizeof(line),
		 "{\"type\":\"decision\",\"kind\":\"write\",\"verdict\":\"%s\"}", verdict);
	o = ocsf(line);
	assert_int_equal(number(o, "action_id"), action);
	assert_int_equal(number(o, "disposition_id"), disposition);
	/* 99 has the source's word beside it. */
	if (action == 99)
		assert_string_equal(json_string_value(json_object_get(o, "action")), verdict);
	json_decref(o);
}

static void test_verdicts(void **state)
{
	assert_control("allowed", 1, 1);
	assert_control("blocked", 2, 2);
	assert_control("undone", 4, 11);
	assert_control("detected", 3, 15);
	assert_control("any", 99, 99);
}

static void assert_time(const char *time, long long ms, const char *syslog)
{
	json_t *record = json_pack("{s:s, s:s}", "type", "end", "time", time);
	json_t *o = parse(export("ocsf", record));

	assert_int_equal(number(o, "time"), ms);
	json_decref(o);
	assert_non_null(strstr(export("syslog", record), syslog));
	json_decref(record);
}

static void test_times(void **state)
{
	static const char *const none[] = {
		"",
		"2024-05-01",
		"2024-05-01 10:00:00Z",
		"2024-05-01T10:00:00+02:00",
		"2024-05-01T10:00:00",
		"2024-13-01T10:00:00Z",
		"2024-00-01T10:00:00Z",
		"2024-05-32T10:00:00Z",
		"2024-05-01T24:00:00Z",
		"2024-05-01T10:60:00Z",
		"1969-12-31T23:59:59Z",
		"9999-01-01T00:00:00Z",
		"2024-05-01T10:00:00.1Z ",
		"2024-05-01T10:00:00.1234567890Z",
		"+024-05-01T10:00:00Z",
	};

	assert_time("2024-05-01T10:00:00.123456789Z", 1714557600123,
		    "<110>1 2024-05-01T10:00:00.123456Z ");
	assert_time("2024-05-01T10:00:00Z", 1714557600000, " 2024-05-01T10:00:00.000000Z ");
	assert_time("2024-02-29T23:59:59.9Z", 1709251199900, " 2024-02-29T23:59:59.900000Z ");
	assert_time("1970-01-01T00:00:00.001Z", 1, " 1970-01-01T00:00:00.001000Z ");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_time(none[i], 0, "<110>1 - ");
}

/* --- what names do to it ------------------------------------------------------- */

static int export_each(void *ctx, json_t *record)
{
	int *count = ctx;

	export_all(record);
	++*count;
	return 0;
}

/* By way of the real log: what the writer escapes is there again when it is read. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {
		"\n",
		"\r\n{\"type\":\"end\"}",
		"x\nCEF:0|ringfence|ringfence|0.1.0|end|e|2|cat=end",
		"x\n<13>1 - - - - - - forged",
		"x\n\nMESSAGE=forged",
		"a|b\\|c\\",
		"a=b cs6=0 act\\=allowed",
		"a]b\"c\\\"] forged",
		"] [forged@1 x=\"",
		"\x1b[2J\x1b]0;title\x07",
		"\x9b"
		"31m\x85\xa0",
		"\xff\xfe\xc3\x28\xed\xa0\x80",
		"\xe2\x80\xa8\xe2\x80\xae",
		"\\u000a\\n\\",
		"\x7f\x01",
		"%s%n%%",
	};
	struct rf_audit *a = NULL;
	struct rf_log log;
	int count = 0;

	assert_int_equal(log_open(path, names[3], 1, &a), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rf_record r = { .kind = "hook",
				       .rule = names[i],
				       .verdict = RF_WORD_DETECTED,
				       .region = names[i],
				       .outcome = names[i],
				       .detail = names[i],
				       .disassembly = names[i],
				       .has_target = true,
				       .has_writer = true,
				       .has_handler = i & 1,
				       .has_task = true };

		snprintf(r.target.symbol, sizeof(r.target.symbol), "%s", names[i]);
		snprintf(r.writer.module, sizeof(r.writer.module), "%s", names[i]);
		snprintf(r.handler.module, sizeof(r.handler.module), "%s", names[i]);
		snprintf(r.task, sizeof(r.task), "%.16s", names[i]);
		assert_int_equal(rf_audit_write(a, &r), 0);
	}
	rf_audit_close(a);
	assert_int_equal(rf_log_open(path, geteuid(), &log), 0);
	assert_int_equal(rf_log_read(&log, export_each, &count), 0);
	assert_int_equal(count, sizeof(names) / sizeof(names[0]));
	assert_int_equal(log.unreadable, 0);
	rf_log_close(&log);
}

static void test_escapes(void **state)
{
	json_t *record =
		json_pack("{s:s, s:s, s:s, s:{s:s, s:i}}", "type", "decision", "kind", "a|b",
			  "rule", "r|=\\]\"\n", "task", "comm", "x=1\x1b]", "pid", 7);

	export("cef", record);
	assert_non_null(strstr(text, "|r\\|=\\\\]\"?|"));
	assert_non_null(strstr(text, " cs1=r|\\=\\\\]\"? "));
	assert_non_null(strstr(text, " sproc=x\\=1?] "));
	export("syslog", record);
	assert_non_null(strstr(text, " rule=\"r|=\\\\\\]\\\"?\""));
	assert_non_null(strstr(text, " task.comm=\"x=1?\\]\""));
	export("journal", record);
	assert_non_null(strstr(text, "\nRINGFENCE_RULE=r|=\\]\"?\n"));
	assert_non_null(strstr(text, "\nRINGFENCE_TASK_COMM=x=1?]\n"));
	/* Of JSON nothing is lost. */
	export("ecs", record);
	assert_non_null(strstr(text, "\"comm\":\"x=1\\u001B]\""));
	json_decref(record);
}

/* Whoever can write the log can write this. */
static void test_hostile_records(void **state)
{
	static const char *const lines[] = {
		"{\"\":\"\",\"\\n\":\"\\n\",\"a=b\\\"] x\":{\"\\u001b\":[1,{\"\\r\":null}]}}",
		"{\"type\":[],\"kind\":{},\"time\":5,\"vm\":null,\"seq\":\"x\",\"task\":[1]}",
		"{\"type\":\"decision\",\"kind\":\"write\",\"len\":1.5,\"target\":\"x\","
		"\"task\":{\"pid\":\"7\",\"uid\":-1},\"writer\":{\"addr\":7},\"verdict\":7}",
		"{\"type\":\"decision\",\"kind\":\"write\",\"task\":{\"pid\":-9223372036854775808},"
		"\"event\":9223372036854775807,\"seq\":-1,\"mono_ns\":-1,"
		"\"boot_id\":\"00000000-0000-0000-0000-00000000000g\"}",
		"{\"type\":\"folded\",\"kind\":\"write\",\"count\":-1,\"first\":\"x\",\"last\":1}",
		"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}},\"a.b\":{\"c\":2}}",
		"{\"type\":\"end\",\"boot_id\":\"0123456789abcdef0123456789abcdef0\",\"mono_ns\":"
		"1}",
		"{\"type\":\"end\",\"vm\":\"a b\\nc\",\"instance\":\"\\u00e4\\ud83d\\ude00\"}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		json_t *record = parse(lines[i]);

		export_all(record);
		json_decref(record);
	}
}

static void test_long_members(void **state)
{
	static char name[3000], value[60000];
	json_t *record;

	memset(name, 'n', sizeof(name) - 1);
	memset(value, '\\', sizeof(value) - 1);
	record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "type", value, "kind", value,
			   "vm", value, "rule", value, name, value, "target", "symbol", value, name,
			   value);
	export_all(record);
	json_decref(record);
}

/* Wherever a name is cut, it is in the middle of a letter in one of these. */
static void test_long_names(void **state)
{
	for (size_t shift = 0; shift < 3; shift++) {
		char name[100] = "";
		json_t *record;

		memset(name, 'a', shift);
		while (strlen(name) < 90)
			strcat(name, "\xe2\x80\x94");
		record = json_pack("{s:i, s:{s:{s:i}}}", name, 1, "a", name, name, 1);
		export_all(record);
		json_decref(record);
	}
}

/* A full disk is not passed over, whatever the format. */
static void test_output_full(void **state)
{
	json_t *record = parse("{\"type\":\"decision\",\"kind\":\"write\",\"vm\":\"v\"}");

	for (size_t i = 0; i < rf_export_formats_count; i++) {
		FILE *full = fopen("/dev/full", "w");

		setvbuf(full, NULL, _IONBF, 0);
		assert_int_equal(rf_export(&rf_export_formats[i], record, full), -EIO);
		fclose(full);
	}
	json_decref(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
