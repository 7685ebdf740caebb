/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom the kernel's own hooks call: ftrace, kprobes, tracepoints and static calls, whose handlers
 * may lie anywhere. That a patch is the kernel's own says nothing about who asked for it: a rootkit
 * may register a handler as a tracer does. What calls out of sealed text is named here.
 *
 * Lists and handlers lie in writable memory and are the guest's claims: who reaches its code
 * through a function of the kernel's, or makes up a trampoline that looks like ftrace's, is not
 * found by this. Who takes a tracer off the list is: its trampoline is still called.
 */
#ifndef RF_INTROSPECTION_HOOKS_H
#define RF_INTROSPECTION_HOOKS_H

#include "introspection/patches/textpatch.h"

enum rf_hook_kind {
	RF_HOOK_FTRACE = 1,  /* struct ftrace_ops; the handler may be its trampoline: a module's */
	RF_HOOK_FPROBE,	     /* the same, of a struct fprobe; where those have a table (6.14 on)
				the struct fprobe_hlist of it */
	RF_HOOK_LIVEPATCH,   /* the same, of a struct klp_ops; the handler is the new function */
	RF_HOOK_DIRECT,	     /* struct ftrace_func_entry of direct_functions */
	RF_HOOK_KPROBE,	     /* struct kprobe */
	RF_HOOK_KRETPROBE,   /* the same, of a struct kretprobe */
	RF_HOOK_TRACEPOINT,  /* struct tracepoint */
	RF_HOOK_STATIC_CALL, /* struct static_call_key; a tracepoint's: of what that has not */
	RF_HOOK_UNLISTED,    /* what text calls, and no list or key has: the handler itself */
	RF_HOOK_STRAY	     /* a breakpoint, or the jump of one, whose probe is in no table: the
				place, which is the handler as well where nobody says which it is */
};
#define RF_HOOK_KINDS (RF_HOOK_STRAY + 1)
const char *rf_hook_text(enum rf_hook_kind kind); /* "ftrace" ..., NULL for no such kind */

/* A handler outside of sealed text. */
struct rf_hook {
	uint64_t kind;	   /* enum rf_hook_kind */
	uint64_t object;   /* guest-virtual: what kind says */
	uint64_t handler;  /* guest-virtual */
	uint64_t function; /* what is hooked: a function, a place in one, a tracepoint, a key; 0:
			      every function that can be traced */
	uint64_t more;	   /* functions that the same object hooks as well */
	bool unread;   /* its filter could not be read; of what is unlisted: the lists, in time */
	bool settling; /* for a moment a change of the kernel's own looks the same */
};

/*
 * The one way that a stock kernel itself leads out of its image, wherever KVM is loaded: perf's
 * static calls ask it whether a guest was interrupted (kernel/events/core.c
 * perf_register_guest_info_callbacks(), virt/kvm/kvm_main.c). function: the symbol of
 * hook->function, of sealed names; module: whose code is called, a claim of the guest's.
 */
bool rf_hook_is_usual(const struct rf_hook *hook, const char *function, const char *module);

struct rf_hooks;

/* Does this kernel show, by its symbols and types, how it keeps that kind? What it does not have at
 * all it does not show either. */
bool rf_hooks_shows(const struct rf_hooks *h, enum rf_hook_kind kind);

/*
 * What is sealed of it is read once. t must outlive the result. 0, -ENOMEM, or m->read's error. A
 * kernel that lacks a kind, or whose types do not say how it keeps it, is not asked for that one.
 */
int rf_hooks_create(struct rf_textpatch *t, const struct rf_memory *m, struct rf_hooks **out);
void rf_hooks_destroy(struct rf_hooks *h); /* NULL is fine */

/*
 * fn for each hook there is, RF_HOOKS_EACH of one object at most; its error ends the walk. 0, fn's
 * error, or m->read's, or -EBADMSG, of the first list that could not be read to its end: the others
 * were.
 */
#define RF_HOOKS_EACH 16
typedef int (*rf_hook_fn)(void *ctx, const struct rf_hook *hook);
int rf_hooks_walk(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  rf_hook_fn fn, void *ctx);
/* The hooks of one object, that another process has named. As rf_hooks_walk(); -ENOENT: it can be
 * none. */
int rf_hooks_look(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  uint64_t kind, uint64_t object, rf_hook_fn fn, void *ctx);

/* What BPF calls the piece of its code that holds gva, in the guest's list. 0, -ENOENT, or as
 * rf_hooks_walk(). */
#define RF_BPF_NAME 64
int rf_hooks_bpf(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		 rf_gva gva, char name[RF_BPF_NAME]);

#endif
