// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a kernel's tables lie and what its gates lead to, by its own symbols and types. */
#include "introspection/x86/descriptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* CPU_ENTRY_AREA_PER_CPU: the page behind the read-only IDT (asm/cpu_entry_area.h). */
#define ENTRY_AREA UINT64_C(0xfffffe0000001000)

static uint64_t address_of(const struct rf_kernel *k, const char *name)
{
	struct rf_symbol s;

	return rf_kernel_symbol(k, name, &s) ? 0 : s.addr.v;
}

/* Distance to the next symbol: what lies between two arrays of the same file. 0 when unknown. */
static uint64_t size_at(const struct rf_kernel *k, uint64_t addr)
{
	struct rf_symbol s;
	rf_gva end;

	return rf_kernel_symbol_extent(k, rf_gva_of(addr), &s, &end) ? 0 : end.v - addr;
}

/* arch/x86/include/asm/idtentry.h; a kernel that lacks one never fills the gate. */
static const char *const exceptions[32] = {
	[0] = "asm_exc_divide_error",
	[1] = "asm_exc_debug",
	[2] = "asm_exc_nmi",
	[3] = "asm_exc_int3",
	[4] = "asm_exc_overflow",
	[5] = "asm_exc_bounds",
	[6] = "asm_exc_invalid_op",
	[7] = "asm_exc_device_not_available",
	[8] = "asm_exc_double_fault",
	[9] = "asm_exc_coproc_segment_overrun",
	[10] = "asm_exc_invalid_tss",
	[11] = "asm_exc_segment_not_present",
	[12] = "asm_exc_stack_segment",
	[13] = "asm_exc_general_protection",
	[14] = "asm_exc_page_fault",
	[15] = "asm_exc_spurious_interrupt_bug",
	[16] = "asm_exc_coprocessor_error",
	[17] = "asm_exc_alignment_check",
	[18] = "asm_exc_machine_check",
	[19] = "asm_exc_simd_coprocessor_error",
	[20] = "asm_exc_virtualization_exception",
	[21] = "asm_exc_control_protection",
	[29] = "asm_exc_vmm_communication",
};

/*
 * irq_entries_start holds a stub for each vector from 32 to FIRST_SYSTEM_VECTOR - 1,
 * spurious_entries_start one for each above; IDT_ALIGN is 8, or 16 with branch tracking
 * (asm/idtentry.h). Between 160 and 223 stubs lie in the first: that tells which.
 */
static void find_stubs(const struct rf_kernel *k, struct rf_idt_expect *e)
{
	uint64_t irq = address_of(k, "irq_entries_start");
	uint64_t spurious = address_of(k, "spurious_entries_start");

	if (!irq || spurious <= irq)
		return;
	for (uint64_t stride = 8; stride <= 32; stride *= 2) {
		uint64_t stubs = (spurious - irq) / stride;

		if (stubs < 160 || stubs > 223)
			continue;
		e->irq = irq;
		e->spurious = spurious;
		e->stride = stride;
		e->first_system = 32 + (uint32_t)stubs;
	}
}

static void find_sysvecs(const struct rf_kernel *k, struct rf_idt_expect *e)
{
	static const char prefix[] = "asm_sysvec_";
	size_t n = rf_kernel_symbol_count(k);

	for (size_t i = 0; i < n && e->sysvec_count < RF_IDT_SYSVECS; i++) {
		struct rf_symbol s;

		rf_kernel_symbol_at(k, i, &s);
		if ((s.type == 'T' || s.type == 't') &&
		    !strncmp(s.name, prefix, sizeof(prefix) - 1))
			e->sysvec[e->sysvec_count++] = s.addr.v;
	}
}

int rf_idt_expect_init(const struct rf_kernel *k, struct rf_idt_expect *out)
{
	struct rf_idt_expect e = { 0 };

	for (unsigned int v = 0; v < 32; v++)
		if (exceptions[v])
			e.exception[v] = address_of(k, exceptions[v]);
	if (!e.exception[3] || !e.exception[13] || !e.exception[14])
		return -ENOENT;
	e.early = address_of(k, "early_idt_handler_array");
	e.early_stride = e.early ? size_at(k, e.early) / 32 : 0;
	if (!e.early_stride)
		e.early = 0;
	find_stubs(k, &e);
	find_sysvecs(k, &e);
	e.int80[0] = address_of(k, "asm_int80_emulation");
	e.int80[1] = address_of(k, "entry_INT80_compat");
	*out = e;
	return 0;
}

struct areas {
	uint64_t offsets; /* __per_cpu_offset */
	uint64_t gdt,
		slot; /* in the per-CPU area: gdt_page, _cea_offset; slot 0: the CPU's number */
	uint64_t area_size, area_gdt, area_tss; /* of struct cpu_entry_area */
};

static int find_areas(const struct rf_kernel *k, struct areas *a)
{
	struct rf_member gdt, tss;
	struct rf_symbol s;

	a->offsets = address_of(k, "__per_cpu_offset");
	if (!a->offsets || rf_kernel_symbol(k, "gdt_page", &s))
		return -ENOENT;
	a->gdt = s.addr.v;
	/* Since 6.2 entry areas lie at random, where this says: arch/x86/mm/cpu_entry_area.c. */
	a->slot = address_of(k, "_cea_offset");
	if (rf_kernel_sizeof(k, "cpu_entry_area", &a->area_size) ||
	    rf_kernel_member(k, "cpu_entry_area", "gdt", &gdt) ||
	    rf_kernel_member(k, "cpu_entry_area", "tss", &tss))
		return -ENOENT;
	a->area_gdt = gdt.offset;
	a->area_tss = tss.offset;
	return 0;
}

static int find_cpu(const struct rf_memory *m, const struct rf_paging *p, const struct areas *a,
		    uint32_t cpu, struct rf_cpu_tables *out)
{
	uint64_t base, slot = cpu, area;
	int r = rf_pt_read(m, p, rf_gva_of(a->offsets + cpu * 8ull), &base, sizeof(base));

	if (!r && a->slot)
		r = rf_pt_read(m, p, rf_gva_of(base + a->slot), &slot, sizeof(slot));
	if (r)
		return r;
	area = ENTRY_AREA + slot * a->area_size;
	*out = (struct rf_cpu_tables){ base + a->gdt, area + a->area_gdt, area + a->area_tss };
	return 0;
}

/* __KERNEL_TSS_LIMIT, asm/processor.h: to the end of the second bitmap, when there are any. */
static int find_tss_limit(const struct rf_kernel *k, uint32_t *out)
{
	struct rf_member tss, map;

	if (rf_kernel_member(k, "tss_struct", "x86_tss", &tss))
		return -ENOENT;
	if (rf_kernel_member(k, "tss_struct", "io_bitmap.mapall", &map))
		map = tss;
	*out = (uint32_t)(map.offset + map.size - tss.offset - 1);
	return 0;
}

int rf_tables_init(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   struct rf_tables *out)
{
	struct rf_tables t = { 0 };
	uint64_t room, load;
	struct areas a;
	rf_gva count;
	int r;

	if (rf_kernel_address(k, "nr_cpu_ids", &count))
		return -ENOENT;
	r = rf_idt_expect_init(k, &t.idt);
	if (!r)
		r = find_areas(k, &a);
	if (!r)
		r = find_tss_limit(k, &t.tss_limit);
	if (!r)
		r = rf_pt_read(m, p, count, &t.cpu_count, sizeof(t.cpu_count));
	if (r)
		return r;
	room = size_at(k, a.offsets) / 8;
	if (!t.cpu_count || t.cpu_count > RF_CPUS_MAX || t.cpu_count > room)
		return -EBADMSG;
	t.cpus = calloc(t.cpu_count, sizeof(*t.cpus));
	if (!t.cpus)
		return -ENOMEM;
	for (uint32_t i = 0; !r && i < t.cpu_count; i++)
		r = find_cpu(m, p, &a, i, &t.cpus[i]);
	if (r) {
		rf_tables_deinit(&t);
		return r;
	}
	t.idt_table = address_of(k, "idt_table");
	/* Since 6.16 arch/x86/boot/startup/Makefile gives all names of what it builds a prefix. */
	t.bringup_idt = address_of(k, "bringup_idt_table");
	if (!t.bringup_idt)
		t.bringup_idt = address_of(k, "__pi_bringup_idt_table");
	load = address_of(k, "__per_cpu_load");
	t.boot_gdt = load ? load + a.gdt : 0;
	*out = t;
	return 0;
}

void rf_tables_deinit(struct rf_tables *t)
{
	free(t->cpus);
	*t = (struct rf_tables){ 0 };
}
