/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest module plants: for each check, what a rootkit would leave for it to find.
 *
 * To add one: a plant and an undo function in the family's file plant_<family>.c, and a row in its
 * table. A plant function fills in the report:
 *   - object, target: what the check must report, as introspection/checks/check.h has it. Object 0:
 *     whatever it says, the target counts.
 *   - slot: where the target stands now; reading it back is the control. Where there is no such
 *     place, real() says whether the effect is there.
 *   - calls: a counter that the planted function adds to, where user mode
 * (tests/planted/planted.py) or the plant's prod() makes the kernel call it. It returns 0, or
 * -errno; -EOPNOTSUPP, with why filled in, where this kernel cannot have it. Plants stay together
 * until the module goes, so none may be in the way of another, or end the guest.
 */
#ifndef RF_PLANTED_H
#define RF_PLANTED_H

#include <linux/errno.h>
#include <linux/types.h>

struct rf_planted {
	unsigned long object, target;
	unsigned long also; /* another object that must be reported; 0: none */
	unsigned long *slot;
	unsigned int *calls;
	const char *why;
};

struct rf_plant {
	const char *name, *check;
	int (*plant)(struct rf_planted *p);
	void (*undo)(struct rf_planted *p);
	void (*prod)(void);
	bool (*real)(const struct rf_planted *p);
};

#define RF_FAMILIES(RF)                                                                            \
	RF(calls)                                                                                  \
	RF(lsm)                                                                                    \
	RF(net) RF(notifiers) RF(files) RF(devices) RF(registered) RF(settings) RF(doors)          \
		RF(later) RF(tasks) RF(programs) RF(modules) RF(asked)
#define RF(family) extern const struct rf_plant rf_plants_##family[]; /* NULL behind the last */
RF_FAMILIES(RF)
#undef RF

/* A pointer that is planted: where it stands, and what is reported of it. */
static inline int rf_pointer(struct rf_planted *p, const void *slot, unsigned int *calls)
{
	p->slot = (unsigned long *)slot;
	p->object = (unsigned long)slot;
	p->target = *p->slot;
	p->calls = calls;
	return 0;
}

/* A table of functions that is planted: the report names whose it is. */
static inline int rf_table(struct rf_planted *p, const void *object, const void *slot,
			   unsigned int *calls)
{
	rf_pointer(p, slot, calls);
	p->object = (unsigned long)object;
	return 0;
}

static inline int rf_cannot(struct rf_planted *p, const char *why)
{
	p->why = why;
	return -EOPNOTSUPP;
}

/* memory.c: a pointer anywhere, also in what is read-only. 0 or -ENOMEM. */
int rf_write(void *at, const void *to);
/* Where that value stands in the bytes, NULL: nowhere. */
void *rf_find(const void *from, size_t bytes, const void *value);

/* main.c: processes that sleep, to be dealt with as one likes; NULL: there are not so many. */
struct task_struct *rf_victim(unsigned int n);

/* symbols.c of the attack module: NULL when there is no such symbol. */
void *rf_symbol(const char *name);

#endif
