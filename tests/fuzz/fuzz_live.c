// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a VM's monitor, or who listens in its place, answers to a look at its memory: lines of JSON,
 * one answer each, the last one again and again. Each look ends, and reads into its own memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "cli/subject.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_subject s;
	uint8_t page[8192];
	int code;

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
