// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/arm64/exit.h"

#include <linux/kvm.h>
#include <string.h>

struct rf_arm64_exit rf_arm64_exit_copy(const struct kvm_run *run, uint64_t pc)
{
	struct rf_arm64_exit e = { .reason = RF_ARM64_OTHER };

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		e.reason = RF_ARM64_MMIO;
		e.mmio.gpa = run->mmio.phys_addr;
		e.mmio.len = run->mmio.len;
		e.mmio.is_write = run->mmio.is_write;
		memcpy(e.mmio.data, run->mmio.data, sizeof(e.mmio.data));
		break;
	case KVM_EXIT_ARM_NISV:
		e.reason = RF_ARM64_NISV;
		e.nisv.gpa = run->arm_nisv.fault_ipa;
		e.nisv.iss = run->arm_nisv.esr_iss;
		break;
	case KVM_EXIT_DEBUG:
		e.reason = RF_ARM64_DEBUG;
		e.debug.esr = run->debug.arch.hsr;
		e.debug.pc = pc;
		break;
	}
	return e;
}
