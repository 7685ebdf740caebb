/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptor tables of a 64-bit Linux: is this IDT, GDT or LDT one that the kernel itself has made,
 * and is this a value that the kernel itself loads into IDTR, GDTR, LDTR or TR?
 *
 * What is expected comes from the kernel's own symbols and types, read once, when the kernel is
 * sealed and its data can still be believed. The checks are pure, their input (bytes, bases,
 * limits) is hostile.
 *
 * Formats: Intel SDM vol. 3A 3.4.5, 3.5, 6.14.1, 7.2.3; AMD APM vol. 2 4.7, 4.8.
 */
#ifndef RF_INTROSPECTION_DESCRIPTOR_H
#define RF_INTROSPECTION_DESCRIPTOR_H

#include "introspection/kernel.h"

#define RF_IDT_GATES 256u
#define RF_IDT_SIZE (RF_IDT_GATES * 16u) /* bytes */
#define RF_GDT_ENTRIES 16u		 /* arch/x86/include/asm/segment.h, GDT_ENTRIES */
#define RF_GDT_SIZE (RF_GDT_ENTRIES * 8u)
/* Where each CPU has it: CPU_ENTRY_AREA_RO_IDT, asm/cpu_entry_area.h; the same in every kernel. */
#define RF_IDT_MAPPED UINT64_C(0xfffffe0000000000)
#define RF_TABLE_MAX 65536u /* bytes: a limit has 16 bits */

enum rf_descriptor_fault {
	RF_DESCRIPTOR_LIMIT,	/* the table has another size than Linux's; value: its limit */
	RF_DESCRIPTOR_TARGET,	/* a gate leads elsewhere; value: where */
	RF_DESCRIPTOR_SELECTOR, /* a gate loads another CS; value: the selector */
	RF_DESCRIPTOR_TYPE,	/* another type, or a system descriptor where Linux has none */
	RF_DESCRIPTOR_DPL,	/* another privilege level; value: it */
	RF_DESCRIPTOR_IST,	/* a gate takes another stack; value: its index */
	RF_DESCRIPTOR_BASE,	/* the TSS, or an LDT, lies elsewhere; value: where */
	RF_DESCRIPTOR_VALUE,	/* a constant entry is another; value: it */
	RF_DESCRIPTOR_FAULTS
};

/* "limit", "target" ... */
const char *rf_descriptor_fault_text(enum rf_descriptor_fault fault);

struct rf_descriptor_finding {
	uint16_t index; /* gate or entry; of RF_DESCRIPTOR_LIMIT: 0 */
	enum rf_descriptor_fault what;
	uint64_t value; /* as said above; for a type: the descriptor's (first) 8 bytes */
};

/* --- what is expected -------------------------------------------------------------- */

#define RF_IDT_SYSVECS 64u

/* Where gates may lead: arch/x86/kernel/idt.c. Addresses are virtual, 0 means there is none. */
struct rf_idt_expect {
	uint64_t exception[32]; /* asm_exc_*, by vector */
	/*
	 * Vectors below 32 that never got a handler of their own keep that of
	 * idt_setup_early_handler(), which lies in memory that has been freed.
	 */
	uint64_t early, early_stride;
	/* Device interrupts and unused system vectors: one stub each. */
	uint64_t irq, spurious, stride;
	uint32_t first_system; /* FIRST_SYSTEM_VECTOR; 0: the stubs are not understood */
	uint64_t int80[2];
	uint32_t sysvec_count;
	uint64_t sysvec[RF_IDT_SYSVECS]; /* asm_sysvec_* */
};

/* 0 or -ENOENT: a kernel without one of the symbols that every 64-bit Linux since 5.8 has. */
int rf_idt_expect_init(const struct rf_kernel *k, struct rf_idt_expect *out);

/* Per CPU, by number: the GDT's two mappings, and the TSS. */
struct rf_cpu_tables {
	uint64_t gdt_rw; /* gdt_page in the per-CPU area */
	uint64_t gdt_ro; /* its read-only mapping in the CPU entry area */
	uint64_t tss;
};

#define RF_CPUS_MAX 8192u /* CONFIG_NR_CPUS at most */

struct rf_tables {
	struct rf_idt_expect idt;
	uint64_t idt_table, bringup_idt; /* 0: no such symbol */
	uint64_t boot_gdt;		 /* gdt_page as it lies in the image */
	uint32_t tss_limit;		 /* of the whole struct with its I/O bitmaps */
	uint32_t cpu_count;		 /* possible ones */
	struct rf_cpu_tables *cpus;	 /* owned */
};

/*
 * Needs types. p: the kernel's own page tables (rf_kernel_paging()). To be called once the per-CPU
 * areas are set up, which is long before the seal. 0 and *out (deinit it), -ENOENT (a symbol or
 * type is missing), -EBADMSG, -ENOMEM, or a read error.
 */
int rf_tables_init(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   struct rf_tables *out);
void rf_tables_deinit(struct rf_tables *t); /* zeroed is fine */

/* --- tables ------------------------------------------------------------------------- */
/*
 * Each checks bytes[0..len) as the table that a register with this limit has; len is limit + 1, or
 * less when the rest could not be read. The number of findings is returned; the first cap of them
 * are in out, by index. An entry can have several.
 */
size_t rf_idt_check(const struct rf_idt_expect *e, const uint8_t *bytes, size_t len, uint16_t limit,
		    struct rf_descriptor_finding *out, size_t cap);
/*
 * cpu: whose GDT it is, -1 not known; then the TSS may be that of any. What lies beyond Linux's 16
 * entries is looked at as well.
 */
size_t rf_gdt_check(const struct rf_tables *t, int cpu, const uint8_t *bytes, size_t len,
		    uint16_t limit, struct rf_descriptor_finding *out, size_t cap);
/* User code and data alone: arch/x86/kernel/ldt.c write_ldt(). */
size_t rf_ldt_check(const uint8_t *bytes, size_t len, uint16_t limit,
		    struct rf_descriptor_finding *out, size_t cap);

/* --- registers ----------------------------------------------------------------------- */

enum rf_register_fact {
	RF_REGISTER_FOREIGN, /* Linux never loads that */
	RF_REGISTER_RUNNING, /* what a CPU that runs has */
	RF_REGISTER_BRINGUP, /* what one loads that is coming up, or wakes */
	RF_REGISTER_BOOT,    /* only the boot CPU, only before the seal */
	RF_REGISTER_EMPTY,   /* no table: before kexec, or to end in a triple fault */
	/*
	 * A running CPU's tables with the limit FFFF, which every VMX exit of the guest's own
	 * guests leaves behind: SDM vol. 3C 28.5.2. KVM loads the GDT anew when it goes back to
	 * user mode (vmx_prepare_switch_to_host()), the IDT never. Legal as a register's value in a
	 * guest with VMX; lgdt and lidt never load it. What lies behind Linux's entries is no table
	 * then: check it with Linux's limit.
	 */
	RF_REGISTER_VMEXIT,
};

/*
 * Base and limit as a descriptor-table register holds them, or lidt's and lgdt's operand.
 *
 * A CPU that comes up has the trampoline's own tables, in the first MiB, until
 * secondary_startup_64() (arch/x86/realmode/rm/trampoline_64.S): they are foreign here. Who
 * compares registers asks about CPUs that run in the kernel's address window.
 */
enum rf_register_fact rf_idtr_fact(const struct rf_tables *t, uint64_t base, uint16_t limit);
enum rf_register_fact rf_gdtr_fact(const struct rf_tables *t, uint64_t base, uint16_t limit);
/* The CPU whose GDT (either mapping) or TSS lies there, -1 none. */
int rf_gdt_cpu(const struct rf_tables *t, uint64_t base);
int rf_tss_cpu(const struct rf_tables *t, uint64_t base);
/* Selectors, as lldt and ltr take them. 0 in TR is what INIT leaves there. */
enum rf_register_fact rf_ldtr_fact(uint16_t selector);
enum rf_register_fact rf_tr_fact(uint16_t selector);

#endif
