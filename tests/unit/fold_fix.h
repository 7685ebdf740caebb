/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of policy/fold.c share: it compiled in, a log, memory as it was at each store. */
#ifndef RF_TESTS_FOLD_FIX_H
#define RF_TESTS_FOLD_FIX_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* Where the order of stores is kept is where a process may die: the memory as it is there. */
static void at_fence(void);
#define __atomic_thread_fence(order) at_fence()
#include "policy/fold.c"
#undef __atomic_thread_fence
#include "policy/foldlog.h"
#include "tests/unit/log_open.h"

#define INSTANCE UINT64_C(0x77)
#define SECOND RF_FOLD_SECOND

static struct rf_fold *f, *snapshots;
static size_t taken, room;
static struct rf_fold_time now;
static char path[] = "/tmp/rf-fold-XXXXXX";

static void at_fence(void)
{
	if (taken < room)
		snapshots[taken++] = *f;
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	f = calloc(1, sizeof(*f));
	if (fd < 0 || !f)
		return -1;
	close(fd);
	now = (struct rf_fold_time){ UINT64_C(1700000000) * SECOND, 1000 * SECOND };
	return rf_fold_adopt(f, INSTANCE, 0);
}

static int teardown(void **state)
{
	free(f);
	unlink(path);
	strcpy(path, "/tmp/rf-fold-XXXXXX");
	return 0;
}

static void pass(uint64_t ns)
{
	now.real_ns += ns;
	now.mono_ns += ns;
}

static const struct rf_audit_answer denial = {
	.verdict = RF_ANSWERED_DENY, .has_fault = true, .vector = 14, .rip = 0x1234, .cr2 = 0x99
};

static struct rf_record denied(uint64_t event, uint64_t target, uint64_t writer)
{
	return (struct rf_record){ .event = event,
				   .vcpu = (uint32_t)(event % 3),
				   .kind = "write",
				   .rule = "rodata-is-never-written",
				   .verdict = RF_WORD_BLOCKED,
				   .has_target = true,
				   .target = { .addr = target },
				   .has_writer = true,
				   .writer = { .addr = writer },
				   .answer = event ? &denial : NULL };
}

/* Was it to be written in full? Else it is counted. */
static bool decide(const struct rf_record *r)
{
	if (rf_fold_in_full(f, r, &now))
		return true;
	rf_fold_count(f, r, &now);
	return false;
}

static unsigned int in_full(const struct rf_record *r, unsigned int times)
{
	unsigned int lines = 0;

	while (times--)
		lines += decide(r);
	return lines;
}

/* --- to the log --- */

struct sums {
	uint64_t full, folded, highest, lines;
	uint64_t gap, lost;
};

static struct sums read_log(void)
{
	struct sums s = { 0 };
	FILE *log = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	while (getline(&text, &size, log) > 0) {
		json_t *o = json_loads(text, 0, NULL);
		const char *type = json_string_value(json_object_get(o, "type"));
		uint64_t number = (uint64_t)json_integer_value(json_object_get(o, "number"));

		assert_non_null(type);
		s.lines++;
		if (!strcmp(type, "decision"))
			s.full++;
		if (number > s.highest) {
			s.highest = number;
			s.folded += (uint64_t)json_integer_value(json_object_get(o, "count"));
			s.gap += (uint64_t)json_integer_value(json_object_get(o, "decisions"));
			s.lost += (uint64_t)json_integer_value(json_object_get(o, "lines_lost"));
		}
		json_decref(o);
	}
	free(text);
	fclose(log);
	return s;
}

static struct rf_audit *open_log(void)
{
	struct rf_audit *a;

	assert_int_equal(log_open(path, "vm", INSTANCE, &a), 0);
	return a;
}

static void flush(struct rf_audit *a, bool all)
{
	assert_int_equal(rf_fold_flush(f, a, &now, all), 0);
}

#endif
