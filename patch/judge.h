/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is this store a step of legal text patching? Decided by address and bytes alone, with the int3
 * protocol of arch/x86/kernel/alternative.c text_poke_bp_batch(): 0xCC on the first byte, the tail
 * (any split, any repetition), then the final first byte. The state is the text itself. What nobody
 * runs into yet is written without it, from the front (RF_SHAPE_FILLED).
 * Pure: no memory of its own, no allocation, no system call.
 *
 * x86's. On arm64 a site is one aligned instruction, written by one store of four bytes
 * (arch/arm64/kernel/patching.c aarch64_insn_patch_text_nosync()): no int3, no tail, nothing is
 * ever under way, and a shape would be RF_SHAPE_DIRECT with four bytes. Its kinds and targets are
 * to be added with hv/arm64/'s stores; until then nothing is protected there.
 */
#ifndef RF_PATCH_JUDGE_H
#define RF_PATCH_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "patch/table.h"

#define RF_INT3 0xcc

enum rf_patch_verdict {
	RF_PATCH_STEP = 1, /* legal on the way: the site is in flight afterwards */
	RF_PATCH_DONE = 2, /* legal, and the site holds one of its forms afterwards */
	RF_PATCH_NOT_A_SITE = 3,
	RF_PATCH_BAD_STEP = 4, /* a site, but not a step of the protocol */
	RF_PATCH_BAD_INSN = 5, /* a site, but the instruction or its target is not legal for it */
};

/* The sealed text. read(): 0 or -errno; `at` counts from the table's base. */
struct rf_patch_text {
	int (*read)(void *ctx, uint32_t at, uint8_t *buf, uint32_t len);
	void *ctx;
};

struct rf_patch_result {
	enum rf_patch_verdict verdict;
	enum rf_site_kind kind; /* 0 when NOT_A_SITE; so are the fields below but why */
	uint32_t at;		/* of the site */
	uint8_t len;		/* of the site */
	uint8_t offset;		/* of the store within it */
	bool resting;		/* the site holds an instruction now: it is not in flight yet */
	uint8_t now[RF_SITE_MAX_LEN], next[RF_SITE_MAX_LEN]; /* before and after the store */
	const char *why; /* constant text for the record: the rule that decided */
};

/* The site that holds `at`, copied; extra ones first. False: none. */
bool rf_patch_find(const struct rf_patch_table *t, uint32_t at, struct rf_patch_site *site,
		   struct rf_shape *shape);

/*
 * last_tail: site whose tail was changed last, UINT32_MAX none. The kernel writes tails one site
 * after the other, so no second one may be begun while that one is half written: else every site
 * could be parked in flight with bytes of an attacker's choice. A store of what is there already is
 * legal. 0 with *out, or read()'s error.
 */
int rf_patch_judge(const struct rf_patch_table *t, const struct rf_patch_text *text,
		   uint32_t last_tail, uint32_t at, const uint8_t *bytes, size_t len,
		   struct rf_patch_result *out);

/*
 * Is it the first step of the protocol, by which text_poke_bp_batch() alone begins? Breakpoints,
 * and call depth accounting, are written without it.
 */
static inline bool rf_patch_begins(const struct rf_patch_result *r)
{
	return r->verdict == RF_PATCH_STEP && r->resting && r->next[0] == RF_INT3 &&
	       r->kind != RF_SITE_KPROBE && r->kind != RF_SITE_KGDB;
}

/* Does insn (shape->len bytes) fill the site as one of its forms says? */
bool rf_patch_at_rest(const struct rf_patch_table *t, const struct rf_patch_site *site,
		      const struct rf_shape *shape, const uint8_t *insn);

#endif
