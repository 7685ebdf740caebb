// SPDX-License-Identifier: LGPL-2.1-or-later
/* The parts of the command that judge input: options, names, the VMM's file, a log that is being
 * written. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/audit_log.h"
#include "cli/options.h"
#include "cli/paths.h"
#include "cli/program.h"
#include "cli/when.h"

/* --- options
 * ---------------------------------------------------------------------------------------- */

static bool json;
static const char *name;
static uint32_t lines;
static struct rf_option_list words;
static char why[200];

static int parse(bool command, struct rf_operands *out, int argc, ...)
{
	static const struct rf_option table[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ "name", 'n', RF_OPTION_TEXT, &name, 0, 0 },
		{ "lines", 0, RF_OPTION_NUMBER, &lines, 1, 100 },
		{ "word", 0, RF_OPTION_LIST, &words, 0, 0 },
		{ 0 },
	};
	static char *argv[64];
	va_list args;

	va_start(args, argc);
	argv[0] = (char *)"command";
	for (int i = 1; i <= argc; i++)
		argv[i] = va_arg(args, char *);
	argv[argc + 1] = NULL;
	va_end(args);
	json = false;
	name = NULL;
	lines = 20;
	words.count = 0;
	why[0] = '\0';
	return rf_options_parse(table, command, argc + 1, argv, why, sizeof(why), out);
}

static void test_options(void **state)
{
	struct rf_operands o;

	assert_int_equal(parse(false, &o, 0), 0);
	assert_int_equal(o.count, 0);
	assert_null(o.items[0]);
	assert_int_equal(parse(false, &o, 5, "a", "--json", "-n", "x", "b"), 0);
	assert_true(json);
	assert_string_equal(name, "x");
	assert_int_equal(o.count, 2);
	assert_string_equal(o.items[0], "a");
	assert_string_equal(o.items[1], "b");
	assert_null(o.items[2]);
	assert_int_equal(parse(false, &o, 3, "--name=a=b", "--lines", "100"), 0);
	assert_string_equal(name, "a=b");
	assert_int_equal(lines, 100);
	assert_int_equal(parse(false, &o, 3, "--", "--json", "-"), 0);
	assert_false(json);
	assert_int_equal(o.count, 2);
	assert_int_equal(parse(false, &o, 1, "-h"), 0);
	assert_true(o.help);
}

/* In whatever form: it is not the last one that counts. Behind a command they are the command's. */
static void test_given_twice(void **state)
{
	struct rf_operands o;

	assert_int_equal(parse(false, &o, 4, "--name", "a", "--name", "b"), -EINVAL);
	assert_string_equal(why, "--name may be given once");
	assert_int_equal(parse(false, &o, 4, "-n", "a", "x", "--name=a"), -EINVAL);
	assert_int_equal(parse(false, &o, 2, "--lines=1", "--lines=1"), -EINVAL);
	assert_string_equal(why, "--lines may be given once");
	assert_int_equal(parse(true, &o, 4, "--lines=1", "--lines", "2", "qemu"), -EINVAL);
	assert_int_equal(parse(true, &o, 5, "--name=a", "qemu", "--name=b", "-n", "c"), 0);
	assert_string_equal(name, "a");
	assert_int_equal(o.count, 4);
	assert_int_equal(parse(false, &o, 4, "--name=a", "--", "--name=b", "-n"), 0);
	assert_int_equal(parse(false, &o, 4, "--json", "-j", "--word=a", "--word=a"), 0);
	assert_int_equal(words.count, 2);
}

/* What follows the first operand is another program's command line. */
static void test_lists(void **state)
{
	struct rf_operands o;
	char text[] = "--word=x", *many[RF_OPTION_LIST_MAX + 2] = { (char *)"command" };
	static const struct rf_option table[] = { { "word", 0, RF_OPTION_LIST, &words, 0, 0 },
						  { 0 } };

	assert_int_equal(parse(false, &o, 4, "--word", "a", "--word=b", "c"), 0);
	assert_int_equal(words.count, 2);
	assert_string_equal(words.items[0], "a");
	assert_string_equal(words.items[1], "b");
	assert_int_equal(o.count, 1);
	assert_int_equal(parse(false, &o, 1, "--word="), -EINVAL);
	/* Bounded. */
	words.count = 0;
	for (int i = 1; i < RF_OPTION_LIST_MAX + 2; i++)
		many[i] = text;
	assert_int_equal(
		rf_options_parse(table, false, RF_OPTION_LIST_MAX + 2, many, why, sizeof(why), &o),
		-EINVAL);
	assert_non_null(strstr(why, "may be given 32 times"));
}

static void test_when(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:01.000000001Z", 1000000001 },
		{ "1970-01-01T00:00:00.5z", 500000000 },
		{ "1970-01-01 01:00:00+01:00", 0 },
		{ "1969-12-31T23:30:00-00:30", 0 },
		{ "2000-02-29T00:00:00Z", UINT64_C(951782400000000000) },
		{ "2016-12-31T23:59:60Z", UINT64_C(1483228800000000000) },
		{ "2261-12-31T23:59:59.999999999999Z", UINT64_C(9214646399999999999) },
	};
	static const char *const bad[] = {
		"",
		"1970",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-1-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"1970-01-00T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:61Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00Zx",
		"1970-01-01T00:00:00+1:00",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+01:00",
		"2001-02-29T00:00:00Z",
		"2262-01-01T00:00:00Z",
		"-970-01-01T00:00:00Z",
		"1970-01-01T00:00:00+",
		"1969-12-31T23:59:59Z",
	};
	static const char *const bad_ago[] = {
		"", "m", "10", "10w", "10mm", "-1m", "+1m", " 1m", "1.5m", "99999999999999999999s"
	};
	const uint64_t day = UINT64_C(86400000000000), now = 20 * day;
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(rf_when_at(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rf_when_at(bad[i], &ns), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_ago) / sizeof(bad_ago[0]); i++)
		assert_int_equal(rf_when_ago(bad_ago[i], now, &ns), -EINVAL);
	assert_int_equal(rf_when_ago("3d", now, &ns), 0);
	assert_int_equal(ns, 17 * day);
	assert_int_equal(rf_when_ago("36h", now, &ns), 0);
	assert_int_equal(ns, 18 * day + day / 2);
	assert_int_equal(rf_when_ago("0m", now, &ns), 0);
	assert_int_equal(ns, now);
	/* As long ago as there was time. */
	assert_int_equal(rf_when_ago("9999999999999999s", now, &ns), 0);
	assert_int_equal(ns, 0);
}

static void test_options_before_a_command(void **state)
{
	struct rf_operands o;

	assert_int_equal(parse(true, &o, 5, "-j", "qemu", "-n", "--help", "--bogus"), 0);
	assert_true(json);
	assert_false(o.help);
	assert_null(name);
	assert_int_equal(o.count, 4);
	assert_string_equal(o.items[1], "-n");
	assert_int_equal(parse(true, &o, 4, "--", "-j", "--", "x"), 0);
	assert_false(json);
	assert_int_equal(o.count, 3);
	assert_string_equal(o.items[1], "--");
}

static void test_bad_options(void **state)
{
	static const char *const numbers[] = { "0",  "101", "-1", "+1",
					       " 1", "1x",  "",	  "99999999999999999999",
					       "0x5" };
	struct rf_operands o = { .count = 77 };

	assert_int_equal(parse(false, &o, 1, "--bogus"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "-x"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "-jn"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "--jso"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "--jsonx"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "--json=1"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "--name"), -EINVAL);
	assert_int_equal(parse(false, &o, 1, "--name="), -EINVAL);
	assert_int_equal(parse(false, &o, 2, "-n", ""), -EINVAL);
	assert_true(why[0]);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_int_equal(parse(false, &o, 2, "--lines", numbers[i]), -EINVAL);
	assert_int_equal(o.count, 77);
}

static void test_patches_path(void **state)
{
	static const struct {
		const char *log, *patches;
	} all[] = {
		{ "/a/audit.jsonl", "/a/audit.patches" },
		{ "web", "web.patches" },
		{ "audit.jsonl.1", "audit.patches.1" },
		{ "audit.jsonl-20260131", "audit.patches-20260131" },
		{ "audit.jsonl.jsonl", "audit.jsonl.patches" },
		{ "audit.jsonlines", "audit.jsonlines.patches" },
		{ "/x.jsonl/web", "/x.jsonl/web.patches" },
		{ "/x.jsonl.d/web.jsonl.2", "/x.jsonl.d/web.patches.2" },
		{ ".jsonl", ".patches" },
		{ "/a/audit.patches", "/a/audit.patches" },
		{ "/a/audit.patches.1", "/a/audit.patches.1" },
		{ "/a.patches/audit.jsonl", "/a.patches/audit.patches" },
		{ "", ".patches" },
	};
	char path[PATH_MAX], longest[PATH_MAX];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(rf_patches_path(all[i].log, path), 0);
		assert_string_equal(path, all[i].patches);
	}
	memset(longest, 'x', sizeof(longest));
	longest[PATH_MAX - 8] = '\0';
	assert_int_equal(rf_patches_path(longest, path), -ENAMETOOLONG);
	longest[PATH_MAX - 9] = '\0';
	assert_int_equal(rf_patches_path(longest, path), 0);
}

static void test_names(void **state)
{
	char longest[RF_NAME_MAX + 2], out[PATH_MAX];

	memset(longest, 'a', sizeof(longest));
	longest[RF_NAME_MAX] = '\0';
	assert_true(rf_name_valid(longest));
	assert_true(rf_name_valid("vm-1.a_B"));
	longest[RF_NAME_MAX] = 'a';
	longest[RF_NAME_MAX + 1] = '\0';
	assert_false(rf_name_valid(longest));
	assert_false(rf_name_valid(""));
	assert_false(rf_name_valid(".."));
	assert_false(rf_name_valid("-x"));
	assert_false(rf_name_valid("a/b"));
	assert_false(rf_name_valid("a b"));
	assert_false(rf_name_valid("a\n"));
	assert_false(rf_name_valid("\xc3\xa4"));
	assert_int_equal(rf_state_dir("a b", out), -EINVAL);
	assert_int_equal(rf_state_dir("/x/y", out), 0);
	assert_string_equal(out, "/x/y");
	assert_int_equal(rf_find_program("", out), -ENOENT);
}

/* --- the VMM's file
 * --------------------------------------------------------------------------------- */

struct image {
	Elf64_Ehdr e;
	Elf64_Phdr p[3];
};

static struct image good_image(void)
{
	struct image i = {
		.e = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64 },
		       .e_type = ET_DYN,
#ifdef __aarch64__
		       .e_machine = EM_AARCH64,
#else
		       .e_machine = EM_X86_64,
#endif
		       .e_phoff = offsetof(struct image, p),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 3 },
		.p = { { .p_type = PT_LOAD }, { .p_type = PT_NOTE }, { .p_type = PT_INTERP } },
	};

	return i;
}

static enum rf_program judge(const struct image *i, size_t len)
{
	return rf_program_judge((const uint8_t *)i, len);
}

static void test_program(void **state)
{
	struct image i = good_image();

	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_OK);
	assert_null(rf_program_text(RF_PROGRAM_OK));
	for (size_t len = 0; len < sizeof(i); len++)
		assert_int_not_equal(judge(&i, len), RF_PROGRAM_OK);
	i.p[2].p_type = PT_LOAD;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_STATIC);
	i = good_image();
	i.e.e_phnum = 2;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_STATIC);
	i.e.e_phnum = 0xffff;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_MALFORMED);
	i = good_image();
	i.e.e_phoff = UINT64_MAX - 8;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_MALFORMED);
	i = good_image();
	i.e.e_phentsize = 1;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_MALFORMED);
	i = good_image();
	i.e.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_FOREIGN);
	i = good_image();
	i.e.e_machine = EM_RISCV;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_FOREIGN);
	i = good_image();
	i.e.e_type = ET_CORE;
	assert_int_equal(judge(&i, sizeof(i)), RF_PROGRAM_FOREIGN);
	assert_int_equal(rf_program_judge((const uint8_t *)"#!/bin/sh", 9), RF_PROGRAM_SCRIPT);
	assert_int_equal(rf_program_judge((const uint8_t *)"hello", 5), RF_PROGRAM_NOT_ELF);
	assert_int_equal(rf_program_judge((const uint8_t *)"", 0), RF_PROGRAM_NOT_ELF);
	for (int k = RF_PROGRAM_SCRIPT; k <= RF_PROGRAM_PRIVILEGED; k++)
		assert_non_null(rf_program_text(k));
}

/* --- the log
 * ---------------------------------------------------------------------------------------- */

static char path[] = "/tmp/rf-log-XXXXXX";

static void append(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void append_text(const char *text)
{
	append(text, strlen(text));
}

static int take(void *ctx, json_t *o)
{
	json_int_t *last = ctx;

	*last = json_integer_value(json_object_get(o, "n"));
	return *last == 99 ? 7 : 0;
}

static void test_log(void **state)
{
	static char huge[RF_LOG_LINE_BYTES + 1];
	json_int_t last = 0;
	struct rf_log l, before;
	struct rf_why theirs;

	close(mkstemp(path));
	assert_int_equal(rf_log_open(path, geteuid(), &l), 0);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	append_text("{\"n\":1}\n{\"n\":2}\n[3]\n\n{\"n\":");
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 2);
	assert_int_equal(l.unreadable, 1);
	append_text("4}");
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 2); /* it may still grow */
	assert_int_equal(rf_log_finish(&l, take, &last), 0);
	assert_int_equal(last, 4);
	append_text("\n");
	memset(huge, ' ', sizeof(huge));
	append(huge, sizeof(huge));
	append_text("{\"n\":5}\n{\"n\":6}\n");
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 6); /* 5 was the end of a line that is too long */
	assert_int_equal(l.unreadable, 2);
	append_text("{\"n\":99}\n{\"n\":100}\n");
	assert_int_equal(rf_log_read(&l, take, &last), 7);
	assert_int_equal(last, 99);
	assert_int_equal(rf_log_read(&l, take, &last), 0); /* goes on behind it */
	assert_int_equal(last, 100);

	/* Cut, then replaced, then gone. */
	assert_int_equal(truncate(path, 0), 0);
	append_text("{\"n\":7}\n");
	assert_int_equal(rf_log_reopen(&l, &before, &theirs), RF_LOG_CUT);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 7);
	unlink(path);
	assert_int_equal(rf_log_reopen(&l, &before, &theirs), RF_LOG_SAME);
	append_text("{\"n\":8}\n");
	assert_int_equal(rf_log_reopen(&l, &before, &theirs), RF_LOG_NEXT);
	rf_log_close(&before);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 8);
	rf_log_close(&l);

	/* A log longer than what is read back starts at a whole line. */
	assert_int_equal(truncate(path, RF_LOG_BACK_BYTES + 1000), 0);
	append_text("{\"n\":9}\n{\"n\":10}\n");
	assert_int_equal(rf_log_open(path, geteuid(), &l), 0);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 10);
	assert_int_equal(l.unreadable, 0);
	rf_log_close(&l);
	unlink(path);
	assert_int_equal(rf_log_open(path, geteuid(), &l), -ENOENT);
	assert_int_equal(rf_log_open("/tmp", geteuid(), &l), -EINVAL);
}

static uint64_t broken[8];
static size_t broken_count;

static void note_broken(void *ctx, uint64_t line)
{
	assert_in_range(broken_count, 0, 7);
	broken[broken_count++] = line;
}

/* Each line that is no record is named by its number in the file. */
static void test_broken_lines(void **state)
{
	static char huge[RF_LOG_LINE_BYTES + 1];
	json_int_t last = 0;
	struct rf_log l, before;
	struct rf_why theirs;

	strcpy(path, "/tmp/rf-log-XXXXXX");
	close(mkstemp(path));
	append_text("{\"n\":1}\nnoise\n\n{\"n\":2}\n");
	memset(huge, ' ', sizeof(huge));
	append(huge, sizeof(huge));
	append_text("\n[]\n{\"n\":\"\xff\"}\n{\"n\":3}\nhalf");
	assert_int_equal(truncate(path, RF_LOG_BACK_BYTES + 1000), 0);
	assert_int_equal(rf_log_open(path, geteuid(), &l), 0);
	l.broken = note_broken;
	rf_log_whole(&l);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(last, 3);
	assert_int_equal(broken_count, 5);
	assert_int_equal(broken[0], 2);
	assert_int_equal(broken[1], 5); /* too long */
	assert_int_equal(broken[2], 6);
	assert_int_equal(broken[3], 7); /* not UTF-8 */
	assert_int_equal(broken[4], 9); /* no line's end for as long as a line may be */
	/* Another file is counted anew. */
	assert_int_equal(truncate(path, 0), 0);
	append_text("x\n");
	assert_int_equal(rf_log_reopen(&l, &before, &theirs), RF_LOG_CUT);
	assert_int_equal(rf_log_read(&l, take, &last), 0);
	assert_int_equal(broken_count, 6);
	assert_int_equal(broken[5], 1);
	rf_log_close(&l);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_given_twice),
		cmocka_unit_test(test_options_before_a_command),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_patches_path),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_broken_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
