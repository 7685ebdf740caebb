// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the lifecycle tests do inside of a guest that a shell cannot. Static, called by name.
 *
 *   life kexec now|crash KERNEL INITRD CMDLINE     loads a kernel for kexec or for a crash
 *   life reboot                      goes to the kernel that was loaded
 *   life nested                      runs a guest of a few instructions that sets its own LSTAR
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/kvm.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int load(const char *how, const char *kernel, const char *initrd, const char *cmdline)
{
	int k = open(kernel, O_RDONLY), i = open(initrd, O_RDONLY);
	unsigned long flags = strcmp(how, "crash") ? 0 : KEXEC_FILE_ON_CRASH;

	if (k < 0 || i < 0)
		return failed("open");
	if (syscall(SYS_kexec_file_load, k, i, strlen(cmdline) + 1, cmdline, flags))
		return failed("kexec_file_load");
	return 0;
}

/* --- a guest's guest ------------------------------------------------------ */

#define CODE 0x1000
#define RESULT 0x800
#define GUEST_LSTAR 0x1234567u

/* Real mode: LSTAR <- GUEST_LSTAR, read back to RESULT, hlt. */
static const uint8_t code[] = {
	0x66, 0xb9, 0x82, 0x00, 0x00, 0xc0, /* mov $0xc0000082, %ecx */
	0x66, 0xb8, 0x67, 0x45, 0x23, 0x01, /* mov $GUEST_LSTAR, %eax */
	0x66, 0x31, 0xd2,		    /* xor %edx, %edx */
	0x0f, 0x30,			    /* wrmsr */
	0x66, 0x31, 0xc0,		    /* xor %eax, %eax */
	0x0f, 0x32,			    /* rdmsr */
	0x66, 0xa3, 0x00, 0x08,		    /* mov %eax, RESULT */
	0xf4,				    /* hlt */
};

static int nested(void)
{
	int kvm = open("/dev/kvm", O_RDWR), vm, cpu, size;
	struct kvm_userspace_memory_region slot = { .memory_size = 0x10000 };
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	uint8_t *ram;

	if (kvm < 0)
		return failed("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	ram = mmap(NULL, slot.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		   0);
	if (vm < 0 || ram == MAP_FAILED)
		return failed("a virtual machine");
	memcpy(ram + CODE, code, sizeof(code));
	slot.userspace_addr = (uintptr_t)ram;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
		return failed("its memory");
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (cpu < 0 || size < 0)
		return failed("its processor");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	/* It has the MSR only where it is told to have long mode. */
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[100];
	} cpuid = { .head.nent = 100 };

	if (run == MAP_FAILED || ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) ||
	    ioctl(cpu, KVM_SET_CPUID2, &cpuid) || ioctl(cpu, KVM_GET_SREGS, &sregs))
		return failed("its registers");
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) || ioctl(cpu, KVM_SET_REGS, &regs))
		return failed("its registers");
	for (int i = 0; i < 100; i++) {
		uint32_t seen;

		if (ioctl(cpu, KVM_RUN, 0))
			return failed("KVM_RUN");
		if (run->exit_reason != KVM_EXIT_HLT) {
			printf("exit reason %u\n", run->exit_reason);
			return 1;
		}
		memcpy(&seen, ram + RESULT, sizeof(seen));
		memset(ram + RESULT, 0, sizeof(seen));
		if (seen != GUEST_LSTAR) {
			printf("its LSTAR is %#x\n", seen);
			return 1;
		}
		if (ioctl(cpu, KVM_SET_REGS, &regs))
			return failed("its registers");
	}
	printf("nested=ok\n");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "kexec") && argc > 5)
		return load(argv[2], argv[3], argv[4], argv[5]);
	if (!strcmp(what, "reboot"))
		return reboot(LINUX_REBOOT_CMD_KEXEC);
	if (!strcmp(what, "nested"))
		return nested();
	fprintf(stderr, "life: what?\n");
	return 2;
}
