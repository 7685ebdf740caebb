// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hostile lists: the small kernel of tests/unit/fake_patched.h, whose writable memory the input
 * changes while it stores to text. Input: steps of a byte that says what and how many bytes, two
 * that say where, and the bytes. What must hold whatever happens: it ends; the table is in order;
 * text that the table does not name is as it was at first (until another monitor takes over, which
 * believes the breakpoints that it finds); a site that is not under way holds one of its forms; a
 * hook that is told of calls out of text, and looked at alone it is told again.
 */
#include <stdlib.h>
#include <string.h>

#include "introspection/budget.h"
#include "introspection/patches/hooks.h"
#include "tests/unit/fake_patched.h"

#define SIZE (ETEXT - TEXT)

static uint8_t model[SIZE]; /* text as it was */

static void check_site(const struct patched *f, const struct rf_patch_site *s, bool extra)
{
	const struct rf_shape *shape = &patched_table.shapes[s->shape];
	const uint8_t *now = f->g.ram + 0x1000 + s->at;

	if (s->shape >= patched_table.shapes_count || s->at + shape->len > SIZE)
		abort();
	if (!extra && now[0] != RF_INT3 && now[0] != 0x3e &&
	    !rf_patch_at_rest(&patched_table, s, shape, now))
		abort();
}

static bool named(uint32_t at)
{
	struct rf_patch_site site;
	struct rf_shape shape;

	if (rf_patch_find(&patched_table, at, &site, &shape))
		return true;
	/* One within another hides it. */
	for (uint32_t i = 0; i < patched_table.extra_count; i++)
		if (at >= patched_table.extra[i].at &&
		    at - patched_table.extra[i].at <
			    patched_table.shapes[patched_table.extra[i].shape].len)
			return true;
	return false;
}

static void check_text(const struct patched *f, bool first_monitor)
{
	const uint8_t *now = f->g.ram + 0x1000;

	if (patched_table.seq & 1)
		abort();
	for (uint32_t i = 0; i < patched_table.sites_count; i++) {
		check_site(f, &patched_table.sites[i], false);
		if (i && patched_table.sites[i - 1].at >= patched_table.sites[i].at)
			abort();
	}
	for (uint32_t i = 0; i < patched_table.extra_count; i++) {
		check_site(f, &patched_table.extra[i], true);
		if (i && patched_table.extra[i - 1].at >= patched_table.extra[i].at)
			abort();
	}
	for (uint32_t i = 0; first_monitor && i < SIZE; i++)
		if (now[i] != model[i] && !named(i))
			abort();
}

static void check_sets(void)
{
	for (int n = 0; n < RF_TABLE_SETS; n++) {
		const struct rf_patch_set *s = &patched_table.sets[n];

		if (s->first > RF_TABLE_TARGETS || s->count > RF_TABLE_TARGETS - s->first)
			abort();
		for (uint32_t i = 1; i < s->count; i++)
			if (patched_table.targets[s->first + i - 1] >=
			    patched_table.targets[s->first + i])
				abort();
	}
}

struct walk {
	struct patched *f;
	struct rf_hooks *hooks;
	struct rf_memory m;
	const struct rf_hook *only; /* NULL: each is looked at once more */
	unsigned int told;
};

static int tell(void *ctx, const struct rf_hook *hook)
{
	struct walk *w = ctx;
	struct walk alone = { w->f, w->hooks, w->m, hook, 0 };

	/* Of a stray breakpoint the place is known alone. */
	if (!rf_hook_text((enum rf_hook_kind)hook->kind) ||
	    (hook->kind != RF_HOOK_STRAY && hook->handler >= TEXT && hook->handler < ETEXT))
		abort();
	if (w->only) {
		w->told += hook->handler == w->only->handler && hook->kind == w->only->kind;
		return 0;
	}
	/* Unlisted ones have their scratch in use by this very walk. */
	if (hook->kind == RF_HOOK_UNLISTED || w->told++ >= 64)
		return 0;
	if (!rf_hooks_look(w->hooks, &w->m, &w->f->g.p, hook->kind, hook->object, tell, &alone) &&
	    !alone.told)
		abort();
	return 0;
}

static struct rf_budget budget;

/* The reader stays the guest, by which the fakes know it. */
static int within_budget(void *guest, rf_gpa gpa, void *buf, size_t len)
{
	budget.to = ((struct fake_guest *)guest)->m;
	return rf_budget_read(&budget, gpa, buf, len);
}

/* As a guard does, with what it may read. */
static void walk_hooks(struct patched *f)
{
	struct walk w = { .f = f, .m = { within_budget, &f->g } };
	char name[RF_BPF_NAME];

	rf_budget_begin(&budget, 1 << 14);
	if (rf_hooks_create(f->t, &w.m, &w.hooks))
		return;
	rf_hooks_walk(w.hooks, &w.m, &f->g.p, tell, &w);
	rf_hooks_bpf(w.hooks, &w.m, &f->g.p, rf_gva_of(MODULE + 0x900), name);
	rf_hooks_destroy(w.hooks);
}

static void step(struct patched *f, uint8_t what, uint16_t where, const uint8_t *bytes, size_t len)
{
	struct fake_guest *g = &f->g;
	uint64_t gva;

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
		gva = TEXT + where % 0x1ff0;
		if (rf_textpatch_judge(f->t, &g->m, f->last_tail, rf_gva_of(gva), bytes, len,
				       &f->r))
			abort();
		if (f->r.verdict > RF_PATCH_DONE) {
			rf_textpatch_refresh(f->t, &g->m, &g->p, rf_gva_of(gva), bytes, len);
			if (rf_textpatch_judge(f->t, &g->m, f->last_tail, rf_gva_of(gva), bytes,
					       len, &f->r))
				abort();
		}
		if (f->r.verdict <= RF_PATCH_DONE) {
			fake_write(g, gva, bytes, len);
			if (f->r.verdict == RF_PATCH_STEP && f->r.offset)
				f->last_tail = f->r.at;
		}
		break;
	case 3:
		fake_write(g, DATA + where % 0xff0, bytes, len);
		break;
	case 4: /* a pointer */
		fake_put64(g, DATA + (where & 0xff8), HEAP + 8 * bytes[0]);
		break;
	case 5:
		fake_write(g, HEAP + where % 0x3ff0, bytes, len);
		break;
	case 6:
		fake_put64(g, HEAP + (where & 0xff8),
			   (bytes[0] & 1 ? TEXT : HEAP) + 16 * bytes[len - 1] +
				   (bytes[0] >> 1 & 7));
		break;
	case 7:
		rf_textpatch_sweep(f->t, &g->m, &g->p);
		if (what & 8)
			patched_later_fprobes(f);
		walk_hooks(f);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool first_monitor = true;
	struct patched *f;
	void *state;

	if (patched_setup(&state))
		abort();
	f = state;
	memcpy(model, f->g.ram + 0x1000, sizeof(model));
	while (size >= 4 && f->t) {
		size_t len = 1 + (data[0] >> 5);
		uint16_t where;

		if (len > size - 3)
			break;
		memcpy(&where, data + 1, 2);
		if (data[0] == 0xff) { /* another monitor */
			if (patched_create(f))
				break;
			first_monitor = false;
		} else {
			step(f, data[0], where, data + 3, len);
		}
		check_sets();
		check_text(f, first_monitor);
		data += 3 + len;
		size -= 3 + len;
	}
	patched_teardown(&state);
	return 0;
}
