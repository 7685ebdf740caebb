// SPDX-License-Identifier: LGPL-2.1-or-later
/* Devices write to sealed addresses: into the VMM's own memory, which is healed before the VMM
 * saves it, and listed. */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "hv/fence.h"
#include "tests/kvm/patched.h"

GUEST(v_store, "mov %rcx, (%rdi)");
GUEST(v_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");
GUEST(v_out, "out %al, $0x80");

#define LOG KVM_MEM_LOG_DIRTY_PAGES

/* A device writes that many bytes. */
static void dma(uint64_t gpa, uint8_t byte, size_t len)
{
	memset(vm.ram + gpa, byte, len);
}

static struct rf_heal listed(uint64_t n)
{
	struct rf_heal h;

	CHECK(monitor_heals()->head > n);
	memcpy(&h, (const void *)&monitor_heals()->entries[n % RF_HEALS], sizeof(h));
	return h;
}

static void healed(uint64_t n, uint64_t gpa, uint32_t len, uint8_t byte)
{
	struct rf_heal h = listed(n);
	uint32_t shown = len < RF_HEAL_BYTES ? len : RF_HEAL_BYTES;

	CHECK_EQ(h.gpa, gpa);
	CHECK_EQ(h.len, len);
	CHECK_EQ(h.foreign[0], byte);
	CHECK_EQ(h.foreign[shown - 1], byte);
	CHECK(!memcmp(h.own, sealed_copy(gpa), shown));
	if (shown < RF_HEAL_BYTES)
		CHECK_EQ(h.own[shown] | h.foreign[shown], 0);
	CHECK(!memcmp(vm.ram + SEALED, sealed_copy(SEALED), SEALED_SIZE));
}

void healed_by_command(void)
{
	uint64_t kernel = sealed_machine(1);
	struct cpu *c = &vm.cpus[0];

	CHECK_EQ(monitor_heal(kernel, SEALED, SEALED_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 0);
	dma(SEALED + 0x1010, 0xee, 5);
	CHECK_EQ((int64_t)monitor_heal(kernel + 1, SEALED, SEALED_SIZE, 0), -ESTALE);
	CHECK_EQ((int64_t)monitor_heal(0, SEALED, SEALED_SIZE, 0), -ESTALE);
	CHECK_EQ((int64_t)monitor_heal(kernel, SEALED, -SEALED - 1, 0), 0);
	CHECK_EQ(monitor_heals()->head, 1);
	healed(0, SEALED + 0x1010, 5, 0xee);
	CHECK_EQ((int64_t)monitor_heal(kernel, SEALED, -SEALED, 0), -EINVAL);
	/* The same again is told again, and so is another one on that page. */
	dma(SEALED + 0x1010, 0xee, 5);
	CHECK_EQ(monitor_heal(kernel, SEALED, SEALED_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 2);
	healed(1, SEALED + 0x1010, 5, 0xee);
	dma(SEALED + 0x1000, 0xdd, 0x1000); /* from the first byte to the last */
	dma(SEALED + 0x3fff, 0xdc, 1);
	CHECK_EQ(monitor_heal(kernel, SEALED + 0x2000, 0x2000, 0), 0);
	CHECK_EQ(monitor_heals()->head, 3); /* that part alone */
	CHECK_EQ(listed(2).gpa, SEALED + 0x3fff);
	CHECK_EQ(vm.ram[SEALED + 0x1000], 0xdd);
	CHECK_EQ(monitor_heal(kernel, SEALED + 0x1fff, 1, 0), 0);
	CHECK_EQ(monitor_heals()->head, 4);
	healed(3, SEALED + 0x1000, 0x1000, 0xdd);
	/* Rodata as well as text; each page for itself. */
	dma(OTHER + 8, 1, 1);
	dma(SEALED + 0xfff, 2, 2);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 7);
	healed(4, SEALED + 0xfff, 1, 2);
	healed(5, SEALED + 0x1000, 1, 2);
	healed(6, OTHER + 8, 1, 1);
	check_pattern(c, SEALED + 0x1010);
	check_pattern(c, OTHER + 8);
	/* What the guest may write is nobody's business. */
	dma(SEALED + SEALED_SIZE, 3, 1);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 7);
	CHECK_EQ(vm.ram[SEALED + SEALED_SIZE], 3);

	/* How far the monitor has written them down; nothing else moves it. */
	CHECK_EQ(monitor_heal(0, 0, 0, 8), 0);
	CHECK_EQ(monitor_heals()->taken, 0);
	CHECK_EQ(monitor_heal(0, 0, 0, 7), 0);
	CHECK_EQ(monitor_heals()->taken, 7);
	CHECK_EQ(monitor_heal(kernel, 0, 0, 3), 0);
	CHECK_EQ(monitor_heals()->taken, 7);
	dma(OTHER, 9, 1);
	CHECK_EQ(monitor_heal(0, 0, 0, 0), 0); /* no length: nothing is healed */
	CHECK_EQ(monitor_heals()->head, 7);

	/* More than the list holds: the newest are there. */
	for (unsigned i = 0; i < RF_HEALS + 20; i++) {
		dma(OTHER + i, (uint8_t)~sealed_copy(OTHER + i)[0], 1);
		CHECK_EQ(monitor_heal(kernel, OTHER, 0x1000, 0), 0);
	}
	CHECK_EQ(monitor_heals()->head, 7 + RF_HEALS + 20);
	CHECK_EQ(listed(7 + RF_HEALS + 19).gpa, OTHER + RF_HEALS + 19);
	CHECK_EQ(listed(7 + 20).gpa, OTHER + 20);
	CHECK_EQ(monitor_events(), 1);
}

static uint64_t bits[RAM_SIZE / 0x1000 / 64];

static bool dirty(uint32_t slot, uint64_t at)
{
	return bits[at / 0x1000 / 64] >> (at / 0x1000 % 64) & 1;
}

static void get_log(uint32_t slot)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bits };

	memset(bits, 0, sizeof(bits));
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_GET_DIRTY_LOG, &log), 0);
}

/* What migration reads next has no byte of the device's in it. */
void healed_by_dirty_log(void)
{
	sealed_machine(1);
	CHECK_EQ(machine_slot(0, LOG, 0, RAM_SIZE, vm.ram), 0);
	get_log(0);
	get_log(0);
	dma(SEALED + 0x2ffe, 0xee, 3);
	get_log(0);
	CHECK_EQ(monitor_heals()->head, 2);
	healed(1, SEALED + 0x3000, 1, 0xee);
	CHECK(!dirty(0, SEALED) && !dirty(0, SEALED + 0x1000) && !dirty(0, OTHER));
	CHECK(dirty(0, SEALED + 0x2000) && dirty(0, SEALED + 0x3000));
	get_log(0);
	CHECK(!dirty(0, SEALED + 0x2000) && !dirty(0, SEALED + 0x3000));
	CHECK_EQ(monitor_heals()->head, 2);
	/* One that was healed otherwise is dirty as well. */
	dma(OTHER, 0xee, 1);
	CHECK_EQ(monitor_heal(monitor_board()->kernel, OTHER, 0x1000, 0), 0);
	get_log(0);
	CHECK(dirty(0, OTHER) && !dirty(0, SEALED));
}

/* What the VMM does not ask about it does not read: a display's log is asked for many times a
 * second, and costs no look at sealed memory. */
void log_of_another_slot(void)
{
	struct kvm_dirty_log none = { .slot = 9, .dirty_bitmap = bits };
	uint32_t smm = UINT32_C(1) << 16;

	sealed_machine(1);
	CHECK_EQ(machine_slot(0, LOG, 0, RAM_SIZE, vm.ram), 0);
	CHECK_EQ(machine_slot(7, LOG, SPARE, 0x2000, vm.ram + DATA), 0); /* the display */
	get_log(0);
	get_log(7);
	dma(SEALED + 0x1000, 0xee, 3);
	dma(OTHER, 0xee, 1);
	for (int i = 0; i < 3; i++)
		get_log(7);
	CHECK(!dirty(7, 0) && !dirty(7, 0x1000));
	CHECK_EQ(monitor_heals()->head, 0);
	CHECK_EQ(vm.ram[SEALED + 0x1000] & vm.ram[OTHER], 0xee);
	/* Nor one that is not there. */
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_GET_DIRTY_LOG, &none), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(monitor_heals()->head, 0);
	/* The same number in another address space is another slot. */
	if (ioctl(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_MULTI_ADDRESS_SPACE) > 1) {
		CHECK_EQ(machine_slot(smm, LOG, SPARE, 0x2000, vm.ram + DATA), 0);
		get_log(smm);
		CHECK_EQ(monitor_heals()->head, 0);
		CHECK_EQ(machine_slot(smm | 7, LOG, 0, SEALED, vm.ram), 0);
		get_log(7);
		CHECK_EQ(monitor_heals()->head, 0);
	}
	CHECK_EQ(vm.ram[SEALED + 0x1000] & vm.ram[OTHER], 0xee);
	get_log(0);
	CHECK_EQ(monitor_heals()->head, 2);
	healed(0, SEALED + 0x1000, 3, 0xee);
	healed(1, OTHER, 1, 0xee);
	CHECK(dirty(0, SEALED + 0x1000) && dirty(0, OTHER));
}

static bool heals_now(struct cpu *c)
{
	uint64_t head = monitor_heals()->head;

	dma(SEALED + 0x100, 0xee, 1);
	cpu_regs(c);
	if (monitor_heals()->head == head)
		return false;
	healed(head, SEALED + 0x100, 1, 0xee);
	return true;
}

/* A VMM that saves its guest gets the vCPUs out and reads their registers first. */
void healed_when_stopped(void)
{
	struct cpu *c, *other;

	sealed_machine(2);
	c = &vm.cpus[0];
	other = &vm.cpus[1];
	memset(vm.ram + DATA, 0, 0x1000);
	/* An exit that it deals with, which comes in thousands: not then. */
	CPU_START(c, v_out);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_IO);
	CHECK(!heals_now(c));
	/* KVM skips the OUT at the next entry if RIP still is where it was (complete_fast_pio_out,
	 * arch/x86/kvm/x86.c). */
	c->run->immediate_exit = 1;
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
	c->run->immediate_exit = 0;
	CPU_START(c, v_spin, .rdi = DATA, .rsi = DATA + 64);
	await_change(DATA + 64, 0);
	CPU_START(other, v_spin, .rdi = DATA, .rsi = DATA + 128);
	await_change(DATA + 128, 0);
	cpu_stop(c);
	CHECK(!heals_now(c)); /* the guest still runs */
	cpu_stop(other);
	CHECK(heals_now(other));
	CHECK(heals_now(c));
	c->run->immediate_exit = 1; /* interrupted before it entered */
	CHECK_EQ(cpu_ioctl(c, KVM_RUN, NULL), -1);
	c->run->immediate_exit = 0;
	CHECK(heals_now(c));
	vm.ram[DATA] = 1;
	CPU_START(c, v_spin, .rdi = DATA, .rsi = DATA + 64);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	CHECK(!heals_now(c));
	check_pattern(other, SEALED + 0x108);
}

/* The VMM's memory is the kernel as it was built, traps or not. */
void heals_hide_traps(void)
{
	uint64_t kernel = patched_machine(1);

	plant_trap(kernel);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 0); /* a trap is no difference */
	CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
	dma(TRAPPED - 1, 0xee, 2);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 1);
	CHECK_EQ(listed(0).gpa, TRAPPED - 1);
	CHECK_EQ(listed(0).len, 2);
	CHECK_EQ(listed(0).own[1], ltr[0]);
	CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
	/* As if it knew of the trap. */
	memcpy(vm.ram + TRAPPED, sealed_copy(TRAPPED), 3);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 2);
	CHECK_EQ(listed(1).foreign[0], 0xe6);
	CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
	CHECK_EQ(sealed_copy(TRAPPED)[0], 0xe6);
	/* On the same page, beside it. */
	dma(SEALED, (uint8_t)~sealed_copy(SEALED)[0], 1);
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(listed(2).gpa, SEALED);
	CHECK_EQ(listed(2).len, 1);
	CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
}

/* --- the kernel over two of the VMM's slots --------------------------------------- */

#define CUT (SEALED + 0x2000)

static uint8_t *upper; /* guest memory from CUT on */

static void fill(uint8_t *at, uint64_t from, uint64_t to)
{
	for (uint64_t gpa = from; gpa < to; gpa += 8) {
		uint64_t value = PATTERN(gpa);

		memcpy(at + (gpa - from), &value, 8);
	}
}

static void halves_hold(uint64_t gpa, uint64_t value)
{
	const uint8_t *own = gpa < CUT ? vm.ram + gpa : upper + (gpa - CUT);

	CHECK_EQ(guest_read(&vm.cpus[0], gpa), value);
	CHECK(!memcmp(own, &value, 8));
	CHECK(!memcmp(sealed_copy(gpa), &value, 8));
}

void two_backends(void)
{
	const uint64_t value = UINT64_C(0x8877665544332211);
	uint64_t kernel, low = 0, high = 0;
	struct cpu *c;

	protected_machine(1);
	c = &vm.cpus[0];
	upper = mmap(NULL, RAM_SIZE - CUT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	CHECK(upper != MAP_FAILED);
	CHECK_EQ(machine_slot(0, 0, 0, 0, NULL), 0);
	CHECK_EQ(machine_slot(0, LOG, 0, CUT, vm.ram), 0);
	CHECK_EQ(machine_slot(1, LOG, CUT, RAM_SIZE - CUT, upper), 0);
	fill(vm.ram + SEALED, SEALED, CUT);
	fill(upper, CUT, OTHER + 0x2000);
	memset(vm.ram + CUT, 0xcc, 0x4000); /* where the other half is not */
	kernel = kernel_starts(0);
	CHECK_EQ(seal_both(kernel), 0);
	kernel_goes_on(kernel);
	halves_hold(SEALED, PATTERN(SEALED));
	halves_hold(CUT - 8, PATTERN(CUT - 8));
	halves_hold(CUT, PATTERN(CUT));
	halves_hold(OTHER, PATTERN(OTHER));
	store_is_denied(c, CUT - 4); /* over the cut */
	store_is_denied(c, CUT + 8);
	store_is_denied(c, SEALED + 8);
	monitor_set_judge(allow);
	CPU_DO(c, v_store, .rdi = CUT - 4, .rcx = value);
	memcpy((uint8_t *)&low + 4, &value, 4);
	memcpy(&high, (const uint8_t *)&value + 4, 4);
	halves_hold(CUT - 8, low | (PATTERN(CUT - 8) & UINT32_MAX));
	halves_hold(CUT, high | (PATTERN(CUT) & ~(uint64_t)UINT32_MAX));
	monitor_set_judge(NULL);
	get_log(1);
	CHECK(dirty(1, 0));
	get_log(0);
	get_log(1);
	get_log(0);
	/* A device writes to both. */
	upper[0x1000] ^= 0xff;
	vm.ram[SEALED] ^= 0xff;
	get_log(1);
	CHECK(dirty(1, 0x1000) && !dirty(1, 0) && !dirty(1, 0x2000));
	CHECK_EQ(monitor_heals()->head,
		 1); /* what is asked for is healed: the rest is in its turn */
	CHECK_EQ(listed(0).gpa, CUT + 0x1000);
	get_log(0);
	CHECK_EQ(monitor_heals()->head, 2);
	CHECK_EQ(listed(1).gpa, SEALED);
	CHECK(dirty(0, SEALED) && !dirty(0, SEALED + 0x1000));
	halves_hold(SEALED, PATTERN(SEALED));
	halves_hold(CUT + 0x1000, PATTERN(CUT + 0x1000));
	/* Released: the guest's memory is the VMM's own again, both halves of it. */
	machine_reset();
	CPU_DO(c, v_store, .rdi = CUT - 4, .rcx = 0);
	CHECK_EQ(upper[0] | upper[3], 0);
	CHECK_EQ(upper[4], (uint8_t)(PATTERN(CUT) >> 32));
	CHECK_EQ(vm.ram[CUT - 1] | vm.ram[CUT - 4], 0);
	CHECK_EQ(vm.ram[CUT], 0xcc);
}
