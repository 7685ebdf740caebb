// SPDX-License-Identifier: LGPL-2.1-or-later
/* KVM's interface: what the fence does not know, or refuses, does not reach KVM once a VM is
 * protected. */
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "hv/fence.h"
#include "hv/known.h"
#include "tests/kvm/scenario.h"

/* No pointer: KVM ends in EFAULT for those of its ioctls that take one, and does nothing. */
#define NO_POINTER ((void *)(uintptr_t)8)

static int fd_on(unsigned on)
{
	return on & RF_ON_VM ? vm.vm : on & RF_ON_VCPU ? vm.cpus[0].fd : vm.kvm;
}

static int result(int fd, unsigned long request, void *arg)
{
	return rf_fence_ioctl(fd, request, arg) < 0 ? errno : 0;
}

/* What KVM itself says of it. */
static int kvm_says(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? errno : 0;
}

/* Each ioctl of a row on each kind of file that it is for. */
static void each_known(enum rf_known_how how, void (*check)(int fd, unsigned long request))
{
	for (size_t i = 0; i < rf_known_ioctls_count; i++) {
		const struct rf_known *k = &rf_known_ioctls[i];

		CHECK(k->why && *k->why && k->what[0]);
		for (size_t n = 0; k->how == how && n < COUNT(k->what) && k->what[n]; n++)
			for (unsigned on = RF_ON_VM; on <= RF_ON_OTHER; on *= 2)
				if (k->on & on)
					check(fd_on(on), k->what[n]);
	}
}

static unsigned refused, of_kvm;

static void is_refused(int fd, unsigned long request)
{
	refused++;
	if (result(fd, request, NO_POINTER) != ENOTTY)
		FAIL("ioctl %#lx is let through", request);
	of_kvm += kvm_says(fd, request, NO_POINTER) != ENOTTY;
}

void refused_ioctls(void)
{
	sealed_machine(1);
	each_known(RF_KNOWN_REFUSE, is_refused);
	CHECK(refused >= 12);
	CHECK(of_kvm); /* else nothing was shown: KVM does not have them either */
	printf("  %u refused, %u of which this KVM has\n", refused, of_kvm);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	check_pattern(&vm.cpus[0], SEALED);
}

static void passes(int fd, unsigned long request)
{
	if ((result(fd, request, NO_POINTER) == ENOTTY) !=
	    (kvm_says(fd, request, NO_POINTER) == ENOTTY))
		FAIL("ioctl %#lx does not reach KVM", request);
}

/* And what passes is KVM's to answer. */
void passed_ioctls(void)
{
	sealed_machine(1);
	each_known(RF_KNOWN_PASS, passes);
}

/* Numbers that nobody has given out, known ones with another size, and those of one kind of file on
 * another kind. */
void unknown_ioctls(void)
{
	static const unsigned long unknown[] = {
		_IO(KVMIO, 0xff),
		_IOW(KVMIO, 0xfe, uint64_t),
		_IOWR(KVMIO, 0x46, uint64_t[9]),
		_IOW(KVMIO, 0x81, uint32_t),
		_IOR(KVMIO, 0x8a, uint64_t),
		_IO(KVMIO, 0x8b),
		_IOW(KVMIO, 0xab, uint64_t[2]), /* KVM_GET_ONE_REG: x86 has it from 6.18 on */
		_IOW(KVMIO, 0xac, uint64_t[2]),
	};
	struct kvm_userspace_memory_region r = { .slot = 9,
						 .guest_phys_addr = SPARE,
						 .memory_size = 0x1000,
						 .userspace_addr = (uintptr_t)vm.ram };
	struct kvm_clock_data clock;
	uint32_t version = 0;

	sealed_machine(1);
	for (size_t i = 0; i < COUNT(unknown); i++) {
		CHECK_EQ(result(vm.vm, unknown[i], &version), ENOTTY);
		CHECK_EQ(result(vm.cpus[0].fd, unknown[i], &version), ENOTTY);
		CHECK_EQ(result(vm.kvm, unknown[i], &version), ENOTTY);
	}
	CHECK_EQ(result(vm.cpus[0].fd, KVM_SET_USER_MEMORY_REGION, &r), ENOTTY);
	CHECK_EQ(result(vm.cpus[0].fd, KVM_X86_SET_MSR_FILTER, NO_POINTER), ENOTTY);
	CHECK_EQ(result(vm.cpus[0].fd, KVM_CREATE_VCPU, NULL), ENOTTY);
	CHECK_EQ(result(vm.vm, KVM_RUN, NULL), ENOTTY);
	CHECK_EQ(result(vm.kvm, KVM_RUN, NULL), ENOTTY);
	CHECK_EQ(result(vm.vm, KVM_SET_MSRS, NO_POINTER), ENOTTY);
	/* A number that came in an int, as QEMU keeps it: its sign is nobody's. */
	CHECK_EQ(result(vm.vm, (unsigned long)(long)(int)_IOW(KVMIO, 0xfe, uint64_t), &version),
		 ENOTTY);
	CHECK((int)KVM_GET_CLOCK < 0);
	CHECK_EQ(result(vm.vm, (unsigned long)(long)(int)KVM_GET_CLOCK, &clock), 0);
	check_pattern(&vm.cpus[0], SEALED);
}

static int extension(int fd, unsigned long cap)
{
	return rf_fence_ioctl(fd, KVM_CHECK_EXTENSION, (void *)cap);
}

static int enable(int fd, uint32_t cap)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { 1 } };

	return result(fd, KVM_ENABLE_CAP, &c);
}

void unknown_capabilities(void)
{
	unsigned caps_refused = 0;

	sealed_machine(1);
	for (uint32_t cap = RF_KNOWN_CAP_LAST + 1; cap < RF_KNOWN_CAP_LAST + 300; cap++) {
		CHECK_EQ(extension(vm.vm, cap), 0);
		CHECK_EQ(extension(vm.kvm, cap), 0);
		CHECK_EQ(enable(vm.vm, cap), EINVAL);
		CHECK_EQ(enable(vm.cpus[0].fd, cap), EINVAL);
	}
	CHECK_EQ(extension(vm.vm, UINT32_MAX), 0);
	/* Each that has no row, and each that is refused or belongs to the other kind of file. */
	for (uint32_t cap = 0; cap <= RF_KNOWN_CAP_LAST; cap++) {
		const struct rf_known *k = rf_known_cap(cap);
		int native = ioctl(vm.vm, KVM_CHECK_EXTENSION, cap);

		if (!k || k->how == RF_KNOWN_REFUSE) {
			CHECK_EQ(enable(vm.vm, cap), EINVAL);
			CHECK_EQ(enable(vm.cpus[0].fd, cap), EINVAL);
			CHECK_EQ(extension(vm.vm, cap), k ? 0 : native);
			caps_refused += k != NULL;
			continue;
		}
		if (!(k->on & RF_ON_VCPU))
			CHECK_EQ(enable(vm.cpus[0].fd, cap), EINVAL);
		if (!(k->on & RF_ON_VM))
			CHECK_EQ(enable(vm.vm, cap), EINVAL);
		if (cap != KVM_CAP_NR_MEMSLOTS)
			CHECK_EQ(extension(vm.vm, cap), native);
	}
	CHECK(caps_refused >= 8);
	CHECK_EQ(enable(vm.vm, KVM_CAP_NR_MEMSLOTS), EINVAL);
	check_pattern(&vm.cpus[0], SEALED);
}

void userfaultfd_refused(void)
{
	struct uffdio_register r = { .range = { (uintptr_t)vm.ram, 0x1000 },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = eventfd(0, EFD_CLOEXEC); /* whatever it is: it does not get there */

	CHECK(fd >= 0);
	machine_need_kvm();
	ask();
	/* Before there is a VM it is the VMM's own business. */
	CHECK(result(fd, UFFDIO_REGISTER, &r) != EPERM);
	sealed_machine(1);
	CHECK_EQ(result(fd, UFFDIO_REGISTER, &r), EPERM);
	CHECK_EQ(result(-1, UFFDIO_REGISTER, &r), EPERM);
	CHECK(result(fd, UFFDIO_WAKE, &r.range) != EPERM);
}

/* The table is not its own witness: these would reach memory past the fence, whatever it says, and
 * most hosts' KVM has not got some of them to show it. */
void refusals_stand(void)
{
	static const unsigned long on_vm[] = {
		KVM_CLEAR_DIRTY_LOG,
		KVM_RESET_DIRTY_RINGS,
		_IOWR(KVMIO, 0xd4, uint64_t[8]), /* KVM_CREATE_GUEST_MEMFD */
		_IOW(KVMIO, 0xd2, uint64_t[4]),	 /* KVM_SET_MEMORY_ATTRIBUTES */
		KVM_MEMORY_ENCRYPT_OP,
		KVM_MEMORY_ENCRYPT_REG_REGION,
		KVM_MEMORY_ENCRYPT_UNREG_REGION,
		KVM_XEN_HVM_CONFIG,
		KVM_XEN_HVM_SET_ATTR,
		KVM_XEN_HVM_EVTCHN_SEND,
		KVM_SET_MEMORY_REGION,
	};
	static const uint32_t caps[] = {
		KVM_CAP_DIRTY_LOG_RING,
		223, /* KVM_CAP_DIRTY_LOG_RING_ACQ_REL */
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		233, /* KVM_CAP_MEMORY_ATTRIBUTES */
		234, /* KVM_CAP_GUEST_MEMFD */
		KVM_CAP_VM_COPY_ENC_CONTEXT_FROM,
		KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM,
		KVM_CAP_XEN_HVM,
	};
	/* Of these the fence has to know. */
	static const unsigned long ours_on_vcpu[] = { KVM_RUN,
						      KVM_SET_MSRS,
						      KVM_SET_MP_STATE,
						      KVM_SET_SIGNAL_MASK,
						      KVM_SET_GUEST_DEBUG,
						      KVM_GET_REGS };

	for (size_t i = 0; i < COUNT(on_vm); i++) {
		const struct rf_known *k = rf_known_ioctl(on_vm[i], RF_ON_VM);

		if (k && k->how != RF_KNOWN_REFUSE)
			FAIL("ioctl %#lx is let through", on_vm[i]);
	}
	CHECK(rf_known_ioctl(KVM_XEN_VCPU_SET_ATTR, RF_ON_VCPU)->how == RF_KNOWN_REFUSE);
	for (size_t i = 0; i < COUNT(caps); i++)
		CHECK_EQ(rf_known_cap(caps[i])->how, RF_KNOWN_REFUSE);
	for (size_t i = 0; i < COUNT(ours_on_vcpu); i++)
		CHECK_EQ(rf_known_ioctl(ours_on_vcpu[i], RF_ON_VCPU)->how, RF_KNOWN_OURS);
}
