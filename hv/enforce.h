/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A question's verdict, carried out. By the vCPU's own thread. */
#ifndef RF_HV_ENFORCE_H
#define RF_HV_ENFORCE_H

#include "hv/arch.h"

/* v->wait.verdict is there. RF_WAIT: it is asked again. RF_TO_VMM: an exit stands in kvm_run that
 * the VMM must see. RF_RESET: the kernel hands over to another one. */
enum rf_next rf_enforce(struct rf_vcpu *v);

#endif
