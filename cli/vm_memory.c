// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/vm_memory.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

static const struct rf_question question = {
	.cmd = "memory",
	.nothing = "its memory is not shown before its kernel is sealed",
	.unknown = "nothing was looked at; what was sealed stays sealed",
};

/* As many of these pages as there are in a row, to l->bytes. Their number, or -errno. */
static int pages_of(const json_t *o, struct rf_vm_memory *l)
{
	const char *text = json_string_value(json_object_get(o, "bytes"));
	size_t n;

	if (!text || sodium_base642bin(l->bytes, sizeof(l->bytes), text, strlen(text), NULL, &n,
				       NULL, sodium_base64_VARIANT_ORIGINAL))
		return -EBADMSG;
	return (int)(n / RF_VM_MEMORY_PAGE);
}

int rf_vm_memory_fetch(struct rf_vm_memory *l, uint64_t at, unsigned int pages)
{
	json_t *o = NULL;
	int n = l->err;

	if (!n && l->until && rf_now_ms() > l->until)
		n = -ETIME;
	if (!n)
		n = rf_control_memory(&l->vm, at, pages, &o);
	if (!n && !json_equal(json_object_get(o, "kernel"), l->kernel))
		n = -ESTALE;
	if (!n)
		n = pages_of(o, l);
	l->next = strtoull(json_string_value(json_object_get(o, "next")) ?: "", NULL, 16);
	json_decref(o);
	if (n < 0 && !l->err)
		l->err = n;
	return n;
}

int rf_vm_memory_begin(struct rf_vm_memory *l, json_t **out)
{
	json_t *o = NULL;
	int err = rf_control_memory(&l->vm, 0, 1, &o),
	    code = rf_vm_answer(&l->vm, &question, err, o);

	if (code == RF_EXIT_OK) {
		l->kernel = json_incref(json_object_get(o, "kernel"));
		*out = o;
		return code;
	}
	json_decref(o);
	return code == RF_EXIT_NO ? RF_EXIT_CANNOT_TELL : code;
}

int rf_vm_memory_lost(const struct rf_vm_memory *l)
{
	if (l->err == -ESTALE)
		return rf_fail(RF_EXIT_CANNOT_TELL, "what was read is of no kernel that ever was",
			       "run it again once `ringfence status` says sealed",
			       "the kernel of %s is gone, or another one by now", l->vm.name);
	if (l->err == -ETIME)
		return rf_fail(RF_EXIT_CANNOT_TELL, "what was read is not all of it",
			       "dump its memory (`ringfence dump`), and look at that",
			       "%s was looked at for ten minutes", l->vm.name);
	return l->err ? rf_vm_silent(&l->vm, l->err, "what was read is not all of it") : RF_EXIT_OK;
}

void rf_vm_memory_close(struct rf_vm_memory *l)
{
	json_decref(l->kernel);
	rf_vm_close(&l->vm);
}
