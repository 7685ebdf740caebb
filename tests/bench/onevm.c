// SPDX-License-Identifier: LGPL-2.1-or-later
/* A VMM that has one VM of one vCPU and waits to be ended: what many VMs cost the host's control-register watch. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		perror("onevm");
		return 1;
	}
	for (;;)
		pause();
}
