/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The running kernel of a dump, with no help: neither an address nor a root of page tables nor the
 * number of their levels is given. Where the processors' registers are known they lead to it; else
 * memory is searched for page tables that map a kernel.
 */
#ifndef RF_INTROSPECTION_LOCATE_H
#define RF_INTROSPECTION_LOCATE_H

#include "introspection/kernel.h"

/* Registers of a processor that runs the guest, in whatever mode; claims. What is 0 is not known.
 */
struct rf_locate_hint {
	uint64_t cr3, cr4, idt_base, rip;
};

struct rf_locate_range {
	rf_gpa start;
	uint64_t size; /* bytes */
};

/*
 * Registers come first: what the page tables map at the handler of a page fault, or at the
 * instruction pointer, is the kernel that runs. Without any, or where they lead nowhere, all of
 * the ranges is read once. Then there must be one kernel: a second one (left behind by a reboot, or
 * made up by who was in the guest) is -EBADMSG, as nothing in memory says which of them runs.
 *
 * 0 and *out (destroy with rf_kernel_destroy) and *paging, the kernel's own page tables with
 * levels as these tables have them; or, with diag (may be NULL) filled:
 *
 * - -ENOENT: no kernel there
 * - -EBADMSG: more than one, or its own page tables do not map it
 * - -E2BIG: page tables that do not end
 * - -EFAULT, -ENOMEM
 */
int rf_kernel_locate(const struct rf_memory *m, const struct rf_locate_hint *hints,
		     size_t hint_count, const struct rf_locate_range *ranges, size_t range_count,
		     struct rf_kernel **out, struct rf_paging *paging, struct rf_diag *diag);

#endif
