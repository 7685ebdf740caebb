// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A vCPU is got out of KVM_RUN by a signal of our own whose handler raises kvm_run.immediate_exit,
 * which closes the race between our kick and the entry (api.rst, KVM_CAP_IMMEDIATE_EXIT). The VMM
 * uses the same byte for its own kicks, so it is lowered by us only when KVM_RUN is about to return
 * -EINTR to the VMM: then neither side's kick is lost, and the worst a VMM sees is one interrupted
 * KVM_RUN more, which it must be ready for anyway.
 */
#include "hv/vcpu.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/board.h"

struct rf_vcpu rf_vcpus[RF_MAX_VCPUS];
static atomic_uint count;

unsigned rf_vcpu_count(void)
{
	return atomic_load(&count);
}

int rf_vcpu_create(uintptr_t id, struct rf_arch_vcpu *arch)
{
	unsigned n = atomic_load(&count);
	struct rf_vcpu *v = &rf_vcpus[n];
	int fd;

	if (n == RF_MAX_VCPUS)
		return -EINVAL;
	fd = rf_kvm(rf_vm.fd, KVM_CREATE_VCPU, (void *)id);
	if (fd < 0)
		return fd;
	v->fd = fd;
	v->id = (uint32_t)id;
	v->arch = arch;
	/* A view of kvm_run of our own: the VMM may map its own when and where it likes. */
	v->run = rf_mmap((size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (v->run == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	atomic_store(&count, n + 1);
	return fd;
}

struct rf_vcpu *rf_vcpu_of(int fd)
{
	static __thread struct rf_vcpu *mine;

	if (mine && mine->fd == fd)
		return mine;
	RF_EACH_VCPU(v)
		if (v->fd == fd)
			return mine = v;
	return NULL;
}

_Static_assert(sizeof(((struct rf_saved_exit *)0)->data) == sizeof(((struct kvm_run *)0)->padding),
	       "the union of kvm_run is 256 bytes");

void rf_vcpu_mapped(int fd, void *run)
{
	struct rf_vcpu *v = rf_vcpu_of(fd);

	if (!v)
		return;
	atomic_store(&v->vmm_run, run);
	atomic_store(&v->parked, false);
}

void rf_vcpu_unmapped(const void *run)
{
	RF_EACH_VCPU(v)
		if (run && atomic_load(&v->vmm_run) == run)
			atomic_store(&v->parked, true);
}

void rf_exit_save(const struct rf_vcpu *v, struct rf_saved_exit *s)
{
	s->reason = v->run->exit_reason;
	memcpy(s->data, v->run->padding, sizeof(s->data));
}

void rf_exit_restore(struct rf_vcpu *v, struct rf_saved_exit *s)
{
	v->run->exit_reason = s->reason;
	memcpy(v->run->padding, s->data, sizeof(s->data));
	s->reason = 0;
}

/* --- the gate --------------------------------------------------------------- */

static atomic_int closed;
static pthread_mutex_t closer = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved;
static int kick_signal;
static __thread struct rf_vcpu *self;

static void on_kick(int sig)
{
	if (self)
		rf_gate_hold_entry(self);
}

int rf_gate_init(void)
{
	if (!kick_signal)
		rf_cond_init(&moved);
	/*
	 * The highest real-time signals are the least used; take the first that nobody handles. It
	 * may come late, in a system call of the VMM's: that is restarted. KVM_RUN is not, whatever
	 * the flag.
	 */
	for (int sig = SIGRTMAX - 1; sig > SIGRTMIN && !kick_signal; sig--) {
		struct sigaction old, act = { .sa_handler = on_kick, .sa_flags = SA_RESTART };

		if (sigaction(sig, NULL, &old) || old.sa_handler != SIG_DFL)
			continue;
		if (sigaction(sig, &act, NULL))
			return -errno;
		kick_signal = sig;
	}
	return kick_signal ? 0 : -EBUSY;
}

int rf_gate_signal(void)
{
	return kick_signal;
}

/* The thread that runs v: bound once, found quickly ever after. */
void rf_gate_bind(struct rf_vcpu *v)
{
	static __thread int tid;
	sigset_t set;

	/* The vCPU may have run on another thread in between: the kicks go to the last one. */
	if (self == v && atomic_load(&v->tid) == tid)
		return;
	self = v;
	sigemptyset(&set);
	sigaddset(&set, kick_signal);
	/* VMMs start vCPU threads with every signal blocked. */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	tid = (int)syscall(SYS_gettid);
	atomic_store(&v->tid, tid);
}

bool rf_gate_wanted(const struct rf_vcpu *v)
{
	return *(volatile uint8_t *)&v->run->immediate_exit != 0;
}

void rf_gate_hold_entry(struct rf_vcpu *v)
{
	atomic_store(&v->kicked, 1);
	v->run->immediate_exit = 1;
}

void rf_gate_kick(struct rf_vcpu *v)
{
	syscall(SYS_tgkill, getpid(), atomic_load(&v->tid), kick_signal);
}

int rf_gate_interrupted(struct rf_vcpu *v)
{
	if (atomic_exchange(&v->kicked, 0))
		v->run->immediate_exit = 0;
	v->run->exit_reason = KVM_EXIT_INTR;
	rf_count(RF_COUNT_EINTR);
	return -EINTR;
}

int rf_gate_enter(struct rf_vcpu *v)
{
	for (;;) {
		enum rf_phase out = RF_OUT;

		if (!atomic_compare_exchange_strong(&v->phase, &out, RF_IN))
			rf_fatal("a vCPU was about to run with a question open");
		if (!atomic_load(&closed))
			return 0;
		rf_gate_leave(v);
		pthread_mutex_lock(&lock);
		while (atomic_load(&closed) && !rf_gate_wanted(v))
			rf_cond_wait(&moved, &lock, 20000000);
		pthread_mutex_unlock(&lock);
		if (rf_gate_wanted(v))
			return -EINTR;
	}
}

void rf_gate_leave(struct rf_vcpu *v)
{
	atomic_store(&v->phase, RF_OUT);
	if (!atomic_load(&closed))
		return;
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

void rf_gate_close(void)
{
	pthread_mutex_lock(&closer);
	atomic_store(&closed, 1);
	pthread_mutex_lock(&lock);
	RF_EACH_VCPU(v) {
		/* Again and again: the signal may come before KVM_RUN and be spent in the VMM. */
		while (atomic_load(&v->phase) == RF_IN) {
			rf_gate_kick(v);
			rf_cond_wait(&moved, &lock, 1000000);
		}
	}
	pthread_mutex_unlock(&lock);
}

void rf_gate_open(void)
{
	atomic_store(&closed, 0);
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&closer);
}
