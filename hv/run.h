/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_HV_RUN_H
#define RF_HV_RUN_H

#include "hv/vcpu.h"

/* The VMM's KVM_RUN, until an exit is the VMM's. Result as the ioctl's; -EPERM: what the VMM loaded
 * cannot be run protected. */
int rf_vcpu_run(struct rf_vcpu *v);

#endif
