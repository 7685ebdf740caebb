/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of textpatch share: the loader that compiles the table, and its parts. */
#ifndef RF_INTROSPECTION_TEXTPATCH_IMPL_H
#define RF_INTROSPECTION_TEXTPATCH_IMPL_H

#include "introspection/patches/textpatch.h"

/* No displacement reaches it from text: the target of a site that has none of its own. */
#define RF_NO_TARGET (UINT64_C(1) << 63)

/* Indices into table->sets; 0 means a site's own target. */
enum {
	RF_SET_FUNCTIONS = 1, /* starts of functions in sealed text, and call thunks before them */
	/* From here on they change while the guest runs, at fixed places at the targets' end. */
	RF_SET_CHANGING,
	RF_SET_CALL_EXTRA = RF_SET_CHANGING, /* targets of static calls outside core text */
	RF_SET_FTRACE_CALLERS,		     /* what a function's entry may call */
	RF_SET_FTRACE_FUNCS,		     /* what the two callers of ftrace may call */
	RF_SET_OPT_SLOTS,		     /* detours of optimised kprobes */
	RF_SET_FTRACE_JUMPS,		     /* where a function's entry may jump */
	RF_SETS,
};

#define RF_SET_ROOM 8192u /* members of a changing set */
#define RF_FUNCTIONS_MAX (RF_TABLE_TARGETS - (RF_SETS - RF_SET_CHANGING) * RF_SET_ROOM)

/* Indices into table->shapes. */
enum {
	RF_SHAPE_JUMP2,
	RF_SHAPE_JUMP5,
	RF_SHAPE_CALL,
	RF_SHAPE_CALL_TAIL,
	RF_SHAPE_TRAMP,
	RF_SHAPE_FTRACE,
	RF_SHAPE_FTRACE_CALL,
	RF_SHAPE_FTRACE_JMP,
	RF_SHAPE_SMP_LOCK,
	RF_SHAPE_PROBE,	     /* a breakpoint */
	RF_SHAPE_PROBE_OPT,  /* a breakpoint, or the jump that replaces it */
	RF_SHAPE_PROBE_GONE, /* the guest has no more of it, but it is still there */
	RF_SHAPE_PROBE_OPT_GONE,
	RF_SHAPE_CALL_WARN,   /* a call, or the instruction that stands for what it calls */
	RF_SHAPE_CALL_UNLOCK, /* the same of another function */
	RF_SHAPE_CALL_THUNK,  /* as the template says */
	RF_SHAPE_CALL_JCC,    /* 16: one a condition */
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

/* A member of CALL_EXTRA, and the key whose function it was. */
struct rf_call_extra {
	uint64_t target, key;
};

struct rf_call_thunk {
	uint64_t target;		     /* what it counts in, where that is relative to RIP */
	uint8_t bytes[RF_SITE_MAX_LEN], len; /* 0: it is not known */
	bool used;			     /* some function had one at the seal */
};

/*
 * Where the guest keeps what changes: addresses of variables and offsets of members. A part of
 * which something is missing is not known, and not asked for.
 */
struct rf_ftrace_layout {
	bool pages_known, ops_known, direct_known, func_known;
	uint64_t pages; /* ftrace_pages_start */
	uint64_t page_next, page_records, page_index, page_size, record_size, record_ip;
	uint64_t ops, ops_end; /* ftrace_ops_list, ftrace_list_end */
	uint64_t ops_next, ops_trampoline;
	uint64_t direct; /* direct_functions */
	uint64_t hash_bits, hash_buckets, entry_node, entry_ip, entry_direct;
	uint64_t func; /* ftrace_trace_function */
};

struct rf_probe_layout {
	bool known, opt_known, kgdb_known;
	uint64_t table;	     /* kprobe_table */
	uint64_t aggregator; /* aggr_pre_handler() */
	uint64_t size;	     /* bytes of struct kprobe, or of optimized_kprobe, that are read */
	uint64_t node, addr, opcode, pre_handler; /* node: struct hlist_node */
	uint64_t copied, slot, slot_size;
	uint64_t kgdb, kgdb_count, kgdb_size, kgdb_addr, kgdb_state; /* kgdb_break[] */
	int64_t kgdb_set, kgdb_active;
};

/* A changing set while it is put together. */
struct rf_targets {
	uint32_t count;
	uint32_t sorted; /* so many, from the beginning: ascending, and each once */
	bool partial;	 /* the guest's list could not be read to its end: nothing is dropped */
	uint64_t v[RF_SET_ROOM];
};

/* Addresses of probes that the guest has, ascending. */
struct rf_probes {
	uint32_t count;
	bool partial;
	uint32_t at[2 * RF_TABLE_EXTRA];
};

/* Pages of the live guest as they were when this unit of work read them first. */
#define RF_PAGES 16u
struct rf_pages {
	uint64_t at[RF_PAGES]; /* RF_NO_PAGE: none */
	uint8_t bytes[RF_PAGES][RF_PAGE_SIZE];
};
#define RF_NO_PAGE 1u /* no page's address */

struct rf_textpatch {
	const struct rf_kernel *k;
	uint64_t text, etext;	  /* [_text, _etext) */
	uint64_t rodata, erodata; /* [__start_rodata, __end_rodata) */
	struct rf_patch_table *table;
	struct rf_disasm *disasm;
	struct rf_call_key *calls; /* by address */
	size_t calls_count;
	struct rf_call_extra extra[RF_SET_ROOM / 2];
	size_t extra_count;
	struct rf_call_thunk thunk;
	struct rf_ftrace_layout ftrace;
	struct rf_probe_layout probe;
	unsigned int changing; /* depth of rf_change_begin() */
	bool loading;	       /* in create: what is armed already is believed */
	bool kept;	       /* but not the guest: an earlier monitor has asked it, at the seal */
	size_t by_kind[RF_SITE_KINDS];
	uint32_t frozen; /* kinds of which nothing is patched any more: rf_textpatch_create() */
	uint32_t torn;
	uint64_t debugged; /* the guest's debugger has a breakpoint there: of the last refresh */
	struct rf_textpatch_stats stats;
	struct rf_targets targets; /* scratch: nothing is allocated per event */
	bool held[RF_SET_ROOM];	   /* scratch of a change */
	struct rf_probes probes;
	struct rf_pages pages; /* scratch too */
};

/* The live guest, through its own page tables: all of it is hostile. */
struct rf_live {
	const struct rf_memory *m;
	const struct rf_paging *p;
	struct rf_pages *pages;
};

/* What an earlier monitor had found in writable memory, of the same kernel. */
struct rf_kept {
	struct rf_patch_site *sites, *extra;
	uint64_t *targets; /* of the changing sets */
	struct rf_patch_set sets[RF_SETS];
	uint64_t base, size;
	uint32_t count, extra_count;
};

/* Addresses of the keys that switch security modules, ascending. */
struct rf_security {
	uint64_t *keys; /* owned */
	size_t count;
};

/* Between create's beginning and end. */
struct rf_loader {
	struct rf_textpatch *t;
	const struct rf_memory *m;
	const struct rf_paging *p;
	struct rf_diag *diag;
	const struct rf_kept *before; /* empty: nobody was here */
	struct rf_security security;  /* while sealed tables are read */
	uint8_t *bytes;		      /* a copy of [text, etext) */
	struct rf_site *sites;
	size_t count, room;
};

static inline bool rf_textpatch_in_text(const struct rf_textpatch *t, uint64_t gva)
{
	return gva >= t->text && gva < t->etext;
}

/* --- security.c ------------------------------------------------- */
/* 0 or -ENOMEM; *out is to be freed either way. */
int rf_security_keys(const struct rf_kernel *k, struct rf_security *out);
bool rf_security_key(const struct rf_security *s, uint64_t key);

/* --- text.c ----------------------------------------------------- */
/* A unit of work begins: what it reads of the live guest it reads once, a page at a time. */
struct rf_live rf_live_begin(struct rf_textpatch *t, const struct rf_memory *m,
			     const struct rf_paging *p);
int rf_live_read(const struct rf_live *g, uint64_t gva, void *buf, size_t len);
/* Work that reads nothing counts as one read of the unit's. 0, or -E2BIG: it is over. */
int rf_live_charge(const struct rf_live *g);
/* Image bytes by the image's own offset: what the seal covers, whatever the guest's tables say. */
int rf_textpatch_read(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t gva,
		      void *buf, size_t len);
/*
 * May code be called there? A function of sealed text, or memory around the image where modules,
 * trampolines and JITed code lie; which of them is the guest's to say.
 */
bool rf_textpatch_is_code(const struct rf_textpatch *t, uint64_t gva);
/* A member of exactly that size: a kernel that changed it is not asked. */
bool rf_textpatch_member(const struct rf_kernel *k, const char *type, const char *path,
			 uint64_t size, uint64_t *offset);

/* --- change.c: what changes, under the table's seq --------------- */
void rf_change_begin(struct rf_textpatch *t);
void rf_change_end(struct rf_textpatch *t);
void rf_targets_clear(struct rf_targets *s);
void rf_targets_add(struct rf_textpatch *t, struct rf_targets *s, uint64_t target);
bool rf_targets_have(const struct rf_textpatch *t, uint16_t set, uint64_t target);
/*
 * The set becomes *s, which is sorted. What is gone from it stays while a site still holds it, and
 * when *s is partial.
 */
int rf_change_set(struct rf_textpatch *t, const struct rf_memory *m, uint16_t set,
		  struct rf_targets *s);
/* Those members less, if they are any. */
void rf_change_drop(struct rf_textpatch *t, uint16_t set, const uint64_t *targets, size_t n);
/* One more member. */
void rf_change_add(struct rf_textpatch *t, uint16_t set, uint64_t target);
/* The extra site at exactly that place, NULL none. */
const struct rf_patch_site *rf_extra_at(const struct rf_textpatch *t, uint32_t at);
/* Adds, or replaces the one at the same place. False: no room. */
bool rf_extra_put(struct rf_textpatch *t, const struct rf_patch_site *s);
void rf_extra_drop(struct rf_textpatch *t, uint32_t at);
static inline uint8_t rf_shape_len(const struct rf_textpatch *t, const struct rf_patch_site *s)
{
	return t->table->shapes[s->shape].len;
}
/* Does a site of the sealed tables reach into [at, at + len)? */
bool rf_site_within(const struct rf_textpatch *t, uint32_t at, uint32_t len);

/* --- kinds.c ---------------------------------------------------- */
void rf_textpatch_shapes(struct rf_patch_table *table);
/* The site as the table holds it. */
struct rf_patch_site rf_textpatch_entry(const struct rf_textpatch *t, const struct rf_site *s);
/*
 * Sets shape and len from the bytes the site holds now; `have` of them (RF_SITE_MAX_LEN at most)
 * are in text. True when they are one of its forms, or the site is in flight.
 */
bool rf_textpatch_measure(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			  size_t have);
/* Behind int3: is the tail that of one of the site's forms? */
bool rf_textpatch_tail_whole(const struct rf_textpatch *t, const struct rf_site *s,
			     const uint8_t *now);

/* --- sites.c: the list of a loader ------------------------------- */
int rf_loader_push(struct rf_loader *l, const struct rf_site *site); /* 0 or -ENOMEM */
/* Sorts; duplicates become one. -EBADMSG: they disagree. */
int rf_loader_merge(struct rf_loader *l);
/* A call's own target is the trampoline of its key, when there is exactly one. 0 or -ENOMEM. */
int rf_loader_own_trampolines(struct rf_loader *l);
/*
 * The sites from `first` on against what they hold now: shape and length, or no site any more. A
 * call to a module is known once its key has been asked for.
 */
void rf_loader_measure(struct rf_loader *l, size_t first);
/*
 * Sites do not reach into one another. In sealed tables that is refused, with -EBADMSG; what came
 * from writable memory yields to them.
 */
int rf_loader_part(struct rf_loader *l);
/* Which key each call follows, for later. 0 or -ENOMEM. */
int rf_loader_keep_keys(struct rf_loader *l);
void rf_loader_write_down(struct rf_loader *l); /* into the table */

/* --- tables.c ---------------------------------------------------- */
/* Sites that sealed tables and symbols name. As rf_textpatch_create(). */
int rf_sealed_sites(struct rf_loader *l);

/* --- functions.c ------------------------------------------------ */
/* The set of functions, before sites are measured: their forms name it. */
void rf_textpatch_functions(struct rf_loader *l);
/* The padding before them that is filled to count calls (thunks.c). 0 or -ENOMEM. */
int rf_thunk_sites(struct rf_loader *l);

/* --- thunks.c: call depth accounting before functions ------------- */
/* Before the functions are looked for. */
void rf_thunk_template(struct rf_loader *l);
/* Is have, found at `at`, the call thunk of the function behind it? */
bool rf_call_thunk_is(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have);
/* The same, or the beginning of it and then nops; or nops. */
bool rf_thunk_begun(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have);

/* --- calls.c: static calls to what lies outside core text -------- */
/* What the key of the call at `at` says now goes into CALL_EXTRA, when it may. */
void rf_calls_learn(struct rf_textpatch *t, const struct rf_live *g, uint64_t key);
void rf_calls_refresh(struct rf_textpatch *t, const struct rf_live *g, uint32_t at);
int rf_calls_sweep(struct rf_textpatch *t, const struct rf_live *g);
/* Whose function each member of CALL_EXTRA is, that another process has learned. */
void rf_calls_follow(struct rf_textpatch *t, const struct rf_live *g);
void rf_calls_forget(struct rf_textpatch *t); /* what CALL_EXTRA has no more */

/* --- ftrace.c ---------------------------------------------------- */
void rf_ftrace_layout_init(struct rf_textpatch *t);
/* Sites that are looked for in writable memory: what does not fit is left out. 0 or -ENOMEM. */
int rf_ftrace_sites(struct rf_loader *l);
void rf_ftrace_refresh(struct rf_textpatch *t, const struct rf_live *g, uint64_t ip);
int rf_ftrace_sweep(struct rf_textpatch *t, const struct rf_live *g);

/* --- smp.c ------------------------------------------------------- */
int rf_smp_lock_sites(struct rf_loader *l); /* as rf_ftrace_sites() */

/* --- probe.c: breakpoints of kprobes and of kgdb ------------------ */
void rf_probe_layout_init(struct rf_textpatch *t);
/* Those that are armed already. */
void rf_probe_load(struct rf_textpatch *t, const struct rf_live *g);
void rf_probe_refresh(struct rf_textpatch *t, const struct rf_live *g, uint64_t gva,
		      const uint8_t *bytes, size_t len);
int rf_probe_sweep(struct rf_textpatch *t, const struct rf_live *g);
/* The guest has no breakpoint there any more: as a sweep that finds none. 0 or m->read's error. */
int rf_probe_forget(struct rf_textpatch *t, const struct rf_memory *m, uint32_t at);
/* Has kgdb a breakpoint at gva, or is it about to have one? It asks for no site to be free. */
bool rf_probe_debugged(const struct rf_textpatch *t, const struct rf_live *g, uint64_t gva);

/* --- kept.c: the table of an earlier monitor ----------------------- */
/* Copies out of it, before it is cleared. 0 or -ENOMEM; *out stays empty when it is not whole. */
int rf_kept_take(struct rf_kept *out, const struct rf_patch_table *table);
void rf_kept_drop(struct rf_kept *k);
/* Is it of the same text? t's bounds are known. */
bool rf_kept_fits(const struct rf_textpatch *t, const struct rf_kept *k);
/* In place of what the guest's lists say: ftrace's records, lock prefixes. 0 or -ENOMEM. */
int rf_kept_sites(struct rf_loader *l);
/* The targets of its changing sets, which a sweep drops as soon as the guest has them no more. */
void rf_kept_targets(struct rf_textpatch *t, const struct rf_kept *k, uint16_t set,
		     struct rf_targets *s);
/* Breakpoints with the bytes that belong under them. */
void rf_kept_probes(struct rf_loader *l);

/* --- load.c ------------------------------------------------------ */
/* Fills the table; t->k and t->table are set. As rf_textpatch_create(). */
int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      const struct rf_kept *before, struct rf_diag *diag);

#endif
