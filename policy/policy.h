/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the owner of a VM wants (a small YAML file), and the judgement on one guest action.
 *
 * The judgement is pure: facts in, decision out, no state, no I/O. It knows no backend and no
 * parser; whoever calls it has translated what it saw into the enums here. A fact that is unknown
 * has the value 0 and is never a ground to allow.
 *
 * To add a rule: a fact here and one row in the table of policy/decide.c, the same in the table of
 * tests/unit/test_policy.c, a sentence in policy/rules.c, the kind of its records in
 * policy/replay.c, its row in docs/ringfence.1.scd, and one in docs/threat-model.md
 * (docs/hacking.md has the rest of the way).
 */
#ifndef RF_POLICY_POLICY_H
#define RF_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/audit.h"

enum rf_policy_mode {
	RF_MODE_ENFORCE = 1, /* what is not legal is denied */
	RF_MODE_OBSERVE, /* it is applied and recorded as detected, where that is possible at all */
};

enum rf_on_denied {
	RF_ON_DENIED_FAULT = 1, /* the guest gets the fault a read-only page would have given it */
	RF_ON_DENIED_KILL,	/* recorded, then the VM is ended; not for what a device wrote */
};

/* A change of sealed text that the kernel's own patching function is called for. */
enum rf_on_denied_patch {
	RF_ON_DENIED_PATCH_DROP = 1, /* it is not made, and the function returns */
	RF_ON_DENIED_PATCH_FAULT,    /* the function gets a fault before it has begun */
};

/* Who patches the kernel's text, as the policy's `patches` calls it. */
enum rf_patch_word {
	RF_PATCH_WORD_FTRACE, /* and what comes by it: live patches, BPF trampolines */
	RF_PATCH_WORD_LIVEPATCH,
	RF_PATCH_WORD_KPROBES,
	RF_PATCH_WORD_KGDB,
	RF_PATCH_WORD_STATIC_CALLS,
	RF_PATCH_WORD_JUMP_LABELS,
	RF_PATCH_WORD_TRACEPOINTS, /* what they call; patched in by static calls and jump labels */
	RF_PATCH_WORD_BPF,	   /* what is called is BPF's, by the guest's word */
	RF_PATCH_WORDS
};

/* What becomes of them. */
enum rf_patch_rule {
	RF_PATCH_RULE_ALLOW = 1,
	RF_PATCH_RULE_OWNERS, /* a handler outside the sealed image is told, but of `owners` */
	RF_PATCH_RULE_DENY,   /* no site of that kind changes; and told as with owners */
};

#define RF_POLICY_NAMES 64     /* of one list */
#define RF_POLICY_NAME_MAX 56u /* bytes of one: of a module MODULE_NAME_LEN less its NUL */

struct rf_names {
	uint32_t count;
	char name[RF_POLICY_NAMES][RF_POLICY_NAME_MAX + 1];
};

enum rf_on_kexec {
	RF_ON_KEXEC_DENY = 1, /* no other kernel than the one that was sealed */
	RF_ON_KEXEC_REARM, /* all seals and pins go, and the next kernel is sealed as at a boot */
};

/* What arrives (migrated, restored) is not what was measured before it moved. */
enum rf_on_mismatch {
	RF_ON_MISMATCH_REFUSE = 1, /* it does not run */
	RF_ON_MISMATCH_ALERT,	   /* it is recorded */
};

/* A kernel that boots and is not recognised, so that nothing of it can be sealed. */
enum rf_on_unknown_kernel {
	RF_ON_UNKNOWN_REFUSE = 1, /* the VM is ended */
	RF_ON_UNKNOWN_UNSEALED,	  /* it runs unprotected, and that is recorded as detected */
};

/* The log takes no line: its file system is full, or it is as long as it may be. */
enum rf_on_log_full {
	RF_ON_LOG_FULL_PAUSE = 1, /* nothing is answered before there is room */
	RF_ON_LOG_FULL_DENY, /* what is denied is counted; what breaks the rules is not let through
			      */
	RF_ON_LOG_FULL_CONTINUE, /* what is let through is counted as well */
};

/* Checks of the running guest's memory, beside what is sealed. */
enum rf_checks_rule {
	RF_CHECKS_OFF,
	RF_CHECKS_ALERT, /* what they find is recorded */
};

struct rf_policy {
	enum rf_policy_mode mode;
	enum rf_on_denied on_denied;
	enum rf_on_denied_patch on_denied_patch;
	enum rf_patch_rule patches[RF_PATCH_WORDS];
	struct rf_names owners; /* with '_' for '-', as the kernel */
	enum rf_on_kexec on_kexec;
	enum rf_on_mismatch on_mismatch;
	enum rf_on_unknown_kernel on_unknown_kernel;
	enum rf_on_log_full on_log_full;
	enum rf_checks_rule checks;
	struct rf_names checks_off; /* of these none is run */
	/* What these find is no alert, pauses the VM, ends it: the strictest that names it counts.
	 */
	struct rf_names checks_observe, checks_pause, checks_kill;
	uint32_t log_quota_mb; /* MiB that either log may have, 0: any */
	bool seal_text, seal_rodata;
	bool pin_msrs; /* what leads into the kernel keeps the value it had at the seal */
	bool pin_debugctl, pin_spec_ctrl; /* these two as well */
	bool pin_control;		  /* control registers, where the host has a watch */
	bool pin_pge;			  /* CR4.PGE as well */
	bool need_watch;		  /* no watch, no VM */
	bool pin_tables;	    /* descriptor tables: the kernel's own alone, the IDT sealed */
	uint32_t register_check_ms; /* table registers are compared this often, 0: not */
	uint32_t unsealed_alert_ms; /* a kernel that runs unsealed for so long is told of, 0: not */
	uint32_t dma_sweep_ms;	    /* decoys are compared this often, milliseconds */
	uint32_t patch_timeout_ms;  /* a patch that takes longer was left half way, milliseconds */
};

/* --- the file ------------------------------------------------------------- */

#define RF_POLICY_FILE_MAX (64u << 10) /* bytes */
#define RF_POLICY_SWEEP_MIN 10u	       /* milliseconds */
#define RF_POLICY_SWEEP_MAX 3600000u
/* The kernel holds text_mutex and waits for each CPU: a busy host may take that to seconds. */
#define RF_POLICY_CHECK_MAX 60000u
#define RF_POLICY_QUOTA_MAX (1u << 20) /* MiB */
#define RF_POLICY_PATCH_MIN 1000u      /* milliseconds */
#define RF_POLICY_PATCH_MAX 3600000u

/* What is wrong with a file and where. line and column count from 1; what is wrong with all of it,
 * or missing, is in line 1. */
struct rf_policy_diag {
	unsigned int line, column;
	char text[512];
};

bool rf_names_has(const struct rf_names *list, const char *name);

/* Without a file: enforce, fault, seal everything, sweep every five seconds. */
void rf_policy_default(struct rf_policy *out);

/*
 * Reads a policy out of YAML text (UTF-8, not NUL-terminated). Keys left out keep their default;
 * "version: 1" must stand in it; a key or value it does not know is an error, because a misspelt
 * protection would be an absent one. 0, -EBADMSG with diag filled, -EFBIG (over
 * RF_POLICY_FILE_MAX), -ENOMEM. *out is untouched on failure.
 */
int rf_policy_parse(const char *text, size_t len, struct rf_policy_diag *diag,
		    struct rf_policy *out);
/* In which line each key of policy/keys.h stands, by its row; 0: the file does not say. */
void rf_policy_lines(const char *text, size_t len, unsigned int *lines);

const char *rf_policy_mode_text(enum rf_policy_mode m); /* as in the file; NULL for no such mode */
const char *rf_on_denied_text(enum rf_on_denied d);
const char *rf_patch_word_text(enum rf_patch_word w);
/* 1 << enum rf_patch_word, of those that are denied. */
uint32_t rf_policy_denied(const struct rf_policy *p);
const char *rf_on_denied_patch_text(enum rf_on_denied_patch d);
const char *rf_on_kexec_text(enum rf_on_kexec k);
const char *rf_on_unknown_kernel_text(enum rf_on_unknown_kernel u);
const char *rf_on_log_full_text(enum rf_on_log_full f);
const char *rf_on_mismatch_text(enum rf_on_mismatch m);

/* Bytes that a log may have for decisions; all: with the part that is kept for what is none. 0:
 * any.
 */
uint64_t rf_policy_log_bytes(const struct rf_policy *p, bool all);

/* --- the judgement -------------------------------------------------------- */

enum rf_fact_kind {
	RF_FACT_WRITE = 1,    /* a store KVM has decoded */
	RF_FACT_EMULATION,    /* an instruction KVM could not emulate */
	RF_FACT_MSR,	      /* a filtered MSR is being written */
	RF_FACT_DMA,	      /* a device wrote to a sealed range; its bytes landed in the decoy */
	RF_FACT_ABANDONED,    /* a text patch was begun and not finished in time */
	RF_FACT_CONTROL,      /* a pinned bit of a control register was cleared, and is set again
				 before the next instruction */
	RF_FACT_CONTROL_LATE, /* the same, some time later */
	RF_FACT_LOAD,	      /* a register is being loaded by an instruction of the kernel's */
	RF_FACT_TABLE,	      /* registers of a vCPU, compared; it waits */
	RF_FACT_ENTRY,	      /* what stands in a descriptor table */
	RF_FACT_KEXEC,	      /* the kernel is about to start another one */
	RF_FACT_MEASURE,      /* sealed memory, compared with what was expected of it */
	RF_FACT_ENDLESS,      /* what the guest keeps could not be read to its end */
	RF_FACT_UNKNOWN,      /* a kernel that boots is not recognised, and may run */
	RF_FACT_HOOK,	      /* a hook of the kernel's calls out of the sealed image */
	RF_FACT_CHECK,	      /* a check of the guest's memory has found something */
};

enum rf_fact_region {
	RF_FACT_REGION_UNKNOWN,
	RF_FACT_REGION_TEXT,
	RF_FACT_REGION_RODATA,
	RF_FACT_REGION_OUTSIDE, /* proven to touch nothing sealed */
	RF_FACT_REGION_IDT,
};

/* What authentication of a text patch said. */
enum rf_fact_patch {
	RF_FACT_PATCH_UNDECIDED,
	RF_FACT_PATCH_STEP,	    /* legal intermediate step of the kernel's protocol */
	RF_FACT_PATCH_DONE,	    /* legal last step */
	RF_FACT_PATCH_NOT_A_SITE,   /* the kernel never patches there */
	RF_FACT_PATCH_ILLEGAL_STEP, /* a site, but out of the protocol's order */
	RF_FACT_PATCH_ILLEGAL_INSN, /* a site, but not an instruction or target that is legal there
				     */
};

enum rf_fact_msr {
	RF_FACT_MSR_UNKNOWN,
	RF_FACT_MSR_BEFORE_SEAL, /* the kernel sets it up */
	RF_FACT_MSR_SAME_VALUE,	 /* a vCPU coming up writes what is pinned */
	RF_FACT_MSR_CHANGED,	 /* another value than the pinned one */
	RF_FACT_MSR_PER_CPU,	 /* each CPU has its own, and this one is where it belongs */
	RF_FACT_MSR_INTO_SEAL,	 /* an address that the host writes to, in sealed memory */
	RF_FACT_MSR_ELSEWHERE,	 /* such an address, not in sealed memory */
};

enum rf_fact_table {
	RF_FACT_TABLE_UNKNOWN,
	RF_FACT_TABLE_KERNELS, /* as the kernel itself sets it up */
	RF_FACT_TABLE_FOREIGN, /* a table the kernel never loads */
	RF_FACT_TABLE_FORGED,  /* a table of the kernel's with an entry that it never makes */
	RF_FACT_TABLE_CHANGED, /* an MSR that is pinned has another value */
	RF_FACT_TABLE_CLEARED, /* a control register loses a bit that is pinned */
};

enum rf_fact_measure {
	RF_FACT_MEASURE_UNKNOWN,
	RF_FACT_MEASURE_EXPECTED,
	RF_FACT_MEASURE_DIFFERENT, /* of what arrived, and waits for its answer */
	RF_FACT_MEASURE_BOOTED,	   /* different, of a kernel that booted here */
};

enum rf_fact_hook {
	RF_FACT_HOOK_FOREIGN, /* also: nobody knows whose it is */
	RF_FACT_HOOK_OWNED,   /* the policy lets its owner, or all of its kind */
};

struct rf_facts {
	enum rf_fact_kind kind;
	enum rf_fact_region region;   /* write, emulation, dma */
	enum rf_fact_patch patch;     /* write to text */
	enum rf_fact_msr msr;	      /* msr */
	enum rf_fact_table table;     /* load, table, entry */
	enum rf_fact_measure measure; /* measure */
	enum rf_fact_hook hook;	      /* hook */
	const char *check;	      /* check: its name; NULL: not known */
};

enum rf_action {
	RF_ACTION_APPLY = 1, /* let it happen */
	RF_ACTION_SUPPRESS,  /* it never happens; the guest gets a fault where one can be given */
	RF_ACTION_KILL,	     /* it never happens and the VM ends */
	RF_ACTION_PASS,	     /* not about sealed memory: the VMM's business, nothing to record */
	RF_ACTION_PAUSE,     /* it is let be, and the VM stands still until somebody resumes it */
};

struct rf_decision {
	enum rf_word word; /* for the record; 0 with RF_ACTION_PASS */
	enum rf_action action;
	const char *rule; /* constant text: the rule that decided */
};

/*
 * 0, or -EINVAL when the policy itself is not valid (*out untouched: the caller must deny). Facts
 * that are missing, contradictory or out of range get the rule "undecided", which never allows.
 *
 * Observing cannot let through everything: an instruction KVM cannot emulate has no effect that
 * could be applied and is blocked in either mode. What a device wrote went to the decoy, not to the
 * guest, and was found there afterwards, when no event waits for an answer: it is "detected" in
 * either mode, and on_denied does not apply to it.
 */
int rf_policy_decide(const struct rf_policy *p, const struct rf_facts *f, struct rf_decision *out);

/* Which of the words is about a hook, by what the record calls its interface ("kprobe; ...");
 * RF_PATCH_WORDS: none is, so it is told. */
enum rf_patch_word rf_policy_hook(const char *interface);
/* May a hook of that kind call code of this module ("": of none that is listed), or of BPF's? The
 * names are the guest's claims. */
enum rf_fact_hook rf_policy_owner(const struct rf_policy *p, enum rf_patch_word kind,
				  const char *module, bool bpf);
/*
 * The way back, for what is on record: facts that a row of the judgement is about, and its rule.
 * What the row does not ask for is 0. `i` counts from 0; false: there is no such row any more. More
 * than one may have the same rule.
 */
bool rf_policy_row(size_t i, struct rf_facts *facts, const char **rule);

#endif
