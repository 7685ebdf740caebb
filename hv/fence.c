// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the VMM asks of KVM, translated: VM and vCPU file descriptors are learnt from the values KVM
 * returns, requests that touch what the fence owns are merged with it or refused, those that are
 * known to be harmless pass as they are, and unknown ones are refused (hv/known.h).
 */
#include "hv/fence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/door.h"
#include "hv/event.h"
#include "hv/guestmem.h"
#include "hv/known.h"
#include "hv/life.h"
#include "hv/run.h"
#include "hv/serve.h"
#include "hv/text.h"

/* Slots begin with this in either form: include/uapi/linux/kvm.h. */
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, char[160])
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_asked;
static int link_fd;

/* For who links it; its own calls stay its own. */
#define PUBLIC __attribute__((visibility("protected")))

PUBLIC void rf_fence_request(int fd)
{
	link_fd = fd;
	is_asked = true;
}

/* What is no number names no socket of run's either, and still asks. */
static void read_environment(void)
{
	const char *text = secure_getenv("RINGFENCE_LINK");

	if (text && !is_asked)
		rf_fence_request(atoi(text));
}

static bool asked(void)
{
	pthread_once(&once, read_environment);
	return is_asked;
}

PUBLIC int rf_fence_waiting(void)
{
	return asked() && !rf_vm.used;
}

static int refuse(const char *why)
{
	rf_say("this VM is not started", why);
	return -EPERM;
}

/* What a kernel without it would answer; told once for each request. */
static int unknown(const char *kind, unsigned long what, const char *why, int answer)
{
	static atomic_ulong told[64];
	char line[160];

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		unsigned long none = 0;

		if (atomic_load(&told[i]) == what)
			return answer;
		if (atomic_compare_exchange_strong(&told[i], &none, what)) {
			snprintf(line, sizeof(line), "%s 0x%lx: %s", kind, what,
				 why ? why : "not known to be safe for a protected VM");
			rf_say("refused to the VMM", line);
			break;
		}
	}
	return answer;
}

/* --- a VM ----------------------------------------------------------------- */

static int vm_create(int kvm_fd, void *type)
{
	const char *why = "";
	int board = -1, fd, err;

	if (rf_vm.used)
		return refuse("this process has a protected VM already");
	if (type)
		return refuse("this type of VM keeps its memory from the host (SEV, TDX)");
	if (rf_gate_init())
		return refuse("no real-time signal is free");
	why = rf_arch_refusal(kvm_fd);
	if (why)
		return refuse(why);
	rf_vm.instance = rf_clock_ns(CLOCK_REALTIME);
	rf_event_init();
	if (rf_board_create(&board))
		return refuse(
			"memory shared with the monitor could not be made (is there a limit on "
			"file sizes, ulimit -f?)");
	rf_text_reset();
	fd = (int)syscall(SYS_ioctl, kvm_fd, KVM_CREATE_VM, type, RF_DOOR_WORD);
	if (fd < 0) {
		err = -errno;
		close(board);
		return err; /* the VMM's own error, and it may try again on EINTR */
	}
	rf_vm.fd = fd;
	rf_guestmem_init(fd,
			 (uint32_t)rf_check_extension(kvm_fd, KVM_CAP_NR_MEMSLOTS) - RF_OWN_IDS);
	err = rf_arch_protect(fd, &why);
	if (!err)
		err = rf_channel_start(link_fd, board, &rf_serve, &why);
	if (err) {
		close(fd);
		close(board);
		return refuse(why);
	}
	rf_vm.used = true;
	return fd;
}

static int vcpu_create(void *id)
{
	struct rf_arch_vcpu *arch;
	int fd;

	RF_LOCKED();
	arch = rf_arch_vcpu(rf_vcpu_count(), (uintptr_t)id);
	fd = arch ? rf_vcpu_create((uintptr_t)id, arch) : -EINVAL;
	rf_board_begin();
	rf_board->vcpus = rf_vcpu_count();
	rf_board_end();
	return fd;
}

/* What KVM offers less what the fence keeps for itself, refuses, or does not know. */
static int offered(int fd, uint32_t cap)
{
	const struct rf_known *k = rf_known_cap(cap);
	int n = rf_check_extension(fd, cap);

	if (cap > RF_KNOWN_CAP_LAST || (k && k->how == RF_KNOWN_REFUSE))
		return 0;
	if (cap == KVM_CAP_NR_MEMSLOTS)
		return n > RF_OWN_IDS ? n - RF_OWN_IDS : n;
	return n;
}

static int enable_cap(int fd, enum rf_known_fd on, void *arg)
{
	const struct kvm_enable_cap *c = arg;
	const struct rf_known *k = rf_known_cap(c->cap);
	int result;

	if (on == RF_ON_VM && rf_arch_vm_ioctl(KVM_ENABLE_CAP, arg, &result))
		return result;
	if (!k || k->how != RF_KNOWN_PASS || !(k->on & on))
		return unknown("KVM_ENABLE_CAP", c->cap, k ? k->why : NULL, -EINVAL);
	return rf_kvm(fd, KVM_ENABLE_CAP, arg);
}

/* In-kernel devices over sealed bytes would take the guest's stores before the fence sees them. */
static int device_over_sealed(unsigned long request, const void *arg)
{
	const struct kvm_coalesced_mmio_zone *z = arg;
	const struct kvm_ioeventfd *e = arg;

	if (request == KVM_IOEVENTFD)
		return !(e->flags & (KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN)) &&
		       rf_guestmem_overlaid(e->addr, e->len ? e->len : 8);
	return !z->pio && rf_guestmem_overlaid(z->addr, z->size ? z->size : 8);
}

static int vm_ioctl(unsigned long request, void *arg)
{
	int result;

	switch (request) {
	case KVM_CREATE_VCPU:
		return vcpu_create(arg);
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		return rf_guestmem_set(arg);
	case KVM_GET_DIRTY_LOG:
		return rf_guestmem_dirty_log(arg, !rf_life_holds_load());
	case KVM_CHECK_EXTENSION:
		return offered(rf_vm.fd, (uint32_t)(uintptr_t)arg);
	case KVM_ENABLE_CAP:
		return enable_cap(rf_vm.fd, RF_ON_VM, arg);
	case KVM_IOEVENTFD:
	case KVM_REGISTER_COALESCED_MMIO:
		if (device_over_sealed(request, arg))
			return -EEXIST;
		break;
	default:
		if (rf_arch_vm_ioctl(request, arg, &result))
			return result;
	}
	return rf_kvm(rf_vm.fd, request, arg);
}

/* --- a vCPU --------------------------------------------------------------- */

static int set_signal_mask(struct rf_vcpu *v, const struct kvm_signal_mask *mask)
{
	struct {
		struct kvm_signal_mask head;
		uint64_t set;
	} m;

	if (!mask || mask->len != sizeof(m.set))
		return rf_kvm(v->fd, KVM_SET_SIGNAL_MASK, (void *)(uintptr_t)mask);
	m.head.len = mask->len;
	memcpy(m.head.sigset, mask->sigset, sizeof(m.set));
	m.head.sigset[(rf_gate_signal() - 1) / 8] &=
		(uint8_t) ~(1u << ((unsigned)(rf_gate_signal() - 1) % 8));
	return rf_kvm(v->fd, KVM_SET_SIGNAL_MASK, &m);
}

static int vcpu_ioctl(struct rf_vcpu *v, unsigned long request, void *arg)
{
	bool loads;
	int err;

	switch (request) {
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(v, arg);
	case KVM_ENABLE_CAP:
		return enable_cap(v->fd, RF_ON_VCPU, arg);
	case KVM_SET_GUEST_DEBUG:
		err = rf_kvm(v->fd, request, arg);
		if (!err)
			v->vmm_debug = *(const struct kvm_guest_debug *)arg;
		return err;
	}
	/* A VMM that saves the guest has read its vCPUs before its memory. One that looks at
	 * registers for an exit's sake does not. */
	if (rf_arch_saves(request) && !v->exited && !rf_life_holds_load())
		rf_guestmem_heal_stopped();
	loads = rf_arch_loads(v, request, arg);
	if (loads)
		rf_life_loaded(v);
	err = rf_kvm(v->fd, request, arg);
	/* Who looked in between saw what was there before. */
	if (loads)
		rf_life_loaded(v);
	return err;
}

/* --- all of it ------------------------------------------------------------ */

static int protected_ioctl(int fd, unsigned long request, void *arg)
{
	struct rf_vcpu *v = fd == rf_vm.fd ? NULL : rf_vcpu_of(fd);
	enum rf_known_fd on = fd == rf_vm.fd ? RF_ON_VM : v ? RF_ON_VCPU : RF_ON_OTHER;
	const struct rf_known *k = rf_known_ioctl(request, on);

	if (!k || k->how == RF_KNOWN_REFUSE)
		return unknown("the KVM ioctl", request, k ? k->why : NULL, -ENOTTY);
	if (on == RF_ON_VM)
		return vm_ioctl(request, arg);
	if (on == RF_ON_VCPU)
		return vcpu_ioctl(v, request, arg);
	if (request == KVM_CHECK_EXTENSION)
		return offered(fd, (uint32_t)(uintptr_t)arg);
	return rf_kvm(fd, request, arg);
}

/*
 * Memory that is filled in later (post-copy migration) or saved while the guest runs (background
 * snapshot) is not what the seal was made of: UFFDIO_REGISTER, include/uapi/linux/userfaultfd.h.
 */
static bool waits_for_memory(unsigned long request)
{
	return _IOC_TYPE(request) == 0xaa && _IOC_NR(request) == 0 && asked() && rf_vm.used;
}

PUBLIC int rf_fence_ioctl(int fd, unsigned long request, void *arg)
{
	struct rf_vcpu *v;
	int r;

	/* A VMM that keeps it in an int (QEMU's kvm_vm_ioctl()) extends its sign. */
	request = (uint32_t)request;
	/* KVM_RUN, by far the most frequent, is known without a look at the table; what is not
	 * KVM's, or when nobody asked, is the kernel's business alone. */
	if (request == KVM_RUN && rf_vm.used && (v = rf_vcpu_of(fd))) {
		rf_gate_bind(v);
		r = rf_vcpu_run(v);
	} else if (waits_for_memory(request))
		r = unknown("userfaultfd", request,
			    "post-copy migration and background snapshots are not possible with a "
			    "protected VM; use pre-copy migration, or stop the VM to save it",
			    -EPERM);
	else if (_IOC_TYPE(request) != KVMIO || !asked())
		r = rf_kvm(fd, request, arg);
	else if (request == KVM_CREATE_VM)
		r = vm_create(fd, arg);
	else
		r = rf_vm.used ? protected_ioctl(fd, request, arg) : rf_kvm(fd, request, arg);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}
