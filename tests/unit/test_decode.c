// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every outcome of hv/vmx/decode.c, over injected exits: no guest, no KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hv/vmx/decode.h"

#define TEXT 0x100000
#define DATA 0x180000
#define WATCHED 0x300000

static const struct rf_guarded ranges[] = {
	{ TEXT, 0x10000, true },
	{ DATA, 0x2000, true },
	{ WATCHED, 0x1000, false },
};

static struct rf_guard guard = { .ranges = ranges, .count = 3, .any_sealed = true };

static enum rf_decoded mmio(uint64_t gpa, uint32_t len, bool is_write)
{
	struct rf_exit e = { .reason = RF_EXIT_MMIO,
			     .mmio = { .gpa = gpa, .len = len, .is_write = is_write } };

	return rf_decode(&e, &guard);
}

static void stores(void **state)
{
	for (uint32_t len = 1; len <= 8; len++) {
		assert_int_equal(mmio(TEXT, len, true), RF_SEALED_STORE);
		assert_int_equal(mmio(TEXT + 0x10000 - len, len, true), RF_SEALED_STORE);
		assert_int_equal(mmio(DATA + 0x1ffd - len, len, true), RF_SEALED_STORE);
		assert_int_equal(mmio(WATCHED, len, true), RF_WATCHED_STORE);
		assert_int_equal(mmio(TEXT - len, len, true), RF_NOT_OURS);
		assert_int_equal(mmio(TEXT + 0x10000, len, true), RF_NOT_OURS);
		assert_int_equal(mmio(WATCHED + 0x1000, len, true), RF_NOT_OURS);
	}
	assert_int_equal(mmio(0, 8, true), RF_NOT_OURS);
	assert_int_equal(mmio(UINT64_MAX - 7, 8, true), RF_NOT_OURS);
	assert_int_equal(mmio(UINT64_MAX, 8, true), RF_NOT_OURS);
}

static void malformed_stores(void **state)
{
	assert_int_equal(mmio(TEXT, 0, true), RF_MALFORMED);
	assert_int_equal(mmio(TEXT, 9, true), RF_MALFORMED);
	assert_int_equal(mmio(TEXT, UINT32_MAX, true), RF_MALFORMED);
	assert_int_equal(mmio(TEXT - 4, 8, true), RF_MALFORMED); /* across the border */
	assert_int_equal(mmio(TEXT + 0xfffc, 8, true), RF_MALFORMED);
	assert_int_equal(mmio(0, UINT32_MAX, true), RF_MALFORMED); /* over everything */
	assert_int_equal(mmio(TEXT, 8, false), RF_MALFORMED); /* reads never exit */
	assert_int_equal(mmio(WATCHED, 4, false), RF_MALFORMED);
	assert_int_equal(mmio(WATCHED + 0xffe, 4, true), RF_MALFORMED);
}

static void not_ours(void **state)
{
	struct rf_exit e = { .reason = RF_EXIT_OTHER };
	struct rf_guard none = { 0 };

	assert_int_equal(rf_decode(&e, &guard), RF_NOT_OURS);
	e.reason = (enum rf_exit_reason)99;
	assert_int_equal(rf_decode(&e, &guard), RF_NOT_OURS);
	e = (struct rf_exit){ .reason = RF_EXIT_MMIO, .mmio = { TEXT, 9, false, { 0 } } };
	assert_int_equal(rf_decode(&e, &none), RF_NOT_OURS);
	assert_int_equal(mmio(0xfee00000, 4, false), RF_NOT_OURS);
}

static enum rf_decoded msr(enum rf_exit_reason reason, uint32_t index, bool by_filter, bool vmm_wants)
{
	struct rf_exit e = { .reason = reason, .msr = { index, 1, by_filter } };
	struct rf_guard g = guard;

	g.vmm_wants_msr_exits = vmm_wants;
	return rf_decode(&e, &g);
}

static void msrs(void **state)
{
	for (int wants = 0; wants < 2; wants++) {
		assert_int_equal(msr(RF_EXIT_WRMSR, RF_MSR_LSTAR, true, wants), RF_KERNEL_MSR);
		/* Unknown or invalid to KVM, not filtered: only a VMM that asked gets these. */
		assert_int_equal(msr(RF_EXIT_WRMSR, RF_MSR_LSTAR, false, wants), RF_NOT_OURS);
		assert_int_equal(msr(RF_EXIT_WRMSR, 0x35, false, wants), RF_NOT_OURS);
		assert_int_equal(msr(RF_EXIT_RDMSR, 0x35, false, wants), RF_NOT_OURS);
	}
	assert_int_equal(msr(RF_EXIT_WRMSR, 0x35, true, true), RF_NOT_OURS);
	assert_int_equal(msr(RF_EXIT_WRMSR, 0x35, true, false), RF_MSR_DENY);
	assert_int_equal(msr(RF_EXIT_RDMSR, 0x35, true, true), RF_NOT_OURS);
	assert_int_equal(msr(RF_EXIT_RDMSR, 0x35, true, false), RF_MSR_DENY);
	/* Ours filters writes of LSTAR alone: a filtered read of it is the VMM's filter. */
	assert_int_equal(msr(RF_EXIT_RDMSR, RF_MSR_LSTAR, true, false), RF_MSR_DENY);
}

static void emulation(void **state)
{
	struct rf_exit e = { .reason = RF_EXIT_EMULATION };
	struct rf_guard unsealed = guard;

	unsealed.any_sealed = false;
	assert_int_equal(rf_decode(&e, &guard), RF_CANNOT_EMULATE);
	assert_int_equal(rf_decode(&e, &unsealed), RF_NOT_OURS);
	e.insn.has_bytes = true;
	for (uint32_t len = 0; len <= 15; len++) {
		e.insn.len = len;
		assert_int_equal(rf_decode(&e, &guard), RF_CANNOT_EMULATE);
	}
	e.insn.len = 16;
	assert_int_equal(rf_decode(&e, &guard), RF_MALFORMED);
	e.insn.len = UINT32_MAX;
	assert_int_equal(rf_decode(&e, &guard), RF_MALFORMED);
	e.insn.has_bytes = false; /* then the length means nothing */
	assert_int_equal(rf_decode(&e, &guard), RF_CANNOT_EMULATE);
}

/* An exception's frame on a stack in sealed memory; one that lies elsewhere is the VMM's, as ever. */
static enum rf_decoded pushed(uint64_t gpa, bool any_sealed)
{
	struct rf_exit e = { .reason = RF_EXIT_DELIVERY, .delivery = { gpa } };
	struct rf_guard g = guard;

	g.any_sealed = any_sealed;
	return rf_decode(&e, &g);
}

static void undelivered(void **state)
{
	assert_int_equal(pushed(TEXT, true), RF_UNDELIVERED);
	assert_int_equal(pushed(TEXT + 0xffff, true), RF_UNDELIVERED);
	assert_int_equal(pushed(DATA + 0x1fff, true), RF_UNDELIVERED);
	assert_int_equal(pushed(TEXT - 1, true), RF_NOT_OURS);
	assert_int_equal(pushed(TEXT + 0x10000, true), RF_NOT_OURS);
	assert_int_equal(pushed(DATA + 0x2000, true), RF_NOT_OURS);
	assert_int_equal(pushed(WATCHED, true), RF_NOT_OURS); /* writable: nothing stopped it */
	assert_int_equal(pushed(0, true), RF_NOT_OURS);
	assert_int_equal(pushed(UINT64_MAX, true), RF_UNDELIVERED); /* not told where */
	assert_int_equal(pushed(TEXT, false), RF_NOT_OURS);
	assert_int_equal(pushed(UINT64_MAX, false), RF_NOT_OURS);
}

static enum rf_decoded out(uint16_t port, uint64_t rip, uint8_t size, uint32_t count, uint32_t cpl, bool is_out)
{
	static const uint64_t traps[] = { 0xffffffff81001000, 0xffffffff81002000 };
	struct rf_exit e = { .reason = RF_EXIT_IO,
			     .io = { port, size, count, is_out, rip, cpl } };
	struct rf_guard g = guard;

	assert_int_equal(rf_decode(&e, &g), RF_NOT_OURS); /* none is planted */
	g.traps = traps;
	g.traps_count = 2;
	return rf_decode(&e, &g);
}

static void traps(void **state)
{
	const uint64_t rip = 0xffffffff81002000;

	assert_int_equal(out(RF_TRAP_PORT, rip, 1, 1, 0, true), RF_TRAPPED);
	assert_int_equal(out(RF_TRAP_PORT, rip - 0x1000, 1, 1, 0, true), RF_TRAPPED);
	assert_int_equal(out(RF_TRAP_PORT, rip + 2, 1, 1, 0, true), RF_TRAPPED); /* emulated */
	assert_int_equal(out(RF_TRAP_PORT, rip + 1, 1, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip + 3, 1, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip - 2, 1, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip & UINT32_MAX, 1, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip, 2, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip, 1, 0, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip, 1, 2, 0, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip, 1, 1, 3, true), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT, rip, 1, 1, 0, false), RF_NOT_OURS);
	assert_int_equal(out(RF_TRAP_PORT + 1, rip, 1, 1, 0, true), RF_NOT_OURS);
	assert_int_equal(out(0, rip, 1, 1, 0, true), RF_NOT_OURS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores), cmocka_unit_test(malformed_stores),
		cmocka_unit_test(not_ours), cmocka_unit_test(msrs),
		cmocka_unit_test(emulation), cmocka_unit_test(traps),
		cmocka_unit_test(undelivered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
