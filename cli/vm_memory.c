// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/vm_memory.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

#define ADDRESS_MAX (UINT64_C(1) << 52) /* of guest-physical memory */

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

/* 0 and *out (a reference), of the same kernel as the first answer; or -errno. */
static int ask(struct rf_vm_memory *l, uint64_t at, unsigned int pages, json_t **out)
{
	const char *error;
	int err = l->err;

	*out = NULL;
	if (!err && l->until && rf_now_ms() > l->until)
		err = -ETIME;
	if (!err)
		err = rf_control_memory(&l->vm, at, pages, out);
	error = json_string_value(json_object_get(*out, "error"));
	if (!err && error) {
		rf_safe(l->why, sizeof(l->why), error);
		return -ENODATA;
	}
	if (!err && !json_equal(json_object_get(*out, "kernel"), l->kernel))
		return -ESTALE;
	return err;
}

static int kept(struct rf_vm_memory *l, int n)
{
	if (n < 0 && !l->err)
		l->err = n;
	return n;
}

int rf_vm_memory_fetch(struct rf_vm_memory *l, uint64_t at, unsigned int pages)
{
	json_t *o;
	int n = ask(l, at, pages, &o);

	if (!n)
		n = pages_of(o, l);
	json_decref(o);
	return kept(l, n);
}

uint64_t rf_vm_memory_number(const json_t *o, const char *member)
{
	return strtoull(json_string_value(json_object_get(o, member)) ?: "", NULL, 16);
}

static int ranges_of(const json_t *all, struct rf_vm_range *out)
{
	size_t n = json_array_size(all);
	uint64_t end = 0;

	if (!n || n > RF_VM_MEMORY_RANGES)
		return -EBADMSG; /* no VM is without memory */
	for (size_t i = 0; i < n; i++) {
		const json_t *o = json_array_get(all, i);
		struct rf_vm_range *r = &out[i];

		*r = (struct rf_vm_range){ rf_vm_memory_number(o, "at"),
					   rf_vm_memory_number(o, "size") };
		if (r->at % RF_VM_MEMORY_PAGE || r->size % RF_VM_MEMORY_PAGE || !r->size ||
		    r->at < end || r->size > ADDRESS_MAX || r->at > ADDRESS_MAX - r->size)
			return -EBADMSG;
		end = r->at + r->size;
	}
	return (int)n;
}

int rf_vm_memory_map(struct rf_vm_memory *l, struct rf_vm_range out[RF_VM_MEMORY_RANGES])
{
	json_t *o;
	int n = ask(l, 0, 0, &o);

	if (!n)
		n = ranges_of(json_object_get(o, "ranges"), out);
	json_decref(o);
	return kept(l, n);
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

int rf_vm_memory_lost(const struct rf_vm_memory *l, const char *means)
{
	if (l->err == -ESTALE)
		return rf_fail(RF_EXIT_CANNOT_TELL, means,
			       "run it again once `ringfence status` says sealed",
			       "the kernel of %s is gone, or another one by now", l->vm.name);
	if (l->err == -ETIME)
		return rf_fail(RF_EXIT_CANNOT_TELL, means,
			       "dump its memory (`ringfence dump`, or virsh dump --memory-only), "
			       "and look at that",
			       "%s was looked at for ten minutes", l->vm.name);
	if (l->err == -ENODATA)
		return rf_fail(
			RF_EXIT_CANNOT_TELL, means,
			"take it by its VMM (virsh dump --memory-only); a VM that was started "
			"with an earlier release shows its memory once it is started anew",
			"%s does not show its memory: %s", l->vm.name, l->why);
	return l->err ? rf_vm_silent(&l->vm, l->err, means) : RF_EXIT_OK;
}

void rf_vm_memory_close(struct rf_vm_memory *l)
{
	json_decref(l->kernel);
	rf_vm_close(&l->vm);
}
