/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the VMM asks of KVM, translated: VM and vCPU file descriptors are learnt from the values KVM
 * returns, requests that touch what the fence owns are merged with it or refused, all others pass
 * as they are.
 */
#include "hv/fence.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "hv/vm.h"
#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"

/* Of newer kernels than the build's headers: include/uapi/linux/kvm.h. */
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, char[160])
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, char[64])
#define KVM_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, char[32])
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#define KVM_CAP_GUEST_MEMFD 234
#endif

struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };

static char socket_path[108];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_environment(void)
{
	const char *path = secure_getenv("RINGFENCE_SOCKET");

	if (!path || socket_path[0])
		return;
	/* Too long is caught when it is used; an empty one still asks for protection. */
	snprintf(socket_path, sizeof(socket_path), "%s", *path ? path : "(empty)");
}

static bool asked(void)
{
	pthread_once(&once, read_environment);
	return socket_path[0];
}

int rf_fence_request(const char *path)
{
	if (!path || !*path || strlen(path) >= sizeof(socket_path))
		return -EINVAL;
	strcpy(socket_path, path);
	return 0;
}

int rf_fence_waiting(void)
{
	return asked() && !rf_vm.used;
}

void rf_say(const char *what, const char *why)
{
	char line[512]; /* one write, so that lines of several processes do not mix */
	int n = snprintf(line, sizeof(line), "ringfence: %s: %s\n", what, why);

	if (write(STDERR_FILENO, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
		return;
}

void rf_fatal(const char *why)
{
	rf_say("the VM was ended", why);
	for (;;)
		kill(getpid(), SIGKILL);
}

static int refuse(const char *why)
{
	rf_say("this VM is not started", why);
	return -EPERM;
}

/* --- the board ------------------------------------------------------------ */

static int board_create(int *out_fd)
{
	size_t size = sizeof(struct rf_board_file);
	struct rlimit files;
	int fd;

	/* Beyond it ftruncate() ends in a signal that nobody could explain. */
	if (!getrlimit(RLIMIT_FSIZE, &files) && files.rlim_cur < size)
		return -EFBIG;
	fd = memfd_create("ringfence-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size))
		goto fail;
	rf_vm.board = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rf_vm.board == MAP_FAILED)
		goto fail;
	/* From here on nobody else gets a writable mapping. */
	if (fcntl(fd, F_ADD_SEALS,
		  F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
		munmap(rf_vm.board, size);
		goto fail;
	}
	rf_patch_reset();
	rf_vm.board->magic = RF_BOARD_MAGIC;
	rf_vm.board->revision = RF_PROTO_REVISION;
	rf_vm.board->cr_watch = rf_cr_watched();
	*out_fd = fd;
	return 0;
fail:
	close(fd);
	return -errno;
}

static void add_run(struct rf_board *b, struct rf_board_run run)
{
	if (b->runs_count < RF_BOARD_RUNS)
		b->runs[b->runs_count++] = run;
}

void rf_board_publish(void)
{
	struct rf_board *b = rf_vm.board;

	__atomic_fetch_add(&b->seq, 1, __ATOMIC_SEQ_CST);
	b->state = rf_vm.state;
	b->vcpus = atomic_load(&rf_vm.nr_vcpus);
	b->runs_count = 0;
	b->regions_count = 0;
	for (size_t i = 0; i < rf_vm.slots.nr_overlays; i++) {
		const struct rf_overlay *o = &rf_vm.slots.overlays[i];

		add_run(b, (struct rf_board_run){ o->gpa.start, o->gpa.size,
						  (uint64_t)(uintptr_t)o->copy,
						  (uint64_t)(uintptr_t)o->decoy });
		if (o->kind == RF_OVERLAY_SEAL)
			b->regions[b->regions_count++] =
				(struct rf_region){ o->gpa.start, o->gpa.size, o->gva, o->region,
						    0 };
	}
	for (size_t i = 0; i < rf_vm.slots.nr_slots; i++) {
		const struct rf_slot *s = &rf_vm.slots.slots[i];

		for (uint32_t p = 0; s->used && !s->space && p < s->nr_pieces; p++) {
			const struct rf_range *r = &s->pieces[p].gpa;

			add_run(b, (struct rf_board_run){ r->start, r->size,
							  s->hva + (r->start - s->gpa), 0 });
		}
	}
	b->traps_count = rf_vm.traps.count;
	memcpy(b->traps_note, rf_vm.traps.note, sizeof(b->traps_note));
	memcpy(b->traps, rf_vm.traps.sites, sizeof(b->traps));
	__atomic_fetch_add(&b->seq, 1, __ATOMIC_SEQ_CST);
}

/* --- a VM ----------------------------------------------------------------- */

struct need {
	uint32_t cap;
	int min;
	const char *why;
};

/* What the fence cannot do without; `ringfence doctor` shows the same with remedies. */
static const struct need needs[] = {
	{ KVM_CAP_READONLY_MEM, 1, "KVM lacks read-only memory slots (KVM_CAP_READONLY_MEM)" },
	{ KVM_CAP_SYNC_MMU, 1, "KVM lacks MMU notifiers (KVM_CAP_SYNC_MMU)" },
	{ KVM_CAP_IMMEDIATE_EXIT, 1, "KVM lacks immediate_exit (KVM_CAP_IMMEDIATE_EXIT)" },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1, "KVM lacks MSR exits (KVM_CAP_X86_USER_SPACE_MSR)" },
	{ KVM_CAP_X86_MSR_FILTER, 1, "KVM lacks MSR filters (KVM_CAP_X86_MSR_FILTER)" },
	{ KVM_CAP_VCPU_EVENTS, 1, "KVM cannot inject faults (KVM_CAP_VCPU_EVENTS)" },
	{ KVM_CAP_SET_GUEST_DEBUG, 1, "KVM cannot single-step (KVM_CAP_SET_GUEST_DEBUG)" },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1,
	  "KVM does not report what it cannot emulate (KVM_CAP_EXIT_ON_EMULATION_FAILURE)" },
	{ KVM_CAP_NR_MEMSLOTS, 4 * RF_OWN_IDS, "KVM has too few memory slots" },
};

static int check_extension(int fd, uint32_t cap)
{
	return rf_kvm(fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)cap);
}

static int enable_vm_cap(int fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	return rf_kvm(fd, KVM_ENABLE_CAP, &c);
}

/* Everything that must stand before the guest can run. */
static int vm_protect(int fd, const char **why)
{
	*why = "the MSR filter could not be set";
	if (enable_vm_cap(fd, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER) ||
	    rf_msr_filter_init(fd))
		return -EPERM;
	*why = "KVM_CAP_EXIT_ON_EMULATION_FAILURE could not be enabled";
	return enable_vm_cap(fd, KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1);
}

static int vm_create(int kvm_fd, void *type)
{
	const char *why = "";
	struct timespec now;
	int board = -1, fd, err;

	if (rf_vm.used)
		return refuse("this process has a protected VM already");
	if (type)
		return refuse("this type of VM keeps its memory from the host (SEV, TDX)");
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (check_extension(kvm_fd, needs[i].cap) < needs[i].min)
			return refuse(needs[i].why);
	if (rf_gate_init())
		return refuse("no real-time signal is free");
	if (rf_cr_init())
		return refuse("the page of the control-register watch (RINGFENCE_CR_FD) is none");
	clock_gettime(CLOCK_REALTIME, &now);
	rf_vm.instance = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	atomic_store(&rf_vm.next_event, 1);
	rf_vm.step_blocks_irqs =
		check_extension(kvm_fd, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ;
	rf_vm.syncs_regs = check_extension(kvm_fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS;
	rf_vm.tells_guest_mode = check_extension(kvm_fd, KVM_CAP_X86_GUEST_MODE) > 0;
	if (board_create(&board))
		return refuse(
			"memory shared with the monitor could not be made (is there a limit on "
			"file sizes, ulimit -f?)");
	fd = rf_kvm(kvm_fd, KVM_CREATE_VM, type);
	if (fd < 0) {
		close(board);
		return fd; /* the VMM's own error, and it may try again on EINTR */
	}
	rf_vm.fd = rf_vm.slots.vm_fd = fd;
	rf_vm.slots.id_limit = (uint32_t)check_extension(kvm_fd, KVM_CAP_NR_MEMSLOTS) - RF_OWN_IDS;
	err = vm_protect(fd, &why);
	if (!err)
		err = rf_channel_start(socket_path, board, &why);
	if (err) {
		close(fd);
		close(board);
		return refuse(why);
	}
	rf_vm.used = true;
	return fd;
}

/* rf_vm.lock held. */
static int vcpu_add(void *id)
{
	unsigned n = atomic_load(&rf_vm.nr_vcpus);
	struct rf_vcpu *v = &rf_vm.vcpus[n];
	int fd;

	/* The watch tells vCPUs by their ids. */
	if (n == RF_MAX_VCPUS || (uintptr_t)id >= RF_CR_VCPUS)
		return -EINVAL;
	fd = rf_kvm(rf_vm.fd, KVM_CREATE_VCPU, id);
	if (fd < 0)
		return fd;
	v->fd = fd;
	v->id = (uint32_t)(uintptr_t)id;
	/* A view of kvm_run of our own: the VMM may map its own when and where it likes. */
	v->run = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (v->run == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	atomic_store(&rf_vm.nr_vcpus, n + 1);
	rf_board_publish();
	return fd;
}

static int vcpu_create(void *id)
{
	int fd;

	pthread_mutex_lock(&rf_vm.lock);
	fd = vcpu_add(id);
	pthread_mutex_unlock(&rf_vm.lock);
	return fd;
}

static int set_region(const struct kvm_userspace_memory_region *r)
{
	int err;

	pthread_mutex_lock(&rf_vm.lock);
	err = rf_memslots_set(&rf_vm.slots, r, false);
	if (err == -EAGAIN) {
		rf_gate_close();
		err = rf_memslots_set(&rf_vm.slots, r, true);
		rf_gate_open();
	}
	rf_board_publish();
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

static int dirty_log(const struct kvm_dirty_log *log)
{
	int err;

	pthread_mutex_lock(&rf_vm.lock);
	err = rf_memslots_dirty_log(&rf_vm.slots, log);
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

/* What KVM offers less what the fence keeps for itself or cannot carry through yet. */
static int offered(int fd, uint32_t cap)
{
	int n = check_extension(fd, cap);

	switch (cap) {
	case KVM_CAP_NR_MEMSLOTS:
		return n > RF_OWN_IDS ? n - RF_OWN_IDS : n;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: /* clear by part of a slot */
	case KVM_CAP_MEMORY_ATTRIBUTES:
	case KVM_CAP_GUEST_MEMFD:
		return 0;
	}
	return n;
}

static int enable_cap(const struct kvm_enable_cap *cap)
{
	struct kvm_enable_cap c = *cap;

	switch (c.cap) {
	case KVM_CAP_X86_USER_SPACE_MSR:
		rf_vm.vmm_msr_reasons = (uint32_t)c.args[0];
		c.args[0] |= KVM_MSR_EXIT_REASON_FILTER;
		break;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		rf_vm.vmm_wants_emulation_exit = c.args[0];
		return 0; /* it is on, and stays on */
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return -EINVAL; /* as a kernel without it answers */
	}
	return rf_kvm(rf_vm.fd, KVM_ENABLE_CAP, &c);
}

/* In-kernel devices over sealed bytes would take the guest's stores before the fence sees them. */
static int over_sealed(uint64_t gpa, uint64_t size)
{
	int err = 0;

	pthread_mutex_lock(&rf_vm.lock);
	for (size_t i = 0; i < rf_vm.slots.nr_overlays; i++)
		if (rf_overlaps(gpa, size ? size : 8, rf_vm.slots.overlays[i].gpa.start,
				rf_vm.slots.overlays[i].gpa.size))
			err = -EEXIST;
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

static int vm_ioctl(unsigned long request, void *arg)
{
	int err;

	switch (request) {
	case KVM_CREATE_VCPU:
		return vcpu_create(arg);
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2: /* begins with the first one; guest_memfd's flag is
					     refused there */
		return set_region(arg);
	case KVM_GET_DIRTY_LOG:
		return dirty_log(arg);
	case KVM_CHECK_EXTENSION:
		return offered(rf_vm.fd, (uint32_t)(uintptr_t)arg);
	case KVM_ENABLE_CAP:
		return enable_cap(arg);
	case KVM_X86_SET_MSR_FILTER:
		return rf_msr_filter_merge(rf_vm.fd, arg);
	case KVM_IOEVENTFD: {
		const struct kvm_ioeventfd *e = arg;

		err = e->flags & (KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN)
			      ? 0
			      : over_sealed(e->addr, e->len);
		break;
	}
	case KVM_REGISTER_COALESCED_MMIO: {
		const struct kvm_coalesced_mmio_zone *z = arg;

		err = z->pio ? 0 : over_sealed(z->addr, z->size);
		break;
	}
	case KVM_CREATE_GUEST_MEMFD:
	case KVM_SET_MEMORY_ATTRIBUTES:
	case KVM_CLEAR_DIRTY_LOG:
	case KVM_MEMORY_ENCRYPT_OP:
		return -ENOTTY; /* as a kernel without it answers; none of them is offered */
	default:
		err = 0;
	}
	return err ? err : rf_kvm(rf_vm.fd, request, arg);
}

/* --- a vCPU --------------------------------------------------------------- */

/*
 * The VMM loads LSTAR: 0 into the boot CPU of a guest that has run is a reset (KVM's own reset
 * value, AMD APM vol. 2 14.1.3); another kernel's value is a restored or migrated guest, announced
 * before it runs.
 */
static void vmm_loads_msrs(struct rf_vcpu *v, const struct kvm_msrs *msrs)
{
	uint64_t lstar;

	if (!rf_msr_find_lstar(msrs, &lstar))
		return;
	if (!lstar)
		v->kept.msrs_set = false; /* another CPU than before */
	/* A guest of the guest's has one of its own, and the VMM gives back what it has read. */
	if (lstar && lstar != rf_vm.lstar && !(rf_vm.state == RF_VM_SEALED && rf_cpu_switching(v)))
		v->loaded_lstar = lstar;
	else if (!lstar && v == &rf_vm.vcpus[0] &&
		 (rf_vm.state != RF_VM_BOOTING || atomic_load(&rf_vm.kernel)))
		rf_vm_reset(NULL);
}

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
	switch (request) {
	case KVM_RUN:
		return rf_vcpu_run(v);
	case KVM_SET_MSRS:
		vmm_loads_msrs(v, arg);
		break;
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(v, arg);
	case KVM_SET_GUEST_DEBUG: {
		int err = rf_kvm(v->fd, request, arg);

		if (!err)
			v->vmm_debug = *(const struct kvm_guest_debug *)arg;
		return err;
	}
	}
	return rf_kvm(v->fd, request, arg);
}

static struct rf_vcpu *vcpu_of(int fd)
{
	static __thread struct rf_vcpu *mine;

	if (mine && mine->fd == fd)
		return mine;
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		if (rf_vm.vcpus[i].fd == fd)
			return mine = &rf_vm.vcpus[i];
	return NULL;
}

/* The thread that runs v: bound once, found quickly ever after. */
static void bind_thread(struct rf_vcpu *v)
{
	static __thread struct rf_vcpu *bound;
	static __thread int tid;

	/* The vCPU may have run on another thread in between: the kicks go to the last one. */
	if (bound == v && atomic_load(&v->tid) == tid)
		return;
	bound = v;
	rf_gate_bind(v);
	tid = atomic_load(&v->tid);
}

int rf_fence_ioctl(int fd, unsigned long request, void *arg)
{
	struct rf_vcpu *v = NULL;
	int r;

	/* Not KVM's, or nobody asked: the kernel's business alone. */
	if (_IOC_TYPE(request) != KVMIO || !asked()) {
		r = rf_kvm(fd, request, arg);
	} else if (request == KVM_CREATE_VM) {
		r = vm_create(fd, arg);
	} else if (!rf_vm.used) {
		r = rf_kvm(fd, request, arg);
	} else if (fd == rf_vm.fd) {
		r = vm_ioctl(request, arg);
	} else if ((v = vcpu_of(fd))) {
		if (request == KVM_RUN)
			bind_thread(v);
		r = vcpu_ioctl(v, request, arg);
	} else if (request == KVM_CHECK_EXTENSION) {
		r = offered(fd, (uint32_t)(uintptr_t)arg);
	} else {
		r = rf_kvm(fd, request, arg);
	}
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}
