// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Any bytes as page tables. What a walk reports must be in order, in range, and what a translation
 * of each run's first and last byte says. Input: an address (8 bytes), levels (1 bit of a byte, 8
 * with padding), then RAM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/arch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ram {
	const uint8_t *bytes;
	size_t len;
};

struct check {
	const struct rf_memory *m;
	const struct rf_paging *p;
	uint64_t next, last; /* inclusive */
};

static int ram_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	const struct ram *ram = ctx;

	if (!rf_within(gpa.v, len, 0, ram->len))
		return -EFAULT;
	memcpy(buf, ram->bytes + gpa.v, len);
	return 0;
}

static int check_run(void *ctx, const struct rf_mapping *run)
{
	struct check *c = ctx;
	struct rf_translation t;

	if (!run->size || run->gva.v < c->next || run->gva.v + (run->size - 1) > c->last)
		abort();
	c->next = run->gva.v + (run->size - 1);
	for (unsigned int end = 0; end < 2; end++) {
		uint64_t at = end ? run->size - 1 : 0;

		if (rf_pt_translate(c->m, c->p, rf_gva_of(run->gva.v + at), &t) ||
		    t.gpa.v != run->gpa.v + at || t.writable != run->writable ||
		    t.user != run->user || t.executable != run->executable)
			abort();
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_paging p = { rf_gpa_of(0), 4 };
	uint64_t gva, half;
	uint8_t buf[9000];
	struct rf_translation t;

	if (size < 16)
		return 0;
	memcpy(&gva, data, 8);
	p.levels += data[8] & 1;

	struct ram ram = { data + 16, size - 16 };
	struct rf_memory m = { ram_read, &ram };
	struct check c = { &m, &p, 0, INT64_MAX };

	rf_pt_translate(&m, &p, rf_gva_of(gva), &t);
	rf_pt_read(&m, &p, rf_gva_of(gva), buf, sizeof(buf));
	half = UINT64_C(1) << (p.levels == 5 ? 56 : 47);
	rf_pt_walk(&m, &p, rf_gva_of(0), rf_gva_of(half), 1 << 14, check_run, &c);
	c.next = -half;
	c.last = UINT64_MAX;
	rf_pt_walk(&m, &p, rf_gva_of(-half), rf_gva_of(0), 1 << 14, check_run, &c);
	c.next = 0;
	rf_pt_walk(&m, &p, rf_gva_of(rf_page_down(gva)), rf_gva_of(rf_page_down(gva) + (1 << 24)),
		   1 << 14, check_run, &c);
	return 0;
}
