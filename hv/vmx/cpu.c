// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/vmx/cpu.h"

#include <string.h>

#include "hv/board.h"
#include "hv/vmx/crwatch.h"
#include "hv/vmx/decode.h"

struct rf_cpu_can rf_cpu_can;
static struct rf_arch_vcpu arch[RF_MAX_VCPUS];

struct rf_arch_vcpu *rf_arch_vcpu(unsigned n, uintptr_t id)
{
	/* The host's watch tells vCPUs by their ids. */
	return n < RF_MAX_VCPUS && id < RF_CR_VCPUS ? &arch[n] : NULL;
}

#define CR0_PE UINT64_C(1)
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102) /* AMD APM vol. 2 6.1.3 */

/* struct kvm_regs in the order of the instruction encoding, both ways. */
static void regs_to_gpr(const struct kvm_regs *r, uint64_t *g)
{
	const uint64_t in_order[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp,
					r->rsi, r->rdi, r->r8,	r->r9,	r->r10, r->r11,
					r->r12, r->r13, r->r14, r->r15 };

	memcpy(g, in_order, sizeof(in_order));
}

static void gpr_to_regs(const uint64_t *g, struct kvm_regs *r)
{
	r->rax = g[0], r->rcx = g[1], r->rdx = g[2], r->rbx = g[3];
	r->rsp = g[4], r->rbp = g[5], r->rsi = g[6], r->rdi = g[7];
	r->r8 = g[8], r->r9 = g[9], r->r10 = g[10], r->r11 = g[11];
	r->r12 = g[12], r->r13 = g[13], r->r14 = g[14], r->r15 = g[15];
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int rf_cpu_get_msr(struct rf_vcpu *v, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = index };
	int n = rf_kvm(v->fd, KVM_GET_MSRS, &m);

	if (n != 1)
		return n < 0 ? n : -EIO;
	*value = m.entry.data;
	return 0;
}

int rf_cpu_set_msr(struct rf_vcpu *v, uint32_t index, uint64_t value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };
	int n = rf_kvm(v->fd, KVM_SET_MSRS, &m);

	return n == 1 ? 0 : n < 0 ? n : -EIO;
}

static uint64_t must_get_msr(struct rf_vcpu *v, uint32_t index)
{
	uint64_t value = 0;

	if (rf_cpu_get_msr(v, index, &value))
		rf_fatal("a vCPU's registers could not be read");
	return value;
}

void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	rf_cpu_get(v, KVM_GET_REGS, &r);
	rf_cpu_get(v, KVM_GET_SREGS, &s);
	*out = (struct rf_vcpu_regs){
		.rip = r.rip,
		.rflags = r.rflags,
		.cr0 = s.cr0,
		.cr2 = s.cr2,
		.cr3 = s.cr3,
		.cr4 = s.cr4,
		.efer = s.efer,
		.fs_base = s.fs.base,
		.gs_base = s.gs.base,
		.kernel_gs_base = must_get_msr(v, MSR_KERNEL_GS_BASE),
		.cpl = s.ss.dpl, /* SDM vol. 3A 5.5: the CPL is SS's DPL */
	};
	regs_to_gpr(&r, out->gpr);
}

uint64_t rf_arch_where(struct rf_vcpu *v)
{
	struct kvm_regs r;

	rf_cpu_get(v, KVM_GET_REGS, &r);
	return r.rip;
}

/* An interrupt taken in a step would have its saved flags carry our trap flag into the guest. */
uint32_t rf_arch_step_flags(void)
{
	return rf_cpu_can.blocks_irqs ? KVM_GUESTDBG_BLOCKIRQ : 0;
}

static uint16_t nested_flags(struct rf_vcpu *v)
{
	/* The state is 4 KiB behind its head on SVM, 8 KiB on VMX (api.rst,
	 * KVM_GET_NESTED_STATE). */
	union {
		struct kvm_nested_state head;
		uint8_t room[sizeof(struct kvm_nested_state) + (16u << 10)];
	} state;

	state.head = (struct kvm_nested_state){ .size = sizeof(state) };
	if (rf_kvm(v->fd, KVM_GET_NESTED_STATE, &state))
		return KVM_STATE_NESTED_GIF_SET;
	/* Only SVM has a GIF. */
	return state.head.flags |
	       (state.head.format == KVM_STATE_NESTED_FORMAT_SVM ? 0 : KVM_STATE_NESTED_GIF_SET);
}

bool rf_cpu_nested(struct rf_vcpu *v)
{
	return nested_flags(v) & KVM_STATE_NESTED_GUEST_MODE;
}

bool rf_cpu_switching(struct rf_vcpu *v)
{
	uint16_t flags = nested_flags(v);

	/* The firmware has tables and MSRs of its own; RSM loads the kernel's again. */
	return flags & KVM_STATE_NESTED_GUEST_MODE || !(flags & KVM_STATE_NESTED_GIF_SET) ||
	       rf_cpu_in_smm(v);
}

bool rf_cpu_offers_efer(struct rf_vcpu *v, uint64_t efer)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256]; /* x86.h KVM_MAX_CPUID_ENTRIES */
	} c = { .head.nent = 256 };
	uint64_t offered = 0x2d01; /* SCE, LME, LMA, NXE: a 64-bit guest's; LMSLE: no CPUID bit */

	if (rf_kvm(v->fd, KVM_GET_CPUID2, &c))
		return false;
	/* As x86.c __kvm_valid_efer() and svm.c's reserved bits: APM vol. 2 3.1.7, vol. 3 E.4. */
	for (uint32_t i = 0; i < c.head.nent && i < 256; i++) {
		const struct kvm_cpuid_entry2 *leaf = &c.entries[i];

		if (leaf->function == 0x80000001)
			offered |= (leaf->ecx >> 2 & 1 ? 0x1000u : 0) |	 /* SVME */
				   (leaf->ecx >> 17 & 1 ? 0x8000u : 0) | /* TCE */
				   (leaf->edx >> 25 & 1 ? 0x4000u : 0);	 /* FFXSR */
		if (leaf->function == 0x80000021 && leaf->eax >> 8 & 1)
			offered |= 1u << 21; /* AutoIBRS */
	}
	return !(efer & ~offered);
}

bool rf_cpu_in_smm(struct rf_vcpu *v)
{
	struct kvm_vcpu_events e;

	return !rf_kvm(v->fd, KVM_GET_VCPU_EVENTS, &e) && e.flags & KVM_VCPUEVENT_VALID_SMM &&
	       e.smi.smm;
}

bool rf_cpu_waits(struct rf_vcpu *v)
{
	struct kvm_mp_state s;

	return !rf_kvm(v->fd, KVM_GET_MP_STATE, &s) && s.mp_state != KVM_MP_STATE_RUNNABLE;
}

#define NMI 2

uint32_t rf_cpu_delivers(struct rf_vcpu *v)
{
	struct kvm_vcpu_events e;

	rf_cpu_get(v, KVM_GET_VCPU_EVENTS, &e);
	if (e.interrupt.injected || e.nmi.injected)
		return e.interrupt.injected ? e.interrupt.nr : NMI;
	/* Without KVM_CAP_EXCEPTION_PAYLOAD one that is only pending is said to be injected too. */
	return e.exception.injected && !e.exception.pending ? e.exception.nr : RF_NO_VECTOR;
}

static int inject(struct rf_vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
	struct kvm_vcpu_events e;

	rf_cpu_get(v, KVM_GET_VCPU_EVENTS, &e);
	/* What others queue meanwhile, as an NMI, stays as it is. */
	e.flags = 0;
	/* Replaces a #DB the emulated store may have left (guest's TF): a faulting instruction
	 * traps no step. */
	e.exception.injected = 1;
	e.exception.pending = 0;
	e.exception.nr = vector;
	e.exception.has_error_code = has_error;
	e.exception.error_code = error;
	e.exception_has_payload = 0;
	/* What could not be delivered led to it. */
	if (vector == 8)
		e.interrupt.injected = e.nmi.injected = 0;
	return rf_kvm(v->fd, KVM_SET_VCPU_EVENTS, &e);
}

int rf_cpu_inject(struct rf_vcpu *v, uint8_t vector)
{
	return inject(v, vector, false, 0);
}

int rf_arch_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	int err;

	if (verdict->vector != 8 && verdict->vector != 13 && verdict->vector != 14)
		return -EINVAL;
	gpr_to_regs(verdict->gpr, &r);
	r.rip = verdict->rip;
	r.rflags = verdict->rflags;
	err = rf_kvm(v->fd, KVM_SET_REGS, &r);
	if (!err && verdict->vector == 14) {
		rf_cpu_get(v, KVM_GET_SREGS, &s);
		s.cr2 = verdict->cr2;
		err = rf_kvm(v->fd, KVM_SET_SREGS, &s);
	}
	return err ? err : inject(v, (uint8_t)verdict->vector, true, verdict->error_code);
}

#define MAX_PARTS 64 /* of one instruction, as in hv/vmx/exit.c */

int rf_arch_abandon(struct rf_vcpu *v)
{
	uint8_t wanted = v->run->immediate_exit;
	struct kvm_regs r;
	int err = 0;

	rf_cpu_get(v, KVM_GET_REGS, &r);
	v->wait.saved.reason = 0;
	v->run->immediate_exit = 1; /* the guest does not run: api.rst, KVM_RUN */
	for (int i = 0; !err && i < MAX_PARTS; i++) {
		v->run->msr.error = 0;
		err = rf_kvm(v->fd, KVM_RUN, NULL);
	}
	v->run->immediate_exit = wanted;
	return err == -EINTR ? rf_kvm(v->fd, KVM_SET_REGS, &r) : err ? err : -EIO;
}

#define MAX_STEPS 4 /* a debugger of the VMM's may get a step out of it */

int rf_cpu_complete(struct rf_vcpu *v)
{
	int err = 0;

	rf_gate_hold_entry(v);
	RF_LOCKED(); /* KVM may look memory up: nobody re-makes slots */
	for (int i = 0; !err && i < MAX_STEPS; i++)
		err = rf_kvm(v->fd, KVM_RUN, NULL);
	return err == -EINTR ? 0 : err ? err : -EIO;
}

/* --- what it is -------------------------------------------------------------- */

/* SDM vol. 3A table 9-1, APM vol. 2 table 14-1: after RESET, with LSTAR as it powers up. */
static bool is_reset(const struct kvm_regs *r, const struct kvm_sregs *s, uint64_t lstar)
{
	return !(s->cr0 & (CR0_PE | CR0_PG)) && !s->cr3 && !s->cr4 && !s->efer && !lstar &&
	       r->rip == 0xfff0 && r->rflags == 2 && s->cs.selector == 0xf000 &&
	       s->cs.base == 0xffff0000;
}

struct rf_cpu_state rf_arch_state(struct rf_vcpu *v)
{
	uint64_t lstar = must_get_msr(v, RF_MSR_LSTAR);
	enum rf_vcpu_class class = RF_CPU_OTHER;
	struct kvm_regs r;
	struct kvm_sregs s;

	rf_cpu_get(v, KVM_GET_REGS, &r);
	rf_cpu_get(v, KVM_GET_SREGS, &s);
	if (rf_cpu_switching(v))
		class = RF_CPU_NESTED;
	else if (s.cr0 & CR0_PG && s.efer & EFER_LMA)
		class = RF_CPU_KERNEL;
	else if (is_reset(&r, &s, lstar))
		class = RF_CPU_RESET;
	return (struct rf_cpu_state){ class, lstar, s.cr0 & CR0_PG };
}

static bool find_lstar(const struct kvm_msrs *msrs, uint64_t *value)
{
	for (uint32_t i = 0; i < msrs->nmsrs && i < 4096; i++) {
		if (msrs->entries[i].index != RF_MSR_LSTAR)
			continue;
		*value = msrs->entries[i].data;
		return true;
	}
	return false;
}

/*
 * QEMU puts back what it has read whenever a device model looks at a vCPU, and a guest can have it
 * do so at will (hw/i386/vmport.c, hw/i386/kvmvapic.c). What it puts only at a reset or a load is
 * the MP state (target/i386/kvm/kvm.c kvm_arch_put_registers(): level >= KVM_PUT_RESET_STATE). A
 * kernel's entry that KVM does not hold yet comes from a load as well, whoever the VMM is.
 */
bool rf_arch_loads(struct rf_vcpu *v, unsigned long request, const void *arg)
{
	uint64_t lstar, held;

	if (request == KVM_SET_MP_STATE)
		return true;
	return request == KVM_SET_MSRS && arg && find_lstar(arg, &lstar) && lstar &&
	       !rf_cpu_get_msr(v, RF_MSR_LSTAR, &held) && held != lstar;
}

bool rf_arch_saves(unsigned long request)
{
	return request == KVM_GET_REGS;
}

/* --- a kernel that comes up ---------------------------------------------------- */

void rf_arch_announce(struct rf_msg_event *ev, uint64_t entry)
{
	ev->msr.index = RF_MSR_LSTAR;
	ev->msr.value = entry;
}

uint64_t rf_arch_announced(const struct rf_msg_event *ev)
{
	return ev->msr.value;
}

void rf_arch_kernel_to_board(const struct rf_msg_event *ev)
{
	rf_board->lstar = ev->msr.value;
	rf_board->cr3 = ev->regs.cr3;
	rf_board->cr4 = ev->regs.cr4;
}
