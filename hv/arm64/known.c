// SPDX-License-Identifier: LGPL-2.1-or-later
/* KVM's interface on arm64: what a VMM asks before it makes its VM. No VM is protected yet, so none
 * of the others was looked at. */
#include "hv/known.h"

#include <linux/kvm.h>

const struct rf_known rf_known_ioctls[] = {
	{ RF_ON_OTHER,
	  RF_KNOWN_PASS,
	  "only tells",
	  { KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE } },
	{ RF_ON_OTHER | RF_ON_VM, RF_KNOWN_OURS, "less what is refused", { KVM_CHECK_EXTENSION } },
	{ RF_ON_OTHER, RF_KNOWN_OURS, "refused", { KVM_CREATE_VM } },
};
const size_t rf_known_ioctls_count = sizeof(rf_known_ioctls) / sizeof(rf_known_ioctls[0]);

const struct rf_known rf_known_caps[] = {
	{ RF_ON_VM, RF_KNOWN_OURS, "less those that the fence keeps", { KVM_CAP_NR_MEMSLOTS } },
};
const size_t rf_known_caps_count = sizeof(rf_known_caps) / sizeof(rf_known_caps[0]);
