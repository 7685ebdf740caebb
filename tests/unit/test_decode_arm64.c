// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every outcome of hv/arm64/decode.c, over injected exits: no guest, no KVM, any machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hv/arm64/decode.h"

#define TEXT 0x40200000
#define TEXT_END (TEXT + 0x10000)
#define DATA 0x40380000
#define DATA_END (DATA + 0x2000)
#define WATCHED 0x40500000
#define TRAP UINT64_C(0xffff800080010044)

static const struct rf_arm64_guarded ranges[] = {
	{ TEXT, TEXT_END - TEXT, true },
	{ DATA, DATA_END - DATA, true },
	{ WATCHED, 0x1000, false },
};
static const uint64_t traps[] = { TRAP - 0x1000, TRAP };
static struct rf_arm64_guard guard = {
	.ranges = ranges, .count = 3, .traps = traps, .traps_count = 2
};
static const struct rf_arm64_guard nothing;

static enum rf_arm64_decoded mmio(uint64_t gpa, uint32_t len, bool is_write)
{
	struct rf_arm64_exit e = { .reason = RF_ARM64_MMIO,
				   .mmio = { .gpa = gpa, .len = len, .is_write = is_write } };

	assert_int_equal(rf_arm64_decode(&e, &nothing), RF_ARM64_NOT_OURS);
	return rf_arm64_decode(&e, &guard);
}

/* str, strh, strb, stlr: the CPU describes them. */
static void described(void **state)
{
	for (uint32_t len = 1; len <= 8; len *= 2) {
		assert_int_equal(mmio(TEXT + 8, len, true), RF_ARM64_SEALED_STORE);
		assert_int_equal(mmio(TEXT + len, len, true), RF_ARM64_SEALED_STORE);
		assert_int_equal(mmio(TEXT_END - len, len, true), RF_ARM64_SEALED_STORE);
		assert_int_equal(mmio(TEXT + 0x1000 - len, len, true), RF_ARM64_SEALED_STORE);
		assert_int_equal(mmio(DATA_END - len, len, true), RF_ARM64_SEALED_STORE);
		assert_int_equal(mmio(TEXT - len, len, true), RF_ARM64_NOT_OURS);
		assert_int_equal(mmio(TEXT_END, len, true), RF_ARM64_NOT_OURS);
		assert_int_equal(mmio(WATCHED + 0x1000, len, true), RF_ARM64_NOT_OURS);
		assert_int_equal(mmio(WATCHED - len, len, true), RF_ARM64_NOT_OURS);
	}
	assert_int_equal(mmio(0x9000000, 4, false), RF_ARM64_NOT_OURS); /* virt's UART */
	assert_int_equal(mmio(0, 8, true), RF_ARM64_NOT_OURS);
	assert_int_equal(mmio(UINT64_MAX - 7, 8, true), RF_ARM64_NOT_OURS);
	assert_int_equal(mmio(UINT64_MAX, 8, true), RF_ARM64_NOT_OURS);
	assert_int_equal(mmio(UINT64_MAX, UINT32_MAX, false), RF_ARM64_NOT_OURS);
}

/* Address, length and data may be those of a store that lies partly elsewhere. */
static void over_borders(void **state)
{
	for (uint32_t len = 1; len <= 8; len *= 2) {
		/* It may have begun in the page before, and FAR is where it faulted. */
		assert_int_equal(mmio(TEXT, len, true), RF_ARM64_UNDECODED);
		assert_int_equal(mmio(TEXT + 0x3000, len, true), RF_ARM64_UNDECODED);
		assert_int_equal(mmio(DATA + 0x1000, len, true), RF_ARM64_UNDECODED);
		/* Not aligned: it may reach beyond the page or the range. */
		for (uint32_t off = 1; off < len; off++) {
			assert_int_equal(mmio(TEXT_END - off, len, true), RF_ARM64_UNDECODED);
			assert_int_equal(mmio(TEXT - off, len, true), RF_ARM64_UNDECODED);
			assert_int_equal(mmio(TEXT + 0x100 + off, len, true), RF_ARM64_UNDECODED);
		}
	}
}

static void malformed_stores(void **state)
{
	assert_int_equal(mmio(TEXT + 8, 0, true), RF_ARM64_MALFORMED);
	for (uint32_t len = 3; len < 8; len += len == 3 ? 2 : 1)
		assert_int_equal(mmio(TEXT + 8, len, true), RF_ARM64_MALFORMED);
	assert_int_equal(mmio(TEXT + 16, 16, true), RF_ARM64_MALFORMED);
	assert_int_equal(mmio(TEXT + 8, UINT32_MAX, true), RF_ARM64_MALFORMED);
	assert_int_equal(mmio(0, 0x80000000, true), RF_ARM64_MALFORMED);
	assert_int_equal(mmio(TEXT + 8, 8, false), RF_ARM64_MALFORMED); /* reads never exit */
	assert_int_equal(mmio(TEXT, 8, false), RF_ARM64_MALFORMED);
	/* The watched page is a writable slot. */
	assert_int_equal(mmio(WATCHED + 8, 8, true), RF_ARM64_MALFORMED);
	assert_int_equal(mmio(WATCHED + 0xfff, 1, false), RF_ARM64_MALFORMED);
}

static enum rf_arm64_decoded nisv(uint64_t gpa, uint64_t iss)
{
	struct rf_arm64_exit e = { .reason = RF_ARM64_NISV, .nisv = { .gpa = gpa, .iss = iss } };

	assert_int_equal(rf_arm64_decode(&e, &nothing), RF_ARM64_NOT_OURS);
	return rf_arm64_decode(&e, &guard);
}

/* stp, write-back, SIMD, exclusives, atomics, DC ZVA: an address, and that it wrote. */
static void not_described(void **state)
{
	/* Arm ARM, DFSC: 0b0001LL translation, 0b0010LL access flag, 0b0011LL permission. */
	for (uint32_t dfsc = 0; dfsc < 64; dfsc++) {
		bool fits = (dfsc >= 4 && dfsc < 16) || dfsc == 0x2b;

		assert_int_equal(nisv(TEXT + 0x123, 0x40 | dfsc),
				 fits ? RF_ARM64_UNDECODED : RF_ARM64_MALFORMED);
		assert_int_equal(nisv(TEXT + 0x123, 0x140 | dfsc),
				 fits ? RF_ARM64_CACHE : RF_ARM64_MALFORMED);
		/* Reads never exit; an atomic's is one until the page is mapped. */
		assert_int_equal(nisv(TEXT + 0x123, dfsc), RF_ARM64_MALFORMED);
		assert_int_equal(nisv(TEXT + 0x123, 0x100 | dfsc), RF_ARM64_MALFORMED);
		assert_int_equal(nisv(TEXT - 1, 0x40 | dfsc), RF_ARM64_NOT_OURS);
		assert_int_equal(nisv(TEXT - 1, dfsc), RF_ARM64_NOT_OURS);
	}
	assert_int_equal(nisv(TEXT, 0x4f), RF_ARM64_UNDECODED);
	assert_int_equal(nisv(TEXT_END - 1, 0x4f), RF_ARM64_UNDECODED);
	assert_int_equal(nisv(TEXT_END, 0x4f), RF_ARM64_NOT_OURS);
	assert_int_equal(nisv(DATA_END - 1, 0x4f), RF_ARM64_UNDECODED);
	assert_int_equal(nisv(WATCHED, 0x4f), RF_ARM64_MALFORMED);
	assert_int_equal(nisv(UINT64_MAX, 0x4f), RF_ARM64_NOT_OURS);
	/* What else a later KVM may tell says nothing here. */
	assert_int_equal(nisv(TEXT, 0x4f | UINT64_C(1) << 40), RF_ARM64_UNDECODED);
}

#define ESR(ec, iss) ((uint32_t)(ec) << 26 | 1u << 25 | (iss))

static enum rf_arm64_decoded debug(uint32_t esr, uint64_t pc)
{
	struct rf_arm64_exit e = { .reason = RF_ARM64_DEBUG, .debug = { esr, pc } };

	return rf_arm64_decode(&e, &guard);
}

static void breakpoints(void **state)
{
	const uint32_t ours = ESR(0x3c, 0x5246);

	assert_int_equal(RF_ARM64_TRAP_INSN, 0xd42a48c0);
	for (int vmm = 0; vmm < 2; vmm++) {
		enum rf_arm64_decoded other = vmm ? RF_ARM64_NOT_OURS : RF_ARM64_GUEST_BREAKPOINT;

		guard.vmm_breakpoints = vmm;
		assert_int_equal(debug(ours, TRAP), RF_ARM64_TRAPPED);
		assert_int_equal(debug(ours, TRAP - 0x1000), RF_ARM64_TRAPPED);
		/* Where no trap is, the guest may have this instruction as well. */
		assert_int_equal(debug(ours, TRAP + 4), other);
		assert_int_equal(debug(ours, TRAP - 4), other);
		assert_int_equal(debug(ours, (uint32_t)TRAP), other);
		/* BUG(), a kprobe, a uprobe, a compiler's trap, one of AArch32. */
		assert_int_equal(debug(ESR(0x3c, 0x800), 0x1000), other);
		assert_int_equal(debug(ESR(0x3c, 4), TRAP + 8), other);
		assert_int_equal(debug(ESR(0x3c, 5), 0x400000), other);
		assert_int_equal(debug(ESR(0x3c, 1000), 0x400000), other);
		assert_int_equal(debug(ESR(0x38, 0), 0x400000), other);
		assert_int_equal(debug(ESR(0x38, 0x5246), TRAP), other);
		assert_int_equal(debug(ESR(0x3c, 0x5247), TRAP), RF_ARM64_MALFORMED);
		assert_int_equal(debug(ESR(0x3c, 0), TRAP), RF_ARM64_MALFORMED);
	}
	guard.vmm_breakpoints = false;
	guard.traps_count = 0;
	assert_int_equal(debug(ours, TRAP), RF_ARM64_GUEST_BREAKPOINT);
	guard.traps_count = 2;
}

static void other_debug(void **state)
{
	assert_int_equal(debug(ESR(0x32, 0x22), TRAP), RF_ARM64_NOT_OURS);
	guard.steps = true;
	assert_int_equal(debug(ESR(0x32, 0x22), TRAP), RF_ARM64_STEPPED);
	assert_int_equal(debug(0x32u << 26, 0), RF_ARM64_STEPPED); /* of what KVM emulates */
	assert_int_equal(debug(ESR(0x3c, 0x5246), TRAP), RF_ARM64_TRAPPED);
	assert_int_equal(debug(ESR(0x30, 0x22), TRAP), RF_ARM64_NOT_OURS);
	assert_int_equal(debug(ESR(0x34, 0x22), TRAP), RF_ARM64_NOT_OURS);
	for (uint32_t ec = 0; ec < 64; ec++)
		if (ec != 0x30 && ec != 0x32 && ec != 0x34 && ec != 0x38 && ec != 0x3c)
			assert_int_equal(debug(ESR(ec, 0x5246), TRAP), RF_ARM64_MALFORMED);
	guard.steps = false;
}

static void not_ours(void **state)
{
	struct rf_arm64_exit e = { .reason = RF_ARM64_OTHER,
				   .mmio = { .gpa = TEXT + 8, .len = 8, .is_write = true } };

	assert_int_equal(rf_arm64_decode(&e, &guard), RF_ARM64_NOT_OURS);
	e.reason = (enum rf_arm64_reason)99;
	assert_int_equal(rf_arm64_decode(&e, &guard), RF_ARM64_NOT_OURS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(described),	 cmocka_unit_test(over_borders),
		cmocka_unit_test(malformed_stores), cmocka_unit_test(not_described),
		cmocka_unit_test(breakpoints),	 cmocka_unit_test(other_debug),
		cmocka_unit_test(not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
