// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_vcpus.h"

struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
struct rf_vcpu rf_vcpus[RF_MAX_VCPUS];
struct fake_vcpus fake_vcpus;

unsigned rf_vcpu_count(void)
{
	return fake_vcpus.count;
}

void rf_gate_close(void)
{
	if (fake_vcpus.gate_closed)
		rf_fatal("the gate was closed twice");
	fake_vcpus.gate_closed = true;
	fake_vcpus.closings++;
}

void rf_gate_open(void)
{
	if (!fake_vcpus.gate_closed)
		rf_fatal("the gate was opened twice");
	fake_vcpus.gate_closed = false;
}
