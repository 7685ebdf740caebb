// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/descriptor.h"

#include <string.h>

/* arch/x86/include/asm/segment.h, the 64-bit part. */
#define KERNEL_CS 0x10
#define ENTRY_TSS 8
#define ENTRY_LDT 10
#define ENTRY_TLS_MIN 12
#define ENTRY_TLS_MAX 14
#define ENTRY_CPUNODE 15

/* bringup_idt_table has NUM_EXCEPTION_VECTORS gates: arch/x86/kernel/head64.c. */
#define BRINGUP_LIMIT (32 * 16 - 1)

#define TYPE_LDT 0x2
#define TYPE_TSS 0x9
#define TYPE_TSS_BUSY 0xb
#define TYPE_INTERRUPT_GATE 0xe

#define ACCESSED (UINT64_C(1) << 40) /* the CPU sets it: SDM vol. 3A 3.4.5.1 */

static const char *const fault_texts[RF_DESCRIPTOR_FAULTS] = {
	[RF_DESCRIPTOR_LIMIT] = "limit",       [RF_DESCRIPTOR_TARGET] = "target",
	[RF_DESCRIPTOR_SELECTOR] = "selector", [RF_DESCRIPTOR_TYPE] = "type",
	[RF_DESCRIPTOR_DPL] = "dpl",	       [RF_DESCRIPTOR_IST] = "ist",
	[RF_DESCRIPTOR_BASE] = "base",	       [RF_DESCRIPTOR_VALUE] = "value",
};

const char *rf_descriptor_fault_text(enum rf_descriptor_fault fault)
{
	return (unsigned int)fault < RF_DESCRIPTOR_FAULTS ? fault_texts[fault] : "unknown";
}

struct findings {
	struct rf_descriptor_finding *out;
	size_t cap, count;
};

static void found(struct findings *f, size_t index, enum rf_descriptor_fault what, uint64_t value)
{
	if (f->count < f->cap)
		f->out[f->count] = (struct rf_descriptor_finding){ (uint16_t)index, what, value };
	f->count++;
}

static uint64_t read_u64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* Bits of a descriptor's first eight bytes. */
static unsigned int type_of(uint64_t d)
{
	return d >> 40 & 0xf;
}
static bool is_system(uint64_t d)
{
	return !(d >> 44 & 1);
}
static unsigned int dpl_of(uint64_t d)
{
	return d >> 45 & 3;
}
static bool is_present(uint64_t d)
{
	return d >> 47 & 1;
}
static uint64_t base_of(uint64_t d)
{
	return (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24;
}
/* In bytes, the last one included. */
static uint64_t limit_of(uint64_t d)
{
	uint64_t raw = (d & 0xffff) | (d >> 48 & 0xf) << 16;

	return d >> 55 & 1 ? raw << 12 | 0xfff : raw;
}

/* --- IDT ----------------------------------------------------------------------------- */

/* IST_INDEX_* + 1, arch/x86/include/asm/page_64_types.h; def_idts in arch/x86/kernel/idt.c. */
static unsigned int ist_of(unsigned int vector)
{
	switch (vector) {
	case 8: /* #DF */
		return 1;
	case 2: /* NMI */
		return 2;
	case 1: /* #DB */
		return 3;
	case 18: /* #MC */
		return 4;
	case 29: /* #VC */
		return 5;
	default:
		return 0;
	}
}

/* SYSG in arch/x86/kernel/idt.c: int3, into, and the system call of 32-bit programs. */
static bool user_may_call(const struct rf_idt_expect *e, unsigned int vector, uint64_t target)
{
	if (vector == 3 || vector == 4)
		return target == e->exception[vector];
	return vector == 0x80 && target && (target == e->int80[0] || target == e->int80[1]);
}

static bool leads_home(const struct rf_idt_expect *e, unsigned int vector, uint64_t target)
{
	if (!target)
		return false;
	if (vector < 32)
		return target == e->exception[vector] ||
		       (e->early && target == e->early + vector * e->early_stride);
	if (vector == 0x80 && (target == e->int80[0] || target == e->int80[1]))
		return true;
	if (e->first_system &&
	    target == (vector < e->first_system
			       ? e->irq + e->stride * (vector - 32)
			       : e->spurious + e->stride * (vector - e->first_system)))
		return true;
	for (uint32_t i = 0; i < e->sysvec_count; i++)
		if (e->sysvec[i] == target)
			return true;
	return false;
}

static void check_gate(const struct rf_idt_expect *e, unsigned int vector, const uint8_t *gate,
		       struct findings *f)
{
	uint64_t low = read_u64(gate), high = read_u64(gate + 8);
	uint64_t target = (low & 0xffff) | (low >> 48) << 16 | (high & 0xffffffff) << 32;
	unsigned int ist = low >> 32 & 7, want = 0;

	if (!is_present(low))
		return; /* #NP or #GP, whoever asks for it */
	/* Linux has interrupt gates alone: behind a trap gate handlers would run with IF set. */
	if (is_system(low) ? type_of(low) != TYPE_INTERRUPT_GATE : true)
		found(f, vector, RF_DESCRIPTOR_TYPE, low);
	if ((low >> 16 & 0xffff) != KERNEL_CS)
		found(f, vector, RF_DESCRIPTOR_SELECTOR, low >> 16 & 0xffff);
	if (vector < 32 && target == e->exception[vector])
		want = ist_of(vector);
	if (!leads_home(e, vector, target))
		found(f, vector, RF_DESCRIPTOR_TARGET, target);
	else if (ist != want)
		found(f, vector, RF_DESCRIPTOR_IST, ist);
	if (dpl_of(low) && !(dpl_of(low) == 3 && user_may_call(e, vector, target)))
		found(f, vector, RF_DESCRIPTOR_DPL, dpl_of(low));
}

size_t rf_idt_check(const struct rf_idt_expect *e, const uint8_t *bytes, size_t len, uint16_t limit,
		    struct rf_descriptor_finding *out, size_t cap)
{
	struct findings f = { out, cap, 0 };

	if (limit != RF_IDT_SIZE - 1)
		found(&f, 0, RF_DESCRIPTOR_LIMIT, limit);
	if (len > (size_t)limit + 1)
		len = (size_t)limit + 1;
	for (unsigned int v = 0; v < RF_IDT_GATES && (v + 1) * 16 <= len; v++)
		check_gate(e, v, bytes + v * 16, &f);
	return f.count;
}

/* --- GDT ----------------------------------------------------------------------------- */

/* gdt_page, arch/x86/kernel/cpu/common.c. The rest of the first eight is empty. */
static const uint64_t constant[ENTRY_TSS] = {
	[1] = UINT64_C(0x00cf9b000000ffff), /* KERNEL32_CS */
	[2] = UINT64_C(0x00af9b000000ffff), /* KERNEL_CS */
	[3] = UINT64_C(0x00cf93000000ffff), /* KERNEL_DS */
	[4] = UINT64_C(0x00cffb000000ffff), /* DEFAULT_USER32_CS */
	[5] = UINT64_C(0x00cff3000000ffff), /* DEFAULT_USER_DS */
	[6] = UINT64_C(0x00affb000000ffff), /* DEFAULT_USER_CS */
};

/* A TSS or LDT, 16 bytes. All zero: not set up yet, and of no use to anybody. */
static void check_system(const struct rf_tables *t, int cpu, unsigned int index,
			 const uint8_t *bytes, struct findings *f)
{
	uint64_t low = read_u64(bytes), high = read_u64(bytes + 8);
	uint64_t base = base_of(low) | high << 32, limit = limit_of(low);
	unsigned int type = type_of(low);

	if (!low && !high)
		return;
	if (!is_system(low) || !is_present(low) ||
	    (index == ENTRY_LDT ? type != TYPE_LDT : type != TYPE_TSS && type != TYPE_TSS_BUSY))
		found(f, index, RF_DESCRIPTOR_TYPE, low);
	/* The second half alone must be no descriptor: its selector could be used. */
	if (high >> 32)
		found(f, index + 1u, RF_DESCRIPTOR_TYPE, high);
	if (dpl_of(low))
		found(f, index, RF_DESCRIPTOR_DPL, dpl_of(low));
	if (index == ENTRY_TSS) {
		if (cpu >= 0 ? (uint32_t)cpu >= t->cpu_count || t->cpus[cpu].tss != base
			     : rf_tss_cpu(t, base) < 0)
			found(f, index, RF_DESCRIPTOR_BASE, base);
		if (limit > t->tss_limit)
			found(f, index, RF_DESCRIPTOR_LIMIT, limit);
		return;
	}
	if (!(base >> 63))
		found(f, index, RF_DESCRIPTOR_BASE, base);
	if (limit >= RF_TABLE_MAX)
		found(f, index, RF_DESCRIPTOR_LIMIT, limit);
}

/* A user's data segment: fill_ldt() in asm/desc.h, tls_desc_okay() in arch/x86/kernel/tls.c. */
static void check_tls(unsigned int index, uint64_t d, struct findings *f)
{
	if (!d)
		return;
	if (is_system(d) || type_of(d) & 8 || d >> 53 & 1)
		found(f, index, RF_DESCRIPTOR_TYPE, d);
	if (dpl_of(d) != 3)
		found(f, index, RF_DESCRIPTOR_DPL, dpl_of(d));
}

/* setup_getcpu(), arch/x86/kernel/cpu/common.c: a segment of which only the limit is used. */
static void check_cpunode(uint64_t d, struct findings *f)
{
	const uint64_t limit = UINT64_C(0x000f00000000ffff);

	if (d && ((d | ACCESSED) & ~limit) != UINT64_C(0x0040f50000000000))
		found(f, ENTRY_CPUNODE, is_system(d) ? RF_DESCRIPTOR_TYPE : RF_DESCRIPTOR_VALUE, d);
}

static void check_entry(const struct rf_tables *t, int cpu, unsigned int i, const uint8_t *bytes,
			struct findings *f)
{
	uint64_t d = read_u64(bytes), want;

	if (i < ENTRY_TSS) {
		want = constant[i];
		if (d != want && (!want || (d | ACCESSED) != want))
			found(f, i, d && is_system(d) ? RF_DESCRIPTOR_TYPE : RF_DESCRIPTOR_VALUE,
			      d);
	} else if (i == ENTRY_TSS || i == ENTRY_LDT) {
		check_system(t, cpu, i, bytes, f);
	} else if (i >= ENTRY_TLS_MIN && i <= ENTRY_TLS_MAX) {
		check_tls(i, d, f);
	} else if (i == ENTRY_CPUNODE) {
		check_cpunode(d, f);
	}
}

size_t rf_gdt_check(const struct rf_tables *t, int cpu, const uint8_t *bytes, size_t len,
		    uint16_t limit, struct rf_descriptor_finding *out, size_t cap)
{
	struct findings f = { out, cap, 0 };
	unsigned int i;
	uint64_t d;

	if (limit != RF_GDT_SIZE - 1)
		found(&f, 0, RF_DESCRIPTOR_LIMIT, limit);
	if (len > (size_t)limit + 1)
		len = (size_t)limit + 1;
	/* Half of a TSS or LDT at the end of a short table is none: nothing can be loaded there. */
	for (i = 0; i < RF_GDT_ENTRIES && (i + 1) * 8 <= len; i++)
		if ((i != ENTRY_TSS && i != ENTRY_LDT) || (i + 2) * 8 <= len)
			check_entry(t, cpu, i, bytes + i * 8, &f);
	for (; (i + 1) * 8 <= len; i++) {
		d = read_u64(bytes + i * 8);
		if (d)
			found(&f, i, is_system(d) ? RF_DESCRIPTOR_TYPE : RF_DESCRIPTOR_VALUE, d);
	}
	return f.count;
}

/* --- LDT ----------------------------------------------------------------------------- */

size_t rf_ldt_check(const uint8_t *bytes, size_t len, uint16_t limit,
		    struct rf_descriptor_finding *out, size_t cap)
{
	struct findings f = { out, cap, 0 };

	if (((size_t)limit + 1) % 8)
		found(&f, 0, RF_DESCRIPTOR_LIMIT, limit);
	if (len > (size_t)limit + 1)
		len = (size_t)limit + 1;
	for (size_t i = 0; (i + 1) * 8 <= len; i++) {
		uint64_t d = read_u64(bytes + i * 8);

		if (!d)
			continue;
		/* No gate, no 64-bit code, and conforming code only where it cannot be entered. */
		if (is_system(d) || d >> 53 & 1 || (is_present(d) && (type_of(d) & 0xc) == 0xc))
			found(&f, i, RF_DESCRIPTOR_TYPE, d);
		if (dpl_of(d) != 3)
			found(&f, i, RF_DESCRIPTOR_DPL, dpl_of(d));
	}
	return f.count;
}

/* --- registers ----------------------------------------------------------------------- */

enum rf_register_fact rf_idtr_fact(const struct rf_tables *t, uint64_t base, uint16_t limit)
{
	if (!limit)
		return RF_REGISTER_EMPTY; /* native_idt_invalidate(), asm/desc.h */
	if (base == RF_IDT_MAPPED && limit == RF_IDT_SIZE - 1)
		return RF_REGISTER_RUNNING;
	if (base == RF_IDT_MAPPED && limit == 0xffff)
		return RF_REGISTER_VMEXIT;
	if (t->bringup_idt && base == t->bringup_idt && limit == BRINGUP_LIMIT)
		return RF_REGISTER_BRINGUP;
	/* idt_descr, before idt_map_in_cea() gives it the address above. */
	if (t->idt_table && base == t->idt_table && limit == RF_IDT_SIZE - 1)
		return RF_REGISTER_BOOT;
	return RF_REGISTER_FOREIGN;
}

enum rf_register_fact rf_gdtr_fact(const struct rf_tables *t, uint64_t base, uint16_t limit)
{
	int cpu;

	if (!limit)
		return RF_REGISTER_EMPTY; /* native_gdt_invalidate() */
	cpu = rf_gdt_cpu(t, base);
	if (limit == 0xffff && cpu >= 0 && base == t->cpus[cpu].gdt_ro)
		return RF_REGISTER_VMEXIT;
	if (limit != RF_GDT_SIZE - 1)
		return RF_REGISTER_FOREIGN;
	/* load_fixmap_gdt(); load_direct_gdt(), also around ltr in native_load_tr_desc(). */
	if (cpu >= 0)
		return base == t->cpus[cpu].gdt_ro ? RF_REGISTER_RUNNING : RF_REGISTER_BRINGUP;
	return t->boot_gdt && base == t->boot_gdt ? RF_REGISTER_BOOT : RF_REGISTER_FOREIGN;
}

int rf_gdt_cpu(const struct rf_tables *t, uint64_t base)
{
	for (uint32_t i = 0; i < t->cpu_count; i++)
		if (t->cpus[i].gdt_ro == base || t->cpus[i].gdt_rw == base)
			return (int)i;
	return -1;
}

int rf_tss_cpu(const struct rf_tables *t, uint64_t base)
{
	for (uint32_t i = 0; i < t->cpu_count; i++)
		if (t->cpus[i].tss == base)
			return (int)i;
	return -1;
}

enum rf_register_fact rf_ldtr_fact(uint16_t selector)
{
	/* native_set_ldt(), clear_LDT(): asm/desc.h. A null selector of any RPL is no table. */
	return selector == ENTRY_LDT * 8 ? RF_REGISTER_RUNNING
	       : selector < 4		 ? RF_REGISTER_EMPTY
					 : RF_REGISTER_FOREIGN;
}

enum rf_register_fact rf_tr_fact(uint16_t selector)
{
	return selector == ENTRY_TSS * 8 ? RF_REGISTER_RUNNING
	       : selector < 4		 ? RF_REGISTER_EMPTY
					 : RF_REGISTER_FOREIGN;
}
