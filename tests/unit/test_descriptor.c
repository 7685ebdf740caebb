// SPDX-License-Identifier: LGPL-2.1-or-later
/* Descriptor tables: those of Linux pass, each forgery is found, each register is told apart. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/x86/descriptor.h"
#include "tests/unit/fake_guest.h"

#define IMAGE UINT64_C(0xffffffff81000000)
#define ENTRY (IMAGE + 0x1000) /* asm_exc_* and the like, 0x20 apart */
#define IRQ (IMAGE + 0x2000)
#define SPURIOUS (IRQ + 204 * 8)
#define EARLY (IMAGE + 0x3000)
#define OFFSETS (IMAGE + 0x4000)
#define IDT_TABLE (IMAGE + 0x5000)
#define BRINGUP (IMAGE + 0x6000)
#define NR_CPUS (IMAGE + 0x7000)
#define PERCPU_LOAD (IMAGE + 0x8000)
#define IMAGE_SIZE 0x9000
#define RO_IDT UINT64_C(0xfffffe0000000000)
#define AREA (RO_IDT + 0x1000)
#define AREA_SIZE 0x3b000
#define PERCPU(cpu) (UINT64_C(0xffff888007c00000) + (cpu)*UINT64_C(0x10000))
#define GDT_PAGE 0xb000
#define CEA_OFFSET 0x19a30
#define CPUS 2

static const char *const handlers[] = {
	"asm_exc_divide_error",
	"asm_exc_debug",
	"asm_exc_nmi",
	"asm_exc_int3",
	"asm_exc_overflow",
	"asm_exc_bounds",
	"asm_exc_invalid_op",
	"asm_exc_device_not_available",
	"asm_exc_double_fault",
	"asm_exc_coproc_segment_overrun",
	"asm_exc_invalid_tss",
	"asm_exc_segment_not_present",
	"asm_exc_stack_segment",
	"asm_exc_general_protection",
	"asm_exc_page_fault",
	"asm_exc_spurious_interrupt_bug",
	"asm_exc_coprocessor_error",
	"asm_exc_alignment_check",
	"asm_exc_machine_check",
	"asm_exc_simd_coprocessor_error",
};
#define HANDLERS 20u /* and #VC, below */
#define VC (ENTRY + 29 * 0x20)
#define SYSVEC (ENTRY + 0x600)
#define INT80 (ENTRY + 0x700)

struct fix {
	struct fake_guest g;
	struct rf_tables t;
	uint8_t idt[RF_IDT_SIZE], gdt[RF_TABLE_MAX];
	struct rf_descriptor_finding found[64];
	size_t count;
};

/* --- a kernel --------------------------------------------------------------------------- */

static void make_kernel(struct fix *f, bool random_areas)
{
	struct fake_guest *g = &f->g;

	fake_init(g);
	g->k.image = (struct rf_image){ rf_gva_of(IMAGE), rf_gpa_of(0x1000), IMAGE_SIZE };
	fake_map(g, IMAGE, 0x1000, IMAGE_SIZE / 4096);
	for (unsigned int cpu = 0; cpu < CPUS; cpu++) {
		fake_map(g, PERCPU(cpu) + 0x19000, 0xc000 + cpu * 0x1000, 1);
		fake_put64(g, OFFSETS + cpu * 8, PERCPU(cpu));
		fake_put64(g, PERCPU(cpu) + CEA_OFFSET, 7 + cpu * 1000);
	}
	for (unsigned int v = 0; v < HANDLERS; v++)
		fake_symbol(g, handlers[v], ENTRY + v * 0x20, 'T');
	fake_symbol(g, "asm_exc_vmm_communication", VC, 'T');
	fake_symbol(g, "asm_sysvec_reboot", SYSVEC, 'T');
	fake_symbol(g, "asm_int80_emulation", INT80, 'T');
	fake_symbol(g, "irq_entries_start", IRQ, 'T');
	fake_symbol(g, "spurious_entries_start", SPURIOUS, 'T');
	fake_symbol(g, "early_idt_handler_array", EARLY, 'T');
	fake_symbol(g, "early_idt_handler_common", EARLY + 9 * 32, 't');
	fake_symbol(g, "__per_cpu_offset", OFFSETS, 'D');
	fake_symbol(g, "idt_table", IDT_TABLE, 'b');
	/* Of the two kernels the newer. */
	fake_symbol(g, random_areas ? "__pi_bringup_idt_table" : "bringup_idt_table", BRINGUP, 'd');
	fake_symbol(g, "nr_cpu_ids", NR_CPUS, 'D');
	fake_symbol(g, "__per_cpu_load", PERCPU_LOAD, 'D');
	fake_symbol(g, "gdt_page", GDT_PAGE, 'A');
	if (random_areas)
		fake_symbol(g, "_cea_offset", CEA_OFFSET, 'A');
	fake_put64(g, NR_CPUS, CPUS);
	fake_member(g, "cpu_entry_area", NULL, 0, AREA_SIZE);
	fake_member(g, "cpu_entry_area", "gdt", 0, 4096);
	fake_member(g, "cpu_entry_area", "tss", 0x2000, 0x5000);
	fake_member(g, "tss_struct", "x86_tss", 0, 104);
	fake_member(g, "tss_struct", "io_bitmap.mapall", 8320, 8200);
}

static void gate(struct fix *f, unsigned int v, uint64_t target, unsigned int ist,
		 unsigned int type, unsigned int dpl)
{
	uint64_t low = (target & 0xffff) | UINT64_C(0x10) << 16 | (uint64_t)ist << 32 |
		       (uint64_t)type << 40 | (uint64_t)dpl << 45 | UINT64_C(1) << 47 |
		       (target >> 16 & 0xffff) << 48;
	uint64_t high = target >> 32;

	memcpy(f->idt + v * 16, &low, 8);
	memcpy(f->idt + v * 16 + 8, &high, 8);
}

/* As idt.c fills it: early handlers, then exceptions, system vectors, stubs. */
static void make_idt(struct fix *f)
{
	static const uint8_t ist[32] = { [1] = 3, [2] = 2, [8] = 1, [18] = 4 };

	for (unsigned int v = 0; v < 32; v++)
		gate(f, v, EARLY + v * 9, 0, 0xe, 0);
	for (unsigned int v = 0; v < HANDLERS; v++)
		gate(f, v, ENTRY + v * 0x20, ist[v], 0xe, v == 3 || v == 4 ? 3 : 0);
	gate(f, 29, VC, 5, 0xe, 0);
	for (unsigned int v = 32; v < 256; v++)
		gate(f, v, v < 236 ? IRQ + (v - 32) * 8 : SPURIOUS + (v - 236) * 8, 0, 0xe, 0);
	gate(f, 0x80, INT80, 0, 0xe, 3);
	gate(f, 248, SYSVEC, 0, 0xe, 0);
}

static void put_gdt(struct fix *f, unsigned int index, uint64_t d)
{
	memcpy(f->gdt + index * 8, &d, 8);
}

static void put_system(struct fix *f, unsigned int index, uint64_t base, uint64_t limit,
		       unsigned int type)
{
	put_gdt(f, index,
		(limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)type << 40 |
			UINT64_C(1) << 47 | (limit >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56);
	put_gdt(f, index + 1, base >> 32);
}

static void make_gdt(struct fix *f)
{
	put_gdt(f, 1, UINT64_C(0x00cf9b000000ffff));
	put_gdt(f, 2, UINT64_C(0x00af9b000000ffff));
	put_gdt(f, 3, UINT64_C(0x00cf93000000ffff));
	put_gdt(f, 4, UINT64_C(0x00cffb000000ffff));
	put_gdt(f, 5, UINT64_C(0x00cff3000000ffff));
	put_gdt(f, 6, UINT64_C(0x00affb000000ffff));
	put_system(f, 8, f->t.cpus[0].tss, 0x4087, 0xb);
	put_gdt(f, 12, UINT64_C(0xf7dff3c0a700ffff)); /* a 32-bit program's TLS */
	put_gdt(f, 15, UINT64_C(0x0042f50000003001)); /* CPU 1 of some node */
}

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	make_kernel(&f, true);
	if (rf_tables_init(&f.g.k, &f.g.m, &f.g.p, &f.t))
		return -1;
	make_idt(&f);
	make_gdt(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	rf_tables_deinit(&f->t);
	rf_tables_deinit(&f->t);
	return 0;
}

static size_t check_idt(struct fix *f)
{
	return f->count = rf_idt_check(&f->t.idt, f->idt, sizeof(f->idt), RF_IDT_SIZE - 1, f->found,
				       64);
}

static size_t check_gdt(struct fix *f)
{
	return f->count =
		       rf_gdt_check(&f->t, 0, f->gdt, RF_GDT_SIZE, RF_GDT_SIZE - 1, f->found, 64);
}

/* Exactly one finding. */
static void one(struct fix *f, unsigned int index, enum rf_descriptor_fault what, uint64_t value)
{
	if (f->count != 1 || f->found[0].index != index || f->found[0].what != what ||
	    f->found[0].value != value)
		fail_msg("%zu findings, first %s at %u: %#llx", f->count,
			 f->count ? rf_descriptor_fault_text(f->found[0].what) : "-",
			 f->found[0].index, (unsigned long long)f->found[0].value);
}

/* --- what is expected -------------------------------------------------------------------- */

static void the_kernel_is_understood(void **state)
{
	struct fix *f = *state;

	assert_int_equal(f->t.idt.first_system, 236);
	assert_int_equal(f->t.idt.stride, 8);
	assert_int_equal(f->t.idt.early_stride, 9);
	assert_int_equal(f->t.idt.sysvec_count, 1);
	assert_int_equal(f->t.cpu_count, CPUS);
	assert_int_equal(f->t.tss_limit, 0x4087);
	assert_int_equal(f->t.cpus[1].gdt_rw, PERCPU(1) + GDT_PAGE);
	assert_int_equal(f->t.cpus[1].gdt_ro, AREA + UINT64_C(1007) * AREA_SIZE);
	assert_int_equal(f->t.bringup_idt, BRINGUP);
	assert_int_equal(f->t.cpus[1].tss, AREA + UINT64_C(1007) * AREA_SIZE + 0x2000);
	/* 6.1 has them in order. */
	rf_tables_deinit(&f->t);
	make_kernel(f, false);
	assert_int_equal(rf_tables_init(&f->g.k, &f->g.m, &f->g.p, &f->t), 0);
	assert_int_equal(f->t.cpus[0].gdt_ro, AREA);
	assert_int_equal(f->t.cpus[1].gdt_ro, AREA + AREA_SIZE);
	assert_int_equal(f->t.bringup_idt, BRINGUP);
}

static void remove_symbol(struct fix *f, const char *name)
{
	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, name))
			f->g.k.syms[i].name = "gone";
}

static void other_kernels_are_refused(void **state)
{
	static const char *const needed[] = { "__per_cpu_offset", "gdt_page", "nr_cpu_ids",
					      "asm_exc_page_fault" };
	struct fix *f = *state;
	struct rf_tables t = { .cpu_count = 77 };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		make_kernel(f, true);
		remove_symbol(f, needed[i]);
		assert_int_equal(rf_tables_init(&f->g.k, &f->g.m, &f->g.p, &t), -ENOENT);
	}
	make_kernel(f, true);
	f->g.k.members_count = 0; /* no types */
	assert_int_equal(rf_tables_init(&f->g.k, &f->g.m, &f->g.p, &t), -ENOENT);
	for (uint64_t n = 0; n < 3; n++) {
		static const uint64_t bad[] = { 0, RF_CPUS_MAX + 1, 0x1000 / 8 + 1 };

		make_kernel(f, true);
		fake_put64(&f->g, NR_CPUS, bad[n]);
		assert_int_equal(rf_tables_init(&f->g.k, &f->g.m, &f->g.p, &t), -EBADMSG);
	}
	make_kernel(f, true);
	fake_put64(&f->g, OFFSETS + 8, UINT64_C(0xffff888000000000)); /* leads nowhere */
	assert_int_equal(rf_tables_init(&f->g.k, &f->g.m, &f->g.p, &t), -ENOENT);
	assert_int_equal(t.cpu_count, 77);
}

/* --- IDT ------------------------------------------------------------------------------------ */

static void linux_idt_passes(void **state)
{
	struct fix *f = *state;

	assert_int_equal(check_idt(f), 0);
	memset(f->idt + 50 * 16, 0, 16); /* a gate that is not present leads nowhere */
	assert_int_equal(check_idt(f), 0);
	gate(f, 0x80, IRQ + (0x80 - 32) * 8, 0, 0xe, 0); /* ia32_emulation=off */
	assert_int_equal(check_idt(f), 0);
}

static void forged_gates_are_found(void **state)
{
	static const uint64_t module = UINT64_C(0xffffffffc0200000);
	struct fix *f = *state;

	for (unsigned int v = 0; v < 256; v++) {
		make_idt(f);
		gate(f, v, module, 0, 0xe, 0);
		check_idt(f);
		one(f, v, RF_DESCRIPTOR_TARGET, module);
	}
	make_idt(f);
	gate(f, 14, ENTRY + 13 * 0x20, 0, 0xe, 0); /* another vector's handler */
	check_idt(f);
	one(f, 14, RF_DESCRIPTOR_TARGET, ENTRY + 13 * 0x20);
	make_idt(f);
	gate(f, 40, IRQ + 7 * 8, 0, 0xe, 0); /* another vector's stub */
	check_idt(f);
	one(f, 40, RF_DESCRIPTOR_TARGET, IRQ + 7 * 8);
	make_idt(f);
	gate(f, 14, ENTRY + 14 * 0x20 + 4, 0, 0xe, 0); /* behind what the handler does first */
	check_idt(f);
	one(f, 14, RF_DESCRIPTOR_TARGET, ENTRY + 14 * 0x20 + 4);
	make_idt(f);
	gate(f, 200, 0, 0, 0xe, 0);
	check_idt(f);
	one(f, 200, RF_DESCRIPTOR_TARGET, 0);
}

static void forged_attributes_are_found(void **state)
{
	struct fix *f = *state;
	uint64_t low;

	for (unsigned int v = 0; v < 256; v++) {
		if (v == 3 || v == 4 || v == 0x80)
			continue;
		make_idt(f);
		f->idt[v * 16 + 5] |= 0x60; /* user mode may raise it */
		check_idt(f);
		one(f, v, RF_DESCRIPTOR_DPL, 3);
	}
	make_idt(f);
	gate(f, 3, ENTRY + 3 * 0x20, 0, 0xe, 1);
	check_idt(f);
	one(f, 3, RF_DESCRIPTOR_DPL, 1);
	make_idt(f);
	gate(f, 0x80, IRQ + (0x80 - 32) * 8, 0, 0xe, 3); /* 0x80 for users, not to its handler */
	check_idt(f);
	one(f, 0x80, RF_DESCRIPTOR_DPL, 3);
	for (unsigned int type = 0; type < 16; type++) {
		if (type == 0xe)
			continue;
		make_idt(f);
		gate(f, 14, ENTRY + 14 * 0x20, 0, type, 0);
		memcpy(&low, f->idt + 14 * 16, 8);
		check_idt(f);
		one(f, 14, RF_DESCRIPTOR_TYPE, low);
	}
	make_idt(f);
	f->idt[14 * 16 + 2] = 0x33; /* __USER_CS */
	check_idt(f);
	one(f, 14, RF_DESCRIPTOR_SELECTOR, 0x33);
	make_idt(f);
	gate(f, 14, ENTRY + 14 * 0x20, 7, 0xe, 0);
	check_idt(f);
	one(f, 14, RF_DESCRIPTOR_IST, 7);
	make_idt(f);
	gate(f, 2, ENTRY + 2 * 0x20, 0, 0xe, 0); /* an NMI on whatever stack user mode left */
	check_idt(f);
	one(f, 2, RF_DESCRIPTOR_IST, 0);
}

static void short_and_long_idts(void **state)
{
	struct fix *f = *state;

	f->count = rf_idt_check(&f->t.idt, f->idt, 4095, 4094, f->found, 64);
	one(f, 0, RF_DESCRIPTOR_LIMIT, 4094);
	f->count = rf_idt_check(&f->t.idt, f->idt, sizeof(f->idt), 65535, f->found, 64);
	one(f, 0, RF_DESCRIPTOR_LIMIT, 65535);
	f->count = rf_idt_check(&f->t.idt, NULL, 0, 0, f->found, 64);
	one(f, 0, RF_DESCRIPTOR_LIMIT, 0);
	/* All wrong, more than fit. */
	memset(f->idt, 0xff, sizeof(f->idt));
	memset(f->found, 0, sizeof(f->found));
	assert_true(rf_idt_check(&f->t.idt, f->idt, sizeof(f->idt), RF_IDT_SIZE - 1, f->found, 3) >=
		    256 * 3);
	assert_int_equal(f->found[3].value, 0);
	assert_true(rf_idt_check(&f->t.idt, f->idt, sizeof(f->idt), RF_IDT_SIZE - 1, NULL, 0) >=
		    256 * 3);
}

/* --- GDT -------------------------------------------------------------------------------------- */

static void linux_gdt_passes(void **state)
{
	struct fix *f = *state;

	assert_int_equal(check_gdt(f), 0);
	put_gdt(f, 2, UINT64_C(0x00af9a000000ffff)); /* not accessed yet */
	put_system(f, 8, f->t.cpus[0].tss, 0x67, 9);
	put_system(f, 10, UINT64_C(0xffff880000000000), 8191, 2);
	assert_int_equal(check_gdt(f), 0);
	memset(f->gdt + 8 * 8, 0, 8 * 8); /* a CPU that was never up */
	assert_int_equal(check_gdt(f), 0);
}

static void call_gates_are_found_everywhere(void **state)
{
	/* To a module, for user mode. */
	static const uint64_t low = UINT64_C(0xc020ec0000100000), high = 0xffffffff;
	struct fix *f = *state;

	for (unsigned int i = 0; i < 16; i++) {
		bool seen = false;

		memset(f->gdt, 0, RF_GDT_SIZE);
		make_gdt(f);
		put_gdt(f, i, low);
		if (i < 15 && i != 9)
			put_gdt(f, i + 1, high);
		check_gdt(f);
		for (size_t n = 0; n < f->count; n++)
			seen |= f->found[n].index == i && f->found[n].what == RF_DESCRIPTOR_TYPE &&
				(i == 9 || i == 11 || f->found[n].value == low);
		if (!seen)
			fail_msg("a call gate at %u", i);
	}
}

static void forged_entries_are_found(void **state)
{
	struct fix *f = *state;

	put_gdt(f, 2, UINT64_C(0x00affb000000ffff)); /* kernel code for ring 3 */
	check_gdt(f);
	one(f, 2, RF_DESCRIPTOR_VALUE, UINT64_C(0x00affb000000ffff));
	make_gdt(f);
	put_gdt(f, 6, UINT64_C(0x00af9b000000ffff)); /* user code for ring 0 */
	check_gdt(f);
	one(f, 6, RF_DESCRIPTOR_VALUE, UINT64_C(0x00af9b000000ffff));
	make_gdt(f);
	put_gdt(f, 0, 1);
	check_gdt(f);
	one(f, 0, RF_DESCRIPTOR_TYPE, 1);
	put_gdt(f, 0, 0);
	put_gdt(f, 7, UINT64_C(0x00affb000000ffff));
	check_gdt(f);
	one(f, 7, RF_DESCRIPTOR_VALUE, UINT64_C(0x00affb000000ffff));
	put_gdt(f, 7, 0);
	put_gdt(f, 13, UINT64_C(0x00cffb000000ffff)); /* code as TLS */
	check_gdt(f);
	one(f, 13, RF_DESCRIPTOR_TYPE, UINT64_C(0x00cffb000000ffff));
	put_gdt(f, 13, UINT64_C(0x00cf93000000ffff)); /* a kernel's data as TLS */
	check_gdt(f);
	one(f, 13, RF_DESCRIPTOR_DPL, 0);
	put_gdt(f, 13, 0);
	put_gdt(f, 15, UINT64_C(0x00cff30000003001));
	check_gdt(f);
	one(f, 15, RF_DESCRIPTOR_VALUE, UINT64_C(0x00cff30000003001));
}

static void forged_system_segments_are_found(void **state)
{
	struct fix *f = *state;

	put_system(f, 8, UINT64_C(0xffffffffc0200000), 0x4087, 0xb); /* a TSS, and its stacks */
	check_gdt(f);
	one(f, 8, RF_DESCRIPTOR_BASE, UINT64_C(0xffffffffc0200000));
	put_system(f, 8, f->t.cpus[1].tss, 0x4087, 0xb); /* another CPU's */
	check_gdt(f);
	one(f, 8, RF_DESCRIPTOR_BASE, f->t.cpus[1].tss);
	assert_int_equal(rf_gdt_check(&f->t, -1, f->gdt, RF_GDT_SIZE, 127, f->found, 64), 0);
	assert_int_equal(rf_gdt_check(&f->t, CPUS, f->gdt, RF_GDT_SIZE, 127, f->found, 64), 1);
	put_system(f, 8, f->t.cpus[0].tss, 0x4088, 0xb);
	check_gdt(f);
	one(f, 8, RF_DESCRIPTOR_LIMIT, 0x4088);
	put_system(f, 8, f->t.cpus[0].tss, 0x4087, 0xb);
	f->gdt[8 * 8 + 6] |= 0x80; /* in pages */
	check_gdt(f);
	one(f, 8, RF_DESCRIPTOR_LIMIT, 0x4087fff);
	put_system(f, 8, f->t.cpus[0].tss, 0x4087, 2);
	check_gdt(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->found[0].what, RF_DESCRIPTOR_TYPE);
	put_system(f, 8, f->t.cpus[0].tss, 0x4087, 0x6b); /* DPL 3 */
	check_gdt(f);
	one(f, 8, RF_DESCRIPTOR_DPL, 3);
	put_system(f, 8, f->t.cpus[0].tss, 0x4087, 0xb);
	put_system(f, 10, 0x400000, 7, 2); /* an LDT that a user can write */
	check_gdt(f);
	one(f, 10, RF_DESCRIPTOR_BASE, 0x400000);
	put_system(f, 10, UINT64_C(0xffff880000000000), 0x10000, 2);
	check_gdt(f);
	one(f, 10, RF_DESCRIPTOR_LIMIT, 0x10000);
}

static void long_gdts_are_looked_at(void **state)
{
	struct fix *f = *state;

	f->count = rf_gdt_check(&f->t, 0, f->gdt, 128, 126, f->found, 64);
	one(f, 0, RF_DESCRIPTOR_LIMIT, 126);
	assert_int_equal(rf_gdt_check(&f->t, 0, f->gdt, 72, 71, f->found, 64), 1);
	put_gdt(f, 8191, UINT64_C(0xc020ec0000100000));
	f->count = rf_gdt_check(&f->t, 0, f->gdt, RF_TABLE_MAX, 0xffff, f->found, 64);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->found[0].what, RF_DESCRIPTOR_LIMIT);
	assert_int_equal(f->found[1].index, 8191);
	assert_int_equal(f->found[1].what, RF_DESCRIPTOR_TYPE);
	/* What could not be read is not looked at. */
	assert_int_equal(rf_gdt_check(&f->t, 0, f->gdt, 128, 0xffff, f->found, 64), 1);
}

/* --- LDT
 * ---------------------------------------------------------------------------------------- */

static void ldts(void **state)
{
	static const struct {
		uint64_t d;
		int fault; /* -1: legal */
	} entries[] = {
		{ 0, -1 },
		{ UINT64_C(0x00cff3000000ffff), -1 }, /* data */
		{ UINT64_C(0x00cffb000000ffff), -1 }, /* 32-bit code */
		{ UINT64_C(0x008ff3000000ffff), -1 }, /* 16-bit data */
		{ UINT64_C(0x00cf7f000000ffff), -1 }, /* conforming code, not present */
		{ UINT64_C(0x00cfff000000ffff), RF_DESCRIPTOR_TYPE }, /* present */
		{ UINT64_C(0x00affb000000ffff), RF_DESCRIPTOR_TYPE }, /* 64-bit code */
		{ UINT64_C(0x00cf9b000000ffff), RF_DESCRIPTOR_DPL },  /* ring 0 code */
		{ UINT64_C(0xc020ec0000100000), RF_DESCRIPTOR_TYPE }, /* a call gate */
		{ UINT64_C(0x0000e90000000067), RF_DESCRIPTOR_TYPE }, /* a TSS */
	};
	struct fix *f = *state;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		memset(f->gdt, 0, 64);
		put_gdt(f, 5, entries[i].d);
		f->count = rf_ldt_check(f->gdt, 64, 63, f->found, 64);
		if (entries[i].fault < 0)
			assert_int_equal(f->count, 0);
		else
			one(f, 5, (enum rf_descriptor_fault)entries[i].fault,
			    entries[i].fault == RF_DESCRIPTOR_DPL ? 0 : entries[i].d);
	}
	memset(f->gdt, 0, 64);
	f->count = rf_ldt_check(f->gdt, 63, 62, f->found, 64);
	one(f, 0, RF_DESCRIPTOR_LIMIT, 62);
}

/* --- registers
 * ------------------------------------------------------------------------------------ */

static void registers(void **state)
{
	struct fix *f = *state;
	const struct rf_tables *t = &f->t;

	assert_int_equal(rf_idtr_fact(t, RO_IDT, 4095), RF_REGISTER_RUNNING);
	assert_int_equal(rf_idtr_fact(t, RO_IDT, 511), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_idtr_fact(t, RO_IDT, 0xffff), RF_REGISTER_VMEXIT);
	assert_int_equal(rf_idtr_fact(t, BRINGUP, 0xffff), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_ro, 0xffff), RF_REGISTER_VMEXIT);
	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_rw, 0xffff), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_idtr_fact(t, RO_IDT + 0x1000, 4095), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_idtr_fact(t, BRINGUP, 511), RF_REGISTER_BRINGUP);
	assert_int_equal(rf_idtr_fact(t, BRINGUP, 4095), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_idtr_fact(t, IDT_TABLE, 4095), RF_REGISTER_BOOT);
	assert_int_equal(rf_idtr_fact(t, 0, 0), RF_REGISTER_EMPTY);
	assert_int_equal(rf_idtr_fact(t, 0, 4095), RF_REGISTER_FOREIGN);

	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_ro, 127), RF_REGISTER_RUNNING);
	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_rw, 127), RF_REGISTER_BRINGUP);
	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_ro, 128), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_gdtr_fact(t, t->cpus[1].gdt_ro + 8, 127), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_gdtr_fact(t, PERCPU_LOAD + GDT_PAGE, 127), RF_REGISTER_BOOT);
	assert_int_equal(rf_gdtr_fact(t, 0, 127), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_gdtr_fact(t, 0, 0), RF_REGISTER_EMPTY);
	assert_int_equal(rf_gdt_cpu(t, t->cpus[1].gdt_ro), 1);
	assert_int_equal(rf_gdt_cpu(t, t->cpus[1].gdt_rw), 1);
	assert_int_equal(rf_gdt_cpu(t, RO_IDT), -1);
	assert_int_equal(rf_tss_cpu(t, t->cpus[1].tss), 1);
	assert_int_equal(rf_tss_cpu(t, 0), -1);

	assert_int_equal(rf_ldtr_fact(0x50), RF_REGISTER_RUNNING);
	assert_int_equal(rf_ldtr_fact(0), RF_REGISTER_EMPTY);
	assert_int_equal(rf_ldtr_fact(0x60), RF_REGISTER_FOREIGN);
	assert_int_equal(rf_tr_fact(0x40), RF_REGISTER_RUNNING);
	assert_int_equal(rf_tr_fact(0x44), RF_REGISTER_FOREIGN); /* out of the LDT */
	assert_int_equal(rf_tr_fact(0), RF_REGISTER_EMPTY);
	assert_string_equal(rf_descriptor_fault_text((enum rf_descriptor_fault)99), "unknown");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_kernel_is_understood),
		T(other_kernels_are_refused),
		T(linux_idt_passes),
		T(forged_gates_are_found),
		T(forged_attributes_are_found),
		T(short_and_long_idts),
		T(linux_gdt_passes),
		T(call_gates_are_found_everywhere),
		T(forged_entries_are_found),
		T(forged_system_segments_are_found),
		T(long_gdts_are_looked_at),
		T(ldts),
		T(registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
