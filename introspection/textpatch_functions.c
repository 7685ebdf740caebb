/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a static call may go: the starts of functions in sealed text by kallsyms, which lies in
 * sealed rodata. Trampolines of static calls are left out: of them a site may call its own alone.
 *
 * With call depth tracking (retbleed=stuff) direct calls go to a copy of skl_call_thunk_template in
 * the padding before the function (6.12 arch/x86/kernel/callthunks.c
 * callthunks_translate_call_dest()): sarq $5 on a per-CPU word, whose address is RIP-relative
 * (modrm 3d) or absolute. The symbols are absent before 6.2 and without
 * CONFIG_MITIGATION_CALL_DEPTH_TRACKING; then nothing is recognised as one.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/textpatch_impl.h"

static void read_thunk(const struct rf_loader *l, struct rf_call_thunk *thunk)
{
	const struct rf_textpatch *t = l->t;
	rf_gva start, end;

	thunk->len = 0;
	if (rf_kernel_address(t->k, "skl_call_thunk_template", &start) ||
	    rf_kernel_address(t->k, "skl_call_thunk_tail", &end) || end.v <= start.v ||
	    end.v - start.v > RF_THUNK_MAX ||
	    !rf_within(start.v, end.v - start.v, t->rodata, t->erodata - t->rodata) ||
	    rf_textpatch_read(t, l->m, start.v, thunk->bytes, end.v - start.v))
		return;
	thunk->at = start.v;
	thunk->len = (uint8_t)(end.v - start.v);
}

bool rf_call_thunk_is(const struct rf_call_thunk *thunk, uint64_t at, const uint8_t *have)
{
	static const uint8_t sarq_rip[4] = { 0x65, 0x48, 0xc1, 0x3d };
	uint8_t want[RF_THUNK_MAX];
	uint32_t disp;

	if (!thunk->len)
		return false;
	memcpy(want, thunk->bytes, thunk->len);
	if (thunk->len >= 9 && !memcmp(want, sarq_rip, 4)) {
		memcpy(&disp, want + 4, 4);
		disp += (uint32_t)(thunk->at - at);
		memcpy(want + 4, &disp, 4);
	}
	return !memcmp(have, want, thunk->len);
}

/* What the build puts before functions has names of its own, and is no place to call. */
static bool is_padding(const struct rf_symbol *s)
{
	return !strncmp(s->name, "__pfx_", 6) || !strncmp(s->name, "__cfi_", 6);
}

static bool is_code(const struct rf_symbol *s)
{
	return (s->type == 't' || s->type == 'T' || s->type == 'w' || s->type == 'W') &&
	       !is_padding(s);
}

static bool is_trampoline(const struct rf_symbol *s)
{
	return !strncmp(s->name, "__SCT__", 7);
}

static void add(struct rf_textpatch *t, uint64_t target)
{
	struct rf_patch_set *set = &t->table->sets[RF_SET_FUNCTIONS];

	if (set->count == RF_FUNCTIONS_MAX)
		t->stats.full++;
	else
		t->table->targets[set->count++] = target;
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void rf_textpatch_functions(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	size_t count = rf_kernel_symbol_count(t->k), i = 0;
	uint64_t pad;

	t->table->sets[RF_SET_FUNCTIONS] = (struct rf_patch_set){ 0, 0 };
	read_thunk(l, &t->thunk);
	while (i < count) { /* symbols ascend: all names of one address together */
		bool code = false, trampoline = false;
		struct rf_symbol s;
		uint64_t addr;

		rf_kernel_symbol_at(t->k, i, &s);
		addr = s.addr.v;
		for (; i < count; i++) {
			rf_kernel_symbol_at(t->k, i, &s);
			if (s.addr.v != addr)
				break;
			code |= is_code(&s);
			trampoline |= is_trampoline(&s);
		}
		if (!code || trampoline || !rf_textpatch_in_text(t, addr))
			continue;
		pad = addr - t->thunk.len;
		if (pad >= t->text && rf_call_thunk_is(&t->thunk, pad, l->bytes + (pad - t->text)))
			add(t, pad);
		add(t, addr);
	}
	/* A thunk may reach back over a symbol that is no function. */
	qsort(t->table->targets, t->table->sets[RF_SET_FUNCTIONS].count, sizeof(uint64_t),
	      ascending);
}
