// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel's patcher: where a trap may stand in it, and where there is no such place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/patches/textpatch.h"
#include "tests/unit/fake_guest.h"
#include "tests/unit/hex.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define POKER (TEXT + 0x100)
#define COPY (TEXT + 0x40)
#define RETURN (TEXT + 0x80)

/* Pieces of code; spaces are for the reader. */
#define FTRACE "0f1f440000 "
#define CALLED "e800000000 "
#define ENDBR "f30f1efa "
#define PUSHES "4157 4156 55 53 " /* r15 r14 rbp rbx */
#define POPS "5b 5d 415e 415f "
#define ROOM "4883ec40 "	    /* sub $0x40, %rsp */
#define BODY "31c0 90 90 4883c440 " /* ..., add $0x40, %rsp */
#define RET "c3 "
#define REST "cc cc cc cc cc cc cc cc"

static struct fake_guest g;

static void kernel_of(const char *hex)
{
	uint8_t code[512];
	size_t len = unhex(hex, code);

	fake_init(&g);
	fake_map(&g, TEXT, 0x4000, 2);
	g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(0x4000), 0x2000 };
	fake_symbol(&g, "_text", TEXT, 'T');
	fake_symbol(&g, "text_poke_memcpy", COPY, 't');
	fake_symbol(&g, "some_return_thunk", RETURN, 'T');
	fake_symbol(&g, "__text_poke", POKER, 't');
	fake_symbol(&g, "next", POKER + len, 't');
	fake_write(&g, POKER, code, len);
}

static int find(const char *hex, struct rf_poker *out)
{
	struct rf_disasm *d;
	int err;

	kernel_of(hex);
	assert_int_equal(rf_disasm_create(&d), 0);
	err = rf_textpatch_poker(d, &g.k, &g.m, out);
	rf_disasm_destroy(d);
	return err;
}

static void found(const char *hex, uint64_t at, uint8_t len, uint32_t frame, uint64_t back)
{
	struct rf_poker p;

	assert_int_equal(find(hex, &p), 0);
	assert_int_equal(p.at.v - POKER, at);
	assert_int_equal(p.len, len);
	assert_memory_equal(p.bytes, g.ram + 0x4100 + at, len);
	assert_int_equal(p.frame, frame);
	assert_int_equal(p.back.v - POKER, back);
	assert_int_equal(p.how.v, COPY);
}

static void places(void **state)
{
	found(FTRACE PUSHES ROOM BODY POPS RET REST, 11, 4, 0x40, 23);
	found(ENDBR FTRACE PUSHES ROOM BODY POPS RET REST, 15, 4, 0x40, 27);
	found(ENDBR PUSHES ROOM BODY POPS RET REST, 10, 4, 0x40, 22);
	found(CALLED PUSHES ROOM BODY POPS RET REST, 11, 4, 0x40, 23);
	found(PUSHES ROOM BODY POPS RET REST, 6, 4, 0x40, 18);
	found(PUSHES "4881ec80010000 " BODY POPS RET REST, 6, 7, 0x180, 21);
	found("53 4883ec08 5b c3 cc", 1, 4, 8, 5);
	/* mov %rsi, %r15; and $0xfff, %r15d; lea 0(%r15,%rcx), %rax; between the pushes */
	found("4157 4989f7 4156 4181e7ff0f0000 55 498d040f 53 " ROOM BODY POPS RET REST, 20, 4,
	      0x40, 32);
	/* Pops that do not end it come first; a jump to what returns does. */
	found(PUSHES ROOM POPS "90 " BODY POPS RET REST, 6, 4, 0x40, 25);
	found(PUSHES ROOM BODY POPS "e963ffffff " REST, 6, 4, 0x40, 18);
}

static void no_places(void **state)
{
	static const char *const functions[] = {
		FTRACE PUSHES BODY POPS RET REST,		  /* no room made */
		ROOM BODY RET REST,				  /* nothing pushed */
		PUSHES "4883ec00 " BODY POPS RET REST,		  /* sub $0 */
		PUSHES "4883ecc0 " BODY POPS RET REST,		  /* sub $-64 */
		PUSHES "4881ec00100000 " BODY POPS RET REST,	  /* a page */
		PUSHES "482be0 " BODY POPS RET REST,		  /* sub %rax, %rsp */
		PUSHES "83ec40 " BODY POPS RET REST,		  /* esp */
		PUSHES ROOM BODY "5d 5b 415e 415f " RET REST,	  /* another order */
		PUSHES ROOM BODY "5b 5d 415e " RET REST,	  /* one is missing */
		PUSHES ROOM BODY POPS "90 " REST,		  /* goes on */
		PUSHES ROOM BODY POPS "e900000000 " REST,	  /* jumps elsewhere */
		PUSHES ROOM BODY POPS "e964ffffff " REST,	  /* into the thunk */
		PUSHES "4889c7 " ROOM BODY POPS RET REST,	  /* writes rdi */
		PUSHES "89c6 " ROOM BODY POPS RET REST,		  /* esi */
		PUSHES "b201 " ROOM BODY POPS RET REST,		  /* dl */
		PUSHES "8b4f08 " ROOM BODY POPS RET REST,	  /* ecx */
		PUSHES "48891f " ROOM BODY POPS RET REST,	  /* stores */
		PUSHES "488b2424 " ROOM BODY POPS RET REST,	  /* rsp is loaded from memory */
		PUSHES "f3a4 " ROOM BODY POPS RET REST,		  /* rep movsb */
		PUSHES "e800000000 " ROOM BODY POPS RET REST,	  /* a call */
		PUSHES "7402 " ROOM BODY POPS RET REST,		  /* a branch */
		PUSHES "0fa2 " ROOM BODY POPS RET REST,		  /* cpuid */
		PUSHES "06 " ROOM BODY POPS RET REST,		  /* nothing */
		PUSHES PUSHES "4155 4154 53 " ROOM BODY RET REST, /* more than there are */
		PUSHES ROOM BODY "5b 5d 415e 41",		  /* ends in it */
		PUSHES ROOM BODY POPS,				  /* ends behind it */
		PUSHES ROOM BODY POPS "e9 63 ff",
		"41",
	};
	struct rf_poker p;

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		int err = find(functions[i], &p);

		if (err != -ENOENT)
			fail_msg("function %zu: %d", i, err);
	}
}

static void long_way(void **state)
{
	char hex[600] = PUSHES;
	struct rf_poker p;

	for (int i = 0; i < 48; i++)
		strcat(hex, "31c0 ");
	strcat(hex, ROOM BODY POPS RET REST);
	assert_int_equal(find(hex, &p), -ENOENT);
}

static void unknown(void **state)
{
	struct rf_disasm *d;
	struct rf_poker p;

	assert_int_equal(rf_disasm_create(&d), 0);
	kernel_of(PUSHES ROOM BODY POPS RET REST);
	for (size_t i = 0; i < g.k.count; i++)
		if (!strcmp(g.k.syms[i].name, "text_poke_memcpy"))
			g.k.syms[i].name = "other";
	assert_int_equal(rf_textpatch_poker(d, &g.k, &g.m, &p), -ENOENT);
	kernel_of(PUSHES ROOM BODY POPS RET REST);
	for (size_t i = 0; i < g.k.count; i++)
		if (!strcmp(g.k.syms[i].name, "__text_poke"))
			g.k.syms[i].name = "other";
	assert_int_equal(rf_textpatch_poker(d, &g.k, &g.m, &p), -ENOENT);
	kernel_of(PUSHES ROOM BODY POPS RET REST);
	g.k.image.gpa = rf_gpa_of(UINT64_C(1) << 40); /* no RAM there */
	assert_int_equal(rf_textpatch_poker(d, &g.k, &g.m, &p), -EFAULT);
	rf_disasm_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(no_places),
		cmocka_unit_test(long_way),
		cmocka_unit_test(unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
