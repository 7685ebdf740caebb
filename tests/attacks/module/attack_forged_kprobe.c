// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe that was never registered, put into the kernel's table by hand. What arms it is the
 * kernel's own function, or a store of the module's; what it calls is code of the module's, or of
 * memory that is no module's. int_pow() is called by nobody here, and begins with
 * `mov $1, %eax`: its result shows what has become of it.
 */
#include <asm/ptrace.h>
#include <linux/delay.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "poke.h"

/* Seconds, where the host does not say what is on record: hooks are looked at each second. */
#define STAYS_S 4u
/* And some times more, before a breakpoint is said to be nobody's. */
#define STAYS_STRAY_S 20u

static const u8 one[RF_INSN] = { 0xb8, 0x01, 0x00, 0x00, 0x00 };
static struct kprobe probe;
static void (*arm)(struct kprobe *p);

/* The instruction that was probed has another operand, and is behind us. */
static int handler(struct kprobe *p, struct pt_regs *regs)
{
	regs->ax = 2;
	regs->ip = (unsigned long)p->addr + RF_INSN;
	return 1;
}

/* The same, wherever it lies. */
static const u8 handler_anywhere[] = {
	0xf3, 0x0f, 0x1e, 0xfa,				/* endbr64 */
	0x48, 0xc7, 0x46, 0x50, 0x02, 0x00, 0x00, 0x00, /* movq $2, 0x50(%rsi): regs->ax */
	0x48, 0x83, 0x86, 0x80, 0x00, 0x00, 0x00, 0x04, /* addq $4, 0x80(%rsi): regs->ip */
	0xb8, 0x01, 0x00, 0x00, 0x00,			/* mov $1, %eax */
	0xc3,
};
static_assert(offsetof(struct pt_regs, ax) == 0x50 && offsetof(struct pt_regs, ip) == 0x80);

/* False: this kernel keeps its probes or its function elsewhere, and the report says so. */
static bool aim(struct rf_report *r, unsigned int skip)
{
	u8 *start = rf_symbol("int_pow");
	unsigned int i = 0;

	arm = rf_symbol("arch_arm_kprobe");
	while (start && i < 16 && memcmp(start + i, one, sizeof(one)))
		i++;
	if (!start || i == 16 || !arm) {
		rf_skip(r, arm ? "int_pow does not begin as expected" : "no arch_arm_kprobe");
		return false;
	}
	return rf_aim(r, "int_pow", i + skip, 1) && rf_poke_begin(r);
}

/* False: no table, and nothing is begun any more. */
static bool forge(struct rf_report *r, kprobe_pre_handler_t calls)
{
	if (rf_forge_kprobe(&probe, r->at, r->before[0], calls))
		return true;
	rf_poke_end(r);
	rf_skip(r, "this kernel keeps its probes elsewhere");
	return false;
}

static void arm_by_kernel(void)
{
	mutex_lock(rf_patchers.text_mutex);
	arm(&probe);
	mutex_unlock(rf_patchers.text_mutex);
}

static void arm_by_store(struct rf_report *r, const struct rf_alias *alias)
{
	unsigned long faulted = 1;

	rf_guard_begin();
	asm volatile(RF_STORE("movb $0xcc, (%[p])")
		     : [f] "+r"(faulted)
		     : [p] "r"(alias->at)
		     : "memory", "cc");
	if (rf_guard_end())
		rf_say(r, "stuck=yes");
	rf_patchers.text_poke_sync();
}

/* Armed and called, it stays for a while. named, what: the address that its record must have, and how its detail begins. */
static void judge(struct rf_report *r, const void *named, const char *what, unsigned int stays)
{
	bool armed = r->at[0] == INT3_INSN_OPCODE, doubled = rf_power() == 16;

	if (doubled)
		rf_until_told(r, named, 1, what, stays);
	r->outcome = doubled && rf_power() == 16 ? RF_LANDED : RF_UNCHANGED;
	if (armed && !doubled)
		rf_say(r, "ran=UNFORGED");
	rf_poke_restore(r);
	if (rf_poke_end(r) && !armed)
		r->outcome = RF_FAULTED;
	if (memcmp(r->at, r->before, r->len))
		rf_kept(r, "text", false);
}

/* The same of one that stays in the table. Whom a record names is the handler. */
static void judge_listed(struct rf_report *r, kprobe_pre_handler_t calls)
{
	judge(r, calls, NULL, STAYS_S);
	rf_unforge_kprobe(&probe);
	r->at = (u8 *)calls;
}

void attack_forged_kprobe(struct rf_report *r)
{
	if (!aim(r, 0) || !forge(r, handler))
		return;
	arm_by_kernel();
	judge_listed(r, handler);
}

/* A copy of the handler, in memory that no list of the kernel's has; NULL with the report. */
static void *copied(struct rf_report *r)
{
	int (*protect[])(unsigned long, int) = { rf_symbol("set_memory_ro"),
						 rf_symbol("set_memory_x") };
	void *copy = vmalloc(PAGE_SIZE);

	if (!copy || !protect[0] || !protect[1]) {
		vfree(copy);
		rf_skip(r, "no executable memory");
		return NULL;
	}
	memcpy(copy, handler_anywhere, sizeof(handler_anywhere));
	protect[0]((unsigned long)copy, 1);
	protect[1]((unsigned long)copy, 1);
	return copy;
}

static void release(void *copy)
{
	int (*const nx)(unsigned long, int) = rf_symbol("set_memory_nx");
	int (*const rw)(unsigned long, int) = rf_symbol("set_memory_rw");

	synchronize_rcu(); /* who looks up a probe */
	if (nx && rw && !nx((unsigned long)copy, 1) && !rw((unsigned long)copy, 1))
		vfree(copy);
}

void attack_forged_kprobe_nobody(struct rf_report *r)
{
	void *copy = copied(r);
	struct rf_alias alias;

	if (!copy)
		return;
	if (aim(r, 0) && forge(r, copy)) {
		if (rf_alias_map(r, &alias)) {
			arm_by_store(r, &alias);
			rf_alias_unmap(&alias);
		}
		judge_listed(r, copy);
	}
	release(copy);
}

/*
 * In the table for no longer than it takes to arm it: the kernel knows of no probe when the
 * breakpoint is run into, and asks who wants it.
 */
static int on_int3(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;

	if (event != DIE_INT3 || regs->ip != (unsigned long)probe.addr + 1)
		return NOTIFY_DONE;
	handler(&probe, regs);
	return NOTIFY_STOP;
}

static struct notifier_block on_breakpoint = { .notifier_call = on_int3 };

void attack_forged_kprobe_stray(struct rf_report *r)
{
	if (!aim(r, 0) || !forge(r, handler))
		return;
	register_die_notifier(&on_breakpoint);
	arm_by_kernel();
	rf_unforge_kprobe(&probe);
	/* In the table it was a probe, for a moment, and may have been told of as one. */
	judge(r, r->at, "stray-probe", STAYS_STRAY_S);
	unregister_die_notifier(&on_breakpoint);
}

/*
 * A probe inside of an instruction: its int3 is one more operand. No probe of the kernel's is
 * there, and this one asks for no handler.
 */
static bool operand_changed(void)
{
	return rf_power() == 8 * INT3_INSN_OPCODE;
}

void attack_forged_kprobe_inside(struct rf_report *r)
{
	static const u8 int3 = INT3_INSN_OPCODE;

	if (!aim(r, 1) || !forge(r, handler))
		return;
	arm_by_kernel();
	rf_poke_judge(r, &int3, false, operand_changed);
	rf_unforge_kprobe(&probe);
}
