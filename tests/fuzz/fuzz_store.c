// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * rf_store_find() on any code, registers and report. Input: one byte of choices, one byte of report
 * length, two bytes of report offset, 24 bytes for three registers, then code that ends (or starts)
 * at RIP. Registers are folded into the mapped data page, else almost nothing would fit. What is
 * found must hold together.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/arch.h"
#include "tests/unit/fake_guest.h"

#define CODE UINT64_C(0xffffffff81000000)
#define DATA UINT64_C(0xffff888000002000)

static void check(struct rf_disasm *d, const struct rf_kernel *k, const struct fake_guest *g,
		  const struct rf_store_seen *seen)
{
	struct rf_store out;

	memset(&out, 0xee, sizeof(out));
	if (rf_store_find(d, k, &g->m, &g->p, seen, &out))
		return;
	if (!out.insn_len || out.insn_len > 15 || out.before.rip != out.rip.v ||
	    out.target.v < out.operand.v ||
	    (out.size && out.target.v - out.operand.v >= out.size) ||
	    !memchr(out.text, 0, sizeof(out.text)))
		abort();
	if (!seen->rip_after && out.rip.v != seen->regs.rip)
		abort();
	if (seen->gpa.v != RF_STORE_GPA_UNKNOWN && out.gpa.v != seen->gpa.v)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_guest g;
	static struct rf_disasm *d;
	static const uint8_t bytes[256];
	struct rf_store_seen seen = { .bytes = bytes };
	size_t code;

	if (size < 29)
		return 0;
	if (!d && rf_disasm_create(&d))
		abort();
	fake_init(&g);
	fake_map(&g, CODE, 0x8000, 2);
	fake_map(&g, DATA, 0x2000, 1);
	fake_map(&g, DATA + 4096, 0x5000, 1);
	g.k.image = (struct rf_image){ rf_gva_of(CODE), rf_gpa_of(0x8000), 0x2000 };
	fake_symbol(&g, "f", CODE + (data[0] & 0xf), 'T');
	code = size - 28 < 0x1800 ? size - 28 : 0x1800;
	memcpy(g.ram + 0x8000, data + 28, code);

	seen.rip_after = !(data[0] & 0x10);
	seen.len = data[0] & 0x20 ? 0 : data[1] % 65;
	seen.gpa =
		rf_gpa_of(data[0] & 0x40 ? RF_STORE_GPA_UNKNOWN
					 : 0x2000 + (unsigned int)(data[2] | (data[3] & 0xf) << 8));
	if (data[3] & 0x10)
		seen.gpa.v = 0x5000;
	for (int i = 0; i < 16; i++) {
		uint64_t v;

		memcpy(&v, data + 4 + 8 * (i % 3), 8);
		seen.regs.gpr[i] = data[0] & 0x80 ? v : DATA + (v & 0x1fff);
	}
	seen.regs.rflags = data[3] & 0x20 ? 1 << 10 : 0;
	seen.regs.gs_base = DATA;
	seen.regs.rip = CODE + (seen.rip_after ? code : data[1] % code);
	check(d, data[3] & 0x40 ? NULL : &g.k, &g, &seen);
	/* The same place asked about by a vCPU that stands still on it. */
	seen.rip_after = false;
	seen.len = 0;
	seen.gpa = rf_gpa_of(RF_STORE_GPA_UNKNOWN);
	check(d, NULL, &g, &seen);
	return 0;
}
