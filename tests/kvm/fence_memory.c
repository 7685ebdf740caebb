// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the VMM does to its memory, its slots and its vCPUs while the guest is sealed. */
#include <sys/mman.h>

#include "hv/fence.h"
#include "tests/kvm/scenario.h"

#define LOG KVM_MEM_LOG_DIRTY_PAGES
#define PAGES (RAM_SIZE / 0x1000)
#define PAGE(gpa) ((gpa) / 0x1000)

GUEST(m_store, "mov %rcx, (%rdi)");
GUEST(m_store2, "mov %rcx, (%rdi)\n mov %rcx, (%rsi)");

static uint64_t bits[PAGES / 64];

static int get_log(void)
{
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };

	memset(bits, 0x55, sizeof(bits)); /* all of it must be written */
	return rf_fence_ioctl(vm.vm, KVM_GET_DIRTY_LOG, &log);
}

static bool dirty(uint64_t gpa)
{
	return bits[PAGE(gpa) / 64] >> (PAGE(gpa) % 64) & 1;
}

void dirty_log(void)
{
	struct cpu *c;

	sealed_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(allow);
	CHECK_EQ(get_log(), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(machine_slot(0, LOG, 0, RAM_SIZE, vm.ram), 0);
	CHECK_EQ(get_log(), 0);
	CPU_DO(c, m_store2, .rdi = SEALED - 0x1000, .rsi = SEALED + SEALED_SIZE, .rcx = 1);
	CPU_DO(c, m_store2, .rdi = SEALED + 0x2008, .rsi = OTHER + 0x1000, .rcx = 1);
	CPU_DO(c, m_store, .rdi = RAM_SIZE - 8, .rcx = 1);
	CHECK_EQ(get_log(), 0);
	CHECK(dirty(SEALED - 0x1000) && dirty(SEALED + SEALED_SIZE)); /* the slot's pieces */
	CHECK(dirty(SEALED + 0x2000));				      /* an allowed patch */
	CHECK(dirty(OTHER + 0x1000) && dirty(RAM_SIZE - 8));
	CHECK(!dirty(SEALED) && !dirty(SEALED + 0x1000) && !dirty(SEALED + 0x3000) && !dirty(OTHER));
	CHECK(!dirty(RAM_SIZE - 0x2000));
	CHECK_EQ(get_log(), 0);
	CHECK(!dirty(SEALED + 0x2000) && !dirty(SEALED - 0x1000) && !dirty(OTHER + 0x1000));
	/* A refused store leaves nothing dirty. */
	before = (struct kvm_regs){ .rdi = SEALED, .rcx = 5, .rsp = STACK + 0x1000 };
	monitor_set_judge(deny_at_code);
	CPU_START(c, m_store, .rdi = SEALED, .rcx = 5);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK_EQ(get_log(), 0);
	CHECK(!dirty(SEALED));
	CHECK_EQ(machine_slot(0, 0, 0, RAM_SIZE, vm.ram), 0);
	CHECK_EQ(get_log(), -1);
	check_pattern(c, SEALED);
}

static void denied(struct cpu *c, uint64_t gpa)
{
	struct fault f;

	monitor_set_judge(deny_at_code);
	before = (struct kvm_regs){ .rdi = gpa, .rcx = 5,
				    .rsp = STACK + (c->index + 1) * 0x1000 };
	CPU_START(c, m_store, .rdi = gpa, .rcx = 5);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
}

static void still_sealed(struct cpu *c)
{
	uint64_t value;

	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	for (uint64_t gpa = SEALED; gpa < SEALED + SEALED_SIZE; gpa += 0xff8) {
		CHECK_EQ(guest_read(c, gpa & ~7ull), PATTERN(gpa & ~7ull));
		memcpy(&value, sealed_copy(gpa & ~7ull), 8);
		CHECK_EQ(value, PATTERN(gpa & ~7ull));
	}
	CHECK_EQ(guest_read(c, OTHER), PATTERN(OTHER));
	denied(c, SEALED + 0x1234);
	denied(c, OTHER + 8);
	CHECK_EQ(guest_read(c, OTHER + 8), PATTERN(OTHER + 8));
}

/* Whatever the VMM does with its slots, sealed bytes stay, and other memory is as the VMM says. */
void vmm_changes_slots(void)
{
	uint8_t *more = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct cpu *c;

	sealed_machine(1);
	c = &vm.cpus[0];
	memset(more, 0x77, RAM_SIZE);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(machine_slot(0, LOG, 0, RAM_SIZE, vm.ram), 0);
		CHECK_EQ(machine_slot(0, 0, 0, RAM_SIZE, vm.ram), 0);
	}
	still_sealed(c);

	/* As KVM would refuse them. */
	CHECK_EQ(machine_slot(0, 0, 0, RAM_SIZE / 2, vm.ram), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(machine_slot(0, KVM_MEM_READONLY, 0, RAM_SIZE, vm.ram), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(machine_slot(5, 0, SEALED, 0x1000, more), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(machine_slot(5, 0, SEALED - 0x1000, 0x2000, more), -1);
	CHECK_EQ(errno, EEXIST);
	still_sealed(c);

	/* Gone and back: with the guest's tables in it, so nothing runs in between. */
	CHECK_EQ(machine_slot(0, 0, 0, 0, vm.ram), 0);
	CHECK_EQ(monitor_board()->regions_count, 2);
	CHECK_EQ(machine_slot(0, 0, 0, RAM_SIZE, vm.ram), 0);
	still_sealed(c);

	/* Other memory of the VMM's around and under it: split as in QEMU's PAM, with bytes of its own. */
	CHECK_EQ(machine_slot(0, 0, 0, 0, vm.ram), 0);
	CHECK_EQ(machine_slot(0, 0, 0, SEALED - 0x1000, vm.ram), 0);
	CHECK_EQ(machine_slot(1, 0, SEALED - 0x1000, 0x3000, more), 0); /* over its first half */
	CHECK_EQ(machine_slot(2, KVM_MEM_READONLY, SEALED + 0x2000, 0x4000, more), 0); /* its second */
	CHECK_EQ(machine_slot(3, 0, OTHER, 0x1000, more), 0); /* all of it */
	CHECK_EQ(guest_read(c, SEALED - 8), UINT64_C(0x7777777777777777));
	CHECK_EQ(guest_read(c, SEALED + SEALED_SIZE), UINT64_C(0x7777777777777777));
	still_sealed(c);
	CHECK_EQ(machine_slot(4, 0, SPARE, 0x1000, more), 0);
	CHECK_EQ(guest_read(c, SPARE), UINT64_C(0x7777777777777777));

	/* Memory that the VMM took away is not written to by a patch. */
	CHECK_EQ(machine_slot(3, 0, OTHER, 0, NULL), 0);
	munmap(more, RAM_SIZE);
	monitor_set_judge(allow);
	CPU_DO(c, m_store, .rdi = OTHER + 16, .rcx = 0x99);
	CHECK_EQ(guest_read(c, OTHER + 16), 0x99);
}

/* A device's DMA ends in the VMM's own pages. */
void vmm_writes_its_memory(void)
{
	struct cpu *c;
	uint64_t value;

	sealed_machine(1);
	c = &vm.cpus[0];
	memset(vm.ram + SEALED, 0xee, SEALED_SIZE);
	memset(vm.ram + OTHER, 0xee, 0x1000);
	still_sealed(c);
	memcpy(&value, vm.ram + SEALED, sizeof(value)); /* and shows there */
	CHECK_EQ(value, UINT64_C(0xeeeeeeeeeeeeeeee));
	/* Memory that is not sealed is the device's as ever. */
	memset(vm.ram + SEALED + SEALED_SIZE, 0xee, 8);
	CHECK_EQ(guest_read(c, SEALED + SEALED_SIZE), UINT64_C(0xeeeeeeeeeeeeeeee));
	/* Mapped away altogether, as ballooning would. */
	CHECK(mmap(vm.ram + SEALED, SEALED_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	still_sealed(c);
}

void cpu_added_later(void)
{
	struct cpu *c;

	sealed_machine(1);
	c = machine_add_cpu();
	CHECK_EQ(monitor_board()->vcpus, 2);
	still_sealed(c);
	CHECK_EQ(monitor_event(monitor_events() - 1, RF_EVENT_WRITE).vcpu, 1);
}

void reset_releases(void)
{
	uint64_t kernel = sealed_machine(2), next;
	struct cpu *c = &vm.cpus[0];
	unsigned n;
	uint64_t value;

	/* A patch that was allowed is there after the reset too: the decoy followed. */
	monitor_set_judge(allow);
	CPU_DO(c, m_store, .rdi = SEALED + 8, .rcx = 0xabc);
	monitor_set_judge(NULL);
	n = monitor_events();
	machine_reset();
	CHECK_EQ(monitor_event(n, RF_EVENT_RESET).life.cause, RF_CAUSE_RESET);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_board()->regions_count, 0);
	CHECK_EQ(monitor_board()->copy_bytes, 0);
	CHECK(!sealed_copy(SEALED));
	CPU_DO(c, m_store, .rdi = SEALED, .rcx = 0x123);
	memcpy(&value, vm.ram + SEALED, sizeof(value));
	CHECK_EQ(value, 0x123);
	CHECK_EQ(guest_read(c, SEALED + 8), 0xabc);
	CHECK_EQ(monitor_watch(kernel, WATCHED, 8, 0x55), -ESTALE);
	CHECK_EQ(seal_both(kernel), -ESTALE);
	CHECK_EQ(seal_both(0), -ESTALE);
	CHECK_EQ(monitor_board()->regions_count, 0);
	/* The next kernel is sealed as the first was. */
	fill_pattern();
	next = kernel_starts(n + 1);
	CHECK(next > kernel);
	CHECK_EQ(seal_both(kernel), -ESTALE);
	CHECK_EQ(seal_both_fresh(next), 0);
	kernel_goes_on(next);
	still_sealed(c);
	still_sealed(&vm.cpus[1]);
}

#define CSTAR 0xc0000083u

/* A guest that was asleep: what was sealed is there again, whatever was stored meanwhile. */
void sealed_again(void)
{
	const struct rf_region *both = both_regions;
	struct rf_region moved[] = { both[0], both[1] };
	struct rf_msg_pin pin = { .count = 1 };
	struct cpu *c;
	uint64_t kernel, next;
	unsigned n;

	pin.kernel = kernel = sealed_machine(1);
	c = &vm.cpus[0];
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0x1000), 0);
	pin.pins[0].index = CSTAR;
	pin.pins[0].how = RF_PIN_VALUE;
	pin.pins[0].mask = UINT64_MAX;
	CHECK_EQ(monitor_pin(&pin), 0);
	monitor_set_judge(allow);
	CPU_DO(c, m_store, .rdi = SEALED + 8, .rcx = 0xabc);
	monitor_set_judge(NULL);
	n = monitor_events();
	machine_reset();
	monitor_event(n, RF_EVENT_RESET);
	CPU_DO(c, m_store, .rdi = SEALED, .rcx = 0x123);
	CPU_DO(c, m_store, .rdi = OTHER, .rcx = 0x456);
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0), 0);
	pin.kernel = next = kernel_starts(n + 1);
	CHECK_EQ(monitor_seal_again(kernel, both, 2), -ESTALE);
	CHECK_EQ(monitor_seal_again(next, both, 1), -ENOENT);
	moved[1].gva += 0x1000;
	CHECK_EQ(monitor_seal_again(next, moved, 2), -ENOENT);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(monitor_seal_again(next, both, 2), 0);
	CHECK_EQ(monitor_board()->copy_bytes, SEALED_SIZE + 0x1000);
	CHECK_EQ(monitor_pin(&pin), 0);
	kernel_goes_on(next);
	CHECK_EQ(guest_read(c, SEALED), PATTERN(SEALED));
	CHECK_EQ(guest_read(c, SEALED + 8), 0xabc);
	CHECK_EQ(guest_read(c, OTHER), PATTERN(OTHER));
	/* Where a sweep finds it. */
	CHECK_EQ(*(uint64_t *)(vm.ram + OTHER), 0x456);
	/* What the kernel loads next is what it had. */
	CHECK_EQ(cpu_set_msr(c, CSTAR, 0x1000), 0);
	still_sealed(c);
	/* And again: kept through any number of resets, until another kernel is sealed. */
	n = monitor_events();
	for (int i = 0; i < 50; i++)
		machine_reset();
	monitor_event(n, RF_EVENT_RESET); /* the others found nothing to release */
	next = kernel_starts(n + 1);
	CHECK_EQ(seal_both(next), -EEXIST); /* these, with this entry: kept or fresh, nothing else */
	CHECK_EQ(monitor_seal_again(next, both, 2), 0);
	kernel_goes_on(next);
	CHECK_EQ(guest_read(c, OTHER), PATTERN(OTHER));
	n = monitor_events();
	machine_reset();
	monitor_event(n, RF_EVENT_RESET);
	next = kernel_starts(n + 1);
	CHECK_EQ(monitor_seal_how(next, both, 2, RF_SEAL_FRESH), 0);
	kernel_goes_on(next);
	CHECK_EQ(guest_read(c, OTHER), 0x456);
}
