// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * ELF notes: the processors' registers.
 *
 * - "QEMU", type 0: struct QEMUCPUState, QEMU's target/i386/arch_dump.c
 * - "CORE", NT_PRSTATUS: struct elf_prstatus of x86-64, include/linux/elfcore.h
 * - "VBCPU": DBGFCORECPU, VirtualBox's include/VBox/vmm/dbgfcorefmt.h
 *
 * The n-th note of a kind is the n-th processor's. No kind is there in part, but QEMU's may be
 * without its last member.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/dump/impl.h"

#define NOTES_MAX 65536u /* three for each processor, and what else there may be */
#define NAME_MAX_LEN 16u
#define DESC_MAX 544u /* of what is read of a note */

#define PRSTATUS_SIZE 336u
#define PRSTATUS_RIP 240u

#define QEMU_VERSION 1u
#define QEMU_RIP 136u
#define QEMU_GS_BASE 264u
#define QEMU_IDT_BASE 384u
#define QEMU_CR0 392u
#define QEMU_CR3 416u
#define QEMU_CR4 424u
#define QEMU_KERNEL_GS 432u /* since QEMU 3.0 */

#define VBOX_RIP 112u
#define VBOX_GS_BASE 240u
#define VBOX_CR0 288u
#define VBOX_CR3 304u
#define VBOX_CR4 312u
#define VBOX_IDT_BASE 400u
#define VBOX_KERNEL_GS 536u

struct note {
	char name[NAME_MAX_LEN]; /* "" when it is longer */
	uint32_t type;
	uint64_t at, size; /* of what it says */
};

/* NULL: no memory, or more processors than there can be. */
static struct rf_dump_cpu *cpu_at(struct rf_dump *d, size_t i)
{
	size_t cap = d->cpu_cap ? d->cpu_cap * 2 : 16;
	struct rf_dump_cpu *more;

	if (i >= RF_DUMP_CPUS_MAX)
		return NULL;
	if (i >= d->cpu_cap) {
		more = reallocarray(d->cpus, cap, sizeof(*more));
		if (!more)
			return NULL;
		d->cpus = more;
		d->cpu_cap = cap;
	}
	if (i == d->cpu_count)
		d->cpus[d->cpu_count++] = (struct rf_dump_cpu){ 0 };
	return &d->cpus[i];
}

static uint64_t u64(const uint8_t *desc, size_t at)
{
	uint64_t v;

	memcpy(&v, desc + at, sizeof(v));
	return v;
}

static void take_status(struct rf_dump *d, const uint8_t *desc)
{
	struct rf_dump_cpu *cpu = cpu_at(d, d->seen_status++);

	if (!cpu || cpu->known & RF_DUMP_CPU_RIP)
		return;
	cpu->known |= RF_DUMP_CPU_RIP;
	cpu->rip = u64(desc, PRSTATUS_RIP);
}

static void take_qemu(struct rf_dump *d, const uint8_t *desc, uint64_t size)
{
	struct rf_dump_cpu *cpu = cpu_at(d, d->seen_system++);

	if (!cpu)
		return;
	cpu->known |= RF_DUMP_CPU_RIP | RF_DUMP_CPU_SYSTEM;
	cpu->rip = u64(desc, QEMU_RIP);
	cpu->cr0 = u64(desc, QEMU_CR0);
	cpu->cr3 = u64(desc, QEMU_CR3);
	cpu->cr4 = u64(desc, QEMU_CR4);
	cpu->gs_base = u64(desc, QEMU_GS_BASE);
	cpu->idt_base = u64(desc, QEMU_IDT_BASE);
	if (size < QEMU_KERNEL_GS + sizeof(uint64_t))
		return;
	cpu->known |= RF_DUMP_CPU_KERNEL_GS;
	cpu->kernel_gs_base = u64(desc, QEMU_KERNEL_GS);
}

static void take_vbox(struct rf_dump *d, const uint8_t *desc)
{
	struct rf_dump_cpu *cpu = cpu_at(d, d->seen_system++);

	if (!cpu)
		return;
	*cpu = (struct rf_dump_cpu){
		.known = RF_DUMP_CPU_RIP | RF_DUMP_CPU_SYSTEM | RF_DUMP_CPU_KERNEL_GS,
		.rip = u64(desc, VBOX_RIP),
		.cr0 = u64(desc, VBOX_CR0),
		.cr3 = u64(desc, VBOX_CR3),
		.cr4 = u64(desc, VBOX_CR4),
		.gs_base = u64(desc, VBOX_GS_BASE),
		.idt_base = u64(desc, VBOX_IDT_BASE),
		.kernel_gs_base = u64(desc, VBOX_KERNEL_GS),
	};
}

static int take(struct rf_dump *d, const struct note *n, const struct rf_dump_why *why)
{
	uint8_t desc[DESC_MAX] = { 0 };
	uint32_t version;

	if (rf_dump_file_read(&d->file, n->at, desc, n->size < DESC_MAX ? n->size : DESC_MAX))
		return rf_dump_fail(why, -EFAULT, "a note at %llu cannot be read",
				    (unsigned long long)n->at);
	memcpy(&version, desc, sizeof(version));
	if (!strcmp(n->name, "CORE") && n->type == NT_PRSTATUS && n->size == PRSTATUS_SIZE)
		take_status(d, desc);
	else if (!strcmp(n->name, "QEMU") && !n->type && n->size >= QEMU_KERNEL_GS &&
		 version == QEMU_VERSION)
		take_qemu(d, desc, n->size);
	else if (!strcmp(n->name, "VBCPU") && n->size >= DESC_MAX)
		take_vbox(d, desc);
	return 0;
}

/* The note in [*at, end), and *at behind it. -ENOENT: there is none any more. */
static int next_note(struct rf_dump *d, uint64_t *at, uint64_t end, struct note *out)
{
	uint64_t name, desc, name_size, desc_size;
	Elf64_Nhdr h;

	if (end - *at < sizeof(h))
		return -ENOENT;
	if (rf_dump_file_read(&d->file, *at, &h, sizeof(h)))
		return -EFAULT;
	/* The kernel ends its own lists so: final_note() in kernel/crash_core.c. */
	if (!h.n_namesz)
		return -ENOENT;
	name = *at + sizeof(h);
	name_size = ((uint64_t)h.n_namesz + 3) & ~UINT64_C(3);
	desc = name + name_size;
	desc_size = ((uint64_t)h.n_descsz + 3) & ~UINT64_C(3);
	if (name_size > end - name || h.n_descsz > end - desc)
		return -EBADMSG;
	*out = (struct note){ .type = h.n_type, .at = desc, .size = h.n_descsz };
	if (h.n_namesz < NAME_MAX_LEN && rf_dump_file_read(&d->file, name, out->name, h.n_namesz))
		return -EFAULT;
	*at = desc_size > end - desc ? end : desc + desc_size;
	return 0;
}

int rf_dump_notes(struct rf_dump *d, uint64_t at, uint64_t size, const struct rf_dump_why *why)
{
	uint64_t end = at + size;
	struct note n;
	int r;

	if (!rf_within(at, size, 0, d->file.size))
		return rf_dump_fail(why, -EBADMSG, "notes outside of the file");
	for (;;) {
		r = next_note(d, &at, end, &n);
		if (r == -ENOENT)
			return 0;
		if (!r && d->seen_notes++ == NOTES_MAX)
			r = -EBADMSG;
		if (r)
			return rf_dump_fail(why, r, "malformed notes at %llu",
					    (unsigned long long)at);
		r = take(d, &n, why);
		if (r)
			return r;
	}
}
