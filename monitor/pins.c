// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which MSRs are pinned at the seal, and what is made of a write to one. Numbers and bits: SDM vol.
 * 4 chapter 2, AMD APM vol. 2 appendix A; the paravirtual ones: Documentation/virt/kvm/x86/msr.rst
 * and the Hypervisor Top Level Functional Specification.
 *
 * All CPUs of a Linux guest load the same values into those of kind RF_PIN_VALUE
 * (arch/x86/kernel/cpu/common.c syscall_init(), realmode/init.c setup_real_mode()), so the boot
 * CPU's at the seal are the only legal ones.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"

#define ALL UINT64_MAX
#define MSR_LSTAR UINT32_C(0xc0000082)
#define PAGE_BITS (~UINT64_C(0xfff))

enum when { ALWAYS, BY_DEBUGCTL, BY_SPEC_CTRL };
enum asked { NOT_ASKED, CPU_ENTRY_AREA, HOST_WRITES };

/* Ascending: the protocol wants them so. */
static const struct pin {
	uint32_t index;
	const char *name;
	uint64_t mask; /* VALUE: the bits that stay; HOST_WRITES: where the address is */
	enum asked asked;
	enum when when;
} pins[] = {
	{ 0x11, "KVM_WALL_CLOCK", ALL, HOST_WRITES, ALWAYS },
	{ 0x12, "KVM_SYSTEM_TIME", ~UINT64_C(1), HOST_WRITES, ALWAYS },
	/* Where the APIC lies and that it is on; which CPU is the first and x2APIC may change. */
	{ 0x1b, "APICBASE", UINT64_C(0xffffffffff800), NOT_ASKED, ALWAYS },
	{ 0x48, "SPEC_CTRL", ALL, NOT_ASKED, BY_SPEC_CTRL },
	{ 0x174, "SYSENTER_CS", ALL, NOT_ASKED, ALWAYS },
	{ 0x175, "SYSENTER_ESP", ALL, CPU_ENTRY_AREA, ALWAYS },
	{ 0x176, "SYSENTER_EIP", ALL, NOT_ASKED, ALWAYS },
	/* XD disable: set, the CPU has no NX (SDM vol. 4, IA32_MISC_ENABLE). Linux clears it on
	 * each CPU that comes up (arch/x86/kernel/verify_cpu.S). */
	{ 0x1a0, "MISC_ENABLE", UINT64_C(1) << 34, NOT_ASKED, ALWAYS },
	{ 0x1d9, "DEBUGCTL", ALL, NOT_ASKED, BY_DEBUGCTL },
	{ 0x277, "PAT", ALL, NOT_ASKED, ALWAYS },
	/* ENDBR_EN is off while EFI's runtime services run (arch/x86/include/asm/efi.h). */
	{ 0x6a2, "S_CET", ~UINT64_C(4), NOT_ASKED, ALWAYS },
	/* Shadow stacks below user mode, which Linux has none of (arch/x86/kernel/shstk.c). PL3's
	 * is each task's. */
	{ 0x6a4, "PL0_SSP", ALL, NOT_ASKED, ALWAYS },
	{ 0x6a5, "PL1_SSP", ALL, NOT_ASKED, ALWAYS },
	{ 0x6a6, "PL2_SSP", ALL, NOT_ASKED, ALWAYS },
	{ 0x40000001, "HV_HYPERCALL", PAGE_BITS, HOST_WRITES, ALWAYS },
	{ 0x40000021, "HV_REFERENCE_TSC", PAGE_BITS, HOST_WRITES, ALWAYS },
	{ 0x40000073, "HV_VP_ASSIST_PAGE", PAGE_BITS, HOST_WRITES, ALWAYS },
	{ 0x40000082, "HV_SIEFP", PAGE_BITS, HOST_WRITES, ALWAYS },
	{ 0x40000083, "HV_SIMP", PAGE_BITS, HOST_WRITES, ALWAYS },
	{ 0x4b564d00, "KVM_WALL_CLOCK_NEW", ALL, HOST_WRITES, ALWAYS },
	{ 0x4b564d01, "KVM_SYSTEM_TIME_NEW", ~UINT64_C(1), HOST_WRITES, ALWAYS },
	{ 0x4b564d02, "KVM_ASYNC_PF_EN", ~UINT64_C(0x3f), HOST_WRITES, ALWAYS },
	{ 0x4b564d03, "KVM_STEAL_TIME", ~UINT64_C(0x3f), HOST_WRITES, ALWAYS },
	{ 0x4b564d04, "KVM_PV_EOI_EN", ~UINT64_C(3), HOST_WRITES, ALWAYS },
	/* SCE, LME, NXE. LMA is the CPU's own; an AP comes up with it clear. */
	{ 0xc0000080, "EFER", UINT64_C(0x901), NOT_ASKED, ALWAYS },
	{ 0xc0000081, "STAR", ALL, NOT_ASKED, ALWAYS },
	{ 0xc0000083, "CSTAR", ALL, NOT_ASKED, ALWAYS },
	{ 0xc0000084, "SFMASK", ALL, NOT_ASKED, ALWAYS },
};
#define PINS (sizeof(pins) / sizeof(pins[0]))
_Static_assert(PINS <= RF_PIN_MAX, "one message");

static bool wanted(const struct rf_policy *p, enum when when)
{
	return when == ALWAYS || (when == BY_DEBUGCTL ? p->pin_debugctl : p->pin_spec_ctrl);
}

int rf_pins_set(struct rf_guest *g)
{
	struct rf_msg_pin m = { .kernel = g->kernel_event };
	int err;

	rf_control_wanted(&g->policy, &m.cr0, &m.cr4);
	if (!(g->policy.pin_msrs || m.cr0 || m.cr4) || !g->hv->ops->pin)
		return 0;
	for (size_t i = 0; i < PINS; i++) {
		if (!g->policy.pin_msrs || !wanted(&g->policy, pins[i].when))
			continue;
		m.pins[m.count].index = pins[i].index;
		m.pins[m.count].how = pins[i].asked ? RF_PIN_ASK : RF_PIN_VALUE;
		m.pins[m.count++].mask = pins[i].mask;
	}
	err = g->hv->ops->pin(g->hv, &m);
	/* An earlier monitor did: the values are those of the seal. */
	return err == -EALREADY ? 0 : err;
}

static const struct pin *pin_of(uint32_t index)
{
	for (size_t i = 0; i < PINS; i++)
		if (pins[i].index == index)
			return &pins[i];
	return NULL;
}

/* arch/x86/include/asm/cpu_entry_area.h and pgtable_64_types.h: CPU_ENTRY_AREA_PGD is the fourth
 * entry from the top of the address space, 512 GiB, each CPU's entry stack in it. */
static bool in_cpu_entry_area(uint64_t gva)
{
	return gva >> 39 == UINT64_C(0xfffffe0000000000) >> 39;
}

/*
 * What the host writes there is a whole page, as regions are made of (Hyper-V's), or 64 bytes at
 * most (arch/x86/include/uapi/asm/kvm_para.h), which may begin before the seal.
 */
static bool into_seal(const struct rf_guest *g, uint64_t gpa)
{
	return rf_guest_region(g, gpa) || rf_guest_region(g, gpa + 63);
}

enum rf_fact_msr rf_pins_fact(const struct rf_guest *g, uint32_t index, uint64_t value,
			      const char **name)
{
	const struct pin *p = pin_of(index);

	*name = p ? p->name : index == MSR_LSTAR ? "LSTAR" : "MSR";
	if (!p)
		return RF_FACT_MSR_UNKNOWN;
	switch (p->asked) {
	case CPU_ENTRY_AREA:
		return in_cpu_entry_area(value) ? RF_FACT_MSR_PER_CPU : RF_FACT_MSR_CHANGED;
	case HOST_WRITES:
		return into_seal(g, value & p->mask) ? RF_FACT_MSR_INTO_SEAL
						     : RF_FACT_MSR_ELSEWHERE;
	case NOT_ASKED:
		break;
	}
	return RF_FACT_MSR_CHANGED;
}
