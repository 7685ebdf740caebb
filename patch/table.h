/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may be written to sealed text, as a table that needs no knowledge of Linux to apply: the
 * monitor compiles it from the guest (introspection/patches/textpatch.h), the fence settles stores
 * by it without a round trip (hv/text.c), and the monitor judges the rest by the same code
 * (judge.c).
 *
 * One memfd of exactly this size, written by the monitor, mapped read-only by the fence, its size
 * sealed. Untouched parts cost no memory. The reader treats all of it as hostile: an entry is
 * copied out before it is looked at, and every count is bounded by the arrays here.
 *
 * `sites` is written once, before `kernel` is set. `extra`, `sets` and `targets` change while the
 * guest runs; `seq` is odd meanwhile. A reader whose seq moved judges again, or asks the monitor.
 */
#ifndef RF_PATCH_TABLE_H
#define RF_PATCH_TABLE_H

#include <stdint.h>

#define RF_TABLE_MAGIC UINT32_C(0x54504652) /* "RFPT" */
#define RF_TABLE_REVISION 4
#define RF_TABLE_SITES (1u << 18) /* a Debian kernel has some 80,000 */
#define RF_TABLE_EXTRA (1u << 13)
#define RF_TABLE_SHAPES 64
#define RF_TABLE_SETS 16
#define RF_TABLE_TARGETS (1u << 18)
/* Call depth accounting has 9, or 10 without RIP; the longest of the int3 protocol 6, a jcc. */
#define RF_SITE_MAX_LEN 10
#define RF_SHAPE_FORMS 6

/* What patches a site; for counting and the log, the verdict does not depend on it. */
enum rf_site_kind {
	RF_SITE_JUMP_LABEL = 1,	  /* __jump_table */
	RF_SITE_STATIC_CALL = 2,  /* .static_call_sites */
	RF_SITE_STATIC_TRAMP = 3, /* __SCT__* */
	RF_SITE_FTRACE = 4,	  /* function entries */
	RF_SITE_FTRACE_CALL = 5,  /* the calls inside ftrace_caller and its kin */
	RF_SITE_KPROBE = 6,	  /* breakpoint, or the jump that replaces it */
	RF_SITE_SMP_LOCK = 7,	  /* .smp_locks: ds prefix -> lock prefix */
	RF_SITE_KGDB = 8,	  /* breakpoints of the kernel's own debugger */
	RF_SITE_CALL_THUNK = 9,	  /* call depth accounting, in the padding before functions */
	RF_SITE_KINDS,
};

/* One way to fill a site. */
enum rf_form_how {
	RF_FORM_BYTES = 1,    /* exactly `bytes` */
	RF_FORM_OWN = 2,      /* exactly the site's own bytes */
	RF_FORM_OWN_INT3 = 3, /* the site's own bytes behind 0xCC, at rest (an armed breakpoint) */
	RF_FORM_REL8 = 4,     /* `bytes`, and in them the distance to the site's own target */
	RF_FORM_REL32 = 5,    /* the same to a target of `set`, 0: the site's own */
};

struct rf_form {
	uint8_t how;
	uint8_t op_len; /* REL8, REL32: bytes before the distance; with a set it ends the site */
	uint16_t set;
	uint8_t bytes[RF_SITE_MAX_LEN + 2];
};

#define RF_SHAPE_DIRECT 1 /* the form is written in one store of one byte, without int3 */
#define RF_SHAPE_FILLED 2 /* its first form is written once, from the front, without int3 */

struct rf_shape {
	uint8_t len; /* bytes of the site, 1..RF_SITE_MAX_LEN */
	uint8_t flags;
	uint8_t count; /* forms */
	uint8_t pad;
	struct rf_form forms[RF_SHAPE_FORMS];
};

#define RF_SITE_FROZEN 1 /* as it was at the seal for good: its key is sealed, or security's */

struct rf_patch_site {
	uint32_t at; /* bytes from the table's base; sites ascend and do not overlap */
	uint16_t shape;
	uint8_t kind; /* enum rf_site_kind */
	uint8_t flags;
	union {
		uint64_t target; /* forms with the site's own target: a guest-virtual address */
		uint8_t own[8];	 /* forms OWN*; with a target of its own the set holds it */
	};
};

/* targets[first .. first + count), ascending */
struct rf_patch_set {
	uint32_t first, count;
};

struct rf_patch_table {
	uint32_t magic;
	uint16_t revision, pad;
	uint32_t seq;
	uint32_t sites_count;
	uint32_t extra_count;
	uint32_t shapes_count;
	uint64_t kernel; /* event that announced the kernel it is for; 0: not to be used */
	uint64_t base;	 /* guest-virtual start of the sealed text */
	uint64_t size;	 /* bytes of it */
	uint64_t taken;	 /* log entries that the monitor has written down */
	uint64_t busy; /* guest-physical: four bytes, not 0 while the kernel patches; 0: unknown */
	struct rf_shape shapes[RF_TABLE_SHAPES];
	struct rf_patch_set sets[RF_TABLE_SETS];
	struct rf_patch_site extra[RF_TABLE_EXTRA]; /* come and go, as breakpoints do */
	struct rf_patch_site sites[RF_TABLE_SITES];
	uint64_t targets[RF_TABLE_TARGETS];
};

_Static_assert(sizeof(struct rf_form) == 16, "form");
_Static_assert(sizeof(struct rf_shape) == 4 + 16 * RF_SHAPE_FORMS, "shape");
_Static_assert(sizeof(struct rf_patch_site) == 16, "site");

#endif
