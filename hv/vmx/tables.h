/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptor-table registers: loaded, and compared with those last judged. */
#ifndef RF_HV_VMX_TABLES_H
#define RF_HV_VMX_TABLES_H

#include "hv/vmx/cpu.h"

/* By enum rf_trap_kind: a table register gets *t, a control register `value`. 0, or -errno: KVM
 * takes only what the CPU would (x86.c kvm_is_valid_sregs()). */
int rf_tables_load(struct rf_vcpu *v, uint32_t kind, const struct rf_table *t, uint64_t value);

/* From now on compared so often, 0: not; nothing is known of any vCPU. Every vCPU outside. */
void rf_tables_every(uint64_t ns);
/* Is it time to compare registers? Not of a vCPU that comes up. */
bool rf_tables_due(struct rf_vcpu *v);
/* Are the table registers others than those last judged? Then *out is what is there. */
bool rf_tables_look(struct rf_vcpu *v, struct rf_vcpu_tables *out);
/* Has the vCPU not moved since the last look? Said once for a place, as long as it stands there. */
bool rf_tables_stalled(struct rf_vcpu *v);
/* It was moved away: nothing is known of where it stands. */
void rf_tables_moved(struct rf_vcpu *v);
int rf_tables_enforce(struct rf_vcpu *v, bool allowed);
/* Gets vCPUs out that have run, at a time that nobody can know, once in the time above. */
void rf_tables_tick(void);
unsigned rf_tables_tick_ms(void); /* until the next time */

#endif
