// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/entry.h"
#include "introspection/kernel.h"

#include <errno.h>
#include <string.h>

/*
 * endbr64, or what stands for it where nobody calls the function indirectly (6.1, 6.12
 * arch/x86/include/asm/ibt.h gen_endbr_poison()), then the call or NOP of ftrace.
 */
static size_t behind_entry(const uint8_t *code, size_t len)
{
	static const uint8_t endbr[][4] = { { 0xf3, 0x0f, 0x1e, 0xfa }, /* SDM vol. 2A ENDBR64 */
					    { 0x66, 0x0f, 0x1f, 0x00 },
					    { 0x0f, 0x1f, 0x40, 0x00 } };
	static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	size_t at = 0;

	for (size_t i = 0; i < sizeof(endbr) / sizeof(endbr[0]); i++)
		if (len > sizeof(endbr[i]) && !memcmp(code, endbr[i], sizeof(endbr[i])))
			at = sizeof(endbr[i]);
	if (at + sizeof(nop5) < len && (code[at] == 0xe8 || !memcmp(code + at, nop5, sizeof(nop5))))
		at += sizeof(nop5);
	return at;
}

int rf_function_read(const struct rf_kernel *k, const struct rf_memory *m, const char *name,
		     struct rf_function *out)
{
	struct rf_symbol s;
	rf_gva start, end;
	rf_gpa gpa;
	int err;

	if (rf_kernel_address(k, name, &start) || rf_kernel_symbol_extent(k, start, &s, &end) ||
	    rf_kernel_image_gpa(k, start, &gpa))
		return -ENOENT;
	out->start = start.v;
	out->len = end.v - start.v < sizeof(out->code) ? end.v - start.v : sizeof(out->code);
	err = rf_memory_read(m, gpa, out->code, out->len);
	if (!err)
		out->entry = behind_entry(out->code, out->len);
	return err;
}

int rf_function_head(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		     const char *name, uint8_t least, struct rf_insns *out)
{
	struct rf_function f;
	size_t n, at;
	int err = rf_function_read(k, m, name, &f);

	if (err)
		return err;
	for (at = f.entry; at < f.entry + least; at += n) {
		n = rf_disasm_length(d, f.code + at, f.len - at, rf_gva_of(f.start + at));
		if (!n || at + n > f.entry + sizeof(out->bytes))
			return -ENOENT;
	}
	*out = (struct rf_insns){ .at = rf_gva_of(f.start + f.entry),
				  .len = (uint8_t)(at - f.entry) };
	memcpy(out->bytes, f.code + f.entry, out->len);
	return 0;
}
