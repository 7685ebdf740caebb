/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hv/fence.c, what the VMM asks of KVM, with KVM and all else that it calls made up: a kernel that
 * is newer than any that the fence knows, and what happens while a request is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/event.h"
#include "hv/fence.h"
#include "hv/guestmem.h"
#include "hv/known.h"
#include "hv/life.h"
#include "hv/run.h"
#include "hv/serve.h"
#include "hv/text.h"

#define VM 5
#define VCPU 7

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
struct rf_vm rf_vm = { .used = true, .fd = VM, .lock = PTHREAD_MUTEX_INITIALIZER };
const struct rf_channel_handlers rf_serve;
static struct kvm_run area;
static struct rf_vcpu vcpu = { .fd = VCPU, .run = &area };

static char done[16]; /* one letter each */
static bool loads;

static void does(char what)
{
	size_t n = strlen(done);

	assert_true(n + 1 < sizeof(done));
	done[n] = what;
}

/* KVM has every capability there is, and any that is to come. */
long syscall(long number, ...)
{
	unsigned long request;
	va_list ap;

	va_start(ap, number);
	va_arg(ap, unsigned long);
	request = va_arg(ap, unsigned long);
	va_end(ap);
	assert_int_equal(number, SYS_ioctl);
	does('k');
	return request == KVM_CHECK_EXTENSION;
}

bool rf_arch_loads(struct rf_vcpu *v, unsigned long request, const void *arg)
{
	return loads;
}

void rf_life_loaded(struct rf_vcpu *v)
{
	does('l');
}

bool rf_arch_saves(unsigned long request)
{
	return false;
}

bool rf_life_holds_load(void)
{
	return false;
}

struct rf_vcpu *rf_vcpu_of(int fd)
{
	return fd == VCPU ? &vcpu : NULL;
}

/* Not called here. */
void rf_say(const char *what, const char *why) {}

int rf_gate_init(void)
{
	return 0;
}

int rf_gate_signal(void)
{
	return 0;
}

void rf_gate_bind(struct rf_vcpu *v) {}

int rf_vcpu_run(struct rf_vcpu *v)
{
	return 0;
}

unsigned rf_vcpu_count(void)
{
	return 0;
}

int rf_vcpu_create(uintptr_t id, struct rf_arch_vcpu *arch)
{
	return 0;
}

struct rf_arch_vcpu *rf_arch_vcpu(unsigned n, uintptr_t id)
{
	return NULL;
}

const char *rf_arch_refusal(int kvm_fd)
{
	return NULL;
}

int rf_arch_protect(int vm_fd, const char **why)
{
	return 0;
}

bool rf_arch_vm_ioctl(unsigned long request, void *arg, int *result)
{
	return false;
}

void rf_event_init(void) {}

int rf_board_create(int *out_fd)
{
	return 0;
}

void rf_board_begin(void) {}

void rf_board_end(void) {}

void rf_text_reset(void) {}

void rf_guestmem_init(int vm_fd, uint32_t id_limit) {}

int rf_guestmem_set(const struct kvm_userspace_memory_region *r)
{
	return 0;
}

int rf_guestmem_dirty_log(const struct kvm_dirty_log *log, bool heal)
{
	return 0;
}

bool rf_guestmem_overlaid(uint64_t gpa, uint64_t size)
{
	return false;
}

void rf_guestmem_heal_stopped(void) {}

int rf_channel_start(const char *path, int board, const struct rf_channel_handlers *h,
		     const char **why)
{
	return 0;
}

static int asked(int fd, unsigned long request, void *arg)
{
	memset(done, 0, sizeof(done));
	return rf_fence_ioctl(fd, request, arg);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void capabilities_of_a_newer_kernel(void **state)
{
	for (uintptr_t cap = RF_KNOWN_CAP_LAST + 1; cap < RF_KNOWN_CAP_LAST + 300; cap++) {
		assert_int_equal(asked(VM, KVM_CHECK_EXTENSION, (void *)cap), 0);
		assert_int_equal(asked(VM + 100, KVM_CHECK_EXTENSION, (void *)cap), 0);
	}
	assert_int_equal(asked(VM, KVM_CHECK_EXTENSION, (void *)RF_KNOWN_CAP_LAST), 1);
	/* What it has and the fence refuses. */
	assert_int_equal(asked(VM, KVM_CHECK_EXTENSION, (void *)KVM_CAP_DIRTY_LOG_RING), 0);
	assert_int_equal(asked(VM, KVM_CHECK_EXTENSION, (void *)KVM_CAP_XEN_HVM), 0);
	assert_int_equal(asked(VM, KVM_CHECK_EXTENSION, (void *)223), 0); /* ..._ACQ_REL */
}

/* Another vCPU that looks at what was loaded while KVM loads it sees what was there before: it is
 * to be looked at after that, too. */
static void load_is_told_before_and_after(void **state)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

	loads = true;
	assert_int_equal(asked(VCPU, KVM_SET_MP_STATE, &mp), 0);
	assert_string_equal(done, "lkl");
	loads = false;
	assert_int_equal(asked(VCPU, KVM_SET_MP_STATE, &mp), 0);
	assert_string_equal(done, "k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_of_a_newer_kernel),
		cmocka_unit_test(load_is_told_before_and_after),
	};

	assert_int_equal(rf_fence_request("/made/up"), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
