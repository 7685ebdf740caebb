// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Call depth accounting (retbleed=stuff): in the padding before a function stands a copy of
 * skl_call_thunk_template, and direct calls go there (6.12 arch/x86/kernel/callthunks.c). The
 * kernel writes the copies of what it calls itself at boot. The others it writes when a module is
 * loaded that calls the function, or a static call is first sent there: patch_dest() looks whether
 * the padding is nops still, and has text_poke_copy_locked() fill it: one __text_poke() of it all,
 * without int3, as nobody calls it yet. Its memcpy() is rep movsb, or two overlapping stores of
 * eight bytes, both from the front. It never takes a copy away.
 *
 * The template is sarq $5 on a per-CPU word, whose address is RIP-relative (modrm 3d, since 6.8) or
 * absolute. The symbols are absent before 6.2 and without CONFIG_MITIGATION_CALL_DEPTH_TRACKING. A
 * kernel that has them and does not count (nothing else was asked for) has no copy anywhere at the
 * seal, and may write none: thunks_initialized is read-only after init.
 */
#include <string.h>

#include "introspection/patches/impl.h"
#include "introspection/kernel.h"

#define NOP 0x90

static const uint8_t sarq_rip[4] = { 0x65, 0x48, 0xc1, 0x3d };
static const uint8_t sarq_abs[5] = { 0x65, 0x48, 0xc1, 0x3c, 0x25 };

static bool is_rip(const struct rf_call_thunk *thunk)
{
	return thunk->bytes[3] == sarq_rip[3];
}

void rf_thunk_template(struct rf_loader *l)
{
	const struct rf_textpatch *t = l->t;
	struct rf_call_thunk *thunk = &l->t->thunk;
	struct rf_shape shape = { .flags = RF_SHAPE_FILLED, .count = 2 };
	rf_gva start, end;
	uint64_t len;
	int32_t disp;

	*thunk = (struct rf_call_thunk){ 0 };
	if (rf_kernel_address(t->k, "skl_call_thunk_template", &start) ||
	    rf_kernel_address(t->k, "skl_call_thunk_tail", &end))
		return;
	len = end.v - start.v;
	if ((len != sizeof(sarq_rip) + 5 && len != sizeof(sarq_abs) + 5) ||
	    !rf_within(start.v, len, t->rodata, t->erodata - t->rodata) ||
	    rf_textpatch_read(t, l->m, start.v, thunk->bytes, len) || thunk->bytes[len - 1] != 5 ||
	    memcmp(thunk->bytes, len == 9 ? sarq_rip : sarq_abs, len - 5))
		return;
	memcpy(&disp, thunk->bytes + len - 5, sizeof(disp));
	thunk->target = start.v + len + (uint64_t)(int64_t)disp;
	thunk->len = (uint8_t)len;
	shape.len = thunk->len;
	shape.forms[0].how = is_rip(thunk) ? RF_FORM_REL32 : RF_FORM_BYTES;
	shape.forms[0].op_len = sizeof(sarq_rip);
	memcpy(shape.forms[0].bytes, thunk->bytes, len);
	shape.forms[1].how = RF_FORM_BYTES;
	memset(shape.forms[1].bytes, NOP, len);
	l->t->table->shapes[RF_SHAPE_CALL_THUNK] = shape;
}

/* As text_poke_apply_relocation() makes it for that place. */
static void spell(const struct rf_call_thunk *thunk, uint64_t at, uint8_t *out)
{
	uint32_t disp = (uint32_t)(thunk->target - (at + thunk->len));

	memcpy(out, thunk->bytes, thunk->len);
	if (is_rip(thunk))
		memcpy(out + sizeof(sarq_rip), &disp, sizeof(disp));
}

bool rf_call_thunk_is(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have)
{
	uint8_t want[RF_SITE_MAX_LEN];

	if (!thunk->len)
		return false;
	spell(thunk, at, want);
	return !memcmp(have, want, thunk->len);
}

/* Is it a copy as far as one was written, and then nops? */
bool rf_thunk_begun(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have)
{
	uint8_t want[RF_SITE_MAX_LEN], i = 0;

	if (!thunk->len)
		return false;
	spell(thunk, at, want);
	while (i < thunk->len && have[i] == want[i])
		i++;
	while (i < thunk->len && have[i] == NOP)
		i++;
	return i == thunk->len;
}
