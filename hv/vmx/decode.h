/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An exit, turned into what the fence makes of it. Pure: plain structs in, plain structs out, so
 * that it builds and is tested (and fuzzed) on any machine.
 *
 * To add an exit: a member of rf_exit filled in hv/run.c, a decoded kind here, a case in hv/run.c,
 * a test.
 */
#ifndef RF_HV_VMX_DECODE_H
#define RF_HV_VMX_DECODE_H

#include <stddef.h>

#include "hv/addr.h"

/* What was copied out of kvm_run: only the fields of `reason` are meaningful. */
enum rf_exit_reason {
	RF_EXIT_OTHER,
	RF_EXIT_MMIO,
	RF_EXIT_RDMSR,
	RF_EXIT_WRMSR,
	RF_EXIT_EMULATION
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
	RF_MALFORMED,	   /* contradicts itself: fail closed */
};

#define RF_MSR_LSTAR                                                                               \
	UINT32_C(0xc0000082) /* AMD APM vol. 2 6.1.1: target of SYSCALL in long mode               \
			      */

enum rf_decoded rf_decode(const struct rf_exit *e, const struct rf_guard *g);

#endif
