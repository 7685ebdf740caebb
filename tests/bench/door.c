// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the door (hv/doorkeeper.h) costs a system call: the same loop behind it and without it, in
 * turn, each in a process of its own. Two loops: an ioctl that KVM answers at once, and the
 * shortest KVM_RUN there is, which ends before the guest is entered.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hv/door.h"
#include "hv/doorkeeper.h"

#define CALLS 100000
#define ROUNDS 31

static const struct {
	const char *name;
	unsigned long request;
} loops[] = {
	{ "door_ioctl_ratio", KVM_GET_API_VERSION },
	{ "door_run_ratio", KVM_RUN },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int vcpu(int kvm)
{
	int vm = (int)syscall(SYS_ioctl, kvm, KVM_CREATE_VM, 0, RF_DOOR_WORD);
	int fd = vm < 0 ? -1 : (int)syscall(SYS_ioctl, vm, KVM_CREATE_VCPU, 0, 0);
	struct kvm_run *run;

	if (fd < 0)
		return -1;
	run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run == MAP_FAILED)
		return -1;
	run->immediate_exit = 1;
	return fd;
}

static void loop(int end, unsigned long request, int door)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	double began, took;

	if (door && rf_door_shut(RF_DOOR_CLOSED))
		_exit(1);
	if (request == KVM_RUN)
		fd = vcpu(fd);
	if (fd < 0)
		_exit(1);
	began = now();
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_ioctl, fd, request, 0, 0);
	took = now() - began;
	_exit(write(end, &took, sizeof(took)) != sizeof(took));
}

static double measure(unsigned long request, int door)
{
	double took = 0;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) || (pid = fork()) < 0)
		exit(1);
	if (!pid)
		loop(ends[1], request, door);
	close(ends[1]);
	if (read(ends[0], &took, sizeof(took)) != sizeof(took) || waitpid(pid, &status, 0) != pid) {
		fprintf(stderr, "bench_door: needs a usable /dev/kvm, and seccomp\n");
		exit(1);
	}
	close(ends[0]);
	return took;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	for (size_t l = 0; l < sizeof(loops) / sizeof(loops[0]); l++) {
		double ratios[ROUNDS];

		for (int i = 0; i < ROUNDS; i++) {
			double first = measure(loops[l].request, i & 1);
			double second = measure(loops[l].request, !(i & 1));

			ratios[i] = i & 1 ? first / second : second / first;
		}
		qsort(ratios, ROUNDS, sizeof(ratios[0]), by_size);
		printf("%s %.3f (%.3f - %.3f) with / without the door\n", loops[l].name,
		       ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
	}
	return 0;
}
