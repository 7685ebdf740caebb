/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small kernel that patches itself, for tests of introspection/textpatch*: functions, one jump
 * label, one static call, ftrace's lists, a kprobe table, a debugger's breakpoints, lock prefixes.
 * Its lists are laid out as its types say; stores are judged as the monitor judges them.
 */
#ifndef RF_TESTS_FAKE_PATCHED_H
#define RF_TESTS_FAKE_PATCHED_H

#include "introspection/patches/textpatch.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define ETEXT (TEXT + 0x2000)
#define RODATA ETEXT
#define ERODATA (TEXT + 0x3000)
#define DATA (TEXT + 0x3000) /* the kernel's variables */
#define HEAP UINT64_C(0xffff888000000000)
#define MODULE UINT64_C(0xffffffffc0000000)
#define MODULE_SIZE 0x800 /* what lies behind it on its page belongs to no module */

#define JUMP (TEXT + 0x100) /* a jump label */
#define CALL (TEXT + 0x120) /* a static call */
#define TRAMP (TEXT + 0x140)
#define KEY DATA
#define DISPATCHER_KEY (DATA + 0x10)
#define DISPATCHER_TRAMP (TEXT + 0x148)
#define DISPATCHER (DATA + 0x20)
#define FUNC(n) (TEXT + 0x400 + 0x40 * (uint64_t)(n)) /* 16 of them, traceable */
#define ENDBR_FUNC FUNC(12)			      /* traceable behind its endbr64 */
#define CODE (TEXT + 0xc00)			      /* a function: see fake_patched.c */
#define FTRACE_CALLER (TEXT + 0x1000)
#define FTRACE_CALL (TEXT + 0x1008)
#define FTRACE_REGS_CALLER (TEXT + 0x1040)
#define FTRACE_REGS_CALL (TEXT + 0x1048)
#define FTRACE_STUB (TEXT + 0x1080)
#define FTRACE_LIST (TEXT + 0x10c0)
#define TRACER (TEXT + 0x1100) /* a function that traces */
#define AGGREGATOR (TEXT + 0x1140)
#define KRETPROBE (TEXT + 0x11c0)
#define FPROBE (TEXT + 0x1200)
#define LIVEPATCH (TEXT + 0x1240)
#define LOCKED (TEXT + 0x1180) /* two instructions with their lock prefix overwritten */

#define PAGES_VAR (DATA + 0x100)
#define OPS_VAR (DATA + 0x108)
#define DIRECT_VAR (DATA + 0x110)
#define FUNC_VAR (DATA + 0x118)
#define OPS_END (DATA + 0x140)
#define SMP_LIST (DATA + 0x180)
#define LOCKS (DATA + 0x1c0)
#define PROBES (DATA + 0x200) /* 64 buckets */
#define KGDB (DATA + 0x400)   /* 4 breakpoints */
#define BP_DESC (DATA + 0x480)
#define TRACEPOINT(n) (DATA + 0x500 + 0x20 * (uint64_t)(n)) /* two of them */
#define TRACEPOINT_KEY (DATA + 0x540)
#define BPF_LIST (DATA + 0x550)
#define FPROBES (DATA + 0x600) /* 64 buckets, of later kernels: patched_later_fprobes() */

#define TRAMPOLINE (MODULE + 0x900) /* of an ops: allocated, no module's */
#define SLOT (MODULE + 0xa00)	    /* of an optimised probe */
#define IMAGE (MODULE + 0x1000)	    /* the dispatcher's */

struct patched {
	struct fake_guest g;
	struct rf_textpatch *t, *other;
	uint32_t last_tail;
	struct rf_diag diag;
	struct rf_patch_result r; /* of the last store */
	unsigned int refreshed;
	uint32_t frozen; /* kinds, as the table is compiled */
	uint64_t heap;	 /* next free byte */
};

extern struct rf_patch_table patched_table; /* by which is judged */
extern const uint8_t patched_nop5[5];

/* cmocka fixtures. */
int patched_setup(void **state);
int patched_teardown(void **state);
/* Compiles the table, as at a seal; and as another monitor that takes over. */
int patched_create(struct patched *f);
int patched_take_over(struct patched *f);

/*
 * A sweep: by the one that judges, or by another process, which is there since the table is, or
 * begins with each sweep.
 */
enum patched_by { PATCHED_ALONE, PATCHED_BY_ANOTHER, PATCHED_BY_A_NEW_ONE };
extern enum patched_by patched_by;
int patched_sweep(struct patched *f);
/* Another address for a symbol. */
void patched_symbol(struct patched *f, const char *name, uint64_t addr);
/* Another name for it. */
void patched_rename(struct patched *f, const char *from, const char *to);
/* A kernel of 6.14 on: fprobes stand in a table. */
void patched_later_fprobes(struct patched *f);
struct rf_textpatch_stats patched_stats(struct patched *f);

uint64_t patched_alloc(struct patched *f, uint64_t size);
void patched_rel32(uint8_t *insn, uint8_t op, uint64_t site, uint64_t target);
/* Judged, after a refresh if need be, and applied when legal. */
enum rf_patch_verdict patched_store(struct patched *f, uint64_t gva, const void *bytes, size_t len);
enum rf_patch_verdict patched_byte(struct patched *f, uint64_t gva, int byte);
/* text_poke_bp() with the tail as memcpy_orig stores it; the verdict that ended it. */
enum rf_patch_verdict patched_poke(struct patched *f, uint64_t site, const uint8_t *insn,
				   size_t len);
enum rf_patch_verdict patched_call(struct patched *f, uint64_t site, uint8_t op, uint64_t target);
bool patched_holds(struct patched *f, uint64_t gva, const void *bytes, size_t len);

/* The guest's lists. */
uint64_t patched_ops(struct patched *f, uint64_t trampoline); /* in front of the others */
uint64_t patched_direct(struct patched *f, uint64_t ip, uint64_t target);
/* slot: not 0 makes it an aggregate with a prepared detour. */
uint64_t patched_probe(struct patched *f, uint64_t addr, uint8_t opcode, uint64_t slot);
void patched_unprobe(struct patched *f, uint64_t probe);
/* The jump from CODE + 4 to SLOT. */
void patched_detour(struct patched *f, uint8_t *insn);

#endif
