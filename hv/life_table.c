// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/life_table.h"

#define STEP(state, action)                                                                        \
	{                                                                                          \
		RF_VM_##state, RF_LIFE_##action                                                    \
	}

/*
 * Only the three rows whose causes are the VMM's or the policy's release a seal: RESET, ARRIVED,
 * KEXEC. What is not allowed in a state stays in it.
 */
static const struct rf_life_step table[RF_VM_STATES][RF_LIFE_EVENTS] = {
	[RF_VM_BOOTING] = {
		[RF_LIFE_KNOWN] = STEP(FOUND, NONE),
		[RF_LIFE_WATCH] = STEP(WATCHED, ARM),
		[RF_LIFE_SEAL] = STEP(SEALED, ARM),
		[RF_LIFE_RESET] = STEP(BOOTING, RELEASE),
		[RF_LIFE_ARRIVED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_RELOADED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_MISFIT] = STEP(HALTED, HALT),
		[RF_LIFE_KEXEC] = STEP(BOOTING, REFUSE),
	},
	[RF_VM_FOUND] = {
		[RF_LIFE_KNOWN] = STEP(FOUND, NONE),
		[RF_LIFE_WATCH] = STEP(WATCHED, ARM),
		[RF_LIFE_SEAL] = STEP(SEALED, ARM),
		[RF_LIFE_RESET] = STEP(BOOTING, RELEASE),
		[RF_LIFE_ARRIVED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_RELOADED] = STEP(BOOTING, AWAIT), /* it may run user code: sealed first */
		[RF_LIFE_MISFIT] = STEP(HALTED, HALT),
		[RF_LIFE_KEXEC] = STEP(FOUND, REFUSE),
	},
	[RF_VM_WATCHED] = {
		[RF_LIFE_KNOWN] = STEP(WATCHED, NONE),
		[RF_LIFE_WATCH] = STEP(WATCHED, ARM),
		[RF_LIFE_SEAL] = STEP(SEALED, ARM),
		[RF_LIFE_RESET] = STEP(BOOTING, RELEASE),
		[RF_LIFE_ARRIVED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_RELOADED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_MISFIT] = STEP(HALTED, HALT),
		[RF_LIFE_KEXEC] = STEP(WATCHED, REFUSE),
	},
	[RF_VM_SEALED] = {
		[RF_LIFE_KNOWN] = STEP(SEALED, NONE), /* sealed as it arrived, and then let run */
		[RF_LIFE_WATCH] = STEP(SEALED, REFUSE),
		[RF_LIFE_SEAL] = STEP(SEALED, REFUSE),
		[RF_LIFE_RESET] = STEP(BOOTING, RELEASE),
		[RF_LIFE_ARRIVED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_RELOADED] = STEP(SEALED, COMPARE),
		[RF_LIFE_MISFIT] = STEP(HALTED, HALT),
		[RF_LIFE_KEXEC] = STEP(BOOTING, RELEASE),
	},
	/* Seals stay as they are; the VMM may load something else. */
	[RF_VM_HALTED] = {
		[RF_LIFE_KNOWN] = STEP(HALTED, REFUSE),
		[RF_LIFE_WATCH] = STEP(HALTED, REFUSE),
		[RF_LIFE_SEAL] = STEP(HALTED, REFUSE),
		[RF_LIFE_RESET] = STEP(BOOTING, RELEASE),
		[RF_LIFE_ARRIVED] = STEP(BOOTING, AWAIT),
		[RF_LIFE_RELOADED] = STEP(SEALED, COMPARE),
		[RF_LIFE_MISFIT] = STEP(HALTED, HALT),
		[RF_LIFE_KEXEC] = STEP(HALTED, REFUSE),
	},
};

struct rf_life_step rf_life_step(enum rf_vm_state state, enum rf_life_event event)
{
	if ((unsigned)state >= RF_VM_STATES || (unsigned)event >= RF_LIFE_EVENTS)
		return (struct rf_life_step){ (uint8_t)state, RF_LIFE_REFUSE };
	return table[state][event];
}
