// SPDX-License-Identifier: LGPL-2.1-or-later
/* rf_store_find(): every form of store that KVM reports, and reports that no instruction can
 * explain. */
#include <errno.h>

#include "tests/unit/store_fix.h"

/* Stores that change no register, as one report of their whole value to [rdi]. */
static void plain_stores(void **state)
{
	static const struct {
		const char *insn;
		uint32_t size;
		int src; /* GPR whose value is stored; -1 any bytes */
		int64_t imm;
	} cases[] = {
		{ "8807", 1, AX, 0 },
		{ "668907", 2, AX, 0 },
		{ "890f", 4, CX, 0 },
		{ "48890f", 8, CX, 0 },
		{ "c60755", 1, -2, 0x55 },
		{ "c70711223344", 4, -2, 0x44332211 },
		{ "48c707ffffffff", 8, -2, -1 },
		{ "480fc30f", 8, CX, 0 },
		{ "0fc30f", 4, CX, 0 },
		{ "f00907", 4, -1, 0 },
		{ "f0830f01", 4, -1, 0 },
		{ "f0480fba2f11", 8, -1, 0 },
		{ "48ff07", 8, -1, 0 },
		{ "f617", 1, -1, 0 },
		{ "0f9407", 1, -1, 0 },
		{ "0f1107", 16, -1, 0 },
		{ "f30f7f07", 16, -1, 0 },
		{ "660fe707", 16, -1, 0 },
		{ "0f1307", 8, -1, 0 },
		{ "48d327", 8, -1, 0 },
		{ "0fa40711", 4, -1, 0 },
		{ "480f38f107", 8, -1, 0 },
		{ "4889bf00000000", 8, DI, 0 },
		{ "8827", 1, -3, 0 },
		{ "d937", 28, -1, 0 },
		{ "0fae07", 512 / 8, -1, 0 },
		{ "64488907", 8, AX, 0 },
		{ "66480f7e07", 8, -1, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix *f;
		struct rf_regs after;

		setup(state);
		f = *state;
		size_t n = put(f, CODE, "f30f1efa5548c7c001000000", cases[i].insn);

		memset(f->value, 0xa5, sizeof(f->value));
		if (cases[i].src >= 0)
			le(f->value, f->regs.gpr[cases[i].src], cases[i].size);
		else if (cases[i].src == -2)
			le(f->value, (uint64_t)cases[i].imm, cases[i].size);
		else if (cases[i].src == -3) /* ah */
			le(f->value, f->regs.gpr[AX] >> 8, 1);
		after = f->regs;
		after.rip = f->at + n;
		if (find(f, &after, cases[i].size))
			fail_msg("%s is not found", cases[i].insn);
		expect(f, cases[i].insn, true);
		assert_int_equal(f->out.target.v, DATA + 0x100);
		assert_int_equal(f->out.gpa.v, DATA_GPA + 0x100);
		/* A register that does not hold what was written was not the source. */
		if (cases[i].src >= 0) {
			f->value[0] ^= 1;
			assert_int_equal(find(f, &after, cases[i].size), -ENOENT);
		}
	}
}

static void addressing(void **state)
{
	static const struct {
		const char *insn;
		uint64_t offset; /* of the target in DATA */
	} cases[] = {
		{ "48894708", 0x108 },		     /* [rdi+8] */
		{ "48898770ffffff", 0x70 },	     /* [rdi-0x90] */
		{ "4889044f", 0x140 },		     /* [rdi+rcx*2], rcx = 0x20 */
		{ "65488904 2520000000", 0x420 },    /* gs:[0x20] */
		{ "654889 01", 0x420 },		     /* gs:[rcx] */
		{ "48a30030000080 88ffff", 0x1000 }, /* moffs */
		{ "488944 2408", 0x808 },	     /* [rsp+8] */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix *f;
		struct rf_regs after;
		char insn[40] = "";

		for (const char *c = cases[i].insn; *c; c++)
			if (*c != ' ')
				strncat(insn, c, 1);
		setup(state);
		f = *state;
		size_t n = put(f, CODE, "5053", insn);

		if (cases[i].insn[0] == '4' &&
		    cases[i].insn[2] == 'a') /* the array is not where it says */
			fake_map(&f->g, UINT64_C(0xffff888000003000), DATA2_GPA, 1);
		f->regs.gpr[CX] = 0x20;
		le(f->value, f->regs.gpr[AX], 8);
		after = f->regs;
		after.rip = f->at + n;
		f->seen.gpa = rf_gpa_of(cases[i].offset < 0x1000 ? DATA_GPA + cases[i].offset
								 : DATA2_GPA);
		if (find(f, &after, 8))
			fail_msg("%s is not found", insn);
		expect(f, insn, true);
	}
}

static void rip_relative(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	const char *insn =
		"488905f90f0000"; /* [rip + 0xff9]: CODE + 0x1000 when it stands at CODE */
	size_t n = put(f, CODE, "", insn);

	le(f->value, f->regs.gpr[AX], 8);
	after = f->regs;
	after.rip = f->at + n;
	f->seen.gpa = rf_gpa_of(CODE_GPA + 0x1000);
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, insn, true);
	assert_int_equal(f->out.target.v, CODE + 0x1000);
}

static void strings(void **state)
{
	static const struct {
		const char *insn;
		uint32_t size;
		bool rep, movs;
	} cases[] = {
		{ "f3a4", 1, true, true },    { "f348a5", 8, true, true },
		{ "f348ab", 8, true, false }, { "f3aa", 1, true, false },
		{ "a4", 1, false, true },     { "66ab", 2, false, false },
		{ "a5", 4, false, true },
	};

	for (int down = 0; down < 2; down++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct fix *f;
			struct rf_regs after;
			uint64_t step;

			setup(state);
			f = *state;
			size_t n = put(f, CODE, "4889f8", cases[i].insn);

			step = down ? -(uint64_t)cases[i].size : cases[i].size;
			f->regs.rflags = down ? 1 << 10 : 0;
			f->regs.gpr[CX] = 1; /* the last element: RIP still stays on it */
			le(f->value, cases[i].movs ? 0x77 : f->regs.gpr[AX], cases[i].size);
			after = f->regs;
			after.gpr[DI] += step;
			after.gpr[SI] += cases[i].movs ? step : 0;
			after.gpr[CX] -= cases[i].rep;
			after.rip = f->at + (cases[i].rep ? 0 : n);
			if (find(f, &after, cases[i].size))
				fail_msg("%s is not found", cases[i].insn);
			expect(f, cases[i].insn, true);
			assert_int_equal(f->out.target.v, DATA + 0x100);
		}
	}
}

/* A stosq after which RIP stays, behind a store to the same place: the value and stream decide. */
static void rep_behind_store(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;

	put(f, CODE, "488947f8", "f348ab"); /* mov [rdi-8], rax; rep stosq */
	le(f->value, f->regs.gpr[AX], 8);
	after = f->regs;
	after.gpr[DI] += 8;
	after.gpr[CX] -= 1;
	after.rip = f->at;
	assert_int_equal(find(f, &after, 8), 0);
	assert_false(f->out.exact); /* both fit: said so */
}

static void exchanges(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	uint64_t old = 0x5566, reg = f->regs.gpr[CX];

	f->at = CODE; /* xchg [rdi], rcx: memory gets rcx, rcx the old value */
	size_t n = put(f, CODE, "90", "48870f");
	le(f->value, reg, 8);
	after = f->regs;
	after.gpr[CX] = old;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "48870f", true);

	n = put(f, CODE, "90", "f0480fc10f"); /* lock xadd */
	le(f->value, reg + old, 8);
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480fc10f", true);

	n = put(f, CODE, "90", "f00fc10f"); /* 32 bits: the upper half is lost */
	f->regs.gpr[CX] = 0x33330001;
	le(f->value, 0x33330001 + old, 4);
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 4), 0);
	expect(f, "f00fc10f", false);

	n = put(f, CODE, "90", "66870f"); /* 16 bits: the rest stays */
	f->regs.gpr[CX] = reg;
	le(f->value, reg, 2);
	after = f->regs;
	after.gpr[CX] = (reg & ~UINT64_C(0xffff)) | 0xbeef;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 2), 0);
	expect(f, "66870f", true);

	n = put(f, CODE, "90", "863f"); /* xchg [rdi], bh */
	le(f->value, f->regs.gpr[BX] >> 8, 1);
	after = f->regs;
	after.gpr[BX] ^= 0x5a00;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 1), 0);
	expect(f, "863f", true);

	n = put(f, CODE, "90", "48873f"); /* xchg [rdi], rdi: its own address */
	le(f->value, f->regs.gpr[DI], 8);
	after = f->regs;
	after.gpr[DI] = old;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "48873f", true);
}

static void compares(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	size_t n = put(f, CODE, "90", "f0480fb10f"); /* lock cmpxchg [rdi], rcx */

	f->regs.rflags = 1 << 6; /* success: rcx was written, rax is as it was */
	le(f->value, f->regs.gpr[CX], 8);
	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480fb10f", true);

	f->regs.rflags = 0; /* failure: the old value was written back and is in rax */
	f->regs.gpr[AX] = 0x9988;
	le(f->value, 0x9988, 8);
	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480fb10f", false);

	n = put(f, CODE, "90", "0fc70f"); /* cmpxchg8b */
	f->regs.rflags = 1 << 6;
	le(f->value, f->regs.gpr[BX], 4);
	le(f->value + 4, f->regs.gpr[CX], 4);
	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "0fc70f", true);
}

static void stacks(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	size_t n = put(f, CODE, "90", "51"); /* push rcx */

	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x7f8);
	le(f->value, f->regs.gpr[CX], 8);
	after = f->regs;
	after.gpr[SP] -= 8;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "51", true);
	assert_int_equal(f->out.target.v, DATA + 0x7f8);

	n = put(f, CODE, "90", "54"); /* push rsp: its value before */
	le(f->value, f->regs.gpr[SP], 8);
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "54", true);

	n = put(f, CODE, "90", "ff37"); /* push [rdi] */
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "ff37", true);

	n = put(f, CODE, "90",
		"e8fb0f0000"); /* call CODE + 0x1001: RIP is there, the return address was stored */
	le(f->value, f->at + n, 8);
	after.rip = f->at + n + 0xffb;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "e8fb0f0000", true);
	after.rip += 1; /* no call goes there */
	assert_int_equal(find(f, &after, 8), -ENOENT);

	n = put(f, CODE, "90", "ffd0"); /* call rax */
	f->regs.gpr[AX] = JIT;
	after.gpr[AX] = JIT;
	le(f->value, f->at + n, 8);
	after.rip = JIT;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "ffd0", true);

	n = put(f, CODE, "90", "8f442408"); /* pop [rsp+8]: addressed after RSP moved */
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x810);
	after = f->regs;
	after.gpr[SP] += 8;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "8f442408", true);
}

static void bit_strings(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	size_t n = put(f, CODE, "90", "f0480fab0f"); /* lock bts [rdi], rcx */

	f->regs.gpr[CX] = (uint64_t)-1; /* bit 63 of the quadword below */
	after = f->regs;
	after.rip = f->at + n;
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0xf8);
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480fab0f", true);
	assert_int_equal(f->out.target.v, DATA + 0xf8);
	f->regs.gpr[CX] = 130;
	after.gpr[CX] = 130;
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x110);
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480fab0f", true);
}

/* [rdi] over the border of two pages that are not neighbours in memory. */
static void page_crossing(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	uint8_t value[8];
	size_t n = put(f, CODE, "90", "48890f");

	f->regs.gpr[DI] = DATA + 0xffd;
	le(value, f->regs.gpr[CX], 8);
	after = f->regs;
	after.rip = f->at + n;

	memcpy(f->value, value, 3); /* the first page is sealed, the second got its part */
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0xffd);
	assert_int_equal(find(f, &after, 3), 0);
	expect(f, "48890f", true);
	assert_int_equal(f->out.target.v, DATA + 0xffd);

	memcpy(f->value, value + 3, 5); /* the other way round: CR2 is the second page */
	f->seen.gpa = rf_gpa_of(DATA2_GPA);
	assert_int_equal(find(f, &after, 5), 0);
	expect(f, "48890f", true);
	assert_int_equal(f->out.target.v, DATA + 0x1000);
	assert_int_equal(f->out.operand.v, DATA + 0xffd);
	assert_int_equal(f->out.size, 8);

	memcpy(f->value, value, 8); /* both sealed, merged */
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0xffd);
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "48890f", true);

	assert_int_equal(find(f, &after, 5),
			 -ENOENT); /* ends neither at the border nor at the end */

	n = put(f, CODE, "90", "48870f"); /* xchg: the other half is in memory already */
	memcpy(f->value, value + 3, 5);
	fake_write(&f->g, DATA + 0xffd, value, 3);
	f->seen.gpa = rf_gpa_of(DATA2_GPA);
	after.gpr[CX] = 0;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 5), 0);
	expect(f, "48870f", false);
}

static void sixteen_bytes(void **state)
{
	struct fix *f = *state;
	struct rf_regs after;
	size_t n = put(f, CODE, "90", "0f1107");

	after = f->regs;
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0); /* the first half alone */
	expect(f, "0f1107", true);
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x108); /* the second */
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "0f1107", true);
	assert_int_equal(f->out.target.v, DATA + 0x108);
	assert_int_equal(f->out.operand.v, DATA + 0x100);
	f->seen.gpa = rf_gpa_of(DATA_GPA + 0x104);
	assert_int_equal(find(f, &after, 8), -ENOENT);
}

static void not_stores(void **state)
{
	static const char *const cases[] = { "488b07", "48390f", "4885 0f", "ffe0",
					     "0f0d0f", "c3",	 "0fae3f",  "480fa30f",
					     "ff27",   "0f1807", "dd07",    "48f727",
					     "cc",     "cd80",	 "f1",	    "0f0b",
					     "8ed9",   "0fb226", "0f00df",  "0f0117",
					     "0f38f9c9", "660f38f8c1", "0f38f83e", "660f38f90f" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fix *f = *state;
		size_t n = put(f, CODE, "909090909090909090909090909090", cases[i]);

		f->regs.rip = f->at + n;
		f->seen.rip_after = true;
		for (uint32_t len = 1; len <= 8; len *= 2)
			if (!find(f, &f->regs, len) && f->out.exact)
				fail_msg("%s is taken for %s", cases[i], f->out.text);
		f->regs.rip = f->at;
		f->seen.rip_after = false;
		assert_int_equal(find(f, &f->regs, 0), -ENOENT);
	}
}

/* What precedes looks like a prefix: the stream from the function's start tells what it is. */
static void prefix_ambiguity(void **state)
{
	struct fix *f = *state;
	struct rf_regs after = f->regs;
	size_t n = put(f, CODE, "b804030240",
		       "8907"); /* mov eax, 0x40020304: its last byte is a REX */

	le(f->value, f->regs.gpr[AX], 4);
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 4), 0);
	expect(f, "8907", true);

	n = put(f, CODE, "b8040302f0", "480907"); /* f0 of an immediate is no lock */
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "480907", true);

	n = put(f, CODE, "b804030201", "f0480907"); /* and here it is one */
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "f0480907", true);
}

/* JIT code: no symbol, the page before is not mapped. */
static void without_symbols(void **state)
{
	struct fix *f = *state;
	struct rf_regs after = f->regs;
	size_t n;
	uint8_t code[256];

	n = put(f, JIT, "", "48890f"); /* the first instruction of its page */
	le(f->value, f->regs.gpr[CX], 8);
	after.rip = f->at + n;
	assert_int_equal(find(f, &after, 8), 0);
	expect(f, "48890f", true);

	/* A stream of instructions votes: 40 is the end of an immediate. */
	for (size_t i = 0; i + 7 < 200; i += 7)
		unhex("48c7c001020340", code + i); /* mov rax, imm32 */
	memcpy(code + 196, "\x89\x0f", 2);
	memset(code + 198, 0x90, 20);
	fake_write(&f->g, JIT + 0x100, code, 218);
	f->at = JIT + 0x100 + 196;
	after.rip = f->at + 2;
	le(f->value, f->regs.gpr[CX], 4);
	assert_int_equal(find(f, &after, 4), 0);
	expect(f, "890f", true);

	assert_int_equal(rf_store_find(f->d, NULL, &f->g.m, &f->g.p, &f->seen, &f->out), 0);
	expect(f, "890f", true);
}

static void hostile(void **state)
{
	struct fix *f = *state;
	struct rf_store untouched;
	struct rf_regs after = f->regs;

	after.rip = UINT64_C(0xffffffff90000000); /* not mapped */
	assert_int_equal(find(f, &after, 8), -ENOENT);
	memset(&untouched, 0xee, sizeof(untouched));
	assert_memory_equal(&f->out, &untouched, sizeof(untouched));
	f->seen.rip_after = false;
	assert_int_equal(find(f, &after, 0), -ENOENT);
	f->seen.rip_after = true;
	after.rip = 3;
	assert_int_not_equal(find(f, &after, 8), 0);
	after.rip = UINT64_MAX;
	assert_int_not_equal(find(f, &after, 8), 0);
	assert_int_equal(find(f, &after, 0), -EINVAL);
	f->seen.bytes = NULL;
	assert_int_equal(find(f, &after, 8), -EINVAL);
	f->seen.bytes = f->value;
	put(f, CODE, "90", "48890f"); /* the operand is not mapped */
	after = f->regs;
	after.gpr[DI] = 0x1234;
	after.rip = f->at + 3;
	assert_int_equal(find(f, &after, 8), -ENOENT);
}

static void text(void **state)
{
	struct fix *f = *state;
	char line[64], tiny[4];

	rf_disasm_text(f->d, (const uint8_t *)"\x48\x89\x37", 3, rf_gva_of(CODE), line,
		       sizeof(line));
	assert_string_equal(line, "mov qword ptr [rdi], rsi");
	rf_disasm_text(f->d, (const uint8_t *)"\xc3", 1, rf_gva_of(CODE), line, sizeof(line));
	assert_string_equal(line, "ret");
	rf_disasm_text(f->d, (const uint8_t *)"\x0f\xff", 1, rf_gva_of(CODE), line, sizeof(line));
	assert_string_equal(line, "(bad)");
	rf_disasm_text(f->d, (const uint8_t *)"\x48\x89\x37", 3, rf_gva_of(CODE), tiny,
		       sizeof(tiny));
	assert_string_equal(tiny, "mov");
	rf_disasm_text(f->d, NULL, 0, rf_gva_of(CODE), line, sizeof(line));
	assert_string_equal(line, "(bad)");
	rf_disasm_destroy(NULL);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(plain_stores),
		T(addressing),
		T(rip_relative),
		T(strings),
		T(rep_behind_store),
		T(exchanges),
		T(compares),
		T(stacks),
		T(bit_strings),
		T(page_crossing),
		T(sixteen_bytes),
		T(not_stores),
		T(prefix_ambiguity),
		T(without_symbols),
		T(hostile),
		T(text),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
