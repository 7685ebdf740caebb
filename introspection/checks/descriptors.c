// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Descriptor tables of x86: where interrupts and exceptions lead, and what segments there are. What
 * a CPU has in its registers is not in memory; the monitor looks at those.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "introspection/x86/descriptor.h"

#define FINDINGS_MAX 512u /* of one table */

/* What is expected is read once: all symbols are looked through for it. */
struct rf_descriptors {
	struct rf_tables tables; /* cpus NULL: not read yet */
	struct rf_idt_expect idt;
	bool idt_known;
};

void rf_descriptors_destroy(struct rf_descriptors *d)
{
	if (!d)
		return;
	rf_tables_deinit(&d->tables);
	free(d);
}

static int ask(struct rf_run *run, struct rf_descriptors **out)
{
	struct rf_checks *c = run->c;

	if (!c->descriptors)
		c->descriptors = calloc(1, sizeof(*c->descriptors));
	*out = c->descriptors;
	return *out ? 0 : -ENOMEM;
}

static const char *reason_of(enum rf_descriptor_fault fault)
{
	static const char *const reasons[RF_DESCRIPTOR_FAULTS] = {
		[RF_DESCRIPTOR_LIMIT] = "its limit is none of the kernel's",
		[RF_DESCRIPTOR_TARGET] = "it leads to no entry of the kernel's for that vector",
		[RF_DESCRIPTOR_SELECTOR] = "it loads another code segment",
		[RF_DESCRIPTOR_TYPE] = "the kernel has no descriptor of that type there",
		[RF_DESCRIPTOR_DPL] = "another privilege level may use it",
		[RF_DESCRIPTOR_IST] = "it takes another stack",
		[RF_DESCRIPTOR_BASE] = "its base lies elsewhere",
		[RF_DESCRIPTOR_VALUE] = "the kernel has another value there",
	};

	return reasons[fault];
}

static int tell(struct rf_run *run, const struct rf_descriptor_finding *f, uint64_t at,
		const char *what)
{
	bool leads = f->what == RF_DESCRIPTOR_TARGET || f->what == RF_DESCRIPTOR_BASE;

	return rf_run_found(run, at, what, leads ? f->value : 0, reason_of(f->what));
}

/* Does a second address lead to the page of the first? */
static int is_same_page(struct rf_run *run, uint64_t first, uint64_t second, bool *out)
{
	struct rf_checks *c = run->c;
	struct rf_translation a, b;
	int err = rf_pt_translate(&c->m, &c->p, rf_gva_of(first), &a);

	if (!err)
		err = rf_pt_translate(&c->m, &c->p, rf_gva_of(second), &b);
	if (!err)
		*out = a.gpa.v == b.gpa.v;
	else
		run->at = second;
	return err == -ENOENT || err == -EINVAL ? -EFAULT : err;
}

/* Of the image's own, it lies where the image was found. */
static int is_mapped_idt(struct rf_run *run, uint64_t table, bool *out)
{
	struct rf_translation t;
	rf_gpa gpa;
	int err = rf_kernel_image_gpa(run->c->k, rf_gva_of(table), &gpa);

	if (!err)
		err = rf_pt_translate(&run->c->m, &run->c->p, rf_gva_of(RF_IDT_MAPPED), &t);
	if (!err)
		*out = t.gpa.v == gpa.v;
	else
		run->at = RF_IDT_MAPPED;
	return err == -ENOENT || err == -EINVAL ? -EFAULT : err;
}

static int look_at_idt(struct rf_run *run)
{
	struct rf_descriptor_finding found[FINDINGS_MAX];
	uint8_t bytes[RF_IDT_SIZE];
	struct rf_descriptors *d;
	uint64_t table;
	char what[32];
	bool mapped;
	size_t n;
	int err;

	if ((err = rf_run_symbol(run, "idt_table", &table)) || (err = ask(run, &d)))
		return err;
	if (!d->idt_known && rf_idt_expect_init(rf_run_kernel(run), &d->idt))
		return rf_run_lacks(run, "the kernel has no symbols of its exceptions");
	d->idt_known = true;
	if ((err = rf_run_read(run, table, bytes, sizeof(bytes))) ||
	    (err = is_mapped_idt(run, table, &mapped)))
		return err;
	if (!mapped)
		rf_run_found(run, RF_IDT_MAPPED, "interrupt table", 0,
			     "another page is mapped where CPUs have it");
	n = rf_idt_check(&d->idt, bytes, sizeof(bytes), RF_IDT_SIZE - 1, found, FINDINGS_MAX);
	for (unsigned int i = 0; i < RF_IDT_GATES; i++)
		rf_run_saw(run);
	for (size_t i = 0; !err && i < n && i < FINDINGS_MAX; i++) {
		snprintf(what, sizeof(what), "gate %u of the IDT", found[i].index);
		err = tell(run, &found[i], table + found[i].index * 16ull, what);
	}
	return err;
}

const struct rf_check rf_check_idt = {
	.name = "idt",
	.summary = "each gate of the interrupt table leads to the kernel's own entry for it",
	.reading = "interrupts, page faults or breakpoints go through somebody's code",
	.attack = "T1014",
	.guard = "tables",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 1000,
	.reads = 1 << 10,
	.run = look_at_idt,
};

static int look_at_gdt_of(struct rf_run *run, const struct rf_tables *t, uint32_t cpu)
{
	struct rf_descriptor_finding found[2 * RF_GDT_ENTRIES];
	uint8_t bytes[RF_GDT_SIZE];
	uint64_t at = t->cpus[cpu].gdt_rw;
	bool same;
	char what[48];
	size_t n;
	int err;

	rf_run_saw(run);
	if ((err = rf_run_read(run, at, bytes, sizeof(bytes))) ||
	    (err = is_same_page(run, at, t->cpus[cpu].gdt_ro, &same)))
		return err;
	snprintf(what, sizeof(what), "segment table of CPU %u", cpu);
	if (!same)
		rf_run_found(run, t->cpus[cpu].gdt_ro, what, 0,
			     "another page is mapped where the CPU has it");
	n = rf_gdt_check(t, (int)cpu, bytes, sizeof(bytes), RF_GDT_SIZE - 1, found,
			 sizeof(found) / sizeof(found[0]));
	for (size_t i = 0; !err && i < n && i < sizeof(found) / sizeof(found[0]); i++) {
		snprintf(what, sizeof(what), "segment %u of CPU %u", found[i].index, cpu);
		err = tell(run, &found[i], at + found[i].index * 8ull, what);
	}
	return err;
}

static int look_at_gdt(struct rf_run *run)
{
	struct rf_descriptors *d;
	int err = ask(run, &d);

	if (!err && !d->tables.cpus)
		err = rf_tables_init(run->c->k, &run->c->m, &run->c->p, &d->tables);
	if (err == -ENOENT)
		return rf_run_lacks(run, "the kernel does not show its segment tables");
	for (uint32_t cpu = 0; !err && cpu < d->tables.cpu_count; cpu++)
		err = look_at_gdt_of(run, &d->tables, cpu);
	return err;
}

const struct rf_check rf_check_gdt = {
	.name = "gdt",
	.summary = "segments of each CPU, and its task segment, are those the kernel has made",
	.reading = "a way from user mode into the kernel that asks nobody, or another stack",
	.attack = "T1068",
	.guard = "tables",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 18,
	.run = look_at_gdt,
};
