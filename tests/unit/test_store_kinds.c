// SPDX-License-Identifier: LGPL-2.1-or-later
/* rf_store_find() where KVM names no address, and operands that no ModRM names. */
#include <errno.h>

#include "tests/unit/store_fix.h"

/* Nothing ran, RIP is on the instruction, length and perhaps address not known. */
static void emulation_failures(void **state)
{
	static const struct {
		const char *insn;
		uint32_t size;
	} cases[] = {
		{ "480fc70f", 16 },
		{ "f0480fc70f", 16 },
		{ "c5fe7f07", 32 },
		{ "c5fc2907", 32 },
		{ "62f17c481107", 64 },
		{ "c4e37d190701", 16 },
		{ "480fae27", 0 },
		{ "c4e27d8e07", 32 },
		{ "0f0107", 10 },
		{ "0f010f", 10 },
		{ "0f0007", 2 },
		{ "0f000f", 2 },
		{ "0f0127", 2 },
		{ "0fae07", 512 },
		{ "480fae07", 512 },
		{ "480fae37", 0 },
		{ "0fc727", 0 },
		{ "0fc72f", 0 },
		{ "d937", 28 },
		{ "66d937", 14 },
		{ "dd37", 108 },
		{ "66dd37", 94 },
		{ "d93f", 2 },
		{ "dd3f", 2 },
		{ "dd17", 8 },
		{ "df37", 10 },
		{ "df3f", 8 },
		{ "0fae1f", 4 },
		{ "c5f8ae1f", 4 },
		{ "f30f1107", 4 },
		{ "0f1307", 8 },
		{ "660f3a160701", 4 },
		{ "660ff7c8", 16 },
		{ "0ff7c8", 8 },
		{ "c5f9f7c8", 16 },
		{ "0f7807", 8 },
		{ "0fc73f", 8 },
		{ "8c1f", 2 },
		{ "0f38f90f", 4 },
		{ "480f38f90f", 8 },
		{ "660f38f83e", 64 },
		{ "f20f38f83e", 64 },
		{ "f30f38f83e", 64 },
		{ "480f38f60f", 8 },
		{ "66480f38f50f", 8 },
		{ "6c", 1 },
		{ "6d", 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix *f;

		setup(state);
		f = *state;
		put(f, CODE, "90", cases[i].insn);
		f->regs.rip = f->at;
		f->seen.rip_after = false;
		if (find(f, &f->regs, 0))
			fail_msg("%s is not found", cases[i].insn);
		expect(f, cases[i].insn, true);
		assert_int_equal(f->out.size, cases[i].size);
		/* sgdt, sidt, fxsave: what KVM neither does nor tells. */
		assert_int_equal(f->out.untold,
				 !strncmp(cases[i].insn, "0f010", 5) || cases[i].size == 512);
		f->seen.gpa = rf_gpa_of(RF_STORE_GPA_UNKNOWN);
		assert_int_equal(find(f, &f->regs, 0), 0);
		assert_int_equal(f->out.gpa.v, DATA_GPA + 0x100);
		f->seen.gpa = rf_gpa_of(DATA_GPA + 0x200);
		assert_int_equal(find(f, &f->regs, 0), -ENOENT);
		if (cases[i].size > 8) { /* its second page is the sealed one */
			f->regs.gpr[DI] = DATA + 0xff8;
			f->seen.gpa = rf_gpa_of(DATA2_GPA);
			assert_int_equal(find(f, &f->regs, 0), 0);
			assert_int_equal(f->out.target.v, DATA + 0x1000);
		}
	}
}

/* The stack, or a register, says where; RIP is on the instruction. */
static void implicit_operands(void **state)
{
	static const struct {
		const char *insn;
		uint32_t size;
		uint64_t offset; /* of the operand in DATA */
	} cases[] = {
		{ "51", 8, 0x7f8 },
		{ "6651", 2, 0x7fe },
		{ "6a11", 8, 0x7f8 },
		{ "9c", 8, 0x7f8 },
		{ "0fa0", 8, 0x7f8 },
		{ "ff36", 8, 0x7f8 },
		{ "e800000000", 8, 0x7f8 },
		{ "ffd0", 8, 0x7f8 },
		{ "ff16", 8, 0x7f8 },
		{ "c8100000", 8, 0x7f8 },
		{ "c8100001", 16, 0x7f0 },
		{ "c810001f", 256, 0x700 },
		{ "c81000e2", 24, 0x7e8 }, /* of the level five bits count */
		{ "66c8100001", 4, 0x7fc },
		{ "ff1e", 8, 0x7f8 },
		{ "66ff1e", 4, 0x7fc },
		{ "48ff1e", 16, 0x7f0 },
		{ "65660ff7c8", 16, 0x110 }, /* gs: */
		{ "650f38f90f", 4, 0x110 },
		{ "0f38f94c8f10", 4, 0x130 },  /* [rdi + rcx * 4 + 0x10] */
		{ "0f38f98f00ffffff", 4, 0 },  /* [rdi - 0x100] */
		{ "660f38f83f", 64, 0x100 },   /* from [rdi] to [rdi] */
		{ "66440f38f83f", 64, 0x240 }, /* to [r15] */
		{ "66650f38f83e", 64, 0x100 }, /* gs: is the source's */
		{ "0f01fc", 64, 0x340 },       /* the cache line of RAX = DATA + 0x347 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix *f;

		setup(state);
		f = *state;
		put(f, CODE, "90", cases[i].insn);
		f->regs.rip = f->at;
		f->regs.gpr[AX] = DATA + 0x347;
		f->regs.gpr[CX] = 8;
		f->regs.gpr[7 + 8] = DATA + 0x240;
		f->regs.gs_base = 0x10;
		f->seen.rip_after = false;
		f->seen.gpa = rf_gpa_of(RF_STORE_GPA_UNKNOWN);
		if (find(f, &f->regs, 0))
			fail_msg("%s is not found", cases[i].insn);
		expect(f, cases[i].insn, true);
		if (f->out.size != cases[i].size || f->out.operand.v != DATA + cases[i].offset)
			fail_msg("%s: %u bytes at +0x%llx", cases[i].insn, f->out.size,
				 (unsigned long long)(f->out.operand.v - DATA));
	}
}

/* An address past RIP, and one without a base. */
static void raw_addresses(void **state)
{
	struct fix *f = *state;

	f->seen.rip_after = false;
	f->seen.gpa = rf_gpa_of(RF_STORE_GPA_UNKNOWN);
	put(f, CODE, "", "0f38f90df90f0000"); /* [rip + 0xff9] */
	f->regs.rip = f->at;
	assert_int_equal(find(f, &f->regs, 0), 0);
	expect(f, "0f38f90df90f0000", true);
	assert_int_equal(f->out.operand.v, CODE + 8 + 0xff9);
	assert_string_equal(f->out.text, "movdiri [0xffffffff81001001]");
	put(f, CODE, "", "0f38f90c2500100000"); /* [0x1000] */
	assert_int_equal(find(f, &f->regs, 0), -ENOENT);
	fake_map(&f->g, 0x1000, DATA_GPA, 1);
	assert_int_equal(find(f, &f->regs, 0), 0);
	assert_int_equal(f->out.operand.v, 0x1000);
	put(f, CODE, "", "67660f38f83e"); /* to [edi] */
	f->regs.gpr[DI] = UINT64_C(0x7777777700001040);
	assert_int_equal(find(f, &f->regs, 0), 0);
	assert_int_equal(f->out.operand.v, 0x1040);
}

/* What KVM writes for these instructions, RIP past them. */
static void told_later(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	size_t n = put(f, CODE, "90", "c8100000"); /* enter 16, 0 */

	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x7f8);
	le(f->value, f->regs.gpr[BP], 8);
	after = f->regs;
	after.gpr[BP] = f->regs.gpr[SP] - 8;
	after.gpr[SP] = after.gpr[BP] - 16;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "c8100000", true);
	n = put(f, CODE, "90", "c8100001"); /* the emulator knows level 0 alone */
	assert_int_equal(find(f, &after, 8), -ENOENT);
	n = put(f, CODE, "90", "ff1e"); /* pushes twice, and goes elsewhere */
	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), -ENOENT);

	put(f, CODE, "90", "f36d"); /* rep insd: a string of five */
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x100);
	f->regs.gpr[CX] = 7;
	after = f->regs;
	after.gpr[CX] -= 5;
	after.gpr[DI] += 20;
	after.rip = f->at;
	assert_int_equal(find(f, &after, 20), 0);
	expect(f, "f36d", true);
	assert_int_equal(f->out.target.v, DATA + 0x100);
	assert_int_equal(find(f, &after, 18), -ENOENT);

	n = put(f, CODE, "90", "dd3f"); /* fnstsw */
	f->regs.gpr[DI] = DATA + 0x100;
	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 2), 0);
	expect(f, "dd3f", true);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(emulation_failures),
		T(implicit_operands),
		T(raw_addresses),
		T(told_later),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
