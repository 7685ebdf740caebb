// SPDX-License-Identifier: LGPL-2.1-or-later
/* Traps in sealed text, where the kernel loads a descriptor table, and the registers compared. */
#include "tests/kvm/scenario.h"

#define NEW_IDT 0x6000 /* a copy of the machine's, made here */
#define OLD_IDT 0x5000
#define OLD_GDT 0x4000
#define NEW_GDT 0x40000
#define WP (UINT64_C(1) << 16)
#define PGE (UINT64_C(1) << 7)
#define PCE (UINT64_C(1) << 8)
#define PORT 0xe6

/* Code that is sealed, each piece on 64 bytes of its own. */
GUEST(t_lidt, "lidt (%rdi)\n mov $0x77, %eax");
GUEST(t_lgdt, "lgdt 0x10(%rdi,%rcx,8)\n mov $0x78, %eax");
GUEST(t_lldt, "lldt %cx\n mov $0x79, %eax");
GUEST(t_ltr, "ltr %cx\n mov $0x7a, %eax");
GUEST(t_cr0, "mov %rcx, %cr0\n mov $0x7b, %eax");
GUEST(t_cr4, "mov %r9, %cr4\n mov $0x7c, %eax");

GUEST(g_jump, "jmp *%rbx");
GUEST(g_lidt_jump, "lidt (%rdi)\n xor %eax, %eax\n jmp *%rbx");
GUEST(g_out, "out %al, $0xe6\n mov $0x55, %eax");
GUEST(g_nothing, "");
GUEST(g_lidt_out, "lidt (%rdi)\n out %al, $0x99");
GUEST(g_spin, "1: lidt (%rdi)\n 2: cmpq $0, (%rsi)\n je 2b");

enum { LIDT, LGDT, LLDT, LTR, CR0, CR4, PIECES };

static const struct {
	const uint8_t *code, *end;
	uint8_t len, kind, reg;
} pieces[PIECES] = {
	{ t_lidt, t_lidt_end, 3, RF_TRAP_LIDT, 0 },    { t_lgdt, t_lgdt_end, 5, RF_TRAP_LGDT, 0 },
	{ t_lldt, t_lldt_end, 3, RF_TRAP_LLDT, 0 },    { t_ltr, t_ltr_end, 3, RF_TRAP_LTR, 0 },
	{ t_cr0, t_cr0_end, 3, RF_TRAP_MOV_CR0, 1 },   { t_cr4, t_cr4_end, 4, RF_TRAP_MOV_CR4, 9 },
};

#define AT(n) (SEALED + (n) * UINT64_C(64))

static struct rf_msg_traps sites(uint64_t kernel)
{
	struct rf_msg_traps m = { .kernel = kernel, .count = PIECES, .cr0 = WP, .cr4 = PGE };

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	for (int i = 0; i < PIECES; i++) {
		struct rf_trap_site *s = &m.sites[i];

		s->gpa = AT(i);
		s->len = pieces[i].len;
		s->kind = pieces[i].kind;
		s->reg = pieces[i].reg;
		memcpy(s->bytes, pieces[i].code, s->len);
	}
	return m;
}

/* The pieces sealed where the guest maps them: at their own address. The kernel's id. */
static uint64_t sealed_pieces(unsigned cpus)
{
	const struct rf_region text = { SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 };
	uint64_t kernel;

	protected_machine(cpus);
	for (int i = 0; i < PIECES; i++)
		memcpy(vm.ram + AT(i), pieces[i].code, (size_t)(pieces[i].end - pieces[i].code));
	memcpy(vm.ram + NEW_IDT, vm.ram + OLD_IDT, 0x1000);
	memcpy(vm.ram + NEW_GDT, vm.ram + OLD_GDT, 24);
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel, &text, 1), 0);
	kernel_goes_on(kernel);
	return kernel;
}

static uint64_t trapped_machine(unsigned cpus, uint32_t check_ms)
{
	uint64_t kernel = sealed_pieces(cpus);
	struct rf_msg_traps m = sites(kernel);

	m.check_ms = check_ms;
	CHECK_EQ(monitor_traps(&m), 0);
	return kernel;
}

static void put_pointer(uint64_t at, uint16_t limit, uint64_t base)
{
	memcpy(vm.ram + at, &limit, sizeof(limit));
	memcpy(vm.ram + at + 2, &base, sizeof(base));
}

static struct kvm_sregs sregs(struct cpu *c)
{
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	return s;
}

/* What the next trap gets. */
static struct rf_table answer;
static uint32_t word;

static bool judge(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	v->verdict = word;
	v->table = answer;
	fault_where_it_is(ev, v);
	return true;
}

/* Runs a piece to its HLT; the exception there, 0 none. */
static uint64_t run_piece(int n, uint64_t rdi, uint64_t rcx)
{
	struct cpu *c = &vm.cpus[0];
	struct fault f;

	CPU_START(c, g_jump, .rbx = AT(n), .rdi = rdi, .rcx = rcx, .r9 = rcx, .r12 = 12);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	if (cpu_faulted(c, &f)) {
		CHECK_EQ(f.rip, AT(n));
		CHECK_EQ(f.error, 0);
		return f.vector;
	}
	CHECK_EQ(cpu_regs(c).rax, 0x77 + n);
	CHECK_EQ(cpu_regs(c).r12, 12);
	CHECK_EQ(cpu_regs(c).rip, AT(n) + (uint64_t)(pieces[n].end - pieces[n].code));
	return 0;
}

void traps_planted(void)
{
	uint64_t kernel = sealed_pieces(1);
	struct rf_msg_traps m = sites(kernel);

	CHECK_EQ(monitor_traps(&m), 0);
	CHECK_EQ(monitor_board()->traps_count, PIECES);
	for (int i = 0; i < PIECES; i++) {
		const uint8_t *copy = sealed_copy(AT(i));

		CHECK_EQ(copy[0], 0xe6);
		CHECK_EQ(copy[1], PORT);
		for (int n = 2; n < pieces[i].len; n++)
			CHECK_EQ(copy[n], 0xcc);
		CHECK(!memcmp(copy + pieces[i].len, pieces[i].code + pieces[i].len,
			      (size_t)(pieces[i].end - pieces[i].code) - pieces[i].len));
		/* What the VMM saves and dumps is the kernel as it is. */
		CHECK(!memcmp(vm.ram + AT(i), pieces[i].code,
			      (size_t)(pieces[i].end - pieces[i].code)));
		CHECK_EQ(monitor_board()->traps[i].gpa, AT(i));
	}
	CHECK_EQ((int64_t)monitor_traps(&m), -EALREADY);
}

void traps_refused(void)
{
	uint64_t kernel = sealed_pieces(1);
	struct rf_msg_traps m;

	for (int what = 0; what < 10; what++) {
		int expected = -EINVAL;

		m = sites(kernel);
		switch (what) {
		case 0: m.kernel++, expected = -ESTALE; break;
		case 1: m.kernel = 0, expected = -ESTALE; break;
		case 2: m.count = RF_TRAP_MAX + 1; break;
		case 3: m.sites[2].gpa = m.sites[1].gpa + 4; break; /* overlap */
		case 4: m.sites[0].gpa = OTHER; break;		    /* not sealed */
		case 5: m.sites[0].len = 2; break;
		case 6: m.sites[5].gpa = SEALED + SEALED_SIZE - 2; break;
		case 7: m.sites[0].kind = 7; break;
		case 9: m.sites[CR4].reg = 16; break;
		case 8: m.sites[PIECES - 1].bytes[0]++, expected = -EILSEQ; break;
		}
		CHECK_EQ((int64_t)monitor_traps(&m), expected);
		CHECK_EQ(monitor_board()->traps_count, 0);
	}
	CHECK(!memcmp(sealed_copy(SEALED), vm.ram + SEALED, SEALED_SIZE));
	m = sites(kernel);
	CHECK_EQ(monitor_traps(&m), 0);
}

void trap_allowed(void)
{
	struct rf_msg_event ev;
	struct kvm_sregs s;

	trapped_machine(1, 0);
	monitor_set_judge(judge);
	word = RF_VERDICT_ALLOW;
	answer = (struct rf_table){ NEW_IDT, 0x1ff, 0, 0 };
	CHECK_EQ(run_piece(LIDT, DATA, 0), 0);
	ev = monitor_event(1, RF_EVENT_TRAP);
	CHECK_EQ(ev.trap.gpa, AT(LIDT));
	CHECK_EQ(ev.trap.kind, RF_TRAP_LIDT);
	CHECK_EQ(ev.trap.len, 3);
	CHECK_EQ(ev.regs.rip, AT(LIDT));
	CHECK_EQ(ev.regs.gpr[7], DATA);
	CHECK_EQ(ev.tables.idt.base, OLD_IDT);
	CHECK_EQ(ev.tables.gdt.base, OLD_GDT);
	CHECK_EQ(ev.tables.gdt.limit, 23);
	s = sregs(&vm.cpus[0]);
	CHECK_EQ(s.idt.base, NEW_IDT);
	CHECK_EQ(s.idt.limit, 0x1ff);

	answer = (struct rf_table){ NEW_GDT, 47, 0, 0 };
	CHECK_EQ(run_piece(LGDT, DATA, 0), 0);
	s = sregs(&vm.cpus[0]);
	CHECK_EQ(s.gdt.base, NEW_GDT);
	CHECK_EQ(s.gdt.limit, 47);

	answer = (struct rf_table){ 0 };
	CHECK_EQ(run_piece(LLDT, DATA, 0), 0);
	CHECK(sregs(&vm.cpus[0]).ldt.unusable || !sregs(&vm.cpus[0]).ldt.present);
	answer = (struct rf_table){ DATA, 0xffff, 0x28, 0 };
	CHECK_EQ(run_piece(LLDT, DATA, 0x28), 0);
	s = sregs(&vm.cpus[0]);
	CHECK_EQ(s.ldt.base, DATA);
	CHECK_EQ(s.ldt.limit, 0xffff);
	CHECK_EQ(s.ldt.selector, 0x28);
	CHECK_EQ(s.ldt.type, 2);

	/* Beyond 1 MiB a limit counts in pages: the CPU refuses to enter a guest that has it in bytes. */
	answer = (struct rf_table){ DATA, 0x1fffff, 0x28, 0 };
	CHECK_EQ(run_piece(LLDT, DATA, 0x28), 0);
	s = sregs(&vm.cpus[0]);
	CHECK_EQ(s.ldt.limit, 0x1fffff);
	CHECK_EQ(s.ldt.g, 1);
	answer = (struct rf_table){ 0 };
	CHECK_EQ(run_piece(LLDT, DATA, 0), 0);

	answer = (struct rf_table){ DATA + 0x800, 0x67, 0x18, 0 };
	CHECK_EQ(run_piece(LTR, DATA, 0x18), 0);
	s = sregs(&vm.cpus[0]);
	CHECK_EQ(s.tr.base, DATA + 0x800);
	CHECK_EQ(s.tr.limit, 0x67);
	CHECK_EQ(s.tr.selector, 0x18);
	CHECK_EQ(s.tr.type, 11);
	CHECK_EQ(monitor_count(RF_COUNT_TRAP), 7);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 0);
}

void trap_denied(void)
{
	struct kvm_sregs old, now;

	trapped_machine(1, 0);
	old = sregs(&vm.cpus[0]);
	monitor_set_judge(judge);
	word = RF_VERDICT_DENY;
	for (int n = LIDT; n <= LTR; n++) {
		CHECK_EQ(run_piece(n, DATA, 0x18), 13);
		CHECK_EQ(cpu_regs(&vm.cpus[0]).r12, 12);
		CHECK_EQ(monitor_outcome((unsigned)n).status, 0);
	}
	now = sregs(&vm.cpus[0]);
	CHECK(!memcmp(&old.idt, &now.idt, sizeof(old.idt)));
	CHECK(!memcmp(&old.gdt, &now.gdt, sizeof(old.gdt)));
	CHECK_EQ(now.tr.base, old.tr.base);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 4);
}

/* Bits that stay set are no event; what the CPU refuses is its own #GP. */
void trap_control_registers(void)
{
	struct cpu *c;
	uint64_t cr0, cr4;

	trapped_machine(1, 0);
	c = &vm.cpus[0];
	cr0 = sregs(c).cr0;
	cr4 = sregs(c).cr4;
	monitor_set_judge(judge);
	word = RF_VERDICT_DENY;
	CHECK_EQ(run_piece(CR0, 0, cr0 ^ 8), 0); /* TS */
	CHECK_EQ(sregs(c).cr0, cr0 ^ 8);
	CHECK_EQ(run_piece(CR0, 0, cr0 & ~UINT64_C(1)), 13); /* PG without PE */
	CHECK_EQ(run_piece(CR4, 0, cr4 | PGE), 0);
	CHECK_EQ(run_piece(CR4, 0, cr4 | PGE | PCE), 0);
	CHECK_EQ(run_piece(CR4, 0, cr4 | PGE | UINT64_C(1) << 40), 13);
	CHECK_EQ(monitor_events(), 1); /* the kernel's */
	CHECK_EQ(run_piece(CR0, 0, cr0 & ~WP), 13);
	CHECK_EQ(sregs(c).cr0, cr0 ^ 8);
	CHECK_EQ(monitor_event(1, RF_EVENT_TRAP).trap.value, cr0 & ~WP);
	CHECK_EQ(run_piece(CR4, 0, cr4 | PCE), 13);
	CHECK_EQ(sregs(c).cr4, cr4 | PGE | PCE);
	CHECK_EQ(monitor_event(2, RF_EVENT_TRAP).trap.kind, RF_TRAP_MOV_CR4);
	word = RF_VERDICT_ALLOW;
	CHECK_EQ(run_piece(CR4, 0, cr4 | PCE), 0);
	CHECK_EQ(sregs(c).cr4, cr4 | PCE);
	CHECK_EQ(run_piece(CR4, 0, cr4), 0); /* PGE is not set any more */
	CHECK_EQ(monitor_events(), 4);
}

/* The same OUT elsewhere is an OUT. */
void trap_elsewhere(void)
{
	struct cpu *c;

	trapped_machine(1, 0);
	c = &vm.cpus[0];
	CPU_START(c, g_out);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	CHECK_EQ(c->run->io.port, PORT);
	CHECK_EQ(c->run->io.direction, KVM_EXIT_IO_OUT);
	CHECK_EQ(monitor_events(), 1);
	CHECK_EQ(monitor_count(RF_COUNT_TRAP), 0);
}

/* Held at a trap: the VMM can have its thread, and sees the vCPU before the instruction. */
void trap_held(void)
{
	struct rf_msg_verdict v;
	struct rf_msg_event ev;
	struct cpu *c;

	trapped_machine(1, 0);
	c = &vm.cpus[0];
	CPU_START(c, g_jump, .rbx = AT(LIDT), .rdi = DATA);
	ev = monitor_event(1, RF_EVENT_TRAP);
	while (!atomic_load(&c->eintr)) {
		cpu_kick(c);
		usleep(1000);
	}
	CHECK_EQ(cpu_regs(c).rip, AT(LIDT));
	CHECK_EQ(sregs(c).idt.base, OLD_IDT);
	v = (struct rf_msg_verdict){ .id = ev.id, .verdict = RF_VERDICT_ALLOW,
				     .table = { NEW_IDT, 0x1ff, 0, 0 } };
	monitor_verdict(&v);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(cpu_regs(c).rax, 0x77);
	CHECK_EQ(sregs(c).idt.base, NEW_IDT);
}

/* The VMM moves the vCPU elsewhere while it is held: there it goes on, and not behind the instruction. */
void trap_moved(void)
{
	struct rf_msg_verdict v;
	struct kvm_regs r;
	struct cpu *c;

	trapped_machine(1, 0);
	c = &vm.cpus[0];
	for (int n = LIDT; n <= LTR; n++) {
		unsigned events = monitor_events();

		CPU_START(c, g_jump, .rbx = AT(n), .rdi = DATA);
		v = (struct rf_msg_verdict){ .id = monitor_event(events, RF_EVENT_TRAP).id,
					     .verdict = RF_VERDICT_ALLOW,
					     .table = { NEW_IDT, 0x1ff, n > LGDT ? 0x28 : 0, 0 } };
		if (n == LGDT)
			v.table.base = NEW_GDT;
		cpu_stop(c);
		memcpy(vm.ram + cpu_code(c), g_out, (size_t)(g_out_end - g_out));
		r = cpu_regs(c);
		CHECK_EQ(r.rip, AT(n));
		r.rip = cpu_code(c);
		CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
		monitor_verdict(&v);
		CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_IO); /* its first instruction */
		CHECK_EQ(c->run->io.port, PORT);
		CHECK_EQ(monitor_count(RF_COUNT_TRAP), (unsigned)n + 1);
		CPU_DO(c, g_nothing);
	}
}

static bool deny_tables(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_TABLES && ev->tables.idt.base == NEW_IDT)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

/* Due whenever leaves() leaves, and long enough for its few instructions not to be cut short by a look in the middle, where
 * a loaded machine emulates them. */
#define EACH_LEAVE 60 /* ms */

static void until_due(void)
{
	usleep((EACH_LEAVE + 10) * 1000);
}

/*
 * Loads that table, leaves to the VMM and comes back, until the monitor has heard of so many events. Once does as a rule;
 * not where the vCPU was got out and looked at just before. It is looked at before it runs on, so that the VMM's exit
 * waits for nobody.
 */
static void leaves(struct cpu *c, uint64_t table, unsigned events)
{
	for (int i = 0; i < 50 && (!i || monitor_events() < events); i++) {
		until_due();
		CPU_START(c, g_lidt_out, .rdi = table);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
		CHECK_EQ(c->run->io.port, 0x99);
		until_due();
		CPU_DO(c, g_nothing);
	}
	CHECK_EQ(monitor_events(), events);
}

/* LIDT out of text that is not sealed: found when the vCPU is to run on, and put back before it does. */
void tables_compared(void)
{
	struct rf_msg_event ev;
	struct cpu *c;

	trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	put_pointer(DATA, 0x2ff, NEW_IDT);
	put_pointer(DATA + 16, 0x2ff, OLD_IDT);
	monitor_set_judge(deny_tables);
	/* The first look has nothing to compare with. */
	leaves(c, DATA + 16, 2);
	ev = monitor_event(1, RF_EVENT_TABLES);
	CHECK_EQ(ev.has_kept, 0);
	CHECK_EQ(ev.tables.idt.base, OLD_IDT);
	leaves(c, DATA + 16, 2);
	leaves(c, DATA, 3);
	ev = monitor_event(2, RF_EVENT_TABLES);
	CHECK_EQ(ev.has_kept, 1);
	CHECK_EQ(ev.tables.idt.base, NEW_IDT);
	CHECK_EQ(ev.kept.idt.base, OLD_IDT);
	CHECK_EQ(sregs(c).idt.base, OLD_IDT);
	CHECK_EQ(monitor_outcome(0).status, 0);
	monitor_set_judge(allow);
	leaves(c, DATA, 4);
	CHECK_EQ(monitor_event(3, RF_EVENT_TABLES).tables.idt.base, NEW_IDT);
	CHECK_EQ(sregs(c).idt.base, NEW_IDT);
	leaves(c, DATA, 4);
	/* As long as the one that CPUs come up with, which lies in plain data: asked about each time. */
	put_pointer(DATA, 0x1ff, NEW_IDT);
	for (unsigned n = 0; n < 20 && monitor_events() < 6; n++) {
		until_due();
		CPU_START(c, g_lidt_out, .rdi = DATA);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	}
	CHECK(monitor_events_of(RF_EVENT_TABLES) >= 5);
}

/* A load through a trap is judged for itself: what another instruction loaded is still found. */
void tables_loaded_beside(void)
{
	struct rf_msg_event ev;
	struct cpu *c;

	trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	put_pointer(DATA, 0x2ff, NEW_IDT);
	put_pointer(DATA + 16, 0x2ff, OLD_IDT);
	monitor_set_judge(deny_tables);
	leaves(c, DATA + 16, 2);
	monitor_event(1, RF_EVENT_TABLES);
	until_due();
	CPU_START(c, g_lidt_jump, .rdi = DATA, .rbx = AT(LLDT));
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(monitor_events_of(RF_EVENT_TRAP), 1);
	for (int i = 0; i < 50 && monitor_events_of(RF_EVENT_TABLES) < 2; i++) {
		until_due();
		CPU_START(c, g_out, .rax = 0);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	}
	CHECK_EQ(monitor_events_of(RF_EVENT_TABLES), 2);
	ev = monitor_last_event(RF_EVENT_TABLES);
	CHECK_EQ(ev.tables.idt.base, NEW_IDT);
	CHECK_EQ(ev.kept.idt.base, OLD_IDT);
	CHECK_EQ(sregs(c).idt.base, OLD_IDT);
}

/* Looked at, some times over. */
static void looks(struct cpu *c)
{
	for (int i = 0; i < 3; i++) {
		until_due();
		CPU_DO(c, g_nothing);
	}
}

/* What a trap has loaded was judged: it is not asked about once more. */
void tables_judged_by_traps(void)
{
	static const struct rf_table tables[] = {
		[LIDT] = { NEW_IDT, 0x2ff, 0, 0 },
		[LGDT] = { NEW_GDT, 47, 0, 0 },
		[LLDT] = { DATA, 0xfff, 0x28, 0 },
		[LTR] = { DATA + 0x800, 0x67, 0x18, 0 },
	};
	struct cpu *c;
	unsigned n;

	trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	monitor_set_judge(judge);
	word = RF_VERDICT_ALLOW;
	answer = (struct rf_table){ OLD_IDT, 0x2ff, 0, 0 };
	CHECK_EQ(run_piece(LIDT, DATA, 0), 0);
	looks(c);
	n = monitor_events_of(RF_EVENT_TABLES);
	CHECK(n > 0);
	for (int i = LIDT; i <= LTR; i++) {
		answer = tables[i];
		CHECK_EQ(run_piece(i, DATA, 0x18), 0);
		looks(c);
		CHECK_EQ(monitor_events_of(RF_EVENT_TABLES), n);
	}
	CHECK_EQ(monitor_events_of(RF_EVENT_TRAP), 5);
}

static bool hold_new_idt(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	return ev->kind != RF_EVENT_TABLES || ev->tables.idt.base != NEW_IDT;
}

/* The VMM loads another table while the bad one is asked about: the verdict is on what was asked. */
void tables_loaded_meanwhile(void)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_DENY };
	struct kvm_sregs s;
	struct cpu *c;

	trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	memcpy(vm.ram + DATA + 0x1000, vm.ram + OLD_IDT, 0x1000);
	put_pointer(DATA, 0x2ff, NEW_IDT);
	put_pointer(DATA + 16, 0x2ff, OLD_IDT);
	monitor_set_judge(hold_new_idt);
	leaves(c, DATA + 16, 2);
	until_due();
	CPU_START(c, g_lidt_out, .rdi = DATA);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	until_due();
	CPU_START(c, g_nothing, .rax = 0);
	v.id = monitor_event(2, RF_EVENT_TABLES).id;
	cpu_stop(c);
	s = sregs(c);
	CHECK_EQ(s.idt.base, NEW_IDT);
	s.idt.base = DATA + 0x1000;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	monitor_verdict(&v);
	CPU_DO(c, g_nothing);
	CHECK_EQ(sregs(c).idt.base, DATA + 0x1000);
}

/* What was judged in one kernel's life is nothing in the next one's. */
void tables_of_another_kernel(void)
{
	const struct rf_region text = { SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 };
	struct rf_msg_traps m;
	struct cpu *c;

	trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	put_pointer(DATA, 0x2ff, OLD_IDT);
	monitor_set_judge(allow);
	leaves(c, DATA, 2);
	CHECK_EQ(monitor_last_event(RF_EVENT_TABLES).has_kept, 0);
	machine_reset();
	monitor_event(2, RF_EVENT_RESET);
	put_pointer(DATA, 0x3ff, OLD_IDT);
	leaves(c, DATA, 3); /* nobody looks: no kernel asked for it yet */
	put_pointer(DATA, 0x2ff, OLD_IDT);
	leaves(c, DATA, 3);
	monitor_set_judge(NULL);
	m = sites(kernel_starts(3));
	m.check_ms = EACH_LEAVE;
	CHECK_EQ(monitor_seal_how(m.kernel, &text, 1, RF_SEAL_FRESH), 0);
	kernel_goes_on(m.kernel);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(allow);
	leaves(c, DATA, 5);
	CHECK_EQ(monitor_event(4, RF_EVENT_TABLES).has_kept, 0);
}

static bool deny_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR_FOUND)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

#define STAR 0xc0000081u
#define CSTAR 0xc0000083u

/* What got into a pinned MSR past the filter, as by VMLOAD; here the VMM puts it there. */
void msrs_compared(void)
{
	struct rf_msg_pin pin = { .count = 2 };
	struct rf_msg_event ev;
	uint64_t value;
	struct cpu *c;

	CHECK_EQ(STAR + 2, CSTAR);
	pin.kernel = trapped_machine(1, EACH_LEAVE);
	c = &vm.cpus[0];
	put_pointer(DATA, 0x2ff, OLD_IDT);
	CHECK_EQ(cpu_set_msr(c, STAR, 0x23001000000000), 0);
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0x1000), 0);
	for (int i = 0; i < 2; i++) {
		pin.pins[i].index = STAR + 2 * (unsigned)i;
		pin.pins[i].how = RF_PIN_VALUE;
		pin.pins[i].mask = UINT64_MAX;
	}
	CHECK_EQ(monitor_pin(&pin), 0);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(cpu_set_msr(c, STAR, 0), 0); /* as before it is set up */
	leaves(c, DATA, 2);
	monitor_event(1, RF_EVENT_TABLES); /* the first look */
	leaves(c, DATA, 2);
	leaves(c, DATA, 2);
	CHECK_EQ(cpu_set_msr(c, STAR, 0x13000800000000), 0);
	leaves(c, DATA, 3);
	ev = monitor_event(2, RF_EVENT_MSR_FOUND);
	CHECK_EQ(ev.msr.index, STAR);
	CHECK_EQ(ev.msr.value, 0x13000800000000);
	CHECK_EQ(ev.msr.pinned, 0x23001000000000);
	CHECK_EQ(cpu_get_msr(c, STAR, &value), 0);
	CHECK_EQ(value, 0x23001000000000);
	/* Let be, it is told once. */
	monitor_set_judge(allow);
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0x2000), 0);
	leaves(c, DATA, 4);
	CHECK_EQ(monitor_event(3, RF_EVENT_MSR_FOUND).msr.index, CSTAR);
	leaves(c, DATA, 4);
	leaves(c, DATA, 4);
	CHECK_EQ(cpu_get_msr(c, CSTAR, &value), 0);
	CHECK_EQ(value, 0x2000);
	/* And hides none behind it. */
	CHECK_EQ(cpu_set_msr(c, STAR, 0x13000800000000), 0);
	leaves(c, DATA, 5);
	CHECK_EQ(monitor_event(4, RF_EVENT_MSR_FOUND).msr.index, STAR);
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0x3000), 0);
	leaves(c, DATA, 6);
	CHECK_EQ(monitor_event(5, RF_EVENT_MSR_FOUND).msr.value, 0x3000);
	leaves(c, DATA, 6);
}

/* A vCPU that never leaves is got out once it has run for long. */
void tables_compared_spinning(void)
{
	const uint64_t go = 1;
	struct cpu *c;

	trapped_machine(1, 50);
	c = &vm.cpus[0];
	put_pointer(DATA, 0x1ff, NEW_IDT);
	monitor_set_judge(allow);
	CPU_START(c, g_spin, .rdi = DATA, .rsi = DATA + 64);
	CHECK_EQ(monitor_event(1, RF_EVENT_TABLES).tables.idt.base, OLD_IDT);
	CHECK_EQ(monitor_event(2, RF_EVENT_TABLES).tables.idt.base, NEW_IDT);
	for (int i = 0; !atomic_load(&c->eintr); i++) {
		CHECK(i < 1000);
		usleep(10000);
	}
	memcpy(vm.ram + DATA + 64, &go, sizeof(go));
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
}

void mended(void)
{
	struct rf_msg_mend m = { .gpa = DATA, .from = 7, .to = 0 };
	const uint64_t seven = 7;

	m.kernel = sealed_machine(1) + 1;
	memcpy(vm.ram + DATA, &seven, sizeof(seven));
	CHECK_EQ((int64_t)monitor_mend(&m), -ESTALE);
	m.kernel--;
	m.from = 8;
	CHECK_EQ((int64_t)monitor_mend(&m), -EAGAIN);
	m.from = 7;
	m.gpa = DATA + 4;
	CHECK_EQ((int64_t)monitor_mend(&m), -EINVAL);
	m.gpa = NOWHERE;
	CHECK_EQ((int64_t)monitor_mend(&m), -EINVAL);
	m.gpa = SEALED;
	m.from = PATTERN(SEALED);
	CHECK_EQ((int64_t)monitor_mend(&m), -EINVAL);
	m.gpa = DATA;
	m.from = 7;
	CHECK_EQ(guest_read(&vm.cpus[0], DATA), 7);
	CHECK_EQ(monitor_mend(&m), 0);
	CHECK_EQ(guest_read(&vm.cpus[0], DATA), 0);
	check_pattern(&vm.cpus[0], SEALED);
}
