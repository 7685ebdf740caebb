// SPDX-License-Identifier: LGPL-2.1-or-later
/* Kinds of stores that are not one plain one: those that go on elsewhere, and the CPU's own. */
#include "tests/kvm/patched.h"

GUEST(k_store, "mov %rcx, (%rdi)");
GUEST(k_store16, "movups %xmm0, (%rdi)");
GUEST(k_out_e6, "out %al, $0xe6");
GUEST(k_sgdt, "sgdt (%rdi)");
GUEST(k_sidt, "sidt (%rdi)");
GUEST(k_spin, "1: jmp 1b");
GUEST(k_ud2, "ud2");
GUEST(k_pushes, "push %rcx");

/* --- stores that go on elsewhere --------------------------------------------------- */

#define ALIAS 0xa00000 /* the sixth 2 MiB of the guest's addresses, in pages of its own */
#define ALIAS_TABLE 0x50000

static void alias(unsigned n, uint64_t gpa)
{
	const uint64_t entry = gpa | 0x63, table_entry = ALIAS_TABLE | 0x63;

	memcpy(vm.ram + ALIAS_TABLE + 8 * n, &entry, 8);
	memcpy(vm.ram + 0x3000 + 8 * 5, &table_entry, 8);
}

#define BORDER(n)                                                                                  \
	(ALIAS + 0x1000 * (uint64_t)(n) + 0xffd) /* three bytes on page n, five on the next */

static enum rf_verdict word;
static unsigned settle_first;

static bool say(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind != RF_EVENT_WRITE)
		return true;
	deny_at_code(ev, v);
	if (settle_first == 2) { /* as if the first part were legal by itself */
		table->shapes[2] =
			(struct rf_shape){ .len = 3, .flags = RF_SHAPE_DIRECT, .count = 1 };
		table->shapes[2].forms[0].how = RF_FORM_BYTES;
		memcpy(table->shapes[2].forms[0].bytes, ev->write.bytes, 3);
		table->shapes_count = 3;
		table->extra[0] = (struct rf_patch_site){ .at = (uint32_t)(ev->write.gpa - SEALED),
							  .shape = 2,
							  .kind = RF_SITE_SMP_LOCK };
		table->extra_count = 1;
	}
	v->verdict = settle_first ? RF_VERDICT_SETTLE : word;
	settle_first -= settle_first != 0;
	return true;
}

static struct rf_msg_event stores(uint64_t gva, bool faults)
{
	struct cpu *c = &vm.cpus[0];
	struct fault f;

	before = (struct kvm_regs){ .rdi = gva,
				    .rcx = UINT64_C(0x1122334455667788),
				    .rsp = STACK + 0x1000 };
	cpu_start(c, k_store, k_store_end, &before);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(cpu_faulted(c, &f), faults);
	if (faults)
		CHECK_EQ(f.rip, cpu_code(c));
	return monitor_last_event(RF_EVENT_WRITE);
}

/* Two sealed pages that are neighbours for the guest alone: such a store is never legal, whoever
 * says so. */
void neighbours_for_the_guest(void)
{
	struct rf_msg_event ev;
	struct cpu *c;
	unsigned n;

	patched_machine(1);
	c = &vm.cpus[0];
	alias(0, SEALED), alias(1, SEALED + 0x2000);	      /* with a page between */
	alias(2, SEALED + 0x1000), alias(3, SEALED);	      /* the other way round */
	alias(4, SEALED + 0x3000), alias(5, OTHER);	      /* two regions */
	alias(6, SEALED + 0x1000), alias(7, SEALED + 0x1000); /* itself */
	alias(8, SEALED + 0x1000), alias(9, SEALED + 0x2000); /* real neighbours */
	monitor_set_judge(say);
	for (int what = 0; what < 3; what++)
		for (unsigned p = 0; p < 8; p += 2) {
			word = what == 1 ? RF_VERDICT_ALLOW : RF_VERDICT_DENY;
			settle_first = what == 2 ? 3 : 0;
			table->extra_count = 0;
			n = monitor_events_of(RF_EVENT_WRITE);
			ev = stores(BORDER(p), true);
			CHECK_EQ(monitor_events_of(RF_EVENT_WRITE), n + (what == 2 ? 4 : 1));
			CHECK_EQ(ev.write.elsewhere, 1);
			CHECK_EQ(ev.write.len, 3);
			CHECK_EQ(ev.write.gpa % 0x1000, 0xffd);
		}
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), 0);
	CHECK_EQ(monitor_count(RF_COUNT_ALLOWED), 1); /* the kernel */
	CHECK(!memcmp(vm.ram + SEALED, sealed_copy(SEALED), SEALED_SIZE));
	check_pattern(c, SEALED + 0xff8);
	check_pattern(c, SEALED + 0x1000);
	check_pattern(c, OTHER);
	word = RF_VERDICT_ALLOW;
	table->extra_count = 0;
	ev = stores(BORDER(8), false);
	CHECK_EQ(ev.write.elsewhere, 0);
	CHECK_EQ(ev.write.len, 8);
	CHECK(!memcmp(sealed_copy(SEALED + 0x1ffd), &before.rcx, 8));
}

static void goes_on(struct cpu *c, uint32_t reason)
{
	do
		c->result = cpu_ioctl(c, KVM_RUN, NULL);
	while (c->result < 0 && errno == EINTR);
	CHECK_EQ(c->result, 0);
	CHECK_EQ(c->run->exit_reason, reason);
}

/* The store runs on into a device's page, or begins there: denied, no device hears of what
 * follows. */
void store_runs_into_device(void)
{
	struct cpu *c;
	struct fault f;

	patched_machine(1);
	c = &vm.cpus[0];
	alias(0, SEALED + 0x1000), alias(1, NOWHERE);
	alias(2, NOWHERE), alias(3, SEALED);
	monitor_set_judge(say);
	word = RF_VERDICT_DENY;
	CHECK_EQ(stores(BORDER(0), true).write.len, 3);
	check_pattern(c, SEALED + 0x1ff8);
	/* A wide one has several parts there. */
	before.rdi = BORDER(0) - 2;
	cpu_start(c, k_store16, k_store16_end, &before);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	check_pattern(c, SEALED + 0x1ff8);
	before.rdi = BORDER(0);
	/* Nothing is left of it: the next exit is what the guest does next. */
	CPU_START(c, k_out_e6);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	goes_on(c, KVM_EXIT_HLT);

	word = RF_VERDICT_ALLOW;
	cpu_start(c, k_store, k_store_end, &before);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_MMIO);
	CHECK_EQ(c->run->mmio.phys_addr, NOWHERE);
	CHECK_EQ(c->run->mmio.is_write, 1);
	CHECK_EQ(c->run->mmio.len, 5);
	CHECK(!memcmp(c->run->mmio.data, (uint8_t *)&before.rcx + 3, 5));
	CHECK(!memcmp(sealed_copy(SEALED + 0x1ffd), &before.rcx, 3));
	goes_on(c, KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &f));

	/* The device first: it has its part when the fence hears of the rest. */
	for (word = RF_VERDICT_DENY; word; word = word == RF_VERDICT_DENY ? RF_VERDICT_ALLOW : 0) {
		before.rdi = BORDER(2);
		cpu_start(c, k_store, k_store_end, &before);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_MMIO);
		CHECK_EQ(c->run->mmio.phys_addr, NOWHERE + 0xffd);
		CHECK_EQ(c->run->mmio.len, 3);
		goes_on(c, KVM_EXIT_HLT);
		CHECK_EQ(cpu_faulted(c, &f), word == RF_VERDICT_DENY);
		CHECK_EQ(monitor_last_event(RF_EVENT_WRITE).write.gpa, SEALED);
		CHECK_EQ(monitor_last_event(RF_EVENT_WRITE).write.len, 5);
		CHECK_EQ(!memcmp(sealed_copy(SEALED), (uint8_t *)&before.rcx + 3, 5),
			 word == RF_VERDICT_ALLOW);
	}
}

/* --- what the CPU stores by itself
 * ------------------------------------------------------------- */

static atomic_uint seen; /* 1 << kind */

static bool deny_stalled(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_TABLES || ev->kind == RF_EVENT_KERNEL)
		return ev->kind == RF_EVENT_TABLES;
	atomic_fetch_or(&seen, 1u << ev->kind);
	v->verdict = RF_VERDICT_DENY;
	v->vector = 14;
	v->error_code = 3;
	v->cr2 = ev->regs.gpr[7];
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = cpu_code(&vm.cpus[ev->vcpu]);
	v->rflags = ev->regs.rflags;
	return true;
}

static void table_stored(const uint8_t *code, const uint8_t *end)
{
	struct kvm_regs r = { .rdi = SEALED + 0x40 };
	struct cpu *c = &vm.cpus[0];
	struct fault f;

	atomic_store(&seen, 0);
	cpu_start(c, code, end, &r);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT); /* within the patience of it */
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
	CHECK_EQ(f.rip, cpu_code(c));
	CHECK_EQ(cpu_cr2(c), r.rdi);
	CHECK(atomic_load(&seen) &
	      (1u << RF_EVENT_STALLED | 1u << RF_EVENT_WRITE | 1u << RF_EVENT_EMULATION));
	check_pattern(c, SEALED + 0x40);
	check_pattern(c, SEALED + 0x48);
	/* Where it may, it does. */
	memset(vm.ram + DATA, 0xee, 16);
	r.rdi = DATA;
	cpu_do(c, code, end, r);
	CHECK(vm.ram[DATA] != 0xee);
	CHECK_EQ(vm.ram[DATA + 10], 0xee);
}

/* KVM can neither do nor report these stores (emulate.c em_store_gdt_idt()): a record and a fault
 * all the same. */
void tables_stored_into_sealed(void)
{
	compare_every(sealed_machine(1), 50);
	monitor_set_judge(deny_stalled);
	for (int i = 0; i < 2; i++) { /* with the same registers, at the same place */
		table_stored(k_sgdt, k_sgdt_end);
		table_stored(k_sidt, k_sidt_end);
	}
	printf("  kinds of events: %s%s%s\n",
	       atomic_load(&seen) & 1u << RF_EVENT_STALLED ? "stalled " : "",
	       atomic_load(&seen) & 1u << RF_EVENT_WRITE ? "write " : "",
	       atomic_load(&seen) & 1u << RF_EVENT_EMULATION ? "emulation" : "");
}

static unsigned deliveries;

static bool second_is_the_last(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_TABLES)
		return true;
	atomic_fetch_or(&seen, 1u << ev->kind);
	v->verdict = deliveries++ ? RF_VERDICT_NOT_OURS : RF_VERDICT_DENY;
	v->vector = 8;
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = ev->regs.rip;
	v->rflags = ev->regs.rflags;
	return true;
}

/* On a machine whose registers are compared. */
static void ends_on_sealed_stack(const uint8_t *code, const uint8_t *end)
{
	const struct kvm_regs r = { .rsp = SEALED + 0x800, .rflags = 0x200 };
	struct cpu *c = &vm.cpus[0];
	uint32_t reason;

	monitor_set_judge(second_is_the_last);
	cpu_start(c, code, end, &r);
	reason = cpu_wait(c);
	if (reason != KVM_EXIT_SHUTDOWN && reason != KVM_EXIT_INTERNAL_ERROR)
		FAIL("exit %u", reason);
	printf("  events %#x, then exit %u\n", atomic_load(&seen), reason);
	for (uint64_t at = SEALED + 0x700; at < SEALED + 0x808; at += 8) {
		uint64_t value;

		memcpy(&value, sealed_copy(at), 8);
		CHECK_EQ(value, PATTERN(at));
	}
	if (!atomic_load(&seen) && reason == KVM_EXIT_SHUTDOWN)
		SKIP("this KVM makes a shutdown of it by itself: the fence hears of no event");
	CHECK(atomic_load(&seen));
}

/* An exception whose frame goes to sealed memory, and that of the double fault too: the end of that
 * vCPU, and no silence. */
void frame_on_sealed_stack(void)
{
	compare_every(sealed_machine(1), 50);
	ends_on_sealed_stack(k_ud2, k_ud2_end);
}

/* So does an interrupt's, which KVM tries to deliver again and again. */
void interrupt_on_sealed_stack(void)
{
	struct kvm_interrupt irq = { .irq = 31 };

	compare_every(sealed_machine(1), 50);
	CHECK_EQ(cpu_ioctl(&vm.cpus[0], KVM_INTERRUPT, &irq), 0);
	ends_on_sealed_stack(k_spin, k_spin_end);
}

/* A plain push there is a store like another. */
void push_on_sealed_stack(void)
{
	struct cpu *c;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	CPU_DO(c, k_pushes, .rsp = SEALED + 0x800, .rcx = 0x55);
	CHECK_EQ(monitor_last_event(RF_EVENT_WRITE).write.gpa, SEALED + 0x7f8);
	CHECK_EQ(guest_read(c, SEALED + 0x7f8), 0x55);
}
