// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Any bytes as a memory that has a kernel somewhere. What is found is mapped by the page tables
 * that come with it; what is refused has a reason. Input: the registers of a processor (32 bytes),
 * then RAM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/locate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ram {
	const uint8_t *bytes;
	size_t len;
};

static int ram_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	const struct ram *ram = ctx;

	if (!rf_within(gpa.v, len, 0, ram->len))
		return -EFAULT;
	memcpy(buf, ram->bytes + gpa.v, len);
	return 0;
}

static void check(const struct rf_memory *m, const struct rf_kernel *k, const struct rf_paging *p)
{
	struct rf_paging own;
	rf_gva top;

	if (rf_kernel_paging(k, &own) || own.root.v != p->root.v || own.levels != p->levels ||
	    (p->levels != 4 && p->levels != 5) || rf_kernel_address(k, "init_top_pgt", &top))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_diag diag = { "" };
	struct rf_locate_hint hint;
	struct rf_kernel *k;
	struct rf_paging p;
	int r;

	if (size < sizeof(hint))
		return 0;
	memcpy(&hint, data, sizeof(hint));

	struct ram ram = { data + sizeof(hint), size - sizeof(hint) };
	struct rf_memory m = { ram_read, &ram };
	const struct rf_locate_range all = { rf_gpa_of(0), ram.len };

	r = rf_kernel_locate(&m, &hint, 1, &all, 1, &k, &p, &diag);
	if (r) {
		if (!diag.text[0] || (r != -ENOENT && r != -EBADMSG && r != -E2BIG))
			abort();
		return 0;
	}
	check(&m, k, &p);
	rf_kernel_destroy(k);
	return 0;
}
