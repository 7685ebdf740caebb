// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls the kernel's text patchers, and lives when one of their stores is refused.
 *
 * Every patcher ends in __text_poke() (arch/x86/kernel/alternative.c), which maps the text page
 * into an address space of its own, stores to it with memcpy(), takes the mapping down and compares
 * what it finds with what it meant to write: a BUG when they differ. A refused store faults in that
 * memcpy(), with interrupts off and a page table lock held. Nothing in there expects a fault, so it
 * becomes an oops; but an oops asks the die notifiers, and when one says NOTIFY_STOP the kernel
 * goes on where the registers say (oops_end() in arch/x86/kernel/dumpstack.c). Ours returns from
 * memcpy() and gives the source what the target holds, so that the comparison is content: all that
 * __text_poke() and its callers hold is let go by themselves.
 */
#include <asm/insn.h>
#include <linux/atomic.h>
#include <linux/console.h>
#include <linux/kallsyms.h>
#include <linux/kdebug.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "poke.h"

struct rf_patchers rf_patchers;

static struct task_struct *poker; /* whose faults are survived */
static const u8 *target;	  /* where the patch begins */
static unsigned long resumed;	  /* where the last fault was made to continue */
static unsigned int refused;
static char where[KSYM_SYMBOL_LEN]; /* the last refused store */
static int loglevel;

static bool is_rep(const struct pt_regs *regs)
{
	return *(const u8 *)regs->ip == 0xf3;
}

/*
 * How much memcpy() was to copy: where it is rep movsb rdx has it still; memcpy_orig
 * (arch/x86/lib/memcpy_64.S) keeps the length in edx, less one when it is below four. Patches are
 * shorter than its other cases.
 */
static size_t length(const struct pt_regs *regs)
{
	return is_rep(regs) || (u32)regs->dx >= 4 ? (u32)regs->dx : (u32)regs->dx + 1;
}

/* How much of it is done: rep movsb counts down in rcx. With the refusal that was put back, too. */
static size_t done(const struct pt_regs *regs)
{
	return is_rep(regs) ? regs->dx - regs->cx : 0;
}

static int on_die(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	const u8 *at;

	if ((event != DIE_OOPS && event != DIE_GPF) || current != poker || user_mode(regs))
		return NOTIFY_DONE;
	/* A reserved bit is reported twice: pgtable_bad() returns to do_user_addr_fault(), which
	 * goes on to a second oops. */
	if (regs->ip == resumed)
		return NOTIFY_STOP;
	sprint_symbol(where, regs->ip);
	/* Or what calls it, where the compiler has put it in there. Neither keeps anything on the
	 * stack. */
	if (strncmp(where, "memcpy", 6) && strncmp(where, "__memcpy", 8) &&
	    strncmp(where, "text_poke_memcpy", 16)) {
		*rf_patchers.suppress_printk = 0;
		pr_emerg("RF: note a fault in %s while poking\n", where);
		return NOTIFY_DONE;
	}
	/* The patcher's own mapping keeps the offset in the page. */
	at = PTR_ALIGN_DOWN(target, PAGE_SIZE) + offset_in_page(regs->di - done(regs));
	if (at < target)
		at += PAGE_SIZE;
	memcpy((void *)(regs->si - done(regs)), at, length(regs));
	regs->ip = resumed = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	refused++;
	return NOTIFY_STOP;
}

static struct notifier_block notifier = { .notifier_call = on_die };

bool rf_poke_ready(struct rf_report *r)
{
	static bool resolved;
	/* Some have two names: since 6.16 that of their file's others is smp_text_poke_*(). */
	const struct {
		const char *name, *other;
		void **to;
	} wanted[] = {
		{ "text_poke", NULL, (void **)&rf_patchers.text_poke },
		{ "text_poke_copy", NULL, (void **)&rf_patchers.text_poke_copy },
		{ "text_poke_bp", "smp_text_poke_single", (void **)&rf_patchers.text_poke_bp },
		{ "text_poke_sync", "smp_text_poke_sync_each_cpu",
		  (void **)&rf_patchers.text_poke_sync },
		{ "arch_jump_label_transform", NULL,
		  (void **)&rf_patchers.arch_jump_label_transform },
		{ "arch_static_call_transform", NULL,
		  (void **)&rf_patchers.arch_static_call_transform },
		{ "text_mutex", NULL, (void **)&rf_patchers.text_mutex },
		{ "suppress_printk", NULL, (void **)&rf_patchers.suppress_printk },
	};

	/* Once: older kernels look through all their symbols for one. */
	for (unsigned int i = 0; !resolved && i < ARRAY_SIZE(wanted); i++) {
		*wanted[i].to = rf_symbol(wanted[i].name);
		if (!*wanted[i].to && wanted[i].other)
			*wanted[i].to = rf_symbol(wanted[i].other);
		if (!*wanted[i].to) {
			rf_skip(r, "this kernel has no");
			rf_say(r, "%s", wanted[i].name);
			return false;
		}
	}
	resolved = true;
	return true;
}

bool rf_poke_begin(struct rf_report *r)
{
	if (!rf_poke_ready(r))
		return false;
	target = r->at;
	resumed = 0;
	refused = 0;
	/* An oops prints pages, here of faults that are expected, and raises the console's level
	 * for good. */
	loglevel = console_loglevel;
	*rf_patchers.suppress_printk = 1;
	register_die_notifier(&notifier);
	poker = current;
	return true;
}

unsigned int rf_poke_end(struct rf_report *r)
{
	if (!poker)
		return refused;
	poker = NULL;
	unregister_die_notifier(&notifier);
	*rf_patchers.suppress_printk = 0;
	console_loglevel = loglevel;
	if (refused)
		rf_say(r, "faults=%u at=%s", refused, where);
	return refused;
}

/*
 * arch/x86/kernel/alternative.c struct bp_patching_desc: a pointer, an int, an atomic_t. Where
 * there is none, struct smp_text_poke_array: 256 entries of 16 bytes, and their number, which alone
 * does not make the kernel's own handler take an int3 for its own (it asks text_poke_array_refs).
 */
#define REFS_OFFSET 12
#define ENTRIES_OFFSET 4096

bool rf_poke_record(bool busy)
{
	u8 *desc = rf_symbol("bp_desc");
	u8 *array = rf_symbol("text_poke_array");

	if (desc)
		atomic_set((atomic_t *)(desc + REFS_OFFSET), busy);
	else if (array)
		WRITE_ONCE(*(int *)(array + ENTRIES_OFFSET), busy);
	return desc || array;
}

void rf_text_poke(void *at, const void *insn, size_t len)
{
	/* What a refused store wanted to write is written over, see above. */
	u8 copy[MAX_INSN_SIZE];

	memcpy(copy, insn, len);
	mutex_lock(rf_patchers.text_mutex);
	rf_patchers.text_poke(at, copy, len);
	rf_patchers.text_poke_sync();
	mutex_unlock(rf_patchers.text_mutex);
}

void rf_text_poke_bp(void *at, const void *insn, size_t len, const void *emulate)
{
	mutex_lock(rf_patchers.text_mutex);
	rf_patchers.text_poke_bp(at, insn, len, emulate);
	mutex_unlock(rf_patchers.text_mutex);
}

/* The protocol of text_poke_bp_batch(), which is legal on a site that it stopped in the middle of,
 * and harmless elsewhere. */
void rf_poke_restore(struct rf_report *r)
{
	static const u8 int3 = INT3_INSN_OPCODE;

	if (r->len > 1 && memcmp(r->at + 1, r->before + 1, r->len - 1)) {
		if (r->at[0] != int3)
			rf_text_poke(r->at, &int3, 1);
		rf_text_poke(r->at + 1, r->before + 1, r->len - 1);
	}
	if (r->at[0] != r->before[0])
		rf_text_poke(r->at, r->before, 1);
}

void rf_poke_judge(struct rf_report *r, const u8 *forged, bool site, bool (*behaves)(void))
{
	unsigned int faults = refused;
	bool stopped = site && r->at[0] == INT3_INSN_OPCODE;

	if (!memcmp(r->at, forged, r->len) && behaves)
		rf_say(r, "ran=%s", behaves() ? "forged" : "UNFORGED");
	if (stopped)
		rf_say(r, "left=int3%s",
		       memcmp(r->at + 1, r->before + 1, r->len - 1) ? ",tail" : "");
	if (stopped || !memcmp(r->at, r->before, r->len))
		r->outcome = faults ? RF_FAULTED : RF_UNCHANGED;
	else
		r->outcome = RF_LANDED;
	rf_poke_restore(r);
	rf_poke_end(r);
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}
