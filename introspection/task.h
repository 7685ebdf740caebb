/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is running: the task on a CPU, as the guest claims it. An attacker in ring 0 can forge all of
 * it, so records mark it as claimed by the guest and no verdict rests on it.
 */
#ifndef RF_INTROSPECTION_TASK_H
#define RF_INTROSPECTION_TASK_H

#include "introspection/kernel.h"

struct rf_task {
	char comm[17]; /* printable ASCII only: other bytes replaced by '?' */
	int32_t pid, tgid;
	uint32_t uid;
};

/*
 * Task on the CPU whose per-CPU area starts at percpu_base (GS base while in kernel mode,
 * KERNEL_GS_BASE while in user mode). 0, -ENOENT when the kernel offers no way to know, or a read
 * error.
 */
int rf_task_current(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		    rf_gva percpu_base, struct rf_task *out);

struct rf_module {
	char name[57]; /* MODULE_NAME_LEN on 64 bit is 56; same replacement of bytes */
	rf_gva base;   /* start of the memory part that holds the address asked for */
	uint64_t size;
};

/* The loaded module that holds gva, from the guest's list of them. -ENOENT when none does. */
int rf_module_find(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   rf_gva gva, struct rf_module *out);
struct rf_module_range {
	uint64_t base, size;
};
/* Where all of them lie, in no order. 0, -ENOTSUP: this kernel shows none; -EBADMSG: the list does
 * not end, or there are more than max; or a read error. */
int rf_module_ranges(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, struct rf_module_range *out, size_t max,
		     size_t *count);

#endif
