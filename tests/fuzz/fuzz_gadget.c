// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sensitive instructions in any text. Input: where the second function starts, where the range is
 * cut in two, one unused byte, then text. The parts must hold what the whole holds, each result
 * must decode to itself, and every opcode that a plain search finds must be among them.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/x86/gadget.h"
#include "tests/unit/fake_guest.h"

#define TEXT UINT64_C(0xffffffff81000000)
#define CAP 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rf_gadget *g)
{
	struct rf_regs regs = { .rip = g->addr.v };
	struct rf_gadget again;

	if (g->len < 2 || g->len > 15 || !g->kind || g->kind >= RF_GADGET_KINDS ||
	    rf_gadget_decode(g->bytes, g->len, g->addr, &again) || again.kind != g->kind ||
	    again.len != g->len)
		abort();
	if (!rf_gadget_decode(g->bytes, g->len - 1u, g->addr, &again))
		abort();
	if (g->operand.reg > 15 || g->operand.base > 15 || g->operand.index > 15 ||
	    g->operand.index == 4)
		abort();
	rf_gadget_operand_address(g, &regs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rf_gadget whole[CAP], parts[CAP];
	static struct fake_guest g;
	static struct rf_disasm *d;
	size_t count, first, second, len;

	if (size < 5)
		return 0;
	if (!d && rf_disasm_create(&d))
		abort();
	len = size - 4 < 0x10000 ? size - 4 : 0x10000;
	fake_init(&g);
	g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(0x1000), len };
	memcpy(g.ram + 0x1000, data + 4, len);
	fake_symbol(&g, "f", TEXT + (data[2] & 1), 'T');
	fake_symbol(&g, "g", TEXT + data[0] % len, 'T');
	if (rf_gadgets_list(d, &g.k, &g.m, rf_gva_of(TEXT), rf_gva_of(TEXT + len), whole, CAP,
			    &count))
		abort();
	if (count > CAP)
		return 0;
	for (size_t i = 0; i < count; i++)
		check(&whole[i]);
	if (rf_gadgets_list(d, &g.k, &g.m, rf_gva_of(TEXT), rf_gva_of(TEXT + data[1] % len), parts,
			    CAP, &first) ||
	    rf_gadgets_list(d, &g.k, &g.m, rf_gva_of(TEXT + data[1] % len), rf_gva_of(TEXT + len),
			    parts + first, CAP - first, &second) ||
	    first + second != count || memcmp(whole, parts, count * sizeof(whole[0])))
		abort();
	/* Each place, decoded without its prefixes. */
	for (size_t i = 0, at = 0; i < len; i++) {
		struct rf_gadget one;

		if (data[4 + i] != 0x0f ||
		    rf_gadget_decode(data + 4 + i, len - i, rf_gva_of(TEXT + i), &one))
			continue;
		while (at < count && whole[at].addr.v + whole[at].len <= TEXT + i)
			at++;
		first = at;
		while (first < count &&
		       (whole[first].kind != one.kind ||
			whole[first].addr.v + whole[first].len != one.addr.v + one.len))
			first++;
		if (first == count)
			abort();
	}
	return 0;
}
