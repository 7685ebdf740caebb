/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fence knows of KVM's interface. All else is refused once a VM is protected, as a kernel
 * without it would: an interface that nobody has looked at could map, copy or run the guest past
 * the fence (VM planes, memory attributes, live update were such once).
 *
 * To admit one: read what it does to guest memory, registers and slots in virt/kvm/ and arch/, and
 * put it into a row whose reason is why it may pass, or merge it in fence.c.
 */
#ifndef RF_HV_KNOWN_H
#define RF_HV_KNOWN_H

#include <stddef.h>
#include <stdint.h>

enum rf_known_fd { RF_ON_VM = 1, RF_ON_VCPU = 2, RF_ON_OTHER = 4 }; /* /dev/kvm, a device's */

enum rf_known_how {
	RF_KNOWN_PASS = 1, /* to KVM, as it is */
	RF_KNOWN_OURS,	   /* the fence looks at it, merges it, or answers */
	RF_KNOWN_REFUSE,   /* known, and refused */
};

struct rf_known {
	uint8_t on; /* enum rf_known_fd, ORed; of a capability: where it may be enabled */
	uint8_t how;
	const char *why;
	unsigned long what[24]; /* ioctls, or capabilities' numbers, up to the first 0 */
};

/* The architecture's own table (hv/arch.h is bound at link time). */
extern const struct rf_known rf_known_ioctls[], rf_known_caps[];
extern const size_t rf_known_ioctls_count, rf_known_caps_count;

/* NULL: unknown there. */
const struct rf_known *rf_known_ioctl(unsigned long request, enum rf_known_fd on);
const struct rf_known *rf_known_cap(uint32_t cap);

/* Capabilities up to this one are known (Linux 6.18's last); newer ones are reported absent. */
#define RF_KNOWN_CAP_LAST 244

#endif
