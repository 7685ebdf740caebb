/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every part of the fence stands on: KVM's ioctls, the VM they are made on, how the fence
 * speaks and how it ends a VM.
 *
 * Locks, in the order they are taken: rf_vm.lock (slots, overlays, text, the VM's life), then the
 * gate (hv/vcpu.h), then the questions' lock (hv/event.c), then the socket's (hv/channel.c).
 * Nothing is allocated between an exit and its verdict.
 */
#ifndef RF_HV_BASE_H
#define RF_HV_BASE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The ioctl itself, past our own interposition: result or -errno. */
static inline int rf_kvm(int fd, unsigned long request, void *arg)
{
	long r = syscall(SYS_ioctl, fd, request, arg);

	return r < 0 ? -errno : (int)r;
}

/* The fence's own mappings, past our own interposition as well: mmap(2), or MAP_FAILED. */
static inline void *rf_mmap(size_t size, int prot, int flags, int fd)
{
	return (void *)syscall(SYS_mmap, NULL, size, prot, flags, fd, 0L);
}

static inline void rf_munmap(void *at, size_t size)
{
	syscall(SYS_munmap, at, size);
}

/* Set by fence.c before the VM has a vCPU, and not changed afterwards. */
struct rf_vm {
	bool used;
	int fd;
	uint64_t instance; /* unique to this VM start */
	pthread_mutex_t lock;
};

extern struct rf_vm rf_vm;

static inline int rf_lock(void)
{
	return pthread_mutex_lock(&rf_vm.lock);
}

static inline void rf_unlock(const int *lock)
{
	pthread_mutex_unlock(&rf_vm.lock);
}

/* Holds rf_vm.lock from here to the end of the block, whichever way that is left. */
#define RF_LOCKED() __attribute__((cleanup(rf_unlock), unused)) const int rf_locked = rf_lock()

/* One line on stderr: why this VM was not started, or was ended. */
void rf_say(const char *what, const char *why);
/* Ends the VMM at once: the only safe end when an invariant is lost with a guest running. */
_Noreturn void rf_fatal(const char *why);
/* 0: that clock says nothing. */
static inline uint64_t rf_clock_ns(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC. */
uint64_t rf_monotonic_ns(void);

/* A condition that is waited for by CLOCK_MONOTONIC, which nobody sets. */
static inline void rf_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
}

/* Cold: inlined, it would have rf_gate_enter() save registers for a wait that it seldom makes. */
__attribute__((cold, noinline, unused)) static void rf_cond_wait(pthread_cond_t *cond,
								 pthread_mutex_t *lock, uint64_t ns)
{
	uint64_t until = rf_clock_ns(CLOCK_MONOTONIC) + ns;
	struct timespec t = { (time_t)(until / 1000000000), (long)(until % 1000000000) };

	pthread_cond_timedwait(cond, lock, &t);
}

#endif
