// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The table of kinds. The instruction in question is the first of its code, or `at` bytes behind:
 * RDI is the target, RSI memory of its own, RCX 3, EDX:EAX 7.
 */
#include "tests/kvm/store_kinds.h"

#include <string.h>
#include <sys/ioctl.h>

#define CODE(name, ...)                                                                            \
	__asm__(".pushsection .rodata\n" #name ": .globl " #name "\n" __VA_ARGS__ "\nhlt\n" #name  \
		"_end: .globl " #name "_end\n.popsection");                                        \
	extern const uint8_t name[], name##_end[]

CODE(k_mov8, "movb %al, (%rdi)");
CODE(k_mov64, "movq %rcx, (%rdi)");
CODE(k_movimm, "movl $0x12345678, (%rdi)");
CODE(k_movnti, "movntiq %rcx, (%rdi)");
CODE(k_movbe, "movbeq %rcx, (%rdi)");
CODE(k_movdiri, "movdiri %rcx, (%rdi)");
CODE(k_mov_sreg, "movw %ds, (%rdi)");
CODE(k_setcc, "sete (%rdi)");
CODE(k_pop, "popq (%rdi)");
CODE(k_rep_movs, "rep movsb");
CODE(k_rep_stos, "rep stosq");
CODE(k_rep_half, "rep movsq");
CODE(k_ins, "rep insb");
CODE(k_lock_add, "lock addl $1, (%rdi)");
CODE(k_inc, "incq (%rdi)");
CODE(k_xchg, "xchgq %rcx, (%rdi)");
CODE(k_cmpxchg, "lock cmpxchgq %rcx, (%rdi)");
CODE(k_cmpxchg8b, "lock cmpxchg8b (%rdi)");
CODE(k_cmpxchg16b, "lock cmpxchg16b (%rdi)");
CODE(k_bts, "lock btsl $5, (%rdi)");
CODE(k_shld, "shldl $5, %ecx, (%rdi)");
CODE(k_movups, "movups %xmm0, (%rdi)");
CODE(k_movntdq, "movntdq %xmm0, (%rdi)");
CODE(k_movss, "movss %xmm0, (%rdi)");
CODE(k_movlps, "movlps %xmm0, (%rdi)");
CODE(k_movq_mmx, "movq %mm0, (%rdi)");
CODE(k_pextrd, "pextrd $1, %xmm0, (%rdi)");
CODE(k_maskmovdqu, "pcmpeqd %xmm1, %xmm1\nmaskmovdqu %xmm1, %xmm0");
CODE(k_vmovups16, "vmovups %xmm0, (%rdi)");
CODE(k_vmovdqu32, "vmovdqu %ymm0, (%rdi)");
CODE(k_vmaskmov, "vpcmpeqd %ymm1, %ymm1, %ymm1\nvmaskmovps %ymm0, %ymm1, (%rdi)");
CODE(k_vmovups64, "vmovups %zmm0, (%rdi)");
CODE(k_vpscatter, "kxnorw %k1, %k1, %k1\nvpscatterdd %zmm0, (%rdi,%zmm0,4){%k1}");
CODE(k_movdir64b, "movdir64b (%rsi), %rdi");
CODE(k_clzero, "clzero");
CODE(k_sgdt, "sgdt (%rdi)");
CODE(k_sidt, "sidt (%rdi)");
CODE(k_sldt, "sldt (%rdi)");
CODE(k_str, "str (%rdi)");
CODE(k_smsw, "smsw (%rdi)");
CODE(k_fxsave, "fxsave (%rdi)");
CODE(k_fxsave64, "fxsave64 (%rdi)");
CODE(k_xsave, "xsave (%rdi)");
CODE(k_xsaveopt, "xsaveopt (%rdi)");
CODE(k_xsavec, "xsavec (%rdi)");
CODE(k_xsaves, "xsaves (%rdi)");
CODE(k_fnstenv, "fnstenv (%rdi)");
CODE(k_fnsave, "fnsave (%rdi)");
CODE(k_fnstcw, "fnstcw (%rdi)");
CODE(k_fnstsw, "fnstsw (%rdi)");
CODE(k_fst, "fstl (%rdi)");
CODE(k_fistp, "fistpll (%rdi)");
CODE(k_fbstp, "fbstp (%rdi)");
CODE(k_stmxcsr, "stmxcsr (%rdi)");
CODE(k_vstmxcsr, "vstmxcsr (%rdi)");
CODE(k_push, "pushq %rcx");
CODE(k_push_imm, "pushq $0x11");
CODE(k_push_mem, "pushq (%rsi)");
CODE(k_push_fs, "pushq %fs");
CODE(k_pushf, "pushfq");
CODE(k_call, "call 1f\n1:");
CODE(k_call_reg, "call *%rax");
CODE(k_call_mem, "call *(%rsi)");
CODE(k_enter, "enter $16, $0");
CODE(k_enter1, "enter $16, $1");
CODE(k_lcall, "lcall *(%rsi)"); /* m16:32, which both vendors have */
CODE(k_ud2, "ud2");
CODE(k_int3, "int3");
CODE(k_int, "int $0x80");
CODE(k_icebp, ".byte 0xf1");
CODE(k_div, "divl (%rsi)");
CODE(k_pf, "movb (%rdx), %al");
CODE(k_gp, "movb (%rbx), %al");
CODE(k_idle, "1: jmp 1b");
CODE(k_ltr, "ltrw %cx");
CODE(k_mov_ds, "movw %cx, %ds");
CODE(k_lss, "lss (%rsi), %esp");
CODE(k_iretq, "iretq");
CODE(k_load, "movb (%rdx), %al");
CODE(k_store, "movb %al, (%rdx)");
CODE(k_task, ".code32\nljmp $0x68, $0\n.code64");
CODE(k_vmsave, "vmsave");
CODE(k_vmrun, "vmrun");

static uint64_t *word(struct kind_vm *v, uint64_t gpa)
{
	return (uint64_t *)(v->ram + gpa);
}

static void stack(struct kind_vm *v)
{
	v->regs.rsp = KINDS_TARGET + 0x708;
}

static void stack_call_reg(struct kind_vm *v)
{
	stack(v);
	v->regs.rax = KINDS_CODE + 2;
}

static void stack_call_mem(struct kind_vm *v)
{
	stack(v);
	*word(v, v->regs.rsi) = KINDS_CODE + 2;
}

static void far_pointer(struct kind_vm *v)
{
	*word(v, v->regs.rsi) = (KINDS_CODE + 2) | UINT64_C(8) << 32;
	stack(v);
}

/* CS goes to the first sealed bytes, RIP below them. */
static void far_pointer_border(struct kind_vm *v)
{
	far_pointer(v);
	v->regs.rsp = KINDS_SEALED + 4;
}

/* Through a gate of the same privilege: selector and gate instead of an address. */
static void far_gate(struct kind_vm *v)
{
	far_pointer(v);
	v->ram[v->regs.rsi + 4] = 0x58;
}

/* What memory holds, so that a comparison succeeds. */
static void compared(struct kind_vm *v)
{
	v->regs.rax = v->regs.rdx = *word(v, KINDS_TARGET);
}

/* Ring 3: what its events push goes to the stack that the TSS names. */
static void user(struct kind_vm *v)
{
	v->sregs.cs.selector = 0x1b;
	v->sregs.cs.dpl = 3;
	v->sregs.ss.selector = 0x23;
	v->sregs.ss.dpl = 3;
	v->sregs.ds = v->sregs.es = v->sregs.ss;
	v->regs.rsp = KINDS_DATA + 0x800;
}

static void compared_user(struct kind_vm *v)
{
	user(v);
	compared(v);
}

static void rsp0(struct kind_vm *v)
{
	uint64_t sealed = KINDS_TARGET + 0x700;

	user(v);
	memcpy(v->ram + KINDS_TSS + 4, &sealed, 8);
	for (int i = 0; i < 256; i++)
		v->ram[KINDS_IDT + 16 * i + 4] = 0;
}

static void far_gate_user(struct kind_vm *v)
{
	far_pointer(v);
	rsp0(v);
	v->ram[v->regs.rsi + 4] = 0x58 | 3;
}

/* Exceptions keep to the stack that the guest has. */
static void same_stack(struct kind_vm *v)
{
	stack(v);
	for (int i = 0; i < 256; i++)
		v->ram[KINDS_IDT + 16 * i + 4] = 0;
	*word(v, v->regs.rsi) = 0;	 /* a divisor */
	v->regs.rdx = KINDS_UNMAPPED;	 /* #PF */
	v->regs.rbx = UINT64_C(1) << 63; /* #GP */
}

static void ist_stack(struct kind_vm *v)
{
	uint64_t sealed = KINDS_TARGET + 0x700;

	memcpy(v->ram + KINDS_TSS + 36, &sealed, 8);
	v->regs.rdx = KINDS_UNMAPPED;
}

static void irq(struct kind_vm *v)
{
	struct kvm_interrupt i = { .irq = 0x40 };

	same_stack(v);
	v->regs.rflags |= 0x200;
	ioctl(v->vcpu, KVM_INTERRUPT, &i);
}

static void nmi(struct kind_vm *v)
{
	same_stack(v);
	ioctl(v->vcpu, KVM_NMI);
}

/* A GDT in sealed memory, with entries that say neither accessed nor busy. */
static void gdt(struct kind_vm *v)
{
	memcpy(v->ram + KINDS_SEALED + 0x2000, v->ram + KINDS_GDT, 0x80);
	v->sregs.gdt.base = KINDS_SEALED + 0x2000;
	v->regs.rcx = 0x38;
	*word(v, v->regs.rsi) = (KINDS_STACK - 0x100) | UINT64_C(0x38) << 32;
}

static void gdt_ltr(struct kind_vm *v)
{
	gdt(v);
	v->regs.rcx = 0x40;
}

static void gdt_iretq(struct kind_vm *v)
{
	uint64_t frame[5] = { KINDS_CODE + 2, 0x50, 2, KINDS_STACK - 0x100, 0x38 };

	gdt(v);
	v->regs.rsp = KINDS_STACK - 0x200;
	memcpy(v->ram + v->regs.rsp, frame, sizeof(frame));
}

/* The last level of page tables, in sealed memory: entry 0x30 lacks A or D. */
static void page_table(struct kind_vm *v, uint64_t bits)
{
	uint64_t at = KINDS_SEALED + 0x4000;

	memcpy(v->ram + at, v->ram + 0x4000, 0x1000);
	word(v, at)[0x30] = 0x30000 | bits;
	word(v, 0x3000)[0] = at | 0x67;
	v->regs.rdx = 0x30000;
}

static void table_accessed(struct kind_vm *v)
{
	page_table(v, 0x07);
}

static void table_dirty(struct kind_vm *v)
{
	page_table(v, 0x27);
}

/* Protected mode: a jump to another task saves this one in its TSS, which lies in sealed memory. */
static void task(struct kind_vm *v)
{
	uint32_t *tss = (uint32_t *)(v->ram + KINDS_DATA);

	memset(tss, 0, 0x68);
	tss[0x20 / 4] = KINDS_CODE + 7;
	tss[0x24 / 4] = 2;
	tss[0x38 / 4] = KINDS_STACK;
	tss[0x48 / 4] = tss[0x50 / 4] = tss[0x54 / 4] = 0x10;
	tss[0x4c / 4] = 0x70;
	v->sregs.cs.selector = 0x70;
	v->sregs.cs.l = 0;
	v->sregs.cs.db = 1;
	v->sregs.tr.base = KINDS_SEALED + 0x3000;
	v->sregs.cr0 = 0x33; /* NE ET MP PE */
	v->sregs.cr4 = 0x620;
	v->sregs.efer = 0;
}

static void rep_half(struct kind_vm *v)
{
	v->regs.rdi = KINDS_SEALED - 8;
}

static void crossing(struct kind_vm *v)
{
	v->regs.rdi = KINDS_SEALED - 3;
}

static void target_in_rax(struct kind_vm *v)
{
	v->regs.rax = KINDS_SEALED + 0x1000;
}

static void svm(struct kind_vm *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry hsave;
	} msrs = { { .nmsrs = 1 }, { .index = 0xc0010117, .data = KINDS_DATA } };

	target_in_rax(v);
	v->sregs.efer |= 0x1000;	     /* SVME */
	ioctl(v->vcpu, KVM_SET_MSRS, &msrs); /* VMRUN wants a place for the host's state */
}

static void aligned64(struct kind_vm *v)
{
	v->regs.rdi = KINDS_TARGET + 0x40;
}

#define OWN KINDS_TARGET
#define PUSHED (KINDS_TARGET + 0x700)
#define K(n, c, ...)                                                                               \
	{                                                                                          \
		.name = (n), .code = (c), .end = c##_end, __VA_ARGS__                              \
	}
/* An event's frame. Software that delivers it itself makes a triple fault of it. */
#define F(n, c, ...) K(n, c, .also = BIT(OUT_SHUTDOWN), __VA_ARGS__)
/* What the CPU notes in its tables: where that is dropped nothing is lost. */
#define N(n, c, ...) K(n, c, .also = BIT(OUT_RAN), __VA_ARGS__)
/* KVM's own access to memory for nested guests: the guest's fault, and no exit (svm/svm.c). */
#define G(n, c, ...) K(n, c, .also = BIT(OUT_FAULT), __VA_ARGS__)
#define AT(t, s) .target = (t), .size = (s)
#define CPU(l, s, r, b) .cpu = { (l), (s), (r), (b) }

const struct kind kinds[] = {
	K("mov 8", k_mov8, AT(OWN, 1)),
	K("mov 64", k_mov64, AT(OWN, 8)),
	K("mov imm", k_movimm, AT(OWN, 4)),
	K("mov crossing into it", k_mov64, AT(KINDS_SEALED, 8), .setup = crossing),
	K("movnti", k_movnti, AT(OWN, 8)),
	K("movbe", k_movbe, AT(OWN, 8), CPU(1, 0, 2, 22)),
	K("movdiri", k_movdiri, AT(OWN, 8), CPU(7, 0, 2, 27)),
	K("mov sreg", k_mov_sreg, AT(OWN, 2)),
	K("setcc", k_setcc, AT(OWN, 1)),
	K("pop mem", k_pop, AT(OWN, 8)),
	K("rep movs", k_rep_movs, AT(OWN, 1)),
	K("rep stos", k_rep_stos, AT(OWN, 8)),
	K("rep movs, fault half way", k_rep_half, .setup = rep_half),
	K("rep ins", k_ins, AT(OWN, 1)),
	K("lock add", k_lock_add, AT(OWN, 4)),
	K("inc", k_inc, AT(OWN, 8)),
	K("xchg", k_xchg, AT(OWN, 8)),
	K("cmpxchg", k_cmpxchg, AT(OWN, 8), .setup = compared),
	K("cmpxchg8b", k_cmpxchg8b, AT(OWN, 8), .setup = compared),
	K("cmpxchg16b", k_cmpxchg16b, AT(OWN, 16), .setup = compared, CPU(1, 0, 2, 13)),
	K("cmpxchg16b, ring 3", k_cmpxchg16b, AT(OWN, 16), .setup = compared_user,
	  CPU(1, 0, 2, 13)),
	K("lock bts", k_bts, AT(OWN, 4)),
	K("shld", k_shld, AT(OWN, 4)),
	K("movups", k_movups, AT(OWN, 16)),
	K("movntdq", k_movntdq, AT(OWN, 16)),
	K("movss", k_movss, AT(OWN, 4)),
	K("movlps", k_movlps, AT(OWN, 8)),
	K("movq mmx", k_movq_mmx, AT(OWN, 8)),
	K("pextrd", k_pextrd, AT(OWN, 4), CPU(1, 0, 2, 19)),
	K("maskmovdqu", k_maskmovdqu, AT(OWN, 16), .at = 4),
	K("vmovups 16", k_vmovups16, AT(OWN, 16), CPU(1, 0, 2, 28)),
	K("vmovdqu 32", k_vmovdqu32, AT(OWN, 32), CPU(1, 0, 2, 28)),
	K("vmovdqu 32, ring 3", k_vmovdqu32, AT(OWN, 32), .setup = user, CPU(1, 0, 2, 28)),
	K("vmaskmovps 32", k_vmaskmov, AT(OWN, 32), .at = 4, CPU(7, 0, 1, 5)),
	K("vmovups 64", k_vmovups64, AT(OWN, 64), CPU(7, 0, 1, 16)),
	K("vpscatterdd", k_vpscatter, .at = 4, CPU(7, 0, 1, 16)),
	K("movdir64b", k_movdir64b, AT(OWN + 0x40, 64), .setup = aligned64, CPU(7, 0, 2, 28)),
	K("clzero", k_clzero, AT(KINDS_SEALED + 0x1000, 64), .setup = target_in_rax,
	  CPU(0x80000008, 0, 1, 0)),
	K("sgdt", k_sgdt, AT(OWN, 10)),
	K("sgdt, ring 3", k_sgdt, AT(OWN, 10), .setup = user),
	K("sidt", k_sidt, AT(OWN, 10)),
	K("sldt", k_sldt, AT(OWN, 2)),
	K("str", k_str, AT(OWN, 2)),
	K("smsw", k_smsw, AT(OWN, 2)),
	K("fxsave", k_fxsave, AT(OWN, 512)),
	K("fxsave64", k_fxsave64, AT(OWN, 512)),
	K("xsave", k_xsave, AT(OWN, 0), CPU(1, 0, 2, 26)),
	K("xsaveopt", k_xsaveopt, AT(OWN, 0), CPU(13, 1, 0, 0)),
	K("xsavec", k_xsavec, AT(OWN, 0), CPU(13, 1, 0, 1)),
	K("xsaves", k_xsaves, AT(OWN, 0), CPU(13, 1, 0, 3)),
	K("fnstenv", k_fnstenv, AT(OWN, 28)),
	K("fnsave", k_fnsave, AT(OWN, 108)),
	K("fnstcw", k_fnstcw, AT(OWN, 2)),
	K("fnstsw", k_fnstsw, AT(OWN, 2)),
	K("fst", k_fst, AT(OWN, 8)),
	K("fistp", k_fistp, AT(OWN, 8)),
	K("fbstp", k_fbstp, AT(OWN, 10)),
	K("stmxcsr", k_stmxcsr, AT(OWN, 4)),
	K("vstmxcsr", k_vstmxcsr, AT(OWN, 4), CPU(1, 0, 2, 28)),

	K("push", k_push, AT(PUSHED, 8), .setup = stack),
	K("push imm", k_push_imm, AT(PUSHED, 8), .setup = stack),
	K("push mem", k_push_mem, AT(PUSHED, 8), .setup = stack),
	K("push fs", k_push_fs, AT(PUSHED, 8), .setup = stack),
	K("pushf", k_pushf, AT(PUSHED, 8), .setup = stack),
	K("call", k_call, AT(PUSHED, 8), .setup = stack),
	K("call reg", k_call_reg, AT(PUSHED, 8), .setup = stack_call_reg),
	K("call mem", k_call_mem, AT(PUSHED, 8), .setup = stack_call_mem),
	K("enter", k_enter, AT(PUSHED, 8), .setup = stack),
	K("enter, level 1", k_enter1, AT(PUSHED - 8, 16), .setup = stack),
	K("far call", k_lcall, .setup = far_pointer),
	K("far call, its first half", k_lcall, .setup = far_pointer_border),
	K("far call, gate", k_lcall, .setup = far_gate),
	F("far call, gate from ring 3", k_lcall, .setup = far_gate_user),

	F("#UD frame", k_ud2, .setup = same_stack),
	F("int3 frame", k_int3, .setup = same_stack),
	F("int n frame", k_int, .setup = same_stack),
	F("icebp frame", k_icebp, .setup = same_stack),
	F("#DE frame", k_div, .setup = same_stack),
	F("#PF frame", k_pf, .setup = same_stack),
	F("#GP frame", k_gp, .setup = same_stack),
	F("interrupt frame", k_idle, .setup = irq),
	F("NMI frame", k_idle, .setup = nmi),
	F("#UD frame, IST", k_ud2, .setup = ist_stack),
	F("int3 frame, IST", k_int3, .setup = ist_stack),
	F("#PF frame, IST", k_pf, .setup = ist_stack),
	F("#UD frame, RSP0", k_ud2, .setup = rsp0),
	F("int3 frame, RSP0", k_int3, .setup = rsp0),
	F("int n frame, RSP0", k_int, .setup = rsp0),

	K("ltr, busy", k_ltr, .setup = gdt_ltr),
	K("mov ds, accessed", k_mov_ds, .setup = gdt),
	K("lss, accessed", k_lss, .setup = gdt),
	N("iretq, accessed", k_iretq, .setup = gdt_iretq),
	N("page table, accessed", k_load, .setup = table_accessed),
	N("page table, dirty", k_store, .setup = table_dirty),
	K("task switch", k_task, .setup = task),
	G("vmsave", k_vmsave, .setup = svm, CPU(0x80000001, 0, 2, 2)),
	G("vmrun", k_vmrun, .setup = svm, CPU(0x80000001, 0, 2, 2)),
};
const unsigned int kinds_count = sizeof(kinds) / sizeof(kinds[0]);
