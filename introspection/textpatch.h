/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which writes to kernel text are the kernel's own legal patching: authenticated by address and
 * bytes, never by who the writer is. Site tables are read from sealed memory after the seal; per
 * site a small state machine follows the int3 protocol of arch/x86/kernel/alternative.c
 * text_poke_bp_batch(): 0xCC on the first byte, the tail (any split, any repetition), then the
 * final first byte.
 *
 * To add a kind: a value here, an ops entry in textpatch_kinds.c (what is a legal instruction
 * there, which tail bytes can lead to one) and a reader of its table in textpatch_sites.c.
 */
#ifndef RF_INTROSPECTION_TEXTPATCH_H
#define RF_INTROSPECTION_TEXTPATCH_H

#include "introspection/kernel.h"

enum rf_site_kind {
	RF_SITE_JUMP_LABEL = 1,	  /* __jump_table: nop <-> jmp to the entry's own target */
	RF_SITE_STATIC_CALL = 2,  /* .static_call_sites: call/jmp/ret0/nop forms */
	RF_SITE_STATIC_TRAMP = 3, /* __SCT__*: jmp/ret/ret0 forms */
};

enum rf_patch_verdict {
	RF_PATCH_STEP = 1, /* legal intermediate step, the site is now in flight */
	RF_PATCH_DONE = 2, /* legal final byte: the site holds a legal instruction */
	RF_PATCH_NOT_A_SITE = 3,
	RF_PATCH_BAD_STEP = 4, /* a site, but not a step of the protocol */
	RF_PATCH_BAD_INSN = 5, /* a site, but the instruction or its target is not legal for it */
};

struct rf_textpatch; /* the site table and the sites in flight */

/*
 * Reads the tables through the sealed image. Tables are bounded, must lie in sealed rodata and name
 * sites in text, sorted by address, not overlapping (duplicates of one site are merged when they
 * agree, as inlining makes them). Entries of init text are skipped; sites that hold no legal
 * instruction now ("odd") are left out, so that nothing may be written there. p (may be NULL): the
 * guest's own mapping of the tables must lead to the image's frames, else the guest's patcher would
 * read other tables than these. k must outlive the result. 0, -ENOENT (kernel has none of the
 * tables: all text writes will be denied), -EBADMSG, -ENOMEM, -EFAULT; diag filled.
 */
int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_textpatch **out, struct rf_diag *diag);
void rf_textpatch_destroy(struct rf_textpatch *t); /* NULL is fine */

struct rf_patch_result {
	enum rf_patch_verdict verdict;
	enum rf_site_kind kind; /* meaningful unless NOT_A_SITE, as are the fields below */
	rf_gva site;
	uint8_t site_len;
	uint8_t offset;	   /* of the store within the site */
	uint8_t insn[8];   /* DONE: the instruction the site now holds */
	uint8_t before[8]; /* what it held before the first byte became 0xCC; 0xCC first: not known
			    */
	const char *why;   /* constant text for the record: the rule that decided */
};

/*
 * Judges a store of len bytes at gva in text. `current` is what the sealed text holds now at the
 * site, read through m (so that a restarted monitor follows sites left in flight by its
 * predecessor: a site whose first byte is 0xCC is in flight). A store of what is there already is
 * legal (DONE, STEP while in flight): a restarted monitor is asked again about a write that its
 * predecessor had applied. State advances only when the caller then calls rf_textpatch_applied().
 * No allocation. 0 with *out, or a read error.
 */
int rf_textpatch_judge(struct rf_textpatch *t, const struct rf_memory *m, rf_gva gva,
		       const uint8_t *bytes, size_t len, struct rf_patch_result *out);
void rf_textpatch_applied(struct rf_textpatch *t, const struct rf_patch_result *r);

/* Number of sites by kind, and of sites in flight. */
size_t rf_textpatch_count(const struct rf_textpatch *t, enum rf_site_kind kind);
size_t rf_textpatch_in_flight(const struct rf_textpatch *t);

/* What the tables held beside the sites. */
struct rf_textpatch_stats {
	size_t init;	/* entries of init text: freed, skipped */
	size_t outside; /* not marked init, site or target outside text: left out */
	size_t odd;	/* site holds no legal instruction: left out */
	size_t merged;	/* duplicates */
	size_t frozen;	/* sites whose key is read-only after init: known, never patched again */
	rf_gva first_odd;
};
void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out);

#endif
