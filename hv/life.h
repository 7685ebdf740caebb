/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM's life: the one owner of what state it is in, which kernel is believed, what is sealed and
 * why it is released. hv/life_table.c is its table; docs/architecture.md shows it;
 * tests/unit/test_life_model.c goes through all that can happen to it.
 *
 * A release has one caller, here, and a cause that only the VMM or the policy can give:
 *  - the VMM put every vCPU into the whole reset state, with none in the guest (a reset);
 *  - the VMM loaded a running state of another kernel (a snapshot, a restore);
 *  - the monitor let a kexec, and the fence's own copy of the policy lets it too.
 * No value that the guest owns does: what a vCPU holds is compared with what the VMM loaded.
 */
#ifndef RF_HV_LIFE_H
#define RF_HV_LIFE_H

#include "hv/life_table.h"
#include "hv/proto.h"
#include "hv/vcpu.h"

enum rf_vm_state rf_life_state(void);

/* What the policy lets the fence do; said once, by the first monitor's WELCOME. */
void rf_life_rules(const struct rf_rules *rules);
const struct rf_rules *rf_life_allowed(void);

/* --- the kernel ------------------------------------------------------------------ */

/* v is about to load this entry. What it would mean: */
enum rf_life_entry {
	RF_ENTRY_KNOWN,	 /* the kernel in force has it: nothing to ask */
	RF_ENTRY_NEW,	 /* a kernel comes up: to be announced */
	RF_ENTRY_PINNED, /* another one than the sealed kernel's: to be judged like a pinned
			    register */
};
/* *known: the entry of the kernel in force, 0 none. */
enum rf_life_entry rf_life_entry(uint64_t entry, uint64_t *known);
uint64_t rf_life_known_entry(void);
/* The event that announces it has this id: commands may name it from now on. */
void rf_life_announced(struct rf_vcpu *v, uint64_t event, uint64_t entry);
/* The monitor's answer to it. */
void rf_life_known(const struct rf_msg_event *ev);
/* True: nothing that was loaded runs, as this was denied. */
bool rf_life_denied(const struct rf_msg_event *ev);

/* --- the monitor's commands: 0 or -errno, -ESTALE: for another kernel ---------------- */

/* Carries it out. *ns: how long the vCPUs were held, where it says so. -EBADMSG: it is none. */
int rf_life_command(const union rf_command *m, uint64_t *ns);

/* --- unsealed for too long --------------------------------------------------------- */

/* By the channel's thread: gets vCPUs out when a kernel may have run unsealed for too long. */
void rf_life_tick(void);
/* By a vCPU's thread that is to look, v->overdue: is it one of such a kernel, and the first to say
 * so? */
bool rf_life_overdue(struct rf_vcpu *v);

/* --- the VMM's loads --------------------------------------------------------------- */

/* Something was loaded into a vCPU that only a VMM loads: to be looked at before any runs. */
void rf_life_loaded(struct rf_vcpu *v);
/* Cheap: is there something to look at, or to wait for? */
bool rf_life_unsettled(void);
/*
 * Does the VMM's own memory hold a load that has not been judged yet, or one that does not fit?
 * What differs there from sealed memory is then no device's doing, and not to be healed away.
 */
bool rf_life_holds_load(void);
struct rf_life_outcome {
	enum rf_life_event event; /* RF_LIFE_EVENTS: nothing happened */
	bool released;		  /* ARRIVED: something had been known, and is not any more */
	uint32_t halted;	  /* enum rf_life_cause: no vCPU runs; 0: they may */
	uint32_t adopted;	  /* RELOADED: bytes of text that came with what was loaded */
};
/*
 * By a vCPU's thread, outside: looks at what was loaded and takes the step, with every vCPU out.
 * The questions of the vCPUs that were loaded, and of all when seals went, are moot: drop() is
 * called for each. tell() is called with what has happened, before any vCPU can announce what comes
 * next: else the monitor would hear of it first, and forget it again.
 */
void rf_life_settle(void (*drop)(struct rf_vcpu *v),
		    void (*tell)(const struct rf_life_outcome *out), struct rf_life_outcome *out);
/* A kexec that was let: as rf_life_settle(), for all but `first`. False: the rules forbid it. */
bool rf_life_kexec(struct rf_vcpu *first, void (*drop)(struct rf_vcpu *v), void (*tell)(void));

/* May v run? RF_MAY_ANNOUNCE: v is to announce the kernel that the VMM loaded, *entry. */
enum rf_life_may { RF_MAY_RUN, RF_MAY_NOT_YET, RF_MAY_ANNOUNCE, RF_MAY_NEVER };
enum rf_life_may rf_life_may(struct rf_vcpu *v, uint64_t *entry);

#endif
