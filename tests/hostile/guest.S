/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest of a few instructions for stock QEMU (-M microvm -kernel: an ELF file's PVH entry).
 * What it does is data: a script that the VMM loads at SCRIPT, with page tables and memory beside it
 * (tests/hostile/memory.c).
 */
#include "tests/hostile/guest.h"

	.section .note.pvh, "a", @note
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start

	.text
	.code32
	.globl start
start:
	cli
	mov $SCRIPT, %ebx
	mov GUEST_CR4(%ebx), %eax
	mov %eax, %cr4
	mov GUEST_CR3(%ebx), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx /* EFER */
	rdmsr
	or $0x900, %eax /* LME, NXE */
	wrmsr
	mov %cr0, %eax
	or $0x80010001, %eax /* PG, WP, PE */
	mov %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $long_mode

	.code64
long_mode:
	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stack, %esp
	mov $SCRIPT + GUEST_OPS, %ebx
next:
	mov OP_KIND(%rbx), %rax
	mov OP_A(%rbx), %rdi
	mov OP_B(%rbx), %rsi
	mov OP_C(%rbx), %rcx
	add $OP_SIZE, %rbx
	cmp $OP_PRINT, %rax
	je print
	cmp $OP_WRMSR, %rax
	je write_msr
	cmp $OP_STORE, %rax
	je store
	cmp $OP_COPY, %rax
	je copy
	cmp $OP_GOTO, %rax
	je goto_op
	cmp $OP_TIMES, %rax
	je times
halt:
	hlt
	jmp halt

print:
	lea -OP_SIZE + OP_A(%rbx), %rsi
	mov $0x3f8, %edx
	mov $OP_SIZE - OP_A, %ecx
1:	lodsb
	test %al, %al
	je next
	outb %al, %dx
	loop 1b
	jmp next

write_msr: /* a: index, b: value */
	mov %edi, %ecx
	mov %rsi, %rdx
	shr $32, %rdx
	mov %esi, %eax
	wrmsr
	jmp next

store: /* a: address, b: value */
	movl %esi, (%rdi)
	jmp next

copy: /* a: to, b: from, c: bytes; forwards, so that a range may follow itself */
	shr $3, %rcx
	rep movsq
	jmp next

times: /* a: address, b: where the cycles go, c: how often */
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, %r8
	movl %ecx, (%rdi)
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	sub %r8, %rax
	mov %rax, (%rsi)
	add $8, %rsi
	dec %rcx
	jnz times
	jmp next

goto_op: /* a: number of the operation */
	imul $OP_SIZE, %rdi, %rbx
	add $SCRIPT + GUEST_OPS, %rbx
	jmp next

	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
	.balign 16
	.skip 256
stack:
