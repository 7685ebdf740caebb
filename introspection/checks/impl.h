/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the frame share; checks have inside.h. */
#ifndef RF_INTROSPECTION_CHECKS_IMPL_H
#define RF_INTROSPECTION_CHECKS_IMPL_H

#include "introspection/checks/inside.h"

struct rf_range {
	uint64_t start, end; /* guest-virtual; end is exclusive */
};

/* Pages whose place is known, for this run: lists lead to few pages again and again. */
#define RF_PLACES 512u /* a power of two */
struct rf_place {
	uint64_t gva; /* of a page, 0 none */
	uint64_t gpa;
};

/* Pages that were read, for this run: pages.c. */
#define RF_PAGES 128u
struct rf_page {
	uint64_t number; /* of guest-physical memory, and 1; 0 none */
	uint8_t bytes[RF_PAGE_SIZE];
};

/* Whose a range of memory is, as the guest's list says. */
struct rf_claim {
	struct rf_range range;
	uint64_t reach; /* where this one ends, or one before it that goes on for longer */
	enum rf_code code;
	bool vouched;
	uint64_t module; /* struct module, 0 of BPF's */
	char name[64];
};

/* Reads of guest memory for the lists of owners, in a look at a check, however often it begins
 * anew. */
#define RF_CLAIMS_READS (UINT64_C(1) << 18)

struct rf_claims {
	uint64_t left; /* of these */
	bool asked;
	int err; /* of reading the lists */
	struct rf_claim *v;
	size_t count, room;
};

struct rf_front;
struct rf_descriptors;

struct rf_checks {
	const struct rf_kernel *k;
	struct rf_memory memory; /* the guest's */
	struct rf_budget budget;
	struct rf_memory m; /* through the budget, and the pages below */
	struct rf_paging p;
	struct rf_checks_options options;
	struct rf_range text, init, rodata; /* empty: unknown */
	struct rf_place places[RF_PLACES];
	struct rf_page pages[RF_PAGES];
	struct rf_claims claims;
	struct rf_front *front;		    /* NULL: nobody has asked yet */
	struct rf_descriptors *descriptors; /* the same */
	struct rf_check_finding findings[2][RF_FINDINGS_MAX];
};

/* Tables that were found good in this run: many objects have the same. */
#define RF_JUDGED 256u /* a power of two */

struct rf_run {
	struct rf_checks *c;
	const struct rf_check *check;
	uint64_t looked_at, found;
	struct rf_check_finding *findings; /* [RF_FINDINGS_MAX] */
	rf_check_finding_fn each;	   /* NULL; else told at once, of all that is looked at */
	void *each_ctx;
	int stopped; /* what it has returned */
	uint64_t at; /* where reading failed last, or what does not end */
	char lacks[RF_WHY];
	struct {
		uint64_t table;
		const char *type;
	} judged[RF_JUDGED];
};

/* What hooks are looked for with: hooks.c. NULL is fine. */
void rf_front_destroy(struct rf_front *front);

/* What descriptor tables are compared with: descriptors.c. NULL is fine. */
void rf_descriptors_destroy(struct rf_descriptors *d);

/*
 * fn, once, with a budget of its own; on a live guest again where what it reads is torn, so that it
 * begins anew each time. Its error, and in words why: "" without one.
 */
typedef int (*rf_question_fn)(struct rf_run *run, void *ctx);
int rf_checks_ask(struct rf_checks *c, uint64_t reads, rf_question_fn fn, void *ctx,
		  char why[RF_WHY]);

/* The next of names with '|' between them; false: there is none, or it is too long for a name. */
bool rf_next_name(const char **names, char out[64]);

/* rf_memory's read, of pages that may have been read before; ctx: struct rf_checks. */
int rf_pages_read(void *checks, rf_gpa gpa, void *buf, size_t len);
/* The guest has gone on. */
void rf_pages_forget(struct rf_checks *c);

/* Where part i of a module lies, as it claims; i: below part_count of the kernel's layout of them.
 * Where it has none the range is empty. */
int rf_run_module_part(struct rf_run *run, uint64_t module, unsigned int i, struct rf_range *out);

/* The lists of owners are read anew in the next run that asks. */
void rf_claims_forget(struct rf_checks *c);
void rf_claims_deinit(struct rf_checks *c);

#endif
