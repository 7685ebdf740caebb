// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/vmx/probe.c: what `ringfence doctor` asks of a host, over a made-up KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hv/vmx/probe.h"

static struct {
	int version, vm, absent; /* results; the capability that there is not */
	unsigned asked;
} kvm;

/* Each capability has its own number as value. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	kvm.asked++;
	switch (request) {
	case KVM_GET_API_VERSION:
		return kvm.version;
	case KVM_CHECK_EXTENSION:
		return arg == kvm.absent ? -1 : (int)arg;
	case KVM_CREATE_VM:
		errno = EBUSY;
		return kvm.vm;
	}
	fail();
	return -1;
}

static struct rf_probe probe(const char *path)
{
	struct rf_probe p;

	kvm.asked = 0;
	rf_probe_kvm(path, &p);
	assert_string_equal(p.path, path);
	return p;
}

static void each_by_its_number_and_name(void **state)
{
	static const struct {
		int cap;
		const char *name;
	} caps[RF_PROBE_CAPS] = {
		[RF_PROBE_READONLY_MEM] = { 81, "KVM_CAP_READONLY_MEM" },
		[RF_PROBE_USER_SPACE_MSR] = { 188, "KVM_CAP_X86_USER_SPACE_MSR" },
		[RF_PROBE_MSR_FILTER] = { 189, "KVM_CAP_X86_MSR_FILTER" },
		[RF_PROBE_EMULATION_FAILURE] = { 204, "KVM_CAP_EXIT_ON_EMULATION_FAILURE" },
		[RF_PROBE_GUEST_DEBUG] = { 23, "KVM_CAP_SET_GUEST_DEBUG" },
		[RF_PROBE_GUEST_DEBUG2] = { 195, "KVM_CAP_SET_GUEST_DEBUG2" },
		[RF_PROBE_IMMEDIATE_EXIT] = { 136, "KVM_CAP_IMMEDIATE_EXIT" },
		[RF_PROBE_SYNC_MMU] = { 16, "KVM_CAP_SYNC_MMU" },
		[RF_PROBE_NR_MEMSLOTS] = { 10, "KVM_CAP_NR_MEMSLOTS" },
		[RF_PROBE_VCPU_EVENTS] = { 41, "KVM_CAP_VCPU_EVENTS" },
		[RF_PROBE_PRE_FAULT] = { 236, "KVM_CAP_PRE_FAULT_MEMORY" },
		[RF_PROBE_QUIRKS] = { 213, "KVM_CAP_DISABLE_QUIRKS2" },
		[RF_PROBE_DIRTY_RING] = { 192, "KVM_CAP_DIRTY_LOG_RING" },
	};
	struct rf_probe p;

	kvm.version = KVM_API_VERSION;
	kvm.vm = dup(0);
	kvm.absent = KVM_CAP_VCPU_EVENTS;
	p = probe("/dev/null");
	assert_int_equal(p.version, KVM_API_VERSION);
	assert_int_equal(p.open_error, 0);
	assert_int_equal(p.create_error, 0);
	assert_int_equal(close(kvm.vm), -1); /* dropped */
	for (int i = 0; i < RF_PROBE_CAPS; i++) {
		assert_int_equal(p.value[i], i == RF_PROBE_VCPU_EVENTS ? 0 : caps[i].cap);
		assert_string_equal(rf_probe_name((enum rf_probe_cap)i), caps[i].name);
	}
	assert_null(rf_probe_name(RF_PROBE_CAPS));
}

static void what_went_wrong(void **state)
{
	struct rf_probe p = probe("/nowhere/kvm");

	assert_int_equal(p.open_error, -ENOENT);
	assert_int_equal(kvm.asked, 0);
	kvm.version = -1; /* no KVM: asked nothing else */
	p = probe("/dev/null");
	assert_int_equal(p.version, -1);
	assert_int_equal(kvm.asked, 1);
	kvm.version = KVM_API_VERSION;
	kvm.vm = -1; /* another hypervisor has the CPU */
	p = probe("/dev/null");
	assert_int_equal(p.create_error, -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_by_its_number_and_name),
		cmocka_unit_test(what_went_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
