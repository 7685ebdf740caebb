// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a VM's monitor, or who listens in its place, answers to a look at its memory: lines of JSON,
 * one answer each, the last one again and again. Each look ends, and reads into its own memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "cli/subject.h"
#include "cli/vm_memory.h"

#define QUESTIONS 400 /* a clock that stands still would let a look go on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *answers;
static size_t left;
static int64_t now;

int64_t rf_now_ms(void)
{
	return now;
}

int rf_vm_find(const char *name, struct rf_vm *out)
{
	return RF_EXIT_OK;
}

void rf_vm_close(struct rf_vm *vm) {}

int rf_control_memory(const struct rf_vm *vm, uint64_t at, unsigned int pages, json_t **out)
{
	const uint8_t *end = memchr(answers, '\n', left);
	size_t len = end ? (size_t)(end - answers) : left;
	json_t *o = json_loadb((const char *)answers, len, 0, NULL);

	now += 600000 / QUESTIONS + 1;
	if (end) {
		answers += len + 1;
		left -= len + 1;
	}
	*out = json_is_object(o) ? o : NULL;
	if (!*out)
		json_decref(o);
	return *out ? 0 : -EBADMSG;
}

int rf_vm_answer(const struct rf_vm *vm, const struct rf_question *q, int err, json_t *o)
{
	return err || json_object_get(o, "error") ? RF_EXIT_NO : RF_EXIT_OK;
}

int rf_vm_silent(const struct rf_vm *vm, int err, const char *means)
{
	return RF_EXIT_NO_ANSWER;
}

int rf_fail(int code, const char *consequence, const char *advice, const char *format, ...)
{
	return code;
}

void rf_safe(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
}

/* The map that a dump follows: ascending, of whole pages, and nowhere beyond what there can be. */
static void look_at_map(void)
{
	static struct rf_vm_range map[RF_VM_MEMORY_RANGES];
	static struct rf_vm_memory l;
	json_t *first = NULL;
	uint64_t end = 0;
	int n = 0;

	memset(&l, 0, sizeof(l));
	if (rf_vm_memory_begin(&l, &first) == RF_EXIT_OK)
		n = rf_vm_memory_map(&l, map);
	for (int i = 0; i < n; i++) {
		if (map[i].at < end || map[i].at % 4096 || !map[i].size || map[i].size % 4096 ||
		    map[i].at + map[i].size < map[i].at)
			abort();
		end = map[i].at + map[i].size;
	}
	json_decref(first);
	rf_vm_memory_close(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_subject s;
	uint8_t page[8192];
	int code;

	answers = data;
	left = size;
	now = 0;
	look_at_map();
	answers = data;
	left = size;
	now = 0;
	code = rf_subject_open_live("x", &s);
	if (code != RF_EXIT_OK)
		return 0;
	for (uint64_t at = 0; at < 64; at++)
		rf_memory_read(&s.memory, rf_gpa_of(at * 1001), page, at * 128);
	s.lost(s.source);
	rf_kernel_destroy(s.kernel);
	free(s.places);
	s.close(s.source);
	return 0;
}
