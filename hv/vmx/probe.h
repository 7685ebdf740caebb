/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host's KVM offers. Asked, never concluded from a version number. */
#ifndef RF_HV_VMX_PROBE_H
#define RF_HV_VMX_PROBE_H

enum rf_probe_cap {
	RF_PROBE_READONLY_MEM,
	RF_PROBE_USER_SPACE_MSR,
	RF_PROBE_MSR_FILTER,
	RF_PROBE_EMULATION_FAILURE,
	RF_PROBE_GUEST_DEBUG,
	RF_PROBE_GUEST_DEBUG2, /* mask of KVM_GUESTDBG_ flags */
	RF_PROBE_IMMEDIATE_EXIT,
	RF_PROBE_SYNC_MMU,
	RF_PROBE_NR_MEMSLOTS, /* a count */
	RF_PROBE_VCPU_EVENTS,
	RF_PROBE_PRE_FAULT,
	RF_PROBE_QUIRKS, /* mask of quirks that can be switched off */
	RF_PROBE_DIRTY_RING,
	RF_PROBE_CAPS,
};

/* Bits of the values above that the fence asks for. */
#define RF_PROBE_DEBUG_BLOCKIRQ (1 << 20) /* KVM_GUESTDBG_BLOCKIRQ */
#define RF_PROBE_QUIRK_SLOT_ZAP (1 << 7)  /* KVM_X86_QUIRK_SLOT_ZAP_ALL */

struct rf_probe {
	const char *path; /* as it was given */
	int open_error;	  /* 0 or -errno of opening the device; the rest is then unset */
	int version;	  /* KVM_GET_API_VERSION; negative: the device is not KVM */
	int create_error; /* 0 or -errno of creating a VM: -EBUSY when another hypervisor owns the
			     CPU */
	int value[RF_PROBE_CAPS]; /* of KVM_CHECK_EXTENSION; 0 absent */
};

/* "KVM_CAP_READONLY_MEM" ...; NULL out of range. */
const char *rf_probe_name(enum rf_probe_cap cap);

/* Opens path ("/dev/kvm"), asks, makes a VM and drops it. Never fails: what went wrong is in *out.
 */
void rf_probe_kvm(const char *path, struct rf_probe *out);

#endif
