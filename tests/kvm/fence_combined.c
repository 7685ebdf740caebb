// SPDX-License-Identifier: LGPL-2.1-or-later
/* Features side by side: filters and pins, traps and watches, seals made again under load. */
#include <sys/ioctl.h>

#include "hv/fence.h"
#include "tests/kvm/patched.h"

GUEST(b_store, "mov %rcx, (%rdi)");
GUEST(b_wrmsr, "wrmsr");
GUEST(b_rdmsr, "rdmsr");
GUEST(b_jump, "jmp *%rbx");
GUEST(b_count, "1: lock incq (%rdi)\n inc %rcx\n jmp 1b");
GUEST(b_hammer, "1: lock incq (%rdi)\n incq (%rsi)\n inc %rcx\n cmpq $0, (%rdx)\n je 1b");

#define PAT 0x277u
#define EFER 0xc0000080u
#define STAR 0xc0000081u
#define CSTAR 0xc0000083u
#define SFMASK 0xc0000084u
#define FS_BASE 0xc0000100u
#define GS_BASE 0xc0000101u
#define KERNEL_GS_BASE 0xc0000102u
#define PGE UINT64_C(0x80)

/* The guest writes; its exception, or 0. */
static uint64_t writes(struct cpu *c, uint32_t index, uint64_t value)
{
	struct fault f;

	CPU_START(c, b_wrmsr, .rcx = index, .rax = (uint32_t)value, .rdx = value >> 32);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	return cpu_faulted(c, &f) ? f.vector : 0;
}

static uint64_t reads(struct cpu *c, uint32_t index)
{
	struct fault f;

	CPU_START(c, b_rdmsr, .rcx = index);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	return cpu_faulted(c, &f) ? f.vector : 0;
}

static uint64_t msr(struct cpu *c, uint32_t index)
{
	uint64_t value;

	CHECK_EQ(cpu_get_msr(c, index, &value), 0);
	return value;
}

static void add_pin(struct rf_msg_pin *m, uint32_t index, uint32_t how, uint64_t mask)
{
	m->pins[m->count].index = index;
	m->pins[m->count].how = how;
	m->pins[m->count].mask = mask;
	m->count++;
}

/* --- MSRs found ------------------------------------------------------------------------ */

static bool deny_found(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR_FOUND)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

/* Runs, and the registers are compared. */
static void looked_at(struct cpu *c)
{
	usleep(25000);
	guest_read(c, DATA);
}

static void found(struct cpu *c, unsigned n, uint32_t index, uint64_t value, uint64_t pinned)
{
	struct rf_msg_event ev;

	looked_at(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), n);
	ev = monitor_last_event(RF_EVENT_MSR_FOUND);
	CHECK_EQ(ev.msr.index, index);
	CHECK_EQ(ev.msr.value, value);
	CHECK_EQ(ev.msr.pinned, pinned);
}

#define STAR_VALUE UINT64_C(0x23001000000000)

/* Zero after it was set, the same value twice, masks, what is only asked for: what VMLOAD can leave
 * there. */
void msrs_found_again(void)
{
	struct rf_msg_pin pin = { .kernel = sealed_machine(1) };
	struct cpu *c = &vm.cpus[0];
	uint64_t aux;

	compare_every(pin.kernel, 10);
	monitor_set_judge(deny_found);
	CHECK_EQ(cpu_set_msr(c, STAR, STAR_VALUE), 0);
	CHECK_EQ(cpu_set_msr(c, SFMASK, 0x47700), 0);
	add_pin(&pin, STAR, RF_PIN_VALUE, UINT64_MAX);
	add_pin(&pin, SFMASK, RF_PIN_VALUE, 0xff00);
	add_pin(&pin, KERNEL_GS_BASE, RF_PIN_ASK, UINT64_MAX);
	CHECK_EQ(monitor_pin(&pin), 0);
	/* A CPU that comes up has not got them yet, and may have nothing: but no other value. */
	guest_has_msr(c, STAR, 0);
	guest_has_msr(c, LSTAR, 0);
	for (int i = 0; i < 3; i++)
		looked_at(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), 0);
	guest_has_msr(c, LSTAR, KERNEL_ENTRY);
	guest_has_msr(c, STAR, 5);
	found(c, 1, STAR, 5, STAR_VALUE);
	CHECK_EQ(msr(c, STAR), STAR_VALUE);
	looked_at(c);
	/* Set once, it is zero by no accident; and as often as it is found. */
	for (unsigned n = 2; n < 5; n++) {
		guest_has_msr(c, STAR, 0);
		found(c, n, STAR, 0, STAR_VALUE);
		CHECK_EQ(msr(c, STAR), STAR_VALUE);
	}
	guest_has_msr(c, LSTAR, 0);
	found(c, 5, LSTAR, 0, KERNEL_ENTRY);
	CHECK_EQ(msr(c, LSTAR), KERNEL_ENTRY);
	for (unsigned n = 6; n < 9; n++) { /* the same bad value each time */
		guest_has_msr(c, STAR, 0x666);
		found(c, n, STAR, 0x666, STAR_VALUE);
		CHECK_EQ(msr(c, STAR), STAR_VALUE);
	}
	/* Under the mask alone: the rest of it stays what the guest has there. */
	guest_has_msr(c, SFMASK, 0x7755);
	looked_at(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), 8);
	guest_has_msr(c, SFMASK, 0x1155);
	found(c, 9, SFMASK, 0x1155, 0x7755);
	CHECK_EQ(msr(c, SFMASK), 0x7755);
	aux = msr(c, KERNEL_GS_BASE);
	guest_has_msr(c, KERNEL_GS_BASE, aux + 0x1000);
	looked_at(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), 9);
	/* Let be, it is told once; right again and then wrong, anew. */
	monitor_set_judge(allow);
	guest_has_msr(c, STAR, 0x777);
	found(c, 10, STAR, 0x777, STAR_VALUE);
	looked_at(c);
	CHECK_EQ(msr(c, STAR), 0x777);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), 10);
	guest_has_msr(c, STAR, STAR_VALUE);
	looked_at(c);
	guest_has_msr(c, STAR, 0x777);
	found(c, 11, STAR, 0x777, STAR_VALUE);
	guest_has_msr(c, STAR, 0x778);
	found(c, 12, STAR, 0x778, STAR_VALUE);
}

#define PAT_AT_RESET UINT64_C(0x0007040600070406)
#define PAT_OF_LINUX UINT64_C(0x0407050600070106)

/* PAT is not zero where a CPU comes up: what a reset leaves there is no more of an attack than a
 * zero is elsewhere, until the kernel has set it. */
void pat_of_a_fresh_cpu(void)
{
	struct rf_msg_pin pin = { .kernel = sealed_machine(2) };
	struct cpu *c = &vm.cpus[1];

	compare_every(pin.kernel, 10);
	monitor_set_judge(deny_found);
	CHECK_EQ(cpu_set_msr(&vm.cpus[0], PAT, PAT_OF_LINUX), 0);
	CHECK_EQ(cpu_set_msr(&vm.cpus[0], STAR, STAR_VALUE), 0);
	add_pin(&pin, PAT, RF_PIN_VALUE, UINT64_MAX);
	add_pin(&pin, STAR, RF_PIN_VALUE, UINT64_MAX);
	CHECK_EQ(monitor_pin(&pin), 0);
	CHECK_EQ(msr(c, PAT), PAT_AT_RESET);
	for (int i = 0; i < 3; i++)
		looked_at(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR_FOUND), 0);
	/* That value in another MSR is none of a reset's. */
	guest_has_msr(c, STAR, PAT_AT_RESET);
	found(c, 1, STAR, PAT_AT_RESET, STAR_VALUE);
	guest_has_msr(c, PAT, PAT_AT_RESET ^ 1);
	found(c, 2, PAT, PAT_AT_RESET ^ 1, PAT_OF_LINUX);
	/* It has them all: from now on neither is. */
	guest_has_msr(c, LSTAR, KERNEL_ENTRY);
	looked_at(c);
	guest_has_msr(c, PAT, PAT_AT_RESET);
	found(c, 3, PAT, PAT_AT_RESET, PAT_OF_LINUX);
}

/* --- filters ------------------------------------------------------------------------------ */

static bool deny_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR)
		v->verdict = RF_VERDICT_DENY;
	return true;
}

/* The VMM lets what it names and nothing else. Ours stands beside it, and opens nothing. */
void filter_denies_by_default(void)
{
	static uint8_t all_but_cstar = 0xff & ~(1 << 3), all = 0xff;
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };
	struct kvm_msr_filter none = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };
	struct rf_msg_pin pin = { 0 };
	struct cpu *c;
	uint64_t star;

	f.ranges[0] = (struct kvm_msr_filter_range){ KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, 5,
						     EFER, &all_but_cstar };
	f.ranges[1] = (struct kvm_msr_filter_range){ KVM_MSR_FILTER_WRITE, 1, FS_BASE, &all };
	f.ranges[2] =
		(struct kvm_msr_filter_range){ KVM_MSR_FILTER_WRITE, 1, KERNEL_GS_BASE, &all };
	protected_machine(1);
	fill_pattern();
	c = &vm.cpus[0];
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &f), 0);
	pin.kernel = kernel_starts(0); /* LSTAR is among what it lets */
	CHECK_EQ(seal_both(pin.kernel), 0);
	kernel_goes_on(pin.kernel);
	monitor_set_judge(deny_msrs);
	for (int pinned = 0; pinned < 2; pinned++) {
		star = msr(c, STAR);
		CHECK_EQ(reads(c, STAR), 0);
		CHECK_EQ(reads(c, LSTAR), 0);
		CHECK_EQ(writes(c, STAR, star), 0);
		CHECK_EQ(writes(c, CSTAR, 0x1000), 13);
		CHECK_EQ(reads(c, CSTAR), 13);
		CHECK_EQ(writes(c, GS_BASE, 0), 13);
		CHECK_EQ(reads(c, KERNEL_GS_BASE), 13);
		CHECK_EQ(writes(c, 0x174, 0), 13);
		CHECK_EQ(reads(c, PAT), 13);
		CHECK_EQ(writes(c, 0x10, 0), 13);
		CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
		if (pinned)
			break;
		CHECK_EQ(writes(c, KERNEL_GS_BASE, 3), 0);
		/* Between the last two lies one that it does not let. */
		add_pin(&pin, EFER, RF_PIN_VALUE, 0x800);
		add_pin(&pin, STAR, RF_PIN_VALUE, UINT64_MAX);
		add_pin(&pin, SFMASK, RF_PIN_VALUE, UINT64_MAX);
		add_pin(&pin, FS_BASE, RF_PIN_ASK, 0);
		add_pin(&pin, KERNEL_GS_BASE, RF_PIN_ASK, 0);
		CHECK_EQ(monitor_pin(&pin), 0);
	}
	CHECK_EQ(writes(c, STAR, star + 1), 13);
	CHECK_EQ(writes(c, KERNEL_GS_BASE, 4), 13);
	CHECK_EQ(writes(c, LSTAR, 0x4000), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 3);
	CHECK_EQ(msr(c, KERNEL_GS_BASE), 3);
	/* Its own goes again: ours stays. */
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &none), 0);
	CHECK_EQ(writes(c, CSTAR, 0x1000), 0);
	CHECK_EQ(writes(c, GS_BASE, 0), 0);
	CHECK_EQ(writes(c, STAR, star + 1), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 4);
}

static int filter_ranges(unsigned ranges)
{
	static uint8_t none;
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	for (unsigned i = 0; i < ranges; i++)
		f.ranges[i] =
			(struct kvm_msr_filter_range){ KVM_MSR_FILTER_WRITE, 1, 0x400 + i, &none };
	return rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &f);
}

/* What finds no room leaves nothing behind, neither MSRs nor bits of CR4, and is not there the next
 * time it is asked. */
void pin_without_room(void)
{
	struct rf_msg_pin pin = { .kernel = sealed_machine(1), .cr4 = PGE };
	struct cpu *c = &vm.cpus[0];
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cr4 |= PGE;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	add_pin(&pin, PAT, RF_PIN_VALUE, UINT64_MAX);
	add_pin(&pin, STAR, RF_PIN_VALUE, UINT64_MAX);
	CHECK_EQ(filter_ranges(15), 0);
	monitor_set_judge(deny_msrs);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ((int64_t)monitor_pin(&pin), -ENOSPC);
		CHECK_EQ(monitor_board()->cr4_pinned, 0);
		CHECK_EQ(writes(c, STAR, (uint64_t)i), 0);
	}
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	CHECK_EQ(filter_ranges(14), 0);
	CHECK_EQ(monitor_pin(&pin), 0);
	CHECK_EQ(monitor_board()->cr4_pinned, PGE);
	CHECK_EQ((int64_t)monitor_pin(&pin), -EALREADY);
	CHECK_EQ(writes(c, STAR, 2), 0);
	CHECK_EQ(writes(c, STAR, 3), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 1);
	/* No MSR at all is a pin as well, and it goes with the reset. */
	machine_reset();
	CHECK_EQ(monitor_board()->cr4_pinned, 0);
	monitor_await_event(RF_EVENT_RESET, 1);
	pin = (struct rf_msg_pin){ .kernel = kernel_starts(monitor_events()), .cr4 = PGE };
	CHECK_EQ(seal_both_fresh(pin.kernel), 0);
	CHECK_EQ(monitor_pin(&pin), 0);
	CHECK_EQ((int64_t)monitor_pin(&pin), -EALREADY);
}

static void without(struct cpu *c, uint32_t function, uint32_t clear_edx, uint32_t clear_ecx,
		    uint32_t clear_eax)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} all;

	all.head.nent = 256;
	CHECK_EQ(cpu_ioctl(c, KVM_GET_CPUID2, &all), 0);
	for (uint32_t i = 0; i < all.head.nent; i++) {
		if (all.entries[i].function != function)
			continue;
		all.entries[i].edx &= ~clear_edx;
		all.entries[i].ecx &= ~clear_ecx;
		all.entries[i].eax &= ~clear_eax;
	}
	CHECK_EQ(cpu_ioctl(c, KVM_SET_CPUID2, &all), 0);
}

#define NO_ENTRY 256

/* The guest writes EFER; its exception, 0, or that the CPU no longer enters it: an emulated one
 * lets KVM have bits which it then takes for no valid state. */
static uint64_t writes_efer(struct cpu *c, uint64_t value)
{
	struct fault f;
	int exit;

	CPU_START(c, b_wrmsr, .rcx = EFER, .rax = (uint32_t)value, .rdx = value >> 32);
	exit = cpu_wait(c);
	if (exit == KVM_EXIT_FAIL_ENTRY)
		return NO_ENTRY;
	CHECK_EQ(exit, KVM_EXIT_HLT);
	return cpu_faulted(c, &f) ? f.vector : 0;
}

/* A write that the fence carries out ends as KVM alone would have ended it, on CPUs with these
 * features and without. */
void efer_as_cpuid_has_it(void)
{
	static const uint64_t bits[] = { 1,	  1 << 1,  1 << 8,  1 << 9,  1 << 12,
					 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17,
					 1 << 18, 1 << 20, 1 << 21, 1 << 22, UINT64_C(1) << 40 };
	struct rf_msg_pin pin = { 0 };
	uint64_t before_pin[2][COUNT(bits)], efer;

	protected_machine(2);
	fill_pattern();
	without(&vm.cpus[1], 0x80000001, 1u << 25, 1u << 2 | 1u << 17, 0); /* FFXSR, SVM, TCE */
	without(&vm.cpus[1], 0x80000021, 0, 0, 1u << 8);		   /* AutoIBRS */
	pin.kernel = kernel_starts(0);
	CHECK_EQ(seal_both(pin.kernel), 0);
	kernel_goes_on(pin.kernel);
	efer = msr(&vm.cpus[0], EFER);
	for (int c = 0; c < 2; c++)
		for (size_t i = 0; i < COUNT(bits); i++) {
			before_pin[c][i] = writes_efer(&vm.cpus[c], efer ^ bits[i]);
			guest_has_msr(&vm.cpus[c], EFER, efer);
		}
	add_pin(&pin, EFER, RF_PIN_VALUE, 0x800);
	CHECK_EQ(monitor_pin(&pin), 0);
	monitor_set_judge(allow);
	for (int c = 0; c < 2; c++)
		for (size_t i = 0; i < COUNT(bits); i++) {
			uint64_t vector = writes_efer(&vm.cpus[c], efer ^ bits[i]);

			if (vector != before_pin[c][i])
				FAIL("EFER ^ %#llx on vCPU %d: vector %d with the pin, %d without",
				     (unsigned long long)bits[i], c, (int)vector,
				     (int)before_pin[c][i]);
			guest_has_msr(&vm.cpus[c], EFER, efer);
		}
}

/* --- all of it, made again -------------------------------------------------------------------- */

static bool deny_traps_and_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_WATCH)
		return false;
	if (ev->kind == RF_EVENT_TRAP || ev->kind == RF_EVENT_MSR) {
		v->verdict = RF_VERDICT_DENY;
		fault_where_it_is(ev, v);
	}
	return true;
}

/* Watch, seal, pins and traps of a kernel; then a reset, and all of it again, with what was
 * kept. */
void all_made_again(void)
{
	struct cpu *c;

	protected_machine(1);
	fill_pattern();
	memcpy(vm.ram + FIVE, nop5[0], 5);
	memcpy(vm.ram + TRAPPED, ltr, sizeof(ltr));
	memset(vm.ram + WATCHED, 0, 0x1000);
	c = &vm.cpus[0];
	CHECK_EQ(cpu_set_msr(c, STAR, STAR_VALUE), 0);
	for (unsigned round = 0; round < 4; round++) {
		struct rf_msg_pin pin = { .cr4 = 0x20 };
		uint64_t kernel, word_at = WATCHED + 8 * round;
		struct rf_msg_event ev;
		struct fault f;

		monitor_set_judge(NULL);
		pin.kernel = kernel = kernel_starts(monitor_events());
		CHECK_EQ(monitor_watch(kernel, WATCHED + 0x800, 8, 1), 0); /* an earlier one */
		CHECK_EQ(monitor_watch(kernel, word_at, 8, 2), 0);
		kernel_goes_on(kernel);
		monitor_set_judge(deny_traps_and_msrs);
		CPU_DO(c, b_store, .rdi = WATCHED + 0x800, .rcx = 1);
		CPU_START(c, b_store, .rdi = word_at, .rcx = 2);
		ev = monitor_await_event(RF_EVENT_WATCH, round + 1);
		CHECK_EQ(ev.watch.gpa, word_at);
		CHECK_EQ(monitor_seal_how(kernel, text_and_rodata, 2,
					  round ? RF_SEAL_KEPT : RF_SEAL_NOW),
			 0);
		add_pin(&pin, STAR, RF_PIN_VALUE, UINT64_MAX);
		add_pin(&pin, KERNEL_GS_BASE, RF_PIN_ASK, 0);
		CHECK_EQ(monitor_pin(&pin), 0);
		plant_trap(kernel);
		monitor_allow(ev.id);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
		CHECK_EQ(monitor_board()->traps_count, 1);

		/* The pinned value is what it was the first time, whatever the CPU had when it was
		 * pinned. */
		CHECK_EQ(writes(c, STAR, STAR_VALUE), 0);
		CHECK_EQ(writes(c, STAR, 0x666), 13);
		CHECK_EQ(monitor_await_event(RF_EVENT_MSR, 2 * round + 1).msr.pinned, STAR_VALUE);
		CHECK_EQ(writes(c, KERNEL_GS_BASE, 1), 13);
		CPU_START(c, b_jump, .rbx = TRAPPED);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
		CHECK(cpu_faulted(c, &f));
		CHECK_EQ(f.rip, TRAPPED);
		CHECK_EQ(monitor_await_event(RF_EVENT_TRAP, round + 1).trap.kind, RF_TRAP_LTR);
		store_is_denied(c, SEALED + 0x20);
		CHECK_EQ(guest_read(c, SEALED + 0x28), PATTERN(SEALED + 0x28));
		/* The watch ended with the seal. */
		CPU_DO(c, b_store, .rdi = word_at, .rcx = 0);
		CPU_DO(c, b_store, .rdi = word_at, .rcx = 2);
		CHECK_EQ(monitor_events_of(RF_EVENT_WATCH), round + 1);

		machine_reset();
		monitor_await_event(RF_EVENT_RESET, round + 1);
		machine_reset(); /* in which nothing is pinned: that is not what is kept */
		CHECK_EQ(monitor_board()->traps_count, 0);
		CHECK_EQ(monitor_board()->cr4_pinned, 0);
		CHECK_EQ(writes(c, STAR, 0x100 + round), 0);
		CHECK_EQ(writes(c, KERNEL_GS_BASE, 1), 0);
		CPU_DO(c, b_store, .rdi = SEALED + 0x28, .rcx = 0x999); /* which is not kept */
		CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
		memset(vm.ram + WATCHED, 0, 0x1000);
	}
}

static bool deny_counts(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind != RF_EVENT_WRITE && ev->kind != RF_EVENT_EMULATION)
		return false;
	v->verdict = RF_VERDICT_DENY;
	v->vector = 14;
	v->error_code = 3;
	v->cr2 = ev->regs.gpr[7];
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = cpu_code(&vm.cpus[ev->vcpu]);
	v->rflags = ev->regs.rflags;
	return true;
}

#define ROUNDS 12

/* vCPUs store into the watched page when it is sealed: each store lands before or is denied, and
 * none twice. */
void watch_races_seal(void)
{
	const struct rf_region regions[] = {
		{ SEALED, SEALED_SIZE, SEALED, RF_REGION_TEXT, 0 },
		{ WATCHED, 0x1000, WATCHED, RF_REGION_RODATA, 0 },
	};

	protected_machine(3);
	fill_pattern();
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t kernel, value;

		memset(vm.ram + WATCHED, 0, 0x1000);
		monitor_set_judge(NULL);
		kernel = kernel_starts(monitor_events());
		CHECK_EQ(monitor_watch(kernel, WATCHED + 0x800, 8, 1), 0);
		monitor_set_judge(deny_counts);
		for (unsigned i = 1; i < 3; i++)
			CPU_START(&vm.cpus[i], b_count, .rdi = WATCHED + 64 * i);
		for (unsigned i = 1; i < 3; i++)
			await_change(WATCHED + 64 * i, 0);
		usleep(1000 * round);
		CHECK_EQ(monitor_seal_how(kernel, regions, 2, RF_SEAL_FRESH), 0);
		for (unsigned i = 1; i < 3; i++) {
			struct fault f;

			CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
			CHECK(cpu_faulted(&vm.cpus[i], &f));
			CHECK_EQ(f.vector, 14);
			memcpy(&value, sealed_copy(WATCHED + 64 * i), 8);
			CHECK_EQ(value, cpu_regs(&vm.cpus[i]).rcx);
			memcpy(&value, vm.ram + WATCHED + 64 * i, 8);
			CHECK_EQ(value, cpu_regs(&vm.cpus[i]).rcx);
		}
		kernel_goes_on(kernel);
		CHECK_EQ(monitor_events_of(RF_EVENT_WATCH), 0);
		machine_reset();
		monitor_await_event(RF_EVENT_RESET, round + 1);
	}
}

/* Slots are cut and made whole while others use the memory around: they see it at each moment, and
 * lose nothing. */
void cut_under_load(void)
{
	uint64_t kernel, sums[3] = { 0, 0, 0 }, value;

	protected_machine(3);
	fill_pattern();
	memset(vm.ram + DATA, 0, 0x1000);
	memset(vm.ram + SEALED - 0x1000, 0, 0x1000);
	memset(vm.ram + SEALED + SEALED_SIZE, 0, 0x1000);
	memcpy(vm.ram + TRAPPED, ltr, sizeof(ltr));
	for (unsigned i = 1; i < 3; i++)
		CPU_START(&vm.cpus[i], b_hammer, .rdi = SEALED + SEALED_SIZE + 64 * i, .rdx = DATA,
			  .rsi = SEALED - 0x1000 + 64 * i);
	for (unsigned round = 0; round < 30; round++) {
		struct rf_msg_traps m = { .count = 1 };

		monitor_set_judge(NULL);
		m.kernel = kernel = kernel_starts(monitor_events());
		CHECK_EQ(monitor_seal_how(kernel, text_and_rodata, 2, RF_SEAL_FRESH), 0);
		kernel_goes_on(kernel);
		rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
		m.sites[0] =
			(struct rf_trap_site){ .gpa = TRAPPED, .len = 3, .kind = RF_TRAP_KEXEC };
		memcpy(m.sites[0].bytes, ltr, 3);
		CHECK_EQ(monitor_traps(&m), 0);
		monitor_set_judge(allow);
		CPU_START(&vm.cpus[0], b_jump,
			  .rbx = TRAPPED); /* an LTR of no selector, behind it */
		CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
		monitor_await_event(RF_EVENT_RESET, round + 1);
		CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
		/* And a slot of the VMM's own beside them. */
		CHECK_EQ(machine_slot(7, 0, SPARE, 0x1000, vm.ram), 0);
		CHECK_EQ(machine_slot(7, 0, SPARE, 0, NULL), 0);
	}
	vm.ram[DATA] = 1;
	for (unsigned i = 1; i < 3; i++) {
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
		CHECK(!cpu_faulted(&vm.cpus[i], &(struct fault){ 0 }));
		sums[i] = cpu_regs(&vm.cpus[i]).rcx;
		memcpy(&value, vm.ram + SEALED + SEALED_SIZE + 64 * i, 8);
		CHECK_EQ(value, sums[i]);
		memcpy(&value, vm.ram + SEALED - 0x1000 + 64 * i, 8);
		CHECK_EQ(value, sums[i]);
	}
}

/* --- traps
 * ------------------------------------------------------------------------------------- */

#define USER_BASE UINT64_C(0x7fff00001000)

static struct rf_table answer;

static bool load_answer(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	v->table = answer;
	fault_where_it_is(ev, v);
	return true;
}

/* LLDT at a user address, which Linux does for a process (modify_ldt()); and the trap's OUT run by
 * user mode, which is none. */
void lldt_of_a_process(void)
{
	const uint8_t lldt[3] = { 0x0f, 0x00, 0xd1 }; /* of CX */
	struct rf_msg_traps m = { .count = 1 };
	struct kvm_sregs s;
	struct cpu *c;
	uint64_t kernel;

	protected_machine(1);
	fill_pattern();
	c = &vm.cpus[0];
	for (uint64_t page = 0x1000; page < 0x4000; page += 0x1000)
		for (uint64_t i = 0; i < 8; i++)
			vm.ram[page + i * 8] |= vm.ram[page + i * 8] ? 4 : 0; /* user */
	memcpy(vm.ram + TRAPPED, lldt, 3);
	vm.ram[TRAPPED + 3] = 0xf4;
	m.kernel = kernel = kernel_starts(0);
	CHECK_EQ(monitor_seal(kernel, text_and_rodata, 2), 0);
	kernel_goes_on(kernel);
	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	m.sites[0] = (struct rf_trap_site){ .gpa = TRAPPED, .len = 3, .kind = RF_TRAP_LLDT };
	memcpy(m.sites[0].bytes, lldt, 3);
	CHECK_EQ(monitor_traps(&m), 0);
	monitor_set_judge(load_answer);
	answer = (struct rf_table){ USER_BASE, 0x17ff, 0x28, 0 };
	CPU_START(c, b_jump, .rbx = TRAPPED, .rcx = 0x28);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(c, &(struct fault){ 0 }));
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	CHECK_EQ(s.ldt.base, USER_BASE);
	CHECK_EQ(s.ldt.limit, 0x17ff);
	CHECK_EQ(s.ldt.selector, 0x28);
	CHECK_EQ(monitor_events_of(RF_EVENT_TRAP), 1);
	answer = (struct rf_table){ 0 };
	CPU_START(c, b_jump, .rbx = TRAPPED);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	CHECK_EQ(s.ldt.selector, 0);

	/* Ring 3 with the right to ports. */
	s.cs.selector = 0x1b;
	s.ss.selector = s.ds.selector = s.es.selector = 0x23;
	s.cs.dpl = s.ss.dpl = s.ds.dpl = s.es.dpl = 3;
	s.tr = (struct kvm_segment){
		.base = DATA + 0x1000, .limit = 0x67, .selector = 0x28, .type = 11, .present = 1
	};
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	CPU_START(c, b_jump, .rbx = TRAPPED, .rsp = DATA + 0x800, .rflags = 0x3000);
	cpu_wait(c);
	CHECK_EQ(monitor_events_of(RF_EVENT_TRAP), 2);
	if (c->run->exit_reason != KVM_EXIT_IO)
		SKIP("this KVM lets user mode at no port (exit %u)", c->run->exit_reason);
	CHECK_EQ(c->run->io.port, 0xe6);
	CHECK_EQ(monitor_events_of(RF_EVENT_TRAP), 2);
	CHECK_EQ(monitor_count(RF_COUNT_TRAP), 2);
}
