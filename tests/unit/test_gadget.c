// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sensitive instructions: each by its bytes, with prefixes, hidden, cut, and where ranges end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/x86/gadget.h"
#include "tests/unit/fake_guest.h"
#include "tests/unit/hex.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define TEXT_GPA 0x4000
#define PAGES 10
#define SIZE (PAGES * 4096)

static struct rf_disasm *shared;

/* --- one instruction ---------------------------------------------------------------- */

static const struct {
	const char *hex;
	enum rf_gadget_kind kind; /* NONE: it is not one */
} insns[] = {
	{ "0f22c0", RF_GADGET_MOV_CR0 },      { "410f22c0", RF_GADGET_MOV_CR0 }, /* from r8 */
	{ "480f22c0", RF_GADGET_MOV_CR0 },    { "0f2200", RF_GADGET_MOV_CR0 }, /* mod is ignored */
	{ "0f22d0", RF_GADGET_NONE },					       /* cr2 */
	{ "0f22d8", RF_GADGET_MOV_CR3 },      { "0f22e7", RF_GADGET_MOV_CR4 },
	{ "440f22c0", RF_GADGET_MOV_CR8 },    { "f00f22c0", RF_GADGET_MOV_CR8 }, /* AMD */
	{ "f00f22e0", RF_GADGET_NONE },	      { "440f22e0", RF_GADGET_NONE },	 /* cr12 */
	{ "0f22c8", RF_GADGET_NONE },						 /* cr1 */
	{ "0f20c0", RF_GADGET_NONE },						 /* from cr0 */
	{ "0f23f8", RF_GADGET_MOV_DR },	      { "440f23f8", RF_GADGET_NONE },
	{ "0f01f0", RF_GADGET_LMSW },	      { "0f0130", RF_GADGET_LMSW },
	{ "0f06", RF_GADGET_CLTS },	      { "f00f06", RF_GADGET_NONE },
	{ "0f30", RF_GADGET_WRMSR },	      { "3e0f30", RF_GADGET_WRMSR },
	{ "480f30", RF_GADGET_WRMSR },	      { "0f32", RF_GADGET_NONE },
	{ "0f01c6", RF_GADGET_WRMSR },	      { "f30f01c6", RF_GADGET_WRMSR }, /* wrmsrlist */
	{ "f20f01c6", RF_GADGET_NONE },					       /* rdmsrlist */
	{ "0f0110", RF_GADGET_LGDT },	      { "0f011d00000000", RF_GADGET_LIDT },
	{ "0f0118", RF_GADGET_LIDT },	      { "0f0100", RF_GADGET_NONE }, /* sgdt */
	{ "0f0138", RF_GADGET_NONE },					    /* invlpg */
	{ "0f01d0", RF_GADGET_NONE },					    /* xgetbv */
	{ "0f01d1", RF_GADGET_XSETBV },	      { "0f01d9", RF_GADGET_NONE }, /* vmmcall */
	{ "0f01ca", RF_GADGET_NONE },					    /* clac */
	{ "0f00d0", RF_GADGET_LLDT },	      { "0f0010", RF_GADGET_LLDT },
	{ "0f00d8", RF_GADGET_LTR },	      { "0f00c8", RF_GADGET_NONE }, /* str */
	{ "0fc718", RF_GADGET_XRSTORS },      { "480fc71f", RF_GADGET_XRSTORS },
	{ "660fc718", RF_GADGET_NONE },	      { "0fc708", RF_GADGET_NONE }, /* cmpxchg8b */
	{ "0fc7f0", RF_GADGET_NONE },					    /* rdrand */
	{ "0fc730", RF_GADGET_VMX },					    /* vmptrld */
	{ "f30fc730", RF_GADGET_VMX },	      { "0f01c4", RF_GADGET_VMX },
	{ "0f01d8", RF_GADGET_SVM },	      { "0f01da", RF_GADGET_SVM },
	{ "0f38f600", RF_GADGET_WRSS },	      { "480f38f600", RF_GADGET_WRSS },
	{ "660f38f600", RF_GADGET_NONE }, /* adcx */
	{ "f30f38f600", RF_GADGET_NONE }, /* adox */
	{ "660f38f500", RF_GADGET_WRSS }, /* wruss */
	{ "0f38f500", RF_GADGET_NONE },	      { "0f38f6c0", RF_GADGET_NONE },
	{ "0ff600", RF_GADGET_NONE },	      /* psadbw */
	{ "4866 0f0110", RF_GADGET_NONE },    /* no opcode where one was expected */
	{ "66676664650f30", RF_GADGET_WRMSR } /* five prefixes */
};

static void every_instruction(void **state)
{
	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		enum rf_gadget_kind kind = RF_GADGET_NONE;
		struct rf_gadget g;
		uint8_t code[16];
		size_t n = unhex(insns[i].hex, code);

		if (!rf_gadget_decode(code, n, rf_gva_of(TEXT), &g)) {
			kind = g.kind;
			assert_int_equal(g.len, n);
			assert_memory_equal(g.bytes, code, n);
		}
		if (kind != insns[i].kind)
			fail_msg("%s: %s", insns[i].hex, rf_gadget_kind_text(kind));
		/* One byte short of it is none; nor may anything be touched behind the end. */
		for (size_t cut = 0; kind && cut < n; cut++)
			assert_int_equal(rf_gadget_decode(code, cut, rf_gva_of(TEXT), &g), -ENOENT);
	}
}

/* Capstone reads the same length and operand where it knows the instruction. */
static void lengths_agree_with_capstone(void **state)
{
	static const char *const forms[] = { "00",     "04247f",       "0425785634f2",
					     "4c8b10", "8c8b10325476", "0578563412",
					     "40ff",   "8078563412",   "44ff10" };

	for (unsigned int reg = 2; reg <= 3; reg++) {
		for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
			uint8_t code[16] = { 0x0f, 0x01 };
			size_t n = 2 + unhex(forms[i], code + 2);
			struct rf_gadget g;

			code[2] = (uint8_t)(code[2] & ~0x38) | (uint8_t)(reg << 3);
			if (rf_gadget_decode(code, n, rf_gva_of(TEXT), &g))
				fail_msg("form %zu", i);
			assert_int_equal(g.len, rf_disasm_length(shared, code, sizeof(code),
								 rf_gva_of(TEXT)));
			assert_int_equal(g.kind, reg == 2 ? RF_GADGET_LGDT : RF_GADGET_LIDT);
			assert_int_equal(g.operand.size, 10);
		}
	}
}

/* UD1 in all its lengths; what is cut is never longer than what there is. */
static void undefined_instructions(void **state)
{
	static const struct {
		const char *hex;
		size_t len;
	} ud1[] = {
		{ "67480fb93a", 5 },	   { "67440fb93a", 5 },	    { "0fb9cc", 3 },
		{ "0fb9043d00000000", 8 }, { "0fb93d00000000", 7 }, { "670fb97a10", 5 },
		{ "480fb9ba00000000", 8 }, { "0fb90424", 4 },	    { "480fb97c2410", 6 },
	};

	for (size_t i = 0; i < sizeof(ud1) / sizeof(ud1[0]); i++) {
		uint8_t code[16];

		unhex(ud1[i].hex, code);
		for (size_t n = 0; n <= ud1[i].len; n++) {
			size_t len = rf_disasm_length(shared, code, n, rf_gva_of(TEXT));

			if (len > n || (n == ud1[i].len && len != n))
				fail_msg("%s, %zu bytes", ud1[i].hex, n);
		}
	}
}

static uint64_t address(const char *hex, const struct rf_regs *regs)
{
	struct rf_gadget g;
	uint8_t code[16];

	if (rf_gadget_decode(code, unhex(hex, code), rf_gva_of(TEXT), &g))
		fail_msg("%s", hex);
	assert_int_equal(g.operand.type, RF_OPERAND_MEM);
	return rf_gadget_operand_address(&g, regs);
}

static void operands(void **state)
{
	struct rf_regs r = { .fs_base = 0x1000, .gs_base = 0x2000 };
	struct rf_gadget g;
	uint8_t code[16];

	for (unsigned int i = 0; i < 16; i++)
		r.gpr[i] = (i + 1) * UINT64_C(0x0001000000010000);
	assert_int_equal(address("0f011f", &r), r.gpr[7]);	   /* [rdi] */
	assert_int_equal(address("410f011f", &r), r.gpr[15]);	   /* [r15] */
	assert_int_equal(address("0f015ff8", &r), r.gpr[7] - 8);   /* [rdi - 8] */
	assert_int_equal(address("0f011c24", &r), r.gpr[4]);	   /* [rsp] */
	assert_int_equal(address("0f015c2406", &r), r.gpr[4] + 6); /* [rsp + 6] */
	assert_int_equal(address("0f011c88", &r), r.gpr[0] + 4 * r.gpr[1]);
	assert_int_equal(address("420f011c20", &r), r.gpr[0] + r.gpr[12]);
	assert_int_equal(address("0f011d10000000", &r), TEXT + 7 + 0x10);
	assert_int_equal(address("0f011df0ffffff", &r), TEXT + 7 - 0x10);
	assert_int_equal(address("0f011c2510000000", &r), 0x10);
	assert_int_equal(address("410f011c2510000000", &r), 0x10);
	assert_int_equal(address("410f015d00", &r), r.gpr[13]);
	assert_int_equal(address("640f011f", &r), r.gpr[7] + 0x1000);
	assert_int_equal(address("650f011c2510000000", &r), 0x2010);
	assert_int_equal(address("64650f011f", &r), r.gpr[7] + 0x2000); /* the last one */
	assert_int_equal(address("653e0f011f", &r), r.gpr[7] + 0x2000); /* DS is none */
	assert_int_equal(address("670f011f", &r), (uint32_t)r.gpr[7]);

	assert_int_equal(rf_gadget_decode(code, unhex("410f22c1", code), rf_gva_of(TEXT), &g), 0);
	assert_int_equal(g.operand.type, RF_OPERAND_REG);
	assert_int_equal(g.operand.reg, 9);
	assert_int_equal(g.operand.size, 8);
	assert_int_equal(rf_gadget_operand_address(&g, &r), 0);
	assert_int_equal(rf_gadget_decode(code, unhex("0f00d8", code), rf_gva_of(TEXT), &g), 0);
	assert_int_equal(g.operand.reg, 0);
	assert_int_equal(g.operand.size, 2);
	assert_int_equal(rf_gadget_decode(code, unhex("0f30", code), rf_gva_of(TEXT), &g), 0);
	assert_int_equal(g.operand.type, RF_OPERAND_NONE);
	assert_int_equal(g.operand.size, 0);
	assert_int_equal(rf_gadget_decode(code, unhex("0f01da", code), rf_gva_of(TEXT), &g), 0);
	assert_int_equal(g.operand.type, RF_OPERAND_NONE);
	assert_int_equal(rf_gadget_decode(code, unhex("4c0f38f607", code), rf_gva_of(TEXT), &g), 0);
	assert_int_equal(g.operand.type, RF_OPERAND_MEM);
	assert_int_equal(g.operand.reg, 8);
	assert_int_equal(g.operand.base, 7);
	assert_int_equal(g.operand.size, 8);
}

/* --- text ----------------------------------------------------------------------------- */

struct fix {
	struct fake_guest g;
	struct rf_gadget found[64];
	size_t count;
};

static int setup(void **state)
{
	static struct fix f;

	memset(&f, 0, sizeof(f));
	fake_init(&f.g);
	f.g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(TEXT_GPA), SIZE };
	memset(f.g.ram + TEXT_GPA, 0x90, SIZE);
	fake_symbol(&f.g, "f", TEXT, 'T');
	*state = &f;
	return 0;
}

static void put(struct fix *f, size_t at, const char *hex)
{
	unhex(hex, f->g.ram + TEXT_GPA + at);
}

static void find(struct fix *f, struct rf_disasm *d, size_t from, size_t to)
{
	assert_int_equal(rf_gadgets_list(d, &f->g.k, &f->g.m, rf_gva_of(TEXT + from),
					 rf_gva_of(TEXT + to), f->found, 64, &f->count),
			 0);
}

static void is(const struct fix *f, size_t i, size_t at, size_t len, bool intended,
	       enum rf_gadget_kind kind)
{
	assert_true(i < f->count);
	assert_int_equal(f->found[i].addr.v, TEXT + at);
	assert_int_equal(f->found[i].len, len);
	assert_int_equal(f->found[i].intended, intended);
	assert_int_equal(f->found[i].kind, kind);
}

static void intended_and_hidden(void **state)
{
	struct fix *f = *state;

	put(f, 0x10, "0f30");	       /* wrmsr */
	put(f, 0x20, "b80f30c390");    /* mov eax, 0x90c3300f: a wrmsr inside */
	put(f, 0x30, "e800000f01 1f"); /* call: lidt [rdi] across its end */
	put(f, 0x4f8, "0f22d8");       /* mov cr3 */
	find(f, shared, 0, SIZE);
	is(f, 0, 0x10, 2, true, RF_GADGET_WRMSR);
	is(f, 1, 0x21, 2, false, RF_GADGET_WRMSR);
	is(f, 2, 0x33, 3, false, RF_GADGET_LIDT);
	is(f, 3, 0x4f8, 3, true, RF_GADGET_MOV_CR3);
	assert_int_equal(f->count, 4);
	/* Without a disassembler all are there, and none is known to be meant. */
	find(f, NULL, 0, SIZE);
	assert_int_equal(f->count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_false(f->found[i].intended);
}

static void prefixes_belong_to_it(void **state)
{
	struct fix *f = *state;

	put(f, 0x10, "440f22c0");    /* mov cr8, rax; mov cr0 for who jumps behind the prefix */
	put(f, 0x20, "410f22e0");    /* mov cr4, r8: the same kind without */
	put(f, 0x30, "660f38f600");  /* adcx: wrss without its prefix */
	put(f, 0x40, "b8 66660f30"); /* inside an immediate: as long as it can be read */
	find(f, shared, 0, SIZE);
	is(f, 0, 0x10, 4, true, RF_GADGET_MOV_CR8);
	is(f, 1, 0x11, 3, false, RF_GADGET_MOV_CR0);
	is(f, 2, 0x20, 4, true, RF_GADGET_MOV_CR4);
	is(f, 3, 0x31, 4, false, RF_GADGET_WRSS);
	is(f, 4, 0x41, 4, false, RF_GADGET_WRMSR);
	assert_int_equal(f->count, 5);
}

static void functions_are_in_step_each_for_itself(void **state)
{
	struct fix *f = *state;

	/* The first function ends in half an instruction: the second starts anew. */
	put(f, 0xffe, "48b8");
	fake_symbol(&f->g, "g", TEXT + 0x1000, 't');
	put(f, 0x1000, "0f30");
	/* An instruction that Capstone 4 does not know is in the way. */
	put(f, 0x1010, "0f01ef"); /* wrpkru */
	put(f, 0x1013, "0f30");
	find(f, shared, 0, SIZE);
	is(f, 0, 0x1000, 2, true, RF_GADGET_WRMSR);
	is(f, 1, 0x1013, 2, true, RF_GADGET_WRMSR);
	assert_int_equal(f->count, 2);
	/* Before the first symbol nothing is known. */
	f->g.k.syms[0].addr.v = TEXT + 0x800;
	put(f, 0x20, "0f30");
	find(f, shared, 0, SIZE);
	is(f, 0, 0x20, 2, false, RF_GADGET_WRMSR);
	assert_int_equal(f->count, 3);
}

static void ranges_can_be_cut_anywhere(void **state)
{
	struct fix *f = *state;
	struct rf_gadget all[64];
	size_t n;

	put(f, 0x10, "66440f22c0");
	put(f, 0x3ffd, "0f011d00000000"); /* over the border of a block */
	put(f, 0x7ffe, "0f30");
	put(f, SIZE - 2, "0f30"); /* the image's last bytes */
	find(f, shared, 0, SIZE);
	n = f->count;
	assert_int_equal(n, 5);
	memcpy(all, f->found, sizeof(all));
	for (size_t step = 1; step < 40; step++) {
		size_t total = 0;

		for (size_t at = 0; at < 0x40; at += step) {
			find(f, shared, at, at + step);
			for (size_t i = 0; i < f->count; i++)
				assert_memory_equal(&f->found[i], &all[total + i], sizeof(all[0]));
			total += f->count;
		}
		assert_int_equal(total, 2);
	}
	for (size_t cut = 0x3ff8; cut < 0x4008; cut++) {
		find(f, shared, 0x3000, cut);
		assert_int_equal(f->count, cut > 0x3ffd);
		find(f, shared, cut, 0x5000);
		assert_int_equal(f->count, cut <= 0x3ffd);
	}
	/* An operand that the image does not have. */
	put(f, SIZE - 3, "0f011d");
	find(f, shared, SIZE - 0x10, SIZE);
	assert_int_equal(f->count, 0);
}

static int stop(void *ctx, const struct rf_gadget *g)
{
	return ++*(int *)ctx == 2 ? -ECANCELED : 0;
}

static void lists_are_cut_and_say_so(void **state)
{
	struct fix *f = *state;
	size_t count = 77;
	int calls = 0;

	for (size_t i = 0; i < SIZE; i += 2)
		put(f, i, "0f30");
	assert_int_equal(rf_gadgets_list(shared, &f->g.k, &f->g.m, rf_gva_of(TEXT),
					 rf_gva_of(TEXT + SIZE), f->found, 64, &count),
			 0);
	assert_int_equal(count, SIZE / 2);
	f->count = 64;
	is(f, 63, 126, 2, true, RF_GADGET_WRMSR);
	assert_int_equal(rf_gadgets_find(shared, &f->g.k, &f->g.m, rf_gva_of(TEXT),
					 rf_gva_of(TEXT + SIZE), stop, &calls),
			 -ECANCELED);
	assert_int_equal(calls, 2);
}

static void bad_ranges(void **state)
{
	struct fix *f = *state;
	size_t count = 77;

	static const struct {
		uint64_t from, to;
	} ranges[] = { { TEXT - 1, TEXT + 1 },
		       { TEXT + 2, TEXT + 1 },
		       { TEXT, TEXT + SIZE + 1 },
		       { TEXT + SIZE + 1, TEXT + SIZE + 2 },
		       { 0, UINT64_MAX } };

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		assert_int_equal(rf_gadgets_list(shared, &f->g.k, &f->g.m,
						 rf_gva_of(ranges[i].from), rf_gva_of(ranges[i].to),
						 f->found, 64, &count),
				 -EINVAL);
		assert_int_equal(count, 77);
	}
	find(f, shared, SIZE, SIZE);
	assert_int_equal(f->count, 0);
	/* Frames that are no memory. */
	f->g.k.image.gpa.v = sizeof(f->g.ram) - 4096;
	count = 77;
	assert_int_equal(rf_gadgets_list(shared, &f->g.k, &f->g.m, rf_gva_of(TEXT),
					 rf_gva_of(TEXT + SIZE), f->found, 64, &count),
			 -EFAULT);
	assert_int_equal(count, 77);
}

static void names(void **state)
{
	for (int k = 1; k < RF_GADGET_KINDS; k++)
		assert_string_not_equal(rf_gadget_kind_text((enum rf_gadget_kind)k), "none");
	assert_string_equal(rf_gadget_kind_text(RF_GADGET_KINDS), "none");
	assert_string_equal(rf_gadget_kind_text((enum rf_gadget_kind) - 1), "none");
}

static int group_setup(void **state)
{
	return rf_disasm_create(&shared);
}

static int group_teardown(void **state)
{
	rf_disasm_destroy(shared);
	return 0;
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_instruction),
		cmocka_unit_test(lengths_agree_with_capstone),
		cmocka_unit_test(operands),
		cmocka_unit_test(undefined_instructions),
		T(intended_and_hidden),
		T(prefixes_belong_to_it),
		T(functions_are_in_step_each_for_itself),
		T(ranges_can_be_cut_anywhere),
		T(lists_are_cut_and_say_so),
		T(bad_ranges),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
