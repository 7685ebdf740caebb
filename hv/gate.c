/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate. Entering is two atomic operations while it is open.
 *
 * A vCPU is got out of KVM_RUN by a signal of our own whose handler raises kvm_run.immediate_exit,
 * which closes the race between our kick and the entry (api.rst, KVM_CAP_IMMEDIATE_EXIT). The VMM
 * uses the same byte for its own kicks, so it is lowered by us only when KVM_RUN is about to return
 * -EINTR to the VMM: then neither side's kick is lost, and the worst a VMM sees is one interrupted
 * KVM_RUN more, which it must be ready for anyway.
 */
#include "hv/vm.h"

#include <signal.h>
#include <time.h>

static atomic_int closed;
static pthread_mutex_t closer = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved;
static int kick_signal;
static __thread struct rf_vcpu *self;

static void on_kick(int sig)
{
	(void)sig;
	if (self) {
		atomic_store(&self->kicked, 1);
		self->run->immediate_exit = 1;
	}
}

int rf_gate_init(void)
{
	pthread_condattr_t attr;

	if (!kick_signal) {
		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		pthread_cond_init(&moved, &attr);
	}
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

void rf_gate_bind(struct rf_vcpu *v)
{
	sigset_t set;

	self = v;
	sigemptyset(&set);
	sigaddset(&set, kick_signal);
	/* VMMs start vCPU threads with every signal blocked. */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	atomic_store(&v->tid, (int)syscall(SYS_gettid));
}

bool rf_gate_wanted(const struct rf_vcpu *v)
{
	return *(volatile uint8_t *)&v->run->immediate_exit != 0;
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

static void wait_a_little(long ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ns;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	pthread_cond_timedwait(&moved, &lock, &t);
}

int rf_gate_enter(struct rf_vcpu *v)
{
	for (;;) {
		atomic_store(&v->in_run, 1);
		if (!atomic_load(&closed))
			return 0;
		rf_gate_leave(v);
		pthread_mutex_lock(&lock);
		while (atomic_load(&closed) && !rf_gate_wanted(v))
			wait_a_little(20000000);
		pthread_mutex_unlock(&lock);
		if (rf_gate_wanted(v))
			return -EINTR;
	}
}

void rf_gate_leave(struct rf_vcpu *v)
{
	atomic_store(&v->in_run, 0);
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
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++) {
		struct rf_vcpu *v = &rf_vm.vcpus[i];

		/* Again and again: the signal may come before KVM_RUN and be spent in the VMM. */
		while (atomic_load(&v->in_run)) {
			rf_gate_kick(v);
			wait_a_little(1000000);
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

bool rf_gate_anyone_in(void)
{
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		if (atomic_load(&rf_vm.vcpus[i].in_run))
			return true;
	return false;
}
