// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where a static call may go: the starts of functions in sealed text by kallsyms, which lies in
 * sealed rodata. Trampolines of static calls are left out: of them a site may call its own alone.
 * A copy of the call thunk before a function (thunks.c) is a place to call, too.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/patches/impl.h"
#include "introspection/kernel.h"

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
		if (pad >= t->text &&
		    rf_call_thunk_is(&t->thunk, pad, l->bytes + (pad - t->text))) {
			t->thunk.used = true;
			add(t, pad);
		}
		add(t, addr);
	}
	/* A thunk may reach back over a symbol that is no function. */
	qsort(t->table->targets, t->table->sets[RF_SET_FUNCTIONS].count, sizeof(uint64_t),
	      ascending);
}

/*
 * CONFIG_FUNCTION_ALIGNMENT_16B comes with the padding: nops before a place that is not aligned are
 * somebody's code. Of two names of one function the set has one place.
 */
#define ALIGNMENT 16

int rf_thunk_sites(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	const struct rf_patch_set *set = &t->table->sets[RF_SET_FUNCTIONS];

	for (uint32_t i = 0; t->thunk.used && i < set->count; i++) {
		uint64_t function = t->table->targets[set->first + i];
		const struct rf_site site = { .addr = function - t->thunk.len,
					      .target = t->thunk.target,
					      .kind = RF_SITE_CALL_THUNK };
		int err;

		if (function % ALIGNMENT || function - t->text < t->thunk.len ||
		    !rf_thunk_begun(&t->thunk, site.addr, l->bytes + (site.addr - t->text)))
			continue;
		err = rf_loader_push(l, &site);
		if (err)
			return err;
	}
	return 0;
}
