/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of textpatch share: the loader that compiles the table, and its parts. */
#ifndef RF_INTROSPECTION_TEXTPATCH_IMPL_H
#define RF_INTROSPECTION_TEXTPATCH_IMPL_H

#include "introspection/textpatch.h"

/* No displacement reaches it from text: the target of a site that has none of its own. */
#define RF_NO_TARGET (UINT64_C(1) << 63)

/* Indices into table->sets; 0 means a site's own target. */
enum {
	RF_SET_FUNCTIONS = 1, /* starts of functions in sealed text, and call thunks before them */
	/* From here on they change while the guest runs, at fixed places at the targets' end. */
	RF_SET_CHANGING,
	RF_SET_CALL_EXTRA = RF_SET_CHANGING, /* targets of static calls outside core text */
	RF_SETS,
};

#define RF_SET_ROOM 4096u /* members of a changing set */
#define RF_FUNCTIONS_MAX (RF_TABLE_TARGETS - (RF_SETS - RF_SET_CHANGING) * RF_SET_ROOM)

/* Indices into table->shapes. */
enum {
	RF_SHAPE_JUMP2,
	RF_SHAPE_JUMP5,
	RF_SHAPE_CALL,
	RF_SHAPE_CALL_TAIL,
	RF_SHAPE_TRAMP,
	RF_SHAPE_CALL_JCC, /* 16: one a condition */
	RF_SHAPE_COUNT = RF_SHAPE_CALL_JCC + 16,
};

/* Flags of a site while it is compiled, beside RF_SITE_FROZEN. */
#define RF_SITE_TAIL 0x40 /* static call in tail position: jmp/ret/jcc, not call */
#define RF_SITE_INIT 0x80 /* init text */

/* A site while it is compiled. */
struct rf_site {
	uint64_t addr;
	uint64_t key;	 /* address of the static key or static_call_key; 0: not known */
	uint64_t target; /* its own, or RF_NO_TARGET */
	uint16_t shape;
	uint8_t kind, len, flags;
};

/* Which key a static call follows: asked for when it is to call something outside text. */
struct rf_call_key {
	uint32_t at;
	uint64_t key;
};

struct rf_textpatch {
	const struct rf_kernel *k;
	uint64_t text, etext;	  /* [_text, _etext) */
	uint64_t rodata, erodata; /* [__start_rodata, __end_rodata) */
	struct rf_patch_table *table;
	struct rf_call_key *calls; /* by address */
	size_t calls_count;
	size_t by_kind[RF_SITE_KINDS];
	uint32_t torn;
	struct rf_textpatch_stats stats;
};

/* Between create's beginning and end. */
struct rf_loader {
	struct rf_textpatch *t;
	const struct rf_memory *m;
	const struct rf_paging *p;
	struct rf_diag *diag;
	uint8_t *bytes; /* a copy of [text, etext) */
	struct rf_site *sites;
	size_t count, room;
};

static inline bool rf_textpatch_in_text(const struct rf_textpatch *t, uint64_t gva)
{
	return gva >= t->text && gva < t->etext;
}

/* Image bytes by the image's own offset: what the seal covers, whatever the guest's tables say. */
int rf_textpatch_read(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t gva,
		      void *buf, size_t len);

/* --- textpatch_kinds.c ---------------------------------------------------- */
void rf_textpatch_shapes(struct rf_patch_table *table);
/* The site as the table holds it. */
struct rf_patch_site rf_textpatch_entry(const struct rf_textpatch *t, const struct rf_site *s);
/*
 * Sets shape and len from the bytes the site holds now; `have` of them (8 at most) are in text.
 * True when they are one of its forms, or the site is in flight.
 */
bool rf_textpatch_measure(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			  size_t have);
/* Behind int3: is the tail that of one of the site's forms? */
bool rf_textpatch_tail_whole(const struct rf_textpatch *t, const struct rf_site *s,
			     const uint8_t *now);

/* --- textpatch_sites.c ---------------------------------------------------- */
/* Fills the table; t->k and t->table are set. As rf_textpatch_create(). */
int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      struct rf_diag *diag);

/* --- textpatch_functions.c ------------------------------------------------ */
/* The set of functions, before sites are measured: their forms name it. */
void rf_textpatch_functions(struct rf_loader *l);

#endif
