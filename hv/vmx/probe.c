// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "hv/vmx/probe.h"

/* Newer than the headers of some distributions we build on; the numbers are ABI. */
#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif
#ifndef KVM_CAP_EXIT_ON_EMULATION_FAILURE
#define KVM_CAP_EXIT_ON_EMULATION_FAILURE 204
#endif
#ifndef KVM_CAP_DISABLE_QUIRKS2
#define KVM_CAP_DISABLE_QUIRKS2 213
#endif

#ifdef KVM_GUESTDBG_BLOCKIRQ
_Static_assert(RF_PROBE_DEBUG_BLOCKIRQ == KVM_GUESTDBG_BLOCKIRQ, "guest debug flag");
#endif

static const struct {
	const char *name;
	int number;
} caps[RF_PROBE_CAPS] = {
#define CAP(id, cap) [id] = { #cap, cap }
	CAP(RF_PROBE_READONLY_MEM, KVM_CAP_READONLY_MEM),
	CAP(RF_PROBE_USER_SPACE_MSR, KVM_CAP_X86_USER_SPACE_MSR),
	CAP(RF_PROBE_MSR_FILTER, KVM_CAP_X86_MSR_FILTER),
	CAP(RF_PROBE_EMULATION_FAILURE, KVM_CAP_EXIT_ON_EMULATION_FAILURE),
	CAP(RF_PROBE_GUEST_DEBUG, KVM_CAP_SET_GUEST_DEBUG),
	CAP(RF_PROBE_GUEST_DEBUG2, KVM_CAP_SET_GUEST_DEBUG2),
	CAP(RF_PROBE_IMMEDIATE_EXIT, KVM_CAP_IMMEDIATE_EXIT),
	CAP(RF_PROBE_SYNC_MMU, KVM_CAP_SYNC_MMU),
	CAP(RF_PROBE_NR_MEMSLOTS, KVM_CAP_NR_MEMSLOTS),
	CAP(RF_PROBE_VCPU_EVENTS, KVM_CAP_VCPU_EVENTS),
	CAP(RF_PROBE_PRE_FAULT, KVM_CAP_PRE_FAULT_MEMORY),
	CAP(RF_PROBE_QUIRKS, KVM_CAP_DISABLE_QUIRKS2),
	CAP(RF_PROBE_DIRTY_RING, KVM_CAP_DIRTY_LOG_RING),
#undef CAP
};

const char *rf_probe_name(enum rf_probe_cap cap)
{
	return (unsigned int)cap < RF_PROBE_CAPS ? caps[cap].name : NULL;
}

void rf_probe_kvm(const char *path, struct rf_probe *out)
{
	int fd, vm;

	*out = (struct rf_probe){ .path = path };
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		out->open_error = -errno;
		return;
	}
	out->version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (out->version < 0) {
		close(fd);
		return;
	}
	for (int i = 0; i < RF_PROBE_CAPS; i++) {
		int value = ioctl(fd, KVM_CHECK_EXTENSION, caps[i].number);

		out->value[i] = value > 0 ? value : 0;
	}
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		out->create_error = -errno;
	else
		close(vm);
	close(fd);
}
