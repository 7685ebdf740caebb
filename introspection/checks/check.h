/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks: what a rootkit leaves in the memory of a kernel, whichever way it came in. Each looks at
 * one kind of structure; the same ones run on a live guest and on a dump of one.
 *
 * Their answers are of the word "detected": nothing is prevented by them. What the guest's lists
 * say is a claim; a check compares claims with each other and with sealed memory.
 *
 * To add one: its entry in the file of its family, and its name in families.h; docs/hacking.md has
 * the whole way. inside.h is what its function is given.
 */
#ifndef RF_INTROSPECTION_CHECKS_CHECK_H
#define RF_INTROSPECTION_CHECKS_CHECK_H

#include "introspection/kernel.h"

enum rf_severity {
	RF_SEVERITY_LOW = 1,
	RF_SEVERITY_MEDIUM,
	RF_SEVERITY_HIGH,
	RF_SEVERITY_CRITICAL
};
const char *rf_severity_text(enum rf_severity severity); /* "low" ... */

/* One run of one check: inside.h. Places that hold pointers to functions: slots.h. */
struct rf_run;
struct rf_slots;

struct rf_check {
	const char *name;    /* "tasks-hidden": [a-z0-9-] */
	const char *summary; /* what it looks for, one line */
	const char *reading; /* what a finding means, and what else it may be */
	const char *attack;  /* technique of MITRE ATT&CK, "T1014" */
	enum rf_severity severity;
	uint32_t period_ms; /* on a live guest */
	uint64_t reads;	    /* of guest memory, at most; without the lists of owners */
	/* In a guest whose kernel is sealed a guard of that name looks for it, which knows more,
	 * where that one is on; NULL: none. */
	const char *guard;
	/* It is about what is registered with the kernel to be called: a front door. */
	bool front_door;
	const struct rf_slots *slots; /* all that it looks at; NULL: it has run instead */
	/* 0, or -errno as inside.h has it. What it finds it tells with rf_run_found(). */
	int (*run)(struct rf_run *run);
};

/* All of them, by family; NULL behind the last. */
extern const struct rf_check *const rf_checks[];
/* NULL: no such check. */
const struct rf_check *rf_check_named(const char *name);

/* One thing that is not as it should be. Texts are of printable ASCII. */
struct rf_check_finding {
	const struct rf_check *check;
	rf_gva object;	     /* the structure, or the pointer, that is odd */
	rf_gva target;	     /* where it leads; 0: nowhere */
	char what[96];	     /* of the object: "packet handler of ptype_all", "task 812 (sh)" */
	char owner[80];	     /* whose the target is: "module x", "nobody"; "" without a target */
	char symbol[96];     /* the target's, where sealed symbols or claims know it, else "" */
	char reason[160];    /* why it is odd, a sentence */
	uint8_t bytes[16];   /* at the target */
	uint8_t bytes_count; /* 0: they cannot be read, or there is no target */
};

enum rf_check_state {
	RF_CHECK_CLEAN = 1, /* all of it was looked at */
	RF_CHECK_FOUND,
	RF_CHECK_NOT_RUN,   /* this kernel, or this dump, lacks what it needs */
	RF_CHECK_UNDECIDED, /* it could not be looked at to its end, or may be of a moment */
};
const char *rf_check_state_text(enum rf_check_state state); /* "clean" ... */

#define RF_WHY 160u /* bytes of a sentence that says why, its end included */
struct rf_check_result {
	const struct rf_check *check;
	enum rf_check_state state;
	bool cut;	    /* not all of it could be looked at, whatever was found */
	uint64_t looked_at; /* objects */
	uint64_t found;	    /* more than were told, where there were too many of them */
	uint64_t reads;	    /* of guest memory that it took */
	char why[RF_WHY];   /* of the last two states, and where found is cut; else "" */
};

/* Of whom the operator says that they may hook the kernel. */
struct rf_known {
	const char *const *names; /* of modules and BPF programs; may be NULL */
	size_t count;
};

/* Told of one check at most, each time that it runs; the rest is counted. */
#define RF_FINDINGS_MAX 64u

struct rf_checks_options {
	/* The guest runs meanwhile: what looks odd is looked at again before it is told. */
	bool live;
	struct rf_known known;
};

struct rf_checks; /* a kernel and its memory, under check */

/*
 * k and m must outlive the result; p is the kernel's own (rf_kernel_paging()). 0 and *out (destroy
 * with rf_checks_destroy), or -ENOMEM.
 */
int rf_checks_create(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, const struct rf_checks_options *options,
		     struct rf_checks **out);
void rf_checks_destroy(struct rf_checks *c); /* NULL is fine */

/* fn (whose finding is never NULL here) for each finding, RF_FINDINGS_MAX of them at most; its
 * error ends the check and is returned, else 0. *result is filled in either way. */
typedef int (*rf_check_finding_fn)(void *ctx, const struct rf_check_finding *finding);
int rf_checks_run(struct rf_checks *c, const struct rf_check *check, rf_check_finding_fn fn,
		  void *ctx, struct rf_check_result *result);
/*
 * The same, and fn also for what may be there: each pointer to code that the check looks at,
 * however many they are, with a reason that is "". A table that many share comes once, and all of
 * it in the order of looking. Of a live guest a list that changed while it was read is read again:
 * fn(ctx, NULL) says that what has come so far does not count; and it is looked at once, so that
 * what comes may be a moment's.
 */
int rf_checks_list(struct rf_checks *c, const struct rf_check *check, rf_check_finding_fn fn,
		   void *ctx, struct rf_check_result *result);

#endif
