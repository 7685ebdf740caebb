/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The site table, shared by textpatch.c (verdicts), textpatch_kinds.c and textpatch_sites.c. */
#ifndef RF_INTROSPECTION_TEXTPATCH_IMPL_H
#define RF_INTROSPECTION_TEXTPATCH_IMPL_H

#include "introspection/textpatch.h"

#define RF_SITE_MAX_LEN 6 /* a tail jcc; POKE_MAX_OPCODE_SIZE is 5 plus its 0f */
#define RF_INT3 0xcc
#define RF_THUNK_MAX 16 /* call-depth accounting before a function: 9 or 10 bytes */

#define RF_SITE_TAIL 1	 /* static call in tail position: jmp/ret/jcc, not call */
#define RF_SITE_FROZEN 2 /* its key lies in sealed memory: the kernel cannot flip it any more */
#define RF_SITE_IN_FLIGHT 4
#define RF_SITE_INIT 8 /* while the tables are read: init text */

struct rf_site {
	uint64_t addr;
	uint64_t key;	 /* address of the static key or static_call_key; 0: not known */
	uint64_t target; /* jump label: where its jmp goes */
	uint8_t kind, len, flags;
	uint8_t cc;			 /* tail jcc: its second byte, which never changes */
	uint8_t before[RF_SITE_MAX_LEN]; /* in flight: what it held; first byte 0xCC: not known */
};

struct rf_textpatch {
	const struct rf_kernel *k;
	uint64_t text, etext;	  /* [_text, _etext) */
	uint64_t rodata, erodata; /* [__start_rodata, __end_rodata) */
	struct rf_site *sites;	  /* by address */
	size_t count, room;
	size_t by_kind[RF_SITE_STATIC_TRAMP + 1];
	size_t in_flight;
	uint64_t thunk_at;			/* skl_call_thunk_template, and what stands there */
	uint8_t thunk[RF_THUNK_MAX], thunk_len; /* 0: the kernel has none */
	uint64_t last_tail;			/* site whose tail was written last; 0: none */
	struct rf_textpatch_stats stats;
};

/* What a kind of site may hold. */
struct rf_site_ops {
	/* NULL when insn (site->len bytes) is legal there, else the rule that it breaks. */
	const char *(*illegal)(const struct rf_textpatch *t, const struct rf_memory *m,
			       const struct rf_site *site, const uint8_t *insn);
	/* Can `byte` at offset (1..len-1) be part of a legal instruction of the site? */
	bool (*tail_byte)(const struct rf_textpatch *t, const struct rf_site *site, uint32_t offset,
			  uint8_t byte);
	/* First bytes of legal instructions (0: end), to ask whether a tail is complete. */
	uint8_t first[5];
	/*
	 * Sets len (and cc) from the bytes the site holds now; `have` of them are in text. True
	 * when they are a legal instruction or the site is in flight.
	 */
	bool (*measure)(const struct rf_textpatch *t, const struct rf_memory *m,
			struct rf_site *site, const uint8_t *now, size_t have);
};
const struct rf_site_ops *rf_site_ops(enum rf_site_kind kind);

static inline bool rf_textpatch_in_text(const struct rf_textpatch *t, uint64_t gva)
{
	return gva >= t->text && gva < t->etext;
}

/* The site that holds gva, or NULL. */
struct rf_site *rf_textpatch_find(const struct rf_textpatch *t, uint64_t gva);
/* Image bytes by the image's own offset: what the seal covers, whatever the guest's tables say. */
int rf_textpatch_read(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t gva,
		      void *buf, size_t len);
/* True when the tail in insn completes to a legal instruction with some first byte. */
bool rf_textpatch_tail_complete(const struct rf_textpatch *t, const struct rf_memory *m,
				const struct rf_site *site, const uint8_t *insn);

/* Fills t->sites (sorted, checked, measured); t->k and bounds are set. As rf_textpatch_create(). */
int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      struct rf_diag *diag);

#endif
