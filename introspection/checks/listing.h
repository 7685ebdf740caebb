/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest's own lists say: its tasks and its modules. Claims, all of it: who hides from a
 * list is not on it, and a check finds that (tasks-hidden, modules-hidden).
 */
#ifndef RF_INTROSPECTION_CHECKS_LISTING_H
#define RF_INTROSPECTION_CHECKS_LISTING_H

#include "introspection/checks/check.h"

struct rf_task_row {
	rf_gva at;		   /* struct task_struct */
	int32_t pid, tgid, parent; /* parent: tgid of it, 0 none */
	uint32_t uid, euid;
	char state;	/* a letter, as /proc/PID/stat has it */
	bool is_kernel; /* a thread of the kernel's own */
	char comm[17];	/* printable ASCII */
};

struct rf_module_row {
	rf_gva at;	 /* struct module */
	rf_gva base;	 /* of its text */
	uint64_t size;	 /* bytes of all its parts */
	char state;	 /* 'L'ive, 'C'oming, 'G'oing, '?' */
	bool vouched;	 /* in-tree and signed, as it claims */
	uint64_t taints; /* bits as in /proc/sys/kernel/tainted */
	char name[57];	 /* printable ASCII */
};

/* More than this is no list of a kernel's. */
#define RF_TASKS_MAX ((size_t)1 << 22) /* PID_MAX_LIMIT */
#define RF_MODULES_MAX ((size_t)4096)

/*
 * Each thread of the list, in its order, pid 0's left out; each module. *out is to be freed, and
 * with *count holds what could be read also where an error is returned. 0 or the errors of
 * inside.h, then why says what is wrong, in words.
 */
int rf_list_tasks(struct rf_checks *c, struct rf_task_row **out, size_t *count, char why[RF_WHY]);
int rf_list_modules(struct rf_checks *c, struct rf_module_row **out, size_t *count,
		    char why[RF_WHY]);

#endif
