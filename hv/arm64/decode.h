/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An exit on arm64, turned into what the fence makes of it. Pure: plain structs in, plain structs
 * out, so that it builds and is tested (and fuzzed) on any machine.
 *
 * What KVM says of a store to a read-only slot (arch/arm64/kvm/mmu.c kvm_handle_guest_abort(),
 * mmio.c io_mem_abort()):
 *  - KVM_EXIT_MMIO where the CPU describes the access, ESR_EL2.ISS.ISV set: loads and stores of one
 *    general-purpose register without write-back, acquire and release forms included (Arm ARM DDI
 *    0487, ESR_ELx, ISS encoding for an exception from a Data Abort). The length is ISS.SAS, the
 *    data that register's, in the order of the guest's memory.
 *  - KVM_EXIT_ARM_NISV for all others (pairs, write-back, SIMD, exclusives, LSE atomics, DC ZVA):
 *    nothing but CM, WnR and DFSC of ISS (kvm_vcpu_dabt_iss_nisv_sanitized()) and the address.
 * The address is HPFAR_EL2's page with the low 12 bits of FAR_EL2. FAR is where the access faulted,
 * not where it began: one that begins in a plain page and runs on into a guarded one faults at that
 * page's first byte, and still has its whole length and data. KVM does not cut a store at page
 * borders, as it does on x86, and does not tell. PC is on the instruction until KVM_RUN is called
 * again (kvm_handle_mmio_return()).
 *
 * To add an exit: a member of rf_arm64_exit filled in hv/arm64/exit.c, a decoded kind here, a test.
 */
#ifndef RF_HV_ARM64_DECODE_H
#define RF_HV_ARM64_DECODE_H

#include <stddef.h>

#include "hv/span.h"

/* What was copied out of kvm_run: only the fields of `reason` are meaningful. */
enum rf_arm64_reason {
	RF_ARM64_OTHER,
	RF_ARM64_MMIO,
	RF_ARM64_NISV,
	RF_ARM64_DEBUG,
};

struct rf_arm64_exit {
	enum rf_arm64_reason reason;
	struct {
		uint64_t gpa;
		uint32_t len;
		bool is_write;
		uint8_t data[8];
	} mmio;
	struct {
		uint64_t gpa;
		uint64_t iss;
	} nisv;
	struct {
		uint32_t esr; /* kvm_run's debug.arch.hsr */
		uint64_t pc;
	} debug;
};

/* What the fence knows at this moment. Ranges are whole pages, ascend and are disjoint. */
struct rf_arm64_guarded {
	uint64_t start, size;
	bool sealed; /* false: the watched page */
};

struct rf_arm64_guard {
	const struct rf_arm64_guarded *ranges;
	size_t count;
	const uint64_t *traps; /* where traps are planted, guest-virtual */
	size_t traps_count;
	bool steps;	      /* the fence steps this vCPU */
	bool vmm_breakpoints; /* the VMM has KVM_GUESTDBG_USE_SW_BP set itself */
};

enum rf_arm64_decoded {
	RF_ARM64_NOT_OURS = 0, /* to the VMM, untouched */
	RF_ARM64_SEALED_STORE, /* mmio holds a store to sealed bytes, all of it */
	RF_ARM64_UNDECODED, /* a store to sealed bytes; which ones and what, its instruction says */
	RF_ARM64_CACHE,	    /* cache maintenance on a sealed page, not mapped yet: to be skipped */
	RF_ARM64_TRAPPED,   /* one of our traps was executed */
	RF_ARM64_STEPPED,   /* the fence's own step is done */
	RF_ARM64_GUEST_BREAKPOINT, /* the guest's own BRK: its exception is to be given to it */
	RF_ARM64_MALFORMED,	   /* contradicts itself: fail closed */
};

/* ESR_ELx, Arm ARM DDI 0487: EC is [31:26], ISS [24:0]. */
#define RF_ESR_EC(esr) ((uint32_t)(esr) >> 26)
#define RF_EC_BREAKPOINT_LOW 0x30u /* from a lower exception level, as all of these */
#define RF_EC_STEP_LOW 0x32u
#define RF_EC_WATCHPOINT_LOW 0x34u
#define RF_EC_BKPT32 0x38u
#define RF_EC_BRK64 0x3cu
#define RF_ISS_BRK_IMM 0xffffu /* of BRK: its immediate */
/* Of a Data Abort. */
#define RF_ISS_CM (1u << 8)  /* cache maintenance or address translation; not DC ZVA */
#define RF_ISS_WNR (1u << 6) /* a write; always with CM; an atomic's when its read is allowed */
#define RF_ISS_DFSC 0x3fu
/* DFSC less the level, levels 0 to 3. Level -1 (FEAT_LPA2) has one of its own, a translation's. */
#define RF_DFSC_TYPE 0x3cu
#define RF_DFSC_TRANSLATION 0x04u
#define RF_DFSC_ACCESS_FLAG 0x08u
#define RF_DFSC_PERMISSION 0x0cu
#define RF_DFSC_TRANSLATION_LEVEL_MINUS_1 0x2bu

/*
 * A trap is this BRK. With KVM_GUESTDBG_USE_SW_BP each BRK of the guest exits, PC on it. The
 * immediate is none of Linux's (arch/arm64/include/asm/brk-imm.h: 0x004 to 0x007, 0x100, 0x400,
 * 0x401, 0x800, 0x9xx, 0x55xx, 0x8000 to 0x83ff) and no compiler's (gcc 1000, clang 1).
 */
#define RF_ARM64_TRAP_IMM 0x5246u
#define RF_ARM64_TRAP_INSN (UINT32_C(0xd4200000) | RF_ARM64_TRAP_IMM << 5) /* BRK: C6.2 */

enum rf_arm64_decoded rf_arm64_decode(const struct rf_arm64_exit *e,
				      const struct rf_arm64_guard *g);

#endif
