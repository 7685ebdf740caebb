/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own way of changing text, taken whole. */
#ifndef RF_HV_VMX_POKE_H
#define RF_HV_VMX_POKE_H

#include "hv/vmx/cpu.h"

/*
 * RF_TRAP_POKE at rip was run into: a change of sealed text that the table allows is made. Of any
 * other the monitor is to be asked, before the function has done anything: false, with `write` of
 * v->wait.event. The rest, and all of it where the policy observes, goes on as if there were no
 * trap.
 */
bool rf_poke(struct rf_vcpu *v, uint64_t rip, const struct rf_trap_site *site);
/* Behind each KVM_RUN: takes the registers that it left, and kvm_run is the VMM's again. */
void rf_poke_ran(struct rf_vcpu *v);
/* What rf_poke() left for the next KVM_RUN is loaded, as something else comes first. */
void rf_poke_settle(struct rf_vcpu *v);

#endif
