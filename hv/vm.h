/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence's own state, shared by the files of hv/ and seen by nobody else.
 *
 * Locks, in the order they are taken: rf_vm.lock (slots, overlays, state), then the gate (closes
 * the guest), then rf_channel.lock (socket, waits). Nothing is allocated between an exit and its
 * verdict.
 */
#ifndef RF_HV_VM_H
#define RF_HV_VM_H

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hv/addr.h"
#include "hv/board.h"
#include "hv/memslots.h"
#include "hv/proto.h"

#define RF_MAX_VCPUS 1024

/* Debian 12's headers are older. */
#ifndef KVM_CAP_X86_GUEST_MODE
#define KVM_CAP_X86_GUEST_MODE 238
#define KVM_RUN_X86_GUEST_MODE (1 << 2)
#endif

/* The ioctl itself, past our own interposition: result or -errno. */
static inline int rf_kvm(int fd, unsigned long request, void *arg)
{
	long r = syscall(SYS_ioctl, fd, request, arg);

	return r < 0 ? -errno : (int)r;
}

/* --- an exit, taken out of kvm_run once ----------------------------------- */
/* kvm_run is shared with the VMM; this is what the fence looks at, and can give back. */
struct rf_saved_exit {
	uint32_t reason;
	uint8_t data[256]; /* the union of struct kvm_run */
};

enum rf_wait_state { RF_WAIT_NONE, RF_WAIT_PENDING, RF_WAIT_ANSWERED };

/* A vCPU's one event in flight. */
struct rf_wait {
	_Atomic enum rf_wait_state state;
	struct rf_msg_event event;
	struct rf_msg_verdict verdict;
	struct rf_saved_exit saved; /* reason 0: nothing to give back to the VMM */
	unsigned int tries;	    /* how often the table did not say what the monitor did */
};

/* Pinned bits that were put back and are to be told of: what was cleared, and the registers as they
 * were then. */
struct rf_cr_undone {
	uint64_t cr0_bits, cr4_bits;
	uint64_t cr0, cr4;
};

/* The table registers that were last judged; the vCPU thread's own but for the atomic. */
struct rf_kept {
	bool known;
	struct rf_vcpu_tables tables;
	/* Pinned MSRs, in their order and LSTAR last, found with another value and told. */
	uint64_t msrs_told;
	uint64_t msr_values[RF_PIN_MAX + 1];
	bool msrs_set;	       /* all pinned ones had their values at once */
	unsigned cr_missing;   /* looks in a row that found pinned bits of CR0, CR4 clear */
	uint64_t looked_ns;    /* CLOCK_MONOTONIC, when they were last compared */
	atomic_ullong used_ns; /* the thread's CPU time then */
};

/* The traps in sealed text. They change under rf_vm.lock with every vCPU outside. */
struct rf_traps {
	bool set; /* the monitor has said what it wants */
	uint32_t count;
	uint64_t cr0, cr4;
	uint8_t note[32];
	struct rf_poke poke;
	uint64_t poke_rip; /* 0: there is none */
	struct rf_trap_site sites[RF_TRAP_MAX];
	uint64_t rips[RF_TRAP_MAX]; /* where the kernel maps them */
};

struct rf_vcpu {
	int fd;
	uint32_t id;
	struct kvm_run *run;
	atomic_int in_run;     /* inside KVM_RUN, or about to enter */
	atomic_int tid;	       /* 0 until the first KVM_RUN */
	atomic_int kicked;     /* our signal handler raised immediate_exit */
	struct rf_wait wait;   /* the vCPU thread's while state is NONE or ANSWERED, else under the
				  channel's lock */
	uint64_t loaded_lstar; /* put there by the VMM, 0 none: a restored or migrated guest */
	bool left_behind;      /* in a kernel that went over to another one, on another vCPU */
	struct rf_kept kept;
	struct kvm_regs at_out; /* at its last OUT to the traps' port */
	bool at_out_known;	/* KVM_RUN has left them already */
	bool regs_in_run;	/* the next KVM_RUN takes registers along */
	struct kvm_guest_debug vmm_debug;
	struct rf_cr_undone cr;
};

struct rf_watch {
	bool armed;
	rf_gpa gpa;
	uint32_t len;
	uint64_t value;
};

struct rf_vm {
	bool used;
	int fd;
	pthread_mutex_t lock;
	struct rf_memslots slots;
	struct rf_watch watch;
	struct rf_traps traps;
	atomic_ullong check_ns; /* how often table registers are compared, 0: not */
	enum rf_vm_state state;
	uint64_t lstar;
	bool again;		  /* sealed again after a reset, as it was before */
	struct rf_vcpu *boot;	  /* announced the kernel: others are to be as it is */
	atomic_int announcing;	  /* a vCPU is announcing a kernel that the VMM loaded */
	atomic_ullong kernel;	  /* id of the event that announced it: commands name it */
	uint32_t vmm_msr_reasons; /* KVM_MSR_EXIT_REASON_* the VMM asked for itself */
	bool vmm_wants_emulation_exit;
	bool step_blocks_irqs; /* KVM_GUESTDBG_BLOCKIRQ is there */
	bool tells_guest_mode; /* KVM_RUN_X86_GUEST_MODE is */
	bool syncs_regs;       /* KVM_SYNC_X86_REGS is */
	atomic_uint nr_vcpus;
	struct rf_vcpu vcpus[RF_MAX_VCPUS];
	struct rf_board *board;
	uint64_t instance;
	atomic_ullong next_event;
};

extern struct rf_vm rf_vm;

static inline void rf_count(enum rf_counter c)
{
	__atomic_fetch_add(&rf_vm.board->counters[c], 1, __ATOMIC_RELAXED);
}

/* --- fence.c -------------------------------------------------------------- */
/* One line on stderr: why this VM was not started, or was ended. */
void rf_say(const char *what, const char *why);
/* Ends the VMM at once: the only safe end when an invariant is lost with a guest running. */
_Noreturn void rf_fatal(const char *why);
/* Copies slots, regions and state to the board. Lock held. */
void rf_board_publish(void);

/* --- gate.c: gets every vCPU out of KVM_RUN and keeps it out -------------- */
int rf_gate_init(void);
/* Called around KVM_RUN by the vCPU's thread. -EINTR: the VMM wants the thread back. */
int rf_gate_enter(struct rf_vcpu *v);
void rf_gate_leave(struct rf_vcpu *v);
/* Returns with no vCPU in the guest; nests not. The caller may itself be a vCPU thread that left.
 */
void rf_gate_close(void);
void rf_gate_open(void);
/* Is any vCPU inside KVM_RUN? One that halts in there counts. */
bool rf_gate_anyone_in(void);
/* The signal that gets a vCPU out; the VMM's KVM_SET_SIGNAL_MASK must not block it. */
int rf_gate_signal(void);
/* Binds the calling thread to v before its first KVM_RUN. */
void rf_gate_bind(struct rf_vcpu *v);
/* To be returned to the VMM for KVM_RUN: clears what our kick raised. Always -EINTR. */
int rf_gate_interrupted(struct rf_vcpu *v);
/* True when the VMM (or our kick) wants KVM_RUN to return. */
bool rf_gate_wanted(const struct rf_vcpu *v);
/* Makes KVM_RUN return to the VMM with -EINTR, once. Any thread. */
void rf_gate_kick(struct rf_vcpu *v);

/* --- run.c: KVM_RUN until an exit is the VMM's ---------------------------- */
int rf_vcpu_run(struct rf_vcpu *v);

/* --- seal.c --------------------------------------------------------------- */
/* Both: 0 or -errno with nothing changed; -ESTALE when `kernel` is not the one that runs. */
int rf_seal(const struct rf_msg_seal *m, uint64_t *ns);
int rf_watch_arm(const struct rf_msg_watch *m);
int rf_mend(const struct rf_msg_mend *m);
/* The monitor let the kernel set LSTAR: what a restarted monitor must know goes to the board. */
void rf_kernel_found(const struct rf_msg_event *ev);
/*
 * Every overlay goes, waits are dropped, the next kernel is awaited. first: the vCPU that goes on
 * in it, while the others stand where they are until it starts them; NULL: the VMM reset the guest.
 */
void rf_vm_reset(const struct rf_vcpu *first);

/* --- patch.c: legal text patching without a round trip ---------------------- */
/* Writes to a seal's copy and to its decoy; the pages are dirty then. Lock held. */
void rf_overlay_write(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len);
/*
 * Applies a store to sealed text that the monitor's table allows, whole or not at all. False: the
 * monitor must be asked (no table, not legal by it, or the trail has no room).
 */
bool rf_patch_settle(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len);
/* A store was denied: sites under way that it would have touched get their old bytes back. */
void rf_patch_denied(uint64_t gpa, uint32_t len);
int rf_patch_restore(const struct rf_msg_restore *m);
/* Takes the table that fd holds (not owned) in place of an earlier one. 0, -EBADMSG, -errno. */
int rf_patch_use(int fd);
/* Nothing is under way. Lock held. */
void rf_patch_reset(void);

/* --- watch.c -------------------------------------------------------------- */
/* KVM_RUN said -EFAULT with a watch armed: lets the one store through. Result as KVM_RUN's. */
int rf_watch_step(struct rf_vcpu *v, bool *hit);
/*
 * Performs a store to the watched page that came as an MMIO exit (a KVM without a second page-table
 * stage). False, and nothing is done, when the bytes are sealed by now.
 */
bool rf_watch_store(rf_gpa gpa, const uint8_t *bytes, uint32_t len, bool *hit);

/* --- channel.c ------------------------------------------------------------ */
/* Connects, shakes hands, starts the thread. 0 or -errno with *why set to constant text. */
int rf_channel_start(const char *path, int board_fd, const char **why);
/* Posts v->wait.event: from now on the vCPU waits. */
void rf_channel_post(struct rf_vcpu *v);
/* 0 once the verdict is in v->wait.verdict, -EINTR when the VMM wants the thread back first. */
int rf_channel_wait(struct rf_vcpu *v);
void rf_channel_outcome(struct rf_vcpu *v, int status);
/* Drops all waits; tells the monitor of the reset. */
void rf_channel_reset(void);

#endif
