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
#include "patch/judge.h"

#define RF_BOARD_MAGIC UINT32_C(0x44424652) /* "RFBD" */
#define RF_BOARD_RUNS 1024

/* One run of guest RAM as the guest sees it: sealed runs point at the fence's copy. */
struct rf_board_run {
	uint64_t gpa, size; /* bytes */
	uint64_t hva;	    /* in the VMM process: read through what came with HELLO */
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
	RF_COUNT_SETTLED,	/* stores to text that the table allowed, without the monitor */
	RF_COUNT_CR,		/* vCPUs whose CR0 or CR4 was put back */
	RF_COUNT_CR_CLEARED,	/* writes that would clear a pinned bit */
	RF_COUNT_CR_LOST,	/* of them: without a signal, found later */
	RF_COUNT_TRAP,		/* planted traps that were run into, but for the next line's */
	RF_COUNT_POKED,		/* changes of text made where the kernel's patcher began them */
	RF_COUNT_LOOK,		/* vCPUs got out to have their registers compared */
	RF_COUNT_UNTOLD,	/* what was told while no monitor read it, and is lost */
	RF_COUNT_RAN_NS,	/* time in which a vCPU ran or was inside, a second late at most */
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
	uint32_t cr_watch;	/* 1: the host watches CR0 and CR4 for this VM */
	uint64_t kernel;	/* id of the event that announced the kernel, 0 none yet */
	uint64_t lstar;		/* as the kernel wrote it */
	uint64_t cr3, cr4;	/* of the vCPU that wrote it */
	uint64_t seal_ns;	/* how long the last seal held the vCPUs */
	uint64_t copy_bytes;	/* private memory the seals cost */
	uint64_t cr0_pinned, cr4_pinned;
	uint64_t kept_entry;   /* of the kernel that was sealed last and released, 0 none */
	uint8_t kept_note[32]; /* rf_msg_watch's, of that kernel */
	uint64_t counters[RF_COUNTERS];
	struct rf_region image; /* as the seal named it */
	struct rf_region regions[RF_SEAL_MAX];
	struct rf_board_run runs[RF_BOARD_RUNS];
	uint32_t traps_count;	/* planted; <= RF_TRAP_MAX */
	uint32_t loaded;	/* 1: the VMM has loaded a guest that ran elsewhere or before */
	uint8_t traps_note[32]; /* rf_msg_traps' */
	struct rf_trap_site traps[RF_TRAP_MAX];
};

/*
 * The trail of text patching, behind the board in the same memfd: what was allowed, for the monitor
 * to write down, and what is under way. Not part of the layout that seq guards.
 */
#define RF_TRAIL_ENTRIES (1u << 16)
#define RF_FLIGHTS 512 /* TP_VEC_MAX, the kernel's biggest batch, is 256 */

/* A site that went from one legal form to another. */
struct rf_patch_entry {
	uint64_t ns; /* CLOCK_REALTIME */
	uint32_t at; /* of the site, bytes from the start of text */
	uint16_t vcpu;
	uint8_t kind; /* enum rf_site_kind */
	uint8_t len;
	uint8_t before[12], after[12];
};

/* A site between two forms. */
struct rf_flight {
	uint64_t number; /* unique for the VM's life */
	uint32_t at;
	uint8_t kind, len;
	uint8_t before[RF_SITE_MAX_LEN];
	uint32_t batch; /* the one it began in */
};

struct rf_trail {
	/* Entries ever made; entry n is in slot n % RF_TRAIL_ENTRIES until the table's `taken` has
	 * passed it. */
	uint64_t head;
	uint64_t kinds[RF_SITE_KINDS]; /* patches by kind */
	uint32_t flights_count;
	uint32_t last_tail; /* at, of the site whose tail was changed last; UINT32_MAX none */
	/*
	 * The kernel begins all sites of a batch before it ends the first one, and ends all before
	 * it begins another batch: a site begun after one has ended is of the next batch.
	 */
	uint32_t batch;
	uint32_t changes; /* stores that changed a site; wraps */
	struct rf_flight flights[RF_FLIGHTS];
	struct rf_patch_entry entries[RF_TRAIL_ENTRIES];
};

_Static_assert(sizeof(struct rf_patch_entry) == 40, "entry");

/*
 * What devices had written to sealed addresses, where the VMM's own memory lies, and what it was
 * made again. Entry n is in slot n % RF_HEALS; who reads too late has lost the oldest, and sees by
 * `head` how many.
 */
#define RF_HEALS 256
#define RF_HEAL_BYTES 64 /* as many as a record shows */

struct rf_heal {
	uint64_t gpa; /* of the first foreign byte of a page */
	uint32_t len; /* up to the last one */
	uint32_t pad;
	uint8_t own[RF_HEAL_BYTES], foreign[RF_HEAL_BYTES]; /* the first bytes of these */
};

struct rf_heals {
	uint64_t head;
	uint64_t taken; /* as the monitor has said: where the next one begins */
	struct rf_heal entries[RF_HEALS];
};

struct rf_board_file {
	struct rf_board board;
	struct rf_trail trail;
	struct rf_heals heals;
};

/* --- the fence's side (board.c); the monitor maps the file by itself ---------- */

/* NULL before rf_board_create(). */
extern struct rf_board *rf_board;

static inline struct rf_trail *rf_board_trail(void)
{
	return &((struct rf_board_file *)rf_board)->trail;
}

static inline void rf_count(enum rf_counter c)
{
	__atomic_fetch_add(&rf_board->counters[c], 1, __ATOMIC_RELAXED);
}

/* Makes the file and maps it. *out_fd is the caller's. 0 or -errno. */
int rf_board_create(int *out_fd);
/* Around each change of what seq guards. Each owner writes its own part. rf_vm.lock held. */
void rf_board_begin(void);
void rf_board_end(void);

#endif
