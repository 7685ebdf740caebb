// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/interpose.c in a process of its own: what the preloaded form sees of it, and refuses to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv/base.h"
#include "hv/doorkeeper.h"
#include "hv/fence.h"
#include "hv/vcpu.h"

#define SIZE 0x1000

struct rf_vm rf_vm;
static int waiting;
static unsigned says;
static int mapped_fd;
static void *mapped;
static const void *unmapped;

int rf_fence_ioctl(int fd, unsigned long request, void *arg)
{
	*(unsigned long *)arg = request + (unsigned)fd;
	return 3;
}

int rf_fence_waiting(void)
{
	return waiting;
}

void rf_say(const char *what, const char *why)
{
	says++;
}

void rf_vcpu_mapped(int fd, void *run)
{
	mapped_fd = fd;
	mapped = run;
}

void rf_vcpu_unmapped(const void *run)
{
	unmapped = run;
}

static void ioctls_go_through_the_fence(void **state)
{
	unsigned long got = 0;

	assert_int_equal(ioctl(4, 0x5600, &got), 3);
	assert_int_equal(got, 0x5604);
}

/* A vCPU's kvm_run that comes and goes says whether the VMM has the vCPU plugged in. */
static void mappings_of_files_are_told(void **state)
{
	int fd = memfd_create("kvm_run", MFD_CLOEXEC);
	void *at;

	assert_int_equal(ftruncate(fd, SIZE), 0);
	at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(at != MAP_FAILED);
	assert_int_equal(mapped_fd, fd);
	assert_ptr_equal(mapped, at);
	assert_int_equal(munmap(at, SIZE), 0);
	assert_ptr_equal(unmapped, at);
	/* One that was not made, and one of no file. */
	mapped = NULL;
	assert_true(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	at = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	assert_null(mapped);
	munmap(at, SIZE);
	close(fd);
}

static void nothing_is_executable_before_the_vm(void **state)
{
	void *at = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	waiting = 1;
	errno = 0;
	assert_true(mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		    MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_int_equal(mprotect(at, SIZE, PROT_READ | PROT_EXEC), -1);
	assert_int_equal(mprotect(at, SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(says, 1); /* once */
	waiting = 0;
	assert_int_equal(mprotect(at, SIZE, PROT_READ | PROT_EXEC), 0);
	munmap(at, SIZE);
}

/* Can this process have code, and by which way? The bits that are set. */
enum { BY_MMAP = 1, BY_MPROTECT = 2, BY_MMAP_SHARED = 4, OF_A_FILE = 8 };

static int code(void)
{
	int fd = memfd_create("code", MFD_CLOEXEC), ways = 0;
	char *at = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at != MAP_FAILED) {
		ways |= BY_MMAP;
		munmap(at, SIZE);
	}
	at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || ftruncate(fd, SIZE))
		return 0x100;
	at[0] = 1;
	if (!mprotect(at, SIZE, PROT_READ | PROT_EXEC) && at[0] == 1)
		ways |= BY_MPROTECT;
	at = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED && mapped == at && !at[0])
		ways |= BY_MMAP_SHARED;
	at = mmap(NULL, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (at != MAP_FAILED && mapped == at)
		ways |= OF_A_FILE;
	return ways;
}

static int code_behind_a_door(bool used)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		rf_vm.used = used;
		_exit(rf_door_shut(RF_DOOR_CLOSED) ? 0xff : code());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The fence says the word for the VMM once there is a VM, and not before, though nobody asked. */
static void code_passes_the_door_with_a_vm(void **state)
{
	const int all = BY_MMAP | BY_MPROTECT | BY_MMAP_SHARED | OF_A_FILE;

	assert_int_equal(code(), all);
	assert_int_equal(code_behind_a_door(true), all);
	assert_int_equal(code_behind_a_door(false), OF_A_FILE);
}

/* What cannot be executed after all is not there half way. */
static void mapping_that_cannot_be_executed(void **state)
{
	void *at;

	rf_vm.used = true;
	mapped = NULL;
	at = mmap(NULL, SIZE, PROT_EXEC | 0x40000000, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at == MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_null(mapped);
	rf_vm.used = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ioctls_go_through_the_fence),
		cmocka_unit_test(mappings_of_files_are_told),
		cmocka_unit_test(nothing_is_executable_before_the_vm),
		cmocka_unit_test(code_passes_the_door_with_a_vm),
		cmocka_unit_test(mapping_that_cannot_be_executed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
