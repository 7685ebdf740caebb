/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Traps in sealed text. */
#ifndef RF_HV_VMX_TRAP_H
#define RF_HV_VMX_TRAP_H

#include "hv/vmx/cpu.h"

/* Of the instruction the vCPU stands on. */
void rf_cpu_where(struct rf_vcpu *v, uint64_t *rip, uint32_t *cpl);
/* Linear addresses of the traps; the array is the caller's to read inside the gate. */
const uint64_t *rf_traps_at(uint32_t *count);
/* Takes the lock. */
struct rf_poke rf_traps_poke(void);
/* The instructions are back in what is still sealed. Lock held, gate closed. */
void rf_traps_forget(void);
/*
 * An exit that was decoded as a trap: which one, and the address of the instruction that stood
 * there. False: not ours after all (a reset took the trap away, or a guest's guest has an OUT at
 * the same address).
 */
bool rf_trap_find(struct rf_vcpu *v, uint64_t *rip, struct rf_trap_site *out);
/* The exit is ended, the vCPU stands on the instruction, which is at rip. */
void rf_trap_take(struct rf_vcpu *v, uint64_t rip);
/*
 * A move to a control register that keeps what is pinned: done, true. Else *value is what it would
 * have got.
 */
bool rf_trap_settle(struct rf_vcpu *v, const struct rf_trap_site *site, uint64_t *value);
/* The register gets what the verdict says and the vCPU goes on behind the instruction, or takes the
 * verdict's fault on it. */
int rf_trap_enforce(struct rf_vcpu *v, bool allowed);

#endif
