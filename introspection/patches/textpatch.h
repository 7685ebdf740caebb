/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which writes to kernel text are the kernel's own legal patching: authenticated by address and
 * bytes, never by who the writer is. This compiles what is known of the guest into a table
 * (patch/table.h), which the fence and the monitor judge by (patch/judge.h).
 *
 * Two kinds of knowledge go in. Site tables that lie in sealed memory are read once, after the
 * seal, and believed. What the kernel keeps in writable memory (registered probes, trampolines) is
 * asked for when a store needs it, is checked against the sealed text, and is forgotten once the
 * guest has no more of it.
 *
 * To add a kind: a value in patch/table.h, its shape in kinds.c, and a reader that finds
 * its sites or targets, beside the others in impl.h.
 */
#ifndef RF_INTROSPECTION_TEXTPATCH_H
#define RF_INTROSPECTION_TEXTPATCH_H

#include "introspection/arch.h"
#include "patch/judge.h"

struct rf_textpatch; /* what the table was compiled from, and the table */

/*
 * Fills *table: mapped, zero-filled or of an earlier call (then its counts are cleared first), and
 * borrowed until destroy. table->kernel stays 0: the caller publishes it.
 *
 * Tables of the guest are read through the sealed image. They are bounded, must lie in sealed
 * rodata and name sites in text, not overlapping (duplicates of one site are merged when they
 * agree, as inlining makes them). Entries of init text are skipped; sites that hold no legal
 * instruction now ("odd") are left out, so that nothing may be written there. p (may be NULL: then
 * nothing is asked of the live guest): the guest's own mapping of the tables must lead to the
 * image's frames, else the guest's patcher would read other tables than these. k must outlive the
 * result.
 *
 * kept: *table is of this very kernel, by a monitor that is gone. Then sites that were found in
 * writable memory, and the bytes under breakpoints that are armed, are its; the guest's word for
 * them counts at the seal alone. A table that is not whole is no such one.
 *
 * frozen: bit 1 << kind, of kinds that the policy denies. Their sites stay as they are; a
 * breakpoint that stands already may go and come while it is registered, and turns into no jump.
 *
 * 0, -ENOENT (kernel has none of the tables: all text writes will be denied), -EBADMSG,
 * -ENOMEM, -EFAULT; diag filled, the table empty.
 */
int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_patch_table *table, bool kept,
			uint32_t frozen, struct rf_textpatch **out, struct rf_diag *diag);
void rf_textpatch_destroy(struct rf_textpatch *t); /* NULL is fine; the table stays as it is */

/*
 * rf_patch_judge() on the table; text is read through the image, whatever the guest's page tables
 * say. last_tail: patch/judge.h.
 */
int rf_textpatch_judge(const struct rf_textpatch *t, const struct rf_memory *m, uint32_t last_tail,
		       rf_gva gva, const uint8_t *bytes, size_t len, struct rf_patch_result *out);

/*
 * Asks the live guest about an address, after the judge said no to this store: a probe or a
 * trampoline may have come since. Brings the changing part of the table up to date; `seq` is odd
 * meanwhile, and moves only when something changed. The caller then judges again. Bounded; no
 * allocation. 0 whether or not anything changed, or -errno.
 */
int rf_textpatch_refresh(struct rf_textpatch *t, const struct rf_memory *m,
			 const struct rf_paging *p, rf_gva gva, const uint8_t *bytes, size_t len);

/*
 * Drops from the table what the guest no longer has; to be called about once a second. Cheap when
 * the table holds nothing that changes. 0 or -errno.
 */
int rf_textpatch_sweep(struct rf_textpatch *t, const struct rf_memory *m,
		       const struct rf_paging *p);

/*
 * The same in two processes. One keeps the table, and judges by it; another one, whose rf_textpatch
 * was created of a copy of it (kept), walks the guest's lists.
 *
 * copy: what *from says, if it is of that kernel. 0, -ENOENT it is not, -EAGAIN it kept changing.
 * follow: what has changed since in *from changes in t's table. 0 or -EAGAIN.
 * look: follows, sweeps, and tells by gone() what the guest no longer has; an error of gone() ends
 * it. 0, -EAGAIN, -ENOMEM, gone()'s, or that of m->read.
 * forget, where the table is kept: what the other one said, RF_GONE_PROBE or a number of gone().
 * None of it is believed further than that: a site keeps its own bytes until they are back, and
 * what the guest has all the same is found when a store needs it. 0 or the error of m->read.
 */
#define RF_GONE_PROBE 0 /* offsets of breakpoints; else a set, and its targets */
typedef int (*rf_gone_fn)(void *ctx, uint32_t of, uint64_t what);
int rf_textpatch_copy(const struct rf_patch_table *from, uint64_t kernel,
		      struct rf_patch_table *to);
int rf_textpatch_follow(struct rf_textpatch *t, const struct rf_patch_table *from);
int rf_textpatch_look(struct rf_textpatch *t, const struct rf_patch_table *from,
		      const struct rf_memory *m, const struct rf_paging *p, rf_gone_fn gone,
		      void *ctx);
int rf_textpatch_forget(struct rf_textpatch *t, const struct rf_memory *m, uint32_t of,
			const uint64_t *what, size_t n);

/*
 * Sealed text read at gva, made what it is whatever the kernel has patched in it so far: sites of
 * the tables become zeros, lock prefixes are as with more than one CPU, and under a breakpoint, or
 * the jump in its place, stand the bytes of the instruction.
 */
void rf_textpatch_canonical(const struct rf_textpatch *t, rf_gva gva, uint8_t *buf, size_t len);

/* Number of sites by kind. */
size_t rf_textpatch_count(const struct rf_textpatch *t, enum rf_site_kind kind);

/*
 * A site that was found with its tail half written, as `last_tail` for who has lost it; UINT32_MAX
 * none.
 */
uint32_t rf_textpatch_torn(const struct rf_textpatch *t);

/*
 * The kernel's own patcher, __text_poke(func, text, source, length), as far as it can be done for
 * it: at `at`, behind its pushes, its arguments are in rdi, rsi, rdx and rcx; from `back` on it
 * pops what was pushed and returns to its caller.
 */
struct rf_poker {
	rf_gva at; /* the instruction that takes `frame` bytes, at most 1024, off rsp */
	uint8_t bytes[15], len;
	uint32_t frame;
	rf_gva back;
	rf_gva how; /* func of the calls that copy */
};
/* 0, -ENOENT: there is none, or it is built in another way, or the error of m->read. */
int rf_textpatch_poker(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		       struct rf_poker *out);

/* What the tables held beside the sites. */
struct rf_textpatch_stats {
	size_t init;	   /* entries of init text: freed, skipped */
	size_t outside;	   /* not marked init, site or target outside text: left out */
	size_t odd;	   /* site holds no legal instruction: left out */
	size_t merged;	   /* duplicates */
	size_t frozen;	   /* sites as they were at the seal for good: key read-only after init,
				    or of a security module's hook; not those of a denied kind */
	size_t flying;	   /* sites in the middle of being patched */
	size_t full;	   /* sites or targets for which the table has no room: left out */
	size_t nameless;   /* ftrace records at no function's start (overridden weak ones): left out
			    */
	size_t foreign;	   /* sites from writable memory that reach into others: left out */
	bool nothing_kept; /* an earlier monitor's table was not whole: no site in writable memory
			    */
	size_t unread;	   /* lists of the guest that could not be read to their end */
	rf_gva first_odd;
	size_t traced; /* function entries that call, or jump, when the table is made */
};
void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out);

#endif
