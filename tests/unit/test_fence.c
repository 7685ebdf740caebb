// SPDX-License-Identifier: LGPL-2.1-or-later
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

int rf_channel_start(int run, int board, const struct rf_channel_handlers *h, const char **why)
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

/*
 * What QEMU depends on, by its own word and not by our table's (accel/kvm/kvm-all.c, hw/i386/kvm/,
 * target/i386/kvm/): refused, it would not start, lose its state or not be migrated.
 */
static const unsigned long of_kvm[] = {
	KVM_GET_API_VERSION,
	KVM_CREATE_VM,
	KVM_CHECK_EXTENSION,
	KVM_GET_VCPU_MMAP_SIZE,
	KVM_GET_MSR_INDEX_LIST,
	KVM_GET_MSR_FEATURE_INDEX_LIST,
	KVM_GET_MSRS,
	KVM_GET_SUPPORTED_CPUID,
	KVM_GET_SUPPORTED_HV_CPUID,
	KVM_X86_GET_MCE_CAP_SUPPORTED,
	KVM_SET_DEVICE_ATTR,
	KVM_GET_DEVICE_ATTR,
	KVM_HAS_DEVICE_ATTR,
};

static const unsigned long of_vms[] = {
	KVM_CHECK_EXTENSION,
	KVM_ENABLE_CAP,
	KVM_CREATE_VCPU,
	KVM_SET_USER_MEMORY_REGION,
	KVM_GET_DIRTY_LOG,
	KVM_SET_TSS_ADDR,
	KVM_SET_IDENTITY_MAP_ADDR,
	KVM_SET_BOOT_CPU_ID,
	KVM_SET_TSC_KHZ,
	KVM_GET_TSC_KHZ,
	KVM_CREATE_IRQCHIP,
	KVM_GET_IRQCHIP,
	KVM_SET_IRQCHIP,
	KVM_CREATE_PIT2,
	KVM_GET_PIT2,
	KVM_SET_PIT2,
	KVM_REINJECT_CONTROL,
	KVM_IRQ_LINE,
	KVM_IRQ_LINE_STATUS,
	KVM_SET_GSI_ROUTING,
	KVM_SIGNAL_MSI,
	KVM_IRQFD,
	KVM_IOEVENTFD,
	KVM_REGISTER_COALESCED_MMIO,
	KVM_UNREGISTER_COALESCED_MMIO,
	KVM_CREATE_DEVICE,
	KVM_GET_CLOCK,
	KVM_SET_CLOCK,
	KVM_X86_SET_MSR_FILTER,
	KVM_SET_PMU_EVENT_FILTER,
	KVM_HYPERV_EVENTFD,
	KVM_GET_STATS_FD,
};

static const unsigned long of_vcpus[] = {
	KVM_RUN,
	KVM_ENABLE_CAP,
	KVM_SET_SIGNAL_MASK,
	KVM_SET_GUEST_DEBUG,
	KVM_SET_CPUID2,
	KVM_GET_TSC_KHZ,
	KVM_SET_TSC_KHZ,
	KVM_X86_SETUP_MCE,
	KVM_X86_SET_MCE,
	KVM_GET_REGS,
	KVM_SET_REGS,
	KVM_GET_SREGS,
	KVM_SET_SREGS,
	KVM_GET_SREGS2,
	KVM_SET_SREGS2,
	KVM_GET_FPU,
	KVM_SET_FPU,
	KVM_GET_XSAVE,
	KVM_GET_XSAVE2,
	KVM_SET_XSAVE,
	KVM_GET_XCRS,
	KVM_SET_XCRS,
	KVM_GET_MSRS,
	KVM_SET_MSRS,
	KVM_GET_LAPIC,
	KVM_SET_LAPIC,
	KVM_GET_MP_STATE,
	KVM_SET_MP_STATE,
	KVM_GET_VCPU_EVENTS,
	KVM_SET_VCPU_EVENTS,
	KVM_GET_DEBUGREGS,
	KVM_SET_DEBUGREGS,
	KVM_GET_NESTED_STATE,
	KVM_SET_NESTED_STATE,
	KVM_GET_SUPPORTED_HV_CPUID,
	KVM_INTERRUPT,
	KVM_NMI,
	KVM_SMI,
	KVM_TPR_ACCESS_REPORTING,
	KVM_SET_VAPIC_ADDR,
	KVM_KVMCLOCK_CTRL,
	KVM_TRANSLATE,
	KVM_GET_STATS_FD,
};

static const unsigned long caps_of_vms[] = {
	KVM_CAP_SPLIT_IRQCHIP,
	KVM_CAP_X2APIC_API,
	KVM_CAP_X86_DISABLE_EXITS,
	KVM_CAP_EXCEPTION_PAYLOAD,
	KVM_CAP_X86_TRIPLE_FAULT_EVENT,
	KVM_CAP_X86_BUS_LOCK_EXIT,
	KVM_CAP_X86_NOTIFY_VMEXIT,
	KVM_CAP_EXIT_HYPERCALL,
	KVM_CAP_MAX_VCPU_ID,
	KVM_CAP_PMU_CAPABILITY,
	KVM_CAP_SGX_ATTRIBUTE,
};

static const unsigned long caps_of_vcpus[] = {
	KVM_CAP_HYPERV_SYNIC,
	KVM_CAP_HYPERV_SYNIC2,
	KVM_CAP_HYPERV_ENLIGHTENED_VMCS,
	KVM_CAP_HYPERV_ENFORCE_CPUID,
	KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void are_known(const unsigned long *requests, size_t count, enum rf_known_fd on)
{
	for (size_t i = 0; i < count; i++) {
		const struct rf_known *k = rf_known_ioctl(requests[i], on);

		if (!k || k->how == RF_KNOWN_REFUSE)
			fail_msg("ioctl %#lx on %u is refused", requests[i], on);
	}
}

static void may_be_enabled(int fd, const unsigned long *caps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct kvm_enable_cap c = { .cap = (uint32_t)caps[i] };

		if (asked(fd, KVM_ENABLE_CAP, &c) || strcmp(done, "k") != 0)
			fail_msg("capability %lu cannot be enabled", caps[i]);
	}
}

static void what_qemu_depends_on(void **state)
{
	are_known(of_kvm, COUNT(of_kvm), RF_ON_OTHER);
	are_known(of_vms, COUNT(of_vms), RF_ON_VM);
	are_known(of_vcpus, COUNT(of_vcpus), RF_ON_VCPU);
	may_be_enabled(VM, caps_of_vms, COUNT(caps_of_vms));
	may_be_enabled(VCPU, caps_of_vcpus, COUNT(caps_of_vcpus));
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
		cmocka_unit_test(what_qemu_depends_on),
		cmocka_unit_test(load_is_told_before_and_after),
	};

	rf_fence_request(9);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
