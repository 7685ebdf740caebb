// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Descriptor tables of any bytes. Input: what to check, whose, two bytes of limit, then the table.
 * Findings lie inside the table, are the same whatever room there is for them, and a table that has
 * none is Linux's.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/x86/descriptor.h"

#define FINDINGS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t check(uint8_t what, int cpu, const uint8_t *bytes, size_t len, uint16_t limit,
		    struct rf_descriptor_finding *out, size_t cap)
{
	static struct rf_cpu_tables cpus[2] = {
		{ UINT64_C(0xffff88800000b000), UINT64_C(0xfffffe0000001000),
		  UINT64_C(0xfffffe0000003000) },
		{ UINT64_C(0xffff88800001b000), UINT64_C(0xfffffe000003c000),
		  UINT64_C(0xfffffe000003e000) },
	};
	static const struct rf_tables t = {
		.idt = { .exception = { [3] = UINT64_C(0xffffffff81000060),
					[14] = UINT64_C(0xffffffff810001c0) },
			 .early = UINT64_C(0xffffffff82000000),
			 .early_stride = 9,
			 .irq = UINT64_C(0xffffffff81001000),
			 .spurious = UINT64_C(0xffffffff81001660),
			 .stride = 8,
			 .first_system = 236,
			 .int80 = { UINT64_C(0xffffffff81000400) },
			 .sysvec_count = 1,
			 .sysvec = { UINT64_C(0xffffffff81000500) } },
		.idt_table = UINT64_C(0xffffffff83000000),
		.tss_limit = 0x4087,
		.cpu_count = 2,
		.cpus = cpus,
	};

	switch (what % 3) {
	case 0:
		return rf_idt_check(&t.idt, bytes, len, limit, out, cap);
	case 1:
		return rf_gdt_check(&t, cpu, bytes, len, limit, out, cap);
	default:
		return rf_ldt_check(bytes, len, limit, out, cap);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_descriptor_finding few[4], many[FINDINGS];
	uint16_t limit;
	size_t n;

	if (size < 4)
		return 0;
	memset(few, 0xee, sizeof(few));
	memset(many, 0xee, sizeof(many));
	memcpy(&limit, data + 2, 2);
	n = check(data[0], data[1] % 4 - 1, data + 4, size - 4, limit, many, FINDINGS);
	if (check(data[0], data[1] % 4 - 1, data + 4, size - 4, limit, few, 3) != n ||
	    n > RF_TABLE_MAX)
		abort();
	for (size_t i = 0; i < n && i < FINDINGS; i++) {
		if (many[i].what >= RF_DESCRIPTOR_FAULTS ||
		    (many[i].what != RF_DESCRIPTOR_LIMIT && many[i].index * 8u > limit))
			abort();
		if (i < 3 && (few[i].index != many[i].index || few[i].what != many[i].what ||
			      few[i].value != many[i].value))
			abort();
	}
	if (few[3].value != UINT64_C(0xeeeeeeeeeeeeeeee))
		abort();
	return 0;
}
