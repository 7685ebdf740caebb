// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processor's own stores: the stack pointer is led into a sealed page, and the frame of an
 * exception goes there. Where that is refused no exception can be delivered but by way of a stack
 * of its own, and Linux ends with a double fault: what was to happen is said before.
 */
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <linux/irqflags.h>
#include <linux/linkage.h>
#include <linux/mm.h>
#include <linux/objtool.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "attacks.h"

/* The handler runs on it as well where the frame lands. */
#define PAGES 4
#define SIZE (PAGES * PAGE_SIZE)

/* An invalid instruction on that stack, and back behind it. */
void rf_fault_on(void *stack);
asm("	.pushsection .text\n"
    "	.globl rf_fault_on\n"
    "	.type rf_fault_on, @function\n"
    "rf_fault_on:\n"
    "	pushq %rbx\n"
    "	movq %rsp, %rbx\n"
    "	movq %rdi, %rsp\n"
    "1:	ud2\n"
    "2:	movq %rbx, %rsp\n"
    "	popq %rbx\n"
    "	" ASM_RET
    "	.size rf_fault_on, . - rf_fault_on\n" _ASM_EXTABLE(1b, 2b) "	.popsection\n");
STACK_FRAME_NON_STANDARD(rf_fault_on);

void attack_stack_in_sealed(struct rf_report *r)
{
	u8 *at = rf_quiet_page(r), *before;
	struct page *pages[PAGES];
	unsigned long flags;
	void *map;

	if (!at || !rf_aim_at(r, "__start_BTF", at + SIZE - RF_LONGEST, RF_LONGEST))
		return;
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = rf_page(at + i * PAGE_SIZE);
	before = kmemdup(at, SIZE, GFP_KERNEL);
	map = vmap(pages, PAGES, VM_MAP, PAGE_KERNEL);
	if (!before || !map) {
		kfree(before);
		return rf_skip(r, "no memory");
	}
	rf_announce();
	local_irq_save(flags);
	rf_fault_on(map + SIZE);
	local_irq_restore(flags);
	rf_judge(r, true);
	if (r->outcome == RF_LANDED)
		r->detail[0] = '\0'; /* the fault was the attacker's own */
	if (memcmp(at, before, SIZE))
		memcpy(map, before, SIZE);
	vunmap(map);
	kfree(before);
}
