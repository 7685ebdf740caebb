/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An exit, turned into what the fence makes of it. Pure: plain structs in, plain structs out, so
 * that it builds and is tested (and fuzzed) on any machine.
 *
 * To add an exit: a member of rf_exit filled in hv/vmx/exit.c, a decoded kind here, a case in
 * hv/vmx/dispatch.c,
 * a test.
 */
#ifndef RF_HV_VMX_DECODE_H
#define RF_HV_VMX_DECODE_H

#include <stddef.h>

#include "hv/span.h"
#include "hv/proto.h"

/* What was copied out of kvm_run: only the fields of `reason` are meaningful. */
enum rf_exit_reason {
	RF_EXIT_OTHER,
	RF_EXIT_MMIO,
	RF_EXIT_RDMSR,
	RF_EXIT_WRMSR,
	RF_EXIT_EMULATION,
	RF_EXIT_IO,
	RF_EXIT_DELIVERY
};

struct rf_exit {
	enum rf_exit_reason reason;
	struct {
		uint64_t gpa;
		uint32_t len;
		bool is_write;
		uint8_t data[8];
	} mmio;
	struct {
		uint32_t index;
		uint64_t value;
		bool by_filter; /* KVM_MSR_EXIT_REASON_FILTER */
	} msr;
	struct {
		bool has_bytes; /* the kernel says that the two below are valid */
		uint32_t len;
		uint8_t bytes[15];
	} insn;
	struct {
		uint16_t port;
		uint8_t size;
		uint32_t count;
		bool is_out;
		uint64_t rip;
		uint32_t cpl;
	} io;
	struct {
		uint64_t gpa; /* UINT64_MAX: not told */
	} delivery;
};

/* What the fence knows at this moment. Ranges ascend and are disjoint. */
struct rf_guarded {
	uint64_t start, size;
	bool sealed; /* false: the watched page */
};

struct rf_guard {
	const struct rf_guarded *ranges;
	size_t count;
	bool any_sealed;
	const uint64_t *traps; /* where traps are planted, linear addresses */
	size_t traps_count;
	bool msr_pinned;	  /* the MSR of this exit is one of ours */
	bool vmm_wants_msr_exits; /* the VMM asked for filtered-MSR exits itself */
};

enum rf_decoded {
	RF_NOT_OURS = 0,   /* to the VMM, untouched */
	RF_SEALED_STORE,   /* mmio holds a store to sealed bytes */
	RF_WATCHED_STORE,  /* mmio holds a store to the watched page */
	RF_KERNEL_MSR,	   /* LSTAR is being written */
	RF_PINNED_MSR,	   /* another MSR of ours is being written */
	RF_MSR_DENY,	   /* filtered by the VMM, which expects KVM to answer #GP */
	RF_CANNOT_EMULATE, /* may be a store to sealed bytes: the monitor decodes it */
	RF_TRAPPED,	   /* one of our traps was executed by the kernel */
	RF_UNDELIVERED,	   /* an event's frame may have been meant for sealed bytes */
	RF_MALFORMED,	   /* contradicts itself: fail closed */
};

#define RF_MSR_EFER UINT32_C(0xc0000080) /* AMD APM vol. 2 3.1.7 */
#define RF_MSR_LSTAR                                                                               \
	UINT32_C(0xc0000082) /* AMD APM vol. 2 6.1.1: target of SYSCALL in long mode               \
			      */

/*
 * A trap is `out $port, %al`, two bytes, which always exits: KVM intercepts every port (SVM:
 * arch/x86/kvm/svm/svm.c init_vmcb() INTERCEPT_IOIO_PROT with a bitmap of ones; VMX: vmcs_config
 * CPU_BASED_UNCOND_IO_EXITING) and first asks its own devices (kvm_io_bus_write()): PIC, PIT and
 * speaker, ELCR, VMMs' ioeventfds. The port is nobody's: not KVM's, not of QEMU's microvm, pc or
 * q35 (info mtree shows 0xe0..0xef empty; 0xe9 is isa-debugcon's), not one Linux delays with
 * (arch/x86/kernel/io_delay.c: 0x80, 0xed) and not 0x7e, whose RIP KVM advances early
 * (KVM_X86_QUIRK_OUT_7E_INC_RIP).
 */
#define RF_TRAP_LEN 2 /* the rest of the instruction it replaces is filled with INT3s */

/*
 * The filler is never run. Linux's optimiser of probes decodes whole functions and leaves alone
 * what holds a breakpoint that is nobody's (arch/x86/kernel/kprobes/opt.c can_optimize()): so it
 * puts no jump over a trap, which would be denied.
 */

/*
 * Does RIP at the exit belong to the trap at `trap`? Intercepted by the CPU it is still on the OUT
 * (x86.c kvm_fast_pio_out()), emulated by KVM it is past it (x86_emulate_instruction() commits what
 * an OUT did before it exits); what follows is the trap's own filler, never another OUT.
 */
static inline bool rf_trap_hit(uint64_t trap, uint64_t rip)
{
	return rip - trap == 0 || rip - trap == RF_TRAP_LEN;
}

enum rf_decoded rf_decode(const struct rf_exit *e, const struct rf_guard *g);

#endif
