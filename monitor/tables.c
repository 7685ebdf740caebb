// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Descriptor tables: which ones a vCPU may load or have, and what may stand in them. The IDT that
 * runs is sealed, so that its gates are looked at once. GDTs cannot be: native_load_tls()
 * (arch/x86/include/asm/desc.h) writes to them at each context switch, and so they are looked at
 * every now and then; the same is true of LDTs, looked at when they are loaded.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/judge.h"

#define IDT_FINDINGS 16 /* that are told one by one */
/* All there can be, four in an entry at most: what is one too many must not hide the next. */
#define GDT_FINDINGS (4 * RF_GDT_ENTRIES)
#define SECOND_NS UINT64_C(1000000000)

/* System descriptors in long mode: SDM vol. 3A 3.5, 7.2.3. */
#define TYPE_LDT 0x2
#define TYPE_TSS 0x9
#define NOT_SYSTEM 0x10 /* S, in the sixth byte */
#define GATE 16		/* bytes */
#define VC 29		/* AMD APM vol. 2 8.2.20 */
#define LDT_ENTRY 10	/* GDT_ENTRY_LDT: arch/x86/include/asm/segment.h */
#define FIRST_MIB UINT64_C(0x100000)

static int find(struct rf_guest *g, const char *what, unsigned int index, const char *fault,
		uint64_t value, uint64_t at, bool cleared)
{
	const struct rf_facts facts = { .kind = RF_FACT_ENTRY, .table = RF_FACT_TABLE_FORGED };
	struct rf_record r = { .kind = "table", .has_target = true };
	struct rf_decision d;
	char detail[160];

	if (rf_policy_decide(&g->policy, &facts, &d))
		return -EINVAL;
	snprintf(detail, sizeof(detail), "%s, entry %u: its %s is 0x%llx", what, index, fault,
		 (unsigned long long)value);
	rf_name_address(g, &g->paging, at, &r.target);
	r.rule = d.rule;
	r.verdict = d.word;
	r.outcome = cleared ? "found, and cleared" : "found, left as it is";
	r.detail = detail;
	return rf_record_write(g, &r);
}

/* --- at the seal ---------------------------------------------------------------- */

static int check_idt(struct rf_guest *g)
{
	static uint8_t bytes[RF_IDT_SIZE];
	struct rf_descriptor_finding found[IDT_FINDINGS];
	char more[64];
	rf_gpa gpa;
	size_t n;
	int err = 0;

	if (rf_kernel_image_gpa(g->kernel, rf_gva_of(g->tables.idt_table), &gpa) ||
	    rf_memory_read(&g->mem, gpa, bytes, sizeof(bytes)))
		return rf_note(g, "table", "not looked at", "the IDT could not be read");
	n = rf_idt_check(&g->tables.idt, bytes, sizeof(bytes), RF_IDT_SIZE - 1, found,
			 IDT_FINDINGS);
	for (size_t i = 0; !err && i < n && i < IDT_FINDINGS; i++)
		err = find(g, "IDT", found[i].index, rf_descriptor_fault_text(found[i].what),
			   found[i].value, g->tables.idt_table + found[i].index * GATE, false);
	if (err || n <= IDT_FINDINGS)
		return err;
	snprintf(more, sizeof(more), "IDT: %zu more findings", n - IDT_FINDINGS);
	return rf_note(g, "table", "found, left as they are", more);
}

/*
 * Where each CPU's tables lie was read out of memory and through page tables that the guest can
 * write: to be believed at the seal, and afterwards when it says the same.
 */
static bool as_at_the_seal(struct rf_guest *g)
{
	static const uint8_t none[sizeof(g->tables_digest)];
	uint8_t digest[crypto_hash_sha256_BYTES];
	_Static_assert(sizeof(digest) == sizeof(g->tables_digest), "digest");

	crypto_hash_sha256(digest, (const uint8_t *)g->tables.cpus,
			   g->tables.cpu_count * sizeof(g->tables.cpus[0]));
	if (!memcmp(g->tables_digest, none, sizeof(none)))
		memcpy(g->tables_digest, digest, sizeof(digest));
	return !memcmp(g->tables_digest, digest, sizeof(digest));
}

static int begin(struct rf_guest *g, bool kept)
{
	int err;

	if (!g->policy.pin_tables)
		return 0;
	err = rf_tables_init(g->kernel, &g->mem, &g->paging, &g->tables);
	if (!err) {
		g->gdt_told = calloc(g->tables.cpu_count + 1, sizeof(*g->gdt_told));
		if (!g->gdt_told)
			return -ENOMEM;
	}
	if (err == -ENOMEM)
		return err;
	/* Without knowing the kernel's own tables each load would be denied, and the guest with
	 * it. */
	g->tables_known = !err && g->tables.idt_table && as_at_the_seal(g);
	if (!g->tables_known && rf_traps_load(g)) {
		rf_complain(g, "the guest's descriptor tables are not where they were when it was "
			       "sealed: none may be loaded any more");
		return rf_note(g, "table", "nothing is loaded any more",
			       "the descriptor tables are not where they were at the seal");
	}
	if (g->tables_known)
		return check_idt(g);
	rf_complain(g, "the kernel does not tell where its descriptor tables are: they are not "
		       "protected");
	return rf_note(g, "table", "not protected",
		       "the kernel does not tell where its descriptor tables are");
}

static void end(struct rf_guest *g)
{
	rf_tables_deinit(&g->tables);
	free(g->gdt_told);
	g->gdt_told = NULL;
	g->tables_known = false;
}

/* --- each second ----------------------------------------------------------------- */

/* arch/x86/include/asm/segment.h: these may be empty, which takes all meaning from a descriptor. */
static bool may_be_empty(unsigned int index)
{
	return index == 0 || index == 7 || (index >= 10 && index <= 14);
}

/* A system descriptor has a second half, which means nothing without the first. */
static bool clear(struct rf_guest *g, uint64_t gva, const uint8_t *bytes)
{
	struct rf_msg_mend m = { .kernel = g->kernel_event };
	struct rf_translation t;

	if (!g->hv->ops->mend || g->policy.mode != RF_MODE_ENFORCE ||
	    rf_pt_translate(&g->mem, &g->paging, rf_gva_of(gva), &t))
		return false;
	m.gpa = t.gpa.v;
	memcpy(&m.from, bytes, sizeof(m.from));
	return !g->hv->ops->mend(g->hv, &m);
}

static int look_at_gdt(struct rf_guest *g, uint32_t cpu)
{
	static const uint8_t empty[8];
	struct rf_descriptor_finding found[GDT_FINDINGS];
	uint8_t bytes[RF_GDT_SIZE];
	uint64_t at = g->tables.cpus[cpu].gdt_rw;
	struct rf_gdt_told now = { 0 }, *told = &g->gdt_told[cpu];
	uint16_t seen = 0;
	char what[32];
	size_t n;
	int err = 0;

	if (rf_pt_read(&g->mem, &g->paging, rf_gva_of(at), bytes, sizeof(bytes)))
		return 0; /* just being reset, or remapped: page tables are another check's */
	n = rf_gdt_check(&g->tables, (int)cpu, bytes, sizeof(bytes), sizeof(bytes) - 1, found,
			 GDT_FINDINGS);
	snprintf(what, sizeof(what), "GDT of CPU %u", cpu);
	for (size_t i = 0; !err && i < n && i < GDT_FINDINGS; i++) {
		unsigned int index = found[i].index % RF_GDT_ENTRIES;
		uint16_t bit = (uint16_t)(1u << index);
		const uint8_t *entry = bytes + index * 8u;
		uint64_t is[2] = { 0 };
		bool cleared;

		/* Linux writes it in two halves; its base is judged when it is loaded. */
		if (index == LDT_ENTRY && found[i].what == RF_DESCRIPTOR_BASE)
			continue;
		/* One entry can have several findings; an empty one is the other half's fault. */
		if (seen & bit || !memcmp(entry, empty, sizeof(empty)))
			continue;
		seen |= bit;
		cleared = may_be_empty(index) && clear(g, at + index * 8u, entry);
		if (cleared && !(entry[5] & NOT_SYSTEM) && may_be_empty(index + 1u) &&
		    memcmp(entry + 8, empty, sizeof(empty))) {
			clear(g, at + (index + 1u) * 8u, entry + 8);
			seen |= (uint16_t)(bit << 1);
		}
		/* Of another kind it is told of again. */
		memcpy(is, entry, !(entry[5] & NOT_SYSTEM) && index + 1u < RF_GDT_ENTRIES ? 16 : 8);
		if (!cleared)
			memcpy(now.entries[index], is, sizeof(is));
		if (cleared || memcmp(told->entries[index], is, sizeof(is)))
			err = find(g, what, index, rf_descriptor_fault_text(found[i].what),
				   found[i].value, at + index * 8u, cleared);
	}
	/* So is what has gone and comes again. */
	*told = now;
	return err;
}

/*
 * Some of them at a time, so that each is looked at once in register_check_ms: where they lie is
 * known since the seal, and no list leads there.
 */
static int tick(struct rf_guest *g, uint32_t elapsed_ms)
{
	uint32_t count = g->tables_known && g->policy.register_check_ms ? g->tables.cpu_count : 0;
	uint64_t due = (uint64_t)count * elapsed_ms / (g->policy.register_check_ms ?: 1) + 1;
	int err = 0;

	for (uint64_t i = 0; !err && i < due && i < count; i++) {
		g->gdt_next %= count;
		err = look_at_gdt(g, g->gdt_next++);
	}
	return err;
}

/* --- one register ------------------------------------------------------------------ */

/*
 * CPUs come up with it (arch/x86/kernel/head64.c early_setup_idt(), 6.12: startup_64_load_idt());
 * it lies in plain data and has one gate at most, for #VC.
 */
static enum rf_fact_table bringup_idt(struct rf_guest *g, const struct rf_paging *p,
				      const struct rf_table *t)
{
	uint8_t bytes[32 * GATE];
	size_t len = t->limit + UINT64_C(1);
	struct rf_symbol symbol;
	uint64_t offset, target;

	if (len > sizeof(bytes) || rf_pt_read(&g->mem, p, rf_gva_of(t->base), bytes, len))
		return RF_FACT_TABLE_FOREIGN;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] && i / GATE != VC)
			return RF_FACT_TABLE_FORGED;
	if (len < (VC + 1) * GATE || !memcmp(bytes + VC * GATE, bytes, GATE))
		return RF_FACT_TABLE_KERNELS;
	/* SDM vol. 3A figure 6-8 */
	target = bytes[VC * GATE] | (uint64_t)bytes[VC * GATE + 1] << 8 |
		 (uint64_t)bytes[VC * GATE + 6] << 16 | (uint64_t)bytes[VC * GATE + 7] << 24;
	for (int i = 0; i < 4; i++)
		target |= (uint64_t)bytes[VC * GATE + 8 + i] << (32 + 8 * i);
	return !rf_kernel_symbolize(g->kernel, rf_gva_of(target), &symbol, &offset) && !offset &&
			       (!strcmp(symbol.name, "vc_boot_ghcb") ||
				!strcmp(symbol.name, "vc_no_ghcb"))
		       ? RF_FACT_TABLE_KERNELS
		       : RF_FACT_TABLE_FORGED;
}

static enum rf_fact_table idt_fact(struct rf_guest *g, const struct rf_paging *p,
				   const struct rf_table *t)
{
	switch (rf_idtr_fact(&g->tables, t->base, (uint16_t)t->limit)) {
	case RF_REGISTER_RUNNING:
	case RF_REGISTER_EMPTY:
		return RF_FACT_TABLE_KERNELS;
	case RF_REGISTER_BRINGUP:
		return bringup_idt(g, p, t);
	case RF_REGISTER_VMEXIT: /* let through where it is one: on_tables() */
	case RF_REGISTER_BOOT:
	case RF_REGISTER_FOREIGN:
		break;
	}
	return RF_FACT_TABLE_FOREIGN;
}

static enum rf_fact_table gdt_fact(struct rf_guest *g, const struct rf_paging *p,
				   const struct rf_table *t)
{
	struct rf_descriptor_finding found;
	uint8_t bytes[RF_GDT_SIZE];

	switch (rf_gdtr_fact(&g->tables, t->base, (uint16_t)t->limit)) {
	case RF_REGISTER_EMPTY:
		return RF_FACT_TABLE_KERNELS;
	case RF_REGISTER_RUNNING:
	case RF_REGISTER_BRINGUP:
		if (t->limit >= sizeof(bytes) ||
		    rf_pt_read(&g->mem, p, rf_gva_of(t->base), bytes, t->limit + UINT64_C(1)))
			return RF_FACT_TABLE_FOREIGN;
		return rf_gdt_check(&g->tables, rf_gdt_cpu(&g->tables, t->base), bytes,
				    t->limit + UINT64_C(1), (uint16_t)t->limit, &found, 1)
			       ? RF_FACT_TABLE_FORGED
			       : RF_FACT_TABLE_KERNELS;
	case RF_REGISTER_VMEXIT: /* let through where it is one: on_tables() */
	case RF_REGISTER_BOOT:
	case RF_REGISTER_FOREIGN:
		break;
	}
	return RF_FACT_TABLE_FOREIGN;
}

static enum rf_fact_table ldt_fact(struct rf_guest *g, const struct rf_paging *p,
				   const struct rf_table *t)
{
	static uint8_t bytes[RF_TABLE_MAX];
	struct rf_descriptor_finding found;
	size_t len = t->limit + UINT64_C(1);

	/* VMLOAD takes a null selector with a base; INIT leaves base 0. */
	if (!t->selector && !t->base)
		return RF_FACT_TABLE_KERNELS;
	/* arch/x86/kernel/ldt.c: its own pages, in the kernel's half */
	if (rf_ldtr_fact(t->selector) != RF_REGISTER_RUNNING || !(t->base >> 63) ||
	    len > sizeof(bytes) || rf_pt_read(&g->mem, p, rf_gva_of(t->base), bytes, len))
		return RF_FACT_TABLE_FOREIGN;
	return rf_ldt_check(bytes, len, (uint16_t)t->limit, &found, 1) ? RF_FACT_TABLE_FORGED
								       : RF_FACT_TABLE_KERNELS;
}

static enum rf_fact_table tr_fact(struct rf_guest *g, const struct rf_table *t)
{
	return rf_tr_fact(t->selector) == RF_REGISTER_RUNNING &&
			       rf_tss_cpu(&g->tables, t->base) >= 0 &&
			       t->limit <= g->tables.tss_limit
		       ? RF_FACT_TABLE_KERNELS
		       : RF_FACT_TABLE_FOREIGN;
}

/* --- loaded by an instruction of the kernel's ------------------------------------------ */

/* What the CPU would find in the GDT: SDM vol. 3A 3.5.2, vol. 2A LLDT, LTR. */
static int descriptor(struct rf_guest *g, const struct rf_paging *p, const struct rf_table *gdt,
		      uint8_t type, struct rf_table *t)
{
	uint32_t at = t->selector & ~UINT32_C(7), limit;
	uint8_t b[GATE];
	int err;

	if (t->selector & 4 || at + GATE - 1 > gdt->limit)
		return -EINVAL;
	err = rf_pt_read(&g->mem, p, rf_gva_of(gdt->base + at), b, sizeof(b));
	if (err)
		return err;
	/* Present, a system descriptor of that type, its upper half as it must be. */
	if ((b[5] & 0x9f) != (0x80 | type) || b[13] & 0x1f)
		return -EINVAL;
	limit = b[0] | (uint32_t)b[1] << 8 | (uint32_t)(b[6] & 0xf) << 16;
	t->limit = b[6] & 0x80 ? limit << 12 | 0xfff : limit;
	t->base = b[2] | (uint64_t)b[3] << 8 | (uint64_t)b[4] << 16 | (uint64_t)b[7] << 24;
	for (int i = 0; i < 4; i++)
		t->base |= (uint64_t)b[8 + i] << (32 + 8 * i);
	return 0;
}

static void describe(char *text, size_t size, const char *name, const struct rf_table *now,
		     const struct rf_table *old)
{
	snprintf(text, size, "%s <- 0x%llx limit 0x%x selector 0x%x, was 0x%llx limit 0x%x", name,
		 (unsigned long long)now->base, now->limit, now->selector,
		 (unsigned long long)old->base, old->limit);
}

/* The registers' names by kind of trap. */
static const char *const names[] = {
	[RF_TRAP_LIDT] = "IDTR", [RF_TRAP_LGDT] = "GDTR",   [RF_TRAP_LLDT] = "LDTR",
	[RF_TRAP_LTR] = "TR",	 [RF_TRAP_MOV_CR0] = "CR0", [RF_TRAP_MOV_CR4] = "CR4",
};

static enum rf_fact_table load_fact(struct rf_guest *g, const struct rf_msg_event *ev,
				    const struct rf_paging *p, struct rf_table *t)
{
	const struct rf_table *gdt = &ev->tables.gdt;

	switch (ev->trap.kind) {
	case RF_TRAP_LIDT:
		return idt_fact(g, p, t);
	case RF_TRAP_LGDT:
		return gdt_fact(g, p, t);
	case RF_TRAP_LLDT:
		if (t->selector >> 2 && descriptor(g, p, gdt, TYPE_LDT, t))
			return RF_FACT_TABLE_FOREIGN;
		if (!(t->selector >> 2))
			t->selector = 0;
		return ldt_fact(g, p, t);
	case RF_TRAP_LTR:
		/* One that the kernel set up just before: hv/vmx/trap.c does not make it busy. */
		return descriptor(g, p, gdt, TYPE_TSS, t) ? RF_FACT_TABLE_FOREIGN : tr_fact(g, t);
	}
	return RF_FACT_TABLE_UNKNOWN;
}

static int on_trap(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const struct rf_paging p = rf_paging_of(ev->regs.cr3, ev->regs.cr4);
	const struct rf_table *const old[] = { [RF_TRAP_LIDT] = &ev->tables.idt,
					       [RF_TRAP_LGDT] = &ev->tables.gdt,
					       [RF_TRAP_LLDT] = &ev->tables.ldt,
					       [RF_TRAP_LTR] = &ev->tables.tr };
	struct rf_facts facts = { .kind = RF_FACT_LOAD };
	struct rf_table t = { 0 };
	char detail[192];
	bool known;

	if (ev->trap.kind == RF_TRAP_POKE)
		return rf_judge_store(g, ev);
	if (ev->trap.kind == RF_TRAP_KEXEC)
		return rf_judge_kexec(g, ev);
	if (ev->trap.kind < RF_TRAP_LIDT || ev->trap.kind > RF_TRAP_MOV_CR4)
		return -EBADMSG;
	if (ev->trap.kind >= RF_TRAP_MOV_CR0) {
		uint64_t was = ev->trap.kind == RF_TRAP_MOV_CR0 ? ev->regs.cr0 : ev->regs.cr4;

		facts.table = RF_FACT_TABLE_CLEARED;
		snprintf(detail, sizeof(detail), "%s <- 0x%llx, was 0x%llx", names[ev->trap.kind],
			 (unsigned long long)ev->trap.value, (unsigned long long)was);
		return rf_judge_load(g, ev, &facts, ev->trap.value, detail, NULL);
	}
	known = !rf_traps_operand(g, ev, &p, &t);
	if (known && g->tables_known)
		facts.table = load_fact(g, ev, &p, &t);
	if (known)
		describe(detail, sizeof(detail), names[ev->trap.kind], &t, old[ev->trap.kind]);
	else
		snprintf(detail, sizeof(detail), "%s: what it would get could not be read",
			 names[ev->trap.kind]);
	return rf_judge_load(g, ev, &facts, t.base, detail, known ? &t : NULL);
}

/* --- compared --------------------------------------------------------------------------- */

/*
 * A CPU that comes up has the trampoline's GDT, in the first MiB, until secondary_startup_64(),
 * which calls verify_cpu(), or since 6.9 common_startup_64() behind it loads its own
 * (arch/x86/realmode/rm/trampoline_64.S, arch/x86/kernel/head_64.S). Others can be there with
 * another one: the fence does not take it for what the CPU has, and asks at each look.
 */
static bool comes_up(struct rf_guest *g, const struct rf_msg_event *ev)
{
	static const char first[] = "secondary_startup_64"; /* and "..._no_verify" */
	struct rf_symbol s;
	uint64_t offset;

	/* "load idt with 0, 0": of any other no gate has been looked at. */
	return ev->tables.gdt.base < FIRST_MIB && !ev->tables.idt.limit && g->kernel &&
	       !rf_kernel_symbolize(g->kernel, rf_gva_of(ev->regs.rip), &s, &offset) &&
	       (!strncmp(s.name, first, strlen(first)) || !strcmp(s.name, "verify_cpu") ||
		!strcmp(s.name, "common_startup_64"));
}

#define CR4_VMXE (UINT64_C(1) << 13)
#define VMX_LIMIT 0xffff

/*
 * A guest that runs guests by VMX: each VM exit leaves it with limits that are not those it loaded
 * (SDM vol. 3C 28.5.2), and Linux loads its own again when it gets to it
 * (arch/x86/kvm/vmx/vmx.c vmx_prepare_switch_to_host()), the IDT's never.
 */
static struct rf_vcpu_tables as_loaded(const struct rf_msg_event *ev)
{
	struct rf_vcpu_tables t = ev->tables;

	if (!(ev->regs.cr4 & CR4_VMXE))
		return t;
	if (t.idt.limit == VMX_LIMIT)
		t.idt.limit = RF_IDT_SIZE - 1;
	if (t.gdt.limit == VMX_LIMIT)
		t.gdt.limit = RF_GDT_SIZE - 1;
	return t;
}

static int on_tables(struct rf_guest *g, const struct rf_msg_event *ev)
{
	const struct rf_paging p = rf_paging_of(ev->regs.cr3, ev->regs.cr4);
	const struct rf_vcpu_tables loaded = as_loaded(ev), *now = &loaded, *old = &ev->kept;
	static const uint8_t none[sizeof(g->tables_digest)];
	/* Never known: nothing is expected of them. Known at the seal and no more: nothing is
	 * legal. */
	bool expected = memcmp(g->tables_digest, none, sizeof(none)) != 0;
	struct rf_facts facts = { .kind = RF_FACT_TABLE,
				  .table = g->tables_known || !expected ? RF_FACT_TABLE_KERNELS
									: RF_FACT_TABLE_UNKNOWN };
	const struct {
		const char *name;
		const struct rf_table *now, *old;
		bool foreign;
	} r[] = {
		{ "IDTR", &now->idt, &old->idt,
		  idt_fact(g, &p, &now->idt) != RF_FACT_TABLE_KERNELS },
		/* What stands in a GDT of the kernel's is looked at every now and then. */
		{ "GDTR", &now->gdt, &old->gdt,
		  gdt_fact(g, &p, &now->gdt) == RF_FACT_TABLE_FOREIGN && !comes_up(g, ev) },
		{ "LDTR", &now->ldt, &old->ldt,
		  ldt_fact(g, &p, &now->ldt) == RF_FACT_TABLE_FOREIGN },
		{ "TR", &now->tr, &old->tr,
		  (now->tr.selector || now->tr.base) &&
			  tr_fact(g, &now->tr) != RF_FACT_TABLE_KERNELS },
	};
	char detail[192] = "";
	uint64_t target = 0;

	for (size_t i = 0; i < sizeof(r) / sizeof(r[0]) && !detail[0] && g->tables_known; i++) {
		if (!r[i].foreign)
			continue;
		facts.table = RF_FACT_TABLE_FOREIGN;
		target = r[i].now->base;
		describe(detail, sizeof(detail), r[i].name, r[i].now, r[i].old);
	}
	return rf_judge_load(g, ev, &facts, target, detail, NULL);
}

static int answer(struct rf_guest *g, const struct rf_msg_event *ev)
{
	return ev->kind == RF_EVENT_TRAP ? on_trap(g, ev) : on_tables(g, ev);
}

static const char *lacks(const struct rf_guest *g)
{
	if (!g->policy.pin_tables)
		return "the policy does not ask for it";
	return g->tables_known ? NULL : "it is not known where the kernel's tables are";
}

const struct rf_guard rf_guard_tables = {
	.name = "tables",
	.lacks = lacks,
	.attach = begin,
	.forget = end,
	.answers = RF_ANSWERS(RF_EVENT_TRAP) | RF_ANSWERS(RF_EVENT_TABLES),
	.answer = answer,
	.tick_unit = { 1 << 16, "looking at descriptor tables" },
	.tick = tick,
};
