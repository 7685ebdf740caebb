// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pinned MSRs: the boot CPU's value for every CPU, others asked about, the VMM's own filter beside ours. */
#include <sys/ioctl.h>

#include "hv/fence.h"
#include "tests/kvm/scenario.h"

GUEST(n_wrmsr, "wrmsr");

#define SYSENTER_EIP 0x176u
#define PAT 0x277u
#define EFER 0xc0000080u
#define STAR 0xc0000081u
#define CSTAR 0xc0000083u
#define SFMASK 0xc0000084u
#define KERNEL_GS_BASE 0xc0000102u
#define TSC_AUX 0xc0000103u
#define NOBODYS 0x4b564dffu /* no MSR of KVM's */
#define EFER_LME_NXE 0x900u
#define EFER_NXE (UINT64_C(1) << 11)

static struct rf_msg_pin pins(uint64_t kernel)
{
	struct rf_msg_pin m = {
		.kernel = kernel,
		.count = 7,
		.pins = { { PAT, RF_PIN_VALUE, UINT64_MAX },
			  { NOBODYS, RF_PIN_VALUE, UINT64_MAX },
			  { EFER, RF_PIN_VALUE, EFER_LME_NXE },
			  { STAR, RF_PIN_VALUE, UINT64_MAX },
			  { SFMASK, RF_PIN_VALUE, UINT64_MAX },
			  { KERNEL_GS_BASE, RF_PIN_ASK, 0 },
			  { TSC_AUX, RF_PIN_ASK, 0 } },
	};

	rf_msg_init(&m.h, RF_MSG_PIN, 0);
	return m;
}

static uint64_t msr(struct cpu *c, uint32_t index)
{
	uint64_t value;

	CHECK_EQ(cpu_get_msr(c, index, &value), 0);
	return value;
}

/* The guest writes; its exception, or 0. */
static uint64_t writes(struct cpu *c, uint32_t index, uint64_t value)
{
	struct fault f;

	CPU_START(c, n_wrmsr, .rcx = index, .rax = (uint32_t)value, .rdx = value >> 32);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	if (!cpu_faulted(c, &f))
		return 0;
	CHECK_EQ(f.rip, cpu_code(c)); /* on the wrmsr, not behind it */
	CHECK_EQ(f.error, 0);
	return f.vector;
}

/* After the first reset, once that is told. */
static uint64_t next_kernel(void)
{
	for (int ms = 0; !monitor_events_of(RF_EVENT_RESET); ms++) {
		CHECK(ms < 20000);
		usleep(1000);
	}
	return kernel_starts(monitor_events());
}

static bool deny_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	v->verdict = ev->kind == RF_EVENT_MSR ? RF_VERDICT_DENY : RF_VERDICT_ALLOW;
	return true;
}

static uint64_t pinned_machine(unsigned cpus)
{
	uint64_t kernel = sealed_machine(cpus);
	struct rf_msg_pin m = pins(kernel);

	CHECK_EQ(cpu_set_msr(&vm.cpus[0], SFMASK, 0x47700), 0);
	CHECK_EQ(monitor_command(&m.h), 0);
	return kernel;
}

void pinned_msr(void)
{
	struct rf_msg_event ev;
	struct cpu *boot, *other;

	pinned_machine(2);
	boot = &vm.cpus[0];
	other = &vm.cpus[1];
	monitor_set_judge(deny_msrs);
	/* What the boot CPU has may be loaded, by each. */
	CHECK_EQ(writes(boot, SFMASK, 0x47700), 0);
	CHECK_EQ(writes(other, SFMASK, 0x47700), 0);
	CHECK_EQ(msr(other, SFMASK), 0x47700);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	/* And nothing else. */
	CHECK_EQ(writes(other, SFMASK, 0), 13);
	CHECK_EQ(msr(other, SFMASK), 0x47700);
	ev = monitor_event(monitor_events() - 1, RF_EVENT_MSR);
	CHECK_EQ(ev.vcpu, 1);
	CHECK_EQ(ev.msr.index, SFMASK);
	CHECK_EQ(ev.msr.value, 0);
	CHECK_EQ(ev.msr.pinned, 0x47700);
	CHECK_EQ(ev.regs.rip, cpu_code(other));
	CHECK_EQ(writes(boot, PAT, 0), 13);
	CHECK_EQ(writes(boot, STAR, 1), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 3);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 3);
	/* CSTAR lies between two of them and is nobody's. */
	CHECK_EQ(writes(boot, CSTAR, 0x1000), 0);
	CHECK_EQ(msr(boot, CSTAR), 0x1000);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 3);
}

/* Bits outside the mask are the guest's own; of the others each change is asked about. */
void pinned_bits(void)
{
	struct cpu *c;
	uint64_t efer;

	pinned_machine(1);
	c = &vm.cpus[0];
	efer = msr(c, EFER);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(c, EFER, efer ^ 1), 0); /* SCE */
	CHECK_EQ(msr(c, EFER), efer ^ 1);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	CHECK_EQ(writes(c, EFER, efer ^ EFER_NXE), 13);
	CHECK_EQ(msr(c, EFER), efer ^ 1);
	monitor_set_judge(allow);
	CHECK_EQ(writes(c, EFER, efer ^ EFER_NXE), 0);
	CHECK_EQ(msr(c, EFER), efer ^ EFER_NXE);
}

void asked_msr(void)
{
	struct cpu *c;

	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	CHECK_EQ(writes(c, TSC_AUX, 7), 0);
	CHECK_EQ(writes(c, TSC_AUX, 7), 0); /* each write, of whatever */
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 2);
	CHECK_EQ(msr(c, TSC_AUX), 7);
	/* What the CPU itself refuses stays refused: no canonical address; bits that CPUID does not offer. */
	CHECK_EQ(writes(c, KERNEL_GS_BASE, UINT64_C(1) << 63), 13);
	CHECK_EQ(writes(c, EFER, msr(c, EFER) | UINT64_C(1) << 40), 13);
	CHECK_EQ(msr(c, TSC_AUX), 7);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(c, TSC_AUX, 8), 13);
	CHECK_EQ(msr(c, TSC_AUX), 7);
}

/* SVM keeps 32 bits of it for an AMD guest: where no more are set, no more are compared. */
void pinned_sysenter(void)
{
	static const uint64_t values[] = { 0x1000, UINT64_C(0xffffffff81000100) };

	for (size_t i = 0; i < COUNT(values); i++) {
		struct rf_msg_pin m = { .count = 1, .pins = { { SYSENTER_EIP, RF_PIN_VALUE,
								UINT64_MAX } } };
		struct cpu *c;

		rf_msg_init(&m.h, RF_MSG_PIN, 0);
		if (!i) {
			m.kernel = sealed_machine(1);
		} else {
			machine_reset();
			m.kernel = next_kernel();
			CHECK_EQ(seal_both_fresh(m.kernel), 0);
			kernel_goes_on(m.kernel);
		}
		c = &vm.cpus[0];
		CHECK_EQ(cpu_set_msr(c, SYSENTER_EIP, values[i]), 0);
		if (msr(c, SYSENTER_EIP) != values[i])
			return; /* such a guest */
		CHECK_EQ(monitor_command(&m.h), 0);
		monitor_set_judge(deny_msrs);
		CHECK_EQ(writes(c, SYSENTER_EIP, values[i]), 0);
		CHECK_EQ(writes(c, SYSENTER_EIP, values[i] ^ UINT64_C(0x4000000000)),
			 i ? 13 : 0);
		CHECK_EQ(writes(c, SYSENTER_EIP, values[i] ^ 0x10), 13);
		monitor_set_judge(NULL);
	}
}

void pin_rules(void)
{
	struct rf_msg_pin m;
	uint64_t kernel;

	kernel = sealed_machine(1);
	m = pins(kernel + 1);
	CHECK_EQ(monitor_command(&m.h), -ESTALE);
	m = pins(kernel);
	m.count = RF_PIN_MAX + 1;
	CHECK_EQ(monitor_command(&m.h), -EINVAL);
	m = pins(kernel);
	m.pins[2].index = STAR;
	m.pins[3].index = EFER;
	CHECK_EQ(monitor_command(&m.h), -EINVAL);
	m = pins(kernel);
	m.pins[4].index = STAR; /* twice */
	CHECK_EQ(monitor_command(&m.h), -EINVAL);
	m = pins(kernel);
	m.pins[0].how = 3;
	CHECK_EQ(monitor_command(&m.h), -EINVAL);
	CHECK_EQ(writes(&vm.cpus[0], STAR, 5), 0); /* nothing was pinned so far */
	m = pins(kernel);
	CHECK_EQ(monitor_command(&m.h), 0);
	/* A monitor that takes over asks again: what is pinned stays what it was. */
	CHECK_EQ(cpu_set_msr(&vm.cpus[0], STAR, 6), 0);
	CHECK_EQ(monitor_command(&m.h), -EALREADY);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(&vm.cpus[0], STAR, 6), 13);
	CHECK_EQ(writes(&vm.cpus[0], STAR, 5), 0);
}

static int filter(uint32_t access, uint32_t first, unsigned ranges)
{
	static uint8_t none;
	struct kvm_msr_filter f = { .flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

	for (unsigned i = 0; i < ranges; i++)
		f.ranges[i] = (struct kvm_msr_filter_range){ access, 1, first + i,
							     &none };
	return rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &f);
}

static int filter_writes(uint32_t first, unsigned ranges)
{
	return filter(KVM_MSR_FILTER_WRITE, first, ranges);
}

/* What the VMM filters stays filtered, between two of ours too, and takes none of ours away. */
void pins_beside_a_filter(void)
{
	struct cpu *c;

	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_msrs);
	CHECK_EQ(filter_writes(CSTAR, 1), 0);
	CHECK_EQ(writes(c, CSTAR, 0x1000), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	CHECK_EQ(writes(c, STAR, 5), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 1);
	/* No room: refused as a whole, what stood stands. */
	CHECK_EQ(filter_writes(0x10, 16), -1);
	CHECK_EQ(errno, ENOSPC);
	CHECK_EQ(writes(c, CSTAR, 0x1000), 13);
	CHECK_EQ(writes(c, STAR, 5), 13);
	CHECK_EQ(filter_writes(0, 0), 0);
	CHECK_EQ(writes(c, CSTAR, 0x1000), 0);
	/* What it says of reads alone is nothing of writes. */
	CHECK_EQ(filter(KVM_MSR_FILTER_READ, CSTAR, 1), 0);
	CHECK_EQ(writes(c, CSTAR, 0x2000), 0);
	CHECK_EQ(msr(c, CSTAR), 0x2000);
	CHECK_EQ(filter_writes(0, 0), 0);
	CHECK_EQ(writes(c, STAR, 5), 13);
}

static int filter_one(uint32_t flags, uint32_t index)
{
	static uint8_t none;
	struct kvm_msr_filter f = { .flags = flags };

	f.ranges[0] = (struct kvm_msr_filter_range){ KVM_MSR_FILTER_WRITE, 1, index, &none };
	return rf_fence_ioctl(vm.vm, KVM_X86_SET_MSR_FILTER, &f);
}

/* An MSR that is ours is the VMM's as well: what its filter denies is denied whatever value is
 * written, and no monitor is asked. */
void filter_denies_ours(void)
{
	const struct {
		uint32_t index;
		uint64_t own, other; /* is there; would be asked about */
	} of[] = {
		{ LSTAR, KERNEL_ENTRY, 0x4000 },
		{ STAR, 0, 5 },
		{ SFMASK, 0x47700, 0 },
		{ TSC_AUX, 0, 7 },
	};
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_USER_SPACE_MSR,
				      .args = { KVM_MSR_EXIT_REASON_FILTER } };
	struct cpu *c;
	struct fault f;
	uint64_t own;

	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	for (size_t i = 0; i < COUNT(of); i++) {
		own = msr(c, of[i].index);
		if (of[i].own)
			CHECK_EQ(own, of[i].own);
		/* By name, and because no range lets it: CSTAR's is there for the sake of one. */
		for (int by_default = 0; by_default < 2; by_default++) {
			CHECK_EQ(filter_one(by_default ? KVM_MSR_FILTER_DEFAULT_DENY
						       : KVM_MSR_FILTER_DEFAULT_ALLOW,
					    by_default ? CSTAR : of[i].index),
				 0);
			CHECK_EQ(writes(c, of[i].index, own), 13);
			CHECK_EQ(writes(c, of[i].index, of[i].other), 13);
			CHECK_EQ(msr(c, of[i].index), own);
		}
	}
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	CHECK_EQ(monitor_events_of(RF_EVENT_KERNEL), 1);
	CHECK_EQ(monitor_count(RF_COUNT_MSR), 1); /* the kernel */
	/* A VMM that asks for such exits gets these as well, and answers them. */
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_ENABLE_CAP, &cap), 0);
	for (size_t i = 0; i < COUNT(of); i++)
		for (uint8_t error = 0; error < 2; error++) {
			own = msr(c, of[i].index);
			CHECK_EQ(filter_one(KVM_MSR_FILTER_DEFAULT_ALLOW, of[i].index), 0);
			CPU_START(c, n_wrmsr, .rcx = of[i].index, .rax = (uint32_t)of[i].other);
			CHECK_EQ(cpu_wait(c), KVM_EXIT_X86_WRMSR);
			CHECK_EQ(c->run->msr.index, of[i].index);
			CHECK_EQ(c->run->msr.data, of[i].other);
			CHECK_EQ(c->run->msr.reason, KVM_MSR_EXIT_REASON_FILTER);
			c->run->msr.error = error;
			do
				c->result = cpu_ioctl(c, KVM_RUN, NULL);
			while (c->result < 0 && errno == EINTR);
			CHECK_EQ(c->result, 0);
			CHECK_EQ(c->run->exit_reason, KVM_EXIT_HLT);
			CHECK_EQ(cpu_faulted(c, &f), error);
			CHECK_EQ(msr(c, of[i].index), own);
		}
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 0);
	/* Its own goes: ours is there. */
	CHECK_EQ(filter_writes(0, 0), 0);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(c, TSC_AUX, 7), 13);
	CHECK_EQ(writes(c, SFMASK, 0x47700), 0);
	CHECK_EQ(writes(c, SFMASK, 0), 13);
	CHECK_EQ(writes(c, LSTAR, 0x4000), 13);
	CHECK_EQ(monitor_events_of(RF_EVENT_MSR), 3);
}

/* No kernel shows itself by a write that the VMM denies. */
void filter_denies_the_kernel(void)
{
	struct cpu *c;

	protected_machine(1);
	fill_pattern();
	c = &vm.cpus[0];
	CHECK_EQ(filter_one(KVM_MSR_FILTER_DEFAULT_ALLOW, LSTAR), 0);
	CHECK_EQ(writes(c, LSTAR, KERNEL_ENTRY), 13);
	CHECK_EQ(msr(c, LSTAR), 0);
	CHECK_EQ(monitor_events(), 0);
	CHECK_EQ(filter_writes(0, 0), 0);
	kernel_goes_on(kernel_starts(0));
	CHECK_EQ(msr(c, LSTAR), KERNEL_ENTRY);
}

void reset_unpins(void)
{
	struct rf_msg_pin m;
	struct cpu *c;

	pinned_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(c, STAR, 5), 13);
	machine_reset();
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(writes(c, STAR, 5), 0);
	CHECK_EQ(msr(c, STAR), 5);
	/* What the next kernel has counts, and not what the last one had: it is sealed anew. */
	m = pins(next_kernel());
	CHECK_EQ(seal_both_fresh(m.kernel), 0);
	kernel_goes_on(m.kernel);
	CHECK_EQ(monitor_command(&m.h), 0);
	monitor_set_judge(deny_msrs);
	CHECK_EQ(writes(c, STAR, 5), 0);
	CHECK_EQ(writes(c, STAR, 0), 13);
	CHECK_EQ(monitor_last_event(RF_EVENT_MSR).msr.pinned, 5);
}
