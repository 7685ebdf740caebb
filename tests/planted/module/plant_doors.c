// SPDX-License-Identifier: GPL-2.0-only
/*
 * By the kernel's own doors, and code elsewhere. Of what a tracer is given, differs by kernel and
 * is not looked at. What is hooked is sprint_symbol(), which nobody calls but us.
 */
#include <asm/desc.h>
#include <asm/ibt.h>
#include <linux/fprobe.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/static_call.h>
#include <linux/math.h>
#include <linux/tracepoint.h>
#include <linux/delay.h>
#include <asm/sync_core.h>
#include <asm/linkage.h>
#include <linux/vmalloc.h>

#include "planted.h"

static void call_hooked(void)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol(text, (unsigned long)sprint_symbol);
}

/* What these checks report as the object is theirs to choose. */
static int at_target(struct rf_planted *p, const void *target, unsigned int *calls)
{
	p->target = (unsigned long)target;
	p->calls = calls;
	return 0;
}

/* --- tracers ------------------------------------------------------------------------ */

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
static unsigned int ftrace_calls;

static void notrace on_entry(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *regs)
{
	ftrace_calls++;
}

static struct ftrace_ops ops = { .func = on_entry };

static int plant_ftrace(struct rf_planted *p)
{
	return ftrace_set_filter_ip(&ops, (unsigned long)sprint_symbol, 0, 0) ?:
		       register_ftrace_function(&ops) ?:
		       at_target(p, on_entry, &ftrace_calls);
}

static void undo_ftrace(struct rf_planted *p)
{
	unregister_ftrace_function(&ops);
	ftrace_set_filter_ip(&ops, (unsigned long)sprint_symbol, 1, 0);
}
#else
static int plant_ftrace(struct rf_planted *p)
{
	return rf_cannot(p, "no ftrace for modules");
}

static void undo_ftrace(struct rf_planted *p) {}
#endif

#ifdef CONFIG_FPROBE
static unsigned int fprobe_calls;

static int on_fprobe(struct fprobe *probe, unsigned long ip, unsigned long back, void *regs,
		     void *data)
{
	fprobe_calls++;
	return 0;
}

static struct fprobe fprobe = { .entry_handler = (void *)on_fprobe };

static int plant_fprobe(struct rf_planted *p)
{
	unsigned long at = (unsigned long)sprint_symbol;

	return register_fprobe_ips(&fprobe, &at, 1) ?: at_target(p, on_fprobe, &fprobe_calls);
}

static void undo_fprobe(struct rf_planted *p)
{
	unregister_fprobe(&fprobe);
}
#else
static int plant_fprobe(struct rf_planted *p)
{
	return rf_cannot(p, "no CONFIG_FPROBE");
}

static void undo_fprobe(struct rf_planted *p) {}
#endif

static unsigned int kprobe_calls, kretprobe_calls, tracepoint_calls;

static int on_kprobe(struct kprobe *p, struct pt_regs *regs)
{
	kprobe_calls++;
	return 0;
}

static struct kprobe kprobe = { .symbol_name = "sprint_symbol", .pre_handler = on_kprobe };

static int plant_kprobe(struct rf_planted *p)
{
	return register_kprobe(&kprobe) ?: at_target(p, on_kprobe, &kprobe_calls);
}

static void undo_kprobe(struct rf_planted *p)
{
	unregister_kprobe(&kprobe);
}

static int on_return(struct kretprobe_instance *i, struct pt_regs *regs)
{
	kretprobe_calls++;
	return 0;
}

static struct kretprobe kretprobe = { .kp.symbol_name = "sprint_symbol_no_offset",
				      .handler = on_return,
				      .maxactive = 4 };

static int plant_kretprobe(struct rf_planted *p)
{
	return register_kretprobe(&kretprobe) ?: at_target(p, on_return, &kretprobe_calls);
}

static void undo_kretprobe(struct rf_planted *p)
{
	unregister_kretprobe(&kretprobe);
}

static void prod_kretprobe(void)
{
	char text[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(text, (unsigned long)sprint_symbol);
}

static struct tracepoint *sched_switch;

static void on_switch(void *data)
{
	tracepoint_calls++;
}

static void find_switch(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "sched_switch"))
		sched_switch = tp;
}

static int plant_tracepoint(struct rf_planted *p)
{
	for_each_kernel_tracepoint(find_switch, NULL);
	if (!sched_switch)
		return rf_cannot(p, "no such tracepoint");
	return tracepoint_probe_register(sched_switch, on_switch, NULL)
		       ?: at_target(p, on_switch, &tracepoint_calls);
}

static void undo_tracepoint(struct rf_planted *p)
{
	tracepoint_probe_unregister(sched_switch, on_switch, NULL);
	tracepoint_synchronize_unregister();
}

/* --- interrupts ---------------------------------------------------------------------------------
 */

#define VECTOR 0x17 /* reserved, and never raised: SDM vol. 3 6.3.1 */

static unsigned long *gate;
unsigned int rf_gate_calls;

void rf_gate(void);
asm("	.pushsection .text\n"
    "	.globl rf_gate\n"
    "	.type rf_gate, @function\n"
    "rf_gate:\n"
    "	" ASM_ENDBR "	incl rf_gate_calls(%rip)\n"
    "	iretq\n"
    "	.size rf_gate, . - rf_gate\n"
    "	.popsection\n");

static int plant_gate(struct rf_planted *p)
{
	unsigned long to = (unsigned long)rf_gate, half[2];
	gate_desc desc = {
		.offset_low = (u16)to,
		.segment = __KERNEL_CS,
		.bits = { .type = GATE_INTERRUPT, .p = 1 },
		.offset_middle = (u16)(to >> 16),
		.offset_high = (u32)(to >> 32),
	};

	gate = rf_symbol("idt_table");
	if (!gate)
		return rf_cannot(p, "no idt_table");
	gate += VECTOR * 2;
	memcpy(half, &desc, sizeof(half));
	/* The half with the present bit last. */
	return rf_write(gate + 1, (void *)half[1]) ?: rf_write(gate, (void *)half[0]) ?:
			       at_target(p, rf_gate, &rf_gate_calls);
}

/* As it was: a gate that is not present. */
static void undo_gate(struct rf_planted *p)
{
	rf_write(gate, NULL);
	rf_write(gate + 1, NULL);
}

static void prod_gate(void)
{
	asm volatile("int %0" ::"i"(VECTOR) : "memory", "cc");
}

/* --- segments -------------------------------------------------------------------------- */

#define SEGMENT 7 /* between user mode's code and the task segment: the kernel has none there */

static struct desc_struct *segment;
#define SEGMENT_CODE 0x00affb000000ffffull /* of user mode, as its own code segment */

static int plant_segment(struct rf_planted *p)
{
	segment = get_cpu_gdt_rw(0) + SEGMENT;
	if (segment->p)
		return rf_cannot(p, "the kernel has a segment there");
	*(u64 *)segment = SEGMENT_CODE;
	p->object = (unsigned long)segment;
	return 0;
}

static void undo_segment(struct rf_planted *p)
{
	*(u64 *)segment = 0;
}

/* The processor sees it: it has a limit for that selector. */
static bool real_segment(const struct rf_planted *p)
{
	unsigned long limit = 0;

	asm volatile("lsl %1, %0" : "+r"(limit) : "r"(SEGMENT * 8ul + 3) : "cc");
	return limit;
}

/* --- calls of the kernel's own, moved by hand -------------------------------------------- */

static struct static_call_key *key;
static int (*call_before)(void);
static unsigned int moved_calls;

static int on_moved(void)
{
	moved_calls++;
	return call_before();
}

static int plant_moved(struct rf_planted *p)
{
	void *trampoline = rf_symbol("__SCT__cond_resched");

	key = rf_symbol("__SCK__cond_resched");
	if (!key || !trampoline)
		return rf_cannot(p, "cond_resched() is no static call here");
	call_before = key->func;
	__static_call_update(key, trampoline, on_moved);
	return rf_pointer(p, &key->func, &moved_calls);
}

static void undo_moved(struct rf_planted *p)
{
	__static_call_update(key, rf_symbol("__SCT__cond_resched"), call_before);
	ssleep(1); /* who is in it leaves */
}

/* A function's entry, where tracers have a call put: a call that no tracer has asked for. */
#define CALL_BYTES 5

static u8 *entry;
static u8 entry_before[CALL_BYTES];
unsigned int rf_entry_calls;

void rf_entry(void);
asm("	.pushsection .text\n"
    "	.globl rf_entry\n"
    "	.type rf_entry, @function\n"
    "rf_entry:\n"
    "	" ASM_ENDBR "	incl rf_entry_calls(%rip)\n"
    "	" ASM_RET "	.size rf_entry, . - rf_entry\n"
    "	.popsection\n");

/* Nobody runs it meanwhile: there is one processor, and interrupts do not call it. */
static int write_entry(const u8 *code)
{
	struct page *pages[2] = { virt_to_page(entry), virt_to_page(entry + CALL_BYTES - 1) };
	u8 *map = vmap(pages, 2, VM_MAP, PAGE_KERNEL); /* of one page twice, or of two */

	if (!map)
		return -ENOMEM;
	memcpy(map + offset_in_page(entry), code, CALL_BYTES);
	vunmap(map);
	sync_core();
	return 0;
}

static int plant_entry(struct rf_planted *p)
{
	static const u8 nop[CALL_BYTES] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	u8 call[CALL_BYTES] = { 0xe8 };
	s32 distance;

	entry = rf_symbol("int_pow");
	for (unsigned int i = 0; entry && i < 16 && memcmp(entry, nop, sizeof(nop)); i++)
		entry++;
	if (!entry || memcmp(entry, nop, sizeof(nop)))
		return rf_cannot(p, "int_pow() is not made for tracers");
	memcpy(entry_before, entry, CALL_BYTES);
	distance = (u8 *)rf_entry - (entry + CALL_BYTES);
	memcpy(call + 1, &distance, sizeof(distance));
	p->object = (unsigned long)entry;
	return write_entry(call) ?: at_target(p, entry, &rf_entry_calls);
}

static void undo_entry(struct rf_planted *p)
{
	write_entry(entry_before);
}

static void prod_entry(void)
{
	u64 (*volatile power)(u64 base, unsigned int exp) = int_pow;

	power(2, 3);
}

/* --- code of nobody ----------------------------------------------------------------- */

static u8 *page;

static int plant_page(struct rf_planted *p)
{
	static const u8 code[] = {
		0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 0x2a, 0, 0, 0, 0xc3
	}; /* endbr64, 42 */
	int (*set_memory_x)(unsigned long at, int pages) = rf_symbol("set_memory_x");

	page = set_memory_x ? vmalloc(PAGE_SIZE) : NULL;
	if (!page)
		return rf_cannot(p, "no set_memory_x()");
	memset(page, 0xcc, PAGE_SIZE);
	memcpy(page, code, sizeof(code));
	p->object = p->target = (unsigned long)page;
	return set_memory_x((unsigned long)page, 1);
}

static void undo_page(struct rf_planted *p)
{
	int (*set_memory_nx)(unsigned long at, int pages) = rf_symbol("set_memory_nx");

	if (set_memory_nx)
		set_memory_nx((unsigned long)page, 1);
	vfree(page);
}

static bool real_page(const struct rf_planted *p)
{
	return ((int (*)(void))page)() == 42;
}

const struct rf_plant rf_plants_doors[] = {
	{ "ftrace", "hooks-ftrace", plant_ftrace, undo_ftrace, call_hooked },
	{ "kprobe", "hooks-kprobes", plant_kprobe, undo_kprobe, call_hooked },
	{ "kretprobe", "hooks-kprobes", plant_kretprobe, undo_kretprobe, prod_kretprobe },
	{ "tracepoint", "hooks-tracepoints", plant_tracepoint, undo_tracepoint, call_hooked },
	{ "fprobe", "hooks-fprobes", plant_fprobe, undo_fprobe, call_hooked },
	{ "idt_gate", "idt", plant_gate, undo_gate, prod_gate },
	{ "gdt_segment", "gdt", plant_segment, undo_segment, .real = real_segment },
	{ "static_call", "hooks-static-calls", plant_moved, undo_moved },
	{ "unlisted_call", "hooks-unlisted", plant_entry, undo_entry, prod_entry },
	{ "code_page", "code-of-nobody", plant_page, undo_page, .real = real_page },
	{ 0 },
};
