/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_HV_ARM64_EXIT_H
#define RF_HV_ARM64_EXIT_H

#include "hv/arm64/decode.h"

struct kvm_run;

/* What KVM_RUN came back with, taken out of kvm_run once. pc: the vCPU's. */
struct rf_arm64_exit rf_arm64_exit_copy(const struct kvm_run *run, uint64_t pc);

#endif
