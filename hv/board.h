/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The board: a page the fence writes and the monitor reads (memfd, sent with HELLO, read-only for
 * the monitor). It answers "where is guest RAM" and "what was counted" without a round trip.
 *
 * The layout part is guarded by a sequence counter: odd while it changes; a reader copies, then
 * checks that seq is the same even number as before, and tries again a bounded number of times.
 */
#ifndef RF_HV_BOARD_H
#define RF_HV_BOARD_H

#include "hv/proto.h"

#define RF_BOARD_MAGIC UINT32_C(0x44424652) /* "RFBD" */
#define RF_BOARD_RUNS 1024

/* One run of guest RAM as the guest sees it: sealed runs point at the fence's copy. */
struct rf_board_run {
	uint64_t gpa, size; /* bytes */
	uint64_t hva;	    /* in the VMM process: read with process_vm_readv */
	uint64_t decoy;	    /* sealed runs: the VMM's own page, where device DMA lands; else 0 */
};

enum rf_counter {
	RF_COUNT_RUN,	    /* KVM_RUN calls that entered KVM */
	RF_COUNT_EXIT,	    /* exits that were passed to the VMM */
	RF_COUNT_WRITE,	    /* stores to sealed ranges */
	RF_COUNT_EMULATION, /* emulation failures looked at */
	RF_COUNT_MSR,	    /* filtered MSR writes */
	RF_COUNT_WATCH,	    /* stores to the watched page */
	RF_COUNT_ALLOWED,
	RF_COUNT_DENIED,
	RF_COUNT_NOT_OURS,
	RF_COUNT_EINTR,		/* interrupted runs, the VMM's kicks and ours */
	RF_COUNT_MALFORMED,	/* exits that contradict themselves */
	RF_COUNT_PATCHED_BYTES, /* bytes of allowed stores */
	RF_COUNTERS,
};

struct rf_board {
	uint32_t magic;
	uint16_t revision; /* RF_PROTO_REVISION */
	uint16_t pad;
	uint32_t seq;
	uint32_t state; /* enum rf_vm_state */
	uint32_t vcpus;
	uint32_t runs_count;	/* <= RF_BOARD_RUNS */
	uint32_t regions_count; /* <= RF_SEAL_MAX */
	uint32_t pad2;
	uint64_t kernel;     /* id of the event that announced the kernel, 0 none yet */
	uint64_t lstar;	     /* as the kernel wrote it */
	uint64_t cr3, cr4;   /* of the vCPU that wrote it */
	uint64_t seal_ns;    /* how long the last seal held the vCPUs */
	uint64_t copy_bytes; /* private memory the seals cost */
	uint64_t counters[RF_COUNTERS];
	struct rf_region image; /* as the seal named it */
	struct rf_region regions[RF_SEAL_MAX];
	struct rf_board_run runs[RF_BOARD_RUNS];
};

#endif
