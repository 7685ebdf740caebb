// SPDX-License-Identifier: GPL-2.0-only
#include <asm/ibt.h>
#include <asm/nospec-branch.h>
#include <linux/kdebug.h>
#include <linux/linkage.h>
#include <linux/ptrace.h>
#include <linux/smp.h>
#include <linux/string.h>

#include "registers.h"

/* --- registers ------------------------------------------------------------ */

unsigned long rf_set_msr(u32 index, u64 value)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("wrmsr")
		     : [f] "+r"(faulted)
		     : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory", "cc");
	return faulted;
}

u64 rf_get_msr(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

unsigned long rf_set_cr0(unsigned long value)
{
	unsigned long faulted = 1;

	asm volatile(RF_STORE("mov %[v], %%cr0")
		     : [f] "+r"(faulted)
		     : [v] "r"(value)
		     : "memory", "cc");
	return faulted;
}

unsigned long rf_get_cr0(void)
{
	unsigned long value;

	asm volatile("mov %%cr0, %0" : "=r"(value) : : "memory");
	return value;
}

unsigned long rf_set_cr4(unsigned long value, unsigned long *seen)
{
	unsigned long faulted = 1, now = *seen;

	asm volatile("1:	mov %[v], %%cr4\n"
		     "	mov %%cr4, %[n]\n"
		     "	xorl %k[f], %k[f]\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : [f] "+r"(faulted), [n] "+r"(now)
		     : [v] "r"(value)
		     : "memory", "cc");
	*seen = now;
	return faulted;
}

unsigned long rf_get_cr4(void)
{
	unsigned long value;

	asm volatile("mov %%cr4, %0" : "=r"(value) : : "memory");
	return value;
}

/* --- gates ---------------------------------------------------------------- */

unsigned int rf_gate_count;

asm("	.pushsection .text\n"
    "	.globl rf_gate_interrupt\n"
    "	.type rf_gate_interrupt, @function\n"
    "rf_gate_interrupt:\n"
    "	" ASM_ENDBR "	incl rf_gate_count(%rip)\n"
    "	iretq\n"
    "	.size rf_gate_interrupt, . - rf_gate_interrupt\n"
    /* No function: it does not return as one. xchg, as objtool refuses a move to rsp (7.3). */
    "	.globl rf_gate_call\n"
    "rf_gate_call:\n"
    "	" ASM_ENDBR "	incl rf_gate_count(%rip)\n"
    "	xchgq %r11, %rsp\n"
    "	" ANNOTATE_RETPOLINE_SAFE "\n"
    "	jmp *%r10\n"
    "	.popsection\n");

/* --- one instruction of the kernel's -------------------------------------- */

static struct {
	struct rf_step *step; /* NULL: none */
	int cpu;
	unsigned long stack; /* where the return address lies; 0: the instruction was not reached */
	bool lost;
} one;

static void come_back(struct pt_regs *regs)
{
	one.step->cr4 = rf_get_cr4();
	regs->flags &= ~X86_EFLAGS_TF;
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
}

/*
 * #DB of the kernel's own goes to the notifiers before anything else looks at it, and one that says
 * NOTIFY_STOP ends it (exc_debug_kernel() in arch/x86/kernel/traps.c); a #GP that no exception
 * table knows goes there too (gp_try_fixup_and_notify()).
 */
static int on_die(struct notifier_block *block, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	struct rf_step *s = one.step;
	unsigned long at, offset;

	if (!s || raw_smp_processor_id() != one.cpu || user_mode(regs))
		return NOTIFY_DONE;
	at = (unsigned long)s->at;
	offset = regs->ip - at;
	if (event == DIE_GPF && offset <= s->len) {
		s->refused = true;
		come_back(regs);
		return NOTIFY_STOP;
	}
	if (event != DIE_DEBUG)
		return NOTIFY_DONE;
	if (offset < s->len) {
		/* On it, or on a nop that stands for a part of it. */
		one.stack = regs->sp;
		return NOTIFY_STOP;
	}
	if (regs->sp == one.stack) {
		s->ran = true;
		come_back(regs);
	} else {
		one.lost = true;
		regs->flags &= ~X86_EFLAGS_TF;
	}
	return NOTIFY_STOP;
}

static struct notifier_block notifier = { .notifier_call = on_die };

int rf_steps_init(void)
{
	return register_die_notifier(&notifier);
}

void rf_steps_exit(void)
{
	unregister_die_notifier(&notifier);
}

bool rf_step(struct rf_step *s)
{
	unsigned long a = s->operand, c = a, d = a, si = a, di = a;
	register unsigned long r11 asm("r11");

	s->ran = s->refused = false;
	memset(&one, 0, sizeof(one));
	one.cpu = raw_smp_processor_id();
	WRITE_ONCE(one.step, s);
	r11 = (unsigned long)s->at; /* not sooner: a call may lose it */
	asm volatile("pushfq\n"
		     "	orq %[tf], (%%rsp)\n"
		     "	popfq\n"
		     "	" ANNOTATE_RETPOLINE_SAFE "\n"
		     "	call *%%r11\n"
		     : "+a"(a), "+c"(c), "+d"(d), "+S"(si), "+D"(di), "+r"(r11), ASM_CALL_CONSTRAINT
		     : [tf] "i"(X86_EFLAGS_TF)
		     : "r8", "r9", "r10", "memory", "cc");
	WRITE_ONCE(one.step, NULL);
	return (s->ran || s->refused) && !one.lost;
}

u8 *rf_find_insn(const char *function, const u8 *insn, unsigned int len)
{
	u8 *start = rf_symbol(function), *trap = NULL;

	for (unsigned int i = 0; start && i < 64; i++) {
		unsigned int filled = 2;

		if (!memcmp(start + i, insn, len))
			return start + i;
		/* out imm8, al: APM vol. 3, OUT */
		while (filled < len && start[i + filled] == 0xcc)
			filled++;
		if (!trap && start[i] == 0xe6 && filled == len)
			trap = start + i;
	}
	return trap;
}
