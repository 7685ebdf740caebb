// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hold PROGRAM [ARGUMENTS]: create a VM with an interrupt controller and one vCPU that never runs, then become PROGRAM.
 *
 * KVM switches code paths of the host kernel with the first VM (preempt notifiers) and with the first vCPU whose APIC is
 * disabled. QEMU's emulator before 8.1 may keep a stale translation of code that one processor patches while another
 * has it translated: the emulated host then dies of an int3 nobody owns, once in a few dozen guests. With this VM held
 * open the host's code is patched once, before any guest runs. (A newer emulator is taken where there is one.)
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	/* KVM opens them close-on-exec; the VM is to live as long as PROGRAM and what it starts. */
	if (vm < 0 || fcntl(vm, F_SETFD, 0) || ioctl(vm, KVM_CREATE_IRQCHIP, 0) || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		perror("hold: /dev/kvm");
	if (argc < 2)
		return 2;
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
