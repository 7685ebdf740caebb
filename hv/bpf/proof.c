// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does the watch work on this host? Asked of the host itself: a real-mode guest clears a pinned bit
 * of CR4 and then halts. With the watch KVM_RUN is interrupted between the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/bpf/impl.h"

/*
 * PAE: in real mode without effect, and always intercepted; VMX lets guests own others
 * (arch/x86/kvm/kvm_cache_regs.h KVM_POSSIBLE_CR4_GUEST_BITS).
 */
#define CR4_PAE 0x20u
#define CODE 0x1000u
#define AFTER_MOV (CODE + 6 + 3)

static const unsigned char guest[] = {
	0x66, 0xb8, 0,	  0, 0, 0, /* mov eax, 0 */
	0x0f, 0x22, 0xe0,	   /* mov cr4, eax */
	0xf4,			   /* hlt: KVM_EXIT_HLT without an interrupt controller in KVM */
};

static void nothing(int sig)
{
	(void)sig;
}

static int start(int vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = CODE, .rflags = 2 };

	if (ioctl(vcpu, KVM_GET_SREGS, &s))
		return -errno;
	s.cs.base = s.cs.selector = 0;
	s.cr4 |= CR4_PAE;
	return ioctl(vcpu, KVM_SET_SREGS, &s) || ioctl(vcpu, KVM_SET_REGS, &r) ? -errno : 0;
}

static int run(int vcpu, struct kvm_run *run)
{
	int signalled = ioctl(vcpu, KVM_RUN, 0) ? errno : 0;
	struct kvm_regs r;

	if (signalled && signalled != EINTR)
		return -signalled;
	if (!signalled && run->exit_reason != KVM_EXIT_HLT)
		return -EIO;
	if (ioctl(vcpu, KVM_GET_REGS, &r))
		return -errno;
	return signalled && r.rip == AFTER_MOV ? 0 : -ENOTSUP;
}

static int with_vm(int kvm)
{
	const size_t page = 4096;
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu = -1, err;
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *state = MAP_FAILED;
	struct kvm_userspace_memory_region slot = { .guest_phys_addr = CODE, .memory_size = page };
	void *code = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	err = vm < 0 || size < 0 || code == MAP_FAILED ? -errno : 0;
	if (!err) {
		memcpy(code, guest, sizeof(guest));
		slot.userspace_addr = (__u64)(unsigned long)code;
		vcpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) ? -1
								    : ioctl(vm, KVM_CREATE_VCPU, 0);
		if (vcpu >= 0)
			state = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu,
				     0);
		err = state == MAP_FAILED ? -errno : start(vcpu);
	}
	if (!err)
		err = run(vcpu, state);
	if (state != MAP_FAILED)
		munmap(state, (size_t)size);
	if (vcpu >= 0)
		close(vcpu);
	if (vm >= 0)
		close(vm);
	if (code != MAP_FAILED)
		munmap(code, page);
	return err;
}

int rf_crwatch_prove(const char *path, int vms)
{
	struct sigaction old, act = { .sa_handler = nothing };
	int kvm = open(path, O_RDWR | O_CLOEXEC), err;
	struct rf_crwatch_page p;
	sigset_t set, before;

	if (kvm < 0)
		return -errno;
	err = rf_crwatch_page_create(&p);
	if (!err) {
		p.page->signal = (__u32)SIGRTMAX;
		p.page->cr4_pinned = CR4_PAE;
		sigemptyset(&set);
		sigaddset(&set, SIGRTMAX);
		sigaction(SIGRTMAX, &act, &old);
		sigprocmask(SIG_UNBLOCK, &set, &before);
		err = rf_vms_enter(vms, getpid(), &p);
		if (!err)
			err = with_vm(kvm);
		rf_vms_remove(vms, getpid(), p.id);
		sigprocmask(SIG_SETMASK, &before, NULL);
		sigaction(SIGRTMAX, &old, NULL);
		rf_crwatch_page_destroy(&p);
	}
	close(kvm);
	return err;
}
