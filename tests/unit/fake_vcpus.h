/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM, its vCPUs and the gate, as far as the fence's memory and text ask for them: for tests of
 * hv/guestmem.c and hv/text.c that have no KVM. The test says what rf_fatal() is.
 */
#ifndef RF_TESTS_FAKE_VCPUS_H
#define RF_TESTS_FAKE_VCPUS_H

#include "hv/vcpu.h"

extern struct fake_vcpus {
	unsigned count;
	bool gate_closed;
	unsigned closings;
} fake_vcpus;

#endif
