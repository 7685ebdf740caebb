/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A model of the fence's life: hv/life_table.c as it is, and around it each step of hv/life.c,
 * hv/run.c, hv/event.c, hv/handle.c and hv/enforce.c that another thread can see the middle of.
 * A step is what one lock makes atomic. Beside each stands the function that it is the image of.
 *
 * What is left out, and why: bytes, registers and slots (their own tests), pins and traps (armed
 * and gone with the seals), "unsealed for too long" (it asks for one look at the state, and tells),
 * a full queue to the monitor (as a monitor that is away).
 *
 * What is assumed of a VMM: it loads a vCPU while that vCPU's thread is its own, and a running
 * state only while all are. A monitor may say anything about what it has heard of, as late as it
 * likes; so may a guest do anything with its registers.
 */
#ifndef RF_TESTS_LIFE_MODEL_H
#define RF_TESTS_LIFE_MODEL_H

#include <stdbool.h>

#include "hv/life_table.h"

#define MAX_CPUS 3

/* Where a vCPU's thread is. */
enum at {
	AT_VMM,
	AT_LOOP, /* run.c rf_vcpu_run(), at the top of its loop or waiting for a verdict */
	AT_GATE, /* behind rf_gate_enter(), before the second look */
	AT_GUEST,
	AT_ASK,	      /* event.c rf_event_post() comes next */
	AT_ANNOUNCED, /* in it, behind rf_life_announced() */
	AT_TAKEN,     /* behind rf_event_take(); enforce.c rf_enforce() comes next */
	AT_TELL,      /* planted: the release is told later */
};

/*
 * ASK_OTHER: stores, registers, tables: the life takes no notice of the answer. What an MSR that is
 * let changes, W_REGISTERS changes as well.
 */
enum ask { ASK_NONE, ASK_KERNEL, ASK_OTHER, ASK_KEXEC };

/* hv/vcpu.h enum rf_phase, which cannot be had without KVM's headers. */
enum phase { P_OUT, P_IN, P_ASKING, P_ANSWERED };

/* Two kernels, by their entries; 0 none. */
enum { A = 1, B = 2 };

/* What KVM holds: rf_arch_state()'s class, and the entry where that matters. */
enum held { H_RESET, H_K0, H_KA, H_KB, H_NESTED, H_COUNT };

struct cpu {
	uint32_t at : 4;
	uint32_t phase : 2;
	uint32_t ask : 3;   /* the question, or the exit that becomes one */
	uint32_t entry : 2; /* KERNEL */
	uint32_t id : 3;
	uint32_t sent : 1;  /* wait.sent */
	uint32_t allow : 1; /* the verdict */
	uint32_t loaded : 1;
	uint32_t held : 3;
};

/* What a monitor says: a verdict on an open question, or a command for the kernel it believes
 * in. */
enum msg { MSG_ALLOW, MSG_DENY, MSG_WATCH, MSG_SEAL, MSG_KEPT, MSGS };

/* Packed, and nothing but what is compared: no padding. */
struct vm {
	struct cpu cpu[MAX_CPUS];
	/* life.c */
	uint32_t state : 3;
	uint32_t entry : 2;
	uint32_t in_force : 3, announced : 3;
	uint32_t announced_entry : 2;
	uint32_t announcer : 2; /* 0: nobody; else the vCPU's number plus one */
	uint32_t loaded : 1, awaiting : 1;
	uint32_t run_since : 1; /* RF_COUNT_RUN has moved since the seal */
	/* Seals, by the kernel whose entry named them; what is kept; the watch. */
	uint32_t seals : 2, kept : 2, armed : 1;
	uint32_t bad_text : 1; /* the VMM's memory below is not what the seals go with */
	/* The monitor: there or not, the announcement that its commands are for. */
	uint32_t connected : 1, mon_id : 3;
	uint32_t : 4;
	/* What the test knows, and the fence does not. */
	uint32_t dead : 1;    /* rf_fatal(): the VM is ended */
	uint32_t must : 1;    /* it was SEALED, and no release has been told since */
	uint32_t untold : 1;  /* released, and not told */
	uint32_t loads : 1;   /* the VMM has loaded something since it was looked at */
	uint32_t loading : 1; /* the VMM has replaced memory, and not the vCPUs yet */
	uint32_t stale : 8;   /* ids of what is over */
	uint32_t force : 3;   /* the kernel last let, since a release */
	uint32_t stale_seal : 1, stale_kept : 1, stale_watch : 1;
	uint32_t again : 1; /* life.again */
	uint32_t waits : 1; /* what was loaded has not been announced and let yet */
	uint32_t : 11;
};
_Static_assert(sizeof(struct vm) == (MAX_CPUS + 2) * 4, "no room is lost");

/* Faults to plant: what the code must not do, or did once. */
enum fault {
	F_NONE,
	F_ENTERS_ASKING,      /* settle_or_ask() posts, and the vCPU runs on */
	F_BELIEVES_LSTAR_0,   /* a put of an entry 0 counts as a reset */
	F_ANNOUNCED_IN_FORCE, /* rf_life_announced() sets what is in force */
	F_AWAITING_STAYS,     /* release() does not lower `awaiting` */
	F_ANNOUNCER_STAYS,    /* a load of the announcer alone leaves it the announcer */
	F_ANNOUNCED_STAYS,    /* a dropped announcement can be named by commands */
	F_TOLD_LATE,	      /* a release is told when the gate is open again */
	F_OVER_IS_KNOWN,      /* a verdict from before a release makes its kernel known */
	F_OVER_HANDS_OVER,    /* nor may a kexec that was let before one go on */
	F_UNRUN_SEAL_COUNTS,  /* a seal that nobody has run under tells who was loaded */
	F_KEPT_FOR_ANY,	      /* what is kept is given to another kernel */
	F_NO_SECOND_LOOK,     /* no look behind the gate */
	F_GATE_OPEN,	      /* a load is looked at with vCPUs in the guest */
	F_NOT_ASKED_AGAIN,    /* a new monitor does not get the open questions */
	F_ANY_VERDICT,	      /* a verdict is for whoever asks */
	F_ANSWER_LEFT,	      /* an answer that came while the VMM had the thread is not taken */
	F_DENIED_RUNS,	      /* a denied arrival lowers `awaiting` and does not halt */
	F_RULES_NOT_ASKED,    /* a kexec that the policy forbids */
	F_HALTED_RUNS,	      /* rf_life_may() does not look at HALTED */
	F_STALE_COMMANDS,     /* commands are not asked for which kernel they are */
	FAULTS
};

struct model {
	unsigned cpus;
	bool traps;  /* there is one for kexec */
	bool kexec;  /* the policy lets it: struct rf_rules */
	bool vmm;    /* the VMM loads: else all that happens is the guest's and the monitor's */
	bool tricks; /* the guest makes of its registers what it likes */
	bool mortal; /* the monitor dies and another comes */
	bool lean;   /* less of each */
	enum fault fault;
	struct rf_life_step (*step)(enum rf_vm_state state, enum rf_life_event event);
};

/* One thing that can happen: WHAT to vCPU `cpu`, with `arg`. */
enum what {
	/* the VMM's */
	W_RUN,
	W_BACK,
	W_MEMORY,
	W_LOAD,
	W_RESET_BOOT,
	W_PLUG,
	W_PUT,
	/* the guest's */
	W_LEAVE,
	W_REGISTERS,
	W_WRITE_ENTRY,
	W_STORE,
	W_KEXEC,
	/* the vCPU's thread, in the fence */
	W_SETTLE,
	W_MAY,
	W_ENTER,
	W_LOOK,
	W_POST,
	W_TAKE,
	W_ENFORCE,
	W_ASK_AGAIN,
	W_TELL,
	/* the monitor's, and the channel's thread */
	W_DIE,
	W_CONNECT,
	W_HEAR,
	W_SAY,
	WHATS
};

struct deed {
	uint8_t what, cpu, arg, id;
};

/* How the VMM loads all of a guest: W_LOAD's arg. */
enum load {
	LOAD_RESET,
	LOAD_A, /* each vCPU in kernel A */
	LOAD_B,
	LOAD_A_NESTED, /* the first in a guest of its own, the others in kernel A */
	LOAD_B_NESTED,
	LOAD_NOBODY, /* the first in a kernel, with no entry; the others in guests of their own */
	LOADS
};

static inline uint32_t entry_held(const struct cpu *c)
{
	return c->held == H_KA ? A : c->held == H_KB ? B : 0;
}

static inline bool is_stale(const struct vm *vm, uint32_t id)
{
	return vm->stale >> id & 1;
}

extern const char *const model_deeds[WHATS];
struct vm model_start(void);
/* False: it cannot happen now. *wrong: what the step itself did that it must not, else NULL. */
bool model_do(const struct model *m, struct vm *vm, struct deed d, const char **wrong);
/* All deeds to be tried: how many. */
unsigned model_deeds_of(const struct model *m, struct deed *out, unsigned max);
/* What means the same is made the same: ids are named in the order they are met, as the kernels
 * are; of the second and third vCPU either may come first. True: these two have changed places. */
bool model_canonical(const struct model *m, struct vm *vm);
/* What is wrong with the state, or NULL. */
const char *model_wrong(const struct model *m, const struct vm *vm);

#endif
