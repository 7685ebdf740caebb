// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The preloaded form: every ioctl() of the process goes through the fence. QEMU reaches KVM through
 * libc's ioctl() alone (accel/kvm/kvm-all.c kvm_ioctl(), kvm_vm_ioctl(), kvm_vcpu_ioctl()).
 *
 * A process that was asked to run protected must not run its guest without KVM either. An emulator
 * needs memory it may execute (tcg/region.c alloc_code_gen_buffer(), then mprotect), a VMM has no
 * need of any before it has made its VM: so until then executable memory is refused, and the
 * emulator ends with its own error. The door (hv/door.h) refuses it to processes without the fence;
 * here is the reason said, and it holds where `ringfence run` has not put a door.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "hv/door.h"
#include "hv/fence.h"
#include "hv/vcpu.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int ioctl(int fd, unsigned long request, ...);
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return rf_fence_ioctl(fd, request, arg);
}

static bool refused(int prot)
{
	static atomic_int said;

	if (!(prot & PROT_EXEC) || !rf_fence_waiting())
		return false;
	if (!atomic_exchange(&said, 1))
		rf_say("executable memory refused",
		       "protection was asked for, but this process runs no VM on KVM yet "
		       "(emulation? use -accel kvm)");
	errno = EACCES;
	return true;
}

/* Once the VM is there the VMM may execute what it likes, and the fence says the word for it. */
static int protect(void *addr, size_t len, int prot)
{
	return (int)syscall(SYS_mprotect, addr, len, prot, rf_vm.used ? RF_DOOR_WORD : 0);
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	/* mmap(2) has no register left for the word. */
	const int later = rf_vm.used ? prot & PROT_EXEC : 0;

	if (refused(prot))
		return MAP_FAILED;
	addr = (void *)syscall(SYS_mmap, addr, len, prot & ~later, flags, fd, offset);
	if (later && addr != MAP_FAILED && protect(addr, len, prot)) {
		rf_munmap(addr, len);
		addr = MAP_FAILED;
	}
	if (fd >= 0 && addr != MAP_FAILED)
		rf_vcpu_mapped(fd, addr);
	return addr;
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));

EXPORT int munmap(void *addr, size_t len)
{
	rf_vcpu_unmapped(addr);
	return (int)syscall(SYS_munmap, addr, len);
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	return refused(prot) ? -1 : protect(addr, len, prot);
}
