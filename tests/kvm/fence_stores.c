// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stores to sealed memory: every form of instruction, refused and allowed. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/kvm/scenario.h"

#define VALUE UINT64_C(0x1122334455667788)

GUEST(s_mov8, "mov %cl, (%rdi)");
GUEST(s_mov16, "mov %cx, (%rdi)");
GUEST(s_mov32, "mov %ecx, (%rdi)");
GUEST(s_mov64, "mov %rcx, (%rdi)");
GUEST(s_movnti, "movnti %rcx, (%rdi)");
GUEST(s_stosq, "stosq");
GUEST(s_rep_stosb, "rep stosb");
GUEST(s_rep_movsq, "rep movsq");
GUEST(s_inc, "incq (%rdi)");
GUEST(s_lock_inc, "lock incq (%rdi)");
GUEST(s_lock_xadd, "lock xadd %rcx, (%rdi)");
GUEST(s_xchg, "xchg %rcx, (%rdi)");
GUEST(s_cmpxchg, "lock cmpxchg %rcx, (%rdi)");
GUEST(s_bts, "lock btsq $3, (%rdi)");
GUEST(s_sse, "movups %xmm0, (%rdi)");
GUEST(s_sse_aligned, "movaps %xmm0, (%rdi)");
GUEST(s_avx, "vmovups %ymm0, (%rdi)");
GUEST(s_cmpxchg16b, "lock cmpxchg16b (%rdi)");
GUEST(g_after, "mov %rcx, (%rdi)\n mov $0x77, %eax");

struct one {
	const char *name;
	const uint8_t *code, *end;
	uint64_t rdi, rcx, rax;
	bool needs_match; /* cmpxchg: RAX must be what stands there */
	uint32_t len;	  /* bytes of the event, 0: not looked at */
};

#define ONE(code, at, ...) { #code, code, code##_end, .rdi = at, __VA_ARGS__ }

static const struct one stores[] = {
	ONE(s_mov8, SEALED, .rcx = VALUE, .len = 1),
	ONE(s_mov16, SEALED + 0x102, .rcx = VALUE, .len = 2),
	ONE(s_mov32, SEALED + 0xffc, .rcx = VALUE, .len = 4),
	ONE(s_mov64, SEALED + 0x1000, .rcx = VALUE, .len = 8),
	ONE(s_mov64, SEALED + SEALED_SIZE - 8, .rcx = VALUE, .len = 8),
	ONE(s_mov64, OTHER + 0x800, .rcx = VALUE, .len = 8),
	ONE(s_movnti, SEALED + 0x200, .rcx = VALUE, .len = 8),
	ONE(s_stosq, SEALED + 0x200, .rcx = 1, .rax = VALUE, .len = 8),
	ONE(s_rep_stosb, SEALED + 0x300, .rcx = 16, .rax = 0xcc, .len = 1),
	ONE(s_rep_movsq, SEALED + 0x300, .rcx = 4, .len = 8),
	ONE(s_inc, SEALED + 0x200, .len = 8),
	ONE(s_lock_inc, SEALED + 0x208, .len = 8),
	ONE(s_lock_xadd, SEALED + 0x210, .rcx = 5, .len = 8),
	ONE(s_xchg, SEALED + 0x218, .rcx = VALUE, .len = 8),
	ONE(s_cmpxchg, SEALED + 0x220, .rcx = VALUE, .needs_match = true, .len = 8),
	ONE(s_bts, SEALED + 0x228, .len = 8),
	ONE(s_sse, SEALED + 0x238, .len = 16),
	ONE(s_sse_aligned, SEALED + 0x240, .len = 16),
	ONE(s_sse, SEALED + 0xff8, .len = 16), /* across two sealed pages */
	ONE(s_mov64, SEALED + 0xffd, .rcx = VALUE, .len = 8),
};

static struct kvm_regs start_one(struct cpu *c, const struct one *s)
{
	struct kvm_regs r = { .rdi = s->rdi, .rcx = s->rcx, .rax = s->rax, .rsi = DATA,
			      .rbx = 0xb0b, .r8 = 8, .r15 = 15,
			      .rsp = STACK + (c->index + 1) * 0x1000, .rflags = 2 };

	if (s->needs_match)
		memcpy(&r.rax, sealed_copy(s->rdi), 8);
	before = r;
	before.rip = cpu_code(c);
	cpu_start(c, s->code, s->end, &r);
	return r;
}

/* The guest sees a #PF on a present page, as if it were read-only, and nothing else of the store. */
static void check_fault(struct cpu *c, const char *name, uint64_t cr2)
{
	struct kvm_regs r;
	struct fault f;

	if (!cpu_faulted(c, &f))
		FAIL("%s: no fault", name);
	if (f.vector != 14 || f.error != 3 || f.rip != cpu_code(c))
		FAIL("%s: vector %d error %#x at %#llx", name, (int)f.vector, (unsigned)f.error,
		     (unsigned long long)f.rip);
	CHECK_EQ(cpu_cr2(c), cr2);
	CHECK_EQ(f.rsp, before.rsp);
	CHECK_EQ(f.rflags & 0xcd5, before.rflags & 0xcd5); /* arithmetic flags and DF */
	r = cpu_regs(c);
	if (r.rax != before.rax || r.rcx != before.rcx || r.rdx != before.rdx || r.rbx != before.rbx ||
	    r.rsi != before.rsi || r.rdi != before.rdi || r.rbp != before.rbp || r.r8 != before.r8 ||
	    r.r15 != before.r15)
		FAIL("%s: registers differ: rax %llx rcx %llx rsi %llx rdi %llx", name, r.rax, r.rcx,
		     r.rsi, r.rdi);
}

static void check_around(struct cpu *c, uint64_t gpa)
{
	gpa &= ~UINT64_C(7);
	for (uint64_t at = gpa - 16; at < gpa + 40; at += 8)
		if (sealed_copy(at))
			check_pattern(c, at);
}

void denied_stores(void)
{
	struct cpu *c;
	unsigned n = 1;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_at_code);
	for (size_t i = 0; i < COUNT(stores); i++) {
		const struct one *s = &stores[i];
		struct rf_msg_event ev;

		start_one(c, s);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		check_fault(c, s->name, s->rdi);
		ev = monitor_event(n++, RF_EVENT_WRITE);
		CHECK_EQ(ev.write.gpa, s->rdi);
		if (ev.write.len != s->len)
			FAIL("%s: %u bytes", s->name, ev.write.len);
		CHECK_EQ(ev.write.elsewhere, 0);
		CHECK_EQ(ev.write.rip_after, 1);
		if (s->rcx == VALUE && s->len <= 8)
			CHECK(!memcmp(ev.write.bytes, &s->rcx, s->len));
		check_around(c, s->rdi);
		CHECK_EQ(monitor_outcome(n - 2).id, ev.id);
		CHECK_EQ(monitor_outcome(n - 2).status, 0);
	}
	CHECK_EQ(monitor_events(), n);
	CHECK_EQ(monitor_count(RF_COUNT_WRITE), COUNT(stores));
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), COUNT(stores));
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), 0);
}

/* Half of the store lies in memory that is the guest's to write. */
void denied_crossing(void)
{
	static const struct one halves[] = {
		ONE(s_mov64, SEALED - 3, .rcx = VALUE),
		ONE(s_mov64, SEALED + SEALED_SIZE - 3, .rcx = VALUE),
		ONE(s_sse, SEALED - 5, .rcx = 0),
		ONE(s_sse, SEALED + SEALED_SIZE - 5, .rcx = 0),
		ONE(s_xchg, SEALED - 3, .rcx = VALUE),
	};
	struct cpu *c;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_at_code);
	for (size_t i = 0; i < COUNT(halves); i++) {
		const struct one *s = &halves[i];
		struct rf_msg_event ev;

		start_one(c, s);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		ev = monitor_event(i + 1, RF_EVENT_WRITE);
		CHECK(ev.write.gpa >= SEALED);
		check_fault(c, s->name, ev.write.gpa);
		check_pattern(c, SEALED);
		check_pattern(c, SEALED + 8);
		check_pattern(c, SEALED + SEALED_SIZE - 8);
	}
	monitor_set_judge(allow); /* an allowed one lands whole */
	for (uint64_t at = SEALED - 3; at < SEALED + SEALED_SIZE; at += SEALED_SIZE) {
		CPU_DO(c, s_mov64, .rdi = at, .rcx = VALUE);
		CHECK_EQ(guest_read(c, at), VALUE);
	}
}

/* KVM cannot emulate these: the instruction's bytes come instead of an address. */
void denied_unemulated(void)
{
	static const struct one hard[] = {
		ONE(s_cmpxchg16b, SEALED + 0x100, .rcx = VALUE),
		ONE(s_avx, SEALED + 0x120, .rcx = 0),
	};
	struct cpu *c;
	unsigned n = 1, emulation = 0;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_at_code);
	for (size_t i = 0; i < COUNT(hard); i++) {
		const struct one *s = &hard[i];
		struct rf_msg_event ev;
		struct fault f;

		start_one(c, s);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		if (cpu_faulted(c, &f) && f.vector == 6) {
			printf("  %s: this vCPU does not have the instruction\n", s->name);
			continue;
		}
		check_fault(c, s->name, s->rdi);
		check_around(c, s->rdi);
		CHECK_EQ(monitor_events(), n + 1);
		ev = monitor_event(n, monitor_events_of(RF_EVENT_EMULATION) > emulation ?
					      RF_EVENT_EMULATION :
					      RF_EVENT_WRITE);
		n++;
		if (ev.kind == RF_EVENT_WRITE)
			continue; /* a newer KVM emulates it */
		emulation++;
		CHECK_EQ(ev.regs.rip, cpu_code(c));
		CHECK(ev.insn.len > 0 && !memcmp(ev.insn.bytes, s->code, 4));
		CHECK_EQ(ev.regs.gpr[7], s->rdi);
	}
	CHECK_EQ(monitor_count(RF_COUNT_EMULATION), emulation);
	if (!emulation)
		SKIP("this KVM emulates cmpxchg16b and AVX stores, or its vCPUs lack both");
}

void allowed_store(void)
{
	static const struct one some[] = {
		ONE(s_mov8, SEALED + 0x11, .rcx = 0xcc), ONE(s_mov32, SEALED + 0x1ffe, .rcx = 0x90909090),
		ONE(s_lock_xadd, SEALED + 0x2100, .rcx = 1), ONE(s_sse, SEALED + 0x3000),
		ONE(s_rep_stosb, OTHER + 4, .rcx = 40, .rax = 0x5c),
	};
	struct cpu *c;
	uint64_t bytes = 0;

	sealed_machine(2);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	for (size_t i = 0; i < COUNT(some); i++) {
		const struct one *s = &some[i];
		uint8_t was[64], *copy = sealed_copy(s->rdi);
		struct fault f;

		memcpy(was, copy, sizeof(was));
		start_one(c, s);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		if (cpu_faulted(c, &f))
			FAIL("%s faulted", s->name);
		if (!memcmp(was, copy, sizeof(was)))
			FAIL("%s did not land", s->name);
		CHECK(!memcmp(vm.ram + s->rdi, copy, sizeof(was))); /* the decoy follows */
		CHECK_EQ(guest_read(&vm.cpus[1], s->rdi & ~7ull),
			 *(uint64_t *)(void *)sealed_copy(s->rdi & ~7ull));
	}
	/* Values: what the guest computed. */
	CHECK_EQ(guest_read(c, SEALED + 0x2100), PATTERN(SEALED + 0x2100) + 1);
	CHECK_EQ(sealed_copy(SEALED + 0x11)[0], 0xcc);
	CHECK_EQ(guest_read(c, OTHER + 8), 0x5c5c5c5c5c5c5c5c);
	CHECK_EQ(sealed_copy(OTHER)[3], (uint8_t)(PATTERN(OTHER) >> 24));
	CHECK_EQ(sealed_copy(OTHER + 44)[0], (uint8_t)(PATTERN(OTHER + 40) >> 32));
	bytes = 1 + 4 + 8 + 16 + 40;
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), bytes);
	/* Execution goes on behind the store. */
	CHECK_EQ(CPU_DO(c, g_after, .rdi = SEALED, .rcx = VALUE).rax, 0x77);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 0);
}

/* Two regions side by side: one store is one event, and lands in both or in none. */
void across_regions(void)
{
	const struct rf_region regions[] = {
		{ SEALED, 0x2000, 0, RF_REGION_TEXT, 0 },
		{ SEALED + 0x2000, 0x2000, 0, RF_REGION_RODATA, 0 },
	};
	const struct one s = ONE(s_mov64, SEALED + 0x1ffd, .rcx = VALUE);
	struct rf_msg_event ev;
	struct cpu *c;
	uint64_t kernel;

	protected_machine(1);
	fill_pattern();
	kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel, regions, 2), 0);
	kernel_goes_on(kernel);
	c = &vm.cpus[0];
	monitor_set_judge(deny_at_code);
	start_one(c, &s);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	check_fault(c, s.name, s.rdi);
	ev = monitor_event(1, RF_EVENT_WRITE);
	CHECK_EQ(ev.write.len, 8);
	check_pattern(c, SEALED + 0x1ff8);
	check_pattern(c, SEALED + 0x2000);
	monitor_set_judge(allow);
	CPU_DO(c, s_mov64, .rdi = s.rdi, .rcx = VALUE);
	CHECK_EQ(guest_read(c, s.rdi), VALUE);
	CHECK(!memcmp(vm.ram + s.rdi, &s.rcx, 8));
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), 8);
	CHECK_EQ(monitor_events(), 3);
}

static bool not_ours(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_EMULATION)
		v->verdict = RF_VERDICT_NOT_OURS;
	return true;
}

/* User mode gets a #UD for what KVM cannot emulate, as without the fence; the VMM does not see it. */
static void user_ud(struct cpu *c)
{
	struct kvm_regs r = { .rdi = SPARE, .rsp = DATA + 0x800 };
	struct kvm_sregs kernel_mode, s;
	struct fault f;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &kernel_mode), 0);
	s = kernel_mode;
	s.cs.selector = 0x1b;
	s.ss.selector = s.ds.selector = s.es.selector = 0x23;
	s.cs.dpl = s.ss.dpl = s.ds.dpl = s.es.dpl = 3;
	s.tr = (struct kvm_segment){ .base = DATA + 0x1000, .limit = 0x67, .selector = 0x28,
				     .type = 11, .present = 1 };
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	cpu_start(c, s_cmpxchg16b, s_cmpxchg16b_end, &r);
	if (cpu_wait(c) == KVM_EXIT_MMIO)
		SKIP("this KVM emulates cmpxchg16b");
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	if (f.vector != 6)
		FAIL("vector %d, error %#x, cr2 %#llx", (int)f.vector, (unsigned)f.error,
		     (unsigned long long)cpu_cr2(c));
	CHECK_EQ(f.cs, 0x1b);
	CHECK_EQ(f.rip, cpu_code(c));
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &kernel_mode), 0);
}

void user_mode_unemulated(void)
{
	uint64_t kernel, stack = STACK + 0x1000;
	struct cpu *c;

	protected_machine(1);
	c = &vm.cpus[0];
	fill_pattern();
	for (uint64_t table = 0x1000; table < 0x4000; table += 0x1000)
		for (uint64_t i = 0; i < 8; i++)
			vm.ram[table + i * 8] |= vm.ram[table + i * 8] ? 4 : 0; /* user */
	memcpy(vm.ram + DATA + 0x1000 + 4, &stack, 8); /* TSS.RSP0 */
	CHECK_EQ(machine_slot(1, KVM_MEM_READONLY, SPARE, 0x1000, vm.ram + DATA), 0); /* ROM */
	user_ud(c);
	kernel = kernel_starts(0);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	monitor_set_judge(not_ours);
	user_ud(c);
	CHECK_EQ(monitor_event(1, RF_EVENT_EMULATION).regs.cpl, 3);
	check_pattern(c, SEALED);
}

GUEST(s_then_on, "mov %rcx, (%rdi)");
GUEST(s_count_down, "mov $100000, %ecx\n1: dec %ecx\njnz 1b");

/* The VMM's own timer fires while a store is judged: it queues the interrupt as soon as it is told
 * that it may, as QEMU does (target/i386/kvm/kvm.c kvm_arch_pre_run()). */
static bool queued(struct cpu *c)
{
	struct kvm_interrupt irq = { .irq = 31 };

	c->run->request_interrupt_window = !c->run->ready_for_interrupt_injection;
	if (c->run->request_interrupt_window)
		return false;
	CHECK_EQ(cpu_ioctl(c, KVM_INTERRUPT, &irq), 0);
	return true;
}

/* Neither the fault nor the interrupt is lost. */
void interrupt_beside_a_question(void)
{
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_ALLOW };
	struct rf_msg_event ev;
	struct kvm_regs r;
	struct fault f;
	struct cpu *c;
	bool done;

	sealed_machine(1);
	c = &vm.cpus[0];
	before = (struct kvm_regs){ .rdi = SEALED, .rsp = STACK + 0x1000, .rflags = 0x200 };
	CPU_START(c, s_then_on, .rdi = SEALED, .rflags = 0x200);
	ev = monitor_await_event(RF_EVENT_WRITE, 1);
	cpu_stop(c);
	done = queued(c);
	v.id = ev.id;
	CHECK(deny_at_code(&ev, &v));
	monitor_verdict(&v);
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
	/* The handler is through. */
	r = (struct kvm_regs){ .rip = cpu_code(c), .rsp = STACK + 0x1000, .rflags = 0x202 };
	memcpy(vm.ram + r.rip, s_count_down, (size_t)(s_count_down_end - s_count_down));
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
	if (!done) {
		CHECK_EQ(c->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN);
		CHECK(queued(c));
		CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), 0);
	}
	CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 31);
	check_pattern(c, SEALED);
}

static bool kill_it(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_WRITE)
		v->verdict = 99; /* no such word: the strictest */
	return true;
}

void killed(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		sealed_machine(1);
		monitor_set_judge(kill_it);
		CPU_START(&vm.cpus[0], s_mov64, .rdi = SEALED);
		cpu_wait(&vm.cpus[0]);
		_exit(1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		_exit(SKIPPED);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
