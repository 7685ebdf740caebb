// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hv/vmx/exit.c over a kvm_run that the test fills in: what is taken out of it, also of exits that
 * this machine's KVM never makes, and stores of many parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/guestmem.h"
#include "hv/vmx/exit.h"
#include "hv/vmx/msr.h"
#include "hv/vmx/trap.h"
#include "hv/vmx/vm.h"

#define SEALED 0x200000u
#define SIZE 0x4000u

struct rf_memslots rf_guestmem;
struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
struct rf_vmm_asked rf_vmm_asked;
static struct kvm_run area;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area };

static const uint64_t trap = SEALED + 0x400;
static uint32_t traps;
static unsigned wheres;

const uint64_t *rf_traps_at(uint32_t *count)
{
	*count = traps;
	return &trap;
}

void rf_cpu_where(struct rf_vcpu *v, uint64_t *rip, uint32_t *cpl)
{
	wheres++;
	*rip = trap;
	*cpl = 0;
}

bool rf_msr_ours(uint32_t index)
{
	return index == 0xc0000081;
}

static unsigned holds;

void rf_gate_hold_entry(struct rf_vcpu *v)
{
	holds++;
	v->run->immediate_exit = 1;
}

static jmp_buf ended;

void rf_fatal(const char *why)
{
	longjmp(ended, 1);
}

/* The parts that KVM still has; then -EINTR. */
static struct {
	uint64_t gpa;
	uint32_t len;
} parts[80];
static unsigned nr_parts, at_part;

long syscall(long number, ...)
{
	assert_int_equal(area.immediate_exit, 1); /* the guest does not run */
	assert_int_equal(pthread_mutex_trylock(&rf_vm.lock), EBUSY);
	if (at_part == nr_parts) {
		errno = EINTR;
		return -1;
	}
	area.exit_reason = KVM_EXIT_MMIO;
	area.mmio.phys_addr = parts[at_part].gpa;
	area.mmio.len = parts[at_part].len;
	area.mmio.is_write = 1;
	memset(area.mmio.data, (int)at_part + 1, 8);
	at_part++;
	return 0;
}

static void anew(void)
{
	memset(&area, 0, sizeof(area));
	memset(&rf_guestmem, 0, sizeof(rf_guestmem));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	rf_guestmem.nr_overlays = 1;
	rf_guestmem.overlays[0].kind = RF_OVERLAY_SEAL;
	rf_guestmem.overlays[0].gpa = (struct rf_range){ SEALED, SIZE };
	rf_vmm_asked.msr_exits = false;
	traps = 1;
	holds = wheres = nr_parts = at_part = 0;
}

static enum rf_decoded decoded(struct rf_exit *e)
{
	rf_exit_copy(&vcpu, e);
	return rf_exit_decode(e);
}

static void stores(void **state)
{
	struct rf_exit e;

	anew();
	area.exit_reason = KVM_EXIT_MMIO;
	area.mmio.phys_addr = SEALED + 8;
	area.mmio.len = 4;
	area.mmio.is_write = 1;
	memcpy(area.mmio.data, "abcdefgh", 8);
	assert_int_equal(decoded(&e), RF_SEALED_STORE);
	assert_int_equal(e.mmio.gpa, SEALED + 8);
	assert_int_equal(e.mmio.len, 4);
	assert_memory_equal(e.mmio.data, "abcdefgh", 8);
	rf_guestmem.overlays[0].kind = RF_OVERLAY_WATCH;
	assert_int_equal(decoded(&e), RF_WATCHED_STORE);
	rf_guestmem.nr_overlays = 0;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
}

static void msrs(void **state)
{
	struct rf_exit e;

	anew();
	area.exit_reason = KVM_EXIT_X86_WRMSR;
	area.msr.index = RF_MSR_LSTAR;
	area.msr.data = 5;
	area.msr.reason = KVM_MSR_EXIT_REASON_FILTER;
	assert_int_equal(decoded(&e), RF_KERNEL_MSR);
	assert_int_equal(e.msr.value, 5);
	area.msr.index = 0xc0000081;
	assert_int_equal(decoded(&e), RF_PINNED_MSR);
	area.msr.index = 0x10;
	assert_int_equal(decoded(&e), RF_MSR_DENY);
	rf_vmm_asked.msr_exits = true;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	/* Reads are the VMM's, of ours too; and what no filter has to do with. */
	area.msr.index = 0xc0000081;
	area.exit_reason = KVM_EXIT_X86_RDMSR;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	area.exit_reason = KVM_EXIT_X86_WRMSR;
	area.msr.reason = KVM_MSR_EXIT_REASON_INVAL;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
}

static void outs(void **state)
{
	struct rf_exit e;

	anew();
	area.exit_reason = KVM_EXIT_IO;
	area.io.port = RF_TRAP_PORT;
	area.io.size = area.io.count = 1;
	area.io.direction = KVM_EXIT_IO_OUT;
	assert_int_equal(decoded(&e), RF_TRAPPED);
	assert_int_equal(wheres, 1);
	area.io.direction = KVM_EXIT_IO_IN;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	/* Another port's, or no traps: nothing is read of the vCPU. */
	wheres = 0;
	area.io.direction = KVM_EXIT_IO_OUT;
	traps = 0;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	traps = 1;
	area.io.port = 0x80;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	assert_int_equal(wheres, 0);
}

static void unemulated(void **state)
{
	struct rf_exit e;

	anew();
	area.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	area.emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	area.emulation_failure.ndata = 4;
	area.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	area.emulation_failure.insn_size = 15;
	memcpy(area.emulation_failure.insn_bytes, "123456789abcdef", 15);
	assert_int_equal(decoded(&e), RF_CANNOT_EMULATE);
	assert_true(e.insn.has_bytes);
	assert_int_equal(e.insn.len, 15);
	assert_memory_equal(e.insn.bytes, "123456789abcdef", 15);
	/* Bytes count where KVM says that they are there, and has room for them. */
	area.emulation_failure.flags = 0;
	assert_int_equal(decoded(&e), RF_CANNOT_EMULATE);
	assert_false(e.insn.has_bytes);
	area.emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	area.emulation_failure.ndata = 2;
	assert_int_equal(decoded(&e), RF_CANNOT_EMULATE);
	assert_false(e.insn.has_bytes);
	area.emulation_failure.ndata = 3;
	area.emulation_failure.insn_size = 16;
	assert_int_equal(decoded(&e), RF_MALFORMED);
	area.internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	area.internal.suberror = KVM_INTERNAL_ERROR_SIMUL_EX;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
}

/* x86.c kvm_prepare_event_vectoring_exit(): with an address the CPU is the fifth word, else the
 * fourth. */
static void undelivered(void **state)
{
	struct rf_exit e;

	anew();
	area.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	area.internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	area.internal.ndata = 5;
	area.internal.data[3] = SEALED + 0x10;
	area.internal.data[4] = 1;
	assert_int_equal(decoded(&e), RF_UNDELIVERED);
	assert_int_equal(e.delivery.gpa, SEALED + 0x10);
	area.internal.data[3] = SEALED + SIZE;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
	/* No address: it may have been meant for any. */
	area.internal.ndata = 4;
	area.internal.data[3] = 1;
	assert_int_equal(decoded(&e), RF_UNDELIVERED);
	assert_int_equal(e.delivery.gpa, UINT64_MAX);
	rf_guestmem.nr_overlays = 0;
	assert_int_equal(decoded(&e), RF_NOT_OURS);
}

/* --- one instruction, all its parts ----------------------------------------------------------- */

static void part(uint64_t gpa, uint32_t len)
{
	parts[nr_parts].gpa = gpa;
	parts[nr_parts++].len = len;
}

/* The first part was reported: it is in the event. */
static bool drains(uint64_t gpa, uint32_t len)
{
	vcpu.wait.event.write.gpa = gpa;
	vcpu.wait.event.write.len = len;
	return rf_arch_drain(&vcpu);
}

static void parts_that_follow(void **state)
{
	const struct rf_msg_event *ev = &vcpu.wait.event;

	anew();
	assert_false(drains(SEALED, 8));
	assert_int_equal(ev->write.len, 8);
	assert_int_equal(ev->write.elsewhere, 0);
	assert_int_equal(ev->write.rip_after, 1);
	assert_int_equal(holds, 1);

	anew();
	part(SEALED + 8, 8);
	part(SEALED + 16, 3);
	assert_false(drains(SEALED, 8));
	assert_int_equal(ev->write.len, 19);
	assert_int_equal(ev->write.elsewhere, 0);
	assert_int_equal(ev->write.bytes[8], 1);
	assert_int_equal(ev->write.bytes[15], 1);
	assert_int_equal(ev->write.bytes[18], 2);
	assert_int_equal(ev->write.bytes[19], 0);
	assert_int_equal(holds, 3);
}

static void parts_elsewhere(void **state)
{
	const struct rf_msg_event *ev = &vcpu.wait.event;
	static const uint64_t not_behind[] = { SEALED + 9, SEALED + 7, SEALED, SEALED + 0x1000 };

	for (size_t i = 0; i < sizeof(not_behind) / sizeof(not_behind[0]); i++) {
		anew();
		part(not_behind[i], 8);
		assert_false(drains(SEALED, 8));
		assert_int_equal(ev->write.len, 8);
		assert_int_equal(ev->write.elsewhere, 1);
	}
	/* Into a device: that exit is the VMM's, and nothing is taken of it. */
	anew();
	part(SEALED + 0x4000, 8);
	assert_true(drains(SEALED + 0x3ff8, 8));
	assert_int_equal(ev->write.len, 8);
	assert_int_equal(ev->write.elsewhere, 0);
	assert_int_equal(area.exit_reason, KVM_EXIT_MMIO);
	assert_int_equal(area.mmio.phys_addr, SEALED + 0x4000);
}

/* More than an event has room for: none of it is written behind its end, and it is never legal. */
static void too_long(void **state)
{
	const struct rf_msg_event *ev = &vcpu.wait.event;
	const uint32_t room = sizeof(ev->write.bytes);
	uint8_t behind[sizeof(*ev) - offsetof(struct rf_msg_event, write.bytes) -
		       sizeof(ev->write.bytes)];

	anew();
	for (uint64_t at = 8; at < room; at += 8)
		part(SEALED + at, 8);
	assert_false(drains(SEALED, 8));
	assert_int_equal(ev->write.len, room);
	assert_int_equal(ev->write.elsewhere, 0);

	anew();
	memcpy(behind, (const uint8_t *)ev->write.bytes + room, sizeof(behind));
	for (uint64_t at = 8; at <= room; at += 8)
		part(SEALED + at, 8);
	assert_false(drains(SEALED, 8));
	assert_int_equal(ev->write.len, room);
	assert_int_equal(ev->write.elsewhere, 1);
	assert_memory_equal(behind, (const uint8_t *)ev->write.bytes + room, sizeof(behind));

	/* One that does not end ends the VM. */
	anew();
	for (int i = 0; i < 64; i++)
		part(SEALED + 8, 8);
	if (!setjmp(ended)) {
		drains(SEALED, 8);
		fail();
	}
	anew();
	for (int i = 0; i < 63; i++)
		part(SEALED + 8, 8);
	assert_false(drains(SEALED, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores),
		cmocka_unit_test(msrs),
		cmocka_unit_test(outs),
		cmocka_unit_test(unemulated),
		cmocka_unit_test(undelivered),
		cmocka_unit_test(parts_that_follow),
		cmocka_unit_test(parts_elsewhere),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
