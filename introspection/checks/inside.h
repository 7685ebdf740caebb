/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a check is given: memory by guest-virtual address, members by name, lists, and whose a piece
 * of code is. All reads are of one budget.
 *
 * Errors that all of these may return, and a check returns in turn:
 *
 * - -ENOTSUP: the kernel has not got it, or its types do not say; rf_run_lacks() has said what
 * - -EFAULT: it leads to memory that is not there
 * - -EBADMSG: it contradicts itself
 * - -ELOOP: a list, or a tree, does not end
 * - -E2BIG: the budget is spent
 * - -EAGAIN: it cannot be told at this moment of the guest's; rf_run_undecided() has said why
 *
 * On a live guest the second to the fourth are tried again some times before they count.
 */
#ifndef RF_INTROSPECTION_CHECKS_INSIDE_H
#define RF_INTROSPECTION_CHECKS_INSIDE_H

#include <errno.h>

#include "introspection/budget.h"
#include "introspection/checks/check.h"

/* --- memory --------------------------------------------------------------------- */

int rf_run_read(struct rf_run *run, uint64_t gva, void *buf, size_t len);
int rf_run_u64(struct rf_run *run, uint64_t gva, uint64_t *out);
int rf_run_u32(struct rf_run *run, uint64_t gva, uint32_t *out);
/* A C string of size - 1 bytes at most, made printable. */
int rf_run_text(struct rf_run *run, uint64_t gva, char *out, size_t size);
const struct rf_kernel *rf_run_kernel(const struct rf_run *run);
/* Is an address of the kernel's half. */
static inline bool rf_is_kernel(uint64_t gva)
{
	return gva >> 47 == 0x1ffff || gva >> 56 == 0xff;
}

/* --- symbols and types ------------------------------------------------------------
 * Names may be several, with '|' between them, where kernels renamed one: the first that is there
 * counts. Without any: -ENOTSUP, and the run says so.
 */
int rf_run_symbol(struct rf_run *run, const char *names, uint64_t *out);
/* size: of the member; 0: whatever it has. */
int rf_run_member(struct rf_run *run, const char *type, const char *paths, uint64_t size,
		  uint64_t *offset);
int rf_run_sizeof(struct rf_run *run, const char *types, uint64_t *out);
/* Why it ends with that error; returns it. */
int rf_run_says(struct rf_run *run, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* It lacks that; -ENOTSUP. It cannot be told whether that is as it should be; -EAGAIN. */
#define rf_run_lacks(run, ...) rf_run_says(run, -ENOTSUP, __VA_ARGS__)
#define rf_run_undecided(run, ...) rf_run_says(run, -EAGAIN, __VA_ARGS__)
/* Like rf_run_member(), but a missing member is not reported. */
bool rf_run_has(struct rf_run *run, const char *type, const char *path);

/* --- lists, trees: object by object ------------------------------------------------ */

/* object: guest-virtual. Other than 0 ends the walk and is returned. */
typedef int (*rf_object_fn)(struct rf_run *run, uint64_t object, void *ctx);

/* struct list_head at head; link: where the list_head stands in an object. */
int rf_run_list(struct rf_run *run, uint64_t head, uint64_t link, rf_object_fn fn, void *ctx);
/* struct hlist_head at head. */
int rf_run_hlist(struct rf_run *run, uint64_t head, uint64_t link, rf_object_fn fn, void *ctx);
/* A pointer at head to the first; next: where the pointer to the next one stands. NULL ends it. */
int rf_run_chain(struct rf_run *run, uint64_t head, uint64_t next, rf_object_fn fn, void *ctx);
/* struct rb_root at root; link: where the rb_node stands. */
int rf_run_rbtree(struct rf_run *run, uint64_t root, uint64_t link, rf_object_fn fn, void *ctx);
/* struct xarray at root, or an IDR's: each entry that is a pointer. */
int rf_run_xarray(struct rf_run *run, uint64_t root, rf_object_fn fn, void *ctx);
/* struct maple_tree at `tree`: the same. */
int rf_run_mtree(struct rf_run *run, uint64_t tree, rf_object_fn fn, void *ctx);

/* --- processors -------------------------------------------------------------------- */

/* base: of the CPU's own area; a per-CPU symbol's address is added to it. */
typedef int (*rf_cpu_fn)(struct rf_run *run, uint32_t cpu, uint64_t base, void *ctx);
/* Each CPU that the guest may have, whether or not it is online. */
int rf_run_cpus(struct rf_run *run, rf_cpu_fn fn, void *ctx);
/* Bytes from a per-CPU symbol to the next symbol; 0: unknown. */
uint64_t rf_run_percpu_room(const struct rf_run *run, uint64_t symbol);

/* --- code -------------------------------------------------------------------------- */

enum rf_code {
	RF_CODE_CORE = 1, /* text of the image */
	RF_CODE_MODULE,	  /* of a module that is on the list */
	RF_CODE_BPF,	  /* a program or trampoline of BPF's that is on the list */
	RF_CODE_NOBODY,
};

struct rf_owner {
	enum rf_code code;
	char name[64]; /* of the module or program; "" of the others */
	/* Core text; a module that is in-tree and signed, as it claims; whom the operator knows. */
	bool vouched;
};

/* The lists of modules and of BPF's code are read once a run. Their errors. */
int rf_run_owner(struct rf_run *run, uint64_t gva, struct rf_owner *out);
/* Text of the image, that of its beginning left out: it is freed at the end of the boot. */
bool rf_run_in_text(const struct rf_run *run, uint64_t gva);
/* Everything of the image that is never written: text and rodata. */
bool rf_run_in_rodata(const struct rf_run *run, uint64_t gva);

/* Has the operator named that module or BPF program? */
bool rf_run_is_known(const struct rf_run *run, const char *name);

struct rf_module_claim {
	uint64_t at; /* struct module */
	char name[57];
	bool vouched;
};
/* Each module of the list. */
typedef int (*rf_module_fn)(struct rf_run *run, const struct rf_module_claim *m, void *ctx);
int rf_run_modules(struct rf_run *run, rf_module_fn fn, void *ctx);

/* --- what a check says --------------------------------------------------------------- */

/* One more object was looked at. */
void rf_run_saw(struct rf_run *run);
uint64_t rf_run_looked_at(const struct rf_run *run); /* so many were */
/*
 * Tells: what of the object, in words; target 0: none; reason. Of a target the owner, symbol and
 * bytes are looked up. 0, or the error that is to end the check.
 */
int rf_run_found(struct rf_run *run, uint64_t object, const char *what, uint64_t target,
		 const char *reason);
/* It may be there: said where all is listed (rf_checks_list()). The error that is to end the check.
 */
int rf_run_fine(struct rf_run *run, uint64_t object, const char *what, uint64_t target);
/*
 * A pointer to a function, at `at`: may it be there? NULL may. Else it is told, if it leads out of
 * the text of the image and of modules that are vouched for. what: of the pointer, in words.
 */
int rf_run_code(struct rf_run *run, uint64_t at, uint64_t target, const char *what);
/* The same, where not even a module may be called. */
int rf_run_core_code(struct rf_run *run, uint64_t at, uint64_t target, const char *what);
/* rf_run_code() of each pointer to a function in a struct type that stands there. */
int rf_run_functions(struct rf_run *run, const char *type, uint64_t at, const char *what);
/* The same, and where the table lies: one of the kernel's is part of it, or of a module, and never
 * in memory that was allocated. object: whose it is. */
int rf_run_table(struct rf_run *run, const char *type, uint64_t object, uint64_t table,
		 const char *what);

#endif
