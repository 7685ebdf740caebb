// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The descriptor tables of a stock kernel, from a memory dump of a booted one: nothing may be found
 * in them, its registers must be recognised, and each forgery must be found.
 *
 *   tables DUMP CR3 CR4 INSIDE IDT LIMIT GDT LIMIT LDT TR TSS
 *
 * The last seven as the first CPU's registers held them: bases, limits, selectors and the TSS's
 * base, in hexadecimal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "introspection/x86/descriptor.h"
#include "tests/unit/dump.h"

static unsigned int wrong;

static void expect(bool good, const char *what)
{
	if (!good) {
		wrong++;
		printf("  wrong: %s\n", what);
	}
}

static void show(const char *table, const struct rf_descriptor_finding *f, size_t count)
{
	for (size_t i = 0; i < count && i < 8; i++)
		printf("  %s %u: %s %#llx\n", table, f[i].index,
		       rf_descriptor_fault_text(f[i].what), (unsigned long long)f[i].value);
	wrong += count != 0;
}

struct registers {
	uint64_t v[7];
};

static void check_idt(const struct rf_tables *t, const struct rf_memory *m,
		      const struct rf_paging *p, const struct registers *r)
{
	struct rf_descriptor_finding f[8];
	uint8_t bytes[RF_IDT_SIZE];
	unsigned int unseen = 0;

	expect(!rf_pt_read(m, p, rf_gva_of(r->v[0]), bytes, sizeof(bytes)), "IDT read");
	show("IDT", f, rf_idt_check(&t->idt, bytes, sizeof(bytes), (uint16_t)r->v[1], f, 8));
	expect(rf_idtr_fact(t, r->v[0], (uint16_t)r->v[1]) == RF_REGISTER_RUNNING, "IDTR");
	expect(rf_idtr_fact(t, r->v[0] + 16, (uint16_t)r->v[1]) == RF_REGISTER_FOREIGN,
	       "IDTR elsewhere");
	for (unsigned int v = 0; v < RF_IDT_GATES; v++) {
		bytes[v * 16] ^= 1; /* one byte into the handler */
		unseen += !rf_idt_check(&t->idt, bytes, sizeof(bytes), RF_IDT_SIZE - 1, f, 8);
		bytes[v * 16] ^= 1;
	}
	expect(!unseen, "a gate moved by one byte");
	printf("first system vector %u, %u system handlers\n", t->idt.first_system,
	       t->idt.sysvec_count);
}

static void check_gdt(const struct rf_tables *t, const struct rf_memory *m,
		      const struct rf_paging *p, const struct registers *r)
{
	struct rf_descriptor_finding f[8];
	uint8_t bytes[RF_GDT_SIZE];
	int cpu = rf_gdt_cpu(t, r->v[2]);

	expect(!rf_pt_read(m, p, rf_gva_of(r->v[2]), bytes, sizeof(bytes)), "GDT read");
	show("GDT", f, rf_gdt_check(t, cpu, bytes, sizeof(bytes), (uint16_t)r->v[3], f, 8));
	expect(rf_gdtr_fact(t, r->v[2], (uint16_t)r->v[3]) == RF_REGISTER_RUNNING, "GDTR");
	expect(!cpu && !rf_tss_cpu(t, r->v[6]), "the first CPU's GDT and TSS");
	expect(rf_ldtr_fact((uint16_t)r->v[4]) != RF_REGISTER_FOREIGN, "LDTR");
	expect(rf_tr_fact((uint16_t)r->v[5]) == RF_REGISTER_RUNNING, "TR");
	/* Both mappings show the same page, and every CPU has one. */
	for (uint32_t i = 0; i < t->cpu_count; i++) {
		uint8_t rw[RF_GDT_SIZE], ro[RF_GDT_SIZE];

		expect(!rf_pt_read(m, p, rf_gva_of(t->cpus[i].gdt_rw), rw, sizeof(rw)) &&
			       !rf_pt_read(m, p, rf_gva_of(t->cpus[i].gdt_ro), ro, sizeof(ro)) &&
			       !memcmp(rw, ro, sizeof(rw)),
		       "two mappings of a GDT");
		show("GDT", f, rf_gdt_check(t, (int)i, rw, sizeof(rw), RF_GDT_SIZE - 1, f, 8));
	}
	bytes[15 * 8 + 5] = 0xec; /* a call gate for everybody */
	expect(rf_gdt_check(t, cpu, bytes, sizeof(bytes), RF_GDT_SIZE - 1, f, 8) == 1,
	       "a call gate");
	printf("%u CPUs, TSS limit %#x\n", t->cpu_count, t->tss_limit);
}

int main(int argc, char **argv)
{
	struct rf_diag diag = { "" };
	struct registers r;
	struct rf_tables t;
	struct rf_paging p;
	struct rf_memory m;
	struct rf_kernel *k;
	struct dump d;
	int err;

	if (argc != 12) {
		fputs("usage: tables DUMP CR3 CR4 INSIDE IDT LIMIT GDT LIMIT LDT TR TSS\n", stderr);
		return 2;
	}
	err = dump_open(argv[1], &d);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
		return 2;
	}
	for (int i = 0; i < 7; i++)
		r.v[i] = strtoull(argv[5 + i], NULL, 16);
	m = dump_memory(&d);
	p = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	err = rf_kernel_discover(&m, &p, rf_gva_of(strtoull(argv[4], NULL, 16)), &k, &diag);
	if (!err)
		err = rf_kernel_paging(k, &p);
	if (!err)
		err = rf_tables_init(k, &m, &p, &t);
	if (err) {
		printf("no tables: %s (%s)\n", strerror(-err), diag.text);
		return 1;
	}
	check_idt(&t, &m, &p, &r);
	check_gdt(&t, &m, &p, &r);
	rf_tables_deinit(&t);
	rf_kernel_destroy(k);
	dump_close(&d);
	printf("%s\n", wrong ? "WRONG" : "nothing found in the tables, every forgery found");
	return wrong != 0;
}
