// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * arm64, as far as it goes: exits are decoded (hv/arm64/decode.c), and nothing is protected. Every
 * VM that was to be is refused by rf_arch_refusal(), before KVM is asked for it; nothing below it
 * is ever called, and what would let a guest run on unguarded ends the VMM should it be.
 *
 * What a protected VM needs, in the order in which it can be built:
 *  - stores: KVM_CAP_ARM_NISV_TO_USER on, else KVM_RUN fails with ENOSYS at what the CPU does not
 *    describe; the instruction read and decoded where rf_arm64_decode() says so; a store denied by
 *    KVM_SET_VCPU_EVENTS, ext_dabt_pending, once KVM_RUN has completed it with immediate_exit;
 *  - a kernel that comes up: KVM exits for no write of VBAR_EL1 or TTBR1_EL1, so neither is an
 *    event as LSTAR's is;
 *  - registers: hv/proto.h's are x86's, 31 of them are not in there;
 *  - host pages of 16 and 64 KiB, which hv/addr.h does not know.
 */
#include "hv/arch.h"

static const char not_yet[] = "this release protects no VM on arm64";

_Noreturn static void never(void)
{
	rf_fatal(not_yet);
}

/* --- the VM -------------------------------------------------------------------- */

const char *rf_arch_refusal(int kvm_fd)
{
	return not_yet;
}

int rf_arch_protect(int vm_fd, const char **why)
{
	*why = not_yet;
	return -EOPNOTSUPP;
}

bool rf_arch_vm_ioctl(unsigned long request, void *arg, int *result)
{
	*result = -EOPNOTSUPP;
	return true;
}

void rf_arch_tick(void) {}

unsigned rf_arch_tick_ms(void)
{
	return 1000;
}

/* --- a vCPU -------------------------------------------------------------------- */

struct rf_arch_vcpu *rf_arch_vcpu(unsigned n, uintptr_t id)
{
	return NULL;
}

void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out)
{
	never();
}

uint64_t rf_arch_where(struct rf_vcpu *v)
{
	never();
}

uint32_t rf_arch_step_flags(void)
{
	return 0; /* KVM has none on arm64: KVM_GUESTDBG_VALID_MASK, arch/arm64/kvm/guest.c */
}

int rf_arch_fault(struct rf_vcpu *v, const struct rf_msg_verdict *verdict)
{
	return -EOPNOTSUPP;
}

void rf_arch_describe(struct rf_vcpu *v) {}

int rf_arch_abandon(struct rf_vcpu *v)
{
	return -EOPNOTSUPP;
}

struct rf_cpu_state rf_arch_state(struct rf_vcpu *v)
{
	never();
}

bool rf_arch_loads(struct rf_vcpu *v, unsigned long request, const void *arg)
{
	return true; /* rather once too often */
}

bool rf_arch_saves(unsigned long request)
{
	return request == KVM_GET_ONE_REG;
}

/* --- what is guarded in the CPU -------------------------------------------------- */

int rf_arch_pin(const struct rf_msg_pin *m, struct rf_vcpu *boot, bool again)
{
	return -EOPNOTSUPP;
}

int rf_arch_plant(const struct rf_msg_traps *m)
{
	return -EOPNOTSUPP;
}

void rf_arch_disarm(const struct rf_vcpu *first) {}

/* --- KVM_RUN --------------------------------------------------------------------- */

enum rf_next rf_arch_look(struct rf_vcpu *v)
{
	never();
}

enum rf_next rf_arch_before_run(struct rf_vcpu *v)
{
	never();
}

void rf_arch_not_run(struct rf_vcpu *v) {}

void rf_arch_interrupted(struct rf_vcpu *v) {}

enum rf_next rf_arch_after_run(struct rf_vcpu *v, int *err)
{
	never();
}

bool rf_arch_drain(struct rf_vcpu *v)
{
	never();
}

enum rf_next rf_arch_enforce(struct rf_vcpu *v, int *err)
{
	never();
}

bool rf_arch_unemulated(struct rf_vcpu *v, const struct rf_vcpu_regs *regs)
{
	return false;
}

/* --- a kernel that comes up ------------------------------------------------------- */

void rf_arch_announce(struct rf_msg_event *ev, uint64_t entry)
{
	never();
}

uint64_t rf_arch_announced(const struct rf_msg_event *ev)
{
	never();
}

void rf_arch_kernel_to_board(const struct rf_msg_event *ev)
{
	never();
}

int rf_arch_answer_entry(struct rf_vcpu *v, bool allowed)
{
	return -EOPNOTSUPP;
}
