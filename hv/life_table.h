/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a VM as a table: state and event in, state and action out. Pure. */
#ifndef RF_HV_LIFE_TABLE_H
#define RF_HV_LIFE_TABLE_H

#include "hv/proto.h"

enum rf_life_event {
	RF_LIFE_KNOWN,	  /* the monitor let the kernel go on that a vCPU announced */
	RF_LIFE_WATCH,	  /* the monitor wants the seal's moment watched */
	RF_LIFE_SEAL,	  /* the monitor wants it sealed */
	RF_LIFE_RESET,	  /* the VMM put every vCPU into the reset state */
	RF_LIFE_ARRIVED,  /* the VMM loaded the running state of a kernel that is not sealed here */
	RF_LIFE_RELOADED, /* the VMM loaded a running state of the kernel in force */
	RF_LIFE_MISFIT,	  /* what was loaded cannot be run protected */
	RF_LIFE_KEXEC,	  /* the kernel hands over to another one, and may */
	RF_LIFE_EVENTS,
};

enum rf_life_action {
	RF_LIFE_NONE,
	RF_LIFE_REFUSE,	 /* the command, or the step: nothing changes */
	RF_LIFE_ARM,	 /* what the command says */
	RF_LIFE_RELEASE, /* all seals, pins and traps go, on record; what was sealed is kept */
	RF_LIFE_AWAIT,	 /* the same; then no vCPU runs before one has announced what arrived */
	RF_LIFE_COMPARE, /* the sealed text with what the VMM loaded: adopted, or MISFIT */
	RF_LIFE_HALT,	 /* no vCPU runs until the VMM loads something else */
};

struct rf_life_step {
	uint8_t next;	/* enum rf_vm_state */
	uint8_t action; /* enum rf_life_action */
};

#define RF_VM_STATES (RF_VM_HALTED + 1)

/* Out of range: {state, REFUSE}. */
struct rf_life_step rf_life_step(enum rf_vm_state state, enum rf_life_event event);

#endif
